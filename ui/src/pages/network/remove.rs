//! A device out of the network: what that means, told before, and what it did.

use super::store::Net;
use crate::{
    dom,
    icons::Icon,
    parts::{Show, Skeleton},
    view::network::{self, Way},
};
use kith_wire::networks::{MemberDetail, MemberRemoved, RemovalConsequences};
use leptos::prelude::*;

/// The question, then what was done.
#[component]
pub fn Remove(net: Net, id: String, name: String) -> impl IntoView {
    let means = RwSignal::new(None::<RemovalConsequences>);
    let said = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    let done = RwSignal::new(None::<MemberRemoved>);
    let path = net.id().map(|network| {
        format!("/api/v1/networks/{}/members/{}", js_sys::encode_uri_component(&network), js_sys::encode_uri_component(&id))
    });
    if let Some(path) = path.clone() {
        leptos::task::spawn_local(async move {
            match net.note(net.client().get::<MemberDetail>(&path).await) {
                Ok(member) => drop(means.try_set(Some(member.removal))),
                Err(problem) => drop(said.try_set(Some(problem.to_string()))),
            }
        });
    }
    let away: Vec<String> = net.devices.with_untracked(|devices| {
        devices.iter().filter(|one| one.way == Way::Away && one.id != id).map(|one| one.name.clone()).collect()
    });
    let may = move || means.with(|means| means.as_ref().is_some_and(|means| means.refused.is_none()));
    let points = {
        let name = name.clone();
        move || {
            means.with(|means| match means {
                None if said.with(Option::is_some) => ().into_any(),
                None => view! { <Skeleton rows=2/> }.into_any(),
                Some(RemovalConsequences { refused: Some(why), .. }) => {
                    view! { <p class="bad">{crate::view::words::sentence(why)}</p> }.into_any()
                }
                Some(means) => {
                    let points = network::consequences(&name, means, &away);
                    view! { <ul class="points">{points.into_iter().map(|point| view! { <li>{point}</li> }).collect_view()}</ul> }
                        .into_any()
                }
            })
        }
    };
    let remove = move |_| {
        let Some(path) = path.clone() else { return };
        busy.set(true);
        said.set(None);
        leptos::task::spawn_local(async move {
            match net.note(net.client().call::<MemberRemoved>("DELETE", &path, &serde_json::json!({})).await) {
                Ok(removed) => drop(done.try_set(Some(removed))),
                Err(problem) => drop(said.try_set(Some(problem.to_string()))),
            }
            busy.try_set(false);
            net.again();
        });
    };
    view! {
        <Show when=move || done.with(Option::is_none)>{points.clone()}</Show>
        {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
        {move || match done.get() {
            Some(removed) => view! {
                <div class="did" role="status">
                    <span class="ic on">{Icon::Check.view()}</span>
                    <p>{format!("{name} is out. {}", network::rotated(&removed.key, dom::utc_offset_minutes()))}</p>
                </div>
                <div class="acts"><button class="btn primary" on:click=move |_| net.close()>"Done"</button></div>
            }.into_any(),
            None => view! {
                <div class="acts">
                    <button class="btn" on:click=move |_| net.close()>"Cancel"</button>
                    <button class="btn danger" disabled=move || busy.get() || !may() on:click=remove.clone()>
                        {move || if busy.get() { "Removing" } else { "Remove the device" }}
                    </button>
                </div>
            }.into_any(),
        }}
    }
}

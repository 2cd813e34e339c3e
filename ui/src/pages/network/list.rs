//! The devices of the network as rows: the map's equal, and where a device is made an admin or removed.

use super::{ask::Ask, store::Net};
use crate::{
    dom,
    icons::Icon,
    parts::{For, Menu, MenuItem, Show, Skeleton},
    view::network::{Device, Way},
};
use leptos::prelude::*;

/// The rows.
#[component]
pub fn List(net: Net) -> impl IntoView {
    let ids = Memo::new(move |_| net.devices.with(|devices| devices.iter().map(|device| device.id.clone()).collect::<Vec<_>>()));
    view! {
        <section aria-labelledby="in-it">
            <h2 id="in-it">{move || match net.devices.with(Vec::len) { 0 | 1 => "Devices".to_owned(), many => format!("{many} devices") }}</h2>
            <Show when=move || !ids.with(Vec::is_empty) fallback=|| view! { <Skeleton rows=2/> }>
                <ul class="rows fleet peers">
                    <For each=move || ids.get() key=Clone::clone let:id><Row net id/></For>
                </ul>
            </Show>
        </section>
    }
}

#[component]
fn Row(net: Net, id: String) -> impl IntoView {
    let (one, two, three) = (id.clone(), id.clone(), id.clone());
    let device = Memo::new(move |_| net.device(&one));
    let of = move |tell: fn(&Device) -> String| move || device.with(|device| device.as_ref().map(tell));
    let way = Memo::new(move |_| device.with(|device| device.as_ref().map_or(Way::Away, |device| device.way)));
    let state = move || device.with(|device| device.as_ref().map(|device| device.state(net.now.get())));
    let role = move || {
        device.with(|device| {
            let device = device.as_ref()?;
            if device.is_founder { Some("founder") } else { device.is_admin.then_some("admin") }
        })
    };
    let (icon, name) = device.with_untracked(|device| {
        let phone = device.as_ref().is_some_and(Device::is_phone);
        (if phone { Icon::Phone } else { Icon::Laptop }, device.as_ref().map(|device| device.name.clone()).unwrap_or_default())
    });
    let asked = |ask: fn(String, String) -> Ask| {
        let id = id.clone();
        Callback::new(move |()| {
            let name = device.with_untracked(|device| device.as_ref().map(|device| device.name.clone())).unwrap_or_default();
            net.ask.set(Some(ask(id.clone(), name)));
        })
    };
    let may = move || net.is_admin && net.may_invite() && way.get() != Way::Here;
    let is_admin = Memo::new(move |_| device.with(|device| device.as_ref().is_some_and(|device| device.is_admin)));
    let (promote, remove) = (asked(Ask::Promote), asked(Ask::Remove));
    let show = move |_| {
        net.chosen.set(Some(two.clone()));
        request_animation_frame(|| dom::come_to(".mesh .about"));
    };
    let speed = Callback::new(move |()| net.ask.set(Some(Ask::Speed(Some(three.clone())))));
    view! {
        <li>
            <span class="ic">{icon.view()}</span>
            <div>
                <b><button class="title" title="Show its particulars" on:click=show>{of(|device| device.name.clone())}</button>
                    {move || role().map(|role| view! { <span class="tag">{role}</span> })}</b>
                <small class="num">{of(Device::machine)}</small>
            </div>
            <span class="state num"><span class="dot" class:away=move || way.get() == Way::Away></span>{state}</span>
            <span class="stat num">{of(|device| device.node.as_ref().map(|node| format!("Kith {}", node.version)).unwrap_or_default())}</span>
            <Show when=move || may() || way.get().is_link() fallback=|| view! { <span class="gap"></span> }>
                <Menu label=format!("More for {name}")>
                    <Show when=move || way.get().is_link()><MenuItem icon=Icon::Gauge name="Speed test" act=speed/></Show>
                    <Show when=move || may() && !is_admin.get()><MenuItem icon=Icon::Shield name="Make it an admin" act=promote/></Show>
                    <Show when=may><MenuItem icon=Icon::Trash name="Remove" danger=true act=remove/></Show>
                </Menu>
            </Show>
        </li>
    }
}

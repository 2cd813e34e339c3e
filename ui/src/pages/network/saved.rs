//! The saved networks: how this device stands in each, and getting on and off.

use super::{ask::Ask, store::Net};
use crate::{
    icons::Icon,
    parts::{For, Menu, MenuItem, Show},
    view::{
        network::{self, Standing},
        words::sentence,
    },
};
use kith_wire::networks::{NetworkDisconnected, NetworkInfo};
use leptos::prelude::*;

/// The rows.
#[component]
pub fn Saved(net: Net) -> impl IntoView {
    let ids = Memo::new(move |_| {
        net.list.with(|list| {
            let ids =
                |list: &kith_wire::networks::NetworkList| list.networks.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
            list.as_ref().map(ids).unwrap_or_default()
        })
    });
    let heading = move || if ids.with(Vec::len) == 1 { "Your network" } else { "Your networks" };
    view! {
        <section aria-labelledby="saved">
            <h2 id="saved">{heading}</h2>
            <ul class="rows nets">
                <For each=move || ids.get() key=Clone::clone let:id><Row net id/></For>
            </ul>
        </section>
    }
}

#[component]
fn Row(net: Net, id: String) -> impl IntoView {
    let one = id.clone();
    let network = Memo::new(move |_| {
        net.list.with(|list| list.as_ref().and_then(|list| list.networks.iter().find(|network| network.id == one).cloned()))
    });
    let of = move |tell: fn(&NetworkInfo) -> String| move || network.with(|network| network.as_ref().map(tell));
    let standing = Memo::new(move |_| network.with(|network| network.as_ref().map_or(Standing::Offline, Standing::of)));
    let is_active = Memo::new(move |_| network.with(|network| network.as_ref().is_some_and(|network| network.active)));
    let is_on =
        Memo::new(move |_| network.with(|network| network.as_ref().is_some_and(|network| network.state != "disconnected")));
    let fault = move || {
        let fault = net.list.with(|list| list.as_ref().and_then(|list| list.fault.clone()));
        fault.filter(|_| is_active.get()).map(|fault| sentence(&fault))
    };
    let is_faulty = Memo::new(move |_| fault().is_some());
    let tag = move || match network.with(|network| network.as_ref().map(network::may_invite)) {
        Some(true) => Some("admin"),
        _ => None,
    };
    let busy = RwSignal::new(false);
    let connect = {
        let id = id.clone();
        move || go(net, busy, id.clone())
    };
    let disconnect = {
        let id = id.clone();
        move || leave(net, busy, id.clone())
    };
    let turn = move |_| if is_on.get_untracked() { disconnect() } else { connect() };
    let forget = move |()| {
        let name = network.with_untracked(|network| network.as_ref().map(|network| network.name.clone())).unwrap_or_default();
        net.ask.set(Some(Ask::Forget(id.clone(), name)));
    };
    let label = of(|network| format!("More for {}", network.name))().unwrap_or_default();
    let is_admin = net.is_admin;
    view! {
        <li class:broken=is_faulty>
            <span class="ic" class:on=move || standing.get() == Standing::Connected>{Icon::Network.view()}</span>
            <div>
                <b>{of(|network| network.name.clone())}{move || tag().map(|tag| view! { <span class="tag">{tag}</span> })}</b>
                <small class="num">{of(network::about)}</small>
            </div>
            <span class="state">
                <span class="dot" class:away=move || !is_faulty.get() && matches!(standing.get(), Standing::Offline | Standing::Removed)
                    class:ember=move || !is_faulty.get() && matches!(standing.get(), Standing::Connecting | Standing::Waiting) class:bad=is_faulty></span>
                {move || if is_faulty.get() && standing.get() != Standing::Connected { "not connected" } else { standing.get().name() }}
            </span>
            {is_admin.then(|| view! {
                <button class="btn small" disabled=move || busy.get() || standing.get() == Standing::Removed on:click=turn>
                    {move || if is_on.get() { "Disconnect" } else { "Connect" }}
                </button>
                <Menu label=label>
                    <Show when=move || is_active.get() && net.may_invite()>
                        <MenuItem icon=Icon::Refresh name="Change the key" act=move |()| net.ask.set(Some(Ask::Rotate))/>
                    </Show>
                    <Show when=move || is_active.get()>
                        <MenuItem icon=Icon::Key name="Show the key" act=move |()| net.ask.set(Some(Ask::Key))/>
                    </Show>
                    <MenuItem icon=Icon::Trash name="Forget" danger=true act=forget.clone()/>
                </Menu>
            })}
            {move || fault().map(|fault| view! { <p class="remark bad" role="alert">{fault}</p> })}
        </li>
    }
}

/// Goes onto a network.
fn go(net: Net, busy: RwSignal<bool>, id: String) {
    busy.set(true);
    leptos::task::spawn_local(async move {
        let path = format!("/api/v1/networks/{}/connect", js_sys::encode_uri_component(&id));
        if let Err(problem) = net.note(net.client().send("POST", &path, Some(&serde_json::json!({}))).await) {
            net.toasts.fail(problem);
        }
        busy.try_set(false);
        net.again();
    });
}

/// Goes offline, with a way back.
fn leave(net: Net, busy: RwSignal<bool>, id: String) {
    busy.set(true);
    leptos::task::spawn_local(async move {
        let body = serde_json::json!({});
        match net.note(net.client().post::<NetworkDisconnected>("/api/v1/networks/disconnect", &body).await) {
            Ok(_) => net.toasts.undoable("This device is offline now. Kith itself goes on.", move || {
                let alone = RwSignal::new(false);
                go(net, alone, id.clone());
            }),
            Err(problem) => net.toasts.fail(problem),
        }
        busy.try_set(false);
        net.again();
    });
}

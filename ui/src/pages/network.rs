//! Private networks: the saved ones, the map of the one that is used, its devices, invites into it, and how this device is reached.

mod ask;
mod create;
mod details;
mod forget;
mod invite;
mod invites;
mod join;
mod key;
mod list;
mod map;
mod promote;
mod reach;
mod remove;
mod rotate;
mod saved;
mod speed;
mod store;

use crate::{
    dom,
    icons::Icon,
    live::{Link, live},
    palette::{Command, Palette},
    parts::{Empty, Failed, Menu, MenuItem, Show, Skeleton},
    session::client,
    view::network::{self, Standing},
};
use ask::{Ask, Asking};
use leptos::{ev, prelude::*};
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
};
use std::sync::Arc;
use store::Net;

/// The page.
#[component]
pub fn Network() -> impl IntoView {
    let live = live();
    let net = Net::begin(client());
    hear(net);
    offer(net);
    let is_old = move || matches!(live.link.get(), Link::Offline(_));
    let is_admin = net.is_admin;
    let is_known = Memo::new(move |_| net.list.with(Option::is_some));
    let has_any = Memo::new(move |_| net.list.with(|list| list.as_ref().is_some_and(|list| !list.networks.is_empty())));
    let has_active = Memo::new(move |_| net.active.with(Option::is_some));
    let headline =
        move || net.list.with(|list| net.devices.with(|devices| list.as_ref().map(|list| network::headline(list, devices))));
    let may_invite = move || is_admin && net.may_invite();
    let ask = move |what: Ask| move |()| net.ask.set(Some(what.clone()));
    view! {
        <div class="page network" class:old=is_old>
            <header>
                <div>
                    <h1>"Network"</h1>
                    <p>{headline}</p>
                </div>
                <Show when=move || has_any.get() && is_admin>
                    <Menu label="More for networks" icon=Icon::Plus>
                        <MenuItem icon=Icon::Plus name="Create a network" act=ask(Ask::Create)/>
                        <MenuItem icon=Icon::Key name="Join by invite" act=ask(Ask::Join(String::new()))/>
                    </Menu>
                </Show>
                <Show when=may_invite>
                    <button class="btn primary" disabled=is_old on:click=move |_| net.ask.set(Some(Ask::Invite))>
                        {Icon::Plus.view()}"Invite a device"
                    </button>
                </Show>
            </header>
            {move || match (is_known.get(), has_any.get(), net.problem.get()) {
                (true, true, _) => view! {
                    <saved::Saved net/>
                    <Show when=move || has_active.get()>
                        <map::Map net/>
                        <Show when=move || !matches!(net.standing(), Some(Standing::Waiting | Standing::Removed))><list::List net/></Show>
                        <invites::Invites net/>
                        <reach::Reach net/>
                    </Show>
                }.into_any(),
                (true, false, _) if is_admin => view! {
                    <Empty icon=Icon::Network title="No network yet"
                        text="Create one here and invite your other machines, or join one by an invite you were given. Devices then see each other and share models, encrypted on every way.">
                        <button class="btn" on:click=move |_| net.ask.set(Some(Ask::Join(String::new())))>"Join by invite"</button>
                        <button class="btn primary" on:click=move |_| net.ask.set(Some(Ask::Create))>{Icon::Plus.view()}"Create a network"</button>
                    </Empty>
                }.into_any(),
                (true, false, _) => view! {
                    <Empty icon=Icon::Network title="No network yet" text="Networks are created and joined on the computer itself."/>
                }.into_any(),
                (false, _, Some(problem)) => view! { <Failed problem retry=move |()| net.again()/> }.into_any(),
                (false, _, None) => view! { <Skeleton rows=5/> }.into_any(),
            }}
        </div>
        <Asking net/>
    }
}

/// Takes what the page was opened with: an invite behind the address's `#`, or something to do. An invite is only ever shown: it is the
/// user who joins.
fn hear(net: Net) {
    let take = move || {
        let Some(code) = dom::take_fragment("join") else { return };
        if !net.is_admin {
            return net.toasts.fail("Networks are joined on the computer itself.");
        }
        match network::handed_over(&code) {
            Some(invite) => net.ask.set(Some(Ask::Join(invite))),
            None => net.toasts.fail("The link held no invite."),
        }
    };
    take();
    let changed = window_event_listener(ev::hashchange, move |_| take());
    on_cleanup(move || changed.remove());
    let (query, navigate) = (use_query_map(), use_navigate());
    Effect::new(move || {
        let Some(word) = query.with(|query| query.get("do")) else { return };
        // Gone from the address, so that it is not done again by going back.
        navigate("/network", NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() });
        let ask = match word.as_str() {
            "create" if net.is_admin => Ask::Create,
            "join" if net.is_admin => Ask::Join(String::new()),
            "invite" if net.is_admin => Ask::Invite,
            "speed" => Ask::Speed(None),
            _ => return,
        };
        net.ask.set(Some(ask));
    });
}

/// What the palette does on this page beside what it always does.
fn offer(net: Net) {
    let command = |name: &str, icon, ask: Ask| Command {
        name: name.to_owned(),
        hint: String::new(),
        icon,
        act: Arc::new(move || net.ask.set(Some(ask.clone()))),
    };
    if net.is_admin {
        expect_context::<Palette>().offer(vec![
            command("Change the network's key", Icon::Refresh, Ask::Rotate),
            command("Show the network's key", Icon::Key, Ask::Key),
        ]);
    }
}

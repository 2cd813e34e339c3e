//! The invites that still let in, and those lately over.

use super::{ask::Ask, store::Net};
use crate::{
    icons::Icon,
    parts::{For, Show},
    view::network,
};
use kith_wire::networks::InviteInfo;
use leptos::prelude::*;

/// The rows; nothing where this device may not invite, or never did.
#[component]
pub fn Invites(net: Net) -> impl IntoView {
    let all = RwSignal::new(false);
    let open = Memo::new(move |_| {
        let now = net.now.get();
        net.invites.with(|invites| invites.iter().filter(|one| network::is_open(one, now)).cloned().collect::<Vec<_>>())
    });
    let over = Memo::new(move |_| {
        let now = net.now.get();
        net.invites.with(|invites| invites.iter().filter(|one| !network::is_open(one, now)).cloned().collect::<Vec<_>>())
    });
    let shown = move || {
        let mut shown = open.get();
        if all.get() {
            shown.extend(over.get());
        }
        shown
    };
    let is_shown = move || net.is_admin && net.may_invite();
    view! {
        <Show when=is_shown>
            <section aria-labelledby="invites">
                <div class="head">
                    <h2 id="invites">"Invites"</h2>
                    {move || (!over.with(Vec::is_empty)).then(|| view! {
                        <button class="link" aria-pressed=move || all.get().to_string() on:click=move |_| all.update(|all| *all = !*all)>
                            {move || if all.get() { "Only open ones".to_owned() } else { format!("{} over", over.with(Vec::len)) }}
                        </button>
                    })}
                </div>
                <ul class="rows invites">
                    <For each=shown key=|invite| (invite.id.clone(), invite.used, network::is_open(invite, 0)) let:invite><Row net invite/></For>
                    <Show when=move || open.with(Vec::is_empty) && !all.get()>
                        <li class="hint">
                            <span class="ic">{Icon::Key.view()}</span>
                            <div><b>"No open invite"</b><small>"An invite is a code for a device of yours, or of somebody you trust. It ends by itself."</small></div>
                            <button class="btn small" on:click=move |_| net.ask.set(Some(Ask::Invite))>"Invite"</button>
                        </li>
                    </Show>
                </ul>
            </section>
        </Show>
    }
}

#[component]
fn Row(net: Net, invite: InviteInfo) -> impl IntoView {
    let busy = RwSignal::new(false);
    let name = if invite.label.is_empty() {
        format!("Invite {}", invite.id.chars().take(6).collect::<String>())
    } else {
        invite.label.clone()
    };
    let label = format!("Take back {name}");
    let members = invite.members.clone();
    let came = move || {
        let names: Vec<String> =
            members.iter().map(|id| net.device(id).map_or_else(|| "a device".to_owned(), |device| device.name)).collect();
        if names.is_empty() { String::new() } else { format!(" · {} came in", network::list(&names)) }
    };
    let id = invite.id.clone();
    let revoke = move |_| {
        let Some(network) = net.id() else { return };
        let path =
            format!("/api/v1/networks/{}/invites/{}", js_sys::encode_uri_component(&network), js_sys::encode_uri_component(&id));
        busy.set(true);
        leptos::task::spawn_local(async move {
            match net.note(net.client().delete(&path).await) {
                Ok(()) => net.toasts.say("The invite lets nobody in any more. Who came in by it stays."),
                Err(problem) => net.toasts.fail(problem),
            }
            busy.try_set(false);
            net.again();
        });
    };
    let is_open = network::is_open(&invite, net.now.get_untracked());
    let is_admin = invite.role == "admin";
    let line = move || format!("{}{}", network::invite(&invite, net.now.get()), came());
    view! {
        <li class:over=!is_open>
            <span class="ic">{Icon::Key.view()}</span>
            <div>
                <b>{name}{is_admin.then(|| view! { <span class="tag">"as admin"</span> })}</b>
                <small class="num">{line}</small>
            </div>
            {is_open.then(|| view! { <button class="btn small" aria-label=label disabled=busy on:click=revoke>"Take back"</button> })}
        </li>
    }
}

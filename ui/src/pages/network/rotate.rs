//! Another key for the network, and what that did.

use super::store::Net;
use crate::{dom, icons::Icon, view::network};
use kith_wire::networks::KeyRotated;
use leptos::prelude::*;

/// The question, then what was done.
#[component]
pub fn Rotate(net: Net) -> impl IntoView {
    let busy = RwSignal::new(false);
    let said = RwSignal::new(None::<String>);
    let done = RwSignal::new(None::<KeyRotated>);
    let rotate = move |_| {
        let Some(id) = net.id() else { return };
        busy.set(true);
        said.set(None);
        leptos::task::spawn_local(async move {
            let path = format!("/api/v1/networks/{}/swarm-key", js_sys::encode_uri_component(&id));
            match net.note(net.client().post::<KeyRotated>(&path, &serde_json::json!({})).await) {
                Ok(key) => drop(done.try_set(Some(key))),
                Err(problem) => drop(said.try_set(Some(problem.to_string()))),
            }
            busy.try_set(false);
            net.again();
        });
    };
    view! {
        {move || match done.get() {
            Some(key) => view! {
                <div class="did" role="status">
                    <span class="ic on">{Icon::Check.view()}</span>
                    <p>{network::rotated(&key, dom::utc_offset_minutes())}</p>
                </div>
                <div class="acts"><button class="btn primary" on:click=move |_| net.close()>"Done"</button></div>
            }.into_any(),
            None => view! {
                <p>"The key opens the network's door; invites decide who comes in. Change it when its text may have been seen by somebody, or once in a while. Removing a device changes it by itself."</p>
                <ul class="points">
                    <li>"Every device gets the new key sealed to itself: nobody is left outside."</li>
                    <li>"Those that are away get it on their return, within 30 days."</li>
                    <li>"Connections begin anew with it, within moments."</li>
                </ul>
                {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
                <div class="acts">
                    <button class="btn" on:click=move |_| net.close()>"Cancel"</button>
                    <button class="btn primary" disabled=move || busy.get() || !net.may_invite() on:click=rotate>
                        {move || if busy.get() { "Changing the key" } else { "Change the key" }}
                    </button>
                </div>
            }.into_any(),
        }}
    }
}

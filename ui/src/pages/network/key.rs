//! The text of the network's key, for those who ask for it.

use super::store::Net;
use crate::parts::CopyButton;
use kith_wire::networks::NetworkKey;
use leptos::prelude::*;

/// A word of warning, then the key.
#[component]
pub fn Key(net: Net) -> impl IntoView {
    let text = RwSignal::new(None::<String>);
    let said = RwSignal::new(None::<String>);
    let show = move |_| {
        let Some(id) = net.id() else { return };
        leptos::task::spawn_local(async move {
            let path = format!("/api/v1/networks/{}/key", js_sys::encode_uri_component(&id));
            match net.note(net.client().get::<NetworkKey>(&path).await) {
                Ok(key) => drop(text.try_set(Some(key.swarm_key))),
                Err(problem) => drop(said.try_set(Some(problem.to_string()))),
            }
        });
    };
    view! {
        <p>"Programs that speak the same three-line form (pnet) take it. With it alone nobody gets in, yet whoever has it can knock; to bring in a device, make an invite instead. That it was shown is written to the audit."</p>
        {move || match text.get() {
            Some(key) => view! {
                <div class="token">
                    <code tabindex="0" aria-label="Key">{key.trim().to_owned()}</code>
                    <CopyButton text=Signal::stored(key) name="Copy"/>
                </div>
                <div class="acts"><button class="btn" on:click=move |_| net.close()>"Close"</button></div>
            }.into_any(),
            None => view! {
                {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
                <div class="acts">
                    <button class="btn" on:click=move |_| net.close()>"Cancel"</button>
                    <button class="btn" on:click=show>"Show the key"</button>
                </div>
            }.into_any(),
        }}
    }
}

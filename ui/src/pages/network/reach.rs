//! How other devices reach this one, in words.

use super::store::Net;
use crate::{
    icons::Icon,
    parts::{CopyButton, Show},
    view::{
        network::{self, Standing},
        words::sentence,
    },
};
use leptos::prelude::*;

/// The row, with the addresses below.
#[component]
pub fn Reach(net: Net) -> impl IntoView {
    let is_online = move || matches!(net.standing(), Some(Standing::Connected | Standing::Connecting));
    let told = move || net.nat.with(|nat| nat.as_ref().map(network::reach));
    let why = move || {
        net.nat.with(|nat| {
            let nat = nat.as_ref()?;
            let relays =
                nat.relays.iter().map(|id| net.device(id).map_or_else(|| id.clone(), |device| device.name)).collect::<Vec<_>>();
            let mut parts = vec![sentence(&nat.why)];
            parts.extend(network::router(nat).map(str::to_owned));
            if !relays.is_empty() {
                parts.push(format!("Passed on by {}.", network::list(&relays)));
            }
            parts.retain(|part| !part.is_empty());
            Some(parts.join(" "))
        })
    };
    let is_hidden = move || net.nat.with(|nat| nat.as_ref().is_some_and(|nat| nat.status == "private" && nat.relays.is_empty()));
    let addresses = move |of: fn(&kith_wire::networks::SystemNat) -> &Vec<String>, name: &'static str| {
        move || {
            let list = net.nat.with(|nat| nat.as_ref().map(|nat| of(nat).clone()))?;
            (!list.is_empty()).then(|| {
                let rows = list
                    .into_iter()
                    .map(|one| view! { <li><code>{one.clone()}</code><CopyButton text=Signal::stored(one)/></li> });
                view! { <h3>{name}</h3><ul class="mono">{rows.collect_view()}</ul> }
            })
        }
    };
    view! {
        <Show when=move || is_online() && told().is_some()>
            <section aria-labelledby="reach">
                <h2 id="reach">"How this device is reached"</h2>
                <ul class="rows sharing reach">
                    <li>
                        <span class="ic">{Icon::Cloud.view()}</span>
                        <div>
                            <b><span class="dot" class:ember=is_hidden></span>{move || told().map(|told| told.0)}</b>
                            <small>{move || told().map(|told| told.1)}</small>
                            <small>{why}</small>
                            <details>
                                <summary>"Addresses"</summary>
                                {addresses(|nat| &nat.external_addrs, "Others have reached it at")}
                                {addresses(|nat| &nat.listen_addrs, "It listens at")}
                            </details>
                        </div>
                    </li>
                </ul>
            </section>
        </Show>
    }
}

//! The particulars of one device: why it is reached as it is, what it is, what it can do.

use super::{ask::Ask, store::Net};
use crate::{
    icons::Icon,
    parts::{CopyButton, Show},
    view::{
        network::{self, Device, Way},
        words::sentence,
    },
};
use leptos::prelude::*;

/// How many models are named.
const NAMED: usize = 4;

/// The panel.
#[component]
pub fn Details(net: Net, id: String) -> impl IntoView {
    let one = id.clone();
    let device = Memo::new(move |_| net.device(&one));
    let of = move |tell: fn(&Device) -> String| move || device.with(|device| device.as_ref().map(tell));
    let way = Memo::new(move |_| device.with(|device| device.as_ref().map_or(Way::Away, |device| device.way)));
    let state = move || device.with(|device| device.as_ref().map(|device| device.state(net.now.get())));
    let why = move || match way.get() {
        Way::Here => net.nat.with(|nat| nat.as_ref().map(|nat| network::reach(nat).1)),
        _ => device.with(|device| device.as_ref().map(|device| sentence(&device.why))),
    };
    let heading = move || match way.get() {
        Way::Here => net.nat.with(|nat| nat.as_ref().map_or("", |nat| network::reach(nat).0)),
        _ => "",
    };
    let models = move || {
        device.with(|device| {
            let models = &device.as_ref()?.node.as_ref()?.models;
            Some(match models.len() {
                0 => "none".to_owned(),
                _ => network::list_most(models, NAMED),
            })
        })
    };
    let fact = move |name: &'static str, tell: fn(&Device) -> Option<String>| {
        move || {
            let told = device.with(|device| device.as_ref().and_then(tell)).filter(|told| !told.is_empty())?;
            Some(view! { <div><dt>{name}</dt><dd>{told}</dd></div> })
        }
    };
    let speed = {
        let id = id.clone();
        move |_| net.ask.set(Some(Ask::Speed(Some(id.clone()))))
    };
    view! {
        <aside class="panel about" tabindex="-1" aria-label="Particulars of the device">
            <header>
                <h2>{of(|device| device.name.clone())}</h2>
                <span class="state num">
                    <span class="dot" class:away=move || way.get() == Way::Away></span>{state}
                </span>
            </header>
            <p class="why">{move || (!heading().is_empty()).then(|| view! { <b>{heading}". "</b> })}{why}</p>
            <dl>
                {fact("Machine", |device| Some(device.machine()))}
                <Show when=move || models().is_some()><div><dt>"Models"</dt><dd>{models}</dd></div></Show>
                {fact("Region", |device| device.node.as_ref()?.country.clone())}
                {fact("Version", |device| Some(format!("Kith {}", device.node.as_ref().filter(|node| !node.version.is_empty())?.version)))}
                {fact("Role", |device| Some(match (device.is_admin, device.is_founder) {
                    (_, true) => "founder, may let others in",
                    (true, _) => "admin, may let others in",
                    _ => "member",
                }.to_owned()))}
                {fact("Accelerator memory", |device| {
                    let bytes = device.node.as_ref()?.hardware.accelerator_memory_bytes;
                    (bytes > 0).then(|| crate::view::format::memory(bytes))
                })}
            </dl>
            <details>
                <summary>"Addresses and id"</summary>
                <ul class="mono">
                    {move || device.with(|device| {
                        let node = device.as_ref()?.node.as_ref()?;
                        let now = node.address.clone().map(|address| view! { <li><span>"now at"</span>{address}</li> });
                        let others = node.addresses.iter().filter(|one| Some(*one) != node.address.as_ref()).cloned();
                        let others = others.map(|address| view! { <li>{address}</li> }).collect_view();
                        Some(view! { {now}{others} })
                    })}
                    <li class="own">{id.clone()}<CopyButton text=Signal::stored(id)/></li>
                </ul>
            </details>
            <Show when=move || way.get().is_link()>
                <div class="acts"><button class="btn small" on:click=speed.clone()>{Icon::Gauge.view()}"Test the speed"</button></div>
            </Show>
        </aside>
    }
}

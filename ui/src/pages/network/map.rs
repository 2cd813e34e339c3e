//! The map: this node, the others around it, the lines between them, and beside it the particulars of the one that is chosen.

use super::{details::Details, store::Net};
use crate::{
    icons::Icon,
    parts::{For, Show},
    view::network::{
        Device, Standing, Way, latency,
        map::{self, MOST, Spot},
    },
};
use leptos::prelude::*;

/// From how many others on names are written small.
const MANY: usize = 8;
/// From how many others on only the one pointed at has its name.
const CROWD: usize = 14;

/// The map and what stands beside it.
#[component]
pub fn Map(net: Net) -> impl IntoView {
    let is_online = move || matches!(net.standing(), Some(Standing::Connected | Standing::Connecting));
    let others = Memo::new(move |_| {
        net.devices
            .with(|devices| devices.iter().filter(|device| device.way != Way::Here).take(MOST).cloned().collect::<Vec<_>>())
    });
    let ids = Memo::new(move |_| others.with(|others| others.iter().map(|device| device.id.clone()).collect::<Vec<_>>()));
    let here = Memo::new(move |_| {
        net.devices.with(|devices| devices.iter().find(|device| device.way == Way::Here).map(|device| device.id.clone()))
    });
    let hidden = move || net.devices.with(|devices| devices.len().saturating_sub(1).saturating_sub(MOST));
    let chosen = Memo::new(move |_| {
        let chosen = net.chosen.get();
        chosen.filter(|id| net.devices.with(|devices| devices.iter().any(|device| device.id == *id))).or_else(|| here.get())
    });
    let lines = move || {
        let links = others.with(|others| map::links(others));
        let drawn = links.into_iter().map(|link| {
            let (id, way) = (link.id, link.way.class());
            view! { <path class=format!("link {way}") class:chosen=move || chosen.with(|chosen| chosen.as_deref() == Some(id.as_str())) d=link.d/> }
        });
        drawn.collect_view()
    };
    let told = move || others.with(|others| net.topology.with(|topology| map::told(others, topology)));
    // Among many only the chosen one's round trip is written; the list has them all.
    let trips = move || {
        let only = others.with(|others| (others.len() > MANY).then(|| chosen.get().unwrap_or_default()));
        let links = others.with(|others| map::links(others));
        let trip = |link: map::Link| {
            let ms = others.with(|others| others.iter().find(|device| device.id == link.id)?.latency_ms)?;
            Some(view! {
                <span class="trip num" style:left=format!("{:.1}%", link.middle.x) style:top=format!("{:.1}%", link.middle.y)>{latency(ms)}</span>
            })
        };
        let shown = links.into_iter().filter(|link| only.as_ref().is_none_or(|only| *only == link.id));
        shown.filter_map(trip).collect_view()
    };
    let legend = move || {
        let entry = |way: Way| {
            let is_there = others.with(|others| others.iter().any(|device| device.way == way));
            is_there.then(|| {
                view! {
                    <span class="entry">
                        <svg viewBox="0 0 22 6" aria-hidden="true"><path class=format!("link {}", way.class()) d="M1,3H21"/></svg>
                        {way.name()}
                    </span>
                }
            })
        };
        Way::LINKS.map(entry).collect_view()
    };
    let is_alone = move || ids.with(Vec::is_empty) && here.with(Option::is_some);
    view! {
        <Show when=is_online>
            <section class="mesh" aria-label="Map">
                <div class="panel sky" class:many=move || { ids.with(Vec::len) > MANY } class:crowd=move || { ids.with(Vec::len) > CROWD }>
                    <div class="field-of">
                        <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
                            <path class="told" d=told/>
                            {lines}
                        </svg>
                        {trips}
                        {move || here.get().map(|id| view! { <Node net id spot=Signal::derive(move || map::own(ids.with(Vec::len))) chosen/> })}
                        <For each=move || ids.get() key=Clone::clone let:id>
                            {
                                let me = id.clone();
                                let spot = Signal::derive(move || {
                                    ids.with(|ids| {
                                        let at = ids.iter().position(|one| *one == me).unwrap_or(0);
                                        map::around(ids.len()).get(at).copied().unwrap_or(map::own(ids.len()))
                                    })
                                });
                                view! { <Node net id spot chosen/> }
                            }
                        </For>
                        <Show when=is_alone><p class="alone">"Other devices appear here once they are in."</p></Show>
                    </div>
                    <p class="legend num">
                        {legend}
                        {move || (hidden() > 0).then(|| view! { <span>{format!("{} more in the list", hidden())}</span> })}
                    </p>
                </div>
                {move || chosen.get().map(|id| view! { <Details net id/> })}
            </section>
        </Show>
    }
}

/// A node on the map.
#[component]
fn Node(net: Net, id: String, spot: Signal<Spot>, chosen: Memo<Option<String>>) -> impl IntoView {
    let (one, two, three) = (id.clone(), id.clone(), id);
    let device = Memo::new(move |_| net.device(&one));
    let of = move |tell: fn(&Device) -> String| move || device.with(|device| device.as_ref().map(tell));
    let way = move || device.with(|device| device.as_ref().map_or(Way::Away, |device| device.way));
    let icon = device.with_untracked(|device| device.as_ref().is_some_and(Device::is_phone));
    let icon = if icon { Icon::Phone } else { Icon::Laptop };
    let state = move || device.with(|device| device.as_ref().map(|device| device.state(net.now.get())));
    let label = move || format!("{}, {}", of(|device| device.name.clone())().unwrap_or_default(), state().unwrap_or_default());
    view! {
        <button class="node" class:here=move || way() == Way::Here class:away=move || way() == Way::Away class:above=move || spot.get().is_above()
            style:left=move || format!("{:.1}%", spot.get().x) style:top=move || format!("{:.1}%", spot.get().y)
            aria-pressed=move || chosen.with(|chosen| chosen.as_deref() == Some(two.as_str())).to_string()
            title=label on:click=move |_| net.chosen.set(Some(three.clone()))>
            <span class="disc">{icon.view()}</span>
            <span class="name">
                <b>{of(|device| device.name.clone())}</b>
                " "<small class:sr=move || way() != Way::Away>{state}</small>
            </span>
        </button>
    }
}

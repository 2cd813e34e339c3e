//! How fast the way to a device is: a test, its figures, and those before it.

use super::store::Net;
use crate::{
    dom,
    parts::{Field, Plot, PlotData, PlotLine, Show, Skeleton},
    view::{
        format,
        network::{latency, speed},
    },
};
use kith_wire::networks::{SpeedtestHistory, SpeedtestResult};
use leptos::prelude::*;
use std::time::Duration;

/// How often the time that a test takes is counted.
const TICK: Duration = Duration::from_millis(200);

/// The choice, the test and its course.
#[component]
pub fn Speed(
    net: Net,
    /// The device, if it is chosen already.
    peer: Option<String>,
) -> impl IntoView {
    let linked = Memo::new(move |_| {
        net.devices.with(|devices| {
            let linked = devices.iter().filter(|device| device.way.is_link());
            linked.map(|device| (device.id.clone(), device.name.clone())).collect::<Vec<_>>()
        })
    });
    let peer = RwSignal::new(peer.or_else(|| linked.with_untracked(|linked| linked.first().map(|(id, _)| id.clone()))));
    // Opened before anything was read, it takes the first that turns up.
    Effect::new(move || {
        let first = linked.with(|linked| linked.first().map(|(id, _)| id.clone()));
        if first.is_some() && peer.with_untracked(Option::is_none) {
            peer.set(first);
        }
    });
    let history = RwSignal::new(None::<Vec<SpeedtestResult>>);
    let began = RwSignal::new(None::<i64>);
    let now = RwSignal::new(dom::now_ms());
    let said = RwSignal::new(None::<String>);
    let read = move || {
        let Some(id) = peer.get_untracked() else { return };
        leptos::task::spawn_local(async move {
            let path = format!("/api/v1/network/speedtest/{}/history", js_sys::encode_uri_component(&id));
            let answer = net.note(net.client().get::<SpeedtestHistory>(&path).await);
            if peer.try_get_untracked().flatten() == Some(id) {
                history.try_set(Some(answer.map(|history| history.results).unwrap_or_default()));
            }
        });
    };
    Effect::new(move || {
        peer.track();
        history.set(None);
        said.set(None);
        read();
    });
    let ticking = set_interval_with_handle(move || now.set(dom::now_ms()), TICK);
    if let Ok(ticking) = ticking {
        on_cleanup(move || ticking.clear());
    }
    let test = move |_| {
        let Some(id) = peer.get_untracked() else { return };
        began.set(Some(dom::now_ms()));
        said.set(None);
        leptos::task::spawn_local(async move {
            let path = format!("/api/v1/network/speedtest/{}", js_sys::encode_uri_component(&id));
            match net.note(net.client().post::<SpeedtestResult>(&path, &serde_json::json!({})).await) {
                Ok(result) if peer.try_get_untracked().flatten().as_ref() == Some(&id) => {
                    history.try_update(|history| history.get_or_insert_default().insert(0, result));
                }
                Ok(_) => {}
                Err(problem) => drop(said.try_set(Some(problem.to_string()))),
            }
            began.try_set(None);
        });
    };
    let name = move || {
        let id = peer.get().unwrap_or_default();
        net.device(&id).map(|device| device.name).unwrap_or_else(|| "a device".to_owned())
    };
    let is_running = Memo::new(move |_| began.with(Option::is_some));
    let is_linked = move || peer.with(|peer| linked.with(|linked| linked.iter().any(|(id, _)| Some(id) == peer.as_ref())));
    let last = move || history.with(|history| history.as_ref()?.first().cloned());
    let figures = move || {
        let test = last()?;
        let figure = |name: &'static str, value: String| view! { <div><dt>{name}</dt><dd class="num">{value}</dd></div> };
        Some(view! {
            <dl class="figures">
                {figure("Down", speed::rate(test.down_bytes_per_second))}
                {figure("Up", speed::rate(test.up_bytes_per_second))}
                {figure("Round trip", latency(test.latency_ms))}
                {figure("Jitter", latency(test.jitter_ms))}
            </dl>
            <p class="when num">{move || format!("Tested {}, with {}", format::ago(test.ts_ms.ms(), now.get()), format::bytes(test.bytes))}</p>
        })
    };
    let data = Signal::derive(move || {
        history.with(|history| {
            let course = speed::course(history.as_deref().unwrap_or_default());
            let line = |name, values: Vec<Option<f64>>| {
                let summary = values.last().copied().flatten().map(speed::rate).unwrap_or_default();
                PlotLine { name, values, summary }
            };
            let (first_ms, lines) =
                (course.times.first().copied().unwrap_or(0), vec![line("Down", course.down), line("Up", course.up)]);
            PlotData { lines, first_ms, step_ms: 0, times: course.times, top: None, told: speed::rate }
        })
    });
    let has_course = move || history.with(|history| history.as_ref().is_some_and(|history| history.len() > 1));
    view! {
        <Show when=move || peer.with(Option::is_some) fallback=move || view! {
            <p>"No other device is connected now, so there is nobody to test with."</p>
            <div class="acts"><button class="btn" on:click=move |_| net.close()>"Close"</button></div>
        }>
            <Field label="With">
                <select disabled=is_running on:change=move |event| peer.set(Some(event_target_value(&event)))>
                    {move || {
                        let chosen = peer.get();
                        let mut all = linked.get();
                        if let Some(id) = chosen.clone().filter(|id| !all.iter().any(|(one, _)| one == id)) {
                            all.push((id, format!("{} (not connected)", name())));
                        }
                        all.into_iter().map(|(id, name)| view! { <option value=id.clone() selected=Some(&id) == chosen.as_ref()>{name}</option> }).collect_view()
                    }}
                </select>
            </Field>
            <Show when=move || is_running.get() fallback=move || view! {
                {figures}
                {move || history.with(|history| history.as_ref().is_some_and(Vec::is_empty)).then(|| view! {
                    <p class="none">"Not tested yet. A test fills the way in both directions for some seconds."</p>
                })}
                {move || history.with(Option::is_none).then(|| view! { <Skeleton rows=1/> })}
            }>
                <div class="running" role="status">
                    <div class="progress moving"><i></i></div>
                    <p class="num">{move || format!("Measuring the way to {}, {} so far", name(), format::duration_ms(began.get().map_or(0, |began| (now.get() - began).max(0).unsigned_abs() / 1000 * 1000)))}</p>
                </div>
            </Show>
            {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
            <Show when=has_course><Plot name="Tests so far" data/></Show>
            <div class="acts">
                <button class="btn" on:click=move |_| net.close()>"Close"</button>
                <button class="btn primary" disabled=move || is_running.get() || !is_linked() on:click=test>
                    {move || if is_running.get() { "Testing" } else if last().is_some() { "Test again" } else { "Start the test" }}
                </button>
            </div>
        </Show>
    }
}

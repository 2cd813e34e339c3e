//! Prompts at work and models in memory.

use crate::{
    dom,
    http::Problem,
    icons::Icon,
    live::live,
    parts::{For, Show, Skeleton},
    session::client,
    toast::toasts,
    view::{activity, format},
};
use kith_wire::system::LoadedModelStats;
use leptos::prelude::*;
use leptos_router::components::A;

/// The list.
#[component]
pub fn Now() -> impl IntoView {
    let live = live();
    let work = Memo::new(move |_| live.stats.with(|stats| stats.as_ref().and_then(|stats| activity::at_work(&stats.inference))));
    let recent = move || live.stats.with(|stats| stats.as_ref().map_or(0, |stats| stats.inference.requests_per_minute));
    let models = Memo::new(move |_| live.stats.with(|stats| stats.as_ref().map(|stats| stats.models_loaded.clone())));
    let names = move || models.get().unwrap_or_default().into_iter().map(|model| model.name).collect::<Vec<_>>();
    let at_rest = move || {
        let is_empty = models.with(|models| models.as_ref().is_some_and(Vec::is_empty)) && work.with(Option::is_none);
        is_empty.then(|| view! { <Resting/> })
    };
    view! {
        <Show when=move || models.with(Option::is_some) fallback=|| view! { <Skeleton rows=2/> }>
            <ul class="rows working">
                <Show when=move || work.with(Option::is_some)>
                    <li>
                        <span class="ic on">{Icon::Chat.view()}</span>
                        <div>
                            <b>{move || work.get()}</b>
                            <small class="num">{move || format!("{} in the last minute", format::count(recent()))}</small>
                        </div>
                    </li>
                </Show>
                <For each=names key=Clone::clone let:name>
                    <Model name models/>
                </For>
                {at_rest}
            </ul>
        </Show>
    }
}

/// Nothing is in memory, and nobody asks.
#[component]
fn Resting() -> impl IntoView {
    view! {
        <li>
            <span class="ic">{Icon::Cube.view()}</span>
            <div>
                <b>"At rest"</b>
                <small>"No model is in memory. The first prompt loads one."</small>
            </div>
            <A href="/app/chat" attr:class="btn small">"Open a chat"</A>
        </li>
    }
}

/// A model in memory.
#[component]
fn Model(name: String, models: Memo<Option<Vec<LoadedModelStats>>>) -> impl IntoView {
    let (client, live, toasts) = (client(), live(), toasts());
    let is_admin = client.is_admin();
    let busy = RwSignal::new(false);
    let this = {
        let name = name.clone();
        Memo::new(move |_| models.with(|models| models.as_ref()?.iter().find(|model| model.name == name).cloned()))
    };
    let told = move |tell: fn(&LoadedModelStats) -> String| move || this.with(|this| this.as_ref().map(tell));
    let is_answering = move || this.with(|this| this.as_ref().is_some_and(|this| this.active + this.waiting > 0));
    let leaves = move || {
        this.with(|this| {
            let this = this.as_ref()?;
            (this.active == 0).then(|| {
                let expires = this.expires_at.as_deref().map(js_sys::Date::parse).filter(|ms| ms.is_finite());
                activity::leaves(expires.map(|ms| ms as i64), dom::now_ms())
            })
        })
    };
    let unload = {
        let name = name.clone();
        move |_| {
            let (client, name) = (client.clone(), name.clone());
            busy.set(true);
            leptos::task::spawn_local(async move {
                let path = format!("/api/admin/models/{}/unload", js_sys::encode_uri_component(&name));
                match client.send("POST", &path, None::<&()>).await {
                    Ok(()) => toasts.say(format!("{name} left memory.")),
                    Err(Problem::Cancelled) => {}
                    Err(problem) => toasts.fail(problem),
                }
                live.read_models(&client);
                busy.try_set(false);
            });
        }
    };
    let word = move || if is_answering() { "Stop" } else { "Unload" };
    let label = {
        let name = name.clone();
        move || format!("{} {name}", word())
    };
    view! {
        <li>
            <span class="ic" class:on=is_answering>{Icon::Cube.view()}</span>
            <div><b>{name}</b><small class="num">{told(activity::holds)}</small></div>
            <span class="state num">
                <span class="dot" class:away=move || !is_answering()></span>
                <span>{told(activity::doing)}{move || leaves().map(|leaves| format!(", {leaves}"))}</span>
            </span>
            <span class="stat num">{told(|model| format::bytes(model.weights_bytes + model.cache_bytes))}</span>
            {is_admin.then(|| view! {
                <button class="btn small" aria-label=label title="Takes it out of memory; its files stay" disabled=move || busy.get() on:click=unload>
                    {word}
                </button>
            })}
        </li>
    }
}

//! Which model answers: those of the library, what they take, and whether they are in memory.

use crate::{
    dom,
    icons::Icon,
    live::live,
    parts::Show,
    session::client,
    talk::Talk,
    view::{format, models, words},
};
use kith_wire::{conversations::ConversationUpdate, providers::ProviderModels};
use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;

/// The picker.
#[component]
pub fn ModelPicker(talk: Signal<Talk>) -> impl IntoView {
    let live = live();
    let client = client();
    let is_admin = client.is_admin();
    let open = RwSignal::new(false);
    let cloud = RwSignal::new(Vec::<String>::new());
    let root = NodeRef::<html::Div>::new();
    let model = move || talk.get().model.get();
    let loaded = move |name: &str| live.running.with(|running| running.iter().any(|one| one.name == name));
    let choose = {
        let client = client.clone();
        move |name: String| {
            open.set(false);
            dom::keep("kith.model", &name);
            let talk = talk.get_untracked();
            talk.model.set(Some(name.clone()));
            talk.update(&client, ConversationUpdate { model: Some(Some(name)), ..ConversationUpdate::default() });
        }
    };
    // Models of providers are asked for once the list is opened: that may take a moment.
    Effect::new(move || {
        if open.get() {
            let client = client.clone();
            leptos::task::spawn_local(async move {
                if let Ok(models) = client.get::<ProviderModels>("/api/admin/provider-models").await {
                    cloud.try_set(models.models.into_iter().map(|model| model.id).collect());
                }
            });
        }
    });
    let elsewhere = window_event_listener(ev::pointerdown, move |event| {
        let inside = root.get_untracked().zip(event.target()).is_some_and(|(root, target)| root.contains(target.dyn_ref()));
        if !inside {
            open.set(false);
        }
    });
    on_cleanup(move || elsewhere.remove());
    let step = move |by: isize| {
        if let Some(root) = root.get_untracked() {
            dom::walk(&root, "[role=menuitemradio], .foot", by);
        }
    };
    // Opened by a key, it is walked from the model that is chosen.
    Effect::new(move || {
        if open.get() {
            request_animation_frame(move || {
                let chosen = root.get_untracked().and_then(|root| root.query_selector("[aria-checked=true]").ok().flatten());
                match chosen.and_then(|chosen| chosen.dyn_into::<web_sys::HtmlElement>().ok()) {
                    Some(chosen) => drop(chosen.focus()),
                    None => step(1),
                }
            });
        }
    });
    let close = move || {
        open.set(false);
        let button = root.get_untracked().and_then(|root| root.query_selector("button").ok().flatten());
        if let Some(button) = button.and_then(|button| button.dyn_into::<web_sys::HtmlElement>().ok()) {
            let _ = button.focus();
        }
    };
    let on_key = move |event: ev::KeyboardEvent| {
        match event.key().as_str() {
            "Escape" if open.get_untracked() => close(),
            "ArrowDown" if open.get_untracked() => step(1),
            "ArrowUp" if open.get_untracked() => step(-1),
            "Tab" => return open.set(false),
            _ => return,
        }
        event.prevent_default();
        event.stop_propagation();
    };
    let budget = move || live.stats.with(|stats| stats.as_ref().map(|stats| stats.hardware.memory.model_budget));
    let rows = {
        let choose = choose.clone();
        move || {
            let known = live.models.get().unwrap_or_default();
            known
                .into_iter()
                .map(|one| {
                    let (name, choose) = (one.name.clone(), choose.clone());
                    let fits = budget().is_none_or(|budget| one.size <= budget);
                    let away = words::provider(&one.name).filter(|_| models::is_remote(&one)).map(str::to_owned);
                    let is_away = away.is_some();
                    let detail = match away {
                        Some(provider) => format!("runs at {provider}"),
                        None => format!("{} · {}", models::kind(&one.details), format::bytes(one.size)),
                    };
                    let state = if loaded(&one.name) {
                        "in memory"
                    } else if fits {
                        ""
                    } else {
                        "too large"
                    };
                    let here = model().as_deref() == Some(one.name.as_str());
                    view! {
                        <button role="menuitemradio" aria-checked=here.to_string() on:click=move |_| choose(name.clone())>
                            {if is_away {
                                Icon::Cloud.view().into_any()
                            } else {
                                view! { <span class=if loaded(&one.name) { "dot" } else { "dot away" }></span> }.into_any()
                            }}
                            <span class="what"><b>{one.name.clone()}</b><small class="num">{detail}</small></span>
                            <small>{state}</small>
                        </button>
                    }
                })
                .collect_view()
        }
    };
    let away = move || {
        // Those that the library lists already stand above.
        let mut names = cloud.get();
        live.models.with(|known| names.retain(|name| !known.iter().flatten().any(|one| one.name == *name)));
        (!names.is_empty()).then(|| view! {
            <h3>"Elsewhere"</h3>
            {names.into_iter().map(|name| {
                let choose = choose.clone();
                let chosen = name.clone();
                view! {
                    <button role="menuitemradio" aria-checked=(model().as_deref() == Some(name.as_str())).to_string() on:click=move |_| choose(chosen.clone())>
                        {Icon::Cloud.view()}<span class="what"><b>{name.clone()}</b></span>
                    </button>
                }
            }).collect_view()}
        })
    };
    view! {
        <div class="menu picker" node_ref=root on:keydown=on_key>
            <button class="chip" aria-haspopup="menu" aria-expanded=move || open.get().to_string() on:click=move |_| open.update(|open| *open = !*open)>
                <span class=move || if model().is_some_and(|name| loaded(&name)) { "dot" } else { "dot away" }></span>
                <span class="name">{move || model().unwrap_or_else(|| "No model".to_owned())}</span>
                {Icon::ChevronsUpDown.view()}
            </button>
            <Show when=move || open.get()>
                <div class="pop up" role="menu" aria-label="Models">
                    {rows.clone()}
                    {away.clone()}
                    {is_admin.then(|| view! { <a role="menuitem" href="/app/models?tab=get" class="foot">{Icon::Download.view()}"Get another model"</a> })}
                </div>
            </Show>
        </div>
    }
}

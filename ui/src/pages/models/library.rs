//! The library: what lies on this machine, what of it is in memory, and what else there would be room for.

use super::{
    copy::CopyDialog,
    details::DetailsDialog,
    shelf::{Shelf, part, shelf},
};
use crate::{
    icons::Icon,
    live::live,
    parts::{Empty, For, Menu, MenuItem, Show, Skeleton},
    session::client,
    view::{
        fit::{Fit, needs, percent},
        format, models, words,
    },
};
use kith_wire::ollama::{ModelSummary, RunningModel};
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

/// From how many models on there is a field to search them.
const MANY: usize = 9;

/// The library.
#[component]
pub fn Library() -> impl IntoView {
    let (live, shelf) = (live(), shelf());
    let sought = RwSignal::new(String::new());
    let own = Memo::new(move |_| {
        live.models.with(|all| {
            let all = all.as_ref()?;
            Some(all.iter().filter(|model| !models::is_remote(model)).cloned().collect::<Vec<_>>())
        })
    });
    let shown = Memo::new(move |_| {
        let (words, leaving) = (sought.get().to_lowercase(), shelf.leaving.get());
        let mut all = own.get().unwrap_or_default();
        all.retain(|model| !leaving.contains(&model.name) && model.name.to_lowercase().contains(words.trim()));
        all
    });
    let remote = move || live.models.with(|all| all.iter().flatten().filter(|model| models::is_remote(model)).count());
    let (details, copied) = (RwSignal::new(None), RwSignal::new(None));
    let is_many = move || own.with(|own| own.as_ref().is_some_and(|own| own.len() >= MANY));
    view! {
        <Room/>
        <Show when=is_many>
            <div class="find seek">
                {Icon::Search.view()}
                <input type="search" aria-label="Search the library" placeholder="Search the library" prop:value=move || sought.get() on:input:target=move |event| sought.set(event.target().value())/>
            </div>
        </Show>
        {move || match own.with(|own| own.as_ref().map(Vec::is_empty)) {
            None => view! { <Skeleton/> }.into_any(),
            Some(true) => view! {
                <Empty icon=Icon::Cube title="No models yet" text="A model answers on this machine, and what you ask it stays here. A small one is there in a minute.">
                    <a class="btn primary" href="/app/models?tab=get">{Icon::Download.view()}"Get a model"</a>
                </Empty>
            }.into_any(),
            Some(false) => view! {
                <ul class="rows shelf">
                    <For each=move || shown.get() key=|model| (model.name.clone(), model.digest.clone(), model.modified_at.clone()) let:model>
                        <Row model details copied/>
                    </For>
                </ul>
                <Show when=move || shown.with(Vec::is_empty) && !sought.with(String::is_empty)>
                    <p class="none">"No model has this in its name."</p>
                </Show>
            }.into_any(),
        }}
        <Show when=move || { remote() > 0 }>
            <p class="note">{Icon::Cloud.view()}<span>{move || words::plural(remote() as u64, "model of a provider can", "models of providers can")}" be chosen in a chat. They run elsewhere: "<a href="/app/models?tab=providers">"Providers"</a></span></p>
        </Show>
        <DetailsDialog name=details/>
        <CopyDialog source=copied/>
    }
}

/// How much memory and disk models take.
#[component]
fn Room() -> impl IntoView {
    let live = live();
    let memory = move || live.stats.with(|stats| stats.as_ref().map(|stats| stats.hardware.memory.clone()));
    let disk = move || {
        live.stats.with(|stats| {
            stats.as_ref().map(|stats| (stats.models_bytes, stats.hardware.disk.as_ref().map(|disk| disk.available)))
        })
    };
    view! {
        <dl class="room num">
            <div>
                <dt>"Memory for models"</dt>
                <dd>
                    {move || memory().map(|memory| view! {
                        <span><b>{format::memory(memory.models)}</b>{format!(" of {} in use", format::memory(memory.model_budget))}</span>
                        <meter min="0" max="100" value=percent(memory.models, memory.model_budget).to_string() aria-label="Memory for models in use"></meter>
                    })}
                </dd>
            </div>
            <div>
                <dt>"Disk"</dt>
                <dd>{move || disk().map(|(used, free)| view! {
                    <span><b>{format::bytes(used)}</b>{free.map_or_else(|| " of models".to_owned(), |free| format!(" of models, {} free", format::bytes(free)))}</span>
                })}</dd>
            </div>
        </dl>
    }
}

/// How a model is, in a word: the dot's class and the text.
fn state(shelf: Shelf, model: &ModelSummary, running: Option<&RunningModel>) -> (&'static str, String) {
    if let Some(doing) = shelf.busy.with(|busy| busy.get(&model.name).copied()) {
        return ("dot ember", words::sentence(doing).trim_end_matches('.').to_owned());
    }
    if let Some(running) = running {
        let held = format!("In memory, {}", format::memory(running.size));
        let gpu = if running.size_vram > 0 { format!(", {} on GPU", format::memory(running.size_vram)) } else { String::new() };
        let until = Shelf::leaves_in(&running.expires_at)
            .map_or_else(|| ", kept".to_owned(), |left| format!(", {} left", format::duration_ms(left)));
        return ("dot", format!("{held}{gpu}{until}"));
    }
    match shelf.fit(model.size) {
        Fit::Never => ("dot bad", format!("Needs about {}", format::memory(needs(model.size)))),
        Fit::Later => ("dot away", "Fits once another leaves".to_owned()),
        Fit::Now => ("dot away", "Fits".to_owned()),
        Fit::Unknown => ("dot away", "On disk".to_owned()),
    }
}

#[component]
fn Row(model: ModelSummary, details: RwSignal<Option<String>>, copied: RwSignal<Option<String>>) -> impl IntoView {
    let (live, shelf) = (live(), shelf());
    let navigate = StoredValue::new(use_navigate());
    let name = StoredValue::new(model.name.clone());
    let running = {
        let name = model.name.clone();
        Memo::new(move |_| live.running.with(|all| all.iter().find(|one| one.name == name).cloned()))
    };
    let is_admin = client().is_admin();
    let is_running = move || running.with(Option::is_some);
    let is_default = move || name.with_value(|name| shelf.default.with(|default| default.as_ref() == Some(name)));
    let (title, place) = models::split(&model.name);
    let (title, place) = (title.to_owned(), place.map(str::to_owned));
    let kind = models::kind(&model.details);
    let below = move || {
        let facts = name.with_value(|name| shelf.facts.with(|all| all.get(name).cloned())).unwrap_or_default();
        let context = facts.context.map(|context| format!("{} tokens", format::count(context)));
        let all =
            place.clone().into_iter().chain([kind.clone()]).chain(context).chain(facts.abilities.into_iter().map(str::to_owned));
        all.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
    };
    let size = format::bytes(model.size);
    let chat = format!("/chat?model={}", part(&model.name));
    let path = StoredValue::new(chat.clone());
    let model = StoredValue::new(model);
    let state = move || model.with_value(|model| running.with(|running| state(shelf, model, running.as_ref())));
    let get = move || name.get_value();
    view! {
        <li>
            <span class="ic">{Icon::Cube.view()}</span>
            <div>
                <button class="title" title=get() on:click=move |_| details.set(Some(get()))>{title.clone()}</button>
                <Show when=is_default><span class="tag">"default"</span></Show>
                <small>{below}</small>
            </div>
            <span class="state num"><span class=move || state().0></span>{move || state().1}</span>
            <span class="stat num">{size}</span>
            <a class="sq" href=format!("/app{chat}") aria-label=format!("Chat with {title}") title="Chat">{Icon::Chat.view()}</a>
            <Menu label=format!("What to do with {title}")>
                <MenuItem icon=Icon::Chat name="Chat" act=move |()| navigate.with_value(|go| path.with_value(|path| go(path, Default::default())))/>
                {move || if is_running() {
                    is_admin.then(|| view! { <MenuItem icon=Icon::Stop name="Unload" act=move |()| shelf.unload(get())/> }).into_any()
                } else {
                    view! { <MenuItem icon=Icon::Up name="Load" act=move |()| shelf.load(get(), false)/> }.into_any()
                }}
                <MenuItem icon=Icon::Pin name="Keep in memory" act=move |()| shelf.load(get(), true)/>
                {is_admin.then(|| view! { <MenuItem icon=Icon::Check name="Make default" act=move |()| shelf.make_default(get())/> })}
                <MenuItem icon=Icon::Eye name="Details" act=move |()| details.set(Some(get()))/>
                {is_admin.then(|| view! {
                    <MenuItem icon=Icon::Copy name="Copy as…" act=move |()| copied.set(Some(get()))/>
                    <MenuItem icon=Icon::Trash name="Remove" danger=true act=move |()| shelf.remove(get())/>
                })}
            </Menu>
        </li>
    }
}

//! All that a model's file and its maker say of it.

use super::shelf::{part, shelf};
use crate::{
    dialog::Dialog,
    http::Problem,
    icons::Icon,
    live::live,
    parts::{Code, CopyButton, Failed, Skeleton},
    session::client,
    view::{fit::needs, format, models},
};
use kith_wire::ollama::{ModelSummary, ShowRequest, ShowResponse};
use leptos::prelude::*;

/// The details of a model. Open while one is named.
#[component]
pub fn DetailsDialog(name: RwSignal<Option<String>>) -> impl IntoView {
    let open = RwSignal::new(false);
    let shown = RwSignal::new(None::<Result<ShowResponse, Problem>>);
    let client = StoredValue::new(client());
    let read = move || {
        let Some(model) = name.get_untracked() else { return };
        let client = client.get_value();
        shown.set(None);
        leptos::task::spawn_local(async move {
            let asked = ShowRequest { model: Some(model), ..ShowRequest::default() };
            shown.try_set(Some(client.post("/api/show", &asked).await));
        });
    };
    Effect::new(move || {
        if name.with(Option::is_some) {
            read();
            open.set(true);
        }
    });
    Effect::new(move || {
        // Set only where it changes something: what is set tells those who set this.
        if !open.get() && name.with_untracked(Option::is_some) {
            name.set(None);
        }
    });
    view! {
        <Dialog open wide=true title=Signal::derive(move || name.get().unwrap_or_default())>
            {move || match shown.get() {
                None => view! { <Skeleton rows=5/> }.into_any(),
                Some(Err(problem)) => view! { <Failed problem retry=move |()| read()/> }.into_any(),
                Some(Ok(shown)) => view! { <Shown name=name.get_untracked().unwrap_or_default() shown/> }.into_any(),
            }}
        </Dialog>
    }
}

/// A line of the list at the top; nothing for nothing.
fn fact(name: &'static str, value: Option<String>) -> Option<impl IntoView> {
    let value = value.filter(|value| !value.is_empty())?;
    Some(view! { <div><dt>{name}</dt><dd>{value}</dd></div> })
}

/// A text that unfolds.
fn text(name: &'static str, language: &'static str, text: String) -> Option<impl IntoView> {
    (!text.trim().is_empty()).then(|| {
        view! {
            <details class="fold"><summary>{Icon::ChevronRight.view()}{name}</summary><Code language code=text/></details>
        }
    })
}

#[component]
fn Shown(name: String, shown: ShowResponse) -> impl IntoView {
    let (live, shelf) = (live(), shelf());
    let summary: Option<ModelSummary> =
        live.models.with_untracked(|all| all.iter().flatten().find(|model| model.name == name).cloned());
    let running = live.running.with_untracked(|all| all.iter().find(|model| model.name == name).cloned());
    let size = summary.as_ref().map(|summary| summary.size);
    let memory = match (&running, size) {
        (Some(running), _) => {
            Some(format!("{} now, context {}", format::memory(running.size), format::count(running.context_length.into())))
        }
        (None, Some(size)) => Some(format!("about {} when loaded", format::memory(needs(size)))),
        (None, None) => None,
    };
    let number = |key: &str| shown.model_info.get(key).and_then(serde_json::Value::as_u64);
    let architecture = shown.details.family.clone();
    let digest = summary.map(|summary| summary.digest).filter(|digest| !digest.is_empty());
    let licence = shown.license.clone();
    let is_short = licence.lines().count() == 1 && licence.chars().count() < 60;
    let abilities = models::abilities(&shown.capabilities);
    let metadata: Vec<_> = shown
        .model_info
        .iter()
        .filter(|(key, _)| *key != "tokenizer.chat_template")
        .map(|(key, value)| (key.clone(), models::value(value)))
        .collect();
    let changed = js_sys::Date::parse(&shown.modified_at) as i64;
    let chat = format!("/app/chat?model={}", part(&name));
    let is_default = shelf.default.with_untracked(|default| default.as_ref() == Some(&name));
    view! {
        <dl class="about num">
            {fact("Kind", Some(models::kind(&shown.details)))}
            {fact("Parameters", number("general.parameter_count").map(format::count))}
            {fact("Layers", number(&format!("{architecture}.block_count")).map(format::count))}
            {fact("Context", models::context(&shown.model_info).map(|context| format!("{} tokens", format::count(context))))}
            {fact("On disk", size.map(format::bytes))}
            {fact("In memory", memory)}
            {fact("Can", (!abilities.is_empty()).then(|| abilities.join(", ")))}
            {fact("Licence", is_short.then(|| licence.clone()))}
            {fact("Format", Some(shown.details.format.clone()))}
            {fact("Made from", Some(shown.details.parent_model.clone()))}
            {fact("Changed", Some(format::date(changed, crate::dom::utc_offset_minutes())))}
            {fact("Role", is_default.then(|| "answers where no model is named".to_owned()))}
        </dl>
        {digest.map(|digest| view! {
            <div class="digest"><span>"SHA-256"</span><code>{digest.clone()}</code><CopyButton text=Signal::stored(digest)/></div>
        })}
        <div class="folds">
            {text("System text", "text", shown.system)}
            {text("Parameters", "text", shown.parameters)}
            {text("Chat template", "jinja", shown.template)}
            {text("Licence", "text", if is_short { String::new() } else { licence })}
            {text("Modelfile", "text", shown.modelfile)}
            <details class="fold">
                <summary>{Icon::ChevronRight.view()}"What the file says"<span class="n num">{metadata.len()}</span></summary>
                <div class="says" tabindex="0" role="region" aria-label="What the file says">
                    <table><tbody>
                        {metadata.into_iter().map(|(key, value)| {
                            let class = value.is_none().then_some("none");
                            let value = value.unwrap_or_else(|| "a long list".to_owned());
                            view! { <tr><th scope="row">{key}</th><td class=class>{value}</td></tr> }
                        }).collect_view()}
                    </tbody></table>
                </div>
            </details>
        </div>
        <div class="acts"><a class="btn primary" href=chat>{Icon::Chat.view()}"Chat"</a></div>
    }
}

//! The node's configuration: each setting as a row with the control it needs, saved as soon as it is changed.

use super::{
    read::Read,
    row::{Choice, Entry, Group, Row, Saver, Words},
};
use crate::{
    http::Problem,
    icons::Icon,
    live::live,
    parts::Switch,
    session::client,
    view::settings::{
        self, Note, Part,
        known::{self, Kind, Known},
    },
};
use kith_wire::system::{ConfigApplied, ConfigView, SettingView};
use leptos::prelude::*;
use serde_json::Value;

/// The configuration, shared by the pages of settings.
#[derive(Clone, Copy)]
pub struct Config(pub Read<ConfigView>);

/// The configuration of this page.
pub fn config() -> Config {
    expect_context::<Config>()
}

/// Every group of a part's settings.
#[component]
pub fn Groups(part: Part) -> impl IntoView {
    if !client().is_admin() {
        return ().into_any();
    }
    let config = config();
    let shown = config.0.view(4, move || {
        known::groups(part)
            .into_iter()
            .map(|(name, all)| view! { <Group name>{all.into_iter().map(|known| view! { <ConfigRow known/> }).collect_view()}</Group> })
            .collect_view()
    });
    shown.into_any()
}

/// One setting. Nothing where the node does not have it.
#[component]
pub fn ConfigRow(known: &'static Known) -> impl IntoView {
    let read = config().0;
    let setting = Memo::new(move |_| read.with(|view| view.settings.iter().find(|one| one.key == known.key).cloned()).flatten());
    let has = Memo::new(move |_| setting.with(Option::is_some));
    move || has.get().then(|| view! { <Known known setting/> })
}

/// What is said of a setting that was not just changed.
fn standing(
    known: &'static Known,
    setting: Memo<Option<SettingView>>,
    read: Read<ConfigView>,
    note: RwSignal<Note>,
    reset: Callback<()>,
) -> AnyView {
    let Some(now) = setting.get() else { return ().into_any() };
    if let Some(text) = settings::locked(&now) {
        return view! { <p class="said">{Icon::Lock.view()}{text}</p> }.into_any();
    }
    let waits = read.with(|view| view.restart_required.iter().any(|key| key == known.key)).unwrap_or(false);
    let is_told = note.with(|note| matches!(note, Note::Done(_)));
    let waiting = (waits && !is_told)
        .then(|| view! { <p class="said wait"><span class="dot ember"></span>"Takes effect after a restart."</p> });
    let own = (now.origin == "file").then(|| {
        view! {
            <p class="said">
                {(!is_told && !waits).then_some("Changed. ")}
                <button type="button" class="link" aria-label=format!("Reset {} to its default", known.name) on:click=move |_| reset.run(())>
                    "Reset to default"
                </button>
            </p>
        }
    });
    view! { {waiting}{own} }.into_any()
}

#[component]
fn Known(known: &'static Known, setting: Memo<Option<SettingView>>) -> impl IntoView {
    let read = config().0;
    let client = StoredValue::new(client());
    let saver = Saver::new(known.name);
    let note = saver.note;
    let id = format!("set-{}", known.key.replace('.', "-"));
    let value = Memo::new(move |_| setting.with(|now| now.as_ref().map(|now| now.value.clone())).unwrap_or(Value::Null));
    let text = Signal::derive(move || settings::shown(known.kind, &value.get()));
    let locked = Signal::derive(move || setting.with(|now| now.as_ref().is_some_and(|now| settings::locked(now).is_some())));
    let put = Callback::new(move |value: Value| {
        let client = client.get_value();
        let changes = settings::change(known.key, value);
        saver.save(
            async move { client.call::<ConfigApplied>("PUT", "/api/admin/config", &changes).await },
            move |applied| {
                read.update(|view| view.restart_required.clone_from(&applied.restart_required));
                read.again();
                settings::effect(known.key, &applied)
            },
            move |problem| match problem {
                Problem::Refused { message, .. } => settings::at_field(known.key, message),
                problem => problem.to_string(),
            },
        );
    });
    let type_in = Callback::new(move |text: String| match settings::typed(known.kind, &text) {
        Ok(value) => put.run(value),
        Err(why) => note.set(Note::Bad(why)),
    });
    let foot = ViewFn::from(move || standing(known, setting, read, note, Callback::new(move |()| put.run(Value::Null))));
    let field = {
        let id = id.clone();
        match known.kind {
            Kind::Switch => {
                let on = Signal::derive(move || value.get().as_bool().unwrap_or(false));
                view! { <Switch id on label=known.name disabled=locked set=move |on: bool| put.run(Value::Bool(on))/> }.into_any()
            }
            Kind::Number { unit, .. } => {
                view! { <Entry id value=text commit=type_in note unit short=true disabled=locked/> }.into_any()
            }
            Kind::Memory => view! { <Entry id value=text commit=type_in note unit="GB" short=true disabled=locked/> }.into_any(),
            Kind::Word(offered) => {
                let offered: Vec<(String, String)> =
                    offered.iter().map(|(word, name)| ((*word).into(), (*name).into())).collect();
                view! { <Choice id value=text offered=Signal::stored(offered) commit=type_in disabled=locked/> }.into_any()
            }
            Kind::Time(offered) => {
                let all = Signal::derive(move || settings::times(offered, &value.get()));
                view! { <Choice id value=text offered=all commit=type_in disabled=locked/> }.into_any()
            }
            Kind::Model => {
                let models = live().models;
                let all = Signal::derive(move || models.with(|models| settings::drafts(models.as_deref(), &text.get())));
                view! { <Choice id value=text offered=all commit=type_in disabled=locked/> }.into_any()
            }
            Kind::Text { hint } => view! { <Entry id value=text commit=type_in note hint disabled=locked/> }.into_any(),
            Kind::Words { hint } => {
                let words = Signal::derive(move || settings::list(&value.get()));
                let commit = move |words: Vec<String>| put.run(settings::from_list(&words));
                view! { <Words id value=words commit hint disabled=locked/> }.into_any()
            }
            Kind::Secret => view! { <Secret id name=known.name value put note locked/> }.into_any(),
            Kind::Outside => {
                let state = move || if value.get().is_null() { "Not set" } else { "Set" };
                view! { <output class="fact" id=id>{state}</output> }.into_any()
            }
        }
    };
    // A token that is not set names the variable that would set it.
    let help = Signal::derive(move || match (known.kind, setting.get().and_then(|now| now.variable)) {
        (Kind::Outside, Some(variable)) if value.get().is_null() => format!("{} It comes from {variable}.", known.help),
        _ => known.help.to_owned(),
    });
    let wide = matches!(known.kind, Kind::Words { .. });
    view! { <Row id name=known.name help note foot wide>{field}</Row> }
}

/// A secret: set or not, replaced or removed, never shown.
#[component]
fn Secret(
    id: String,
    name: &'static str,
    value: Memo<Value>,
    put: Callback<Value>,
    note: RwSignal<Note>,
    locked: Signal<bool>,
) -> impl IntoView {
    let editing = RwSignal::new(false);
    let is_set = Memo::new(move |_| !value.get().is_null());
    let commit = Callback::new(move |text: String| {
        if !text.trim().is_empty() {
            put.run(Value::String(text.trim().to_owned()));
        }
        editing.set(false);
    });
    move || {
        let id = id.clone();
        if is_set.get() && !editing.get() {
            view! {
                <span class="entry">
                    <output class="fact" id=id>{Icon::Lock.view()}"Set"</output>
                    <button class="btn small" type="button" disabled=move || locked.get() aria-label=format!("Replace {name}")
                        on:click=move |_| editing.set(true)>"Replace"</button>
                    <button class="btn small" type="button" disabled=move || locked.get() aria-label=format!("Remove {name}")
                        on:click=move |_| put.run(Value::Null)>"Remove"</button>
                </span>
            }
            .into_any()
        } else {
            view! { <Entry id value=Signal::stored(String::new()) commit note hint="Not set" secret=true disabled=locked/> }
                .into_any()
        }
    }
}

//! A row of settings: a name, a line of help, a control, and what the last change did. Fields that save when they are left.

use crate::{
    http::Problem,
    icons::Icon,
    toast::{Toasts, toasts},
    view::settings::Note,
};
use leptos::{ev, prelude::*};
use std::future::Future;

/// The row. The control carries `id`, so that the name labels it.
#[component]
pub fn Row(
    #[prop(into)] id: String,
    #[prop(into)] name: String,
    #[prop(into)] help: Signal<String>,
    #[prop(into)] note: Signal<Note>,
    /// Said where nothing else is: what decides the value.
    #[prop(optional)]
    foot: Option<ViewFn>,
    /// Set where the control needs the row's width.
    #[prop(optional)]
    wide: bool,
    children: Children,
) -> impl IntoView {
    let said = move || match note.get() {
        Note::None => foot.as_ref().map(|foot| foot.run()).into_any(),
        Note::Saving => view! { <p class="said">"Saving"</p> }.into_any(),
        Note::Done(text) => {
            view! { <p class="said good">{Icon::Check.view()}{text}</p>{foot.as_ref().map(|foot| foot.run())} }.into_any()
        }
        Note::Bad(text) => view! { <p class="said bad">{Icon::Alert.view()}{text}</p> }.into_any(),
    };
    view! {
        <li class:wide=wide>
            <div class="what">
                <label for=id.clone()>{name}</label>
                <small id=format!("{id}-help")>{move || help.get()}</small>
            </div>
            <div class="how">{children()}</div>
            <div class="saids" role="status">{said}</div>
        </li>
    }
}

/// Rows under a heading.
#[component]
pub fn Group(#[prop(into)] name: String, children: Children) -> impl IntoView {
    view! {
        <section class="group">
            <h2>{name}</h2>
            <ul class="sets">{children()}</ul>
        </section>
    }
}

/// Changes something and tells how it went at the row; where the row is gone by then, at the window's edge.
#[derive(Clone, Copy)]
pub struct Saver {
    name: &'static str,
    /// What is said at the row.
    pub note: RwSignal<Note>,
    toasts: Toasts,
}

impl Saver {
    /// For the row of this name. Called where the row is made.
    pub fn new(name: &'static str) -> Self {
        Self { name, note: RwSignal::new(Note::None), toasts: toasts() }
    }

    /// Does it. `done` tells what it did, `bad` why it did not.
    pub fn save<T: 'static>(
        self,
        change: impl Future<Output = Result<T, Problem>> + 'static,
        done: impl FnOnce(T) -> String + 'static,
        bad: impl FnOnce(&Problem) -> String + 'static,
    ) {
        self.note.set(Note::Saving);
        leptos::task::spawn_local(async move {
            match change.await {
                Ok(answer) => {
                    let text = done(answer);
                    self.note.try_set(Note::Done(text));
                }
                Err(problem) => {
                    let text = bad(&problem);
                    if self.note.try_set(Note::Bad(text.clone())).is_some() {
                        self.toasts.fail(format!("{} was not changed. {text}", self.name));
                    }
                }
            }
        });
    }
}

/// A field that is saved when it is left or Enter is struck; Escape takes back what was typed.
#[component]
pub fn Entry(
    #[prop(into)] id: String,
    /// What is in force.
    #[prop(into)]
    value: Signal<String>,
    #[prop(into)] commit: Callback<String>,
    #[prop(into)] note: Signal<Note>,
    #[prop(optional)] hint: &'static str,
    /// Stands behind the field.
    #[prop(optional)]
    unit: &'static str,
    /// Set for numbers.
    #[prop(optional)]
    short: bool,
    /// Set for what must not be read over a shoulder.
    #[prop(optional)]
    secret: bool,
    #[prop(into, optional)] disabled: Signal<bool>,
) -> impl IntoView {
    let draft = RwSignal::new(String::new());
    Effect::new(move || draft.set(value.get()));
    let bad = move || matches!(note.get(), Note::Bad(_));
    let kind = if secret { "password" } else { "text" };
    let on_key = move |event: ev::KeyboardEvent| {
        if event.key() == "Escape" && draft.get_untracked() != value.get_untracked() {
            event.prevent_default();
            event.stop_propagation();
            draft.set(value.get_untracked());
        }
    };
    let on_change = move |_| {
        let text = draft.get_untracked();
        if text.trim() != value.get_untracked() || bad() {
            commit.run(text);
        }
    };
    view! {
        <span class="entry" class:short=short>
            <input id=id.clone() type=kind placeholder=hint autocomplete=if secret { "new-password" } else { "off" } spellcheck="false"
                inputmode=if short { "decimal" } else { "text" } enterkeyhint="done"
                aria-describedby=format!("{id}-help") aria-invalid=move || bad().then_some("true")
                disabled=move || disabled.get() prop:value=draft
                on:input=move |event| draft.set(event_target_value(&event)) on:keydown=on_key on:change=on_change/>
            {(!unit.is_empty()).then(|| view! { <span class="unit">{unit}</span> })}
        </span>
    }
}

/// One of some.
#[component]
pub fn Choice(
    #[prop(into)] id: String,
    #[prop(into)] value: Signal<String>,
    /// Values with their names.
    #[prop(into)]
    offered: Signal<Vec<(String, String)>>,
    #[prop(into)] commit: Callback<String>,
    #[prop(into, optional)] disabled: Signal<bool>,
) -> impl IntoView {
    view! {
        <select id=id.clone() aria-describedby=format!("{id}-help") disabled=move || disabled.get()
            on:change=move |event| commit.run(event_target_value(&event))>
            {move || offered.get().into_iter().map(|(word, name)| {
                let chosen = word.clone();
                view! { <option value=word selected=move || value.get() == chosen>{name}</option> }
            }).collect_view()}
        </select>
    }
}

/// Any number of words, each taken off by its button.
#[component]
pub fn Words(
    #[prop(into)] id: String,
    #[prop(into)] value: Signal<Vec<String>>,
    #[prop(into)] commit: Callback<Vec<String>>,
    hint: &'static str,
    #[prop(into, optional)] disabled: Signal<bool>,
) -> impl IntoView {
    let draft = RwSignal::new(String::new());
    let add = move || {
        let word = draft.get_untracked().trim().to_owned();
        let mut words = value.get_untracked();
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
            commit.run(words);
        }
        draft.set(String::new());
    };
    let take_off = move |word: &str| {
        let words = value.get_untracked().into_iter().filter(|one| one != word).collect();
        commit.run(words);
    };
    let chips = move || {
        let words = value.get();
        (!words.is_empty()).then(|| {
            let chips = words.into_iter().map(|word| {
                let label = format!("Remove {word}");
                let gone = word.clone();
                view! {
                    <li>
                        <bdi>{word}</bdi>
                        <button type="button" aria-label=label disabled=move || disabled.get() on:click=move |_| take_off(&gone)>
                            {Icon::Close.view()}
                        </button>
                    </li>
                }
            });
            view! { <ul class="words">{chips.collect_view()}</ul> }
        })
    };
    let form = move |event: ev::SubmitEvent| {
        event.prevent_default();
        add();
    };
    view! {
        {chips}
        <form class="add" on:submit=form>
            <input id=id.clone() type="text" placeholder=hint aria-describedby=format!("{id}-help") autocomplete="off" spellcheck="false"
                disabled=move || disabled.get() prop:value=draft on:input=move |event| draft.set(event_target_value(&event))/>
            <button class="btn" type="submit" disabled=move || disabled.get() || draft.with(|draft| draft.trim().is_empty())>"Add"</button>
        </form>
    }
}

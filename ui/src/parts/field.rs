//! Labels with what is set under them.

use leptos::prelude::*;

/// A label, what it labels, and a word of help below.
#[component]
pub fn Field(#[prop(into)] label: String, #[prop(into, optional)] help: Option<String>, children: Children) -> impl IntoView {
    view! {
        <label class="field">
            <span class="label">{label}</span>
            {children()}
            {help.map(|help| view! { <small>{help}</small> })}
        </label>
    }
}

/// On or off.
#[component]
pub fn Switch(
    #[prop(into)] on: Signal<bool>,
    #[prop(into)] label: String,
    #[prop(into)] set: Callback<bool>,
    #[prop(into, optional)] disabled: Signal<bool>,
    /// For a label elsewhere.
    #[prop(into, optional)]
    id: Option<String>,
) -> impl IntoView {
    view! {
        <button
            id=id
            type="button"
            class="switch"
            role="switch"
            aria-checked=move || on.get().to_string()
            aria-label=label
            disabled=move || disabled.get()
            on:click=move |_| set.run(!on.get_untracked())
        >
            <i></i>
        </button>
    }
}

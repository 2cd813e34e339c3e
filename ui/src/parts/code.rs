//! Code with its colours, and the button that copies.

use crate::{
    dom,
    icons::Icon,
    toast::toasts,
    view::highlight::{Ink, highlight},
};
use leptos::prelude::*;
use std::time::Duration;

/// How long the button says that it copied.
const SAID: Duration = Duration::from_millis(1500);

/// A button that puts a text on the clipboard.
#[component]
pub fn CopyButton(
    #[prop(into)] text: Signal<String>,
    /// What it says; only an icon without.
    #[prop(into, optional)]
    name: Option<String>,
) -> impl IntoView {
    let done = RwSignal::new(false);
    let toasts = toasts();
    let copy = move |_| {
        leptos::task::spawn_local(async move {
            if dom::copy(&text.get_untracked()).await {
                done.set(true);
                set_timeout(
                    move || {
                        done.try_set(false);
                    },
                    SAID,
                );
            } else {
                toasts.fail("The browser does not let this page use the clipboard.");
            }
        });
    };
    let icon = move || if done.get() { Icon::Check.view() } else { Icon::Copy.view() };
    match name {
        Some(name) => view! {
            <button class="chip" on:click=copy>{icon}{move || if done.get() { "Copied".to_owned() } else { name.clone() }}</button>
        }
        .into_any(),
        None => view! {
            <button class="sq" aria-label=move || if done.get() { "Copied" } else { "Copy" } title="Copy" on:click=copy>{icon}</button>
        }
        .into_any(),
    }
}

/// A block of code.
#[component]
pub fn Code(#[prop(into)] language: String, #[prop(into)] code: String) -> impl IntoView {
    let inked = highlight(&language, &code)
        .into_iter()
        .map(|(ink, text)| match ink {
            Ink::Plain => text.to_owned().into_any(),
            ink => view! { <span class=ink.class()>{text.to_owned()}</span> }.into_any(),
        })
        .collect_view();
    let shown = if language.is_empty() { "text".to_owned() } else { language };
    let copied = code.trim_end_matches('\n').to_owned();
    view! {
        <figure class="code">
            <figcaption><span>{shown}</span><CopyButton text=Signal::stored(copied) name="Copy"/></figcaption>
            <pre tabindex="0"><code>{inked}</code></pre>
        </figure>
    }
}

//! Short notices at the window's edge: what was done, and how to undo it. They go by themselves.

use crate::{icons::Icon, parts::For};
use leptos::prelude::*;
use std::{sync::Arc, time::Duration};

/// How long one stays.
const STAYS: Duration = Duration::from_secs(6);
/// How many are shown; an older one leaves for a new one.
const MOST: usize = 3;

type Action = Arc<dyn Fn() + Send + Sync>;

#[derive(Clone)]
struct Toast {
    number: u64,
    text: String,
    bad: bool,
    action: Option<(&'static str, Action)>,
}

/// The notices, shared by everything on the page.
#[derive(Clone, Copy)]
pub struct Toasts {
    shown: RwSignal<Vec<Toast>>,
    next: RwSignal<u64>,
}

/// The notices of this page.
pub fn toasts() -> Toasts {
    expect_context::<Toasts>()
}

impl Toasts {
    /// None yet.
    pub fn new() -> Self {
        Self { shown: RwSignal::new(Vec::new()), next: RwSignal::new(0) }
    }

    /// Says what was done.
    pub fn say(self, text: impl Into<String>) {
        self.show(text.into(), false, None);
    }

    /// Says what went wrong.
    pub fn fail(self, text: impl ToString) {
        self.show(text.to_string(), true, None);
    }

    /// Says what was done, with a way back.
    pub fn undoable(self, text: impl Into<String>, undo: impl Fn() + Send + Sync + 'static) {
        self.show(text.into(), false, Some(("Undo", Arc::new(undo))));
    }

    fn show(self, text: String, bad: bool, action: Option<(&'static str, Action)>) {
        let number = self.next.get_untracked();
        self.next.set(number + 1);
        self.shown.update(|shown| {
            shown.push(Toast { number, text, bad, action });
            let surplus = shown.len().saturating_sub(MOST);
            shown.drain(..surplus);
        });
        set_timeout(move || self.close(number), STAYS);
    }

    fn close(self, number: u64) {
        self.shown.update(|shown| shown.retain(|toast| toast.number != number));
    }
}

/// Where the notices appear.
#[component]
pub fn ToastList() -> impl IntoView {
    let toasts = toasts();
    view! {
        <div class="toasts" role="status" aria-live="polite">
            <For each=move || toasts.shown.get() key=|toast| toast.number let:toast>
                <div class="toast" class:bad=toast.bad>
                    <span>{toast.text.clone()}</span>
                    {toast.action.clone().map(|(name, act)| {
                        let number = toast.number;
                        view! {
                            <button class="link" on:click=move |_| { act(); toasts.close(number); }>{name}</button>
                        }
                    })}
                    <button class="sq" aria-label="Dismiss" on:click=move |_| toasts.close(toast.number)>{Icon::Close.view()}</button>
                </div>
            </For>
        </div>
    }
}

//! What a page shows while it has nothing to show.

use super::Show;
use crate::{http::Problem, icons::Icon};
use leptos::prelude::*;
use std::time::Duration;

/// How long a page may be empty before it says that it is loading.
const PATIENCE: Duration = Duration::from_millis(300);

/// Nothing is there yet: what this is for, and the one thing to do.
#[component]
pub fn Empty(
    icon: Icon,
    #[prop(into)] title: String,
    #[prop(into)] text: String,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="empty">
            <span class="ic">{icon.view()}</span>
            <h2>{title}</h2>
            <p>{text}</p>
            {children.map(|children| view! { <div class="acts">{children()}</div> })}
        </div>
    }
}

/// It could not be had: what happened, and another try.
#[component]
pub fn Failed(problem: Problem, #[prop(into)] retry: Callback<()>) -> impl IntoView {
    view! {
        <div class="empty failed" role="alert">
            <span class="ic">{Icon::Alert.view()}</span>
            <p>{problem.to_string()}</p>
            <div class="acts"><button class="btn" on:click=move |_| retry.run(())>{Icon::Retry.view()}"Try again"</button></div>
        </div>
    }
}

/// Grey rows in the place of those to come, after a moment.
#[component]
pub fn Skeleton(#[prop(default = 3)] rows: usize) -> impl IntoView {
    let shown = RwSignal::new(false);
    set_timeout(
        move || {
            shown.try_set(true);
        },
        PATIENCE,
    );
    view! {
        <Show when=move || shown.get()>
            <div class="skeleton" role="status" aria-label="Loading">
                {(0..rows).map(|_| view! { <i></i> }).collect_view()}
            </div>
        </Show>
    }
}

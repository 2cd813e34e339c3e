//! placeholder

use leptos::prelude::*;

/// The page.
#[component]
pub fn Chat() -> impl IntoView {
    view! { <div class="page"><header><div><h1>"Chat"</h1></div></header></div> }
}

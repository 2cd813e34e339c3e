//! placeholder

use leptos::prelude::*;

/// The page.
#[component]
pub fn Activity() -> impl IntoView {
    view! { <div class="page"><header><div><h1>"Activity"</h1></div></header></div> }
}

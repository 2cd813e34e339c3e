//! placeholder

use leptos::prelude::*;

/// The page.
#[component]
pub fn Settings() -> impl IntoView {
    view! { <div class="page"><header><div><h1>"Settings"</h1></div></header></div> }
}

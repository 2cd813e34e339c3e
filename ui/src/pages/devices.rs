//! placeholder

use leptos::prelude::*;

/// The page.
#[component]
pub fn Devices() -> impl IntoView {
    view! { <div class="page"><header><div><h1>"Devices"</h1></div></header></div> }
}

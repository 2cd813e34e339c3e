//! placeholder

use leptos::prelude::*;

/// The page.
#[component]
pub fn Models() -> impl IntoView {
    view! { <div class="page"><header><div><h1>"Models"</h1></div></header></div> }
}

//! What the node does now, what it did, and what happened on it.

mod events;
mod graphs;
mod load;
mod now;

use crate::live::{Link, live};
use leptos::prelude::*;

/// The page.
#[component]
pub fn Activity() -> impl IntoView {
    let live = live();
    let is_old = move || matches!(live.link.get(), Link::Offline(_));
    view! {
        <div class="page activity" class:old=is_old>
            <header>
                <div>
                    <h1>"Activity"</h1>
                    <p>"What this node is doing, and what it has done."</p>
                </div>
            </header>
            <div class="cols">
                <section aria-labelledby="now">
                    <h2 id="now">"Now"</h2>
                    <now::Now/>
                </section>
                <aside aria-labelledby="load">
                    <h2 id="load">"Load"</h2>
                    <load::Load/>
                </aside>
            </div>
            <graphs::Graphs/>
            <div class="cols">
                <section aria-labelledby="events">
                    <h2 id="events">"Events"</h2>
                    <events::Events/>
                </section>
                <aside aria-labelledby="times">
                    <h2 id="times">"Answer times"</h2>
                    <load::Times/>
                </aside>
            </div>
        </div>
    }
}

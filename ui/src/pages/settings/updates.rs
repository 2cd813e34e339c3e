//! New versions: what runs, what there is, fetching it.

use super::{config::Groups, read::Read};
use crate::{
    http::Problem,
    icons::Icon,
    parts::{Prose, Show},
    session::client,
    view::{format, settings::Part},
};
use kith_wire::{
    ollama::VersionResponse,
    system::{UpdateApplied, UpdateCheck},
};
use leptos::prelude::*;

/// How far it is.
#[derive(Clone, PartialEq)]
enum Stage {
    /// Nobody asked yet.
    Unasked,
    Asking,
    NotConfigured,
    UpToDate,
    There(UpdateCheck),
    Fetching(UpdateCheck),
    Ready(UpdateApplied),
    Failed(Problem),
}

/// The page.
#[component]
pub fn Updates() -> impl IntoView {
    let version = Read::<VersionResponse>::begin("/api/version");
    let client = StoredValue::new(client());
    let stage = RwSignal::new(Stage::Unasked);
    let check = move |_| {
        stage.set(Stage::Asking);
        let client = client.get_value();
        leptos::task::spawn_local(async move {
            let next = match client.post::<UpdateCheck>("/api/admin/update/check", &()).await {
                Ok(check) if check.update_available => Stage::There(check),
                Ok(_) => Stage::UpToDate,
                Err(Problem::Refused { status: 503, .. }) => Stage::NotConfigured,
                Err(problem) => Stage::Failed(problem),
            };
            stage.try_set(next);
        });
    };
    let apply = move |_| {
        let Stage::There(found) = stage.get_untracked() else { return };
        stage.set(Stage::Fetching(found));
        let client = client.get_value();
        leptos::task::spawn_local(async move {
            let next = match client.post::<UpdateApplied>("/api/admin/update/apply", &()).await {
                Ok(ready) => Stage::Ready(ready),
                Err(problem) => Stage::Failed(problem),
            };
            stage.try_set(next);
        });
    };
    let runs = move || version.with(|version| version.version.clone()).unwrap_or_default();
    let state = move || match stage.get() {
        Stage::Unasked => ("dot away", "Not checked since this page was opened.".to_owned()),
        Stage::Asking => ("dot away", "Asking the feed.".to_owned()),
        Stage::NotConfigured => ("dot away", "No feed is set, so Kith cannot ask. Set one below.".to_owned()),
        Stage::UpToDate => ("dot", "Up to date.".to_owned()),
        Stage::There(found) => {
            ("dot ember", format!("Version {} is there, {} to fetch.", found.latest_version, format::bytes(found.size)))
        }
        Stage::Fetching(found) => ("dot", format!("Fetching version {}, {}.", found.latest_version, format::bytes(found.size))),
        Stage::Ready(ready) => ("dot ember", format!("Version {} is checked and ready. The next start takes it.", ready.version)),
        Stage::Failed(problem) => ("dot bad", problem.to_string()),
    };
    let notes = move || match stage.get() {
        Stage::There(found) | Stage::Fetching(found) => found.changelog.filter(|notes| !notes.trim().is_empty()).map(|notes| {
            view! { <div class="notes"><h3>"What is new"</h3><Prose text=Signal::stored(notes)/></div> }
        }),
        _ => None,
    };
    let can_apply = move || matches!(stage.get(), Stage::There(_));
    let busy = move || matches!(stage.get(), Stage::Asking | Stage::Fetching(_));
    let is_ready = move || matches!(stage.get(), Stage::Ready(_));
    view! {
        <section class="group">
            <div class="sets hero">
                <div class="line">
                    <span class="ic">{Icon::Download.view()}</span>
                    <div class="what">
                        <b class="num">{move || format!("Kith {}", runs())}</b>
                        <small class="state" role="status"><span class=move || state().0></span>{move || state().1}</small>
                    </div>
                    <div class="how">
                        <Show when=can_apply>
                            <button class="btn primary" on:click=apply>{Icon::Download.view()}"Fetch it"</button>
                        </Show>
                        <Show when=move || !can_apply() && !is_ready()>
                            <button class="btn" disabled=busy on:click=check>{Icon::Refresh.view()}"Check now"</button>
                        </Show>
                    </div>
                </div>
                <Show when=move || matches!(stage.get(), Stage::Fetching(_))><progress class="bar" aria-label="Fetching the update"></progress></Show>
                {notes}
            </div>
            <p class="note">{Icon::Shield.view()}"An update is fetched only when you say so, and laid ready only if its size, digest and signature fit."</p>
        </section>
        <Groups part=Part::Updates/>
    }
}

//! The folders of the node's machine, one level at a time.

use super::shelf::part;
use crate::{
    http::Problem,
    icons::Icon,
    parts::{Failed, Skeleton},
    session::client,
};
use kith_wire::system::FolderListing;
use leptos::prelude::*;

/// Walks through folders; the one walked into becomes `path`.
#[component]
pub fn Folders(path: RwSignal<String>) -> impl IntoView {
    let client = StoredValue::new(client());
    let at = RwSignal::new(None::<String>);
    let listing = RwSignal::new(None::<Result<FolderListing, Problem>>);
    let read = move || {
        let (client, at) = (client.get_value(), at.get_untracked());
        leptos::task::spawn_local(async move {
            let query = at.map(|at| format!("?path={}", part(&at))).unwrap_or_default();
            listing.try_set(Some(client.get(&format!("/api/v1/system/browse{query}")).await));
        });
    };
    let enter = move |folder: Option<String>| {
        if let Some(folder) = &folder {
            path.set(format!("{}/", folder.trim_end_matches('/')));
        }
        at.set(folder);
        read();
    };
    read();
    let shown = move |listing: FolderListing| {
        let is_root = listing.path.is_none();
        let up = listing.parent.clone();
        let is_empty = listing.entries.is_empty();
        view! {
            {(!is_root).then(|| view! {
                <li><button type="button" on:click=move |_| enter(up.clone())>{Icon::Back.view()}"Back"</button></li>
            })}
            {listing.entries.into_iter().map(|folder| {
                let target = folder.path.clone();
                view! { <li><button type="button" title=folder.path on:click=move |_| enter(Some(target.clone()))>{Icon::ChevronRight.view()}<bdi>{folder.name}</bdi></button></li> }
            }).collect_view()}
            {is_empty.then(|| view! { <li class="none">"No folders in here. Add the file's name above."</li> })}
            {listing.truncated.then(|| view! { <li class="none">"There are more than can be shown."</li> })}
        }
    };
    view! {
        <ul class="folders" aria-label="Folders">
            {move || match listing.get() {
                None => view! { <li><Skeleton rows=2/></li> }.into_any(),
                Some(Err(problem)) => view! { <li><Failed problem retry=move |()| enter(None)/></li> }.into_any(),
                Some(Ok(listing)) => shown(listing).into_any(),
            }}
        </ul>
    }
}

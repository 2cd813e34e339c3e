//! The one queue of what comes: downloads and imports, how far each is, and those that broke off.

use super::shelf::{Import, shelf};
use crate::{
    icons::Icon,
    live::live,
    parts::{For, Show},
    session::client,
    view::{fit::percent, format, models},
};
use kith_wire::system::Download;
use leptos::prelude::*;

/// What marks one end of one download.
fn end_of(download: &Download) -> String {
    format!("{} {}", download.model, download.finished_at.as_deref().unwrap_or_default())
}

/// What comes and what broke off. Nothing while there is neither.
#[component]
pub fn Queue() -> impl IntoView {
    let (live, shelf) = (live(), shelf());
    let shown = Memo::new(move |_| {
        let dismissed = shelf.dismissed.get();
        live.downloads.with(|list| {
            let all = list.as_ref().map(|list| list.downloads.clone()).unwrap_or_default();
            let mut shown: Vec<Download> = Vec::new();
            for one in all {
                // Of several tries for one model the newest counts, and none once it is there.
                let is_newest = !shown.iter().any(|other| other.model == one.model);
                let is_open = models::is_broken_off(&one) && !dismissed.contains(&end_of(&one)) && !shelf.has(&one.model);
                if is_newest && (models::is_under_way(&one) || is_open) {
                    shown.push(one);
                }
            }
            shown
        })
    });
    let names = Memo::new(move |_| shown.with(|shown| shown.iter().map(|one| one.model.clone()).collect::<Vec<_>>()));
    let import = move || shelf.import.get();
    let is_any = move || !names.with(Vec::is_empty) || shelf.import.with(Option::is_some);
    let item = move |name: &str| shown.with(|shown| shown.iter().find(|one| one.model == name).cloned());
    view! {
        <Show when=is_any>
            <section class="queue" aria-labelledby="queue">
                <h2 id="queue">"Downloads"</h2>
                <ul class="rows shelf">
                    {move || import().map(|import| view! { <Importing import/> })}
                    <For each=move || names.get() key=Clone::clone let:name>
                        <Coming download=Signal::derive(move || item(&name).unwrap_or_default())/>
                    </For>
                </ul>
            </section>
        </Show>
    }
}

/// A bar for how far something is; it runs to and fro while nobody knows.
#[component]
pub fn Bar(#[prop(into)] percent: Signal<Option<f64>>, #[prop(into)] label: String) -> impl IntoView {
    view! {
        <div
            class="progress"
            class:unknown=move || percent.get().is_none()
            role="progressbar"
            aria-label=label
            aria-valuemin="0"
            aria-valuemax="100"
            aria-valuenow=move || percent.get().map(|percent| format!("{percent:.0}"))
        >
            <i style:width=move || percent.get().map(|percent| format!("{percent:.1}%"))></i>
        </div>
    }
}

#[component]
fn Coming(download: Signal<Download>) -> impl IntoView {
    let shelf = shelf();
    let is_admin = client().is_admin();
    let progress = Memo::new(move |_| download.with(models::progress));
    let is_broken_off = Memo::new(move |_| download.with(models::is_broken_off));
    let name = download.with_untracked(|download| download.model.clone());
    let (title, place) = models::split(&name);
    let (title, place) = (title.to_owned(), place.map(str::to_owned));
    let remark = move || download.with(models::remark);
    let figures = move || {
        progress.with(|progress| {
            let percent = progress.percent.filter(|_| !is_broken_off.get()).map(|percent| format!("{percent:.0} %"));
            [Some(progress.figures.clone()).filter(|figures| !figures.is_empty()), percent]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" · ")
        })
    };
    let state = move || (if is_broken_off.get() { "dot bad" } else { "dot ember" }, progress.with(|progress| progress.state));
    let retry = {
        let name = name.clone();
        move |_| shelf.fetch(name.clone())
    };
    let dismiss = move |_| {
        let end = download.with_untracked(end_of);
        shelf.dismissed.update(|all| {
            all.insert(end);
        });
    };
    let cancel = move |_| shelf.cancel(download.with_untracked(|download| download.model_id.clone()));
    let bar = Signal::derive(move || progress.with(|progress| progress.percent));
    view! {
        <li class="coming">
            <span class="ic">{Icon::Download.view()}</span>
            <div>
                <b title=name.clone()>{title.clone()}</b>
                {place.map(|place| view! { <small>{place}</small> })}
            </div>
            <span class="state"><span class=move || state().0></span>{move || state().1}</span>
            <span class="stat num">{figures}</span>
            <div class="do">
                {move || if is_broken_off.get() {
                    view! {
                        {is_admin.then(|| view! { <button class="btn small" on:click=retry.clone()>{Icon::Retry.view()}"Try again"</button> })}
                        <button class="sq" aria-label="Dismiss" title="Dismiss" on:click=dismiss>{Icon::Close.view()}</button>
                    }.into_any()
                } else {
                    is_admin.then(|| view! { <button class="sq" aria-label="Cancel the download" title="Cancel" on:click=cancel>{Icon::Close.view()}</button> }).into_any()
                }}
            </div>
            <Show when=move || !is_broken_off.get()><Bar percent=bar label=format!("Download of {title}")/></Show>
            {move || remark().map(|remark| view! { <small class="remark" class:bad=move || is_broken_off.get()>{remark}</small> })}
        </li>
    }
}

#[component]
fn Importing(import: Import) -> impl IntoView {
    let shelf = shelf();
    let Import { name, progress } = import;
    let failed = progress.error.clone();
    let figures = if progress.total > 0 && failed.is_none() {
        format!("{} of {}", format::bytes(progress.completed), format::bytes(progress.total))
    } else {
        String::new()
    };
    let share = (progress.total > 0).then(|| percent(progress.completed, progress.total));
    let (dot, state) = if failed.is_some() { ("dot bad", "Failed") } else { ("dot ember", "Importing") };
    let is_failed = failed.is_some();
    view! {
        <li class="coming">
            <span class="ic">{Icon::Disk.view()}</span>
            <div><b>{name.clone()}</b><small>"from this machine"</small></div>
            <span class="state"><span class=dot></span>{state}</span>
            <span class="stat num">{figures}</span>
            <div class="do">
                {is_failed.then(|| view! {
                    <button class="sq" aria-label="Dismiss" title="Dismiss" on:click=move |_| shelf.import.set(None)>{Icon::Close.view()}</button>
                })}
            </div>
            {(!is_failed).then(|| view! { <Bar percent=Signal::stored(share) label=format!("Import of {name}")/> })}
            {failed.map(|failed| view! { <small class="remark bad">{crate::view::words::sentence(&failed)}</small> })}
        </li>
    }
}

//! The audit: what happened on this node, newest first, filtered, exported.

use super::read::Read;
use crate::{
    dom,
    http::Client,
    icons::Icon,
    parts::Show,
    session::client,
    toast::toasts,
    view::{format, settings::audited},
};
use kith_wire::system::{AuditList, AuditRecord};
use leptos::prelude::*;

/// How many records are read at once.
const PAGE: usize = 30;
const KINDS: [(&str, &str); 5] =
    [("", "All"), ("access,guard", "Access"), ("model", "Models"), ("config,settings,update", "Changes"), ("node", "Starts")];

/// The list under its heading.
#[component]
pub fn Audit() -> impl IntoView {
    let client = StoredValue::new(client());
    let toasts = toasts();
    let chosen = RwSignal::new("");
    let export = move |_| {
        let client = client.get_value();
        leptos::task::spawn_local(async move {
            match client.blob("/api/v1/audit/export").await {
                Ok(blob) => dom::save(&blob, "kith-audit.jsonl"),
                Err(problem) => toasts.fail(problem),
            }
        });
    };
    let tabs = KINDS.map(|(word, name)| {
        view! { <button aria-pressed=move || (chosen.get() == word).to_string() on:click=move |_| chosen.set(word)>{name}</button> }
    });
    view! {
        <section class="group">
            <header>
                <h2 id="audit">"Audit"</h2>
                <button class="btn small" on:click=export>{Icon::Download.view()}"Export"</button>
            </header>
            <div class="tabs" role="group" aria-labelledby="audit">{tabs}</div>
            {move || view! { <Records kinds=chosen.get()/> }}
            <p class="note">{Icon::Shield.view()}"Each record is chained to the one before it by its hash, so that a change afterwards shows in the export."</p>
        </section>
    }
}

fn path(kinds: &str, before: Option<u64>) -> String {
    let mut path = format!("/api/v1/audit?limit={PAGE}");
    if !kinds.is_empty() {
        path.push_str("&types=");
        path.push_str(kinds);
    }
    if let Some(before) = before {
        path.push_str(&format!("&before={before}"));
    }
    path
}

#[component]
fn Records(kinds: &'static str) -> impl IntoView {
    let first = Read::<AuditList>::begin(&path(kinds, None));
    let more = RwSignal::new(Vec::<AuditRecord>::new());
    let whole = RwSignal::new(false);
    let busy = RwSignal::new(false);
    let client = StoredValue::new(client());
    let toasts = toasts();
    let all = move || {
        let mut all = first.with(|list| list.events.clone()).unwrap_or_default();
        let oldest = all.last().map_or(u64::MAX, |record| record.seq);
        all.extend(more.get().into_iter().filter(|record| record.seq < oldest));
        all
    };
    let next = move |_| {
        let Some(last) = untrack(all).last().map(|record| record.seq) else { return };
        busy.set(true);
        let client: Client = client.get_value();
        leptos::task::spawn_local(async move {
            match client.get::<AuditList>(&path(kinds, Some(last))).await {
                Ok(list) => {
                    whole.try_set(list.events.len() < PAGE);
                    more.try_update(|more| more.extend(list.events));
                }
                Err(problem) => toasts.fail(problem),
            }
            busy.try_set(false);
        });
    };
    let may_have_more = move || !whole.get() && first.with(|list| list.events.len() >= PAGE).unwrap_or(false);
    let rows = move || {
        let (now, offset) = (dom::now_ms(), dom::utc_offset_minutes());
        all()
            .into_iter()
            .map(|record| {
                let (title, detail) = audited(&record);
                let at = record.ts_ms.ms();
                let full = format!("{}, {}", format::date(at, offset), format::clock(at, offset));
                view! {
                    <li>
                        <div class="what"><b>{title}</b><small title=record.kind.clone()><bdi>{detail}</bdi></small></div>
                        <time class="num" title=full>{format::when(at, now, offset)}</time>
                    </li>
                }
            })
            .collect_view()
    };
    first.view(4, move || {
        let empty = move || all().is_empty();
        view! {
            <Show when=move || !empty() fallback=|| view! { <p class="none">"Nothing of that kind happened yet."</p> }>
                <ul class="sets audit">{rows.clone()}</ul>
            </Show>
            <Show when=may_have_more>
                <button class="btn small" disabled=move || busy.get() on:click=next>"Show earlier"</button>
            </Show>
        }
    })
}

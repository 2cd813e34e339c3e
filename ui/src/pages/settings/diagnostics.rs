//! When something is wrong: reports to send, where the log lies, what the audit holds.

use super::{
    audit::Audit,
    config::config,
    general::putter,
    read::Read,
    row::{Group, Row, Saver},
};
use crate::{
    dom,
    icons::Icon,
    parts::{CopyButton, Switch},
    session::client,
    toast::toasts,
    view::{format, settings},
};
use kith_wire::system::{ReportInfo, ReportList, SettingsBody, SettingsUpdate};
use leptos::prelude::*;

/// The page.
#[component]
pub fn Diagnostics() -> impl IntoView {
    view! {
        <Reports/>
        <Log/>
        <Audit/>
    }
}

#[component]
fn Reports() -> impl IntoView {
    let read = Read::<ReportList>::begin("/api/v1/diagnostics/reports");
    let client = StoredValue::new(client());
    let toasts = toasts();
    let busy = RwSignal::new(false);
    let make = move |_| {
        busy.set(true);
        let client = client.get_value();
        leptos::task::spawn_local(async move {
            match client.send("POST", "/api/v1/diagnostics/reports", None::<&()>).await {
                Ok(()) => toasts.say("The report is made. It stays on this device until you send it."),
                Err(problem) => toasts.fail(problem),
            }
            busy.try_set(false);
            read.again();
        });
    };
    let fetch = Callback::new(move |id: String| {
        let client = client.get_value();
        leptos::task::spawn_local(async move {
            match client.blob(&format!("/api/v1/diagnostics/reports/{id}")).await {
                Ok(blob) => dom::save(&blob, &format!("kith-report-{id}.zip")),
                Err(problem) => toasts.fail(problem),
            }
        });
    });
    let remove = Callback::new(move |id: String| {
        let client = client.get_value();
        leptos::task::spawn_local(async move {
            match client.delete(&format!("/api/v1/diagnostics/reports/{id}")).await {
                Ok(()) => toasts.say("The report is deleted."),
                Err(problem) => toasts.fail(problem),
            }
            read.again();
        });
    });
    let list = read.view(2, move || {
        move || {
            let reports = read.with(|list| list.reports.clone()).unwrap_or_default();
            if reports.is_empty() {
                return view! {
                    <p class="none">"No reports yet. One holds configuration, state, measures, audit and log, without secrets and without your prompts."</p>
                }
                .into_any();
            }
            let rows = reports.into_iter().map(|report| view! { <Report report fetch remove/> }).collect_view();
            view! { <ul class="sets">{rows}</ul> }.into_any()
        }
    });
    view! {
        <section class="group">
            <header>
                <h2>"Reports"</h2>
                <button class="btn small" disabled=move || busy.get() on:click=make>
                    {Icon::Plus.view()}{move || if busy.get() { "Making it" } else { "Make a report" }}
                </button>
            </header>
            {list}
        </section>
    }
}

#[component]
fn Report(report: ReportInfo, fetch: Callback<String>, remove: Callback<String>) -> impl IntoView {
    let (now, offset) = (dom::now_ms(), dom::utc_offset_minutes());
    let made = report.created_at_ms.ms();
    let when = format!("{}, {}", format::date(made, offset), format::clock(made, offset));
    let (id, gone) = (report.id.clone(), report.id.clone());
    let sure = RwSignal::new(false);
    let on_remove = move |_| if sure.get_untracked() { remove.run(gone.clone()) } else { sure.set(true) };
    view! {
        <li class="key">
            <span class="ic">{Icon::File.view()}</span>
            <div class="what">
                <b class="num">{when.clone()}</b>
                <small class="num">{format!("{} zip · {}", format::bytes(report.size), format::ago(made, now))}</small>
            </div>
            <div class="how">
                <button class="btn small" aria-label=format!("Download the report of {when}") on:click=move |_| fetch.run(id.clone())>
                    {Icon::Download.view()}"Download"
                </button>
                <button class="btn small danger" on:click=on_remove on:blur=move |_| sure.set(false)
                    aria-label=format!("Delete the report of {when}")>
                    {move || if sure.get() { "Delete it?" } else { "Delete" }}
                </button>
            </div>
        </li>
    }
}

#[component]
fn Log() -> impl IntoView {
    let own = Read::<SettingsBody>::begin("/api/v1/settings");
    let saver = Saver::new("Log in reports");
    let put = putter(own);
    let on = Signal::derive(move || own.with(|own| own.diagnostics_include_logs).unwrap_or(false));
    let set = move |on: bool| put(saver, SettingsUpdate { diagnostics_include_logs: Some(on), ..SettingsUpdate::default() });
    let read = config().0;
    let folder = Signal::derive(move || read.with(|view| settings::log_folder(&view.path)).unwrap_or_default());
    let file = Signal::derive(move || read.with(|view| view.path.clone()).unwrap_or_default());
    let place = move |name: &'static str, help: &'static str, path: Signal<String>| {
        view! {
            <li class="path">
                <div class="what"><b>{name}</b><small>{help}</small></div>
                <code><bdi>{move || path.get()}</bdi></code>
                <CopyButton text=path/>
            </li>
        }
    };
    view! {
        <Group name="Log and files">
            <Row id="log-in" name="Log in reports" help=Signal::stored("Put the last lines of the log into each report.".to_owned()) note=saver.note>
                <Switch id="log-in" on label="Log in reports" set/>
            </Row>
            {place("Log", "A file for each day, on this device.", folder)}
            {place("Configuration", "What these pages write to.", file)}
        </Group>
    }
}

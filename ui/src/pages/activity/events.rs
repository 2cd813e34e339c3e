//! What happened: the events of this visit, and the records from before.

use crate::{
    dom,
    http::{Client, Problem},
    icons::Icon,
    live::live,
    parts::{Failed, Show, Skeleton},
    session::{client, sessions},
    view::{
        activity::told::{self, About, Happened, Told, Tone},
        format,
    },
};
use kith_wire::system::{AuditList, AuditRecord, Envelope};
use leptos::prelude::*;

/// Lines shown before one asks for more.
const FIRST: usize = 8;
/// Lines that one asks for at once.
const MORE: usize = 24;
/// Records fetched at once.
const PAGE: usize = 200;

/// The list.
#[component]
pub fn Events() -> impl IntoView {
    let (client, live) = (client(), live());
    let older = Older { records: RwSignal::new(Vec::new()), next: RwSignal::new(None), state: RwSignal::new(State::Reading) };
    let shown = RwSignal::new(FIRST);
    older.read(&client);
    let lines = Memo::new(move |_| {
        let events: Vec<_> = live.events.with(|events| events.iter().map(event).collect());
        older.records.with(|records| told::tell(&events, records))
    });
    let groups = move || {
        let (now, offset) = (dom::now_ms(), dom::utc_offset_minutes());
        lines.with(|lines| {
            let shown: Vec<_> = lines.iter().take(shown.get()).cloned().collect();
            let groups =
                shown.chunk_by(|one, other| format::period(one.at_ms, now, offset) == format::period(other.at_ms, now, offset));
            groups
                .map(|group| {
                    let period = group.first().map(|one| format::period(one.at_ms, now, offset)).unwrap_or_default();
                    view! {
                        <h3>{period}</h3>
                        <ul class="events">{group.iter().cloned().map(|line| row(line, now, offset)).collect_view()}</ul>
                    }
                })
                .collect_view()
        })
    };
    let has_more = move || lines.with(Vec::len) > shown.get() || older.next.with(Option::is_some);
    let more = {
        let client = client.clone();
        move |_| {
            shown.update(|shown| *shown += MORE);
            if lines.with_untracked(Vec::len) < shown.get_untracked() && older.next.with_untracked(Option::is_some) {
                older.read(&client);
            }
        }
    };
    let state = move || match older.state.get() {
        State::Failed(problem) if lines.with(Vec::is_empty) => {
            let client = client.clone();
            view! { <Failed problem retry=move |()| older.read(&client)/> }.into_any()
        }
        State::Reading if lines.with(Vec::is_empty) => view! { <Skeleton rows=4/> }.into_any(),
        _ if lines.with(Vec::is_empty) => view! { <p class="hint">"Nothing has happened yet."</p> }.into_any(),
        State::Failed(problem) => {
            view! { <p class="hint bad">{format!("Older events could not be read. {problem}")}</p> }.into_any()
        }
        _ => ().into_any(),
    };
    view! {
        <div class="panel log">
            {groups}
            {state}
            <Show when=has_more>
                <button class="btn small" on:click=more.clone() disabled=move || older.state.get() == State::Reading>"Show older"</button>
            </Show>
        </div>
    }
}

fn row(line: Told, now: i64, offset: i64) -> impl IntoView {
    let icon = match line.about {
        About::Prompt => Icon::Chat,
        About::Model => Icon::Cube,
        About::Access => Icon::Key,
        About::Device => Icon::Phone,
        About::Network => Icon::Network,
        About::Setting => Icon::Sliders,
        About::Node => Icon::Activity,
    };
    let (class, spoken) = match line.tone {
        Tone::Plain => ("ic", None),
        Tone::Warning => ("ic warning", Some("Look at this: ")),
        Tone::Bad => ("ic failed", Some("Failed: ")),
    };
    let full = format!("{} {}", format::date(line.at_ms, offset), format::clock(line.at_ms, offset));
    let time = if format::period(line.at_ms, now, offset) == "Yesterday" {
        format::clock(line.at_ms, offset)
    } else {
        format::when(line.at_ms, now, offset)
    };
    view! {
        <li>
            <span class=class>{icon.view()}</span>
            <span class="what">
                {spoken.map(|spoken| view! { <span class="sr">{spoken}</span> })}
                <b>{line.text}</b>
                <small class="num">{line.detail}</small>
            </span>
            <time class="num" title=full>{time}</time>
        </li>
    }
}

fn event(event: &Envelope) -> Happened {
    Happened { at_ms: event.ts_ms.ms(), kind: event.kind.clone(), data: event.data.clone() }
}

fn record(record: AuditRecord) -> Happened {
    Happened { at_ms: record.ts_ms.ms(), kind: record.kind, data: record.data }
}

#[derive(Clone, PartialEq)]
enum State {
    Reading,
    Read,
    Failed(Problem),
}

/// The node's records, page by page.
#[derive(Clone, Copy)]
struct Older {
    records: RwSignal<Vec<Happened>>,
    /// Below which number the next page begins; `None` when all are read.
    next: RwSignal<Option<u64>>,
    state: RwSignal<State>,
}

impl Older {
    fn read(self, client: &Client) {
        self.state.set(State::Reading);
        let before = self.next.get_untracked().map(|next| format!("&before={next}")).unwrap_or_default();
        let (client, sessions) = (client.clone(), sessions());
        leptos::task::spawn_local(async move {
            match sessions.note(client.get::<AuditList>(&format!("/api/v1/audit?limit={PAGE}{before}")).await) {
                Ok(list) => {
                    let is_full = list.events.len() >= PAGE;
                    self.next.try_set(list.events.last().map(|last| last.seq).filter(|_| is_full));
                    self.records.try_update(|records| records.extend(list.events.into_iter().map(record)));
                    self.state.try_set(State::Read);
                }
                Err(problem) => {
                    self.state.try_set(State::Failed(problem));
                }
            }
        });
    }
}

//! Quiet hours: when this machine holds back, on which days, and how much.

use super::{
    read::Read,
    row::{Entry, Group, Row, Saver},
};
use crate::{
    dom,
    http::Problem,
    parts::{Show, Switch},
    session::client,
    view::settings::{DAYS, Note, known::Kind, toggled, typed},
};
use kith_wire::system::{ScheduleRequest, ScheduleView};
use leptos::prelude::*;

/// The rows.
#[component]
pub fn QuietHours() -> impl IntoView {
    let read = Read::<ScheduleView>::begin("/api/admin/schedule");
    read.view(3, move || view! { <Rows read/> })
}

/// The time of day at which a state ends, from its full time.
fn ends(until: &str) -> String {
    let ms = js_sys::Date::parse(until);
    if ms.is_finite() { crate::view::format::clock(ms as i64, dom::utc_offset_minutes()) } else { String::new() }
}

#[component]
fn Rows(read: Read<ScheduleView>) -> impl IntoView {
    let client = StoredValue::new(client());
    let put = move |saver: Saver, request: ScheduleRequest| {
        let client = client.get_value();
        saver.save(
            async move { client.call::<ScheduleView>("PUT", "/api/admin/schedule", &request).await },
            move |plan| {
                read.set(plan);
                "Saved. It is in effect now.".to_owned()
            },
            |problem| match problem {
                Problem::Refused { message, .. } => {
                    let rest = message.split_once("`: ").map_or(message.as_str(), |(_, rest)| rest);
                    crate::view::words::sentence(rest)
                }
                problem => problem.to_string(),
            },
        );
    };
    let enabled = Signal::derive(move || read.with(|plan| plan.enabled).unwrap_or(false));
    let now = Signal::derive(move || {
        read.with(|plan| match (&plan.until, plan.quiet_now, plan.enabled) {
            (_, _, false) => "Hold back at set times, and leave the machine to others.".to_owned(),
            (Some(until), true, _) => format!("Quiet now, until {}.", ends(until)),
            (Some(until), false, _) => format!("Not now. They begin at {}.", ends(until)),
            (None, quiet, _) => if quiet { "Quiet now." } else { "Not now." }.to_owned(),
        })
        .unwrap_or_default()
    });
    let on_saver = Saver::new("Quiet hours");
    let days_saver = Saver::new("Days");
    let time_saver = Saver::new("Hours");
    let zone_saver = Saver::new("Time zone");
    let count_saver = Saver::new("Answers at once");
    let share_saver = Saver::new("Pause sharing");
    let on = move |on: bool| put(on_saver, ScheduleRequest { enabled: Some(on), ..ScheduleRequest::default() });
    let share = move |on: bool| put(share_saver, ScheduleRequest { pause_sharing: Some(on), ..ScheduleRequest::default() });
    let days = move || read.with(|plan| plan.days.clone()).unwrap_or_default();
    let day = move |word: &'static str| match toggled(&untrack(days), word) {
        Some(days) => put(days_saver, ScheduleRequest { days: Some(days), ..ScheduleRequest::default() }),
        None => days_saver.note.set(Note::Bad("At least one day is needed. To have none, turn quiet hours off.".to_owned())),
    };
    let count = Kind::Number { unit: "", least: 1, most: 256 };
    let parallel = move |text: String| match typed(count, &text) {
        Ok(value) => match value.as_u64().and_then(|value| u32::try_from(value).ok()) {
            Some(value) => put(count_saver, ScheduleRequest { parallel: Some(value), ..ScheduleRequest::default() }),
            None => count_saver.note.set(Note::Bad("A number is needed.".to_owned())),
        },
        Err(why) => count_saver.note.set(Note::Bad(why)),
    };
    let zone = move |text: String| {
        put(zone_saver, ScheduleRequest { time_zone: Some(text.trim().to_owned()), ..ScheduleRequest::default() });
    };
    let from = move || read.with(|plan| plan.from.clone()).unwrap_or_default();
    let to = move || read.with(|plan| plan.to.clone()).unwrap_or_default();
    let help = |text: &'static str| Signal::stored(text.to_owned());
    let time = move |id: &'static str, label: &'static str, value: Signal<String>, begins: bool| {
        view! {
            <input id=id type="time" aria-label=label prop:value=value
                on:change=move |event| {
                    let text = event_target_value(&event);
                    let (from, to) = if begins { (Some(text), None) } else { (None, Some(text)) };
                    put(time_saver, ScheduleRequest { from, to, ..ScheduleRequest::default() });
                }/>
        }
    };
    let rest = move || {
        let picks = DAYS.map(|(word, short, name)| {
            view! {
                <button type="button" class="day"
                    aria-pressed=move || days().iter().any(|day| day == word).to_string() on:click=move |_| day(word)>
                    <span aria-hidden="true">{short}</span><span class="sr">{name}</span>
                </button>
            }
        });
        view! {
            <Row id="quiet-days" name="Days" help=help("The days on which they begin.") note=days_saver.note>
                <div class="days" id="quiet-days" role="group" aria-label="Days">{picks}</div>
            </Row>
            <Row id="quiet-from" name="Hours" help=help("An end before the beginning is on the next day.") note=time_saver.note>
                <span class="span">
                    {time("quiet-from", "Quiet from", Signal::derive(from), true)}
                    <span>"to"</span>
                    {time("quiet-to", "Quiet to", Signal::derive(to), false)}
                </span>
            </Row>
            <Row id="quiet-zone" name="Time zone" help=help("local, UTC, +02:00, or a name such as Europe/Berlin.") note=zone_saver.note>
                <Entry id="quiet-zone" value=Signal::derive(move || read.with(|plan| plan.time_zone.clone()).unwrap_or_default())
                    commit=zone note=zone_saver.note hint="local"/>
            </Row>
            <Row id="quiet-parallel" name="Answers at once" help=help("For each model, in quiet hours. A model works on half of the cores then.") note=count_saver.note>
                <Entry id="quiet-parallel" value=Signal::derive(move || read.with(|plan| plan.parallel.to_string()).unwrap_or_default())
                    commit=parallel note=count_saver.note unit="answers" short=true/>
            </Row>
            <Row id="quiet-share" name="Pause sharing" help=help("Refuse prompts of other machines in quiet hours.") note=share_saver.note>
                <Switch id="quiet-share" label="Pause sharing" set=share
                    on=Signal::derive(move || read.with(|plan| plan.pause_sharing).unwrap_or(false))/>
            </Row>
        }
    };
    view! {
        <Group name="Quiet hours">
            <Row id="quiet" name="Keep quiet hours" help=now note=on_saver.note>
                <Switch id="quiet" on=enabled label="Keep quiet hours" set=on/>
            </Row>
            <Show when=move || enabled.get()>{rest()}</Show>
        </Group>
    }
}

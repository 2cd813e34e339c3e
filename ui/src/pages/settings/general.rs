//! This device: its name, how the window looks, what it shows and keeps.

use super::{
    config::Groups,
    read::Read,
    row::{Choice, Entry, Group, Row, Saver},
    theme::Theme,
};
use crate::{
    http::Problem,
    live::live,
    parts::Switch,
    session::client,
    shell,
    view::{
        settings::{Note, Part},
        words,
    },
};
use kith_wire::system::{ProfileBody, ProfileUpdate, SettingsBody, SettingsUpdate};
use leptos::prelude::*;

/// How much history can be kept, in hours.
const HOURS: [u8; 5] = [1, 3, 6, 12, 24];

/// The page.
#[component]
pub fn General() -> impl IntoView {
    view! {
        {client().is_admin().then(|| view! { <Device/> })}
        {crate::shell::is_here().then(|| view! { <App/> })}
        <Theme/>
        <Own/>
        <Groups part=Part::General/>
    }
}

const NOW: &str = "Saved. It is in effect now.";

#[component]
fn Device() -> impl IntoView {
    let read = Read::<ProfileBody>::begin("/api/v1/profile");
    read.view(2, move || {
        let client = StoredValue::new(client());
        let live = live();
        let put = move |saver: Saver, update: ProfileUpdate| {
            let client = client.get_value();
            saver.save(
                async move {
                    match &update.display_name {
                        Some(name) => live.call_this(&client, name).await,
                        None => client.call::<ProfileBody>("PUT", "/api/v1/profile", &update).await,
                    }
                },
                move |profile| {
                    read.set(profile);
                    NOW.to_owned()
                },
                Problem::to_string,
            );
        };
        let (named, metered) = (Saver::new("Device name"), Saver::new("Metered connection"));
        let name = Signal::derive(move || live.name.get());
        let is_metered = Signal::derive(move || read.with(|profile| profile.metered).unwrap_or(false));
        let rename = move |name: String| {
            put(named, ProfileUpdate { display_name: Some(name.trim().to_owned()), ..ProfileUpdate::default() });
        };
        let meter = move |on: bool| put(metered, ProfileUpdate { metered: Some(on), ..ProfileUpdate::default() });
        view! {
            <Group name="This device">
                <Row id="device-name" name="Device name" help=Signal::stored("What others see this device as.".to_owned()) note=named.note>
                    <Entry id="device-name" value=name commit=rename note=named.note hint="Not named yet"/>
                </Row>
                <Row id="metered" name="Metered connection" note=metered.note
                    help=Signal::stored("Say so if this connection is paid by volume, and it is spared.".to_owned())>
                    <Switch id="metered" on=is_metered label="Metered connection" set=meter/>
                </Row>
            </Group>
        }
    })
}

/// The app around this page.
#[component]
fn App() -> impl IntoView {
    let (on, note) = (RwSignal::new(false), RwSignal::new(Note::None));
    leptos::task::spawn_local(async move {
        if let Ok(state) = shell::state().await {
            on.try_set(state.start_at_login);
        }
    });
    let set = move |wanted: bool| {
        note.set(Note::Saving);
        leptos::task::spawn_local(async move {
            let said = match shell::start_at_login(wanted).await {
                Ok(now) => {
                    on.try_set(now);
                    Note::Done(NOW.to_owned())
                }
                Err(error) => Note::Bad(words::sentence(&error)),
            };
            note.try_set(said);
        });
    };
    view! {
        <Group name="This app">
            <Row id="login" name="Start at login" note
                help=Signal::stored("Kith waits in the tray, and other devices find it.".to_owned())>
                <Switch id="login" on label="Start at login" set/>
            </Row>
        </Group>
    }
}

/// What the owner set for the window.
#[component]
fn Own() -> impl IntoView {
    let read = Read::<SettingsBody>::begin("/api/v1/settings");
    read.view(2, move || {
        let (hidden, kept) = (Saver::new("Hidden folders"), Saver::new("Measures kept"));
        let put = putter(read);
        let is_hidden = Signal::derive(move || read.with(|own| own.browse_show_hidden).unwrap_or(false));
        let hours = Signal::derive(move || read.with(|own| own.metrics_history_hours.to_string()).unwrap_or_default());
        let offered = Signal::derive(move || {
            let mut all = HOURS.to_vec();
            all.extend(read.with(|own| own.metrics_history_hours).filter(|now| !HOURS.contains(now)));
            all.sort_unstable();
            all.into_iter().map(|hours| (hours.to_string(), words::plural(hours.into(), "hour", "hours"))).collect::<Vec<_>>()
        });
        let show = move |on: bool| put(hidden, SettingsUpdate { browse_show_hidden: Some(on), ..SettingsUpdate::default() });
        let keep = move |hours: String| {
            put(kept, SettingsUpdate { metrics_history_hours: hours.parse().ok(), ..SettingsUpdate::default() });
        };
        view! {
            <Group name="What is shown and kept">
                <Row id="hidden" name="Hidden folders" help=Signal::stored("Show them when a folder is chosen.".to_owned()) note=hidden.note>
                    <Switch id="hidden" on=is_hidden label="Hidden folders" set=show/>
                </Row>
                <Row id="history" name="Measures kept" help=Signal::stored("How far back the plots under Activity go.".to_owned()) note=kept.note>
                    <Choice id="history" value=hours offered commit=keep/>
                </Row>
            </Group>
        }
    })
}

/// Writes the owner's settings and takes the answer.
pub fn putter(read: Read<SettingsBody>) -> impl Fn(Saver, SettingsUpdate) + Copy + Send + Sync + 'static {
    let client = StoredValue::new(client());
    move |saver, update| {
        let client = client.get_value();
        saver.save(
            async move { client.call::<SettingsBody>("PUT", "/api/v1/settings", &update).await },
            move |own| {
                read.set(own);
                NOW.to_owned()
            },
            Problem::to_string,
        );
    }
}

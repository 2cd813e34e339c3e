//! Settings: a list of parts at the side (above on a phone), rows beside it, and a search over all of them.

mod about;
mod access;
mod audit;
mod config;
mod diagnostics;
mod general;
mod keys;
mod quiet;
mod read;
mod row;
mod theme;
mod updates;

pub use theme::{THEMES, apply_kept_theme, choose_theme};

use crate::{
    icons::Icon,
    live::{Link, live},
    palette::{Command, Palette},
    parts::Empty,
    session::client,
    view::settings::{self, Part, known},
};
use config::{Config, ConfigRow, Groups};
use leptos::prelude::*;
use leptos_router::{
    components::A,
    hooks::{use_navigate, use_params_map},
};
use read::Read;
use row::Group;
use std::sync::Arc;

const fn icon(part: Part) -> Icon {
    match part {
        Part::General => Icon::Sliders,
        Part::Answers => Icon::Chat,
        Part::Sources => Icon::Cube,
        Part::Access => Icon::Key,
        Part::Network => Icon::Devices,
        Part::Updates => Icon::Download,
        Part::Diagnostics => Icon::Activity,
        Part::About => Icon::File,
    }
}

/// The page.
#[component]
pub fn Settings() -> impl IntoView {
    let config = Config(Read::begin("/api/admin/config"));
    provide_context(config);
    let live = live();
    // The configuration may be changed elsewhere too, by the command line or another window.
    Effect::new(move |seen: Option<Option<u64>>| {
        let newest =
            live.events.with(|events| events.iter().find(|event| event.kind.starts_with("config.")).map(|event| event.id));
        if seen.is_some_and(|seen| seen != newest) {
            config.0.again();
        }
        newest
    });
    let params = use_params_map();
    let is_admin = client().is_admin();
    let part = Memo::new(move |_| {
        let slug = params.with(|params| params.get("part"));
        slug.map_or(Some(Part::General), |slug| Part::of(&slug)).filter(|part| part.is_for(is_admin))
    });
    let words = RwSignal::new(String::new());
    // Going to a part leaves the search.
    Effect::new(move || {
        part.track();
        words.set(String::new());
    });
    offer();
    let is_away = move || matches!(live.link.get(), Link::Offline(_));
    let restart = move || config.0.with(|view| settings::restart(&view.restart_required)).flatten();
    let searched = Memo::new(move |_| !words.with(|words| words.trim().is_empty()));
    let body = move || {
        match (searched.get(), part.get()) {
        (true, _) => view! { <Found words/> }.into_any(),
        (false, Some(part)) => view! { <Shown part/> }.into_any(),
        (false, None) if !is_admin => view! {
            <Empty icon=Icon::Lock title="Changed on the computer" text="A paired device uses Kith, and does not change how it works.">
                <A href="/app/settings" attr:class="btn primary">"What can be set here"</A>
            </Empty>
        }
        .into_any(),
        (false, None) => view! {
            <Empty icon=Icon::Search title="There is no such part" text="The address may be from another release.">
                <A href="/app/settings" attr:class="btn primary">"All settings"</A>
            </Empty>
        }
        .into_any(),
    }
    };
    view! {
        <div class="settings">
            <aside class="parts" aria-label="Settings">
                <h1>"Settings"</h1>
                {is_admin.then(|| view! { <label class="find">
                    {Icon::Search.view()}
                    <input type="search" placeholder="Search settings" aria-label="Search settings" autocomplete="off" spellcheck="false"
                        prop:value=words on:input=move |event| words.set(event_target_value(&event))
                        on:keydown=move |event| if event.key() == "Escape" { words.set(String::new()) }/>
                </label> })}
                <nav aria-label="Parts of settings">
                    {Part::ALL.into_iter().filter(|part| part.is_for(is_admin)).map(|one| view! {
                        <A href=format!("/app/settings/{}", one.slug()) on:click=move |_| words.set(String::new())
                            attr:aria-current=move || (part.get() == Some(one) && !searched.get()).then_some("page")>
                            {icon(one).view()}<span>{one.name()}</span>
                        </A>
                    }).collect_view()}
                </nav>
            </aside>
            <div class="part" tabindex="-1">
                <div class="in">
                    {move || restart().map(|text| view! { <p class="restart" role="status"><span class="dot ember"></span>{text}</p> })}
                    <fieldset disabled=is_away>
                        <legend class="sr">"Settings"</legend>
                        {body}
                    </fieldset>
                </div>
            </div>
        </div>
    }
}

/// Offers each part in the palette.
fn offer() {
    let navigate = use_navigate();
    let is_admin = client().is_admin();
    let commands = Part::ALL.into_iter().filter(|part| part.is_for(is_admin)).map(|part| {
        let navigate = navigate.clone();
        Command {
            name: format!("Settings: {}", part.name()),
            hint: String::new(),
            icon: icon(part),
            act: Arc::new(move || navigate(&format!("/settings/{}", part.slug()), Default::default())),
        }
    });
    expect_context::<Palette>().offer(commands.collect());
}

/// One part.
#[component]
fn Shown(part: Part) -> impl IntoView {
    let body = match part {
        Part::General => view! { <general::General/> }.into_any(),
        Part::Answers => view! { <Groups part/><quiet::QuietHours/> }.into_any(),
        Part::Sources | Part::Network => view! { <Groups part/> }.into_any(),
        Part::Access => view! { <access::Access/> }.into_any(),
        Part::Updates => view! { <updates::Updates/> }.into_any(),
        Part::Diagnostics => view! { <diagnostics::Diagnostics/> }.into_any(),
        Part::About => view! { <about::About/> }.into_any(),
    };
    view! {
        <header class="top"><h2>{part.name()}</h2><p>{part.about()}</p></header>
        {body}
    }
}

/// What the search found: settings to change right there, and ways to the rest.
#[component]
fn Found(words: RwSignal<String>) -> impl IntoView {
    let config = config::config();
    // Compared by what was found, so that rows stay while more is typed.
    let found = Memo::new(move |_| {
        words.with(|words| {
            let (known, spots) = known::search(words);
            (known.iter().map(|one| one.key).collect::<Vec<_>>(), spots.iter().map(|spot| spot.name).collect::<Vec<_>>())
        })
    });
    let body = move || {
        let (keys, names) = found.get();
        if keys.is_empty() && names.is_empty() {
            return view! {
                <Empty icon=Icon::Search title="Nothing is called that" text="Try another word: a name, what it does, or the key in the file."/>
            }
            .into_any();
        }
        let parts =
            Part::ALL.into_iter().filter_map(|part| {
                let rows: Vec<_> = keys.iter().filter_map(|key| known::of(key)).filter(|one| one.part == part).collect();
                let spots: Vec<_> = known::SPOTS.iter().filter(|spot| spot.part == part && names.contains(&spot.name)).collect();
                let ways = spots.into_iter().map(|spot| view! {
                <li class="way">
                    <A href=format!("/app/settings/{}", part.slug())>
                        <span class="what"><b>{spot.name}</b><small>{spot.words}</small></span>{Icon::ChevronRight.view()}
                    </A>
                </li>
            }).collect_view();
                let has_rows = !rows.is_empty();
                let any =
                    has_rows || names.iter().any(|name| known::SPOTS.iter().any(|spot| spot.part == part && spot.name == *name));
                let rows = has_rows.then(|| {
                    config.0.view(1, move || rows.iter().map(|known| view! { <ConfigRow known=*known/> }).collect_view())
                });
                any.then(|| view! { <Group name=part.name()>{ways}{rows}</Group> })
            });
        parts.collect_view().into_any()
    };
    view! {
        <header class="top"><h2>"Search"</h2></header>
        {body}
    }
}

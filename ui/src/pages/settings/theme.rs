//! Light, dark, or as the system has it: kept in this browser, told to the stylesheet by an attribute of the page.

use super::row::{Group, Row};
use crate::{dom, icons::Icon, view::settings::Note};
use leptos::prelude::*;

/// Where the choice lies between two visits.
const KEPT: &str = "kith.theme";
/// The themes: their word in storage, their name, their icon.
pub const THEMES: [(&str, &str, Icon); 3] =
    [("", "System", Icon::Laptop), ("light", "Light", Icon::Sun), ("dark", "Dark", Icon::Moon)];

/// The choice that was kept, before anything is drawn.
pub fn apply_kept_theme() {
    apply(&dom::kept(KEPT).unwrap_or_default());
}

fn apply(theme: &str) {
    let Some(root) = document().document_element() else { return };
    let _ = match theme {
        "light" | "dark" => root.set_attribute("data-theme", theme),
        _ => root.remove_attribute("data-theme"),
    };
}

/// Chooses a theme by its word, and keeps it.
pub fn choose_theme(theme: &'static str) {
    if theme.is_empty() {
        dom::forget(KEPT);
    } else {
        dom::keep(KEPT, theme);
    }
    apply(theme);
}

/// The choice as a row.
#[component]
pub fn Theme() -> impl IntoView {
    let chosen = RwSignal::new(dom::kept(KEPT).unwrap_or_default());
    let choose = move |theme: &'static str| {
        choose_theme(theme);
        chosen.set(theme.to_owned());
    };
    let buttons = THEMES.map(|(word, name, icon)| {
        view! {
            <label class="pick">
                <input class="sr" type="radio" name="theme" value=word prop:checked=move || chosen.with(|chosen| chosen == word)
                    on:change=move |_| choose(word)/>
                <span>{icon.view()}{name}</span>
            </label>
        }
    });
    view! {
        <Group name="Appearance">
            <Row id="theme" name="Theme" help=Signal::stored("Kept in this browser.".to_owned()) note=Signal::stored(Note::None)>
                <div class="picks" role="radiogroup" id="theme" aria-label="Theme">{buttons}</div>
            </Row>
        </Group>
    }
}

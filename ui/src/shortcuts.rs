//! The sheet of keys: opened by `?` or from the palette.

use crate::{dialog::Dialog, dom, palette::Palette};
use leptos::{ev, prelude::*};

/// What is pressed, and what it does. `Mod` stands for Ctrl, or for Cmd on Apple's keyboards.
const KEYS: [(&str, &[(&[&str], &str)]); 3] = [
    ("Anywhere", &[(&["Mod", "K"], "Find anything"), (&["Mod", "Shift", "O"], "New chat"), (&["?"], "These keys")]),
    ("In a chat", &[(&["Enter"], "Send"), (&["Shift", "Enter"], "New line"), (&["Esc"], "Stop the answer")]),
    ("In lists and menus", &[(&["↑", "↓"], "Walk"), (&["Enter"], "Choose"), (&["Esc"], "Close")]),
];

/// The sheet.
#[component]
pub fn Shortcuts() -> impl IntoView {
    let palette = expect_context::<Palette>();
    let open = palette.keys();
    let asked = window_event_listener(ev::keydown, move |event| {
        let is_plain = !event.ctrl_key() && !event.meta_key() && !event.alt_key() && !event.default_prevented();
        if event.key() == "?" && is_plain && !dom::is_typing() && !dom::is_open("dialog[open], .palette") {
            event.prevent_default();
            open.set(true);
        }
    });
    on_cleanup(move || asked.remove());
    let name = |key: &'static str| match key {
        "Mod" if dom::is_apple() => "⌘",
        "Mod" => "Ctrl",
        key => key,
    };
    view! {
        <Dialog open title="Keys">
            <div class="keys">
                {KEYS.iter().map(|(group, keys)| view! {
                    <section>
                        <h3>{*group}</h3>
                        <dl>
                            {keys.iter().map(|(pressed, does)| view! {
                                <div>
                                    <dt>{*does}</dt>
                                    <dd>{pressed.iter().map(|key| view! { <kbd class="kbd">{name(key)}</kbd> }).collect_view()}</dd>
                                </div>
                            }).collect_view()}
                        </dl>
                    </section>
                }).collect_view()}
            </div>
        </Dialog>
    }
}

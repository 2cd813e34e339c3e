//! The command palette: everything the window can do, found by a few letters. Ctrl-K, or Cmd-K.

use crate::{
    dom,
    icons::Icon,
    live::live,
    pages::{
        Place,
        settings::{THEMES, choose_theme},
    },
    parts::Show,
    session::client,
    view::find,
};
use kith_wire::conversations::{ConversationList, ConversationSummary};
use leptos::{ev, html, prelude::*};
use leptos_router::hooks::use_navigate;
use std::sync::Arc;

/// How many are shown.
const MOST: usize = 9;

/// One thing to do.
#[derive(Clone)]
pub struct Command {
    /// What it does.
    pub name: String,
    /// What it belongs to, or its keys.
    pub hint: String,
    /// Its icon.
    pub icon: Icon,
    /// Does it.
    pub act: Arc<dyn Fn() + Send + Sync>,
}

/// The palette, shared by everything on the page.
#[derive(Clone, Copy)]
pub struct Palette {
    open: RwSignal<bool>,
    /// What the page that is shown adds.
    added: RwSignal<Vec<Command>>,
    /// Whether the sheet of keys is shown.
    keys: RwSignal<bool>,
}

impl Palette {
    /// A palette with the window's own commands.
    pub fn new() -> Self {
        Self { open: RwSignal::new(false), added: RwSignal::new(Vec::new()), keys: RwSignal::new(false) }
    }

    /// Offers commands for as long as the calling page is shown.
    pub fn offer(self, commands: Vec<Command>) {
        self.added.set(commands);
        on_cleanup(move || {
            self.added.try_set(Vec::new());
        });
    }

    /// Whether the sheet of keys is shown.
    pub fn keys(self) -> RwSignal<bool> {
        self.keys
    }

    /// Listens for its keys.
    pub fn listen(self) {
        let handle = window_event_listener(ev::keydown, move |event| {
            let held = event.ctrl_key() || event.meta_key();
            if held && !event.shift_key() && !event.alt_key() && event.key().eq_ignore_ascii_case("k") {
                event.prevent_default();
                self.open.update(|open| *open = !*open);
            }
        });
        on_cleanup(move || handle.remove());
    }

    /// The palette's own element.
    pub fn view(self) -> impl IntoView {
        view! { <Show when=move || self.open.get()><Opened palette=self/></Show> }
    }
}

/// The button that opens it, with its keys.
#[component]
pub fn PaletteButton() -> impl IntoView {
    let palette = expect_context::<Palette>();
    let keys = if dom::is_apple() { "⌘ K" } else { "Ctrl K" };
    view! {
        <button class="find" on:click=move |_| palette.open.set(true)>
            {Icon::Search.view()}<span>"Find anything"</span><span class="kbd">{keys}</span>
        </button>
    }
}

#[component]
fn Opened(palette: Palette) -> impl IntoView {
    let (live, client) = (live(), client());
    let navigate = use_navigate();
    let go = move |path: String| {
        let navigate = navigate.clone();
        Arc::new(move || navigate(&path, Default::default())) as Arc<dyn Fn() + Send + Sync>
    };
    let mut own: Vec<Command> = Place::ALL
        .into_iter()
        .map(|place| Command {
            name: format!("Go to {}", place.name()),
            hint: String::new(),
            icon: place.icon(),
            act: go(place.path().to_owned()),
        })
        .collect();
    live.models.with_untracked(|models| {
        own.extend(models.iter().flatten().map(|model| Command {
            name: format!("Chat with {}", model.name),
            hint: model.details.parameter_size.clone(),
            icon: Icon::Cube,
            act: go(format!("/chat?model={}", model.name)),
        }));
    });
    own.push(Command {
        name: "Keys".to_owned(),
        hint: "?".to_owned(),
        icon: Icon::Sliders,
        act: Arc::new(move || palette.keys.set(true)),
    });
    own.push(Command {
        name: "Test the speed to a device".to_owned(),
        hint: "network".to_owned(),
        icon: Icon::Gauge,
        act: go("/network?do=speed".to_owned()),
    });
    if client.is_admin() {
        own.push(Command {
            name: "Pair a phone".to_owned(),
            hint: String::new(),
            icon: Icon::Phone,
            act: go("/devices".to_owned()),
        });
        let networks = [
            ("Create a network", "create", Icon::Plus),
            ("Join a network", "join", Icon::Key),
            ("Invite a device", "invite", Icon::Plus),
        ];
        own.extend(networks.map(|(name, word, icon)| Command {
            name: name.to_owned(),
            hint: "network".to_owned(),
            icon,
            act: go(format!("/network?do={word}")),
        }));
        let get = go("/models?tab=get".to_owned());
        own.push(Command { name: "Get a model".to_owned(), hint: String::new(), icon: Icon::Download, act: get });
    }
    own.extend(THEMES.map(|(word, name, icon)| Command {
        name: format!("Theme: {name}"),
        hint: String::new(),
        icon,
        act: Arc::new(move || choose_theme(word)),
    }));
    // Conversations are found by their titles; what was said in them, by the search beside them.
    let talks = RwSignal::new(Vec::<Command>::new());
    leptos::task::spawn_local(async move {
        let Ok(list) = client.get::<ConversationList>("/api/v1/conversations?limit=200").await else { return };
        let named = list.conversations.into_iter().filter(|one| !one.title.is_empty());
        let command = |one: ConversationSummary| Command {
            name: one.title,
            hint: "chat".to_owned(),
            icon: Icon::Chat,
            act: go(format!("/chat/{}", one.id)),
        };
        talks.try_set(named.map(command).collect());
    });
    let words = RwSignal::new(String::new());
    let at = RwSignal::new(0usize);
    let found = Memo::new(move |_| {
        let words = words.get();
        let all: Vec<Command> = palette.added.get().into_iter().chain(own.iter().cloned()).chain(talks.get()).collect();
        let order = find::best(&words, all.iter().map(|command| command.name.as_str()), MOST);
        Found(order.into_iter().filter_map(|at| all.get(at).cloned()).collect())
    });
    let run = move |command: Command| {
        palette.open.set(false);
        (command.act)();
    };
    let input = NodeRef::<html::Input>::new();
    let before = document().active_element();
    Effect::new(move || {
        if let Some(input) = input.get() {
            let _ = input.focus();
        }
    });
    let before = StoredValue::new_local(before);
    on_cleanup(move || {
        use wasm_bindgen::JsCast;
        before.with_value(|before| {
            if let Some(element) = before.as_ref().and_then(|element| element.dyn_ref::<web_sys::HtmlElement>()) {
                let _ = element.focus();
            }
        });
    });
    let on_key = move |event: ev::KeyboardEvent| {
        let count = found.with_untracked(|found| found.0.len());
        match event.key().as_str() {
            "Escape" => palette.open.set(false),
            "ArrowDown" if count > 0 => at.update(|at| *at = (*at + 1) % count),
            "ArrowUp" if count > 0 => at.update(|at| *at = (*at + count - 1) % count),
            "Enter" => {
                if let Some(command) = found.with_untracked(|found| found.0.get(at.get_untracked()).cloned()) {
                    run(command);
                }
            }
            // The focus stays inside: the list is walked with the arrows.
            "Tab" => {}
            _ => return,
        }
        event.prevent_default();
        event.stop_propagation();
    };
    view! {
        <div class="veil" on:click=move |_| palette.open.set(false)>
            <div class="palette" role="dialog" aria-modal="true" aria-label="Find anything" on:click=|event| event.stop_propagation() on:keydown=on_key>
                <label class="bar">
                    {Icon::Search.view()}
                    <input node_ref=input type="text" placeholder="Find anything" aria-label="Find anything" role="combobox"
                        aria-expanded="true" aria-controls="found" autocomplete="off" spellcheck="false"
                        aria-activedescendant=move || format!("found-{}", at.get())
                        on:input=move |event| { words.set(event_target_value(&event)); at.set(0); }/>
                    <span class="kbd">"Esc"</span>
                </label>
                <div id="found" role="listbox" aria-label="Commands">
                    {move || found.get().0.into_iter().enumerate().map(|(place, command)| {
                        let act = command.clone();
                        view! {
                            <div class="row" role="option" id=format!("found-{place}") aria-selected=move || (at.get() == place).to_string()
                                on:pointermove=move |_| at.set(place) on:click=move |_| run(act.clone())>
                                {command.icon.view()}<span>{command.name}</span><small class="num">{command.hint}</small>
                            </div>
                        }
                    }).collect_view()}
                    {move || found.with(|found| found.0.is_empty()).then(|| view! { <p class="none">"Nothing is called that."</p> })}
                </div>
            </div>
        </div>
    }
}

/// Commands, compared by what is shown of them.
#[derive(Clone)]
struct Found(Vec<Command>);

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(one, other)| one.name == other.name)
    }
}

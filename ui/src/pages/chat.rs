//! Chat: the conversations at the left, the open one beside them.

mod composer;
mod list;
mod message;
mod model_picker;
mod options;
mod thread;

use crate::{
    dom,
    icons::Icon,
    live::{Link, live},
    palette::{Command, Palette},
    session::client,
    talk::{Talk, Talks},
    view::words,
};
use leptos::{ev, prelude::*};
use leptos_router::hooks::{use_navigate, use_params_map, use_query_map};
use std::sync::Arc;

/// Where the model of the last conversation is kept.
const LAST_MODEL: &str = "kith.model";

/// The page.
#[component]
pub fn Chat() -> impl IntoView {
    let talks = expect_context::<Talks>();
    let client = client();
    let params = use_params_map();
    let query = use_query_map();
    let navigate = use_navigate();
    let id = Memo::new(move |_| params.with(|params| params.get("id")));
    let listed = RwSignal::new(false);
    // A conversation that has just got its id stays the one that is shown.
    let shown = StoredValue::new(None::<Talk>);
    let talk = Memo::new_with_compare(
        {
            let client = client.clone();
            move |_| {
                let id = id.get();
                let same = shown.get_value().filter(|talk| id.is_some() && talk.id.get_untracked() == id);
                let talk = same.unwrap_or_else(|| match &id {
                    Some(id) => talks.open(&client, id),
                    None => begin(talks, query.with_untracked(|query| query.get("model"))),
                });
                shown.set_value(Some(talk));
                talk
            }
        },
        |one: Option<&Talk>, other: Option<&Talk>| one.map(|talk| talk.id) != other.map(|talk| talk.id),
    );
    let live = live();
    // A conversation without a model takes the first there is.
    Effect::new(move || {
        let talk = talk.get();
        if talk.loading.get() {
            return;
        }
        let first = live.models.with(|models| {
            let models = models.as_ref()?;
            // The one that was used last may have been removed since; one of a provider is in no library.
            let is_here = |name: &String| words::provider(name).is_some() || models.iter().any(|model| model.name == *name);
            let is_new = talk.id.with(Option::is_none);
            let is_good = talk.model.with(|model| model.as_ref().is_some_and(|name| !is_new || is_here(name)));
            models.first().filter(|_| !is_good).map(|model| model.name.clone())
        });
        if first.is_some() {
            talk.model.set(first);
        }
    });
    // What another window or a phone does to it shows here.
    Effect::new({
        let client = client.clone();
        move || {
            let Some(event) = live.talked.get() else { return };
            let told = |name: &str| event.data.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
            let talk = talk.get_untracked();
            let id = talk.id.get_untracked();
            if id.is_some() && told("id") == id && event.kind.ends_with(".changed") && talk.writing.get_untracked().is_none() {
                talk.read(&client);
            }
        }
    });
    Effect::new({
        let client = client.clone();
        move |was_away: Option<bool>| {
            let is_away = matches!(live.link.get(), Link::Offline(_));
            if was_away == Some(true) && !is_away {
                talk.get_untracked().come_back(&client);
            }
            is_away
        }
    });
    let fresh = {
        let navigate = navigate.clone();
        move || {
            listed.set(false);
            navigate("/chat", Default::default());
        }
    };
    expect_context::<Palette>().offer(vec![Command {
        name: "New chat".to_owned(),
        hint: if dom::is_apple() { "⌘ ⇧ O" } else { "Ctrl Shift O" }.to_owned(),
        icon: Icon::Plus,
        act: {
            let navigate = navigate.clone();
            Arc::new(move || navigate("/chat", Default::default()))
        },
    }]);
    let keys = window_event_listener(ev::keydown, {
        let fresh = fresh.clone();
        move |event| {
            if (event.ctrl_key() || event.meta_key()) && event.shift_key() && event.key().eq_ignore_ascii_case("o") {
                event.prevent_default();
                fresh();
            }
        }
    });
    on_cleanup(move || keys.remove());
    view! {
        <div class="chat" class:listed=listed>
            <list::List id listed fresh=Callback::new(move |()| fresh())/>
            <thread::Thread talk=Signal::derive(move || talk.get()) listed/>
        </div>
    }
}

/// A conversation that begins, with the model asked for or the last one used.
fn begin(talks: Talks, model: Option<String>) -> Talk {
    let talk = talks.fresh();
    talk.model.set(model.or_else(|| dom::kept(LAST_MODEL)));
    talk
}

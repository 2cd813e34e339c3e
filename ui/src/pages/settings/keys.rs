//! API keys: the list, a new one shown once, revoking.

use super::read::Read;
use crate::{
    dialog::Dialog,
    dom,
    icons::Icon,
    parts::{CopyButton, Field},
    session::client,
    toast::toasts,
    view::format,
};
use kith_types::{Scope, Timestamp};
use kith_wire::system::{KeyInfo, KeyList, MintKeyRequest, MintedKey};
use leptos::{ev, prelude::*};

const DAY_MS: i64 = 86_400_000;
/// How long a key may live, in days; 0 is for ever.
const LIVES: [(i64, &str); 5] = [(0, "Never"), (7, "In 7 days"), (30, "In 30 days"), (90, "In 90 days"), (365, "In a year")];

/// The keys under their heading.
#[component]
pub fn Keys() -> impl IntoView {
    let read = Read::<KeyList>::begin("/api/v1/auth/keys");
    let making = RwSignal::new(false);
    let revoking = RwSignal::new(None::<KeyInfo>);
    let list = read.view(2, move || {
        move || {
            let keys = read.with(|list| list.keys.clone()).unwrap_or_default();
            if keys.is_empty() {
                return view! { <p class="none">"No keys yet. Programs on other machines need one, those on this device do not."</p> }.into_any();
            }
            let rows = keys.into_iter().map(|key| view! { <KeyRow key_info=key revoking/> }).collect_view();
            view! { <ul class="sets">{rows}</ul> }.into_any()
        }
    });
    view! {
        <section class="group">
            <header>
                <h2>"API keys"</h2>
                <button class="btn small" on:click=move |_| making.set(true)>{Icon::Plus.view()}"New key"</button>
            </header>
            {list}
        </section>
        <NewKey open=making read/>
        <Revoke key_info=revoking read/>
    }
}

#[component]
fn KeyRow(key_info: KeyInfo, revoking: RwSignal<Option<KeyInfo>>) -> impl IntoView {
    let (now, offset) = (dom::now_ms(), dom::utc_offset_minutes());
    let reach = match key_info.scope {
        Scope::Admin => "may change everything",
        Scope::User => "everyday use",
    };
    let used = match key_info.last_used_at_ms {
        Some(at) => format!("used {}", format::ago(at.ms(), now)),
        None => "never used".to_owned(),
    };
    let ends = key_info.expires_at_ms.map(|at| {
        let word = if at.ms() <= now { "ended" } else { "ends" };
        format!(" · {word} {}", format::date(at.ms(), offset))
    });
    let over = key_info.expires_at_ms.is_some_and(|at| at.ms() <= now);
    let made = format::date(key_info.created_at_ms.ms(), offset);
    let name = key_info.name.clone();
    let label = format!("Revoke {name}");
    view! {
        <li class="key" class:over=over>
            <span class="ic">{Icon::Key.view()}</span>
            <div class="what">
                <b><bdi>{name}</bdi></b>
                <small class="num">{format!("{reach} · made {made} · {used}")}{ends}</small>
            </div>
            <div class="how">
                <button class="btn small danger" aria-label=label on:click=move |_| revoking.set(Some(key_info.clone()))>"Revoke"</button>
            </div>
        </li>
    }
}

#[component]
fn NewKey(open: RwSignal<bool>, read: Read<KeyList>) -> impl IntoView {
    let client = StoredValue::new(client());
    let name = RwSignal::new(String::new());
    let admin = RwSignal::new(false);
    let days = RwSignal::new(0i64);
    let busy = RwSignal::new(false);
    let said = RwSignal::new(None::<String>);
    let made = RwSignal::new(None::<MintedKey>);
    Effect::new(move || {
        if open.get() {
            name.set(String::new());
            admin.set(false);
            days.set(0);
            said.set(None);
            made.set(None);
        }
    });
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let life = days.get_untracked();
        let request = MintKeyRequest {
            name: name.get_untracked().trim().to_owned(),
            scope: if admin.get_untracked() { Scope::Admin } else { Scope::User },
            expires_at_ms: (life > 0).then(|| Timestamp::from_ms(dom::now_ms() + life * DAY_MS)),
        };
        let client = client.get_value();
        busy.set(true);
        leptos::task::spawn_local(async move {
            match client.post::<MintedKey>("/api/v1/auth/keys", &request).await {
                Ok(key) => {
                    made.try_set(Some(key));
                    read.again();
                }
                Err(problem) => {
                    said.try_set(Some(problem.to_string()));
                }
            }
            busy.try_set(false);
        });
    };
    let title = Signal::derive(move || if made.with(Option::is_some) { "Copy the key now" } else { "New API key" }.to_owned());
    view! {
        <Dialog open title>
            {move || match made.get() {
                Some(key) => view! {
                    <p>"It is shown this once: Kith keeps only a digest. Whoever has it is let in."</p>
                    <div class="token"><code tabindex="0">{key.token.clone()}</code><CopyButton text=Signal::stored(key.token) name="Copy"/></div>
                    <div class="acts"><button class="btn primary" on:click=move |_| open.set(false)>"Done"</button></div>
                }.into_any(),
                None => view! {
                    <form class="form" on:submit=submit>
                        <Field label="Name" help="What the key is for.">
                            <input type="text" maxlength="64" autocomplete="off" placeholder="Editor on the studio PC" prop:value=name
                                on:input=move |event| { name.set(event_target_value(&event)); said.set(None); }/>
                        </Field>
                        <Field label="May be used for">
                            <select on:change=move |event| admin.set(event_target_value(&event) == "admin")>
                                <option value="user" selected=move || !admin.get()>"Everyday use: prompts, models, reading"</option>
                                <option value="admin" selected=move || admin.get()>"Everything, changes of this node as well"</option>
                            </select>
                        </Field>
                        <Field label="Ends">
                            <select on:change=move |event| days.set(event_target_value(&event).parse().unwrap_or(0))>
                                {LIVES.map(|(life, word)| view! { <option value=life.to_string() selected=move || days.get() == life>{word}</option> })}
                            </select>
                        </Field>
                        {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
                        <div class="acts">
                            <button class="btn" type="button" on:click=move |_| open.set(false)>"Cancel"</button>
                            <button class="btn primary" type="submit" disabled=move || busy.get() || name.with(|name| name.trim().is_empty())>
                                "Make the key"
                            </button>
                        </div>
                    </form>
                }.into_any(),
            }}
        </Dialog>
    }
}

#[component]
fn Revoke(key_info: RwSignal<Option<KeyInfo>>, read: Read<KeyList>) -> impl IntoView {
    let client = StoredValue::new(client());
    let toasts = toasts();
    let open = RwSignal::new(false);
    // Each is set only where it differs: they follow each other.
    Effect::new(move || {
        let asked = key_info.with(Option::is_some);
        if asked && !open.get_untracked() {
            open.set(true);
        }
    });
    Effect::new(move |before: Option<bool>| {
        let now = open.get();
        if before == Some(true) && !now {
            key_info.set(None);
        }
        now
    });
    let revoke = move |_| {
        let Some(key) = key_info.get_untracked() else { return };
        let client = client.get_value();
        open.set(false);
        leptos::task::spawn_local(async move {
            match client.delete(&format!("/api/v1/auth/keys/{}", key.id)).await {
                Ok(()) => toasts.say(format!("{} is revoked.", key.name)),
                Err(problem) => toasts.fail(problem),
            }
            read.again();
        });
    };
    let title =
        Signal::derive(move || key_info.with(|key| key.as_ref().map(|key| format!("Revoke {}?", key.name)).unwrap_or_default()));
    view! {
        <Dialog open title>
            <p>"What uses this key is refused from now on. This cannot be undone."</p>
            <div class="acts">
                <button class="btn" on:click=move |_| open.set(false)>"Cancel"</button>
                <button class="btn danger" on:click=revoke>"Revoke"</button>
            </div>
        </Dialog>
    }
}

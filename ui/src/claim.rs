//! The phone's first page: opened by the code that the node shows, it exchanges the code for a bearer of its own.

use crate::{
    http::{self, Problem},
    icons::Icon,
    parts::Field,
    session::sessions,
    view::devices::{Refusal, guess, refusal},
};
use kith_wire::system::{ClaimRequest, ClaimedDevice};
use leptos::{ev, prelude::*};
use wasm_bindgen::JsValue;

/// Where the code leads.
const PATH: &str = "/pair";
/// The longest name, in characters.
const LONGEST: &str = "64";

/// The code this page was opened with, which leaves the address at once. `None` on every other page; empty where the address holds none.
pub fn take_ticket() -> Option<String> {
    let location = window().location();
    if location.pathname().ok()?.trim_end_matches('/') != PATH {
        return None;
    }
    let ticket = location.hash().ok()?.trim_start_matches('#').to_owned();
    go(PATH);
    Some(ticket)
}

/// Shows another address without loading it.
fn go(path: &str) {
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(path));
    }
}

/// To the first page of those who are let in.
pub fn go_in() {
    go("/app/chat");
}

/// The page.
#[component]
pub fn Claim(ticket: String) -> impl IntoView {
    let ended = RwSignal::new(ticket.is_empty().then_some(Refusal {
        title: "This address holds no code",
        text: "On the computer, open Devices, choose Pair a phone and scan the code with this device.",
    }));
    let ticket = StoredValue::new(ticket);
    view! {
        <main class="gate claim">
            {move || match ended.get() {
                Some(refusal) => view! { <Ended refusal/> }.into_any(),
                None => view! { <Form ticket ended/> }.into_any(),
            }}
        </main>
    }
}

#[component]
fn Form(ticket: StoredValue<String>, ended: RwSignal<Option<Refusal>>) -> impl IntoView {
    let sessions = sessions();
    let navigator = window().navigator();
    let has_fingers = navigator.max_touch_points() > 1;
    let (guessed, kind) = guess(&navigator.user_agent().unwrap_or_default(), has_fingers);
    let name = RwSignal::new(guessed);
    let busy = RwSignal::new(false);
    let said = RwSignal::new(None::<String>);
    let host = window().location().hostname().unwrap_or_default();
    let pair = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let name = name.get_untracked().trim().to_owned();
        if busy.get_untracked() || name.is_empty() {
            return;
        }
        busy.set(true);
        said.set(None);
        leptos::task::spawn_local(async move {
            let claim = ClaimRequest { ticket: ticket.get_value(), name, kind };
            match http::open_post::<ClaimedDevice>("/api/v1/devices/pair/claim", &claim).await {
                Ok(claimed) => {
                    go_in();
                    sessions.enter(claimed.token).await;
                    return;
                }
                Err(problem) => {
                    let refused = match &problem {
                        Problem::Refused { status, code, .. } => refusal(*status, code),
                        _ => None,
                    };
                    match refused {
                        Some(refused) => ended.set(Some(refused)),
                        None => said.set(Some(told(&problem))),
                    }
                }
            }
            busy.try_set(false);
        });
    };
    view! {
        <form on:submit=pair>
            <img src="/favicon.ico" alt="" width="56" height="56"/>
            <div>
                <h1>"Pair with Kith"</h1>
                <p>"This device will use the models on "<span class="num host">{host}</span>" over your own network."</p>
            </div>
            <Field label="Name of this device" help="So that you recognise it in the list of devices.">
                <input maxlength=LONGEST autocomplete="off" enterkeyhint="go" prop:value=name on:input=move |event| name.set(event_target_value(&event))/>
            </Field>
            {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
            <button class="btn primary" type="submit" disabled=move || busy.get() || name.with(|name| name.trim().is_empty())>
                {move || if busy.get() { "Pairing" } else { "Pair" }}
            </button>
            <p class="note">
                {Icon::Shield.view()}
                "The certificate that this browser warned about, or shows beside the address, should begin with the same digits as on the other screen."
            </p>
        </form>
    }
}

/// The code does not let in.
#[component]
fn Ended(refusal: Refusal) -> impl IntoView {
    view! {
        <div class="empty" role="alert">
            <span class="ic">{Icon::Phone.view()}</span>
            <h1>{refusal.title}</h1>
            <p>{refusal.text}</p>
        </div>
    }
}

fn told(problem: &Problem) -> String {
    match problem {
        Problem::Offline => "The computer cannot be reached. Check that both are on the same network.".to_owned(),
        problem => problem.to_string(),
    }
}

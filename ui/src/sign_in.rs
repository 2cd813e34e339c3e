//! For those who are not let in yet: the password, or how the window is opened with a ticket.

use crate::{http::Problem, parts::Field, session::sessions, shell, view::words};
use leptos::{ev, prelude::*};

/// The page.
#[component]
pub fn SignIn(why: Option<Problem>) -> impl IntoView {
    let sessions = sessions();
    let password = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let said = RwSignal::new(why.map(|problem| told(&problem)));
    // In the app the window is let in anew by itself; the password is for browsers.
    if shell::is_here() {
        leptos::task::spawn_local(async move {
            if let Err(error) = shell::enter_again().await {
                said.try_set(Some(words::sentence(&error)));
            }
        });
    }
    let enter = move |event: ev::SubmitEvent| {
        event.prevent_default();
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        leptos::task::spawn_local(async move {
            if let Err(problem) = sessions.log_in(password.get_untracked()).await {
                said.set(Some(told(&problem)));
                busy.set(false);
            }
        });
    };
    view! {
        <main class="gate">
            <form on:submit=enter>
                <img src="/favicon.ico" alt="" width="56" height="56"/>
                <h1>"Open Kith"</h1>
                <p>"Open this window from the Kith app, or with "<code>"kith open"</code>" in a terminal: it signs you in by itself."</p>
                <Field label="Or enter the window's password">
                    <input type="password" autocomplete="current-password" prop:value=password
                        on:input=move |event| password.set(event_target_value(&event))/>
                </Field>
                {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
                <button class="btn primary" type="submit" disabled=move || busy.get() || password.with(String::is_empty)>"Sign in"</button>
            </form>
        </main>
    }
}

fn told(problem: &Problem) -> String {
    match problem {
        Problem::Unauthorised => "You were signed out. Open the window again to go on.".to_owned(),
        Problem::Refused { status: 401, .. } => {
            "That did not work: a wrong password, or a ticket that was used or has expired.".to_owned()
        }
        problem => problem.to_string(),
    }
}

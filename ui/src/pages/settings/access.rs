//! Who may ask: the window's password, this window's session, and the rules.

use super::{config::Groups, keys::Keys, row::Group};
use crate::{
    dialog::Dialog,
    http::Problem,
    icons::Icon,
    parts::Field,
    session::{client, sessions},
    toast::toasts,
    view::settings::Part,
};
use kith_wire::system::SetPasswordRequest;
use leptos::{ev, prelude::*};

/// The page.
#[component]
pub fn Access() -> impl IntoView {
    let password = RwSignal::new(false);
    let leaving = RwSignal::new(false);
    let is_admin = client().is_admin();
    let lasts = if is_admin {
        "A session ends by itself 24 hours after it began. The app begins a new one whenever it opens the window."
    } else {
        "This device is paired, until it is revoked on the computer. Signed out, it must be paired again."
    };
    view! {
        {is_admin.then(|| view! { <Keys/> })}
        <Group name="This window">
            {is_admin.then(|| view! {
                <li>
                    <div class="what">
                        <b>"Window password"</b>
                        <small>"To sign in from a browser, without the app. It is never shown."</small>
                    </div>
                    <div class="how"><button class="btn" on:click=move |_| password.set(true)>{Icon::Lock.view()}"Set password"</button></div>
                </li>
            })}
            <li>
                <div class="what">
                    <b>"Signed in"</b>
                    <small>{lasts}</small>
                </div>
                <div class="how"><button class="btn" on:click=move |_| leaving.set(true)>"Sign out"</button></div>
            </li>
        </Group>
        <Groups part=Part::Access/>
        <Password open=password/>
        <Leave open=leaving/>
    }
}

/// Sets a password.
#[component]
fn Password(open: RwSignal<bool>) -> impl IntoView {
    let toasts = toasts();
    let client = StoredValue::new(client());
    let (first, again) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let said = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let password = first.get_untracked();
        if password != again.get_untracked() {
            return said.set(Some("The two do not match.".to_owned()));
        }
        busy.set(true);
        let client = client.get_value();
        leptos::task::spawn_local(async move {
            match client.send("POST", "/api/v1/auth/admin/set-password", Some(&SetPasswordRequest { password })).await {
                Ok(()) => {
                    open.try_set(false);
                    toasts.say("The password is set.");
                }
                Err(problem) => {
                    said.try_set(Some(problem.to_string()));
                }
            }
            busy.try_set(false);
        });
    };
    Effect::new(move || {
        if open.get() {
            first.set(String::new());
            again.set(String::new());
            said.set(None);
        }
    });
    let typed = move |into: RwSignal<String>| {
        move |event: ev::Event| {
            into.set(event_target_value(&event));
            said.set(None);
        }
    };
    view! {
        <Dialog open title="Set the window's password">
            <form class="form" on:submit=submit>
                <p>"Whoever signed in with an earlier password is signed out."</p>
                <Field label="New password">
                    <input type="password" autocomplete="new-password" prop:value=first on:input=typed(first)/>
                </Field>
                <Field label="Once more">
                    <input type="password" autocomplete="new-password" prop:value=again on:input=typed(again)/>
                </Field>
                {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
                <div class="acts">
                    <button class="btn" type="button" on:click=move |_| open.set(false)>"Cancel"</button>
                    <button class="btn primary" type="submit" disabled=move || busy.get() || first.with(String::is_empty)>"Set password"</button>
                </div>
            </form>
        </Dialog>
    }
}

/// Ends the session, once confirmed.
#[component]
fn Leave(open: RwSignal<bool>) -> impl IntoView {
    let toasts = toasts();
    let sessions = sessions();
    let client = StoredValue::new(client());
    let leave = move |_| {
        let client = client.get_value();
        leptos::task::spawn_local(async move {
            match client.send("POST", "/api/v1/auth/logout", None::<&()>).await {
                Ok(()) | Err(Problem::Unauthorised) => sessions.leave(None),
                Err(problem) => toasts.fail(problem),
            }
        });
    };
    view! {
        <Dialog open title="Sign out of this window?">
            <p>"Downloads and answers go on. To come back, open the window from the app, or sign in with the window's password."</p>
            <div class="acts">
                <button class="btn" on:click=move |_| open.set(false)>"Cancel"</button>
                <button class="btn primary" on:click=leave>"Sign out"</button>
            </div>
        </Dialog>
    }
}

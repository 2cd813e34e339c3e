//! Another name for this node or a paired device.

use super::Known;
use crate::{dialog::Dialog, live::live, parts::Field, session::client};
use kith_wire::system::{RenameDevice, RenamedDevice};
use leptos::{ev, html, prelude::*};

/// The longest name, in characters.
const LONGEST: &str = "64";

/// The dialog; it is open while `what` holds an id and a name.
#[component]
pub fn Rename(known: Known, what: RwSignal<Option<(String, String)>>) -> impl IntoView {
    let (client, live) = (client(), live());
    let open = RwSignal::new(false);
    let busy = RwSignal::new(false);
    let name = RwSignal::new(String::new());
    let said = RwSignal::new(None::<String>);
    Effect::new(move || {
        let shown = what.get();
        if open.get_untracked() != shown.is_some() {
            open.set(shown.is_some());
        }
        if let Some((_, now)) = shown {
            name.set(now);
            said.set(None);
        }
    });
    Effect::new(move || {
        // Set only where it changes something: what is set tells those who set this.
        if !open.get() && what.with_untracked(Option::is_some) {
            what.set(None);
        }
    });
    let input = NodeRef::<html::Input>::new();
    Effect::new(move || {
        if let Some(input) = input.get() {
            request_animation_frame(move || input.select());
        }
    });
    let save = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let (Some((id, _)), name) = (what.get_untracked(), name.get_untracked().trim().to_owned()) else { return };
        if busy.get_untracked() || name.is_empty() {
            return;
        }
        busy.set(true);
        let client = client.clone();
        leptos::task::spawn_local(async move {
            let is_this =
                known.list.try_with_untracked(|list| list.as_ref().is_some_and(|list| list.node.id == id)) == Some(true);
            let renamed = if is_this {
                live.call_this(&client, &name).await.map(|_| ())
            } else {
                let path = format!("/api/v1/devices/{}", js_sys::encode_uri_component(&id));
                client.call::<RenamedDevice>("PATCH", &path, &RenameDevice { name }).await.map(|_| ())
            };
            match renamed {
                Ok(()) => {
                    open.try_set(false);
                    known.read(&client);
                }
                Err(problem) => {
                    said.try_set(Some(problem.to_string()));
                }
            }
            busy.try_set(false);
        });
    };
    view! {
        <Dialog open title="Rename">
            <form class="rename" on:submit=save.clone()>
                <Field label="Name">
                    <input node_ref=input maxlength=LONGEST autocomplete="off" prop:value=name aria-invalid=move || said.with(Option::is_some).to_string()
                        on:input=move |event| name.set(event_target_value(&event))/>
                </Field>
                {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
                <div class="acts">
                    <button class="btn" type="button" on:click=move |_| open.set(false)>"Cancel"</button>
                    <button class="btn primary" type="submit" disabled=move || busy.get() || name.with(|name| name.trim().is_empty())>"Save"</button>
                </div>
            </form>
        </Dialog>
    }
}

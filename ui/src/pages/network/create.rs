//! A new network, founded by this node.

use super::store::Net;
use crate::{live::live, parts::Field};
use kith_wire::networks::{CreateNetwork, NetworkInfo};
use leptos::{ev, html, prelude::*};

/// The longest name, in characters.
pub const LONGEST: &str = "64";

/// The form.
#[component]
pub fn Create(net: Net) -> impl IntoView {
    let live = live();
    let name = RwSignal::new(String::new());
    let device = RwSignal::new(live.name.get_untracked());
    let busy = RwSignal::new(false);
    let said = RwSignal::new(None::<String>);
    let input = NodeRef::<html::Input>::new();
    focus(input);
    let create = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let wanted = name.get_untracked().trim().to_owned();
        if busy.get_untracked() || wanted.is_empty() {
            return;
        }
        busy.set(true);
        let device_name = Some(device.get_untracked().trim().to_owned()).filter(|name| !name.is_empty());
        leptos::task::spawn_local(async move {
            let body = CreateNetwork { name: wanted, device_name, connect: true };
            match net.note(net.client().post::<NetworkInfo>("/api/v1/networks/create", &body).await) {
                Ok(made) => {
                    net.close();
                    net.toasts.say(format!("{} is there. Invite your other devices now.", made.name));
                }
                Err(problem) => {
                    said.try_set(Some(problem.to_string()));
                }
            }
            busy.try_set(false);
            net.again();
        });
    };
    view! {
        <form class="form" on:submit=create>
            <p>"This device founds it and may let others in. Nobody enters without an invite, and what goes between your devices cannot be read on its way."</p>
            <Field label="Name of the network">
                <input node_ref=input maxlength=LONGEST autocomplete="off" placeholder="Home" prop:value=name
                    on:input=move |event| name.set(event_target_value(&event))/>
            </Field>
            <Field label="This device is called">
                <input maxlength=LONGEST autocomplete="off" prop:value=device on:input=move |event| device.set(event_target_value(&event))/>
            </Field>
            {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
            <div class="acts">
                <button class="btn" type="button" on:click=move |_| net.close()>"Cancel"</button>
                <button class="btn primary" type="submit" disabled=move || busy.get() || name.with(|name| name.trim().is_empty())>
                    {move || if busy.get() { "Creating" } else { "Create" }}
                </button>
            </div>
        </form>
    }
}

/// Gives a field the focus once it is there.
pub fn focus(input: NodeRef<html::Input>) {
    Effect::new(move || {
        if let Some(input) = input.get() {
            request_animation_frame(move || {
                let _ = input.focus();
            });
        }
    });
}

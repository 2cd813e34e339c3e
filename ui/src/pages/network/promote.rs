//! A member that may let in others from now on.

use super::store::Net;
use leptos::prelude::*;

/// The question.
#[component]
pub fn Promote(net: Net, id: String, name: String) -> impl IntoView {
    let busy = RwSignal::new(false);
    let said = RwSignal::new(None::<String>);
    let who = name.clone();
    let promote = move |_| {
        let Some(network) = net.id() else { return };
        let path = format!(
            "/api/v1/networks/{}/members/{}/promote",
            js_sys::encode_uri_component(&network),
            js_sys::encode_uri_component(&id)
        );
        let name = name.clone();
        busy.set(true);
        leptos::task::spawn_local(async move {
            match net.note(net.client().send("POST", &path, Some(&serde_json::json!({}))).await) {
                Ok(()) => {
                    net.close();
                    net.toasts.say(format!("{name} is an admin now. It learns of it when the two devices next meet."));
                }
                Err(problem) => drop(said.try_set(Some(problem.to_string()))),
            }
            busy.try_set(false);
            net.again();
        });
    };
    view! {
        <p>{format!("{who} may then invite devices, remove them and change the key, as this one may. It cannot be taken back other than by removing the device and inviting it again.")}</p>
        {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
        <div class="acts">
            <button class="btn" on:click=move |_| net.close()>"Cancel"</button>
            <button class="btn primary" disabled=busy on:click=promote>"Make it an admin"</button>
        </div>
    }
}

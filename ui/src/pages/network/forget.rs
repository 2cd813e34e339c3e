//! A saved network away, after a word of what that means.

use super::store::Net;
use leptos::prelude::*;

/// The question.
#[component]
pub fn Forget(net: Net, id: String, name: String) -> impl IntoView {
    let busy = RwSignal::new(false);
    let said = RwSignal::new(None::<String>);
    let of = |id: &str| net.list.with_untracked(|list| list.as_ref()?.networks.iter().find(|one| one.id == id).cloned());
    let network = of(&id);
    let is_alone = network.as_ref().is_some_and(|network| network.member_count <= 1);
    let has_members = network.as_ref().is_some_and(|network| network.member_count > 1 && network.state != "removed");
    let forget = move |_| {
        let (path, name) = (format!("/api/v1/networks/{}", js_sys::encode_uri_component(&id)), name.clone());
        busy.set(true);
        leptos::task::spawn_local(async move {
            match net.note(net.client().delete(&path).await) {
                Ok(()) => {
                    net.close();
                    net.toasts.say(format!("{name} is forgotten here."));
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
        <p>"Its key, what is known of its devices, and your invites into it are erased from this device. To come back, this device needs a new invite."</p>
        {is_alone.then(|| view! { <p><b>"No other device is in it, so the network itself is gone with that."</b></p> })}
        {has_members.then(|| view! { <p>"The other devices stay connected with each other. They still list this one until one of them removes it."</p> })}
        {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
        <div class="acts">
            <button class="btn" on:click=move |_| net.close()>"Cancel"</button>
            <button class="btn danger" disabled=move || busy.get() on:click=forget>"Forget"</button>
        </div>
    }
}

//! The listener that paired devices use: whether it is on, where, with which certificate, and its pause.

use super::Known;
use crate::{
    icons::Icon,
    parts::CopyButton,
    session::client,
    toast::toasts,
    view::devices::{self, Sharing as State},
};
use kith_wire::system::{DeviceListener, ListenerChange};
use leptos::prelude::*;

/// The rows.
#[component]
pub fn Sharing(known: Known) -> impl IntoView {
    let (client, toasts) = (client(), toasts());
    let is_admin = client.is_admin();
    let busy = RwSignal::new(false);
    let listener =
        Memo::new(move |_| known.list.with(|list| list.as_ref().map(|list| list.listener.clone()).unwrap_or_default()));
    let state = Memo::new(move |_| listener.with(State::of));
    let print = Memo::new(move |_| listener.with(|listener| listener.fingerprint.clone()));
    let pause = move |_| {
        let client = client.clone();
        let change = ListenerChange { paused: !listener.with_untracked(|listener| listener.paused) };
        busy.set(true);
        leptos::task::spawn_local(async move {
            match client.post::<DeviceListener>("/api/v1/devices/listener", &change).await {
                Ok(now) => {
                    known.list.try_update(|list| {
                        if let Some(list) = list {
                            list.listener = now;
                        }
                    });
                }
                Err(problem) => toasts.fail(problem),
            }
            busy.try_set(false);
        });
    };
    view! {
        <section aria-labelledby="sharing">
            <h2 id="sharing">"Sharing"</h2>
            <ul class="rows sharing">
                <li class:broken=move || state.get() == State::Broken>
                    <span class="ic">{Icon::Cloud.view()}</span>
                    <div>
                        <b>
                            <span class="dot" class:away=move || matches!(state.get(), State::Off | State::Paused) class:bad=move || state.get() == State::Broken></span>
                            {move || state.get().name()}
                        </b>
                        <small class="num">{move || listener.with(devices::means)}</small>
                    </div>
                    {is_admin.then(|| view! {
                        <button class="btn small" disabled=move || busy.get() on:click=pause>
                            {move || if state.get() == State::Paused { "Resume" } else { "Pause" }}
                        </button>
                    })}
                </li>
                {move || print.get().map(|print| view! {
                    <li>
                        <span class="ic">{Icon::Shield.view()}</span>
                        <div>
                            <b>"Certificate "<code>{print.short}</code></b>
                            <small>"A device shows this one when it connects. The first digits of its SHA-256 are enough to compare."</small>
                        </div>
                        <CopyButton text=Signal::stored(print.sha256) name="Copy"/>
                    </li>
                })}
            </ul>
        </section>
    }
}

//! This node, the devices paired with it, how another one is paired, and the nodes of the network.

mod list;
mod network;
mod pairing;
mod rename;
mod sharing;

use crate::{
    dom,
    http::{Client, Problem},
    icons::Icon,
    live::{Link, live},
    parts::{Failed, Show, Skeleton},
    session::{Sessions, client, sessions},
    view::devices,
};
use kith_wire::system::DeviceList;
use leptos::prelude::*;
use std::time::Duration;

/// How often the list is read while somebody looks: no event tells that a device went away.
const AGAIN: Duration = Duration::from_secs(30);

/// The list as it was last read.
#[derive(Clone, Copy)]
struct Known {
    list: RwSignal<Option<DeviceList>>,
    /// Why it could not be read, while nothing is known.
    problem: RwSignal<Option<Problem>>,
    /// When it was read.
    now: RwSignal<i64>,
    sessions: Sessions,
}

impl Known {
    fn read(self, client: &Client) {
        let client = client.clone();
        let sessions = self.sessions;
        leptos::task::spawn_local(async move {
            match sessions.note(client.get::<DeviceList>("/api/v1/devices").await) {
                Ok(list) => {
                    self.now.try_set(dom::now_ms());
                    self.problem.try_set(None);
                    self.list.try_set(Some(list));
                }
                // What is known stays on the page while the node is away.
                Err(problem) => {
                    self.problem.try_set(Some(problem));
                }
            }
        });
    }
}

/// The page.
#[component]
pub fn Devices() -> impl IntoView {
    let (client, live) = (client(), live());
    let known = Known {
        list: RwSignal::new(None),
        problem: RwSignal::new(None),
        now: RwSignal::new(dom::now_ms()),
        sessions: sessions(),
    };
    let pairing = pairing::Pairing::new(known);
    known.read(&client);
    let is_admin = client.is_admin();
    if is_admin {
        pairing.read(&client);
    }
    let newest = Memo::new(move |_| {
        let is_ours = |event: &&kith_wire::system::Envelope| event.kind.starts_with("device.");
        live.events.with(|events| events.iter().find(is_ours).map(|event| event.id))
    });
    {
        let client = client.clone();
        Effect::new(move |before: Option<Option<u64>>| {
            let newest = newest.get();
            if before.is_some_and(|before| before != newest) {
                known.read(&client);
                if is_admin {
                    pairing.read(&client);
                }
            }
            newest
        });
    }
    let every = {
        let client = client.clone();
        set_interval_with_handle(
            move || {
                if dom::is_visible() {
                    known.read(&client);
                }
            },
            AGAIN,
        )
    };
    if let Ok(every) = every {
        on_cleanup(move || every.clear());
    }
    let headline = move || {
        let told = |list: &DeviceList| devices::headline(&list.devices, is_admin);
        known.list.with(|list| list.as_ref().map(told))
    };
    let is_known = Memo::new(move |_| known.list.with(Option::is_some));
    let is_old = move || matches!(live.link.get(), Link::Offline(_));
    let is_paused = move || known.list.with(|list| list.as_ref().is_some_and(|list| list.listener.paused));
    let invite = {
        let client = client.clone();
        move |_| pairing.invite(&client)
    };
    view! {
        <div class="page devices" class:old=is_old>
            <header>
                <div>
                    <h1>"Devices"</h1>
                    <p>{headline}</p>
                </div>
                <Show when=move || is_admin && is_known.get() && !pairing.is_shown()>
                    <button class="btn primary" disabled=move || pairing.busy.get() || is_paused() || is_old() on:click=invite.clone()
                        title=move || is_paused().then_some("Resume sharing first")>
                        {Icon::Phone.view()}"Pair a phone"
                    </button>
                </Show>
            </header>
            {move || match (is_known.get(), known.problem.get()) {
                (true, _) => view! {
                    <div class="split" class:pairing=move || pairing.is_shown()>
                        <div>
                            <list::List known/>
                            <network::InNetwork/>
                            <sharing::Sharing known/>
                        </div>
                        <Show when=move || pairing.is_shown()><pairing::Panel pairing/></Show>
                    </div>
                }.into_any(),
                (false, Some(problem)) => {
                    let client = client.clone();
                    let again = move |()| { known.problem.set(None); known.read(&client); };
                    view! { <Failed problem retry=again/> }.into_any()
                }
                (false, None) => view! { <Skeleton rows=3/> }.into_any(),
            }}
        </div>
    }
}

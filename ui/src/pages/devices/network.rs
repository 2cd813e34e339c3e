//! The other nodes of the network, below the paired devices, and the way to the page of networks.

use crate::{
    dom,
    icons::Icon,
    live::live,
    parts::Show,
    session::client,
    view::network::{self, Device, Way},
};
use kith_wire::networks::{NetworkList, NodeList};
use leptos::prelude::*;
use leptos_router::components::A;
use std::time::Duration;

/// How often it is read while somebody looks.
const AGAIN: Duration = Duration::from_secs(15);
/// How many rows there are at most; the page of networks has them all.
const MOST: usize = 6;

/// The section. It says nothing while it does not know.
#[component]
pub fn InNetwork() -> impl IntoView {
    let (client, live) = (client(), live());
    let list = RwSignal::new(None::<NetworkList>);
    let nodes = RwSignal::new(Vec::<Device>::new());
    let now = RwSignal::new(dom::now_ms());
    let read = move || {
        let client = client.clone();
        leptos::task::spawn_local(async move {
            let Ok(known) = client.get::<NetworkList>("/api/v1/networks").await else { return };
            if known.active.is_some()
                && let Ok(list) = client.get::<NodeList>("/api/v1/nodes").await
            {
                let mut others = network::devices(&[], &list.nodes, None);
                others.retain(|device| device.way != Way::Here);
                nodes.try_set(others);
            }
            now.try_set(dom::now_ms());
            list.try_set(Some(known));
        });
    };
    let newest = Memo::new(move |_| {
        live.events.with(|events| events.iter().find(|event| event.kind.starts_with("network.")).map(|event| event.id))
    });
    Effect::new({
        let read = read.clone();
        move || {
            newest.track();
            read();
        }
    });
    let every = set_interval_with_handle(
        move || {
            if dom::is_visible() {
                read();
            }
        },
        AGAIN,
    );
    if let Ok(every) = every {
        on_cleanup(move || every.clear());
    }
    let name = Memo::new(move |_| list.with(|list| network::active(list.as_ref()?).map(|network| network.name.clone())));
    let means = move || {
        list.with(|list| {
            let list = list.as_ref()?;
            Some(match network::active(list) {
                Some(active) => (network::Standing::of(active).name().to_owned(), network::about(active)),
                None => {
                    (String::new(), "Join your machines: they see each other and share models, on the way encrypted.".to_owned())
                }
            })
        })
    };
    let is_on =
        move || list.with(|list| list.as_ref().and_then(network::active).is_some_and(|active| active.state == "connected"));
    let shown = move || nodes.with(|nodes| nodes.iter().take(MOST).cloned().collect::<Vec<_>>());
    let row = move |device: Device| {
        let icon = if device.is_phone() { Icon::Phone } else { Icon::Laptop };
        let is_away = device.way == Way::Away;
        view! {
            <li>
                <span class="ic">{icon.view()}</span>
                <div><b>{device.name.clone()}</b><small class="num">{device.machine()}</small></div>
                <span class="state num"><span class="dot" class:away=is_away></span>{device.state(now.get())}</span>
                <span class="stat num">{device.node.as_ref().map(|node| format!("Kith {}", node.version))}</span>
            </li>
        }
    };
    view! {
        <Show when=move || list.with(Option::is_some)>
            <section aria-labelledby="in-network">
                <h2 id="in-network">{move || name.get().map_or_else(|| "Network".to_owned(), |name| format!("In the network {name}"))}</h2>
                <ul class="rows fleet nodes">
                    {move || shown().into_iter().map(row).collect_view()}
                    <li class="way">
                        <A href="/app/network">
                            <span class="ic">{Icon::Network.view()}</span>
                            <div>
                                <b>{move || if name.with(Option::is_some) { "Network" } else { "Create or join a network" }}</b>
                                <small class="num">{move || means().map(|means| means.1)}</small>
                            </div>
                            <span class="state">
                                {move || means().filter(|means| !means.0.is_empty()).map(|means| view! {
                                    <span class="dot" class:away=move || !is_on()></span>{means.0}
                                })}
                            </span>
                            {Icon::ChevronRight.view()}
                        </A>
                    </li>
                </ul>
            </section>
        </Show>
    }
}

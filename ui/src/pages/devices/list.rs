//! The rows: this node first, then the paired devices.

use super::{Known, rename::Rename};
use crate::{
    dialog::Dialog,
    dom,
    icons::Icon,
    parts::{For, Menu, MenuItem, Show},
    session::client,
    toast::toasts,
    view::devices,
};
use kith_types::DeviceKind;
use kith_wire::system::{DeviceInfo, DeviceList};
use leptos::prelude::*;

/// The list, and the dialogs its menus open.
#[component]
pub fn List(known: Known) -> impl IntoView {
    let is_admin = client().is_admin();
    let renaming = RwSignal::new(None::<(String, String)>);
    let revoking = RwSignal::new(None::<(String, String)>);
    let ids = Memo::new(move |_| {
        let ids = |list: &DeviceList| list.devices.iter().map(|device| device.id.clone()).collect::<Vec<_>>();
        known.list.with(|list| list.as_ref().map(ids).unwrap_or_default())
    });
    view! {
        <section aria-labelledby="devices">
            <h2 id="devices">"Your devices"</h2>
            <ul class="rows fleet">
                <This known renaming/>
                <For each=move || ids.get() key=Clone::clone let:id>
                    <Paired id known renaming revoking/>
                </For>
                <Show when=move || is_admin && ids.with(Vec::is_empty)>
                    <li class="hint">
                        <span class="ic">{Icon::Phone.view()}</span>
                        <div>
                            <b>"No phone yet"</b>
                            <small>"Choose Pair a phone and scan the code: the phone opens this window in its browser. Nothing leaves your network."</small>
                        </div>
                    </li>
                </Show>
            </ul>
        </section>
        <Rename known what=renaming/>
        <Revoke known what=revoking/>
    }
}

/// The row of this node.
#[component]
fn This(known: Known, renaming: RwSignal<Option<(String, String)>>) -> impl IntoView {
    let node = Memo::new(move |_| known.list.with(|list| list.as_ref().map(|list| list.node.clone())));
    let of = move |tell: fn(&kith_wire::system::ThisNode) -> String| move || node.with(|node| node.as_ref().map(tell));
    let is_admin = client().is_admin();
    let rename = move |()| renaming.set(node.get_untracked().map(|node| (node.id, node.name)));
    view! {
        <li>
            <span class="ic">{Icon::Laptop.view()}</span>
            <div>
                <b>{of(|node| node.name.clone())}<span class="tag">{if is_admin { "this device" } else { "answers" }}</span></b>
                <small class="num">{of(devices::machine)}</small>
            </div>
            <span class="state num"><span class="dot"></span>{of(devices::running)}</span>
            <span class="stat num" title=of(|node| node.arch.clone())>{of(|node| format!("Kith {}", node.version))}</span>
            {is_admin.then(|| view! {
                <Menu label="More for this device">
                    <MenuItem icon=Icon::Edit name="Rename" act=rename/>
                </Menu>
            })}
        </li>
    }
}

/// The row of a paired device.
#[component]
fn Paired(
    id: String,
    known: Known,
    renaming: RwSignal<Option<(String, String)>>,
    revoking: RwSignal<Option<(String, String)>>,
) -> impl IntoView {
    let device =
        Memo::new(move |_| known.list.with(|list| list.as_ref()?.devices.iter().find(|device| device.id == id).cloned()));
    let of = move |tell: fn(&DeviceInfo) -> String| move || device.with(|device| device.as_ref().map(tell));
    let kind = device.with_untracked(|device| device.as_ref().map(|device| device.kind)).unwrap_or_default();
    let came = move || {
        device.with(|device| device.as_ref().map(|device| devices::came(device, known.now.get(), dom::utc_offset_minutes())))
    };
    let seen = move || device.with(|device| device.as_ref().map(|device| devices::seen(device, known.now.get())));
    let is_away = move || device.with(|device| device.as_ref().is_none_or(|device| !device.online));
    let this = move || device.get_untracked().map(|device| (device.id, device.name));
    let is_admin = client().is_admin();
    let label = of(|device| format!("More for {}", device.name))().unwrap_or_default();
    view! {
        <li>
            <span class="ic">{icon(kind).view()}</span>
            <div><b>{of(|device| device.name.clone())}</b><small class="num">{came}</small></div>
            <span class="state num"><span class="dot" class:away=is_away></span>{seen}</span>
            <span class="stat">{kind_name(kind)}</span>
            {is_admin.then(|| view! {
                <Menu label=label>
                    <MenuItem icon=Icon::Edit name="Rename" act=move |()| renaming.set(this())/>
                    <MenuItem icon=Icon::Trash name="Revoke" danger=true act=move |()| revoking.set(this())/>
                </Menu>
            })}
        </li>
    }
}

const fn icon(kind: DeviceKind) -> Icon {
    match kind {
        DeviceKind::Phone | DeviceKind::Tablet => Icon::Phone,
        DeviceKind::Computer => Icon::Laptop,
        DeviceKind::Other => Icon::Devices,
    }
}

const fn kind_name(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Phone => "phone",
        DeviceKind::Tablet => "tablet",
        DeviceKind::Computer => "computer",
        DeviceKind::Other => "",
    }
}

/// Asks before a device is put out.
#[component]
fn Revoke(known: Known, what: RwSignal<Option<(String, String)>>) -> impl IntoView {
    let (client, toasts) = (client(), toasts());
    let open = RwSignal::new(false);
    let busy = RwSignal::new(false);
    Effect::new(move || {
        let shown = what.with(Option::is_some);
        if open.get_untracked() != shown {
            open.set(shown);
        }
    });
    let name = move || what.get().map(|(_, name)| name).unwrap_or_default();
    let last = StoredValue::new(String::new());
    // The dialog's name stays while it closes.
    let title = Signal::derive(move || {
        if what.with(Option::is_some) {
            last.set_value(name());
        }
        format!("Revoke {}", last.get_value())
    });
    Effect::new(move || {
        // Set only where it changes something: what is set tells those who set this.
        if !open.get() && what.with_untracked(Option::is_some) {
            what.set(None);
        }
    });
    let revoke = move |_| {
        let Some((id, name)) = what.get_untracked() else { return };
        let client = client.clone();
        busy.set(true);
        leptos::task::spawn_local(async move {
            match client.delete(&format!("/api/v1/devices/{}", js_sys::encode_uri_component(&id))).await {
                Ok(()) => {
                    toasts.say(format!("{name} was revoked."));
                    open.try_set(false);
                }
                Err(problem) => toasts.fail(problem),
            }
            busy.try_set(false);
            known.read(&client);
        });
    };
    view! {
        <Dialog open title=title>
            <p>"It is signed out at once, and what it has open ends. Its conversations stay on this device. To come back it must be paired again."</p>
            <div class="acts">
                <button class="btn" on:click=move |_| open.set(false)>"Cancel"</button>
                <button class="btn danger" disabled=move || busy.get() on:click=revoke.clone()>"Revoke"</button>
            </div>
        </Dialog>
    }
}

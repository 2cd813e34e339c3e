//! An invite: for how many, for how long, as what; then its code to scan, copy or save, and who came in by it.

use super::{ask::Ask, store::Net};
use crate::{
    dom,
    icons::Icon,
    parts::{CopyButton, Field, Skeleton},
    view::network,
};
use kith_wire::networks::{InviteStage, NetworkInvite, NewInvite};
use leptos::{ev, prelude::*};

/// For how many devices.
const USES: [(u64, &str); 4] = [(1, "One device"), (5, "Up to 5 devices"), (20, "Up to 20 devices"), (200, "Up to 200 devices")];
/// For how long, in seconds.
const LIVES: [(u64, &str); 4] = [(3_600, "An hour"), (86_400, "A day"), (604_800, "A week"), (2_592_000, "30 days")];

/// The form, then the code.
#[component]
pub fn Invite(net: Net) -> impl IntoView {
    let uses = RwSignal::new(1u64);
    let life = RwSignal::new(86_400u64);
    let is_admin = RwSignal::new(false);
    let label = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let said = RwSignal::new(None::<String>);
    let made = RwSignal::new(None::<NetworkInvite>);
    let order = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let Some(id) = net.id() else { return };
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        said.set(None);
        let body = NewInvite {
            label: label.get_untracked().trim().to_owned(),
            uses: Some(uses.get_untracked()),
            expires_in_s: Some(life.get_untracked()),
            role: Some(if is_admin.get_untracked() { "admin" } else { "member" }.to_owned()),
            for_node: None,
        };
        leptos::task::spawn_local(async move {
            let path = format!("/api/v1/networks/{}/invites", js_sys::encode_uri_component(&id));
            match net.note(net.client().post::<NetworkInvite>(&path, &body).await) {
                Ok(invite) => drop(made.try_set(Some(invite))),
                Err(problem) => drop(said.try_set(Some(problem.to_string()))),
            }
            busy.try_set(false);
            net.again();
        });
    };
    let pick = |from: [(u64, &'static str); 4], to: RwSignal<u64>, name: &'static str| {
        view! {
            <Field label=name>
                <select on:change=move |event| to.set(event_target_value(&event).parse().unwrap_or(1))>
                    {from.map(|(value, name)| view! { <option value=value.to_string() selected=value == to.get_untracked()>{name}</option> })}
                </select>
            </Field>
        }
    };
    view! {
        {move || match made.get() {
            Some(invite) => view! { <Code net invite/> }.into_any(),
            None if net.list.with(Option::is_none) => view! { <Skeleton rows=2/> }.into_any(),
            None if !net.may_invite() => {
                let has_none = net.active.with(Option::is_none);
                view! {
                    <p>{if has_none {
                        "There is no network yet to invite into."
                    } else {
                        "Only devices that are admins of the network may invite. This one is not."
                    }}</p>
                    <div class="acts">
                        <button class="btn" on:click=move |_| net.close()>"Close"</button>
                        {has_none.then(|| view! { <button class="btn primary" on:click=move |_| net.ask.set(Some(Ask::Create))>"Create a network"</button> })}
                    </div>
                }.into_any()
            }
            None => view! {
                <form class="form" on:submit=order>
                    <div class="pair-of">
                        {pick(USES, uses, "For")}
                        {pick(LIVES, life, "Good for")}
                    </div>
                    <Field label="What the device may do">
                        <select on:change=move |event| is_admin.set(event_target_value(&event) == "admin")>
                            <option value="member" selected=true>"Take part"</option>
                            <option value="admin">"Take part, let others in and remove them"</option>
                        </select>
                    </Field>
                    <Field label="Note" help="For your list of invites; nobody else sees it.".to_owned()>
                        <input maxlength="64" autocomplete="off" placeholder="Laptop of Ann" prop:value=label on:input=move |event| label.set(event_target_value(&event))/>
                    </Field>
                    {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
                    <div class="acts">
                        <button class="btn" type="button" on:click=move |_| net.close()>"Cancel"</button>
                        <button class="btn primary" type="submit" disabled=busy>{move || if busy.get() { "Making it" } else { "Make the invite" }}</button>
                    </div>
                </form>
            }.into_any(),
        }}
    }
}

/// The code, once.
#[component]
fn Code(net: Net, invite: NetworkInvite) -> impl IntoView {
    let source = format!("data:image/svg+xml,{}", String::from(js_sys::encode_uri_component(&invite.qr_svg)));
    let (id, first) = (invite.invite.id.clone(), invite.invite.clone());
    // What is known of it now; as it was made until the list has it.
    let known = Memo::new(move |_| {
        net.invites.with(|invites| invites.iter().find(|one| one.id == id).cloned()).unwrap_or_else(|| first.clone())
    });
    let came = move || {
        let members = known.with(|known| known.members.clone());
        let names: Vec<String> =
            members.iter().map(|id| net.device(id).map_or_else(|| "a device".to_owned(), |device| device.name)).collect();
        (!names.is_empty()).then(|| format!("{} came in", network::list(&names)))
    };
    let is_over = move || known.with(|known| known.state != InviteStage::Open);
    let file = invite.file.clone();
    let name = net.active.with_untracked(|active| active.as_ref().map(|active| active.name.clone())).unwrap_or_default();
    let save = move |_| dom::save_text(&file, &format!("{name}.kith-invite"));
    view! {
        <div class="code-of" class:over=is_over>
            <img class="qr" src=source alt="Invite as a code to scan" width="228" height="228"/>
            <div class="beside">
                <p>"Scan it with the other device, or open the link there. Whoever has it may come in, so send it where only the right one reads."</p>
                <div class="address"><code>{invite.url.clone()}</code></div>
                <div class="acts start">
                    <CopyButton text=Signal::stored(invite.url) name="Copy the link"/>
                    <button class="chip" on:click=save>{Icon::Download.view()}"Save as a file"</button>
                </div>
                <p class="left num" role="status">
                    <span class="dot" class:ember=move || !is_over() && came().is_none()></span>
                    {move || came().unwrap_or_else(|| known.with(|known| network::invite(known, net.now.get())))}
                </p>
            </div>
        </div>
        <p class="note">{Icon::Eye.view()}<span>"The code is shown this once. It stays in the list of invites, where it can be taken back."</span></p>
        <div class="acts"><button class="btn primary" on:click=move |_| net.close()>"Done"</button></div>
    }
}

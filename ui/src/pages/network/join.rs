//! Into a network by an invite: what the invite says, then how far joining is, and the inviter's own words where it refuses.

use super::{
    create::{LONGEST, own_name},
    store::Net,
};
use crate::{
    dom,
    http::Problem,
    icons::Icon,
    live::live,
    parts::{Field, Show},
    view::{
        format,
        network::{self, Standing},
    },
};
use kith_wire::networks::{AddNetwork, InvitePreview, NetworkInfo, PreviewInvite};
use leptos::{ev, html, prelude::*};
use std::time::Duration;

/// How long typing must rest before the invite is looked at.
const REST: Duration = Duration::from_millis(250);

/// What joining goes through, by the events that tell of it.
const STEPS: [(&str, &str); 3] =
    [("network.joined", "The invite is good"), ("network.connected", "Looking for the inviter"), ("network.admitted", "Let in")];

/// The form, then the progress.
#[component]
pub fn Join(
    net: Net,
    /// The invite that a link handed over; empty where the user gives one.
    invite: String,
) -> impl IntoView {
    let live = live();
    let is_handed = !invite.is_empty();
    let text = RwSignal::new(invite);
    let device = own_name(live);
    let preview = RwSignal::new(None::<Result<InvitePreview, Problem>>);
    let said = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    let code = Memo::new(move |_| text.with(|text| network::code(text)));
    let waiting = StoredValue::new(None::<TimeoutHandle>);
    Effect::new(move || {
        let code = code.get();
        preview.set(None);
        said.set(None);
        if let Some(before) = waiting.get_value() {
            before.clear();
        }
        let Ok(url) = code else { return };
        waiting.set_value(set_timeout_with_handle(move || look(net, url.clone(), code_of(text), preview), REST).ok());
    });
    on_cleanup(move || {
        if let Some(Some(waiting)) = waiting.try_get_value() {
            waiting.clear();
        }
    });
    // An older node does not look at invites: there it is only found out by joining.
    let is_bad = move || preview.with(|preview| matches!(preview, Some(Err(Problem::Refused { status, .. })) if *status != 404));
    let can = move || code.with(Result::is_ok) && !is_bad() && !busy.get();
    let begun = RwSignal::new(0u64);
    let join = move || {
        let Ok(url) = code.get_untracked() else { return };
        busy.set(true);
        said.set(None);
        begun.set(live.events.with_untracked(|events| events.first().map_or(0, |event| event.id)));
        let device_name = Some(device.get_untracked().trim().to_owned()).filter(|name| !name.is_empty());
        leptos::task::spawn_local(async move {
            let body = AddNetwork { url, device_name, connect: true };
            match net.note(net.client().post::<NetworkInfo>("/api/v1/networks", &body).await) {
                Ok(joined) if Standing::of(&joined) == Standing::Waiting => {
                    net.close();
                    net.toasts.say(format!(
                        "{} is saved. This device joins as soon as a member that may let it in is found.",
                        joined.name
                    ));
                }
                Ok(joined) => {
                    net.close();
                    net.toasts.say(format!("This device is in {} now.", joined.name));
                }
                Err(problem) => {
                    // Who closed the dialog meanwhile is told as well.
                    if let Some(Some(unread)) = said.try_set(Some(problem.to_string())) {
                        net.toasts.fail(unread);
                    }
                }
            }
            busy.try_set(false);
            net.again();
        });
    };
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        if can() {
            join();
        }
    };
    let area = NodeRef::<html::Textarea>::new();
    Effect::new(move || {
        if let Some(area) = area.get() {
            request_animation_frame(move || {
                let _ = area.focus();
            });
        }
    });
    let picker = NodeRef::<html::Input>::new();
    let open_file = move |_| {
        let file = picker.get_untracked().and_then(|picker| picker.files()?.get(0));
        let Some(file) = file else { return };
        leptos::task::spawn_local(async move {
            // Whatever is too long for an invite is not even read.
            let read = if file.size() > network::LONGEST_INVITE as f64 { None } else { dom::file_text(&file).await };
            match read {
                Some(read) => drop(text.try_set(read.trim().to_owned())),
                None => drop(said.try_set(Some("This file holds no invite.".to_owned()))),
            }
        });
    };
    let told = move || {
        preview.with(|preview| match preview {
            Some(Ok(invite)) => view! { <Told net invite=invite.clone()/> }.into_any(),
            Some(Err(problem @ Problem::Refused { status, .. })) if *status != 404 => {
                view! { <p class="bad" role="alert">{problem.to_string()}</p> }.into_any()
            }
            _ => code.with(|code| match code {
                Err(wrong) if !wrong.is_empty() => view! { <p class="hint">{*wrong}</p> }.into_any(),
                _ => ().into_any(),
            }),
        })
    };
    view! {
        <form class="form join" on:submit=submit>
            {is_handed.then(|| view! {
                <p class="note">{Icon::Alert.view()}<span>"A link brought this invite here. Nothing was joined; look at what it says, and join if you expected it."</span></p>
            })}
            <Field label="Invite">
                <textarea node_ref=area rows="3" spellcheck="false" autocomplete="off" placeholder="kith://join/…" disabled=busy prop:value=text
                    maxlength=network::LONGEST_INVITE.to_string() on:input=move |event| text.set(event_target_value(&event))></textarea>
            </Field>
            {(!is_handed).then(|| view! {
                <div class="or">
                    <input node_ref=picker type="file" hidden=true aria-hidden="true" tabindex="-1" on:change=open_file/>
                    <button type="button" class="btn small" disabled=busy on:click=move |_| if let Some(picker) = picker.get_untracked() { picker.click() }>
                        {Icon::File.view()}"Open an invite's file"
                    </button>
                </div>
            })}
            {told}
            <Field label="This device is called">
                <input maxlength=LONGEST autocomplete="off" disabled=busy prop:value=device on:input=move |event| device.set(event_target_value(&event))/>
            </Field>
            <Show when=move || busy.get()><Progress begun/></Show>
            {move || said.get().map(|said| {
                let is_saved = preview.with_untracked(|preview| matches!(preview, Some(Ok(invite)) if is_saved(net, &invite.network_id)));
                view! {
                    <div class="refused" role="alert">
                        {Icon::Alert.view()}
                        <span><b>{if is_saved { "This device was not let in. " } else { "It did not join. " }}</b>{said}
                            {is_saved.then_some(" The network stays saved here: connect to try again, or forget it.")}</span>
                    </div>
                }
            })}
            <div class="acts">
                <button class="btn" type="button" on:click=move |_| net.close()>"Cancel"</button>
                <button class="btn primary" type="submit" disabled=move || !can()>
                    {move || if busy.get() { "Joining" } else if said.with(Option::is_some) { "Try again" } else { "Join" }}
                </button>
            </div>
        </form>
    }
}

fn is_saved(net: Net, id: &str) -> bool {
    net.list.with_untracked(|list| list.as_ref().is_some_and(|list| list.networks.iter().any(|one| one.id == id)))
}

fn code_of(text: RwSignal<String>) -> impl Fn() -> Option<String> + 'static {
    move || text.try_with_untracked(|text| network::code(text).ok()).flatten()
}

/// Has the node read an invite; nothing is used up by that.
fn look(
    net: Net,
    url: String,
    now: impl Fn() -> Option<String> + 'static,
    preview: RwSignal<Option<Result<InvitePreview, Problem>>>,
) {
    leptos::task::spawn_local(async move {
        let answer =
            net.note(net.client().post::<InvitePreview>("/api/v1/networks/preview", &PreviewInvite { url: url.clone() }).await);
        // Another one may be there by now.
        if now() == Some(url) {
            preview.try_set(Some(answer));
        }
    });
}

/// What an invite says.
#[component]
fn Told(net: Net, invite: InvitePreview) -> impl IntoView {
    let now = dom::now_ms();
    let left = u64::try_from(invite.expires_at_ms.ms() - now).ok().filter(|left| *left > 0);
    let named = net.device(&invite.inviter).map(|device| device.name);
    let (is_id, inviter) = (named.is_none(), named.unwrap_or(invite.inviter));
    view! {
        <dl class="facts told">
            <div><dt>"Network"</dt><dd><b>{invite.name}</b>{invite.known.then_some(" (saved here already)")}</dd></div>
            <div><dt>"Invited by"</dt><dd class:mono=is_id>{inviter}</dd></div>
            <div><dt>"This device may"</dt><dd>{if invite.role == "admin" { "take part, let others in and remove them" } else { "take part" }}</dd></div>
            <div><dt>"Good for"</dt><dd class="num">{left.map_or_else(|| "nothing any more, it is over".to_owned(), |left| format!("{} more", format::duration_ms(left)))}</dd></div>
        </dl>
    }
}

/// How far it is, by the node's events.
#[component]
fn Progress(begun: RwSignal<u64>) -> impl IntoView {
    let live = live();
    let reached = Memo::new(move |_| {
        let since = begun.get();
        live.events.with(|events| {
            let came = |kind: &str| events.iter().take_while(|event| event.id > since).any(|event| event.kind == kind);
            STEPS.iter().take_while(|(kind, _)| came(kind)).count()
        })
    });
    view! {
        <ol class="steps" role="status" aria-label="Joining">
            {STEPS.iter().enumerate().map(|(at, (_, name))| view! {
                <li class:done=move || { at < reached.get() } class:now=move || at == reached.get() aria-current=move || (at == reached.get()).then_some("step")>
                    <i></i>{*name}
                </li>
            }).collect_view()}
        </ol>
    }
}

//! The panel with the code that a phone scans, and what became of it.

use super::Known;
use crate::{dom, http::Client, icons::Icon, parts::CopyButton, session::client, toast::toasts, view::devices};
use kith_wire::system::{PairingInvitation, PairingStage, PairingStatus};
use leptos::{html, prelude::*};
use std::time::Duration;

/// How often the code's state is read while it waits.
const AGAIN: Duration = Duration::from_secs(2);
/// How often its time is counted down.
const TICK: Duration = Duration::from_millis(500);

/// The last code.
#[derive(Clone, Copy)]
pub struct Pairing {
    /// The code, if it was made here.
    code: RwSignal<Option<PairingInvitation>>,
    /// How it stands.
    status: RwSignal<Option<PairingStatus>>,
    /// Whether the panel is open.
    open: RwSignal<bool>,
    /// While the node is asked.
    pub busy: RwSignal<bool>,
    known: Known,
}

impl Pairing {
    /// Nothing is known yet.
    pub fn new(known: Known) -> Self {
        Self {
            code: RwSignal::new(None),
            status: RwSignal::new(None),
            open: RwSignal::new(false),
            busy: RwSignal::new(false),
            known,
        }
    }

    /// Whether the panel is shown.
    pub fn is_shown(self) -> bool {
        self.open.get()
    }

    fn stage(self) -> PairingStage {
        self.status.with(|status| status.as_ref().map_or(PairingStage::None, |status| status.state))
    }

    /// Reads how the code stands. One that waits is shown, whoever made it.
    pub fn read(self, client: &Client) {
        let client = client.clone();
        leptos::task::spawn_local(async move {
            let Ok(status) = client.get::<PairingStatus>("/api/v1/devices/pair").await else { return };
            let before = self.status.try_get_untracked().flatten().map(|before| before.state);
            if status.state == PairingStage::Waiting {
                self.open.try_set(true);
            }
            if status.state == PairingStage::Used && before == Some(PairingStage::Waiting) {
                self.known.read(&client);
            }
            self.status.try_set(Some(status));
        });
    }

    /// Makes a new code.
    pub fn invite(self, client: &Client) {
        let (client, toasts) = (client.clone(), toasts());
        self.busy.set(true);
        leptos::task::spawn_local(async move {
            match client.post::<PairingInvitation>("/api/v1/devices/pair", &()).await {
                Ok(code) => {
                    let expires_at_ms = Some(code.expires_at_ms);
                    self.status.try_set(Some(PairingStatus { state: PairingStage::Waiting, expires_at_ms, device: None }));
                    self.code.try_set(Some(code));
                    self.open.try_set(true);
                    self.known.read(&client);
                }
                Err(problem) => toasts.fail(problem),
            }
            self.busy.try_set(false);
        });
    }

    fn close(self) {
        self.open.set(false);
        self.code.set(None);
    }

    fn withdraw(self, client: &Client) {
        self.close();
        let (client, toasts) = (client.clone(), toasts());
        leptos::task::spawn_local(async move {
            if let Err(problem) = client.delete("/api/v1/devices/pair").await {
                toasts.fail(problem);
            }
            self.known.read(&client);
        });
    }
}

/// The panel.
#[component]
pub fn Panel(pairing: Pairing) -> impl IntoView {
    let client = client();
    let element = NodeRef::<html::Aside>::new();
    Effect::new(move || {
        if let Some(element) = element.get() {
            request_animation_frame(move || {
                let _ = element.focus();
            });
        }
    });
    let now = RwSignal::new(dom::now_ms());
    let tick = set_interval_with_handle(move || now.set(dom::now_ms()), TICK);
    let every = {
        let client = client.clone();
        set_interval_with_handle(
            move || {
                if pairing
                    .status
                    .with_untracked(|status| status.as_ref().is_some_and(|status| status.state == PairingStage::Waiting))
                {
                    pairing.read(&client);
                }
            },
            AGAIN,
        )
    };
    on_cleanup(move || {
        for timer in [tick, every].into_iter().flatten() {
            timer.clear();
        }
    });
    // A code is over when its time is, even while the node is away.
    let stage = Memo::new(move |_| {
        let expires = pairing.status.with(|status| status.as_ref()?.expires_at_ms);
        match pairing.stage() {
            PairingStage::Waiting if expires.is_some_and(|expires| devices::left(expires.ms(), now.get()).is_none()) => {
                PairingStage::Expired
            }
            stage => stage,
        }
    });
    let left = move || {
        let expires = pairing.status.with(|status| status.as_ref()?.expires_at_ms)?;
        devices::left(expires.ms(), now.get())
    };
    let who = move || {
        pairing
            .status
            .with(|status| status.as_ref()?.device.as_ref().map(|device| device.name.clone()))
            .unwrap_or_else(|| "The device".to_owned())
    };
    let (again, cancel) = (client.clone(), client);
    let ended = move |icon: Icon, class: &'static str, title: String, text: &'static str| {
        let again = again.clone();
        view! {
            <div class="ended" role="status">
                <span class=class>{icon.view()}</span>
                <b>{title}</b>
                <p>{text}</p>
            </div>
            <div class="acts">
                <button class="btn small" on:click=move |_| pairing.close()>"Close"</button>
                <button class="btn small primary" disabled=move || pairing.busy.get() on:click=move |_| pairing.invite(&again)>
                    {if class == "ic on" { "Pair another" } else { "Make a new code" }}
                </button>
            </div>
        }
        .into_any()
    };
    let shown = move || match stage.get() {
        PairingStage::Waiting => {
            let cancel = cancel.clone();
            view! {
                {move || match pairing.code.get() {
                    Some(code) => view! { <Code code/> }.into_any(),
                    None => view! { <p>"A code that was made in another window waits to be scanned."</p> }.into_any(),
                }}
                <div class="left num">
                    <span class="dot ember"></span>
                    <span role="timer">{move || left().map(|left| format!("{left} left, one use"))}</span>
                    <button class="btn small" on:click=move |_| pairing.withdraw(&cancel)>"Cancel"</button>
                </div>
            }
            .into_any()
        }
        PairingStage::Used => {
            ended(Icon::Check, "ic on", format!("{} is paired", who()), "It is in the list now and can chat right away.")
        }
        PairingStage::Expired => {
            ended(Icon::Alert, "ic", "The code has expired".to_owned(), "Nobody scanned it within five minutes.")
        }
        PairingStage::Guessed => ended(
            Icon::Alert,
            "ic warning",
            "Pairing was stopped".to_owned(),
            "Too many wrong codes were tried from your network, so the code no longer holds.",
        ),
        PairingStage::Withdrawn | PairingStage::None => {
            ended(Icon::Alert, "ic", "The code was taken back".to_owned(), "It can no longer be used.")
        }
    };
    view! {
        <aside class="pair" node_ref=element tabindex="-1" aria-labelledby="pair">
            <h2 id="pair">"Pair a phone"</h2>
            {shown}
        </aside>
    }
}

/// The code to scan.
#[component]
fn Code(code: PairingInvitation) -> impl IntoView {
    let source = format!("data:image/svg+xml,{}", String::from(js_sys::encode_uri_component(&code.qr_svg)));
    let address = code.url.split('#').next().unwrap_or_default().to_owned();
    view! {
        <img class="qr" src=source alt="Pairing code" width="228" height="228"/>
        <p>"Scan it with the phone's camera. The phone asks once about the certificate: it should begin with "<code>{code.fingerprint.short}</code>"."</p>
        <div class="address">
            <code title="The copied address holds the one-time code">{address}</code>
            <CopyButton text=Signal::stored(code.url)/>
        </div>
    }
}

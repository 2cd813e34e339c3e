//! The listener for paired devices: on while a device is paired or a ticket waits, and not while it is paused.
//!
//! One task owns its sockets and its certificate; everybody else sends it orders and reads how it stands.

mod addresses;
mod binding;
mod certificate;

use crate::config::Config;
use async_trait::async_trait;
use certificate::{Certificate, CertificateError};
use kith_access::{Access, PairingState, device_name};
use kith_api::{
    App, LanFront,
    lan::{Invitation, Lan, LanNames, LanRefusal, LanState},
};
use kith_events::Events;
use kith_store::{Store, StoreError};
use kith_types::{Clock, NodeId};
use qrcode::{QrCode, render::svg};
use serde_json::json;
use std::{
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

/// The setting that remembers the port.
const PORT: &str = "lan.port";
/// The setting that remembers the pause.
const PAUSED: &str = "lan.paused";
/// The setting that holds the node's name, where it was given one.
const NODE_NAME: &str = "node.name";
/// Orders waiting for the task; who comes with one more waits.
const ORDERS: usize = 16;
/// How often it is looked whether a ticket's time is over.
const LOOK: Duration = Duration::from_secs(1);
/// How often the machine's addresses are looked at, and a listener that could not be turned on is tried again.
const REVIEW: Duration = Duration::from_secs(10);
/// How long running answers may go on once the listener is turned off.
const GRACE: Duration = Duration::from_millis(300);

impl From<CertificateError> for LanRefusal {
    fn from(error: CertificateError) -> Self {
        Self::Failed(error.to_string())
    }
}

fn failed(error: &StoreError) -> LanRefusal {
    LanRefusal::Failed(error.to_string())
}

/// What the listener stands on.
pub(crate) struct LanParts {
    pub access: Arc<Access>,
    pub store: Store,
    pub events: Events,
    pub clock: Arc<dyn Clock>,
    /// The node's own id.
    pub node_id: NodeId,
    /// Cancelled when the node stops.
    pub stop: CancellationToken,
}

enum Order {
    Invite(oneshot::Sender<Result<Invitation, LanRefusal>>),
    Pause(bool, oneshot::Sender<Result<LanState, LanRefusal>>),
}

/// What everybody else holds of the listener.
pub(crate) struct LanHandle {
    orders: mpsc::Sender<Order>,
    state: watch::Receiver<LanState>,
    store: Store,
    events: Events,
    node_id: NodeId,
    /// Held while the node is renamed.
    naming: Mutex<()>,
}

/// The listener; [`LanTask::run`] is it.
pub(crate) struct LanTask {
    parts: LanParts,
    orders: mpsc::Receiver<Order>,
    state: watch::Sender<LanState>,
    binds: Option<Vec<IpAddr>>,
    fixed_port: Option<u16>,
    data_dir: PathBuf,
    certificate: Option<Certificate>,
    /// What is on, `None` while it is off.
    on: Option<On>,
    /// Whether a ticket waited at the last look.
    waited: bool,
    /// When addresses were last looked at.
    reviewed: Option<Instant>,
}

/// The listener while it is on.
struct On {
    /// The addresses wanted when it was turned on; one that had just gone may not be listened on.
    wanted: Vec<IpAddr>,
    port: u16,
    stop: CancellationToken,
    serving: JoinSet<()>,
}

/// The machine's own name, as other machines of the home find it: lower case, without what cannot stand in a name.
fn host_name() -> Option<String> {
    let name = sysinfo::System::host_name()?;
    let first = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let fits = !first.is_empty() && first.len() <= 63 && first.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fits.then_some(first)
}

/// The listener and what others hold of it. It does nothing until it is run.
pub(crate) fn lan(config: &Config, parts: LanParts) -> (Arc<LanHandle>, LanTask) {
    let (orders, queue) = mpsc::channel(ORDERS);
    let (state, states) = watch::channel(LanState::default());
    let naming = Mutex::default();
    let (store, events, node_id) = (parts.store.clone(), parts.events.clone(), parts.node_id.clone());
    let handle = LanHandle { orders, state: states, store, events, node_id, naming };
    let task = LanTask {
        parts,
        orders: queue,
        state,
        binds: config.lan_bind.clone(),
        fixed_port: config.lan_port,
        data_dir: config.data_dir.clone(),
        certificate: None,
        on: None,
        waited: false,
        reviewed: None,
    };
    (Arc::new(handle), task)
}

impl LanTask {
    /// Is the listener until the node stops.
    pub async fn run(mut self, app: Arc<App>) {
        let paused = self.parts.store.setting(PAUSED).await.ok().flatten().is_some_and(|text| text == "true");
        self.state.send_modify(|state| state.paused = paused);
        let mut changes = self.parts.access.device_changes();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.parts.stop.clone();
        self.follow(&app).await;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                order = self.orders.recv() => match order {
                    // Who asked may have gone.
                    Some(Order::Invite(answer)) => drop(answer.send(self.invite(&app).await)),
                    Some(Order::Pause(paused, answer)) => drop(answer.send(self.pause(paused, &app).await)),
                    None => break,
                },
                changed = changes.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    // Whoever has just come in knows this port.
                    if matches!(self.parts.access.pairing(), PairingState::Used { .. }) {
                        self.remember_port().await;
                    }
                    self.follow(&app).await;
                }
                _ = looks.tick() => {
                    let waits = self.parts.access.pairing_waits();
                    let over = std::mem::replace(&mut self.waited, waits) && !waits;
                    if over || self.reviewed.is_none_or(|at| at.elapsed() >= REVIEW) {
                        self.follow(&app).await;
                    }
                }
            }
        }
        self.turn_off().await;
    }

    /// Whether it should be on. A database that cannot be asked changes nothing.
    async fn wanted(&self) -> bool {
        if self.state.borrow().paused {
            return false;
        }
        match self.parts.access.expects_devices().await {
            Ok(expected) => expected,
            Err(error) => {
                tracing::warn!(%error, "paired devices could not be counted");
                self.on.is_some()
            }
        }
    }

    /// Turns it on or off as it should be, and looks whether the machine has moved.
    async fn follow(&mut self, app: &Arc<App>) {
        if !self.wanted().await {
            self.turn_off().await;
            self.reviewed = Some(Instant::now());
            self.tell(None);
            return;
        }
        let fault = self.turn_on(app).await.err();
        if let Some(fault) = &fault {
            tracing::debug!(%fault, "the listener for devices is off");
        }
        self.tell(fault.map(|fault| fault.to_string()));
    }

    fn tell(&self, fault: Option<String>) {
        self.state.send_if_modified(|state| {
            let changed = state.fault != fault;
            state.fault = fault;
            changed
        });
    }

    /// Turns it on, or moves it to the addresses and the certificate that hold now.
    async fn turn_on(&mut self, app: &Arc<App>) -> Result<(), LanRefusal> {
        let due = self.reviewed.is_none_or(|at| at.elapsed() >= REVIEW);
        if self.on.is_some() && !due {
            return Ok(());
        }
        let blocked = |error: tokio::task::JoinError| LanRefusal::Failed(error.to_string());
        let addresses = match &self.binds {
            Some(addresses) => addresses.clone(),
            None => tokio::task::spawn_blocking(addresses::private_addresses).await.map_err(blocked)?,
        };
        self.reviewed = Some(Instant::now());
        let host = tokio::task::spawn_blocking(host_name).await.map_err(blocked)?.map(|name| format!("{name}.local"));
        let names: Vec<String> = addresses.iter().map(IpAddr::to_string).chain(host.clone()).collect();
        let now = self.parts.clock.now();
        let good = self.certificate.as_ref().is_some_and(|certificate| certificate.serves(&names, now));
        if good && self.on.as_ref().is_some_and(|on| on.wanted == addresses) {
            return Ok(());
        }
        self.turn_off().await;
        if addresses.is_empty() {
            return Err(LanRefusal::NoAddress);
        }
        if !good {
            let dir = self.data_dir.clone();
            let made =
                tokio::task::spawn_blocking(move || Certificate::load_or_make(&dir, &names, now)).await.map_err(blocked)?;
            self.certificate = Some(made?);
        }
        let Some(certificate) = &self.certificate else { return Err(LanRefusal::Stopping) };
        let (tls, fingerprint) = (certificate.server()?, certificate.fingerprint());
        let remembered = self.remembered_port().await;
        let bound = binding::bind(&addresses, self.fixed_port, remembered).await?;
        let sockets: Vec<_> = bound.iter().map(|(address, _)| *address).collect();
        let port = sockets.first().map_or(0, std::net::SocketAddr::port);
        let own = sockets.iter().map(ToString::to_string).chain(host.map(|host| format!("{host}:{port}")));
        let names = Arc::new(LanNames::new(own));
        let stop = self.parts.stop.child_token();
        let router = kith_api::router(app);
        let mut serving = JoinSet::new();
        for (_, listener) in bound {
            let front = LanFront { tls: Arc::clone(&tls), names: Arc::clone(&names), stop: stop.clone() };
            serving.spawn(kith_api::serve_lan(Arc::clone(app), router.clone(), listener, front, GRACE));
        }
        self.on = Some(On { wanted: addresses, port, stop, serving });
        self.state.send_modify(|state| {
            state.addresses.clone_from(&sockets);
            state.fingerprint = Some(fingerprint);
            state.fault = None;
        });
        self.parts.events.publish("device.listener_on", json!({"addresses": sockets}));
        Ok(())
    }

    async fn turn_off(&mut self) {
        let Some(mut on) = self.on.take() else { return };
        on.stop.cancel();
        self.state.send_modify(|state| state.addresses.clear());
        while on.serving.join_next().await.is_some() {}
        self.reviewed = None;
        self.parts.events.publish("device.listener_off", json!({}));
    }

    async fn remembered_port(&self) -> Option<u16> {
        self.parts.store.setting(PORT).await.ok().flatten()?.parse().ok().filter(|port| *port != 0)
    }

    async fn remember_port(&self) {
        let Some(on) = &self.on else { return };
        if self.remembered_port().await == Some(on.port) {
            return;
        }
        if let Err(error) = self.parts.store.setting_put(PORT, &on.port.to_string()).await {
            tracing::warn!(%error, "the port for devices could not be remembered");
        }
    }

    async fn invite(&mut self, app: &Arc<App>) -> Result<Invitation, LanRefusal> {
        if self.state.borrow().paused {
            return Err(LanRefusal::Paused);
        }
        // The code must name an address that holds now.
        self.reviewed = None;
        let outcome = self.turn_on(app).await;
        self.tell(outcome.as_ref().err().map(ToString::to_string));
        outcome?;
        let state = self.state.borrow().clone();
        let (Some(first), Some(fingerprint)) = (state.addresses.first(), state.fingerprint) else {
            return Err(LanRefusal::NoAddress);
        };
        // While no device knows a port, the one of this code is the one that is remembered.
        if matches!(self.parts.access.device_count().await, Ok(0)) {
            self.remember_port().await;
        }
        let (ticket, expires) = self.parts.access.open_pairing()?;
        let url = format!("https://{first}/pair#{ticket}");
        let qr_svg = qr_svg(&url)?;
        Ok(Invitation { url, addresses: state.addresses, fingerprint, expires, qr_svg })
    }

    async fn pause(&mut self, paused: bool, app: &Arc<App>) -> Result<LanState, LanRefusal> {
        self.parts.store.setting_put(PAUSED, if paused { "true" } else { "false" }).await.map_err(|error| failed(&error))?;
        if self.state.borrow().paused != paused {
            self.state.send_modify(|state| state.paused = paused);
            self.parts.events.publish("device.listener_paused", json!({"paused": paused}));
        }
        if paused {
            self.parts.access.cancel_pairing();
        }
        self.follow(app).await;
        Ok(self.state.borrow().clone())
    }
}

/// The URL as an image that a camera reads from a screen, dark on light whatever the page's colours are.
fn qr_svg(url: &str) -> Result<String, LanRefusal> {
    let code = QrCode::new(url).map_err(|error| LanRefusal::Failed(format!("no QR code of the invitation: {error}")))?;
    let image = code.render::<svg::Color<'_>>().module_dimensions(4, 4).build();
    // A page takes the element alone; the line before it is for files.
    Ok(image.split_once("?>").map_or(image.as_str(), |(_, element)| element).to_owned())
}

#[async_trait]
impl Lan for LanHandle {
    async fn invite(&self) -> Result<Invitation, LanRefusal> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order::Invite(answer)).await.map_err(|_| LanRefusal::Stopping)?;
        answered.await.map_err(|_| LanRefusal::Stopping)?
    }

    async fn pause(&self, paused: bool) -> Result<LanState, LanRefusal> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order::Pause(paused, answer)).await.map_err(|_| LanRefusal::Stopping)?;
        answered.await.map_err(|_| LanRefusal::Stopping)?
    }

    fn state(&self) -> LanState {
        self.state.borrow().clone()
    }

    async fn node_name(&self) -> String {
        let given = self.store.setting(NODE_NAME).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the node's name could not be read");
            None
        });
        given.or_else(sysinfo::System::host_name).filter(|name| !name.is_empty()).unwrap_or_else(|| "this computer".to_owned())
    }

    async fn rename_node(&self, name: &str) -> Result<String, LanRefusal> {
        let name = device_name(name)?;
        let _naming = self.naming.lock().await;
        self.store.setting_put(NODE_NAME, name).await.map_err(|error| failed(&error))?;
        self.events.publish("device.changed", json!({"id": self.node_id.as_str(), "name": name}));
        Ok(name.to_owned())
    }
}

/// The first of these addresses that is none in particular, so that neither a certificate nor a code could name it.
pub(crate) fn wrong_bind(addresses: &[IpAddr]) -> Option<IpAddr> {
    addresses.iter().copied().find(|address| address.is_unspecified() || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_an_svg_element_without_script_or_style() {
        let svg = qr_svg(&format!("https://192.168.100.100:54321/pair#kithp_{}", "x".repeat(43))).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{svg}");
        assert!(!svg.contains("script") && !svg.contains("style") && svg.contains("viewBox"));
        assert!(svg.len() < 64 << 10, "{}", svg.len());
    }

    #[test]
    fn addresses_that_are_no_ones_in_particular_are_not_listened_on() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert_eq!(wrong_bind(&addresses(&["127.0.0.1", "0.0.0.0"])), Some(IpAddr::from([0, 0, 0, 0])));
        assert_eq!(wrong_bind(&addresses(&["::"])), Some("::".parse().unwrap()));
        assert_eq!(wrong_bind(&addresses(&["10.0.0.1", "fd00::1"])), None);
    }
}

//! The gate: who presents what, and whether that reaches a level.

use crate::{
    AccessError, AdminTokenFile, BearerId, Class, Level, Limits, Principal, Rate, Who, devices::Presence, guesses::Guesses,
    limits::Windows, pairing::Pairing, socket_tickets::SocketTickets, tickets::Tickets, touches::Touches,
};
use kith_events::Events;
use kith_keys::Entropy;
use kith_store::BearerKind;
use kith_store::Store;
use kith_types::{Clock, Scope, Timestamp};
use std::{
    future::{Future, pending},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::{Mutex, RwLock, Semaphore, broadcast, broadcast::error::RecvError, watch};

/// The longest token that is looked at, in bytes; ours have 48.
const MAX_TOKEN: usize = 512;
/// Revocations a slow listener may fall behind by before it must look for itself.
const REVOCATIONS: usize = 256;
/// Password hashes computed at once; each takes 19 MiB.
const HASHES: usize = 2;
/// Sign-ins in progress at once, most of them waiting out their delay.
const SIGN_INS: usize = 256;

/// What the gate is built from.
pub struct AccessParts {
    /// Holds bearers and the password's hash.
    pub store: Store,
    /// Tells when things expire.
    pub clock: Arc<dyn Clock>,
    /// Makes tokens.
    pub entropy: Arc<dyn Entropy>,
    /// What the owner configured.
    pub config: AccessConfig,
}

/// What the owner configured about access.
#[derive(Clone, Default)]
pub struct AccessConfig {
    /// Whether callers on this machine need a token too (`auth.require_key`).
    pub require_key: bool,
    /// The configured admin token. Blank means none: it never matches.
    pub admin_token: Option<String>,
    /// The configured mesh token. Blank means none: it never matches.
    pub mesh_token: Option<String>,
    /// How often each principal may ask.
    pub limits: Limits,
}

/// The credentials of one request, as presented. What is present must be right: a wrong credential is never overlooked.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// A bearer token (an admin token is taken here too).
    pub bearer: Option<&'a str>,
    /// An admin token from its own header.
    pub admin_token: Option<&'a str>,
    /// The mesh token from its own header.
    pub mesh_token: Option<&'a str>,
    /// The address of the other end of the connection.
    pub remote: IpAddr,
    /// Whether it came by the listener for paired devices: only their bearers are credentials there, and nobody is at home.
    pub lan: bool,
}

/// Tells callers apart, and keeps passwords, keys, sessions, tickets and limits. One per node; share it in an `Arc`.
pub struct Access {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    require_key: AtomicBool,
    admin: Vec<[u8; 32]>,
    mesh: Vec<[u8; 32]>,
    touches: Touches,
    windows: Windows,
    pub(crate) tickets: Tickets,
    pub(crate) socket_tickets: SocketTickets,
    pub(crate) guesses: Guesses,
    pub(crate) sign_ins: Semaphore,
    pub(crate) hashes: Arc<Semaphore>,
    /// Held for reading while a password is checked and its session made, for writing while the password changes.
    pub(crate) password: RwLock<()>,
    /// Held while a bearer is counted and made, so that no bound is passed.
    pub(crate) minting: Mutex<()>,
    pub(crate) revoked: broadcast::Sender<BearerId>,
    events: Option<Events>,
    pub(crate) pairing: Pairing,
    pub(crate) presence: Presence,
    pub(crate) changes: watch::Sender<u64>,
}

impl Access {
    /// The gate of one node.
    pub fn new(parts: AccessParts) -> Self {
        let AccessParts { store, clock, entropy, config } = parts;
        Self {
            store,
            clock,
            entropy,
            require_key: AtomicBool::new(config.require_key),
            admin: hash_configured(config.admin_token),
            mesh: hash_configured(config.mesh_token),
            touches: Touches::default(),
            windows: Windows::new(config.limits),
            tickets: Tickets::default(),
            socket_tickets: SocketTickets::default(),
            guesses: Guesses::default(),
            sign_ins: Semaphore::new(SIGN_INS),
            hashes: Arc::new(Semaphore::new(HASHES)),
            password: RwLock::new(()),
            minting: Mutex::new(()),
            revoked: broadcast::Sender::new(REVOCATIONS),
            events: None,
            pairing: Pairing::default(),
            presence: Presence::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// Takes the token in this process's file as an admin token too.
    #[must_use]
    pub fn with_process_token(mut self, file: &AdminTokenFile) -> Self {
        self.admin.push(hash(file.token()));
        self
    }

    /// Tells what happens to credentials on this bus: `access.login`, `access.key_minted`, … Never a secret.
    #[must_use]
    pub fn with_events(mut self, events: Events) -> Self {
        self.events = Some(events);
        self
    }

    pub(crate) fn tell(&self, kind: &'static str, data: serde_json::Value) {
        if let Some(events) = &self.events {
            events.publish(kind, data);
        }
    }

    /// As [`Access::tell`], for what anybody can cause as often as they like.
    pub(crate) fn tell_repeated(&self, kind: &'static str, key: &str, data: serde_json::Value) {
        if let Some(events) = &self.events {
            events.publish_coalesced(kind, key, data);
        }
    }

    /// Says who presents these credentials. The strongest of several counts.
    ///
    /// # Errors
    /// [`AccessError::Unauthorized`] when anything presented is wrong or expired, wherever it comes from; [`AccessError::Store`].
    pub async fn authenticate(&self, presented: Presented<'_>) -> Result<Principal, AccessError> {
        let mut principal = match presented.lan {
            true => return self.authenticate_device(presented).await,
            false => Principal::without_credentials(presented.remote),
        };
        if let Some(token) = presented.mesh_token {
            if !matches(&self.mesh, token) {
                return Err(AccessError::Unauthorized);
            }
            principal.who = Who::MeshToken;
        }
        let mut admin = false;
        if let Some(token) = presented.bearer {
            if matches(&self.admin, token) {
                admin = true;
            } else {
                (principal.who, principal.scope) = self.bearer(token, presented.remote).await?;
            }
        }
        if let Some(token) = presented.admin_token {
            if !matches(&self.admin, token) {
                return Err(AccessError::Unauthorized);
            }
            admin = true;
        }
        if admin {
            (principal.who, principal.scope) = (Who::AdminToken, Some(Scope::Admin));
        }
        Ok(principal)
    }

    /// By the listener for paired devices nothing but a device's bearer comes in, whatever else it might be elsewhere.
    async fn authenticate_device(&self, presented: Presented<'_>) -> Result<Principal, AccessError> {
        let mut principal = Principal::from_afar(presented.remote);
        if presented.admin_token.is_some() || presented.mesh_token.is_some() {
            return Err(AccessError::Unauthorized);
        }
        if let Some(token) = presented.bearer {
            (principal.who, principal.scope) = self.bearer(token, presented.remote).await?;
            if !principal.is_device() {
                return Err(AccessError::Unauthorized);
            }
        }
        Ok(principal)
    }

    async fn bearer(&self, token: &str, remote: IpAddr) -> Result<(Who, Option<Scope>), AccessError> {
        if token.is_empty() || token.len() > MAX_TOKEN {
            return Err(AccessError::Unauthorized);
        }
        let bearer = self.store.bearer_by_hash(&hash(token)).await?.ok_or(AccessError::Unauthorized)?;
        let now = self.clock.now();
        if expired(bearer.expires, now) {
            return Err(AccessError::Unauthorized);
        }
        self.touches.note(&self.store, &bearer, remote, now);
        let id = BearerId::from(bearer.id);
        if bearer.kind == BearerKind::Device {
            self.presence.note(&id, remote, now);
        }
        Ok((Who::Bearer { id, name: bearer.name, kind: bearer.kind }, Some(bearer.scope)))
    }

    /// Lets the principal through to a level of the specification's access table, or not.
    ///
    /// # Errors
    /// [`AccessError::Unauthorized`] without credentials, [`AccessError::Forbidden`] with ones that do not reach so far.
    pub fn require(&self, principal: &Principal, level: Level) -> Result<(), AccessError> {
        if principal.reaches(level, self.require_key()) {
            Ok(())
        } else if principal.presented_nothing() {
            Err(AccessError::Unauthorized)
        } else {
            Err(AccessError::Forbidden)
        }
    }

    /// Counts one request of the principal and says whether it may go on, and what to tell the caller. The window on this machine
    /// is never held back.
    pub fn check(&self, principal: &Principal, class: Class) -> Rate {
        self.windows.check(principal, class, self.clock.now())
    }

    /// Whether callers on this machine need a token too.
    pub fn require_key(&self) -> bool {
        self.require_key.load(Ordering::Acquire)
    }

    /// Changes whether callers on this machine need a token too, from the next request on.
    pub fn set_require_key(&self, required: bool) {
        self.require_key.store(required, Ordering::Release);
    }

    /// Exchanges the limits; counts go on.
    pub fn set_limits(&self, limits: Limits) {
        self.windows.set_limits(limits);
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.windows.limits()
    }

    /// The ids of bearers from the moment they are revoked (not of those that expire). A listener that falls 256 behind is told so
    /// and should ask [`Access::is_live`].
    pub fn revocations(&self) -> broadcast::Receiver<BearerId> {
        self.revoked.subscribe()
    }

    /// Whether a bearer still opens anything.
    ///
    /// # Errors
    /// [`AccessError::Store`].
    pub async fn is_live(&self, id: &BearerId) -> Result<bool, AccessError> {
        let now = self.clock.now();
        Ok(expiry(&self.store, id).await?.is_some_and(|expires| !expired(expires, now)))
    }

    /// Ends when the principal's bearer is revoked or expires, so that what it has open can be closed; never for other principals.
    /// Counts from this call on, and notices a bearer that is already gone. Ends too when the database fails.
    pub fn until_ended(&self, principal: &Principal) -> impl Future<Output = ()> + Send + use<> {
        let id = match &principal.who {
            Who::Bearer { id, .. } => Some(id.clone()),
            _ => None,
        };
        let mut revoked = self.revoked.subscribe();
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        async move {
            let Some(id) = id else { return pending().await };
            // Once more whenever this listener has fallen behind.
            while let Ok(Some(expires)) = expiry(&store, &id).await {
                let left = expires.map(|at| Duration::from_millis(u64::try_from(at.ms() - clock.now().ms()).unwrap_or(0)));
                let expires = async {
                    match left {
                        Some(left) => tokio::time::sleep(left).await,
                        None => pending().await,
                    }
                };
                let revoked = async {
                    loop {
                        match revoked.recv().await {
                            Ok(gone) if gone == id => return true,
                            Ok(_) => {}
                            Err(RecvError::Lagged(_)) => return false,
                            Err(RecvError::Closed) => pending().await,
                        }
                    }
                };
                tokio::select! {
                    () = expires => return,
                    gone = revoked => if gone { return },
                }
            }
        }
    }

    pub(crate) fn announce(&self, id: BearerId) {
        // Nobody listening is no fault.
        let _ = self.revoked.send(id);
    }
}

/// When a bearer expires, `None` where there is no such bearer.
async fn expiry(store: &Store, id: &BearerId) -> Result<Option<Option<Timestamp>>, AccessError> {
    Ok(store.bearer(id.as_str()).await?.map(|bearer| bearer.expires))
}

/// A thing is void from the millisecond of its expiry on.
pub(crate) fn expired(expires: Option<Timestamp>, now: Timestamp) -> bool {
    expires.is_some_and(|expires| expires <= now)
}

/// Tokens have 256 bits of their own, so a plain hash hides them.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    *blake3::hash(token.as_bytes()).as_bytes()
}

fn hash_configured(token: Option<String>) -> Vec<[u8; 32]> {
    token.iter().map(|token| token.trim()).filter(|token| !token.is_empty()).map(hash).collect()
}

/// Takes the same time whichever of the hashes it is, and none.
fn matches(hashes: &[[u8; 32]], token: &str) -> bool {
    if token.is_empty() || token.len() > MAX_TOKEN {
        return false;
    }
    let presented = hash(token);
    hashes.iter().fold(Choice::from(0), |found, one| found | one.ct_eq(&presented)).into()
}

#[cfg(test)]
pub(crate) mod tests;

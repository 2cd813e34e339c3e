//! Pairing tickets: one at a time, good once and for five minutes, in memory and only as a hash. Who guesses is held back, and who
//! goes on guessing makes the ticket void.

use crate::{
    Access, AccessError, BearerId, Device, Minted,
    access::{expired, hash},
    devices::{MAX_DEVICES, device_name},
    mint::{Order, forge, random_token},
    principal::network,
};
use kith_store::BearerKind;
use kith_types::{DeviceKind, Scope, Timestamp};
use serde_json::json;
use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};
use subtle::ConstantTimeEq;

/// How long a ticket is good for.
pub const PAIRING_MS: i64 = 5 * 60_000;
/// Wrong tickets taken from one IPv4 address or IPv6 /64 in a minute; after them that network is refused until the minute is over.
const MOST_EACH: u32 = 5;
/// Wrong tickets taken from everybody in a minute; with that many the outstanding ticket is void.
const MOST_IN_ALL: u32 = 20;
/// What the two above are counted in.
const MINUTE_MS: i64 = 60_000;
/// Networks counted at once; over that, new ones are refused until a minute is over.
const MAX_NETWORKS: usize = 1024;
/// Tickets remembered after another took their place, so that who comes with one is told what happened.
const REMEMBERED: usize = 8;
/// The longest ticket that is looked at, in bytes.
const MAX_TICKET: usize = 512;

/// How the last ticket stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairingState {
    /// There was none since the node started.
    None,
    /// It waits for a device.
    Waiting {
        /// Until when.
        expires: Timestamp,
    },
    /// A device came in with it.
    Used {
        /// The device; `None` while it is being written down.
        device: Option<BearerId>,
    },
    /// Nobody came in time.
    Expired {
        /// When it ended.
        expires: Timestamp,
    },
    /// The owner took it back.
    Withdrawn,
    /// Too many wrong tickets were tried.
    Guessed,
}

/// A device that has just come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its bearer; the token is told once, here.
    pub minted: Minted,
    /// The device.
    pub device: Device,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Waiting,
    Used(Option<BearerId>),
    Withdrawn,
    Guessed,
}

struct Ticket {
    hash: [u8; 32],
    expires: Timestamp,
    fate: Fate,
}

#[derive(Clone, Copy)]
struct Count {
    since: Timestamp,
    tries: u32,
}

impl Count {
    /// Counts anew when its minute is over, and when the clock was set back.
    fn at(self, now: Timestamp) -> Self {
        let age = now.ms() - self.since.ms();
        if (0..MINUTE_MS).contains(&age) { self } else { Self { since: now, tries: 0 } }
    }
}

#[derive(Default)]
struct Inner {
    ticket: Option<Ticket>,
    replaced: VecDeque<[u8; 32]>,
    each: HashMap<IpAddr, Count>,
    all: Option<Count>,
}

/// The one ticket, and the tries at it.
#[derive(Default)]
pub(crate) struct Pairing(Mutex<Inner>);

/// What a wrong ticket did besides being refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Refused,
    /// It was one too many: the outstanding ticket is void.
    Voided,
}

impl Pairing {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, token: &str, now: Timestamp) -> Timestamp {
        let mut inner = self.inner();
        if let Some(old) = inner.ticket.take() {
            if inner.replaced.len() >= REMEMBERED {
                inner.replaced.pop_front();
            }
            inner.replaced.push_back(old.hash);
        }
        let expires = now.plus_ms(PAIRING_MS);
        inner.ticket = Some(Ticket { hash: hash(token), expires, fate: Fate::Waiting });
        expires
    }

    fn withdraw(&self, now: Timestamp) -> bool {
        let mut inner = self.inner();
        let Some(ticket) = &mut inner.ticket else { return false };
        let waits = ticket.fate == Fate::Waiting && !expired(Some(ticket.expires), now);
        if waits {
            ticket.fate = Fate::Withdrawn;
        }
        waits
    }

    pub(crate) fn state(&self, now: Timestamp) -> PairingState {
        let inner = self.inner();
        let Some(ticket) = &inner.ticket else { return PairingState::None };
        match &ticket.fate {
            Fate::Used(device) => PairingState::Used { device: device.clone() },
            Fate::Withdrawn => PairingState::Withdrawn,
            Fate::Guessed => PairingState::Guessed,
            Fate::Waiting if expired(Some(ticket.expires), now) => PairingState::Expired { expires: ticket.expires },
            Fate::Waiting => PairingState::Waiting { expires: ticket.expires },
        }
    }

    /// Takes the ticket for a device that is about to be written down: from here on nobody else comes in with it.
    fn take(&self, token: &str, remote: IpAddr, now: Timestamp) -> Result<(), (AccessError, Effect)> {
        let mut inner = self.inner();
        let key = network(remote);
        inner.each.retain(|_, count| (0..MINUTE_MS).contains(&(now.ms() - count.since.ms())));
        let count = inner.each.get(&key).copied().unwrap_or(Count { since: now, tries: 0 }).at(now);
        if count.tries >= MOST_EACH || (inner.each.len() >= MAX_NETWORKS && !inner.each.contains_key(&key)) {
            let left = (count.since.ms() + MINUTE_MS - now.ms()).max(1);
            let error = AccessError::TooManyAttempts { retry_after: left.unsigned_abs().div_ceil(1000) };
            return Err((error, Effect::Refused));
        }
        let presented = hash(token);
        let replaced = inner.replaced.iter().any(|old| old.ct_eq(&presented).into());
        let error = match &mut inner.ticket {
            Some(ticket) if token.len() <= MAX_TICKET && bool::from(ticket.hash.ct_eq(&presented)) => match ticket.fate {
                Fate::Waiting if !expired(Some(ticket.expires), now) => {
                    ticket.fate = Fate::Used(None);
                    return Ok(());
                }
                Fate::Waiting => AccessError::TicketExpired,
                Fate::Used(_) => AccessError::TicketUsed,
                Fate::Withdrawn | Fate::Guessed => AccessError::TicketWithdrawn,
            },
            _ if replaced => AccessError::TicketWithdrawn,
            _ => AccessError::WrongTicket,
        };
        inner.each.insert(key, Count { tries: count.tries + 1, ..count });
        if !matches!(error, AccessError::WrongTicket) {
            return Err((error, Effect::Refused));
        }
        let all = inner.all.unwrap_or(Count { since: now, tries: 0 }).at(now);
        let all = Count { tries: all.tries.saturating_add(1), ..all };
        inner.all = Some(all);
        let mut effect = Effect::Refused;
        if all.tries >= MOST_IN_ALL
            && let Some(ticket) = &mut inner.ticket
            && ticket.fate == Fate::Waiting
        {
            ticket.fate = Fate::Guessed;
            effect = Effect::Voided;
        }
        Err((error, effect))
    }

    /// What became of the device the ticket was taken for: `None` when it could not be written down, so that it may try again.
    fn settle(&self, token: &str, device: Option<BearerId>) {
        let mut inner = self.inner();
        let presented = hash(token);
        // Another ticket may have taken its place meanwhile.
        if let Some(ticket) = inner.ticket.as_mut().filter(|ticket| ticket.hash.ct_eq(&presented).into()) {
            ticket.fate = device.map_or(Fate::Waiting, |id| Fate::Used(Some(id)));
        }
    }
}

impl Access {
    /// Makes the ticket by which one device pairs: good once, for five minutes. The one before it is void from now on. Gives the
    /// ticket and its end.
    ///
    /// # Errors
    /// [`AccessError::Entropy`].
    pub fn open_pairing(&self) -> Result<(String, Timestamp), AccessError> {
        let ticket = random_token("kithp_", self.entropy.as_ref())?;
        let expires = self.pairing.put(&ticket, self.clock.now());
        self.tell("device.pairing_opened", json!({"expires": expires.rfc3339()}));
        self.devices_changed();
        Ok((ticket, expires))
    }

    /// Takes the ticket back; says whether one was waiting.
    pub fn cancel_pairing(&self) -> bool {
        let waited = self.pairing.withdraw(self.clock.now());
        if waited {
            self.tell("device.pairing_withdrawn", json!({}));
            self.devices_changed();
        }
        waited
    }

    /// How the last ticket stands.
    pub fn pairing(&self) -> PairingState {
        self.pairing.state(self.clock.now())
    }

    /// Whether a ticket waits for its device.
    pub fn pairing_waits(&self) -> bool {
        matches!(self.pairing(), PairingState::Waiting { .. })
    }

    /// Whether a device is paired or may be: one that is just coming in counts, since its ticket is taken before it is written down.
    ///
    /// # Errors
    /// What the store says.
    pub async fn expects_devices(&self) -> Result<bool, AccessError> {
        let _minting = self.minting.lock().await;
        Ok(self.pairing_waits() || self.store.device_count().await? > 0)
    }

    /// Pairs the device that shows the ticket: it gets a bearer of the user scope that lasts until it is revoked. A name that is no
    /// name leaves the ticket as it was.
    ///
    /// # Errors
    /// [`AccessError::Invalid`], [`AccessError::WrongTicket`], [`AccessError::TicketUsed`], [`AccessError::TicketExpired`],
    /// [`AccessError::TicketWithdrawn`], [`AccessError::TooManyAttempts`], [`AccessError::TooManyDevices`]; [`AccessError::Entropy`],
    /// [`AccessError::Store`].
    pub async fn claim(&self, ticket: &str, name: &str, kind: DeviceKind, remote: IpAddr) -> Result<Claimed, AccessError> {
        let name = device_name(name)?;
        let _minting = self.minting.lock().await;
        let now = self.clock.now();
        let from = remote.to_canonical().to_string();
        if let Err((error, effect)) = self.pairing.take(ticket, remote, now) {
            self.tell_repeated("device.claim_refused", &from, json!({"remote": from, "reason": error.to_string()}));
            if effect == Effect::Voided {
                self.tell("device.pairing_guessed", json!({"remote": from}));
                self.devices_changed();
            }
            return Err(error);
        }
        match self.admit_device(name, kind, &from).await {
            Ok(claimed) => {
                self.pairing.settle(ticket, Some(claimed.minted.id.clone()));
                self.presence.note(&claimed.minted.id, remote, now);
                let data = json!({"id": claimed.minted.id.as_str(), "name": name, "kind": kind.as_str(), "remote": from});
                self.tell("device.paired", data);
                self.devices_changed();
                Ok(claimed)
            }
            Err(error) => {
                self.pairing.settle(ticket, None);
                Err(error)
            }
        }
    }

    async fn admit_device(&self, name: &str, kind: DeviceKind, from: &str) -> Result<Claimed, AccessError> {
        let count = self.store.device_count().await?;
        if count >= MAX_DEVICES {
            return Err(AccessError::TooManyDevices(count));
        }
        let now = self.clock.now();
        let order = Order { kind: BearerKind::Device, name, scope: Scope::User, expires: None };
        let (mut bearer, minted) = forge(now, self.entropy.as_ref(), order)?;
        bearer.last_used = Some(now);
        self.store.device_insert(&bearer, kind, from).await?;
        let device = Device {
            id: minted.id.clone(),
            name: name.to_owned(),
            kind,
            paired: now,
            last_seen: Some(now),
            address: from.to_owned(),
            online: true,
        };
        Ok(Claimed { minted, device })
    }
}

#[cfg(test)]
mod tests;

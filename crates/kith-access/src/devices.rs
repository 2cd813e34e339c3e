//! Paired devices: listed, renamed, revoked; and which of them are here now.

use crate::{Access, AccessError, BearerId, Principal, Who};
use kith_store::BearerKind;
use kith_types::{DeviceKind, Timestamp};
use serde_json::json;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// The most devices a node is paired with.
pub const MAX_DEVICES: u64 = 64;
/// The longest name of a device, in characters.
const MAX_NAME: usize = 64;
/// A device that was heard of within this time counts as here, also without anything open.
const HERE_MS: i64 = 60_000;

/// Devices remembered as seen; over that, those without anything open are forgotten.
const MAX_SEEN: usize = 256;

/// A paired device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// By what it is named and revoked: its bearer's id.
    pub id: BearerId,
    /// What its owner calls it.
    pub name: String,
    /// What sort of thing it is.
    pub kind: DeviceKind,
    /// When it was paired.
    pub paired: Timestamp,
    /// When it last called.
    pub last_seen: Option<Timestamp>,
    /// The address it last called from.
    pub address: String,
    /// Whether it has something open, or called within the last minute.
    pub online: bool,
}

/// The name of a device or a node, without blanks around it.
///
/// # Errors
/// [`AccessError::Invalid`] for one that is empty, longer than 64 characters or holds control characters.
pub fn device_name(name: &str) -> Result<&str, AccessError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let reason = format!("must have 1 to {MAX_NAME} characters, none of them control characters");
        return Err(AccessError::Invalid { field: "name", reason });
    }
    Ok(name)
}

struct Seen {
    at: Timestamp,
    address: IpAddr,
    open: usize,
}

/// Which devices are here.
#[derive(Default)]
pub(crate) struct Presence(Arc<Mutex<HashMap<BearerId, Seen>>>);

impl Presence {
    fn seen(&self) -> MutexGuard<'_, HashMap<BearerId, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, id: &BearerId, address: IpAddr, at: Timestamp) {
        let address = address.to_canonical();
        let mut seen = self.seen();
        // A call that was under way when its device was revoked leaves an entry that nobody asks for.
        if seen.len() >= MAX_SEEN && !seen.contains_key(id) {
            seen.retain(|_, seen| seen.open > 0);
        }
        let entry = seen.entry(id.clone()).or_insert(Seen { at, address, open: 0 });
        (entry.at, entry.address) = (at, address);
    }

    pub(crate) fn forget(&self, id: &BearerId) {
        self.seen().remove(id);
    }

    fn open(&self, id: &BearerId) -> Option<Here> {
        self.seen().get_mut(id)?.open += 1;
        Some(Here { presence: Self(Arc::clone(&self.0)), id: id.clone() })
    }
}

/// Something a device has open: while it lives, the device is here.
pub struct Here {
    presence: Presence,
    id: BearerId,
}

impl Drop for Here {
    fn drop(&mut self) {
        if let Some(seen) = self.presence.seen().get_mut(&self.id) {
            seen.open = seen.open.saturating_sub(1);
        }
    }
}

impl Access {
    /// The paired devices, the newest first.
    ///
    /// # Errors
    /// [`AccessError::Store`].
    pub async fn devices(&self) -> Result<Vec<Device>, AccessError> {
        let rows = self.store.devices().await?;
        let now = self.clock.now();
        let seen = self.presence.seen();
        let devices = rows.into_iter().map(|row| {
            let id = BearerId::from(row.id);
            let seen = seen.get(&id);
            Device {
                name: row.name,
                kind: row.kind,
                paired: row.paired,
                last_seen: row.last_seen.max(seen.map(|seen| seen.at)),
                address: seen.map_or(row.address, |seen| seen.address.to_string()),
                online: seen.is_some_and(|seen| seen.open > 0 || now.ms() - seen.at.ms() < HERE_MS),
                id,
            }
        });
        Ok(devices.collect())
    }

    /// How many devices are paired.
    ///
    /// # Errors
    /// [`AccessError::Store`].
    pub async fn device_count(&self) -> Result<u64, AccessError> {
        Ok(self.store.device_count().await?)
    }

    /// Gives a device another name.
    ///
    /// # Errors
    /// [`AccessError::Invalid`], [`AccessError::NoSuchDevice`], [`AccessError::Store`].
    pub async fn rename_device(&self, id: &str, name: &str) -> Result<Device, AccessError> {
        let name = device_name(name)?;
        if !self.store.device_rename(id, name).await? {
            return Err(AccessError::NoSuchDevice);
        }
        self.tell("device.changed", json!({"id": id, "name": name}));
        self.devices().await?.into_iter().find(|device| device.id.as_str() == id).ok_or(AccessError::NoSuchDevice)
    }

    /// Takes a device's bearer away: from its return on the device does not come in, and what it has open is told to close.
    ///
    /// # Errors
    /// [`AccessError::NoSuchDevice`], [`AccessError::Store`].
    pub async fn revoke_device(&self, id: &str) -> Result<(), AccessError> {
        let device = self.devices().await?.into_iter().find(|device| device.id.as_str() == id);
        let device = device.ok_or(AccessError::NoSuchDevice)?;
        if !self.end(id.to_owned()).await? {
            return Err(AccessError::NoSuchDevice);
        }
        self.tell("device.revoked", json!({"id": id, "name": device.name}));
        Ok(())
    }

    /// Marks that a principal has something open, if it is a device: it counts as here until the mark is dropped.
    pub fn here(&self, principal: &Principal) -> Option<Here> {
        match &principal.who {
            Who::Bearer { id, kind: BearerKind::Device, .. } => self.presence.open(id),
            _ => None,
        }
    }

    /// Changes whenever a ticket is made or ends by a deed (not when its time is over), and whenever a bearer goes or a device comes.
    pub fn device_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn devices_changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tests::{FAR, Gate};

    async fn paired(gate: &Gate) -> crate::Claimed {
        let (ticket, _) = gate.access.open_pairing().unwrap();
        gate.access.claim(&ticket, " Ann's phone ", DeviceKind::Phone, FAR).await.unwrap()
    }

    #[tokio::test]
    async fn a_device_is_here_while_it_has_something_open_and_a_minute_after_it_called() {
        let gate = Gate::new().await;
        let claimed = paired(&gate).await;
        let online = async || gate.access.devices().await.unwrap()[0].online;
        assert!(online().await);
        gate.clock.forward(HERE_MS);
        assert!(!online().await);
        let principal = gate.bearer(&claimed.minted.token).await.unwrap();
        let open = gate.access.here(&principal).unwrap();
        gate.clock.forward(10 * HERE_MS);
        assert!(online().await);
        drop(open);
        assert!(!online().await);
        assert_eq!(gate.access.devices().await.unwrap()[0].address, FAR.to_string());
    }

    #[tokio::test]
    async fn a_revoked_device_is_refused_at_once_and_whoever_listens_hears_of_it() {
        let (gate, events) = Gate::new().await.overheard();
        let claimed = paired(&gate).await;
        let id = claimed.minted.id.as_str();
        let principal = gate.bearer(&claimed.minted.token).await.unwrap();
        let ended = gate.access.until_ended(&principal);
        let mut changes = gate.access.device_changes();
        gate.access.revoke_device(id).await.unwrap();
        ended.await;
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert!(matches!(gate.bearer(&claimed.minted.token).await, Err(AccessError::Unauthorized)));
        assert!(matches!(gate.access.revoke_device(id).await, Err(AccessError::NoSuchDevice)));
        assert!(gate.access.here(&principal).is_none());
        assert!(events.recent().iter().any(|event| event.kind == "device.revoked" && event.data["name"] == "Ann's phone"));
    }

    #[tokio::test]
    async fn only_devices_are_renamed_and_revoked_as_devices() {
        let gate = Gate::new().await;
        let key = gate.access.mint_key("k", kith_types::Scope::User, None).await.unwrap();
        let id = key.id.as_str();
        assert!(matches!(gate.access.rename_device(id, "x").await, Err(AccessError::NoSuchDevice)));
        assert!(matches!(gate.access.revoke_device(id).await, Err(AccessError::NoSuchDevice)));
        let claimed = paired(&gate).await;
        let renamed = gate.access.rename_device(claimed.minted.id.as_str(), "  Pixel ").await.unwrap();
        assert_eq!(renamed.name, "Pixel");
        assert!(matches!(gate.access.rename_device(renamed.id.as_str(), " ").await, Err(AccessError::Invalid { .. })));
    }
}

//! Changing a network's key, taking such changes from others, and handing them to those who were away. Nobody is stranded: members go
//! on listening for the last keys of 30 days, on which nothing is given but the present one.

use crate::{
    Chain, Fault, MAX_MEMBERS, MAX_REMOVED, NetworkError, NetworkId, Networks, Psk, Role, Rotation, RotationBundle,
    rotation::{Nodes, share, share_name},
    ties::{self, MAX_TIED},
    view::View,
};
use kith_store::{RotationNew, RotationRow};
use kith_types::{NodeId, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;

/// A key is kept, and listened for, this long after another took its place: 30 days.
pub const KEPT_MS: i64 = 30 * 86_400_000;
/// Keys listened for at once, the present one among them; over that the oldest are given up early.
pub const MAX_LISTENED: usize = 256;
/// How far ahead of the present one an epoch may be: nobody misses so many rotations, and no admin can use the numbers up at once.
pub(crate) const MAX_STEP: u64 = 10_000;

/// What connections made with a key are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    /// Everything.
    Current,
    /// Nothing but taking the present key: after the welcomes the connection ends.
    Retired {
        /// Until when it is listened for.
        until: Timestamp,
    },
}

/// A key for which a node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenKey {
    /// The key.
    pub psk: Psk,
    /// Its name.
    pub key_id: String,
    /// Its number.
    pub epoch: u64,
    /// What it is for.
    pub purpose: KeyPurpose,
}

/// What a rotation changed here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// The number of the present key.
    pub epoch: u64,
    /// Whether anything of it was new, so that it is worth handing on.
    pub news: bool,
    /// The present key is another one: connections must be made anew.
    pub key_changed: bool,
    /// Who was shut out by it; their connections must be closed.
    pub removed: Vec<NodeId>,
    /// This node was shut out by it.
    pub out: bool,
    /// Somebody who was shut out has the present key, since two admins changed it at once: an admin must change it again.
    pub rotate_again: bool,
}

impl Networks {
    /// Changes the key of a network; every member in good standing is given the new one. The bundle is to be told to all who are
    /// connected; the others get it when they come back.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`], [`NetworkError::NotMember`], [`NetworkError::NotAdmin`]; [`NetworkError::Store`],
    /// [`NetworkError::Sealed`], [`NetworkError::Entropy`].
    pub async fn rotate(&self, id: NetworkId) -> Result<RotationBundle, NetworkError> {
        let _changing = self.changing.lock().await;
        self.rotated(id, None).await
    }

    /// Removes a device: it is shut out, and the key is changed without it. Open invites of this node end, for the device may have
    /// seen them.
    ///
    /// # Errors
    /// As [`Networks::rotate`]; [`NetworkError::NoSuchMember`], [`NetworkError::Itself`], [`NetworkError::Founder`],
    /// [`NetworkError::TooMany`].
    pub async fn remove(&self, id: NetworkId, node: &NodeId) -> Result<RotationBundle, NetworkError> {
        if node == self.identity.node_id() {
            return Err(NetworkError::Itself);
        }
        let _changing = self.changing.lock().await;
        self.rotated(id, Some(node)).await
    }

    async fn rotated(&self, id: NetworkId, leaver: Option<&NodeId>) -> Result<RotationBundle, NetworkError> {
        let view = self.view(id).await?;
        let own = self.own_admin(&view)?;
        let epoch = view.standing.present.saturating_add(1);
        let mut staying = staying(&view);
        let mut removed = view.standing.removed.clone();
        if let Some(leaver) = leaver {
            if *leaver == view.genesis.founder {
                return Err(NetworkError::Founder);
            }
            if !staying.iter().any(|(node, _)| node == leaver) {
                return Err(NetworkError::NoSuchMember);
            }
            staying.retain(|(node, _)| node != leaver);
            removed.insert(leaver.clone(), epoch);
        }
        if removed.len() > MAX_REMOVED {
            return Err(NetworkError::TooMany { what: "removed devices", most: MAX_REMOVED });
        }
        let psk = Psk::random(self.entropy.as_ref())?;
        let mut shares = BTreeMap::new();
        for (node, _) in &staying {
            match share(node, id, epoch, &psk, self.entropy.as_ref()) {
                Ok(sealed) => drop(shares.insert(share_name(node), sealed)),
                Err(kith_keys::EnvelopeError::WeakKey(node)) => {
                    tracing::warn!(%node, "nothing can be sealed to this member's key")
                }
                Err(error) => return Err(error.into()),
            }
        }
        let of = |wanted: Role| Nodes(staying.iter().filter(|(_, role)| *role == wanted).map(|(node, _)| node.clone()).collect());
        let mut by_epoch: BTreeMap<u64, Nodes> = BTreeMap::new();
        removed.into_iter().for_each(|(node, epoch)| by_epoch.entry(epoch).or_default().0.push(node));
        let rotation = Rotation {
            network: id,
            epoch,
            commitment: psk.commitment(),
            issued_ms: self.clock.now(),
            by: self.identity.node_id().clone(),
            admins: of(Role::Admin),
            members: of(Role::Member),
            removed: by_epoch,
        };
        let token = rotation.sign(&self.identity).map_err(|fault| NetworkError::Refused(fault.to_string()))?;
        let bundle = RotationBundle { rotation: token, chain: own.chain, shares };
        self.take_rotation(&view, &bundle).await?;
        Ok(bundle)
    }

    /// Takes a rotation of that network from anywhere: bytes of a [`RotationBundle`]. Taking it twice changes nothing, and an earlier
    /// one never takes the place of a later one. What another network's admin signed has no say here.
    ///
    /// # Errors
    /// [`NetworkError::Refused`] for what is not what it should be, [`NetworkError::RemovedSigner`] (both told on the bus),
    /// [`NetworkError::NotFound`]; [`NetworkError::Store`], [`NetworkError::Entropy`].
    pub async fn apply_rotation(&self, network: NetworkId, from: &NodeId, bytes: &[u8]) -> Result<Applied, NetworkError> {
        let applied = self.applied(network, bytes).await;
        if let Err(error @ (NetworkError::Refused(_) | NetworkError::RemovedSigner)) = &applied {
            let data = json!({"node": from, "reason": error.to_string()});
            self.events.publish_coalesced("network.rotation_refused", from.as_str(), data);
        }
        applied
    }

    async fn applied(&self, network: NetworkId, bytes: &[u8]) -> Result<Applied, NetworkError> {
        let refused = |what: &str| NetworkError::Refused(what.to_owned());
        let bundle = RotationBundle::decode(bytes).ok_or_else(|| refused("the rotation is not of the form it should have"))?;
        let _changing = self.changing.lock().await;
        let view = self.view(network).await?;
        self.take_rotation(&view, &bundle).await
    }

    /// As [`Networks::apply_rotation`], for a caller that holds the lock.
    pub(crate) async fn take_rotation(&self, view: &View, bundle: &RotationBundle) -> Result<Applied, NetworkError> {
        let refused = |what: &str| NetworkError::Refused(what.to_owned());
        let rotation = Rotation::open(&bundle.rotation).map_err(|fault| refused(&format!("the rotation: {fault}")))?;
        if rotation.network != view.id {
            return Err(refused("the rotation is of another network"));
        }
        let (epoch, key_id, me) = (rotation.epoch, rotation.key_id(), self.identity.node_id());
        if epoch > view.row.epoch.saturating_add(MAX_STEP) {
            return Err(refused("the rotation's number is too far ahead"));
        }
        if rotation.listed().count() > MAX_MEMBERS as usize || rotation.shut_out().count() > MAX_REMOVED {
            return Err(refused("the rotation names more devices than a network has"));
        }
        if rotation.shut_out().any(|(node, _)| *node == view.genesis.founder) {
            return Err(refused("the rotation shuts out the founder's device, which nobody may"));
        }
        let rows = self.store.network_rotations(&view.row.id).await?;
        let row = rows.iter().find(|row| row.epoch == epoch && row.key_id == key_id);
        if row.is_some_and(|row| !row.token.is_empty() && row.psk.is_some()) {
            return Ok(Applied { epoch: view.row.epoch, ..Applied::default() });
        }
        let known: Vec<Rotation> = rows.iter().filter(|other| other.key_id != key_id).filter_map(kept).collect();
        may_sign(view, &rotation, &bundle.chain, &known)?;
        let (vouches, settled) = ties::weigh(&view.genesis.founder, &known, &rotation);
        let standing = ties::merged(&view.standing, &vouches, epoch);
        let newly = |(node, epoch): &(&NodeId, &u64)| view.standing.removed.get(*node).is_none_or(|known| known < *epoch);
        let mut removed: Vec<NodeId> = standing.removed.iter().filter(newly).map(|(node, _)| node.clone()).collect();
        removed.sort();
        let own = view.row.chain.as_deref().map(Chain::from_text).unwrap_or_default();
        let out = standing.verify(&view.genesis, me, &own) == Err(Fault::Removed);
        let now = self.clock.now();
        let psk = match (row.and_then(|row| row.psk.clone()), bundle.key_for(&rotation, &self.identity)) {
            (Some(kept), _) => Some(kept),
            (None, Some(psk)) => self.key_row(view.id, epoch, &psk, now)?.psk,
            (None, None) => None,
        };
        let row = RotationRow {
            network: view.row.id.clone(),
            epoch,
            key_id: key_id.clone(),
            token: format!("{} {}", bundle.rotation, bundle.chain.to_text()),
            shares: serde_json::to_string(&bundle.shares).unwrap_or_default(),
            psk,
            applied: now,
            retired: None,
        };
        // Of one number that key is the present one whose signer was not shut out, and of two such the one with the greater name.
        let others = rows.iter().filter(|other| (other.epoch, &other.key_id) != (epoch, &key_id));
        let holds = |row: &RotationRow| !kept(row).is_some_and(|of| row.epoch == epoch && settled.contested.contains(&of.by));
        let best = others.chain([&row]).filter(|row| row.psk.is_some() && row.epoch >= view.row.epoch);
        let best = best.max_by(|a, b| (a.epoch, holds(a), &a.key_id).cmp(&(b.epoch, holds(b), &b.key_id)));
        let best = best.filter(|_| !out).map_or((view.row.epoch, view.row.key_id.clone()), |row| (row.epoch, row.key_id.clone()));
        let key_changed = best != (view.row.epoch, view.row.key_id.clone());
        let present = best == (epoch, key_id.clone());
        if !present
            && let Some(other) = rows.iter().find(|other| key_changed && (other.epoch, &other.key_id) == (best.0, &best.1))
        {
            // Before the rotation itself: if this node ends in between, the rotation comes again.
            let row = RotationRow { applied: now, retired: None, ..other.clone() };
            self.store.network_rotation_apply(&RotationNew { row, vouches: Vec::new(), revoke_invites: false }).await?;
        }
        let row = RotationRow { retired: (!present).then_some(now), ..row };
        self.store.network_rotation_apply(&RotationNew { row, vouches, revoke_invites: !removed.is_empty() }).await?;
        let data = json!({"network": view.id, "epoch": epoch, "by": rotation.by, "removed": removed});
        match (out, present) {
            (true, _) => self.events.publish("network.shut_out", data),
            (false, true) => self.events.publish("network.key_rotated", data),
            (false, false) => self.events.publish("network.rotation_noted", data),
        }
        let rotate_again = self.rotation_is_due(&self.view(view.id).await?).await?;
        Ok(Applied { epoch: best.0, news: true, key_changed, removed, out, rotate_again })
    }

    /// Whether the present key is known to somebody who was shut out, so that an admin must change it: to be asked when a network is
    /// connected, since a node may have ended before it did so.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`]; [`NetworkError::Store`].
    pub async fn rotation_due(&self, id: NetworkId) -> Result<bool, NetworkError> {
        self.rotation_is_due(&self.view(id).await?).await
    }

    /// Whether somebody who was shut out was given the present key.
    async fn rotation_is_due(&self, view: &View) -> Result<bool, NetworkError> {
        let Some(bundle) = self.present_bundle(view).await? else { return Ok(false) };
        let Ok(rotation) = Rotation::open(&bundle.rotation) else { return Ok(false) };
        let shut_out = |node: &NodeId| view.standing.removed.get(node).is_some_and(|removed| *removed >= rotation.epoch);
        Ok(rotation.listed().any(|(node, _)| shut_out(node)))
    }

    async fn present_bundle(&self, view: &View) -> Result<Option<RotationBundle>, NetworkError> {
        let keys = self.store.network_rotations(&view.row.id).await?;
        let row = keys.into_iter().find(|key| key.epoch == view.row.epoch && key.key_id == view.row.key_id);
        Ok(row.filter(|row| !row.token.is_empty()).map(|row| {
            let mut tokens = Chain::from_text(&row.token).0;
            let rest = tokens.split_off(1.min(tokens.len()));
            let shares = serde_json::from_str(&row.shares).unwrap_or_default();
            RotationBundle { rotation: tokens.pop().unwrap_or_default(), chain: Chain(rest), shares }
        }))
    }

    /// The rotation that brought the present key, with the key sealed to everybody: to be told to whoever is connected. `None` while
    /// the network has its first key.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`]; [`NetworkError::Store`].
    pub async fn rotation(&self, id: NetworkId) -> Result<Option<RotationBundle>, NetworkError> {
        let view = self.view(id).await?;
        self.present_bundle(&view).await
    }

    /// The present key for a member whose own is an earlier one, or another one of the same number: sealed to it anew, whether the
    /// rotation knew of it or not.
    pub(crate) async fn handover(
        &self,
        view: &View,
        peer: &NodeId,
        epoch: u64,
        key_id: &str,
    ) -> Result<Option<RotationBundle>, NetworkError> {
        if epoch > view.row.epoch || (epoch, key_id) == (view.row.epoch, view.row.key_id.as_str()) {
            return Ok(None);
        }
        let Some(bundle) = self.present_bundle(view).await? else { return Ok(None) };
        let psk = self.present_key(view).await?;
        let sealed = share(peer, view.id, view.row.epoch, &psk, self.entropy.as_ref())?;
        Ok(Some(RotationBundle { shares: [(share_name(peer), sealed)].into(), ..bundle }))
    }

    /// The keys a node of this network listens for, the present one first, then those of the last 30 days, the latest first. A node
    /// that is not let in yet or any more listens for none but the one it dials with.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`]; [`NetworkError::Sealed`], [`NetworkError::Damaged`], [`NetworkError::Store`].
    pub async fn keys_to_listen(&self, id: NetworkId) -> Result<Vec<ListenKey>, NetworkError> {
        let view = self.view(id).await?;
        let now = self.clock.now();
        let mut rows = self.store.network_rotations(&view.row.id).await?;
        let is_present = |row: &RotationRow| row.epoch == view.row.epoch && row.key_id == view.row.key_id;
        // Stable: those of one kind stay the newest first.
        rows.sort_by_key(|row| !is_present(row));
        let is_in = view.own(self.identity.node_id()).is_ok();
        let mut keys = Vec::new();
        for row in &rows {
            let purpose = match row.retired {
                _ if is_present(row) => KeyPurpose::Current,
                Some(retired) if is_in && retired.plus_ms(KEPT_MS) > now => {
                    KeyPurpose::Retired { until: retired.plus_ms(KEPT_MS) }
                }
                _ => continue,
            };
            if let Some(psk) = self.key_of(view.id, row)? {
                keys.push(ListenKey { psk, key_id: row.key_id.clone(), epoch: row.epoch, purpose });
            }
        }
        keys.truncate(MAX_LISTENED);
        Ok(keys)
    }

    /// Deletes keys that were given up, and records long expired. To be called about once an hour.
    ///
    /// # Errors
    /// [`NetworkError::Store`].
    pub async fn sweep(&self) -> Result<(), NetworkError> {
        let before = self.clock.now().plus_ms(-KEPT_MS);
        self.store.network_rotations_prune(before).await?;
        self.store.node_records_prune(before).await?;
        Ok(())
    }
}

/// Who belongs to the network from here on: those in good standing, and those whom an earlier rotation listed, though their
/// certificates were never seen here. Over the bound those go unlisted that were not met for longest; they stay members.
fn staying(view: &View) -> Vec<(NodeId, Role)> {
    let mut staying: Vec<(Option<Timestamp>, NodeId, Role)> =
        view.verified().map(|(row, verified)| (row.last_seen, verified.certificate.member, verified.role)).collect();
    for (node, (epoch, role)) in &view.standing.vouched {
        let out = view.standing.removed.get(node).is_some_and(|removed| removed >= epoch);
        if !out && !staying.iter().any(|(_, known, _)| known == node) {
            staying.push((None, node.clone(), *role));
        }
    }
    // Admins first: a network whose admins were left out could not be mended.
    staying.sort_by(|one, two| (two.2, two.0, &two.1).cmp(&(one.2, one.0, &one.1)));
    staying.truncate(MAX_MEMBERS as usize);
    staying.into_iter().map(|(_, node, role)| (node, role)).collect()
}

/// A rotation as it was kept; `None` for a key that came without one.
fn kept(row: &RotationRow) -> Option<Rotation> {
    Rotation::open(row.token.split(' ').next()?).ok()
}

/// Whether the signer may change the key: an admin in good standing, or one that was until that very number.
fn may_sign(view: &View, rotation: &Rotation, chain: &Chain, known: &[Rotation]) -> Result<(), NetworkError> {
    let refused = |what: String| NetworkError::Refused(what);
    let verified = match view.standing.verify(&view.genesis, &rotation.by, chain) {
        Err(Fault::Removed) => {
            let tied = known.iter().filter(|other| other.epoch == rotation.epoch && other.by == rotation.by).count();
            let before = view.standing.before(rotation.epoch).verify(&view.genesis, &rotation.by, chain);
            before.ok().filter(|_| tied < MAX_TIED).ok_or(NetworkError::RemovedSigner)?
        }
        verified => verified.map_err(|fault| refused(format!("the rotation's signer: {fault}")))?,
    };
    if verified.role == Role::Admin {
        return Ok(());
    }
    Err(refused("the rotation was signed by a device that may not change the key".to_owned()))
}

#[cfg(test)]
mod tests;

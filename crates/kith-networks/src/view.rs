//! A network as it is kept: read from the store with all that decides who belongs to it, its secrets opened.

use crate::{
    Certificate, Chain, Fault, Genesis, InviteCode, Membership, Network, NetworkError, NetworkId, Networks, Psk, Role, Standing,
    Verified, error::shown, invite::proof_key,
};
use kith_store::{MemberRow, NetworkRow, RotationRow};
use kith_types::{NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::{Zeroize, Zeroizing};

/// The claim of an invite, sealed at rest.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptClaim {
    pub(crate) invite: String,
    proof_key: String,
}

impl KeptClaim {
    pub(crate) fn proof_key(&self) -> Option<Zeroizing<[u8; 32]>> {
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(&self.proof_key, key.as_mut_slice()).ok().map(|()| key)
    }
}

impl Drop for KeptClaim {
    fn drop(&mut self) {
        self.proof_key.zeroize();
    }
}

/// A network with all that decides who belongs to it.
pub(crate) struct View {
    pub(crate) row: NetworkRow,
    pub(crate) id: NetworkId,
    pub(crate) genesis: Genesis,
    pub(crate) members: Vec<MemberRow>,
    pub(crate) standing: Standing,
}

impl View {
    /// The members in good standing, as verified now.
    pub(crate) fn verified(&self) -> impl Iterator<Item = (&MemberRow, Verified)> {
        self.members.iter().filter_map(|row| {
            let node = row.node.parse().ok()?;
            Some((row, self.standing.verify(&self.genesis, &node, &Chain::from_text(&row.chain)).ok()?))
        })
    }

    /// One member, if it is in good standing by the certificate that is known here.
    pub(crate) fn verified_member(&self, node: &NodeId) -> Option<(&MemberRow, Verified)> {
        let row = self.members.iter().find(|row| row.node == node.as_str())?;
        Some((row, self.standing.verify(&self.genesis, node, &Chain::from_text(&row.chain)).ok()?))
    }

    /// This node's own membership.
    pub(crate) fn own(&self, me: &NodeId) -> Result<Verified, Fault> {
        let chain = self.row.chain.as_deref().map(Chain::from_text).unwrap_or_default();
        self.standing.verify(&self.genesis, me, &chain)
    }

    pub(crate) fn bootstrap(&self) -> Vec<String> {
        serde_json::from_str(&self.row.bootstrap).unwrap_or_default()
    }
}

fn damaged(what: &str) -> NetworkError {
    NetworkError::Damaged(what.to_owned())
}

pub(crate) fn list(addresses: &[String]) -> String {
    json!(addresses).to_string()
}

impl Networks {
    pub(crate) fn sealed_claim(&self, invite: &InviteCode) -> Result<Vec<u8>, NetworkError> {
        let key = proof_key(&invite.secret);
        let claim = KeptClaim { invite: invite.id.clone(), proof_key: hex::encode(key.as_slice()) };
        let bytes = Zeroizing::new(serde_json::to_vec(&claim).unwrap_or_default());
        Ok(self.sealer.seal(&claim_purpose(invite.network()), &bytes)?)
    }

    pub(crate) fn claim(&self, view: &View) -> Result<Option<KeptClaim>, NetworkError> {
        let Some(sealed) = &view.row.claim else { return Ok(None) };
        let bytes = self.sealer.open(&claim_purpose(view.id), sealed)?;
        serde_json::from_slice(&bytes).map(Some).map_err(|_| damaged("the claim of its invite"))
    }

    pub(crate) fn key_row(&self, id: NetworkId, epoch: u64, psk: &Psk, now: Timestamp) -> Result<RotationRow, NetworkError> {
        let key_id = psk.key_id();
        let sealed = self.sealer.seal(&key_purpose(id, epoch, &key_id), psk.as_bytes())?;
        let network = id.to_string();
        Ok(RotationRow {
            network,
            epoch,
            key_id,
            token: String::new(),
            shares: String::new(),
            psk: Some(sealed),
            applied: now,
            retired: None,
        })
    }

    pub(crate) fn key_of(&self, id: NetworkId, row: &RotationRow) -> Result<Option<Psk>, NetworkError> {
        let Some(sealed) = &row.psk else { return Ok(None) };
        let bytes = self.sealer.open(&key_purpose(id, row.epoch, &row.key_id), sealed)?;
        Psk::from_slice(&bytes).map(Some).ok_or_else(|| damaged("one of its keys"))
    }

    pub(crate) async fn present_key(&self, view: &View) -> Result<Psk, NetworkError> {
        let keys = self.store.network_rotations(&view.row.id).await?;
        let row = keys.iter().find(|key| key.epoch == view.row.epoch && key.key_id == view.row.key_id);
        row.map_or(Ok(None), |row| self.key_of(view.id, row))?.ok_or_else(|| damaged("its present key"))
    }

    pub(crate) async fn view(&self, id: NetworkId) -> Result<View, NetworkError> {
        let row = self.store.network(&id.to_string()).await?.ok_or(NetworkError::NotFound)?;
        self.view_of(row).await
    }

    pub(crate) async fn active_view(&self) -> Result<Option<View>, NetworkError> {
        match self.store.network_active().await? {
            Some(row) => self.view_of(row).await.map(Some),
            None => Ok(None),
        }
    }

    pub(crate) async fn view_of(&self, row: NetworkRow) -> Result<View, NetworkError> {
        let founder: NodeId = row.founder.parse().map_err(|_| damaged("its founder"))?;
        let genesis = Genesis { founder, salt: row.salt };
        let id = genesis.id();
        if id.to_string() != row.id {
            return Err(damaged("its id"));
        }
        let members = self.store.network_members(&row.id).await?;
        let mut standing = Standing { present: row.epoch, ..Standing::default() };
        for member in &members {
            let node: NodeId = member.node.parse().map_err(|_| damaged("a member's id"))?;
            // A number that a rotation named has come, though its key may not have come here.
            standing.present = standing.present.max(member.removed.unwrap_or(0)).max(member.vouched.unwrap_or(0));
            if let Some(epoch) = member.removed {
                standing.removed.insert(node.clone(), epoch);
            }
            if let (Some(epoch), Some(role)) = (member.vouched, member.vouched_role.as_deref()) {
                let role = role.parse().map_err(|()| damaged("a member's role"))?;
                standing.vouched.insert(node, (epoch, role));
            }
        }
        Ok(View { row, id, genesis, members, standing })
    }

    pub(crate) fn described(&self, view: &View) -> Network {
        let membership = match view.own(self.identity.node_id()) {
            Ok(own) if own.role == Role::Admin => Membership::Admin,
            Ok(_) => Membership::Member,
            Err(_) if view.row.claim.is_some() => Membership::Invited,
            Err(_) => Membership::Removed,
        };
        Network {
            id: view.id,
            name: view.row.name.clone(),
            founder: view.genesis.founder.clone(),
            created: view.row.created,
            own_name: view.row.own_name.clone(),
            membership,
            epoch: view.row.epoch,
            key_id: view.row.key_id.clone(),
            bootstrap: view.bootstrap(),
            active: view.row.active,
            connected: view.row.connected,
            members: view.verified().count(),
        }
    }
}

fn key_purpose(id: NetworkId, epoch: u64, key_id: &str) -> String {
    format!("network key {id} {epoch} {key_id}")
}

fn claim_purpose(id: NetworkId) -> String {
    format!("network claim {id}")
}

/// A member as it is kept.
pub(crate) fn member_row(certificate: &Certificate, chain: &Chain, invite: Option<&str>, now: Timestamp) -> MemberRow {
    MemberRow {
        network: certificate.network.to_string(),
        node: certificate.member.to_string(),
        name: shown(&certificate.name),
        role: certificate.role.as_str().to_owned(),
        chain: chain.to_text(),
        serial: certificate.serial.clone(),
        issued: certificate.issued_ms,
        epoch: certificate.epoch,
        invite: invite.map(str::to_owned),
        removed: None,
        vouched: None,
        vouched_role: None,
        joined: now,
        last_seen: None,
    }
}

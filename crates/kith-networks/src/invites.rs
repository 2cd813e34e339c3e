//! Giving invites out, listing them and taking them back.

use crate::{
    InviteCode, MAX_MEMBERS, NetworkError, NetworkId, Networks, Role, Verified, addresses::addresses, error::MAX_NAME,
    invite::proof_key, view::View,
};
use kith_store::InviteRow;
use kith_types::{NodeId, Timestamp};
use serde_json::json;
use std::fmt;

/// Invites of one network that are kept, open or lately over.
pub const MAX_INVITES: u32 = 200;
/// An invite that is over is listed this long.
const LISTED_MS: i64 = 30 * 86_400_000;
/// The shortest and the longest time an invite may be good for.
const LIFETIME_MS: std::ops::RangeInclusive<i64> = 60_000..=30 * 86_400_000;
/// What it is good for unless told otherwise: a day.
const USUAL_MS: i64 = 86_400_000;
/// Addresses in one code: it is to be scanned from a screen.
const MAX_IN_CODE: usize = 4;

/// What kind of invite is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteOrder {
    /// What its giver notes about it; at most 64 characters, may be empty.
    pub label: String,
    /// How many may come in, 1 to 200.
    pub uses: u64,
    /// How long it is good for, one minute to 30 days.
    pub lifetime_ms: i64,
    /// What it makes of who comes in.
    pub role: Role,
    /// The only node that may read and use it; anybody who has it if `None`.
    pub for_node: Option<NodeId>,
    /// Where this node is reached, the likeliest first; the first four are written into the code.
    pub addresses: Vec<String>,
    /// Who asked for it, for the record; empty where that is the node itself.
    pub by: String,
}

impl Default for InviteOrder {
    /// One newcomer, within a day, as a member.
    fn default() -> Self {
        let (label, addresses, by) = (String::new(), Vec::new(), String::new());
        Self { label, uses: 1, lifetime_ms: USUAL_MS, role: Role::Member, for_node: None, addresses, by }
    }
}

/// How an invite stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteState {
    /// It lets in.
    Open,
    /// As many came in as it says.
    Used,
    /// It was taken back.
    Revoked,
    /// Its time is over.
    Expired,
}

impl InviteState {
    /// `open`, `used`, `revoked` or `expired`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

/// An invite that this node gave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Its id.
    pub id: String,
    /// What its giver notes about it.
    pub label: String,
    /// What it makes of who comes in.
    pub role: Role,
    /// The only node that may use it.
    pub for_node: Option<String>,
    /// How many may come in.
    pub uses: u64,
    /// How many have.
    pub used: u64,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is void.
    pub expires: Timestamp,
    /// How it stands.
    pub state: InviteState,
    /// Who came in by it, by their ids.
    pub members: Vec<String>,
}

/// A fresh invite. Its code is told once, here.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The invite.
    pub invite: Invite,
    /// `kith://join/…`: the right to come in, and all that is needed for it.
    pub url: String,
    /// The network's name.
    pub network: String,
    /// The addresses in the code, at most four; without any, who has it finds this node on the same local network alone.
    pub addresses: Vec<String>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("invite", &self.invite).finish_non_exhaustive()
    }
}

impl Issued {
    /// The invite as a file to hand over: a line that says what it is, and the code.
    pub fn file(&self) -> String {
        format!("Invite to the network {}, until {}\n{}\n", self.network, self.invite.expires.rfc3339(), self.url)
    }
}

/// What an invite says before it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitePreview {
    /// The network.
    pub network: NetworkId,
    /// Its name.
    pub name: String,
    /// Who invites.
    pub inviter: NodeId,
    /// Where the inviter is reached.
    pub addresses: Vec<String>,
    /// From when on it is void, by the inviter's clock.
    pub expires: Timestamp,
    /// What this node would be.
    pub role: Role,
}

fn described(row: InviteRow, view: &View, now: Timestamp) -> Invite {
    let state = match &row {
        row if row.revoked.is_some() => InviteState::Revoked,
        row if row.used >= row.uses => InviteState::Used,
        row if row.expires <= now => InviteState::Expired,
        _ => InviteState::Open,
    };
    let came = view.members.iter().filter(|member| member.invite.as_deref() == Some(row.id.as_str()));
    Invite {
        members: came.map(|member| member.node.clone()).collect(),
        id: row.id,
        label: row.label,
        role: row.role.parse().unwrap_or(Role::Member),
        for_node: row.for_node,
        uses: row.uses,
        used: row.used,
        created: row.created,
        expires: row.expires,
        state,
    }
}

impl Networks {
    /// Makes an invite to a network. Only an admin device can: it will let the newcomer in itself.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`], [`NetworkError::NotMember`], [`NetworkError::NotAdmin`], [`NetworkError::Invalid`],
    /// [`NetworkError::TooMany`]; [`NetworkError::Damaged`], [`NetworkError::Sealed`], [`NetworkError::Store`],
    /// [`NetworkError::Entropy`].
    pub async fn invite(&self, id: NetworkId, order: InviteOrder) -> Result<Issued, NetworkError> {
        let label = order.label.trim();
        if label.chars().count() > MAX_NAME || label.chars().any(char::is_control) {
            return Err(NetworkError::invalid(
                "label",
                format!("must have at most {MAX_NAME} characters, no control characters"),
            ));
        }
        if !(1..=u64::from(MAX_MEMBERS)).contains(&order.uses) {
            return Err(NetworkError::invalid("uses", format!("must be 1 to {MAX_MEMBERS}")));
        }
        if !LIFETIME_MS.contains(&order.lifetime_ms) {
            return Err(NetworkError::invalid("lifetime", "must be one minute to 30 days"));
        }
        let mut given = addresses(&order.addresses)?;
        let _changing = self.changing.lock().await;
        let view = self.view(id).await?;
        self.own_admin(&view)?;
        if given.is_empty() {
            given = view.bootstrap();
        }
        given.truncate(MAX_IN_CODE);
        let now = self.clock.now();
        let (invite_id, secret) = InviteCode::fresh(self.entropy.as_ref())?;
        let kept = proof_key(&secret);
        let row = InviteRow {
            id: invite_id.clone(),
            network: view.row.id.clone(),
            label: label.to_owned(),
            role: order.role.as_str().to_owned(),
            for_node: order.for_node.as_ref().map(ToString::to_string),
            proof_key: self.sealer.seal(&proof_purpose(id, &invite_id), kept.as_slice())?,
            uses: order.uses,
            used: 0,
            created: now,
            expires: now.plus_ms(order.lifetime_ms),
            revoked: None,
        };
        let code = InviteCode {
            genesis: view.genesis.clone(),
            name: view.row.name.clone(),
            inviter: self.identity.node_id().clone(),
            addresses: given.clone(),
            expires: row.expires,
            uses: order.uses,
            role: order.role,
            id: invite_id,
            epoch: view.row.epoch,
            psk: self.present_key(&view).await?,
            secret,
        };
        let url = code.encode(&self.identity, order.for_node.as_ref(), self.entropy.as_ref())?;
        if !self.store.network_invite_insert(&row, now.plus_ms(-LISTED_MS), MAX_INVITES).await? {
            return Err(NetworkError::TooMany { what: "invites", most: MAX_INVITES as usize });
        }
        let data = json!({
            "network": id, "invite": row.id, "uses": row.uses, "role": row.role, "expires": row.expires.rfc3339(), "by": order.by,
        });
        self.events.publish("network.invite_made", data);
        Ok(Issued { network: view.row.name.clone(), invite: described(row, &view, now), url, addresses: given })
    }

    /// The invites of a network that this node gave out, the newest first; those over for 30 days are left out.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`]; [`NetworkError::Store`].
    pub async fn invites(&self, id: NetworkId) -> Result<Vec<Invite>, NetworkError> {
        let view = self.view(id).await?;
        let now = self.clock.now();
        let rows = self.store.network_invites(&view.row.id).await?;
        let fresh = rows.into_iter().filter(|row| row.expires.min(row.revoked.unwrap_or(row.expires)).plus_ms(LISTED_MS) >= now);
        Ok(fresh.map(|row| described(row, &view, now)).collect())
    }

    /// Takes an invite back. Who came in by it stays.
    ///
    /// # Errors
    /// [`NetworkError::NoSuchInvite`], [`NetworkError::InviteOver`] where it held no longer anyway; [`NetworkError::Store`].
    pub async fn revoke_invite(&self, id: NetworkId, invite: &str) -> Result<(), NetworkError> {
        let known = self.invites(id).await?.into_iter().find(|known| known.id == invite).ok_or(NetworkError::NoSuchInvite)?;
        if known.state != InviteState::Open {
            return Err(NetworkError::InviteOver);
        }
        if !self.store.network_invite_revoke(&id.to_string(), invite, self.clock.now()).await? {
            return Err(NetworkError::InviteOver);
        }
        self.events.publish("network.invite_revoked", json!({"network": id, "invite": invite}));
        Ok(())
    }

    /// What an invite says, without using it.
    ///
    /// # Errors
    /// [`NetworkError::Invite`].
    pub fn preview(&self, code: &str) -> Result<InvitePreview, NetworkError> {
        let invite = InviteCode::decode(code, &self.identity)?;
        Ok(InvitePreview {
            network: invite.network(),
            name: invite.name.clone(),
            inviter: invite.inviter.clone(),
            addresses: invite.addresses.clone(),
            expires: invite.expires,
            role: invite.role,
        })
    }

    /// This node's own membership, if it may let in others.
    pub(crate) fn own_admin(&self, view: &View) -> Result<Verified, NetworkError> {
        let own = view.own(self.identity.node_id()).map_err(|_| NetworkError::NotMember)?;
        if own.role == Role::Admin { Ok(own) } else { Err(NetworkError::NotAdmin) }
    }
}

/// What the proof key of an invite is sealed for.
pub(crate) fn proof_purpose(id: NetworkId, invite: &str) -> String {
    format!("network invite {id} {invite}")
}

#[cfg(test)]
mod tests;

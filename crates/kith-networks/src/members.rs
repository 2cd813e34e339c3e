//! Who belongs to a network: the list, and what its admins change about one of them.

use crate::{
    Certificate, Chain, Fault, MAX_CHAIN, MAX_MEMBERS, MAX_REMOVED, NetworkError, NetworkId, Networks, Role, Verified,
    view::{View, member_row},
};
use kith_types::{NodeId, Timestamp};
use serde_json::json;

/// Rows kept of one network: its members, and those that were.
pub(crate) const MAX_ROWS: u32 = MAX_MEMBERS + MAX_REMOVED as u32;

/// How a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// In good standing.
    Active,
    /// Others told of it; this node has not seen its certificate yet.
    Heard,
    /// Removed.
    Removed,
}

/// Somebody who belongs to a network, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The node.
    pub node: NodeId,
    /// What it is called; empty before it was met.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// How it stands.
    pub state: MemberState,
    /// Whether it is this node.
    pub itself: bool,
    /// Whether it founded the network.
    pub founder: bool,
    /// When its certificate was signed, by the signer's clock.
    pub issued: Timestamp,
    /// When this node first heard of it.
    pub joined: Timestamp,
    /// When this node last met it.
    pub last_seen: Option<Timestamp>,
}

impl Networks {
    /// Everybody who belongs to a network or did, by name.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`]; [`NetworkError::Store`], [`NetworkError::Damaged`].
    pub async fn members(&self, id: NetworkId) -> Result<Vec<Member>, NetworkError> {
        let view = self.view(id).await?;
        let me = self.identity.node_id();
        let rows = view.members.iter().filter_map(|row| {
            let node: NodeId = row.node.parse().ok()?;
            let verified = view.standing.verify(&view.genesis, &node, &Chain::from_text(&row.chain));
            let listed = view.standing.vouched.get(&node);
            let (state, role) = match &verified {
                Ok(verified) => (MemberState::Active, verified.role),
                Err(_) => match listed {
                    Some((epoch, role)) if row.removed.is_none_or(|removed| *epoch > removed) => (MemberState::Heard, *role),
                    _ => (MemberState::Removed, row.role.parse().ok()?),
                },
            };
            Some(Member {
                itself: node == *me,
                founder: node == view.genesis.founder,
                name: row.name.clone(),
                role,
                state,
                issued: row.issued,
                joined: row.joined,
                last_seen: row.last_seen,
                node,
            })
        });
        Ok(rows.collect())
    }

    /// Makes a member an admin. It learns of it when it next meets this node. The other way leads over its removal and a new invite,
    /// for what an admin once signed cannot be called back otherwise.
    ///
    /// # Errors
    /// [`NetworkError::NotAdmin`], [`NetworkError::NotMember`], [`NetworkError::NoSuchMember`], [`NetworkError::NotFound`];
    /// [`NetworkError::Store`], [`NetworkError::Entropy`].
    pub async fn promote(&self, id: NetworkId, node: &NodeId) -> Result<(), NetworkError> {
        let _changing = self.changing.lock().await;
        let view = self.view(id).await?;
        let own = self.own_admin(&view)?;
        let (_, member) = view.verified_member(node).ok_or(NetworkError::NoSuchMember)?;
        if member.role == Role::Admin {
            return Ok(());
        }
        let (certificate, chain) = self.certify(&view, &own, node, &member.certificate.name, Role::Admin)?;
        let row = member_row(&certificate, &chain, None, self.clock.now());
        self.store.network_member_put(&row, MAX_ROWS).await?;
        self.events.publish("network.member_promoted", json!({"network": id, "node": node, "name": row.name}));
        Ok(())
    }

    /// Signs a membership, and puts this node's own behind it.
    pub(crate) fn certify(
        &self,
        view: &View,
        own: &Verified,
        node: &NodeId,
        name: &str,
        role: Role,
    ) -> Result<(Certificate, Chain), NetworkError> {
        // Later than the one before whatever the clocks say, or the new one would be taken for the older.
        let known = view.members.iter().find(|row| row.node == node.as_str());
        let now = self.clock.now();
        let certificate = Certificate {
            network: view.id,
            member: node.clone(),
            role,
            name: name.to_owned(),
            issued_ms: known.map_or(now, |known| now.max(known.issued.plus_ms(1))),
            serial: Certificate::serial(self.entropy.as_ref())?,
            epoch: view.standing.present,
            by: self.identity.node_id().clone(),
        };
        let token = certificate.sign(&self.identity).map_err(|fault| NetworkError::Refused(fault.to_string()))?;
        let chain = Chain::led_by(token, own);
        if chain.0.len() > MAX_CHAIN {
            return Err(NetworkError::TooMany { what: "admins between this one and the founder", most: MAX_CHAIN });
        }
        Ok((certificate, chain))
    }

    /// Checks a chain that `node` showed, and keeps it if it is later than what is known. Who is in good standing by an earlier
    /// certificate that is known here stays so.
    pub(crate) async fn recognise(
        &self,
        view: &View,
        node: &NodeId,
        chain: &Chain,
    ) -> Result<Result<Verified, Fault>, NetworkError> {
        let verified = match view.standing.verify(&view.genesis, node, chain) {
            Ok(verified) => verified,
            Err(fault) => return Ok(Err(fault)),
        };
        let known = view.members.iter().find(|row| row.node == node.as_str());
        let certificate = &verified.certificate;
        if known.is_none_or(|known| known.chain.is_empty() || certificate.is_later_than(known.epoch, known.issued, &known.serial))
        {
            let row = member_row(certificate, chain, None, self.clock.now());
            if !self.store.network_member_put(&row, MAX_ROWS).await? {
                tracing::warn!(network = %view.id, "more members than are kept");
            }
        }
        Ok(Ok(verified))
    }
}

//! Whether a chain of certificates holds, given what rotations said of who was shut out and who stayed.

use crate::{Certificate, Chain, Genesis, MAX_CHAIN, Role, SignedFault, rotations::MAX_STEP};
use kith_types::NodeId;
use std::collections::HashMap;

/// What the rotations that a node knows say of others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The epoch that shut each one out.
    pub removed: HashMap<NodeId, u64>,
    /// The last epoch whose rotation listed each one, and as what.
    pub vouched: HashMap<NodeId, (u64, Role)>,
    /// The present epoch.
    pub present: u64,
}

/// Why a chain does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no certificate, or something that is none.
    #[error("the certificate is missing or not of the form it should have")]
    Malformed,
    /// It is of another network.
    #[error("the certificate is of another network")]
    WrongNetwork,
    /// A signature is wrong, or a signer was never an admin.
    #[error("the certificate was not signed by an admin of this network")]
    Forged,
    /// It is not this node's.
    #[error("the certificate is another node's")]
    NotTheirs,
    /// The node was removed, or its certificate is of an admin who was, later than that.
    #[error("the device was removed from this network")]
    Removed,
}

/// A chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The member's certificate.
    pub certificate: Certificate,
    /// What the member may do now; less than the certificate says where its signer was removed since.
    pub role: Role,
    /// The chain.
    pub chain: Chain,
}

/// Whether the signer of the next certificate could sign one.
#[derive(Clone, Copy)]
enum Signer {
    Admin,
    Member,
    /// Shut out at this epoch: what it signed holds for those whom that rotation, or a later one, listed.
    Out(u64),
}

impl Standing {
    /// As if nobody had been shut out at `epoch`: for what was signed at that number by those who did not know of one another.
    pub(crate) fn before(&self, epoch: u64) -> Self {
        let mut before = self.clone();
        before.removed.retain(|_, removed| *removed != epoch);
        before
    }

    /// Checks a chain that `holder` showed, from the founder down. Every decision is by epochs; no clock is looked at.
    ///
    /// A certificate holds if its signer is an admin in good standing, and its member was not removed at a later epoch than the
    /// certificate's. An epoch that has not come yet helps nobody who was removed, whatever date an admin wrote, and one that is too
    /// far ahead is none at all. The founder is never out. If its signer was removed, it holds for those whom the removing rotation listed, with the role listed there:
    /// so a removed admin's earlier guests stay, and nothing that such an admin signs afterwards, whatever date is written on it,
    /// lets anybody in.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn verify(&self, genesis: &Genesis, holder: &NodeId, chain: &Chain) -> Result<Verified, Fault> {
        if chain.0.is_empty() || chain.0.len() > MAX_CHAIN {
            return Err(Fault::Malformed);
        }
        let network = genesis.id();
        let mut signer = Signer::Admin;
        let mut signer_id = genesis.founder.clone();
        let mut last = None;
        for token in chain.0.iter().rev() {
            let certificate = Certificate::open(token).map_err(|fault| match fault {
                SignedFault::Malformed => Fault::Malformed,
                SignedFault::Forged => Fault::Forged,
            })?;
            if certificate.network != network {
                return Err(Fault::WrongNetwork);
            }
            if certificate.by != signer_id {
                return Err(Fault::Forged);
            }
            signer = self.weigh(genesis, signer, &certificate)?;
            signer_id = certificate.member.clone();
            last = Some(certificate);
        }
        let certificate = last.ok_or(Fault::Malformed)?;
        if certificate.member != *holder {
            return Err(Fault::NotTheirs);
        }
        let role = match signer {
            Signer::Admin => Role::Admin,
            Signer::Member => Role::Member,
            Signer::Out(_) => return Err(Fault::Removed),
        };
        Ok(Verified { certificate, role, chain: chain.clone() })
    }

    /// What the member of a certificate by such a signer is.
    fn weigh(&self, genesis: &Genesis, signer: Signer, certificate: &Certificate) -> Result<Signer, Fault> {
        if certificate.epoch > self.present.saturating_add(MAX_STEP) {
            return Err(Fault::Malformed);
        }
        let removed = self.removed.get(&certificate.member).copied().filter(|_| certificate.member != genesis.founder);
        let as_role = |role| if role == Role::Admin { Signer::Admin } else { Signer::Member };
        match signer {
            Signer::Member => Err(Fault::Forged),
            Signer::Admin => Ok(match removed {
                Some(removed) if certificate.epoch < removed || certificate.epoch > self.present => Signer::Out(removed),
                _ => as_role(certificate.role),
            }),
            Signer::Out(since) => Ok(match self.vouched.get(&certificate.member) {
                Some(&(listed, role)) if listed >= since && removed.is_none_or(|removed| listed > removed) => as_role(role),
                _ => Signer::Out(removed.map_or(since, |removed| removed.max(since))),
            }),
        }
    }
}

#[cfg(test)]
mod tests;

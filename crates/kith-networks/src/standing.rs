//! Whether a chain of certificates holds, given what rotations said of who was shut out and who stayed.

use crate::{Certificate, Chain, Genesis, MAX_CHAIN, Role, SignedFault};
use kith_types::NodeId;
use std::collections::HashMap;

/// What the rotations that a node knows say of others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The epoch that shut each one out.
    pub removed: HashMap<NodeId, u64>,
    /// The last epoch whose rotation listed each one, and as what.
    pub vouched: HashMap<NodeId, (u64, Role)>,
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
    /// Checks a chain that `holder` showed, from the founder down. Every decision is by epochs; no clock is looked at.
    ///
    /// A certificate holds if its signer is an admin in good standing, and its member was not removed at a later epoch than the
    /// certificate's. If its signer was removed, it holds for those whom the removing rotation listed, with the role listed there:
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
        let mut signer = match self.removed.get(&genesis.founder) {
            Some(&epoch) => Signer::Out(epoch),
            None => Signer::Admin,
        };
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
            signer = self.weigh(signer, &certificate)?;
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
    fn weigh(&self, signer: Signer, certificate: &Certificate) -> Result<Signer, Fault> {
        let removed = self.removed.get(&certificate.member).copied();
        let as_role = |role| if role == Role::Admin { Signer::Admin } else { Signer::Member };
        match signer {
            Signer::Member => Err(Fault::Forged),
            Signer::Admin => Ok(match removed {
                Some(removed) if certificate.epoch < removed => Signer::Out(removed),
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

//! Certificates of membership, and the chains by which they lead back to a network's founder.

use crate::{
    NetworkId, Verified,
    signed::{self, Kind, SignedBy, SignedFault},
};
use kith_keys::{Entropy, EntropyError, Identity};
use kith_types::{NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Certificates in one chain: so many admins, each let in by the one before, may stand between the founder and a member.
pub const MAX_CHAIN: usize = 8;
/// The longest certificate, in bytes of its text form; one with a name of 64 four-byte characters has 900.
const MAX_CERTIFICATE: usize = 2048;

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Use the network.
    Member,
    /// Also let others in, remove them and change the key.
    Admin,
}

impl Role {
    /// `member` or `admin`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "member" => Ok(Self::Member),
            "admin" => Ok(Self::Admin),
            _ => Err(()),
        }
    }
}

/// That a node belongs to a network, in the words of an admin of it. It has no end: it is taken back by a rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The network.
    pub network: NetworkId,
    /// Who belongs to it.
    pub member: NodeId,
    /// As what.
    pub role: Role,
    /// What the member is called.
    pub name: String,
    /// When it was signed, by the signer's clock, and after every earlier one for the same member that the signer knows.
    pub issued_ms: Timestamp,
    /// Tells certificates apart: 16 hexadecimal digits.
    pub serial: String,
    /// The network's epoch when it was signed.
    pub epoch: u64,
    /// The admin that signed it.
    pub by: NodeId,
}

impl SignedBy for Certificate {
    fn signer(&self) -> &NodeId {
        &self.by
    }
}

impl Certificate {
    /// The random number of a new certificate.
    pub(crate) fn serial(entropy: &dyn Entropy) -> Result<String, EntropyError> {
        let mut serial = [0; 8];
        entropy.fill(&mut serial)?;
        Ok(hex::encode(serial))
    }

    /// Signs it; `by` must be the identity's own id, or nobody will believe it.
    pub(crate) fn sign(&self, identity: &Identity) -> Result<String, SignedFault> {
        signed::seal(Kind::Member, identity, self)
    }

    /// Reads a certificate and checks its signature, not whether its signer might sign.
    ///
    /// # Errors
    /// [`SignedFault`].
    pub fn open(token: &str) -> Result<Self, SignedFault> {
        signed::open(Kind::Member, token, MAX_CERTIFICATE)
    }

    /// Whether it takes the place of one issued at `issued` with the number `serial`.
    pub(crate) fn is_later_than(&self, epoch: u64, issued: Timestamp, serial: &str) -> bool {
        (self.epoch, self.issued_ms, self.serial.as_str()) > (epoch, issued, serial)
    }
}

/// A member's certificate, its signer's, and so on to one that the founder signed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chain(pub Vec<String>);

impl Chain {
    /// This certificate before all of the signer's own chain. The one that the founder signed for itself is left out: the network's
    /// id vouches for the founder.
    pub(crate) fn led_by(certificate: String, signer: &Verified) -> Self {
        let of_itself = signer.certificate.by == signer.certificate.member;
        let rest = if of_itself { &[] } else { signer.chain.0.as_slice() };
        Self(std::iter::once(certificate).chain(rest.iter().cloned()).collect())
    }

    /// One text, blanks between the certificates.
    pub(crate) fn to_text(&self) -> String {
        self.0.join(" ")
    }

    /// Reads what [`Chain::to_text`] wrote.
    pub(crate) fn from_text(text: &str) -> Self {
        Self(text.split(' ').filter(|token| !token.is_empty()).map(str::to_owned).collect())
    }
}

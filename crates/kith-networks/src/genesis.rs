//! What a network is, whatever becomes of it: the digest of its founder's key and a salt.

use kith_types::NodeId;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Keeps these digests apart from all others.
const CONTEXT: &str = "kith network v1";

/// A network's id: the first 128 bits of the digest of its founder's key and a salt, 32 hexadecimal digits. Another founder would
/// make another id, so that who knows the id knows by whom its certificates begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetworkId([u8; 16]);

/// A text was not a network's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a network's id has 32 hexadecimal digits")]
pub struct NetworkIdError;

impl NetworkId {
    /// The bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for NetworkId {
    type Err = NetworkIdError;

    fn from_str(text: &str) -> Result<Self, NetworkIdError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NetworkIdError)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for NetworkId {
    type Error = NetworkIdError;

    fn try_from(text: String) -> Result<Self, NetworkIdError> {
        text.parse()
    }
}

impl From<NetworkId> for String {
    fn from(id: NetworkId) -> Self {
        id.to_string()
    }
}

/// The founding of a network: all that must be known to check everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// Where every chain of certificates ends.
    pub founder: NodeId,
    /// Tells the founder's networks apart.
    pub salt: [u8; 16],
}

impl Genesis {
    /// The id of the network.
    pub fn id(&self) -> NetworkId {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&self.founder.ed25519()).update(&self.salt);
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        NetworkId(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_founder_or_another_salt_is_another_network() {
        let genesis = |key: u8, salt: u8| Genesis { founder: NodeId::from_ed25519(&[key; 32]), salt: [salt; 16] }.id();
        assert_eq!(genesis(1, 1), genesis(1, 1));
        assert_ne!(genesis(1, 1), genesis(2, 1));
        assert_ne!(genesis(1, 1), genesis(1, 2));
        assert_eq!(genesis(1, 1).to_string().parse(), Ok(genesis(1, 1)));
        for wrong in ["", "abc", &"z".repeat(32), &"a".repeat(34)] {
            assert!(wrong.parse::<NetworkId>().is_err(), "{wrong}");
        }
    }
}

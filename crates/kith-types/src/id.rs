//! Identifiers: of nodes (libp2p peer ids of Ed25519 keys) and of requests.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A libp2p peer id holds an Ed25519 key whole: identity multihash (0x00, 36 bytes) of the protobuf {type: 1 = Ed25519, data: 32 bytes}.
/// <https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md>
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// A node's id: base58 of the identity multihash of its Ed25519 public key, always `12D3Koo…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(String);

/// A text was not a node id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a node id: it has the form 12D3Koo…")]
pub struct IdError(pub String);

impl NodeId {
    /// The id of the node whose Ed25519 public key is `key`.
    pub fn from_ed25519(key: &[u8; 32]) -> Self {
        let mut bytes = Vec::with_capacity(38);
        bytes.extend_from_slice(&PEER_ID_PREFIX);
        bytes.extend_from_slice(key);
        Self(bs58::encode(bytes).into_string())
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The Ed25519 public key inside the id.
    pub fn ed25519(&self) -> [u8; 32] {
        let mut key = [0; 32];
        if let Ok(bytes) = bs58::decode(&self.0).into_vec()
            && let Some(tail) = bytes.get(PEER_ID_PREFIX.len()..)
            && tail.len() == key.len()
        {
            key.copy_from_slice(tail);
        }
        key
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        // Base58 takes quadratic time; 38 bytes never need more than 52 digits.
        if text.len() > 52 {
            return Err(IdError(text.chars().take(52).collect()));
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| IdError(text.to_owned()))?;
        if bytes.len() == PEER_ID_PREFIX.len() + 32 && bytes.starts_with(&PEER_ID_PREFIX) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for NodeId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.0
    }
}

/// The id of one HTTP request, `req_` and 24 hexadecimal digits, sent back as `X-Request-ID`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(String);

impl RequestId {
    /// Makes an id from 12 random bytes.
    pub fn from_random(bytes: [u8; 12]) -> Self {
        Self(format!("req_{}", hex::encode(bytes)))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_holds_its_key_and_starts_as_libp2p_writes_it(key in any::<[u8; 32]>()) {
            let id = NodeId::from_ed25519(&key);
            prop_assert!(id.as_str().starts_with("12D3Koo"));
            prop_assert_eq!(id.ed25519(), key);
            prop_assert_eq!(id.as_str().parse::<NodeId>(), Ok(id));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "12D3Koo", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "0OIl"] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
    }
}

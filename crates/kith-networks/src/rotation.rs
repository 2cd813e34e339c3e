//! Rotations: a new key, and who belongs to the network from then on, signed by one admin. The key travels beside it, sealed to each
//! member; the seals need no signature, since what is inside must fit the commitment that is signed.

use crate::{
    Chain, NetworkId, Psk, Role, frames,
    psk::key_id,
    signed::{self, Kind, SignedBy, SignedFault},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kith_keys::{Entropy, EnvelopeError, Identity, seal_to};
use kith_types::{NodeId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::collections::BTreeMap;

/// The largest rotation with its sealed keys, in bytes: one frame, and one message of gossip.
pub const MAX_ROTATION: usize = frames::MAX_FRAME;

/// Nodes as their keys, one behind the other in base64url: short, since a rotation names everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Nodes(pub(crate) Vec<NodeId>);

impl Serialize for Nodes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keys: Vec<u8> = self.0.iter().flat_map(NodeId::ed25519).collect();
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(keys))
    }
}

impl<'de> Deserialize<'de> for Nodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let keys = URL_SAFE_NO_PAD.decode(text).map_err(D::Error::custom)?;
        let (keys, rest) = keys.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(D::Error::custom("a key has 32 bytes"));
        }
        Ok(Self(keys.iter().map(NodeId::from_ed25519).collect()))
    }
}

/// What an admin signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The network.
    pub network: NetworkId,
    /// The key's number; of two with the same number that holds whose signer was not shut out by the other, else the one whose key has
    /// the greater name.
    pub epoch: u64,
    /// What binds to the key, 64 hexadecimal digits.
    #[serde(with = "digits")]
    pub commitment: [u8; 32],
    /// When it was signed, by the signer's clock; told, never compared.
    pub issued_ms: Timestamp,
    /// The admin that signed it.
    pub by: NodeId,
    #[serde(default)]
    pub(crate) admins: Nodes,
    #[serde(default)]
    pub(crate) members: Nodes,
    #[serde(default)]
    pub(crate) removed: BTreeMap<u64, Nodes>,
}

mod digits {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(String::deserialize(deserializer)?, &mut bytes).map_err(D::Error::custom)?;
        Ok(bytes)
    }
}

impl SignedBy for Rotation {
    fn signer(&self) -> &NodeId {
        &self.by
    }
}

impl Rotation {
    /// The name of its key.
    pub fn key_id(&self) -> String {
        key_id(&self.commitment)
    }

    /// Who belongs to the network, with their roles.
    pub fn listed(&self) -> impl Iterator<Item = (&NodeId, Role)> {
        let admins = self.admins.0.iter().map(|node| (node, Role::Admin));
        admins.chain(self.members.0.iter().map(|node| (node, Role::Member)))
    }

    /// Who was shut out, and at which epoch.
    pub fn shut_out(&self) -> impl Iterator<Item = (&NodeId, u64)> {
        self.removed.iter().flat_map(|(epoch, nodes)| nodes.0.iter().map(|node| (node, *epoch)))
    }

    /// Whether `psk` is the key it speaks of.
    pub fn is_of(&self, psk: &Psk) -> bool {
        psk.commitment() == self.commitment
    }

    pub(crate) fn sign(&self, identity: &Identity) -> Result<String, SignedFault> {
        signed::seal(Kind::Rotation, identity, self)
    }

    /// Reads a rotation and checks its signature, not whether its signer might sign.
    ///
    /// # Errors
    /// [`SignedFault`]; also where an epoch that shuts somebody out lies after the rotation's own.
    pub fn open(token: &str) -> Result<Self, SignedFault> {
        let read: Self = signed::open(Kind::Rotation, token, MAX_ROTATION)?;
        if read.is_sound() { Ok(read) } else { Err(SignedFault::Malformed) }
    }

    /// Reads the inside of a rotation without asking who signed it. Nothing of it is to be believed: it is there for those who try
    /// the decoder with all kinds of bytes.
    pub fn decode_body(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().filter(Self::is_sound)
    }

    fn is_sound(&self) -> bool {
        self.epoch > 0 && self.removed.keys().all(|epoch| *epoch <= self.epoch)
    }
}

/// A rotation as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RotationBundle {
    /// The signed rotation.
    pub rotation: String,
    /// The signer's chain of certificates.
    #[serde(default)]
    pub chain: Chain,
    /// By node (its key in base64url), the network's key sealed to it (base64url).
    #[serde(default)]
    pub shares: BTreeMap<String, String>,
}

/// How a node is named among the shares.
pub(crate) fn share_name(node: &NodeId) -> String {
    URL_SAFE_NO_PAD.encode(node.ed25519())
}

fn purpose(network: NetworkId, epoch: u64) -> String {
    format!("kith rotation {network} {epoch}")
}

/// The key sealed to `node`, as it stands among the shares.
pub(crate) fn share(
    node: &NodeId,
    network: NetworkId,
    epoch: u64,
    psk: &Psk,
    entropy: &dyn Entropy,
) -> Result<String, EnvelopeError> {
    Ok(URL_SAFE_NO_PAD.encode(seal_to(node, &purpose(network, epoch), psk.as_bytes(), entropy)?))
}

impl RotationBundle {
    /// Reads what came over the network or from a file.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_ROTATION {
            return None;
        }
        serde_json::from_slice(bytes).ok()
    }

    /// The bytes to send.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The key sealed to `me`, if there is one and it is the one the rotation speaks of.
    pub(crate) fn key_for(&self, rotation: &Rotation, me: &Identity) -> Option<Psk> {
        let sealed = URL_SAFE_NO_PAD.decode(self.shares.get(&share_name(me.node_id()))?).ok()?;
        let opened = me.open_envelope(&purpose(rotation.network, rotation.epoch), &sealed).ok()?;
        Psk::from_slice(&opened).filter(|psk| rotation.is_of(psk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAX_MEMBERS, MAX_REMOVED};
    use kith_keys::OsEntropy;
    use proptest::prelude::*;

    fn node() -> NodeId {
        Identity::ephemeral(&OsEntropy).unwrap().node_id().clone()
    }

    fn rotation(by: &Identity, psk: &Psk) -> Rotation {
        Rotation {
            network: "00112233445566778899aabbccddeeff".parse().unwrap(),
            epoch: 3,
            commitment: psk.commitment(),
            issued_ms: Timestamp::from_ms(1),
            by: by.node_id().clone(),
            admins: Nodes(vec![by.node_id().clone()]),
            members: Nodes::default(),
            removed: BTreeMap::new(),
        }
    }

    #[test]
    fn the_largest_network_with_the_most_removed_fits_one_frame() {
        let ann = Identity::ephemeral(&OsEntropy).unwrap();
        let psk = Psk::random(&OsEntropy).unwrap();
        let nodes: Vec<NodeId> = (0..MAX_MEMBERS).map(|_| node()).collect();
        let mut rotation = rotation(&ann, &psk);
        rotation.members = Nodes(nodes.clone());
        rotation.epoch = u64::from(u32::MAX);
        rotation.removed = (0..MAX_REMOVED as u64).map(|epoch| (epoch + 1_000_000, Nodes(vec![node()]))).collect();
        let shares =
            nodes.iter().map(|to| (share_name(to), share(to, rotation.network, rotation.epoch, &psk, &OsEntropy).unwrap()));
        let bundle = RotationBundle {
            rotation: rotation.sign(&ann).unwrap(),
            chain: Chain(vec!["x".repeat(600); crate::MAX_CHAIN]),
            shares: shares.collect(),
        };
        let bytes = bundle.encode();
        assert!(bytes.len() <= MAX_ROTATION, "{} bytes", bytes.len());
        assert_eq!(Rotation::open(&RotationBundle::decode(&bytes).unwrap().rotation).unwrap(), rotation);
    }

    #[test]
    fn a_share_with_another_key_than_the_signed_one_is_none() {
        let (ann, bob) = (Identity::ephemeral(&OsEntropy).unwrap(), Identity::ephemeral(&OsEntropy).unwrap());
        let (psk, other) = (Psk::random(&OsEntropy).unwrap(), Psk::random(&OsEntropy).unwrap());
        let rotation = rotation(&ann, &psk);
        let with = |psk: &Psk, epoch| {
            let sealed = share(bob.node_id(), rotation.network, epoch, psk, &OsEntropy).unwrap();
            RotationBundle { shares: [(share_name(bob.node_id()), sealed)].into(), ..RotationBundle::default() }
        };
        assert_eq!(with(&psk, 3).key_for(&rotation, &bob), Some(psk.clone()));
        assert_eq!(with(&other, 3).key_for(&rotation, &bob), None);
        assert_eq!(with(&psk, 4).key_for(&rotation, &bob), None, "it is sealed for its epoch");
        assert_eq!(with(&psk, 3).key_for(&rotation, &ann), None, "and for its member");
    }

    #[test]
    fn a_rotation_to_no_epoch_or_that_shuts_out_in_the_future_is_none() {
        let ann = Identity::ephemeral(&OsEntropy).unwrap();
        let psk = Psk::random(&OsEntropy).unwrap();
        let first = Rotation { epoch: 0, ..rotation(&ann, &psk) };
        assert_eq!(Rotation::open(&first.sign(&ann).unwrap()), Err(SignedFault::Malformed));
        let future = Rotation { removed: [(4, Nodes(vec![node()]))].into(), ..rotation(&ann, &psk) };
        assert_eq!(Rotation::open(&future.sign(&ann).unwrap()), Err(SignedFault::Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = RotationBundle::decode(&bytes);
            let _ = Rotation::open(&String::from_utf8_lossy(&bytes));
        }
    }
}

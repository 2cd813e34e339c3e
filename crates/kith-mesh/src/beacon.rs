//! What a node calls out on its local network: readable by all, meaningful to members only.
//!
//! Multicast DNS names one fixed service for all of libp2p, so that every node of every network would answer every other one.
//! A beacon instead begins with a tag derived from the network's key: strangers drop it after sixteen bytes and stay quiet. It carries
//! a keyed BLAKE3 digest, so that only members can make one. A replayed beacon is harmless: addresses are hints, and a
//! connection proves the peer.

use crate::{address::Address, config::NetworkKey};
use kith_types::NodeId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Bytes of a beacon: one Ethernet frame with room for tunnels.
pub(crate) const MAX_BEACON: usize = 1200;
/// Addresses in one beacon.
const MAX_TOLD: usize = 8;
const TAG: usize = 16;
const DIGEST: usize = 32;

/// A member on the local network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Beacon {
    pub node: NodeId,
    #[serde(default)]
    pub addresses: Vec<Address>,
}

/// Writes and reads the beacons of one network.
pub(crate) struct Beacons {
    tag: [u8; TAG],
    key: Zeroizing<[u8; 32]>,
}

impl Beacons {
    pub fn new(network: &NetworkKey) -> Self {
        let mut tag = [0; TAG];
        tag.copy_from_slice(&network.derive("kith mesh 2026 beacon tag")[..TAG]);
        Self { tag, key: network.derive("kith mesh 2026 beacon digest") }
    }

    /// The datagram; as many of the addresses as fit.
    pub fn write(&self, beacon: &Beacon) -> Option<Vec<u8>> {
        let mut told = beacon.clone();
        told.addresses.truncate(MAX_TOLD);
        loop {
            let body = serde_json::to_vec(&told).ok()?;
            if TAG + DIGEST + body.len() <= MAX_BEACON {
                return Some(self.datagram(&body));
            }
            told.addresses.pop()?;
        }
    }

    /// The datagram with that body, whatever it is.
    pub fn datagram(&self, body: &[u8]) -> Vec<u8> {
        [self.tag.as_slice(), blake3::keyed_hash(&self.key, body).as_bytes(), body].concat()
    }

    /// The beacon in a datagram, where a member of this network wrote it.
    pub fn read(&self, datagram: &[u8]) -> Option<Beacon> {
        let rest = datagram.strip_prefix(&self.tag)?;
        let (digest, body) = rest.split_at_checked(DIGEST)?;
        let digest: [u8; DIGEST] = digest.try_into().ok()?;
        // `blake3::Hash` compares in constant time.
        if datagram.len() > MAX_BEACON || blake3::keyed_hash(&self.key, body) != blake3::Hash::from_bytes(digest) {
            return None;
        }
        let mut beacon: Beacon = serde_json::from_slice(body).ok()?;
        beacon.addresses.truncate(MAX_TOLD);
        Some(beacon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn beacon(addresses: usize) -> Beacon {
        let addresses = (0..addresses).map(|n| format!("/ip4/10.0.0.{n}/tcp/4001").parse().unwrap()).collect();
        Beacon { node: NodeId::from_ed25519(&[3; 32]), addresses }
    }

    #[test]
    fn members_read_a_beacon_and_strangers_do_not() {
        let (ours, theirs) = (Beacons::new(&NetworkKey::new([1; 32])), Beacons::new(&NetworkKey::new([2; 32])));
        let datagram = ours.write(&beacon(3)).unwrap();
        assert_eq!(ours.read(&datagram), Some(beacon(3)));
        assert_eq!(theirs.read(&datagram), None);
        assert_ne!(ours.tag, theirs.tag);
        let mut forged = datagram;
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(ours.read(&forged), None);
    }

    #[test]
    fn a_beacon_fits_one_frame_however_many_addresses_there_are() {
        let ours = Beacons::new(&NetworkKey::new([1; 32]));
        let mut many = beacon(200);
        many.addresses.iter_mut().for_each(|address| *address = format!("/dns4/{}/tcp/1", "a".repeat(250)).parse().unwrap());
        let datagram = ours.write(&many).unwrap();
        assert!(datagram.len() <= MAX_BEACON);
        assert_eq!(ours.read(&datagram).unwrap().addresses.len(), 4);
        assert_eq!(ours.read(&ours.write(&beacon(200)).unwrap()).unwrap().addresses.len(), MAX_TOLD);
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_without_harm(noise in prop::collection::vec(any::<u8>(), 0..1500), tagged in any::<bool>()) {
            let ours = Beacons::new(&NetworkKey::new([1; 32]));
            let datagram = if tagged { [ours.tag.as_slice(), &noise].concat() } else { noise };
            prop_assert_eq!(ours.read(&datagram), None);
        }
    }
}

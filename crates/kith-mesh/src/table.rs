//! The addresses of members in the table that answers where a member is: those it told last, and no more than are remembered of one.

use crate::{address::peer_at_end, bounds::MAX_ADDRESSES};
use libp2p::{
    Multiaddr, PeerId,
    kad::{self, store::MemoryStore},
};

/// Takes what `peer` tells of itself. Where it would be more than [`MAX_ADDRESSES`], the oldest that it does not tell any more go.
pub(crate) fn learn(table: &mut kad::Behaviour<MemoryStore>, peer: &PeerId, addresses: &[Multiaddr]) {
    let addresses = &addresses[..addresses.len().min(MAX_ADDRESSES)];
    let held = held(table, peer);
    let told = |address: &Multiaddr| addresses.contains(address);
    let (again, old): (Vec<Multiaddr>, Vec<Multiaddr>) = held.into_iter().partition(told);
    let new = addresses.len() - addresses.iter().filter(|address| again.contains(address)).count();
    let too_many = (again.len() + old.len() + new).saturating_sub(MAX_ADDRESSES);
    // First the new: a peer without an address is not in the table.
    for address in addresses {
        table.add_address(peer, address.clone());
    }
    for address in old.iter().take(too_many) {
        table.remove_address(peer, address);
    }
}

/// What the table has of `peer`, the oldest first.
fn held(table: &mut kad::Behaviour<MemoryStore>, peer: &PeerId) -> Vec<Multiaddr> {
    let Some(bucket) = table.kbucket(*peer) else { return Vec::new() };
    let entry = bucket.iter().find(|entry| entry.node.key.preimage() == peer);
    let addresses = entry.map(|entry| entry.node.value.iter().cloned().collect::<Vec<_>>()).unwrap_or_default();
    addresses.into_iter().map(|address| without(address, peer)).collect()
}

fn without(mut address: Multiaddr, peer: &PeerId) -> Multiaddr {
    if peer_at_end(&address) == Some(*peer) {
        address.pop();
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ports: std::ops::Range<u16>) -> Vec<Multiaddr> {
        ports.map(|port| format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()).collect()
    }

    #[test]
    fn a_peer_that_tells_ever_new_addresses_is_remembered_with_the_last_of_them() {
        let (own, peer) = (PeerId::random(), PeerId::random());
        let mut table = kad::Behaviour::new(own, MemoryStore::new(own));
        learn(&mut table, &peer, &at(1..3));
        learn(&mut table, &peer, &at(2..4));
        assert_eq!(held(&mut table, &peer), at(1..4));
        for first in (10..2000).step_by(7) {
            learn(&mut table, &peer, &at(first..first + 40));
            let held = held(&mut table, &peer);
            assert!(held.len() <= MAX_ADDRESSES && at(first..first + MAX_ADDRESSES as u16).iter().all(|new| held.contains(new)));
        }
        learn(&mut table, &peer, &[]);
        assert_eq!(held(&mut table, &peer).len(), MAX_ADDRESSES);
    }
}

//! Which retired key is tried next at an address where nobody knew the present one.
//!
//! Of two members that changed the key apart from each other neither knows the other's, and a member that changed it while it was alone is
//! unknown to all. What they have in common is an earlier key, and only the one that dials can know which of its keys were not
//! understood: the other side hangs up before its first words.

use libp2p::Multiaddr;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// Retired keys that one dial tries after the present one. Each costs a connection on both sides; the next dial goes on with those after.
pub(crate) const TURNS: usize = 7;
/// Addresses remembered, the one that was least lately of use goes: as many as a node has known peers.
const MAX_ADDRESSES: usize = 512;

/// The turns of a mesh. Where nothing is remembered the latest retired key is the next.
#[derive(Debug)]
pub(crate) struct Turns {
    retired: usize,
    next: Mutex<VecDeque<(Multiaddr, usize)>>,
}

impl Turns {
    /// For a mesh with so many retired keys.
    pub fn new(retired: usize) -> Self {
        Self { retired, next: Mutex::default() }
    }

    /// The retired keys that a dial to `address` tries, by their indexes, in this order: at most [`TURNS`], none of them twice.
    pub fn at(&self, address: &Multiaddr) -> impl Iterator<Item = usize> + use<> {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let first = next.iter().find(|(held, _)| held == address).map_or(0, |(_, index)| *index);
        let retired = self.retired;
        (first..).take(TURNS.min(retired)).map(move |index| index % retired)
    }

    /// The retired key of that index was understood at `address`: the next dial begins with it, should another be needed.
    pub fn understood(&self, address: &Multiaddr, index: usize) {
        self.remember(address, Some(index));
    }

    /// It was not: the next dial goes on after it.
    pub fn in_vain(&self, address: &Multiaddr, index: usize) {
        self.remember(address, Some(index + 1).filter(|next| *next < self.retired));
    }

    /// The present key was understood there.
    pub fn forget(&self, address: &Multiaddr) {
        self.remember(address, None);
    }

    fn remember(&self, address: &Multiaddr, index: Option<usize>) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.retain(|(held, _)| held != address);
        if let Some(index) = index {
            next.push_back((address.clone(), index));
            if next.len() > MAX_ADDRESSES {
                next.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: usize) -> Multiaddr {
        format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()
    }

    fn of(turns: &Turns, address: &Multiaddr) -> Vec<usize> {
        turns.at(address).collect()
    }

    #[test]
    fn the_latest_keys_are_tried_first_and_each_dial_goes_on_where_the_last_one_ended_until_all_had_their_turn() {
        let (turns, here) = (Turns::new(10), at(1));
        assert_eq!(of(&turns, &here), [0, 1, 2, 3, 4, 5, 6]);
        of(&turns, &here).into_iter().for_each(|index| turns.in_vain(&here, index));
        assert_eq!(of(&turns, &here), [7, 8, 9, 0, 1, 2, 3]);
        assert_eq!(of(&turns, &at(2)), [0, 1, 2, 3, 4, 5, 6], "each address for itself");
        turns.in_vain(&here, 9);
        assert_eq!(of(&turns, &here), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_key_that_was_understood_is_the_next_again_until_the_present_one_is() {
        let (turns, here) = (Turns::new(3), at(1));
        turns.understood(&here, 2);
        assert_eq!(of(&turns, &here), [2, 0, 1]);
        turns.forget(&here);
        assert_eq!(of(&turns, &here), [0, 1, 2]);
        assert!(of(&Turns::new(0), &here).is_empty());
    }

    #[test]
    fn the_addresses_remembered_are_bounded_and_the_oldest_goes() {
        let turns = Turns::new(2);
        (0..=MAX_ADDRESSES).for_each(|port| turns.understood(&at(port), 1));
        assert_eq!(turns.next.lock().unwrap().len(), MAX_ADDRESSES);
        assert_eq!((of(&turns, &at(0)), of(&turns, &at(1))), (vec![0, 1], vec![1, 0]));
    }
}

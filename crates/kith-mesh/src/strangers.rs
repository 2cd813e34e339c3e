//! Who tried to come in without a key, and is worth telling of. A member that is a change of the key ahead or behind knocks with a key
//! that is unknown here: nothing is told of where a member was a moment ago, or is found to be a moment later.

use crate::bounds::NOTICE_QUEUE;
use libp2p::Multiaddr;
use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

/// How long a place stays a member's after the last connection with it: members go over to a new key within seconds, and those that
/// were asleep within minutes.
const LATELY: Duration = Duration::from_secs(600);
/// How long it is waited for a member to show itself at the same place: it tries its other keys at once.
const PATIENCE: Duration = Duration::from_secs(3);
/// Places of members remembered; twice as many as there are connections.
const MAX_PLACES: usize = 512;

/// Somebody without a key: when, from where, and what is known, in one sentence.
type Knock = (Instant, Multiaddr, &'static str);

/// Those who knocked, and where members are.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    members: HashMap<IpAddr, Instant>,
    waiting: VecDeque<Knock>,
}

impl Strangers {
    /// Members are at these addresses.
    pub fn members_at<'a>(&mut self, addresses: impl IntoIterator<Item = &'a Multiaddr>, now: Instant) {
        for ip in addresses.into_iter().filter_map(crate::address::ip) {
            if self.members.len() >= MAX_PLACES && !self.members.contains_key(&ip) {
                let oldest = self.members.iter().min_by_key(|(_, seen)| **seen).map(|(ip, _)| *ip);
                oldest.and_then(|oldest| self.members.remove(&oldest));
            }
            self.members.insert(ip, now);
        }
    }

    /// Somebody without a key was at `address`. Beyond the bound it is not told of: there are enough to be told of then.
    pub fn knocked(&mut self, address: Multiaddr, why: &'static str, now: Instant) {
        if self.waiting.len() < NOTICE_QUEUE {
            self.waiting.push_back((now, address, why));
        }
    }

    /// Those to be told of now: where from, and why it is a stranger.
    pub fn due(&mut self, now: Instant) -> Vec<(Multiaddr, &'static str)> {
        self.members.retain(|_, seen| now.saturating_duration_since(*seen) < LATELY);
        let ready = self.waiting.iter().take_while(|(since, ..)| now.saturating_duration_since(*since) >= PATIENCE).count();
        let ready: Vec<Knock> = self.waiting.drain(..ready).collect();
        let strange = |address: &Multiaddr| crate::address::ip(address).is_none_or(|ip| !self.members.contains_key(&ip));
        ready.into_iter().filter(|(_, address, _)| strange(address)).map(|(_, address, why)| (address, why)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_stranger_is_told_of_but_not_where_a_member_was_lately_or_shows_itself_at_once() {
        let (mut strangers, start) = (Strangers::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        strangers.members_at([&at("/ip4/192.168.1.4/tcp/4001")], start);
        for from in ["/ip4/192.168.1.4/tcp/50000", "/ip4/192.168.1.5/tcp/50000", "/ip4/192.168.1.6/tcp/50000"] {
            strangers.knocked(at(from), "why", after(1));
        }
        assert!(strangers.due(after(3)).is_empty(), "they may be members that try another key");
        strangers.members_at([&at("/ip4/192.168.1.6/tcp/4001")], after(3));
        assert_eq!(strangers.due(after(4)), [(at("/ip4/192.168.1.5/tcp/50000"), "why")]);
        strangers.knocked(at("/ip4/192.168.1.4/tcp/50001"), "why", after(700));
        assert_eq!(strangers.due(after(703)).len(), 1, "a member was there once, and not lately");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut strangers, start) = (Strangers::default(), Instant::now());
        for n in 0..1000u32 {
            let address = at(&format!("/ip4/{}/tcp/1", std::net::Ipv4Addr::from(0x0a00_0000 + n)));
            strangers.members_at([&address], start + Duration::from_millis(n.into()));
            strangers.knocked(address, "why", start);
        }
        assert_eq!((strangers.members.len(), strangers.waiting.len()), (MAX_PLACES, NOTICE_QUEUE));
        assert!(!strangers.members.contains_key(&IpAddr::from([10, 0, 0, 0])), "the one seen longest ago goes");
    }
}

//! Whose speed test is answered: one at a time, every member's once a minute, each part of it once and in its order.

use kith_types::NodeId;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// After a test has begun a member's next one is not answered for so long: a line is filled for a thirtieth of the time each way.
const PAUSE: Duration = Duration::from_secs(60);

/// The parts of a test, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Trips,
    Up,
    Down,
}

/// What is said to whoever asks for a part, before anything of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// It begins.
    Go,
    /// Another's test runs, or this is not the part that comes next.
    Busy,
    /// This member's last test is too short a time ago.
    Soon,
    /// The owner lets nothing be given now.
    Quiet,
}

#[derive(Debug)]
struct Running {
    peer: NodeId,
    next: Part,
    until: Instant,
}

/// The test that is answered, and those that were.
#[derive(Debug, Default)]
pub(super) struct Turns {
    running: Option<Running>,
    /// When each member's last test began, as long as that matters: bounded by the members.
    begun: HashMap<NodeId, Instant>,
}

impl Turns {
    /// A member asks for a part. A test has `most` for all its parts; then it makes room for another's.
    pub fn enter(&mut self, peer: &NodeId, part: Part, now: Instant, most: Duration) -> Said {
        self.begun.retain(|_, at| now.saturating_duration_since(*at) < PAUSE);
        self.running.take_if(|running| running.until <= now);
        match (part, &mut self.running) {
            (Part::Trips, None) if self.begun.contains_key(peer) => Said::Soon,
            (Part::Trips, None) => {
                self.begun.insert(peer.clone(), now);
                self.running = Some(Running { peer: peer.clone(), next: Part::Up, until: now + most });
                Said::Go
            }
            (Part::Up, Some(running)) if running.peer == *peer && running.next == Part::Up => {
                running.next = Part::Down;
                Said::Go
            }
            (Part::Down, Some(running)) if running.peer == *peer && running.next == Part::Down => {
                // Once more would be a part that is asked for twice.
                running.next = Part::Trips;
                Said::Go
            }
            _ => Said::Busy,
        }
    }

    /// A part that was let in has ended, well or not; with the last part, or one that failed, the test has.
    pub fn leave(&mut self, peer: &NodeId, part: Part, well: bool) {
        self.running.take_if(|running| running.peer == *peer && (part == Part::Down || !well));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(30);

    fn node(n: u8) -> NodeId {
        NodeId::from_ed25519(&[n; 32])
    }

    #[test]
    fn a_test_has_its_parts_in_order_and_nobody_comes_between_them() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let (one, two) = (node(1), node(2));
        assert_eq!(turns.enter(&one, Part::Down, now, MOST), Said::Busy, "it has not begun");
        for (part, next) in [(Part::Trips, Part::Down), (Part::Up, Part::Up), (Part::Down, Part::Down)] {
            assert_eq!(turns.enter(&one, part, now, MOST), Said::Go, "{part:?}");
            assert_eq!(turns.enter(&one, next, now, MOST), Said::Busy, "{next:?} is not its turn, or was");
            assert_eq!(turns.enter(&two, Part::Trips, now, MOST), Said::Busy);
            turns.leave(&two, Part::Down, true);
            turns.leave(&one, part, true);
        }
        assert_eq!(turns.enter(&two, Part::Trips, now, MOST), Said::Go);
    }

    #[test]
    fn a_member_is_answered_once_a_minute_even_when_its_test_broke_off() {
        let (mut turns, now, one) = (Turns::default(), Instant::now(), node(1));
        assert_eq!(turns.enter(&one, Part::Trips, now, MOST), Said::Go);
        turns.leave(&one, Part::Trips, false);
        assert_eq!(turns.enter(&one, Part::Trips, now + PAUSE / 2, MOST), Said::Soon);
        assert_eq!(turns.enter(&one, Part::Trips, now + PAUSE, MOST), Said::Go);
        assert_eq!(turns.begun.len(), 1);
    }

    #[test]
    fn who_says_nothing_more_makes_room_after_a_while() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        assert_eq!(turns.enter(&node(1), Part::Trips, now, MOST), Said::Go);
        assert_eq!(turns.enter(&node(2), Part::Trips, now + MOST / 2, MOST), Said::Busy);
        assert_eq!(turns.enter(&node(2), Part::Trips, now + MOST, MOST), Said::Go);
        assert_eq!(turns.enter(&node(1), Part::Up, now + MOST, MOST), Said::Busy);
    }
}

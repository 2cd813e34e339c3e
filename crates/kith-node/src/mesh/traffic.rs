//! What crossed the mesh in the last ten minutes, in steps of ten seconds.

use kith_api::mesh::Throughput;
use kith_types::{NodeId, Timestamp};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// One step.
pub(super) const STEP: Duration = Duration::from_secs(10);
/// Ten minutes of them.
const STEPS: usize = 60;

#[derive(Default)]
struct Seen {
    /// What each peer had sent and been sent when it was looked at last.
    last: HashMap<NodeId, (u64, u64)>,
    steps: VecDeque<Throughput>,
}

/// The ring of steps.
#[derive(Default)]
pub(super) struct Traffic(Mutex<Seen>);

impl Traffic {
    /// Closes a step that began at `at`, with each peer's figures since it is connected.
    pub fn note(&self, at: Timestamp, peers: impl Iterator<Item = (NodeId, u64, u64)>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut step = Throughput { at, bytes_in: 0, bytes_out: 0 };
        let now: HashMap<NodeId, (u64, u64)> = peers.map(|(node, read, written)| (node, (read, written))).collect();
        for (node, (read, written)) in &now {
            // A peer that is connected anew begins at nothing.
            let (before_in, before_out) = seen.last.get(node).copied().unwrap_or_default();
            let grown = |now: u64, before: u64| if now >= before { now - before } else { now };
            step.bytes_in += grown(*read, before_in);
            step.bytes_out += grown(*written, before_out);
        }
        seen.last = now;
        if seen.steps.len() == STEPS {
            seen.steps.pop_front();
        }
        seen.steps.push_back(step);
    }

    /// The steps, the oldest first.
    pub fn steps(&self) -> Vec<Throughput> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).steps.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        // Any bytes name a node here.
        NodeId::from_ed25519(&[n; 32])
    }

    #[test]
    fn a_step_holds_what_grew_in_it_and_a_new_connection_begins_at_nothing() {
        let traffic = Traffic::default();
        let at = Timestamp::from_ms;
        traffic.note(at(0), [(node(1), 100, 10)].into_iter());
        traffic.note(at(10_000), [(node(1), 150, 10), (node(2), 7, 0)].into_iter());
        traffic.note(at(20_000), [(node(1), 5, 1)].into_iter());
        let steps = traffic.steps();
        assert_eq!(steps.iter().map(|step| (step.bytes_in, step.bytes_out)).collect::<Vec<_>>(), [(100, 10), (57, 0), (5, 1)]);
        for n in 0..100 {
            traffic.note(at(n), std::iter::empty());
        }
        assert_eq!(traffic.steps().len(), STEPS);
    }
}

//! One download as it is seen from outside, and the hand that moves it on.

use crate::SourceError;
use kith_types::{Clock, ModelName, Sha256, Timestamp};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// The span over which speed is measured, in milliseconds.
const SPAN_MS: i64 = 5_000;
/// Samples of the span at most.
const SAMPLES: usize = 64;

/// How far a download, or a push, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It waits for its turn.
    Queued,
    /// The source is asked what there is; or the library, before a push.
    Manifest,
    /// Bytes flow.
    Moving,
    /// All bytes are there and are read again.
    Verifying,
    /// It comes under its name; or the registry is told of it.
    Writing,
    /// It is there.
    Done,
    /// It failed, for the reason told.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl Phase {
    /// Whether nothing more happens.
    pub const fn ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// One of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProgress {
    /// The digest of its bytes.
    pub digest: Sha256,
    /// Its name, or what it is for the model.
    pub label: String,
    /// Bytes in all.
    pub total: u64,
    /// Bytes that are there.
    pub completed: u64,
}

/// A download, or a push.
#[derive(Debug, Clone)]
pub struct Item {
    /// Different for each one of a node's life, and growing.
    pub id: u64,
    /// The model's name in the library.
    pub name: ModelName,
    /// Host and place of the source; `peer` and names while it comes from neighbours.
    pub source: String,
    /// How far it is.
    pub phase: Phase,
    /// Its files; empty before it is known.
    pub files: Vec<FileProgress>,
    /// Bytes a second over the last seconds; 0 before the first measurement.
    pub speed: u64,
    /// Tries that failed so far.
    pub retries: u32,
    /// What a person should know, such as that it waits for the source.
    pub notice: Option<String>,
    /// Why it failed.
    pub error: Option<Arc<SourceError>>,
    /// When it was asked for.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

impl Item {
    pub(super) fn new(id: u64, name: ModelName, source: String, started: Timestamp) -> Self {
        let (phase, files) = (Phase::Queued, Vec::new());
        Self { id, name, source, phase, files, speed: 0, retries: 0, notice: None, error: None, started, ended: None }
    }

    /// Bytes that are there.
    pub fn completed(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.completed))
    }

    /// Bytes in all; 0 before it is known.
    pub fn total(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.total))
    }

    /// Seconds to go at the present speed; `None` while there is none.
    pub fn eta_secs(&self) -> Option<u64> {
        (self.phase == Phase::Moving).then(|| self.total().saturating_sub(self.completed()).checked_div(self.speed)).flatten()
    }
}

/// Moves an item on; everybody who follows it sees.
#[derive(Clone)]
pub(super) struct Progress {
    pub updates: Arc<watch::Sender<Item>>,
    clock: Arc<dyn Clock>,
    meter: Arc<Mutex<Meter>>,
}

/// Bytes that came over the last seconds.
#[derive(Default)]
struct Meter {
    moved: u64,
    samples: VecDeque<(i64, u64)>,
}

impl Meter {
    /// Notes that bytes came; gives bytes a second once it can be told.
    fn add(&mut self, bytes: u64, now: i64) -> Option<u64> {
        self.moved = self.moved.saturating_add(bytes);
        // A new sample each span / samples: the list stays short.
        if self.samples.back().is_none_or(|(at, _)| now - at >= SPAN_MS / SAMPLES as i64) {
            self.samples.push_back((now, self.moved));
        }
        while self.samples.len() > SAMPLES || self.samples.front().is_some_and(|(at, _)| now - at > SPAN_MS) {
            self.samples.pop_front();
        }
        let (at, moved) = self.samples.front()?;
        let took = u64::try_from(now - at).ok().filter(|took| *took > 0)?;
        Some((self.moved - moved).saturating_mul(1000) / took)
    }
}

impl Progress {
    pub fn new(item: Item, clock: Arc<dyn Clock>) -> Self {
        Self { updates: Arc::new(watch::Sender::new(item)), clock, meter: Arc::default() }
    }

    pub fn phase(&self, phase: Phase) {
        self.updates.send_if_modified(|item| std::mem::replace(&mut item.phase, phase) != phase);
    }

    /// Where it comes from, as it is told.
    pub fn source(&self) -> String {
        self.updates.borrow().source.clone()
    }

    /// It comes from elsewhere now.
    pub fn from(&self, source: String) {
        self.updates.send_if_modified(|item| {
            let other = item.source != source;
            item.source = source;
            other
        });
    }

    pub fn files(&self, files: Vec<FileProgress>) {
        self.updates.send_modify(|item| item.files = files);
    }

    /// So many bytes of a file are there, without any having come.
    pub fn at(&self, file: usize, completed: u64) {
        self.updates.send_modify(|item| {
            if let Some(file) = item.files.get_mut(file) {
                file.completed = completed;
            }
        });
    }

    /// So many bytes of a file came.
    pub fn moved(&self, file: usize, bytes: u64) {
        let speed = self.meter.lock().unwrap_or_else(PoisonError::into_inner).add(bytes, self.clock.now().ms());
        self.updates.send_modify(|item| {
            item.speed = speed.unwrap_or(item.speed);
            if let Some(file) = item.files.get_mut(file) {
                file.completed = file.completed.saturating_add(bytes);
            }
        });
    }

    pub fn waits(&self, notice: String) {
        self.updates.send_modify(|item| {
            item.retries += 1;
            item.speed = 0;
            item.notice = Some(notice);
        });
    }

    pub fn goes_on(&self) {
        self.updates.send_if_modified(|item| item.notice.take().is_some());
    }

    /// It has ended.
    pub fn end(&self, outcome: Result<(), SourceError>) {
        let now = self.clock.now();
        self.updates.send_modify(|item| {
            item.phase = match &outcome {
                Ok(()) => Phase::Done,
                Err(SourceError::Cancelled) => Phase::Cancelled,
                Err(_) => Phase::Failed,
            };
            item.error = outcome.err().map(Arc::new);
            item.notice = None;
            item.speed = 0;
            item.ended = Some(now);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_what_came_over_the_last_seconds() {
        let mut meter = Meter::default();
        assert_eq!(meter.add(100, 0), None, "one moment has no speed");
        assert_eq!(meter.add(100, 100), Some(1000));
        for at in 1..200 {
            meter.add(100, 100 + at * 100);
            assert!(meter.samples.len() <= SAMPLES);
        }
        assert_eq!(meter.add(0, 20_000), Some(1000));
        assert_eq!(meter.add(0, 60_000), None, "what came long ago is no speed");
    }

    #[test]
    fn the_time_to_go_is_told_only_at_a_speed() {
        let mut item = Item::new(1, "a:b".parse().unwrap(), String::new(), Timestamp::from_ms(0));
        item.files = vec![FileProgress { digest: Sha256::from_bytes([0; 32]), label: "m".into(), total: 1000, completed: 400 }];
        item.phase = Phase::Moving;
        assert_eq!(item.eta_secs(), None);
        item.speed = 100;
        assert_eq!((item.completed(), item.total(), item.eta_secs()), (400, 1000, Some(6)));
    }
}

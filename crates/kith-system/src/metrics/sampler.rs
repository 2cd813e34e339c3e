//! Reads the node every ten seconds and writes every minute. Each minute is on disk from its first reading, so a crash leaves no gap
//! but the time the node was down.

use super::{Figures, MINUTE_MS, MINUTES, Probe, Reading};
use crate::{
    SettingsKeeper, SystemError,
    error::blocking,
    throughput::{BUCKET_MS, Bucket, Throughput},
};
use kith_events::Events;
use kith_store::{MetricsRow, Store};
use kith_types::{Clock, Timestamp};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Time between readings.
pub const TICK: Duration = Duration::from_secs(10);
/// Readings further apart than this do not cover what lies between them: the machine slept, or its clock was set.
const MAX_STEP_MS: i64 = 3 * BUCKET_MS;
/// Minutes kept for later when the database does not take them.
pub(super) const MAX_UNWRITTEN: usize = 60;

struct Minute {
    minute: i64,
    covered_ms: i64,
    figures: Figures,
}

impl Minute {
    fn row(&self) -> Result<MetricsRow, SystemError> {
        let covered_ms = u32::try_from(self.covered_ms.clamp(0, MINUTE_MS)).unwrap_or(0);
        let figures = serde_json::to_string(&self.figures).map_err(SystemError::internal)?;
        Ok(MetricsRow { minute: self.minute, covered_ms, figures })
    }
}

/// Fills the ring of minutes and the ring of ten seconds.
pub struct Sampler {
    store: Store,
    clock: Arc<dyn Clock>,
    probe: Arc<dyn Probe>,
    throughput: Arc<Throughput>,
    settings: Arc<SettingsKeeper>,
    events: Events,
    last: Option<(Timestamp, Reading)>,
    current: Option<Minute>,
    pub(super) unwritten: VecDeque<MetricsRow>,
}

impl Sampler {
    pub(crate) fn new(system: &crate::System, probe: Arc<dyn Probe>) -> Self {
        Self {
            store: system.store.clone(),
            clock: Arc::clone(&system.clock),
            probe,
            throughput: Arc::clone(&system.throughput),
            settings: Arc::clone(&system.settings),
            events: system.events.clone(),
            last: None,
            current: None,
            unwritten: VecDeque::new(),
        }
    }

    /// Reads and writes until `stop`, then writes the last part of the last minute.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.tick().await {
                tracing::warn!(%error, "measures could not be written");
            }
            // Readings fall on whole tens of seconds, so that buckets and minutes end where they should.
            let past = self.clock.now().ms().rem_euclid(BUCKET_MS);
            let pause = Duration::from_millis(u64::try_from(BUCKET_MS - past).unwrap_or(0));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => break,
            }
        }
        if let Err(error) = self.finish().await {
            tracing::warn!(%error, "the last measures could not be written");
        }
    }

    /// Takes one reading. Writes where a minute begins.
    ///
    /// # Errors
    /// [`SystemError::Store`]; the minutes are kept and written with the next ones.
    pub async fn tick(&mut self) -> Result<(), SystemError> {
        self.events.sweep();
        let probe = Arc::clone(&self.probe);
        let reading = blocking(move || Ok(probe.read())).await?;
        let now = self.clock.now();
        let spill = self.last.take().map_or(0, |(then, before)| self.account(then, now, &before, &reading));
        self.last = Some((now, reading.clone()));
        let minute = now.ms().div_euclid(MINUTE_MS);
        let begins = self.current.as_ref().is_none_or(|current| current.minute != minute);
        if begins {
            if let Some(ended) = self.current.take() {
                self.keep(ended.row()?);
            }
            self.current = Some(self.begin(minute, spill).await?);
        }
        if let Some(current) = &mut self.current {
            current.figures.see(&reading);
        }
        if begins { self.write().await } else { Ok(()) }
    }

    /// Takes a last reading and writes all there is.
    ///
    /// # Errors
    /// [`SystemError::Store`].
    pub async fn finish(&mut self) -> Result<(), SystemError> {
        self.tick().await?;
        self.write().await
    }

    /// Adds what happened between two readings to the minute and the bucket in which it began. Gives the milliseconds that cover the
    /// beginning of the minute after it.
    fn account(&mut self, then: Timestamp, now: Timestamp, before: &Reading, reading: &Reading) -> i64 {
        let step = now.ms().saturating_sub(then.ms());
        let covered = (0..=MAX_STEP_MS).contains(&step);
        let mut spill = 0;
        if let Some(current) = &mut self.current {
            current.figures.count(before, reading);
            if covered {
                let end = (current.minute + 1).saturating_mul(MINUTE_MS).min(now.ms());
                current.covered_ms += end - then.ms();
                spill = now.ms() - end;
            }
        }
        if covered && step > 0 {
            let mut figures = Figures::default();
            figures.count(before, reading);
            self.throughput.push(Bucket {
                start: then,
                span_ms: u32::try_from(step).unwrap_or(u32::MAX),
                bytes_in: figures.network_in_bytes.unwrap_or(0),
                bytes_out: figures.network_out_bytes.unwrap_or(0),
                tokens_in: figures.prompt_tokens.unwrap_or(0),
                tokens_out: figures.completion_tokens.unwrap_or(0),
            });
        }
        spill
    }

    /// The minute as an earlier start in it left it, or a new one.
    async fn begin(&self, minute: i64, covered_ms: i64) -> Result<Minute, SystemError> {
        let there = self.store.metrics_range(minute, minute).await?;
        let mut begun = Minute { minute, covered_ms, figures: Figures::default() };
        if let Some(row) = there.first() {
            begun.covered_ms += i64::from(row.covered_ms);
            begun.figures = serde_json::from_str(&row.figures).unwrap_or_default();
        }
        Ok(begun)
    }

    pub(super) fn keep(&mut self, row: MetricsRow) {
        if self.unwritten.len() == MAX_UNWRITTEN {
            self.unwritten.pop_front();
        }
        self.unwritten.push_back(row);
    }

    async fn write(&mut self) -> Result<(), SystemError> {
        let Some(current) = &self.current else { return Ok(()) };
        let mut rows: Vec<MetricsRow> = self.unwritten.iter().cloned().collect();
        rows.push(current.row()?);
        let kept = i64::from(self.settings.get().metrics_history_hours) * 60;
        // A clock that is set back leaves minutes ahead; a day of them at most.
        self.store.metrics_put(&rows, current.minute - kept + 1, current.minute + MINUTES).await?;
        self.unwritten.clear();
        Ok(())
    }
}

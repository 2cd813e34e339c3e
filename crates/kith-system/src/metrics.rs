//! The last day in minutes: what was measured in each. On disk, so that it outlasts restarts; a minute without a node has no point.

mod reading;
mod sampler;

pub use reading::{Figures, Probe, Reading};
pub use sampler::{Sampler, TICK};

use crate::SystemError;
use kith_store::{MetricsRow, Store};
use kith_types::{Clock, Timestamp};
use std::sync::Arc;

/// Points kept: 24 hours.
pub const MINUTES: i64 = 1440;
pub(crate) const MINUTE_MS: i64 = 60_000;

/// One minute.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// When the minute began.
    pub start: Timestamp,
    /// Milliseconds of it that were counted: less than 60,000 where the node ran only a part of it.
    pub covered_ms: u32,
    /// What was measured.
    pub figures: Figures,
}

/// Reads the ring.
pub struct Metrics {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Metrics {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The minutes that have a part between `from` and `to`, in order; without them, the last 24 hours.
    ///
    /// # Errors
    /// [`SystemError::Invalid`] where `from` is after `to` or one is negative; [`SystemError::Store`].
    pub async fn points(&self, from: Option<i64>, to: Option<i64>) -> Result<Vec<Point>, SystemError> {
        let now = self.clock.now().ms();
        let (first, last) = (from.unwrap_or(now - MINUTES * MINUTE_MS), to.unwrap_or(now));
        if from.is_some_and(|from| from < 0) || to.is_some_and(|to| to < 0) {
            let field = if from.is_some_and(|from| from < 0) { "from" } else { "to" };
            return Err(SystemError::invalid(field, "must not be negative"));
        }
        if first > last {
            let (field, other) = if from.is_some() { ("from", "`to`") } else { ("to", "the oldest minute kept") };
            let word = if from.is_some() { "after" } else { "before" };
            return Err(SystemError::invalid(field, format!("must not be {word} {other}")));
        }
        // What lies ahead was written before the clock was set back, and is not of the last day.
        let newest = now.div_euclid(MINUTE_MS);
        let first = first.div_euclid(MINUTE_MS).max(newest - MINUTES + 1);
        let rows = self.store.metrics_range(first, last.div_euclid(MINUTE_MS).min(newest)).await?;
        Ok(rows.iter().map(point).collect())
    }
}

fn point(row: &MetricsRow) -> Point {
    // A minute whose figures cannot be read was there all the same.
    let figures = serde_json::from_str(&row.figures).unwrap_or_default();
    Point { start: Timestamp::from_ms(row.minute.saturating_mul(MINUTE_MS)), covered_ms: row.covered_ms, figures }
}

#[cfg(test)]
mod tests;

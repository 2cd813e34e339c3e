//! What speed tests tell.

use crate::view::format;
use kith_wire::networks::SpeedtestResult;

/// Bytes a second: `94.2 MB/s`.
pub fn rate(bytes_per_second: f64) -> String {
    format!("{}/s", format::bytes(bytes_per_second.max(0.0).round() as u64))
}

/// A test in a line: `94 MB/s down, 88 MB/s up, 0.4 ms`.
pub fn line(test: &SpeedtestResult) -> String {
    let (down, up) = (rate(test.down_bytes_per_second), rate(test.up_bytes_per_second));
    format!("{down} down, {up} up, {}", super::latency(test.latency_ms))
}

/// Tests from the oldest to the newest: when each was, what came and what went.
pub struct Course {
    /// When each was, in milliseconds since 1970.
    pub times: Vec<i64>,
    /// Bytes per second from the peer.
    pub down: Vec<Option<f64>>,
    /// Bytes per second to the peer.
    pub up: Vec<Option<f64>>,
}

/// The course of tests that come with the newest first.
pub fn course(results: &[SpeedtestResult]) -> Course {
    let oldest_first = || results.iter().rev();
    Course {
        times: oldest_first().map(|test| test.ts_ms.ms()).collect(),
        down: oldest_first().map(|test| Some(test.down_bytes_per_second)).collect(),
        up: oldest_first().map(|test| Some(test.up_bytes_per_second)).collect(),
    }
}

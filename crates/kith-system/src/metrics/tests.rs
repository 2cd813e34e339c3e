//! The ring over a day, over restarts and over sleep.

use super::*;
use crate::{
    LatencyRecorder, MachineReading, SystemError,
    system::tests::{House, START},
};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// A node that answers one request, of 40 ms, between any two readings.
#[derive(Default)]
struct Busy {
    readings: AtomicU64,
    latencies: LatencyRecorder,
}

impl Probe for Busy {
    fn read(&self) -> Reading {
        let readings = self.readings.fetch_add(1, Relaxed);
        self.latencies.record(Duration::from_millis(40));
        Reading {
            requests: Some(readings),
            bytes_in: Some(readings * 1000),
            completion_tokens: Some(readings * 20),
            latencies: Some(self.latencies.read()),
            active_prompts: Some(1),
            machine: MachineReading { process_memory: Some(1 << 20), ..MachineReading::default() },
            ..Reading::default()
        }
    }
}

fn busy() -> Arc<dyn Probe> {
    Arc::new(Busy::default())
}

/// Runs for so many ticks.
async fn run(house: &House, sampler: &mut Sampler, ticks: u32) {
    for _ in 0..ticks {
        house.clock.forward(10_000);
        sampler.tick().await.unwrap();
    }
}

fn minutes(points: &[Point]) -> Vec<i64> {
    points.iter().map(|point| point.start.ms() / MINUTE_MS).collect()
}

/// The minutes between two points that have none.
fn gaps(points: &[Point]) -> Vec<i64> {
    minutes(points).windows(2).map(|pair| pair[1] - pair[0] - 1).filter(|gap| *gap > 0).collect()
}

#[tokio::test]
async fn a_day_has_a_point_for_each_minute_and_older_ones_leave() {
    let house = House::new().await;
    let mut sampler = house.system.sampler(busy());
    sampler.tick().await.unwrap();
    run(&house, &mut sampler, 6 * 1500).await;
    let points = house.system.metrics.points(None, None).await.unwrap();
    assert_eq!(i64::try_from(points.len()).unwrap(), MINUTES);
    assert_eq!(gaps(&points), [0; 0]);
    for point in &points[..points.len() - 1] {
        assert_eq!((point.covered_ms, point.figures.requests, point.figures.network_in_bytes), (60_000, Some(6), Some(6000)));
        assert_eq!((point.figures.completion_tokens, point.figures.prompt_tokens), (Some(120), None));
        assert_eq!((point.figures.process_memory_bytes, point.figures.disk_free_bytes), (Some(1 << 20), None));
        assert!(point.figures.latency_p95_ms().is_some_and(|ms| (37.0..43.0).contains(&ms)));
    }
    assert_eq!(i64::try_from(house.store.metrics_range(0, i64::MAX).await.unwrap().len()).unwrap(), MINUTES);
}

#[tokio::test]
async fn after_two_restarts_a_day_has_no_gap_beyond_the_downtime() {
    let mut folder = tempfile::tempdir().unwrap();
    let mut now = START;
    let mut requests = 0;
    // Stopped within a minute for five seconds, killed for three minutes, then on.
    for (ticks, down, killed) in [(6 * 400, 5_000, false), (6 * 400 + 3, 180_000, true), (6 * 600, 0, false)] {
        let house = House::on(folder, now, |_, _| {}).await;
        let mut sampler = house.system.sampler(busy());
        sampler.tick().await.unwrap();
        run(&house, &mut sampler, ticks).await;
        if !killed {
            sampler.finish().await.unwrap();
            requests += u64::from(ticks) + 1;
        } else {
            requests += u64::from(ticks / 6 * 6);
        }
        now = house.clock.now().ms() + down;
        if down == 0 {
            let points = house.system.metrics.points(None, None).await.unwrap();
            assert_eq!(gaps(&points), [2], "three minutes down leave two minutes without any part of the node");
            // All but those of the minute in which it was killed.
            let counted: u64 = points.iter().filter_map(|point| point.figures.requests).sum();
            assert!((requests - 8..=requests).contains(&counted), "{counted} of {requests}");
            let covered: i64 = points.iter().map(|point| i64::from(point.covered_ms)).sum();
            assert!((1399 * MINUTE_MS..=1401 * MINUTE_MS).contains(&covered), "{covered}");
        }
        folder = house.close().await;
    }
}

#[tokio::test]
async fn a_minute_is_on_disk_from_its_first_reading() {
    let house = House::new().await;
    let mut sampler = house.system.sampler(busy());
    sampler.tick().await.unwrap();
    let points = house.system.metrics.points(None, None).await.unwrap();
    assert_eq!((points.len(), points[0].covered_ms, points[0].figures.requests), (1, 0, None));
    assert_eq!(points[0].figures.process_memory_bytes, Some(1 << 20));
}

#[tokio::test]
async fn a_machine_that_slept_leaves_a_gap_and_no_invented_points() {
    let house = House::new().await;
    let mut sampler = house.system.sampler(busy());
    sampler.tick().await.unwrap();
    run(&house, &mut sampler, 12).await;
    house.clock.forward(3 * 3_600_000);
    run(&house, &mut sampler, 12).await;
    sampler.finish().await.unwrap();
    let points = house.system.metrics.points(None, None).await.unwrap();
    assert_eq!(gaps(&points), [179]);
    assert!(points.iter().all(|point| point.covered_ms <= 60_000));
    let covered: u32 = points.iter().map(|point| point.covered_ms).sum();
    assert_eq!(covered, 120_000 + 110_000);
    assert!(house.system.throughput.buckets(house.clock.now()).len() <= 12);
}

#[tokio::test]
async fn a_clock_that_is_set_back_neither_fills_the_disk_nor_shows_the_future() {
    let house = House::new().await;
    let mut sampler = house.system.sampler(busy());
    sampler.tick().await.unwrap();
    run(&house, &mut sampler, 60).await;
    house.clock.forward(-3_600_000);
    run(&house, &mut sampler, 6).await;
    let points = house.system.metrics.points(None, None).await.unwrap();
    assert!(points.iter().all(|point| point.start <= house.clock.now()));
    assert_eq!(points.len(), 2);
    house.clock.forward(-10 * 86_400_000);
    run(&house, &mut sampler, 6).await;
    assert!(house.store.metrics_range(0, i64::MAX).await.unwrap().len() <= 3);
}

#[tokio::test]
async fn a_range_narrows_and_a_bad_one_is_told() {
    let house = House::new().await;
    let mut sampler = house.system.sampler(busy());
    sampler.tick().await.unwrap();
    run(&house, &mut sampler, 60).await;
    let all = house.system.metrics.points(None, None).await.unwrap();
    let (from, to) = (all[3].start.ms(), all[5].start.ms() + 1);
    assert_eq!(house.system.metrics.points(Some(from), Some(to)).await.unwrap(), all[3..=5]);
    assert_eq!(house.system.metrics.points(Some(from), None).await.unwrap(), all[3..]);
    for (from, to) in [(Some(5), Some(4)), (Some(-1), None), (None, Some(-1)), (Some(i64::MAX), None), (None, Some(0))] {
        let error = house.system.metrics.points(from, to).await.unwrap_err();
        assert!(matches!(error, SystemError::Invalid { .. }), "{from:?} {to:?}");
    }
}

#[tokio::test]
async fn the_owner_may_keep_less_than_a_day() {
    let house = House::new().await;
    let change = crate::SettingsChange { metrics_history_hours: Some(1), ..Default::default() };
    house.system.settings.change(change).await.unwrap();
    let mut sampler = house.system.sampler(busy());
    sampler.tick().await.unwrap();
    run(&house, &mut sampler, 6 * 90).await;
    assert_eq!(house.system.metrics.points(None, None).await.unwrap().len(), 60);
}

#[tokio::test]
async fn what_the_database_does_not_take_is_written_later() {
    let house = House::new().await;
    let mut sampler = house.system.sampler(busy());
    sampler.tick().await.unwrap();
    for minute in 0..100 {
        sampler.keep(MetricsRow { minute, covered_ms: 0, figures: "{}".to_owned() });
    }
    assert_eq!(sampler.unwritten.len(), sampler::MAX_UNWRITTEN);
    run(&house, &mut sampler, 6).await;
    assert!(sampler.unwritten.is_empty());
}

#[tokio::test]
async fn the_task_writes_its_last_part_when_it_is_stopped() {
    let house = House::new().await;
    let stop = CancellationToken::new();
    let task = tokio::spawn(house.system.sampler(busy()).run(stop.clone()));
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
    assert_eq!(house.system.metrics.points(None, None).await.unwrap().len(), 1);
}

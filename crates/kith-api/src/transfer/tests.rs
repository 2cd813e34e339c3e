//! Promises of progress: complete and in order, whatever states a slow reader missed.

use super::*;
use kith_models::{SourceError, downloads::FileProgress};
use kith_types::{Sha256, Timestamp};
use std::sync::Arc;

fn item(phase: Phase, completed: u64) -> Item {
    let digest = Sha256::from_bytes([0xab; 32]);
    Item {
        id: 1,
        name: "smollm2:135m".parse().unwrap(),
        source: "registry.example/library/smollm2:135m".to_owned(),
        phase,
        files: vec![FileProgress { digest, label: "model".to_owned(), total: 1000, completed }],
        speed: 100,
        retries: 0,
        notice: None,
        error: None,
        started: Timestamp::from_ms(5),
        ended: None,
    }
}

fn statuses(lines: &[TransferLine]) -> Vec<&str> {
    lines.iter().map(|line| line.status.as_str()).collect()
}

#[test]
fn a_pull_tells_every_step_once_and_in_order_though_states_were_missed() {
    let mut lines = TransferLines::of_pull();
    let queued = Item { files: Vec::new(), ..item(Phase::Queued, 0) };
    assert_eq!(statuses(&lines.lines(&queued)), ["pulling manifest"]);
    assert!(lines.lines(&queued).is_empty());
    let half = lines.lines(&item(Phase::Moving, 500));
    assert_eq!(statuses(&half), ["pulling abababababab"]);
    assert_eq!((half[0].total, half[0].completed), (Some(1000), Some(500)));
    assert_eq!(half[0].digest.as_deref(), Some(&*format!("sha256:{}", "ab".repeat(32))));
    let rest = lines.lines(&item(Phase::Done, 1000));
    assert_eq!(statuses(&rest), ["pulling abababababab", "verifying sha256 digest", "writing manifest", "success"]);
    assert!(lines.lines(&item(Phase::Done, 1000)).is_empty());
}

#[test]
fn a_push_has_its_own_words() {
    let mut lines = TransferLines::of_push();
    let all = lines.lines(&item(Phase::Done, 1000));
    assert_eq!(statuses(&all), ["retrieving manifest", "pushing abababababab", "pushing manifest", "success"]);
}

#[test]
fn a_failed_pull_never_says_success() {
    let all = TransferLines::of_pull().lines(&item(Phase::Failed, 10));
    assert_eq!(statuses(&all), ["pulling manifest", "pulling abababababab"]);
}

#[test]
fn a_download_is_told_with_progress_speed_source_and_time_to_go() {
    let told = download(&item(Phase::Moving, 250));
    assert_eq!((told.model_id.as_str(), told.status.as_str()), ("smollm2-135m", "downloading"));
    assert_eq!((told.progress, told.speed_bps, told.eta_seconds), (25.0, 100, Some(7)));
    assert_eq!((told.shards.len(), told.shards[0].name.as_str()), (1, "model"));
}

#[test]
fn the_active_pull_is_told_or_its_error_or_that_there_is_none() {
    assert_eq!(progress(&[]).status, "idle");
    let running = progress(&[item(Phase::Queued, 0), item(Phase::Moving, 429)]);
    assert_eq!((running.status.as_str(), running.progress_pct, running.started_at_ms), ("pulling", Some(42), Some(5)));
    let error = Some(Arc::new(SourceError::NotFound("gone".into())));
    let failed = progress(&[Item { error, ..item(Phase::Failed, 0) }, item(Phase::Done, 1000)]);
    assert_eq!((failed.status.as_str(), failed.error.as_deref()), ("error", Some("gone")));
    assert_eq!(progress(&[item(Phase::Done, 1000), item(Phase::Failed, 0)]).status, "idle");
}

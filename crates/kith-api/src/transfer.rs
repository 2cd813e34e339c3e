//! Downloads and pushes as their bodies: Ollama's lines of progress, and the queue's own.

use kith_models::downloads::{Item, Phase, slug};
use kith_wire::{
    ollama::TransferLine,
    system::{Download, DownloadShard, PullProgress},
};

/// The words of one direction.
struct Words {
    manifest: &'static str,
    moving: &'static str,
    verifying: Option<&'static str>,
    writing: &'static str,
}

const PULL: Words = Words {
    manifest: "pulling manifest",
    moving: "pulling",
    verifying: Some("verifying sha256 digest"),
    writing: "writing manifest",
};
const PUSH: Words = Words { manifest: "retrieving manifest", moving: "pushing", verifying: None, writing: "pushing manifest" };

/// Turns the states of an item into lines: what clients expect, each once and in order, however many states were missed.
pub(crate) struct TransferLines {
    words: &'static Words,
    told: Vec<u64>,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Nothing,
    Manifest,
    Verifying,
    Writing,
    Success,
}

impl TransferLines {
    pub(crate) fn of_pull() -> Self {
        Self { words: &PULL, told: Vec::new(), step: Step::Nothing }
    }

    pub(crate) fn of_push() -> Self {
        Self { words: &PUSH, told: Vec::new(), step: Step::Nothing }
    }

    /// What is new.
    pub(crate) fn lines(&mut self, item: &Item) -> Vec<TransferLine> {
        let mut lines = Vec::new();
        self.step_to(Step::Manifest, Some(self.words.manifest), &mut lines);
        for (at, file) in item.files.iter().enumerate() {
            if self.told.get(at) != Some(&file.completed) {
                self.told.resize(self.told.len().max(at + 1), u64::MAX);
                self.told[at] = file.completed;
                lines.push(TransferLine {
                    status: format!("{} {}", self.words.moving, file.digest.hex().get(..12).unwrap_or_default()),
                    digest: Some(file.digest.to_string()),
                    total: Some(file.total),
                    completed: Some(file.completed),
                });
            }
        }
        if matches!(item.phase, Phase::Verifying | Phase::Writing | Phase::Done) {
            self.step_to(Step::Verifying, self.words.verifying, &mut lines);
        }
        if matches!(item.phase, Phase::Writing | Phase::Done) {
            self.step_to(Step::Writing, Some(self.words.writing), &mut lines);
        }
        if item.phase == Phase::Done {
            self.step_to(Step::Success, Some("success"), &mut lines);
        }
        lines
    }

    fn step_to(&mut self, step: Step, status: Option<&str>, lines: &mut Vec<TransferLine>) {
        if self.step < step {
            self.step = step;
            lines.extend(status.map(|status| TransferLine { status: status.to_owned(), ..TransferLine::default() }));
        }
    }
}

const fn status(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "queued",
        Phase::Manifest => "preparing",
        Phase::Moving => "downloading",
        Phase::Verifying => "verifying",
        Phase::Writing => "writing",
        Phase::Done => "completed",
        Phase::Failed => "failed",
        Phase::Cancelled => "cancelled",
    }
}

/// Percent, to a tenth.
fn percent(item: &Item) -> f64 {
    match item.total() {
        0 if item.phase == Phase::Done => 100.0,
        0 => 0.0,
        total => (item.completed() as f64 / total as f64 * 1000.0).floor() / 10.0,
    }
}

pub(crate) fn download(item: &Item) -> Download {
    let shard = |(index, file): (usize, &kith_models::downloads::FileProgress)| DownloadShard {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        name: file.label.clone(),
        digest: file.digest.to_string(),
        completed_bytes: file.completed,
        total_bytes: file.total,
    };
    Download {
        model_id: slug(&item.name.to_string()),
        model: item.name.to_string(),
        status: status(item.phase).to_owned(),
        source: item.source.clone(),
        completed_bytes: item.completed(),
        total_bytes: item.total(),
        progress: percent(item),
        speed_bps: item.speed,
        eta_seconds: item.eta_secs(),
        retries: item.retries,
        notice: item.notice.clone(),
        error: item.error.as_ref().filter(|_| item.phase == Phase::Failed).map(ToString::to_string),
        started_at: Some(item.started.rfc3339()),
        finished_at: item.ended.map(kith_types::Timestamp::rfc3339),
        shards: item.files.iter().enumerate().map(shard).collect(),
    }
}

/// The first download under way; else the failure of the last that ended.
pub(crate) fn progress(items: &[Item]) -> PullProgress {
    let running = items.iter().find(|item| !item.phase.ended() && item.phase != Phase::Queued);
    let shown = running.or_else(|| items.iter().find(|item| !item.phase.ended()));
    // Ended ones stand behind, the last first.
    let failed = || items.iter().find(|item| item.phase.ended()).filter(|item| item.phase == Phase::Failed);
    let Some(item) = shown.or_else(failed) else { return PullProgress { status: "idle".to_owned(), ..PullProgress::default() } };
    PullProgress {
        model: Some(item.name.to_string()),
        status: if item.phase == Phase::Failed { "error" } else { "pulling" }.to_owned(),
        progress_pct: Some(percent(item) as u64),
        completed: Some(item.completed()),
        total: Some(item.total()),
        started_at_ms: Some(item.started.ms()),
        error: item.error.as_ref().map(ToString::to_string),
    }
}

#[cfg(test)]
mod tests;

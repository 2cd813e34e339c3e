//! The frames of one running response: written once, followed by any number of readers from any place.

use crate::Status;
use bytes::Bytes;
use futures::Stream;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The most bytes of one log: an answer that fills a window of 128 k tokens has about 40 MiB.
pub const MAX_LOG_BYTES: usize = 64 << 20;
/// The most bytes of all logs together.
pub const MAX_LOGS_BYTES: usize = 512 << 20;
/// The most frames a reader takes at a time.
const BATCH: usize = 64;

/// The end of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its last status.
    pub status: Status,
    /// The whole answer.
    pub body: String,
}

#[derive(Default)]
struct State {
    frames: Vec<Bytes>,
    bytes: usize,
    closed: bool,
    outcome: Option<Outcome>,
}

/// The frames so far. A slow reader holds nothing but its place.
pub struct Log {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    cancel: CancellationToken,
    all_logs: Arc<AtomicUsize>,
}

/// A log, or all of them together, would hold more than they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is larger than what can be held of it")]
pub struct LogFull;

impl Log {
    pub(crate) fn new(all_logs: Arc<AtomicUsize>) -> Arc<Self> {
        let (changed, _) = watch::channel(());
        Arc::new(Self { state: Mutex::default(), changed, cancel: CancellationToken::new(), all_logs })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks whoever answers to stop.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Cancelled when the answer is to stop.
    pub fn cancelled(&self) -> CancellationToken {
        self.cancel.clone()
    }

    pub(crate) fn push(&self, frame: Bytes) -> Result<(), LogFull> {
        let mut state = self.state();
        let grown = state.bytes + frame.len();
        let all = self.all_logs.fetch_add(frame.len(), Ordering::Relaxed) + frame.len();
        if grown > MAX_LOG_BYTES || all > MAX_LOGS_BYTES {
            self.all_logs.fetch_sub(frame.len(), Ordering::Relaxed);
            return Err(LogFull);
        }
        state.bytes = grown;
        state.frames.push(frame);
        drop(state);
        self.changed.send_replace(());
        Ok(())
    }

    /// Adds the last frame, whatever is held already, and tells the end.
    pub(crate) fn close(&self, last: Option<Bytes>, outcome: Option<Outcome>) {
        let mut state = self.state();
        if let Some(frame) = last {
            state.bytes += frame.len();
            self.all_logs.fetch_add(frame.len(), Ordering::Relaxed);
            state.frames.push(frame);
        }
        state.closed = true;
        state.outcome = outcome;
        drop(state);
        self.changed.send_replace(());
    }

    /// All frames and then `last`, as one text.
    pub(crate) fn text(&self, last: &[u8]) -> String {
        let state = self.state();
        let mut text = Vec::with_capacity(state.bytes + last.len());
        for frame in &state.frames {
            text.extend_from_slice(frame);
        }
        text.extend_from_slice(last);
        String::from_utf8_lossy(&text).into_owned()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes
    }

    fn read(&self, from: usize) -> (Vec<Bytes>, bool) {
        let state = self.state();
        let frames: Vec<Bytes> = state.frames.iter().skip(from).take(BATCH).cloned().collect();
        let over = state.closed && from.saturating_add(frames.len()) >= state.frames.len();
        (frames, over)
    }

    /// The frames after the one numbered `after` (the first is 0), those to come as they come, until the end.
    pub fn follow(self: &Arc<Self>, after: Option<u64>) -> impl Stream<Item = Bytes> + Send + 'static {
        let log = Arc::clone(self);
        let mut place = after.map_or(0, |after| usize::try_from(after).unwrap_or(usize::MAX).saturating_add(1));
        async_stream::stream! {
            let mut changed = log.changed.subscribe();
            loop {
                changed.mark_unchanged();
                let (frames, over) = log.read(place);
                place = place.saturating_add(frames.len());
                let none = frames.is_empty();
                for frame in frames {
                    yield frame;
                }
                if over {
                    return;
                }
                if none && changed.changed().await.is_err() {
                    return;
                }
            }
        }
    }

    /// Waits for the end. `None` if whoever answered was gone before one.
    pub async fn ended(&self) -> Option<Outcome> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            {
                let state = self.state();
                if state.closed {
                    return state.outcome.clone();
                }
            }
            // The sender lives as long as this log.
            let _ = changed.changed().await;
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let bytes = self.state().bytes;
        self.all_logs.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;

    fn log() -> Arc<Log> {
        Log::new(Arc::default())
    }

    fn done() -> Option<Outcome> {
        Some(Outcome { status: Status::Completed, body: "{}".into() })
    }

    async fn all(log: &Arc<Log>, after: Option<u64>) -> Vec<Bytes> {
        log.follow(after).collect().await
    }

    #[tokio::test]
    async fn a_reader_gets_exactly_what_comes_after_its_place_and_then_the_rest_live() {
        let log = log();
        for frame in ["0", "1", "2"] {
            log.push(Bytes::from_static(frame.as_bytes())).unwrap();
        }
        let mut late = Box::pin(log.follow(Some(1)));
        assert_eq!(late.next().await.unwrap(), "2");
        log.push(Bytes::from_static(b"3")).unwrap();
        assert_eq!(late.next().await.unwrap(), "3");
        log.close(Some(Bytes::from_static(b"4")), done());
        assert_eq!(late.collect::<Vec<_>>().await, ["4"]);
        assert_eq!(all(&log, None).await, ["0", "1", "2", "3", "4"]);
        assert!(all(&log, Some(4)).await.is_empty());
        assert!(all(&log, Some(u64::MAX)).await.is_empty());
    }

    #[tokio::test]
    async fn a_slow_reader_hinders_nobody_and_misses_nothing() {
        let log = log();
        let mut slow = Box::pin(log.follow(None));
        let fast = tokio::spawn({
            let log = Arc::clone(&log);
            async move { log.follow(None).count().await }
        });
        log.push(Bytes::from_static(b"x")).unwrap();
        assert!(slow.next().await.is_some());
        for _ in 0..1000 {
            log.push(Bytes::from_static(b"x")).unwrap();
        }
        log.close(None, done());
        assert_eq!(fast.await.unwrap(), 1001);
        assert_eq!(slow.count().await, 1000);
        assert_eq!(log.ended().await, done());
    }

    #[tokio::test]
    async fn a_log_takes_no_more_than_its_bound_but_always_its_last_frame() {
        let log = log();
        let large = Bytes::from(vec![b'x'; MAX_LOG_BYTES]);
        log.push(large).unwrap();
        assert_eq!(log.push(Bytes::from_static(b"x")), Err(LogFull));
        log.close(Some(Bytes::from_static(b"end")), None);
        assert_eq!(all(&log, Some(0)).await, ["end"]);
    }

    #[tokio::test]
    async fn all_logs_together_have_a_bound_and_give_back_what_they_held() {
        let shared: Arc<AtomicUsize> = Arc::default();
        let frame = Bytes::from(vec![b'x'; MAX_LOG_BYTES]);
        let logs: Vec<_> = (0..MAX_LOGS_BYTES / MAX_LOG_BYTES).map(|_| Log::new(Arc::clone(&shared))).collect();
        for log in &logs {
            log.push(frame.clone()).unwrap();
        }
        let one_more = Log::new(Arc::clone(&shared));
        assert_eq!(one_more.push(Bytes::from_static(b"x")), Err(LogFull));
        drop(logs);
        one_more.push(Bytes::from_static(b"x")).unwrap();
        drop(one_more);
        assert_eq!(shared.load(Ordering::Relaxed), 0);
    }
}

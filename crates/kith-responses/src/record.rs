//! What is kept of a response.

use kith_store::{ResponseHead, ResponseRow};
use kith_types::Timestamp;

/// How far a response has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It waits for its turn.
    Queued,
    /// It is being answered.
    InProgress,
    /// It was answered.
    Completed,
    /// Its answer reached a limit.
    Incomplete,
    /// It could not be answered.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] = [Self::Queued, Self::InProgress, Self::Completed, Self::Incomplete, Self::Failed, Self::Cancelled];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether the response is still worked on.
    pub const fn runs(self) -> bool {
        matches!(self, Self::Queued | Self::InProgress)
    }
}

/// A response without its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// How far it has come.
    pub status: Status,
    /// Whether it broke off because the node stopped; its body still has the status from before.
    pub broke_off: bool,
    /// The response it continues.
    pub previous: Option<String>,
    /// The model that was asked.
    pub model: String,
    /// Whether it goes on without its client.
    pub background: bool,
    /// Whether its events are kept.
    pub streamed: bool,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it came to its end.
    pub ended: Option<Timestamp>,
    /// Bytes of its texts.
    pub bytes: u64,
}

/// The word under which a response that broke off is kept, to tell it from one that failed by itself.
pub(crate) const BROKEN_OFF: &str = "broken_off";

impl Summary {
    /// Reads a row's head. What is neither ended nor worked on any more has broken off.
    pub(crate) fn of(head: ResponseHead, live: bool) -> Self {
        let kept = Status::parse(&head.status).filter(|status| !status.runs() || live);
        Self {
            status: kept.unwrap_or(Status::Failed),
            broke_off: kept.is_none(),
            id: head.id,
            previous: head.previous,
            model: head.model,
            background: head.background,
            streamed: head.streamed,
            created: head.created,
            ended: head.ended,
            bytes: head.bytes,
        }
    }
}

/// A response as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// All but the texts.
    pub summary: Summary,
    /// What was asked, as it was given.
    pub input: String,
    /// The answer so far, as it was given.
    pub body: String,
}

impl Record {
    pub(crate) fn of(row: ResponseRow, live: bool) -> Self {
        Self { summary: Summary::of(row.head, live), input: row.input, body: row.body }
    }
}

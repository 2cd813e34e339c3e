//! What can go wrong with stored responses, by what the caller can do about it.

use kith_store::StoreError;

/// Why a response could not be kept, read or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ResponsesError {
    /// There is none of that id: it was deleted, has expired, or never was.
    #[error("there is no response `{0}`")]
    NotFound(String),
    /// It is larger than what is kept: ask without storing, or ask for less.
    #[error("its {what} has {bytes} bytes; at most {limit} are kept")]
    TooLarge {
        /// Which part: `input`, `answer` or `events`.
        what: &'static str,
        /// Its bytes.
        bytes: usize,
        /// The most bytes that are taken.
        limit: usize,
    },
    /// As many run as may: wait for one to end.
    #[error("{0} responses are running; try again when one has ended")]
    TooMany(usize),
    /// Its events were not kept, because it was not asked for as a stream.
    #[error("the response was not asked for as a stream")]
    NotStreamed,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

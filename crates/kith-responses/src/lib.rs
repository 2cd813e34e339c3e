//! Stored responses: their records, the events of those that run, resuming, cancelling, expiry. Texts pass through unread.
//!
//! Knows no dialect and no engine: whoever answers begins a [`Running`], gives it frames and ends it; whoever reads follows its
//! [`Log`] from any place. A record is on the disk before its id is told, and its end before its last frame is.

mod error;
mod log;
mod record;
mod responses;
mod running;

pub use error::ResponsesError;
pub use log::{Log, LogFull, MAX_LOG_BYTES, MAX_LOGS_BYTES, Outcome};
pub use record::{Record, Status, Summary};
pub use responses::{
    Events, KEPT_DAYS, MAX_BODY_BYTES, MAX_INPUT_BYTES, MAX_KEPT, MAX_KEPT_BYTES, MAX_RUNNING, New, Responses, sweep_hourly,
};
pub use running::Running;

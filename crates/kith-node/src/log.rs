//! The log of a node: a file a day in the data folder, and the grave lines on stderr.

use crate::place::make_private;
use std::{io, path::Path};
use tracing_appender::{
    non_blocking::NonBlocking,
    rolling::{RollingFileAppender, Rotation},
};
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How many days' log files are kept.
const KEPT: usize = 7;

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder or the file cannot be written.
    #[error("cannot write the log: {0}")]
    File(String),
    /// `KITH_LOG` is wrong.
    #[error("KITH_LOG is no log filter: {0}")]
    Filter(String),
    /// The process has a log already.
    #[error("cannot set up the log: {0}")]
    Twice(String),
}

/// What is said on stderr as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aloud {
    /// Nothing: nobody reads it.
    Nothing,
    /// Warnings and errors.
    Warnings,
    /// What a person would follow.
    Steps,
    /// What a developer would.
    Particulars,
}

impl Aloud {
    const fn filter(self) -> &'static str {
        match self {
            Self::Nothing => "off",
            // The engine's warnings speak of its own insides.
            Self::Warnings => "warn,mistralrs_core=off",
            Self::Steps => "info",
            Self::Particulars => "info,kith=debug,kith_node=debug,kith_api=debug,kith_inference=debug,kith_models=debug",
        }
    }
}

/// Held until the end: dropping it writes out what is waiting.
#[must_use = "what waits is written when this is dropped"]
pub struct Log {
    _waiting: tracing_appender::non_blocking::WorkerGuard,
}

/// Log lines go to `DIR/logs/kith.DATE.log`, a new file each day, seven of them kept, and some to stderr. `KITH_LOG` says what
/// is logged to the file.
///
/// # Errors
/// [`LogError`]
pub fn start_log(data_dir: &Path, aloud: Aloud, coloured: bool) -> Result<Log, LogError> {
    let logs = data_dir.join("logs");
    make_private(&logs).map_err(|error| LogError::File(error.to_string()))?;
    let mut files = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("kith")
        .filename_suffix("log")
        .max_log_files(KEPT);
    if cfg!(unix) {
        // Elsewhere links need rights that a user seldom has.
        files = files.latest_symlink("kith.log");
    }
    let files = files.build(&logs).map_err(|error| LogError::File(error.to_string()))?;
    // At most 128,000 lines wait; more are counted and dropped rather than holding up the node.
    let (files, waiting) = NonBlocking::new(files);
    let wanted = std::env::var("KITH_LOG").ok().filter(|text| !text.is_empty());
    let to_file = EnvFilter::try_new(wanted.as_deref().unwrap_or("info,mistralrs_core=error"))
        .map_err(|error| LogError::Filter(error.to_string()))?;
    tracing_subscriber::registry()
        .with(fmt::layer().with_ansi(false).with_writer(files).with_filter(to_file))
        .with(fmt::layer().with_ansi(coloured).with_writer(io::stderr).with_filter(EnvFilter::new(aloud.filter())))
        .try_init()
        .map_err(|error| LogError::Twice(error.to_string()))?;
    Ok(Log { _waiting: waiting })
}

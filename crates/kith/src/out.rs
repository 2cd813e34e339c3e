//! Writing: answers to stdout, notes and progress to stderr. A reader that goes away is an error of its own, never a panic.

use crate::error::{CliError, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

/// Writes `text` to stdout at once.
pub fn text(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| CliError::from_stdout(&error))
}

/// Writes `value` to stdout as one line of JSON.
pub fn json(value: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(value).map_err(|error| CliError::local("cannot write the output as JSON", error))?;
    text(&format!("{line}\n"))
}

/// Writes a line to stderr. If stderr is gone there is nobody to tell.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes `text` to stderr at once, without ending the line.
pub fn fragment(text: &str) {
    let _ = write!(io::stderr(), "{text}");
}

/// Whether a person watches stderr.
pub fn watched() -> bool {
    io::stderr().is_terminal()
}

/// A turning sign on stderr beside `message` until dropped; nothing where no person watches.
pub fn spinner(message: impl Into<String>) -> Progress {
    let bar = if watched() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_message(message.into());
    bar.enable_steady_tick(Duration::from_millis(100));
    Progress(bar)
}

/// Progress on stderr that leaves no trace when it ends.
pub struct Progress(ProgressBar);

impl Progress {
    /// Shows how far `status` has come. Without a total it only turns.
    pub fn advance(&self, status: &str, completed: u64, total: Option<u64>) {
        self.0.set_message(status.to_owned());
        if let Some(total) = total.filter(|total| *total > 0) {
            if self.0.length() != Some(total) {
                self.0.set_length(total);
                let template = "{msg} [{bar:32}] {decimal_bytes}/{decimal_total_bytes} {eta}";
                self.0.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            }
            self.0.set_position(completed);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

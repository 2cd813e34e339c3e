//! What can go wrong in a command: the one line a person reads, the object a program reads, and the exit code.

use serde_json::{Value, json};
use std::io;

/// A command's result.
pub type Result<T, E = CliError> = std::result::Result<T, E>;

/// Why a command did not succeed. The variant decides the exit code.
#[derive(Debug)]
pub enum CliError {
    /// The command line itself is wrong: exit 2.
    Usage(String),
    /// The node refused; its own sentence and code: exit 1.
    Api {
        /// The node's sentence.
        message: String,
        /// The node's error code, as `MODEL_NOT_FOUND`.
        code: String,
    },
    /// No node answers, or none could be started: exit 3.
    Unreachable(String),
    /// Something on this side failed (a file, the terminal, the store): exit 1.
    Local(String),
    /// Ctrl-C: exit 130, silently.
    Interrupted,
    /// The reader of stdout went away: exit 0, silently, as `kith list | head -1` expects.
    BrokenPipe,
}

impl CliError {
    /// The process's exit code.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Api { .. } | Self::Local(_) => 1,
            Self::Unreachable(_) => 3,
            Self::Interrupted => 130,
            Self::BrokenPipe => 0,
        }
    }

    /// The word a program matches on.
    pub fn code(&self) -> &str {
        match self {
            Self::Usage(_) => "USAGE",
            Self::Api { code, .. } => code,
            Self::Unreachable(_) => "NODE_UNREACHABLE",
            Self::Local(_) => "COMMAND_FAILED",
            Self::Interrupted => "INTERRUPTED",
            Self::BrokenPipe => "BROKEN_PIPE",
        }
    }

    /// The sentence a person reads, on one line.
    pub fn message(&self) -> String {
        match self {
            Self::Usage(message) | Self::Api { message, .. } | Self::Unreachable(message) | Self::Local(message) => {
                one_line(message)
            }
            Self::Interrupted => "interrupted".to_owned(),
            Self::BrokenPipe => "the reader of the output went away".to_owned(),
        }
    }

    /// The line for stderr, without its newline: `error: …`, or `{"error","code"}` for programs. `None` where silence is right.
    pub fn line(&self, as_json: bool) -> Option<String> {
        match self {
            Self::Interrupted | Self::BrokenPipe => None,
            _ if as_json => Some(json!({ "error": self.message(), "code": self.code() }).to_string()),
            _ => Some(format!("error: {}", self.message())),
        }
    }

    /// The error of an answer with a failing `status` and this `body`, whichever of the API's error forms it has.
    pub fn from_body(status: u16, body: &Value) -> Self {
        let error = &body["error"];
        let text = error.as_str().or_else(|| error["message"].as_str());
        let code = body["code"].as_str().or_else(|| error["code"].as_str());
        Self::Api {
            message: text.map_or_else(|| format!("the node answered with status {status}"), str::to_owned),
            code: code.map_or_else(|| format!("HTTP_{status}"), str::to_owned),
        }
    }

    /// The error that a `line` of a streamed answer tells.
    pub fn from_line(line: &Value) -> Self {
        match Self::from_body(500, line) {
            Self::Api { message, .. } if line["code"].is_null() && line["error"]["code"].is_null() => {
                Self::Api { message, code: "FAILED".to_owned() }
            }
            other => other,
        }
    }

    /// What this side was `doing` when `error` happened.
    pub fn local(doing: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::Local(format!("{doing}: {error}"))
    }

    /// A failed write to stdout.
    pub fn from_stdout(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::local("cannot write the output", error),
        }
    }

    /// A command line that clap refused, without its usage block: the first paragraph and the tips.
    pub fn from_clap(rendered: &str) -> Self {
        let mut text = String::new();
        for line in rendered.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")).filter(|line| !line.is_empty())
        {
            if !text.is_empty() {
                text.push_str(if line.starts_with("tip:") { "; " } else { " " });
            }
            text.push_str(line);
        }
        Self::Usage(text.strip_prefix("error: ").unwrap_or(&text).to_owned())
    }
}

/// `text` without line breaks and control characters, so that it is one line in every log and terminal.
fn one_line(text: &str) -> String {
    let cleaned: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    cleaned.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_for_people_and_one_object_for_programs() {
        let error =
            CliError::from_body(404, &json!({"error": "model `a` is not here\n(did you mean `b`?)", "code": "MODEL_NOT_FOUND"}));
        assert_eq!(error.line(false).as_deref(), Some("error: model `a` is not here (did you mean `b`?)"));
        assert_eq!(
            error.line(true).as_deref(),
            Some(r#"{"error":"model `a` is not here (did you mean `b`?)","code":"MODEL_NOT_FOUND"}"#)
        );
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn every_error_form_of_the_api_is_read() {
        let nested = CliError::from_body(400, &json!({"error": {"message": "no", "code": "INVALID_REQUEST"}}));
        assert_eq!((nested.message().as_str(), nested.code()), ("no", "INVALID_REQUEST"));
        let line = CliError::from_line(&json!({"status": "failed", "error": "no"}));
        assert_eq!((line.message().as_str(), line.code()), ("no", "FAILED"));
        let bare = CliError::from_body(502, &Value::Null);
        assert_eq!((bare.message().as_str(), bare.code()), ("the node answered with status 502", "HTTP_502"));
    }

    #[test]
    fn exit_codes_tell_usage_refusal_and_absence_apart() {
        assert_eq!(CliError::Usage(String::new()).exit_code(), 2);
        assert_eq!(CliError::Unreachable(String::new()).exit_code(), 3);
        assert_eq!(CliError::Local(String::new()).exit_code(), 1);
        assert_eq!(CliError::Interrupted.exit_code(), 130);
    }

    #[test]
    fn a_reader_that_goes_away_and_ctrl_c_are_silent() {
        let gone = CliError::from_stdout(&io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((gone.exit_code(), gone.line(false)), (0, None));
        assert_eq!(CliError::Interrupted.line(true), None);
    }

    #[test]
    fn control_characters_of_a_message_never_reach_the_terminal() {
        assert_eq!(CliError::Local("a\x1b[31mb\r\n\tc".into()).message(), "a [31mb c");
    }
}

//! Reading lines from the terminal: editing, bounded history on disk, completion of the slash commands.

use super::input::{COMMANDS, is_unfinished};
use crate::{
    error::{CliError, Result},
    out,
};
use rustyline::{
    CompletionType, Config, Context, Editor, Helper,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::FileHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};
use std::path::{Path, PathBuf};

/// The most lines the history keeps.
const MAX_HISTORY: usize = 1000;

/// The longest line the history keeps, in bytes: a pasted document is not typed again.
const MAX_ENTRY: usize = 8 << 10;

/// What came from the terminal.
pub enum Line {
    /// A line, or several between fences.
    Text(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the terminal went away.
    Ended,
}

/// Reads lines and remembers them.
pub struct LineEditor {
    editor: Editor<Commands, FileHistory>,
    history: PathBuf,
}

impl LineEditor {
    /// An editor whose history is kept in the file `history`. A history that cannot be read starts empty.
    pub fn open(history: &Path) -> Result<Self> {
        let config = Config::builder()
            .max_history_size(MAX_HISTORY)
            .map_err(terminal)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor = Editor::with_config(config).map_err(terminal)?;
        editor.set_helper(Some(Commands));
        let _ = editor.load_history(history);
        Ok(Self { editor, history: history.to_owned() })
    }

    /// Reads the next line after `prompt`.
    pub fn read(&mut self, prompt: &str) -> Result<Line> {
        match self.editor.readline(prompt) {
            Ok(line) => {
                self.remember(&line);
                Ok(Line::Text(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
            Err(ReadlineError::Eof) => Ok(Line::Ended),
            Err(error) => Err(terminal(error)),
        }
    }

    /// Kept on disk at once: a conversation may end by a closed window.
    fn remember(&mut self, line: &str) {
        if line.len() <= MAX_ENTRY
            && self.editor.add_history_entry(line).unwrap_or(false)
            && let Err(error) = self.editor.append_history(&self.history)
        {
            out::note(&format!("The history cannot be kept in {}: {error}", self.history.display()));
        }
    }
}

fn terminal(error: ReadlineError) -> CliError {
    CliError::local("cannot read from the terminal", error)
}

/// Completes slash commands and holds a fenced message open until its end.
struct Commands;

impl Completer for Commands {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..pos).unwrap_or(line);
        let matching = COMMANDS.iter().filter(|command| typed.starts_with('/') && command.starts_with(typed));
        Ok((0, matching.map(|command| (*command).to_owned()).collect()))
    }
}

impl Validator for Commands {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_unfinished(context.input()) { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Hinter for Commands {
    type Hint = String;
}

impl Highlighter for Commands {}

impl Helper for Commands {}

#[cfg(test)]
mod tests {
    use super::*;
    use rustyline::history::History;

    #[test]
    fn slash_commands_are_completed_and_messages_not() {
        let history = FileHistory::new();
        let context = Context::new(&history);
        assert_eq!(Commands.complete("/b", 2, &context).unwrap().1, ["/bye"]);
        assert_eq!(Commands.complete("/se", 3, &context).unwrap().1.len(), 3);
        assert!(Commands.complete("hello", 5, &context).unwrap().1.is_empty());
        assert!(Commands.complete("", 0, &context).unwrap().1.is_empty());
    }

    #[test]
    fn the_history_keeps_at_most_a_thousand_lines_and_no_long_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let mut editor = LineEditor::open(&path).unwrap();
        editor.remember(&"a".repeat(MAX_ENTRY + 1));
        assert!(!path.exists());
        for number in 0..MAX_HISTORY + 10 {
            editor.editor.add_history_entry(format!("line {number}")).unwrap();
        }
        editor.remember(&"a".repeat(MAX_ENTRY));
        let editor = LineEditor::open(&path).unwrap();
        assert_eq!(editor.editor.history().len(), MAX_HISTORY);
    }
}

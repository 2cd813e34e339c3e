//! `kith run`: one answer to a prompt, or a conversation where none is given.

use crate::{
    cli::Run,
    client::Client,
    commands::import::read_text,
    context::Context,
    conversation::{Conversation, Piece, keep_alive},
    error::{CliError, Result},
    out, render, repl,
};
use serde_json::{Map, Value};
use std::{
    io::{self, IsTerminal, Read},
    path::Path,
};

/// The most piped text taken into a prompt, in bytes.
const MAX_STDIN: u64 = 16 << 20;
/// The largest JSON Schema file read, in bytes.
const MAX_SCHEMA: u64 = 1 << 20;

/// Answers the prompt, or converses.
pub async fn run(context: &Context, options: &Run) -> Result<()> {
    let mut conversation = Conversation {
        model: options.model.clone(),
        system: options.system.clone(),
        messages: Vec::new(),
        format: options.format.as_deref().map(format).transpose()?,
        options: sampling(options),
        keep_alive: options.keepalive.as_deref().map(keep_alive),
    };
    let given = options.prompt.join(" ");
    let piped = if io::stdin().is_terminal() { None } else { Some(read_stdin()?) };
    match prompt(&given, piped.as_deref()) {
        Some(prompt) => {
            let client = context.ensured().await?;
            answer(context, &client, &mut conversation, &prompt, options.verbose).await
        }
        None if piped.is_some() => Err(CliError::Usage("there is no prompt: none was given and stdin is empty".to_owned())),
        None if context.json => Err(CliError::Usage("--json needs a prompt".to_owned())),
        None => {
            let client = context.ensured().await?;
            repl::converse(&context.data_dir, &client, conversation, options.verbose).await
        }
    }
}

/// Prints the answer to `prompt` as it comes.
async fn answer(context: &Context, client: &Client, conversation: &mut Conversation, prompt: &str, verbose: bool) -> Result<()> {
    let mut printer = Printer::new(context.json);
    let answer = conversation.say(client, prompt, |piece| printer.print(piece)).await;
    printer.finish()?;
    let answer = answer?;
    if answer.end.is_none() {
        return Err(CliError::Interrupted);
    }
    if context.json {
        return out::json(&answer.whole());
    }
    if verbose {
        out::note(&format!("\n{}", answer.timings().trim_end()));
    }
    Ok(())
}

/// Prints an answer's pieces as they come, beside a spinner until the first.
pub struct Printer {
    silent: bool,
    waiting: Option<out::Progress>,
    /// Whether text was printed, and whether its last character ended a line.
    printed: Option<bool>,
    thinking: bool,
    /// Whether a person watches stdout: then control characters, which could drive the terminal, are left out.
    terminal: bool,
}

impl Printer {
    /// A printer; a silent one prints nothing.
    pub fn new(silent: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let waiting = (!silent && terminal).then(|| out::spinner(""));
        Self { silent, waiting, printed: None, thinking: false, terminal }
    }

    /// Prints a piece at once: the answer to stdout, the reasoning to stderr where a person watches.
    pub fn print(&mut self, piece: Piece<'_>) -> Result<()> {
        if self.silent {
            return Ok(());
        }
        self.waiting = None;
        match piece {
            Piece::Text(text) => {
                if std::mem::take(&mut self.thinking) {
                    out::note("\x1b[0m\n");
                }
                self.printed = Some(text.ends_with('\n'));
                if self.terminal { out::text(&render::printable(text, true)) } else { out::text(text) }
            }
            Piece::Thinking(text) => {
                if out::watched() {
                    if !std::mem::replace(&mut self.thinking, true) {
                        // Dim: it is not the answer.
                        out::fragment("\x1b[2m");
                    }
                    out::fragment(&render::printable(text, true));
                }
                Ok(())
            }
        }
    }

    /// Ends the last line.
    pub fn finish(&mut self) -> Result<()> {
        self.waiting = None;
        if std::mem::take(&mut self.thinking) {
            out::note("\x1b[0m");
        }
        if self.printed == Some(false) { out::text("\n") } else { Ok(()) }
    }
}

/// The prompt made of the command line's words and what was piped in; `None` if both are blank.
fn prompt(given: &str, piped: Option<&str>) -> Option<String> {
    let piped = piped.map(str::trim_end).filter(|text| !text.trim().is_empty());
    match (given.trim().is_empty(), piped) {
        (true, None) => None,
        (true, Some(piped)) => Some(piped.to_owned()),
        (false, None) => Some(given.to_owned()),
        (false, Some(piped)) => Some(format!("{given}\n\n{piped}")),
    }
}

fn read_stdin() -> Result<String> {
    let mut bytes = Vec::new();
    io::stdin().take(MAX_STDIN + 1).read_to_end(&mut bytes).map_err(|error| CliError::local("cannot read stdin", error))?;
    if bytes.len() as u64 > MAX_STDIN {
        return Err(CliError::Local(format!("stdin has more than {} MiB", MAX_STDIN >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| CliError::Local("stdin is not UTF-8 text".to_owned()))
}

/// The wanted shape of the answer: `json`, or the JSON Schema in a file.
pub fn format(text: &str) -> Result<Value> {
    if text == "json" {
        return Ok(Value::from("json"));
    }
    let schema = read_text(Path::new(text), MAX_SCHEMA)?;
    match serde_json::from_str(&schema) {
        Ok(schema @ Value::Object(_)) => Ok(schema),
        Ok(_) => Err(CliError::Local(format!("{text} holds no JSON Schema: an object is needed"))),
        Err(error) => Err(CliError::local(format_args!("{text} is not JSON"), error)),
    }
}

fn sampling(options: &Run) -> Map<String, Value> {
    let mut map = Map::new();
    if let Some(temperature) = options.temperature {
        map.insert("temperature".to_owned(), temperature.into());
    }
    if let Some(seed) = options.seed {
        map.insert("seed".to_owned(), seed.into());
    }
    if let Some(limit) = options.num_predict {
        map.insert("num_predict".to_owned(), limit.into());
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_piped_in_is_appended_to_the_prompt() {
        assert_eq!(prompt("sum this up:", Some("a\nb\n")).as_deref(), Some("sum this up:\n\na\nb"));
        assert_eq!(prompt("hi", None).as_deref(), Some("hi"));
        assert_eq!(prompt("hi", Some(" \n")).as_deref(), Some("hi"));
        assert_eq!(prompt("", Some("all of it\n")).as_deref(), Some("all of it"));
        assert_eq!(prompt(" ", Some("\n")), None);
    }

    #[test]
    fn the_format_is_json_or_the_schema_in_a_file() {
        assert_eq!(format("json").unwrap(), "json");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("schema.json");
        let text = path.to_str().unwrap();
        std::fs::write(&path, r#"{"type":"object"}"#).unwrap();
        assert_eq!(format(text).unwrap()["type"], "object");
        std::fs::write(&path, "[1]").unwrap();
        assert!(format(text).unwrap_err().message().ends_with("an object is needed"));
        std::fs::write(&path, "{").unwrap();
        assert!(format(text).unwrap_err().message().contains("is not JSON"));
        std::fs::remove_file(&path).unwrap();
        assert!(format(text).unwrap_err().message().starts_with("cannot read "));
    }

    #[test]
    fn a_silent_printer_prints_nothing_and_ends_no_line() {
        let mut printer = Printer::new(true);
        printer.print(Piece::Text("x")).unwrap();
        assert_eq!(printer.printed, None);
    }
}

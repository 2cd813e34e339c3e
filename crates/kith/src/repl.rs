//! The interactive conversation: the prompt, its history, and what the slash commands do.

mod input;
mod line_editor;

use crate::{
    client::Client,
    commands::{run::Printer, show},
    conversation::Conversation,
    error::{CliError, Result},
    node_process::make_private,
    out,
};
use input::{Input, Setting};
use line_editor::{Line, LineEditor};
use std::path::Path;

/// What `/help` says.
const HELP: &str = r#"  /clear                 forget the conversation so far
  /set system TEXT       give standing instructions
  /set temperature T     choose freely (1) or always the likeliest (0); also: seed, num_predict, num_ctx, top_k, top_p, min_p
  /set format json       demand JSON; /set format text takes it back
  /set verbose on|off    print timings after each answer
  /show                  tell about the model and the settings
  /load MODEL            go on with another model
  /bye                   leave; so does Ctrl-D
  """                    begins and ends a message of several lines
  Ctrl-C                 stops the answer
"#;

/// Converses with the person at the terminal until they leave.
pub async fn converse(data_dir: &Path, client: &Client, conversation: Conversation, verbose: bool) -> Result<()> {
    load(client, &conversation).await?;
    let mut repl = Repl { client, conversation, verbose };
    // For a node elsewhere there may be no folder yet to keep the history in.
    make_private(data_dir)?;
    let mut editor = LineEditor::open(&data_dir.join("history"))?;
    loop {
        let line = match editor.read(">>> ")? {
            Line::Text(line) => line,
            Line::Interrupted => {
                out::note("Use Ctrl-D or /bye to leave.");
                continue;
            }
            Line::Ended => return Ok(()),
        };
        match repl.act(input::parse(&line)).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error @ CliError::BrokenPipe) => return Err(error),
            // The conversation goes on: the person can mend what the sentence says.
            Err(error) => {
                out::note(&error.line(false).unwrap_or_default());
                if error.code() == kith_types::Code::ContextLengthExceeded.as_str() {
                    out::note("Use /clear to start over with an empty conversation.");
                }
            }
        }
    }
}

struct Repl<'a> {
    client: &'a Client,
    conversation: Conversation,
    verbose: bool,
}

impl Repl<'_> {
    /// Does what was typed; `false` when the person leaves.
    async fn act(&mut self, input: Input) -> Result<bool> {
        match input {
            Input::Nothing => {}
            Input::Bye => return Ok(false),
            Input::Help => out::text(HELP)?,
            Input::Clear => {
                self.conversation.messages.clear();
                out::note("The conversation starts over.");
            }
            Input::Set(setting) => self.set(setting),
            Input::Show => {
                let shown = show::ask(self.client, &self.conversation.model).await?;
                out::text(&show::sections(&shown))?;
                out::text(&self.settings())?;
            }
            Input::Load(model) => {
                let mut next = self.conversation.clone();
                next.model = model;
                load(self.client, &next).await?;
                self.conversation = next;
                out::note(&format!("The conversation goes on with {}.", self.conversation.model));
            }
            Input::Wrong(sentence) => out::note(&sentence),
            Input::Say(prompt) => self.say(&prompt).await?,
        }
        Ok(true)
    }

    async fn say(&mut self, prompt: &str) -> Result<()> {
        let mut printer = Printer::new(false);
        let answer = self.conversation.say(self.client, prompt, |piece| printer.print(piece)).await;
        printer.finish()?;
        let answer = answer?;
        if answer.end.is_none() {
            out::note("(stopped)");
        } else if self.verbose {
            out::note(&format!("\n{}", answer.timings().trim_end()));
        }
        out::text("\n")
    }

    fn set(&mut self, setting: Setting) {
        match setting {
            Setting::System(text) => self.conversation.system = Some(text).filter(|text| !text.is_empty()),
            Setting::Option(name, value) => {
                self.conversation.options.insert(name.to_owned(), value);
            }
            Setting::Format(format) => self.conversation.format = format,
            Setting::Verbose(verbose) => self.verbose = verbose,
        }
    }

    fn settings(&self) -> String {
        let conversation = &self.conversation;
        let mut rows: Vec<(String, String)> =
            conversation.options.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        rows.extend(conversation.system.iter().map(|text| ("system".to_owned(), text.clone())));
        rows.extend(conversation.format.iter().map(|format| ("format".to_owned(), format.to_string())));
        rows.push(("messages".to_owned(), conversation.messages.len().to_string()));
        crate::render::section("Conversation", &rows)
    }
}

async fn load(client: &Client, conversation: &Conversation) -> Result<()> {
    let _spinner = out::spinner(format!("loading {}", conversation.model));
    tokio::select! {
        loaded = conversation.load(client) => loaded,
        _ = tokio::signal::ctrl_c() => Err(CliError::Interrupted),
    }
}

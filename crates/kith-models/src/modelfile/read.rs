//! From text to a Modelfile.

use super::{MAX_BYTES, Modelfile, ModelfileError, parameter};
use crate::Message;
use std::str::FromStr;

/// Three of these begin and end a text of several lines.
const FENCE: &str = "\"\"\"";
/// The most instructions read. Longer files repeat themselves.
const MAX_INSTRUCTIONS: usize = 10_000;

impl FromStr for Modelfile {
    type Err = ModelfileError;

    fn from_str(text: &str) -> Result<Self, ModelfileError> {
        if text.len() > MAX_BYTES {
            return Err(ModelfileError::TooLong(text.len()));
        }
        let mut file = Self::default();
        let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
        let mut count = 0;
        while let Some(word) = reader.word()? {
            let line = reader.line;
            let told = |reason: String| ModelfileError::Line { line, reason };
            count += 1;
            if count > MAX_INSTRUCTIONS {
                return Err(told(format!("there are more than {MAX_INSTRUCTIONS} instructions")));
            }
            file.take(&word, &mut reader).map_err(|fault| fault.unwrap_or_else(told))?;
        }
        if file.from.is_empty() { Err(ModelfileError::NoFrom) } else { Ok(file) }
    }
}

/// A fault with its place, or one that lies where its instruction begins.
enum Fault {
    Told(ModelfileError),
    Here(String),
}

impl Fault {
    fn unwrap_or_else(self, told: impl Fn(String) -> ModelfileError) -> ModelfileError {
        match self {
            Self::Told(error) => error,
            Self::Here(reason) => told(reason),
        }
    }
}

impl From<ModelfileError> for Fault {
    fn from(error: ModelfileError) -> Self {
        Self::Told(error)
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Here(reason)
    }
}

impl Modelfile {
    /// Reads what follows an instruction's word.
    fn take(&mut self, word: &str, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let once = |there: bool| if there { Err(format!("`{word}` stands there twice")) } else { Ok(()) };
        match word.to_ascii_uppercase().as_str() {
            "FROM" => self.from.push(reader.filled(word)?),
            "ADAPTER" => self.adapters.push(reader.filled(word)?),
            "LICENSE" => self.license.push(reader.value()?),
            "TEMPLATE" => {
                once(self.template.is_some())?;
                self.template = Some(reader.value()?);
            }
            "SYSTEM" => {
                once(self.system.is_some())?;
                self.system = Some(reader.value()?);
            }
            "REQUIRES" => {
                once(self.requires.is_some())?;
                self.requires = Some(reader.filled(word)?);
            }
            "PARAMETER" => {
                let name = reader.inner_word("a parameter's name")?;
                let value = reader.filled(&name)?;
                parameter::add(&mut self.parameters, &name, &value)?;
            }
            "MESSAGE" => {
                let role = reader.inner_word("a message's role")?.to_ascii_lowercase().parse()?;
                self.messages.push(Message { role, content: reader.value()? });
            }
            _ => {
                let word: String = word.chars().take(64).collect();
                return Err(Fault::Here(format!(
                    "`{word}` is no instruction: use FROM, PARAMETER, TEMPLATE, SYSTEM, ADAPTER, MESSAGE, LICENSE or REQUIRES"
                )));
            }
        }
        Ok(())
    }
}

/// What is left of the text, and where it is.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.bytes().filter(|byte| *byte == b'\n').count();
        self.rest = rest;
        taken
    }

    /// The first word of the next instruction; comments and empty lines are passed over.
    fn word(&mut self) -> Result<Option<String>, ModelfileError> {
        loop {
            self.advance(self.rest.len() - self.rest.trim_start().len());
            if !self.rest.starts_with('#') {
                break;
            }
            self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        Ok(Some(self.advance(end)).filter(|word| !word.is_empty()).map(str::to_owned))
    }

    /// Passes over blanks within the line.
    fn blanks(&mut self) {
        self.advance(self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len());
    }

    /// A word on this line.
    fn inner_word(&mut self, what: &str) -> Result<String, Fault> {
        self.blanks();
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(Fault::Here(format!("{what} is missing")));
        }
        Ok(self.advance(end).to_owned())
    }

    /// A value that must not be empty.
    fn filled(&mut self, word: &str) -> Result<String, Fault> {
        let value = self.value()?;
        if value.is_empty() { Err(Fault::Here(format!("nothing follows `{word}`"))) } else { Ok(value) }
    }

    /// The rest of the line, a text in quotes, or a text of several lines between three quotes.
    fn value(&mut self) -> Result<String, ModelfileError> {
        self.blanks();
        if self.rest.starts_with(FENCE) {
            return self.fenced();
        }
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        let line = self.advance(end).trim_end();
        // One quote alone, or quotes around a part, belong to the text.
        let quoted = line.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Ok(quoted.unwrap_or(line).to_owned())
    }

    /// Ends with the last three quotes of the first run of them that ends its line.
    fn fenced(&mut self) -> Result<String, ModelfileError> {
        let line = self.line;
        self.advance(FENCE.len());
        let mut from = 0;
        while let Some(found) = self.rest.get(from..).and_then(|rest| rest.find(FENCE)) {
            let start = from + found;
            let run = self.rest[start..].len() - self.rest[start..].trim_start_matches('"').len();
            let after = &self.rest[start + run..];
            let tail = after.find('\n').map_or(after, |end| &after[..end]);
            if tail.trim().is_empty() {
                let text = self.advance(start + run - FENCE.len()).to_owned();
                self.advance(FENCE.len() + tail.len());
                return Ok(text);
            }
            from = start + run;
        }
        Err(ModelfileError::Line { line, reason: "the text between three quotes does not end".to_owned() })
    }
}

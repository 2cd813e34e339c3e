//! From a Modelfile to text that reads as the same.

use super::{Modelfile, Unwritable, parameter};
use std::fmt::Write;

impl Modelfile {
    /// The text. Reading it gives the same Modelfile.
    ///
    /// # Errors
    /// [`Unwritable`] if one of its texts cannot be written in a Modelfile.
    pub fn to_text(&self) -> Result<String, Unwritable> {
        let mut out = String::new();
        for from in &self.from {
            line(&mut out, "FROM", from)?;
        }
        for adapter in &self.adapters {
            line(&mut out, "ADAPTER", adapter)?;
        }
        if let Some(template) = &self.template {
            line(&mut out, "TEMPLATE", template)?;
        }
        if let Some(system) = &self.system {
            line(&mut out, "SYSTEM", system)?;
        }
        for (name, value) in &self.parameters {
            for text in parameter::texts(value) {
                line(&mut out, &format!("PARAMETER {name}"), &text)?;
            }
        }
        for message in &self.messages {
            line(&mut out, &format!("MESSAGE {}", message.role), &message.content)?;
        }
        if let Some(requires) = &self.requires {
            line(&mut out, "REQUIRES", requires)?;
        }
        for license in &self.license {
            line(&mut out, "LICENSE", license)?;
        }
        Ok(out)
    }
}

fn line(out: &mut String, word: &str, text: &str) -> Result<(), Unwritable> {
    // Writing to a text cannot fail.
    let _ = match () {
        () if is_plain(text) => writeln!(out, "{word} {text}"),
        () if !text.contains(['"', '\n', '\r']) => writeln!(out, "{word} \"{text}\""),
        () if ends_early(text) => return Err(Unwritable),
        () => writeln!(out, "{word} \"\"\"{text}\"\"\""),
    };
    Ok(())
}

/// Whether a text stands for itself on its line.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains(['"', '\n', '\r'])
}

/// Whether three quotes at the end of a line would end the text before its end.
fn ends_early(text: &str) -> bool {
    let lines = text.split('\n').collect::<Vec<_>>();
    let (_, but_last) = lines.split_last().unwrap_or((&"", &[]));
    but_last.iter().any(|line| line.trim_end().ends_with("\"\"\""))
}

//! Tools: which are allowed, how they are told to a model that has no own way, how a call is forced, and how calls are read back.

mod call;
mod parser;
mod prompt;
mod region;
mod scan;
mod schema;

pub(crate) use parser::ToolParser;
pub(crate) use prompt::{fold, shown};
pub(crate) use schema::{forced_schema, parameters};

use crate::{InferenceError, Tool, ToolChoice};
use std::collections::HashSet;

/// The most tools in one request.
const MAX_TOOLS: usize = 128;
/// The longest name of a tool, in bytes.
const MAX_NAME: usize = 64;

/// Checks the tools of a request and the choice among them.
pub(crate) fn validate(tools: &[Tool], choice: &ToolChoice) -> Result<(), InferenceError> {
    if tools.len() > MAX_TOOLS {
        return Err(invalid("tools".to_owned(), format!("there are {} tools; at most {MAX_TOOLS} may be given", tools.len())));
    }
    let mut seen = HashSet::new();
    for (index, tool) in tools.iter().enumerate() {
        let name = &tool.name;
        let field = format!("tools[{index}].name");
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(region::is_name_byte) {
            let rule = format!("a tool's name has 1 to {MAX_NAME} letters, digits, `_`, `-` or `.`");
            return Err(invalid(field, format!("{rule}; `{}` does not", name.chars().take(MAX_NAME).collect::<String>())));
        }
        if !seen.insert(name) {
            return Err(invalid(field, format!("there are two tools named `{name}`")));
        }
        if let Err(message) = schema::check(&tool.parameters) {
            return Err(invalid(format!("tools[{index}].parameters"), message));
        }
    }
    match choice {
        ToolChoice::Required if tools.is_empty() => {
            Err(invalid("tool_choice".to_owned(), "a tool call is required, but there are no tools".to_owned()))
        }
        ToolChoice::Named(name) if !seen.contains(name) => {
            Err(invalid("tool_choice".to_owned(), format!("no tool is named `{name}`")))
        }
        _ => Ok(()),
    }
}

fn invalid(field: String, message: String) -> InferenceError {
    InferenceError::Invalid { field, message }
}

/// The tools that `choice` leaves.
fn offered<'a>(tools: &'a [Tool], choice: &'a ToolChoice) -> impl Iterator<Item = &'a Tool> {
    tools.iter().filter(move |tool| match choice {
        ToolChoice::None => false,
        ToolChoice::Named(name) => *name == tool.name,
        ToolChoice::Auto | ToolChoice::Required => true,
    })
}

#[cfg(test)]
mod tests;

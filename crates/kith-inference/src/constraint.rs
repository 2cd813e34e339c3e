//! The language an answer must belong to, and how large its description may be. Knows no engine that enforces it.

use crate::{Format, Generate, InferenceError, tools};
use kith_engine::Constraint;
use serde_json::Value;

/// The most bytes of a schema, a grammar or an expression. Compilers recurse as deep as these nest.
const MAX_BYTES: usize = 64 << 10;
/// The most values in a schema.
const MAX_SCHEMA_VALUES: usize = 4000;
/// The most lines, which is to say rules, of a grammar.
const MAX_RULES: usize = 1000;

/// What the request constrains its answer to: a forced tool call, else its format. Too large a description is refused.
pub(crate) fn of(request: &Generate) -> Result<Constraint, InferenceError> {
    let constraint = wanted(request);
    let fits = match &constraint {
        Constraint::None | Constraint::JsonObject => true,
        Constraint::JsonSchema(schema) => schema.to_string().len() <= MAX_BYTES && values(schema) <= MAX_SCHEMA_VALUES,
        Constraint::Regex(pattern) => pattern.len() <= MAX_BYTES,
        Constraint::Lark(grammar) => grammar.len() <= MAX_BYTES && grammar.lines().count() <= MAX_RULES,
    };
    if fits {
        return Ok(constraint);
    }
    Err(InferenceError::Invalid {
        field: "format".into(),
        message: format!(
            "the schema or grammar is too large: at most {MAX_BYTES} bytes, {MAX_SCHEMA_VALUES} values of a schema and \
             {MAX_RULES} rules of a grammar are taken"
        ),
    })
}

fn wanted(request: &Generate) -> Constraint {
    if !request.tools.is_empty()
        && let Some(schema) = tools::forced_schema(&request.tools, &request.tool_choice, request.parallel_tool_calls)
    {
        return Constraint::JsonSchema(schema);
    }
    match &request.format {
        Format::Text => Constraint::None,
        Format::JsonObject => Constraint::JsonObject,
        Format::JsonSchema(schema) => Constraint::JsonSchema(schema.clone()),
        Format::Regex(pattern) => Constraint::Regex(pattern.clone()),
        Format::Lark(grammar) => Constraint::Lark(grammar.clone()),
    }
}

/// Values in a JSON document, itself included.
fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(values).sum(),
        Value::Object(map) => map.values().map(values).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Prompt;
    use serde_json::json;

    fn taken(format: Format) -> bool {
        of(&Generate { format, ..Generate::new("m", Prompt::Raw("x".into())) }).is_ok()
    }

    #[test]
    fn each_bound_is_reached_and_not_passed() {
        assert!(taken(Format::JsonSchema(json!(vec![1; MAX_SCHEMA_VALUES - 1]))));
        assert!(!taken(Format::JsonSchema(json!(vec![1; MAX_SCHEMA_VALUES]))));
        assert!(taken(Format::Regex("a".repeat(MAX_BYTES))) && !taken(Format::Regex("a".repeat(MAX_BYTES + 1))));
        assert!(taken(Format::Lark("a\n".repeat(MAX_RULES))) && !taken(Format::Lark("a\n".repeat(MAX_RULES + 1))));
        assert!(!taken(Format::Lark("a".repeat(MAX_BYTES + 1))));
    }
}

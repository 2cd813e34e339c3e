//! Values in Jinja, with what is known of their kind: the same name means other things of a message, a tool and a call.

use super::{GoError, parse::Expression};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The whole template's data.
    Root,
    Text,
    Number,
    Truth,
    Messages,
    Message,
    Tools,
    Tool,
    ToolFunction,
    Calls,
    Call,
    CallFunction,
    /// Anything that is shown as JSON.
    Json,
}

/// A value in Jinja.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    /// The expression; safe to stand beside operators.
    pub code: String,
    pub kind: Kind,
}

impl Value {
    pub(super) fn new(code: impl Into<String>, kind: Kind) -> Self {
        Self { code: code.into(), kind }
    }

    /// How it is printed.
    pub(super) fn printed(&self) -> Result<String, GoError> {
        match self.kind {
            Kind::Text | Kind::Number => Ok(self.code.clone()),
            Kind::Tools | Kind::Tool | Kind::ToolFunction | Kind::Json => Ok(json(&self.code)),
            Kind::Root | Kind::Truth | Kind::Messages | Kind::Message | Kind::Calls | Kind::Call | Kind::CallFunction => {
                GoError::new("it prints a value that only Go can print")
            }
        }
    }
}

/// As Go's `json.Marshal` writes it: without blanks.
fn json(code: &str) -> String {
    format!("{code} | tojson(separators=(',', ':'))")
}

/// A text in Jinja's quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // A brace apart from its neighbour begins nothing.
            '{' | '}' | '%' | '#' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What names mean while an expression is translated.
pub(super) struct Names<'a> {
    /// The dot.
    pub dot: &'a Value,
    /// Whether the template walks over messages itself; otherwise it lays out one exchange at a time.
    pub messages: bool,
    /// Variables, the innermost last.
    pub variables: &'a [(String, Value)],
}

impl Names<'_> {
    /// The expression in Jinja.
    pub(super) fn value(&self, expression: &Expression) -> Result<Value, GoError> {
        match expression {
            Expression::Text(text) => Ok(Value::new(quoted(text), Kind::Text)),
            Expression::Number(number) => Ok(Value::new(format!("({number})"), Kind::Number)),
            Expression::Truth(truth) => Ok(Value::new(truth.to_string(), Kind::Truth)),
            Expression::Dot(fields) => self.fields(self.dot.clone(), fields),
            Expression::Variable(name, fields) if name.is_empty() => self.fields(Value::new("", Kind::Root), fields),
            Expression::Variable(name, fields) => match self.variables.iter().rev().find(|(known, _)| known == name) {
                Some((_, value)) => self.fields(value.clone(), fields),
                None => GoError::new(format!("the variable `${name}` is not declared")),
            },
            Expression::Call(function, arguments) => self.call(function, arguments),
        }
    }

    fn fields(&self, mut value: Value, fields: &[String]) -> Result<Value, GoError> {
        for field in fields {
            value = self.field(&value, field)?;
        }
        Ok(value)
    }

    fn field(&self, of: &Value, field: &str) -> Result<Value, GoError> {
        let part = |name: &str, kind| Ok(Value::new(format!("{}[\"{name}\"]", of.code), kind));
        let or_empty = |name: &str, kind, empty: &str| Ok(Value::new(format!("({}[\"{name}\"] or {empty})", of.code), kind));
        match (of.kind, field) {
            (Kind::Root, "System") => Ok(Value::new("System", Kind::Text)),
            // Only one of the two ways of laying out sees these; to the other they are nothing.
            (Kind::Root, "Prompt" | "Response") if !self.messages => Ok(Value::new(field, Kind::Text)),
            (Kind::Root, "Prompt" | "Response" | "Suffix" | "ThinkLevel") => Ok(Value::new("\"\"", Kind::Text)),
            (Kind::Root, "Messages") if self.messages => Ok(Value::new("Messages", Kind::Messages)),
            (Kind::Root, "Tools") if self.messages => Ok(Value::new("(tools or [])", Kind::Tools)),
            (Kind::Root, "Messages") => Ok(Value::new("[]", Kind::Messages)),
            (Kind::Root, "Tools") => Ok(Value::new("[]", Kind::Tools)),
            (Kind::Root, "Think") if self.messages => {
                Ok(Value::new("(enable_thinking is defined and enable_thinking)", Kind::Truth))
            }
            (Kind::Root, "IsThinkSet") if self.messages => Ok(Value::new("(enable_thinking is defined)", Kind::Truth)),
            (Kind::Root, "Think" | "IsThinkSet") => Ok(Value::new("false", Kind::Truth)),
            (Kind::Message, "Role") => part("role", Kind::Text),
            (Kind::Message, "Content") => part("content", Kind::Text),
            (Kind::Message, "ToolName") => or_empty("name", Kind::Text, "\"\""),
            (Kind::Message, "ToolCallID") => or_empty("tool_call_id", Kind::Text, "\"\""),
            (Kind::Message, "ToolCalls") => or_empty("tool_calls", Kind::Calls, "[]"),
            // Earlier reasoning is not kept in conversations here.
            (Kind::Message, "Thinking") => Ok(Value::new("\"\"", Kind::Text)),
            (Kind::Tool, "Type") => part("type", Kind::Text),
            (Kind::Tool, "Function") => part("function", Kind::ToolFunction),
            (Kind::ToolFunction, "Name") => part("name", Kind::Text),
            (Kind::ToolFunction, "Description") => or_empty("description", Kind::Text, "\"\""),
            (Kind::ToolFunction, "Parameters") => part("parameters", Kind::Json),
            (Kind::Call, "ID") => part("id", Kind::Text),
            (Kind::Call, "Function") => part("function", Kind::CallFunction),
            (Kind::CallFunction, "Name") => part("name", Kind::Text),
            (Kind::CallFunction, "Arguments") => part("arguments", Kind::Json),
            _ => GoError::new(format!("the field `.{field}` is not known there")),
        }
    }

    fn call(&self, function: &str, arguments: &[Expression]) -> Result<Value, GoError> {
        let values = || arguments.iter().map(|argument| self.value(argument)).collect::<Result<Vec<_>, _>>();
        let codes =
            |values: &[Value], between: &str| values.iter().map(|value| value.code.as_str()).collect::<Vec<_>>().join(between);
        let count = arguments.len();
        let wrong = || GoError::new(format!("`{function}` with {count} arguments has no counterpart"));
        match (function, count) {
            ("and" | "or", 1..) => {
                let values = values()?;
                let alike = values.iter().all(|value| Some(value.kind) == values.first().map(|value| value.kind));
                // Both languages give one of the values, not a truth; of kinds that differ only the truth is of use.
                let kind = values.first().map_or(Kind::Truth, |value| value.kind);
                let code = format!("({})", codes(&values, &format!(" {function} ")));
                Ok(Value::new(code, if alike { kind } else { Kind::Truth }))
            }
            ("not", 1) => Ok(Value::new(format!("(not {})", codes(&values()?, "")), Kind::Truth)),
            ("eq", 2..) => {
                let values = values()?;
                let (first, others) = values.split_first().ok_or_else(|| GoError(String::new()))?;
                // Each value once: an expression that repeats one doubles with every level it is nested.
                let code = match others {
                    [other] => format!("({} == {})", first.code, other.code),
                    others => format!("({} in [{}])", first.code, codes(others, ", ")),
                };
                Ok(Value::new(code, Kind::Truth))
            }
            ("ne" | "lt" | "le" | "gt" | "ge", 2) => {
                let sign = match function {
                    "ne" => " != ",
                    "lt" => " < ",
                    "le" => " <= ",
                    "gt" => " > ",
                    _ => " >= ",
                };
                Ok(Value::new(format!("({})", codes(&values()?, sign)), Kind::Truth))
            }
            ("len", 1) => self.length(arguments),
            ("index", 2) => {
                let values = values()?;
                let kind = values
                    .first()
                    .and_then(|list| item_of(list.kind))
                    .ok_or_else(|| GoError("`index` of that has no counterpart".into()))?;
                let [list, at] = values.as_slice() else { return wrong() };
                Ok(Value::new(format!("{}[{}]", list.code, at.code), kind))
            }
            ("json", 1) => Ok(Value::new(format!("({})", json(&codes(&values()?, ""))), Kind::Text)),
            ("currentDate", 0) => Ok(Value::new("strftime_now(\"\\u0025Y-\\u0025m-\\u0025d\")", Kind::Text)),
            ("print", 1) => Ok(Value::new(format!("({})", self.value(&arguments[0])?.printed()?), Kind::Text)),
            _ => wrong(),
        }
    }

    /// `len x`; and `len (slice x i)`, which is how templates ask how many messages follow.
    fn length(&self, arguments: &[Expression]) -> Result<Value, GoError> {
        let [argument] = arguments else { return GoError::new("`len` takes one value") };
        if let Expression::Call(function, sliced) = argument
            && function == "slice"
        {
            let [list, from] = sliced.as_slice() else { return GoError::new("`slice` with an end has no counterpart") };
            let (list, from) = (self.value(list)?, self.value(from)?);
            return Ok(Value::new(format!("(({} | length) - {})", list.code, from.code), Kind::Number));
        }
        let value = self.value(argument)?;
        match value.kind {
            // Go counts bytes of texts and Jinja letters.
            Kind::Messages | Kind::Tools | Kind::Calls => Ok(Value::new(format!("({} | length)", value.code), Kind::Number)),
            _ => GoError::new("`len` of that has no counterpart"),
        }
    }
}

/// What a list holds.
pub(super) fn item_of(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::Messages => Some(Kind::Message),
        Kind::Tools => Some(Kind::Tool),
        Kind::Calls => Some(Kind::Call),
        _ => None,
    }
}

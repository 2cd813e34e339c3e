//! From the tree to Jinja, with what Ollama does around a template: joining neighbours of one role, and for templates without
//! `.Messages` laying out exchange after exchange.

use super::{
    GoError,
    expression::{Kind, Names, Value, item_of, quoted},
    parse::{Expression, Node},
};

/// Joins neighbouring messages of one role, tools' results apart, and gathers the system texts, as Ollama does before it lays
/// anything out. The last message is taken up after the loop.
const COLLATE: &str = concat!(
    "{% set c = namespace(list=[], system=\"\", last=none, content=\"\", calls=[]) %}",
    "{% for m in messages %}",
    "{% set text = (m.content or \"\") %}",
    "{% if m.role == \"system\" %}{% set c.system = ((c.system ~ \"\\n\\n\" ~ text) if c.system else text) %}{% endif %}",
    "{% if c.last and c.last.role == m.role and m.role != \"tool\" %}",
    "{% set c.content = c.content ~ \"\\n\\n\" ~ text %}",
    "{% set c.calls = c.calls + (m.tool_calls or []) %}",
    "{% else %}",
    "{% if c.last %}{% set c.list = c.list + [ONE] %}{% endif %}",
    "{% set c.last = m %}{% set c.content = text %}{% set c.calls = (m.tool_calls or []) %}",
    "{% endif %}",
    "{% endfor %}",
    "{% if c.last %}{% set c.list = c.list + [ONE] %}{% endif %}",
    "{% set Messages = c.list | list %}",
);
/// One joined message.
const ONE: &str = concat!(
    "{\"role\": c.last.role, \"content\": c.content, \"tool_calls\": c.calls | list, ",
    "\"name\": c.last.name, \"tool_call_id\": c.last.tool_call_id }"
);
/// Lays out exchange after exchange; the last one is left open where the answer begins.
const EXCHANGES: &str = concat!(
    "{% set e = namespace(system=\"\", prompt=\"\", response=\"\") %}",
    "{% for m in Messages %}",
    "{% if m.role == \"system\" %}",
    "{% if e.prompt or e.response %}",
    "{{ exchange(e.system, e.prompt, e.response) }}{% set e.prompt = \"\" %}{% set e.response = \"\" %}",
    "{% endif %}{% set e.system = m.content %}",
    "{% elif m.role == \"user\" %}",
    "{% if e.response %}",
    "{{ exchange(e.system, e.prompt, e.response) }}{% set e.system = \"\" %}{% set e.response = \"\" %}",
    "{% endif %}{% set e.prompt = m.content %}",
    "{% elif m.role == \"assistant\" %}{% set e.response = m.content %}",
    "{% endif %}",
    "{% endfor %}",
    "{{ opening(e.system, e.prompt, e.response) }}",
);

/// The whole template.
pub(super) fn template(mut nodes: Vec<Node>) -> Result<String, GoError> {
    let collate = COLLATE.replace("ONE", ONE);
    if mentions(&nodes, "Messages") {
        let body = Body::new(true).list(&nodes)?;
        return Ok(format!("{collate}{{% set System = c.system %}}{{% set v = namespace() %}}{body}"));
    }
    if !mentions(&nodes, "Response") {
        nodes.push(Node::Print(Expression::Dot(vec!["Response".to_owned()])));
    }
    let exchange = Body::new(false).list(&nodes)?;
    let opening = Body::new(false).list(&until_response(&nodes).0)?;
    let define = |name: &str, body: &str| {
        format!("{{% macro {name}(System, Prompt, Response) %}}{{% set v = namespace() %}}{body}{{% endmacro %}}")
    };
    Ok(format!("{}{}{collate}{EXCHANGES}", define("exchange", &exchange), define("opening", &opening)))
}

/// Whether the template uses this field of its data anywhere.
fn mentions(nodes: &[Node], field: &str) -> bool {
    fn in_expression(expression: &Expression, field: &str) -> bool {
        match expression {
            Expression::Dot(fields) => fields.first().is_some_and(|first| first == field),
            Expression::Variable(name, fields) => name.is_empty() && fields.first().is_some_and(|first| first == field),
            Expression::Call(_, arguments) => arguments.iter().any(|argument| in_expression(argument, field)),
            Expression::Text(_) | Expression::Number(_) | Expression::Truth(_) => false,
        }
    }
    nodes.iter().any(|node| match node {
        Node::Text(_) | Node::Break | Node::Continue => false,
        Node::Print(value) | Node::Set { value, .. } => in_expression(value, field),
        Node::If { test: value, then, otherwise }
        | Node::With { value, then, otherwise, .. }
        | Node::Range { over: value, body: then, otherwise, .. } => {
            in_expression(value, field) || mentions(then, field) || mentions(otherwise, field)
        }
    })
}

/// The template up to where it first prints the response, and whether it does.
fn until_response(nodes: &[Node]) -> (Vec<Node>, bool) {
    let mut kept = Vec::new();
    for node in nodes {
        let (node, found) = match node {
            Node::Print(value) => (node.clone(), mentions(std::slice::from_ref(&Node::Print(value.clone())), "Response")),
            Node::If { test, then, otherwise } => {
                let (then, found) = until_response(then);
                let (otherwise, found) = if found { (otherwise.clone(), true) } else { until_response(otherwise) };
                (Node::If { test: test.clone(), then, otherwise }, found)
            }
            Node::With { value, variable, then, otherwise } => {
                let (then, found) = until_response(then);
                let (otherwise, found) = if found { (otherwise.clone(), true) } else { until_response(otherwise) };
                (Node::With { value: value.clone(), variable: variable.clone(), then, otherwise }, found)
            }
            node => (node.clone(), false),
        };
        kept.push(node);
        if found {
            return (kept, true);
        }
    }
    (kept, false)
}

/// Writes a tree as Jinja. All text stands in quotes: the habits of blocks with the blanks around them never touch it.
struct Body {
    messages: bool,
    dot: Value,
    variables: Vec<(String, Value)>,
    /// Names given so far, so that each is new.
    given: usize,
    loops: usize,
}

impl Body {
    fn new(messages: bool) -> Self {
        Self { messages, dot: Value::new("", Kind::Root), variables: Vec::new(), given: 0, loops: 0 }
    }

    fn value(&self, expression: &Expression) -> Result<Value, GoError> {
        Names { dot: &self.dot, messages: self.messages, variables: &self.variables }.value(expression)
    }

    /// A name that nothing has.
    fn fresh(&mut self, letter: char) -> String {
        self.given += 1;
        format!("{letter}{}", self.given)
    }

    fn list(&mut self, nodes: &[Node]) -> Result<String, GoError> {
        let scope = self.variables.len();
        let mut out = String::new();
        for node in nodes {
            self.node(node, &mut out)?;
        }
        self.variables.truncate(scope);
        Ok(out)
    }

    fn node(&mut self, node: &Node, out: &mut String) -> Result<(), GoError> {
        match node {
            Node::Text(text) => out.push_str(&format!("{{{{ {} }}}}", quoted(text))),
            Node::Print(value) => out.push_str(&format!("{{{{ {} }}}}", self.value(value)?.printed()?)),
            Node::Set { name, value, fresh } => self.set(name, value, *fresh, out)?,
            Node::If { test, then, otherwise } => {
                let test = self.value(test)?;
                let (then, otherwise) = (self.list(then)?, self.list(otherwise)?);
                out.push_str(&format!("{{% if {} %}}{then}{{% else %}}{otherwise}{{% endif %}}", test.code));
            }
            Node::With { value, variable, then, otherwise } => {
                let value = self.value(value)?;
                let held = Value::new(format!("v.{}", self.fresh('w')), value.kind);
                let outer = std::mem::replace(&mut self.dot, held.clone());
                let scope = self.variables.len();
                self.variables.extend(variable.iter().map(|name| (name.clone(), held.clone())));
                let then = self.list(then);
                self.variables.truncate(scope);
                self.dot = outer;
                let (then, otherwise) = (then?, self.list(otherwise)?);
                let (code, held) = (value.code, held.code);
                out.push_str(&format!("{{% set {held} = {code} %}}{{% if {held} %}}{then}{{% else %}}{otherwise}{{% endif %}}"));
            }
            Node::Range { over, index, item, body, otherwise } => self.range(over, index, item, body, otherwise, out)?,
            Node::Break if self.loops > 0 => out.push_str("{% break %}"),
            Node::Continue if self.loops > 0 => out.push_str("{% continue %}"),
            Node::Break | Node::Continue => return GoError::new("`break` and `continue` belong into a `range`"),
        }
        Ok(())
    }

    /// Variables are fields of one namespace, since Jinja forgets at a loop's end what was set in it.
    fn set(&mut self, name: &str, value: &Expression, fresh: bool, out: &mut String) -> Result<(), GoError> {
        let value = self.value(value)?;
        let code = if fresh {
            let code = format!("v.{}", self.fresh('x'));
            self.variables.push((name.to_owned(), Value::new(code.clone(), value.kind)));
            code
        } else {
            match self.variables.iter().rev().find(|(known, _)| known == name) {
                Some((_, known)) if known.kind == value.kind && known.code.starts_with("v.") => known.code.clone(),
                _ => return GoError::new(format!("`${name}` cannot be given that value")),
            }
        };
        out.push_str(&format!("{{% set {code} = {} %}}", value.code));
        Ok(())
    }

    fn range(
        &mut self,
        over: &Expression,
        index: &Option<String>,
        item: &Option<String>,
        body: &[Node],
        otherwise: &[Node],
        out: &mut String,
    ) -> Result<(), GoError> {
        let over = self.value(over)?;
        let Some(kind) = item_of(over.kind) else { return GoError::new("`range` over that has no counterpart") };
        let (element, at) = (Value::new(self.fresh('m'), kind), format!("v.{}", self.fresh('i')));
        let outer = std::mem::replace(&mut self.dot, element.clone());
        let scope = self.variables.len();
        self.variables.extend(index.iter().map(|name| (name.clone(), Value::new(at.clone(), Kind::Number))));
        self.variables.extend(item.iter().map(|name| (name.clone(), element.clone())));
        self.loops += 1;
        let body = self.list(body);
        self.loops -= 1;
        self.variables.truncate(scope);
        self.dot = outer;
        let (body, otherwise) = (body?, self.list(otherwise)?);
        let (name, list) = (element.code, over.code);
        out.push_str(&format!(
            "{{% for {name} in {list} %}}{{% set {at} = loop.index0 %}}{body}{{% else %}}{otherwise}{{% endfor %}}"
        ));
        Ok(())
    }
}

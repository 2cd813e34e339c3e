//! The tree of a template.

use super::{
    GoError,
    scan::{Piece, Token},
};

/// How deep blocks and brackets may lie in one another.
const MAX_DEPTH: usize = 48;

/// One part of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// Prints a value.
    Print(Expression),
    /// `$x := …`, or `$x = …` where `fresh` is false.
    Set {
        name: String,
        value: Expression,
        fresh: bool,
    },
    If {
        test: Expression,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `with`: the dot is the value.
    With {
        value: Expression,
        variable: Option<String>,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Range {
        over: Expression,
        index: Option<String>,
        item: Option<String>,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Break,
    Continue,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Text(String),
    Number(i64),
    Truth(bool),
    /// The dot and fields of it.
    Dot(Vec<String>),
    /// A variable and fields of it; the empty name is the whole template's data.
    Variable(String, Vec<String>),
    Call(String, Vec<Expression>),
}

/// What closes a list of nodes.
#[derive(Debug, PartialEq)]
enum Close {
    Template,
    End,
    Else,
    /// `else if` and `else with`: the tokens after `else`.
    Chain(Vec<Token>),
}

/// Builds the tree.
pub(super) fn parse(pieces: Vec<Piece>) -> Result<Vec<Node>, GoError> {
    let mut pieces = pieces.into_iter();
    match list(&mut pieces, 0)? {
        (nodes, Close::Template) => Ok(nodes),
        (_, Close::End) => GoError::new("there is an `end` too many"),
        _ => GoError::new("there is an `else` without its `if`"),
    }
}

fn list(pieces: &mut std::vec::IntoIter<Piece>, depth: usize) -> Result<(Vec<Node>, Close), GoError> {
    if depth > MAX_DEPTH {
        return GoError::new(format!("its blocks lie more than {MAX_DEPTH} deep in one another"));
    }
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let tokens = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(tokens) => tokens,
        };
        match tokens.split_first() {
            Some((Token::Word(word), rest)) => match word.as_str() {
                "end" if rest.is_empty() => return Ok((nodes, Close::End)),
                "else" if rest.is_empty() => return Ok((nodes, Close::Else)),
                "else" => return Ok((nodes, Close::Chain(rest.to_vec()))),
                "if" | "with" | "range" => nodes.push(block(word, rest, pieces, depth + 1)?),
                "break" if rest.is_empty() => nodes.push(Node::Break),
                "continue" if rest.is_empty() => nodes.push(Node::Continue),
                "define" | "template" | "block" => return GoError::new(format!("`{word}` has no counterpart")),
                _ => nodes.push(action(&tokens)?),
            },
            Some(_) => nodes.push(action(&tokens)?),
            None => return GoError::new("an action is empty"),
        }
    }
    if depth == 0 { Ok((nodes, Close::Template)) } else { GoError::new("an `end` is missing") }
}

fn block(word: &str, tokens: &[Token], pieces: &mut std::vec::IntoIter<Piece>, depth: usize) -> Result<Node, GoError> {
    let (variables, tokens) = declared(tokens)?;
    let value = expression(tokens)?;
    let (then, end) = list(pieces, depth)?;
    let otherwise = match end {
        Close::End => Vec::new(),
        Close::Else => match list(pieces, depth)? {
            (nodes, Close::End) => nodes,
            _ => return GoError::new("a second `else` follows an `else`"),
        },
        Close::Chain(tokens) if word != "range" => match tokens.split_first() {
            Some((Token::Word(chained), rest)) if matches!(chained.as_str(), "if" | "with") => {
                vec![block(chained, rest, pieces, depth + 1)?]
            }
            _ => return GoError::new("something else than `if` follows an `else`"),
        },
        _ => return GoError::new("an `end` is missing"),
    };
    let mut variables = variables.into_iter();
    match (word, variables.next(), variables.next()) {
        ("if", None, _) => Ok(Node::If { test: value, then, otherwise }),
        ("with", variable, None) => Ok(Node::With { value, variable, then, otherwise }),
        ("range", None, _) => Ok(Node::Range { over: value, index: None, item: None, body: then, otherwise }),
        ("range", item, None) => Ok(Node::Range { over: value, index: None, item, body: then, otherwise }),
        ("range", index, item) => Ok(Node::Range { over: value, index, item, body: then, otherwise }),
        _ => GoError::new(format!("variables declared in `{word}` have no counterpart")),
    }
}

/// `$a, $b := ` at the front.
fn declared(tokens: &[Token]) -> Result<(Vec<String>, &[Token]), GoError> {
    let Some(at) = tokens.iter().position(|token| *token == Token::Declare) else { return Ok((Vec::new(), tokens)) };
    let mut names = Vec::new();
    for token in &tokens[..at] {
        match token {
            Token::Variable(name, fields) if fields.is_empty() && !name.is_empty() => names.push(name.clone()),
            Token::Comma => {}
            _ => return GoError::new("only variables can be declared"),
        }
    }
    if names.len() > 2 {
        return GoError::new("more than two variables are declared at once");
    }
    Ok((names, &tokens[at + 1..]))
}

fn action(tokens: &[Token]) -> Result<Node, GoError> {
    match tokens {
        [Token::Variable(name, fields), sign @ (Token::Declare | Token::Assign), value @ ..] if fields.is_empty() => {
            let fresh = *sign == Token::Declare;
            Ok(Node::Set { name: name.clone(), value: expression(value)?, fresh })
        }
        tokens => Ok(Node::Print(expression(tokens)?)),
    }
}

/// A pipeline: what one command gives is the last argument of the next.
fn expression(tokens: &[Token]) -> Result<Expression, GoError> {
    let (value, rest) = pipeline(tokens, 0)?;
    if rest.is_empty() { Ok(value) } else { GoError::new("a bracket closes that none opened") }
}

fn pipeline(tokens: &[Token], depth: usize) -> Result<(Expression, &[Token]), GoError> {
    if depth > MAX_DEPTH {
        return GoError::new(format!("its brackets lie more than {MAX_DEPTH} deep in one another"));
    }
    let (mut value, mut rest) = command(tokens, None, depth)?;
    while let [Token::Pipe, after @ ..] = rest {
        (value, rest) = command(after, Some(value), depth)?;
    }
    Ok((value, rest))
}

fn command(tokens: &[Token], piped: Option<Expression>, depth: usize) -> Result<(Expression, &[Token]), GoError> {
    let function = match tokens.first() {
        Some(Token::Word(word)) if !matches!(word.as_str(), "true" | "false" | "nil") => Some(word.clone()),
        _ => None,
    };
    let mut rest = if function.is_some() { &tokens[1..] } else { tokens };
    let mut operands = Vec::new();
    while !matches!(rest.first(), None | Some(Token::Pipe | Token::Close)) {
        let (operand, after) = operand(rest, depth)?;
        operands.push(operand);
        rest = after;
    }
    operands.extend(piped);
    match (function, operands.len()) {
        (Some(function), _) => Ok((Expression::Call(function, operands), rest)),
        (None, 1) => Ok((operands.remove(0), rest)),
        (None, 0) => GoError::new("a value is missing"),
        (None, _) => GoError::new("a value stands beside another one"),
    }
}

fn operand(tokens: &[Token], depth: usize) -> Result<(Expression, &[Token]), GoError> {
    let Some((first, rest)) = tokens.split_first() else { return GoError::new("a value is missing") };
    let value = match first {
        Token::Text(text) => Expression::Text(text.clone()),
        Token::Number(number) => Expression::Number(*number),
        Token::Field(names) => Expression::Dot(names.clone()),
        Token::Variable(name, names) => Expression::Variable(name.clone(), names.clone()),
        Token::Word(word) => match word.as_str() {
            "true" => Expression::Truth(true),
            "false" => Expression::Truth(false),
            // A function without arguments.
            _ => Expression::Call(word.clone(), Vec::new()),
        },
        Token::Open => {
            let (value, after) = pipeline(rest, depth + 1)?;
            return match after {
                [Token::Close, after @ ..] => Ok((value, after)),
                _ => GoError::new("a bracket is not closed"),
            };
        }
        Token::Close | Token::Pipe | Token::Comma | Token::Declare | Token::Assign => {
            return GoError::new("a sign stands where a value is needed");
        }
    };
    Ok((value, rest))
}

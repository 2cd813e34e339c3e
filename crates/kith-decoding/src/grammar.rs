//! Grammars: which tokens may come next, by llguidance.

use crate::{Kind, Tokens};
use kith_engine::{Constraint, EngineError};
use llguidance::{
    Matcher, ParserFactory,
    api::TopLevelGrammar,
    toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie},
};
use std::sync::{Arc, LazyLock};
use tokio::sync::oneshot;

/// A space, or up to two line breaks and an indentation, as llama.cpp allows (`grammars/json.gbnf`). Without a bound a small model
/// that is unlikely to end a line goes on with white space until its answer is cut.
const WHITE_SPACE: &str = r" |\n{1,2}[ \t]{0,20}";
/// The stack of a thread that compiles a grammar, in bytes; it is only mapped as far as it is used.
const STACK: usize = 256 << 20;

type Made = Result<ParserFactory, EngineError>;

/// Makes grammars for the tokens of one model.
pub struct Grammars {
    factory: LazyLock<Made, Box<dyn FnOnce() -> Made + Send + Sync>>,
}

/// The state of one answer's grammar.
pub struct Grammar {
    matcher: Matcher,
}

impl Grammars {
    /// For these tokens, of which those that end an answer may follow a complete text. What that needs is made when the first grammar is asked
    /// for; [`EngineError::Unsupported`] comes then, where no token ends an answer.
    pub fn new(tokens: Arc<Tokens>) -> Self {
        Self { factory: LazyLock::new(Box::new(move || factory(trie(&tokens)?))) }
    }

    /// For the tokens of `environment`, with `ends` as the tokens that may follow a complete text, or its own where there are none.
    ///
    /// # Errors
    /// [`EngineError::Failed`] where llguidance refuses the environment.
    pub fn of_environment(environment: &TokEnv, ends: &[u32]) -> Result<Self, EngineError> {
        let trie = environment.tok_trie();
        let made = factory(if ends.is_empty() { trie.clone() } else { trie.with_eos_tokens(ends) })?;
        Ok(Self { factory: LazyLock::new(Box::new(move || Ok(made))) })
    }

    /// The grammar of `constraint`, at its beginning; `None` if everything is allowed. It is compiled on a thread with a stack of its own: the
    /// compiler recurses as deep as the grammar nests.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] in `constraint` for what is no grammar; see [`Self::new`].
    pub async fn compile(self: &Arc<Self>, constraint: Constraint) -> Result<Option<Grammar>, EngineError> {
        if constraint == Constraint::None {
            return Ok(None);
        }
        let grammars = Arc::clone(self);
        let (sender, compiled) = oneshot::channel();
        std::thread::Builder::new()
            .name("kith-grammar".into())
            .stack_size(STACK)
            .spawn(move || {
                // Nobody waits any more if the client has gone.
                let _ = sender.send(grammars.begin(&constraint));
            })
            .map_err(|error| EngineError::Failed(format!("no thread for the grammar: {error}")))?;
        compiled
            .await
            .map_err(|_| EngineError::Invalid { field: "constraint", message: "the grammar cannot be compiled".into() })?
    }

    fn begin(&self, constraint: &Constraint) -> Result<Option<Grammar>, EngineError> {
        let grammar = match constraint {
            Constraint::None => return Ok(None),
            Constraint::JsonSchema(schema) => json(schema.clone()),
            Constraint::JsonObject => json(serde_json::json!({"type": "object"})),
            Constraint::Regex(regex) => TopLevelGrammar::from_regex(regex),
            Constraint::Lark(lark) => TopLevelGrammar::from_lark(lark.clone()),
        };
        let factory = self.factory.as_ref().map_err(Clone::clone)?;
        let parser = factory.create_parser(grammar).map_err(|error| EngineError::Invalid {
            field: "constraint",
            message: format!("the grammar is not valid: {error:#}"),
        })?;
        Ok(Some(Grammar { matcher: Matcher::new(Ok(parser)) }))
    }
}

/// The tokens as llguidance wants them.
fn trie(tokens: &Tokens) -> Result<TokTrie, EngineError> {
    let count = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
    let words: Vec<Vec<u8>> = (0..count)
        .map(|id| match tokens.kind(id) {
            // A marked name: no text of a grammar can reach it.
            Some(Kind::Control | Kind::Unused) | None => [&[TokTrie::SPECIAL_TOKEN_MARKER], tokens.bytes(id)].concat(),
            Some(_) => tokens.bytes(id).to_vec(),
        })
        .collect();
    let first = tokens.ends().first().copied().ok_or_else(|| {
        EngineError::Unsupported("the model has no token that ends an answer, so no answer can be held to a grammar".into())
    })?;
    Ok(TokTrie::from(&TokRxInfo::new(count, first), &words).with_eos_tokens(tokens.ends()))
}

fn factory(trie: TokTrie) -> Made {
    let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
    let mut factory =
        ParserFactory::new_simple(&environment).map_err(|error| EngineError::Failed(format!("grammars: {error}")))?;
    factory.quiet();
    Ok(factory)
}

/// The grammar of a schema, with a bound on the white space between the parts of a document.
fn json(mut schema: serde_json::Value) -> TopLevelGrammar {
    if let Some(schema) = schema.as_object_mut() {
        // llguidance takes its options from here, also those of a client.
        schema.insert("x-guidance".to_owned(), serde_json::json!({ "whitespace_pattern": WHITE_SPACE }));
    }
    TopLevelGrammar::from_json_schema(schema)
}

impl Grammar {
    /// Sets the logits of all tokens that may not come next to minus infinity.
    pub fn mask(&mut self, logits: &mut [f32]) -> Result<(), EngineError> {
        let allowed = self.matcher.compute_mask_or_eos().map_err(broken)?;
        let mut masked = vec![f32::NEG_INFINITY; logits.len()];
        allowed.iter_set_entries(|id| {
            if let (Some(to), Some(from)) = (masked.get_mut(id), logits.get(id)) {
                *to = *from;
            }
        });
        logits.copy_from_slice(&masked);
        Ok(())
    }

    /// Takes the token that came. Answers whether the text is complete, so that nothing may follow.
    pub fn advance(&mut self, id: u32) -> Result<bool, EngineError> {
        self.matcher.consume_token(id).map_err(broken)?;
        Ok(self.matcher.is_stopped())
    }
}

/// The compiler's words hold its whole state; the first line is for the log.
fn broken(error: impl std::fmt::Display) -> EngineError {
    tracing::debug!(error = error.to_string().lines().next(), "a grammar stopped working");
    EngineError::Invalid {
        field: "constraint",
        message: "the schema or grammar is too complex, or allows no continuation".into(),
    }
}

#[cfg(test)]
mod tests;

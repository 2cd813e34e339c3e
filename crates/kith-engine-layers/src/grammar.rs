//! Grammars: which tokens may come next, by llguidance.

use crate::vocabulary::{Kind, Vocabulary};
use kith_engine::{Constraint, EngineError};
use llguidance::{
    Matcher, ParserFactory,
    api::TopLevelGrammar,
    toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie},
};
use std::sync::{Arc, OnceLock};

/// A space, or up to two line breaks and an indentation, as llama.cpp allows (`grammars/json.gbnf`). Without a bound a small model
/// that is unlikely to end a line goes on with white space until its answer is cut.
const WHITE_SPACE: &str = r" |\n{1,2}[ \t]{0,20}";

/// Makes grammars for one vocabulary. What they need is made when the first is asked for.
pub(crate) struct Grammars {
    vocabulary: Arc<Vocabulary>,
    factory: OnceLock<Result<ParserFactory, EngineError>>,
}

/// The state of one answer's grammar.
pub(crate) struct Grammar {
    matcher: Matcher,
}

impl Grammars {
    /// For the tokens of a vocabulary, of which those that end an answer may follow a complete text.
    pub(crate) fn new(vocabulary: Arc<Vocabulary>) -> Self {
        Self { vocabulary, factory: OnceLock::new() }
    }

    /// The grammar of `constraint`, at its beginning; `None` if everything is allowed. Recurses as deep as the grammar nests.
    pub(crate) fn begin(&self, constraint: &Constraint) -> Result<Option<Grammar>, EngineError> {
        let grammar = match constraint {
            Constraint::None => return Ok(None),
            Constraint::JsonSchema(schema) => json(schema.clone()),
            Constraint::JsonObject => json(serde_json::json!({"type": "object"})),
            Constraint::Regex(regex) => TopLevelGrammar::from_regex(regex),
            Constraint::Lark(lark) => TopLevelGrammar::from_lark(lark.clone()),
        };
        let factory = self.factory.get_or_init(|| factory(&self.vocabulary)).as_ref().map_err(Clone::clone)?;
        let parser = factory.create_parser(grammar).map_err(|error| EngineError::Invalid {
            field: "constraint",
            message: format!("the grammar is not valid: {error:#}"),
        })?;
        Ok(Some(Grammar { matcher: Matcher::new(Ok(parser)) }))
    }
}

fn factory(vocabulary: &Vocabulary) -> Result<ParserFactory, EngineError> {
    let count = u32::try_from(vocabulary.len()).unwrap_or(u32::MAX);
    let words: Vec<Vec<u8>> = (0..count)
        .map(|id| match vocabulary.kind(id) {
            // A marked name: no text of a grammar can reach it.
            Some(Kind::Control | Kind::Unused) | None => [&[TokTrie::SPECIAL_TOKEN_MARKER], vocabulary.bytes(id)].concat(),
            Some(_) => vocabulary.bytes(id).to_vec(),
        })
        .collect();
    let first = vocabulary.ends().first().copied().ok_or_else(|| {
        EngineError::Unsupported("the model has no token that ends an answer, so no answer can be held to a grammar".into())
    })?;
    let trie = TokTrie::from(&TokRxInfo::new(count, first), &words).with_eos_tokens(vocabulary.ends());
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
    pub(crate) fn mask(&mut self, logits: &mut [f32]) -> Result<(), EngineError> {
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
    pub(crate) fn advance(&mut self, id: u32) -> Result<bool, EngineError> {
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

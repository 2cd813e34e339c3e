//! Grammars: which tokens may come next, by llguidance.

use kith_engine::{Constraint, EngineError};
use mistralrs_core::llguidance::{
    Matcher, ParserFactory,
    api::TopLevelGrammar,
    toktrie::{ApproximateTokEnv, TokEnv},
};
use std::sync::Arc;

/// A space, or up to two line breaks and an indentation, as llama.cpp allows (`grammars/json.gbnf`). Without a bound a small model
/// that is unlikely to end a line goes on with white space until its answer is cut.
const WHITE_SPACE: &str = r" |\n{1,2}[ \t]{0,20}";

/// Makes grammars for one vocabulary.
pub(crate) struct Grammars {
    factory: ParserFactory,
}

/// The state of one answer's grammar.
pub(crate) struct Grammar {
    matcher: Matcher,
}

impl Grammars {
    /// For the tokens of `environment`, with `ends` as the tokens that may follow a complete text.
    pub(crate) fn new(environment: &TokEnv, ends: &[u32]) -> Result<Self, EngineError> {
        let trie = environment.tok_trie();
        let trie = if ends.is_empty() { trie.clone() } else { trie.with_eos_tokens(ends) };
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory =
            ParserFactory::new_simple(&environment).map_err(|error| EngineError::Failed(format!("grammars: {error}")))?;
        factory.quiet();
        Ok(Self { factory })
    }

    /// The grammar of `constraint`, at its beginning; `None` if everything is allowed.
    pub(crate) fn begin(&self, constraint: &Constraint) -> Result<Option<Grammar>, EngineError> {
        let grammar = match constraint {
            Constraint::None => return Ok(None),
            Constraint::JsonSchema(schema) => json(schema.clone()),
            Constraint::JsonObject => json(serde_json::json!({"type": "object"})),
            Constraint::Regex(regex) => TopLevelGrammar::from_regex(regex),
            Constraint::Lark(lark) => TopLevelGrammar::from_lark(lark.clone()),
        };
        let parser = self.factory.create_parser(grammar).map_err(|error| EngineError::Invalid {
            field: "constraint",
            message: format!("the grammar is not valid: {error:#}"),
        })?;
        Ok(Some(Grammar { matcher: Matcher::new(Ok(parser)) }))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens are the 256 bytes and six special ones; the last ends an answer.
    fn grammars() -> Grammars {
        Grammars::new(&ApproximateTokEnv::single_byte_env(), &[261]).unwrap()
    }

    fn allowed(grammar: &mut Grammar) -> Vec<u32> {
        let mut logits = vec![0.0; 262];
        grammar.mask(&mut logits).unwrap();
        (0u32..).zip(&logits).filter(|(_, logit)| **logit == 0.0).map(|(id, _)| id).collect()
    }

    #[test]
    fn a_regex_allows_its_letters_and_then_the_end() {
        let mut grammar = grammars().begin(&Constraint::Regex("a[bc]".into())).unwrap().unwrap();
        assert_eq!(allowed(&mut grammar), [u32::from(b'a')]);
        assert!(!grammar.advance(u32::from(b'a')).unwrap());
        assert_eq!(allowed(&mut grammar), [u32::from(b'b'), u32::from(b'c')]);
        assert!(grammar.advance(u32::from(b'c')).unwrap() || allowed(&mut grammar) == [261]);
    }

    #[test]
    fn white_space_in_json_has_an_end_whatever_the_schema_asks_for() {
        let schema =
            serde_json::json!({"type": "array", "items": {"type": "boolean"}, "x-guidance": {"whitespace_flexible": true}});
        let mut grammar = grammars().begin(&Constraint::JsonSchema(schema)).unwrap().unwrap();
        grammar.advance(u32::from(b'[')).unwrap();
        for _ in 0..2 {
            assert!(allowed(&mut grammar).contains(&u32::from(b'\n')));
            grammar.advance(u32::from(b'\n')).unwrap();
        }
        assert!(!allowed(&mut grammar).contains(&u32::from(b'\n')), "a third line break");
        assert!(allowed(&mut grammar).contains(&u32::from(b't')));
    }

    #[test]
    fn what_the_grammar_forbids_stays_forbidden_however_likely() {
        let mut grammar = grammars().begin(&Constraint::Regex("x+".into())).unwrap().unwrap();
        let mut logits = vec![0.0; 300];
        logits[b'y' as usize] = 1e9;
        grammar.mask(&mut logits).unwrap();
        assert_eq!(logits[b'y' as usize], f32::NEG_INFINITY);
        assert_eq!(logits[299], f32::NEG_INFINITY);
        assert_eq!(logits[b'x' as usize], 0.0);
    }

    #[test]
    fn a_grammar_that_is_none_is_refused_as_the_constraint() {
        for bad in [
            Constraint::Regex("(".into()),
            Constraint::Lark("start: missing".into()),
            Constraint::JsonSchema(serde_json::json!({"type": "no such type"})),
        ] {
            assert!(matches!(grammars().begin(&bad), Err(EngineError::Invalid { field: "constraint", .. })), "{bad:?}");
        }
        assert!(grammars().begin(&Constraint::None).unwrap().is_none());
    }
}

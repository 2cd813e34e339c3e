//! What `grammar` promises, sentence by sentence.

use super::*;

/// Tokens are the 256 bytes and six special ones; the last ends an answer.
fn grammars() -> Grammars {
    Grammars::of_environment(&ApproximateTokEnv::single_byte_env(), &[261]).unwrap()
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
    let schema = serde_json::json!({"type": "array", "items": {"type": "boolean"}, "x-guidance": {"whitespace_flexible": true}});
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

/// The letters `a` and `b`, a name that a grammar must not spell, and the end.
fn tokens(ends: &[u32]) -> Arc<Tokens> {
    let kinds = vec![Kind::Normal, Kind::Normal, Kind::Control, Kind::Control];
    Arc::new(Tokens::new(&["a", "b", "b", "<end>"], kinds, crate::Spelling::Letters, ends.iter().copied()))
}

#[tokio::test]
async fn of_a_vocabulary_only_its_text_is_spelt_with_and_its_end_follows() {
    let grammars = Arc::new(Grammars::new(tokens(&[3])));
    let mut grammar = grammars.compile(Constraint::Regex("[ab]b".into())).await.unwrap().unwrap();
    let allowed = |grammar: &mut Grammar| {
        let mut logits = [0.0; 4];
        grammar.mask(&mut logits).unwrap();
        logits.map(|logit| logit == 0.0)
    };
    assert_eq!(allowed(&mut grammar), [true, true, false, false]);
    grammar.advance(0).unwrap();
    assert_eq!(allowed(&mut grammar), [false, true, false, false]);
    assert!(grammar.advance(1).unwrap() || allowed(&mut grammar) == [false, false, false, true]);
}

#[tokio::test]
async fn without_a_token_that_ends_an_answer_only_free_answers_are_written() {
    let grammars = Arc::new(Grammars::new(tokens(&[])));
    assert!(grammars.compile(Constraint::None).await.unwrap().is_none());
    for _ in 0..2 {
        let refused = grammars.compile(Constraint::JsonObject).await.err();
        assert!(matches!(refused, Some(EngineError::Unsupported(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_grammar_that_nests_deeply_is_compiled_or_refused_but_ends_nothing() {
    let depth = 2_000;
    let regex = format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    let compiled = Arc::new(Grammars::new(tokens(&[3]))).compile(Constraint::Regex(regex)).await;
    assert!(matches!(compiled, Ok(Some(_)) | Err(EngineError::Invalid { field: "constraint", .. })));
}

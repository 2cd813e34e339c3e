//! What `vocabulary` promises, sentence by sentence.

use super::*;
use kith_decoding::byte_letters;

/// The 256 bytes, then two words, two control tokens and a user-defined one.
fn byte_pairs() -> TokenizerFields {
    let mut tokens: Vec<String> = byte_letters().iter().map(char::to_string).collect();
    let mut kinds = vec![1; 256];
    for (token, kind) in [("hi", 1), ("Ġhi", 1), ("<|im_start|>", 3), ("<|im_end|>", 3), ("<tool>", 4), ("<|spare|>", 3)] {
        tokens.push(token.into());
        kinds.push(kind);
    }
    TokenizerFields {
        model: "gpt2".into(),
        pre: Some("smollm".into()),
        tokens,
        kinds,
        merges: vec!["h i".into(), "Ġ hi".into()],
        bos: Some(258),
        ends: vec![259],
        ..TokenizerFields::default()
    }
}

fn sentencepieces() -> TokenizerFields {
    let mut tokens = vec!["<unk>".to_owned(), "<s>".into(), "</s>".into()];
    let mut kinds = vec![2, 3, 3];
    let mut scores = vec![0.0; 3];
    for byte in 0..=255u8 {
        tokens.push(format!("<0x{byte:02X}>"));
        kinds.push(6);
        scores.push(0.0);
    }
    for (token, score) in
        [("\u{2581}", -10.0), ("a", -11.0), ("b", -12.0), ("ab", -1.0), ("\u{2581}ab", -2.0), ("\u{2581}a", -0.5)]
    {
        tokens.push(token.into());
        kinds.push(1);
        scores.push(score);
    }
    TokenizerFields {
        model: "llama".into(),
        tokens,
        kinds,
        scores,
        bos: Some(1),
        unknown: Some(0),
        ends: vec![2],
        ..TokenizerFields::default()
    }
}

#[test]
fn byte_pairs_are_merged_and_special_tokens_read_as_such() {
    let vocabulary = Vocabulary::new(&byte_pairs()).unwrap();
    assert_eq!(vocabulary.ids("<|im_start|>hi hi<|im_end|>", false).unwrap(), [258, 256, 257, 259]);
    assert_eq!(vocabulary.ids("<tool>hi", false).unwrap(), [260, 256]);
}

#[test]
fn bytes_of_every_character_come_back() {
    let vocabulary = Vocabulary::new(&byte_pairs()).unwrap();
    let text = "hi ü 漢字 😀\n\t<|im_start|>42";
    assert_eq!(vocabulary.text(&vocabulary.ids(text, false).unwrap()), text);
}

#[test]
fn bos_is_added_only_where_the_file_or_its_kind_says_so() {
    let with = |add_bos| Vocabulary::new(&TokenizerFields { add_bos, ..byte_pairs() }).unwrap().ids("hi", true).unwrap();
    assert_eq!(with(Some(true)), [258, 256]);
    assert_eq!(with(Some(false)), [256]);
    assert_eq!(with(None), [256]);
    assert_eq!(Vocabulary::new(&sentencepieces()).unwrap().ids("ab", true).unwrap()[0], 1);
}

#[test]
fn sentencepiece_merges_the_likeliest_pair_first() {
    let vocabulary = Vocabulary::new(&sentencepieces()).unwrap();
    // "▁a" is likelier than "ab", and then "▁a" and "b" make a token too.
    assert_eq!(vocabulary.ids("ab", false).unwrap(), [263]);
    assert_eq!(vocabulary.ids("aab", false).unwrap(), [264, 262]);
    assert_eq!(vocabulary.ids("bab", false).unwrap(), [259, 261, 262]);
    assert_eq!(vocabulary.text(&vocabulary.ids("aab bab", false).unwrap()), "aab bab");
}

#[test]
fn sentencepiece_writes_unknown_characters_byte_by_byte() {
    let vocabulary = Vocabulary::new(&sentencepieces()).unwrap();
    let ids = vocabulary.ids("aé", false).unwrap();
    assert_eq!(ids, [264, 3 + 0xc3, 3 + 0xa9]);
    assert_eq!(vocabulary.text(&ids), "aé");
}

#[test]
fn the_tokens_that_end_an_answer_come_from_the_file_and_from_known_names() {
    let vocabulary = Vocabulary::new(&TokenizerFields { ends: vec![261, 70_000], ..byte_pairs() }).unwrap();
    assert_eq!(vocabulary.tokens().ends(), [259, 261]);
    assert_eq!(vocabulary.oddities().collect::<Vec<_>>(), Vec::<u32>::new());
    let vocabulary = Vocabulary::new(&byte_pairs()).unwrap();
    assert_eq!(vocabulary.oddities().collect::<Vec<_>>(), [261]);
}

#[test]
fn a_vocabulary_that_is_not_understood_is_refused() {
    let strange = TokenizerFields { model: "bert".into(), ..byte_pairs() };
    assert!(matches!(Vocabulary::new(&strange), Err(EngineError::UnsupportedModel(_))));
    assert!(matches!(Vocabulary::new(&TokenizerFields::default()), Err(EngineError::UnsupportedModel(_))));
}

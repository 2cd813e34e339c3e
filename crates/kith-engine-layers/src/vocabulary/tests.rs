//! What `vocabulary` promises, sentence by sentence.

use super::*;
use kith_decoding::byte_letters;
use proptest::prelude::*;

/// The 256 bytes, then two words, two control tokens and a user-defined one.
fn byte_pairs() -> TokenizerFields<'static> {
    let mut tokens: Vec<Cow<'_, str>> = byte_letters().iter().map(|letter| letter.to_string().into()).collect();
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

fn sentencepieces() -> TokenizerFields<'static> {
    let mut tokens: Vec<Cow<'_, str>> = vec!["<unk>".into(), "<s>".into(), "</s>".into()];
    let mut kinds = vec![2, 3, 3];
    let mut scores = vec![0.0; 3];
    for byte in 0..=255u8 {
        tokens.push(format!("<0x{byte:02X}>").into());
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
    assert_eq!(vocabulary.ids("<|im_start|>hi hi<|im_end|>", false), [258, 256, 257, 259]);
    assert_eq!(vocabulary.ids("<tool>hi", false), [260, 256]);
    assert_eq!(vocabulary.ids("", true), [] as [u32; 0]);
}

#[test]
fn bos_is_added_only_where_the_file_or_its_kind_says_so() {
    let with = |add_bos| Vocabulary::new(&TokenizerFields { add_bos, ..byte_pairs() }).unwrap().ids("hi", true);
    assert_eq!(with(Some(true)), [258, 256]);
    assert_eq!(with(Some(false)), [256]);
    assert_eq!(with(None), [256]);
    assert_eq!(Vocabulary::new(&sentencepieces()).unwrap().ids("ab", true)[0], 1);
}

#[test]
fn sentencepiece_merges_the_likeliest_pair_first() {
    let vocabulary = Vocabulary::new(&sentencepieces()).unwrap();
    // "▁a" is likelier than "ab", and then "▁a" and "b" make a token too.
    assert_eq!(vocabulary.ids("ab", false), [263]);
    assert_eq!(vocabulary.ids("aab", false), [264, 262]);
    assert_eq!(vocabulary.ids("bab", false), [259, 261, 262]);
    assert_eq!(vocabulary.text(&vocabulary.ids("aab bab", false)), "aab bab");
}

#[test]
fn sentencepiece_writes_unknown_characters_byte_by_byte() {
    let vocabulary = Vocabulary::new(&sentencepieces()).unwrap();
    let ids = vocabulary.ids("aé", false);
    assert_eq!(ids, [264, 3 + 0xc3, 3 + 0xa9]);
    assert_eq!(vocabulary.text(&ids), "aé");
}

#[test]
fn the_tokens_that_end_an_answer_come_from_the_file_and_from_known_names() {
    let vocabulary = Vocabulary::new(&TokenizerFields { ends: vec![261, 70_000], ..byte_pairs() }).unwrap();
    assert_eq!(vocabulary.tokens().ends(), [259, 261]);
    assert_eq!(Vocabulary::new(&byte_pairs()).unwrap().tokens().ends(), [259]);
}

#[test]
fn a_vocabulary_that_is_not_understood_is_refused() {
    for strange in [
        TokenizerFields { model: "bert".into(), ..byte_pairs() },
        TokenizerFields { pre: Some("unheard of".into()), ..byte_pairs() },
        TokenizerFields { merges: vec!["ab".into()], ..byte_pairs() },
        TokenizerFields::default(),
    ] {
        assert!(matches!(Vocabulary::new(&strange), Err(EngineError::UnsupportedModel(_))));
    }
}

#[test]
fn of_white_space_before_a_word_the_last_character_goes_with_the_word() {
    let pieces = |name: &str, text: &str| {
        let mut pieces = Vec::new();
        Pretokenizer::named(name).unwrap().unwrap().cut(text, &mut |piece| pieces.push(piece.to_owned()));
        pieces
    };
    assert_eq!(pieces("gpt-2", "a   b"), ["a", "  ", " b"]);
    assert_eq!(pieces("gpt-2", "a \n\nb"), ["a", " \n", "\n", "b"]);
    assert_eq!(pieces("gpt-2", "a  "), ["a", "  "]);
    assert_eq!(pieces("llama3", "a \n\n b"), ["a", " \n\n", " b"]);
    assert_eq!(pieces("llama3", "a   1234"), ["a", "  ", " ", "123", "4"]);
    assert_eq!(pieces("qwen2", "it's 12"), ["it", "'s", " ", "1", "2"]);
    assert_eq!(pieces("smollm", "x  42"), ["x", "  ", "4", "2"]);
}

#[test]
fn long_text_without_a_break_is_cut_in_reasonable_time() {
    let vocabulary = Vocabulary::new(&byte_pairs()).unwrap();
    assert_eq!(vocabulary.ids(&"hi".repeat(200_000), false).len(), 200_000);
}

proptest! {
    #[test]
    fn text_comes_back_as_it_was(text in ".{0,60}") {
        for fields in [byte_pairs(), TokenizerFields { pre: Some("llama3".into()), ..byte_pairs() }, sentencepieces()] {
            // SentencePiece has one letter for a space and for its mark.
            let text = text.replace(SPACE_MARK, "");
            let vocabulary = Vocabulary::new(&fields).unwrap();
            prop_assert_eq!(vocabulary.text(&vocabulary.ids(&text, false)), text);
        }
    }
}

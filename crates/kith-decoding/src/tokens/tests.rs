//! What `tokens` promises, sentence by sentence.

use super::*;

const SPELT: [(&str, Kind); 7] = [
    ("hi", Kind::Normal),
    ("Ġhi", Kind::Normal),
    ("<|im_start|>", Kind::Control),
    ("<|im_end|>", Kind::Control),
    ("<tool>", Kind::UserDefined),
    ("Ġ漢", Kind::Normal),
    ("<0x0A>", Kind::Byte),
];

fn tokens(ends: &[u32]) -> Tokens {
    Tokens::new(&SPELT.map(|(token, _)| token), SPELT.map(|(_, kind)| kind).to_vec(), Spelling::Letters, ends.iter().copied())
}

#[test]
fn control_tokens_are_not_shown_but_user_defined_ones_are() {
    let tokens = tokens(&[]);
    assert_eq!((tokens.shown(3), tokens.bytes(3)), (&b""[..], &b"<|im_end|>"[..]));
    assert_eq!((tokens.shown(4), tokens.shown(1)), (&b"<tool>"[..], &b" hi"[..]));
    assert_eq!((tokens.shown(9999), tokens.bytes(9999), tokens.kind(9999)), (&b""[..], &b""[..], None));
}

#[test]
fn a_token_that_is_not_spelt_in_the_alphabet_stands_for_itself() {
    assert_eq!(tokens(&[]).bytes(5), "Ġ漢".as_bytes());
}

#[test]
fn marked_spaces_and_named_bytes_are_what_they_stand_for() {
    let kinds = vec![Kind::Normal, Kind::Byte, Kind::Byte, Kind::Control];
    let tokens = Tokens::new(&["\u{2581}a\u{2581}", "<0xE9>", "<0xZZ>", "\u{2581}"], kinds, Spelling::Marked, []);
    assert_eq!(tokens.each().collect::<Vec<_>>(), [&b" a "[..], b"\xe9", b"<0xZZ>", "\u{2581}".as_bytes()]);
    assert_eq!(tokens.text(&[0, 0], true), "a  a ");
    assert_eq!(tokens.text(&[0, 0], false), " a  a ");
    assert_eq!(tokens.text(&[1], false), "\u{fffd}");
}

#[test]
fn every_letter_of_the_alphabet_is_its_byte() {
    let letters = byte_letters().map(String::from);
    let tokens = Tokens::new(&letters, vec![Kind::Normal; 256], Spelling::Letters, []);
    assert!(tokens.each().enumerate().all(|(byte, bytes)| bytes == [byte as u8]));
}

#[test]
fn the_tokens_that_end_an_answer_come_from_the_file_and_from_known_names() {
    assert_eq!(tokens(&[4, 70_000]).ends(), [3, 4]);
    let mut tokens = tokens(&[]);
    assert_eq!(tokens.ends(), [3]);
    tokens.add_ends([3, 0, 7]);
    assert_eq!(tokens.ends(), [0, 3]);
}

#[test]
fn ids_beyond_the_last_token_are_refused() {
    assert_eq!(tokens(&[]).must_know(&[0, 6]), Ok(()));
    let refused = tokens(&[]).must_know(&[0, 7]);
    let message = "token 7 is none of the model's 7 tokens".to_owned();
    assert_eq!(refused, Err(EngineError::Invalid { field: "input", message }));
}

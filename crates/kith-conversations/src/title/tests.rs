//! What titles promise.

use super::*;
use proptest::prelude::*;

#[test]
fn a_short_first_line_is_the_title_as_it_is() {
    assert_eq!(automatic("  How do\ttides   work?  \nTell me all.").as_deref(), Some("How do tides work?"));
    assert_eq!(automatic("\n \n\u{b}\nsecond").as_deref(), Some("second"));
    assert_eq!(automatic(" \n\t\n"), None);
}

#[test]
fn a_long_one_ends_with_a_whole_word() {
    let text = "Explain to me, as if I were five years old, how the tides of the sea come about";
    assert_eq!(automatic(text).as_deref(), Some("Explain to me, as if I were five years old, how the tides…"));
    let sixty = "x".repeat(29) + " " + &"y".repeat(30);
    assert_eq!(automatic(&sixty), Some(sixty));
}

#[test]
fn one_long_word_is_cut_where_it_must_be() {
    let title = automatic(&"猫".repeat(100)).unwrap();
    assert_eq!((title.chars().count(), title.ends_with('…')), (AUTOMATIC_TITLE_CHARS, true));
    let title = automatic(&format!("a {}", "b".repeat(100))).unwrap();
    assert_eq!(title.chars().count(), AUTOMATIC_TITLE_CHARS);
}

#[test]
fn a_title_that_is_given_has_bounds() {
    assert_eq!(given("  two\n words ").unwrap(), "two words");
    assert_eq!(given(&"é".repeat(MAX_TITLE_CHARS)).unwrap().chars().count(), MAX_TITLE_CHARS);
    for text in
        ["", " \n ", "\u{0}", &"é".repeat(MAX_TITLE_CHARS + 1), &" ".repeat(10_000), &("a".to_owned() + &" ".repeat(10_000))]
    {
        assert!(matches!(given(text), Err(ConversationsError::Invalid { field, .. }) if field == "title"), "{text}");
    }
}

proptest! {
    #[test]
    fn an_automatic_title_is_one_short_line_that_begins_as_the_text_does(text in "(\\PC|[ \n\t\u{0}]){0,300}") {
        if let Some(title) = automatic(&text) {
            prop_assert!(!title.is_empty() && title.chars().count() <= AUTOMATIC_TITLE_CHARS);
            prop_assert!(!title.chars().any(char::is_control));
            prop_assert_eq!(given(&title).unwrap(), title.clone());
            let plain = spaced(text.chars());
            prop_assert!(plain.starts_with(title.trim_end_matches('…')));
        } else {
            prop_assert!(spaced(text.chars()).is_empty());
        }
    }
}

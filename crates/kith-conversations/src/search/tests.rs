//! What search promises.

use super::*;
use proptest::prelude::*;

fn words(query: &str) -> (Option<String>, Vec<String>) {
    sought(query).unwrap().map_or((None, Vec::new()), |sought| (sought.words, sought.letters))
}

#[test]
fn words_go_to_the_index_and_the_rest_is_sought_letter_by_letter() {
    assert_eq!(words("  hello   wor "), (Some("\"hello\"* \"wor\"*".into()), vec![]));
    assert_eq!(words("NEAR(a b) OR \"x\" -y*"), (Some("\"NEAR(a\"* \"b)\"* \"OR\"* \"\"\"x\"\"\"* \"-y*\"*".into()), vec![]));
    assert_eq!(
        words("cat 猫が 100% --- ไทย"),
        (Some("\"cat\"* \"100%\"*".into()), vec!["猫が".into(), "---".into(), "ไทย".into()])
    );
    assert_eq!(sought(" \n\t\u{0} ").unwrap(), None);
    assert_eq!(sought("").unwrap(), None);
}

#[test]
fn a_query_has_bounds() {
    assert!(sought(&"é".repeat(MAX_QUERY_CHARS)).is_ok());
    assert!(sought(&"é".repeat(MAX_QUERY_CHARS + 1)).is_err());
    assert!(sought(&"a ".repeat(MAX_TERMS)).is_ok());
    assert!(sought(&"a ".repeat(MAX_TERMS + 1)).is_err());
}

#[test]
fn a_snippet_is_one_short_line() {
    assert_eq!(one_line("…two\n\n lines\t"), "…two lines");
    let line = one_line(&"x".repeat(10_000));
    assert_eq!((line.chars().count(), line.ends_with('…')), (MAX_SNIPPET_CHARS + 1, true));
}

proptest! {
    #[test]
    fn quotes_in_the_index_query_are_always_paired(query in "\\PC{0,60}") {
        if let Ok(Some(sought)) = sought(&query) {
            let words = sought.words.unwrap_or_default();
            prop_assert_eq!(words.matches('"').count() % 2, 0);
            prop_assert!(!words.contains(char::is_control));
        }
    }
}

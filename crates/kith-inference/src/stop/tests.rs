//! What `stop` promises, sentence by sentence.

use super::{Pushed, StopMatcher};
use proptest::prelude::*;

fn stops(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// The whole stream through one matcher: the text given out, and the hit.
fn run(stops: Vec<String>, pieces: &[String]) -> (String, Option<String>) {
    let longest = stops.iter().map(String::len).max().unwrap_or(0);
    let mut matcher = StopMatcher::new(stops);
    let mut text = String::new();
    for piece in pieces {
        let pushed = matcher.push(piece);
        text.push_str(&pushed.text);
        if pushed.hit.is_some() {
            return (text, pushed.hit);
        }
        assert!(matcher.held.len() < longest.max(1), "holds back less than the longest stop text");
    }
    let last = matcher.finish();
    text.push_str(&last.text);
    (text, last.hit)
}

/// The rule itself, on the whole text.
fn naive(stops: &[String], whole: &str) -> (String, Option<String>) {
    let first = stops
        .iter()
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| whole.find(stop.as_str()).map(|start| (start, stop.len(), stop)))
        .min_by_key(|&(start, length, _)| (start, length));
    match first {
        Some((start, _, stop)) => (whole[..start].to_owned(), Some(stop.clone())),
        None => (whole.to_owned(), None),
    }
}

/// Cuts `text` before some of its characters.
fn cut(text: &str, cuts: &[bool]) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for (index, character) in text.chars().enumerate() {
        if cuts.get(index).copied().unwrap_or(false) {
            pieces.push(String::new());
        }
        if let Some(last) = pieces.last_mut() {
            last.push(character);
        }
    }
    pieces
}

#[test]
fn a_stop_text_split_over_pieces_is_found_and_dropped_with_all_that_follows() {
    let mut matcher = StopMatcher::new(stops(&["\nUser:"]));
    assert_eq!(matcher.push("Hi\nUs"), Pushed { text: "Hi".into(), hit: None });
    assert_eq!(matcher.push("er: more"), Pushed { text: String::new(), hit: Some("\nUser:".into()) });
    assert_eq!(matcher.push("more"), Pushed::default());
    assert_eq!(matcher.finish(), Pushed::default());
}

#[test]
fn what_only_looked_like_a_stop_text_is_given_out() {
    let mut matcher = StopMatcher::new(stops(&["</s>"]));
    assert_eq!(matcher.push("a </").text, "a ");
    assert_eq!(matcher.push("b>").text, "</b>");
    assert_eq!(matcher.push("</").text, "");
    assert_eq!(matcher.finish(), Pushed { text: "</".into(), hit: None });
}

#[test]
fn the_earliest_beginning_wins_and_then_the_shortest() {
    assert_eq!(run(stops(&["bc", "abcd"]), &["xabcd".into()]), ("x".into(), Some("abcd".into())));
    assert_eq!(run(stops(&["abc", "ab"]), &["xab".into()]), ("x".into(), Some("ab".into())));
    // `bc` is whole, but `abcd` began before it; only the end of the stream decides.
    assert_eq!(run(stops(&["bc", "abcd"]), &["xabc".into()]), ("xa".into(), Some("bc".into())));
}

#[test]
fn empty_stop_texts_and_none_at_all_change_nothing() {
    assert_eq!(run(stops(&[""]), &["text".into()]), ("text".into(), None));
    assert_eq!(run(Vec::new(), &["te".into(), "xt".into()]), ("text".into(), None));
}

#[test]
fn characters_of_several_bytes_are_never_cut() {
    assert_eq!(run(stops(&["éü"]), &["aé".into(), "é".into(), "ü!".into()]), ("aé".into(), Some("éü".into())));
}

proptest! {
    #[test]
    fn any_chunking_finds_what_a_search_of_the_whole_text_finds(
        whole in "[abé]{0,40}",
        stops in prop::collection::vec("[abé]{0,5}", 0..5),
        cuts in prop::collection::vec(any::<bool>(), 0..40),
    ) {
        prop_assert_eq!(run(stops.clone(), &cut(&whole, &cuts)), naive(&stops, &whole));
    }
}

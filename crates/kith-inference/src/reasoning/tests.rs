//! What `reasoning` promises, sentence by sentence.

use super::{MAX_HELD, ReasoningParser, Separated, opened_by};
use proptest::prelude::*;

fn run(opened: bool, pieces: &[&str]) -> Separated {
    let mut parser = ReasoningParser::new(opened);
    let mut whole = Separated::default();
    for piece in pieces {
        let out = parser.push(piece);
        assert!(whole.answer.is_empty() || out.reasoning.is_empty(), "no reasoning after the answer began");
        assert!(parser.held.len() <= MAX_HELD + "</think>".len() + piece.len());
        whole.reasoning.push_str(&out.reasoning);
        whole.answer.push_str(&out.answer);
    }
    let out = parser.finish();
    whole.reasoning.push_str(&out.reasoning);
    whole.answer.push_str(&out.answer);
    whole
}

fn separated(reasoning: &str, answer: &str) -> Separated {
    Separated { reasoning: reasoning.into(), answer: answer.into() }
}

#[test]
fn reasoning_is_separated_and_its_edges_are_trimmed() {
    assert_eq!(run(false, &["\n<think>\nTwo and two.\n</think>\n\nFour.\n"]), separated("Two and two.", "Four.\n"));
    assert_eq!(run(false, &["<th", "ink>", "Hm", "m </thi", "nk> ", " Yes"]), separated("Hmm", "Yes"));
}

#[test]
fn a_prompt_that_opened_the_reasoning_needs_no_opening_tag_in_the_answer() {
    assert!(opened_by("<|im_start|>assistant\n<think>\n"));
    assert!(!opened_by("<think>\n\n</think>\n\n"));
    assert_eq!(run(true, &["Hmm.</think>Yes"]), separated("Hmm.", "Yes"));
    assert_eq!(run(true, &["<think>\nHmm.</think>Yes"]), separated("Hmm.", "Yes"));
    assert_eq!(run(true, &["</think>Yes"]), separated("", "Yes"));
}

#[test]
fn an_answer_without_reasoning_passes_unchanged() {
    assert_eq!(run(false, &[" \n Use ", "<think> tags</think>."]), separated("", " \n Use <think> tags</think>."));
    assert_eq!(run(false, &["<thin"]), separated("", "<thin"));
    assert_eq!(run(false, &["\n"]), separated("", "\n"));
}

#[test]
fn reasoning_that_is_cut_off_is_given_out_whole() {
    assert_eq!(run(false, &["<think>a </b", " </thin"]), separated("a </b </thin", ""));
    assert_eq!(run(true, &["never ", "closed "]), separated("never closed", ""));
}

#[test]
fn whitespace_beyond_the_bound_is_not_held_back() {
    let long = " ".repeat(5 * MAX_HELD);
    let whole = format!("<think>a{long}</think>b");
    let pieces: Vec<&str> = whole.as_bytes().chunks(7).map(|chunk| std::str::from_utf8(chunk).unwrap()).collect();
    assert_eq!(run(false, &pieces), run(false, &[&whole]));
    assert_eq!(run(false, &pieces).reasoning.len(), 1 + 4 * MAX_HELD);
    assert_eq!(run(false, &[&long]), separated("", &long));
}

proptest! {
    #[test]
    fn chunking_never_changes_the_outcome(
        parts in prop::collection::vec(prop::sample::select(vec!["<think>", "</think>", "<", "</th", "a", "é", " ", "\n", "ink>"]), 0..20),
        cuts in prop::collection::vec(1_usize..9, 0..60),
        opened in any::<bool>(),
    ) {
        let whole = parts.concat();
        let mut pieces = Vec::new();
        let mut rest = whole.as_str();
        for length in cuts {
            let at = rest.char_indices().nth(length).map_or(rest.len(), |(at, _)| at);
            let (piece, after) = rest.split_at(at);
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        prop_assert_eq!(run(opened, &pieces), run(opened, &[&whole]));
    }
}

//! What `answer` promises, sentence by sentence.

use super::*;
use crate::{Kind, Spelling};

/// The letters `a`, `b` and `c`, and the end.
fn tokens() -> Arc<Tokens> {
    let kinds = vec![Kind::Normal, Kind::Normal, Kind::Normal, Kind::Control];
    Arc::new(Tokens::new(&["a", "b", "c", "<end>"], kinds, Spelling::Letters, [3]))
}

fn beginning(room: u32) -> Beginning {
    Beginning {
        prompt: vec![0, 1],
        room,
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        seed: 1,
        logprobs: None,
        ignore_eos: false,
        grammar: None,
    }
}

fn begun(beginning: Beginning) -> (Answer, mpsc::Receiver<Result<Step, EngineError>>) {
    let (steps, reader) = mpsc::channel(beginning.room as usize + 1);
    (Answer::new(beginning, tokens(), steps), reader)
}

#[test]
fn an_answer_is_told_token_by_token_and_ends_with_its_length() {
    let (mut answer, mut reader) = begun(beginning(2));
    answer.begin(1);
    assert_eq!(answer.step(&mut [0.0, 5.0, 0.0, 0.0], None), Ok(Follows::Token(1)));
    assert_eq!((answer.context(), answer.left(), answer.is_under_way()), (&[0, 1, 1][..], 1, true));
    // It gave way and goes on: what it began with is known already.
    answer.begin(3);
    assert_eq!(answer.step(&mut [0.0, 0.0, 5.0, 0.0], None), Ok(Follows::End(Finish::Length)));
    answer.finish(Finish::Length);
    let text = |step| match step {
        Ok(Ok(Step::Token(token))) => token.text,
        other => panic!("{other:?}"),
    };
    assert_eq!((text(reader.try_recv()), text(reader.try_recv())), ("b".into(), "c".into()));
    let Ok(Ok(Step::Done(done))) = reader.try_recv() else { panic!("no end") };
    assert_eq!((done.finish, done.usage), (Finish::Length, Usage { prompt: 2, cached: 1, completion: 2 }));
}

#[test]
fn what_is_no_token_and_what_is_never_wanted_is_not_chosen() {
    let (mut answer, _reader) = begun(beginning(9));
    // The fifth is padding of the output layer.
    assert_eq!(answer.step(&mut [3.0, 2.0, 1.0, 0.0, 9.0], Some(0)), Ok(Follows::Token(1)));
    assert_eq!(answer.step(&mut [0.0, 0.0, 0.0, 9.0], Some(3)), Ok(Follows::End(Finish::Stop)), "an end is never forbidden so");
}

#[test]
fn an_end_is_passed_over_where_that_is_asked_for() {
    let (mut answer, _reader) = begun(Beginning { ignore_eos: true, ..beginning(9) });
    assert_eq!(answer.step(&mut [0.0, 1.0, 0.0, 9.0], None), Ok(Follows::Token(1)));
    assert!(matches!(answer.step(&mut [f32::NEG_INFINITY; 4], None), Err(EngineError::Failed(_))));
}

#[test]
fn an_answer_that_nobody_reads_is_dropped() {
    let (mut answer, reader) = begun(beginning(9));
    drop(reader);
    assert!(answer.is_dropped());
    assert_eq!(answer.step(&mut [1.0; 4], None), Ok(Follows::Dropped));
    assert_eq!(answer.written(), 0);
}

#[test]
fn a_prompt_that_was_read_otherwise_than_foreseen_counts_as_it_was_read() {
    let (mut answer, _reader) = begun(beginning(5));
    answer.has_read(&[0, 1, 2, 2], 6).unwrap();
    assert_eq!((answer.context(), answer.left(), answer.most_tokens(), answer.written()), (&[0, 1, 2, 2][..], 2, 6, 0));
    assert_eq!(answer.has_read(&[0; 6], 6), Err(EngineError::ContextExceeded { prompt: 6, window: 6 }));
}

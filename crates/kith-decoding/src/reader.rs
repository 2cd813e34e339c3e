//! The reader's end of an answer: how long it may become, and the steps up to its end.

use futures::stream;
use kith_engine::{EngineError, Finish, Generated, Step, Timings, TokenStream, Usage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What the engine writes to; see [`crate::StepSender`].
pub type StepReader = mpsc::Receiver<Result<Step, EngineError>>;

/// Tokens that an answer to a prompt of so many tokens may have: as many as the window leaves room for, and at most `most`. 0 only where `most` is.
///
/// # Errors
/// [`EngineError::Invalid`] where the prompt is empty, [`EngineError::ContextExceeded`] where it fills the window.
pub fn room(prompt: usize, window: u32, most: Option<u32>) -> Result<u32, EngineError> {
    let prompt = u32::try_from(prompt).unwrap_or(u32::MAX);
    if prompt == 0 {
        return Err(EngineError::Invalid { field: "input", message: "the prompt is empty".into() });
    }
    if prompt >= window {
        return Err(EngineError::ContextExceeded { prompt, window });
    }
    Ok((window - prompt).min(most.unwrap_or(u32::MAX)))
}

/// An answer that may have no tokens, to a prompt of so many: its end.
pub fn nothing(prompt: usize) -> TokenStream {
    let usage = Usage { prompt: u32::try_from(prompt).unwrap_or(u32::MAX), ..Usage::default() };
    let done = Generated { finish: Finish::Length, usage, timings: Timings::default() };
    Box::pin(stream::iter([Ok(Step::Done(done))]))
}

/// The steps up to the end. The end is never missing: where the engine let go of the answer without one, `lost` says why. Unloading shows at
/// once, not after the step of the model that is running.
pub fn until_the_end(
    reader: StepReader,
    unload: CancellationToken,
    lost: impl Future<Output = EngineError> + Send + 'static,
) -> TokenStream {
    Box::pin(stream::unfold(Some((reader, unload, Box::pin(lost))), |state| async move {
        let (mut reader, unload, mut lost) = state?;
        let step = tokio::select! {
            biased;
            step = reader.recv() => step,
            () = unload.cancelled() => Some(Err(EngineError::Unloaded)),
        };
        let step = match step {
            Some(step) => step,
            None => Err((&mut lost).await),
        };
        let more = matches!(step, Ok(Step::Token(_)));
        Some((step, more.then_some((reader, unload, lost))))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use kith_engine::Token;

    fn token(id: u32) -> Step {
        Step::Token(Token { id, text: String::new(), logprob: None, top: Vec::new() })
    }

    #[test]
    fn an_answer_has_the_room_that_the_prompt_leaves_of_the_window() {
        assert_eq!(room(3, 10, None), Ok(7));
        assert_eq!(room(3, 10, Some(2)), Ok(2));
        assert_eq!(room(3, 10, Some(0)), Ok(0));
        assert_eq!(room(9, 10, Some(8)), Ok(1));
        assert_eq!(room(10, 10, None), Err(EngineError::ContextExceeded { prompt: 10, window: 10 }));
        assert!(matches!(room(0, 10, None), Err(EngineError::Invalid { field: "input", .. })));
    }

    #[tokio::test]
    async fn an_answer_without_room_is_only_its_end() {
        let steps: Vec<_> = nothing(5).collect().await;
        let [Ok(Step::Done(done))] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!((done.finish, done.usage), (Finish::Length, Usage { prompt: 5, cached: 0, completion: 0 }));
    }

    #[tokio::test]
    async fn steps_come_up_to_the_end_and_not_beyond() {
        let (steps, reader) = mpsc::channel(4);
        for step in [Ok(token(1)), Err(EngineError::Failed("broken".into())), Ok(token(2))] {
            steps.send(step).await.unwrap();
        }
        let read: Vec<_> = until_the_end(reader, CancellationToken::new(), async { unreachable!() }).collect().await;
        assert_eq!(read, [Ok(token(1)), Err(EngineError::Failed("broken".into()))]);
    }

    #[tokio::test]
    async fn an_answer_that_is_let_go_of_ends_with_the_reason() {
        let (steps, reader) = mpsc::channel(4);
        steps.send(Ok(token(1))).await.unwrap();
        drop(steps);
        let lost = async { EngineError::Failed("died".into()) };
        let read: Vec<_> = until_the_end(reader, CancellationToken::new(), lost).collect().await;
        assert_eq!(read, [Ok(token(1)), Err(EngineError::Failed("died".into()))]);
    }

    #[tokio::test]
    async fn unloading_shows_at_once_though_the_engine_still_writes() {
        let (_steps, reader) = mpsc::channel(4);
        let unload = CancellationToken::new();
        unload.cancel();
        let read: Vec<_> = until_the_end(reader, unload, async { unreachable!() }).collect().await;
        assert_eq!(read, [Err(EngineError::Unloaded)]);
    }
}

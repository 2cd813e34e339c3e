//! The task that carries a response to its end, whoever reads it.

use super::{answer::Answering, response_field};
use crate::{app::App, error::ApiError, stream::json_bytes};
use bytes::Bytes;
use futures::StreamExt;
use kith_inference::{Answer, Done, Generate, InferenceError, Message, Piece, Prompt, Role};
use kith_responses::{Running, Status};
use kith_types::Code;
use kith_wire::openai::{NumberedEvent, ResponseEvent, ResponseStatus};
use std::sync::Arc;

/// The most attempts to make a conversation fit by leaving its oldest messages out.
const MAX_CUTS: usize = 32;

/// What is still to be asked.
pub(super) enum Ask {
    /// Nothing: the answer is on its way.
    Begun(Answer),
    /// This; and whether its oldest messages may be left out.
    Later(Box<Generate>, bool),
}

/// A response at work.
pub(super) struct Work {
    pub app: Arc<App>,
    pub running: Running,
    pub answering: Answering,
    /// The number of the next event.
    pub next: u64,
}

enum End {
    Done(Box<Done>),
    Cancelled,
    Failed(ApiError),
}

/// One event as a frame of a stream.
pub(super) fn frame(event: ResponseEvent, sequence_number: u64) -> Bytes {
    let mut frame = format!("event: {}\ndata: ", event.name()).into_bytes();
    frame.extend(json_bytes(&NumberedEvent { event, sequence_number }));
    frame.extend(b"\n\n");
    frame.into()
}

/// Answers to the end, and gives the response as it ends, as JSON.
pub(super) async fn drive(mut work: Work, ask: Ask) -> Result<String, ApiError> {
    let (stopping, cancelled) = (work.app.stop.clone(), work.running.log().cancelled());
    let end = tokio::select! {
        biased;
        () = stopping.cancelled() => End::Failed(ApiError::new(Code::ShuttingDown, "the node stopped while it answered")),
        () = cancelled.cancelled() => End::Cancelled,
        end = work.answer(ask) => end.map_or_else(End::Failed, |done| End::Done(Box::new(done))),
    };
    work.close(end).await
}

impl Work {
    fn push(&mut self, event: ResponseEvent) -> Result<(), ApiError> {
        if self.running.streamed() {
            let message = "the answer has more events than can be held; ask without `stream`, or for less";
            self.running.push(frame(event, self.next)).map_err(|_| ApiError::new(Code::BodyTooLarge, message))?;
            self.next += 1;
        }
        Ok(())
    }

    fn push_all(&mut self, events: Vec<ResponseEvent>) -> Result<(), ApiError> {
        events.into_iter().try_for_each(|event| self.push(event))
    }

    async fn answer(&mut self, ask: Ask) -> Result<Done, ApiError> {
        self.push_all(self.answering.created())?;
        let mut answer = match ask {
            Ask::Begun(answer) => answer,
            Ask::Later(generate, truncate) => {
                let answer = begin(&self.app, *generate, truncate).await?;
                let event = self.answering.begun(&answer.card.name);
                self.running.proceed(&self.body()).await?;
                self.push(event)?;
                answer
            }
        };
        while let Some(piece) = answer.pieces.next().await {
            match piece.map_err(|error| ApiError::renamed(error, response_field))? {
                Piece::Done(done) => return Ok(done),
                piece => {
                    let events = self.answering.piece(piece);
                    self.push_all(events)?;
                }
            }
        }
        Err(ApiError::internal(&"an answer ended without an end"))
    }

    fn body(&self) -> String {
        String::from_utf8_lossy(&json_bytes(self.answering.response())).into_owned()
    }

    async fn close(mut self, end: End) -> Result<String, ApiError> {
        let mut error = None;
        let last = match end {
            End::Done(done) => {
                let mut events = self.answering.done(&done, self.app.clock.now());
                let last = events.pop();
                match (self.push_all(events), last) {
                    (Ok(()), Some(last)) => last,
                    (Err(full), _) => self.answering.failed(error.insert(full)),
                    (Ok(()), None) => self.answering.failed(error.insert(ApiError::internal(&"an answer without an end"))),
                }
            }
            End::Cancelled => self.answering.cancelled(),
            End::Failed(failure) => self.answering.failed(error.insert(failure)),
        };
        let status = match self.answering.response().status {
            ResponseStatus::Completed => Status::Completed,
            ResponseStatus::Incomplete => Status::Incomplete,
            ResponseStatus::Cancelled => Status::Cancelled,
            _ => Status::Failed,
        };
        let body = self.body();
        match self.running.end(status, body.clone(), frame(last, self.next)).await {
            Ok(()) => error.map_or(Ok(body), Err),
            Err(failure) => {
                let failure = ApiError::from(failure);
                let last = self.answering.failed_without_output(&failure);
                let body = self.body();
                self.running.abandon(body, frame(last, self.next));
                Err(failure)
            }
        }
    }
}

/// Begins an answer; with `truncate` a conversation that exceeds the window loses its oldest messages.
pub(super) async fn begin(app: &App, mut generate: Generate, truncate: bool) -> Result<Answer, ApiError> {
    let renamed = |error| ApiError::renamed(error, response_field);
    if truncate {
        for _ in 0..MAX_CUTS {
            match app.inference.generate(generate.clone()).await {
                Err(InferenceError::ContextExceeded { prompt, window, .. }) if shorten(&mut generate.prompt, prompt, window) => {}
                other => return other.map_err(renamed),
            }
        }
    }
    app.inference.generate(generate).await.map_err(renamed)
}

/// Leaves out the oldest messages, about as many as the prompt is too long, at least one; never instructions, never the last.
/// Says whether there was one to leave out.
pub(super) fn shorten(prompt: &mut Prompt, tokens: u32, window: u32) -> bool {
    let Prompt::Chat(messages) = prompt else { return false };
    let Some(last) = messages.len().checked_sub(1) else { return false };
    let old: Vec<usize> = (0..last).filter(|at| messages[*at].role != Role::System).collect();
    if old.is_empty() {
        return false;
    }
    let share = tokens.saturating_sub(window) as usize * old.len() / (tokens.max(1) as usize);
    let mut cut = old[share.min(old.len() - 1)];
    // An outcome without its call means nothing.
    while cut + 1 < last && messages[cut + 1].role == Role::Tool {
        cut += 1;
    }
    let mut at = 0;
    messages.retain(|message: &Message| {
        at += 1;
        at > cut + 1 || message.role == Role::System
    });
    true
}

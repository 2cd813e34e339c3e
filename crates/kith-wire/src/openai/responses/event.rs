//! The events of a streamed response.

use super::{OutputItem, OutputPart, Response};
use crate::openai::TokenLogprob;
use serde::{Deserialize, Serialize};

/// What happened to a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type")]
pub enum ResponseEvent {
    /// It was taken.
    #[serde(rename = "response.created")]
    Created {
        /// The response.
        response: Box<Response>,
    },
    /// It waits for its turn.
    #[serde(rename = "response.queued")]
    Queued {
        /// The response.
        response: Box<Response>,
    },
    /// Its turn has come.
    #[serde(rename = "response.in_progress")]
    InProgress {
        /// The response.
        response: Box<Response>,
    },
    /// An item begins.
    #[serde(rename = "response.output_item.added")]
    OutputItemAdded {
        /// The item's place.
        output_index: usize,
        /// The item, still empty.
        item: OutputItem,
    },
    /// A part of an item begins.
    #[serde(rename = "response.content_part.added")]
    ContentPartAdded {
        /// The item.
        item_id: String,
        /// The item's place.
        output_index: usize,
        /// The part's place.
        content_index: usize,
        /// The part, still empty.
        part: OutputPart,
    },
    /// More text.
    #[serde(rename = "response.output_text.delta")]
    OutputTextDelta {
        /// The item.
        item_id: String,
        /// The item's place.
        output_index: usize,
        /// The part's place.
        content_index: usize,
        /// The text.
        delta: String,
        /// Its tokens, if asked for; else empty.
        logprobs: Vec<TokenLogprob>,
    },
    /// The text is whole.
    #[serde(rename = "response.output_text.done")]
    OutputTextDone {
        /// The item.
        item_id: String,
        /// The item's place.
        output_index: usize,
        /// The part's place.
        content_index: usize,
        /// The text.
        text: String,
        /// Its tokens, if asked for; else empty.
        logprobs: Vec<TokenLogprob>,
    },
    /// More reasoning.
    #[serde(rename = "response.reasoning_text.delta")]
    ReasoningTextDelta {
        /// The item.
        item_id: String,
        /// The item's place.
        output_index: usize,
        /// The part's place.
        content_index: usize,
        /// The text.
        delta: String,
    },
    /// The reasoning is whole.
    #[serde(rename = "response.reasoning_text.done")]
    ReasoningTextDone {
        /// The item.
        item_id: String,
        /// The item's place.
        output_index: usize,
        /// The part's place.
        content_index: usize,
        /// The text.
        text: String,
    },
    /// More of a call's arguments.
    #[serde(rename = "response.function_call_arguments.delta")]
    FunctionCallArgumentsDelta {
        /// The item.
        item_id: String,
        /// The item's place.
        output_index: usize,
        /// The text.
        delta: String,
    },
    /// A call's arguments are whole.
    #[serde(rename = "response.function_call_arguments.done")]
    FunctionCallArgumentsDone {
        /// The item.
        item_id: String,
        /// The function.
        name: String,
        /// The item's place.
        output_index: usize,
        /// The arguments.
        arguments: String,
    },
    /// A part is whole.
    #[serde(rename = "response.content_part.done")]
    ContentPartDone {
        /// The item.
        item_id: String,
        /// The item's place.
        output_index: usize,
        /// The part's place.
        content_index: usize,
        /// The part.
        part: OutputPart,
    },
    /// An item is whole.
    #[serde(rename = "response.output_item.done")]
    OutputItemDone {
        /// The item's place.
        output_index: usize,
        /// The item.
        item: OutputItem,
    },
    /// It was answered.
    #[serde(rename = "response.completed")]
    Completed {
        /// The response.
        response: Box<Response>,
    },
    /// Its answer reached a limit.
    #[serde(rename = "response.incomplete")]
    Incomplete {
        /// The response.
        response: Box<Response>,
    },
    /// It could not be answered.
    #[serde(rename = "response.failed")]
    Failed {
        /// The response.
        response: Box<Response>,
    },
    /// Extra: it was stopped.
    #[serde(rename = "response.cancelled")]
    Cancelled {
        /// The response.
        response: Box<Response>,
    },
}

impl ResponseEvent {
    /// Its type: the name of the server-sent event.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "response.created",
            Self::Queued { .. } => "response.queued",
            Self::InProgress { .. } => "response.in_progress",
            Self::OutputItemAdded { .. } => "response.output_item.added",
            Self::ContentPartAdded { .. } => "response.content_part.added",
            Self::OutputTextDelta { .. } => "response.output_text.delta",
            Self::OutputTextDone { .. } => "response.output_text.done",
            Self::ReasoningTextDelta { .. } => "response.reasoning_text.delta",
            Self::ReasoningTextDone { .. } => "response.reasoning_text.done",
            Self::FunctionCallArgumentsDelta { .. } => "response.function_call_arguments.delta",
            Self::FunctionCallArgumentsDone { .. } => "response.function_call_arguments.done",
            Self::ContentPartDone { .. } => "response.content_part.done",
            Self::OutputItemDone { .. } => "response.output_item.done",
            Self::Completed { .. } => "response.completed",
            Self::Incomplete { .. } => "response.incomplete",
            Self::Failed { .. } => "response.failed",
            Self::Cancelled { .. } => "response.cancelled",
        }
    }
}

/// An event with its place in the stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NumberedEvent {
    /// The event.
    #[serde(flatten)]
    pub event: ResponseEvent,
    /// Grows by one with each event of a response; the first is 0.
    pub sequence_number: u64,
}

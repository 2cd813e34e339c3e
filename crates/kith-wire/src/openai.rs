//! The OpenAI dialect: chat completions, legacy completions, the model list, errors.
//!
//! <https://platform.openai.com/docs/api-reference>; fields that are not there are marked as extras.

mod answer;
mod chat;
mod completion;
mod embedding;
mod logprobs;
mod message;
mod models;
mod responses;

pub use answer::{
    AnswerMessage, ChatChoice, ChatCompletion, ChatCompletionChunk, ChunkChoice, Delta, DeltaToolCall, FinishReason,
    PromptTokensDetails, Usage,
};
pub use chat::{
    ChatCompletionRequest, Function, JsonSchema, NamedFunction, NamedTool, ResponseFormat, Stop, StreamOptions, Tool, ToolChoice,
};
pub use completion::{Completion, CompletionChoice, CompletionPrompt, CompletionRequest};
pub use embedding::{Embedding, EmbeddingList, EmbeddingRequest, EmbeddingUsage, Vector};
pub use logprobs::{ChatLogprobs, CompletionLogprobs, TokenLogprob, TopLogprob};
pub use message::{Content, FunctionCall, ImageUrl, ImageUrlValue, Message, Part, Role, ToolCall};
pub use models::{ErrorBody, ErrorDetail, Model, ModelList};
pub use responses::*;

#[cfg(test)]
mod tests;

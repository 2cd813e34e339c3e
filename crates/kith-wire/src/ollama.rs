//! The Ollama dialect: generate, chat, and the library's bodies. Sizes are bytes, durations nanoseconds.
//!
//! <https://github.com/ollama/ollama/blob/main/docs/api.md>; fields that are not there are marked as extras.

mod answer;
mod create;
mod embed;
mod library;
mod options;
mod request;
mod transfer;

pub use answer::{AnswerMessage, ChatResponse, GenerateResponse, Metrics, TokenLogprob, TopLogprob};
pub use create::{CopyRequest, CreateRequest, ProgressResponse};
pub use embed::{EmbedRequest, EmbedResponse, EmbedTexts, EmbeddingRequest, EmbeddingResponse};
pub use library::{
    DeleteRequest, Details, ModelSummary, PsResponse, RunningModel, ShowRequest, ShowResponse, TagsResponse, Tensor,
    VersionResponse,
};
pub use options::Options;
pub use request::{ChatRequest, Format, Function, FunctionCall, GenerateRequest, Message, Role, Think, Tool, ToolCall};
pub use transfer::{PullRequest, PushRequest, TransferLine};

#[cfg(test)]
mod tests;

/// The model's name from `model`, or from `name` where only that is there, as older clients write it.
fn either<'a>(model: &'a Option<String>, name: &'a Option<String>) -> &'a str {
    model.as_deref().filter(|m| !m.is_empty()).or(name.as_deref()).unwrap_or_default()
}

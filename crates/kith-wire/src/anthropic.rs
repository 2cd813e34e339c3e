//! The Anthropic dialect: messages, their streams, counts of tokens.
//!
//! <https://docs.anthropic.com/en/api/messages>; fields that are not there are marked as extras.

mod answer;
mod request;

pub use answer::{
    AnswerBlock, BlockDelta, DeltaUsage, ErrorBody, ErrorDetail, Message, MessageDelta, StopReason, StreamEvent, TokenCount,
    Usage,
};
pub use request::{
    Block, BlockSource, Content, CountTokensRequest, InputMessage, MessagesRequest, OutputConfig, OutputFormat, Thinking, Tool,
    ToolChoice,
};

//! The Responses API: the request, the response, its items and the events of its stream.
//!
//! <https://platform.openai.com/docs/api-reference/responses>; fields that are not there are marked as extras.

mod event;
mod item;
mod request;
mod response;

pub use event::{NumberedEvent, ResponseEvent};
pub use item::{InputItem, ItemContent, ItemPart, OutputItem, OutputPart};
pub use request::{
    AllowedTool, NamedChoice, Reasoning, ResponseInput, ResponseTool, ResponseToolChoice, ResponsesRequest, TextConfig,
    TextFormat,
};
pub use response::{
    DeletedResponse, IncompleteDetails, InputItemList, InputTokensDetails, OutputTokensDetails, Response, ResponseFault,
    ResponseStatus, ResponseSummary, ResponseSummaryList, ResponseUsage,
};

//! Conversations: trees of messages with a head, their titles, search, pictures, forks, exports, and what was thrown away.
//!
//! Knows no model and no engine: who answers writes the answer down here, piece by piece, under an id of its own choice, so that
//! nothing is doubled when it is sent again. What a call returned `Ok` for is on the disk.

mod conversation;
mod conversations;
mod details;
mod error;
mod export;
mod id;
mod message;
mod picture;
mod search;
mod title;
mod told;
mod tree;

pub use conversation::{
    Change, Conversation, Found, MAX_MODEL_CHARS, MAX_OPTIONS_BYTES, MAX_SYSTEM_BYTES, New, Page, Summary, Wanted,
};
pub use conversations::{
    Bounds, Conversations, ConversationsParts, DEFAULT_LIMIT, KEPT_DAYS, MAX_CONVERSATION_BYTES, MAX_CONVERSATION_PICTURE_BYTES,
    MAX_CONVERSATIONS, MAX_LIMIT, MAX_MESSAGES,
};
pub use details::{Attachment, Details, MAX_ATTACHMENTS, MAX_TOOL_CALLS, Shown, Timings, ToolCall, Usage};
pub use error::ConversationsError;
pub use export::{FileName, file_name, markdown};
pub use id::MAX_ID_CHARS;
pub use message::{Draft, MAX_MESSAGE_BYTES, Message, Role, Written};
pub use picture::{MAX_PICTURE_BYTES, MAX_PICTURES, MAX_THUMBNAIL_BYTES, Opened, Picture, Source};
pub use search::{MAX_QUERY_CHARS, MAX_TERMS};
pub use title::{AUTOMATIC_TITLE_CHARS, MAX_TITLE_CHARS};

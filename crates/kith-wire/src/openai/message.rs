//! The messages of a conversation.

use crate::union::by_kind;
use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OpenAiRole)]
pub enum Role {
    /// Standing instructions.
    System,
    /// Standing instructions (the newer word for `system`).
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The outcome of a tool call.
    Tool,
    /// The outcome of a function call (the deprecated form of `tool`).
    Function,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OpenAiMessage)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// A text, or a list of parts. May be null in an assistant's message that has tool calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The speaker's name; for a `function` message the function's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Calls the assistant made in this message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// For a `tool` message: the call it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The call an assistant made (the deprecated form of `tool_calls`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<FunctionCall>,
    /// The assistant's words where it declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

impl Message {
    /// A message of text alone.
    pub fn text(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: Some(Content::Text(content.into())),
            name: None,
            tool_calls: None,
            tool_call_id: None,
            function_call: None,
            refusal: None,
        }
    }
}

/// What a message says: a text, or a list of parts.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = OpenAiContent)]
pub enum Content {
    /// A text.
    Text(String),
    /// Parts in order.
    Parts(Vec<Part>),
}

by_kind!(Content, "a string or a list of content parts",
    text => |t| Ok(Content::Text(t)),
    list => |p| Ok(Content::Parts(p)),
);

/// One part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = OpenAiPart)]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
    /// The assistant's words where it declined.
    Refusal {
        /// The words.
        refusal: String,
    },
}

/// An image: an object with its `url`, or the URL alone.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum ImageUrl {
    /// The usual form.
    Object(ImageUrlValue),
    /// The URL alone.
    Url(String),
}

by_kind!(ImageUrl, "an object with a `url`, or a URL",
    object => |o| Ok(ImageUrl::Object(o)),
    text => |t| Ok(ImageUrl::Url(t)),
);

impl ImageUrl {
    /// The URL.
    pub fn url(&self) -> &str {
        match self {
            Self::Object(object) => &object.url,
            Self::Url(url) => url,
        }
    }
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImageUrlValue {
    /// A `data:` URL with the image file in Base64. Kith fetches nothing from elsewhere.
    pub url: String,
    /// `auto`, `low` or `high`: a wish about resolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A call the assistant asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OpenAiToolCall)]
pub struct ToolCall {
    /// The call's id, repeated in the `tool` message that answers it.
    pub id: String,
    /// Always `function`.
    #[serde(rename = "type", default = "function")]
    pub kind: String,
    /// The function and its arguments.
    pub function: FunctionCall,
}

fn function() -> String {
    "function".to_owned()
}

/// A function and the arguments to call it with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OpenAiFunctionCall)]
pub struct FunctionCall {
    /// The function's name.
    pub name: String,
    /// The arguments: a JSON object, as text.
    pub arguments: String,
}

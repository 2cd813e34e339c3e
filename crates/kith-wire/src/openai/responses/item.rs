//! Items: what goes into a response and what comes out of it.

use super::super::TokenLogprob;
use crate::union::by_kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One item of the input. Which fields belong to it follows from its type; without one it is a `message`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InputItem {
    /// `message`, `function_call`, `function_call_output`, `reasoning` or `item_reference`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The item's id; made if it has none. In an `item_reference`: which item is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `in_progress`, `completed` or `incomplete`; told again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// In a `message`: `user`, `assistant`, `system` or `developer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// In a `message` and in `reasoning`: a text, or a list of parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<ItemContent>,
    /// In a `function_call` and its output: which call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// In a `function_call`: the function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// In a `function_call`: a JSON object, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// In a `function_call_output`: a text, or a list of parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<ItemContent>,
    /// In `reasoning`: told again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Value>,
    /// In `reasoning`: told again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<String>,
}

/// A text, or a list of parts.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum ItemContent {
    /// A text.
    Text(String),
    /// Parts in order.
    Parts(Vec<ItemPart>),
}

by_kind!(ItemContent, "a string or a list of parts",
    text => |t| Ok(ItemContent::Text(t)),
    list => |p| Ok(ItemContent::Parts(p)),
);

/// One part of an item. Which fields belong to it follows from its type.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ItemPart {
    /// `input_text`, `input_image`, `output_text`, `refusal` or `reasoning_text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// In texts: the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// In a `refusal`: the words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// In an `input_image`: a `data:` URL in Base64. Images are not fetched from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// In an `input_image`: refused, there are no stored files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// In an `input_image`: taken and told again; images are always seen as the model takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// In an `output_text`: told again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Vec<Value>>,
}

/// One item of the output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputItem {
    /// The model's reasoning.
    Reasoning {
        /// `rs_…`.
        id: String,
        /// Always empty: the reasoning itself is given.
        summary: Vec<Value>,
        /// The reasoning: one part of `reasoning_text`.
        content: Vec<OutputPart>,
        /// `in_progress`, `completed` or `incomplete`.
        status: String,
    },
    /// What the model says.
    Message {
        /// `msg_…`.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: String,
        /// `assistant`.
        role: String,
        /// The text: one part of `output_text`.
        content: Vec<OutputPart>,
    },
    /// A call the model asks for.
    FunctionCall {
        /// `fc_…`.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: String,
        /// A JSON object, as text.
        arguments: String,
        /// The id that goes with the call's output.
        call_id: String,
        /// The function.
        name: String,
    },
}

/// One part of an item of the output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputPart {
    /// Text.
    OutputText {
        /// Always empty: nothing is cited.
        annotations: Vec<Value>,
        /// Its tokens, if asked for; else empty.
        logprobs: Vec<TokenLogprob>,
        /// The text.
        text: String,
    },
    /// Reasoning.
    ReasoningText {
        /// The text.
        text: String,
    },
}

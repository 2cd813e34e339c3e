//! The one native request that every dialect is translated to, and the pieces of its answer.

#[cfg(doc)]
use kith_engine::Sampling;
use kith_engine::{Timings, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{borrow::Cow, time::Duration};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Standing instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The outcome of a tool call.
    Tool,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The text; several parts of a dialect are joined.
    pub content: String,
    /// Encoded image files, in the order of their mention.
    pub images: Vec<Vec<u8>>,
    /// Calls the assistant made in this message.
    pub tool_calls: Vec<ToolCall>,
    /// For `Role::Tool`: the call it answers.
    pub tool_call_id: Option<String>,
    /// For `Role::Tool`: the tool's name, where the dialect tells it.
    pub name: Option<String>,
}

impl Message {
    /// A message of text alone.
    pub fn text(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), images: Vec::new(), tool_calls: Vec::new(), tool_call_id: None, name: None }
    }
}

/// A function the model may ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name: letters, digits, `_`, `-`, `.`; at most 64.
    pub name: String,
    /// What it does, for the model.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Value,
}

/// Whether the model must call a tool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No call; tools are not shown to the model.
    None,
    /// At least one call; the answer is constrained to it.
    Required,
    /// A call of this tool; the answer is constrained to it.
    Named(String),
}

/// A call the model asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// `call_` and 24 random letters and digits.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments, a JSON object.
    pub arguments: Value,
}

/// What is to be continued.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// A conversation, laid out by the model's own chat template. If it ends with an assistant's message, that message is continued.
    Chat(Vec<Message>),
    /// Text given to the model as it is, without template.
    Raw(String),
    /// Token ids given to the model as they are.
    Tokens(Vec<u32>),
    /// Ollama's generate: one instruction with optional system text, laid out by the chat template (or by `template`), after the
    /// tokens of an earlier answer's `context`.
    Instruct {
        /// The instruction. Empty asks only for the model to be loaded.
        prompt: String,
        /// Replaces the model's own system text.
        system: Option<String>,
        /// Images with the instruction.
        images: Vec<Vec<u8>>,
        /// Tokens of the conversation so far.
        context: Vec<u32>,
    },
}

/// What shape the answer must have.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Format {
    /// Any text.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON accepted by this JSON Schema.
    JsonSchema(Value),
    /// Text that this regular expression matches whole.
    Regex(String),
    /// Text of this Lark grammar.
    Lark(String),
}

/// How long a model stays loaded after its last use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// This long; zero unloads at once.
    For(Duration),
    /// Until it is unloaded or memory is needed.
    Forever,
}

/// Options a request leaves open are taken from the model's own parameters, then from Kith's defaults.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// See [`Sampling::temperature`].
    pub temperature: Option<f32>,
    /// See [`Sampling::top_k`]; 0 keeps all.
    pub top_k: Option<u32>,
    /// See [`Sampling::top_p`].
    pub top_p: Option<f32>,
    /// See [`Sampling::min_p`].
    pub min_p: Option<f32>,
    /// See [`Sampling::repetition_penalty`].
    pub repetition_penalty: Option<f32>,
    /// See [`Sampling::repeat_last_n`].
    pub repeat_last_n: Option<u32>,
    /// See [`Sampling::frequency_penalty`].
    pub frequency_penalty: Option<f32>,
    /// See [`Sampling::presence_penalty`].
    pub presence_penalty: Option<f32>,
    /// See [`Sampling::logit_bias`].
    pub logit_bias: Vec<(u32, f32)>,
    /// See [`Sampling::seed`].
    pub seed: Option<u64>,
    /// The most tokens of the answer. `None` is the rest of the window.
    pub max_tokens: Option<u32>,
    /// Texts that end the answer and are not part of it. At most 16 of at most 256 bytes each.
    pub stop: Vec<String>,
    /// How many alternatives to report with each token (0 to 20); `None` reports no log-probabilities.
    pub logprobs: Option<u8>,
    /// The context window to load the model with, in tokens.
    pub context: Option<u32>,
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Generate {
    /// The model's name as the client wrote it.
    pub model: String,
    /// What is to be continued.
    pub prompt: Prompt,
    /// Options of the run.
    pub options: Options,
    /// The shape of the answer.
    pub format: Format,
    /// Functions the model may ask for.
    pub tools: Vec<Tool>,
    /// Whether it must.
    pub tool_choice: ToolChoice,
    /// Whether several tools may be called in one answer.
    pub parallel_tool_calls: bool,
    /// How long the model stays loaded afterwards; `None` is the node's default.
    pub keep_alive: Option<KeepAlive>,
    /// Replaces the model's own chat template (Jinja) for this request.
    pub template: Option<String>,
    /// For models that can reason aloud: whether they should. `None` leaves it to the model.
    pub think: Option<bool>,
    /// The adapter (LoRA) that the model is to answer with.
    pub lora_adapter: Option<String>,
    /// How much, in the client's word: `minimal`, `low`, `medium`, `high` or `xhigh`. Models in the library know only whether.
    pub effort: Option<String>,
}

impl Generate {
    /// A request for `prompt` with nothing else said.
    pub fn new(model: impl Into<String>, prompt: Prompt) -> Self {
        Self {
            model: model.into(),
            prompt,
            options: Options::default(),
            format: Format::Text,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
            keep_alive: None,
            template: None,
            think: None,
            lora_adapter: None,
            effort: None,
        }
    }

    /// The name under which the model lies in memory: with an adapter, `model+adapter`.
    pub fn called(&self) -> Cow<'_, str> {
        match &self.lora_adapter {
            None => Cow::Borrowed(&self.model),
            Some(adapter) => Cow::Owned(format!("{}+{adapter}", self.model)),
        }
    }
}

/// One token with its log-probability and the likeliest alternatives.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token's text (lossy where it is no whole UTF-8).
    pub token: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// The likeliest tokens at this place, likeliest first.
    pub top: Vec<TokenLogprob>,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it.
    Stop,
    /// One of the request's stop texts came up: this one.
    StopSequence(String),
    /// The limit of tokens or the window was reached.
    Length,
    /// The answer is one or more tool calls.
    ToolCalls,
}

/// One piece of an answer: any number of the others, then exactly one `Done`.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// More text.
    Text {
        /// The text; may be empty if there are only log-probabilities to report.
        text: String,
        /// The tokens behind it, if asked for.
        logprobs: Vec<TokenLogprob>,
    },
    /// More of the model's reasoning, kept apart from the answer.
    Reasoning(String),
    /// A whole tool call.
    ToolCall(ToolCall),
    /// The end.
    Done(Done),
}

/// The end of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Why it ended.
    pub reason: FinishReason,
    /// Counts of tokens.
    pub usage: Usage,
    /// Where the engine's time went.
    pub timings: Timings,
    /// Time from the request's arrival to its end, waiting and loading included.
    pub total: Duration,
    /// Time spent loading the model for this request; zero if it was loaded.
    pub load: Duration,
    /// Tokens of prompt and answer, for Ollama's `context`; filled for [`Prompt::Instruct`] only.
    pub context: Vec<u32>,
}

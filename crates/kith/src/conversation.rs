//! A conversation with a model: what has been said, how answers are to be made, and one turn of it over the API.

use crate::{
    client::Client,
    error::{CliError, Result},
    render,
};
use serde_json::{Map, Value, json};
use std::{fmt::Write, pin::pin, time::Duration};

/// What has been said so far and how the model is to answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// The model's name.
    pub model: String,
    /// Standing instructions.
    pub system: Option<String>,
    /// User's and assistant's messages in turn, as `/api/chat` takes them.
    pub messages: Vec<Value>,
    /// `"json"` or a JSON Schema.
    pub format: Option<Value>,
    /// Ollama's options: temperature, seed, num_predict and the like.
    pub options: Map<String, Value>,
    /// How long the model stays loaded.
    pub keep_alive: Option<Value>,
}

/// A piece of an answer as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Of the answer.
    Text(&'a str),
    /// Of the model's reasoning before it.
    Thinking(&'a str),
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// The model's reasoning, if it told any.
    pub thinking: String,
    /// The last object of the answer, with counts and durations; `None` if Ctrl-C ended the answer.
    pub end: Option<Value>,
}

impl Conversation {
    /// Says `prompt` and hands every piece of the answer to `piece`. Ctrl-C ends the answer; what had come by then stays part of the
    /// conversation. After an error the conversation is as before.
    pub async fn say(&mut self, client: &Client, prompt: &str, mut piece: impl FnMut(Piece<'_>) -> Result<()>) -> Result<Answer> {
        self.messages.push(json!({"role": "user", "content": prompt}));
        let before = self.messages.len() - 1;
        match self.turn(client, &mut piece).await {
            Ok(answer) => {
                if answer.text.is_empty() && answer.end.is_none() {
                    self.messages.truncate(before);
                } else {
                    self.messages.push(json!({"role": "assistant", "content": answer.text}));
                }
                Ok(answer)
            }
            Err(error) => {
                self.messages.truncate(before);
                Err(error)
            }
        }
    }

    /// Has the model loaded, so that the first answer starts at once and a missing model is told before anything is typed.
    pub async fn load(&self, client: &Client) -> Result<()> {
        let mut body = json!({"model": self.model, "stream": false});
        if let Some(keep_alive) = &self.keep_alive {
            body["keep_alive"] = keep_alive.clone();
        }
        client.post_patiently("/api/generate", &body).await.map(drop)
    }

    /// The body for `/api/chat`.
    fn body(&self) -> Value {
        let system = self.system.iter().map(|text| json!({"role": "system", "content": text}));
        let messages: Vec<Value> = system.chain(self.messages.iter().cloned()).collect();
        let mut body = json!({"model": self.model, "messages": messages, "stream": true});
        if let Some(format) = &self.format {
            body["format"] = format.clone();
        }
        if !self.options.is_empty() {
            body["options"] = Value::Object(self.options.clone());
        }
        if let Some(keep_alive) = &self.keep_alive {
            body["keep_alive"] = keep_alive.clone();
        }
        body
    }

    async fn turn(&self, client: &Client, piece: &mut impl FnMut(Piece<'_>) -> Result<()>) -> Result<Answer> {
        let mut answer = Answer { text: String::new(), thinking: String::new(), end: None };
        let mut interrupt = pin!(tokio::signal::ctrl_c());
        let body = self.body();
        let mut lines = tokio::select! {
            biased;
            _ = &mut interrupt => return Ok(answer),
            lines = client.lines("/api/chat", &body) => lines?,
        };
        loop {
            let line = tokio::select! {
                biased;
                _ = &mut interrupt => return Ok(answer),
                line = lines.next() => line?,
            };
            let Some(line) = line else {
                return Err(CliError::Unreachable(format!("the node at {} ended the answer too early", client.url())));
            };
            if let Some(text) = line["message"]["thinking"].as_str().filter(|text| !text.is_empty()) {
                answer.thinking.push_str(text);
                piece(Piece::Thinking(text))?;
            }
            if let Some(text) = line["message"]["content"].as_str().filter(|text| !text.is_empty()) {
                answer.text.push_str(text);
                piece(Piece::Text(text))?;
            }
            if line["done"] == true {
                answer.end = Some(line);
                return Ok(answer);
            }
        }
    }
}

impl Answer {
    /// The answer as one object, as the API gives it without streaming. `end` must have come.
    pub fn whole(&self) -> Value {
        let mut whole = self.end.clone().unwrap_or_else(|| json!({}));
        whole["message"]["role"] = "assistant".into();
        whole["message"]["content"] = self.text.clone().into();
        if !self.thinking.is_empty() {
            whole["message"]["thinking"] = self.thinking.clone().into();
        }
        whole
    }

    /// Counts and rates for people, one a line; nothing for an interrupted answer.
    pub fn timings(&self) -> String {
        let Some(end) = &self.end else { return String::new() };
        let tokens = |field: &str| end[field].as_u64().unwrap_or_default();
        let time = |field: &str| Duration::from_nanos(end[field].as_u64().unwrap_or_default());
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<22}{value}");
        };
        row("total duration:", render::duration(time("total_duration")));
        row("load duration:", render::duration(time("load_duration")));
        row("prompt eval count:", format!("{} tokens", tokens("prompt_eval_count")));
        row("prompt eval duration:", render::duration(time("prompt_eval_duration")));
        row("prompt eval rate:", render::rate(tokens("prompt_eval_count"), time("prompt_eval_duration")));
        row("eval count:", format!("{} tokens", tokens("eval_count")));
        row("eval duration:", render::duration(time("eval_duration")));
        row("eval rate:", render::rate(tokens("eval_count"), time("eval_duration")));
        text
    }
}

/// `keep_alive` as the API takes it: a bare number is seconds, everything else (`10m`) goes as text.
pub fn keep_alive(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| text.into(), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation() -> Conversation {
        Conversation { model: "m".into(), ..Conversation::default() }
    }

    #[test]
    fn only_what_was_asked_for_is_sent() {
        let mut conversation = conversation();
        conversation.messages.push(json!({"role": "user", "content": "hi"}));
        assert_eq!(conversation.body(), json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true}));
        conversation.system = Some("be brief".into());
        conversation.format = Some("json".into());
        conversation.options.insert("seed".into(), 7.into());
        conversation.keep_alive = Some(keep_alive("-1"));
        let body = conversation.body();
        assert_eq!(body["messages"][0], json!({"role": "system", "content": "be brief"}));
        assert_eq!((&body["format"], &body["options"], &body["keep_alive"]), (&"json".into(), &json!({"seed": 7}), &(-1).into()));
    }

    #[test]
    fn keep_alive_is_seconds_or_text() {
        assert_eq!(keep_alive("0"), json!(0));
        assert_eq!(keep_alive("10m"), json!("10m"));
    }

    #[tokio::test]
    async fn after_an_error_the_conversation_is_as_before() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Client::new(&port.to_string(), None).unwrap();
        let mut conversation = conversation();
        let error = conversation.say(&client, "hi", |_| Ok(())).await.unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(conversation.messages.is_empty());
    }

    #[test]
    fn a_whole_answer_is_the_last_object_with_all_the_text() {
        let end = json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": true, "eval_count": 128,
            "eval_duration": 2_000_000_000_u64, "total_duration": 2_310_000_000_u64});
        let answer = Answer { text: "all of it".into(), thinking: String::new(), end: Some(end) };
        assert_eq!(answer.whole()["message"], json!({"role": "assistant", "content": "all of it"}));
        assert_eq!(answer.whole()["model"], "m");
        let timings = answer.timings();
        assert!(timings.starts_with("total duration:       2.31 s\n"), "{timings}");
        assert!(timings.ends_with("eval rate:            64.0 tokens/s\n"), "{timings}");
    }
}

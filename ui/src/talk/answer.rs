//! An answer while it is written: asked for, taken line by line, drawn, kept.

use super::{DRAW_EVERY_MS, KEEP_EVERY_MS, Talk};
use crate::{
    dom,
    http::{Client, Problem},
    view::{body, format, thread},
};
use kith_types::Timestamp;
use kith_wire::{
    conversations::{ConversationMessage, MessageRole, MessageTimings, MessageToolCall, MessageUsage, NewConversationMessage},
    ollama::{ChatRequest, ChatResponse},
};
use leptos::prelude::*;
use std::{cell::RefCell, rc::Rc};
use web_sys::AbortController;

impl Talk {
    /// Writes the answer to the message `asked`.
    pub(super) async fn answer(self, client: &Client, id: &str, asked: String) -> Result<(), Problem> {
        let Some(model) = self.model.get_untracked() else {
            return Err(Problem::Refused { status: 400, code: String::new(), message: "no model is chosen".to_owned() });
        };
        let request = self.request(client, id, &model, &asked).await?;
        let now = Timestamp::from_ms(dom::now_ms());
        let mut answer = ConversationMessage {
            id: dom::fresh_id(),
            parent: Some(asked),
            role: MessageRole::Assistant,
            content: String::new(),
            reasoning: None,
            images: Vec::new(),
            attachments: Vec::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            model: Some(model),
            provider: None,
            usage: None,
            timings: None,
            finish: None,
            error: None,
            stopped: false,
            created_at_ms: now,
            updated_at_ms: now,
        };
        let controller = AbortController::new().map_err(|_| Problem::Garbled("this browser cannot stop requests".to_owned()))?;
        let signal = controller.signal();
        self.stop.set_value(Some(controller));
        self.messages.update(|messages| messages.push(answer.clone()));
        self.head.set(Some(answer.id.clone()));
        self.writing.set(Some(answer.id.clone()));

        let written = Rc::new(RefCell::new(answer.clone()));
        let (keeper, kept_client, kept_id) = (Rc::clone(&written), client.clone(), id.to_owned());
        let mut kept_at = dom::now_ms();
        let mut drawn_at = 0;
        let mut failed = None;
        let ended = client
            .lines("/api/chat", &request, &signal, |line| {
                let mut answer = keeper.borrow_mut();
                match take_line(&mut answer, line) {
                    Ok(()) => {}
                    Err(message) => failed = Some(message),
                }
                let now = dom::now_ms();
                if now - drawn_at >= DRAW_EVERY_MS {
                    drawn_at = now;
                    self.replace(&answer);
                }
                if now - kept_at >= KEEP_EVERY_MS {
                    kept_at = now;
                    let (client, id, answer) = (kept_client.clone(), kept_id.clone(), answer.clone());
                    leptos::task::spawn_local(async move {
                        // The next one, or the last, makes up for one that failed.
                        let _ = keep(&client, &id, &answer).await;
                    });
                }
            })
            .await;
        answer = written.borrow().clone();
        match (&ended, failed) {
            (Err(Problem::Cancelled), _) => answer.stopped = true,
            (Err(problem), _) => answer.error = Some(problem.to_string()),
            (Ok(()), Some(message)) => answer.error = Some(message),
            (Ok(()), None) if answer.finish.is_none() => answer.error = Some("the answer broke off before its end".to_owned()),
            (Ok(()), None) => {}
        }
        self.replace(&answer);
        self.stop.try_set_value(None);
        // Written until it is kept: what the node tells of it before that is older than what is here.
        let kept = keep(client, id, &answer).await;
        self.writing.try_set(None);
        if kept == Err(Problem::Offline) {
            self.unkept.try_set_value(Some(answer));
            return Ok(());
        }
        kept
    }

    fn replace(self, answer: &ConversationMessage) {
        self.messages.try_update(|messages| {
            if let Some(place) = messages.iter_mut().rev().find(|message| message.id == answer.id) {
                *place = answer.clone();
            }
        });
    }

    async fn request(self, client: &Client, id: &str, model: &str, asked: &str) -> Result<ChatRequest, Problem> {
        let messages = self.messages.get_untracked();
        let branch: Vec<&ConversationMessage> =
            thread::path(&messages, Some(asked)).into_iter().filter_map(|at| messages.get(at)).collect();
        let mut prompt = thread::prompt(Some(&self.system.get_untracked()), &branch);
        // Pictures are kept with the node and read again where they are part of what is asked.
        let told = branch.iter().filter(|message| !message.images.is_empty());
        for message in told {
            let mut images = Vec::new();
            for image in &message.images {
                let Some(digest) = &image.digest else { continue };
                let blob = client.blob(&format!("/api/v1/conversations/{id}/images/{digest}")).await?;
                let url = dom::data_url(&blob).await.unwrap_or_default();
                images.extend(url.split_once("base64,").map(|(_, data)| data.to_owned()));
            }
            let place =
                prompt.iter_mut().find(|asked| asked.images.is_none() && asked.content.as_deref() == Some(&message.content));
            if let Some(place) = place {
                place.images = Some(images);
            }
        }
        Ok(ChatRequest {
            model: Some(model.to_owned()),
            messages: Some(prompt),
            stream: Some(true),
            options: Some(self.options.get_untracked()),
            ..ChatRequest::default()
        })
    }
}

/// Adds one line of the stream to the answer. An error in the stream's midst is told as one.
fn take_line(answer: &mut ConversationMessage, line: &str) -> Result<(), String> {
    if line.trim().is_empty() {
        return Ok(());
    }
    let Ok(piece) = body::parse::<ChatResponse>(line) else {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        return Err(value.get("error").and_then(|error| error.as_str()).unwrap_or("the answer could not be read").to_owned());
    };
    answer.content.push_str(&piece.message.content);
    if let Some(thinking) = &piece.message.thinking {
        answer.reasoning.get_or_insert_default().push_str(thinking);
    }
    for call in piece.message.tool_calls.into_iter().flatten() {
        answer.tool_calls.push(MessageToolCall {
            id: call.id.unwrap_or_else(dom::fresh_id),
            name: call.function.name,
            arguments: call.function.arguments.to_string(),
        });
    }
    if piece.done {
        answer.finish = piece.done_reason.or(Some("stop".to_owned()));
        if let Some(metrics) = piece.metrics {
            let ms = |nanos: u64| nanos as f64 / 1e6;
            answer.usage = Some(MessageUsage { prompt: metrics.prompt_eval_count, completion: metrics.eval_count });
            answer.timings = Some(MessageTimings {
                prefill_ms: Some(ms(metrics.prompt_eval_duration)),
                decode_ms: Some(ms(metrics.eval_duration)),
                tokens_per_s: format::tokens_per_second(metrics.eval_count, metrics.eval_duration / 1_000_000),
            });
        }
    }
    Ok(())
}

/// Has the node keep an answer as it stands.
pub(super) async fn keep(client: &Client, id: &str, answer: &ConversationMessage) -> Result<(), Problem> {
    let body = NewConversationMessage {
        id: Some(answer.id.clone()),
        parent: Some(answer.parent.clone()),
        role: answer.role,
        content: answer.content.clone(),
        reasoning: answer.reasoning.clone(),
        images: Vec::new(),
        attachments: Vec::new(),
        tool_calls: answer.tool_calls.clone(),
        tool_call_id: None,
        model: answer.model.clone(),
        provider: answer.provider.clone(),
        usage: answer.usage,
        timings: answer.timings,
        finish: answer.finish.clone(),
        error: answer.error.clone(),
        stopped: answer.stopped,
    };
    client.send("PUT", &format!("/api/v1/conversations/{id}/messages/{}", answer.id), Some(&body)).await
}

//! Conversations that are open: their messages, and the answers being written. They outlive the page, so that an answer goes on while
//! one looks at something else.

mod answer;

use crate::{
    dom,
    http::{Client, Problem},
    view::{body, thread},
};
use kith_wire::{
    conversations::{
        Conversation, ConversationMessage, ConversationUpdate, MessageAttachment, MessageImage, MessageRole, MessageWritten,
        NewConversation, NewConversationMessage,
    },
    ollama::Options,
};
use leptos::prelude::*;
use std::collections::HashMap;
use web_sys::AbortController;

/// How often an answer is kept while it is written, in milliseconds.
const KEEP_EVERY_MS: i64 = 10_000;
/// How often an answer is drawn while it is written, in milliseconds: more often than one can read it.
const DRAW_EVERY_MS: i64 = 50;

/// What is to be sent.
#[derive(Clone, Default, PartialEq)]
pub struct Draft {
    /// The words.
    pub text: String,
    /// Pictures, with their data.
    pub images: Vec<MessageImage>,
    /// Files, by their text.
    pub files: Vec<MessageAttachment>,
}

/// One open conversation.
#[derive(Clone, Copy)]
pub struct Talk {
    /// Its id; `None` before the first message.
    pub id: RwSignal<Option<String>>,
    /// Its title; empty before the first message.
    pub title: RwSignal<String>,
    /// The model it is held with.
    pub model: RwSignal<Option<String>>,
    /// Its system prompt.
    pub system: RwSignal<String>,
    /// Its options.
    pub options: RwSignal<Options>,
    /// All messages, on all branches.
    pub messages: RwSignal<Vec<ConversationMessage>>,
    /// The last message of the branch that is shown.
    pub head: RwSignal<Option<String>>,
    /// The answer that is being written, by its id.
    pub writing: RwSignal<Option<String>>,
    /// Why it could not be read.
    pub problem: RwSignal<Option<Problem>>,
    /// Whether it is being read.
    pub loading: RwSignal<bool>,
    /// An answer that the node could not keep when it ended, because it was away.
    unkept: StoredValue<Option<ConversationMessage>>,
    stop: StoredValue<Option<AbortController>, LocalStorage>,
}

/// All open conversations.
#[derive(Clone, Copy)]
pub struct Talks {
    open: StoredValue<HashMap<String, Talk>>,
    owner: StoredValue<Owner>,
}

impl Talks {
    /// None yet. What is opened lives as long as the caller's owner.
    pub fn new() -> Self {
        Self { open: StoredValue::new(HashMap::new()), owner: StoredValue::new(Owner::current().unwrap_or_default()) }
    }

    /// A conversation that has no messages yet.
    pub fn fresh(self) -> Talk {
        self.owner.with_value(|owner| owner.with(Talk::new))
    }

    /// The conversation of this id, read if it is not open.
    pub fn open(self, client: &Client, id: &str) -> Talk {
        if let Some(talk) = self.open.with_value(|open| open.get(id).copied()) {
            if talk.writing.get_untracked().is_none() {
                talk.read(client);
            }
            return talk;
        }
        let talk = self.fresh();
        talk.id.set(Some(id.to_owned()));
        talk.loading.set(true);
        self.open.update_value(|open| {
            open.insert(id.to_owned(), talk);
        });
        talk.read(client);
        talk
    }

    /// Notes that a new conversation has its id.
    pub fn keep(self, id: &str, talk: Talk) {
        self.open.update_value(|open| {
            open.insert(id.to_owned(), talk);
        });
    }
}

impl Talk {
    fn new() -> Self {
        Self {
            id: RwSignal::new(None),
            title: RwSignal::new(String::new()),
            model: RwSignal::new(None),
            system: RwSignal::new(String::new()),
            options: RwSignal::new(Options::default()),
            messages: RwSignal::new(Vec::new()),
            head: RwSignal::new(None),
            writing: RwSignal::new(None),
            problem: RwSignal::new(None),
            loading: RwSignal::new(false),
            unkept: StoredValue::new(None),
            stop: StoredValue::new_local(None),
        }
    }

    /// The branch that is shown.
    pub fn branch(self) -> Vec<ConversationMessage> {
        self.head.with(|head| {
            self.messages.with(|messages| {
                thread::path(messages, head.as_deref()).into_iter().filter_map(|at| messages.get(at).cloned()).collect()
            })
        })
    }

    /// Reads it from the node.
    pub fn read(self, client: &Client) {
        let Some(id) = self.id.get_untracked() else { return };
        let client = client.clone();
        leptos::task::spawn_local(async move {
            let read = client.get::<Conversation>(&format!("/api/v1/conversations/{id}")).await;
            self.loading.try_set(false);
            match read {
                Ok(conversation) => self.take(conversation),
                Err(problem) => {
                    self.problem.try_set(Some(problem));
                }
            }
        });
    }

    /// Goes on after the node was away: what it could not keep is kept, and what changed meanwhile is read.
    pub fn come_back(self, client: &Client) {
        let Some(id) = self.id.get_untracked().filter(|_| self.writing.with_untracked(Option::is_none)) else { return };
        let client = client.clone();
        leptos::task::spawn_local(async move {
            if let Some(answer) = self.unkept.try_get_value().flatten() {
                if answer::keep(&client, &id, &answer).await == Err(Problem::Offline) {
                    return;
                }
                self.unkept.try_set_value(None);
            }
            self.read(&client);
        });
    }

    fn take(self, conversation: Conversation) {
        // What is being written here is newer than what is kept.
        if self.writing.try_get_untracked().flatten().is_some() {
            return;
        }
        self.problem.set(None);
        self.title.set(conversation.title);
        self.model.set(conversation.model);
        self.system.set(conversation.system.unwrap_or_default());
        let options = conversation.options.map(serde_json::Value::Object).and_then(|options| body::read(&options).ok());
        self.options.set(options.unwrap_or_default());
        self.messages.set(conversation.messages);
        self.head.set(conversation.head);
    }

    /// Changes something of it; kept at once if it is one that is kept.
    pub fn update(self, client: &Client, update: ConversationUpdate) {
        let Some(id) = self.id.get_untracked() else { return };
        let client = client.clone();
        leptos::task::spawn_local(async move {
            let path = format!("/api/v1/conversations/{id}");
            if let Err(problem) = client.send("PATCH", &path, Some(&update)).await {
                self.problem.try_set(Some(problem));
            }
        });
    }

    /// Shows the branch of this variant.
    pub fn show(self, client: &Client, message: &str) {
        let head = self.messages.with_untracked(|messages| thread::tip(messages, message));
        self.head.set(Some(head.clone()));
        self.update(client, ConversationUpdate { head: Some(head), ..ConversationUpdate::default() });
    }

    /// Stops the answer that is being written; what is there of it stays.
    pub fn stop(self) {
        self.stop.with_value(|stop| {
            if let Some(stop) = stop {
                stop.abort();
            }
        });
    }

    /// Sends words after `parent` (the head, for what goes on) and has them answered.
    /// What could not be handed over goes to `back`.
    pub fn send(
        self,
        client: &Client,
        talks: Talks,
        draft: Draft,
        parent: Option<String>,
        begun: impl FnOnce(String) + 'static,
        back: impl FnOnce(Draft) + 'static,
    ) {
        let client = client.clone();
        leptos::task::spawn_local(async move {
            match self.hand_over(&client, talks, draft.clone(), parent, begun).await {
                Ok((id, asked)) => {
                    if let Err(problem) = self.answer(&client, &id, asked).await {
                        self.problem.try_set(Some(problem));
                    }
                }
                Err(problem) => {
                    self.problem.try_set(Some(problem));
                    back(draft);
                }
            }
        });
    }

    /// Has the node keep what is asked; tells the conversation and the message.
    async fn hand_over(
        self,
        client: &Client,
        talks: Talks,
        draft: Draft,
        parent: Option<String>,
        begun: impl FnOnce(String),
    ) -> Result<(String, String), Problem> {
        self.problem.set(None);
        let id = match self.id.get_untracked() {
            Some(id) => id,
            None => {
                let id = dom::fresh_id();
                let system = Some(self.system.get_untracked()).filter(|system| !system.trim().is_empty());
                let new = NewConversation {
                    id: Some(id.clone()),
                    title: None,
                    model: self.model.get_untracked(),
                    system,
                    options: options_map(&self.options.get_untracked()),
                };
                let made: Conversation = client.post("/api/v1/conversations", &new).await?;
                self.id.set(Some(made.id.clone()));
                talks.keep(&made.id, self);
                begun(made.id.clone());
                made.id
            }
        };
        let mut message = NewConversationMessage::text(MessageRole::User, draft.text);
        message.id = Some(dom::fresh_id());
        message.parent = Some(parent);
        message.images = draft.images;
        message.attachments = draft.files;
        let written: MessageWritten = client.post(&format!("/api/v1/conversations/{id}/messages"), &message).await?;
        self.title.set(written.conversation.title);
        let asked = written.message.id.clone();
        self.messages.update(|messages| messages.push(written.message));
        self.head.set(Some(asked.clone()));
        Ok((id, asked))
    }

    /// Has a message answered once more, beside the answers it has.
    pub fn retry(self, client: &Client, question: String) {
        let client = client.clone();
        let Some(id) = self.id.get_untracked() else { return };
        self.problem.set(None);
        self.head.set(Some(question.clone()));
        leptos::task::spawn_local(async move {
            if let Err(problem) = self.answer(&client, &id, question).await {
                self.problem.try_set(Some(problem));
            }
        });
    }
}

/// Options as they are kept; `None` where none is set.
pub fn options_map(options: &Options) -> Option<serde_json::Map<String, serde_json::Value>> {
    match serde_json::to_value(options) {
        Ok(serde_json::Value::Object(map)) if !map.is_empty() => Some(map),
        _ => None,
    }
}

//! Writing messages down: added once however often they are sent, replaced while an answer is written.

use super::{Conversations, to_its_end};
use crate::{ConversationsError, Draft, MAX_MESSAGE_BYTES, Message, Role, Written, picture::Pictures, title};
use kith_store::{MessageNew, MessagePut};
use std::sync::Arc;

/// Whether a message must be new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is added; one that is there already must be the same.
    Add,
    /// It is replaced; one that is not there is added.
    Put,
}

impl Conversations {
    /// Adds a message, which becomes the conversation's head. The same message sent again is answered as it stands.
    ///
    /// # Errors
    /// [`ConversationsError::NotFound`]; [`ConversationsError::NotInConversation`] for a parent that is none of its messages;
    /// [`ConversationsError::Clash`] if the id is that of another message; [`ConversationsError::Invalid`],
    /// [`ConversationsError::TooLarge`], [`ConversationsError::TooMany`], [`ConversationsError::Full`], [`ConversationsError::Store`].
    pub async fn append(self: &Arc<Self>, conversation: String, draft: Draft) -> Result<Written, ConversationsError> {
        self.begin(conversation, draft, Way::Add).await
    }

    /// Replaces a message's content and details, or adds it if it is not there. Its role and parent stay.
    ///
    /// # Errors
    /// Those of [`Conversations::append`]; [`ConversationsError::Clash`] if the message there has another role or parent.
    pub async fn put(self: &Arc<Self>, conversation: String, draft: Draft) -> Result<Written, ConversationsError> {
        self.begin(conversation, draft, Way::Put).await
    }

    /// One message as it stands.
    ///
    /// # Errors
    /// [`ConversationsError::NotFound`], [`ConversationsError::NoMessage`], [`ConversationsError::Store`].
    pub async fn message(&self, conversation: &str, id: &str) -> Result<Message, ConversationsError> {
        self.row(conversation).await?;
        let row = self.store.message(conversation, id).await?;
        row.ok_or_else(|| ConversationsError::NoMessage(id.to_owned()))?.try_into()
    }

    async fn begin(self: &Arc<Self>, conversation: String, draft: Draft, way: Way) -> Result<Written, ConversationsError> {
        draft.check()?;
        Pictures::check(&draft.pictures)?;
        // Nothing is put on the disk for a conversation that is not there.
        self.row(&conversation).await?;
        let this = Arc::clone(self);
        to_its_end(async move { this.write(&conversation, draft, way).await }).await
    }

    async fn write(&self, conversation: &str, draft: Draft, way: Way) -> Result<Written, ConversationsError> {
        let Draft { id, parent, role, content, mut details, pictures } = draft;
        let id = self.id(id)?;
        let kept = self.pictures.keep(pictures).await?;
        details.pictures.clone_from(&kept.shown);
        details.check()?;
        let text = serde_json::to_string(&details).map_err(ConversationsError::internal)?;
        if content.len().saturating_add(text.len()) > MAX_MESSAGE_BYTES {
            return Err(ConversationsError::TooLarge { field: "content", what: "the message", limit: MAX_MESSAGE_BYTES as u64 });
        }
        let named = || title::automatic(&content).or_else(|| title::automatic(&details.attachments.first()?.name));
        let title = if role == Role::User { named() } else { None };
        let at = self.clock.now();
        let new = MessageNew {
            id: &id,
            parent: parent.as_ref().map(Option::as_deref),
            role: role.as_str(),
            content: &content,
            details: &text,
            pictures: &kept.rows,
            title: title.as_deref(),
            at,
        };
        let mut put = match way {
            Way::Add => self.store.message_add(conversation, &new, &self.bounds.each).await?,
            Way::Put => self.store.message_replace(conversation, &new, &self.bounds.each).await?,
        };
        let mut added = way == Way::Add;
        if way == Way::Put && put == MessagePut::NoMessage {
            put = self.store.message_add(conversation, &new, &self.bounds.each).await?;
            added = true;
            // Somebody added it in between.
            if matches!(put, MessagePut::Exists(..)) {
                put = self.store.message_replace(conversation, &new, &self.bounds.each).await?;
                added = false;
            }
        }
        drop(kept);
        match put {
            MessagePut::Done(row, message) => {
                let ended = added || role != Role::Assistant || details.ended();
                self.told.written(conversation, &message.id, ended, at);
                Ok(Written { conversation: row.into(), message: message.try_into()?, new: added })
            }
            MessagePut::Exists(row, there) => {
                let same_place = parent.as_ref().is_none_or(|parent| *parent == there.parent);
                // Compared as they are kept: a number read back may differ in its last bit.
                if same_place && there.role == role.as_str() && there.content == content && there.details == text {
                    return Ok(Written { conversation: row.into(), message: there.try_into()?, new: false });
                }
                Err(ConversationsError::Clash(format!("the conversation has another message `{id}`; replace it instead")))
            }
            MessagePut::Differs => {
                let message = format!("the message `{id}` has another role or another parent, and both stay as they are");
                Err(ConversationsError::Clash(message))
            }
            MessagePut::NoMessage => Err(ConversationsError::NoMessage(id)),
            MessagePut::NoConversation => Err(ConversationsError::NotFound(conversation.to_owned())),
            MessagePut::NoParent => {
                Err(ConversationsError::NotInConversation { field: "parent", id: parent.flatten().unwrap_or_default() })
            }
            MessagePut::TooMany => {
                Err(ConversationsError::TooMany { what: "messages in this conversation", limit: self.bounds.each.messages })
            }
            MessagePut::TooLarge => {
                Err(ConversationsError::TooLarge { field: "content", what: "the conversation", limit: self.bounds.each.bytes })
            }
            MessagePut::TooLargePictures => Err(ConversationsError::TooLarge {
                field: "images",
                what: "the conversation's images",
                limit: self.bounds.each.picture_bytes,
            }),
        }
    }
}

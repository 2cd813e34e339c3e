//! The conversations of this node: begun, listed, sought, changed, forked, thrown away and brought back.

mod writing;

use crate::{
    Change, Conversation, ConversationsError, Found, New, Opened, Page, Wanted,
    conversation::{check_model, check_system, cursor, options_read, options_text, place},
    id,
    message::Role,
    picture::Pictures,
    search, title,
    told::Told,
};
use kith_events::Events;
use kith_keys::Entropy;
use kith_store::{
    ConversationChange, ConversationChanged, ConversationForked, ConversationPut, ConversationRow, ConversationTexts,
    MessageBounds, Store,
};
use kith_types::{Blake3, Clock};
use std::{path::PathBuf, sync::Arc};

/// The most conversations, those thrown away counted in.
pub const MAX_CONVERSATIONS: u64 = 100_000;
/// The most messages of a conversation, on all branches.
pub const MAX_MESSAGES: u64 = 10_000;
/// The most bytes of a conversation's texts: it is read as a whole.
pub const MAX_CONVERSATION_BYTES: u64 = 64 << 20;
/// The most bytes of a conversation's pictures.
pub const MAX_CONVERSATION_PICTURE_BYTES: u64 = 1 << 30;
/// How long what was thrown away can be brought back, in days.
pub const KEPT_DAYS: i64 = 30;
/// The most conversations of a page.
pub const MAX_LIMIT: u32 = 200;
/// The conversations of a page unless asked otherwise.
pub const DEFAULT_LIMIT: u32 = 50;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Conversations.
    pub conversations: u64,
    /// Of each.
    pub each: MessageBounds,
}

impl Default for Bounds {
    fn default() -> Self {
        let each = MessageBounds {
            messages: MAX_MESSAGES,
            bytes: MAX_CONVERSATION_BYTES,
            picture_bytes: MAX_CONVERSATION_PICTURE_BYTES,
        };
        Self { conversations: MAX_CONVERSATIONS, each }
    }
}

/// What conversations are made of.
pub struct ConversationsParts {
    /// Where they are kept.
    pub store: Store,
    /// The folder of their pictures, used by nobody else.
    pub pictures: PathBuf,
    /// Who is told of changes.
    pub events: Events,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub entropy: Arc<dyn Entropy>,
    /// How much is kept.
    pub bounds: Bounds,
}

/// The conversations of this node.
pub struct Conversations {
    store: Store,
    pictures: Pictures,
    told: Told,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    bounds: Bounds,
}

/// Does work to its end even if whoever asked for it is gone: what is written is told to all, and no file is left half in use.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ConversationsError>> + Send + 'static,
) -> Result<T, ConversationsError> {
    tokio::spawn(work).await.map_err(ConversationsError::internal)?
}

impl Conversations {
    /// Opens the conversations.
    ///
    /// # Errors
    /// [`ConversationsError::Blobs`] if the folder of pictures cannot be used.
    pub async fn open(parts: ConversationsParts) -> Result<Arc<Self>, ConversationsError> {
        Ok(Arc::new(Self {
            store: parts.store,
            pictures: Pictures::open(&parts.pictures).await?,
            told: Told::new(parts.events),
            clock: parts.clock,
            entropy: parts.entropy,
            bounds: parts.bounds,
        }))
    }

    fn id(&self, given: Option<String>) -> Result<String, ConversationsError> {
        match given {
            Some(given) => id::check("id", &given).map(|()| given),
            None => id::make(self.clock.now(), self.entropy.as_ref()),
        }
    }

    fn new_row(
        &self,
        id: Option<String>,
        title: Option<&str>,
        model: Option<String>,
    ) -> Result<ConversationRow, ConversationsError> {
        let now = self.clock.now();
        Ok(ConversationRow {
            id: self.id(id)?,
            title: title.map(title::given).transpose()?.unwrap_or_default(),
            named: title.is_some(),
            pinned: false,
            model,
            head: None,
            messages: 0,
            bytes: 0,
            created: now,
            updated: now,
            deleted: None,
        })
    }

    fn too_many(&self) -> ConversationsError {
        ConversationsError::TooMany { what: "conversations", limit: self.bounds.conversations }
    }

    async fn row(&self, id: &str) -> Result<(ConversationRow, ConversationTexts), ConversationsError> {
        let found = self.store.conversation(id).await?.filter(|(row, _)| row.deleted.is_none());
        found.ok_or_else(|| ConversationsError::NotFound(id.to_owned()))
    }

    async fn whole(&self, id: &str, messages: bool) -> Result<Conversation, ConversationsError> {
        let (row, texts) = self.row(id).await?;
        let messages = if messages { self.store.messages(id).await? } else { Vec::new() };
        Ok(Conversation {
            summary: row.into(),
            system: texts.system,
            options: texts.options.as_deref().map(options_read).transpose()?,
            messages: messages.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }

    /// Begins a conversation; says whether it is new. One with the id given, from before, is left as it is.
    ///
    /// # Errors
    /// [`ConversationsError::Invalid`], [`ConversationsError::TooLarge`], [`ConversationsError::TooMany`];
    /// [`ConversationsError::Clash`] if the id is that of one that was thrown away; [`ConversationsError::Store`].
    pub async fn create(self: &Arc<Self>, new: New) -> Result<(Conversation, bool), ConversationsError> {
        new.model.as_deref().map_or(Ok(()), check_model)?;
        new.system.as_deref().map_or(Ok(()), check_system)?;
        let options = new.options.as_ref().map(options_text).transpose()?;
        let row = self.new_row(new.id, new.title.as_deref(), new.model)?;
        let texts = ConversationTexts { system: new.system, options };
        let this = Arc::clone(self);
        to_its_end(async move {
            let new = match this.store.conversation_add(&row, &texts, this.bounds.conversations).await? {
                ConversationPut::Added => true,
                ConversationPut::Exists => false,
                ConversationPut::Full => return Err(this.too_many()),
            };
            if new {
                this.told.created(&row.id);
            }
            match this.whole(&row.id, false).await {
                Err(ConversationsError::NotFound(id)) => {
                    Err(ConversationsError::Clash(format!("the conversation `{id}` was deleted; restore it, or take another id")))
                }
                found => Ok((found?, new)),
            }
        })
        .await
    }

    /// One conversation, with its messages if `messages`.
    ///
    /// # Errors
    /// [`ConversationsError::NotFound`], [`ConversationsError::Store`].
    pub async fn get(&self, id: &str, messages: bool) -> Result<Conversation, ConversationsError> {
        self.whole(id, messages).await
    }

    /// A part of the list.
    ///
    /// # Errors
    /// [`ConversationsError::Invalid`], [`ConversationsError::Store`].
    pub async fn list(&self, wanted: Wanted) -> Result<Page, ConversationsError> {
        let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ConversationsError::invalid("limit", format!("must be between 1 and {MAX_LIMIT}")));
        }
        let after = wanted.cursor.as_deref().map(place).transpose()?;
        let sought = wanted.query.as_deref().map(search::sought).transpose()?.flatten();
        let mut found: Vec<Found> = match sought {
            Some(_) if wanted.deleted => {
                return Err(ConversationsError::invalid("query", "cannot stand together with `deleted`"));
            }
            // One more than wanted tells whether there is a next page.
            Some(sought) => {
                let hits = self.store.conversations_search(&sought, after.as_ref(), limit + 1).await?;
                let found = |hit: kith_store::ConversationHit| Found {
                    summary: hit.row.into(),
                    snippet: hit.snippet.as_deref().map(search::one_line),
                };
                hits.into_iter().map(found).collect()
            }
            None => {
                let rows = self.store.conversations_page(wanted.deleted, after.as_ref(), limit + 1).await?;
                rows.into_iter().map(|row| Found { summary: row.into(), snippet: None }).collect()
            }
        };
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| more).map(|last| cursor(&last.summary));
        Ok(Page { conversations: found, next })
    }

    /// Changes a conversation: all of it or nothing. Gives it as it is then, without its messages.
    ///
    /// # Errors
    /// [`ConversationsError::NotFound`]; [`ConversationsError::NotInConversation`] for a head that is none of its messages;
    /// [`ConversationsError::Invalid`], [`ConversationsError::TooLarge`], [`ConversationsError::Store`].
    pub async fn change(self: &Arc<Self>, id: String, change: Change) -> Result<Conversation, ConversationsError> {
        change.model.as_ref().and_then(Option::as_deref).map_or(Ok(()), check_model)?;
        change.system.as_ref().and_then(Option::as_deref).map_or(Ok(()), check_system)?;
        let options = change.options.as_ref().map(|options| options.as_ref().map(options_text).transpose()).transpose()?;
        let title = match &change.title {
            Some(Some(given)) => Some((title::given(given)?, true)),
            Some(None) => Some((self.said_first(&id).await?.unwrap_or_default(), false)),
            None => None,
        };
        let this = Arc::clone(self);
        to_its_end(async move {
            let row = ConversationChange {
                title: title.as_ref().map(|(title, named)| (title.as_str(), *named)),
                pinned: change.pinned,
                model: change.model.as_ref().map(Option::as_deref),
                system: change.system.as_ref().map(Option::as_deref),
                options: options.as_ref().map(Option::as_deref),
                head: change.head.as_deref(),
            };
            match (this.store.conversation_change(&id, &row).await?, &change.head) {
                (ConversationChanged::Done, _) => {}
                (ConversationChanged::NoMessage, Some(head)) => {
                    return Err(ConversationsError::NotInConversation { field: "head", id: head.clone() });
                }
                (ConversationChanged::NoConversation | ConversationChanged::NoMessage, _) => {
                    return Err(ConversationsError::NotFound(id));
                }
            }
            let named = [
                ("title", change.title.is_some()),
                ("pinned", change.pinned.is_some()),
                ("model", change.model.is_some()),
                ("system", change.system.is_some()),
                ("options", change.options.is_some()),
                ("head", change.head.is_some()),
            ];
            let fields: Vec<&str> = named.iter().filter(|(_, named)| *named).map(|(field, _)| *field).collect();
            if !fields.is_empty() {
                this.told.changed(&id, &fields);
            }
            this.whole(&id, false).await
        })
        .await
    }

    /// The title that the user's first message gives.
    async fn said_first(&self, id: &str) -> Result<Option<String>, ConversationsError> {
        let first = self.store.message_first(id, Role::User.as_str()).await?;
        Ok(first.and_then(|message| title::automatic(&message.content)))
    }

    /// Throws a conversation away: it can be brought back for [`KEPT_DAYS`]. With `forever` it is gone at once. To throw away what was
    /// thrown away changes nothing.
    ///
    /// # Errors
    /// [`ConversationsError::NotFound`], [`ConversationsError::Store`].
    pub async fn delete(self: &Arc<Self>, id: String, forever: bool) -> Result<(), ConversationsError> {
        let this = Arc::clone(self);
        to_its_end(async move {
            let there = match forever {
                true => this.store.conversation_delete(&id).await?,
                false => this.store.conversation_mark(&id, Some(this.clock.now())).await?,
            };
            if !there {
                return Err(ConversationsError::NotFound(id));
            }
            this.told.deleted(&id, forever);
            if forever && let Err(error) = this.pictures.collect(&this.store).await {
                tracing::warn!(%error, "the images of a deleted conversation could not be removed; the next clean-up tries again");
            }
            Ok(())
        })
        .await
    }

    /// Brings back what was thrown away. One that was not is left as it is.
    ///
    /// # Errors
    /// [`ConversationsError::NotFound`], [`ConversationsError::Store`].
    pub async fn restore(self: &Arc<Self>, id: String) -> Result<Conversation, ConversationsError> {
        let this = Arc::clone(self);
        to_its_end(async move {
            if !this.store.conversation_mark(&id, None).await? {
                return Err(ConversationsError::NotFound(id));
            }
            this.told.changed(&id, &["deleted"]);
            this.whole(&id, false).await
        })
        .await
    }

    /// Begins a conversation with a copy of the branch of `source` that ends in `at` (its head, without one). Says whether it is new;
    /// one with the id given, from before, is left as it is.
    ///
    /// # Errors
    /// [`ConversationsError::NotFound`], [`ConversationsError::NoMessage`], [`ConversationsError::Invalid`],
    /// [`ConversationsError::TooMany`]; [`ConversationsError::Clash`] if the id is that of one that was thrown away;
    /// [`ConversationsError::Store`].
    pub async fn fork(
        self: &Arc<Self>,
        source: String,
        at: Option<String>,
        id: Option<String>,
        title: Option<String>,
    ) -> Result<(Conversation, bool), ConversationsError> {
        let (from, _) = self.row(&source).await?;
        let mut row = self.new_row(id, title.as_deref(), None)?;
        if title.is_none() {
            (row.title, row.named) = (from.title, from.named);
        }
        let this = Arc::clone(self);
        to_its_end(async move {
            let made = this.store.conversation_fork(&source, at.as_deref(), &row, this.bounds.conversations).await?;
            let new = match (made, at) {
                (ConversationForked::Made, _) => true,
                (ConversationForked::Exists, _) => false,
                (ConversationForked::Full, _) => return Err(this.too_many()),
                (ConversationForked::NoMessage, Some(at)) => return Err(ConversationsError::NoMessage(at)),
                (ConversationForked::NoConversation | ConversationForked::NoMessage, _) => {
                    return Err(ConversationsError::NotFound(source));
                }
            };
            if new {
                this.told.created(&row.id);
            }
            match this.whole(&row.id, true).await {
                Err(ConversationsError::NotFound(id)) => {
                    Err(ConversationsError::Clash(format!("the conversation `{id}` was deleted; restore it, or take another id")))
                }
                found => Ok((found?, new)),
            }
        })
        .await
    }

    /// A picture that some message of the conversation shows.
    ///
    /// # Errors
    /// [`ConversationsError::NotFound`], [`ConversationsError::NoPicture`], [`ConversationsError::Store`],
    /// [`ConversationsError::Blobs`].
    pub async fn picture(&self, id: &str, digest: &str) -> Result<Opened, ConversationsError> {
        self.row(id).await?;
        let absent = || ConversationsError::NoPicture(digest.chars().take(80).collect());
        let blob: Blake3 = digest.parse().map_err(|_| absent())?;
        let row = self.store.picture(id, &blob).await?.ok_or_else(absent)?;
        self.pictures.read(row).await
    }

    /// Removes what was thrown away more than [`KEPT_DAYS`] ago, and pictures that no message shows. Says how many conversations went.
    ///
    /// # Errors
    /// [`ConversationsError::Store`], [`ConversationsError::Blobs`].
    pub async fn clean(&self) -> Result<u64, ConversationsError> {
        let before = self.clock.now().plus_ms(-KEPT_DAYS * DAY_MS);
        let mut removed = 0;
        // One at a time, so that others can write in between.
        while self.store.conversation_expire(before).await? {
            removed += 1;
        }
        self.pictures.collect(&self.store).await?;
        Ok(removed)
    }
}

#[cfg(test)]
mod tests;

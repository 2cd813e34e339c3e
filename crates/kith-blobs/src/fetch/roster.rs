//! The holders that one fetch knows, and those it will not ask again.

use super::{Change, Holder, MAX_HOLDERS};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};
use tokio::sync::mpsc;

/// Who may be asked.
pub struct Roster {
    inbox: mpsc::Receiver<Change>,
    known: BTreeMap<String, Arc<dyn Holder>>,
    banned: HashSet<String>,
    /// Nobody comes any more.
    closed: bool,
}

/// News of the roster.
pub enum News {
    /// Somebody who was not known.
    New(String, Arc<dyn Holder>),
    /// Somebody known is gone.
    Gone(String),
    /// Nothing that matters.
    Nothing,
}

impl Roster {
    pub fn new(inbox: mpsc::Receiver<Change>) -> Self {
        Self { inbox, known: BTreeMap::new(), banned: HashSet::new(), closed: false }
    }

    /// Those who are known and not banned.
    pub fn known(&self) -> Vec<(String, Arc<dyn Holder>)> {
        self.known.iter().map(|(id, holder)| (id.clone(), Arc::clone(holder))).collect()
    }

    /// Whether this one is here and not banned.
    pub fn knows(&self, id: &str) -> bool {
        self.known.contains_key(id)
    }

    /// Never again.
    pub fn ban(&mut self, id: &str) {
        self.known.remove(id);
        // Bounded like those who are known: a stranger with ever new names is somebody the caller lets in.
        if self.banned.len() < MAX_HOLDERS {
            self.banned.insert(id.to_owned());
        }
    }

    /// Whether nobody new can come.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Waits for news; for ever, once nobody comes any more.
    pub async fn news(&mut self) -> News {
        if self.closed {
            return std::future::pending().await;
        }
        match self.inbox.recv().await {
            None => {
                self.closed = true;
                News::Nothing
            }
            Some(Change::Left(id)) => match self.known.remove(&id) {
                Some(_) => News::Gone(id),
                None => News::Nothing,
            },
            Some(Change::Joined(holder)) => {
                let id = holder.id().to_owned();
                if self.known.contains_key(&id)
                    || self.banned.contains(&id)
                    || self.known.len() + self.banned.len() >= MAX_HOLDERS
                {
                    return News::Nothing;
                }
                self.known.insert(id.clone(), Arc::clone(&holder));
                News::New(id, holder)
            }
        }
    }
}

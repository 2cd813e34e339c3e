//! Contacts: the nodes the owner wants to find again.

use crate::SystemError;
use kith_events::Events;
use kith_store::{ContactPut, ContactRow, Store};
use kith_types::{Clock, NodeId, Timestamp};
use serde_json::json;
use std::sync::Arc;

/// The most contacts.
pub const MAX_CONTACTS: u32 = 10_000;
/// The longest name, in characters.
const MAX_NAME: usize = 64;
/// The longest notes, in characters.
const MAX_NOTES: usize = 1000;

/// A node the owner wants to find again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The node.
    pub node_id: NodeId,
    /// What the owner calls it.
    pub name: String,
    /// The owner's notes.
    pub notes: String,
    /// When it became a contact.
    pub added: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// Keeps the contacts.
pub struct Contacts {
    store: Store,
    clock: Arc<dyn Clock>,
    events: Events,
}

fn contact(row: ContactRow) -> Result<Contact, SystemError> {
    let node_id = row.node_id.parse().map_err(SystemError::internal)?;
    Ok(Contact { node_id, name: row.name, notes: row.notes, added: row.added, updated: row.updated })
}

/// The text without space around it, if it is short enough and has no control characters but, where `lines`, ends of lines.
pub(crate) fn words(field: &'static str, text: &str, most: usize, lines: bool) -> Result<String, SystemError> {
    let text = text.trim();
    if text.chars().nth(most).is_some() {
        return Err(SystemError::invalid(field, format!("must have at most {most} characters")));
    }
    if text.chars().any(|c| c.is_control() && !(lines && matches!(c, '\n' | '\t'))) {
        return Err(SystemError::invalid(field, "must not have control characters"));
    }
    Ok(text.to_owned())
}

/// Reads a node's id.
fn node(text: &str) -> Result<NodeId, SystemError> {
    text.parse().map_err(|_| SystemError::invalid("node_id", "is not a node id: it has the form 12D3Koo…"))
}

impl Contacts {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>, events: Events) -> Self {
        Self { store, clock, events }
    }

    /// Adds a contact, or changes it; says whether it is new.
    ///
    /// # Errors
    /// [`SystemError::Invalid`] for a text that is no node id, a name of not 1 to 64 characters, notes of more than 1000;
    /// [`SystemError::TooMany`] over 10,000 contacts; [`SystemError::Store`].
    pub async fn put(&self, node_id: &str, name: &str, notes: &str) -> Result<(Contact, bool), SystemError> {
        let node_id = node(node_id)?;
        let name = words("name", name, MAX_NAME, false)?;
        if name.is_empty() {
            return Err(SystemError::invalid("name", "must not be empty"));
        }
        let notes = words("notes", notes, MAX_NOTES, true)?;
        let now = self.clock.now();
        let row = ContactRow { node_id: node_id.to_string(), name, notes, added: now, updated: now };
        let new = match self.store.contact_put(&row, MAX_CONTACTS).await? {
            ContactPut::Added => true,
            ContactPut::Changed => false,
            ContactPut::Full => return Err(SystemError::TooMany { what: "contacts", bound: MAX_CONTACTS as usize }),
        };
        self.events.publish(if new { "contacts.added" } else { "contacts.changed" }, json!({"node_id": row.node_id}));
        Ok((self.get(&row.node_id).await?, new))
    }

    /// All contacts, by name.
    ///
    /// # Errors
    /// [`SystemError::Store`].
    pub async fn list(&self) -> Result<Vec<Contact>, SystemError> {
        self.store.contacts().await?.into_iter().map(contact).collect()
    }

    /// The contact with this node id.
    ///
    /// # Errors
    /// [`SystemError::Invalid`] for a text that is no node id; [`SystemError::NotFound`], [`SystemError::Store`].
    pub async fn get(&self, node_id: &str) -> Result<Contact, SystemError> {
        let row = self.store.contact(node(node_id)?.as_str()).await?;
        contact(row.ok_or(SystemError::NotFound("contact"))?)
    }

    /// Removes a contact.
    ///
    /// # Errors
    /// As [`Contacts::get`].
    pub async fn remove(&self, node_id: &str) -> Result<(), SystemError> {
        let node_id = node(node_id)?;
        if !self.store.contact_delete(node_id.as_str()).await? {
            return Err(SystemError::NotFound("contact"));
        }
        self.events.publish("contacts.removed", json!({"node_id": node_id}));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::tests::House;

    fn id(byte: u8) -> String {
        NodeId::from_ed25519(&[byte; 32]).to_string()
    }

    #[tokio::test]
    async fn a_contact_is_put_read_changed_and_removed() {
        let house = House::new().await;
        let contacts = &house.system.contacts;
        let (first, new) = contacts.put(&id(1), " Ann ", "line\nline").await.unwrap();
        assert_eq!((first.name.as_str(), new), ("Ann", true));
        house.clock.forward(5);
        let (second, new) = contacts.put(&id(1), "Ann B", "").await.unwrap();
        assert_eq!((second.added, second.updated.ms() - first.updated.ms(), new), (first.added, 5, false));
        assert_eq!(contacts.list().await.unwrap(), [second]);
        contacts.remove(&id(1)).await.unwrap();
        assert!(matches!(contacts.remove(&id(1)).await, Err(SystemError::NotFound(_))));
        assert!(matches!(contacts.get(&id(1)).await, Err(SystemError::NotFound(_))));
    }

    #[tokio::test]
    async fn values_out_of_bounds_are_told_by_field() {
        let house = House::new().await;
        let (long_name, long_notes, good) = ("x".repeat(65), "x".repeat(1001), id(1));
        for (node_id, name, notes, field) in [
            ("x", "Ann", "", "node_id"),
            ("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "Ann", "", "node_id"),
            (&good, " ", "", "name"),
            (&good, &long_name, "", "name"),
            (&good, "a\nb", "", "name"),
            (&good, "Ann", &long_notes, "notes"),
            (&good, "Ann", "\u{0}", "notes"),
        ] {
            let error = house.system.contacts.put(node_id, name, notes).await.unwrap_err();
            assert!(matches!(error, SystemError::Invalid { field: found, .. } if found == field), "{field}: {error}");
        }
    }
}

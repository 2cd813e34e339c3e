//! Contacts: the nodes the owner wants to find again.

use crate::{Store, StoreError};
use kith_types::Timestamp;
use sqlx::{Row, sqlite::SqliteRow};

/// One row of `contacts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRow {
    /// The node, `12D3Koo…`.
    pub node_id: String,
    /// What the owner calls it.
    pub name: String,
    /// The owner's notes.
    pub notes: String,
    /// When it became a contact.
    pub added: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// What putting a contact did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactPut {
    /// It is new.
    Added,
    /// It was there, and was changed.
    Changed,
    /// There are as many as may be; nothing was done.
    Full,
}

const COLUMNS_BY_ID: &str = "SELECT node_id, name, notes, added, updated FROM contacts WHERE node_id = ?1";

fn contact(row: &SqliteRow) -> Result<ContactRow, StoreError> {
    Ok(ContactRow {
        node_id: row.try_get("node_id")?,
        name: row.try_get("name")?,
        notes: row.try_get("notes")?,
        added: Timestamp::from_ms(row.try_get("added")?),
        updated: Timestamp::from_ms(row.try_get("updated")?),
    })
}

impl Store {
    /// Adds the contact, or changes it but for the time it was added. At most `most` are kept.
    pub async fn contact_put(&self, row: &ContactRow, most: u32) -> Result<ContactPut, StoreError> {
        let mut transaction = self.transaction().await?;
        let there = sqlx::query(COLUMNS_BY_ID).bind(&row.node_id).fetch_optional(&mut *transaction).await?.is_some();
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM contacts").fetch_one(&mut *transaction).await?;
        if !there && count >= i64::from(most) {
            return Ok(ContactPut::Full);
        }
        sqlx::query(
            "INSERT INTO contacts (node_id, name, notes, added, updated) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (node_id) DO UPDATE SET name = excluded.name, notes = excluded.notes, updated = excluded.updated",
        )
        .bind(&row.node_id)
        .bind(&row.name)
        .bind(&row.notes)
        .bind(row.added.ms())
        .bind(row.updated.ms())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(if there { ContactPut::Changed } else { ContactPut::Added })
    }

    /// The contact with this node id.
    pub async fn contact(&self, node_id: &str) -> Result<Option<ContactRow>, StoreError> {
        let row = sqlx::query(COLUMNS_BY_ID).bind(node_id).fetch_optional(self.reads()).await?;
        row.as_ref().map(contact).transpose()
    }

    /// All contacts, by name.
    pub async fn contacts(&self) -> Result<Vec<ContactRow>, StoreError> {
        let rows = sqlx::query("SELECT node_id, name, notes, added, updated FROM contacts ORDER BY name COLLATE NOCASE, node_id")
            .fetch_all(self.reads())
            .await?;
        rows.iter().map(contact).collect()
    }

    /// Removes a contact; says whether it was there.
    pub async fn contact_delete(&self, node_id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM contacts WHERE node_id = ?1").bind(node_id).execute(self.writes()).await?;
        Ok(done.rows_affected() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    fn row(node_id: &str, name: &str, at: i64) -> ContactRow {
        let at = Timestamp::from_ms(at);
        ContactRow { node_id: node_id.into(), name: name.into(), notes: String::new(), added: at, updated: at }
    }

    #[tokio::test]
    async fn a_contact_is_added_changed_listed_by_name_and_removed() {
        let (_folder, store) = temporary().await;
        assert_eq!(store.contact_put(&row("b", "zoe", 1), 10).await.unwrap(), ContactPut::Added);
        assert_eq!(store.contact_put(&row("a", "Bob", 2), 10).await.unwrap(), ContactPut::Added);
        assert_eq!(store.contact_put(&row("b", "ann", 3), 10).await.unwrap(), ContactPut::Changed);
        let names: Vec<_> = store.contacts().await.unwrap().into_iter().map(|row| row.name).collect();
        assert_eq!(names, ["ann", "Bob"]);
        let changed = store.contact("b").await.unwrap().unwrap();
        assert_eq!((changed.added.ms(), changed.updated.ms()), (1, 3));
        assert!(store.contact_delete("b").await.unwrap());
        assert!(!store.contact_delete("b").await.unwrap());
        assert_eq!(store.contact("b").await.unwrap(), None);
    }

    #[tokio::test]
    async fn over_the_bound_only_known_contacts_are_taken() {
        let (_folder, store) = temporary().await;
        store.contact_put(&row("a", "a", 1), 1).await.unwrap();
        assert_eq!(store.contact_put(&row("b", "b", 1), 1).await.unwrap(), ContactPut::Full);
        assert_eq!(store.contact_put(&row("a", "c", 1), 1).await.unwrap(), ContactPut::Changed);
        assert_eq!(store.contacts().await.unwrap().len(), 1);
    }
}

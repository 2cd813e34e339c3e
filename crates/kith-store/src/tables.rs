//! One module per table: its row type, its statements, a test for each.

pub mod adapters;
pub mod audit;
pub mod bearers;
pub mod contacts;
pub mod conversation_messages;
pub mod conversation_search;
pub mod conversations;
pub mod metrics_points;
pub mod models;
pub mod profile;
pub mod providers;
pub mod responses;
pub mod settings;
pub mod uploads;

pub mod devices;

pub mod network_invites;
pub mod network_members;
pub mod network_rotations;
pub mod networks;
pub mod node_records;

use crate::StoreError;
use sqlx::{Row, sqlite::SqliteRow};

/// Reads a column of 32 bytes; any other length means that the file was tampered with.
fn bytes32(row: &SqliteRow, column: &str) -> Result<[u8; 32], StoreError> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| StoreError::Corrupt(format!("column `{column}` holds {} bytes instead of 32", bytes.len())))
}

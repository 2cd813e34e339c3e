//! What can go wrong with the node's database, by what the caller can do about it.

/// A statement, or opening the file, failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the quota is full. Nothing was changed; it works again once there is room.
    #[error("there is no room left on the disk for the database")]
    Full,
    /// The file was written by a newer Kith. Update Kith, or use another data folder.
    #[error("the database has schema {found}, but this Kith knows only schemas up to {known}: update Kith to open it")]
    Newer {
        /// The schema's number in the file.
        found: i64,
        /// The newest schema's number that this build knows.
        known: i64,
    },
    /// The file is not a database of Kith, or is damaged. Restore it from a copy.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// Another process or too many statements hold the database. Try again.
    #[error("the database is busy")]
    Busy,
    /// Anything else; the message is for the log.
    #[error("the database failed: {0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

// Primary result codes, the low byte of what SQLite reports. <https://www.sqlite.org/rescode.html>
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_FULL: i32 = 13;
const SQLITE_NOTADB: i32 = 26;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::Io(io) => match io.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
                _ => Self::Other(error.into()),
            },
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                Self::Corrupt(error.to_string())
            }
            sqlx::Error::Database(database) => {
                let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
                match code & 0xff {
                    SQLITE_BUSY | SQLITE_LOCKED => Self::Busy,
                    SQLITE_CORRUPT | SQLITE_NOTADB => Self::Corrupt(database.message().to_owned()),
                    SQLITE_FULL => Self::Full,
                    _ => Self::Other(error.into()),
                }
            }
            _ => Self::Other(error.into()),
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        sqlx::Error::Io(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_full_disk_is_told_apart_from_other_failures() {
        assert!(matches!(StoreError::from(io::Error::from(io::ErrorKind::StorageFull)), StoreError::Full));
        assert!(matches!(StoreError::from(io::Error::from(io::ErrorKind::PermissionDenied)), StoreError::Other(_)));
        assert!(matches!(StoreError::from(sqlx::Error::PoolTimedOut), StoreError::Busy));
    }
}

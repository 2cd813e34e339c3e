//! Opening and closing the file; the two pools through which every statement goes.

use crate::{StoreError, migrations};
use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{fs, io, path::Path, time::Duration};

/// How long a statement waits for another process's lock, and for a free connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that read at the same time. Each is a thread; statements here take microseconds.
const READERS: u32 = 3;
/// A reader unused for this long is closed, so that an idle node keeps little.
const READER_IDLE: Duration = Duration::from_secs(60);

/// The open database. Clones share it.
///
/// One connection writes, so that writers queue in order instead of failing; a few others read beside it (WAL). A change whose
/// call returned `Ok` is on the disk (`synchronous=FULL`).
#[derive(Clone, Debug)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Store {
    /// Opens the file at `path`, makes it if it is missing (readable by its owner alone), and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a file of a newer Kith, [`StoreError::Corrupt`] for a file that is no database of Kith.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        keep_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await?;
        let mut connection = writer.acquire().await?;
        let migrated = migrations::run(&mut connection).await;
        drop(connection);
        if let Err(error) = migrated {
            writer.close().await;
            return Err(error);
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            .idle_timeout(READER_IDLE)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options.pragma("query_only", "on"));
        Ok(Self { writer, readers })
    }

    /// Waits for running statements, folds the write-ahead log into the file and closes it. Later statements fail.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// The pool for statements that change nothing.
    pub(crate) fn reads(&self) -> &SqlitePool {
        &self.readers
    }

    /// The pool, of one connection, for single statements that change something.
    pub(crate) fn writes(&self) -> &SqlitePool {
        &self.writer
    }

    /// A transaction for several statements. It takes the write lock at once: a later upgrade could fail half-way.
    pub(crate) async fn transaction(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// Makes the file with mode 0600 before SQLite would make it with the umask's; its `-wal` and `-shm` files inherit the mode.
fn keep_private(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.sync_all()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) async fn temporary() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("kith.db")).await.unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn what_was_written_is_there_after_reopening() {
        let (folder, store) = temporary().await;
        store.setting_put("a", "1").await.unwrap();
        store.close().await;
        let again = Store::open(&folder.path().join("kith.db")).await.unwrap();
        assert_eq!(again.setting("a").await.unwrap().as_deref(), Some("1"));
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_seen_by_another_process_without_a_close() {
        let (folder, store) = temporary().await;
        store.setting_put("a", "1").await.unwrap();
        let beside = Store::open(&folder.path().join("kith.db")).await.unwrap();
        assert_eq!(beside.setting("a").await.unwrap().as_deref(), Some("1"));
        store.close().await;
    }

    #[tokio::test]
    async fn a_file_of_a_newer_kith_is_refused_with_both_numbers() {
        let (folder, store) = temporary().await;
        sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'later', TRUE, x'00', 0)")
            .execute(store.writes())
            .await
            .unwrap();
        store.close().await;
        let error = Store::open(&folder.path().join("kith.db")).await.unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 99, known } if known == migrations::known()), "{error}");
    }

    #[tokio::test]
    async fn a_changed_migration_is_refused() {
        let (folder, store) = temporary().await;
        sqlx::query("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").execute(store.writes()).await.unwrap();
        store.close().await;
        let error = Store::open(&folder.path().join("kith.db")).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kith.db");
        fs::write(&path, "not a database, but long enough to be read as the header of one".repeat(100)).unwrap();
        let error = Store::open(&path).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    }

    #[tokio::test]
    async fn the_full_disk_is_told_and_leaves_what_was_there() {
        let (_folder, store) = temporary().await;
        store.setting_put("a", "1").await.unwrap();
        // The page limit makes SQLite report exactly what it reports on a full disk.
        sqlx::query("PRAGMA max_page_count = 1").execute(store.writes()).await.unwrap();
        let error = store.setting_put("b", &"x".repeat(1 << 20)).await.unwrap_err();
        assert!(matches!(error, StoreError::Full), "{error}");
        assert_eq!(store.setting("a").await.unwrap().as_deref(), Some("1"));
        assert_eq!(store.setting("b").await.unwrap(), None);
    }

    #[tokio::test]
    async fn many_writers_at_once_queue_and_none_is_lost() {
        let (_folder, store) = temporary().await;
        let writes = (0..200).map(|index| {
            let store = store.clone();
            tokio::spawn(async move { store.setting_put(&format!("k{index}"), "v").await })
        });
        for write in writes.collect::<Vec<_>>() {
            write.await.unwrap().unwrap();
        }
        for index in 0..200 {
            assert!(store.setting(&format!("k{index}")).await.unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let (_folder, store) = temporary().await;
        assert!(sqlx::query("DELETE FROM settings").execute(store.reads()).await.is_err());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_may_read_the_files() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, store) = temporary().await;
        store.setting_put("a", "1").await.unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        }
    }
}

//! The numbered changes that lead from an empty file to the present schema.

use crate::StoreError;
use sqlx::{
    AssertSqlSafe, SqlSafeStr, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

/// Every migration in order. A released one is never changed (its checksum is kept in the file): add the next number instead.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "bearers", include_str!("../migrations/0001_bearers.sql")),
    (2, "settings", include_str!("../migrations/0002_settings.sql")),
    (3, "models", include_str!("../migrations/0003_models.sql")),
    (4, "model_origins", include_str!("../migrations/0004_model_origins.sql")),
    (5, "adapters", include_str!("../migrations/0005_adapters.sql")),
    (6, "providers", include_str!("../migrations/0006_providers.sql")),
    (7, "responses", include_str!("../migrations/0007_responses.sql")),
    (8, "system", include_str!("../migrations/0008_system.sql")),
    (9, "conversations", include_str!("../migrations/0009_conversations.sql")),
    (10, "devices", include_str!("../migrations/0010_devices.sql")),
    (11, "networks", include_str!("../migrations/0011_networks.sql")),
];

/// The number of the schema that this build writes.
pub fn known() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}

/// Brings the file up to date, each step in its own transaction. Refuses a file with steps that this build does not know.
pub async fn run(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let migrations = MIGRATIONS.iter().map(|&(version, name, sql)| {
        // A checkout with CRLF line ends must have the same checksums as one without.
        let sql = AssertSqlSafe(sql.replace("\r\n", "\n")).into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    migrator.run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        MigrateError::VersionMissing(found) => StoreError::Newer { found, known: known() },
        MigrateError::VersionMismatch(version) => {
            StoreError::Corrupt(format!("step {version} of its schema differs from the one this Kith knows"))
        }
        MigrateError::Dirty(version) => StoreError::Corrupt(format!("step {version} of its schema was left half done")),
        other => StoreError::Other(other.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps() {
        for (index, (version, ..)) in MIGRATIONS.iter().enumerate() {
            assert_eq!(*version, i64::try_from(index).unwrap() + 1);
        }
    }
}

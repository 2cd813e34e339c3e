//! The ring of minutes: what was measured in each.

use crate::{Store, StoreError};
use sqlx::{Row, sqlite::SqliteRow};

/// One row of `metrics_points`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsRow {
    /// Minutes since 1970.
    pub minute: i64,
    /// Milliseconds of the minute that were counted, at most 60,000.
    pub covered_ms: u32,
    /// What was measured, a JSON object.
    pub figures: String,
}

fn metrics(row: &SqliteRow) -> Result<MetricsRow, StoreError> {
    Ok(MetricsRow { minute: row.try_get("minute")?, covered_ms: row.try_get("covered_ms")?, figures: row.try_get("figures")? })
}

impl Store {
    /// Writes these minutes in place of what was there, and drops every minute not between `oldest` and `newest`.
    pub async fn metrics_put(&self, rows: &[MetricsRow], oldest: i64, newest: i64) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        for row in rows {
            sqlx::query(
                "INSERT INTO metrics_points (minute, covered_ms, figures) VALUES (?1, ?2, ?3)
                 ON CONFLICT (minute) DO UPDATE SET covered_ms = excluded.covered_ms, figures = excluded.figures",
            )
            .bind(row.minute)
            .bind(row.covered_ms)
            .bind(&row.figures)
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query("DELETE FROM metrics_points WHERE minute < ?1 OR minute > ?2")
            .bind(oldest)
            .bind(newest)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// The minutes from `first` to `last`, both included, in order.
    pub async fn metrics_range(&self, first: i64, last: i64) -> Result<Vec<MetricsRow>, StoreError> {
        let rows =
            sqlx::query("SELECT minute, covered_ms, figures FROM metrics_points WHERE minute BETWEEN ?1 AND ?2 ORDER BY minute")
                .bind(first)
                .bind(last)
                .fetch_all(self.reads())
                .await?;
        rows.iter().map(metrics).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    fn row(minute: i64) -> MetricsRow {
        MetricsRow { minute, covered_ms: 60_000, figures: "{}".to_owned() }
    }

    #[tokio::test]
    async fn minutes_are_replaced_read_in_order_and_dropped_outside_the_ring() {
        let (_folder, store) = temporary().await;
        store.metrics_put(&[row(3), row(1), row(2), row(99)], 0, 99).await.unwrap();
        let newer = MetricsRow { covered_ms: 5, ..row(2) };
        store.metrics_put(std::slice::from_ref(&newer), 2, 50).await.unwrap();
        assert_eq!(store.metrics_range(0, 100).await.unwrap(), [newer, row(3)]);
        assert_eq!(store.metrics_range(3, 3).await.unwrap(), [row(3)]);
    }
}

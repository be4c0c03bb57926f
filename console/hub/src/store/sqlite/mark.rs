//! How far readers of the journal have come, as rows.

use sqlx::sqlite::SqlitePool;

use crate::store::refusal::{at, signed, unsigned};
use crate::store::{MARK, READ_MARK, StoreError};

pub(super) async fn get(readers: &SqlitePool, reader: &str) -> Result<Option<u64>, StoreError> {
    let select = "SELECT sequence FROM mark WHERE reader = $1";
    let found: Option<i64> = sqlx::query_scalar(select)
        .bind(reader)
        .fetch_optional(readers)
        .await
        .map_err(at(READ_MARK))?;
    Ok(found.map(unsigned))
}

pub(super) async fn set(
    writer: &SqlitePool,
    reader: &str,
    sequence: u64,
) -> Result<(), StoreError> {
    let upsert = "INSERT INTO mark (reader, sequence) VALUES ($1, $2) \
                  ON CONFLICT (reader) DO UPDATE SET sequence = excluded.sequence";
    let done = sqlx::query(upsert)
        .bind(reader)
        .bind(signed(sequence))
        .execute(writer)
        .await;
    done.map(drop).map_err(at(MARK))
}

//! Snapshots, as rows: one state in parts, and none that is half written.

use sqlx::sqlite::SqlitePool;
use sqlx::{Row as _, SqliteConnection};

use crate::store::refusal::{at, signed, unsigned};
use crate::store::snapshot::DROP_AT_ONCE;
use crate::store::{SNAPSHOT, Snapshot, StoreError};

pub(super) const LOAD: &str = "read the snapshot of the state";

/// Keeps a snapshot, part by part; then lets go of the one before.
pub(super) async fn save(writer: &SqlitePool, snapshot: &Snapshot) -> Result<(), StoreError> {
    let sequence = signed(snapshot.sequence);
    for (part, bytes) in snapshot.parts() {
        let insert = "INSERT INTO snapshot_part (sequence, part, bytes) VALUES ($1, $2, $3) \
                      ON CONFLICT (sequence, part) DO UPDATE SET bytes = excluded.bytes";
        sqlx::query(insert)
            .bind(sequence)
            .bind(part)
            .bind(bytes)
            .execute(writer)
            .await
            .map_err(at(SNAPSHOT))?;
    }
    let name = "INSERT INTO snapshot (id, sequence, hash, format, digest) \
                VALUES (1, $1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET \
                sequence = excluded.sequence, hash = excluded.hash, \
                format = excluded.format, digest = excluded.digest";
    sqlx::query(name)
        .bind(sequence)
        .bind(snapshot.hash.as_slice())
        .bind(i64::from(snapshot.format))
        .bind(snapshot.digest.as_slice())
        .execute(writer)
        .await
        .map_err(at(SNAPSHOT))?;
    loop {
        let drop = "DELETE FROM snapshot_part WHERE (sequence, part) IN \
                    (SELECT sequence, part FROM snapshot_part WHERE sequence <> $1 LIMIT $2)";
        let dropped = sqlx::query(drop)
            .bind(sequence)
            .bind(DROP_AT_ONCE)
            .execute(writer)
            .await
            .map_err(at(SNAPSHOT))?;
        if dropped.rows_affected() == 0 {
            return Ok(());
        }
    }
}

/// The snapshot that is named.
pub(super) async fn load(read: &mut SqliteConnection) -> Result<Option<Snapshot>, StoreError> {
    let name = "SELECT sequence, hash, format, digest FROM snapshot";
    let row = sqlx::query(name).fetch_optional(&mut *read).await;
    let Some(row) = row.map_err(at(LOAD))? else {
        return Ok(None);
    };
    let sequence: i64 = row.try_get("sequence").map_err(at(LOAD))?;
    let format: i64 = row.try_get("format").map_err(at(LOAD))?;
    let hash: &[u8] = row.try_get("hash").map_err(at(LOAD))?;
    let digest: &[u8] = row.try_get("digest").map_err(at(LOAD))?;
    let parts = "SELECT bytes FROM snapshot_part WHERE sequence = $1 ORDER BY part";
    let parts: Vec<Vec<u8>> = sqlx::query_scalar(parts)
        .bind(sequence)
        .fetch_all(read)
        .await
        .map_err(at(LOAD))?;
    Ok(Some(Snapshot {
        sequence: unsigned(sequence),
        hash: hash.try_into().unwrap_or_default(),
        format: format.try_into().unwrap_or_default(),
        digest: digest.try_into().unwrap_or_default(),
        bytes: parts.concat(),
    }))
}

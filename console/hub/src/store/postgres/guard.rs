//! What is known of watched inputs, as rows.

use sqlx::postgres::{PgConnection, PgPool};

use crate::store::refusal::at;
use crate::store::{GUARD, READ_GUARD, StoreError};

/// All of them.
pub(super) async fn all(readers: &PgPool) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let select = "SELECT name, bytes FROM guard ORDER BY name";
    let rows = sqlx::query_as(select).fetch_all(readers).await;
    rows.map_err(at(READ_GUARD))
}

/// Keeps these, or lets go of those without bytes; as far as the transaction goes.
pub(super) async fn save(
    write: &mut PgConnection,
    guards: &[(String, Option<Vec<u8>>)],
) -> Result<(), StoreError> {
    for (name, bytes) in guards {
        let done = match bytes {
            Some(bytes) => {
                let upsert = "INSERT INTO guard (name, bytes) VALUES ($1, $2) \
                              ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes";
                sqlx::query(upsert)
                    .bind(name)
                    .bind(bytes)
                    .execute(&mut *write)
                    .await
            }
            None => {
                let delete = "DELETE FROM guard WHERE name = $1";
                sqlx::query(delete).bind(name).execute(&mut *write).await
            }
        };
        done.map_err(at(GUARD))?;
    }
    Ok(())
}

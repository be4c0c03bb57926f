//! Hosts' minutes, as rows.

use std::collections::HashMap;
use std::sync::Arc;

use binnacle_core::view::Cell;
use futures::TryStreamExt as _;
use sqlx::{QueryBuilder, Row as _, Sqlite as Db, SqliteConnection};

use crate::store::minutes::{Asked, KEEP_MINUTES_US, pack};
use crate::store::refusal::{at, signed, unsigned};
use crate::store::{
    COMPACT, MinuteCell, MinutePart, MinuteQuery, PartKind, READ, StoreError, WRITE,
};

/// Names in one INSERT.
const NAMES_AT_ONCE: usize = 500;
/// The most that one call drops for its age: an hour of minutes.
const EXPIRE_AT_ONCE_US: i64 = 3_600 * 1_000_000;

/// Hosts' numbers, as they are on the disk.
pub(super) type Numbers = HashMap<Arc<str>, u64>;

/// Adds parts under one flush. `numbers` are those that are known; answers with those that
/// are then, which hold once the transaction does.
pub(super) async fn insert(
    write: &mut SqliteConnection,
    parts: &[MinutePart],
    flush: u64,
    numbers: Arc<Numbers>,
) -> Result<Arc<Numbers>, StoreError> {
    let hosts = parts.iter().flat_map(|part| &part.cells);
    let fresh: Vec<_> = hosts
        .map(|(host, _)| host.clone())
        .filter(|host| !numbers.contains_key(host))
        .collect();
    let numbers = match fresh.is_empty() {
        true => numbers,
        false => number(write, &fresh).await?,
    };
    for (place, part) in parts.iter().enumerate() {
        if let PartKind::Whole { drafts_after } = part.kind {
            let replaced = "DELETE FROM host_minute \
                            WHERE start_us = $1 AND is_draft = 1 AND flush > $2";
            let replaced = sqlx::query(replaced)
                .bind(part.start_us)
                .bind(signed(drafts_after));
            replaced.execute(&mut *write).await.map_err(at(WRITE))?;
        }
        let mut cells: Vec<(u64, Cell)> = part
            .cells
            .iter()
            .filter_map(|(host, cell)| Some((*numbers.get(host)?, *cell)))
            .collect();
        cells.sort_unstable_by_key(|(id, _)| *id);
        let insert = "INSERT INTO host_minute (start_us, flush, part, is_draft, cells) \
                      VALUES ($1, $2, $3, $4, $5)";
        sqlx::query(insert)
            .bind(part.start_us)
            .bind(signed(flush))
            .bind(signed(place as u64))
            .bind(part.kind == PartKind::Draft)
            .bind(pack(&cells))
            .execute(&mut *write)
            .await
            .map_err(at(WRITE))?;
    }
    Ok(numbers)
}

/// Gives numbers to hosts that may have none.
async fn number(
    write: &mut SqliteConnection,
    hosts: &[Arc<str>],
) -> Result<Arc<Numbers>, StoreError> {
    for names in hosts.chunks(NAMES_AT_ONCE) {
        let mut insert = QueryBuilder::<Db>::new("INSERT INTO minute_host (host) ");
        insert.push_values(names, |mut row, host| {
            row.push_bind(host.to_string());
        });
        insert.push(" ON CONFLICT (host) DO NOTHING");
        let done = insert.build().execute(&mut *write).await;
        done.map_err(at(WRITE))?;
    }
    let all = names(write, WRITE).await?;
    Ok(Arc::new(all.map(|(id, host)| (host, id)).collect()))
}

async fn names(
    read: &mut SqliteConnection,
    operation: &'static str,
) -> Result<impl Iterator<Item = (u64, Arc<str>)>, StoreError> {
    let rows: Vec<(i64, String)> = sqlx::query_as("SELECT id, host FROM minute_host")
        .fetch_all(read)
        .await
        .map_err(at(operation))?;
    let row = |(id, host): (i64, String)| (unsigned(id), Arc::from(host));
    Ok(rows.into_iter().map(row))
}

/// Hands the cells to `sink`; answers with the last flush.
pub(super) async fn select(
    read: &mut SqliteConnection,
    query: &MinuteQuery,
    sink: &mut (dyn FnMut(MinuteCell) + Send),
) -> Result<u64, StoreError> {
    let flush: i64 = sqlx::query_scalar("SELECT flush FROM flushed")
        .fetch_one(&mut *read)
        .await
        .map_err(at(READ))?;
    let asked = names(read, READ).await?;
    let asked: HashMap<u64, Arc<str>> = asked.filter(|(_, host)| query.takes(host)).collect();
    let mut rows = sqlx::query(
        "SELECT start_us, flush, is_draft, cells FROM host_minute \
         WHERE start_us >= $1 AND start_us < $2 ORDER BY start_us, flush, part",
    )
    .bind(query.from_us)
    .bind(query.to_us)
    .fetch(read);
    while let Some(row) = rows.try_next().await.map_err(at(READ))? {
        let cells: &[u8] = row.try_get("cells").map_err(at(READ))?;
        let part = Asked {
            start_us: row.try_get("start_us").map_err(at(READ))?,
            flush: unsigned(row.try_get("flush").map_err(at(READ))?),
            is_draft: row.try_get("is_draft").map_err(at(READ))?,
            hosts: &asked,
        };
        part.hand(cells, sink)?;
    }
    Ok(unsigned(flush))
}

/// Drops a bounded part of what is too old; answers with how many rows.
pub(super) async fn expire(write: &mut SqliteConnection, now_us: i64) -> Result<u64, StoreError> {
    let until_us = now_us.saturating_sub(KEEP_MINUTES_US);
    let oldest: Option<i64> = sqlx::query_scalar("SELECT MIN(start_us) FROM host_minute")
        .fetch_one(&mut *write)
        .await
        .map_err(at(COMPACT))?;
    let Some(oldest) = oldest.filter(|&oldest| oldest < until_us) else {
        return Ok(0);
    };
    let expired = sqlx::query("DELETE FROM host_minute WHERE start_us < $1")
        .bind(until_us.min(oldest.saturating_add(EXPIRE_AT_ONCE_US)))
        .execute(write)
        .await
        .map_err(at(COMPACT))?;
    Ok(expired.rows_affected())
}

//! Rows of a database as values, whichever database they come from.

use std::sync::Arc;

use binnacle_core::journal::{Hash, Stored};
use binnacle_core::report::BootId;
use binnacle_core::series::{Outcome, SeriesKey, SeriesWindow};
use binnacle_sketch::{Encoded, Malformed};
use sqlx::{ColumnIndex, Decode, Row, Type};

use super::refusal::{at, nonsense, unsigned};
use super::{Rollup, Span, StoreError, Watermark};

/// A row out of which a value of type `T` can be read by a column's name.
pub(super) trait Holds<'r, T>: Row {
    /// The value in a column.
    fn held(&'r self, column: &'static str) -> Result<T, sqlx::Error>;
}

impl<'r, R, T> Holds<'r, T> for R
where
    R: Row,
    T: Decode<'r, R::Database> + Type<R::Database>,
    &'static str: ColumnIndex<R>,
{
    fn held(&'r self, column: &'static str) -> Result<T, sqlx::Error> {
        self.try_get(column)
    }
}

/// An entry of the journal.
pub(super) fn entry<'r, R>(row: &'r R, operation: &'static str) -> Result<Stored, StoreError>
where
    R: Holds<'r, i64> + Holds<'r, &'r [u8]> + Holds<'r, Vec<u8>>,
{
    let (sequence, hash) = head(row, operation)?;
    let body = row.held("body").map_err(at(operation))?;
    Ok(Stored {
        sequence,
        body,
        hash,
    })
}

/// A place in the journal, and the hash there.
pub(super) fn head<'r, R>(row: &'r R, operation: &'static str) -> Result<(u64, Hash), StoreError>
where
    R: Holds<'r, i64> + Holds<'r, &'r [u8]>,
{
    let sequence: i64 = row.held("sequence").map_err(at(operation))?;
    let hash: &[u8] = row.held("hash").map_err(at(operation))?;
    let hash = Hash::try_from(hash).map_err(|_| {
        nonsense(
            operation,
            format!("the hash of entry {sequence} is not 32 bytes long"),
        )
    })?;
    Ok((unsigned(sequence), hash))
}

/// A roll-up. `text` reads what applications and inference servers called things.
pub(super) fn rollup<'r, R>(
    row: &'r R,
    operation: &'static str,
    text: impl Fn(&'r R, &'static str) -> Result<Arc<str>, StoreError>,
) -> Result<Rollup, StoreError>
where
    R: Holds<'r, i64> + Holds<'r, &'r str> + Holds<'r, Vec<u8>>,
{
    let number = |column| row.held(column).map_err(at(operation));
    let start_us: i64 = number("start_us")?;
    let span = match number("span_s")? {
        10 => Span::TenSeconds,
        60 => Span::Minute,
        other => {
            let what = format!("the row at {start_us} has a span of {other} s");
            return Err(nonsense(operation, what));
        }
    };
    let word: &str = row.held("outcome").map_err(at(operation))?;
    let outcome = Outcome::ALL
        .into_iter()
        .find(|outcome| outcome.word() == word);
    let key = SeriesKey {
        endpoint: text(row, "endpoint")?,
        model: text(row, "model")?,
        version: text(row, "version")?,
        outcome: outcome.unwrap_or(Outcome::Unknown),
    };
    let latency = Encoded {
        counts: row.held("counts").map_err(at(operation))?,
        sum_ns: unsigned(number("sum_ns")?),
        min_ns: unsigned(number("min_ns")?),
        max_ns: unsigned(number("max_ns")?),
    };
    if let Err(flaw) = latency.count() {
        return Err(unreadable(operation, &key, start_us, &flaw));
    }
    let window = SeriesWindow {
        key,
        latency,
        request_bytes: unsigned(number("request_bytes")?),
        response_bytes: unsigned(number("response_bytes")?),
    };
    Ok(Rollup {
        start_us,
        span,
        window,
    })
}

/// A row whose histogram is none.
pub(super) fn unreadable(
    operation: &'static str,
    key: &SeriesKey,
    start_us: i64,
    flaw: &Malformed,
) -> StoreError {
    let what = format!("the row at {start_us} of {:?}: {flaw}", key.model);
    nonsense(operation, what)
}

/// What was counted of one start of an agent.
pub(super) fn watermark<'r, R>(row: &'r R, operation: &'static str) -> Result<Watermark, StoreError>
where
    R: Holds<'r, i64> + Holds<'r, &'r str> + Holds<'r, &'r [u8]>,
{
    let text = |column| row.held(column).map_err(at(operation));
    let number = |column| row.held(column).map_err(at(operation));
    let (host, counted): (&str, &str) = (text("host")?, text("counted")?);
    let boot: &[u8] = row.held("boot").map_err(at(operation))?;
    let strange = |what| nonsense(operation, format!("the watermark of {host:?}: {what}"));
    let boot = <[u8; 16]>::try_from(boot).map_err(|_| strange("its boot is not 16 bytes"))?;
    Ok(Watermark {
        boot: BootId(boot),
        durable: unsigned(number("durable")?),
        counted: ranges_from_text(counted).ok_or_else(|| strange("its ranges are none"))?,
        heard_us: number("heard_us")?,
        host: host.into(),
    })
}

/// `1-49,61-120`.
pub(super) fn ranges_to_text(ranges: &[(u64, u64)]) -> String {
    let text: Vec<_> = ranges.iter().map(|(a, b)| format!("{a}-{b}")).collect();
    text.join(",")
}

fn ranges_from_text(text: &str) -> Option<Vec<(u64, u64)>> {
    let range = |text: &str| {
        let (first, last) = text.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(range)
        .collect()
}

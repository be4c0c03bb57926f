//! What CSV and JSON lines have in common: unpacking within limits, and values out of text.

use std::io;

use crate::block::{Cells, Column, canonical};
use crate::error::{At, DataError};
use crate::format::Packing;
use crate::schema::{CELL_BYTES, Type, shown};
use crate::source::Opened;
use crate::tensor::Fault;

mod unpacked;

pub(crate) use unpacked::{Allowance, Unpacked};

/// Rows from which the types of the columns are found: as many as show what is rare, few enough
/// to be held.
pub(crate) const FIRST_ROWS: usize = 10_000;
/// Bytes of them at most.
pub(crate) const FIRST_BYTES: usize = 16 << 20;
/// Bytes of a record at most: a row of 2,048 cells of 8 KB. What is longer has lost its end.
pub(crate) const RECORD_BYTES: u64 = 16 << 20;

/// Words that stand for no value in a column that is not text. In text they are text: there is
/// a country NA.
const NONE: [&str; 6] = ["NA", "N/A", "null", "NULL", "None", "\\N"];

/// Why a text is no cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Of another type.
    Kind,
    /// Too long.
    Long,
    /// Lists that are no tensor.
    Lists(Fault),
}

/// What a text is in a column of a type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(&'a str),
    Time(i64),
    /// Values and shape.
    Tensor(&'a [f64], &'a [usize]),
}

/// Reads a text as a value of a type; `None` when it is none.
pub(crate) fn value(kind: Type, text: &str) -> Option<Value<'_>> {
    if text.is_empty() || (kind != Type::Text && NONE.contains(&text)) {
        return Some(Value::Null);
    }
    match kind {
        Type::Boolean => boolean(text).map(Value::Boolean),
        Type::Integer => text.parse().ok().map(Value::Integer),
        Type::Number => text.parse().ok().map(Value::Number),
        Type::Text => Some(Value::Text(text)),
        Type::Time => time(text).map(Value::Time),
        // It is lists, and they are no text.
        Type::Tensor => None,
    }
}

/// Adds a value to a column. An integer is a number too; nothing else is anything else.
pub(crate) fn push(column: &mut Column, value: Value<'_>) -> Result<(), Misfit> {
    match (column.cells_mut(), value) {
        (_, Value::Null) => column.push_null(),
        (Cells::Booleans(cells), Value::Boolean(value)) => cells.push(u8::from(value)),
        (Cells::Integers(cells), Value::Integer(value))
        | (Cells::Times(cells), Value::Time(value)) => cells.push(value),
        (Cells::Numbers(cells), Value::Number(value)) => cells.push(canonical(value)),
        (Cells::Numbers(cells), Value::Integer(value)) => cells.push(value as f64),
        (Cells::Texts { ends, text }, Value::Text(value)) => {
            if value.len() > CELL_BYTES {
                return Err(Misfit::Long);
            }
            text.push_str(value);
            ends.push(text.len() as u32);
        }
        (Cells::Tensors(cells), Value::Tensor(values, shape)) => {
            cells.push(values, shape).map_err(Misfit::Lists)?;
        }
        (
            Cells::Booleans(_)
            | Cells::Integers(_)
            | Cells::Numbers(_)
            | Cells::Texts { .. }
            | Cells::Times(_)
            | Cells::Tensors(_),
            Value::Boolean(_)
            | Value::Integer(_)
            | Value::Number(_)
            | Value::Text(_)
            | Value::Time(_)
            | Value::Tensor(..),
        ) => return Err(Misfit::Kind),
    }
    Ok(())
}

/// A column as it is told in an error.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) declared: bool,
}

impl Named {
    /// The error for a value that is none of this column.
    pub(crate) fn refuse(&self, line: u64, text: &str, misfit: Misfit) -> DataError {
        let (at, column) = (At::Line(line), shown(&self.name));
        let better = match self.kind {
            Type::Integer if text.parse::<f64>().is_ok() => Type::Number,
            Type::Boolean
            | Type::Integer
            | Type::Number
            | Type::Text
            | Type::Time
            | Type::Tensor => Type::Text,
        };
        match misfit {
            Misfit::Long => DataError::LongCell { at, column },
            Misfit::Lists(fault) => fault.told(at, column),
            Misfit::Kind => DataError::Mixed {
                at,
                column,
                value: shown(text),
                kind: self.kind,
                why: if self.declared {
                    "declared"
                } else {
                    "found to be"
                },
                better,
            },
        }
    }
}

/// What the texts of a column could all be, so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guess {
    any: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    time: bool,
}

impl Guess {
    pub(crate) const START: Self = Self {
        any: false,
        boolean: true,
        integer: true,
        number: true,
        time: true,
    };

    /// Looks at one more text.
    pub(crate) fn see(&mut self, text: &str) {
        if text.is_empty() || NONE.contains(&text) {
            return;
        }
        self.any = true;
        let code = leading_zero(text);
        self.boolean = self.boolean && boolean(text).is_some();
        self.integer = self.integer && !code && text.parse::<i64>().is_ok();
        self.number = self.number && !code && text.parse::<f64>().is_ok();
        self.time = self.time && time(text).is_some();
    }

    /// The narrowest type that takes all of them; text when there was none.
    pub(crate) fn kind(self) -> Type {
        match self {
            Self { any: false, .. } => Type::Text,
            Self { boolean: true, .. } => Type::Boolean,
            Self { integer: true, .. } => Type::Integer,
            Self { number: true, .. } => Type::Number,
            Self { time: true, .. } => Type::Time,
            Self { any: true, .. } => Type::Text,
        }
    }
}

/// Whether digits begin with a zero that a number would lose: a postcode, an account.
fn leading_zero(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']).as_bytes();
    matches!(digits, [b'0', b'0'..=b'9', ..])
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Microseconds since 1970 of an ISO 8601 date or time. Without a zone it is UTC.
pub(crate) fn time(text: &str) -> Option<i64> {
    // Without dashes, digits could be anything.
    if text.as_bytes().get(4) != Some(&b'-') || text.len() < 10 {
        return None;
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_microsecond());
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    // A zone that is no offset (`[Europe/Paris]`) would be ignored by the parser.
    if text.ends_with(']') {
        return None;
    }
    let time = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(time.timestamp().as_microsecond())
}

/// What went wrong while unpacked bytes were read.
pub(crate) fn trouble(file: &Opened, packing: Packing, line: u64, cause: io::Error) -> DataError {
    let name = file.name();
    let inner = cause.get_ref();
    if let Some(limit) = inner.and_then(|inner| inner.downcast_ref::<unpacked::Limit>()) {
        return match limit {
            unpacked::Limit::Bomb => DataError::Bomb {
                name,
                times: unpacked::RATIO,
            },
            unpacked::Limit::Record => DataError::LongRecord {
                line,
                most: RECORD_BYTES,
            },
        };
    }
    let stored = inner.is_some_and(|inner| inner.is::<object_store::Error>());
    match (packing, cause.kind()) {
        (Packing::Plain, _) => DataError::Read { name, cause },
        (Packing::Gzip | Packing::Zstd, _) if stored => DataError::Read { name, cause },
        (Packing::Gzip | Packing::Zstd, io::ErrorKind::UnexpectedEof) => DataError::CutShort {
            name,
            packing: packing.word(),
        },
        (Packing::Gzip | Packing::Zstd, _) => DataError::Damaged {
            name,
            packing: packing.word(),
            cause,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(texts: &[&str]) -> Type {
        let mut guess = Guess::START;
        texts.iter().for_each(|text| guess.see(text));
        guess.kind()
    }

    #[test]
    fn the_narrowest_type_that_takes_all_is_found() {
        let cases: [(&[&str], Type); 12] = [
            (&["1", "-2", "", "NA"], Type::Integer),
            (&["1", "2.5", "1e3", "nan"], Type::Number),
            (&["9223372036854775808"], Type::Number),
            (&["true", "False"], Type::Boolean),
            (&["0", "1"], Type::Integer),
            (&["2024-01-02", "2024-01-02T03:04:05Z"], Type::Time),
            (&["01234", "99999"], Type::Text),
            (&["0.5", "-0.25", "0"], Type::Number),
            (&["", "", "null"], Type::Text),
            (&[], Type::Text),
            (&["1", "x"], Type::Text),
            (&["20240102"], Type::Integer),
        ];
        for (texts, kind) in cases {
            assert_eq!(guess(texts), kind, "{texts:?}");
        }
    }

    #[test]
    fn times_are_microseconds_in_utc() {
        assert_eq!(time("1970-01-01T00:00:01Z"), Some(1_000_000));
        assert_eq!(time("1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(time("1970-01-01T01:00:00.5+01:00"), Some(500_000));
        assert_eq!(time("1970-01-02"), Some(86_400_000_000));
        for none in [
            "1970",
            "1970-13-01",
            "tomorrow it rains",
            "1970-01-01T00:00:00[Europe/Paris]",
        ] {
            assert_eq!(time(none), None, "{none}");
        }
    }

    #[test]
    fn words_for_nothing_are_text_in_text() {
        assert_eq!(value(Type::Text, "NA"), Some(Value::Text("NA")));
        assert_eq!(value(Type::Number, "NA"), Some(Value::Null));
        assert_eq!(value(Type::Text, ""), Some(Value::Null));
        assert_eq!(value(Type::Integer, "1.5"), None);
    }
}

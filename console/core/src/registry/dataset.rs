//! What is said of one version of a data set when it is registered: immutable from then on.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::artifact::Digest;
use super::text::{Line, Prose};
use crate::name::Name;

/// Columns of one data set.
pub const MAX_COLUMNS: usize = 4_096;

/// All that is said of a version of a data set. It stands in the entry that registered it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSetDetail {
    /// Where its files lie.
    pub location: Line,
    /// What they are: parquet, csv, jsonl, …
    pub format: Name,
    /// Over the content, where it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// How many rows, where it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// How many bytes the files have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What each row has.
    #[serde(default, skip_serializing_if = "Columns::is_empty")]
    pub columns: Columns,
    /// The time that it covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// When it was recorded; the time of registration says only when somebody told us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at_us: Option<i64>,
    /// The reference profile, by the digest that it is stored under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Digest>,
    /// What whoever registered it wants others to know.
    #[serde(default, skip_serializing_if = "Prose::is_empty")]
    pub notes: Prose,
}

/// The time that a data set covers, by one of its columns; both ends are in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The column that says when.
    pub column: Line,
    /// The earliest.
    pub from_us: i64,
    /// The latest.
    pub to_us: i64,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name, unique in its data set.
    pub name: Line,
    /// What it holds, as its format calls it.
    #[serde(rename = "type")]
    pub kind: Line,
    /// Whether a row may have none.
    pub nullable: bool,
}

/// Columns, each named once, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Column>", into = "Vec<Column>")]
pub struct Columns(Arc<[Column]>);

/// Why columns are refused.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotColumns {
    /// More than [`MAX_COLUMNS`].
    #[error("a data set has at most {MAX_COLUMNS} columns, this one has {0}")]
    TooMany(usize),
    /// Two of one name.
    #[error("column {0:?} is there twice")]
    Twice(String),
}

impl Columns {
    /// Checks and takes columns.
    pub fn parse(columns: Vec<Column>) -> Result<Self, NotColumns> {
        if columns.len() > MAX_COLUMNS {
            return Err(NotColumns::TooMany(columns.len()));
        }
        let mut names = HashSet::with_capacity(columns.len());
        match columns.iter().find(|column| !names.insert(&column.name)) {
            Some(twice) => Err(NotColumns::Twice(twice.name.to_string())),
            None => Ok(Self(columns.into())),
        }
    }

    /// Each, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Column> {
        self.0.iter()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<Column>> for Columns {
    type Error = NotColumns;
    fn try_from(columns: Vec<Column>) -> Result<Self, NotColumns> {
        Self::parse(columns)
    }
}

impl From<Columns> for Vec<Column> {
    fn from(columns: Columns) -> Self {
        columns.0.to_vec()
    }
}

//! The columns of a table: their names, which are checked here, and what their cells are.

use std::collections::BTreeSet;

use binnacle_sketch::profile::{FEATURE_NAME_BYTES, FEATURES};

use crate::error::DataError;

/// Columns of a table at most: what a profile can hold.
pub const COLUMNS: usize = FEATURES;
/// Bytes of a text cell at most. What is longer is a document and no feature, and a block of
/// such cells would not fit into memory.
pub const CELL_BYTES: usize = 64 << 10;
/// Bytes of a name that a message repeats.
const SHOWN: usize = 60;

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// True or false.
    Boolean,
    /// A whole number of 64 bits.
    Integer,
    /// A number of 64 bits with a fraction. Decimals become the nearest one.
    Number,
    /// Text.
    Text,
    /// Microseconds since 1970, in UTC. What is finer is cut off.
    Time,
    /// Nested lists of numbers: an image, an embedding.
    Tensor,
}

impl Type {
    /// Every type, for those who list them.
    pub const ALL: [Self; 6] = [
        Self::Boolean,
        Self::Integer,
        Self::Number,
        Self::Text,
        Self::Time,
        Self::Tensor,
    ];

    /// The word for it, as it is declared and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "text",
            Self::Time => "time",
            Self::Tensor => "tensor",
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for Type {
    type Err = DataError;

    fn from_str(word: &str) -> Result<Self, DataError> {
        let found = Self::ALL.into_iter().find(|kind| kind.word() == word);
        found.ok_or_else(|| DataError::UnknownType(shown(word)))
    }
}

/// A column that was read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its cells are.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Whether any row has no value.
    pub nullable: bool,
    /// Rows without a value.
    pub nulls: u64,
}

/// Refuses names that could not be told apart, shown or written down.
pub(crate) fn check<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), DataError> {
    let mut seen = BTreeSet::new();
    for (at, name) in names.enumerate() {
        if at >= COLUMNS {
            return Err(DataError::TooManyColumns);
        }
        if name.is_empty() {
            return Err(DataError::NoName(at + 1));
        }
        if name.len() > FEATURE_NAME_BYTES {
            return Err(DataError::LongName(shown(name)));
        }
        if name.chars().any(char::is_control) {
            return Err(DataError::ControlCharacter(shown(name)));
        }
        if !seen.insert(name) {
            return Err(DataError::Duplicate(shown(name)));
        }
    }
    Ok(())
}

/// A name or a value as a message may repeat it: escaped, and cut.
pub(crate) fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(SHOWN);
    let cut = text.get(..end).unwrap_or_default();
    let dots = if end < text.len() { "…" } else { "" };
    format!("{}{dots}", cut.escape_debug())
}

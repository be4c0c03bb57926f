//! What can be wrong with a data set: where, and what to do about it.

use std::io;

use binnacle_sketch::payload::NUMBERS;

use crate::schema::{CELL_BYTES, COLUMNS, Type};
use crate::tensor::{BLOCK_VALUES, TENSOR_VALUES};

/// Where in a file: a line of text, or a row where there are no lines. Both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// A line.
    Line(u64),
    /// A row.
    Row(u64),
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// Why a data set was not read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file cannot be opened or read.
    #[error("cannot read {name}: check that it exists and may be read")]
    Read {
        /// Which.
        name: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The object store refused.
    #[error("cannot read {name} from the object store: check its path and the credentials")]
    Store {
        /// Which.
        name: String,
        /// Why.
        #[source]
        cause: object_store::Error,
    },
    /// Nothing in it.
    #[error("{0} holds no table: it has neither columns nor rows")]
    Empty(String),
    /// Neither name nor content tells what it is.
    #[error(
        "{0} is of no known format: name it .parquet, .csv, .tsv, .jsonl or .ndjson, with .gz or \
         .zst behind where it is packed"
    )]
    UnknownFormat(String),
    /// The name says one thing and the content another.
    #[error("{name} is called {called} but holds {holds}: rename it, or check what wrote it")]
    Disagree {
        /// Which.
        name: String,
        /// What its name says.
        called: &'static str,
        /// What its first bytes say.
        holds: &'static str,
    },
    /// A packed file ends early.
    #[error("{name} is cut short: its {packing} data ends in the middle; fetch it again")]
    CutShort {
        /// Which.
        name: String,
        /// How it is packed.
        packing: &'static str,
    },
    /// A packed file is damaged.
    #[error("{name} is damaged: its {packing} data cannot be unpacked; fetch it again")]
    Damaged {
        /// Which.
        name: String,
        /// How it is packed.
        packing: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It unpacks to more than any table does.
    #[error(
        "{name} unpacks to more than {times} times its size, as no table does: unpack it \
         yourself if that is meant"
    )]
    Bomb {
        /// Which.
        name: String,
        /// The limit.
        times: u64,
    },
    /// Parquet that cannot be read.
    #[error("{name} is no readable Parquet: {what}; write it again, or fetch it again")]
    Parquet {
        /// Which.
        name: String,
        /// What was wrong.
        what: String,
    },
    /// A column of a type that has no cells.
    #[error(
        "column \"{column}\" is {kind}, which is neither a number, text, boolean, time nor a \
         tensor of numbers: leave it out (--without {column}), or write it as several columns"
    )]
    Unreadable {
        /// The column.
        column: String,
        /// Its type, in the format's words.
        kind: String,
    },
    /// A row of another length.
    #[error("line {line} has {found} fields where the header has {expected}: mend that line")]
    Ragged {
        /// The line.
        line: u64,
        /// Fields of the header.
        expected: u64,
        /// Fields of the line.
        found: u64,
    },
    /// A line or record without an end.
    #[error(
        "the record that begins on line {line} is longer than {most} bytes: look for a quotation \
         mark that is not closed"
    )]
    LongRecord {
        /// The line.
        line: u64,
        /// The limit.
        most: u64,
    },
    /// A line of JSON lines that is none.
    #[error("line {line} is no JSON object on one line: mend that line")]
    Json {
        /// The line.
        line: u64,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// Text that is no UTF-8.
    #[error("line {line}, column \"{column}\" is no UTF-8: convert the file")]
    NotUtf8 {
        /// The line.
        line: u64,
        /// The column.
        column: String,
    },
    /// A value that does not fit its column.
    #[error(
        "{at}, column \"{column}\": \"{value}\" is no {kind}, which the column was {why}: declare \
         another type (--type {column}={better}), or mend that value"
    )]
    Mixed {
        /// Where.
        at: At,
        /// The column.
        column: String,
        /// The value.
        value: String,
        /// The column's type.
        kind: Type,
        /// How the column came by it: `declared`, or `found to be` from its first rows.
        why: &'static str,
        /// A type that would take the value.
        better: Type,
    },
    /// A whole number past what a cell holds.
    #[error(
        "{at}, column \"{column}\": {value} is past what 64 bits with a sign hold: leave the \
         column out (--without {column}), or write it as text"
    )]
    TooGreat {
        /// Where.
        at: At,
        /// The column.
        column: String,
        /// The number.
        value: u64,
    },
    /// A text that is a document.
    #[error(
        "{at}, column \"{column}\" holds a text over {CELL_BYTES} bytes: leave the column out \
         (--without {column})"
    )]
    LongCell {
        /// Where.
        at: At,
        /// The column.
        column: String,
    },
    /// Lists that are no tensor.
    #[error(
        "{at}, column \"{column}\": {why}, and a tensor is lists of numbers that are equally \
         long: mend that value, or leave the column out (--without {column})"
    )]
    NoTensor {
        /// Where.
        at: At,
        /// The column.
        column: String,
        /// What is wrong with them.
        why: &'static str,
    },
    /// A tensor that is too great.
    #[error(
        "{at}, column \"{column}\" holds a tensor of {values} values, over {TENSOR_VALUES}: write \
         it smaller (an image scaled down), or leave the column out (--without {column})"
    )]
    LongTensor {
        /// Where.
        at: At,
        /// The column.
        column: String,
        /// Values that it has.
        values: usize,
    },
    /// Tensors that are too great together.
    #[error(
        "the tensors of the rows from {row} on hold over {BLOCK_VALUES} values in a block of rows: \
         leave one of their columns out, or write them smaller"
    )]
    LongTensors {
        /// The first row of the block, from 1.
        row: u64,
    },
    /// More numbers than a profile has features.
    #[error(
        "the table has over {COLUMNS} features, of which a column of tensors takes {NUMBERS}: \
         leave some out, or split it"
    )]
    TooManyNumbers,
    /// A tensor whose numbers would have no name.
    #[error("column \"{0}\" is a tensor, whose name has to leave room for those of its numbers")]
    LongTensorName(String),
    /// A column that is called as a number of a tensor.
    #[error(
        "column \"{0}\" is called as one of the numbers that are told of a tensor of this table: \
         rename it"
    )]
    Told(String),
    /// A key that the first lines do not have.
    #[error(
        "line {line} has a column \"{column}\" that the first {first} lines do not have: declare \
         its type (--type {column}=text), or leave it out (--without {column})"
    )]
    NewColumn {
        /// The line.
        line: u64,
        /// The column.
        column: String,
        /// Lines that were looked at.
        first: usize,
    },
    /// More columns than can be told apart.
    #[error("the table has more than {COLUMNS} columns: leave some out, or split it")]
    TooManyColumns,
    /// A column without a name.
    #[error("column {0} has no name: give it one")]
    NoName(usize),
    /// A name that is none.
    #[error("column \"{0}\" has a name over 255 bytes: is the first line the header?")]
    LongName(String),
    /// A name that a terminal would obey.
    #[error("column \"{0}\" has a control character in its name: rename it")]
    ControlCharacter(String),
    /// Two columns of one name.
    #[error("column \"{0}\" comes twice: rename one of them")]
    Duplicate(String),
    /// An option names a column that is not there.
    #[error("there is no column \"{0}\": its name has to be as in the file")]
    NoSuchColumn(String),
    /// The column of times holds none.
    #[error(
        "column \"{column}\" is {kind} and cannot tell the time: declare it (--type {column}=time)"
    )]
    NoTime {
        /// The column.
        column: String,
        /// Its type.
        kind: Type,
    },
    /// A word that is no type.
    #[error("\"{0}\" is no type: one of boolean, integer, number, text, time, tensor")]
    UnknownType(String),
    /// A Parquet column keeps its own type.
    #[error("column \"{column}\" is {kind} in the file: only CSV and JSON lines are declared")]
    Declared {
        /// The column.
        column: String,
        /// Its type.
        kind: Type,
    },
    /// Whoever asked does not want it any more.
    #[error("reading was interrupted after {rows} rows")]
    Interrupted {
        /// Rows read by then.
        rows: u64,
    },
}

//! What a command prints: one JSON document, JSON lines, or a table that fits the terminal.

use std::io::{self, IsTerminal as _, Write as _};

use binnacle_core::view;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::outcome::Failure;

/// How an answer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For a person.
    Text,
    /// For a script.
    Json,
}

/// What every JSON answer is wrapped in.
#[derive(Serialize)]
pub(crate) struct Document<'a, T: Serialize> {
    /// What the items are: `binnacle.<noun>/v<n>`.
    pub(crate) schema: &'static str,
    /// When it was so.
    pub(crate) as_of: String,
    /// Whether the hub itself could not vouch for it.
    pub(crate) stale: bool,
    pub(crate) items: &'a [T],
}

impl<'a, T: Serialize> Document<'a, T> {
    pub(crate) fn new(schema: &'static str, as_of_us: i64, items: &'a [T]) -> Self {
        Self {
            schema,
            as_of: view::rfc3339(as_of_us),
            stale: false,
            items,
        }
    }
}

/// Prints one JSON document: indented for a person, on one line for a pipe.
pub(crate) fn json(document: &impl Serialize) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.is_terminal() {
        true => serde_json::to_writer_pretty(&mut stdout, document)?,
        false => serde_json::to_writer(&mut stdout, document)?,
    }
    writeln!(stdout)?;
    Ok(stdout.flush()?)
}

/// Prints one JSON line at once, so that whoever reads it sees it as it happens.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stdout.write_all(&line)?;
    Ok(stdout.flush()?)
}

/// Prints text.
pub(crate) fn text(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Words.
    Left(&'static str),
    /// Figures.
    Right(&'static str),
}

/// A table without lines. On a terminal it is as wide as that; in a pipe nothing is wrapped.
pub(crate) fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let arrangement = match io::stdout().is_terminal() {
        true => ContentArrangement::Dynamic,
        false => ContentArrangement::Disabled,
    };
    table.set_content_arrangement(arrangement);
    table.set_header(columns.iter().map(|column| match column {
        Column::Left(name) | Column::Right(name) => *name,
    }));
    table.add_rows(rows);
    for (column, kind) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, 2));
        if let Column::Right(_) = kind {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

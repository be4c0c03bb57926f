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
    /// The moment that it is told of, where that was not now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<String>,
    /// Whether the hub itself could not vouch for it.
    pub(crate) stale: bool,
    pub(crate) items: &'a [T],
}

impl<'a, T: Serialize> Document<'a, T> {
    pub(crate) fn new(schema: &'static str, as_of_us: i64, items: &'a [T]) -> Self {
        Self {
            schema,
            as_of: view::rfc3339(as_of_us),
            at: None,
            stale: false,
            items,
        }
    }

    /// The same, told of as it was at a moment; 0 for now.
    pub(crate) fn at(self, at_us: i64) -> Self {
        let at = (at_us != 0).then(|| view::rfc3339(at_us));
        Self { at, ..self }
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

/// A column: where its text stands, and whether a narrow terminal may go without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Words.
    Left(&'static str),
    /// Figures.
    Right(&'static str),
    /// Figures that a narrow terminal goes without; the last such column goes first.
    Spare(&'static str),
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Left(name) | Self::Right(name) | Self::Spare(name) => name,
        }
    }
}

/// Blanks between two columns.
const GAP: usize = 2;

/// A table without lines. On a terminal it is as wide as that at most: spare columns go, then
/// words are wrapped. In a pipe everything stays on its line.
pub(crate) fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut rows: Vec<Vec<String>> = rows.into_iter().collect();
    let mut columns = columns.to_vec();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = table.width().filter(|_| io::stdout().is_terminal()) {
        spare(&mut columns, &mut rows, width.into());
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(columns.iter().map(|column| column.name()));
    table.add_rows(rows);
    for (column, kind) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, GAP as u16));
        if let Column::Right(_) | Column::Spare(_) = kind {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Drops spare columns until the rows fit, or none is left.
fn spare(columns: &mut Vec<Column>, rows: &mut [Vec<String>], width: usize) {
    loop {
        let widest = |(at, column): (usize, &Column)| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            let cells = cells.map(|cell| cell.chars().count());
            cells.chain([column.name().len()]).max().unwrap_or(0) + GAP
        };
        let needed: usize = columns.iter().enumerate().map(widest).sum();
        let last = columns
            .iter()
            .rposition(|column| matches!(column, Column::Spare(_)));
        let Some(last) = last.filter(|_| needed > width) else {
            return;
        };
        columns.remove(last);
        for row in rows.iter_mut().filter(|row| row.len() > last) {
            row.remove(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_goes_without_spare_columns_and_keeps_the_rest() {
        let mut columns = vec![Column::Left("A"), Column::Spare("B"), Column::Spare("C")];
        let mut rows = vec![vec!["name".to_owned(), "22".to_owned(), "333".to_owned()]];
        spare(&mut columns, &mut rows, 15);
        assert_eq!(columns.len(), 3, "6 + 4 + 5 fit into 15");
        spare(&mut columns, &mut rows, 14);
        assert_eq!(
            (columns.len(), rows[0].join(" ")),
            (2, "name 22".to_owned())
        );
        spare(&mut columns, &mut rows, 1);
        assert_eq!(rows[0].join(" "), "name");
    }
}

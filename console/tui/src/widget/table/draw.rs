//! Drawing a table whose rows are all here: those that are visible, as a grid.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Column, Row, Table};
use crate::screen::Look;
use crate::widget::grid::{Drawn, Grid, Seen};

pub(super) use crate::widget::grid::lines;

fn drawn<R>(column: &'static Column<R>) -> Drawn<'static, R> {
    Drawn {
        title: column.title.into(),
        width: column.width,
        grows: column.grows,
        align: column.align,
        rank: column.rank,
        cell: Box::new(column.cell),
    }
}

/// Draws the table.
pub(super) fn table<R: Row>(
    table: &Table<R>,
    rows: &[R],
    look: &Look<'_>,
    area: Rect,
    buf: &mut Buffer,
) {
    let columns = table.columns.iter();
    let columns = columns.filter(|column| !table.hidden.contains(column.title));
    let sorted = table.columns.get(table.sort.0);
    let grid = Grid {
        columns: columns.map(drawn).collect(),
        sorted: sorted.map(|column| (column.title, table.sort.1)),
        selected: table.selected.as_deref(),
        marks: &table.marks,
    };
    let visible = table.rows(rows).skip(table.top).map(|row| {
        Some(Seen {
            id: (&**row.id()).into(),
            row,
            is_stale: row.is_stale(),
        })
    });
    grid.draw(visible, look, area, buf);
}

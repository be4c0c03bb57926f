//! What screens with one table of rows that are told whole have in common.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::screen::registry::draw_lines;
use crate::screen::{Look, Place};
use crate::widget::page::Line;
use crate::widget::table::{Column, Row, Table};

/// The table, and its rows.
#[derive(Debug)]
pub(super) struct List<R: Row + 'static> {
    pub(super) table: Table<R>,
    pub(super) rows: Vec<R>,
}

impl<R: Row> List<R> {
    /// One that stands where it stood, with nothing in it yet.
    pub(super) fn open(
        columns: &'static [Column<R>],
        (sorted_by, descending): (&str, bool),
        place: &Place,
    ) -> Self {
        let mut table = Table::new(columns, sorted_by, descending);
        // A filter that an older release wrote may not be one any more: then there is none.
        let _dropped = table.set_filter(&place.filter);
        if !place.selected.is_empty() {
            table.select(place.selected.as_str().into());
        }
        let rows = Vec::new();
        Self { table, rows }
    }

    /// Where it stands, as this view.
    pub(super) fn place(&self, view: &str) -> Place {
        let selected = self.table.selected();
        Place {
            view: view.into(),
            object: String::new(),
            filter: self.table.filter_text().into(),
            selected: selected.map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// The row that is selected.
    pub(super) fn chosen(&self) -> Option<&R> {
        let selected: &Arc<str> = self.table.selected()?;
        self.rows.iter().find(|row| row.id() == selected)
    }

    /// What stands right of the breadcrumb: `all` where nothing is filtered.
    pub(super) fn note(&self, all: String) -> String {
        let (shown, of) = self.table.counts();
        match self.table.filter_text() {
            "" => all,
            filter => format!("filter: {filter}  {shown}/{of}"),
        }
    }

    /// Takes another filter, or says what is wrong with it.
    pub(super) fn filter(&mut self, text: &str, look: &Look<'_>) -> Result<(), String> {
        self.table.set_filter(text)?;
        self.table.learn(&self.rows, look);
        Ok(())
    }

    /// Shows or hides a column.
    pub(super) fn toggle(&mut self, title: &str, look: &Look<'_>) {
        self.table.toggle(title);
        self.table.learn(&self.rows, look);
    }

    /// Draws it, or what is said where there is nothing in it.
    pub(super) fn draw(
        &self,
        nothing: impl FnOnce() -> Vec<Line>,
        look: &Look<'_>,
        area: Rect,
        buf: &mut Buffer,
    ) {
        if self.table.counts().0 > 0 {
            return self.table.draw(&self.rows, look, area, buf);
        }
        let below = Rect {
            y: area.y + area.height.min(1),
            height: area.height.saturating_sub(1),
            ..area
        };
        draw_lines(&nothing(), look, below, buf);
    }
}

//! A table of many rows: sorted, filtered, marked, scrolled. Only visible rows are built.
//!
//! ```text
//!   HOST ▾        STATUS    REQ/S      P50      P99  ERRORS
//! ▌ infer-0042    ! WARN    1,204  3.10 ms  38.2 ms  0.41 %
//! * infer-0043    + OK      1,198  3.08 ms  37.9 ms     0 %
//! ```
//! What is selected is an object, not a place: it stays selected when rows move, and when it
//! goes, what stood below it is.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use binnacle_core::view::rfc3339;
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};

use crate::filter::{Fields, Filter, Value};
use crate::keymap::Command;
use crate::screen::{Look, Step};

mod draw;

/// One column of a table of `R`.
pub struct Column<R> {
    /// Its heading.
    pub title: &'static str,
    /// Its name in filters; empty where it cannot be filtered by.
    pub field: &'static str,
    /// Its width.
    pub width: u16,
    /// Columns that it takes more where there is room: those further left come first.
    pub grows: u16,
    /// Where its text stands.
    pub align: Alignment,
    /// In which order columns are left out where there is no room: the greatest first; 0 never.
    pub rank: u8,
    /// Its text in a row.
    pub cell: fn(&R, &Look<'_>) -> Text,
    /// What it is sorted and filtered by.
    pub value: for<'a> fn(&'a R, &Look<'_>) -> Value<'a>,
}

impl<R> Column<R> {
    /// A column; `width` with what it takes more where there is room, where its text stands with
    /// its rank.
    pub const fn new(
        title: &'static str,
        field: &'static str,
        (width, grows): (u16, u16),
        (align, rank): (Alignment, u8),
        cell: fn(&R, &Look<'_>) -> Text,
        value: for<'a> fn(&'a R, &Look<'_>) -> Value<'a>,
    ) -> Self {
        Self {
            title,
            field,
            width,
            grows,
            align,
            rank,
            cell,
            value,
        }
    }

    /// The same, taking so many columns more where there is room.
    pub const fn growing(mut self, grows: u16) -> Self {
        self.grows = grows;
        self
    }
}

pub use crate::widget::grid::Text;

impl<R> fmt::Debug for Column<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title)
    }
}

/// What a row is, beside its columns.
pub trait Row {
    /// What it is known by.
    fn id(&self) -> &Arc<str>;
    /// A field that is no column, such as a label.
    fn other_field(&self, _name: &str) -> Option<Value<'_>> {
        None
    }
    /// Whether one of its names contains the word, which is in lower case.
    fn has_word(&self, word: &str) -> bool;
    /// Whether its figures may not be so any more.
    fn is_stale(&self) -> bool {
        false
    }
}

/// Where one stands in a table.
#[derive(Debug)]
pub struct Table<R: 'static> {
    columns: &'static [Column<R>],
    /// Places of the rows that are shown, in the order in which they are.
    order: Vec<u32>,
    /// The first visible place in `order`.
    top: usize,
    /// The selected place in `order`.
    at: usize,
    selected: Option<Arc<str>>,
    settled: Option<Arc<str>>,
    marks: BTreeSet<Arc<str>>,
    range_from: Option<Arc<str>>,
    sort: (usize, bool),
    hidden: BTreeSet<&'static str>,
    filter: Filter,
    filter_text: String,
    /// Rows before filtering.
    all: usize,
}

struct Seen<'a, R> {
    row: &'a R,
    columns: &'a [Column<R>],
    look: &'a Look<'a>,
}

impl<R: Row> Fields for Seen<'_, R> {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        match self.columns.iter().find(|column| column.field == name) {
            Some(column) => Some((column.value)(self.row, self.look)),
            None => self.row.other_field(name),
        }
    }

    fn has_word(&self, word: &str) -> bool {
        self.row.has_word(word)
    }
}

/// What sorts a row: unknown after everything, whichever way.
#[derive(PartialEq)]
enum SortKey {
    Number(f64),
    Text(String),
    Unknown,
}

impl<R: Row> Table<R> {
    /// An empty table, sorted by one of its columns.
    pub fn new(columns: &'static [Column<R>], sorted_by: &str, descending: bool) -> Self {
        let sort = columns.iter().position(|column| column.field == sorted_by);
        Self {
            columns,
            order: Vec::new(),
            top: 0,
            at: 0,
            selected: None,
            settled: None,
            marks: BTreeSet::new(),
            range_from: None,
            sort: (sort.unwrap_or(0), descending),
            hidden: BTreeSet::new(),
            filter: Filter::default(),
            filter_text: String::new(),
            all: 0,
        }
    }

    /// What is selected.
    pub fn selected(&self) -> Option<&Arc<str>> {
        self.selected.as_ref()
    }

    /// What is selected, once the selection has rested: what a preview shows.
    pub fn settled(&self) -> Option<&Arc<str>> {
        self.settled.as_ref()
    }

    /// The marked rows, or the selected one where none is marked.
    pub fn chosen(&self) -> Vec<Arc<str>> {
        match self.marks.is_empty() {
            true => self.selected.iter().cloned().collect(),
            false => self.marks.iter().cloned().collect(),
        }
    }

    /// Selects a row by what it is known by, now or when it comes.
    pub fn select(&mut self, id: Arc<str>) {
        self.selected = Some(id);
    }

    /// The selection has rested.
    pub fn settle(&mut self) {
        self.settled.clone_from(&self.selected);
    }

    /// The filter as it was typed.
    pub fn filter_text(&self) -> &str {
        &self.filter_text
    }

    /// How many rows are shown, and of how many.
    pub fn counts(&self) -> (usize, usize) {
        (self.order.len(), self.all)
    }

    /// Takes another filter, or says what is wrong with it and keeps the old one.
    pub fn set_filter(&mut self, text: &str) -> Result<(), String> {
        let fields: Vec<&str> = self.columns.iter().map(|column| column.field).collect();
        let fields: Vec<&str> = fields
            .into_iter()
            .filter(|field| !field.is_empty())
            .collect();
        self.filter = Filter::parse(text, &fields)?;
        text.clone_into(&mut self.filter_text);
        Ok(())
    }

    /// Rows that are visible, from the first; and one page beyond, so that what is scrolled
    /// to is there.
    pub fn in_sight<'a>(&'a self, rows: &'a [R], height: u16) -> impl Iterator<Item = &'a R> {
        let page = usize::from(height);
        let first = self.top.saturating_sub(page / 2);
        let shown = self.order.iter().skip(first).take(page * 2);
        shown.filter_map(|&at| rows.get(at as usize))
    }

    /// Rows in the order in which they are shown.
    pub fn rows<'a>(&'a self, rows: &'a [R]) -> impl Iterator<Item = &'a R> {
        self.order.iter().filter_map(|&at| rows.get(at as usize))
    }

    /// Every column and whether it is shown.
    pub fn column_choice(&self) -> Vec<(&'static str, bool)> {
        let shown = |column: &Column<R>| (column.title, !self.hidden.contains(column.title));
        self.columns.iter().map(shown).collect()
    }

    /// Shows or hides a column; the first always stays.
    pub fn toggle(&mut self, title: &str) {
        let column = self
            .columns
            .iter()
            .skip(1)
            .find(|column| column.title == title);
        if let Some(column) = column
            && !self.hidden.remove(column.title)
        {
            self.hidden.insert(column.title);
        }
    }

    /// Filters, sorts and scrolls anew: rows, the filter, the order or the size has changed.
    pub fn learn(&mut self, rows: &[R], look: &Look<'_>) {
        self.all = rows.len();
        let places = 0..u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let taken = places.filter(|&at| {
            let Some(row) = rows.get(at as usize) else {
                return false;
            };
            let columns = self.columns;
            self.filter.is_empty() || self.filter.takes(&Seen { row, columns, look })
        });
        self.order = taken.collect();
        self.sort_rows(rows, look);
        if !self.marks.is_empty() {
            let there: BTreeSet<&Arc<str>> = rows.iter().map(Row::id).collect();
            self.marks.retain(|mark| there.contains(mark));
        }
        let selected = self.selected.as_ref();
        let found = selected.and_then(|selected| {
            self.order.iter().position(|&at| {
                rows.get(at as usize)
                    .is_some_and(|row| row.id() == selected)
            })
        });
        // What was selected is gone: what stands in its place is selected instead.
        self.at = found.unwrap_or_else(|| self.at.min(self.order.len().saturating_sub(1)));
        self.follow(rows, look);
        if self.settled.is_none() || found.is_none() {
            self.settle();
        }
    }

    fn sort_rows(&mut self, rows: &[R], look: &Look<'_>) {
        let (by, descending) = self.sort;
        let Some(column) = self.columns.get(by) else {
            return;
        };
        let key = |at: u32| match rows.get(at as usize).map(|row| (column.value)(row, look)) {
            Some(Value::Number(number)) => SortKey::Number(number),
            Some(Value::Text(text)) => SortKey::Text(text.into_owned()),
            Some(Value::Words(words)) => SortKey::Text(words.join(" ")),
            Some(Value::Moment(at_us)) => SortKey::Number(at_us as f64),
            Some(Value::Unknown) | None => SortKey::Unknown,
        };
        // Rows come in order of name: the first column needs no keys, only a direction.
        if by == 0 {
            if descending {
                self.order.reverse();
            }
            return;
        }
        let mut keyed: Vec<(SortKey, u32)> = self.order.iter().map(|&at| (key(at), at)).collect();
        keyed.sort_by(|(a, at_a), (b, at_b)| a.compare(b, descending).then_with(|| at_a.cmp(at_b)));
        self.order = keyed.into_iter().map(|(_, at)| at).collect();
    }

    fn id_at(&self, rows: &[R], at: usize) -> Option<Arc<str>> {
        let place = *self.order.get(at)?;
        rows.get(place as usize).map(|row| row.id().clone())
    }

    /// Selects what stands at `at`, and scrolls so that it is visible.
    fn follow(&mut self, rows: &[R], look: &Look<'_>) {
        self.selected = self.id_at(rows, self.at).or_else(|| {
            // Nothing is known yet: what is to be selected when it comes stays so.
            self.selected.take().filter(|_| rows.is_empty())
        });
        let height = draw::lines(look, look.body).max(1);
        let last = self.order.len().saturating_sub(height);
        let least = (self.at + 1).saturating_sub(height);
        self.top = self.top.clamp(least, self.at).min(last.max(least));
    }

    /// Does what a command asks of the table; nothing where it asks nothing of it.
    #[allow(clippy::wildcard_enum_match_arm, reason = "other commands do not move")]
    pub fn on(&mut self, command: Command, rows: &[R], look: &Look<'_>) -> Option<Vec<Step>> {
        let last = self.order.len().saturating_sub(1);
        let half = (draw::lines(look, look.body) / 2).max(1);
        let to = match command {
            Command::Down => (self.at + 1).min(last),
            Command::Up => self.at.saturating_sub(1),
            Command::Top => 0,
            Command::Bottom => last,
            Command::PageDown => (self.at + half).min(last),
            Command::PageUp => self.at.saturating_sub(half),
            other => return self.on_rows(other, rows, look),
        };
        self.at = to;
        self.follow(rows, look);
        Some(vec![Step::Moved])
    }

    fn on_rows(&mut self, command: Command, rows: &[R], look: &Look<'_>) -> Option<Vec<Step>> {
        if command == Command::Mark {
            if let Some(selected) = self.selected.clone()
                && !self.marks.remove(&selected)
            {
                self.marks.insert(selected);
            }
            return self.on(Command::Down, rows, look);
        }
        if command == Command::MarkRange {
            self.mark_range(rows);
        } else if command == Command::MarkAll {
            let shown = self.order.iter().filter_map(|&at| rows.get(at as usize));
            self.marks = shown.map(|row| row.id().clone()).collect();
        } else if command == Command::Unmark {
            self.marks.clear();
            self.range_from = None;
        } else if command == Command::Sort {
            self.sort_next();
            self.learn(rows, look);
            return Some(vec![Step::Say(Ok(self.sort_words()))]);
        } else if command == Command::SortReverse {
            self.sort.1 = !self.sort.1;
            self.learn(rows, look);
            return Some(vec![Step::Say(Ok(self.sort_words()))]);
        } else if command == Command::Columns {
            return Some(vec![Step::Columns(self.column_choice())]);
        } else if command == Command::Copy {
            let text = self.chosen().join("\n");
            return Some(vec![Step::Effect(crate::msg::Effect::Copy(text))]);
        } else {
            return None;
        }
        Some(Vec::new())
    }

    fn sort_next(&mut self) {
        let shown = |at: &usize| {
            let column = self.columns.get(*at);
            column.is_some_and(|column| !self.hidden.contains(column.title))
        };
        let (by, _) = self.sort;
        let next = (by + 1..self.columns.len()).chain(0..=by).find(shown);
        let next = next.unwrap_or(0);
        // Figures are looked at from the greatest, names from the first.
        let column = self.columns.get(next);
        let descending = column.is_some_and(|column| column.align == Alignment::Right);
        self.sort = (next, descending);
    }

    fn sort_words(&self) -> String {
        let title = self
            .columns
            .get(self.sort.0)
            .map_or("", |column| column.title);
        let way = if self.sort.1 {
            "greatest first"
        } else {
            "least first"
        };
        format!("sorted by {title}, {way}")
    }

    fn mark_range(&mut self, rows: &[R]) {
        let Some(from) = self.range_from.take() else {
            self.range_from.clone_from(&self.selected);
            return;
        };
        let from = self
            .order
            .iter()
            .position(|&at| rows.get(at as usize).is_some_and(|row| *row.id() == from));
        if let Some(from) = from {
            let range = from.min(self.at)..=from.max(self.at);
            let marked: Vec<_> = range.filter_map(|at| self.id_at(rows, at)).collect();
            self.marks.extend(marked);
        }
    }

    /// Draws the visible rows into `area`.
    pub fn draw(&self, rows: &[R], look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        draw::table(self, rows, look, area, buf);
    }

    /// The rows that are shown as comma-separated values, with their headings.
    pub fn csv(&self, rows: &[R], look: &Look<'_>) -> String {
        let field = |text: &str| match text.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        };
        let titles: Vec<String> = self
            .columns
            .iter()
            .map(|column| field(column.field))
            .collect();
        let mut text = titles.join(",") + "\n";
        for row in self.rows(rows) {
            let cells = self
                .columns
                .iter()
                .map(|column| match (column.value)(row, look) {
                    Value::Number(number) => number.to_string(),
                    Value::Text(text) => field(&text),
                    Value::Words(words) => field(&words.join(" ")),
                    Value::Moment(at_us) => rfc3339(at_us),
                    Value::Unknown => String::new(),
                });
            text.push_str(&cells.collect::<Vec<_>>().join(","));
            text.push('\n');
        }
        text
    }
}

impl SortKey {
    fn compare(&self, other: &Self, descending: bool) -> std::cmp::Ordering {
        let way = |order: std::cmp::Ordering| if descending { order.reverse() } else { order };
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => way(a.total_cmp(b)),
            (Self::Text(a), Self::Text(b)) => way(a.cmp(b)),
            (Self::Unknown, Self::Unknown) => std::cmp::Ordering::Equal,
            (Self::Unknown, Self::Number(_) | Self::Text(_)) | (Self::Text(_), Self::Number(_)) => {
                std::cmp::Ordering::Greater
            }
            (Self::Number(_) | Self::Text(_), Self::Unknown) | (Self::Number(_), Self::Text(_)) => {
                std::cmp::Ordering::Less
            }
        }
    }
}

//! Percentiles over time: a line each, on a logarithmic axis, with marks where something
//! happened.
//!
//! ```text
//!  50 ms ┤                                       ┆╭──────────── p99 75.0 ms
//!        │──────────────────────    ──────────────╯
//!  10 ms ┤                                       ┆╭──────────── p90 9.60 ms
//!        │──────────────────────    ──────────────╯
//!        │──────────────────────    ─────────────────────────── p50 3.41 ms
//!         13:30       13:35        13:40         13:45
//!                                                13:45 infer-0042 retired
//! ```
//! What is unknown, for want of requests, is a gap: nothing is ever drawn between two figures
//! that are not next to each other. Percentiles cannot be averaged, so where several steps
//! share a column it shows the slowest, and the chart says so.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::layout::{Layout, NAMES_FROM};
use super::axis::{LogScale, TimeScale, hh_mm};
use super::pen::{Pen, cut, width};
use crate::format;
use crate::theme::{Meaning, Theme};

mod layout;
#[cfg(test)]
mod tests;

/// The axis spans at least this ratio, so that noise does not look like news.
const LEAST_RATIO: f64 = 1.5;
/// How many lines a figure may lie from the line that the step before it is drawn on, and stay
/// there: else one that lies between two lines would jump up and down with every breath.
const HOLD: f64 = 0.75;

/// One percentile, step by step.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// What it is called, such as `p99`.
    pub name: &'a str,
    /// How it looks.
    pub meaning: Meaning,
    /// Where each step begins, and its latency in microseconds; absent: few. In order of time;
    /// a step that is missing is unknown.
    pub points: &'a [(i64, Option<f64>)],
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'a> {
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// What, in a few words.
    pub label: &'a str,
}

/// Lines over a span of time.
#[derive(Clone, Copy, Debug)]
pub struct Chart<'a> {
    /// Where the span begins and ends, in microseconds since 1970.
    pub span_us: (i64, i64),
    /// How long a step is.
    pub step_us: i64,
    /// The last is drawn over those before it.
    pub lines: &'a [Line<'a>],
    /// In order of time.
    pub marks: &'a [Mark<'a>],
}

impl Chart<'_> {
    /// Draws it into the area.
    pub fn draw(&self, theme: &Theme, area: Rect, buf: &mut Buffer) {
        self.draw_marked(None, theme, area, buf);
    }

    /// Draws it with a cursor at this moment.
    pub fn draw_with_cursor(&self, at_us: i64, theme: &Theme, area: Rect, buf: &mut Buffer) {
        self.draw_marked(Some(at_us), theme, area, buf);
    }

    fn draw_marked(&self, cursor_us: Option<i64>, theme: &Theme, area: Rect, buf: &mut Buffer) {
        let mut pen = Pen::new(theme, area, buf);
        let values = self.lines.iter().flat_map(|line| line.points);
        let values = values.filter_map(|(_, value)| *value);
        let Some(scale) = LogScale::over(values, LEAST_RATIO) else {
            pen.text(
                0,
                0,
                "few requests: no percentile is known",
                Meaning::Unknown,
            );
            return;
        };
        let layout = Layout::of(self, &pen);
        let time = TimeScale::new(self.span_us, layout.columns);
        self.draw_marks(&mut pen, &layout, &time);
        let mut ends = Vec::with_capacity(self.lines.len());
        for line in self.lines {
            let columns = columns(line, &time, self.step_us, layout.columns);
            let places = columns.iter().map(|value| Some(scale.place((*value)?)));
            let rows = steady(places, &layout);
            draw_line(&mut pen, &layout, &rows, line.meaning);
            ends.push(End::of(line, &rows, columns.last().copied().flatten()));
        }
        if let Some(column) = cursor_us.and_then(|at_us| time.column(at_us)) {
            for y in layout.top..layout.top + layout.rows {
                pen.mark(layout.left + column, y, Meaning::Selected);
            }
        }
        layout.draw_scale(&mut pen, &scale);
        layout.draw_names(&mut pen, &mut ends);
        if let Some(y) = layout.times {
            self.draw_times(&mut pen, &layout, &time, y);
        }
    }

    fn draw_marks(&self, pen: &mut Pen<'_>, layout: &Layout, time: &TimeScale) {
        let glyph = pen.letter('┆', ':');
        let mut free = 0;
        for mark in self.marks {
            let Some(column) = time.column(mark.at_us) else {
                continue;
            };
            for y in layout.top..layout.top + layout.rows {
                pen.dot(layout.left + column, y, glyph, Meaning::Accent);
            }
            let Some(y) = layout.labels else {
                continue;
            };
            // A label stands under its mark, or ends at the edge where it has no room there;
            // where two would meet, the mark alone stays.
            let label = format!("{} {}", hh_mm(mark.at_us), mark.label);
            let label = cut(&label, pen.width());
            let x = (layout.left + column).min(pen.width() - width(&label));
            if x >= free {
                free = pen.text(x, y, &label, Meaning::Accent) + 2;
            }
        }
    }

    fn draw_times(&self, pen: &mut Pen<'_>, layout: &Layout, time: &TimeScale, y: usize) {
        const NOTE: &str = "a column shows its slowest step";
        let mut room = pen.width();
        if time.has_narrower(self.step_us) && width(NOTE) + NAMES_FROM / 2 <= room {
            pen.text_before(room, y, NOTE, Meaning::Quiet);
            room -= width(NOTE) + 2;
        }
        for (column, label) in time.ticks() {
            let x = layout.left + column;
            if x + width(&label) <= room {
                pen.text(x, y, &label, Meaning::Quiet);
            }
        }
    }
}

/// Columns of the plot in an area of this width: steps that it can show one by one.
pub fn plot_columns(width: u16) -> u16 {
    let (left, names) = layout::sides(usize::from(width));
    width.saturating_sub(u16::try_from(left + names).unwrap_or(u16::MAX))
}

/// A line's latency in each column: the greatest of the steps that lie in it.
fn columns(line: &Line<'_>, time: &TimeScale, step_us: i64, columns: usize) -> Vec<Option<f64>> {
    let mut values = vec![None; columns];
    for (start_us, value) in line.points {
        let Some(value) = value.filter(|value| value.is_finite() && *value > 0.0) else {
            continue;
        };
        let covered = time.columns(*start_us, step_us);
        let covered = match time.column(*start_us) {
            Some(column) if covered.is_empty() => column..column + 1,
            Some(_) | None => covered,
        };
        for slot in values.get_mut(covered).unwrap_or_default() {
            *slot = Some(slot.map_or(value, |other: f64| other.max(value)));
        }
    }
    values
}

/// The row of each place.
fn steady(places: impl Iterator<Item = Option<f64>>, layout: &Layout) -> Vec<Option<usize>> {
    let mut before = None;
    let rows = places.map(|place| {
        let exact = place.map(|place| layout.depth(place));
        let held = |exact: &f64| before.filter(|row: &usize| (exact - *row as f64).abs() <= HOLD);
        let row = exact.map(|exact| held(&exact).unwrap_or_else(|| exact.round() as usize));
        before = row;
        row
    });
    rows.collect()
}

/// Draws a line through the rows of neighbouring columns; a column without a row ends it.
fn draw_line(pen: &mut Pen<'_>, layout: &Layout, rows: &[Option<usize>], meaning: Meaning) {
    let flat = pen.letter('─', '-');
    let upright = pen.letter('│', '|');
    let corner = |unicode: char| if pen.is_ascii() { '+' } else { unicode };
    let [rise_from, rise_to] = ['╯', '╭'].map(corner);
    let [fall_from, fall_to] = ['╮', '╰'].map(corner);
    let mut before = None;
    for (column, row) in rows.iter().enumerate() {
        let x = layout.left + column;
        match (before, *row) {
            (_, None) => {}
            (Some(from), Some(to)) if from != to => {
                let (start, end) = if to < from {
                    (rise_from, rise_to)
                } else {
                    (fall_from, fall_to)
                };
                for y in from.min(to) + 1..from.max(to) {
                    pen.dot(x, y, upright, meaning);
                }
                pen.dot(x, from, start, meaning);
                pen.dot(x, to, end, meaning);
            }
            (_, Some(row)) => pen.dot(x, row, flat, meaning),
        }
        before = *row;
    }
}

/// How a line ends: its name and its last figure, beside the row where it was last known.
struct End {
    row: Option<usize>,
    text: String,
    meaning: Meaning,
}

impl End {
    fn of(line: &Line<'_>, rows: &[Option<usize>], last: Option<f64>) -> Self {
        Self {
            row: rows.iter().rev().find_map(|row| *row),
            text: format!("{} {}", line.name, format::latency(last)),
            meaning: line.meaning,
        }
    }
}

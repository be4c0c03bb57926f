//! A heat map: hosts down, time across.
//!
//! ```text
//! infer-0042  ░░░░░░▒▒▒▓▓█████████
//! infer-0107  ░░░░░·····░░░░░░░░,,
//! infer-0001  ░░░░░░░░░░░░░░░
//!             13:30   13:40   13:50
//! p99  ░ 3.10 ms  ▒ 9.00 ms  ▓ 28.0 ms  █ 91.0 ms  · unknown  , few  blank none  log scale
//! infer-0042 13:48  p99 812 ms  p50 41.2 ms  1,204 requests  3 errors          1–3 of 412
//! ```
//! A cell's letter is its level on a logarithmic scale over all cells that are shown; the
//! colour says it again in finer steps. What the hub knows nothing of is `·`, and too few
//! requests for the figure are `,`; where there were none it is blank. The cell under the
//! cursor is told in words. Only rows that are on the screen are looked at.

use std::ops::Range;
use std::sync::Arc;

use binnacle_core::view::{Cell, History};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::words::spoken;
use super::axis::{LogScale, TimeScale};
use super::pen::{Pen, cut_front, width};
use crate::format;
use crate::theme::{Meaning, Theme};

#[cfg(test)]
mod tests;
mod words;

/// Levels that values take: 1 to 7. Level 0 is nothing at all.
const LEVELS: usize = 7;
const GLYPHS: [char; LEVELS] = ['░', '░', '▒', '▒', '▓', '▓', '█'];
const GLYPHS_ASCII: [char; LEVELS] = ['.', ':', '-', '=', '+', '*', '#'];
/// The scale spans at least this ratio: among hosts that are alike none looks hot.
const LEAST_RATIO: f64 = 4.0;
/// A name takes at most this part of the width.
const NAME_PART: usize = 3;
/// The longest column: wider ones say nothing more.
const MAX_CELL: usize = 6;

/// What a cell shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// The 99th percentile.
    P99,
    /// Failed requests of all.
    Errors,
    /// Requests a second.
    Rate,
}

impl Measure {
    /// The next of them, around.
    pub fn next(self) -> Self {
        match self {
            Self::P99 => Self::Errors,
            Self::Errors => Self::Rate,
            Self::Rate => Self::P99,
        }
    }

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Self::P99 => "p99",
            Self::Errors => "errors",
            Self::Rate => "req/s",
        }
    }

    fn told(self, value: f64) -> String {
        match self {
            Self::P99 => format::latency(Some(value)),
            Self::Errors => format!("{:.2} %", value * 100.0),
            Self::Rate => format::rate(value),
        }
    }
}

/// A place in a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spot {
    /// Which host, from the top.
    pub row: usize,
    /// Which step, from the oldest.
    pub column: usize,
}

/// Hosts over time.
#[derive(Clone, Copy, Debug)]
pub struct HeatMap<'a> {
    /// What is known, in the order in which it is to be shown.
    pub history: &'a History,
    /// What the cells show.
    pub measure: Measure,
    /// The cursor, which is always in view; absent: the first rows and the newest steps are.
    pub cursor: Option<Spot>,
}

/// What is known of a cell's measure.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    /// The hub knows nothing of the host then.
    Unknown,
    /// Too few requests.
    Few,
    /// No requests, or no errors.
    Nothing,
    /// This much, above zero.
    Of(f64),
}

impl HeatMap<'_> {
    /// Draws it into the area: rows first, then times, the legend, and the cursor in words, as
    /// far as there is room.
    pub fn draw(&self, theme: &Theme, area: Rect, buf: &mut Buffer) {
        let mut pen = Pen::new(theme, area, buf);
        let steps = self.steps();
        if steps == 0 {
            pen.text(0, 0, "no host is known in this span", Meaning::Unknown);
            return;
        }
        let view = View::of(self, &pen, steps);
        let scale = self.scale(&view);
        for (y, row) in view.rows.clone().enumerate() {
            self.draw_row(&mut pen, &view, scale.as_ref(), (y, row));
        }
        let (mut y, mut legend) = (view.lines, 0);
        if y < pen.height() {
            self.draw_times(&mut pen, &view, y);
            y += 1;
        }
        if y < pen.height() {
            legend = self.draw_legend(&mut pen, scale.as_ref(), y);
            y += 1;
        }
        let words = self.words().filter(|_| y < pen.height());
        let end = words.map(|words| pen.text(0, y, &words, Meaning::Text));
        // Which rows these are, where there is room: beside the cursor's words, or else beside
        // the legend.
        let (y, end) = end.map_or((y.saturating_sub(1), legend), |end| (y, end));
        let (first, last) = (view.rows.start + 1, view.rows.end);
        let shown = format!("{first}–{last} of {}", view.hosts);
        if y > view.lines && end + 2 + width(&shown) <= pen.width() {
            pen.text_before(pen.width(), y, &shown, Meaning::Quiet);
        }
    }

    /// The cell under the cursor in words; nothing without a cursor on a host.
    pub fn words(&self) -> Option<String> {
        let spot = self.cursor?;
        let (host, cells) = self.history.hosts.get(spot.row)?;
        let cell = cells.get(spot.column).copied().flatten();
        let step_us = i64::from(self.history.step_s) * 1_000_000;
        let column = i64::try_from(spot.column).ok()?;
        let at_us = self
            .history
            .from_us
            .saturating_add(step_us.saturating_mul(column));
        Some(spoken(host, at_us, self.history.step_s, cell))
    }

    /// Steps of the longest row.
    fn steps(&self) -> usize {
        let rows = self.history.hosts.iter().map(|(_, cells)| cells.len());
        rows.max().unwrap_or(0)
    }

    fn value(&self, cell: Option<&Cell>) -> Value {
        let Some(cell) = cell else {
            return Value::Unknown;
        };
        let requests = f64::from(cell.requests);
        match self.measure {
            _ if cell.requests == 0 => Value::Nothing,
            Measure::P99 => cell.p99.us().map_or(Value::Few, Value::Of),
            Measure::Errors if cell.errors == 0 => Value::Nothing,
            Measure::Errors => Value::Of(f64::from(cell.errors) / requests),
            Measure::Rate => Value::Of(requests / f64::from(self.history.step_s.max(1))),
        }
    }

    fn row(&self, row: usize) -> (&str, &[Option<Cell>]) {
        let host: Option<&(Arc<str>, Vec<Option<Cell>>)> = self.history.hosts.get(row);
        host.map_or(("", &[]), |(name, cells)| (name, cells))
    }

    fn scale(&self, view: &View) -> Option<LogScale> {
        let rows = view.rows.clone().map(|row| self.row(row).1);
        let cells =
            rows.flat_map(|cells| cells.iter().skip(view.steps.start).take(view.steps.len()));
        let values = cells.filter_map(|cell| match self.value(cell.as_ref()) {
            Value::Of(value) => Some(value),
            Value::Unknown | Value::Few | Value::Nothing => None,
        });
        LogScale::over(values, LEAST_RATIO)
    }

    fn draw_row(
        &self,
        pen: &mut Pen<'_>,
        view: &View,
        scale: Option<&LogScale>,
        (y, row): (usize, usize),
    ) {
        let (name, cells) = self.row(row);
        let is_here = self.cursor.is_some_and(|spot| spot.row == row);
        let meaning = if is_here {
            Meaning::Accent
        } else {
            Meaning::Text
        };
        pen.text(0, y, &cut_front(name, view.left.saturating_sub(1)), meaning);
        for (at, step) in view.steps.clone().enumerate() {
            let value = self.value(cells.get(step).and_then(Option::as_ref));
            let (glyph, mut meaning) = drawn(pen, scale, value);
            if is_here && self.cursor.is_some_and(|spot| spot.column == step) {
                meaning = Meaning::Selected;
            }
            for x in 0..view.cell {
                pen.dot(view.left + at * view.cell + x, y, glyph, meaning);
            }
        }
    }

    fn draw_times(&self, pen: &mut Pen<'_>, view: &View, y: usize) {
        let moment = |step: usize| {
            let past_s = i64::from(self.history.step_s).saturating_mul(step as i64);
            let past_us = past_s.saturating_mul(1_000_000);
            self.history.from_us.saturating_add(past_us)
        };
        let span = (moment(view.steps.start), moment(view.steps.end));
        let time = TimeScale::new(span, view.steps.len() * view.cell);
        for (column, label) in time.ticks() {
            let x = view.left + column;
            if x + width(&label) <= pen.width() {
                pen.text(x, y, &label, Meaning::Quiet);
            }
        }
    }

    /// Each letter with the least value that it stands for, then those that stand for none.
    /// Answers with the column where it ends.
    fn draw_legend(&self, pen: &mut Pen<'_>, scale: Option<&LogScale>, y: usize) -> usize {
        let word = self.measure.word();
        let mut x = pen.text(0, y, word, Meaning::Quiet) + 2;
        let mut entries = scale.map_or(Vec::new(), |scale| self.entries(pen, scale));
        let taken = |entries: &[(usize, char, String)]| -> usize {
            entries.iter().map(|(_, _, least)| width(least) + 4).sum()
        };
        // The ends say most of a scale that has no room for its middle.
        if entries.len() > 2 && x + taken(&entries) > pen.width() + 2 {
            entries.drain(1..entries.len() - 1);
        }
        for (level, glyph, least) in entries {
            pen.dot(x, y, glyph, heat(level));
            x = pen.text(x + 2, y, &least, Meaning::Quiet) + 2;
        }
        let nothing = match self.measure {
            Measure::P99 | Measure::Rate => "blank none",
            Measure::Errors => "blank no errors",
        };
        let unknown = format!("{} unknown", pen.unknown());
        let few = (self.measure == Measure::P99).then_some(", few");
        let rest = [Some(&*unknown), few, Some(nothing), Some("log scale")];
        for text in rest.into_iter().flatten() {
            if x + width(text) <= pen.width() {
                x = pen.text(x, y, text, Meaning::Quiet) + 2;
            }
        }
        x
    }

    /// Each letter, the lowest level that it stands for, and the least value of that.
    fn entries(&self, pen: &Pen<'_>, scale: &LogScale) -> Vec<(usize, char, String)> {
        let glyphs = if pen.is_ascii() { GLYPHS_ASCII } else { GLYPHS };
        let mut entries: Vec<(usize, char, String)> = Vec::with_capacity(LEVELS);
        for (level, glyph) in (1..).zip(glyphs) {
            if entries.last().is_none_or(|(_, last, _)| *last != glyph) {
                let least = scale.at((level - 1) as f64 / LEVELS as f64);
                entries.push((level, glyph, self.measure.told(least)));
            }
        }
        entries
    }
}

/// The part of a history that is in view, and where it goes.
struct View {
    rows: Range<usize>,
    steps: Range<usize>,
    hosts: usize,
    /// Lines of rows.
    lines: usize,
    /// First column of the cells.
    left: usize,
    /// Columns a cell.
    cell: usize,
}

impl View {
    fn of(map: &HeatMap<'_>, pen: &Pen<'_>, steps: usize) -> Self {
        let hosts = map.history.hosts.len();
        let lines = match pen.height() {
            height @ 0..=2 => height,
            height @ 3..=4 => height - 1,
            height => height - 2 - usize::from(map.cursor.is_some()),
        };
        let rows = page(hosts, lines, map.cursor.map_or(0, |spot| spot.row));
        let names = rows.clone().map(|row| width(map.row(row).0) + 1);
        let left = names.max().unwrap_or(0).min(pen.width() / NAME_PART);
        let room = pen.width() - left;
        let cell = (room / steps).clamp(1, MAX_CELL);
        // Counted from the newest, so that the newest are in view without a cursor.
        let newest = map
            .cursor
            .map_or(0, |spot| steps.saturating_sub(spot.column + 1));
        let past = page(steps, room / cell, newest);
        Self {
            lines: lines.min(rows.len()),
            steps: steps - past.end..steps - past.start,
            rows,
            hosts,
            left,
            cell,
        }
    }
}

/// Which of `all` are in view: the page of this size on which `at` is; the last is full, too.
/// A view that turns pages moves seldom, which a slow line is grateful for.
fn page(all: usize, size: usize, at: usize) -> Range<usize> {
    if size == 0 {
        return 0..0;
    }
    let at = at.min(all.saturating_sub(1));
    let start = (at / size * size).min(all.saturating_sub(size));
    start..(start + size).min(all)
}

/// From 1 to 7.
fn level(scale: &LogScale, value: f64) -> usize {
    let place = scale.place(value) * LEVELS as f64;
    (place as usize).min(LEVELS - 1) + 1
}

fn heat(level: usize) -> Meaning {
    Meaning::Heat(u8::try_from(level).unwrap_or(u8::MAX))
}

fn drawn(pen: &Pen<'_>, scale: Option<&LogScale>, value: Value) -> (char, Meaning) {
    let glyphs = if pen.is_ascii() { GLYPHS_ASCII } else { GLYPHS };
    match value {
        Value::Unknown => (pen.unknown(), Meaning::Unknown),
        Value::Few => (',', Meaning::Unknown),
        Value::Nothing => (' ', heat(0)),
        Value::Of(value) => {
            let level = scale.map_or(1, |scale| level(scale, value));
            let glyph = glyphs.get(level - 1).copied().unwrap_or(' ');
            (glyph, heat(level))
        }
    }
}

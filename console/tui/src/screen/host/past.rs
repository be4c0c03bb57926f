//! A host's past: its p99 as a line of blocks, with the times below and a cursor that says
//! exactly what a column stands for.

use binnacle_core::view::{Cell, History, rfc3339};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::draw::clock;
use crate::format;
use crate::screen::Look;
use crate::theme::Meaning;
use crate::widget::line;
use crate::widget::page::{Line, piece};
use crate::widget::sparkline::Sparkline;

const MINUTE_US: i64 = 60_000_000;

/// Minutes between two times on the axis; the first with enough room for its text is taken.
const TICKS: [i64; 9] = [5, 10, 15, 30, 60, 120, 180, 360, 720];
/// Columns that a time on the axis needs.
const TICK_WIDTH: i64 = 10;

/// A host's cells, column by column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns<'a> {
    from_us: i64,
    step_us: i64,
    cells: &'a [Option<Cell>],
}

impl<'a> Columns<'a> {
    /// The columns of this host; none where the hub keeps none.
    pub(super) fn of(history: &'a History, host: &str) -> Self {
        let found = history.hosts.iter().find(|(name, _)| **name == *host);
        Self {
            from_us: history.from_us,
            step_us: i64::from(history.step_s.max(1)) * 1_000_000,
            cells: found.map(|(_, cells)| cells.as_slice()).unwrap_or_default(),
        }
    }

    /// Where a column begins.
    fn start_us(&self, at: usize) -> i64 {
        let steps = i64::try_from(at).unwrap_or(i64::MAX);
        self.from_us
            .saturating_add(steps.saturating_mul(self.step_us))
    }

    /// The column that holds a moment, or the nearest; without a moment the newest of which
    /// something is known.
    fn at(&self, cursor_us: Option<i64>) -> Option<usize> {
        let last = self.cells.len().checked_sub(1)?;
        let Some(cursor_us) = cursor_us else {
            return Some(self.cells.iter().rposition(Option::is_some).unwrap_or(last));
        };
        let steps = cursor_us.saturating_sub(self.from_us).max(0) / self.step_us;
        Some(usize::try_from(steps).unwrap_or(last).min(last))
    }

    /// The cursor after so many columns to the right, or to the left where negative.
    pub(super) fn moved(&self, cursor_us: Option<i64>, by: i64) -> Option<i64> {
        let at = self.at(cursor_us)?;
        let by_abs = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
        let to = match by < 0 {
            true => at.saturating_sub(by_abs),
            false => at.saturating_add(by_abs).min(self.cells.len() - 1),
        };
        Some(self.start_us(to))
    }

    /// Where the column under the cursor begins, and what is in it.
    pub(super) fn under(&self, cursor_us: Option<i64>) -> Option<(i64, Option<Cell>)> {
        let at = self.at(cursor_us)?;
        Some((self.start_us(at), self.cells.get(at).copied().flatten()))
    }

    /// All columns as comma-separated values; what is unknown is empty.
    pub(super) fn csv(&self) -> String {
        let mut text = "start,requests,errors,p50_ms,p99_ms\n".to_owned();
        let ms = |us: Option<f64>| us.map(|us| format!("{:.4}", us / 1e3)).unwrap_or_default();
        for (at, cell) in self.cells.iter().enumerate() {
            let start = rfc3339(self.start_us(at));
            let cell = cell.map(|cell| {
                let (p50, p99) = (ms(cell.p50.us()), ms(cell.p99.us()));
                format!("{},{},{p50},{p99}", cell.requests, cell.errors)
            });
            text.push_str(&format!(
                "{start},{}\n",
                cell.unwrap_or_else(|| ",,,".into())
            ));
        }
        text
    }

    /// Its lines: heading, blocks over `rows` lines, times, and the value under the cursor.
    pub(super) fn lines(
        &self,
        cursor_us: Option<i64>,
        look: &Look<'_>,
        (columns, rows): (u16, u16),
    ) -> Vec<Line> {
        let columns = usize::from(columns);
        let Some(at) = self.at(cursor_us) else {
            let words = "P99  nothing is kept of it in this span";
            return vec![vec![piece(words, Meaning::Unknown)]];
        };
        // Of more than fit the newest are shown, or those around the cursor.
        let first = self.cells.len().saturating_sub(columns).min(at);
        let cells = self.cells.iter().skip(first).take(columns);
        // What is unknown is a gap, and so is a minute without requests: the line below tells.
        let values: Vec<Option<f64>> = cells
            .map(|cell| cell.and_then(|cell| cell.p99.us()))
            .collect();
        let most_us = values.iter().flatten().copied().fold(0.0, f64::max);
        let mut lines = vec![self.heading(most_us, columns)];
        let cursor = at - first;
        let all = if look.is_stale() {
            Meaning::Stale
        } else {
            Meaning::First
        };
        for letters in blocks(&values, rows, look) {
            lines.push(pointed(&letters, cursor, (all, Meaning::Selected)));
        }
        let axis = self.axis(first, values.len(), cursor);
        lines.push(pointed(&axis, cursor, (Meaning::Quiet, Meaning::Accent)));
        lines.push(vec![piece(self.words(at, look), Meaning::Text)]);
        lines
    }

    fn heading(&self, most_us: f64, columns: usize) -> Line {
        let count = i64::try_from(self.cells.len()).unwrap_or(i64::MAX);
        let span_us = count.saturating_mul(self.step_us);
        let step = self.step_us / MINUTE_US;
        let mut left = format!("  last {}", format::age(span_us));
        if step > 1 {
            left.push_str(&format!(", the worst minute of each {step}"));
        }
        let right = match most_us > 0.0 {
            true => format!("full: {}", format::latency(Some(most_us))),
            false => "no p99 is known: few requests".into(),
        };
        let taken = usize::from(line::width(&left) + line::width(&right)) + 3;
        let gap = " ".repeat(columns.saturating_sub(taken).max(2));
        vec![
            piece("P99", Meaning::Title),
            piece(left, Meaning::Quiet),
            piece(gap, Meaning::Text),
            piece(right, Meaning::Quiet),
        ]
    }

    /// Hours and minutes below the columns that begin at a round time, and the cursor's arrow.
    fn axis(&self, first: usize, count: usize, cursor: usize) -> Vec<String> {
        let fits = |tick: &&i64| **tick * MINUTE_US / self.step_us >= TICK_WIDTH;
        let tick_us = TICKS.iter().find(fits).or(TICKS.last());
        let tick_us = tick_us.copied().unwrap_or(60) * MINUTE_US;
        let mut letters = vec![" ".to_owned(); count];
        let mut taken = 0;
        for at in 0..count {
            let start_us = self.start_us(first + at);
            // A step that does not divide the tick still passes it in one of its columns.
            let is_tick = start_us.rem_euclid(tick_us) < self.step_us;
            if is_tick && at >= taken && at + 6 <= count {
                let text = format!("│{}", clock(start_us).trim_end_matches('Z'));
                taken = at + 6;
                for (place, letter) in letters.iter_mut().skip(at).zip(text.chars()) {
                    *place = letter.into();
                }
            }
        }
        if let Some(letter) = letters.get_mut(cursor) {
            *letter = "▴".into();
        }
        letters
    }

    /// What the column under the cursor stands for.
    fn words(&self, at: usize, look: &Look<'_>) -> String {
        let start_us = self.start_us(at);
        let ago = format::age(look.now_us.saturating_sub(start_us));
        let when = match self.step_us <= MINUTE_US {
            true => format!("at {} ({ago} ago)", clock(start_us)),
            false => {
                let from = clock(start_us);
                let to = clock(start_us.saturating_add(self.step_us));
                format!("{}–{to} ({ago} ago)", from.trim_end_matches('Z'))
            }
        };
        let Some(cell) = self.cells.get(at).copied().flatten() else {
            return format!("nothing is known {when}");
        };
        if cell.requests == 0 {
            return format!("no requests {when}");
        }
        let p99 = format::latency(cell.p99.us());
        let count = format::count(cell.requests.into());
        let errors = format::share(cell.errors.into(), cell.requests.into());
        format!("p99 {p99} {when}, n={count}, errors {errors}")
    }
}

/// The lines of a sparkline as wide as there are values.
fn blocks(values: &[Option<f64>], rows: u16, look: &Look<'_>) -> Vec<Vec<String>> {
    let width = u16::try_from(values.len()).unwrap_or(u16::MAX);
    let area = Rect::new(0, 0, width, rows);
    let mut buf = Buffer::empty(area);
    let sparkline = Sparkline {
        values,
        max: None,
        meaning: Meaning::First,
    };
    sparkline.draw(look.theme, area, &mut buf);
    let symbol = |x, y| {
        buf.cell((x, y))
            .map_or(" ", |cell| cell.symbol())
            .to_owned()
    };
    (0..rows)
        .map(|y| (0..width).map(|x| symbol(x, y)).collect())
        .collect()
}

/// A line with one of its letters told apart: the cursor's.
fn pointed(letters: &[String], cursor: usize, (all, one): (Meaning, Meaning)) -> Line {
    let (before, rest) = letters.split_at(cursor.min(letters.len()));
    let (under, after) = rest.split_at(rest.len().min(1));
    vec![
        piece(before.concat(), all),
        piece(under.concat(), one),
        piece(after.concat(), all),
    ]
}

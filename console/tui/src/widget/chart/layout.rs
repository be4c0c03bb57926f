//! Where the parts of a chart go: the axis left, the plot, the names right, times and marks
//! below. What has no room is left out, the plot last.

use super::{Chart, End};
use crate::format;
use crate::theme::Meaning;
use crate::widget::axis::{LogScale, tick};
use crate::widget::pen::{Pen, width};

/// Columns of the axis: a label such as `300 ms`, a blank, a tick.
const AXIS: usize = 9;
/// Columns of the names beside the lines' ends: ` p99.9 45.1 ms`.
const NAMES: usize = 14;
/// Under this width the names stand above the plot.
pub(super) const NAMES_FROM: usize = 50;
/// Under this width there is no axis.
const AXIS_FROM: usize = 24;
/// Under this height the names stand nowhere if not beside.
const HEADING_FROM: usize = 4;

/// The places of the parts, relative to the chart's area.
pub(super) struct Layout {
    /// First column of the plot.
    pub(super) left: usize,
    /// Columns of the plot.
    pub(super) columns: usize,
    /// First line of the plot.
    pub(super) top: usize,
    /// Lines of the plot.
    pub(super) rows: usize,
    /// The line of the times.
    pub(super) times: Option<usize>,
    /// The line of the marks' labels.
    pub(super) labels: Option<usize>,
    are_names_beside: bool,
}

/// Columns left and right of the plot.
pub(super) fn sides(columns: usize) -> (usize, usize) {
    let left = if columns < AXIS_FROM { 0 } else { AXIS };
    let names = if columns < NAMES_FROM { 0 } else { NAMES };
    (left, names)
}

impl Layout {
    pub(super) fn of(chart: &Chart<'_>, pen: &Pen<'_>) -> Self {
        let (columns, height) = (pen.width(), pen.height());
        let (left, names) = sides(columns);
        let are_names_beside = names > 0;
        let top = usize::from(!are_names_beside && height >= HEADING_FROM);
        let has_times = height > 1;
        let in_span = |at_us| (chart.span_us.0..=chart.span_us.1).contains(&at_us);
        let has_labels = height > 3 && chart.marks.iter().any(|mark| in_span(mark.at_us));
        let rows = height - top - usize::from(has_times) - usize::from(has_labels);
        Self {
            left,
            columns: columns - left - names,
            top,
            rows,
            times: has_times.then_some(top + rows),
            labels: has_labels.then_some(top + rows + 1),
            are_names_beside,
        }
    }

    /// How many lines from the area's top a value of this place of the scale lies.
    pub(super) fn depth(&self, place: f64) -> f64 {
        let last = self.rows.saturating_sub(1);
        self.top as f64 + (1.0 - place.clamp(0.0, 1.0)) * last as f64
    }

    fn row(&self, place: f64) -> usize {
        self.depth(place).round() as usize
    }

    pub(super) fn draw_scale(&self, pen: &mut Pen<'_>, scale: &LogScale) {
        let Some(end) = self.left.checked_sub(1) else {
            return;
        };
        let bar = pen.letter('┤', '|');
        for y in self.top..self.top + self.rows {
            pen.dot(end, y, pen.letter('│', '|'), Meaning::Quiet);
        }
        let mut label = |y: usize, text: &str| {
            pen.dot(end, y, bar, Meaning::Quiet);
            pen.text_before(end - 1, y, text, Meaning::Quiet);
        };
        let row = |us: &f64| self.row(scale.place(*us));
        // Two lines apart at the least, or the axis is louder than the plot.
        let ticks = scale.ticks(|ticks| {
            let apart = |pair: &[f64]| match pair {
                [low, high] => row(low) >= row(high) + 2,
                _ => true,
            };
            ticks.len() > 1 && ticks.windows(2).all(apart)
        });
        for us in &ticks {
            let (figure, unit) = tick(*us);
            label(row(us), &format!("{figure} {unit}"));
        }
        if ticks.is_empty() {
            label(self.row(1.0), &format::latency(Some(scale.high)));
            if self.rows > 1 {
                label(self.row(0.0), &format::latency(Some(scale.low)));
            }
        }
    }

    /// Names the lines: beside their ends, or in a heading from the lowest to the highest.
    pub(super) fn draw_names(&self, pen: &mut Pen<'_>, ends: &mut [End]) {
        if !self.are_names_beside {
            let room = pen.width().saturating_sub(self.left);
            let mut named: &[End] = if self.top > 0 { ends } else { &[] };
            // Of those that do not fit the lowest are left out.
            while named.iter().map(|end| width(&end.text) + 2).sum::<usize>() > room + 2 {
                named = named.get(1..).unwrap_or_default();
            }
            let mut x = self.left;
            for end in named {
                x = pen.text(x, 0, &end.text, end.meaning) + 2;
            }
            return;
        }
        // From the top down, each under the one before it; then from the bottom up, where
        // those would fall out of the plot.
        ends.sort_by_key(|end| end.row.unwrap_or(self.top));
        let mut free = self.top;
        for end in ends.iter_mut() {
            let row = end.row.unwrap_or(self.top).max(free);
            end.row = Some(row);
            free = row + 1;
        }
        let mut free = self.top + self.rows;
        for end in ends.iter_mut().rev() {
            end.row = end.row.map(|row| row.min(free.saturating_sub(1)));
            free = end.row.unwrap_or(free);
        }
        // With fewer lines than names, the highest names win: the last to be drawn.
        for end in ends.iter().rev() {
            let x = self.left + self.columns + 1;
            if let Some(row) = end.row.filter(|row| (self.top..).contains(row)) {
                pen.text(x, row, &" ".repeat(NAMES - 1), Meaning::Quiet);
                pen.text(x, row, &end.text, end.meaning);
            }
        }
    }
}

//! A histogram on a logarithmic axis, of one version or of two over each other.
//!
//! ```text
//! share  ░ fraud@7 n 91,204  ▓ fraud@8 n 10,133  █ both      log scale, exact counts
//! 4.10 % ░░░
//!        ██░▓        ▓▓
//!      0 ██████▁▁▁▁▁▁██▁▁                           ▁▁
//!        1 ms      3         10        30       100        300       1 s
//! ```
//! Each column is a range of latencies, and its height the share of the version's requests in
//! it, so that a canary and what it is compared with can lie over each other. No request is
//! lost: what is there at all is at least a line at the bottom. Counts are exact; only a bar
//! that straddles columns is divided, in proportion, without losing a request.

use binnacle_core::view::Bar;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::axis::{LogScale, tick};
use super::pen::{Pen, cut, width};
use super::sparkline;
use crate::format;
use crate::theme::{Meaning, Theme};

#[cfg(test)]
mod tests;

/// The axis spans at least this ratio, so that one narrow peak looks like one.
const LEAST_RATIO: f64 = 10.0;
/// Columns that the axis of shares takes, with a blank.
const GUTTER: usize = 7;
/// Under this width there is no axis of shares.
const GUTTER_FROM: usize = 30;

/// One version's requests.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Its bars in order.
    pub bars: &'a [Bar],
}

/// The latencies of one or two versions.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<'a> {
    /// Drawn `░`, or alone in eighths of a cell.
    pub first: Series<'a>,
    /// Drawn `▓` over the first.
    pub second: Option<Series<'a>>,
}

impl Histogram<'_> {
    /// Draws it into the area: the columns first, then the axis, then the heading, as far as
    /// there is room.
    pub fn draw(&self, theme: &Theme, area: Rect, buf: &mut Buffer) {
        let mut pen = Pen::new(theme, area, buf);
        let (columns, height) = (pen.width(), pen.height());
        let gutter = if columns < GUTTER_FROM { 0 } else { GUTTER };
        let Some(scale) = self.scale().filter(|_| columns > 0 && height > 0) else {
            pen.text(0, 0, "no requests", Meaning::Unknown);
            return;
        };
        let plot = Plot {
            left: gutter,
            columns: columns - gutter,
            top: usize::from(height > 2),
            rows: height - usize::from(height > 2) - usize::from(height > 1),
        };
        let edges = edges(&scale, plot.columns);
        let mut sides = vec![Side::of(&self.first, &edges)];
        sides.extend(self.second.iter().map(|series| Side::of(series, &edges)));
        let full = sides.iter().map(Side::highest).fold(0.0, f64::max);
        if let [first, second] = &*sides {
            plot.draw_both(&mut pen, [first, second], full);
        } else if let [side] = &*sides {
            plot.draw_one(&mut pen, side, full);
        }
        if plot.top > 0 {
            self.draw_heading(&mut pen, &sides);
        }
        if gutter > 0 {
            let most = percent(full);
            pen.text_before(gutter - 1, plot.top, &most, Meaning::Quiet);
            if plot.rows > 1 {
                pen.text_before(gutter - 1, plot.bottom(), "0", Meaning::Quiet);
            }
        }
        if height > 1 {
            draw_ticks(&mut pen, &scale, &plot, height - 1);
        }
    }

    fn scale(&self) -> Option<LogScale> {
        let bars = self.second.map_or(&[][..], |second| second.bars);
        let bars = self.first.bars.iter().chain(bars);
        let held = bars.filter(|bar| bar.requests > 0);
        let ends = held.flat_map(|bar| [bar.low_ns.max(1), end_ns(bar)]);
        LogScale::over(ends.map(|ns| ns as f64), LEAST_RATIO)
    }

    fn draw_heading(&self, pen: &mut Pen<'_>, sides: &[Side]) {
        const CLAIM: &str = "log scale, exact counts";
        let mut x = pen.text(0, 0, "share", Meaning::Quiet) + 2;
        let glyphs = [
            (pen.letter('░', ':'), Meaning::First),
            (pen.letter('▓', '#'), Meaning::Second),
        ];
        let series = std::iter::once(&self.first).chain(&self.second);
        for ((series, side), (glyph, meaning)) in series.zip(sides).zip(glyphs) {
            if self.second.is_some() {
                pen.dot(x, 0, glyph, meaning);
                x += 2;
            }
            let count = format!(" n {}", format::count(side.total));
            let room = pen.width().saturating_sub(x + width(&count));
            x = pen.text(x, 0, &cut(series.name, room), meaning);
            x = pen.text(x, 0, &count, Meaning::Text) + 2;
        }
        if self.second.is_some() {
            let both = format!("{} both", pen.letter('█', '@'));
            if x + width(&both) <= pen.width() {
                x = pen.text(x, 0, &both, Meaning::Text) + 2;
            }
        }
        if x + width(CLAIM) <= pen.width() {
            pen.text_before(pen.width(), 0, CLAIM, Meaning::Quiet);
        }
    }
}

/// Where the columns stand.
#[derive(Clone, Copy, Debug)]
struct Plot {
    left: usize,
    columns: usize,
    top: usize,
    rows: usize,
}

impl Plot {
    fn bottom(&self) -> usize {
        (self.top + self.rows).saturating_sub(1)
    }

    fn draw_one(&self, pen: &mut Pen<'_>, side: &Side, full: f64) {
        for (column, share) in side.shares().enumerate() {
            let eighths = height(share, full, self.rows * 8).max(usize::from(share > 0.0));
            let place = (self.left + column, self.bottom());
            sparkline::column(pen, place, eighths, Meaning::First);
        }
    }

    /// Where both sides reach, they are drawn as one third letter: which of them is in front
    /// would say nothing, and hide the other.
    fn draw_both(&self, pen: &mut Pen<'_>, [first, second]: [&Side; 2], full: f64) {
        let glyphs = [
            (pen.letter('░', ':'), pen.letter('▁', '.'), Meaning::First),
            (pen.letter('▓', '#'), pen.letter('▁', '.'), Meaning::Second),
            (pen.letter('█', '@'), pen.letter('▁', '.'), Meaning::Text),
        ];
        for (column, shares) in first.shares().zip(second.shares()).enumerate() {
            let heights = [shares.0, shares.1].map(|share| height(share, full, self.rows));
            let [alone_first, alone_second, both] = glyphs;
            let x = self.left + column;
            for y in 0..heights[0].max(heights[1]) {
                let (glyph, _, meaning) = match heights.map(|height| y < height) {
                    [true, true] => both,
                    [true, false] => alone_first,
                    [false, _] => alone_second,
                };
                pen.dot(x, self.bottom() - y, glyph, meaning);
            }
            let (_, least, meaning) = match (shares.0 > 0.0, shares.1 > 0.0) {
                (true, true) => both,
                (true, false) => alone_first,
                (false, true) => alone_second,
                (false, false) => continue,
            };
            if heights == [0, 0] {
                pen.dot(x, self.bottom(), least, meaning);
            }
        }
    }
}

/// One version's requests by column.
struct Side {
    counts: Vec<u64>,
    total: u64,
}

impl Side {
    fn of(series: &Series<'_>, edges: &[u64]) -> Self {
        let counts = rebinned(series.bars, edges);
        let total = counts.iter().fold(0, |sum: u64, n| sum.saturating_add(*n));
        Self { counts, total }
    }

    fn shares(&self) -> impl Iterator<Item = f64> + '_ {
        let total = self.total.max(1) as f64;
        self.counts.iter().map(move |count| *count as f64 / total)
    }

    fn highest(&self) -> f64 {
        self.shares().fold(0.0, f64::max)
    }
}

/// The bars' requests by column: column `i` holds the latencies from `edges[i]` to below
/// `edges[i + 1]`. A bar that straddles columns is divided in proportion; together the columns
/// hold as many requests as the bars that lie within the edges.
fn rebinned(bars: &[Bar], edges: &[u64]) -> Vec<u64> {
    let mut counts = vec![0_u64; edges.len().saturating_sub(1)];
    for bar in bars {
        // Of those below an edge, in whole requests: the differences add up to the bar.
        let below = |edge: u64| {
            let part = edge.clamp(bar.low_ns, end_ns(bar)) - bar.low_ns;
            let whole = u128::from(bar.width_ns.max(1));
            let below = u128::from(bar.requests) * u128::from(part) / whole;
            u64::try_from(below).unwrap_or(u64::MAX)
        };
        let start = edges.partition_point(|edge| *edge <= bar.low_ns).max(1) - 1;
        let pairs = edges.iter().zip(edges.iter().skip(1));
        for ((from, to), count) in pairs.zip(&mut counts).skip(start) {
            if *from >= end_ns(bar) {
                break;
            }
            *count = count.saturating_add(below(*to) - below(*from));
        }
    }
    counts
}

fn end_ns(bar: &Bar) -> u64 {
    bar.low_ns.saturating_add(bar.width_ns.max(1))
}

/// The ends of the columns in nanoseconds, one more than there are columns. The first column
/// begins at zero where the scale begins at its least, and none ends before the greatest.
fn edges(scale: &LogScale, columns: usize) -> Vec<u64> {
    let inner = (0..=columns).map(|at| match at {
        0 => scale.low.floor() as u64,
        at if at == columns => scale.high.ceil() as u64,
        at => scale.at(at as f64 / columns as f64).round() as u64,
    });
    let mut last = 0;
    let rising = inner.map(|edge| {
        last = edge.max(last);
        last
    });
    let mut edges: Vec<u64> = rising.collect();
    if let Some(first) = edges.first_mut().filter(|first| **first <= 1) {
        *first = 0;
    }
    edges
}

fn height(share: f64, full: f64, levels: usize) -> usize {
    if full <= 0.0 {
        return 0;
    }
    ((share / full * levels as f64).round() as usize).min(levels)
}

/// The share of the highest column in at most six letters.
fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent < 9.95 => format!("{percent:.1} %"),
        percent => format!("{percent:.0} %"),
    }
}

/// Labels of round latencies under their columns; the unit only where it changes.
fn draw_ticks(pen: &mut Pen<'_>, scale: &LogScale, plot: &Plot, y: usize) {
    let in_us = LogScale {
        low: scale.low / 1e3,
        high: scale.high / 1e3,
    };
    let labels = |ticks: &[f64]| {
        let mut unit = "";
        let labels = ticks.iter().map(|us| {
            let (figure, of) = tick(*us);
            let label = if of == unit {
                figure
            } else {
                format!("{figure} {of}")
            };
            unit = of;
            let place = in_us.place(*us) * plot.columns as f64;
            (
                (place.round() as usize).min(plot.columns.saturating_sub(1)),
                label,
            )
        });
        labels.collect::<Vec<(usize, String)>>()
    };
    let ticks = in_us.ticks(|ticks| {
        let mut free = 0;
        ticks.len() > 1
            && labels(ticks).iter().all(|(column, label)| {
                let fits = *column >= free && column + width(label) <= plot.columns;
                free = column + width(label) + 2;
                fits
            })
    });
    if ticks.is_empty() {
        // The ends at least, where round figures have no room.
        let [low, high] = [in_us.low, in_us.high].map(|us| format::latency(Some(us)));
        let end = pen.text(plot.left, y, &low, Meaning::Quiet);
        if end + 1 + width(&high) <= pen.width() {
            pen.text_before(pen.width(), y, &high, Meaning::Quiet);
        }
        return;
    }
    for (column, label) in labels(&ticks) {
        pen.text(plot.left + column, y, &label, Meaning::Quiet);
    }
}

//! The panels of a model's page: what each shows of an answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use binnacle_core::view::{EntryRow, LatencyPage, LatencyPoint, Percentiles, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::versions::{Side, VersionLine, version_name};
use crate::format;
use crate::question::Question;
use crate::screen::Look;
use crate::screen::journal::page_of;
use crate::theme::Meaning;
use crate::widget::chart::{Chart, Line, Mark};
use crate::widget::histogram::{Histogram, Series};
use crate::widget::line;

/// A part of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Panel {
    Versions,
    Histogram,
    Chart,
    Hosts,
}

impl Panel {
    /// The next one, around.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Versions => Self::Histogram,
            Self::Histogram => Self::Chart,
            Self::Chart => Self::Hosts,
            Self::Hosts => Self::Versions,
        }
    }
}

/// Lines that a panel takes at the least.
const LEAST_LINES: u16 = 5;
/// From here on a blank line stands between panels.
const GAPS_FROM: u16 = 27;
/// The part of the page that the table of versions takes at the most.
const VERSIONS_PART: u16 = 6;

/// Where the panels go, top to bottom. Where there is no room for all the active one stays.
pub(super) fn places(body: Rect, active: Panel, table_lines: u16) -> Vec<(Panel, Rect)> {
    let below = |y: u16, height: u16| Rect {
        y: body.y + y.min(body.height),
        height: height.min(body.height.saturating_sub(y)),
        ..body
    };
    let most = (body.height / VERSIONS_PART).max(3);
    let table = table_lines.min(most).min(body.height);
    let rest = body.height - table;
    let charts = [Panel::Histogram, Panel::Chart, Panel::Hosts];
    let count = usize::from((rest / LEAST_LINES).clamp(1, 3));
    let first = charts
        .iter()
        .position(|panel| *panel == active)
        .unwrap_or(0);
    let first = first.min(charts.len() - count);
    let shown: Vec<Panel> = charts.into_iter().skip(first).take(count).collect();
    let gap = u16::from(rest >= GAPS_FROM);
    let mut places = vec![(Panel::Versions, below(0, table))];
    let mut y = table;
    for (at, panel) in shown.iter().enumerate() {
        // What does not divide goes to the last, whose rows are hosts.
        let left = u16::try_from(count - at).unwrap_or(1);
        let height = (body.height - y) / left;
        places.push((*panel, below(y + gap, height.saturating_sub(gap))));
        y += height;
    }
    places
}

/// The first line of a panel: a mark where it is the active one.
pub(super) fn mark(is_active: bool, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    if is_active {
        line::draw("▌", look.style(Meaning::Accent), line::row(area, 0), buf);
    }
}

/// The part of a panel right of the marks.
pub(super) fn inside(area: Rect) -> Rect {
    let indent = area.width.min(2);
    Rect {
        x: area.x + indent,
        width: area.width - indent,
        ..area
    }
}

/// The part under the first line.
pub(super) fn under(area: Rect) -> Rect {
    let title = area.height.min(1);
    Rect {
        y: area.y + title,
        height: area.height - title,
        ..area
    }
}

/// What may not be so any more is dimmed, and stays.
pub(super) fn dim(look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    if look.is_stale() {
        let area = area.intersection(buf.area);
        let style: Style = look.style(Meaning::Stale);
        buf.set_style(area, style);
    }
}

/// The histogram of the two versions that are chosen.
pub(super) fn draw_histogram(
    (model, page): (&str, &LatencyPage),
    lines: &[VersionLine],
    look: &Look<'_>,
    area: Rect,
    buf: &mut Buffer,
) {
    let side = |side: Side| {
        let line = lines.iter().find(|line| line.side == Some(side))?;
        let version = &line.row.version;
        let shape = page.shapes.iter().find(|shape| shape.version == *version)?;
        let name = format!("{}@{}", shown(model), version_name(version));
        Some((name, &*shape.bars))
    };
    let (first, second) = (side(Side::First), side(Side::Second));
    let none = Series {
        name: "",
        bars: &[],
    };
    let first = first.as_ref();
    let second = second.as_ref();
    let histogram = Histogram {
        first: first.map_or(none, |(name, bars)| Series { name, bars }),
        second: second.map(|(name, bars)| Series { name, bars }),
    };
    histogram.draw(look.theme, area, buf);
}

/// The percentiles step by step, of all versions or of one.
pub(super) fn draw_chart(
    (page, step_s): (&LatencyPage, u32),
    (only, cursor_us): (Option<&Arc<str>>, Option<i64>),
    look: &Look<'_>,
    area: Rect,
    buf: &mut Buffer,
) {
    let pick: [fn(&Percentiles) -> Option<f64>; 3] =
        [|all| all.p50_us, |all| all.p90_us, |all| all.p99_us];
    let points = pick.map(|pick| {
        let points = page.points.iter();
        let points = points.map(|point| (point.start_us, of(point, only).and_then(pick)));
        points.collect::<Vec<(i64, Option<f64>)>>()
    });
    let names = [
        ("p50", Meaning::Text),
        ("p90", Meaning::First),
        ("p99", Meaning::Second),
    ];
    let hidden = if is_low(area) { 2 } else { 0 };
    let lines = names.iter().zip(&points).skip(hidden);
    let lines: Vec<Line<'_>> = lines
        .map(|((name, meaning), points)| Line {
            name,
            meaning: *meaning,
            points,
        })
        .collect();
    let happened = happened(look, (page.from_us, page.to_us));
    let marks = happened.iter().map(|(at_us, label)| Mark {
        at_us: *at_us,
        label,
    });
    let marks: Vec<Mark<'_>> = marks.collect();
    let chart = Chart {
        span_us: (page.from_us, page.to_us),
        step_us: i64::from(step_s) * 1_000_000,
        lines: &lines,
        marks: &marks,
    };
    match cursor_us {
        Some(at_us) => chart.draw_with_cursor(at_us, look.theme, area, buf),
        None => chart.draw(look.theme, area, buf),
    }
}

/// A step's percentiles, of all versions or of one.
fn of<'a>(point: &'a LatencyPoint, only: Option<&Arc<str>>) -> Option<&'a Percentiles> {
    match only {
        None => Some(&point.all),
        Some(only) => {
            let mut versions = point.versions.iter();
            let version = versions.find(|(version, _)| version == only);
            version.map(|(_, percentiles)| percentiles)
        }
    }
}

/// The figures of the step that holds this moment.
pub(super) fn step_figures(
    (page, step_s): (&LatencyPage, u32),
    only: Option<&Arc<str>>,
    at_us: i64,
) -> String {
    let step_us = i64::from(step_s) * 1_000_000;
    let holds = |point: &&LatencyPoint| (0..step_us).contains(&(at_us - point.start_us));
    let point = page.points.iter().find(holds);
    let Some(figures) = point.and_then(|point| of(point, only)) else {
        return "no requests".into();
    };
    let latency = format::latency;
    format!(
        "p50 {}  p90 {}  p99 {}  {} requests",
        latency(figures.p50_us),
        latency(figures.p90_us),
        latency(figures.p99_us),
        format::count(figures.requests),
    )
}

/// Whether a chart is too low for three percentiles on one axis: a change of some tens of per
/// cent would be less than a line. Then it shows the 99th alone.
pub(super) fn is_low(area: Rect) -> bool {
    const LINES: u16 = 8;
    area.height < LINES
}

/// The question for the journal's newest entries: marks on the chart.
pub(super) fn journal() -> Question {
    Question::Journal {
        host: None,
        before: None,
    }
}

/// What the journal has of a span, oldest first.
fn happened(look: &Look<'_>, (from_us, to_us): (i64, i64)) -> Vec<(i64, String)> {
    let asked = look.data.asked(&journal());
    let answer = asked.and_then(|asked| asked.answer.as_ref());
    let answered = answer.and_then(|(answer, _)| page_of(answer));
    let answered: &[EntryRow] = answered.map_or(&[], |entries| entries);
    let entries = answered.iter().chain(&look.data.entries);
    let within = entries.filter(|entry| (from_us..=to_us).contains(&entry.at_us));
    let told = within.map(|entry| ((entry.at_us, entry.sequence), label(entry)));
    let told: BTreeMap<(i64, u64), String> = told.collect();
    told.into_iter()
        .map(|((at_us, _), label)| (at_us, label))
        .collect()
}

/// `host_retired/v1` of `host infer-0042` → `host retired infer-0042`.
fn label(entry: &EntryRow) -> String {
    let kind = entry.kind.split('/').next().unwrap_or_default();
    let object = entry.object.split_once(' ').map_or("", |(_, name)| name);
    let words = format!("{} {object}", kind.replace('_', " "));
    shown(words.trim())
}

//! A model's versions as rows of a table: the percentiles of each, and which of them the
//! histogram shows.

use std::collections::BTreeSet;
use std::sync::Arc;

use binnacle_core::view::{LatencyPage, LatencyRow, shown};
use ratatui::layout::Alignment;
use ratatui::layout::HorizontalAlignment::{Left, Right};

use crate::filter::{Value, contains};
use crate::format;
use crate::screen::Look;
use crate::theme::Meaning;
use crate::widget::table::{Column, Row, Text};

/// Which of the histogram's two versions a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    First,
    Second,
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct VersionLine {
    id: Arc<str>,
    /// What is known of it.
    pub(super) row: LatencyRow,
    /// Whether the histogram shows it.
    pub(super) side: Option<Side>,
}

/// A version's name; applications need not name one.
pub(super) fn version_name(version: &str) -> String {
    match version {
        "" => "(none named)".into(),
        version => shown(version),
    }
}

impl VersionLine {
    /// The rows of a page.
    pub(super) fn all(page: &LatencyPage) -> Vec<Self> {
        let line = |row: &LatencyRow| Self {
            id: format!("{} {}", row.endpoint, row.version).trim().into(),
            row: row.clone(),
            side: None,
        };
        page.table.rows.iter().map(line).collect()
    }

    fn name(&self) -> String {
        let version = version_name(&self.row.version);
        match &*self.row.endpoint {
            "" => version,
            endpoint => format!("{} {version}", shown(endpoint)),
        }
    }

    fn error_share(&self) -> Option<f64> {
        let requests = self.row.all.requests;
        (requests > 0).then(|| self.row.errors as f64 * 100.0 / requests as f64)
    }
}

impl Row for VersionLine {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn has_word(&self, word: &str) -> bool {
        contains(&self.row.version, word) || contains(&self.row.endpoint, word)
    }
}

/// Chooses the two versions of the histogram: those that are marked, if two are, else the
/// busiest; the busier is the first.
pub(super) fn choose_sides(lines: &mut [VersionLine], marked: &[Arc<str>]) {
    let marked: BTreeSet<&Arc<str>> = marked.iter().collect();
    let is_chosen = |line: &VersionLine| marked.len() < 2 || marked.contains(&line.id);
    // Shapes are known by version: one that is called through two endpoints is one shape.
    let mut requests: Vec<(u64, Arc<str>)> = Vec::new();
    for line in lines.iter().filter(|line| is_chosen(line)) {
        let version = &line.row.version;
        match requests.iter_mut().find(|(_, known)| known == version) {
            Some((sum, _)) => *sum += line.row.all.requests,
            None => requests.push((line.row.all.requests, version.clone())),
        }
    }
    requests.sort_by(|(a, a_name), (b, b_name)| b.cmp(a).then_with(|| a_name.cmp(b_name)));
    let [first, second] = [0, 1].map(|at| requests.get(at).map(|(_, version)| version));
    for line in lines {
        let version = Some(&line.row.version);
        line.side = match () {
            () if version == first => Some(Side::First),
            () if version == second => Some(Side::Second),
            () => None,
        };
    }
}

fn name(line: &VersionLine, _: &Look<'_>) -> Text {
    let glyph = match line.side {
        Some(Side::First) => '░',
        Some(Side::Second) => '▓',
        None => ' ',
    };
    (format!("{glyph} {}", line.name()), Meaning::Text)
}

fn latency(us: Option<f64>) -> Text {
    match us {
        Some(us) => (format::latency(Some(us)), Meaning::Text),
        None => ("few".into(), Meaning::Unknown),
    }
}

fn millis(us: Option<f64>) -> Value<'static> {
    us.map_or(Value::Unknown, |us| Value::Number(us / 1e3))
}

fn errors(line: &VersionLine, _: &Look<'_>) -> Text {
    let meaning = match line.row.errors {
        0 => Meaning::Text,
        _ => Meaning::Warn,
    };
    (
        format::share(line.row.errors, line.row.all.requests),
        meaning,
    )
}

const fn column(
    title: &'static str,
    field: &'static str,
    (width, align, rank): (u16, Alignment, u8),
    cell: fn(&VersionLine, &Look<'_>) -> Text,
    value: for<'a> fn(&'a VersionLine, &Look<'_>) -> Value<'a>,
) -> Column<VersionLine> {
    Column {
        title,
        field,
        width,
        grows: 0,
        align,
        rank,
        cell,
        value,
    }
}

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column<VersionLine>] = &[
    column("VERSION", "version", (9, Left, 0), name, |line, _| Value::Text((&*line.id).into()))
        .growing(24),
    column("P50", "p50", (8, Right, 0),
        |line, _| latency(line.row.all.p50_us), |line, _| millis(line.row.all.p50_us)),
    column("P90", "p90", (8, Right, 2),
        |line, _| latency(line.row.all.p90_us), |line, _| millis(line.row.all.p90_us)),
    column("P99", "p99", (8, Right, 0),
        |line, _| latency(line.row.all.p99_us), |line, _| millis(line.row.all.p99_us)),
    column("P99.9", "p999", (8, Right, 3),
        |line, _| latency(line.row.all.p999_us), |line, _| millis(line.row.all.p999_us)),
    column("MAX", "max", (8, Right, 2),
        |line, _| latency(line.row.all.max_us), |line, _| millis(line.row.all.max_us)),
    column("N", "n", (8, Right, 1),
        |line, _| (format::count(line.row.all.requests), Meaning::Text),
        |line, _| Value::Number(line.row.all.requests as f64)),
    column("ERRORS", "errors", (7, Right, 1), errors,
        |line, _| line.error_share().map_or(Value::Unknown, Value::Number)),
];

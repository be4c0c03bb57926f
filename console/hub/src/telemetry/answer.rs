//! Answers: windows merged over hosts and time, from memory, or from disk and memory.
//!
//! A window counts where it began. The last quarter of an hour is answered from memory by the
//! second; anything older from the disk by ten seconds or by the minute, together with what
//! has not reached the disk yet. Where a span holds longer windows than were asked for, the
//! answer is widened to them, and says so.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use binnacle_core::series::{SeriesKey, SeriesWindow};
use binnacle_sketch::Encoded;

use crate::store::{KEEP_FINE_US, Rollup, RollupQuery, Span};
use crate::telemetry::seconds::Look;
use crate::telemetry::tally::{Counted, Folder, Tally};
use crate::telemetry::{Answer, Question, TelemetryError};

/// Windows in one answer: some 30 MB, ten times what any screen shows.
const MAX_WINDOWS: usize = 200_000;

const SECOND_US: i64 = 1_000_000;

/// The span that an answer is about: widened, and cut into points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Where it begins.
    pub(crate) from_us: i64,
    /// Where it ends.
    pub(crate) to_us: i64,
    /// The length of a point; 0 for one point over all of it.
    step_us: i64,
    /// The longest window that may lie inside.
    resolution_us: i64,
}

impl Cut {
    /// What a question asks for, in windows of at most `resolution_us`.
    pub(crate) fn new(question: &Question, resolution_us: i64) -> Self {
        let step_us = i64::from(question.step_s) * SECOND_US;
        let step_us = ceil(step_us, resolution_us);
        let grid = step_us.max(resolution_us);
        Self {
            from_us: floor(question.from_us, grid),
            to_us: ceil(question.to_us, grid),
            step_us,
            resolution_us,
        }
    }

    /// The resolution in which a question is answered from the disk.
    pub(crate) fn on_disk(question: &Question, now_us: i64) -> Self {
        let is_old = question.from_us < now_us.saturating_sub(KEEP_FINE_US);
        let span = if is_old {
            Span::Minute
        } else {
            Span::TenSeconds
        };
        Self::new(question, span.us())
    }

    /// Where windows begin that may reach into it.
    pub(crate) fn reach_us(&self) -> i64 {
        self.from_us.saturating_sub(Span::Minute.us())
    }

    /// The whole minutes that it lies in.
    pub(crate) fn minutes(&self) -> Range<i64> {
        // Whole ones, since one that was counted in one piece may turn up in any of them.
        floor(self.from_us, Span::Minute.us())..ceil(self.to_us, Span::Minute.us())
    }

    fn point_of(&self, start_us: i64) -> i64 {
        match self.step_us {
            0 => self.from_us,
            step_us => floor(start_us, step_us),
        }
    }
}

/// An answer while it is put together.
pub(crate) struct Points {
    points: BTreeMap<i64, HashMap<SeriesKey, Tally>>,
    windows: usize,
    folder: Folder,
}

impl Points {
    fn new(question: &Question) -> Self {
        // What is folded is few series, each of them a busy one.
        let is_folded = question.is_folded;
        Self {
            points: BTreeMap::new(),
            windows: 0,
            folder: if is_folded {
                Folder::default()
            } else {
                Folder::sparse()
            },
        }
    }

    fn add(&mut self, point_us: i64, key: &SeriesKey, latency: &Encoded, bodies: (u64, u64)) {
        if self.windows > MAX_WINDOWS {
            return;
        }
        let point = self.points.entry(point_us).or_default();
        if !point.contains_key(key) {
            self.windows += 1;
            point.insert(key.clone(), Tally::default());
        }
        if let Some(tally) = point.get_mut(key) {
            tally.add(latency, &mut self.folder);
            tally.add_bytes(bodies.0, bodies.1);
        }
    }

    fn add_window(&mut self, point_us: i64, key: &SeriesKey, window: &SeriesWindow) {
        let bodies = (window.request_bytes, window.response_bytes);
        self.add(point_us, key, &window.latency, bodies);
    }

    fn add_counted(&mut self, point_us: i64, key: &SeriesKey, counted: &Counted) {
        let bodies = (counted.request_bytes, counted.response_bytes);
        self.add(point_us, key, &counted.latency, bodies);
    }

    /// The same windows, in longer points.
    fn regroup(self, question: &Question, cut: &Cut) -> Result<Self, TelemetryError> {
        let mut wider = Self::new(question);
        for (start_us, windows) in self.finish()? {
            for window in &windows {
                wider.add_window(cut.point_of(start_us), &window.key, window);
            }
        }
        Ok(wider)
    }

    fn finish(mut self) -> Result<Vec<(i64, Vec<SeriesWindow>)>, TelemetryError> {
        if self.windows > MAX_WINDOWS {
            return Err(TelemetryError::TooMuch(MAX_WINDOWS));
        }
        let folder = &mut self.folder;
        let mut points = Vec::with_capacity(self.points.len());
        for (start_us, tallies) in self.points {
            let fold = |(key, tally): (SeriesKey, Tally)| tally.fold(key.into(), folder).window();
            let mut windows: Vec<_> = tallies.into_iter().map(fold).collect();
            windows.sort_by(|a, b| a.key.cmp(&b.key));
            points.push((start_us, windows));
        }
        Ok(points)
    }
}

/// The answer from memory. The looks reach back by [`Cut::reach_us`], since a window that
/// began before the span may reach into it.
pub(crate) fn from_seconds(
    question: &Question,
    cut: &Cut,
    looks: &[Look],
) -> Result<Answered, TelemetryError> {
    let reaches = |look: &&Look| {
        let end_s = look.second + i64::from(look.longest_s);
        cut.from_us < end_s * SECOND_US && look.second * SECOND_US < cut.to_us
    };
    let longest_s = looks
        .iter()
        .filter(reaches)
        .map(|look| look.longest_s)
        .max();
    let longest_us = match longest_s {
        None | Some(0 | 1) => SECOND_US,
        Some(2..=10) => Span::TenSeconds.us(),
        Some(_) => Span::Minute.us(),
    };
    if longest_us > cut.resolution_us {
        return Ok(Answered::Wider(longest_us));
    }
    let mut points = Points::new(question);
    let span = cut.from_us..cut.to_us;
    for look in looks
        .iter()
        .filter(|look| span.contains(&(look.second * SECOND_US)))
    {
        let point_us = cut.point_of(look.second * SECOND_US);
        let is_all = question.is_folded && question.takes_all();
        for part in &look.parts {
            let pieces = if is_all { part.folded() } else { part.pieces() };
            for counted in pieces.iter().filter(|it| question.takes(&it.key)) {
                points.add_counted(point_us, &question.key(&counted.key), counted);
            }
        }
    }
    Ok(Answered::Whole(answer(cut, points)?))
}

/// Whether seconds were answer enough.
#[derive(Debug)]
pub(crate) enum Answered {
    /// They were.
    Whole(Answer),
    /// There are windows of up to this many microseconds among them.
    Wider(i64),
}

/// The answer about one host's last minute.
pub(crate) fn from_recent(
    question: &Question,
    cut: &Cut,
    parts: &[(i64, Counted)],
) -> Result<Answer, TelemetryError> {
    let mut points = Points::new(question);
    for (start_us, counted) in parts {
        if question.takes(&counted.key) {
            let key = question.key(&counted.key);
            points.add_counted(cut.point_of(*start_us), &key, counted);
        }
    }
    answer(cut, points)
}

/// Puts rows from the disk, and those that have not reached it, together.
pub(crate) struct Rows {
    question: Question,
    cut: Cut,
    points: Points,
    /// Rows beside the span, but in the minutes at its ends.
    edges: Vec<Rollup>,
    has_minutes: bool,
}

impl Rows {
    /// Nothing yet.
    pub(crate) fn new(question: Question, cut: Cut) -> Self {
        let points = Points::new(&question);
        Self {
            question,
            cut,
            points,
            edges: Vec::new(),
            has_minutes: false,
        }
    }

    /// The rows that it needs.
    pub(crate) fn query(&self) -> RollupQuery {
        let minutes = self.cut.minutes();
        RollupQuery {
            from_us: minutes.start,
            to_us: minutes.end,
            model: self.question.model.clone(),
            version: self.question.version.clone(),
            flush: 0,
        }
    }

    /// Takes one row in.
    pub(crate) fn take(&mut self, row: &Rollup) {
        let end_us = row.start_us.saturating_add(row.span.us());
        if row.span == Span::Minute && row.start_us < self.cut.to_us && self.cut.from_us < end_us {
            self.has_minutes = true;
        }
        if (self.cut.from_us..self.cut.to_us).contains(&row.start_us) {
            let key = self.question.key(&row.window.key);
            self.points
                .add_window(self.cut.point_of(row.start_us), &key, &row.window);
        } else {
            self.edges.push(row.clone());
        }
    }

    /// All of it; widened to whole minutes where there was one.
    pub(crate) fn finish(self) -> Result<Answer, TelemetryError> {
        if !self.has_minutes || self.cut.resolution_us >= Span::Minute.us() {
            return answer(&self.cut, self.points);
        }
        let cut = Cut::new(&self.question, Span::Minute.us());
        let mut points = self.points.regroup(&self.question, &cut)?;
        for row in &self.edges {
            if (cut.from_us..cut.to_us).contains(&row.start_us) {
                let key = self.question.key(&row.window.key);
                points.add_window(cut.point_of(row.start_us), &key, &row.window);
            }
        }
        answer(&cut, points)
    }
}

fn answer(cut: &Cut, points: Points) -> Result<Answer, TelemetryError> {
    Ok(Answer {
        points: points.finish()?,
        resolution_s: (cut.resolution_us / SECOND_US) as u32,
        from_us: cut.from_us,
        to_us: cut.to_us,
    })
}

fn floor(us: i64, grid_us: i64) -> i64 {
    us.saturating_sub(us.rem_euclid(grid_us))
}

fn ceil(us: i64, grid_us: i64) -> i64 {
    let over = us.rem_euclid(grid_us);
    if over == 0 {
        us
    } else {
        us.saturating_add(grid_us - over)
    }
}

//! Which hosts the heat map shows, and where its cursor stands.
//!
//! Shown on a model's page and, without the cursor, on the overview.
//!
//! Hosts are chosen anew when a minute is finished, worst first; the map that was there stays
//! until the new one has come.

use std::sync::Arc;

use binnacle_core::view::History;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::panel::{dim, inside, under};
use super::span::step_words;
use crate::data::{HostLine, Known};
use crate::keymap::Command;
use crate::question::{Question, Span};
use crate::screen::Look;
use crate::screen::host::history_of;
use crate::theme::Meaning;
use crate::widget::heatmap::{HeatMap, Measure, Spot};
use crate::widget::line;

/// Hosts that a page asks for: some screens of the worst. The rest is in the list of hosts.
pub(in crate::screen) const PAGE_HOSTS: usize = 100;
/// Rows that half a page moves by.
const HALF_PAGE: usize = 8;

/// What the choice of hosts depends on.
type Chosen = (Option<i64>, Measure, Option<i64>);

/// The hosts and the cursor.
#[derive(Debug)]
pub(in crate::screen) struct Fleet {
    /// Hosts that are asked for at most.
    most: usize,
    hosts: Arc<[Arc<str>]>,
    chosen_for: Option<Chosen>,
    measure: Measure,
    /// The host under the cursor: it stays there when rows move.
    host: Option<Arc<str>>,
    row: usize,
    /// Steps from the newest.
    back: usize,
    /// The last question that has an answer.
    shown: Option<Question>,
}

impl Fleet {
    /// At most so many hosts.
    pub(in crate::screen) fn new(most: usize) -> Self {
        Self {
            most,
            hosts: Arc::from([]),
            chosen_for: None,
            measure: Measure::P99,
            host: None,
            row: 0,
            back: 0,
            shown: None,
        }
    }

    /// How many hosts it shows where there is room.
    pub(in crate::screen) fn count(&self) -> usize {
        self.hosts.len()
    }

    /// What is to be asked; nothing while no host is known.
    pub(in crate::screen) fn question(&self, span: Span) -> Option<Question> {
        let hosts = self.hosts.clone();
        (!hosts.is_empty()).then_some(Question::History { hosts, span })
    }

    /// Another measure, and another order.
    pub(in crate::screen) fn turn(&mut self, look: &Look<'_>, span: Span) -> String {
        self.measure = self.measure.next();
        self.learn(look, span);
        format!("hosts by {}, worst first", self.measure.word())
    }

    /// Something has changed.
    pub(in crate::screen) fn learn(&mut self, look: &Look<'_>, span: Span) {
        let now = (look.fleet.minute_us, self.measure, look.at_us);
        if self.chosen_for != Some(now) && !look.fleet.hosts().is_empty() {
            self.chosen_for = Some(now);
            self.hosts = worst(look.fleet.hosts(), self.measure, self.most);
        }
        let question = self.question(span);
        let is_here = |question: &Question| matches!(known(look, question), Known::Here(..));
        if question.as_ref().is_some_and(is_here) {
            self.shown = question;
        }
        if let (Some(history), Some(host)) = (self.history(look), &self.host) {
            let row = history.hosts.iter().position(|(name, _)| name == host);
            self.row = row.unwrap_or(0);
        }
    }

    fn history<'a>(&self, look: &Look<'a>) -> Option<&'a Arc<History>> {
        match known(look, self.shown.as_ref()?) {
            Known::Here(history, _) => Some(history),
            Known::Loading | Known::Broken(_) => None,
        }
    }

    /// The host under the cursor.
    pub(in crate::screen) fn selected(&self, look: &Look<'_>) -> Option<Arc<str>> {
        let (host, _) = self.history(look)?.hosts.get(self.row)?;
        Some(host.clone())
    }

    fn spot(&self, history: &History) -> Spot {
        Spot {
            row: self.row.min(history.hosts.len().saturating_sub(1)),
            column: steps(history).saturating_sub(1 + self.back),
        }
    }

    /// Moves the cursor; answers whether the command did.
    #[allow(clippy::wildcard_enum_match_arm, reason = "other commands do not move")]
    pub(in crate::screen) fn on(&mut self, command: Command, look: &Look<'_>) -> bool {
        let Some(history) = self.history(look) else {
            return false;
        };
        let last = history.hosts.len().saturating_sub(1);
        let oldest = steps(history).saturating_sub(1);
        match command {
            Command::Down => self.row = (self.row + 1).min(last),
            Command::Up => self.row = self.row.saturating_sub(1),
            Command::PageDown => self.row = (self.row + HALF_PAGE).min(last),
            Command::PageUp => self.row = self.row.saturating_sub(HALF_PAGE),
            Command::Top => self.row = 0,
            Command::Bottom => self.row = last,
            Command::Left => self.back = (self.back + 1).min(oldest),
            Command::Right => self.back = self.back.min(oldest).saturating_sub(1),
            _ => return false,
        }
        let host = history.hosts.get(self.row);
        self.host = host.map(|(host, _)| host.clone());
        true
    }

    /// Draws the map under a line that says what it shows.
    pub(in crate::screen) fn draw(
        &self,
        (span, is_active): (Span, bool),
        look: &Look<'_>,
        area: Rect,
        buf: &mut Buffer,
    ) {
        let area = inside(area);
        let question = self.question(span);
        let state = question.as_ref().map(|question| known(look, question));
        let word = self.measure.word();
        let title = format!("hosts, worst {word} of the last minute first, all their models");
        let (map, trouble) = match (state, self.history(look)) {
            (Some(Known::Here(history, _)), _) => (Some(history), String::new()),
            (Some(Known::Broken(why)), _) => (None, format!("The hub refuses: {why}")),
            (Some(Known::Loading), Some(history)) => (Some(history), String::new()),
            (Some(Known::Loading), None) => (None, "Loading…".into()),
            (None, _) => (None, "No host is known".into()),
        };
        let step = map.map_or(String::new(), |history| by(history.step_s));
        let heading = format!("{title}{step}");
        line::draw(
            &heading,
            look.style(Meaning::Quiet),
            line::row(area, 0),
            buf,
        );
        let Some(history) = map else {
            let place = line::row(area, 1);
            line::draw(&trouble, look.style(Meaning::Unknown), place, buf);
            return;
        };
        let map = HeatMap {
            history,
            measure: self.measure,
            cursor: is_active.then(|| self.spot(history)),
        };
        map.draw(look.theme, under(area), buf);
        dim(look, area, buf);
    }
}

fn known<'a>(look: &Look<'a>, question: &Question) -> Known<'a, Arc<History>> {
    look.data.known(question, look.here_us, history_of)
}

/// Percentiles of minutes do not add up: a longer step is told by its worst.
fn by(step_s: u32) -> String {
    let step = step_words(step_s);
    match step_s {
        ..=60 => format!(", by {step}"),
        _ => format!(", by {step}: the worst minute of each"),
    }
}

fn steps(history: &History) -> usize {
    let rows = history.hosts.iter().map(|(_, cells)| cells.len());
    rows.max().unwrap_or(0)
}

/// The worst hosts by the last finished minute; those of which nothing is known last.
fn worst(hosts: &[HostLine], measure: Measure, most: usize) -> Arc<[Arc<str>]> {
    let badness = |line: &HostLine| {
        let cell = &line.glance.cell;
        match measure {
            Measure::P99 => cell.p99.us().unwrap_or(-1.0),
            Measure::Errors => f64::from(cell.errors) / f64::from(cell.requests.max(1)),
            Measure::Rate => f64::from(cell.requests),
        }
    };
    let mut order: Vec<(f64, &Arc<str>)> = hosts
        .iter()
        .map(|line| (badness(line), line.host()))
        .collect();
    order.sort_by(|(a, a_name), (b, b_name)| b.total_cmp(a).then_with(|| a_name.cmp(b_name)));
    let worst = order.into_iter().take(most);
    worst.map(|(_, host)| host.clone()).collect()
}

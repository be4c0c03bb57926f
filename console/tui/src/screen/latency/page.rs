//! One model: its versions, how their latencies are spread, percentiles over time, and its
//! hosts over time.
//!
//! ```text
//!  Latency > fraud                                             last 30 min, all hosts merged
//! ▌ VERSION     P50      P90      P99    P99.9      MAX         N   ERRORS
//! ▌ ░ 7     3.10 ms  8.00 ms  38.2 ms  71.0 ms   900 ms    91,204   0.41 %
//!   ▓ 8     3.40 ms  9.10 ms  45.1 ms      few   1.20 s    10,133   0.44 %
//!   share  ░ fraud@7 n 91,204  ▓ fraud@8 n 10,133  █ both     log scale, exact counts
//!   …
//!   percentiles of all versions, by 1 min, log scale
//!   50 ms ┤                          ┆    ╭───────── p99 45.1 ms
//!   …
//!   hosts, worst p99 of the last minute first, all their models, by 1 min
//!   infer-0042 ░░░░░░▒▒▓▓██████
//! ```
//! Tab moves between the panels, and the active one has a mark; `z` gives it the whole screen.
//! Enter on a version shows that one alone in the chart, and on a host opens it.

use std::sync::Arc;

use binnacle_core::view::{LatencyPage, rfc3339, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::fleet::{Fleet, PAGE_HOSTS};
use super::panel::{self, Panel, dim, inside, under};
use super::span::{self, step_words};
use super::versions::{COLUMNS, VersionLine, choose_sides, version_name};
use crate::data::Known;
use crate::format;
use crate::keymap::{Command, view_named};
use crate::msg::Effect;
use crate::question::{Question, Span};
use crate::screen::length::Length;
use crate::screen::{Look, Place, Screen, Step, Wants};
use crate::theme::Meaning;
use crate::widget::table::Table;
use crate::widget::{chart, hh_mm, line};

/// Figures that were not refreshed so many times in a row say how old they are.
const MISSED: i64 = 3;

/// The page.
#[derive(Debug)]
pub(super) struct Page {
    model: Arc<str>,
    length: Length,
    panel: Panel,
    is_zoomed: bool,
    versions: Table<VersionLine>,
    lines: Vec<VersionLine>,
    /// The one version that the chart shows; absent: all.
    only: Option<Arc<str>>,
    /// Where the chart's cursor stands: steps from the newest.
    back: usize,
    fleet: Fleet,
    /// The last question that has an answer, and its step: shown until the next one has.
    shown: Option<(Question, u32)>,
}

/// What there is to see.
enum Seen<'a> {
    Loading,
    Broken(&'a str),
    /// A page, its step, and whether it is the one that was asked for last.
    Here(&'a Arc<LatencyPage>, u32, bool),
}

impl Page {
    /// The page of this model.
    pub(super) fn new(model: &str) -> Self {
        Self {
            model: model.into(),
            length: span::USUAL,
            panel: Panel::Versions,
            is_zoomed: false,
            versions: Table::new(COLUMNS, "n", true),
            lines: Vec::new(),
            only: None,
            back: 0,
            fleet: Fleet::new(PAGE_HOSTS),
            shown: None,
        }
    }

    fn span(&self, look: &Look<'_>) -> Span {
        let columns = chart::plot_columns(look.body.width.saturating_sub(2));
        span::span(self.length, columns, look.at_us)
    }

    fn host_span(&self, look: &Look<'_>) -> Span {
        let columns = look.body.width.saturating_sub(2) / 3 * 2;
        span::host_span(self.length, columns, look.at_us)
    }

    fn question(&self, look: &Look<'_>) -> Question {
        question(&self.model, self.span(look))
    }

    fn seen<'a>(&self, look: &Look<'a>) -> Seen<'a> {
        let asked = look.data.latency(&self.question(look), look.here_us);
        match (asked, &self.shown) {
            (Known::Here(page, _), _) => Seen::Here(page, self.span(look).step_s, true),
            (Known::Broken(why), _) => Seen::Broken(why),
            (Known::Loading, Some((question, step_s))) => {
                match look.data.latency(question, look.here_us) {
                    Known::Here(page, _) => Seen::Here(page, *step_s, false),
                    Known::Loading | Known::Broken(_) => Seen::Loading,
                }
            }
            (Known::Loading, None) => Seen::Loading,
        }
    }

    fn places(&self, look: &Look<'_>) -> Vec<(Panel, Rect)> {
        if self.is_zoomed {
            return vec![(self.panel, look.body)];
        }
        let rows = u16::try_from(self.lines.len()).unwrap_or(u16::MAX);
        let lines = match look.is_narrow {
            true => rows.saturating_mul(2),
            false => rows.saturating_add(1),
        };
        panel::places(look.body, self.panel, lines)
    }

    /// What the table sees: its own part of the page.
    fn table_look<'a>(&self, look: &Look<'a>) -> Look<'a> {
        let places = self.places(look);
        let place = places.iter().find(|(panel, _)| *panel == Panel::Versions);
        let body = place.map_or(look.body, |(_, area)| *area);
        Look { body, ..*look }
    }

    fn open(&mut self, look: &Look<'_>) -> Vec<Step> {
        if self.panel != Panel::Hosts {
            let selected = self.versions.selected();
            let line = self
                .lines
                .iter()
                .find(|line| Some(line_id(line)) == selected);
            let version = line.map(|line| line.row.version.clone());
            self.only = version.filter(|version| self.only.as_ref() != Some(version));
            let words = match &self.only {
                Some(version) => format!("the chart shows version {}", version_name(version)),
                None => "the chart shows all versions".into(),
            };
            return vec![Step::Say(Ok(words))];
        }
        let (Some(host), Some(view)) = (self.fleet.selected(look), view_named("hosts")) else {
            return Vec::new();
        };
        let place = Place {
            view: view.name.into(),
            object: host.to_string(),
            filter: String::new(),
            selected: host.to_string(),
        };
        vec![Step::Go((view.open)(&place))]
    }

    fn draw_panel(
        &self,
        (panel, page, step_s): (Panel, &LatencyPage, u32),
        look: &Look<'_>,
        area: Rect,
        buf: &mut Buffer,
    ) {
        let is_active = panel == self.panel;
        match panel {
            Panel::Versions => self.versions.draw(&self.lines, look, area, buf),
            Panel::Histogram => {
                let of = (&*self.model, page);
                panel::draw_histogram(of, &self.lines, look, inside(area), buf);
                dim(look, area, buf);
            }
            Panel::Chart => {
                let area = inside(area);
                let cursor_us = is_active.then(|| self.cursor_us(page, step_s));
                let title = self.chart_title((page, step_s), cursor_us, under(area));
                line::draw(&title, look.style(Meaning::Quiet), line::row(area, 0), buf);
                let what = (self.only.as_ref(), cursor_us);
                panel::draw_chart((page, step_s), what, look, under(area), buf);
                dim(look, area, buf);
            }
            Panel::Hosts => {
                let span = self.host_span(look);
                self.fleet.draw((span, is_active), look, area, buf);
            }
        }
        panel::mark(is_active, look, area, buf);
    }

    /// What the chart shows, or the figures under its cursor.
    fn chart_title(
        &self,
        (page, step_s): (&LatencyPage, u32),
        cursor_us: Option<i64>,
        area: Rect,
    ) -> String {
        let of = match &self.only {
            Some(version) => format!("version {} alone", version_name(version)),
            None => "all versions".into(),
        };
        let step = step_words(step_s);
        if let Some(at_us) = cursor_us {
            let figures = panel::step_figures((page, step_s), self.only.as_ref(), at_us);
            return format!("{of} {} by {step}  {figures}", hh_mm(at_us));
        }
        let what = match panel::is_low(area) {
            true => "p99",
            false => "percentiles",
        };
        format!("{what} of {of}, by {step}, log scale")
    }

    /// The middle of the step under the chart's cursor.
    fn cursor_us(&self, page: &LatencyPage, step_s: u32) -> i64 {
        let step_us = i64::from(step_s) * 1_000_000;
        let back = i64::try_from(self.back).unwrap_or(i64::MAX);
        let at_us = page.to_us.saturating_sub(back.saturating_mul(step_us));
        (at_us - step_us / 2).max(page.from_us + step_us / 2)
    }

    /// Moves the chart's cursor.
    fn move_cursor(&mut self, command: Command, look: &Look<'_>) {
        let Seen::Here(page, step_s, _) = self.seen(look) else {
            return;
        };
        let steps = (page.to_us - page.from_us) / (i64::from(step_s.max(1)) * 1_000_000);
        let oldest = usize::try_from(steps - 1).unwrap_or(0);
        self.back = match command == Command::Left {
            true => (self.back + 1).min(oldest),
            false => self.back.min(oldest).saturating_sub(1),
        };
    }

    /// Why there is nothing to see, and what to do about it.
    fn nothing(&self, seen: &Seen<'_>, look: &Look<'_>) -> Vec<String> {
        let model = shown(&self.model);
        match seen {
            Seen::Broken(why) => vec![
                format!("The hub cannot tell the latencies of {model}:"),
                format!("  {}", shown(why)),
                "It is asked again by itself.".into(),
            ],
            Seen::Loading if look.data.is_live() => vec![format!("Loading {model}…")],
            Seen::Loading => vec![format!(
                "Not connected to the hub: nothing is known of {model} yet."
            )],
            Seen::Here(..) => {
                let longer = look.keys.keys_of(Command::Longer).unwrap_or_default();
                let until = match look.at_us {
                    Some(_) => "up to then",
                    None => "up to now",
                };
                vec![
                    format!("No request to {model} in {} {until}.", self.length.words()),
                    format!("<{longer}> looks at a longer span."),
                ]
            }
        }
    }
}

/// A model's latencies over a span.
pub(super) fn question(model: &Arc<str>, span: Span) -> Question {
    Question::Latency {
        model: Some(model.clone()),
        span,
    }
}

fn line_id(line: &VersionLine) -> &Arc<str> {
    crate::widget::table::Row::id(line)
}

impl Screen for Page {
    fn place(&self) -> Place {
        Place {
            view: "latency".into(),
            object: self.model.to_string(),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Latency".into(), shown(&self.model)]
    }

    fn note(&self, look: &Look<'_>) -> String {
        let length = self.length.words();
        let until = match look.at_us {
            Some(_) => format!("{length} up to then"),
            None => format!("last {length}"),
        };
        let question = self.question(look);
        let asked = look.data.asked(&question);
        let trouble = asked.and_then(|asked| asked.trouble.as_deref());
        let age_us = match look.data.latency(&question, look.here_us) {
            Known::Here(_, age_us) if look.at_us.is_none() => age_us,
            Known::Here(..) | Known::Loading | Known::Broken(_) => 0,
        };
        let every_s = question.refreshed_s().unwrap_or(u32::MAX);
        let old_us = MISSED * i64::from(every_s) * 1_000_000;
        let state = match (self.seen(look), trouble) {
            (Seen::Here(_, _, false), _) => "loading…".into(),
            (Seen::Here(_, _, true), Some(why)) => {
                format!("{} old: {}", format::age(age_us), shown(why))
            }
            (Seen::Here(_, _, true), None) if look.is_stale() || age_us > old_us => {
                format!("{} old", format::age(age_us))
            }
            (Seen::Here(..) | Seen::Loading | Seen::Broken(_), _) => "all hosts merged".into(),
        };
        format!("{until}, {state}")
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let mut questions = vec![self.question(look), panel::journal()];
        questions.extend(self.fleet.question(self.host_span(look)));
        Wants {
            questions,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        let mut offers = vec![C::Next, C::Zoom, C::Longer, C::Shorter, C::Open];
        offers.extend(match self.panel {
            Panel::Hosts => [C::Sort, C::Left, C::Right].as_slice(),
            Panel::Chart => &[C::Left, C::Right, C::Mark, C::Unmark, C::Sort],
            Panel::Versions | Panel::Histogram => &[
                C::Mark,
                C::Unmark,
                C::Sort,
                C::SortReverse,
                C::Columns,
                C::Copy,
                C::Export,
            ],
        });
        offers.extend([C::Down, C::Up, C::Top, C::Bottom, C::PageDown, C::PageUp]);
        offers
    }

    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        if command == Command::Next {
            self.panel = self.panel.next();
        } else if command == Command::Zoom {
            self.is_zoomed = !self.is_zoomed;
        } else if let Some(turned) = self.length.turn(command) {
            self.learn(look);
            return turned;
        } else if command == Command::Open {
            return self.open(look);
        } else if self.panel == Panel::Hosts {
            if command == Command::Sort {
                let words = self.fleet.turn(look, self.host_span(look));
                return vec![Step::Say(Ok(words))];
            }
            self.fleet.on(command, look);
            return Vec::new();
        } else if self.panel == Panel::Chart && [Command::Left, Command::Right].contains(&command) {
            self.move_cursor(command, look);
            return Vec::new();
        } else if command == Command::Export {
            return vec![Step::Effect(Effect::Export {
                name: "latency".into(),
                suffix: ".csv",
                text: self.versions.csv(&self.lines, look),
            })];
        } else {
            let inner = self.table_look(look);
            let steps = self.versions.on(command, &self.lines, &inner);
            choose_sides(&mut self.lines, &self.versions.chosen());
            return steps.unwrap_or_default();
        }
        self.learn(look);
        Vec::new()
    }

    fn toggle_column(&mut self, title: &str, look: &Look<'_>) {
        self.versions.toggle(title);
        self.learn(look);
    }

    fn learn(&mut self, look: &Look<'_>) {
        if let Seen::Here(page, step_s, is_asked) = self.seen(look) {
            if is_asked {
                self.shown = Some((self.question(look), step_s));
            }
            self.lines = VersionLine::all(page);
        }
        self.fleet.learn(look, self.host_span(look));
        let inner = self.table_look(look);
        self.versions.learn(&self.lines, &inner);
        choose_sides(&mut self.lines, &self.versions.chosen());
    }

    fn settle(&mut self) {
        self.versions.settle();
    }

    fn command(&self, look: &Look<'_>) -> String {
        let model = self.model.replace('\'', r"'\''");
        let span = self.span(look);
        let when = match look.at_us {
            None => format!("--since {}", self.length.flag()),
            Some(at_us) => {
                let from_us = at_us - i64::from(span.length_s) * 1_000_000;
                format!("--since {} --until {}", rfc3339(from_us), rfc3339(at_us))
            }
        };
        format!(
            "binnacle latency --model '{model}' {when} --step {}s",
            span.step_s
        )
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let seen = self.seen(look);
        if let Seen::Here(page, step_s, _) = &seen
            && !page.table.rows.is_empty()
        {
            for (panel, area) in self.places(look) {
                self.draw_panel((panel, page, *step_s), look, area, buf);
            }
            return;
        }
        for (at, text) in self.nothing(&seen, look).iter().enumerate() {
            let place = line::row(look.body, u16::try_from(at + 1).unwrap_or(u16::MAX));
            line::draw(text, look.style(Meaning::Text), place, buf);
        }
    }
}

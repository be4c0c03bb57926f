//! One host: its lights, its machine, its requests of the last minute, and its past.
//!
//! ```text
//!  Hosts > infer-0017                             prod  rack=8 zone=eu-west-1c
//!  ! WARN for 3m: fraud 8 does not answer: out of memory
//!  server + up  http://127.0.0.1:8000
//!    fraud 8        + loaded  x answers  out of memory
//!  CPU 43 % ▓▓▓▓░░░░░░ of 16 cores    memory 38 % ▓▓▓▓░░░░░░ of 64.0 GiB
//! ▌P99  last 3h                                              at most 61.2 ms
//!  ▂▂▂▂▃▃▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▅▇█▇▆▅▅▅▅▅▅▅▅
//!  00:15      01:00          ▴ p99 38.4 ms at 02:11Z (1h ago), n=63,000
//! ```
//! In a moment of the past it shows what is kept of that minute, and nothing of now.

use std::sync::Arc;

use binnacle_core::view::{EntryRow, Glance, History, HostRow, LatencyPage, rfc3339, shown};
use ratatui::buffer::Buffer;

use crate::data::Known;
use crate::keymap::{Command, view_named};
use crate::msg::Effect;
use crate::question::{Answer, Question, Span};
use crate::screen::{Action, Concern, Look, Place, Screen, Step, Wants, host_actions, journal};
use crate::widget::page::{GUTTER, Page};

mod machine;
mod page;
mod past;
#[cfg(test)]
mod tests;

const MINUTE_US: i64 = 60_000_000;

/// Spans that the past is shown over, in minutes; the hub keeps hosts' minutes for a day.
const SPANS: [u32; 4] = [60, 180, 720, 1_440];

/// Steps that a column may stand for, in minutes: those that a clock face divides by.
const STEPS: [u32; 9] = [1, 2, 3, 5, 10, 15, 30, 60, 120];

/// Opens the page of this host.
pub fn open(name: &str) -> Box<dyn Screen> {
    Box::new(HostPage {
        name: name.into(),
        span: 1,
        cursor_us: None,
        selected: Item::Past,
        top: 0,
        is_whole: false,
    })
}

/// Something on the page that can be selected.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    /// The lights of a version, by model and version.
    Lights(Arc<str>, Arc<str>),
    /// The last minute's requests, by model and version.
    Requests(Arc<str>, Arc<str>),
    /// The past, with its cursor.
    Past,
    /// An entry of the journal.
    Entry(u64),
}

/// The page.
#[derive(Debug)]
struct HostPage {
    name: Arc<str>,
    /// Which of [`SPANS`].
    span: usize,
    /// A moment in the column under the cursor; absent: the newest that is known.
    cursor_us: Option<i64>,
    selected: Item,
    top: usize,
    /// Whether every line is shown, however many there are.
    is_whole: bool,
}

/// How much is known of the host.
enum About<'a> {
    /// Its row, and the age of that in microseconds.
    Now(&'a HostRow, i64),
    /// What the fleet's table knows of it: the row is still to come.
    Glance(&'a Glance),
    /// What is kept of the minute that is shown.
    Then(&'a Glance),
    /// There is no such host.
    Nobody,
    /// There was no such host at the moment that is shown.
    NotThen,
    /// Nothing has come yet.
    Loading,
    /// The hub says why not.
    Broken(&'a str),
}

impl HostPage {
    /// Columns that the past has.
    fn columns(look: &Look<'_>) -> u16 {
        look.body.width.saturating_sub(2 * GUTTER).max(1)
    }

    /// What is asked of the past: as fine as there are columns for.
    fn history(&self, look: &Look<'_>) -> Question {
        let minutes = SPANS.get(self.span).copied().unwrap_or(60);
        let columns = u32::from(Self::columns(look));
        let fits = |step: &&u32| minutes.div_ceil(**step) <= columns;
        let step = STEPS.iter().find(fits).or(STEPS.last());
        let span = Span::last(minutes * 60, step.copied().unwrap_or(60) * 60);
        Question::History {
            hosts: Arc::from([self.name.clone()]),
            // The minute that is shown is the last of them.
            span: span.until(look.at_us.map(|at_us| at_us.saturating_add(MINUTE_US))),
        }
    }

    fn entries(&self) -> Question {
        Question::Journal {
            host: Some(self.name.clone()),
            before: None,
        }
    }

    fn minute(&self) -> Question {
        Question::HostLatency {
            host: self.name.clone(),
        }
    }

    fn row(&self) -> Question {
        Question::Host {
            host: self.name.clone(),
        }
    }

    fn about<'a>(&self, look: &Look<'a>) -> About<'a> {
        let glance = look.fleet.host(&self.name).map(|line| &line.glance);
        if let Some(at_us) = look.at_us {
            let past = Question::Past { at_us };
            return match (look.data.known(&past, look.here_us, past_of), glance) {
                (Known::Here(..), Some(glance)) => About::Then(glance),
                (Known::Here(..), None) => About::NotThen,
                (Known::Loading, _) => About::Loading,
                (Known::Broken(why), _) => About::Broken(why),
            };
        }
        match (look.data.known(&self.row(), look.here_us, row_of), glance) {
            (Known::Here(Some(row), age_us), _) => About::Now(row, age_us),
            (Known::Here(None, _), _) => About::Nobody,
            (Known::Loading, Some(glance)) => About::Glance(glance),
            (Known::Loading, None) => About::Loading,
            (Known::Broken(why), _) => About::Broken(why),
        }
    }

    /// The past, as far as it is known.
    fn past<'a>(&self, look: &Look<'a>) -> Known<'a, Arc<History>> {
        let asked = self.history(look);
        look.data.known(&asked, look.here_us, history_of)
    }

    fn last_minute<'a>(&self, look: &Look<'a>) -> Known<'a, Arc<LatencyPage>> {
        look.data.latency(&self.minute(), look.here_us)
    }

    /// Entries about it up to the moment that is shown, newest first.
    fn told<'a>(&self, look: &Look<'a>) -> Known<'a, Arc<[EntryRow]>> {
        look.data
            .known(&self.entries(), look.here_us, journal::page_of)
    }

    /// Moves the cursor by so many columns.
    fn move_cursor(&mut self, look: &Look<'_>, by: i64) -> Vec<Step> {
        self.selected = Item::Past;
        let Known::Here(history, _) = self.past(look) else {
            return Vec::new();
        };
        let columns = past::Columns::of(history, &self.name);
        self.cursor_us = columns.moved(self.cursor_us, by);
        vec![Step::Moved]
    }

    fn open_selected(&self, page: &Page<Item>, look: &Look<'_>) -> Vec<Step> {
        match page.selected(&self.selected) {
            None => Vec::new(),
            Some(Item::Lights(model, _) | Item::Requests(model, _)) => {
                let place = Place {
                    view: "latency".into(),
                    object: model.to_string(),
                    ..Place::default()
                };
                match view_named(&place.view) {
                    Some(view) => vec![Step::Go((view.open)(&place))],
                    None => vec![Step::Say(Err("there is no page about a model".into()))],
                }
            }
            Some(Item::Past) => {
                let Known::Here(history, _) = self.past(look) else {
                    return Vec::new();
                };
                let columns = past::Columns::of(history, &self.name);
                columns
                    .under(self.cursor_us)
                    .map(|(from_us, _)| Step::Time(from_us))
                    .into_iter()
                    .collect()
            }
            Some(Item::Entry(sequence)) => vec![Step::Go(journal::open_entry(*sequence))],
        }
    }

    /// Another span, or the reason why there is none.
    fn change_span(&mut self, to: Option<usize>) -> Vec<Step> {
        match to.filter(|to| *to < SPANS.len()) {
            Some(to) => {
                self.span = to;
                Vec::new()
            }
            None => vec![Step::Say(Err(
                "minutes are kept for 24 h, and shown from 1 h on".into(),
            ))],
        }
    }
}

/// Hosts' minutes, if that is the answer.
pub(super) fn history_of(answer: &Answer) -> Option<&Arc<History>> {
    let Answer::History(history) = answer else {
        return None;
    };
    Some(history)
}

fn row_of(answer: &Answer) -> Option<&Option<Arc<HostRow>>> {
    let Answer::Host(row) = answer else {
        return None;
    };
    Some(row)
}

fn past_of(answer: &Answer) -> Option<&Arc<binnacle_core::view::Glances>> {
    let Answer::Past(glances) = answer else {
        return None;
    };
    Some(glances)
}

impl Screen for HostPage {
    fn place(&self) -> Place {
        Place {
            view: "hosts".into(),
            object: self.name.to_string(),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Hosts".into(), shown(&self.name)]
    }

    fn note(&self, look: &Look<'_>) -> String {
        let Some(line) = look.fleet.host(&self.name) else {
            return String::new();
        };
        let mut words = vec![shown(&line.glance.environment)];
        let labels = line.glance.labels.iter();
        words.extend(labels.map(|(key, value)| shown(&format!("{key}={value}"))));
        words.join("  ")
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let mut questions = vec![self.history(look), self.entries()];
        if look.at_us.is_none() {
            questions.extend([self.row(), self.minute()]);
        }
        Wants {
            questions,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        vec![
            C::Open,
            C::Left,
            C::Actions,
            C::Palette,
            C::Help,
            C::Right,
            C::Longer,
            C::Shorter,
            C::Zoom,
            C::Time,
            C::Down,
            C::Up,
            C::Top,
            C::Bottom,
            C::PageDown,
            C::PageUp,
            C::Copy,
            C::Export,
            C::RollBack,
        ]
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        host_actions(std::slice::from_ref(&self.name), look)
    }

    fn concern(&self, _look: &Look<'_>) -> Option<Concern> {
        Some(Concern::Host(self.name.clone()))
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "other commands move or do nothing"
    )]
    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        match command {
            Command::Left => return self.move_cursor(look, -1),
            Command::Right => return self.move_cursor(look, 1),
            Command::Longer => return self.change_span(self.span.checked_add(1)),
            Command::Shorter => return self.change_span(self.span.checked_sub(1)),
            Command::Zoom => {
                self.is_whole = !self.is_whole;
                self.learn(look);
                return Vec::new();
            }
            Command::Copy => return vec![Step::Effect(Effect::Copy(self.name.to_string()))],
            Command::Export => return self.export(look),
            _ => {}
        }
        let page = self.page(look);
        if command == Command::Open {
            return self.open_selected(&page, look);
        }
        let Some(to) = page.moved(&self.selected, command, look.body.height) else {
            return Vec::new();
        };
        self.selected = to;
        self.top = page.top(self.top, &self.selected, look.body.height);
        vec![Step::Moved]
    }

    fn learn(&mut self, look: &Look<'_>) {
        let page = self.page(look);
        self.top = page.top(self.top, &self.selected, look.body.height);
    }

    fn command(&self, look: &Look<'_>) -> String {
        let name = shown(&self.name);
        match look.at_us {
            None => format!("binnacle host show {name}"),
            Some(at_us) => format!("binnacle host history {name} --since {}", rfc3339(at_us)),
        }
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let page = self.page(look);
        let top = page.top(self.top, &self.selected, look.body.height);
        page.draw(top, &self.selected, look, look.body, buf);
    }
}

impl HostPage {
    /// The past as comma-separated values.
    fn export(&self, look: &Look<'_>) -> Vec<Step> {
        let Known::Here(history, _) = self.past(look) else {
            return vec![Step::Say(Err("its past is not known yet".into()))];
        };
        vec![Step::Effect(Effect::Export {
            name: format!("host-{}", self.name),
            suffix: ".csv",
            text: past::Columns::of(history, &self.name).csv(),
        })]
    }
}

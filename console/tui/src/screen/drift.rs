//! Drift: the inputs of each version that serves, held against what it was trained on.
//!
//! ```text
//!  Drift                                                                     1 moved  3
//!   ENDPOINT     VERSION   EVIDENCE            MOST IN      HELD AGAINST    REQUESTS
//! ▌ prod/churn   churn@14  ▓▓▓▓▓▓▓▓▓▓ moved    tenure       customers@9       31,400
//!   prod/fraud   fraud@7   ▓▓▓░░░░░░░ watched  monthly      transactions@3    91,204
//!   prod/wine    wine@1    not enough data: 130 of 2,000    wine@1               130
//! ```

use std::sync::Arc;

use binnacle_core::view::{DriftItem, Signal, StreamItem, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::HorizontalAlignment::{Left, Right};

use self::page::DriftPage;
use crate::data::Known;
use crate::filter::{Value, contains};
use crate::format;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::drift::{Inquiry, Rebaseline};
use crate::question::{Question, Wish};
use crate::screen::list::List;
use crate::screen::registry::{self, waiting, words as quiet};
use crate::screen::{Action, Concern, Confirm, Doing, Look, Place, Screen, Step, Wants, Weight};
use crate::theme::Meaning;
use crate::widget::page::{Line, piece};
use crate::widget::table::{Column, Row, Text};

mod course;
mod page;
mod stretch;
#[cfg(test)]
mod tests;

/// Cells of a meter of evidence.
const METER: usize = 10;

/// Opens the list, or the page of a version at an endpoint: `prod/churn/churn@14`.
pub fn open(place: &Place) -> Box<dyn Screen> {
    if let Some((endpoint, version)) = place.object.rsplit_once('/')
        && let (Ok(endpoint), Ok(version)) = (endpoint.parse(), version.parse())
    {
        return Box::new(DriftPage::new(endpoint, version));
    }
    Box::new(Drift {
        list: List::open(COLUMNS, ("", false), place),
    })
}

/// The list.
#[derive(Debug)]
struct Drift {
    list: List<Watch>,
}

/// A version at an endpoint, what it is known by, and where the hub puts it.
#[derive(Debug)]
struct Watch {
    id: Arc<str>,
    endpoint: Arc<str>,
    version: Arc<str>,
    place: usize,
    row: DriftItem,
}

impl Row for Watch {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn has_word(&self, word: &str) -> bool {
        [&self.id, &self.row.state, &self.row.why]
            .into_iter()
            .any(|text| contains(text, word))
    }
}

/// A bar of evidence: full when it pages.
fn meter(part: f64) -> String {
    let full = (part.clamp(0.0, 1.0) * METER as f64).floor() as usize;
    format!("{}{}", "▓".repeat(full), "░".repeat(METER - full))
}

/// What of a feature a stream is of; empty for its values.
fn signal(stream: &StreamItem) -> &'static str {
    match stream.signal {
        Signal::Values => "",
        Signal::Missing => "missing",
        Signal::Unseen => "unseen",
        Signal::OutOfRange => "out of range",
        Signal::Unfit => "requests that do not fit",
    }
}

/// What a stream is of, in a word or two.
fn stream(stream: &StreamItem) -> String {
    let feature = shown(&stream.feature);
    format!("{feature} {}", signal(stream)).trim().to_owned()
}

/// How a version stands. What is not known is neither good nor bad.
fn state(row: &DriftItem) -> Text {
    match &*row.state {
        "moved" => ("x moved".into(), Meaning::Crit),
        "watched" if row.warned_us.is_some() => ("! warned".into(), Meaning::Warn),
        "watched" => ("+ watched".into(), Meaning::Ok),
        "not_enough" => ("? not enough".into(), Meaning::Unknown),
        "unprovable" => ("? unprovable".into(), Meaning::Unknown),
        _ => ("– not watched".into(), Meaning::Quiet),
    }
}

/// Why it is not watched, or since when something moved.
fn remark(row: &DriftItem, look: &Look<'_>) -> String {
    match row.page.as_ref().filter(|page| page.is_open) {
        Some(page) => format!("since {}", format::age(look.now_us - page.since_us)),
        None => shown(&row.why),
    }
}

#[rustfmt::skip]
const COLUMNS: &[Column<Watch>] = &[
    // In the order of the hub.
    Column::new("ENDPOINT", "endpoint", (14, 12), (Left, 0),
        |watch, _| (shown(&watch.endpoint), Meaning::Text),
        |watch, _| Value::Number(watch.place as f64)),
    Column::new("VERSION", "version", (11, 8), (Left, 0),
        |watch, _| (shown(&watch.version), Meaning::Text),
        |watch, _| Value::Text((&*watch.version).into())),
    Column::new("STATE", "state", (13, 0), (Left, 0),
        |watch, _| state(&watch.row),
        |watch, _| Value::Text((&*watch.row.state).into())),
    Column::new("EVIDENCE", "evidence", (METER as u16, 0), (Left, 0),
        |watch, _| (meter(watch.row.meter), Meaning::Text),
        |watch, _| Value::Number(watch.row.meter * 100.0)),
    Column::new("MOST IN", "most", (12, 12), (Left, 1),
        |watch, _| match watch.row.most.as_ref().filter(|_| watch.row.meter > 0.0) {
            Some(most) => (stream(most), Meaning::Text),
            None => (String::new(), Meaning::Text),
        },
        |watch, _| match &watch.row.most {
            Some(most) => Value::Text((&*most.feature).into()),
            None => Value::Unknown,
        }),
    Column::new("REQUESTS", "requests", (9, 2), (Right, 2),
        |watch, _| (format::count(watch.row.requests), Meaning::Text),
        |watch, _| Value::Number(watch.row.requests as f64)),
    Column::new("HELD AGAINST", "against", (14, 8), (Left, 3),
        |watch, _| match &watch.row.data_set {
            Some(set) => (shown(&set.to_string()), Meaning::Quiet),
            None => ("–".into(), Meaning::Unknown),
        },
        |watch, _| match &watch.row.data_set {
            Some(set) => Value::Text(set.to_string().into()),
            None => Value::Unknown,
        }),
    Column::new("AGE", "age", (6, 2), (Right, 4),
        |watch, look| match watch.row.seen_us {
            Some(at_us) => (format::age(look.now_us - at_us), Meaning::Quiet),
            None => ("–".into(), Meaning::Unknown),
        },
        |watch, look| match watch.row.seen_us {
            Some(at_us) => Value::Number((look.now_us - at_us) as f64 / 1e6),
            None => Value::Unknown,
        }),
    Column::new("REMARKS", "remarks", (16, u16::MAX), (Left, 2),
        |watch, look| (remark(&watch.row, look), Meaning::Text),
        |watch, look| Value::Text(remark(&watch.row, look).into())),
];

/// What can be done about watched inputs, or why it cannot.
fn actions(row: Option<&DriftItem>, look: &Look<'_>) -> Vec<Action> {
    let Some(row) = row else {
        return Vec::new();
    };
    let is_open = row.page.as_ref().is_some_and(|page| page.is_open);
    let asks = match (look.at_us, look.data.is_live()) {
        (Some(_), _) => Err("this is the past; esc comes back to now".to_owned()),
        (None, false) => Err("the hub is not connected".to_owned()),
        (None, true) if !is_open => Err("nothing moved here".to_owned()),
        (None, true) => Ok(Doing::Confirm(Box::new(normal(row)))),
    };
    vec![Action {
        key: 'n',
        words: "this is normal…".into(),
        asks,
    }]
}

fn normal(row: &DriftItem) -> Confirm {
    let endpoint = &row.endpoint;
    Confirm {
        title: format!("What {endpoint} is sent is normal"),
        facts: vec![
            ("endpoint", endpoint.to_string()),
            (
                "what",
                "what is measured now is the reference; the alarm is over".into(),
            ),
            ("reversible", "no: evidence begins anew".into()),
        ],
        weight: Weight::Reason,
        wish: Wish::Rebaseline(Box::new(Rebaseline {
            endpoint: endpoint.clone(),
            reason: String::new(),
        })),
    }
}

impl Drift {
    fn nothing(&self, look: &Look<'_>) -> Vec<Line> {
        let text = |text: &str| vec![piece(text, Meaning::Text)];
        let known = look.data.drift(look.here_us);
        match known {
            Known::Here(..) if !self.list.table.filter_text().is_empty() => {
                vec![text("No version matches the filter; esc shows all again.")]
            }
            Known::Here(..) => vec![
                text("No version serves at an endpoint."),
                Line::new(),
                text("Inputs are watched where a version was trained on a data set with a"),
                text("profile, and its feature set says what they are called:"),
                text("  binnacle version register --model fraud --data-set transactions@3 …"),
                quiet("binnacle drift list says of each version why it is not watched"),
            ],
            Known::Loading | Known::Broken(_) => waiting(&known, "inputs", look),
        }
    }
}

impl Screen for Drift {
    fn place(&self) -> Place {
        self.list.place("drift")
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Drift".into()]
    }

    fn note(&self, look: &Look<'_>) -> String {
        let moved = self.list.rows.iter();
        let moved = moved.filter(|watch| &*watch.row.state == "moved").count();
        let all = self.list.rows.len();
        let note = self.list.note(match moved {
            0 => all.to_string(),
            moved => format!("{moved} moved  {all}"),
        });
        match look.at_us {
            Some(_) => format!("this list is of now  {note}"),
            None => note,
        }
    }

    fn wants(&self, _look: &Look<'_>) -> Wants {
        Wants {
            questions: vec![Question::Drift(Inquiry::All)],
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        let mut offers = registry::table_offers(&[C::Open, C::Actions, C::RollBack]);
        offers.extend([C::Columns, C::Export]);
        offers
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        actions(self.list.chosen().map(|watch| &watch.row), look)
    }

    fn concern(&self, _look: &Look<'_>) -> Option<Concern> {
        let watch = self.list.chosen()?;
        Some(Concern::Endpoint(watch.row.endpoint.clone()))
    }

    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        if let Some(steps) = self.list.table.on(command, &self.list.rows, look) {
            return steps;
        }
        if command == Command::Open
            && let Some(watch) = self.list.chosen()
        {
            let (endpoint, version) = (watch.row.endpoint.clone(), watch.row.version.clone());
            return vec![Step::Go(Box::new(DriftPage::new(endpoint, version)))];
        }
        if command == Command::Export {
            return vec![Step::Effect(Effect::Export {
                name: "drift".into(),
                suffix: ".csv",
                text: self.list.table.csv(&self.list.rows, look),
            })];
        }
        Vec::new()
    }

    fn filter(&mut self, text: &str, look: &Look<'_>) -> Result<(), String> {
        self.list.filter(text, look)
    }

    fn filter_text(&self) -> &str {
        self.list.table.filter_text()
    }

    fn filter_words(&self) -> &'static str {
        "words, state=moved, evidence>50, against~transactions"
    }

    fn related(&self, view: &str) -> Option<Place> {
        let watch = self.list.chosen()?;
        related((&watch.endpoint, &watch.version), view)
    }

    fn toggle_column(&mut self, title: &str, look: &Look<'_>) {
        self.list.toggle(title, look);
    }

    fn learn(&mut self, look: &Look<'_>) {
        if let Known::Here(rows, _) = look.data.drift(look.here_us) {
            let watch = |(place, row): (usize, &DriftItem)| Watch {
                id: format!("{}/{}", row.endpoint, row.version).into(),
                endpoint: row.endpoint.to_string().into(),
                version: row.version.to_string().into(),
                place,
                row: row.clone(),
            };
            self.list.rows = rows.iter().enumerate().map(watch).collect();
        }
        self.list.table.learn(&self.list.rows, look);
    }

    fn settle(&mut self) {
        self.list.table.settle();
    }

    fn command(&self, _look: &Look<'_>) -> String {
        "binnacle drift list".into()
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        self.list.draw(|| self.nothing(look), look, look.body, buf);
    }
}

/// To what belongs to a version at an endpoint.
fn related((endpoint, version): (&str, &str), view: &str) -> Option<Place> {
    let object = match view {
        "rollouts" => endpoint,
        "versions" => version,
        "models" | "latency" => version.split('@').next()?,
        _ => return None,
    };
    Some(Place {
        view: view.into(),
        object: object.into(),
        ..Place::default()
    })
}

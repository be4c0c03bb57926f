//! Endpoints: what serves, what is under way, and whether each can go back.
//!
//! ```text
//!  Rollouts                                                                          3
//!   ENDPOINT▴      ROUTE              UNDER WAY              ROLLBACK                 INPUTS
//! ▌ prod/fraud     fraud@7 100%       rev 41 2/5 baking      3/3 warm · 0 s           + steady 2s
//!   prod/pricing   pricing@12 100%                           2/3 warm, 1 cold ~4.0 s  x moved 26m
//! ```

use std::sync::Arc;

use binnacle_core::view::{EndpointItem, EndpointName, Labels, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::HorizontalAlignment::{Left, Right};

use self::page::EndpointPage;
use self::passage::Passage;
use crate::data::Known;
use crate::filter::{Value, contains};
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::Question;
use crate::question::drift;
use crate::question::endpoint::Inquiry;
use crate::screen::inputs::{Index, Inputs, aged};
use crate::screen::list::List;
use crate::screen::registry::{self, waiting, words as quiet};
use crate::screen::{Action, Concern, Look, Place, Screen, Step, Wants};
use crate::theme::Meaning;
use crate::widget::page::{Line, piece};
use crate::widget::table::{Column, Row, Text};

pub(crate) mod act;
mod page;
mod passage;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod words;

/// Opens the list, the page of an endpoint, or how it came to a revision: `prod/fraud`,
/// `prod/fraud@41`.
pub fn open(place: &Place) -> Box<dyn Screen> {
    let object = place.object.as_str();
    if let Some((endpoint, revision)) = object.rsplit_once('@')
        && let (Ok(endpoint), Ok(revision)) = (endpoint.parse(), revision.parse())
    {
        return Box::new(Passage::new(endpoint, revision));
    }
    if let Ok(endpoint) = object.parse() {
        return page(endpoint);
    }
    Box::new(Rollouts {
        list: List::open(COLUMNS, ("", false), place),
        inputs: Index::default(),
    })
}

/// The page of a rollout.
pub(super) fn passage_to(endpoint: EndpointName, revision: u64) -> Box<dyn Screen> {
    Box::new(Passage::new(endpoint, revision))
}

/// The page of an endpoint.
pub(super) fn page(endpoint: EndpointName) -> Box<dyn Screen> {
    Box::new(EndpointPage::new(endpoint))
}

/// The list.
#[derive(Debug)]
struct Rollouts {
    list: List<EndpointLine>,
    inputs: Index,
}

/// An endpoint, and what it is known by.
#[derive(Debug)]
struct EndpointLine {
    id: Arc<str>,
    row: EndpointItem,
    /// How its inputs stand; `None` while that is not known.
    inputs: Option<Inputs>,
}

impl Row for EndpointLine {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn has_word(&self, word: &str) -> bool {
        contains(&self.id, word)
            || contains(&self.row.route, word)
            || self.row.rollout.as_ref().is_some_and(|rollout| {
                contains(&rollout.phase, word) || contains(&rollout.after, word)
            })
    }
}

fn underway(line: &EndpointLine) -> Text {
    match &line.row.rollout {
        Some(rollout) => words::brief(rollout),
        None if line.row.live == 0 => ("never had a route".into(), Meaning::Unknown),
        None => (String::new(), Meaning::Text),
    }
}

/// Of the hosts, those that could go back this moment, in per cent.
fn warm(line: &EndpointLine) -> Option<f64> {
    let ready = line.row.rollback.as_ref()?;
    (ready.hosts > 0).then(|| f64::from(ready.warm) * 100.0 / f64::from(ready.hosts))
}

#[rustfmt::skip]
const COLUMNS: &[Column<EndpointLine>] = &[
    Column::new("ENDPOINT", "endpoint", (12, 12), (Left, 0),
        |line, _| (shown(&line.id), Meaning::Text),
        |line, _| Value::Text((&*line.id).into())),
    Column::new("ROUTE", "route", (15, 24), (Left, 0),
        |line, _| (shown(&line.row.route), Meaning::Text),
        |line, _| Value::Text((&*line.row.route).into())),
    Column::new("REV", "rev", (4, 2), (Right, 3),
        |line, _| (line.row.live.to_string(), Meaning::Quiet),
        |line, _| Value::Number(line.row.live as f64)),
    Column::new("UNDER WAY", "underway", (20, 10), (Left, 0),
        |line, look| aged(underway(line), look),
        |line, _| Value::Text(underway(line).0.into())),
    Column::new("ROLLBACK", "warm", (23, 12), (Left, 0),
        |line, look| match look.at_us {
            Some(_) => ("–".into(), Meaning::Unknown),
            None => aged(words::readiness(line.row.rollback.as_ref()), look),
        },
        |line, _| warm(line).map_or(Value::Unknown, Value::Number)),
    Column::new("INPUTS", "inputs", (12, 2), (Left, 2),
        |line, look| match line.inputs.filter(|_| look.at_us.is_none()) {
            Some(inputs) => aged(inputs.text(look), look),
            None => ("–".into(), Meaning::Unknown),
        },
        |line, _| match &line.inputs {
            Some(inputs) => Value::Text(inputs.word().into()),
            None => Value::Unknown,
        }),
    Column::new("TO", "to", (4, 2), (Right, 4),
        |line, _| match &line.row.rollback {
            Some(ready) => (ready.to.to_string(), Meaning::Quiet),
            None => ("–".into(), Meaning::Unknown),
        },
        |line, _| match &line.row.rollback {
            Some(ready) => Value::Number(ready.to as f64),
            None => Value::Unknown,
        }),
    Column::new("HEARD", "heard", (7, 2), (Right, 2),
        |line, look| {
            if look.at_us.is_some() {
                return ("–".into(), Meaning::Unknown);
            }
            let (heard, hosts) = (line.row.heard, line.row.hosts);
            let meaning = if heard < hosts { Meaning::Unknown } else { Meaning::Text };
            (format!("{heard}/{hosts}"), meaning)
        },
        |line, _| Value::Number(line.row.heard.into())),
    Column::new("REMARKS", "remarks", (12, u16::MAX), (Left, 1),
        |line, _| words::remarks(&line.row),
        |line, _| Value::Text(words::remarks(&line.row).0.into())),
];

/// Endpoints that a host of this environment with these labels serves.
pub(crate) fn is_served_by(row: &EndpointItem, environment: &str, labels: &Labels) -> bool {
    row.endpoint.environment.as_str() == environment && row.settings.selector.selects(labels)
}

impl Rollouts {
    fn chosen(&self) -> Option<&EndpointItem> {
        self.list.chosen().map(|line| &line.row)
    }

    fn nothing(&self, look: &Look<'_>) -> Vec<Line> {
        let text = |text: &str| vec![piece(text, Meaning::Text)];
        let known = look.data.endpoints_at(look.at_us, look.here_us);
        match known {
            Known::Here(..) if look.at_us.is_some() => {
                vec![text("No endpoint was named then.")]
            }
            Known::Here(..) if !self.list.table.filter_text().is_empty() => {
                vec![text("No endpoint matches the filter; esc shows all again.")]
            }
            Known::Here(..) => vec![
                text("No endpoint is named yet."),
                Line::new(),
                text("An endpoint is what applications call. Name the first from a shell:"),
                text("  binnacle endpoint create prod/fraud --objective errors<=1%"),
                text("and bring a version of a model to it:"),
                text("  binnacle deploy fraud@1 --to prod/fraud"),
                quiet("or here: 4, a version, a, then D"),
            ],
            Known::Loading | Known::Broken(_) => waiting(&known, "endpoints", look),
        }
    }
}

impl Screen for Rollouts {
    fn place(&self) -> Place {
        self.list.place("rollouts")
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Rollouts".into()]
    }

    fn note(&self, look: &Look<'_>) -> String {
        let all = self.list.rows.len().to_string();
        let note = self.list.note(all);
        match look.at_us {
            Some(_) => format!("as it was then; hosts did not leave word  {note}"),
            None => note,
        }
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let inquiry = look.at_us.map_or(Inquiry::All, Inquiry::AllAt);
        Wants {
            questions: vec![
                Question::Endpoints(inquiry),
                Question::Drift(drift::Inquiry::All),
            ],
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        let mut offers = registry::table_offers(&[C::Open, C::RollBack, C::Actions]);
        offers.extend([C::Columns, C::MarkRange, C::MarkAll, C::Export]);
        offers
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        act::of_endpoint(self.chosen(), look)
    }

    fn concern(&self, _look: &Look<'_>) -> Option<Concern> {
        let row = self.chosen()?;
        Some(Concern::Endpoint(row.endpoint.clone()))
    }

    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        if let Some(steps) = self.list.table.on(command, &self.list.rows, look) {
            return steps;
        }
        if command == Command::Open {
            let opened = self.chosen().map(|row| page(row.endpoint.clone()));
            return opened.map(Step::Go).into_iter().collect();
        }
        if command == Command::Export {
            return vec![Step::Effect(Effect::Export {
                name: "endpoints".into(),
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
        "words, warm<100, inputs=moved, underway~baking, remarks~blocked"
    }

    fn toggle_column(&mut self, title: &str, look: &Look<'_>) {
        self.list.toggle(title, look);
    }

    fn learn(&mut self, look: &Look<'_>) {
        if let Known::Here(rows, _) = look.data.endpoints_at(look.at_us, look.here_us) {
            self.inputs.learn(look);
            let line = |row: &EndpointItem| EndpointLine {
                id: row.endpoint.to_string().into(),
                row: row.clone(),
                inputs: self.inputs.endpoint(&row.endpoint),
            };
            self.list.rows = rows.iter().map(line).collect();
        }
        self.list.table.learn(&self.list.rows, look);
    }

    fn settle(&mut self) {
        self.list.table.settle();
    }

    fn command(&self, _look: &Look<'_>) -> String {
        "binnacle endpoint list".into()
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        self.list.draw(|| self.nothing(look), look, look.body, buf);
    }
}

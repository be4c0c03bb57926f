//! Approvals: plans that wait for another person's yes, the longest first.
//!
//! ```text
//!  Approvals                                                                      1 waits
//!   ENDPOINT      REV  FROM          TO            HAVE    WAITS  ASKED BY        WHY
//! ▌ prod/credit    13  credit@4 100% credit@5 100% 1 of 2    12m  uid 1000 (bob)  Q3 features
//! ```

use std::sync::Arc;

use binnacle_core::view::{EndpointItem, RolloutItem, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::HorizontalAlignment::{Left, Right};

use crate::data::Known;
use crate::filter::{Value, contains};
use crate::format;
use crate::keymap::Command;
use crate::question::Question;
use crate::question::endpoint::Inquiry;
use crate::screen::list::List;
use crate::screen::registry::{self, waiting, words as quiet};
use crate::screen::rollouts::{act, words};
use crate::screen::{Action, Concern, Look, Place, Screen, Step, Wants, rollouts};
use crate::theme::Meaning;
use crate::widget::page::{Line, piece};
use crate::widget::table::{Column, Row, Text};

#[cfg(test)]
mod tests;

/// Opens the list.
pub fn open(place: &Place) -> Box<dyn Screen> {
    Box::new(Approvals {
        list: List::open(COLUMNS, ("waits", true), place),
    })
}

/// The list.
#[derive(Debug)]
struct Approvals {
    list: List<Plan>,
}

/// A plan that waits.
#[derive(Debug)]
struct Plan {
    id: Arc<str>,
    endpoint: EndpointItem,
    rollout: RolloutItem,
}

impl Row for Plan {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn has_word(&self, word: &str) -> bool {
        let rollout = &self.rollout;
        [
            &self.id,
            &rollout.after,
            &rollout.asked_by,
            &rollout.asked_why,
        ]
        .into_iter()
        .any(|text| contains(text, word))
    }
}

fn text(text: &str) -> Text {
    (shown(text), Meaning::Text)
}

fn have(plan: &Plan) -> String {
    let approvals = plan.rollout.approvals.as_ref();
    approvals.map_or_else(String::new, |it| format!("{} of {}", it.have, it.of))
}

#[rustfmt::skip]
const COLUMNS: &[Column<Plan>] = &[
    Column::new("ENDPOINT", "endpoint", (14, 12), (Left, 0),
        |plan, _| text(&plan.id),
        |plan, _| Value::Text((&*plan.id).into())),
    Column::new("REV", "rev", (4, 2), (Right, 2),
        |plan, _| (plan.rollout.revision.to_string(), Meaning::Quiet),
        |plan, _| Value::Number(plan.rollout.revision as f64)),
    Column::new("FROM", "from", (14, 16), (Left, 3),
        |plan, _| text(plan.rollout.before.as_deref().unwrap_or("nothing")),
        |plan, _| Value::Text(plan.rollout.before.as_deref().unwrap_or("").into())),
    Column::new("TO", "to", (14, 16), (Left, 0),
        |plan, _| text(&plan.rollout.after),
        |plan, _| Value::Text((&*plan.rollout.after).into())),
    Column::new("HAVE", "have", (6, 2), (Left, 0),
        |plan, _| (have(plan), Meaning::Accent),
        |plan, _| Value::Text(have(plan).into())),
    Column::new("WAITS", "waits", (6, 2), (Right, 0),
        |plan, look| (format::age(look.now_us - plan.rollout.at_us), Meaning::Text),
        |plan, look| Value::Number((look.now_us - plan.rollout.at_us) as f64 / 1e6)),
    Column::new("ASKED BY", "by", (15, 8), (Left, 1),
        |plan, _| text(&plan.rollout.asked_by),
        |plan, _| Value::Text((&*plan.rollout.asked_by).into())),
    Column::new("WHY", "why", (12, u16::MAX), (Left, 4),
        |plan, _| text(&plan.rollout.asked_why),
        |plan, _| Value::Text((&*plan.rollout.asked_why).into())),
];

impl Approvals {
    fn nothing(&self, look: &Look<'_>) -> Vec<Line> {
        let text = |text: &str| vec![piece(text, Meaning::Text)];
        let known = look.data.endpoints(look.here_us);
        match known {
            Known::Here(..) if !self.list.table.filter_text().is_empty() => {
                vec![text("No plan matches the filter; esc shows all again.")]
            }
            Known::Here(..) => vec![
                text("Nothing waits for approval."),
                Line::new(),
                text("An environment asks for it, beside the word of whom deploys:"),
                text("  binnacle environment set prod --approvals 1"),
                quiet("A rollback asks nobody, ever."),
            ],
            Known::Loading | Known::Broken(_) => waiting(&known, "plans", look),
        }
    }
}

impl Screen for Approvals {
    fn place(&self) -> Place {
        self.list.place("approvals")
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Approvals".into()]
    }

    fn note(&self, look: &Look<'_>) -> String {
        let all = match self.list.rows.len() {
            0 => String::new(),
            1 => "1 waits".to_owned(),
            all => format!("{all} wait"),
        };
        let note = self.list.note(all);
        match look.at_us {
            Some(_) => format!("this list is of now  {note}"),
            None => note,
        }
    }

    fn wants(&self, _look: &Look<'_>) -> Wants {
        Wants {
            questions: vec![Question::Endpoints(Inquiry::All)],
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        let mut offers = registry::table_offers(&[C::Open, C::Actions, C::RollBack]);
        offers.push(C::Columns);
        offers
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        act::of_endpoint(self.list.chosen().map(|plan| &plan.endpoint), look)
    }

    fn concern(&self, _look: &Look<'_>) -> Option<Concern> {
        let plan = self.list.chosen()?;
        Some(Concern::Endpoint(plan.endpoint.endpoint.clone()))
    }

    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        if let Some(steps) = self.list.table.on(command, &self.list.rows, look) {
            return steps;
        }
        if command == Command::Open
            && let Some(plan) = self.list.chosen()
        {
            let (endpoint, revision) = (plan.endpoint.endpoint.clone(), plan.rollout.revision);
            return vec![Step::Go(rollouts::passage_to(endpoint, revision))];
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
        "words, by~bob, waits>3600, to~fraud@8"
    }

    fn related(&self, view: &str) -> Option<Place> {
        let plan = self.list.chosen()?;
        (view == "rollouts").then(|| Place {
            view: view.into(),
            object: plan.id.to_string(),
            ..Place::default()
        })
    }

    fn toggle_column(&mut self, title: &str, look: &Look<'_>) {
        self.list.toggle(title, look);
    }

    fn learn(&mut self, look: &Look<'_>) {
        if let Known::Here(rows, _) = look.data.endpoints(look.here_us) {
            let plan = |row: &EndpointItem| {
                let rollout = row.rollout.as_ref().filter(|it| words::is_waiting(it))?;
                Some(Plan {
                    id: row.endpoint.to_string().into(),
                    endpoint: row.clone(),
                    rollout: rollout.clone(),
                })
            };
            self.list.rows = rows.iter().filter_map(plan).collect();
        }
        self.list.table.learn(&self.list.rows, look);
    }

    fn settle(&mut self) {
        self.list.table.settle();
    }

    fn command(&self, _look: &Look<'_>) -> String {
        "binnacle approval list".into()
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        self.list.draw(|| self.nothing(look), look, look.body, buf);
    }
}

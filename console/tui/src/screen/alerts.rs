//! Alerts: what does not hold, since when, by whose fault, and who knows of it.
//!
//! ```text
//!  Alerts                                                             2 open  14 closed
//!     SEVERITY  ENDPOINT      NOT           SINCE   BLAME         STATE
//! ▌812 x page   prod/fraud    errors<=1%    9m ago  this version  open
//!  809 ! warn   prod/pricing  peers         3m ago  this host     known to alice
//! ```

use std::sync::Arc;

use binnacle_core::view::{AlertItem, EndpointName, Severity, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::HorizontalAlignment::{Left, Right};
use ratatui::layout::Rect;

use self::page::AlertPage;
use crate::data::Known;
use crate::filter::{Value, contains};
use crate::format;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::alert::{Act, Deed, Inquiry};
use crate::question::{Question, Wish};
use crate::screen::list::List;
use crate::screen::registry::{self, ago, waiting, words as quiet};
use crate::screen::{Action, Concern, Confirm, Doing, Look, Place, Screen, Step, Wants, Weight};
use crate::theme::Meaning;
use crate::widget::page::{Line, piece};
use crate::widget::table::{Column, Row, Text};

mod page;
#[cfg(test)]
mod tests;

/// For how long one may silence from the menu; other spans are typed as a command.
const SILENCES: [(char, u32, &str); 3] = [
    ('1', 3_600, "1 h"),
    ('8', 8 * 3_600, "8 h"),
    ('d', 24 * 3_600, "24 h"),
];

/// Opens the list, or the page of an alert by its number.
pub fn open(place: &Place) -> Box<dyn Screen> {
    if let Ok(number) = place.object.parse() {
        return Box::new(AlertPage::new(number));
    }
    Box::new(Alerts {
        list: List::open(COLUMNS, ("", false), place),
    })
}

/// The list.
#[derive(Debug)]
struct Alerts {
    list: List<AlertLine>,
}

/// An alert, what it is known by, and where the hub puts it.
#[derive(Debug)]
struct AlertLine {
    id: Arc<str>,
    endpoint: Arc<str>,
    place: usize,
    row: AlertItem,
}

impl Row for AlertLine {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn has_word(&self, word: &str) -> bool {
        let row = &self.row;
        [
            &self.id,
            &self.endpoint,
            &row.text,
            &row.what,
            &row.blame.why,
        ]
        .into_iter()
        .any(|text| contains(text, word))
    }
}

/// How loud it is; one that is closed, or that nobody is told of, is not loud.
fn severity(row: &AlertItem) -> Text {
    let (glyph, meaning) = match row.severity {
        Severity::Page => ('x', Meaning::Crit),
        Severity::Warn => ('!', Meaning::Warn),
    };
    let is_quiet = row.closed.is_some() || row.silenced.is_some();
    let meaning = if is_quiet { Meaning::Quiet } else { meaning };
    (format!("{glyph} {}", row.severity.word()), meaning)
}

/// How far people are with it.
fn state(row: &AlertItem) -> Text {
    match row {
        row if row.closed.is_some() => ("closed".into(), Meaning::Quiet),
        row if row.silenced.is_some() => ("silenced".into(), Meaning::Quiet),
        row if row.acknowledged.is_some() => ("acknowledged".into(), Meaning::Text),
        _ => ("open".into(), Meaning::Accent),
    }
}

fn text(text: &str) -> Text {
    (shown(text), Meaning::Text)
}

#[rustfmt::skip]
const COLUMNS: &[Column<AlertLine>] = &[
    // In the order of the hub: the loudest first, what is closed at the end.
    Column::new("ALERT", "alert", (7, 0), (Right, 1),
        |line, _| (line.row.alert.to_string(), Meaning::Quiet),
        |line, _| Value::Number(line.place as f64)),
    Column::new("HOW", "severity", (6, 0), (Left, 0),
        |line, _| severity(&line.row),
        |line, _| Value::Text(line.row.severity.word().into())),
    Column::new("ENDPOINT", "endpoint", (14, 12), (Left, 0),
        |line, _| text(&line.endpoint),
        |line, _| Value::Text((&*line.endpoint).into())),
    Column::new("NOT", "not", (13, 12), (Left, 0),
        |line, _| text(&line.row.text),
        |line, _| Value::Text((&*line.row.text).into())),
    Column::new("SINCE", "age", (8, 2), (Right, 0),
        |line, look| (ago(line.row.since_us, look), Meaning::Text),
        |line, look| Value::Number((look.now_us - line.row.since_us) as f64 / 1e6)),
    Column::new("BLAME", "blame", (12, 4), (Left, 0),
        |line, _| text(&line.row.blame.word),
        |line, _| Value::Text((&*line.row.blame.word).into())),
    Column::new("STATE", "state", (12, 2), (Left, 0),
        |line, _| state(&line.row),
        |line, _| Value::Text(state(&line.row).0.into())),
    Column::new("FOUND", "found", (24, u16::MAX), (Left, 2),
        |line, _| text(&line.row.what),
        |line, _| Value::Text((&*line.row.what).into())),
];

/// What can be done about an alert, or why it cannot.
fn actions(row: Option<&AlertItem>, look: &Look<'_>) -> Vec<Action> {
    let Some(row) = row else {
        return Vec::new();
    };
    let now = |doing| match (look.at_us, look.data.is_live()) {
        (Some(_), _) => Err("this is the past; esc comes back to now".to_owned()),
        (None, false) => Err("the hub is not connected".to_owned()),
        (None, true) => doing,
    };
    let action = |key, words: &str, doing| Action {
        key,
        words: words.into(),
        asks: now(doing),
    };
    let is_closed = || Err("it is closed".to_owned());
    let known = match (&row.closed, &row.acknowledged) {
        (Some(_), _) => is_closed(),
        (None, Some(mark)) => Err(format!("{} knows of it", shown(&mark.caller))),
        (None, None) => Ok(confirm(row, Act::Acknowledge)),
    };
    let mut actions = vec![action('a', "acknowledge…", known)];
    for (key, seconds, lasts) in SILENCES {
        let doing = match row.closed {
            Some(_) => is_closed(),
            None => Ok(confirm(row, Act::Silence(seconds))),
        };
        actions.push(action(key, &format!("silence for {lasts}…"), doing));
    }
    let end = match row.silenced {
        None => Err("nobody silenced it".to_owned()),
        Some(_) => Ok(confirm(row, Act::Silence(0))),
    };
    actions.push(action('e', "end the silence…", end));
    actions
}

fn confirm(row: &AlertItem, act: Act) -> Doing {
    let number = row.alert;
    let (title, what, reversible, weight) = match act {
        Act::Acknowledge => (
            format!("Acknowledge alert {number}"),
            "everybody sees that you know of it; it stays open until it holds again".to_owned(),
            "no: it stays in the journal",
            Weight::Yes,
        ),
        Act::Silence(0) => (
            format!("End the silence of alert {number}"),
            "sinks are told again".to_owned(),
            "yes: silence it again",
            Weight::Yes,
        ),
        Act::Silence(seconds) => (
            format!("Silence alert {number}"),
            format!(
                "for {} no sink is told of it; the hub still reacts",
                format::age(i64::from(seconds) * 1_000_000)
            ),
            "yes: end the silence",
            Weight::Reason,
        ),
    };
    Doing::Confirm(Box::new(Confirm {
        title,
        facts: vec![
            ("endpoint", row.endpoint.to_string()),
            ("not", shown(&row.text)),
            ("what", what),
            ("reversible", reversible.into()),
        ],
        weight,
        wish: Wish::Alert(Box::new(Deed {
            alert: number,
            act,
            reason: String::new(),
        })),
    }))
}

/// To what belongs to the endpoint of an alert.
fn related(endpoint: &EndpointName, view: &str) -> Option<Place> {
    (view == "rollouts").then(|| Place {
        view: view.into(),
        object: endpoint.to_string(),
        ..Place::default()
    })
}

/// Sinks that are not told, each with its reason.
fn untold(look: &Look<'_>, inquiry: Inquiry) -> Vec<Line> {
    let sinks = look.data.sinks(inquiry).iter();
    let troubled = sinks.filter(|sink| !sink.trouble.is_empty());
    troubled
        .map(|sink| {
            vec![
                piece("! ", Meaning::Warn),
                piece(
                    format!("{} is not told: ", shown(&sink.sink)),
                    Meaning::Text,
                ),
                piece(shown(&sink.trouble), Meaning::Warn),
                piece(
                    format!("  ({} given up)", format::count(sink.given_up)),
                    Meaning::Quiet,
                ),
            ]
        })
        .collect()
}

impl Alerts {
    fn chosen(&self) -> Option<&AlertItem> {
        self.list.chosen().map(|line| &line.row)
    }

    fn nothing(&self, look: &Look<'_>) -> Vec<Line> {
        let text = |text: &str| vec![piece(text, Meaning::Text)];
        let known = look.data.alerts(look.here_us);
        match known {
            Known::Here(..) if !self.list.table.filter_text().is_empty() => {
                vec![text("No alert matches the filter; esc shows all again.")]
            }
            Known::Here(..) => vec![
                text("No alert was ever raised."),
                Line::new(),
                text("One is raised where an endpoint breaks what it promises:"),
                text("  binnacle endpoint edit prod/fraud --objective errors<=1%"),
                quiet("and told to whom the hub was given: binnacle hub run --help, sinks"),
            ],
            Known::Loading | Known::Broken(_) => waiting(&known, "alerts", look),
        }
    }
}

impl Screen for Alerts {
    fn place(&self) -> Place {
        self.list.place("alerts")
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Alerts".into()]
    }

    fn note(&self, look: &Look<'_>) -> String {
        let closed = self
            .list
            .rows
            .iter()
            .filter(|line| line.row.closed.is_some());
        let closed = closed.count();
        let open = self.list.rows.len() - closed;
        let note = self.list.note(format!("{open} open  {closed} closed"));
        match look.at_us {
            Some(_) => format!("this list is of now  {note}"),
            None => note,
        }
    }

    fn wants(&self, _look: &Look<'_>) -> Wants {
        Wants {
            questions: vec![Question::Alerts(Inquiry::All)],
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        let mut offers = registry::table_offers(&[C::Open, C::RollBack, C::Actions]);
        offers.extend([C::Columns, C::Export]);
        offers
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        actions(self.chosen(), look)
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
            let opened = self.chosen().map(|row| AlertPage::new(row.alert));
            return opened
                .map(|page| Step::Go(Box::new(page)))
                .into_iter()
                .collect();
        }
        if command == Command::Export {
            return vec![Step::Effect(Effect::Export {
                name: "alerts".into(),
                suffix: ".csv",
                text: self.list.table.csv(&self.list.rows, look),
            })];
        }
        Vec::new()
    }

    fn filter(&mut self, text: &str, look: &Look<'_>) -> Result<(), String> {
        self.list.filter(text, look)?;
        self.learn(look);
        Ok(())
    }

    fn filter_text(&self) -> &str {
        self.list.table.filter_text()
    }

    fn filter_words(&self) -> &'static str {
        "words, state=open, severity=page, blame~version, age>600"
    }

    fn related(&self, view: &str) -> Option<Place> {
        related(&self.chosen()?.endpoint, view)
    }

    fn toggle_column(&mut self, title: &str, look: &Look<'_>) {
        self.list.toggle(title, look);
    }

    fn learn(&mut self, look: &Look<'_>) {
        if let Known::Here(rows, _) = look.data.alerts(look.here_us) {
            let line = |(place, row): (usize, &AlertItem)| AlertLine {
                id: row.alert.to_string().into(),
                endpoint: row.endpoint.to_string().into(),
                place,
                row: row.clone(),
            };
            self.list.rows = rows.iter().enumerate().map(line).collect();
        }
        let inner = Look {
            body: self.table_area(look),
            ..*look
        };
        self.list.table.learn(&self.list.rows, &inner);
    }

    fn settle(&mut self) {
        self.list.table.settle();
    }

    fn command(&self, _look: &Look<'_>) -> String {
        "binnacle alert list --all".into()
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let untold = untold(look, Inquiry::All);
        let area = self.table_area(look);
        self.list.draw(|| self.nothing(look), look, area, buf);
        let below = Rect {
            y: area.bottom(),
            height: look.body.bottom().saturating_sub(area.bottom()),
            ..look.body
        };
        registry::draw_lines(&untold, look, below, buf);
    }
}

impl Alerts {
    /// Where the table stands: above those who are not told, if there are any.
    fn table_area(&self, look: &Look<'_>) -> Rect {
        let untold = untold(look, Inquiry::All).len();
        let untold = u16::try_from(untold).unwrap_or(u16::MAX);
        Rect {
            height: look
                .body
                .height
                .saturating_sub(untold.min(look.body.height / 3)),
            ..look.body
        }
    }
}

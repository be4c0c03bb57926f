//! An alert's page: what was found, whose fault it is, what the hub did, who knows of it, and the
//! ten lines that every letter about it carries.
//!
//! ```text
//!  Alerts > 812
//!  x page  prod/fraud  not errors<=1%   since 14:02:10Z (9m ago)
//!  found      4.1 % of 10,133 requests failed
//!  blame      this version: fraud@8 fails on 3/3 hosts, fraud@7 beside it does not
//!  the hub    rolled back to rev 40
//!  WHY
//!  …
//! ```

use binnacle_core::view::{AlertItem, EndpointName, MarkItem, rfc3339, shown};
use ratatui::buffer::Buffer;

use super::{actions, related, severity, state, untold};
use crate::data::Known;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::Question;
use crate::question::alert::Inquiry;
use crate::screen::registry::{self, ago, fact, heading, waiting};
use crate::screen::{Action, Concern, Look, Place, Screen, Step, Wants, rollouts};
use crate::theme::Meaning;
use crate::widget::line::wrapped;
use crate::widget::page::{Line, Page, piece};

/// Columns before a sentence, and one behind it.
const BEFORE: u16 = 15;

/// The page.
#[derive(Debug)]
pub(super) struct AlertPage {
    number: u64,
    /// Where, once it is known.
    endpoint: Option<EndpointName>,
    selected: Spot,
    top: usize,
}

/// What can be selected.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spot {
    /// The head of the page.
    Top,
    /// The endpoint.
    Endpoint,
    /// What its letters say.
    Why,
}

impl AlertPage {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            endpoint: None,
            selected: Spot::Top,
            top: 0,
        }
    }

    fn row<'a>(&self, look: &Look<'a>) -> Option<&'a AlertItem> {
        match look.data.alert(self.number, look.here_us) {
            Known::Here(row, _) => Some(row),
            Known::Loading | Known::Broken(_) => None,
        }
    }

    fn page(&self, look: &Look<'_>) -> Page<Spot> {
        let mut page = Page::new();
        let known = look.data.alert(self.number, look.here_us);
        let Known::Here(row, _) = known else {
            page.read(waiting(&known, &format!("alert {}", self.number), look));
            return page;
        };
        page.item(Spot::Top, [head(row)]);
        let since = format!("{}  {}", rfc3339(row.since_us), ago(row.since_us, look));
        page.read([fact("since", since)]);
        page.read(said("found", &row.what, look));
        let blame = format!("{}: {}", row.blame.word, row.blame.why);
        page.read(said("blame", &blame, look));
        page.read(said("the hub", &row.reacted, look));
        if !row.with.is_empty() {
            let with: Vec<String> = row.with.iter().map(ToString::to_string).collect();
            let text = format!(
                "{}: of one cause, told as alert {}",
                with.join(", "),
                row.incident
            );
            page.read(said("together", &text, look));
        }
        page.read(marks(row, look));
        if !row.runbook.is_empty() {
            page.read(said("runbook", &row.runbook, look));
        }
        let serves = match row.revision {
            0 => row.endpoint.to_string(),
            revision => format!("{}   rev {revision} served then", row.endpoint),
        };
        page.item(Spot::Endpoint, [fact("endpoint", serves)]);
        self.why_on(&mut page, look);
        page.read(untold(look, Inquiry::One(self.number)));
        page
    }

    fn why_on(&self, page: &mut Page<Spot>, look: &Look<'_>) {
        let [gap, title] = heading("WHY, as its letters say it");
        page.read([gap]);
        page.item(Spot::Why, [title]);
        let known = look.data.why(self.number, look.here_us);
        let Known::Here(why, _) = known else {
            return page.read(waiting(&known, "why", look));
        };
        let line = |text: &std::sync::Arc<str>| vec![piece(shown(text), Meaning::Text)];
        page.read(why.lines.iter().map(line));
    }
}

fn head(row: &AlertItem) -> Line {
    let (how, meaning) = severity(row);
    let (state, of_state) = state(row);
    vec![
        piece(format!("{how}  "), meaning),
        piece(format!("{}  ", row.endpoint), Meaning::Title),
        piece(format!("not {}  ", shown(&row.text)), Meaning::Text),
        piece(state, of_state),
    ]
}

/// A name and a sentence, on as many lines as it takes.
fn said(name: &str, text: &str, look: &Look<'_>) -> Vec<Line> {
    let room = look.body.width.saturating_sub(BEFORE);
    let text = shown(text);
    let line = |(at, part): (usize, String)| fact(if at == 0 { name } else { "" }, part);
    wrapped(&text, room).enumerate().map(line).collect()
}

/// What people said of it.
fn marks(row: &AlertItem, look: &Look<'_>) -> Vec<Line> {
    let line = |name: &str, mark: &Option<MarkItem>| {
        let mark = mark.as_ref()?;
        let mut line = fact(name, format!("{} by ", ago(mark.at_us, look)));
        line.push(piece(shown(&mark.caller), Meaning::Text));
        if !mark.why.is_empty() {
            line.push(piece(format!("  \"{}\"", shown(&mark.why)), Meaning::Text));
        }
        Some(line)
    };
    let mut lines: Vec<Line> = [
        line("acknowledged", &row.acknowledged),
        line("silenced", &row.silenced),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(until_us) = row.silenced_until_us {
        lines.push(fact("", format!("until {}", rfc3339(until_us))));
    }
    lines.extend(line("closed", &row.closed));
    lines
}

impl Screen for AlertPage {
    fn place(&self) -> Place {
        Place {
            view: "alerts".into(),
            object: self.number.to_string(),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Alerts".into(), self.number.to_string()]
    }

    fn note(&self, look: &Look<'_>) -> String {
        match look.at_us {
            Some(_) => "this page is of now".into(),
            None => String::new(),
        }
    }

    fn wants(&self, _look: &Look<'_>) -> Wants {
        let inquiries = [Inquiry::One(self.number), Inquiry::Why(self.number)];
        Wants {
            questions: inquiries.map(Question::Alerts).into(),
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        registry::page_offers(&[C::Open, C::RollBack, C::Actions])
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        actions(self.row(look), look)
    }

    fn concern(&self, look: &Look<'_>) -> Option<Concern> {
        let row = self.row(look)?;
        Some(Concern::Endpoint(row.endpoint.clone()))
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "other commands move or do nothing"
    )]
    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        let page = self.page(look);
        if let Some(to) = page.moved(&self.selected, command, look.body.height) {
            self.selected = to;
            self.top = page.top(self.top, &self.selected, look.body.height);
            return vec![Step::Moved];
        }
        match command {
            Command::Open => {
                let row = self.row(look);
                let opened = row.map(|row| rollouts::page(row.endpoint.clone()));
                opened.map(Step::Go).into_iter().collect()
            }
            Command::Copy => {
                let command = format!("binnacle why {}", self.number);
                vec![Step::Effect(Effect::Copy(command))]
            }
            _ => Vec::new(),
        }
    }

    fn related(&self, view: &str) -> Option<Place> {
        related(self.endpoint.as_ref()?, view)
    }

    fn learn(&mut self, look: &Look<'_>) {
        if let Some(row) = self.row(look) {
            self.endpoint = Some(row.endpoint.clone());
        }
        let page = self.page(look);
        self.top = page.top(self.top, &self.selected, look.body.height);
    }

    fn command(&self, _look: &Look<'_>) -> String {
        format!("binnacle alert show {}", self.number)
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let page = self.page(look);
        let top = page.top(self.top, &self.selected, look.body.height);
        page.draw(top, &self.selected, look, look.body, buf);
    }
}

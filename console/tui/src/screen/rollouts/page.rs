//! An endpoint's page: what serves, what is under way with its gates and hosts, whether it can
//! go back, and every route that it was ever to have.
//!
//! ```text
//!  Rollouts > prod/fraud
//!  route        fraud@7 100%   rev 40
//!  UNDER WAY  rev 41 → fraud@8 100%  canary:1%/5m,10%/15m
//!    ✓ 1% 5m   ● 10% 15m ▓▓▓▓▓▓░░░░ 5m left   ○ 100%
//!  GATE          CONTROL          CANARY           SAYS
//!  REVISIONS, newest first
//! ▌rev 41  fraud@8 100%   underway     2m ago by bob "Q3 features"
//! ```

use binnacle_core::view::{
    EndpointItem, EndpointName, OverrideKind, Reference, RevisionItem, shown,
};
use ratatui::buffer::Buffer;

use super::passage::{self, Passage};
use super::{act, words};
use crate::data::Known;
use crate::format;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::Question;
use crate::question::endpoint::Inquiry;
use crate::screen::registry::{self, ago, fact, heading, waiting, words as quiet};
use crate::screen::{Action, Concern, Look, Place, Screen, Step, Wants};
use crate::theme::Meaning;
use crate::widget::page::{Line, Page, piece};

/// Revisions on the page: what one scrolls through; `endpoint history` has them all.
const REVISIONS: usize = 50;

/// The page.
#[derive(Debug)]
pub(super) struct EndpointPage {
    endpoint: EndpointName,
    selected: Spot,
    top: usize,
}

/// What can be selected.
#[derive(Clone, Debug, PartialEq)]
enum Spot {
    /// The head of the page.
    Top,
    /// What is under way.
    Underway,
    /// A version that may not come back.
    Block(Reference),
    /// A revision.
    Revision(u64),
}

impl EndpointPage {
    pub(super) fn new(endpoint: EndpointName) -> Self {
        Self {
            endpoint,
            selected: Spot::Top,
            top: 0,
        }
    }

    fn row<'a>(&self, look: &Look<'a>) -> Option<&'a EndpointItem> {
        match look
            .data
            .endpoint_at(&self.endpoint, look.at_us, look.here_us)
        {
            Known::Here(row, _) => Some(row),
            Known::Loading | Known::Broken(_) => None,
        }
    }

    fn page(&self, look: &Look<'_>) -> Page<Spot> {
        let mut page = Page::new();
        let known = look
            .data
            .endpoint_at(&self.endpoint, look.at_us, look.here_us);
        let Known::Here(row, _) = known else {
            page.read(waiting(&known, &self.endpoint.to_string(), look));
            if let Known::Broken(_) = known {
                page.read([quiet("5 shows those that there are.")]);
            }
            return page;
        };
        let mut head = head(row, look);
        let first = head.remove(0);
        page.item(Spot::Top, [first]);
        page.read(head);
        if let Some(rollout) = &row.rollout {
            page.read([Line::new()]);
            let mut lines = passage::told(rollout, row, look);
            let first = lines.remove(0);
            page.item(Spot::Underway, [first]);
            page.read(lines);
        }
        if look.at_us.is_none() {
            page.read([Line::new(), ready(row)]);
        }
        for block in &row.blocked {
            page.item(
                Spot::Block(block.version.clone()),
                [vec![
                    piece("BLOCKED   ", Meaning::Title),
                    piece(format!("{}  ", block.version), Meaning::Warn),
                    piece(
                        format!("rolled back {}", ago(block.at_us, look)),
                        Meaning::Quiet,
                    ),
                    piece(format!("  {}", shown(&block.why)), Meaning::Text),
                ]],
            );
        }
        page.read(by_hand(row));
        self.revisions_on(&mut page, look);
        page
    }

    fn revisions_on(&self, page: &mut Page<Spot>, look: &Look<'_>) {
        page.read(heading("REVISIONS, newest first"));
        let known = look.data.revisions(&self.endpoint, look.here_us);
        let Known::Here(rows, _) = known else {
            return page.read(waiting(&known, "revisions", look));
        };
        if rows.is_empty() {
            let none = format!(
                "none yet: a, then D, or binnacle deploy MODEL@N --to {}",
                self.endpoint
            );
            page.read([quiet(none)]);
        }
        // Of the past what was there by then.
        let then = look.at_us.unwrap_or(i64::MAX);
        let rows: Vec<&RevisionItem> = rows.iter().filter(|row| row.at_us <= then).collect();
        for row in rows.iter().take(REVISIONS) {
            page.item(Spot::Revision(row.revision), [revision(row, look)]);
        }
        let more = rows.len().saturating_sub(REVISIONS);
        if more > 0 {
            let text = format!(
                "and {} earlier: binnacle endpoint history {}",
                format::count(more as u64),
                self.endpoint
            );
            page.read([quiet(text)]);
        }
    }

    fn passage(&self, revision: u64) -> Vec<Step> {
        let passage = Passage::new(self.endpoint.clone(), revision);
        vec![Step::Go(Box::new(passage))]
    }
}

/// What is said of an endpoint.
fn head(row: &EndpointItem, look: &Look<'_>) -> Vec<Line> {
    let route = match &*row.route {
        "" => "none yet".to_owned(),
        route => format!("{}   rev {}", shown(route), row.live),
    };
    let mut lines = vec![fact("route", route)];
    let settings = &row.settings;
    if !settings.description.is_empty() {
        lines.push(fact("what for", shown(settings.description.as_str())));
    }
    let selector: Vec<String> = settings
        .selector
        .iter()
        .map(|(key, value)| shown(&format!("{key}={value}")))
        .collect();
    let selector = match selector.is_empty() {
        true => format!("all of {}", row.endpoint.environment),
        false => selector.join(" "),
    };
    let protected = if row.protected { "   protected" } else { "" };
    // What hosts said is not kept.
    let heard = match look.at_us {
        Some(_) => String::new(),
        None => format!("{} of {} heard   ", row.heard, row.hosts),
    };
    lines.push(fact("hosts", format!("{heard}{selector}{protected}")));
    let objectives: Vec<String> = settings
        .objectives
        .iter()
        .map(ToString::to_string)
        .collect();
    lines.push(match objectives.is_empty() {
        true => vec![
            piece(format!("{:<12} ", "objectives"), Meaning::Quiet),
            piece(
                format!(
                    "none: binnacle endpoint edit {} --objective errors<=1%",
                    row.endpoint
                ),
                Meaning::Unknown,
            ),
        ],
        false => fact("objectives", objectives.join("  ")),
    });
    let policy = &settings.policy;
    let held = format::age(i64::from(policy.hold_at_most_s) * 1_000_000);
    lines.push(fact(
        "policy",
        format!(
            "{} earlier kept warm, {} requests to judge, held {held} at most, {} % may be missing",
            policy.keep_warm,
            format::count(policy.min_requests.into()),
            f64::from(policy.may_be_missing) / 100.0,
        ),
    ));
    lines
}

/// Whether it can go back, to what, and how long that takes.
fn ready(row: &EndpointItem) -> Line {
    let (text, meaning) = words::readiness(row.rollback.as_ref());
    let mut line = vec![piece("ROLLBACK  ", Meaning::Title)];
    if let Some(ready) = &row.rollback {
        let to = format!("→ rev {} ({})  ", ready.to, shown(&ready.route));
        line.push(piece(to, Meaning::Text));
        line.push(piece(text, meaning));
        let verified = format!("  digest checked on {}", ready.verified);
        line.push(piece(verified, Meaning::Quiet));
    } else {
        line.push(piece(text, meaning));
        line.push(piece(": no earlier revision was promoted", Meaning::Quiet));
    }
    line
}

/// Hosts that decided for themselves, and what stands of it.
fn by_hand(row: &EndpointItem) -> Vec<Line> {
    let standing = row.overridden.iter().filter(|one| one.stands);
    standing
        .map(|one| {
            let what = match one.kind {
                OverrideKind::ByHand => format!("rolled back there by {}", shown(&one.who)),
                OverrideKind::Unconfirmed => "went back by itself: not confirmed".into(),
            };
            vec![
                piece("BY HAND   ", Meaning::Title),
                piece(format!("{}  ", one.host), Meaning::Warn),
                piece(what, Meaning::Text),
                piece(format!("  {}", shown(&one.why)), Meaning::Quiet),
            ]
        })
        .collect()
}

/// A revision on one line.
fn revision(row: &RevisionItem, look: &Look<'_>) -> Line {
    let meaning = match &*row.fate {
        "promoted" => Meaning::Ok,
        "underway" => Meaning::Accent,
        _ => Meaning::Warn,
    };
    let mut line = vec![
        piece(format!("rev {:<5}", row.revision), Meaning::Text),
        piece(format!("{:<22} ", shown(&row.text)), Meaning::Text),
        piece(format!("{:<12}", row.fate.replace('_', " ")), meaning),
        piece(
            format!("{:>8} by {}", ago(row.at_us, look), shown(&row.caller)),
            Meaning::Quiet,
        ),
    ];
    if !row.why.is_empty() {
        line.push(piece(format!("  \"{}\"", shown(&row.why)), Meaning::Text));
    }
    if !row.fate_why.is_empty() && row.fate_why != row.why {
        let why = format!("  {}", shown(&row.fate_why));
        line.push(piece(why, Meaning::Quiet));
    }
    line
}

impl Screen for EndpointPage {
    fn place(&self) -> Place {
        Place {
            view: "rollouts".into(),
            object: self.endpoint.to_string(),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Rollouts".into(), self.endpoint.to_string()]
    }

    fn note(&self, look: &Look<'_>) -> String {
        match (look.at_us, self.row(look)) {
            (Some(_), _) => "as it was then; hosts did not leave word".into(),
            (None, Some(row)) => shown(&row.route),
            (None, None) => String::new(),
        }
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let endpoint = self.endpoint.clone();
        let inquiries = [
            match look.at_us {
                None => Inquiry::One(endpoint.clone()),
                Some(at_us) => Inquiry::OneAt(endpoint.clone(), at_us),
            },
            Inquiry::Revisions(endpoint),
        ];
        Wants {
            questions: inquiries.map(Question::Endpoints).into(),
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        registry::page_offers(&[C::Open, C::RollBack, C::Actions])
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        let Some(row) = self.row(look) else {
            return Vec::new();
        };
        let mut actions = act::of_endpoint(Some(row), look);
        match self.page(look).selected(&self.selected) {
            Some(Spot::Block(version)) => actions.push(act::of_block(row, version, look)),
            Some(Spot::Revision(revision)) => {
                let known = look.data.revisions(&self.endpoint, look.here_us);
                if let Known::Here(rows, _) = known
                    && let Some(of) = rows.iter().find(|of| of.revision == *revision)
                {
                    actions.push(act::of_revision(row, of, look));
                }
            }
            Some(Spot::Top | Spot::Underway) | None => {}
        }
        actions
    }

    fn concern(&self, _look: &Look<'_>) -> Option<Concern> {
        Some(Concern::Endpoint(self.endpoint.clone()))
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
            Command::Open => match page.selected(&self.selected) {
                Some(Spot::Underway) => {
                    let rollout = self.row(look).and_then(|row| row.rollout.as_ref());
                    let revision = rollout.map(|rollout| rollout.revision);
                    revision.map_or_else(Vec::new, |revision| self.passage(revision))
                }
                Some(Spot::Revision(revision)) => self.passage(*revision),
                Some(Spot::Block(version)) => {
                    vec![Step::Go(crate::screen::versions::page(version.clone()))]
                }
                Some(Spot::Top) | None => Vec::new(),
            },
            Command::Copy => vec![Step::Effect(Effect::Copy(self.endpoint.to_string()))],
            _ => Vec::new(),
        }
    }

    fn learn(&mut self, look: &Look<'_>) {
        // What was under way is over: nobody wants to be at the oldest revision for that.
        if self.selected == Spot::Underway
            && self.row(look).is_some_and(|row| row.rollout.is_none())
        {
            self.selected = Spot::Top;
        }
        let page = self.page(look);
        self.top = page.top(self.top, &self.selected, look.body.height);
    }

    fn command(&self, _look: &Look<'_>) -> String {
        format!("binnacle endpoint show {}", self.endpoint)
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let page = self.page(look);
        let top = page.top(self.top, &self.selected, look.body.height);
        page.draw(top, &self.selected, look, look.body, buf);
    }
}

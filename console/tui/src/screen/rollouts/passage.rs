//! One rollout: its steps, gates with their evidence, hosts, and every phase that it went
//! through.
//!
//! ```text
//!  Rollouts > prod/fraud > rev 41
//!  rev 41 → fraud@8 100%  canary:1%/5m,10%/15m   baking since 9m
//!    ✓ 1% 5m   ● 10% 15m ▓▓▓▓▓▓░░░░ 5m left   ○ 100%      at least 5m to go
//!  GATE          CONTROL          CANARY           SAYS
//!  errors        0.41 % (374)     0.44 % (45)      errors<=0.5%
//!  PHASES, oldest first
//! ▌03:02:00Z     preparing        0/3 hosts
//! ```

use binnacle_core::view::{
    EndpointItem, EndpointName, Finding, RolloutItem, Status, Summary, TraceItem, Verb, shown,
};
use ratatui::buffer::Buffer;

use super::{act, is_served_by, words};
use crate::data::Known;
use crate::format;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::Question;
use crate::question::endpoint::Inquiry;
use crate::screen::journal::row::told_at;
use crate::screen::registry::{self, fact, heading, waiting};
use crate::screen::{Action, Concern, Look, Place, Screen, Step, Wants, journal};
use crate::theme::Meaning;
use crate::widget::page::{Line, Page, piece};

/// Hosts of a strip, a cell each: what a line has room for; more are counted in shares.
const CELLS: usize = 60;
/// Columns of a gate's name and of each side of it.
const NAME: usize = 14;
const SIDE: usize = 20;

/// One rollout's page.
#[derive(Debug)]
pub(super) struct Passage {
    endpoint: EndpointName,
    revision: u64,
    selected: u64,
    top: usize,
}

/// All that there is to say of a rollout, its first line being what it is.
pub(super) fn told(rollout: &RolloutItem, row: &EndpointItem, look: &Look<'_>) -> Vec<Line> {
    let now_us = look.now_us;
    let (title, verb) = match (rollout.is_over, rollout.verb) {
        (_, Verb::Rollback(to)) => (
            "ROLLBACK  ",
            format!("rev {} to rev {to}: ", rollout.revision),
        ),
        (false, Verb::Deploy) => ("UNDER WAY  ", format!("rev {} → ", rollout.revision)),
        (true, Verb::Deploy) => ("ROLLOUT  ", format!("rev {} → ", rollout.revision)),
    };
    let since = format::age(now_us - rollout.since_us);
    let phase = match rollout.is_over {
        true => format!("{} {since} ago", words::phase(rollout)),
        false => format!("{} since {since}", words::phase(rollout)),
    };
    let mut lines = vec![vec![
        piece(title, Meaning::Title),
        piece(format!("{verb}{}", shown(&rollout.after)), Meaning::Text),
        piece(
            format!("  {}", shown(&rollout.strategy.to_string())),
            Meaning::Quiet,
        ),
        piece(format!("   {phase}"), words::meaning(rollout)),
    ]];
    if !rollout.why.is_empty() {
        lines.push(vec![piece(
            format!("  {}", shown(&rollout.why)),
            Meaning::Warn,
        )]);
    }
    let mut steps = vec![piece("  ", Meaning::Text)];
    steps.extend(words::steps(rollout, now_us));
    lines.push(steps);
    if let Some(line) = to_go(rollout, now_us) {
        lines.push(line);
    }
    lines.push(strip(rollout, row, look));
    lines.extend(exceptions(rollout, look));
    if let Some(finding) = &rollout.finding {
        lines.extend(gates(finding, row));
    } else if rollout.verb == Verb::Deploy && !rollout.is_over {
        let none = "nothing is judged yet: requests of the new version come first";
        lines.push(vec![
            piece(format!("{:<NAME$}", "GATE"), Meaning::Title),
            piece(none, Meaning::Unknown),
        ]);
    }
    lines
}

/// How long it takes at the least, and when hosts go back by themselves.
fn to_go(rollout: &RolloutItem, now_us: i64) -> Option<Line> {
    if rollout.is_over {
        return None;
    }
    let mut line = Line::new();
    let left_us = words::least_left_us(rollout, now_us);
    if left_us > 0 && rollout.verb == Verb::Deploy {
        let text = format!("  at least {} to go", format::age(left_us));
        line.push(piece(text, Meaning::Quiet));
    }
    if let Some((text, meaning)) = words::dead_man(rollout, now_us) {
        line.push(piece(
            format!("  {text}, or hosts go back by themselves"),
            meaning,
        ));
    }
    (!line.is_empty()).then_some(line)
}

/// Where each host is: `▓` where it should be, `░` on its way, `?` not heard.
fn strip(rollout: &RolloutItem, row: &EndpointItem, look: &Look<'_>) -> Line {
    let mut line = vec![piece(format!("  {:<12}", "hosts"), Meaning::Quiet)];
    let served: Vec<_> = look
        .fleet
        .hosts()
        .iter()
        .map(|host| (&host.glance, host.status()))
        .filter(|(glance, _)| is_served_by(row, &glance.environment, &glance.labels))
        .collect();
    let is_whole = served.len() <= CELLS && served.len() == rollout.hosts as usize;
    if is_whole && !rollout.is_over {
        for (glance, status) in served {
            let is_missing = rollout
                .missing
                .iter()
                .any(|name| name.as_str() == &*glance.host);
            line.push(match (is_missing, status) {
                (true, Status::Silent) => piece("?", Meaning::Unknown),
                (true, _) => piece("░", Meaning::Warn),
                (false, _) => piece("▓", Meaning::Ok),
            });
        }
    } else {
        let bar = words::bar(rollout.confirmed.into(), rollout.hosts.into());
        line.push(piece(bar, Meaning::Text));
    }
    let text = format!(
        "  {}/{} where they should be",
        rollout.confirmed, rollout.hosts
    );
    line.push(piece(text, Meaning::Text));
    if let Some(us) = rollout.slowest_us {
        let text = format!("   slowest switch {}", format::latency(Some(us as f64)));
        line.push(piece(text, Meaning::Quiet));
    }
    line
}

/// Hosts that are not where they should be, by name, and why as far as they say.
fn exceptions(rollout: &RolloutItem, look: &Look<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    if !rollout.missing.is_empty() {
        let is_silent = |name: &&binnacle_core::view::Name| {
            let host = look.fleet.host(name.as_str());
            host.is_some_and(|host| host.status() == Status::Silent)
        };
        let silent: Vec<_> = rollout.missing.iter().filter(is_silent).collect();
        let waiting: Vec<_> = rollout.missing.iter().filter(|at| !is_silent(at)).collect();
        for (what, hosts, meaning) in [
            ("not yet", waiting, Meaning::Warn),
            ("silent", silent, Meaning::Unknown),
        ] {
            if !hosts.is_empty() {
                let names = words::named(hosts.into_iter());
                lines.push(vec![
                    piece(format!("  {what:<12}"), Meaning::Quiet),
                    piece(names, meaning),
                ]);
            }
        }
    }
    for failed in &rollout.failed {
        lines.push(vec![
            piece(format!("  {:<12}", "cannot"), Meaning::Quiet),
            piece(
                format!("{}: {}", failed.host, shown(&failed.why)),
                Meaning::Crit,
            ),
        ]);
    }
    lines
}

/// What was measured of both sides, and what was concluded.
fn gates(finding: &Finding, row: &EndpointItem) -> Vec<Line> {
    let (control, canary) = (&finding.control, &finding.canary);
    let title = |text: &str, width: usize| piece(format!("{text:<width$}"), Meaning::Title);
    let mut lines = vec![vec![
        title("GATE", NAME),
        title("CONTROL", SIDE),
        title("CANARY", SIDE),
        title("MUST HOLD", SIDE),
    ]];
    let objectives = |is_of: fn(&str) -> bool| {
        let all = row.settings.objectives.iter().map(ToString::to_string);
        all.filter(|one| is_of(one)).collect::<Vec<_>>().join(" ")
    };
    let gate = |name: &str, side: fn(&Summary) -> String, must: String| {
        vec![
            piece(format!("{name:<NAME$}"), Meaning::Quiet),
            piece(format!("{:<SIDE$}", side(control)), Meaning::Text),
            piece(format!("{:<SIDE$}", side(canary)), Meaning::Text),
            piece(must, Meaning::Quiet),
        ]
    };
    let need = format!(
        "{} to judge",
        format::count(row.settings.policy.min_requests.into())
    );
    lines.extend([
        gate("requests", |side| format::count(side.requests), need),
        gate(
            "errors",
            |side| {
                let share = format::share(side.errors, side.requests);
                format!("{share} ({})", format::count(side.errors))
            },
            objectives(|one| one.starts_with("errors")),
        ),
        gate(
            "p50",
            |side| latency(side.p50_ns),
            objectives(|one| one.starts_with("p50")),
        ),
        gate(
            "p99",
            |side| latency(side.p99_ns),
            objectives(|one| one.starts_with('p') && !one.starts_with("p50")),
        ),
        gate(
            "slow",
            |side| format::share(side.slow, side.requests.saturating_sub(side.errors)),
            "share beyond control's p99".into(),
        ),
    ]);
    let (says, meaning) = words::verdict(finding);
    lines.push(vec![
        piece(format!("{:<NAME$}", "says"), Meaning::Quiet),
        piece(says, meaning),
        piece(format!(": {}", shown(&finding.why)), Meaning::Text),
    ]);
    lines
}

/// A figure that was measured; 0 where none was.
fn latency(ns: u64) -> String {
    match ns {
        0 => "–".into(),
        ns => format::latency(Some(ns as f64 / 1e3)),
    }
}

/// A phase on one line.
fn trace(trace: &TraceItem, look: &Look<'_>) -> Line {
    let mut line = vec![
        piece(
            format!("{:<13}", told_at(trace.at_us, look.now_us)),
            Meaning::Quiet,
        ),
        piece(format!("{:<20}", shown(&trace.phase)), Meaning::Text),
        piece(
            format!("{}/{} hosts  ", trace.confirmed, trace.hosts),
            Meaning::Quiet,
        ),
    ];
    if !trace.why.is_empty() {
        line.push(piece(format!("{}  ", shown(&trace.why)), Meaning::Text));
    }
    if let Some(finding) = &trace.finding {
        let (says, meaning) = words::verdict(finding);
        line.push(piece(format!("{says}: "), meaning));
        line.push(piece(shown(&finding.why), Meaning::Text));
    }
    line
}

impl Passage {
    pub(super) fn new(endpoint: EndpointName, revision: u64) -> Self {
        Self {
            endpoint,
            revision,
            selected: 0,
            top: 0,
        }
    }

    fn row<'a>(&self, look: &Look<'a>) -> Option<&'a EndpointItem> {
        match look.data.endpoint(&self.endpoint, look.here_us) {
            Known::Here(row, _) => Some(row),
            Known::Loading | Known::Broken(_) => None,
        }
    }

    fn page(&self, look: &Look<'_>) -> Page<u64> {
        let mut page = Page::new();
        let name = format!("{} rev {}", self.endpoint, self.revision);
        let known = look
            .data
            .rollout(&self.endpoint, self.revision, look.here_us);
        let Known::Here(rollout, _) = known else {
            page.read(waiting(&known, &name, look));
            return page;
        };
        let known = look.data.endpoint(&self.endpoint, look.here_us);
        let Known::Here(row, _) = known else {
            page.read(waiting(&known, &self.endpoint.to_string(), look));
            return page;
        };
        let mut lines = told(rollout, row, look);
        let first = lines.remove(0);
        page.item(0, [first]);
        page.read(lines);
        let before = rollout.before.as_deref().unwrap_or("nothing");
        page.read([
            fact("before", shown(before)),
            fact("plan", rollout.plan.to_string()),
        ]);
        page.read(heading("PHASES, oldest first"));
        for at in &rollout.trail {
            page.item(at.journal, [trace(at, look)]);
        }
        page
    }
}

impl Screen for Passage {
    fn place(&self) -> Place {
        Place {
            view: "rollouts".into(),
            object: format!("{}@{}", self.endpoint, self.revision),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        let revision = format!("rev {}", self.revision);
        vec!["Rollouts".into(), self.endpoint.to_string(), revision]
    }

    fn wants(&self, _look: &Look<'_>) -> Wants {
        let inquiries = [
            Inquiry::One(self.endpoint.clone()),
            Inquiry::Rollout(self.endpoint.clone(), self.revision),
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
        act::of_endpoint(self.row(look), look)
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
        match (command, page.selected(&self.selected)) {
            (Command::Open, Some(sequence)) if *sequence > 0 => {
                vec![Step::Go(journal::open_entry(*sequence))]
            }
            (Command::Copy, _) => {
                let text = format!("{}@{}", self.endpoint, self.revision);
                vec![Step::Effect(Effect::Copy(text))]
            }
            _ => Vec::new(),
        }
    }

    fn learn(&mut self, look: &Look<'_>) {
        let page = self.page(look);
        self.top = page.top(self.top, &self.selected, look.body.height);
    }

    fn command(&self, _look: &Look<'_>) -> String {
        format!("binnacle rollout show {} {}", self.endpoint, self.revision)
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let page = self.page(look);
        let top = page.top(self.top, &self.selected, look.body.height);
        page.draw(top, &self.selected, look, look.body, buf);
    }
}

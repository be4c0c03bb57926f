//! What would be done with an endpoint, before it is: nothing has happened yet.
//!
//! ```text
//!  ROLL BACK  prod/fraud  rev 41 → rev 40            <esc> leaves everything as it is
//!  route         fraud@8 10% → 0   fraud@7 90% → 100%
//!  hosts         412 of 412 ready and warm
//!  takes         a switch on each host: milliseconds
//!  afterwards    fraud@8 is blocked on prod/fraud until someone lifts it
//!  plan          7f3a…c21e on revision 41
//!  type fraud to go on: ▏
//!  reason: ▏
//! ```

use binnacle_core::view::{
    Digest, EndpointItem, Intent, Plan, PlanItem, ReadinessItem, Reference, Route, Verb, shown,
};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use tui_input::Input;

use super::choose::nobody;
use super::draw::{Pieces, list, typed};
use crate::data::Known;
use crate::question::Question;
use crate::question::endpoint::{Inquiry, Wanted};
use crate::screen::Look;
use crate::screen::rollouts::words;
use crate::theme::Meaning;
use crate::widget::line::wrapped;

/// A plan that somebody looks at.
#[derive(Debug)]
pub struct Planning {
    /// What is wanted.
    pub wanted: Wanted,
    /// The endpoint's name, as far as it is typed.
    pub name: Input,
    /// The reason, as far as it is typed.
    pub reason: Input,
    /// Whether the reason is being typed.
    pub at_reason: bool,
    /// Whether it has been asked whether the terminal has shown it.
    pub is_asked: bool,
    /// Whether it has: keys before that were meant for something else.
    pub is_seen: bool,
    /// The hash of the plan that was looked at.
    pub looked_at: Option<Digest>,
    /// Why the hub did not run it the last time.
    pub refused: Option<String>,
    /// Which replay of recent inputs was asked for, if one was.
    pub proof: Option<Inquiry>,
}

/// How far a plan is.
#[derive(Debug)]
pub enum Standing<'a> {
    /// It is being made.
    Waiting,
    /// There is none, and why.
    Refused(&'a str),
    /// Nothing is to be changed.
    Same,
    /// It can be looked at.
    Ready(&'a PlanItem, &'a Plan),
}

/// What has to be typed before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The endpoint's name.
    pub name: bool,
    /// A reason.
    pub reason: bool,
}

impl Planning {
    /// One that nobody has seen yet.
    pub fn new(wanted: Wanted, reason: &str) -> Self {
        Self {
            wanted,
            name: Input::default(),
            reason: reason.into(),
            at_reason: false,
            is_asked: false,
            is_seen: false,
            looked_at: None,
            refused: None,
            proof: None,
        }
    }

    /// Has recent inputs replayed through what a rollback brings back, each time anew.
    pub fn prove(&mut self, now_us: i64) {
        let at = u64::try_from(now_us).unwrap_or(0);
        let inquiry = Inquiry::Proof(self.wanted.endpoint.clone(), at);
        self.proof = self.wanted.is_rollback().then_some(inquiry);
    }

    /// What asks for the plan.
    pub fn question(&self) -> Question {
        Question::Endpoints(Inquiry::Plan(self.wanted.clone()))
    }

    /// What has to be known for it.
    pub fn wants(&self) -> Vec<Question> {
        let endpoint = self.wanted.endpoint.clone();
        let mut wants = vec![self.question(), Question::Endpoints(Inquiry::One(endpoint))];
        wants.extend(self.proof.clone().map(Question::Endpoints));
        wants
    }

    /// How far it is.
    pub fn standing<'a>(&self, look: &Look<'a>) -> Standing<'a> {
        // What was told before counts no more where the hub refuses by now.
        let asked = look.data.asked(&self.question());
        if let Some(why) = asked.and_then(|asked| asked.trouble.as_deref()) {
            return Standing::Refused(why);
        }
        match look.data.plan(&self.wanted, look.here_us) {
            Known::Loading => Standing::Waiting,
            Known::Broken(why) => Standing::Refused(why),
            Known::Here(item, _) => match &item.plan {
                Some(plan) => Standing::Ready(item, plan),
                None => Standing::Same,
            },
        }
    }

    /// What has to be typed. A rollback that is confirmed by name needs no reason at once.
    pub fn needs(&self, item: &PlanItem) -> Needs {
        Needs {
            name: item.protected,
            reason: !(item.protected && self.wanted.is_rollback()),
        }
    }

    /// Whether what is typed is enough.
    pub fn is_ready(&self, item: &PlanItem) -> bool {
        let needs = self.needs(item);
        let has_name = words::is_name(self.name.value(), &self.wanted.endpoint);
        let has_reason = !self.reason.value().trim().is_empty();
        (has_name || !needs.name) && (has_reason || !needs.reason)
    }

    /// The line that is typed into.
    pub fn input(&mut self, item: &PlanItem) -> &mut Input {
        match self.needs(item).name && !self.at_reason {
            true => &mut self.name,
            false => &mut self.reason,
        }
    }

    fn title(&self, plan: Option<&Plan>) -> String {
        let endpoint = &self.wanted.endpoint;
        let verb = if self.wanted.is_rollback() {
            "ROLL BACK"
        } else {
            "DEPLOY"
        };
        match plan.map(|plan| &plan.intent) {
            None => format!("{verb}  {endpoint}"),
            Some(intent) => match intent.verb {
                Verb::Rollback(to) => format!("{verb}  {endpoint}  rev {} → rev {to}", intent.base),
                Verb::Deploy => {
                    let (from, to) = (intent.base, intent.base + 1);
                    format!("{verb}  {endpoint}  rev {from} → rev {to}")
                }
            },
        }
    }

    /// Draws it at the lower edge of an area; of facts that do not fit the last are counted.
    pub fn draw(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let quiet = look.style(Meaning::Quiet);
        // What is refused says at its end what to do next: all of it is shown.
        let columns = area.width.saturating_sub(4);
        let warn = |text: String| -> Vec<Pieces> {
            wrapped(&text, columns)
                .map(|text| vec![(text, look.style(Meaning::Warn))])
                .collect()
        };
        let (mut lines, below, title) = match self.standing(look) {
            Standing::Waiting if look.data.is_live() => {
                let text = "the hub is making the plan…".to_owned();
                (vec![vec![(text, quiet)]], Vec::new(), self.title(None))
            }
            Standing::Waiting => (warn(nobody()), Vec::new(), self.title(None)),
            Standing::Refused(why) => (warn(shown(why)), Vec::new(), self.title(None)),
            Standing::Same => {
                let text = "it is so already: nothing is to be changed".to_owned();
                (vec![vec![(text, quiet)]], Vec::new(), self.title(None))
            }
            Standing::Ready(item, plan) => {
                let lines = self.facts(item, plan, look);
                (lines, self.inputs(item, look), self.title(Some(plan)))
            }
        };
        if let Some(why) = &self.refused {
            let text = format!("x not done: {}", shown(why));
            let told = wrapped(&text, columns);
            let told = told.map(|text| vec![(text, look.style(Meaning::Crit))]);
            lines = told.chain(lines).collect();
        }
        let room = usize::from(area.height).saturating_sub(below.len() + 1);
        if lines.len() > room {
            let more = lines.len() + 1 - room.max(1);
            lines.truncate(room.saturating_sub(1));
            lines.push(vec![(format!("… and {more} more lines"), quiet)]);
        }
        lines.extend(below);
        let help = match (self.is_seen, self.is_asked) {
            (true, _) | (false, false) => "<esc> leaves everything as it is",
            (false, true) => "…",
        };
        list(&title, help, lines.into_iter(), usize::MAX, look, area, buf);
    }

    fn facts(&self, item: &PlanItem, plan: &Plan, look: &Look<'_>) -> Vec<Pieces> {
        let known = look.data.endpoint(&self.wanted.endpoint, look.here_us);
        let row = match known {
            Known::Here(row, _) => Some(row),
            Known::Loading | Known::Broken(_) => None,
        };
        let intent = &plan.intent;
        let mut facts: Vec<(&str, String, Meaning)> = Vec::new();
        if self.looked_at.is_some_and(|hash| hash != plan.hash) {
            let text = "this is another plan than the one that you saw: look again".to_owned();
            facts.push(("changed", text, Meaning::Crit));
        }
        let environment = &intent.endpoint.environment;
        facts.push((
            "environment",
            match item.protected {
                true => format!("{environment}, protected"),
                false => environment.to_string(),
            },
            Meaning::Text,
        ));
        facts.push(("route", moves(intent), Meaning::Title));
        match intent.verb {
            Verb::Rollback(_) => {
                back(item, intent, row, &mut facts);
                let (proved, meaning) = self.proved(look);
                facts.push(("proved", proved, meaning));
            }
            Verb::Deploy => forth(item, intent, &mut facts),
        }
        let hash = plan.hash.to_string();
        let ends = (hash.get(..4), hash.get(hash.len().saturating_sub(4)..));
        let hash = match ends {
            (Some(first), Some(last)) => format!("{first}…{last}"),
            (_, _) => hash,
        };
        let on = format!("{hash} on revision {}", intent.base);
        facts.push(("plan", on, Meaning::Quiet));
        facts.push(("command", self.wanted.command(), Meaning::Quiet));
        let fact = |(name, text, meaning): (&str, String, Meaning)| {
            vec![
                (format!("{name:<14}"), look.style(Meaning::Quiet)),
                (shown(&text), look.style(meaning)),
            ]
        };
        facts.into_iter().map(fact).collect()
    }

    /// What a replay of recent inputs showed, as far as one was asked for.
    fn proved(&self, look: &Look<'_>) -> (String, Meaning) {
        let Some(inquiry) = &self.proof else {
            let text = "not yet: <ctrl-p> replays recent inputs and tells what would differ";
            return (text.into(), Meaning::Quiet);
        };
        match look.data.proof(inquiry.clone(), look.here_us) {
            Known::Loading => ("replaying recent inputs…".into(), Meaning::Quiet),
            Known::Broken(why) => (format!("not proved: {why}"), Meaning::Warn),
            Known::Here(proof, _) => words::proof(proof),
        }
    }

    fn inputs(&self, item: &PlanItem, look: &Look<'_>) -> Vec<Pieces> {
        let quiet = look.style(Meaning::Quiet);
        let needs = self.needs(item);
        let mut lines = vec![Pieces::new()];
        if needs.name {
            let ask = format!("type {} to go on: ", self.wanted.endpoint.name);
            let mut line = vec![(ask, Style::new())];
            line.extend(typed(&self.name, !self.at_reason));
            lines.push(line);
        }
        let mut line = vec![("reason: ".to_owned(), Style::new())];
        line.extend(typed(&self.reason, self.at_reason || !needs.name));
        line.push(("   <ctrl-e> in $EDITOR".into(), quiet));
        lines.push(line);
        let help = match (look.data.is_live(), self.is_ready(item), needs) {
            (false, ..) => "the hub is not connected: it cannot be done now; nothing is lost",
            (true, true, Needs { name: true, .. }) if !self.at_reason => {
                "<enter> goes on to the reason"
            }
            (true, true, _) => "<enter> does it",
            (true, false, Needs { name: true, reason }) => match reason {
                true => "both are needed; <tab> goes between them",
                false => "the name is needed, the reason may follow; <tab> goes between them",
            },
            (true, false, Needs { name: false, .. }) => {
                "a reason is needed: it stays in the journal"
            }
        };
        lines.push(vec![(help.into(), quiet)]);
        lines
    }
}

type Facts<'a> = Vec<(&'a str, String, Meaning)>;

/// What a rollback does, beside the route.
fn back(item: &PlanItem, intent: &Intent, row: Option<&EndpointItem>, facts: &mut Facts<'_>) {
    if let Some(rollout) = row.and_then(|row| row.rollout.as_ref()) {
        let text = format!(
            "rev {} ({}{}) is taken back where it is",
            rollout.revision,
            words::step(rollout),
            words::phase(rollout)
        );
        facts.push(("stops", text, Meaning::Text));
        if let Some(finding) = &rollout.finding {
            let (says, meaning) = words::verdict(finding);
            facts.push(("judge", format!("{says}: {}", finding.why), meaning));
        }
    }
    if let Some(ready) = &item.readiness {
        facts.push(("hosts", hosts(ready), Meaning::Text));
        let (takes, meaning) = takes(ready);
        facts.push(("takes", takes, meaning));
    }
    let leaving = leaving(intent, row);
    if !leaving.is_empty() {
        let (names, are) = (
            leaving.join(", "),
            if leaving.len() == 1 { "is" } else { "are" },
        );
        let text = format!(
            "{names} {are} blocked on {} until someone lifts it",
            intent.endpoint
        );
        facts.push(("afterwards", text, Meaning::Text));
    }
    let lifted = row.map(|row| row.blocked.iter().map(|block| &block.version));
    let lifted = lifted.into_iter().flatten();
    let lifted: Vec<String> = lifted
        .filter(|version| intent.after.names(version))
        .map(ToString::to_string)
        .collect();
    if !lifted.is_empty() {
        let text = format!("{} may come again", lifted.join(", "));
        facts.push(("lifts", text, Meaning::Text));
    }
    facts.push(("undone", "yes: by another rollback".into(), Meaning::Quiet));
}

/// What a deploy does, beside the route.
fn forth(item: &PlanItem, intent: &Intent, facts: &mut Facts<'_>) {
    facts.push(("strategy", intent.strategy.to_string(), Meaning::Text));
    for (at, step) in item.steps.iter().enumerate() {
        let name = if at == 0 { "steps" } else { "" };
        facts.push((name, format!("{}. {step}", at + 1), Meaning::Text));
    }
    let gates: Vec<String> = intent.objectives.iter().map(ToString::to_string).collect();
    let gates = match (intent.strategy.is_judged(), gates.is_empty()) {
        (false, _) => "nothing is judged on the way".to_owned(),
        (true, true) => format!("beside what serves, from {} requests", intent.min_requests),
        (true, false) => format!(
            "{}, and beside what serves, from {} requests",
            gates.join(" "),
            intent.min_requests
        ),
    };
    facts.push(("gates", gates, Meaning::Text));
    if intent.confirm_within_s > 0 {
        let within = crate::format::age(i64::from(intent.confirm_within_s) * 1_000_000);
        let text = format!("within {within}, or hosts go back by themselves");
        facts.push(("confirm", text, Meaning::Warn));
    }
    facts.push(("undone", "yes: by a rollback".into(), Meaning::Quiet));
}

/// Which hosts are ready.
fn hosts(ready: &ReadinessItem) -> String {
    let mut text = format!("{} of {} ready and warm", ready.warm, ready.hosts);
    let cold = ready.hosts.saturating_sub(ready.warm + ready.silent);
    if cold > 0 {
        text.push_str(&format!(", {cold} load first"));
    }
    if ready.silent > 0 {
        let silent = format!(
            ", {} not heard: they follow when they are back",
            ready.silent
        );
        text.push_str(&silent);
    }
    text
}

/// How long it takes.
fn takes(ready: &ReadinessItem) -> (String, Meaning) {
    match ready.eta_ms {
        Some(0) => ("a switch on each host: milliseconds".into(), Meaning::Ok),
        Some(ms) => (
            format!(
                "{} on the slowest host, from what loads took",
                words::eta(Some(ms))
            ),
            Meaning::Text,
        ),
        None => (
            "not known: a host has to load what was never seen to load".into(),
            Meaning::Warn,
        ),
    }
}

/// Versions that answer, or are on their way, and will not be there any more.
fn leaving(intent: &Intent, row: Option<&EndpointItem>) -> Vec<String> {
    let before = intent.before.iter().flat_map(Route::versions);
    let coming = row.into_iter().flat_map(|row| &row.versions);
    let mut leaving: Vec<&Reference> = before.chain(coming).collect();
    leaving.retain(|version| !intent.after.names(version));
    leaving.sort();
    leaving.dedup();
    leaving.into_iter().map(ToString::to_string).collect()
}

/// What becomes of each version: `fraud@8 10% → 0   fraud@7 90% → 100%`.
fn moves(intent: &Intent) -> String {
    let share = |route: Option<&Route>, version: &Reference| {
        let parts = route.map(Route::parts);
        let mut splits = parts.into_iter().flat_map(|parts| &parts.versions);
        splits
            .find(|split| split.version == *version)
            .map_or(0, |split| split.weight)
    };
    let percent = |weight: u32| match weight {
        0 => "0".to_owned(),
        weight => format!("{}%", f64::from(weight) / 100.0),
    };
    let before = intent.before.as_ref();
    let mut versions: Vec<&Reference> = before.into_iter().flat_map(Route::versions).collect();
    versions.extend(intent.after.versions());
    versions.sort();
    versions.dedup();
    let one = |version: &&Reference| {
        let (was, is) = (share(before, version), share(Some(&intent.after), version));
        match was == is {
            true => format!("{version} {}", percent(is)),
            false => format!("{version} {} → {}", percent(was), percent(is)),
        }
    };
    let mut all: Vec<String> = versions.iter().map(one).collect();
    let shadows = &intent.after.parts().shadows;
    all.extend(shadows.iter().map(|shadow| {
        let share = percent(shadow.share);
        format!("shadow {} {share}", shadow.version)
    }));
    all.join("   ")
}

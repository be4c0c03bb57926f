//! Rollouts: the passage of an endpoint from one revision to the next, as a state machine.
//!
//! Proposed → perhaps Awaiting approval → Preparing → step: Shifting → Baking → Judging → … →
//! Confirming → Promoted, or back by RollingBack → RolledBack, or given up by Aborting →
//! Aborted; in between perhaps Pausing → Paused. Each passage from one phase to the next is an
//! entry of the journal, so that a hub that was killed goes on where it was. What hosts observe
//! and what was measured is looked at ([`Progress`], [`Judgement`]) and never kept: it comes
//! again.
//!
//! Every phase has an end: a host that is silent, a gate that cannot be judged, a person who went
//! home each lead to a decision within a stated time ([`next`]).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::endpoint::change::Accepted;
use crate::judge::{Finding, Judgement, Verdict};
use crate::list::List;
use crate::name::Name;
use crate::registry::Digest;
use crate::served::Stamp;

pub use phase::{Phase, Stage};
pub use plan::{Ask, Intent, Plan, Verb, Want};
pub use progress::Progress;
pub use strategy::{Step, Strategy, Watched};

pub mod duty;
mod phase;
pub mod plan;
pub mod progress;
pub mod readiness;
pub mod still;
pub mod strategy;
pub mod tick;

/// How long a plan waits for people who have to say yes.
pub const AWAIT_WITHIN_US: i64 = 72 * 3_600 * SECOND_US;
/// How long hosts may take to load what is coming: a large model over a slow line.
pub const PREPARE_WITHIN_US: i64 = 30 * 60 * SECOND_US;
/// How long hosts may take to switch to what is loaded: some reconnects.
pub const SHIFT_WITHIN_US: i64 = 5 * 60 * SECOND_US;
/// How long before a dead man's switch fires a confirmation may come at the latest: it has to
/// reach every agent, and be heard.
pub const CONFIRM_MARGIN_US: i64 = 10 * SECOND_US;
/// Names of hosts that an entry keeps; of the others it keeps the count.
pub const MAX_NAMED: usize = 100;

const SECOND_US: i64 = 1_000_000;

/// A passage that is under way, or was.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// The revision that it leads to, by which it is known.
    pub revision: u64,
    /// What is intended.
    pub plan: Arc<Plan>,
    /// When it was accepted.
    pub at_us: i64,
    /// Where it is.
    pub phase: Phase,
    /// Since when.
    pub since_us: i64,
    /// When the step that it is at began.
    pub stepped_us: i64,
    /// The last host, in order of name, that has the step's route; `None` for all of them.
    pub through: Option<Name>,
    /// The route that hosts had before: what those keep that a step leaves out.
    pub base: Stamp,
    /// Every passage from one phase to the next.
    pub trail: List<Arc<Trace>>,
}

/// One passage from one phase to the next, as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The entry.
    pub sequence: u64,
    /// When.
    pub at_us: i64,
    /// Who: the hub, as a rule.
    pub caller: crate::caller::Caller,
    /// What was decided.
    pub moved: Moved,
}

/// A decision: a rollout passes to another phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// Where it goes.
    pub to: Phase,
    /// Of a step by hosts: the last, in order of name, that has its route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Name>,
    /// What was concluded from what was measured, where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    /// How many hosts were where they should be.
    pub confirmed: u32,
    /// How many of them all.
    pub hosts: u32,
    /// Those that were not, at most [`MAX_NAMED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Name>,
    /// How long the slowest host's switch took, in microseconds, where one said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowest_us: Option<u64>,
}

/// What a person may ask of a rollout that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// Stand still at the step that it is at.
    Pause,
    /// Go on.
    Resume,
    /// Give it up.
    Abort,
    /// Keep what serves.
    Confirm,
    /// Say yes to its plan.
    Approve,
    /// Say no to its plan.
    Reject,
}

impl Rollout {
    /// One that was just accepted.
    pub(crate) fn accepted(accepted: &Accepted, base: Stamp, at_us: i64) -> Self {
        Self {
            revision: accepted.revision,
            phase: Phase::first(&accepted.plan.intent, accepted.approvals),
            plan: accepted.plan.clone(),
            at_us,
            since_us: at_us,
            stepped_us: at_us,
            through: None,
            base,
            trail: List::default(),
        }
    }

    /// The same, when it had just begun.
    pub(crate) fn begun(&self) -> Self {
        // Whoever had to be asked has said yes or is counted in the phase.
        let mut asked = u8::try_from(self.approvals().count()).unwrap_or(u8::MAX);
        if let Phase::Awaiting { of, .. } = self.phase {
            asked = of;
        }
        Self {
            phase: Phase::first(&self.plan.intent, asked),
            since_us: self.at_us,
            stepped_us: self.at_us,
            through: None,
            trail: List::default(),
            ..self.clone()
        }
    }

    /// Whether it waits for people to say yes: nothing is done before.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Awaiting { .. })
    }

    /// The step that it is at.
    pub fn step(&self) -> Option<&Step> {
        let steps = &self.plan.intent.steps;
        steps.get(self.phase.step(steps.len())?)
    }

    /// Since when what is measured counts for the step that it is at; `None` while hosts switch.
    pub fn watched_from_us(&self) -> Option<i64> {
        let step = self.phase.step(self.plan.intent.steps.len())?;
        let mut last = None;
        for trace in self.trail.iter().rev() {
            match &trace.moved.to {
                Phase::Step(at, Stage::Shifting) if *at as usize == step => return last,
                Phase::Awaiting { .. }
                | Phase::Preparing
                | Phase::Step(..)
                | Phase::Confirming
                | Phase::Pausing(_)
                | Phase::Paused(_)
                | Phase::RollingBack(_)
                | Phase::Aborting(_)
                | Phase::Promoted
                | Phase::RolledBack(_)
                | Phase::Aborted(_) => last = Some(trace.at_us),
            }
        }
        last
    }

    /// Who has said yes to its plan, in order: nothing else leads to these phases.
    pub fn approvals(&self) -> impl Iterator<Item = &Arc<Trace>> {
        let is_yes = |trace: &&Arc<Trace>| {
            matches!(trace.moved.to, Phase::Awaiting { .. } | Phase::Preparing)
        };
        self.trail.iter().filter(is_yes)
    }

    /// The hash of its plan.
    pub fn hash(&self) -> Digest {
        self.plan.hash
    }

    /// The dead man's switch of the step that it is at: seconds after which a host that has
    /// heard no confirmation goes back by itself; `None` where there is none.
    pub fn dead_man_s(&self) -> Option<u32> {
        let intent = &self.plan.intent;
        let is_armed = match self.phase {
            Phase::Step(..) | Phase::Confirming => true,
            Phase::Awaiting { .. }
            | Phase::Preparing
            | Phase::Pausing(_)
            | Phase::Paused(_)
            | Phase::RollingBack(_)
            | Phase::Aborting(_)
            | Phase::Promoted
            | Phase::RolledBack(_)
            | Phase::Aborted(_) => false,
        };
        let step = self
            .step()
            .filter(|_| is_armed && intent.confirm_within_s > 0)?;
        Some(step.bake_s.saturating_add(intent.confirm_within_s))
    }

    /// When the switch of the first host that has it may fire: never before this.
    pub fn deadline_us(&self) -> Option<i64> {
        let within_us = i64::from(self.dead_man_s()?) * SECOND_US;
        Some(self.stepped_us.saturating_add(within_us))
    }
}

/// Where a rollout goes from here, given what hosts say and what was concluded, or `None` for
/// nowhere yet.
pub fn next(
    rollout: &Rollout,
    progress: &Progress,
    judgement: &Judgement,
    now_us: i64,
) -> Option<Moved> {
    let turn = Turn {
        rollout,
        progress,
        judgement,
        now_us,
    };
    turn.next()
}

/// One look at one rollout.
struct Turn<'a> {
    rollout: &'a Rollout,
    progress: &'a Progress,
    judgement: &'a Judgement,
    now_us: i64,
}

impl Turn<'_> {
    fn next(&self) -> Option<Moved> {
        if let Some(why) = &self.progress.by_hand
            && !self.rollout.plan.intent.is_rollback()
            && self.is_forward()
        {
            return Some(self.back(why.clone()));
        }
        if self
            .rollout
            .deadline_us()
            .is_some_and(|deadline_us| self.now_us >= deadline_us)
        {
            let within = strategy::span(self.rollout.plan.intent.confirm_within_s);
            return Some(self.back(format!("not confirmed within {within}").into()));
        }
        match &self.rollout.phase {
            Phase::Awaiting { have, of } => self.is_over(AWAIT_WITHIN_US).then(|| {
                let within = strategy::span((AWAIT_WITHIN_US / SECOND_US) as u32);
                let why = format!("{have} of {of} had approved it after {within}");
                self.to(Phase::Aborted(why.into()))
            }),
            Phase::Preparing => self.preparing(),
            Phase::Step(step, Stage::Shifting) => self.shifting(*step),
            Phase::Step(step, stage) => self.watching(*step, *stage),
            Phase::Confirming => self.bad(),
            Phase::Pausing(step) => {
                let settled = self.progress.has_settled() || self.is_over(SHIFT_WITHIN_US);
                settled.then(|| self.to(Phase::Paused(*step)))
            }
            Phase::Paused(_) => self.held("paused"),
            Phase::RollingBack(why) => self
                .returned()
                .then(|| self.to(Phase::RolledBack(why.clone()))),
            Phase::Aborting(why) => self
                .returned()
                .then(|| self.to(Phase::Aborted(why.clone()))),
            Phase::Promoted | Phase::RolledBack(_) | Phase::Aborted(_) => None,
        }
    }

    /// Whether it is on its way to the new route.
    fn is_forward(&self) -> bool {
        match self.rollout.phase {
            // A host that decides for itself says nothing about what is not there yet.
            Phase::Awaiting { .. } => false,
            Phase::Preparing
            | Phase::Step(..)
            | Phase::Confirming
            | Phase::Pausing(_)
            | Phase::Paused(_) => true,
            Phase::RollingBack(_)
            | Phase::Aborting(_)
            | Phase::Promoted
            | Phase::RolledBack(_)
            | Phase::Aborted(_) => false,
        }
    }

    fn preparing(&self) -> Option<Moved> {
        let may_miss = self.may_miss();
        if self.progress.failed.len() > may_miss
            && let Some((host, why)) = self.progress.failed.first()
        {
            let failed = self.progress.failed.len();
            let why = format!(
                "{failed} of {} hosts cannot serve it: {host}: {why}",
                self.hosts()
            );
            return Some(self.back(why.into()));
        }
        let is_over = self.is_over(PREPARE_WITHIN_US);
        match self.progress.arrived(may_miss, is_over) {
            true => Some(self.enter(0)),
            false if is_over => Some(self.back(self.late("are not ready", PREPARE_WITHIN_US))),
            false => None,
        }
    }

    fn shifting(&self, step: u32) -> Option<Moved> {
        let intent = &self.rollout.plan.intent;
        let within_us = match intent.is_rollback() {
            true => PREPARE_WITHIN_US,
            false => SHIFT_WITHIN_US,
        };
        let is_over = self.is_over(within_us);
        if !self.progress.arrived(self.may_miss(), is_over) {
            return match (is_over, intent.is_rollback()) {
                (false, _) => None,
                // What is known to work stays wanted: the others follow as they come back.
                (true, true) => Some(self.to(Phase::Promoted)),
                (true, false) => Some(self.back(self.late("did not switch", within_us))),
            };
        }
        let bakes = self.rollout.step().is_some_and(|step| step.bake_s > 0);
        match bakes {
            true => Some(self.to(Phase::Step(step, Stage::Baking))),
            false => Some(self.onward(step, None)),
        }
    }

    fn watching(&self, step: u32, stage: Stage) -> Option<Moved> {
        if let Some(back) = self.bad() {
            return Some(back);
        }
        let bake_s = self.rollout.step().map_or(0, |step| step.bake_s);
        let is_baked = stage == Stage::Judging || self.is_over(i64::from(bake_s) * SECOND_US);
        if !is_baked {
            return None;
        }
        // A host that came back converges first; more silent ones than may be are not passed by.
        let has_all = self.progress.arrived(self.may_miss(), false);
        let finding = &self.judgement.finding;
        match finding.verdict {
            Verdict::Promote if has_all => Some(self.onward(step, Some(finding.clone()))),
            Verdict::Promote | Verdict::Hold | Verdict::Inconclusive { .. } => match stage {
                Stage::Shifting | Stage::Baking => Some(Moved {
                    finding: Some(finding.clone()),
                    ..self.to(Phase::Step(step, Stage::Judging))
                }),
                Stage::Judging => {
                    let why = match finding.verdict {
                        Verdict::Promote => self.late("did not come back", 0).to_string(),
                        Verdict::Hold | Verdict::Inconclusive { .. } | Verdict::RollBack => {
                            finding.why.to_string()
                        }
                    };
                    self.held(&why)
                }
            },
            // Said above.
            Verdict::RollBack => None,
        }
    }

    /// Back, if what was measured says so.
    fn bad(&self) -> Option<Moved> {
        let finding = &self.judgement.finding;
        (finding.verdict == Verdict::RollBack).then(|| Moved {
            finding: Some(finding.clone()),
            ..self.back(finding.why.clone())
        })
    }

    /// Back, if it has been held for too long.
    fn held(&self, why: &str) -> Option<Moved> {
        let at_most_s = self.rollout.plan.intent.hold_at_most_s;
        let back = || {
            let held = strategy::span(at_most_s);
            Moved {
                finding: Some(self.judgement.finding.clone()),
                ..self.back(format!("held for {held}: {why}").into())
            }
        };
        self.is_over(i64::from(at_most_s) * SECOND_US).then(back)
    }

    /// The step after `step`, or what follows the last one.
    fn onward(&self, step: u32, finding: Option<Finding>) -> Moved {
        let intent = &self.rollout.plan.intent;
        let moved = match (
            step as usize + 1 < intent.steps.len(),
            intent.confirm_within_s,
        ) {
            (true, _) => self.enter(step + 1),
            (false, 0) => self.to(Phase::Promoted),
            (false, _) => self.to(Phase::Confirming),
        };
        Moved { finding, ..moved }
    }

    fn enter(&self, step: u32) -> Moved {
        let hosts = self.rollout.plan.intent.steps.get(step as usize);
        let share = hosts.map_or(crate::endpoint::WHOLE, |step| step.hosts);
        Moved {
            through: self.progress.boundary(share),
            ..self.to(Phase::Step(step, Stage::Shifting))
        }
    }

    fn back(&self, why: Arc<str>) -> Moved {
        self.to(Phase::RollingBack(why))
    }

    fn to(&self, phase: Phase) -> Moved {
        let missing = self.progress.missing();
        Moved {
            to: phase,
            through: self.rollout.through.clone(),
            finding: None,
            confirmed: self.progress.arrived.len() as u32,
            hosts: self.progress.hosts() as u32,
            missing: missing.take(MAX_NAMED).cloned().collect(),
            slowest_us: self.progress.slowest_us,
        }
    }

    /// Whether hosts have gone back, as far as can be waited for.
    fn returned(&self) -> bool {
        self.progress.arrived(self.may_miss(), false) || self.is_over(SHIFT_WITHIN_US)
    }

    fn is_over(&self, within_us: i64) -> bool {
        self.now_us - self.rollout.since_us >= within_us
    }

    fn hosts(&self) -> usize {
        self.progress.hosts()
    }

    fn may_miss(&self) -> usize {
        self.rollout.plan.intent.may_miss(self.hosts())
    }

    fn late(&self, what: &str, within_us: i64) -> Arc<str> {
        let some: Vec<&str> = self.progress.missing().take(3).map(Name::as_str).collect();
        let missing = self.progress.missing().count();
        let more = match missing - some.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let within = match u32::try_from(within_us / SECOND_US) {
            Ok(0) | Err(_) => String::new(),
            Ok(within_s) => format!(" within {}", strategy::span(within_s)),
        };
        let (names, hosts) = (some.join(", "), self.hosts());
        format!("{missing} of {hosts} hosts {what}{within}: {names}{more}").into()
    }
}

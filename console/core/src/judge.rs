//! The judge: what was measured of a new version beside the old one → a verdict.
//!
//! Repeated looks are free: what speaks against a version is gathered as a bet whose stake can
//! only grow by luck with a known chance ([`bet`]), so that one may look each second and stop at
//! will. A version is sent back only for an effect that matters, and let through only when enough
//! requests say that there is none. What is concluded names its numbers. No data is never a yes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::registry::Objectives;
use crate::registry::objective::{Figure, Objective};
use crate::rollout::Intent;

pub use evidence::{Counts, Evidence, Golden, Growth, LATELY_US, Nulls, Shadow, Span};

pub mod bet;
pub mod evidence;

/// A canary is slower where its requests go beyond control's p99 by this factor more often than
/// control's go beyond it at all: a tenth is noise between two processes, a fifth is felt.
pub const SLOWER: f64 = 1.2;
/// A canary is slow as well where its median is beyond this many times control's. The tail does not
/// show it where both are answered by one server: what the slow version keeps busy makes the other
/// one's tail as long as its own, but not the other one's median.
pub const SLOWER_MEDIAN: f64 = 2.0;
/// How many times as often something has to happen on the canary before it matters.
pub const OFTENER: f64 = 2.0;
/// More errors than control matter from half a per cent of all requests on.
pub const MORE_ERRORS: f64 = 0.005;
/// A version that refuses this share of its requests, where control hardly refuses any, takes other
/// inputs: no one client is half of the traffic on the one side alone.
const REFUSES: f64 = 0.5;
/// More null answers than control matter from one per cent of those that were looked at on.
pub const MORE_NULLS: f64 = 0.01;
/// A version that gives any goes on only where at most this share more of its answers is null, with
/// 95 %.
const NULLS_AT_MOST: f64 = 0.02;
/// A version goes on only where at most this share of its requests is slow, with 95 %.
const SLOW_AT_MOST: f64 = 0.05;
/// A version goes on only where at most this share more of its requests fails, with 95 %.
const ERRORS_AT_MOST: f64 = 0.01;
/// A shadow goes on only where it may say the same of at least this share of the copies.
const ALIKE_AT_LEAST: f64 = 0.5;
/// Two-sided 95 %.
const Z: f64 = 1.96;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go on.
    Promote,
    /// Neither go on nor go back: what there is does not say that it is safe.
    Hold,
    /// Go back.
    RollBack,
    /// Too few requests: so many of those that are needed.
    Inconclusive {
        /// How many there are.
        seen: u64,
        /// How many there have to be.
        need: u64,
    },
}

/// What was concluded, from what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What is to be done.
    pub verdict: Verdict,
    /// Why, with the numbers.
    pub why: Arc<str>,
    /// The numbers.
    pub canary: Summary,
    /// Of the version beside it, over the same spans.
    pub control: Summary,
}

/// One version over all spans in which both were there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Requests that ended well, or by the server's fault.
    pub requests: u64,
    /// Those that ended by the server's fault.
    pub errors: u64,
    /// The median of those that ended well, in nanoseconds; 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub p50_ns: u64,
    /// The 99th percentile of those that ended well, in nanoseconds; 0 for none.
    pub p99_ns: u64,
    /// Those beyond the mark: for control its own p99, for the canary [`SLOWER`] than that.
    pub slow: u64,
    /// Requests beside those that were refused as the client's fault.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Answers that were looked at.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub looked: u64,
    /// Those of them that say nothing: no number, null, empty.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub null: u64,
}

/// What was not known of answers takes no room in an entry.
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A finding, and which rollout it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What was concluded.
    pub finding: Finding,
}

/// What a version is held to.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// What must hold.
    pub objectives: Objectives,
    /// Requests that it takes to let it through.
    pub min_requests: u32,
}

impl Bounds {
    /// What a plan holds its versions to.
    pub fn of(intent: &Intent) -> Self {
        Self {
            objectives: intent.objectives.clone(),
            min_requests: intent.min_requests,
        }
    }
}

/// What was concluded from `evidence`.
pub fn judge(bounds: &Bounds, evidence: &Evidence) -> Finding {
    let seen = bet::Seen::of(evidence, &bounds.objectives);
    let (canary, control) = (seen.canary, seen.control);
    let finding = |verdict, why: String| Finding {
        verdict,
        why: why.into(),
        canary,
        control,
    };
    if let Some(why) = bad(&seen, evidence) {
        return finding(Verdict::RollBack, why);
    }
    if canary.requests == 0 && evidence.shadow != Shadow::default() {
        let (verdict, why) = shadowed(bounds, evidence.shadow);
        return finding(verdict, why);
    }
    if canary.requests == 0 {
        return finding(
            Verdict::Hold,
            "no request of the new version was seen".into(),
        );
    }
    if let Some(why) = doubt(bounds, &seen, evidence).or_else(|| leak(evidence)) {
        return finding(Verdict::Hold, why);
    }
    let (seen_requests, need) = (canary.requests, u64::from(bounds.min_requests));
    if seen_requests < need {
        let why = format!("{seen_requests} of {need} requests");
        let verdict = Verdict::Inconclusive {
            seen: seen_requests,
            need,
        };
        return finding(verdict, why);
    }
    if control.requests == 0 {
        let met: Vec<String> = bounds.objectives.iter().map(Objective::to_string).collect();
        let why = format!("{}, and nothing beside it: {}", canary, met.join(", "));
        return finding(Verdict::Promote, why);
    }
    if let Some((verdict, why)) = unsure(&seen) {
        return finding(verdict, why);
    }
    // A new version is there to answer otherwise: that is told and not judged.
    let answers = match &evidence.beside.answers {
        Some(differs) => format!("; {differs}"),
        None => String::new(),
    };
    finding(
        Verdict::Promote,
        format!("{canary}; beside it {control}{answers}"),
    )
}

/// Why it goes back, if it does.
fn bad(seen: &bet::Seen, evidence: &Evidence) -> Option<String> {
    let (canary, control) = (seen.canary, seen.control);
    let Golden { asked, failed } = evidence.golden;
    if failed > 0 {
        return Some(format!(
            "{failed} of {asked} golden requests are answered wrongly"
        ));
    }
    let more = canary.error_share() - control.error_share();
    if seen.errors.is_won() && more >= MORE_ERRORS {
        return Some(format!(
            "errors {}, beside it {} {}",
            interval(canary.errors, canary.requests),
            share(control.error_share()),
            seen.errors,
        ));
    }
    if seen.refused.is_won()
        && canary.refused_share() >= REFUSES
        && control.refused_share() < REFUSES / 2.0
    {
        return Some(format!(
            "{} of its requests are refused as the client's fault, beside it {} {}: it takes other \
             inputs",
            interval(canary.refused, canary.requests + canary.refused),
            share(control.refused_share()),
            seen.refused,
        ));
    }
    let more = canary.null_share() - control.null_share();
    if seen.nulls.is_won() && more >= MORE_NULLS {
        return Some(format!(
            "null answers {}, beside it {} {}",
            interval(canary.null, canary.looked),
            share(control.null_share()),
            seen.nulls,
        ));
    }
    if seen.slow.is_won() {
        return Some(format!(
            "{} of its requests are over {SLOWER} × the p99 beside it ({} against {}) {}",
            interval(canary.slow, canary.answered()),
            millis(canary.p99_ns),
            millis(control.p99_ns),
            seen.slow,
        ));
    }
    if seen.slow_median.is_won() && seen.is_median_slow() {
        return Some(slow_median(seen));
    }
    let broken = seen
        .objectives
        .iter()
        .find(|one| one.canary.is_won() && !one.control.is_won());
    // Where the version beside it may break it too, the fault need not be here.
    let alone = broken.filter(|one| control.requests == 0 || !one.control.is_likely());
    alone.map(|one| {
        let found = match one.objective.figure {
            Figure::Errors => share(canary.error_share()),
            Figure::Nulls => share(canary.null_share()),
            Figure::P50 => format!("p50 {}", millis(canary.p50_ns)),
            Figure::P90 | Figure::P99 | Figure::P999 => {
                format!("p99 {}", millis(canary.p99_ns))
            }
        };
        format!("breaks {}: {found} {}", one.objective, one.canary)
    })
}

/// `its median is over 2 × the one beside it (44.1 ms against 3.0 ms)`
fn slow_median(seen: &bet::Seen) -> String {
    format!(
        "its median is over {SLOWER_MEDIAN} × the median beside it ({} against {}) {}",
        millis(seen.canary.p50_ns),
        millis(seen.control.p50_ns),
        seen.slow_median,
    )
}

/// What copies of requests say of a version that answers nobody yet. That its answers differ is
/// told and not judged, as a new version is there to differ; one that says something else more
/// often than not is held, for somebody to look at.
fn shadowed(bounds: &Bounds, shadow: Shadow) -> (Verdict, String) {
    let (all, need) = (
        shadow.compared + shadow.failed,
        u64::from(bounds.min_requests),
    );
    let failing = bet::above(shadow.failed, all, ERRORS_AT_MOST);
    let failed = interval(shadow.failed, all);
    let same = shadow.same as f64 / shadow.compared.max(1) as f64;
    if failing.is_won() {
        return (
            Verdict::RollBack,
            format!("{failed} of the copies fail {failing}"),
        );
    }
    if all < need {
        let why = format!("{all} of {need} copies");
        return (Verdict::Inconclusive { seen: all, need }, why);
    }
    if upper(shadow.failed, all) > ERRORS_AT_MOST {
        let verdict = wait(shadow.failed as f64 / all as f64, ERRORS_AT_MOST, all);
        let limit = share(ERRORS_AT_MOST);
        return (
            verdict,
            format!("{failed} of the copies fail: at most {limit} may"),
        );
    }
    if shadow.compared > 0 && upper(shadow.same, shadow.compared) < ALIKE_AT_LEAST {
        let alike = interval(shadow.same, shadow.compared);
        let why = format!("{alike} of the copies are answered alike: that is another model");
        return (Verdict::Hold, why);
    }
    let why = format!(
        "{all} copies, {} answered alike, failed {failed}",
        share(same)
    );
    (Verdict::Promote, why)
}

/// Why it may not go on whatever the number of requests.
fn doubt(bounds: &Bounds, seen: &bet::Seen, evidence: &Evidence) -> Option<String> {
    if let Some(both) = seen.objectives.iter().find(|one| one.canary.is_won()) {
        return Some(format!(
            "{} is broken by the version beside it as well: not this version's fault alone",
            both.objective
        ));
    }
    if seen.refused.is_won() {
        return Some(format!(
            "{} of its requests are refused as the client's fault, beside it {} {}",
            share(seen.canary.refused_share()),
            share(seen.control.refused_share()),
            seen.refused,
        ));
    }
    if let Some(differs) = &evidence.beside.inputs {
        return Some(format!(
            "it is asked other things than the version beside it: {differs}; their errors and \
             latencies cannot be compared"
        ));
    }
    if seen.control.requests == 0 && bounds.objectives.is_empty() {
        return Some("nothing to hold it against: no version beside it, no objective".into());
    }
    None
}

/// The host that would be full first, where one would be soon. A server may have other versions,
/// and what it keeps may be no leak: that is for somebody to look at.
fn leak(evidence: &Evidence) -> Option<String> {
    let full = evidence.memory.iter();
    let full = full.filter_map(|growth| Some((growth.full_in_us()?, growth)));
    let (full_in_us, growth) = full.min_by(|one, other| one.0.total_cmp(&other.0))?;
    Some(format!(
        "the memory of the inference server on {} grows: {} MB in {} s, the host is full in \
         {:.1} h",
        growth.host,
        growth.grown >> 20,
        growth.lasted_us / 1_000_000,
        full_in_us / 3_600e6
    ))
}

/// Why it does not go on yet, if it does not.
fn unsure(seen: &bet::Seen) -> Option<(Verdict, String)> {
    let (canary, control) = (seen.canary, seen.control);
    let failing = upper(canary.errors, canary.requests);
    let limit = control.error_share() + ERRORS_AT_MOST;
    if failing > limit {
        let verdict = wait(canary.error_share(), limit, canary.requests);
        let at_most = interval(canary.errors, canary.requests);
        return Some((
            verdict,
            format!("errors {at_most}: at most {} may be", share(limit)),
        ));
    }
    let limit = control.null_share() + NULLS_AT_MOST;
    if canary.null > 0 && upper(canary.null, canary.looked) > limit {
        let verdict = wait(canary.null_share(), limit, canary.looked);
        let at_most = interval(canary.null, canary.looked);
        return Some((
            verdict,
            format!("null answers {at_most}: at most {} may be", share(limit)),
        ));
    }
    let slow = upper(canary.slow, canary.answered());
    if slow > SLOW_AT_MOST {
        let share_of = canary.slow as f64 / canary.answered().max(1) as f64;
        let verdict = wait(share_of, SLOW_AT_MOST, canary.requests);
        let at_most = interval(canary.slow, canary.answered());
        let limit = share(SLOW_AT_MOST);
        return Some((
            verdict,
            format!("{at_most} of its requests are slow: at most {limit} may be"),
        ));
    }
    // More requests tell: chance alone does not keep a median up.
    seen.is_median_slow()
        .then(|| (Verdict::Hold, slow_median(seen)))
}

/// More requests may clear it where the share itself is under the limit.
fn wait(found: f64, limit: f64, seen: u64) -> Verdict {
    if found >= limit {
        return Verdict::Hold;
    }
    let gap = limit - found;
    let need = (Z * Z * found.max(limit / 2.0) / (gap * gap)).ceil() as u64;
    Verdict::Inconclusive {
        seen,
        need: need.max(seen + 1),
    }
}

/// Wilson's upper limit of a share, with 95 %.
fn upper(of: u64, all: u64) -> f64 {
    limits(of, all).1
}

/// Wilson's interval of a share, with 95 %.
pub(crate) fn limits(of: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (all as f64, of as f64 / all as f64);
    let (z2, middle) = (Z * Z, p + Z * Z / (2.0 * n));
    let spread = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    let (low, high) = ((middle - spread) / scale, (middle + spread) / scale);
    (low.max(0.0), high.min(1.0))
}

fn interval(of: u64, all: u64) -> String {
    let (low, high) = limits(of, all);
    let found = of as f64 / all.max(1) as f64;
    format!("{} ({} to {})", share(found), share(low), share(high))
}

pub(crate) fn share(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

pub(crate) fn millis(ns: u64) -> String {
    format!("{:.1} ms", ns as f64 / 1e6)
}

impl Summary {
    /// Requests that ended well.
    pub fn answered(&self) -> u64 {
        self.requests - self.errors.min(self.requests)
    }

    /// The share that failed.
    pub fn error_share(&self) -> f64 {
        self.errors as f64 / self.requests.max(1) as f64
    }

    /// The share of all requests that is refused as the client's fault.
    pub fn refused_share(&self) -> f64 {
        self.refused as f64 / (self.requests + self.refused).max(1) as f64
    }

    /// The share of the answers that say nothing, of those that were looked at.
    pub fn null_share(&self) -> f64 {
        self.null as f64 / self.looked.max(1) as f64
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, errors) = (self.requests, share(self.error_share()));
        write!(
            f,
            "{requests} requests, errors {errors}, p99 {}",
            millis(self.p99_ns)
        )?;
        match self.null {
            0 => Ok(()),
            _ => write!(f, ", null answers {}", share(self.null_share())),
        }
    }
}

impl Judgement {
    /// Nothing was looked at.
    pub fn none() -> Self {
        Self {
            finding: Finding {
                verdict: Verdict::Hold,
                why: "nothing was measured".into(),
                canary: Summary::default(),
                control: Summary::default(),
            },
        }
    }
}

impl Finding {
    /// Whether it says that the version is bad: not merely that too little is known of it.
    pub fn speaks_against(&self) -> bool {
        self.verdict == Verdict::RollBack
    }
}

impl Verdict {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Hold => "hold",
            Self::RollBack => "roll_back",
            Self::Inconclusive { .. } => "inconclusive",
        }
    }
}

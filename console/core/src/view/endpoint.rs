//! Endpoints, their revisions and rollouts, as tables, pages and documents show them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AlertItem, from_time, some_time, time};
use crate::endpoint::{self, Endpoint, EndpointName, Revision, Route, Settings, WHOLE};
use crate::judge::Finding;
use crate::name::Name;
use crate::observed::Observed;
use crate::registry::{Digest, Reference};
use crate::rollout::readiness::{Readiness, readiness};
use crate::rollout::{Intent, Phase, Progress, Rollout, Step, Strategy, Verb, plan};
use crate::state::State;

mod past;

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointItem {
    /// What it is called, and where.
    pub endpoint: EndpointName,
    /// What is said of it.
    pub settings: Settings,
    /// The entry that last changed that.
    pub edited: u64,
    /// When it was made.
    #[serde(
        rename = "created_at",
        serialize_with = "time",
        deserialize_with = "from_time"
    )]
    pub created_at_us: i64,
    /// The revision that serves; 0 for none.
    pub live: u64,
    /// Its route, as text; empty for none.
    pub route: Arc<str>,
    /// Versions that answer or listen there, or are on their way.
    #[serde(default)]
    pub versions: Vec<Reference>,
    /// Whether its environment is protected.
    #[serde(default)]
    pub protected: bool,
    /// How many hosts serve it.
    pub hosts: u32,
    /// Those of them that are heard.
    pub heard: u32,
    /// What is under way.
    pub rollout: Option<RolloutItem>,
    /// Whether it can go back, and to what; absent where there is nothing.
    pub rollback: Option<ReadinessItem>,
    /// Versions that may not come back by a rollout.
    pub blocked: Vec<BlockItem>,
    /// Hosts that decided for themselves.
    pub overridden: Vec<OverrideItem>,
    /// What does not hold there now, worst first.
    #[serde(default)]
    pub alerts: Vec<AlertItem>,
}

/// Whether an endpoint can go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadinessItem {
    /// The revision that it would go back to.
    pub to: u64,
    /// Its route, as text.
    pub route: Arc<str>,
    /// How many hosts serve the endpoint.
    pub hosts: u32,
    /// Those that could switch this moment.
    pub warm: u32,
    /// Those that have checked the digests.
    pub verified: u32,
    /// Those that are not heard.
    pub silent: u32,
    /// How long the slowest that is heard will take, in milliseconds; null where nobody knows.
    pub eta_ms: Option<u64>,
}

/// A version that may not come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockItem {
    /// Which.
    pub version: Reference,
    /// Why.
    pub why: Arc<str>,
    /// Since when.
    #[serde(
        rename = "since",
        serialize_with = "time",
        deserialize_with = "from_time"
    )]
    pub at_us: i64,
    /// The revision that brought it.
    pub revision: u64,
}

/// A host's decision of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideItem {
    /// Which host.
    pub host: Name,
    /// What it was.
    pub kind: endpoint::OverrideKind,
    /// Who, in the host's words.
    pub who: Arc<str>,
    /// Why.
    pub why: Arc<str>,
    /// Whether it stands until somebody decides anew.
    pub stands: bool,
}

/// A revision of an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevisionItem {
    /// Its number.
    pub revision: u64,
    /// Its route.
    pub route: Route,
    /// The same as text.
    pub text: Arc<str>,
    /// When it was accepted.
    #[serde(rename = "at", serialize_with = "time", deserialize_with = "from_time")]
    pub at_us: i64,
    /// Who asked for it.
    pub caller: Arc<str>,
    /// Why.
    pub why: Arc<str>,
    /// What became of it: underway, promoted, rolled_back, aborted.
    pub fate: Arc<str>,
    /// Why, where there is a reason.
    pub fate_why: Arc<str>,
    /// The entry that accepted it.
    pub journal: u64,
}

/// A rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutItem {
    /// Of which endpoint.
    pub endpoint: EndpointName,
    /// The revision that it leads to.
    pub revision: u64,
    /// Back to an earlier revision, or on to something new.
    pub verb: Verb,
    /// The route before; null before the first.
    pub before: Option<Arc<str>>,
    /// The route after.
    pub after: Arc<str>,
    /// How.
    pub strategy: Strategy,
    /// The plan's hash.
    pub plan: Digest,
    /// When it was accepted.
    #[serde(rename = "at", serialize_with = "time", deserialize_with = "from_time")]
    pub at_us: i64,
    /// Who asked for it.
    #[serde(default)]
    pub asked_by: Arc<str>,
    /// Why, in their words.
    #[serde(default)]
    pub asked_why: Arc<str>,
    /// Who said yes to it, of how many; null where nobody was asked.
    #[serde(default)]
    pub approvals: Option<ApprovalsItem>,
    /// Where it is, in a word.
    pub phase: Arc<str>,
    /// Why it is there, where there is a reason.
    pub why: Arc<str>,
    /// Since when.
    #[serde(
        rename = "since",
        serialize_with = "time",
        deserialize_with = "from_time"
    )]
    pub since_us: i64,
    /// The step that it is at, from 1; 0 for none.
    pub step: u32,
    /// How many steps it has.
    pub steps: u32,
    /// Its steps, in order.
    #[serde(default)]
    pub path: Vec<StepItem>,
    /// Whether it is over.
    pub is_over: bool,
    /// Until when it has to be confirmed.
    #[serde(rename = "confirm_by", with = "some_time", default)]
    pub confirm_by_us: Option<i64>,
    /// How many hosts are where they should be.
    pub confirmed: u32,
    /// How many there are.
    pub hosts: u32,
    /// Those that are not, as far as they are named.
    pub missing: Vec<Name>,
    /// Those of them that say that they cannot, while it is under way.
    #[serde(default)]
    pub failed: Vec<FailedItem>,
    /// How long the slowest switch took, in microseconds.
    pub slowest_us: Option<u64>,
    /// What was last concluded.
    pub finding: Option<Finding>,
    /// Every passage from one phase to the next, oldest first.
    pub trail: Vec<TraceItem>,
}

/// How far a plan is with those who have to say yes to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalsItem {
    /// How many have.
    pub have: u32,
    /// How many have to.
    pub of: u32,
    /// Who did, in order.
    pub by: Vec<Arc<str>>,
}

/// A step of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepItem {
    /// What sets it apart, in a word or two: `5%`, `25% of hosts`, `shadow 20%`.
    pub what: Arc<str>,
    /// Seconds that it is watched before it is judged; 0 for not at all.
    pub bake_s: u32,
}

/// A host that cannot do what a rollout wants of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedItem {
    /// Which host.
    pub host: Name,
    /// Why, in its words.
    pub why: Arc<str>,
}

/// A passage from one phase to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceItem {
    /// When.
    #[serde(rename = "at", serialize_with = "time", deserialize_with = "from_time")]
    pub at_us: i64,
    /// Who.
    pub caller: Arc<str>,
    /// To where, in words.
    pub phase: Arc<str>,
    /// Why, where there is a reason.
    pub why: Arc<str>,
    /// How many hosts were where they should be.
    pub confirmed: u32,
    /// How many there were.
    pub hosts: u32,
    /// What was concluded.
    pub finding: Option<Finding>,
    /// The entry.
    pub journal: u64,
}

/// A plan, as it is looked at before it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanItem {
    /// Of which endpoint.
    pub endpoint: EndpointName,
    /// Its hash; null where nothing is to be changed.
    pub hash: Option<Digest>,
    /// Whether nothing is to be changed.
    pub no_change: bool,
    /// The plan itself, to be sent back as it is.
    pub plan: Option<crate::rollout::Plan>,
    /// Its steps in words.
    pub steps: Vec<Arc<str>>,
    /// Whether hosts are ready for it now.
    pub readiness: Option<ReadinessItem>,
    /// Whether the environment is protected.
    pub protected: bool,
}

/// Recent inputs replayed through a version, against what they were answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofItem {
    /// Of which endpoint.
    pub endpoint: Arc<str>,
    /// Through which version.
    pub version: Arc<str>,
    /// Hosts that were asked.
    pub hosts: u32,
    /// Those that replayed something.
    pub answered: u32,
    /// Pairs of answers that were compared.
    pub compared: u64,
    /// Those of one class.
    pub same_class: u64,
    /// Replays that failed.
    pub failed: u64,
    /// Of the largest difference of each pair, by decade: below 1e-9, from 1e-9, …, from 1e6 or no
    /// number.
    pub decades: Vec<u64>,
    /// Why hosts had nothing to compare, the first of each reason.
    pub reasons: Vec<Arc<str>>,
}

impl EndpointItem {
    /// The row of an endpoint.
    pub fn of(state: &State, observed: &Observed, endpoint: &Endpoint, now_us: i64) -> Self {
        let served = |(_, host): &(&Name, &Arc<crate::host::Host>)| endpoint.is_served_by(host);
        let (mut hosts, mut heard) = (0, 0);
        for (name, _) in state.hosts.iter().filter(served) {
            hosts += 1;
            heard += u32::from(observed.commanding(name).is_some());
        }
        let rollout = endpoint.rollout.as_deref();
        let readiness = readiness(state, observed, endpoint);
        let coming = rollout.map(|rollout| &rollout.plan.intent.after);
        let routes = endpoint.route().into_iter().chain(coming);
        let mut versions: Vec<Reference> = routes.flat_map(Route::all_versions).cloned().collect();
        versions.sort();
        versions.dedup();
        Self {
            endpoint: endpoint.name.clone(),
            settings: Settings::clone(&endpoint.settings),
            edited: endpoint.edited,
            created_at_us: endpoint.created_at_us,
            live: endpoint.live,
            route: endpoint
                .route()
                .map(Route::to_string)
                .unwrap_or_default()
                .into(),
            versions,
            protected: plan::is_protected(state, endpoint),
            hosts,
            heard,
            rollout: rollout.map(|rollout| RolloutItem::live(state, observed, endpoint, rollout)),
            rollback: readiness.and_then(|readiness| ReadinessItem::of(endpoint, &readiness)),
            blocked: endpoint.blocked.iter().map(BlockItem::of).collect(),
            overridden: endpoint.overridden.iter().map(OverrideItem::of).collect(),
            alerts: alerts(state, endpoint, now_us),
        }
    }
}

/// What does not hold at an endpoint now, worst first.
fn alerts(state: &State, endpoint: &Endpoint, now_us: i64) -> Vec<AlertItem> {
    let open = state.alerts.open.values();
    let of = open.filter(|alert| alert.endpoint == endpoint.name);
    let mut alerts: Vec<AlertItem> = of
        .map(|alert| AlertItem::of(state, alert, now_us))
        .collect();
    alerts.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.alert));
    alerts
}

impl ReadinessItem {
    /// The row of a readiness.
    pub fn of(endpoint: &Endpoint, readiness: &Readiness) -> Option<Self> {
        let revision = endpoint.revision(readiness.to)?;
        Some(Self {
            to: readiness.to,
            route: revision.route.to_string().into(),
            hosts: readiness.hosts,
            warm: readiness.warm,
            verified: readiness.verified,
            silent: readiness.silent,
            eta_ms: readiness.eta_ms,
        })
    }
}

impl BlockItem {
    fn of((version, block): (&Reference, &endpoint::Block)) -> Self {
        Self {
            version: version.clone(),
            why: block.why.clone(),
            at_us: block.at_us,
            revision: block.revision,
        }
    }
}

impl OverrideItem {
    fn of((host, one): (&Name, &Arc<endpoint::Overridden>)) -> Self {
        Self {
            host: host.clone(),
            kind: one.told.kind,
            who: one.told.who.as_str().into(),
            why: one.told.why.as_str().into(),
            stands: one.stands,
        }
    }
}

impl RevisionItem {
    /// The row of a revision.
    pub fn of(revision: &Revision) -> Self {
        Self {
            revision: revision.number,
            route: revision.route.clone(),
            text: revision.route.to_string().into(),
            at_us: revision.at_us,
            caller: revision.caller.to_string().into(),
            why: revision.why.clone(),
            fate: revision.fate.word().into(),
            fate_why: revision.fate.why().into(),
            journal: revision.sequence,
        }
    }
}

impl RolloutItem {
    /// The row of a rollout that is under way.
    pub fn live(
        state: &State,
        observed: &Observed,
        endpoint: &Endpoint,
        rollout: &Rollout,
    ) -> Self {
        let progress = Progress::of(state, observed, endpoint, rollout);
        let key = (endpoint.name.clone(), endpoint.stamp);
        let judged = observed.judgements().get(&key);
        Self {
            confirmed: progress.arrived.len() as u32,
            hosts: progress.hosts() as u32,
            missing: progress
                .missing()
                .take(crate::rollout::MAX_NAMED)
                .cloned()
                .collect(),
            failed: progress
                .failed
                .iter()
                .take(crate::rollout::MAX_NAMED)
                .map(|(host, why)| FailedItem {
                    host: host.clone(),
                    why: why.clone(),
                })
                .collect(),
            slowest_us: progress.slowest_us,
            finding: judged.map(|judgement| judgement.finding.clone()),
            ..Self::past(endpoint, rollout)
        }
    }

    /// The row of one that is over: what its last entry says.
    pub fn past(endpoint: &Endpoint, rollout: &Rollout) -> Self {
        let intent = &rollout.plan.intent;
        let last = rollout.trail.last().map(|trace| &trace.moved);
        let text = |route: &Route| Arc::<str>::from(route.to_string());
        // What pre-empted it says why, and not its own last entry.
        let asked = endpoint.revision(rollout.revision);
        let fate = asked.map(|revision| &revision.fate);
        let is_over = rollout.phase.is_end() || fate != Some(&endpoint::Fate::Underway);
        let (phase, why) = match fate {
            Some(fate) if is_over => (fate.word(), fate.why()),
            Some(_) | None => (rollout.phase.word(), rollout.phase.why()),
        };
        let step = rollout.phase.step(intent.steps.len());
        Self {
            endpoint: endpoint.name.clone(),
            revision: rollout.revision,
            verb: intent.verb,
            before: intent.before.as_ref().map(text),
            after: text(&intent.after),
            strategy: intent.strategy.clone(),
            plan: rollout.hash(),
            at_us: rollout.at_us,
            asked_by: asked.map_or_else(|| "".into(), |of| of.caller.to_string().into()),
            asked_why: asked.map_or_else(|| "".into(), |of| of.why.clone()),
            approvals: ApprovalsItem::of(rollout),
            phase: phase.into(),
            why: why.into(),
            since_us: rollout.since_us,
            step: step.map_or(0, |step| step as u32 + 1),
            steps: intent.steps.len() as u32,
            path: intent
                .steps
                .iter()
                .map(|step| StepItem::of(step, intent))
                .collect(),
            is_over,
            confirm_by_us: rollout.deadline_us(),
            confirmed: last.map_or(0, |moved| moved.confirmed),
            hosts: last.map_or(0, |moved| moved.hosts),
            missing: last.map(|moved| moved.missing.clone()).unwrap_or_default(),
            failed: Vec::new(),
            slowest_us: last.and_then(|moved| moved.slowest_us),
            finding: rollout
                .trail
                .iter()
                .rev()
                .find_map(|trace| trace.moved.finding.clone()),
            trail: rollout
                .trail
                .iter()
                .map(|trace| TraceItem::of(trace))
                .collect(),
        }
    }
}

impl ApprovalsItem {
    fn of(rollout: &Rollout) -> Option<Self> {
        let by: Vec<Arc<str>> = rollout
            .approvals()
            .map(|yes| yes.caller.to_string().into())
            .collect();
        let have = by.len() as u32;
        // It began once all had said yes.
        let mut of = have;
        if let Phase::Awaiting { of: all, .. } = rollout.phase {
            of = all.into();
        }
        (of > 0).then_some(Self { have, of, by })
    }
}

impl StepItem {
    fn of(step: &Step, intent: &Intent) -> Self {
        use crate::endpoint::route::percent;

        let is_fresh = |version: &Reference| intent.fresh().any(|fresh| fresh == version);
        let parts = step.route.parts();
        let splits = parts.versions.iter();
        let splits = splits.filter(|split| is_fresh(&split.version));
        let answered: u32 = splits.map(|split| split.weight).sum();
        let listening = parts
            .shadows
            .iter()
            .find(|shadow| is_fresh(&shadow.version));
        let what = match (step.hosts, answered, listening) {
            (hosts, ..) if hosts < WHOLE => format!("{} of hosts", percent(hosts.into())),
            (_, 0, Some(shadow)) => format!("shadow {}", percent(shadow.share.into())),
            // Nothing in it is new: it is all that is wanted.
            (_, 0, None) => percent(WHOLE.into()),
            (_, answered, _) => percent(answered.into()),
        };
        Self {
            what: what.into(),
            bake_s: step.bake_s,
        }
    }
}

impl TraceItem {
    fn of(trace: &crate::rollout::Trace) -> Self {
        let moved = &trace.moved;
        Self {
            at_us: trace.at_us,
            caller: trace.caller.to_string().into(),
            phase: moved.to.to_string().into(),
            why: moved.to.why().into(),
            confirmed: moved.confirmed,
            hosts: moved.hosts,
            finding: moved.finding.clone(),
            journal: trace.sequence,
        }
    }
}

/// A step in words: `10% of the requests for 5m`.
pub fn step_in_words(step: &Step) -> String {
    use crate::endpoint::{WHOLE, route::percent};
    use crate::rollout::strategy::span;

    let hosts = match step.hosts {
        WHOLE => String::new(),
        share => format!(" on {} of the hosts", percent(share.into())),
    };
    let bake = match step.bake_s {
        0 => String::new(),
        bake_s => format!(", watched for {}, then judged", span(bake_s)),
    };
    format!("{}{hosts}{bake}", step.route)
}

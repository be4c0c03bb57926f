//! Plans: what is intended, whole, and the hash that stands for it.
//!
//! A plan is made from what is asked and from the state, and made again when it is to run: only
//! where both come to the same hash is it what somebody looked at. What is hashed is the intent;
//! which hosts are ready at the moment, and how long it will take, are shown beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Rollout;
use super::strategy::{Step, Strategy};
use crate::endpoint::{Endpoint, EndpointName, Refusal, Route};
use crate::host::Labels;
use crate::registry::{self, Digest, Object, Objectives, Reference, Standing};
use crate::state::State;

/// How long a plan may be looked at before it has to be made again.
pub const EXPIRES_US: i64 = 5 * 60 * 1_000_000;
/// Within which a change that nothing judges has to be confirmed, unless somebody says.
pub const CONFIRM_WITHIN_S: u32 = 600;
/// The least and the most that one may give oneself to confirm: a look, and a working day.
pub const CONFIRM_S: std::ops::RangeInclusive<u32> = 20..=8 * 3_600;
/// What the hash begins with: another release that hashes other things says so here.
const DOMAIN: &[u8] = b"binnacle.plan/v1\n";

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Of which endpoint.
    pub endpoint: EndpointName,
    /// What it is to become.
    pub want: Want,
    /// How; absent for the usual way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Within how many seconds it has to be confirmed; 0 for never, absent for the usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within_s: Option<u32>,
    /// A deploy says nothing of a sticky header: that of what serves now stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_sticky: bool,
}

/// What an endpoint is to become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// This route, by a new revision.
    Deploy(Route),
    /// What it was at an earlier revision; absent for the last that was good.
    Rollback(Option<u64>),
}

/// What kind of passage it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// To something new.
    Deploy,
    /// Back to what was promoted as this revision: no steps, nothing judged.
    Rollback(u64),
}

/// All that is intended: what the hash covers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// What kind of passage.
    pub verb: Verb,
    /// Of which endpoint.
    pub endpoint: EndpointName,
    /// The last revision when this was made; 0 before the first.
    pub base: u64,
    /// The route that serves; absent before the first.
    pub before: Option<Route>,
    /// The route that is to serve.
    pub after: Route,
    /// The files of all versions in both, where the registry knows them.
    pub digests: BTreeMap<Reference, Digest>,
    /// How it was asked for.
    pub strategy: Strategy,
    /// What that comes to.
    pub steps: Vec<Step>,
    /// What must hold on the way.
    pub objectives: Objectives,
    /// Requests that a verdict needs.
    pub min_requests: u32,
    /// Seconds after which a rollout that is held goes back.
    pub hold_at_most_s: u32,
    /// Seconds within which it has to be confirmed; 0 for never.
    pub confirm_within_s: u32,
    /// Of 10,000 hosts, those that may be missing.
    pub may_be_missing: u32,
    /// Which hosts.
    pub selector: Labels,
}

/// An intent, its hash, and when it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// SHA-256 over the intent's canonical bytes.
    pub hash: Digest,
    /// When it was made.
    pub made_at_us: i64,
    /// What is intended.
    pub intent: Intent,
}

impl Plan {
    /// The plan that `ask` comes to; `None` where it is so already.
    pub fn make(state: &State, ask: &Ask, now_us: i64) -> Result<Option<Self>, Refusal> {
        let endpoint = state.endpoints.get(&ask.endpoint);
        let endpoint = endpoint.ok_or_else(|| Refusal::Unknown(ask.endpoint.clone()))?;
        let (verb, after) = match &ask.want {
            Want::Deploy(route) => {
                let before = endpoint.route().filter(|_| ask.keeps_sticky);
                let kept = before.map(|before| route.keeping_sticky(before));
                (Verb::Deploy, kept.unwrap_or_else(|| route.clone()))
            }
            Want::Rollback(to) => target(endpoint, *to)?,
        };
        let is_underway = endpoint.moving().is_some();
        match verb {
            Verb::Deploy => deployable(state, endpoint, &after, now_us)?,
            Verb::Rollback(_) => known(state, &after)?,
        }
        if !is_underway && endpoint.route() == Some(&after) {
            return Ok(None);
        }
        if !state.hosts.values().any(|host| endpoint.is_served_by(host)) {
            return Err(Refusal::NoHosts(endpoint.name.clone()));
        }
        let intent = intent(state, endpoint, ask, verb, after)?;
        Ok(Some(Self {
            hash: intent.hash(),
            made_at_us: now_us,
            intent,
        }))
    }

    /// Whether it may run as it is: it is not too old, it is made on the last revision, and it
    /// comes to the same when it is made again.
    pub fn check(&self, state: &State, now_us: i64) -> Result<(), Refusal> {
        let intent = &self.intent;
        if self.hash != intent.hash() {
            return Err(Refusal::PlanDamaged);
        }
        // One from the future was made by another clock: it cannot be told how old it is.
        if !(0..=EXPIRES_US).contains(&(now_us - self.made_at_us)) {
            return Err(Refusal::PlanExpired);
        }
        let endpoint = state.endpoints.get(&intent.endpoint);
        let endpoint = endpoint.ok_or_else(|| Refusal::Unknown(intent.endpoint.clone()))?;
        if intent.base != endpoint.latest() {
            return Err(Refusal::OlderRevision {
                endpoint: endpoint.name.clone(),
                base: intent.base,
                latest: endpoint.latest(),
            });
        }
        let again = Self::make(state, &intent.ask(), now_us)?;
        match again.is_some_and(|again| again.hash == self.hash) {
            true => Ok(()),
            false => Err(Refusal::PlanChanged(endpoint.name.clone())),
        }
    }
}

impl Intent {
    /// SHA-256 over its canonical bytes: the document with its fields in their one order.
    pub fn hash(&self) -> Digest {
        let bytes = serde_json::to_vec(self).expect("an intent has string keys and no floats");
        Digest(
            Sha256::new()
                .chain_update(DOMAIN)
                .chain_update(bytes)
                .finalize()
                .into(),
        )
    }

    /// What was asked for.
    pub fn ask(&self) -> Ask {
        Ask {
            endpoint: self.endpoint.clone(),
            want: match self.verb {
                Verb::Deploy => Want::Deploy(self.after.clone()),
                Verb::Rollback(to) => Want::Rollback(Some(to)),
            },
            strategy: Some(self.strategy.clone()),
            confirm_within_s: Some(self.confirm_within_s),
            keeps_sticky: false,
        }
    }

    /// Whether it goes back to what was good before.
    pub fn is_rollback(&self) -> bool {
        matches!(self.verb, Verb::Rollback(_))
    }

    /// Versions that it brings: what is judged, and what is blocked if it was bad.
    pub fn fresh(&self) -> impl Iterator<Item = &Reference> {
        let was_there = |version: &&Reference| {
            let before = self.before.as_ref();
            before.is_some_and(|route| route.answers(version))
        };
        self.after
            .versions()
            .filter(move |version| !was_there(version))
    }

    /// How many of `hosts` may be missing.
    pub fn may_miss(&self, hosts: usize) -> usize {
        hosts * self.may_be_missing as usize / crate::endpoint::WHOLE as usize
    }
}

fn intent(
    state: &State,
    endpoint: &Endpoint,
    ask: &Ask,
    verb: Verb,
    after: Route,
) -> Result<Intent, Refusal> {
    let before = endpoint.route().cloned();
    let settings = &endpoint.settings;
    let strategy = match verb {
        Verb::Rollback(_) => Strategy::AllAtOnce,
        Verb::Deploy => match &ask.strategy {
            Some(strategy) => strategy.clone(),
            None if before.is_some() => "canary".parse().expect("the usual way is a strategy"),
            None => Strategy::AllAtOnce,
        },
    };
    let is_unguarded = verb == Verb::Deploy && before.is_some() && !strategy.is_judged();
    let confirm_within_s = match ask.confirm_within_s {
        _ if matches!(verb, Verb::Rollback(_)) || before.is_none() => 0,
        None if is_unguarded => CONFIRM_WITHIN_S,
        None | Some(0) => 0,
        Some(within) if CONFIRM_S.contains(&within) => within,
        Some(asked) => return Err(Refusal::ConfirmWithin { asked }),
    };
    if is_protected(state, endpoint) && verb == Verb::Deploy {
        if settings.objectives.is_empty() {
            return Err(Refusal::NoObjectives(endpoint.name.clone()));
        }
        if is_unguarded && confirm_within_s == 0 {
            return Err(Refusal::Unguarded(endpoint.name.clone()));
        }
    }
    let steps = strategy.steps(before.as_ref(), &after);
    let versions = before.iter().flat_map(Route::all_versions);
    let versions = versions.chain(after.all_versions());
    let digest = |version: &Reference| {
        let files = state.registry.version(version)?.artifact?;
        Some((version.clone(), files.sha256))
    };
    Ok(Intent {
        verb,
        endpoint: endpoint.name.clone(),
        base: endpoint.latest(),
        digests: versions.filter_map(digest).collect(),
        before,
        after,
        strategy,
        steps,
        objectives: settings.objectives.clone(),
        min_requests: settings.policy.min_requests,
        hold_at_most_s: settings.policy.hold_at_most_s,
        confirm_within_s,
        may_be_missing: settings.policy.may_be_missing,
        selector: settings.selector.clone(),
    })
}

/// The route that a rollback goes to.
fn target(endpoint: &Endpoint, to: Option<u64>) -> Result<(Verb, Route), Refusal> {
    use crate::endpoint::Fate;

    let nothing = || Refusal::NothingToRollBackTo(endpoint.name.clone());
    let revision = match to {
        // What is on its way is taken back first.
        None if endpoint.moving().is_some() => endpoint.revision(endpoint.live),
        None => endpoint.last_good(),
        Some(number) => {
            let found = endpoint.revision(number);
            Some(found.ok_or_else(|| Refusal::UnknownRevision {
                endpoint: endpoint.name.clone(),
                number,
                latest: endpoint.latest(),
            })?)
        }
    };
    let revision = revision.ok_or_else(nothing)?;
    match &revision.fate {
        Fate::Promoted => Ok((Verb::Rollback(revision.number), revision.route.clone())),
        Fate::Underway | Fate::RolledBack(_) | Fate::Aborted(_) => Err(Refusal::NeverServed {
            endpoint: endpoint.name.clone(),
            number: revision.number,
            fate: revision.fate.word(),
        }),
    }
}

/// Whether a new route may come to an endpoint.
fn deployable(
    state: &State,
    endpoint: &Endpoint,
    route: &Route,
    now_us: i64,
) -> Result<(), Refusal> {
    if let Some(rollout) = &endpoint.rollout {
        return Err(underway(endpoint, rollout));
    }
    let environment = &endpoint.name.environment;
    if let Some(frozen) = state.registry.frozen(environment, now_us) {
        return Err(Refusal::Frozen(frozen));
    }
    known(state, route)?;
    for version in route.all_versions() {
        let objects = [
            Object::Version(version.clone()),
            Object::Model(version.name.clone()),
        ];
        for object in objects {
            if let Some(Standing::Deprecated(why)) = state.registry.standing(&object) {
                return Err(Refusal::Deprecated(object, why.why.to_string()));
            }
        }
        let registered = state.registry.version(version);
        if registered.is_some_and(|version| version.manifest().is_some()) {
            return Err(Refusal::Folder(version.clone()));
        }
        if let Some(block) = endpoint.blocked.get(version) {
            return Err(Refusal::Blocked {
                endpoint: endpoint.name.clone(),
                version: version.clone(),
                why: block.why.to_string(),
            });
        }
    }
    Ok(())
}

/// Something is under way already.
pub(crate) fn underway(endpoint: &Endpoint, rollout: &Rollout) -> Refusal {
    Refusal::Underway {
        endpoint: endpoint.name.clone(),
        revision: rollout.revision,
        phase: rollout.phase.to_string(),
    }
}

/// Whether the registry knows every version of a route.
fn known(state: &State, route: &Route) -> Result<(), Refusal> {
    let unknown = |version: &&Reference| state.registry.version(version).is_none();
    match route.all_versions().find(unknown) {
        None => Ok(()),
        Some(version) => {
            let object = Object::Version(version.clone());
            Err(registry::command::unknown(object).into())
        }
    }
}

/// How many people have to say yes to a plan before it begins; a rollback asks nobody.
pub(crate) fn approvals(state: &State, intent: &Intent) -> u8 {
    let environment = state
        .registry
        .environments
        .get(&intent.endpoint.environment);
    match environment {
        Some(environment) if !intent.is_rollback() => environment.rules.approvals,
        Some(_) | None => 0,
    }
}

/// Whether the endpoint's environment is protected.
pub fn is_protected(state: &State, endpoint: &Endpoint) -> bool {
    let environment = state.registry.environments.get(&endpoint.name.environment);
    environment.is_some_and(|environment| environment.rules.protected)
}

//! What is wanted of hosts for an endpoint: a route, the switch on it, versions kept near.
//!
//! Computed from the state, never stored. One duty is shared by all hosts that have it: there are
//! at most two at a time, for the hosts that a step takes in and for those that it leaves out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Phase, Rollout};
use crate::endpoint::{Endpoint, EndpointName, Overridden, Route};
use crate::host::{Host, Membership};
use crate::name::Name;
use crate::registry::{Digest, Reference, Role};
use crate::served::Stamp;
use crate::state::{Assignment, Duty, State};

/// What a host does for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointDuty {
    /// Which endpoint.
    pub endpoint: EndpointName,
    /// The route, and which it is; `None` where nothing serves yet.
    pub route: Option<(Stamp, Route)>,
    /// What happens when nobody confirms.
    pub dead_man: Option<DeadMan>,
    /// Versions that the host keeps loaded and warm for it.
    pub versions: Vec<WantedVersion>,
    /// Recent inputs that it keeps, to be replayed.
    pub keep_inputs: u16,
}

/// What happens to an endpoint when nobody confirms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadMan {
    /// Which route it goes back to.
    pub stamp: Stamp,
    /// The route.
    pub route: Route,
    /// Counted by the host from when it takes up the new one.
    pub after_ms: u64,
}

/// A version that a host keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedVersion {
    /// Which.
    pub version: Reference,
    /// Its files in the hub's store; `None` where the server has them already.
    pub files: Option<(Digest, u64)>,
    /// How they are laid out; empty where nobody said.
    pub format: Arc<str>,
    /// What its inputs are held against, where that is known.
    pub inputs: Option<Inputs>,
    /// What its answers are.
    pub outputs: Option<Outputs>,
    /// Its golden requests in the hub's store, where it has any.
    pub golden: Option<Digest>,
}

/// What a version's inputs look like: where it was trained on a data set with a profile, and is
/// given a feature set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// The data set.
    pub data_set: Reference,
    /// Its profile, in the hub's store.
    pub profile: Digest,
    /// The feature vector in order.
    pub features: Arc<[Arc<str>]>,
}

/// What a version's answers look like: where what it answered before it served is a data set with
/// a profile, a column for each output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outputs {
    /// The data set.
    pub data_set: Reference,
    /// Its profile, in the hub's store.
    pub profile: Digest,
}

/// All that one host does for endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// For each.
    pub endpoints: Vec<Arc<EndpointDuty>>,
    /// Local decisions that it is told to let go of.
    pub supersedes: Vec<[u8; 16]>,
}

impl Work {
    /// Versions over all endpoints, each once: those first that matter most to one.
    pub fn versions(&self) -> Vec<&WantedVersion> {
        let each = self.endpoints.iter();
        let each = each.flat_map(|duty| duty.versions.iter().enumerate());
        let mut versions: Vec<(usize, &WantedVersion)> = each.collect();
        versions.sort_by_key(|(at, wanted)| (&wanted.version, *at));
        versions.dedup_by_key(|(_, wanted)| &wanted.version);
        versions.sort_by_key(|(at, wanted)| (*at, &wanted.version));
        versions.into_iter().map(|(_, wanted)| wanted).collect()
    }
}

/// The generation that a host is to follow.
pub fn generation(state: &State, host: &Host) -> u64 {
    let endpoints = state.endpoints.of_host(&host.admission);
    let rises = endpoints.map(|endpoint| endpoint.generation);
    match host.membership {
        Membership::Member => rises.fold(host.generation, u64::max),
        Membership::Retired { .. } => host.generation,
    }
}

/// Works out what is wanted of one host after the other, and shares what is the same.
#[derive(Debug)]
pub struct Desk<'a> {
    state: &'a State,
    duties: HashMap<(&'a EndpointName, bool), Arc<EndpointDuty>>,
}

impl<'a> Desk<'a> {
    /// Over one state.
    pub fn new(state: &'a State) -> Self {
        Self {
            state,
            duties: HashMap::new(),
        }
    }

    /// What is wanted of `host`; `None` for one that was never admitted.
    pub fn wanted(&mut self, name: &Name) -> Option<Assignment> {
        let host: &'a Host = self.state.hosts.get(name)?;
        let duty = match (&host.membership, &host.drained) {
            (Membership::Member, None) => Duty::Serve,
            (Membership::Member, Some(why)) => Duty::Drain(why.clone()),
            (Membership::Retired { why, .. }, _) => Duty::Leave(why.clone()),
        };
        let mut work = Work::default();
        let mut generation = host.generation;
        if !matches!(duty, Duty::Leave(_)) {
            for endpoint in self.state.endpoints.of_host(&host.admission) {
                generation = generation.max(endpoint.generation);
                work.endpoints.push(self.duty(endpoint, name));
                let own = endpoint.overridden.get(name);
                if let Some(one) = own.filter(|one| is_released(endpoint, one)) {
                    work.supersedes.push(one.told.id);
                }
            }
        }
        Some(Assignment {
            generation,
            duty,
            work,
        })
    }

    fn duty(&mut self, endpoint: &'a Endpoint, host: &Name) -> Arc<EndpointDuty> {
        let is_taken_in = is_taken_in(endpoint, host);
        let duty = self.duties.entry((&endpoint.name, is_taken_in));
        let duty = duty.or_insert_with(|| Arc::new(of(self.state, endpoint, is_taken_in)));
        duty.clone()
    }
}

/// Whether a host is one of those that the step under way has come to.
fn is_taken_in(endpoint: &Endpoint, host: &Name) -> bool {
    let rollout = endpoint.rollout.as_ref();
    let through = rollout
        .filter(|rollout| rollout.step().is_some())
        .and_then(|rollout| rollout.through.as_ref());
    through.is_none_or(|last| host <= last)
}

/// Which route a host is to have; revision 0 for none.
pub(crate) fn stamp(endpoint: &Endpoint, host: &Name) -> Stamp {
    match &endpoint.rollout {
        Some(rollout) if !is_taken_in(endpoint, host) => rollout.base,
        Some(_) | None => endpoint.stamp,
    }
}

/// What an endpoint wants of the hosts that a step takes in, or of the others.
pub(crate) fn of(state: &State, endpoint: &Endpoint, is_taken_in: bool) -> EndpointDuty {
    let (route, dead_man) = routed(endpoint, is_taken_in);
    EndpointDuty {
        endpoint: endpoint.name.clone(),
        route: route.map(|(stamp, route)| (stamp, route.clone())),
        dead_man,
        versions: near(endpoint)
            .into_iter()
            .map(|version| wanted_version(state, version))
            .collect(),
        keep_inputs: endpoint
            .settings
            .kept_inputs(super::plan::is_protected(state, endpoint)),
    }
}

/// The route of the hosts that a step takes in, or of the others, and the switch on it.
fn routed(endpoint: &Endpoint, is_taken_in: bool) -> (Option<(Stamp, &Route)>, Option<DeadMan>) {
    let rollout = endpoint.rollout.as_deref();
    let step = rollout.filter(|_| is_taken_in).and_then(Rollout::step);
    let stamp = match rollout {
        Some(rollout) if !is_taken_in => rollout.base,
        Some(_) | None => endpoint.stamp,
    };
    let route = match step {
        Some(step) => Some(&step.route),
        None => endpoint.route(),
    };
    let back = rollout.filter(|_| step.is_some()).and_then(|rollout| {
        Some(DeadMan {
            stamp: rollout.base,
            route: rollout.plan.intent.before.clone()?,
            after_ms: u64::from(rollout.dead_man_s()?) * 1_000,
        })
    });
    (route.map(|route| (stamp, route)), back)
}

/// Whether hosts have to be told something new of an endpoint, but for its settings: most passages
/// of a rollout are nothing to them.
pub(crate) fn is_news(before: &Endpoint, after: &Endpoint) -> bool {
    routed(before, true) != routed(after, true)
        || left_out(before) != left_out(after)
        || near(before) != near(after)
        || released(before) != released(after)
}

/// The last host that a step takes in, and what the others are to do; `None` where it takes in
/// all.
fn left_out(endpoint: &Endpoint) -> Option<(&Name, Option<(Stamp, &Route)>)> {
    let rollout = endpoint.rollout.as_deref()?;
    rollout.step()?;
    let last = rollout.through.as_ref()?;
    Some((last, routed(endpoint, false).0))
}

/// Local decisions that hosts are told to let go of.
fn released(endpoint: &Endpoint) -> Vec<(&Name, [u8; 16])> {
    let overridden = endpoint.overridden.iter();
    let released = overridden.filter(|(_, one)| is_released(endpoint, one));
    released.map(|(host, one)| (host, one.told.id)).collect()
}

/// Whether a host is to let go of what it decided. Not while what it left goes on: it would serve
/// that again for the moment until the rollout goes back as well.
fn is_released(endpoint: &Endpoint, one: &Overridden) -> bool {
    let goes_on = endpoint.rollout.as_ref().is_some_and(|rollout| {
        rollout.step().is_some() && rollout.revision == one.told.from.revision
    });
    !one.stands && !goes_on
}

/// Versions that every host of an endpoint keeps loaded and warm, each once and in this order: of
/// what is on its way, of what serves, and of the revisions that one would go back to, so that
/// going back is a switch and not a load. Where memory does not do for all, the last ones go.
pub(crate) fn near(endpoint: &Endpoint) -> Vec<Reference> {
    let coming = endpoint.rollout.as_ref();
    let coming = coming.filter(|rollout| is_coming(&rollout.phase));
    let coming = coming.into_iter().flat_map(|rollout| {
        let steps = rollout.plan.intent.steps.iter();
        steps.map(|step| &step.route)
    });
    let mut back: Vec<&Route> = Vec::new();
    let most = usize::from(endpoint.settings.policy.keep_warm);
    for revision in endpoint.good() {
        if back.len() >= most {
            break;
        }
        if !back.contains(&&revision.route) {
            back.push(&revision.route);
        }
    }
    let all = coming.chain(endpoint.route()).chain(back);
    let mut versions: Vec<Reference> = all.flat_map(Route::all_versions).cloned().collect();
    let mut seen = BTreeSet::new();
    versions.retain(|version| seen.insert(version.clone()));
    versions
}

/// Whether hosts are to have what it brings: not before it may, and not when it is given up.
fn is_coming(phase: &Phase) -> bool {
    match phase {
        Phase::Awaiting { .. } | Phase::RollingBack(_) | Phase::Aborting(_) => false,
        Phase::RolledBack(_) | Phase::Aborted(_) => false,
        Phase::Preparing
        | Phase::Step(..)
        | Phase::Confirming
        | Phase::Pausing(_)
        | Phase::Paused(_)
        | Phase::Promoted => true,
    }
}

fn wanted_version(state: &State, version: Reference) -> WantedVersion {
    let registry = &state.registry;
    let files = registry.version(&version).and_then(|known| known.artifact);
    let format = files.and_then(|files| registry.format(files.format));
    WantedVersion {
        files: files
            .filter(|files| files.lie.is_stored())
            .map(|files| (files.sha256, files.bytes.get())),
        format: format.map_or("".into(), Name::shared),
        inputs: inputs(state, &version).ok(),
        outputs: outputs(state, &version),
        golden: registry.golden(&version).map(|golden| golden.sha256),
        version,
    }
}

/// What a version's answers are held against; `None` where nobody said what they are like.
pub fn outputs(state: &State, version: &Reference) -> Option<Outputs> {
    let (data_set, profile) = profile_of(state, version, Role::Predictions)?;
    Some(Outputs { data_set, profile })
}

/// Of several data sets in a role the first that has a profile.
fn profile_of(state: &State, version: &Reference, role: Role) -> Option<(Reference, Digest)> {
    let known = state.registry.version(version)?;
    let own = known.data_sets.iter().filter(|one| one.role == role);
    let mut profiles = own.filter_map(|one| {
        let profile = state.registry.data_set(&one.data_set)?.profile?;
        Some((one.data_set.clone(), profile))
    });
    profiles.next()
}

/// What a version's inputs are held against, or why they are held against nothing.
pub fn inputs(state: &State, version: &Reference) -> Result<Inputs, &'static str> {
    let registry = &state.registry;
    let known = registry.version(version).ok_or("it is not registered")?;
    let (data_set, profile) = profile_of(state, version, Role::Train)
        .ok_or("no data set with a profile is named as what it was trained on")?;
    let feature_set = known.feature_set.as_ref();
    let feature_set = feature_set.and_then(|set| registry.feature_set(set));
    let feature_set = feature_set.ok_or("no feature set is named for it")?;
    let features = feature_set.features.iter();
    Ok(Inputs {
        data_set,
        profile,
        features: features.map(|one| one.name.as_str().into()).collect(),
    })
}

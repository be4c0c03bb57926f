//! What a host has decided and done by itself, kept on disk: the routes that are live and were
//! before, dead-man's switches that are armed, and decisions that outrank the hub's.
//!
//! Pure but for reading and writing its file: the time is an argument. A deadline is a time
//! since the machine was started, with the name of that start: a clock that is set neither fires
//! nor stalls a switch, and a switch armed before the machine was started anew has expired.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Assignment, DeadMan, KeepError, OverrideId, Route, Version};
use crate::artifact::Digest;

/// The file in the data folder.
const FILE: &str = "standing.json";
/// Routes that were live before, kept for each endpoint: to roll back, and to roll that back.
const BEFORE_MOST: usize = 8;
/// Decisions that may stand at one time: one for each endpoint that a host can serve.
pub const OVERRIDES_MOST: usize = 1024;

/// What the host stands by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The routes that requests go by, by endpoint.
    pub live: BTreeMap<Arc<str>, Route>,
    /// What was live before, the last first.
    pub before: BTreeMap<Arc<str>, Vec<Route>>,
    /// Switches that are armed, by endpoint.
    pub switches: BTreeMap<Arc<str>, Switch>,
    /// Decisions that no assignment has superseded; at most one for each endpoint.
    pub overrides: BTreeMap<Arc<str>, Override>,
    /// Versions that serve, or that this agent has placed at the server.
    #[serde(default)]
    pub placed: Vec<PlacedVersion>,
}

/// A version at the server, as an agent that starts later must know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedVersion {
    /// Which.
    pub version: Version,
    /// What the server calls its model.
    pub upstream_model: Arc<str>,
    /// What the server calls the version.
    pub upstream_version: Arc<str>,
    /// This agent placed it, and may take it away.
    pub ours: bool,
    /// Of the bytes that lie in the repository.
    pub digest: Option<Digest>,
    /// Bytes of memory that the server grew by when it was loaded, where that is known.
    #[serde(default)]
    pub grew: Option<u64>,
}

/// A dead-man's switch that is armed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Of the route that waits to be confirmed.
    pub revision: u64,
    /// Of the same.
    pub step: u32,
    /// Which start of the machine `at` counts from.
    pub machine_boot: String,
    /// When it fires.
    pub at: Duration,
    /// What it goes back to.
    pub revert_to: Route,
}

/// A decision of the host itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// What names it.
    pub id: OverrideId,
    /// Whose route.
    pub endpoint: Arc<str>,
    /// What was live.
    pub from_revision: u64,
    /// Of the same.
    pub from_step: u32,
    /// What is to be.
    pub route: Route,
    /// By whom.
    pub kind: OverrideKind,
    /// Who it was; empty for nobody.
    pub who: String,
    /// Why.
    pub reason: String,
    /// By the wall clock.
    pub at_us: i64,
}

/// What brought a decision about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverrideKind {
    /// Somebody on the host.
    Local,
    /// Nobody confirmed in time.
    Unconfirmed,
}

/// The moment, on every clock that counts.
#[derive(Clone, Debug)]
pub struct Moment {
    /// What names this start of the machine.
    pub machine_boot: String,
    /// Since then.
    pub since_boot: Duration,
    /// The wall clock.
    pub wall_us: i64,
}

/// What somebody on the host asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// Of which endpoint.
    pub endpoint: String,
    /// To this version; none for what was live before.
    pub to: Option<String>,
    /// Who asks.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// Why there is no rolling back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRollback {
    /// Nothing is routed under that name.
    #[error("this host routes no endpoint {0:?}: `binnacle-agent status` shows those it does")]
    NoEndpoint(String),
    /// What could be gone back to does not serve here.
    #[error(
        "no earlier route of {0} is loaded here: name a version that is with --to, or see \
         `binnacle-agent status`"
    )]
    NothingReady(String),
    /// The named version does not serve here.
    #[error("{0} is not loaded here: `binnacle-agent status` shows what is")]
    NotReady(String),
    /// It is what is live.
    #[error("{0} goes there already")]
    Same(String),
    /// No reason was given.
    #[error("a rollback needs a reason")]
    NoReason,
    /// Too many decisions stand.
    #[error("this host has made {OVERRIDES_MOST} decisions that no hub knows: mend the hub first")]
    Many,
}

impl Standing {
    /// What is kept in `folder`; nothing at first.
    pub fn load(folder: &Path) -> Result<Self, KeepError> {
        super::read(folder, FILE)
    }

    /// Keeps it in `folder`, on the disk when this returns.
    pub fn keep(&self, folder: &Path) -> Result<(), KeepError> {
        super::write(folder, FILE, self)
    }

    /// Takes an assignment into account: what it supersedes is over, and a switch whose route it
    /// names without one is confirmed.
    pub fn heed(&mut self, assignment: &Assignment) {
        self.overrides
            .retain(|_, decided| !assignment.supersedes.contains(&decided.id));
        self.switches.retain(|name, switch| {
            let of = assignment.endpoints.iter().find(|of| of.name == *name);
            let same = of.is_some_and(|of| {
                (of.route.revision, of.route.step) == (switch.revision, switch.step)
            });
            let confirmed = same && of.is_some_and(|of| of.dead_man.is_none());
            !confirmed
        });
    }

    /// The route that each endpoint should have: the host's own decision where one stands, else
    /// the assignment's.
    pub fn routes<'a>(
        &'a self,
        assignment: &'a Assignment,
    ) -> BTreeMap<&'a Arc<str>, (&'a Route, Option<&'a DeadMan>)> {
        let assigned = assignment.endpoints.iter();
        let mut routes: BTreeMap<_, _> = assigned
            .map(|of| (&of.name, (&of.route, of.dead_man.as_ref())))
            .collect();
        for (name, decided) in &self.overrides {
            routes.insert(name, (&decided.route, None));
        }
        routes
    }

    /// A route is about to be live: what was is remembered, and its switch is armed.
    pub fn take_up(
        &mut self,
        endpoint: &Arc<str>,
        route: &Route,
        dead_man: Option<&DeadMan>,
        moment: &Moment,
    ) {
        if let Some(was) = self.live.insert(endpoint.clone(), route.clone())
            && !was.leads_as(route)
        {
            let before = self.before.entry(endpoint.clone()).or_default();
            before.retain(|earlier| !earlier.leads_as(&was));
            before.insert(0, was);
            before.truncate(BEFORE_MOST);
        }
        match dead_man {
            Some(dead_man) => {
                let switch = Switch {
                    revision: route.revision,
                    step: route.step,
                    machine_boot: moment.machine_boot.clone(),
                    at: moment.since_boot + Duration::from_millis(dead_man.after_ms),
                    revert_to: dead_man.revert_to.clone(),
                };
                self.switches.insert(endpoint.clone(), switch);
            }
            None => {
                self.switches.remove(endpoint);
            }
        }
    }

    /// An endpoint is no longer served here.
    pub fn give_up(&mut self, endpoint: &str) {
        self.live.remove(endpoint);
        self.before.remove(endpoint);
        self.switches.remove(endpoint);
    }

    /// When the next switch fires, from `moment` on; nothing when none is armed.
    pub fn fires_in(&self, moment: &Moment) -> Option<Duration> {
        let left = self.switches.values().map(|switch| switch.left(moment));
        left.min()
    }

    /// Fires the switches whose time has come: each is a decision from here on. `ids` name them.
    pub fn fire(&mut self, moment: &Moment, mut ids: impl FnMut() -> OverrideId) -> Vec<Override> {
        let due = |(name, switch): (&Arc<str>, &Switch)| {
            switch.left(moment).is_zero().then(|| name.clone())
        };
        let due: Vec<Arc<str>> = self.switches.iter().filter_map(due).collect();
        let mut fired = Vec::new();
        for endpoint in due {
            let Some(switch) = self.switches.remove(&endpoint) else {
                continue;
            };
            let decided = Override {
                id: ids(),
                endpoint: endpoint.clone(),
                from_revision: switch.revision,
                from_step: switch.step,
                route: switch.revert_to,
                kind: OverrideKind::Unconfirmed,
                who: String::new(),
                reason: "nobody confirmed in time".into(),
                at_us: moment.wall_us,
            };
            self.overrides.insert(endpoint, decided.clone());
            fired.push(decided);
        }
        fired
    }

    /// Rolls an endpoint back, to what was live before or to a version that serves here.
    pub fn roll_back(
        &mut self,
        asked: &Rollback,
        moment: &Moment,
        id: OverrideId,
        is_ready: impl Fn(&Version) -> bool,
    ) -> Result<Override, NoRollback> {
        if asked.reason.trim().is_empty() {
            return Err(NoRollback::NoReason);
        }
        let none = || NoRollback::NoEndpoint(asked.endpoint.clone());
        let (endpoint, live) = self
            .live
            .get_key_value(&*asked.endpoint)
            .map(|(endpoint, live)| (endpoint.clone(), live.clone()))
            .ok_or_else(none)?;
        let route = match &asked.to {
            Some(version) => to_version(&endpoint, &live, version, &is_ready)?,
            None => {
                let armed = self.switches.get(&endpoint).map(|switch| &switch.revert_to);
                let before = self.before.get(&endpoint).into_iter().flatten();
                let mut candidates = armed.into_iter().chain(before);
                let fits =
                    |route: &&Route| !route.leads_as(&live) && route.answering().all(&is_ready);
                let found = candidates.find(fits).cloned();
                found.ok_or_else(|| NoRollback::NothingReady(endpoint.to_string()))?
            }
        };
        if self.overrides.len() >= OVERRIDES_MOST && !self.overrides.contains_key(&endpoint) {
            return Err(NoRollback::Many);
        }
        let decided = Override {
            id,
            endpoint: endpoint.clone(),
            from_revision: live.revision,
            from_step: live.step,
            route,
            kind: OverrideKind::Local,
            who: asked.who.clone(),
            reason: asked.reason.clone(),
            at_us: moment.wall_us,
        };
        self.switches.remove(&endpoint);
        self.overrides.insert(endpoint, decided.clone());
        Ok(decided)
    }
}

/// All of an endpoint's requests to one version, `fraud@7` or `7` of the model that is live.
fn to_version(
    endpoint: &Arc<str>,
    live: &Route,
    version: &str,
    is_ready: impl Fn(&Version) -> bool,
) -> Result<Route, NoRollback> {
    let of_live = live.shares.first().map(|share| share.version.model.clone());
    let (model, number) = match version.split_once('@') {
        Some((model, number)) => (Some(model.into()), number),
        None => (of_live, version),
    };
    let version = Version {
        model: model.unwrap_or_default(),
        version: number.into(),
    };
    if !is_ready(&version) {
        return Err(NoRollback::NotReady(version.to_string()));
    }
    let route = Route {
        revision: live.revision,
        step: live.step,
        shares: vec![super::Share {
            version,
            weight: crate::proxy::routes::WHOLE,
        }],
        shadows: vec![],
        pins: vec![],
        sticky_header: None,
    };
    if route.leads_as(live) {
        return Err(NoRollback::Same(endpoint.to_string()));
    }
    Ok(route)
}

impl Switch {
    /// Until it fires; nothing when its time has come, or the machine was started anew.
    pub fn left(&self, moment: &Moment) -> Duration {
        if self.machine_boot != moment.machine_boot {
            return Duration::ZERO;
        }
        self.at.saturating_sub(moment.since_boot)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Endpoint, Share};
    use super::*;

    fn version(number: &str) -> Version {
        Version {
            model: "fraud".into(),
            version: number.into(),
        }
    }

    fn route(revision: u64, number: &str) -> Route {
        Route {
            revision,
            step: 0,
            shares: vec![Share {
                version: version(number),
                weight: 10_000,
            }],
            shadows: vec![],
            pins: vec![],
            sticky_header: None,
        }
    }

    fn at(seconds: u64) -> Moment {
        Moment {
            machine_boot: "this".into(),
            since_boot: Duration::from_secs(seconds),
            wall_us: -5,
        }
    }

    fn id() -> OverrideId {
        OverrideId([9; 16])
    }

    /// `1` is live, and `2` has taken its place for a minute unless somebody confirms.
    fn armed() -> (Standing, Assignment) {
        let mut standing = Standing::default();
        let endpoint: Arc<str> = "pay".into();
        standing.take_up(&endpoint, &route(1, "1"), None, &at(10));
        let dead_man = DeadMan {
            revert_to: route(1, "1"),
            after_ms: 60_000,
        };
        standing.take_up(&endpoint, &route(2, "2"), Some(&dead_man), &at(100));
        let assignment = Assignment {
            endpoints: vec![Endpoint {
                name: endpoint,
                route: route(2, "2"),
                dead_man: Some(dead_man),
                keep_inputs: 0,
            }],
            ..Assignment::default()
        };
        (standing, assignment)
    }

    fn wanted(standing: &Standing, assignment: &Assignment) -> u64 {
        standing.routes(assignment)[&Arc::from("pay")].0.revision
    }

    #[test]
    fn a_switch_fires_once_its_time_has_passed_and_outranks_the_assignment() {
        let (mut standing, assignment) = armed();
        assert_eq!(standing.fires_in(&at(100)), Some(Duration::from_secs(60)));
        assert_eq!(standing.fire(&at(159), id), []);
        assert_eq!(wanted(&standing, &assignment), 2);
        let fired = standing.fire(&at(160), id);
        assert_eq!(
            (
                fired[0].kind,
                fired[0].from_revision,
                fired[0].route.revision
            ),
            (OverrideKind::Unconfirmed, 2, 1)
        );
        assert_eq!(standing.fire(&at(161), id), []);
        standing.heed(&assignment);
        assert_eq!(wanted(&standing, &assignment), 1);
    }

    #[test]
    fn a_clock_that_is_set_changes_nothing_and_a_machine_that_was_started_anew_has_expired() {
        let (mut standing, _) = armed();
        let mut set = at(101);
        set.wall_us = i64::MAX;
        assert_eq!(standing.fire(&set, id), []);
        let mut anew = at(1);
        anew.machine_boot = "another".into();
        assert_eq!(standing.fires_in(&anew), Some(Duration::ZERO));
        assert_eq!(standing.fire(&anew, id).len(), 1);
    }

    #[test]
    fn only_an_assignment_of_the_same_route_without_a_switch_confirms() {
        let (standing, assignment) = armed();
        for (revision, dead_man, armed) in [(2, true, true), (3, false, true), (2, false, false)] {
            let (mut standing, mut assignment) = (standing.clone(), assignment.clone());
            assignment.endpoints[0].route.revision = revision;
            if !dead_man {
                assignment.endpoints[0].dead_man = None;
            }
            standing.heed(&assignment);
            assert_eq!(standing.switches.len() == 1, armed, "{revision} {dead_man}");
        }
    }

    #[test]
    fn an_override_stands_until_an_assignment_names_it() {
        let (mut standing, mut assignment) = armed();
        standing.fire(&at(200), id);
        assignment.generation = 99;
        standing.heed(&assignment);
        assert_eq!(wanted(&standing, &assignment), 1);
        assignment.supersedes = vec![id()];
        standing.heed(&assignment);
        assert_eq!(wanted(&standing, &assignment), 2);
    }

    #[test]
    fn a_rollback_goes_to_what_was_live_before_and_back_again() {
        let (mut standing, assignment) = armed();
        let asked = Rollback {
            endpoint: "pay".into(),
            to: None,
            who: "ada".into(),
            reason: "it declines everybody".into(),
        };
        let ready = |_: &Version| true;
        let decided = standing.roll_back(&asked, &at(120), id(), ready).unwrap();
        assert_eq!((decided.from_revision, decided.route.revision), (2, 1));
        assert_eq!(standing.fires_in(&at(120)), None);
        assert_eq!(wanted(&standing, &assignment), 1);
        standing.take_up(&"pay".into(), &decided.route, None, &at(120));
        let again = standing.roll_back(&asked, &at(130), id(), ready).unwrap();
        assert_eq!((again.from_revision, again.route.revision), (1, 2));
    }

    #[test]
    fn a_rollback_that_cannot_be_says_why() {
        let (mut standing, _) = armed();
        let asked = |endpoint: &str, to: Option<&str>, reason: &str| Rollback {
            endpoint: endpoint.into(),
            to: to.map(str::to_owned),
            who: "ada".into(),
            reason: reason.into(),
        };
        let is_ready = |version: &Version| &*version.version == "2" || &*version.version == "3";
        let before = standing.clone();
        for (asked, words) in [
            (asked("pay", None, " "), "a rollback needs a reason"),
            (
                asked("play", None, "x"),
                "this host routes no endpoint \"play\"",
            ),
            (
                asked("pay", None, "x"),
                "no earlier route of pay is loaded here",
            ),
            (asked("pay", Some("1"), "x"), "fraud@1 is not loaded here"),
            (asked("pay", Some("fraud@2"), "x"), "pay goes there already"),
        ] {
            let refused = standing.roll_back(&asked, &at(120), id(), is_ready);
            let told = refused.unwrap_err().to_string();
            assert!(told.starts_with(words), "{told}");
        }
        assert_eq!(standing, before);
        let to = asked("pay", Some("3"), "x");
        let decided = standing.roll_back(&to, &at(120), id(), is_ready).unwrap();
        assert_eq!(decided.route.shares[0].version, version("3"));
    }

    #[test]
    fn what_stands_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let (mut standing, _) = armed();
        standing.fire(&at(200), id);
        standing.keep(dir.path()).unwrap();
        assert_eq!(Standing::load(dir.path()).unwrap(), standing);
    }
}

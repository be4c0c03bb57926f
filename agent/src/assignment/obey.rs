//! The loop that brings a host to what is wanted of it: it looks at what [`next`] says, carries
//! it out, and tells what it observes.
//!
//! Promises: one task owns everything that stands; what is decided is on disk before it is done;
//! long work runs beside the loop, which never waits for it, so that a switch fires and a
//! rollback is taken up whatever a load is doing; a start finds its way from whatever a crash
//! left, since nothing is remembered but what is on disk and what the server says.

mod held;
mod job;
mod live;
mod load;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use self::held::Held;
use self::job::{Done, Progress};
use self::live::Live;
use super::next::{Bounds, Place, Step, crowded, missing, next};
use super::observed::{Observed, Phase, RouteState};
use super::standing::{Moment, NoRollback, Override, Rollback, Standing};
use super::{Assignment, KeepError, OverrideId, Version};
use crate::artifact::{ArtifactError, Digest, Shelf};
use crate::clock;
use crate::config::HubAddr;
use crate::proxy::Upstream;
use crate::proxy::routes::Routes;
use crate::server::dialect::Kind;
use crate::server::{Light, ServerHealth};
use crate::shadow::{Prove, Proved, Shadows};

/// Between looks at what happens by itself: switches, the server, requests that end.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Between runs of a version's golden requests.
const GOLDEN_EVERY: Duration = Duration::from_secs(60);
/// A version that serves and is dark for so long has been lost, with its server or from it.
const DARK_LONGEST: Duration = Duration::from_secs(2);
/// How long a host that drains goes on serving at least: load balancers look every few seconds.
const DRAIN_LEAST: Duration = Duration::from_secs(5);
/// How long it waits for requests at most.
const DRAIN_LONGEST: Duration = Duration::from_secs(60);
/// Orders that may wait.
const ORDERS_MOST: usize = 16;
/// Words of progress that may wait: what is full is told again by the next one.
const PROGRESS_MOST: usize = 64;

/// What is asked of the loop.
#[derive(Debug)]
enum Asked {
    /// By somebody on the host, who is told what became of it.
    RollBack(Rollback, oneshot::Sender<Result<Override, NoRollback>>),
    /// By the hub.
    Prove(Prove),
}

/// The way to the loop. Clones share it.
#[derive(Clone, Debug)]
pub struct Orders {
    /// What the hub wants: only the last of it.
    assigned: watch::Sender<Arc<Assignment>>,
    asked: mpsc::Sender<Asked>,
}

impl Orders {
    /// Tells the loop what the hub wants.
    pub fn assigned(&self, assignment: Assignment) {
        self.assigned.send_replace(Arc::new(assignment));
    }

    /// Rolls an endpoint back; nothing if the agent is on its way out.
    pub async fn roll_back(&self, asked: Rollback) -> Option<Result<Override, NoRollback>> {
        let (reply, answered) = oneshot::channel();
        self.asked.send(Asked::RollBack(asked, reply)).await.ok()?;
        answered.await.ok()
    }

    /// What the hub wants, as it changes.
    pub fn assignments(&self) -> watch::Receiver<Arc<Assignment>> {
        self.assigned.subscribe()
    }

    /// Has recent inputs replayed; false where too much is asked at once.
    pub fn prove(&self, asked: Prove) -> bool {
        self.asked.try_send(Asked::Prove(asked)).is_ok()
    }
}

/// Where the loop works.
#[derive(Clone, Debug)]
pub struct Work {
    /// The data folder.
    pub data: PathBuf,
    /// Where artifacts come from.
    pub hubs: Vec<HubAddr>,
    /// The server.
    pub upstream: Upstream,
    /// Its repository, where the agent may place versions.
    pub repository: Option<PathBuf>,
    /// Bytes of artifacts on disk.
    pub artifact_limit_bytes: u64,
    /// Bytes of memory that loaded versions may take together.
    pub memory_limit_bytes: u64,
}

/// What the loop works with.
#[derive(Debug)]
pub struct Ground {
    /// Where.
    pub work: Work,
    /// Where routes are taken up.
    pub routes: Routes,
    /// What the server is, and how it is.
    pub lights: watch::Receiver<Arc<ServerHealth>>,
    /// Requests under way.
    pub in_flight: Arc<AtomicU32>,
    /// Shadows, and inputs that are kept.
    pub shadows: Shadows,
    /// Where what came of replays goes.
    pub proved: mpsc::Sender<Proved>,
}

/// Why the loop could not start.
#[derive(Debug, thiserror::Error)]
pub enum ObeyError {
    /// What stands cannot be read.
    #[error(transparent)]
    Standing(#[from] KeepError),
    /// The shelf cannot be made.
    #[error(transparent)]
    Shelf(#[from] ArtifactError),
}

/// The loop.
#[derive(Debug)]
pub struct Obey {
    ground: Ground,
    shelf: Shelf,
    machine_boot: String,
    assignment: Assignment,
    standing: Standing,
    /// What stands could not be written.
    unkept: bool,
    held: BTreeMap<Version, Held>,
    live: Live,
    /// Inputs to be kept, by endpoint; those that keep none are not in it.
    keeps: BTreeMap<Arc<str>, usize>,
    draining_since: Option<Instant>,
    jobs: JoinSet<Done>,
    progress: (mpsc::Sender<Progress>, mpsc::Receiver<Progress>),
    assigned: watch::Receiver<Arc<Assignment>>,
    asked: mpsc::Receiver<Asked>,
    shown: watch::Sender<Arc<Observed>>,
}

impl Obey {
    /// A loop that starts from what is kept in the data folder. The routes that were live are,
    /// when this returns: their versions were ready, and the server may have outlived the agent.
    pub fn start(
        ground: Ground,
        assignment: Assignment,
    ) -> Result<(Self, Orders, watch::Receiver<Arc<Observed>>), ObeyError> {
        let shelf = Shelf::open(&ground.work.data, ground.work.artifact_limit_bytes)?;
        let standing = Standing::load(&ground.work.data)?;
        let (asks, asked) = mpsc::channel(ORDERS_MOST);
        let (assigns, assigned) = watch::channel(Arc::new(assignment.clone()));
        let (shown, observed) = watch::channel(Arc::default());
        let mut obey = Self {
            live: Live::new(ground.routes.clone()),
            ground,
            shelf,
            machine_boot: clock::machine_boot(),
            assignment: Assignment::default(),
            standing,
            unkept: false,
            held: BTreeMap::new(),
            keeps: BTreeMap::new(),
            draining_since: None,
            jobs: JoinSet::new(),
            progress: mpsc::channel(PROGRESS_MOST),
            assigned,
            asked,
            shown,
        };
        for placed in obey.standing.placed.clone() {
            let version = placed.version.clone();
            obey.held.insert(version, Held::found(placed));
        }
        for (endpoint, route) in obey.standing.live.clone() {
            obey.live.take_up(&endpoint, &route, false, &obey.held);
        }
        obey.live.swap();
        obey.assigned(assignment);
        obey.look();
        let orders = Orders {
            assigned: assigns,
            asked: asks,
        };
        Ok((obey, orders, observed))
    }

    /// Obeys, for ever.
    pub async fn run(mut self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                changed = self.assigned.changed() => match changed {
                    Ok(()) => {
                        let assignment = self.assigned.borrow_and_update().clone();
                        self.assigned(Assignment::clone(&assignment));
                    }
                    // Nobody is left who could want anything: the agent is on its way out.
                    Err(_) => return,
                },
                Some(asked) = self.asked.recv() => match asked {
                    Asked::RollBack(asked, reply) => {
                        let _ = reply.send(self.roll_back(&asked));
                    }
                    Asked::Prove(asked) => self.prove(asked),
                },
                Some(progress) = self.progress.1.recv() => self.progressed(progress),
                Some(done) = self.jobs.join_next() => match done {
                    Ok(done) => self.done(done),
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => tracing::error!(%error, "a piece of work ended early"),
                },
                _ = looks.tick() => {}
            }
            self.look();
        }
    }

    fn assigned(&mut self, assignment: Assignment) {
        self.assignment = assignment;
        self.standing.heed(&self.assignment);
        self.keep();
        match (self.assignment.draining, self.draining_since) {
            (true, None) => self.draining_since = Some(clock::now()),
            (false, _) => self.draining_since = None,
            (true, Some(_)) => {}
        }
        self.keep_inputs();
        self.give_up_loading();
        for wanted in self.assignment.versions.clone() {
            let dialect = self.kind().dialect();
            match self.held.get_mut(&wanted.version) {
                Some(held) => held.want(wanted, dialect, &self.shelf),
                None => {
                    let held = Held::wanted(wanted, dialect, &self.shelf);
                    self.held.insert(held.state.version.clone(), held);
                }
            }
        }
    }

    /// How many inputs each endpoint keeps, in the proxy and beside it.
    fn keep_inputs(&mut self) {
        let kept = self.assignment.endpoints.iter();
        let kept = kept.filter(|of| of.keep_inputs > 0).map(|of| {
            let most = usize::try_from(of.keep_inputs).unwrap_or(usize::MAX);
            (of.name.clone(), most)
        });
        let before = std::mem::replace(&mut self.keeps, kept.collect());
        self.ground.shadows.keep(self.keeps.clone());
        let changed =
            |name: &&Arc<str>| before.contains_key(*name) != self.keeps.contains_key(*name);
        let changed: Vec<Arc<str>> = self.standing.live.keys().filter(changed).cloned().collect();
        for endpoint in &changed {
            if let Some(route) = self.standing.live.get(endpoint) {
                let keeps = self.keeps.contains_key(endpoint);
                self.live.take_up(endpoint, route, keeps, &self.held);
            }
        }
        if !changed.is_empty() {
            self.live.swap();
        }
    }

    /// Replays recent inputs, beside the loop.
    fn prove(&self, asked: Prove) {
        let held = self.held.get(&asked.version);
        let ready = held.filter(|held| held.state.phase == Phase::Ready);
        let placed = ready.map(|held| held.names.clone());
        let (shadows, proved) = (self.ground.shadows.clone(), self.ground.proved.clone());
        tokio::spawn(async move {
            // A loop that does not listen any more is an agent on its way out.
            let _ = proved.send(shadows.prove(asked, placed).await).await;
        });
    }

    fn roll_back(&mut self, asked: &Rollback) -> Result<Override, NoRollback> {
        let moment = self.moment();
        let held = &self.held;
        let is_ready = |version: &Version| {
            held.get(version)
                .is_some_and(|held| held.state.phase == Phase::Ready)
        };
        let id = OverrideId(rand::random());
        let decided = self.standing.roll_back(asked, &moment, id, is_ready)?;
        self.keep();
        tracing::warn!(
            endpoint = %decided.endpoint, who = decided.who, reason = decided.reason,
            "rolled back on this host"
        );
        Ok(decided)
    }

    /// Fires what is due, and does everything that can be done now.
    fn look(&mut self) {
        let moment = self.moment();
        let fired = self.standing.fire(&moment, || OverrideId(rand::random()));
        for decided in &fired {
            tracing::warn!(endpoint = %decided.endpoint, "nobody confirmed: the route reverts");
        }
        if !fired.is_empty() || self.unkept {
            self.keep();
        }
        self.look_at_server();
        // Every step changes what the next ones are; the last look finds nothing to do.
        loop {
            let places = self.places();
            let steps = next(&self.assignment, &self.standing, &places, self.bounds());
            if steps.is_empty() {
                break;
            }
            let switched = steps
                .iter()
                .any(|step| matches!(step, Step::TakeUp(_) | Step::GiveUp(_)));
            self.carry_out(steps, &moment);
            if !switched {
                break;
            }
        }
        self.say_crowded();
        self.ask_golden();
        self.show(&moment);
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            in_flight: self.drains_still(),
            memory: self.ground.work.memory_limit_bytes,
        }
    }

    /// Tells of versions that there is no room for why they are not loaded.
    fn say_crowded(&mut self) {
        let places = self.places();
        let crowded = crowded(&self.assignment, &self.standing, &places, self.bounds());
        for (version, why) in crowded {
            if let Some(held) = self.held.get_mut(version) {
                held.state.reason = why.to_string();
            }
        }
    }

    fn carry_out(&mut self, steps: Vec<Step>, moment: &Moment) {
        let mut taken = Vec::new();
        for step in steps {
            match step {
                Step::TakeUp(endpoint) => taken.push(endpoint),
                Step::GiveUp(endpoint) => {
                    self.standing.give_up(&endpoint);
                    self.keep();
                    self.live.give_up(&endpoint);
                    self.live.swap();
                }
                Step::Fetch(version) => self.fetch(version),
                Step::Load(version) | Step::Unload(version) if !self.server_is_known() => {
                    if let Some(held) = self.held.get_mut(&version) {
                        held.state.reason = "waits for the inference server".into();
                    }
                }
                Step::Load(version) => self.load(version),
                Step::Unload(version) => self.unload(version),
                Step::Evict(version) => self.evict(&version),
            }
        }
        if !taken.is_empty() {
            self.take_up(&taken, moment);
        }
    }

    /// Takes up the wanted routes of these endpoints, all in one switch.
    fn take_up(&mut self, endpoints: &[Arc<str>], moment: &Moment) {
        for endpoint in endpoints {
            let routes = self.standing.routes(&self.assignment);
            let Some(&(route, dead_man)) = routes.get(endpoint) else {
                continue;
            };
            let (route, dead_man) = (route.clone(), dead_man.cloned());
            self.standing
                .take_up(endpoint, &route, dead_man.as_ref(), moment);
        }
        self.keep();
        let since = clock::now();
        for endpoint in endpoints {
            if let Some(route) = self.standing.live.get(endpoint) {
                let keeps = self.keeps.contains_key(endpoint);
                self.live.take_up(endpoint, route, keeps, &self.held);
            }
        }
        self.live.swap();
        let took = clock::now().saturating_duration_since(since);
        for endpoint in endpoints {
            self.live.switched(endpoint, took);
            let route = self.standing.live.get(endpoint);
            let (revision, step) = route.map_or((0, 0), |route| (route.revision, route.step));
            let ns = took.as_nanos();
            tracing::info!(%endpoint, revision, step, ns, "a route is live");
        }
    }

    /// What stands, on disk. A disk that refuses is tried again: not to act would be worse.
    fn keep(&mut self) {
        self.standing.placed = self.held.values().filter_map(Held::placed).collect();
        match self.standing.keep(&self.ground.work.data) {
            Ok(()) => self.unkept = false,
            Err(error) => {
                if !self.unkept {
                    tracing::error!(%error, "what this host stands by is not on disk");
                }
                self.unkept = true;
            }
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            machine_boot: self.machine_boot.clone(),
            since_boot: clock::since_boot(),
            wall_us: clock::wall_us(),
        }
    }

    /// What the server is; one that has not said so yet is none that can be changed.
    fn kind(&self) -> Kind {
        self.ground.lights.borrow().kind.unwrap_or(Kind::Other)
    }

    /// Whether the server is there and known, so that it can be asked for something.
    fn server_is_known(&self) -> bool {
        let health = self.ground.lights.borrow();
        health.process == Light::On && health.kind.is_some()
    }

    fn places(&self) -> BTreeMap<Version, Place> {
        let now = clock::now();
        let places = self.held.iter();
        places
            .map(|(version, held)| (version.clone(), held.place(now)))
            .collect()
    }

    /// Whether a host that drains still has requests to answer.
    fn drains_still(&self) -> bool {
        let Some(since) = self.draining_since else {
            return false;
        };
        let drained = clock::now().saturating_duration_since(since);
        let busy = self.ground.in_flight.load(Ordering::Relaxed) > 0;
        drained < DRAIN_LEAST || (busy && drained < DRAIN_LONGEST)
    }

    /// A version that its server lost is to be loaded again.
    fn look_at_server(&mut self) {
        let health = self.ground.lights.borrow().clone();
        if health.process == Light::Unknown {
            return;
        }
        let now = clock::now();
        for (version, held) in &mut self.held {
            if held.state.phase != Phase::Ready {
                continue;
            }
            let lights = health.versions.iter().find(|lights| {
                (&lights.model, &lights.version) == (&version.model, &version.version)
            });
            let dark = match lights {
                Some(lights) => lights.loaded == Light::Off,
                None => true,
            };
            if !dark {
                held.dark_since = None;
                continue;
            }
            let since = *held.dark_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= DARK_LONGEST {
                let reason = lights.map_or("the server no longer lists it", |l| &*l.reason);
                tracing::warn!(%version, reason, "a version was lost");
                held.lost(format!("the server lost it: {reason}"));
            }
        }
    }

    fn show(&self, moment: &Moment) {
        let places = self.places();
        let mut routes: Vec<RouteState> = Vec::new();
        let wanted = self.standing.routes(&self.assignment);
        let names: std::collections::BTreeSet<&Arc<str>> = wanted
            .keys()
            .copied()
            .chain(self.standing.live.keys())
            .collect();
        for endpoint in names {
            let live = self.standing.live.get(endpoint);
            let same = wanted
                .get(endpoint)
                .is_some_and(|(route, _)| live == Some(*route));
            let waiting_for = if same {
                String::new()
            } else {
                let missing = missing(&self.standing, &self.assignment, endpoint, &places);
                let words = missing.iter().map(|(version, phase)| {
                    let reason = self.held.get(version).map_or("", |held| &held.state.reason);
                    match reason {
                        "" => format!("{version} is {}", phase.word()),
                        reason => format!("{version} is {}: {reason}", phase.word()),
                    }
                });
                words.collect::<Vec<_>>().join("; ")
            };
            let switch = self.standing.switches.get(endpoint);
            routes.push(RouteState {
                endpoint: endpoint.clone(),
                revision: live.map_or(0, |route| route.revision),
                step: live.map_or(0, |route| route.step),
                shares: live.map(live::shares).unwrap_or_default(),
                waiting_for,
                switch_ns: self.live.switch_ns(endpoint),
                reverts_in_ms: switch.map(|switch| {
                    u64::try_from(switch.left(moment).as_millis()).unwrap_or(u64::MAX)
                }),
            });
        }
        let observed = Observed {
            generation: self.assignment.generation,
            versions: self.held.values().map(Held::told).collect(),
            routes,
            overrides: self.standing.overrides.values().cloned().collect(),
            draining: self.assignment.draining,
        };
        self.shown.send_if_modified(|shown| {
            let same = shown.same_as(&observed);
            let passed = **shown != observed;
            if passed {
                *shown = Arc::new(observed);
            }
            !same
        });
    }

    /// Artifacts that must not be evicted.
    fn wanted_digests(&self) -> HashSet<Digest> {
        let held = self.held.values().filter_map(|held| held.wanted.as_ref());
        held.flat_map(|wanted| {
            let artifact = wanted.artifact.as_ref().map(|artifact| artifact.digest);
            let profiles = wanted.profile.into_iter().chain(wanted.outputs);
            let beside = wanted.golden.into_iter().chain(profiles);
            artifact.into_iter().chain(beside)
        })
        .collect()
    }
}

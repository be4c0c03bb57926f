//! A host in simulated time: the agent's own uplink, spool, standing, and arithmetic of what to
//! do next, over an inference server that takes its time and sometimes fails.
//!
//! What is made up is the server, and the requests: each second some are answered by the route
//! that is live. The request path is threads over real sockets, and is tested with those.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::mpsc;

use binnacle_agent::assignment::next::{Bounds, Place, Step, next};
use binnacle_agent::assignment::observed::{Observed, Phase, RouteState, VersionState};
use binnacle_agent::assignment::standing::{Moment, Standing};
use binnacle_agent::assignment::{Assignment, OverrideId, Version};
use binnacle_agent::config::{Config, Given, Text};
use binnacle_agent::seal::{BootId, Sealer};
use binnacle_agent::server::ServerHealth;
use binnacle_agent::spool::Spool;
use binnacle_agent::uplink::stream::{self, Line};
use binnacle_agent::uplink::{Action, Event, State, Uplink};
use binnacle_agent::window::{Outcome, SealedSeries, SeriesKey};
use binnacle_agent::wire;
use binnacle_sketch::Latency;

use super::network;

/// Requests of a host in each second.
const REQUESTS: u32 = 100;
/// Between two observations, as the agent does it.
const OBSERVE_EVERY: Duration = Duration::from_millis(100);
/// What a version that failed rests.
const REST: Duration = Duration::from_secs(2);
/// Of 100 loads, those that fail.
const FAILS: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);
/// Between two looks at a stream that takes nothing.
const AGAIN: Duration = Duration::from_millis(10);

/// What outlives the agent's process: its disk, and the inference server beside it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) name: String,
    folder: PathBuf,
    kept: Mutex<Kept>,
}

/// What is kept on it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) standing: Standing,
    assignment: Assignment,
    fetched: BTreeSet<Version>,
    /// What the server has loaded.
    pub(super) loaded: BTreeSet<Version>,
    /// How far off its wall clock is, in microseconds.
    pub(super) off_us: i64,
    /// Starts of the agent so far.
    starts: u64,
}

impl Machine {
    pub(super) fn new(name: &str, folder: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            folder,
            kept: Mutex::default(),
        })
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    fn config(&self) -> Config {
        let text = |text: &str| Some(Text::flag("simulated", text));
        let given = Given {
            host: text(&self.name),
            environment: text("prod"),
            hubs: vec![Text::flag("hub", "127.0.0.1:7000")],
            upstream: text("http://127.0.0.1:8080"),
            listen: text("127.0.0.1:0"),
            data: text(self.folder.to_str().unwrap()),
            ..Given::default()
        };
        Config::from_given(given, None).unwrap()
    }

    /// All its clocks. It was started with the simulation, and is never started anew.
    pub(super) fn moment(&self) -> Moment {
        Moment {
            machine_boot: "simulated".into(),
            since_boot: turmoil::sim_elapsed().unwrap_or_default(),
            wall_us: self.wall_us(),
        }
    }

    /// What an agent that starts finds.
    fn held(&self) -> BTreeMap<Version, Held> {
        let kept = self.kept();
        let wanted = kept.assignment.versions.iter();
        let wanted = wanted.map(|wanted| &wanted.version);
        let all = wanted.chain(&kept.fetched).chain(&kept.loaded);
        let held = |version: &Version| {
            let phase = match (
                kept.loaded.contains(version),
                kept.fetched.contains(version),
            ) {
                (true, _) => Phase::Ready,
                (false, true) => Phase::Fetched,
                (false, false) => Phase::Absent,
            };
            (version.clone(), Held::in_phase(phase))
        };
        all.map(held).collect()
    }

    fn wall_us(&self) -> i64 {
        network::wall_us() + self.kept().off_us
    }
}

/// One version, as the agent's process knows it.
#[derive(Debug)]
struct Held {
    phase: Phase,
    /// What is under way is over then.
    until: Option<Instant>,
    /// It failed, and rests until then.
    again_at: Option<Instant>,
}

impl Held {
    fn in_phase(phase: Phase) -> Self {
        Self {
            phase,
            until: None,
            again_at: None,
        }
    }

    fn begin(&mut self, phase: Phase, takes: Duration, now: Instant) {
        self.phase = phase;
        self.until = Some(now + takes);
        self.again_at = None;
    }
}

/// The agent's process.
pub(super) struct Agent {
    machine: Arc<Machine>,
    config: Config,
    boot: BootId,
    rng: StdRng,
    uplink: Uplink,
    line: Option<Line>,
    events: mpsc::Sender<Event>,
    held: BTreeMap<Version, Held>,
    sealer: Sealer,
    spool: Spool,
    second: Instant,
    told: Option<Observed>,
    observe_at: Instant,
}

impl Agent {
    /// Runs until it is killed.
    pub(super) async fn run(machine: Arc<Machine>, seed: u64) -> turmoil::Result {
        let starts = {
            let mut kept = machine.kept();
            kept.starts += 1;
            kept.starts
        };
        let mut rng = StdRng::seed_from_u64(seed ^ (starts << 32));
        let boot = BootId(rng.random());
        let (events, mut heard) = mpsc::channel(64);
        let config = machine.config();
        let started = now();
        let mut agent = Self {
            uplink: Uplink::new(1, boot.seed(), started),
            sealer: Sealer::new(boot, started, machine.wall_us()),
            spool: Spool::open(&config.data, config.spool_limit_bytes, boot)?,
            held: machine.held(),
            line: None,
            second: started + WINDOW,
            told: None,
            observe_at: started,
            machine,
            config,
            boot,
            rng,
            events,
        };
        loop {
            let actions = agent.uplink.woken(now());
            agent.act(actions);
            agent.look();
            agent.say();
            tokio::select! {
                biased;
                Some(event) = heard.recv() => {
                    let actions = agent.uplink.on(event, now());
                    agent.act(actions);
                }
                () = tokio::time::sleep_until(agent.wake_at().into()) => {}
            }
        }
    }

    fn wake_at(&self) -> Instant {
        let now = now();
        let moment = self.machine.moment();
        let fires = self.machine.kept().standing.fires_in(&moment);
        let works = self.held.values().filter_map(|held| held.until);
        let rests = self.held.values().filter_map(|held| held.again_at);
        let is_up = matches!(self.uplink.state(), State::Up { .. });
        let due = self.told.is_none() && is_up;
        let all = works.chain(rests.filter(|at| *at > now));
        let all = all.chain(self.uplink.wake_at()).chain([self.second]);
        let all = all.chain(fires.map(|left| now + left));
        let all = all.chain(due.then_some(self.observe_at.max(now + AGAIN)));
        all.min().unwrap()
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Dial { connection, .. } => {
                    let generation = self.machine.kept().assignment.generation;
                    let (boots, wall_us) = (self.spool.boots(), self.machine.wall_us());
                    let hello = wire::hello(&self.config, self.boot, generation, &boots, wall_us);
                    let events = self.events.clone();
                    self.line = Some(stream::speak(connection, network::dial(), hello, events));
                }
                Action::HangUp => self.line = None,
                Action::Resume { durable } => {
                    for (boot, durable) in durable {
                        self.spool.forget(boot, durable);
                    }
                    self.spool.rewind();
                    self.told = None;
                }
                Action::Forget { boot, durable } => self.spool.forget(boot, durable),
                Action::Obey(assignment) => self.obey(*assignment),
                Action::Prove(_) => panic!("nobody asks for a replay here"),
            }
        }
    }

    fn obey(&mut self, assignment: Assignment) {
        for wanted in &assignment.versions {
            self.held
                .entry(wanted.version.clone())
                .or_insert_with(|| Held::in_phase(Phase::Absent));
        }
        let mut kept = self.machine.kept();
        kept.standing.heed(&assignment);
        kept.assignment = assignment;
        self.told = None;
    }

    /// What the agent's own loop does each time that it looks.
    fn look(&mut self) {
        let now = now();
        let moment = self.machine.moment();
        self.progress(now);
        let mut kept = self.machine.kept();
        let fired = kept
            .standing
            .fire(&moment, || OverrideId(self.rng.random()));
        let mut has_changed = !fired.is_empty();
        loop {
            let places = places(&self.held, &kept, now);
            let bounds = Bounds {
                in_flight: false,
                memory: u64::MAX,
            };
            let steps = next(&kept.assignment, &kept.standing, &places, bounds);
            has_changed |= !steps.is_empty();
            let is_switch = |step: &Step| matches!(step, Step::TakeUp(_) | Step::GiveUp(_));
            let is_again = steps.iter().any(is_switch);
            for step in steps {
                carry_out(step, &mut kept, &mut self.held, &mut self.rng, &moment);
            }
            if !is_again {
                break;
            }
        }
        drop(kept);
        if has_changed {
            self.told = None;
        }
    }

    /// What was under way is over.
    fn progress(&mut self, now: Instant) {
        let mut kept = self.machine.kept();
        for (version, held) in &mut self.held {
            if held.until.is_none_or(|until| until > now) {
                continue;
            }
            held.until = None;
            self.told = None;
            match held.phase {
                Phase::Fetching => {
                    kept.fetched.insert(version.clone());
                    held.phase = Phase::Fetched;
                }
                Phase::Loading if self.rng.random_ratio(FAILS, 100) => {
                    held.phase = Phase::Failed;
                    held.again_at = Some(now + REST);
                }
                Phase::Loading => {
                    kept.loaded.insert(version.clone());
                    held.phase = Phase::Ready;
                }
                Phase::Draining => {
                    kept.loaded.remove(version);
                    held.phase = Phase::Fetched;
                }
                Phase::Absent
                | Phase::Verifying
                | Phase::Fetched
                | Phase::Warming
                | Phase::Ready
                | Phase::Failed => panic!("nothing is under way: {held:?}"),
            }
        }
    }

    fn say(&mut self) {
        let now = now();
        if self.second <= now {
            self.second += WINDOW;
            self.seal(now);
        }
        let is_up = matches!(self.uplink.state(), State::Up { .. });
        let Some(line) = self.line.as_ref().filter(|_| is_up) else {
            return;
        };
        if self.told.is_none()
            && self.observe_at <= now
            && let Some(permit) = line.reserve()
        {
            let observed = self.observed();
            permit.send(wire::observation(&observed));
            self.told = Some(observed);
            self.observe_at = now + OBSERVE_EVERY;
        }
        while let Some(permit) = line.reserve() {
            let Some(window) = self.spool.offer() else {
                break;
            };
            let moment = wire::Moment {
                sent_at_us: self.machine.wall_us(),
                vitals: None,
                server: Arc::new(ServerHealth::default()),
                losses: self.spool.losses(),
                shadows: Vec::new(),
                answers: Vec::new(),
                callers: Vec::new(),
            };
            permit.send(wire::report(&window, Some(&moment)));
        }
    }

    /// A second of requests, answered as the live routes say.
    fn seal(&mut self, now: Instant) {
        let mut series = Vec::new();
        let kept = self.machine.kept();
        for (endpoint, route) in &kept.standing.live {
            for share in route.shares.iter().filter(|share| share.weight > 0) {
                let mut latency = Latency::<u64>::default();
                for _ in 0..REQUESTS * share.weight / 10_000 {
                    latency.record(self.rng.random_range(2_000_000..8_000_000));
                }
                series.push(SealedSeries {
                    key: SeriesKey {
                        endpoint: endpoint.clone(),
                        model: share.version.model.clone(),
                        version: share.version.version.clone(),
                        outcome: Outcome::Ok,
                    },
                    latency: latency.encode(),
                    request_bytes: 0,
                    response_bytes: 0,
                });
            }
        }
        drop(kept);
        let wall_us = self.machine.wall_us();
        let window = self.sealer.seal(series, 0, now, wall_us);
        self.spool.append(&window);
    }

    fn observed(&self) -> Observed {
        let moment = self.machine.moment();
        let kept = self.machine.kept();
        let versions = self.held.iter().map(|(version, held)| VersionState {
            version: version.clone(),
            phase: held.phase,
            progress_permille: 0,
            reason: match held.again_at {
                Some(_) => "the server is short of breath".into(),
                None => String::new(),
            },
            fetch_ms: 0,
            load_ms: 0,
            warm_ms: 0,
            memory_bytes: 0,
            golden: Default::default(),
            verified_at_us: 0,
        });
        let routes = kept.standing.live.iter().map(|(endpoint, route)| {
            let switch = kept.standing.switches.get(endpoint);
            RouteState {
                endpoint: endpoint.clone(),
                revision: route.revision,
                step: route.step,
                shares: Vec::new(),
                waiting_for: String::new(),
                switch_ns: 1_000,
                reverts_in_ms: switch
                    .map(|switch| u64::try_from(switch.left(&moment).as_millis()).unwrap()),
            }
        });
        Observed {
            generation: kept.assignment.generation,
            versions: versions.collect(),
            routes: routes.collect(),
            overrides: kept.standing.overrides.values().cloned().collect(),
            draining: kept.assignment.draining,
        }
    }
}

fn places(held: &BTreeMap<Version, Held>, kept: &Kept, now: Instant) -> BTreeMap<Version, Place> {
    let place = |(version, held): (&Version, &Held)| {
        let place = Place {
            phase: held.phase,
            fetched: kept.fetched.contains(version),
            rested: held.again_at.is_none_or(|at| at <= now),
            ours: true,
            bytes: 0,
        };
        (version.clone(), place)
    };
    held.iter().map(place).collect()
}

fn carry_out(
    step: Step,
    kept: &mut Kept,
    held: &mut BTreeMap<Version, Held>,
    rng: &mut StdRng,
    moment: &Moment,
) {
    let mut begin = |version: &Version, phase, longest_ms: u64| {
        let takes = Duration::from_millis(rng.random_range(50..longest_ms));
        let held = held
            .get_mut(version)
            .expect("steps are of versions that are held");
        held.begin(phase, takes, now());
    };
    match step {
        Step::Fetch(version) => begin(&version, Phase::Fetching, 4_000),
        Step::Load(version) => begin(&version, Phase::Loading, 3_000),
        Step::Unload(version) => begin(&version, Phase::Draining, 500),
        Step::Evict(version) => {
            kept.fetched.remove(&version);
            held.remove(&version);
        }
        Step::TakeUp(endpoint) => {
            let routes = kept.standing.routes(&kept.assignment);
            let (route, dead_man) = routes[&endpoint];
            let (route, dead_man) = (route.clone(), dead_man.cloned());
            kept.standing
                .take_up(&endpoint, &route, dead_man.as_ref(), moment);
        }
        Step::GiveUp(endpoint) => kept.standing.give_up(&endpoint),
    }
}

/// The monotonic clock, as simulated.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

//! A hub, three hosts and somebody who deploys, on a simulated network, and what goes wrong with
//! them: drawn from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;
use turmoil::Sim;

use binnacle_agent::assignment::{Route, Share};
use binnacle_hub::Settings;
use binnacle_hub::clock::Clock;
use binnacle_hub::listen::Loopback;
use binnacle_hub::store::{self, SharedStore, StoreUrl};
use binnacle_tests::fleet;

use super::host::{Agent, Machine};
use super::network;

/// What the endpoint is called, and at hosts.
pub(super) const ENDPOINT: &str = "prod/scan";
const AT_HOST: &str = "scan";
/// Of the network.
const LATENCY: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(20)];
/// When all of it takes place: some time in 2027.
const EPOCH: Duration = Duration::from_secs(1_800_000_000);
/// Between two looks at everything.
const TICK: Duration = Duration::from_millis(10);
/// A switch is fired no later than this after its time.
const FIRED_WITHIN: Duration = Duration::from_millis(50);

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A host and the hub do not hear each other.
    Apart(usize),
    /// What they say to each other is late, all of it at once.
    Late(usize),
    /// An agent is killed.
    Agent(usize),
    /// The hub is killed.
    Hub,
    /// A host's wall clock is set, by so many seconds.
    Clock(usize, i64),
}

/// All of it.
pub(super) struct Stand<'s> {
    pub(super) sim: Sim<'s>,
    pub(super) machines: Vec<Arc<Machine>>,
    rng: StdRng,
    /// What ends when.
    faults: Vec<(Duration, Fault)>,
    /// The next begins then.
    next: Duration,
    /// Every route that was live anywhere, by revision and step.
    routes: BTreeMap<(u64, u32), Route>,
    /// What happened, a line each.
    pub(super) trace: Vec<String>,
    _folder: TempDir,
}

impl Stand<'_> {
    pub(super) fn new(seed: u64) -> Self {
        let folder = fleet::folder();
        let [least, most] = LATENCY;
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(SystemTime::UNIX_EPOCH + EPOCH)
            .tick_duration(TICK)
            .min_message_latency(least)
            .max_message_latency(most)
            .simulation_duration(Duration::from_secs(24 * 3_600))
            .enable_random_order()
            .build();
        let store = runtime().block_on(store::open(&StoreUrl::Memory)).unwrap();
        let data = folder.path().join("hub");
        sim.host(network::HUB, move || hub(data.clone(), store.clone()));
        let mut machines = Vec::new();
        for number in 1..=3 {
            let name = format!("host-{number}");
            let machine = Machine::new(&name, folder.path().join(&name));
            machines.push(machine.clone());
            let own = seed.wrapping_mul(31).wrapping_add(number);
            sim.host(name, move || Agent::run(machine.clone(), own));
        }
        Self {
            sim,
            machines,
            rng: StdRng::seed_from_u64(seed),
            faults: Vec::new(),
            next: Duration::ZERO,
            routes: BTreeMap::new(),
            trace: Vec::new(),
            _folder: folder,
        }
    }

    /// A moment passes: true when somebody who does something has done it all. What must always
    /// hold is looked at.
    pub(super) fn step(&mut self) -> bool {
        let is_over = self.sim.step().unwrap();
        self.holds();
        is_over
    }

    /// What must hold at every moment.
    fn holds(&mut self) {
        let at = self.sim.elapsed();
        for machine in &self.machines {
            let is_up = self.sim.is_host_running(machine.name.as_str());
            let kept = machine.kept();
            for (endpoint, route) in &kept.standing.live {
                assert_eq!(&**endpoint, AT_HOST);
                let is_loaded = |version| kept.loaded.contains(version);
                let name = &machine.name;
                assert!(route.answering().all(is_loaded), "{at:?} {name}: {route:?}");
                let stamp = (route.revision, route.step);
                let same = self.routes.entry(stamp).or_insert_with(|| {
                    self.trace.push(format!("{at:?} {name} {stamp:?}"));
                    route.clone()
                });
                assert_eq!(same, route, "{at:?} {name}: two routes of one stamp");
            }
            for switch in kept.standing.switches.values().filter(|_| is_up) {
                let late = at.saturating_sub(switch.at);
                assert!(late <= FIRED_WITHIN, "{at:?} {}: {switch:?}", machine.name);
            }
        }
    }

    /// Things go wrong, and come right again.
    pub(super) fn stir(&mut self) {
        let now = self.sim.elapsed();
        let over = |(until, _): &mut (Duration, Fault)| *until <= now;
        let over: Vec<_> = self.faults.extract_if(.., over).collect();
        over.into_iter().for_each(|(_, fault)| self.end(fault));
        if self.next > now {
            return;
        }
        self.next = now + Duration::from_millis(self.rng.random_range(500..15_000));
        let host = self.rng.random_range(0..self.machines.len());
        let fault = match self.rng.random_range(0..8) {
            0..3 => Fault::Apart(host),
            3 => Fault::Late(host),
            4 | 5 => Fault::Agent(host),
            6 => Fault::Hub,
            _ => Fault::Clock(host, self.rng.random_range(-86_400..86_400)),
        };
        if self.begin(fault) {
            let lasts = Duration::from_millis(self.rng.random_range(100..40_000));
            self.trace.push(format!("{now:?} {fault:?} for {lasts:?}"));
            self.faults.push((now + lasts, fault));
        }
    }

    /// Whether it does: what is broken is not broken again.
    fn begin(&mut self, fault: Fault) -> bool {
        let name = |host: usize| self.machines[host].name.clone();
        match fault {
            Fault::Apart(host) | Fault::Late(host) if self.is_cut(host) => return false,
            Fault::Apart(host) => self.sim.partition(name(host), network::HUB),
            Fault::Late(host) => self.sim.hold(name(host), network::HUB),
            Fault::Agent(host) if !self.sim.is_host_running(name(host)) => return false,
            Fault::Agent(host) => self.sim.crash(name(host)),
            Fault::Hub if !self.sim.is_host_running(network::HUB) => return false,
            Fault::Hub => self.sim.crash(network::HUB),
            Fault::Clock(host, seconds) => {
                self.machines[host].kept().off_us += seconds * 1_000_000;
            }
        }
        true
    }

    fn is_cut(&self, host: usize) -> bool {
        let cuts = |fault: &Fault| match fault {
            Fault::Apart(other) | Fault::Late(other) => *other == host,
            Fault::Agent(_) | Fault::Hub | Fault::Clock(..) => false,
        };
        self.faults.iter().any(|(_, fault)| cuts(fault))
    }

    fn end(&mut self, fault: Fault) {
        let name = |host: usize| self.machines[host].name.clone();
        match fault {
            Fault::Apart(host) => self.sim.repair(name(host), network::HUB),
            Fault::Late(host) => self.sim.release(name(host), network::HUB),
            Fault::Agent(host) => self.sim.bounce(name(host)),
            Fault::Hub => self.sim.bounce(network::HUB),
            // A clock that was set stays so.
            Fault::Clock(..) => {}
        }
    }

    /// Everything is as it should be.
    pub(super) fn mend(&mut self) {
        for (_, fault) in std::mem::take(&mut self.faults) {
            self.end(fault);
        }
    }

    /// Nothing is left of what hosts decided by themselves, or might.
    pub(super) fn is_settled(&self) -> bool {
        self.machines.iter().all(|machine| {
            let kept = machine.kept();
            kept.standing.overrides.is_empty() && kept.standing.switches.is_empty()
        })
    }

    /// When each host's switch fires, by the simulation's time.
    pub(super) fn armed(&self) -> Vec<Duration> {
        let armed = |machine: &Arc<Machine>| {
            let kept = machine.kept();
            kept.standing
                .switches
                .values()
                .map(|switch| switch.at)
                .next()
        };
        self.machines.iter().filter_map(armed).collect()
    }

    /// Agents die and are started again, at once, and clocks are set.
    pub(super) fn upset(&mut self) {
        for host in 0..self.machines.len() {
            let seconds = self.rng.random_range(-86_400..86_400);
            let _begun = self.begin(Fault::Clock(host, seconds));
            if self.rng.random_ratio(1, 2) {
                let _begun = self.begin(Fault::Agent(host));
                self.end(Fault::Agent(host));
            }
        }
    }

    /// A host and the hub do not hear each other, until they are joined.
    pub(super) fn cut(&mut self, host: usize) {
        let _begun = self.begin(Fault::Apart(host));
    }

    /// They do again.
    pub(super) fn join(&mut self, host: usize) {
        self.end(Fault::Apart(host));
    }

    /// The routes that are live, of all hosts, as the hub writes them; empty for none.
    pub(super) fn live(&self) -> Vec<String> {
        let live = |machine: &Arc<Machine>| {
            let kept = machine.kept();
            let route = kept.standing.live.get(AT_HOST);
            route.map(text).unwrap_or_default()
        };
        self.machines.iter().map(live).collect()
    }
}

/// The hub's process. What outlives it is its store.
async fn hub(data: std::path::PathBuf, store: SharedStore) -> turmoil::Result {
    let settings = Settings {
        data,
        store: StoreUrl::Memory,
        artifacts: None,
        listen: Vec::new(),
        loopback: Loopback::Refused,
        sinks: Vec::new(),
        drift: Default::default(),
    };
    let clock = Clock::of_runtime(network::wall_us());
    let _running = binnacle_hub::start_on(settings, store, network::listen().await?, clock).await?;
    std::future::pending().await
}

/// A route as the hub writes it.
fn text(route: &Route) -> String {
    let answering = route.shares.iter().filter(|share| share.weight > 0);
    let share = |share: &Share| {
        let percent = f64::from(share.weight) / 100.0;
        format!("{} {percent}%", share.version)
    };
    answering.map(share).collect::<Vec<_>>().join(", ")
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.build().unwrap()
}

//! A hub and its hosts in memory: what the real engine does, one input after the other.

use std::collections::{BTreeMap, BTreeSet};

use binnacle_core::caller::Caller;
use binnacle_core::endpoint::{self, EndpointName, WHOLE};
use binnacle_core::host::{Admission, Labels};
use binnacle_core::journal::{Entry, Stored, Walk};
use binnacle_core::judge::Evidence;
use binnacle_core::name::Name;
use binnacle_core::observed::{Observed, StreamId};
use binnacle_core::registry::{self, Card, Reference, VersionDetail};
use binnacle_core::report::BootId;
use binnacle_core::rollout::{Ask, Plan, tick};
use binnacle_core::served::{
    Nearness, Override, OverrideKind, RouteState, Served, Stamp, VersionState,
};
use binnacle_core::state::{self, Assignment, Condition, Greeting, Input, Refusal, Request, State};

/// One host, as it is and as it goes on being while the hub is away.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) admission: Admission,
    pub(crate) stream: Option<StreamId>,
    pub(crate) served: Served,
    /// Versions that it cannot load, and why.
    pub(crate) broken: BTreeMap<Reference, String>,
}

/// A hub, its hosts, and what is measured.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    pub(crate) state: State,
    pub(crate) observed: Observed,
    pub(crate) journal: Vec<Stored>,
    pub(crate) now_us: i64,
    pub(crate) hosts: BTreeMap<Name, Host>,
    pub(crate) evidence: BTreeMap<(EndpointName, Stamp), Evidence>,
    /// Who asks.
    pub(crate) who: Caller,
    streams: u64,
    overrides: u8,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let mut fleet = Self {
            state: State::default(),
            observed: Observed::default(),
            journal: Vec::new(),
            now_us: 1_700_000_000_000_000,
            hosts: BTreeMap::new(),
            evidence: BTreeMap::new(),
            who: Caller::Unverified {
                claimed: "alice".into(),
            },
            streams: 0,
            overrides: 0,
        };
        fleet.put(Input::Start { store: "s".into() }).unwrap();
        fleet
    }

    /// Decides, writes down, applies, notes: the entries that came of it.
    pub(crate) fn put(&mut self, input: Input) -> Result<Vec<Entry>, Refusal> {
        let drafts = state::decide(&self.state, &self.observed, &input, self.now_us)?;
        let mut entries = Vec::new();
        for draft in drafts {
            let entry = self.state.entry(draft, self.now_us);
            let stored = entry.seal(&self.state.hash);
            self.state.apply(&entry, stored.hash);
            self.journal.push(stored);
            entries.push(entry);
        }
        self.observed.note(&input, self.now_us);
        Ok(entries)
    }

    /// Who asks from now on, by the kernel's word.
    pub(crate) fn becomes(&mut self, who: &str) {
        self.who = Caller::Local {
            uid: 1_000 + who.len() as u32,
            user: who.into(),
        };
    }

    pub(crate) fn ask(&mut self, request: Request, why: &str) -> Result<Vec<Entry>, Refusal> {
        self.put(Input::Asked {
            caller: self.who.clone(),
            why: why.into(),
            request,
            condition: Condition::default(),
        })
    }

    pub(crate) fn command(
        &mut self,
        command: endpoint::Command,
        why: &str,
    ) -> Result<Vec<Entry>, Refusal> {
        self.ask(Request::Endpoint(Box::new(command)), why)
    }

    pub(crate) fn registry(
        &mut self,
        command: registry::Command,
        why: &str,
    ) -> Result<Vec<Entry>, Refusal> {
        self.ask(Request::Registry(Box::new(command)), why)
    }

    /// A model with so many versions.
    pub(crate) fn model(&mut self, name: &Name, versions: usize) {
        self.registry(
            registry::Command::CreateModel(name.clone(), Card::default()),
            "",
        )
        .unwrap();
        for _ in 0..versions {
            let detail = Box::<VersionDetail>::default();
            self.registry(registry::Command::RegisterVersion(name.clone(), detail), "")
                .unwrap();
        }
    }

    /// Plans, and runs the plan at once.
    pub(crate) fn run(&mut self, ask: &Ask, why: &str) -> Result<Vec<Entry>, Refusal> {
        match Plan::make(&self.state, ask, self.now_us)? {
            Some(plan) => self.command(endpoint::Command::Run(Box::new(plan)), why),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) fn admit(&mut self, environment: &str, host: &str, labels: Labels) {
        let admission = Admission {
            host: Name::parse(host).unwrap(),
            environment: Name::parse(environment).unwrap(),
            labels,
        };
        let name = admission.host.clone();
        let host = Host {
            admission,
            stream: None,
            served: Served::default(),
            broken: BTreeMap::new(),
        };
        self.hosts.insert(name.clone(), host);
        self.dial(&name);
    }

    /// A host dials, and says what it serves.
    pub(crate) fn dial(&mut self, name: &Name) {
        self.streams += 1;
        let stream = StreamId(self.streams);
        let host = self.hosts.get_mut(name).unwrap();
        host.stream = Some(stream);
        let greeting = Greeting {
            admission: host.admission.clone(),
            boot: BootId([name.as_str().len() as u8; 16]),
            generation: host.served.generation,
            agent_version: "0.1.0".into(),
            attachment: "path".into(),
        };
        let served = host.served.clone().into();
        self.put(Input::Joined { stream, greeting }).unwrap();
        self.put(Input::Serves { stream, served }).unwrap();
    }

    pub(crate) fn hang_up(&mut self, name: &Name) {
        if let Some(stream) = self.hosts.get_mut(name).unwrap().stream.take() {
            self.put(Input::Left { stream }).unwrap();
        }
    }

    /// The hub is killed, and comes back to its journal; hosts dial anew.
    pub(crate) fn kill(&mut self) {
        self.state = self.replayed();
        self.observed = Observed::default();
        let heard: Vec<Name> = self.heard();
        for name in heard {
            self.dial(&name);
        }
    }

    pub(crate) fn replayed(&self) -> State {
        let (mut state, mut walk) = (State::default(), Walk::past(None));
        for stored in &self.journal {
            let entry = walk.step(stored).unwrap();
            state.apply(&entry, stored.hash);
        }
        state
    }

    pub(crate) fn heard(&self) -> Vec<Name> {
        let heard = self.hosts.iter().filter(|(_, host)| host.stream.is_some());
        heard.map(|(name, _)| name.clone()).collect()
    }

    /// A host does what is wanted of it, as an agent does: it loads what it is to keep, and
    /// switches a route once all of it is ready, unless a decision of its own stands.
    pub(crate) fn follow(&mut self, name: &Name, switches: Switches) {
        let Some(wanted) = self.wanted(name) else {
            return;
        };
        let host = self.hosts.get_mut(name).unwrap();
        let Some(stream) = host.stream else {
            return;
        };
        let served = &mut host.served;
        served.generation = wanted.generation;
        served
            .overrides
            .retain(|_, one| !wanted.work.supersedes.contains(&one.id));
        let versions = wanted.work.versions();
        let kept: BTreeSet<_> = versions
            .iter()
            .map(|wanted| wanted.version.clone())
            .collect();
        served.versions.retain(|version, _| kept.contains(version));
        for version in kept {
            // What was loaded before it broke goes on serving.
            let is_ready = served.nearness(&version) == Nearness::Ready;
            let broken = host.broken.get(&version).filter(|_| !is_ready);
            let state = VersionState {
                nearness: match broken {
                    Some(_) => Nearness::Failed,
                    None => Nearness::Ready,
                },
                reason: broken.map_or("".into(), |why| why.as_str().into()),
                load_ms: 400,
                verified_at_us: 1,
                ..VersionState::default()
            };
            served.versions.insert(version, state);
        }
        for duty in &wanted.work.endpoints {
            let name = &duty.endpoint.name;
            if served.overrides.contains_key(name) || switches == Switches::No {
                continue;
            }
            match &duty.route {
                None => drop(served.routes.remove(name)),
                Some((stamp, route)) if served.is_ready(route.all_versions()) => {
                    let state = RouteState {
                        live: *stamp,
                        switch_ns: 84_000,
                        ..RouteState::default()
                    };
                    served.routes.insert(name.clone(), state);
                }
                Some(_) => {}
            }
        }
        let served = served.clone().into();
        self.put(Input::Serves { stream, served }).unwrap();
    }

    /// A host goes back by itself.
    pub(crate) fn decide_alone(
        &mut self,
        name: &Name,
        endpoint: &EndpointName,
        kind: OverrideKind,
        why: &str,
    ) {
        self.overrides += 1;
        let host = self.hosts.get_mut(name).unwrap();
        let from = host.served.live(&endpoint.name);
        let told = Override {
            id: [self.overrides; 16],
            from,
            kind,
            who: "root".into(),
            why: why.into(),
            at_us: self.now_us,
        };
        host.served.overrides.insert(endpoint.name.clone(), told);
        if let Some(stream) = host.stream {
            let served = host.served.clone().into();
            self.put(Input::Serves { stream, served }).unwrap();
        }
    }

    pub(crate) fn wanted(&self, name: &Name) -> Option<Assignment> {
        state::wanted(&self.state, name)
    }

    /// Time passes, and the hub looks.
    pub(crate) fn tick(&mut self, seconds: u32) -> Vec<Entry> {
        self.now_us += i64::from(seconds) * 1_000_000;
        let evidence = &self.evidence;
        let judgements = tick::judged(&self.state, |endpoint, stamp| {
            evidence.get(&(endpoint.clone(), stamp))
        });
        let judgements = judgements.into();
        self.put(Input::Tick { judgements }).unwrap()
    }

    /// What is wrong with what is wanted: weights that do not add up, a blocked version, a version
    /// that the host is not to load.
    pub(crate) fn unsafe_wish(&self) -> Option<String> {
        for name in self.hosts.keys() {
            let wanted = self.wanted(name)?;
            for duty in &wanted.work.endpoints {
                let endpoint = self.state.endpoints.get(&duty.endpoint).unwrap();
                let kept: Vec<_> = duty.versions.iter().map(|kept| &kept.version).collect();
                let dead_man = duty.dead_man.as_ref().map(|dead_man| &dead_man.route);
                let route = duty.route.as_ref().map(|(_, route)| route);
                for route in route.into_iter().chain(dead_man) {
                    let sum: u32 = route
                        .parts()
                        .versions
                        .iter()
                        .map(|split| split.weight)
                        .sum();
                    if sum != WHOLE {
                        return Some(format!("{name}: {route} adds up to {sum}"));
                    }
                    for version in route.all_versions() {
                        if endpoint.blocked.contains_key(version) {
                            return Some(format!("{name}: {version} is blocked, and wanted"));
                        }
                        if !kept.contains(&version) {
                            return Some(format!(
                                "{name}: {version} is to serve, not to be loaded"
                            ));
                        }
                    }
                }
            }
        }
        None
    }

    /// A host that serves what it has not ready, if there is one.
    pub(crate) fn unready_route(&self) -> Option<String> {
        self.hosts.iter().find_map(|(name, host)| {
            let wanted = self.wanted(name)?;
            wanted.work.endpoints.iter().find_map(|duty| {
                let (stamp, route) = duty.route.as_ref()?;
                let is_live = host.served.live(&duty.endpoint.name) == *stamp;
                let is_ready = host.served.is_ready(route.all_versions());
                let is_current = host.served.generation == wanted.generation;
                (is_live && is_current && !is_ready).then(|| format!("{name}: {route}"))
            })
        })
    }
}

/// Whether a host switches routes, or only loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switches {
    Yes,
    No,
}

//! What was decided, and what may be decided next.
//!
//! [`decide`] looks at the state, at what is observed, and at what is asked, and answers with
//! drafts of entries or a refusal. [`State::apply`] folds an entry in: it is total, takes time
//! from the entry, and does nothing with an entry that it has already seen. [`wanted`] says
//! what each host should do. None of them acts: the hub's engine persists, applies and sends.

use std::sync::Arc;

use imbl::OrdMap;

use crate::alert::{self, Alerts};
use crate::caller::Caller;
use crate::endpoint::{self, EndpointName, Endpoints};
use crate::host::{Admission, Host, Membership};
use crate::journal::{Change, Entry, Hash, MAX_REASON, ORIGIN};
use crate::keys::Keys;
use crate::name::Name;
use crate::observed::{Observed, StreamId};
use crate::packed::packed;
use crate::reaction::{self, Conclusion};
use crate::registry::{self, Line, Registry};
use crate::report::BootId;
use crate::rollout::duty::{Desk, Work};
use crate::rollout::tick::{self, Judgements};
use crate::served::Served;

/// Hosts in one fleet. Ten times what the hub is measured with: a name beyond it is a loop
/// that makes up names, not a fleet.
pub const MAX_HOSTS: usize = 100_000;

/// The fold of the journal. Cloning it is cheap: it shares what did not change.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The last entry that was applied; 0 before the first.
    pub sequence: u64,
    /// Its hash.
    pub hash: Hash,
    /// Which store this is; empty before genesis.
    pub store: Arc<str>,
    /// Every host that was ever admitted.
    pub hosts: OrdMap<Name, Arc<Host>>,
    /// Every model, data set and feature set.
    pub registry: Registry,
    /// Every endpoint, with its revisions and what is under way.
    pub endpoints: Endpoints,
    /// Every alert, and every silence.
    pub alerts: Alerts,
    /// What was asked for under a key of late.
    keys: Keys,
}

// All of it goes into snapshots; a field that is added is named here as well.
packed!(State {
    sequence,
    hash,
    store,
    hosts,
    registry,
    endpoints,
    alerts,
    keys,
});

impl Default for State {
    fn default() -> Self {
        Self {
            sequence: 0,
            hash: ORIGIN,
            store: "".into(),
            hosts: OrdMap::new(),
            registry: Registry::default(),
            endpoints: Endpoints::default(),
            alerts: Alerts::default(),
            keys: Keys::default(),
        }
    }
}

/// Everything that can happen to the state and to what is observed.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The hub starts; a new store gets this identity.
    Start {
        /// A fresh ULID.
        store: String,
    },
    /// A host dials, and says who it is.
    Joined {
        /// The stream that it dialled on.
        stream: StreamId,
        /// What it said.
        greeting: Greeting,
    },
    /// A host says what it serves, and which assignment it follows.
    Serves {
        /// The stream that it said it on.
        stream: StreamId,
        /// What it said.
        served: Arc<Served>,
    },
    /// Time has passed while something was under way.
    Tick {
        /// What was concluded of the steps that are watched.
        judgements: Arc<Judgements>,
    },
    /// Something that must hold does not, or does again.
    Concluded {
        /// What was concluded of each.
        conclusions: Arc<Vec<Conclusion>>,
    },
    /// A stream ended.
    Left {
        /// Which.
        stream: StreamId,
    },
    /// Somebody asks for a change.
    Asked {
        /// Who.
        caller: Caller,
        /// Why.
        why: String,
        /// For what.
        request: Request,
        /// Under which conditions.
        condition: Condition,
    },
}

/// What has to be so for a request to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// What it is about is still at this revision.
    pub if_revision: Option<u64>,
    /// It was not done before under this key.
    pub key: Option<Line>,
}

/// What somebody may ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Take a host out of the fleet.
    RetireHost(Name),
    /// Let a retired host dial again.
    ReadmitHost(Name),
    /// Have a host turn load balancers away, finish, and unload.
    DrainHost(Name),
    /// Have a drained host serve again.
    ResumeHost(Name),
    /// Change the registry.
    Registry(Box<registry::Command>),
    /// Change an endpoint, or steer a rollout.
    Endpoint(Box<endpoint::Command>),
    /// Acknowledge or silence alerts.
    Alert(alert::Command),
}

/// What a host says when it dials.
#[derive(Clone, Debug, PartialEq)]
pub struct Greeting {
    /// Who it is, and where it belongs.
    pub admission: Admission,
    /// This start of its agent.
    pub boot: BootId,
    /// The generation of the assignment that it holds; 0 for none.
    pub generation: u64,
    /// The agent's release.
    pub agent_version: Arc<str>,
    /// How it is attached: path, tap or watch.
    pub attachment: Arc<str>,
}

/// An entry before it has a place and a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Who asked for it.
    pub caller: Caller,
    /// Why.
    pub why: String,
    /// The caller's key for it.
    pub key: Option<Line>,
    /// What changes.
    pub change: Change,
}

/// Why something is not done.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// No such host.
    #[error("host {0} is not known; `binnacle host list` shows those that are")]
    UnknownHost(Name),
    /// The host was retired.
    #[error("host {host} is retired ({why}); `binnacle host readmit {host}` lets it dial again")]
    Retired {
        /// Which.
        host: Name,
        /// Why it was.
        why: Arc<str>,
    },
    /// Nobody would be left to serve.
    #[error(
        "draining {host} would leave {endpoint} without a host that is heard: nothing was changed"
    )]
    LastHost {
        /// Which.
        host: Name,
        /// What it alone serves.
        endpoint: EndpointName,
    },
    /// A retirement needs a reason.
    #[error("say why with --reason: it stays in the journal")]
    NoReason,
    /// The reason is too long.
    #[error("a reason has at most {MAX_REASON} bytes, this one has {0}")]
    LongReason(usize),
    /// More than [`MAX_HOSTS`].
    #[error("the fleet holds {MAX_HOSTS} hosts, its limit; {0} is not admitted")]
    FleetFull(Name),
    /// The registry does not do it.
    #[error(transparent)]
    Registry(#[from] registry::Refusal),
    /// An endpoint or a rollout does not do it.
    #[error(transparent)]
    Endpoint(#[from] endpoint::Refusal),
    /// An alert does not do it.
    #[error(transparent)]
    Alert(#[from] alert::Refusal),
}

/// What the hub wants a host to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Grows with every change that concerns the host.
    pub generation: u64,
    /// What the host is for.
    pub duty: Duty,
    /// What it does for endpoints.
    pub work: Work,
}

/// What a host is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Serve, and report.
    Serve,
    /// Turn load balancers away, finish what was begun, unload, and report, for this reason.
    Drain(Arc<str>),
    /// Serve on, but stop reporting and do not dial again, for this reason.
    Leave(Arc<str>),
}

/// What follows from `input`: entries to persist and apply, none, or a refusal.
pub fn decide(
    state: &State,
    observed: &Observed,
    input: &Input,
    now_us: i64,
) -> Result<Vec<Draft>, Refusal> {
    match input {
        Input::Start { store } => {
            if state.sequence > 0 {
                return Ok(Vec::new());
            }
            let change = Change::Genesis {
                store: store.clone(),
            };
            Ok(vec![Draft {
                caller: Caller::Hub,
                why: String::new(),
                key: None,
                change,
            }])
        }
        Input::Joined { greeting, .. } => joined(state, observed, greeting),
        Input::Serves { .. } | Input::Left { .. } => Ok(Vec::new()),
        Input::Tick { judgements } => {
            let decided = tick::decide(state, observed, judgements, now_us);
            let draft = |(caller, why, change): (Caller, String, endpoint::Change)| Draft {
                caller,
                why: shortened(why),
                key: None,
                change: Change::Endpoint(change),
            };
            Ok(decided.into_iter().map(draft).collect())
        }
        Input::Concluded { conclusions } => {
            let decided = reaction::decide(state, observed, conclusions, now_us);
            let draft = |(why, change): (String, Change)| Draft {
                caller: Caller::Hub,
                why: shortened(why),
                key: None,
                change,
            };
            Ok(decided.into_iter().map(draft).collect())
        }
        Input::Asked {
            caller,
            why,
            request,
            condition,
        } => {
            if why.len() > MAX_REASON {
                return Err(Refusal::LongReason(why.len()));
            }
            let change = asked(state, observed, (caller, why, request, condition), now_us)?;
            let draft = |change| Draft {
                caller: caller.clone(),
                why: why.clone(),
                key: condition.key.clone(),
                change,
            };
            Ok(change.map(draft).into_iter().collect())
        }
    }
}

fn joined(state: &State, observed: &Observed, greeting: &Greeting) -> Result<Vec<Draft>, Refusal> {
    let admission = greeting.admission.clone();
    let name = &admission.host;
    let change = match state
        .hosts
        .get(name)
        .map(|host| (&host.membership, &host.admission))
    {
        None if state.hosts.len() >= MAX_HOSTS => return Err(Refusal::FleetFull(name.clone())),
        None => Change::HostAdmitted(admission),
        Some((Membership::Retired { why, .. }, _)) => {
            return Err(Refusal::Retired {
                host: name.clone(),
                why: why.clone(),
            });
        }
        Some((Membership::Member, known)) if *known == admission => return Ok(Vec::new()),
        // Two machines that claim one name would relabel it for ever: the older stream keeps
        // command until it ends, and both are shown.
        Some((Membership::Member, _)) if observed.commanding(name).is_some() => {
            return Ok(Vec::new());
        }
        Some((Membership::Member, _)) => Change::HostRelabelled(admission),
    };
    let caller = Caller::Host(greeting.admission.host.clone());
    Ok(vec![Draft {
        caller,
        why: String::new(),
        key: None,
        change,
    }])
}

fn asked(
    state: &State,
    observed: &Observed,
    (caller, why, request, condition): (&Caller, &str, &Request, &Condition),
    now_us: i64,
) -> Result<Option<Change>, Refusal> {
    let membership = |name: &Name| match state.hosts.get(name) {
        Some(host) => Ok(&host.membership),
        None => Err(Refusal::UnknownHost(name.clone())),
    };
    match request {
        Request::RetireHost(name) => match membership(name)? {
            Membership::Retired { .. } => Ok(None),
            Membership::Member if why.trim().is_empty() => Err(Refusal::NoReason),
            Membership::Member => Ok(Some(Change::HostRetired { host: name.clone() })),
        },
        Request::DrainHost(name) => {
            membership(name)?;
            drained(state, observed, (name, why))
        }
        Request::ResumeHost(name) => {
            membership(name)?;
            let is_drained = state
                .hosts
                .get(name)
                .is_some_and(|host| host.drained.is_some());
            Ok(is_drained.then(|| Change::HostResumed { host: name.clone() }))
        }
        Request::ReadmitHost(name) => match membership(name)? {
            Membership::Member => Ok(None),
            Membership::Retired { .. } => Ok(Some(Change::HostReadmitted { host: name.clone() })),
        },
        Request::Registry(command) => {
            if matches!(**command, registry::Command::Deprecate(_)) && why.trim().is_empty() {
                return Err(Refusal::NoReason);
            }
            if let registry::Command::Deprecate(object) = &**command {
                endpoint::command::not_serving(state, object)?;
            }
            let revised = condition.if_revision;
            let change = registry::decide(&state.registry, command, revised)?;
            Ok(change.map(Change::Registry))
        }
        Request::Endpoint(command) => {
            if command.needs_reason() && why.trim().is_empty() {
                return Err(Refusal::NoReason);
            }
            let asked = endpoint::command::Asked {
                caller,
                why,
                if_revision: condition.if_revision,
                now_us,
            };
            let change = endpoint::decide(state, observed, command, asked)?;
            Ok(change.map(Change::Endpoint))
        }
        Request::Alert(command) => {
            if command.needs_reason() && why.trim().is_empty() {
                return Err(Refusal::NoReason);
            }
            let change = alert::decide(state, command, now_us)?;
            Ok(change.map(Change::Alert))
        }
    }
}

/// Where an entry stands.
fn place(entry: &Entry) -> endpoint::Place<'_> {
    endpoint::Place {
        sequence: entry.sequence,
        at_us: entry.at_us,
        caller: &entry.caller,
        why: &entry.why,
    }
}

/// A drain, unless an endpoint would be left with nobody who is heard.
fn drained(
    state: &State,
    observed: &Observed,
    (name, why): (&Name, &str),
) -> Result<Option<Change>, Refusal> {
    let Some(host) = state.hosts.get(name).filter(|host| host.drained.is_none()) else {
        return Ok(None);
    };
    if why.trim().is_empty() {
        return Err(Refusal::NoReason);
    }
    let is_alone = |endpoint: &&Arc<endpoint::Endpoint>| {
        let mut others = tick::hosts_of(state, &endpoint.name).filter(|other| *other != name);
        !others.any(|other| observed.commanding(other).is_some())
    };
    let endpoints = &state.endpoints;
    match endpoints.of_host(&host.admission).find(is_alone) {
        Some(endpoint) => Err(Refusal::LastHost {
            host: name.clone(),
            endpoint: endpoint.name.clone(),
        }),
        None => Ok(Some(Change::HostDrained { host: name.clone() })),
    }
}

/// A reason of the hub's own, which names of hosts can make longer than a person's may be.
fn shortened(mut why: String) -> String {
    if why.len() > MAX_REASON {
        let end = (0..=MAX_REASON).rev().find(|at| why.is_char_boundary(*at));
        why.truncate(end.unwrap_or(0));
    }
    why
}

/// The entry that did what `input` asks for, when it was done before under the same key. It is
/// not decided again: what was answered then is the answer.
pub fn before(state: &State, input: &Input, now_us: i64) -> Option<u64> {
    match input {
        Input::Asked {
            caller, condition, ..
        } => state.keys.find(caller, condition.key.as_ref()?, now_us),
        Input::Start { .. }
        | Input::Joined { .. }
        | Input::Serves { .. }
        | Input::Tick { .. }
        | Input::Concluded { .. }
        | Input::Left { .. } => None,
    }
}

/// What the hub wants of `host`; `None` for a host that was never admitted.
pub fn wanted(state: &State, host: &Name) -> Option<Assignment> {
    Desk::new(state).wanted(host)
}

impl State {
    /// The entry that `draft` becomes as the next one.
    pub fn entry(&self, draft: Draft, now_us: i64) -> Entry {
        let Draft {
            caller,
            why,
            key,
            change,
        } = draft;
        Entry {
            sequence: self.sequence + 1,
            at_us: now_us,
            caller,
            why,
            key,
            change,
        }
    }

    /// Folds an entry in. An entry that was folded in before changes nothing.
    pub fn apply(&mut self, entry: &Entry, hash: Hash) {
        if entry.sequence <= self.sequence {
            return;
        }
        self.sequence = entry.sequence;
        self.hash = hash;
        if let Some(key) = &entry.key {
            self.keys
                .note(&entry.caller, key, entry.sequence, entry.at_us);
        }
        match &entry.change {
            Change::Genesis { store } => self.store = store.as_str().into(),
            Change::HostAdmitted(admission) | Change::HostRelabelled(admission) => {
                let known = self.hosts.get(&admission.host);
                let host = Host {
                    admission: admission.clone(),
                    admitted_at_us: known.map_or(entry.at_us, |host| host.admitted_at_us),
                    generation: entry.sequence,
                    membership: known.map_or(Membership::Member, |host| host.membership.clone()),
                    drained: known.and_then(|host| host.drained.clone()),
                };
                self.hosts.insert(admission.host.clone(), Arc::new(host));
            }
            Change::HostRetired { host } => {
                let why = entry.why.as_str().into();
                self.settle(
                    host,
                    entry,
                    Membership::Retired {
                        why,
                        at_us: entry.at_us,
                    },
                );
            }
            Change::HostReadmitted { host } => self.settle(host, entry, Membership::Member),
            Change::HostDrained { host } => {
                self.drain(host, entry, Some(entry.why.as_str().into()));
            }
            Change::HostResumed { host } => self.drain(host, entry, None),
            Change::Endpoint(change) => self.apply_endpoint(change, entry),
            Change::Alert(change) => self.alerts.apply(change, place(entry)),
            Change::Registry(change) => {
                let place = registry::Place {
                    sequence: entry.sequence,
                    at_us: entry.at_us,
                    caller: &entry.caller,
                    why: &entry.why,
                };
                self.registry.apply(change, place);
                self.endpoints.heed(change.original(), entry.sequence);
            }
        }
    }

    fn apply_endpoint(&mut self, change: &endpoint::Change, entry: &Entry) {
        // Hosts that an edit leaves out, and those that are told to let go of a decision of their
        // own, have an assignment that the endpoint's own generation says nothing of.
        let touched: Vec<Name> = match change {
            endpoint::Change::Edited(said) => {
                tick::hosts_of(self, &said.endpoint).cloned().collect()
            }
            endpoint::Change::Adopted(adopted) => {
                let hosts = adopted.overrides.iter();
                hosts.map(|one| one.host.clone()).collect()
            }
            endpoint::Change::Created(_)
            | endpoint::Change::Accepted(_)
            | endpoint::Change::Moved(_)
            | endpoint::Change::Lifted(_) => Vec::new(),
        };
        self.endpoints.apply(change, place(entry));
        for name in touched {
            if let Some(host) = self.hosts.get_mut(&name) {
                Arc::make_mut(host).generation = entry.sequence;
            }
        }
    }

    fn drain(&mut self, name: &Name, entry: &Entry, drained: Option<Arc<str>>) {
        if let Some(host) = self.hosts.get_mut(name) {
            let host = Arc::make_mut(host);
            host.generation = entry.sequence;
            host.drained = drained;
        }
    }

    fn settle(&mut self, name: &Name, entry: &Entry, membership: Membership) {
        if let Some(host) = self.hosts.get(name) {
            let generation = entry.sequence;
            let host = Host {
                generation,
                membership,
                ..Host::clone(host)
            };
            self.hosts.insert(name.clone(), Arc::new(host));
        }
    }
}

//! What hosts say of themselves at the moment: never journalled, told again when they dial.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::name::Name;
use crate::report::BootId;
use crate::rollout::tick::Judgements;
use crate::served::Served;
use crate::state::Input;

/// One connection of an agent, numbered by the hub from 1 since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// A stream that is open.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// When it was opened.
    pub since_us: i64,
    /// This start of the agent.
    pub boot: BootId,
    /// The generation that the host follows; 0 for none.
    pub generation: u64,
    /// What it serves, as it last said on this stream.
    pub served: Arc<Served>,
    /// The agent's release.
    pub agent_version: Arc<str>,
    /// How it is attached: path, tap or watch.
    pub attachment: Arc<str>,
}

/// The streams that claim one host's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Streams {
    /// Those that are open, oldest first.
    open: BTreeMap<StreamId, Stream>,
    /// Since when any is open, or none.
    turned_us: i64,
    /// Since when more than one is open, or no more than one.
    claimed_us: i64,
}

impl Streams {
    /// How many are open; more than one is an alarm.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Since when any is open, or none.
    pub fn turned_us(&self) -> i64 {
        self.turned_us
    }

    /// Since when more than one is open, or no more than one.
    pub fn claimed_us(&self) -> i64 {
        self.claimed_us
    }

    fn change(&mut self, now_us: i64, change: impl FnOnce(&mut BTreeMap<StreamId, Stream>)) {
        let before = self.open.len();
        change(&mut self.open);
        if self.open.is_empty() != (before == 0) {
            self.turned_us = now_us;
        }
        if (self.open.len() > 1) != (before > 1) {
            self.claimed_us = now_us;
        }
    }
}

/// The open streams of every host. Cloning it is cheap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// By host. A host that never had a stream is absent. Shared one by one: what readers hold of
    /// a fleet is not copied for what one host says.
    hosts: OrdMap<Name, Arc<Streams>>,
    /// Which host a stream belongs to.
    streams: OrdMap<StreamId, Name>,
    /// Hosts that say that they decided something for themselves.
    deciding: OrdSet<Name>,
    /// What was last concluded of the steps that are watched.
    judgements: Arc<Judgements>,
}

impl Observed {
    /// Takes in what an input says of streams; the other inputs say nothing of them.
    pub fn note(&mut self, input: &Input, now_us: i64) {
        match input {
            Input::Joined { stream, greeting } => {
                let host = greeting.admission.host.clone();
                let opened = Stream {
                    since_us: now_us,
                    boot: greeting.boot,
                    generation: greeting.generation,
                    served: Arc::default(),
                    agent_version: greeting.agent_version.clone(),
                    attachment: greeting.attachment.clone(),
                };
                self.streams.insert(*stream, host.clone());
                let streams = &mut self.streams;
                let own = Arc::make_mut(self.hosts.entry(host).or_default());
                own.change(now_us, |open| {
                    // The same start of the same agent has dialled anew: the stream before is
                    // dead, whether or not its end was noticed yet.
                    open.retain(|old, stream| {
                        let stays = stream.boot != opened.boot;
                        if !stays {
                            streams.remove(old);
                        }
                        stays
                    });
                    open.insert(*stream, opened);
                });
            }
            Input::Serves { stream, served } => {
                let Some(host) = self.streams.get(stream) else {
                    return;
                };
                let open = self
                    .hosts
                    .get_mut(host)
                    .and_then(|streams| Arc::make_mut(streams).open.get_mut(stream));
                if let Some(open) = open {
                    open.generation = served.generation;
                    open.served = served.clone();
                }
                match served.overrides.is_empty() {
                    true => self.deciding.remove(host),
                    false => self.deciding.insert(host.clone()),
                };
            }
            Input::Tick { judgements } => self.judgements = judgements.clone(),
            Input::Left { stream } => {
                let Some(host) = self.streams.remove(stream) else {
                    return;
                };
                if let Some(streams) = self.hosts.get_mut(&host) {
                    let streams = Arc::make_mut(streams);
                    streams.change(now_us, |open| {
                        open.remove(stream);
                    });
                    if streams.open.is_empty() {
                        self.deciding.remove(&host);
                    }
                }
            }
            Input::Start { .. } | Input::Concluded { .. } | Input::Asked { .. } => {}
        }
    }

    /// The stream that takes this host's assignments: the oldest of those that claim it.
    pub fn commanding(&self, host: &Name) -> Option<(StreamId, &Stream)> {
        self.hosts
            .get(host)?
            .open
            .iter()
            .next()
            .map(|(id, stream)| (*id, stream))
    }

    /// The host on a stream.
    pub fn host(&self, stream: StreamId) -> Option<&Name> {
        self.streams.get(&stream)
    }

    /// How many streams claim this host's name; more than one is an alarm.
    pub fn streams(&self, host: &Name) -> usize {
        self.hosts.get(host).map_or(0, |streams| streams.open())
    }

    /// Every host that has or had a stream, in order of name.
    pub fn hosts(&self) -> impl Iterator<Item = (&Name, &Streams)> {
        self.hosts.iter().map(|(name, streams)| (name, &**streams))
    }

    /// A host's streams; `None` for one that never had any.
    pub fn of(&self, host: &Name) -> Option<&Streams> {
        self.hosts.get(host).map(|streams| &**streams)
    }

    /// Hosts that say that they decided something for themselves, in order of name.
    pub fn deciding(&self) -> impl Iterator<Item = &Name> {
        self.deciding.iter()
    }

    /// What was last concluded of the steps that are watched.
    pub fn judgements(&self) -> &Judgements {
        &self.judgements
    }

    /// How many streams are open.
    pub fn open(&self) -> usize {
        self.streams.len()
    }

    /// How many hosts have a stream.
    pub fn live(&self) -> usize {
        let open = |streams: &&Arc<Streams>| streams.open() > 0;
        self.hosts.values().filter(open).count()
    }
}

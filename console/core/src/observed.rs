//! What hosts say of themselves at the moment: never journalled, told again when they dial.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;

use crate::name::Name;
use crate::report::BootId;
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
    /// The agent's release.
    pub agent_version: Arc<str>,
    /// How it is attached: path, tap or watch.
    pub attachment: Arc<str>,
}

/// The open streams of every host. Cloning it is cheap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// By host; oldest stream first. A host with no stream is absent.
    hosts: OrdMap<Name, BTreeMap<StreamId, Stream>>,
    /// Which host a stream belongs to.
    streams: OrdMap<StreamId, Name>,
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
                    agent_version: greeting.agent_version.clone(),
                    attachment: greeting.attachment.clone(),
                };
                self.streams.insert(*stream, host.clone());
                let open = self.hosts.entry(host).or_default();
                // The same start of the same agent has dialled anew: the stream before is
                // dead, whether or not its end was noticed yet.
                open.retain(|old, stream| {
                    let stays = stream.boot != opened.boot;
                    if !stays {
                        self.streams.remove(old);
                    }
                    stays
                });
                open.insert(*stream, opened);
            }
            Input::Follows { stream, generation } => {
                let Some(host) = self.streams.get(stream) else {
                    return;
                };
                let open = self
                    .hosts
                    .get_mut(host)
                    .and_then(|open| open.get_mut(stream));
                if let Some(open) = open {
                    open.generation = *generation;
                }
            }
            Input::Left { stream } => {
                let Some(host) = self.streams.remove(stream) else {
                    return;
                };
                if let Some(open) = self.hosts.get_mut(&host) {
                    open.remove(stream);
                    if open.is_empty() {
                        self.hosts.remove(&host);
                    }
                }
            }
            Input::Start { .. } | Input::Asked { .. } => {}
        }
    }

    /// The stream that takes this host's assignments: the oldest of those that claim it.
    pub fn commanding(&self, host: &Name) -> Option<(StreamId, &Stream)> {
        self.hosts
            .get(host)?
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
        self.hosts.get(host).map_or(0, BTreeMap::len)
    }

    /// How many streams are open.
    pub fn open(&self) -> usize {
        self.streams.len()
    }

    /// How many hosts have a stream.
    pub fn live(&self) -> usize {
        self.hosts.len()
    }
}

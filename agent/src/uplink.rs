//! The stream to the hub, as a state machine: events in, actions out, time as an argument.
//!
//! Promises: it always tries again, at a bounded pace (the hub may slow it, and only a hub
//! that retired the host ends it); hubs are tried in turn; what an earlier connection still
//! says is ignored; a refusal is kept in the hub's words and tried again slowly. It neither
//! dials nor reads: `stream.rs` does, and the agent's loop carries the actions out.

pub mod stream;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::assignment::Assignment;
use crate::seal::BootId;
use crate::shadow::Prove;

/// The first wait after a stream is lost: most of the time the hub is back at once.
const WAIT_FIRST: Duration = Duration::from_millis(100);
/// The longest wait unless the hub asks for more: back within 5 s of the hub's return.
const WAIT_LONGEST: Duration = Duration::from_secs(3);
/// The most that the hub may ask for: longer looks like a lost host.
const WAIT_ASKED_LONGEST: Duration = Duration::from_secs(60);
/// Between tries at a hub that refused: only a person changes its mind.
const WAIT_REFUSED: Duration = Duration::from_secs(15);
/// From dialling to the hub's welcome.
const GREETING_LONGEST: Duration = Duration::from_secs(5);
/// A stream that lived as long was a good one: the waits begin again from the shortest.
const STEADY: Duration = Duration::from_secs(5);

/// Something that happened on, or to, a connection.
#[derive(Clone, Debug)]
pub struct Event {
    /// The number that the connection was dialled with.
    pub connection: u64,
    /// What happened.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum What {
    /// The hub said something.
    Heard(FromHub),
    /// The connection is over.
    Ended(Ending),
}

/// What a hub can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromHub {
    /// The stream stands.
    Welcome {
        /// The protocol that the hub chose.
        protocol: u32,
        /// What it has on its disk, by boot.
        durable: Vec<(BootId, u64)>,
        /// Its version.
        hub_version: String,
    },
    /// What the host should do.
    Assignment(Box<Assignment>),
    /// What it has.
    Ack {
        /// Of which boot.
        boot: BootId,
        /// In its memory.
        received: u64,
        /// On its disk.
        durable: u64,
    },
    /// Replay recent inputs.
    Prove(Prove),
    /// Reconnect no sooner than this.
    Backoff {
        /// In milliseconds.
        cap_ms: u32,
    },
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// No stream ever stood.
    Unreachable(String),
    /// It broke, or one side closed it.
    Lost(String),
    /// The hub does not want this agent, in its words.
    Refused(String),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect to this one of the hubs and say hello.
    Dial {
        /// The new connection's number.
        connection: u64,
        /// Which hub.
        hub: usize,
    },
    /// Drop the connection.
    HangUp,
    /// The stream stands: forget what is durable, then offer everything that waits.
    Resume {
        /// What the hub has on its disk, by boot.
        durable: Vec<(BootId, u64)>,
    },
    /// The hub has these windows on its disk.
    Forget {
        /// Of which boot.
        boot: BootId,
        /// Up to which sequence.
        durable: u64,
    },
    /// Do what the assignment says, keep it, and tell the hub.
    Obey(Box<Assignment>),
    /// Replay recent inputs, and tell the hub.
    Prove(Prove),
}

/// Where the uplink stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Waiting to dial.
    Waiting {
        /// Until then.
        until: Instant,
    },
    /// Dialled, not yet welcome.
    Dialling {
        /// Since then.
        since: Instant,
    },
    /// The stream stands.
    Up {
        /// Since then.
        since: Instant,
        /// The hub's version.
        hub_version: String,
    },
    /// The hub retired this host: it stays silent until the agent is restarted.
    Left {
        /// Why, in the hub's words.
        reason: String,
    },
}

/// The uplink of one agent.
#[derive(Debug)]
pub struct Uplink {
    hubs: usize,
    hub: usize,
    connection: u64,
    failures: u32,
    longest: Duration,
    asked: Option<Duration>,
    received: Option<(BootId, u64)>,
    trouble: Option<Ending>,
    state: State,
    rng: StdRng,
}

impl Uplink {
    /// An uplink that dials the first of `hubs` hubs as soon as it is woken.
    pub fn new(hubs: usize, seed: u64, now: Instant) -> Self {
        Self {
            hubs: hubs.max(1),
            hub: 0,
            connection: 0,
            failures: 0,
            longest: WAIT_LONGEST,
            asked: None,
            received: None,
            trouble: None,
            state: State::Waiting { until: now },
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Which of the hubs it speaks to, or will try next.
    pub fn hub(&self) -> usize {
        self.hub
    }

    /// How the last connection ended; nothing once a stream stands.
    pub fn trouble(&self) -> Option<&Ending> {
        self.trouble.as_ref()
    }

    /// The last sequence that the hub said it received, and of which boot.
    pub fn received(&self) -> Option<(BootId, u64)> {
        self.received
    }

    /// When [`Self::woken`] wants to be called.
    pub fn wake_at(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until } => Some(*until),
            State::Dialling { since } => Some(*since + GREETING_LONGEST),
            State::Up { .. } | State::Left { .. } => None,
        }
    }

    /// Time has passed.
    pub fn woken(&mut self, now: Instant) -> Vec<Action> {
        if self.wake_at().is_none_or(|at| at > now) {
            return Vec::new();
        }
        match self.state {
            State::Waiting { .. } => {
                self.connection += 1;
                self.state = State::Dialling { since: now };
                vec![Action::Dial {
                    connection: self.connection,
                    hub: self.hub,
                }]
            }
            State::Dialling { .. } => {
                let words = format!("no welcome within {} s", GREETING_LONGEST.as_secs());
                self.end(Ending::Unreachable(words), now);
                vec![Action::HangUp]
            }
            State::Up { .. } | State::Left { .. } => Vec::new(),
        }
    }

    /// Something happened on a connection.
    pub fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let open = match self.state {
            State::Dialling { .. } | State::Up { .. } => true,
            State::Waiting { .. } | State::Left { .. } => false,
        };
        if !open || event.connection != self.connection {
            return Vec::new();
        }
        match event.what {
            What::Heard(said) => self.heard(said, now),
            What::Ended(ending) => {
                self.end(ending, now);
                vec![Action::HangUp]
            }
        }
    }

    fn heard(&mut self, said: FromHub, now: Instant) -> Vec<Action> {
        let up = matches!(self.state, State::Up { .. });
        match said {
            FromHub::Welcome {
                protocol,
                durable,
                hub_version,
            } if !up => {
                let spoken = binnacle_proto::PROTOCOL_MIN..=binnacle_proto::PROTOCOL_MAX;
                if !spoken.contains(&protocol) {
                    let (from, to) = (spoken.start(), spoken.end());
                    let words = format!(
                        "the hub speaks protocol {protocol}, this agent {from} to {to}: \
                         upgrade the agent"
                    );
                    self.end(Ending::Refused(words), now);
                    return vec![Action::HangUp];
                }
                self.state = State::Up {
                    since: now,
                    hub_version,
                };
                self.trouble = None;
                self.received = None;
                vec![Action::Resume { durable }]
            }
            FromHub::Ack {
                boot,
                received,
                durable,
            } if up => {
                self.received = Some((boot, received));
                vec![Action::Forget { boot, durable }]
            }
            FromHub::Assignment(assignment) if up && assignment.leave => {
                self.state = State::Left {
                    reason: assignment.reason.clone(),
                };
                vec![Action::Obey(assignment), Action::HangUp]
            }
            FromHub::Assignment(assignment) if up => vec![Action::Obey(assignment)],
            FromHub::Prove(asked) if up => vec![Action::Prove(asked)],
            FromHub::Backoff { cap_ms } => {
                let asked = Duration::from_millis(cap_ms.into()).min(WAIT_ASKED_LONGEST);
                self.longest = asked.max(WAIT_LONGEST);
                self.asked = Some(asked);
                Vec::new()
            }
            FromHub::Welcome { .. }
            | FromHub::Ack { .. }
            | FromHub::Assignment(_)
            | FromHub::Prove(_) => {
                let words = "the hub spoke out of turn: is it a newer one?";
                self.end(Ending::Lost(words.into()), now);
                vec![Action::HangUp]
            }
        }
    }

    fn end(&mut self, ending: Ending, now: Instant) {
        if let State::Up { since, .. } = self.state
            && now.saturating_duration_since(since) >= STEADY
        {
            self.failures = 0;
            if self.asked.is_none() {
                self.longest = WAIT_LONGEST;
            }
        }
        let wait = match (&ending, self.asked.take()) {
            (_, Some(asked)) => asked + asked.mul_f64(self.rng.random_range(0.0..1.0)),
            (Ending::Refused(_), None) => self.jittered(WAIT_REFUSED),
            (Ending::Unreachable(_) | Ending::Lost(_), None) => {
                // Hubs that were not tried yet are tried before any long wait.
                let rounds = self.failures / u32::try_from(self.hubs).unwrap_or(u32::MAX);
                let doubled = WAIT_FIRST.saturating_mul(1 << rounds.min(10));
                self.jittered(doubled.min(self.longest))
            }
        };
        self.failures = self.failures.saturating_add(1);
        self.hub = (self.hub + 1) % self.hubs;
        self.trouble = Some(ending);
        self.state = State::Waiting { until: now + wait };
    }

    /// Between half of `wait` and all of it: agents that lost one hub together must not come
    /// back together.
    fn jittered(&mut self, wait: Duration) -> Duration {
        wait.mul_f64(self.rng.random_range(0.5..1.0))
    }
}

#[cfg(test)]
mod tests;

//! The law of the spool and the uplink: whatever dies, repeats or comes late, the hub counts
//! every request exactly once.
//!
//! The real spool, on a real disk, and the real uplink run against a model of the hub that
//! keeps what the contract says and no more: one received sequence a boot in memory, one
//! durable sequence a boot on disk, and counts that survive only once they are flushed.
// A test stops where something is not as it must be, and bounds its waiting by the clock.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use proptest::prelude::*;

use binnacle_agent::seal::{BootId, Sealer, Window};
use binnacle_agent::spool::Spool;
use binnacle_agent::uplink::{Action, Ending, Event, FromHub, State, Uplink, What};
use binnacle_agent::window::{Outcome, SealedSeries, SeriesKey};
use binnacle_sketch::Latency;

/// Requests by model.
type Counts = BTreeMap<String, u64>;

#[derive(Debug, Default)]
struct ModelHub {
    disk: Counts,
    durable: BTreeMap<BootId, u64>,
    memory: Counts,
    received: BTreeMap<BootId, u64>,
    duplicates: u64,
}

impl ModelHub {
    fn take(&mut self, window: &Window) {
        let received = self.received.entry(window.boot).or_default();
        if window.first <= *received {
            assert!(
                window.last <= *received,
                "{}-{} overlaps what was received up to {received}",
                window.first,
                window.last
            );
            self.duplicates += 1;
            return;
        }
        *received = window.last;
        add(&mut self.memory, window);
    }

    fn flush(&mut self) {
        for (model, requests) in std::mem::take(&mut self.memory) {
            *self.disk.entry(model).or_default() += requests;
        }
        self.durable = self.received.clone();
    }

    fn kill(&mut self) {
        self.memory.clear();
        self.received = self.durable.clone();
    }
}

fn add(counts: &mut Counts, window: &Window) {
    for series in &window.series {
        let requests = series.latency.count().unwrap();
        *counts.entry(series.key.model.to_string()).or_default() += requests;
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// Seconds pass, with so many requests in each.
    Seconds { seconds: u8, requests: u8 },
    /// The wall clock is set.
    ClockSet { by_s: i16 },
    /// The agent puts windows on its stream.
    Send { windows: u8 },
    /// The hub reads from a stream, the oldest that still has something.
    Read { windows: u8 },
    /// The hub writes what it has to its disk.
    Flush,
    /// The hub acknowledges.
    Ack,
    /// An acknowledgement of before arrives again.
    AckAgain,
    /// The stream breaks; what is on it may still be read.
    Break,
    /// The stream breaks and what is on it is lost.
    BreakAndLose,
    /// The hub dies, and is back.
    KillHub,
    /// The agent dies, and is back.
    RestartAgent,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..30u8, 0..3u8).prop_map(|(seconds, requests)| Op::Seconds { seconds, requests }),
        1 => (60..=255u8).prop_map(|seconds| Op::Seconds { seconds, requests: 1 }),
        1 => (-90..90i16).prop_map(|by_s| Op::ClockSet { by_s }),
        4 => (1..40u8).prop_map(|windows| Op::Send { windows }),
        4 => (1..40u8).prop_map(|windows| Op::Read { windows }),
        2 => Just(Op::Flush),
        2 => Just(Op::Ack),
        1 => Just(Op::AckAgain),
        1 => Just(Op::Break),
        1 => Just(Op::BreakAndLose),
        1 => Just(Op::KillHub),
        1 => Just(Op::RestartAgent),
    ]
}

struct World {
    folder: tempfile::TempDir,
    now: Instant,
    wall_us: i64,
    boot: BootId,
    boots: u8,
    sealer: Sealer,
    spool: Option<Spool>,
    uplink: Uplink,
    connection: u64,
    idle: Option<Window>,
    /// Streams that the hub may still read from, oldest first.
    streams: VecDeque<VecDeque<Window>>,
    acks: Vec<(BootId, u64, u64)>,
    hub: ModelHub,
    sent: Counts,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (now, wall_us, boot) = (Instant::now(), 1_700_000_000_000_000, BootId([1; 16]));
        Self {
            now,
            wall_us,
            boot,
            boots: 1,
            sealer: Sealer::new(boot, now, wall_us),
            spool: Some(Spool::open(folder.path(), u64::MAX / 4, boot).unwrap()),
            uplink: Uplink::new(1, 1, now),
            connection: 0,
            idle: None,
            streams: VecDeque::new(),
            acks: Vec::new(),
            hub: ModelHub::default(),
            sent: Counts::new(),
            folder,
        }
    }

    fn spool(&mut self) -> &mut Spool {
        self.spool.as_mut().unwrap()
    }

    fn second(&mut self, requests: u8) {
        self.now += std::time::Duration::from_secs(1);
        self.wall_us += 1_000_000;
        let series = (0..requests).map(|model| {
            let mut latency = Latency::<u32>::default();
            latency.record(1_000 * u64::from(model + 1));
            SealedSeries {
                key: SeriesKey {
                    endpoint: "".into(),
                    model: format!("m{model}").into(),
                    version: "1".into(),
                    outcome: Outcome::Ok,
                },
                latency: latency.encode(),
                request_bytes: 1,
                response_bytes: 1,
            }
        });
        let window = self
            .sealer
            .seal(series.collect(), 0, self.now, self.wall_us);
        add(&mut self.sent, &window);
        self.idle = None;
        if window.requests() > 0 {
            self.spool().append(&window);
        } else {
            self.idle = Some(window);
        }
    }

    /// Lets time pass until there is a stream.
    fn connect(&mut self) {
        while !matches!(self.uplink.state(), State::Up { .. }) {
            self.now = self.uplink.wake_at().unwrap();
            for action in self.uplink.woken(self.now) {
                let Action::Dial { connection, .. } = action else {
                    panic!("{action:?}");
                };
                self.connection = connection;
                self.streams.push_back(VecDeque::new());
                let durable = self.hub.durable.clone().into_iter().collect();
                let hub_version = String::new();
                self.hear(FromHub::Welcome {
                    protocol: 1,
                    durable,
                    hub_version,
                });
            }
        }
    }

    fn hear(&mut self, said: FromHub) {
        let event = Event {
            connection: self.connection,
            what: What::Heard(said),
        };
        let actions = self.uplink.on(event, self.now);
        self.act(actions);
    }

    fn end(&mut self) {
        let ending = What::Ended(Ending::Lost("broken".into()));
        let event = Event {
            connection: self.connection,
            what: ending,
        };
        let actions = self.uplink.on(event, self.now);
        self.act(actions);
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Resume { durable } => {
                    for (boot, durable) in durable {
                        self.spool().forget(boot, durable);
                    }
                    self.spool().rewind();
                }
                Action::Forget { boot, durable } => self.spool().forget(boot, durable),
                Action::HangUp => {}
                Action::Dial { .. } | Action::Obey(_) | Action::Prove(_) => panic!("{action:?}"),
            }
        }
    }

    /// As the agent's loop does: this boot in order, a sign of life, earlier boots.
    fn send(&mut self, most: usize) {
        self.connect();
        for _ in 0..most {
            let idle = if self.spool().pending() {
                None
            } else {
                self.idle.take()
            };
            let Some(window) = idle.or_else(|| self.spool().offer()) else {
                return;
            };
            self.streams.back_mut().unwrap().push_back(window);
        }
    }

    fn read(&mut self, most: usize) {
        for _ in 0..most {
            let Some(window) = self.streams.iter_mut().find_map(VecDeque::pop_front) else {
                return;
            };
            self.hub.take(&window);
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Seconds { seconds, requests } => {
                (0..seconds).for_each(|_| self.second(requests));
            }
            Op::ClockSet { by_s } => self.wall_us += i64::from(by_s) * 1_000_000,
            Op::Send { windows } => self.send(windows.into()),
            Op::Read { windows } => self.read(windows.into()),
            Op::Flush => self.hub.flush(),
            Op::Ack => {
                self.connect();
                for (&boot, &received) in &self.hub.received {
                    let durable = self.hub.durable.get(&boot).copied().unwrap_or(0);
                    self.acks.push((boot, received, durable));
                }
                let fresh = self.acks.len().saturating_sub(self.hub.received.len());
                let fresh = self.acks.split_off(fresh);
                self.acks.extend(&fresh);
                for (boot, received, durable) in fresh {
                    self.hear(FromHub::Ack {
                        boot,
                        received,
                        durable,
                    });
                }
            }
            Op::AckAgain => {
                self.connect();
                if let Some(&(boot, received, durable)) = self.acks.first() {
                    self.hear(FromHub::Ack {
                        boot,
                        received,
                        durable,
                    });
                }
            }
            Op::Break => self.end(),
            Op::BreakAndLose => {
                self.end();
                self.streams.clear();
            }
            Op::KillHub => {
                self.end();
                self.streams.clear();
                self.hub.kill();
            }
            Op::RestartAgent => {
                self.end();
                self.spool = None;
                self.boots += 1;
                self.boot = BootId([self.boots; 16]);
                self.sealer = Sealer::new(self.boot, self.now, self.wall_us);
                let path = self.folder.path();
                self.spool = Some(Spool::open(path, u64::MAX / 4, self.boot).unwrap());
                self.uplink = Uplink::new(1, 1, self.now);
                self.idle = None;
            }
        }
    }

    /// Everything arrives in the end.
    fn settle(&mut self) {
        self.end();
        self.send(usize::MAX);
        self.read(usize::MAX);
        self.hub.flush();
        self.run(Op::Ack);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_request_is_counted_exactly_once(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        for op in ops {
            world.run(op);
        }
        world.settle();
        prop_assert_eq!(&world.hub.disk, &world.sent);
        let losses = world.spool().losses();
        prop_assert_eq!(losses.spooled_windows, 0, "what is durable is not kept");
        prop_assert_eq!(losses.spool_windows, 0);
    }
}

#[test]
fn hours_without_a_hub_wait_as_minutes() {
    let mut world = World::new();
    let hours = 3;
    (0..hours * 3600).for_each(|_| world.second(2));
    let waiting = world.spool().losses().spooled_windows;
    let minutes = hours * 60;
    assert!(
        (minutes..minutes + 150).contains(&waiting),
        "{waiting} windows for {minutes} min"
    );
    world.settle();
    assert_eq!(world.hub.disk, world.sent);
    assert_eq!(world.hub.duplicates, 0);
}

//! Rollouts over a real store: the hub is killed at every phase, and each time it comes back the
//! rollout goes on where it was, once, with the same assignments.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)] // tests

use std::collections::BTreeMap;
use std::path::Path;

use binnacle_core::caller::Caller;
use binnacle_core::endpoint::{Command, EndpointName, Fate, Route, Settings};
use binnacle_core::host::{Admission, Labels};
use binnacle_core::judge::{Bounds, Counts, Judgement};
use binnacle_core::judge::{Evidence, Span, judge};
use binnacle_core::name::Name;
use binnacle_core::observed::StreamId;
use binnacle_core::registry::{self, Card, VersionDetail};
use binnacle_core::report::BootId;
use binnacle_core::rollout::Phase;
use binnacle_core::rollout::tick::Judgements;
use binnacle_core::rollout::{Ask, Plan, Stage, Want};
use binnacle_core::served::{Nearness, RouteState, Served, VersionState};
use binnacle_core::state::{Assignment, Condition, Greeting, Input, Request};
use binnacle_hub::clock::{Clock, Hand};
use binnacle_hub::engine::{Engine, Rejected, Written};
use binnacle_hub::store::{self, StoreUrl};
use tokio::sync::watch;

const HOSTS: u64 = 3;

/// A hub over one store, its clock, and the hosts that dial it.
struct Desk<'a> {
    folder: &'a Path,
    clock: Clock,
    hand: Hand,
    engine: Engine,
    orders: Vec<watch::Receiver<Option<Assignment>>>,
    served: Vec<Served>,
    streams: u64,
}

impl<'a> Desk<'a> {
    async fn start(folder: &'a Path) -> Self {
        let (clock, hand) = Clock::manual(1_700_000_000_000_000);
        let mut desk = Self {
            folder,
            engine: engine(folder, &clock).await,
            clock,
            hand,
            orders: Vec::new(),
            served: vec![Served::default(); HOSTS as usize],
            streams: 0,
        };
        desk.dial().await;
        let create = registry::Command::CreateModel(name("fraud"), Card::default());
        desk.asks(Request::Registry(Box::new(create)))
            .await
            .unwrap();
        for _ in 0..2 {
            let detail = Box::<VersionDetail>::default();
            let register = registry::Command::RegisterVersion(name("fraud"), detail);
            desk.asks(Request::Registry(Box::new(register)))
                .await
                .unwrap();
        }
        let create = Command::Create(endpoint(), Settings::default());
        desk.asks(Request::Endpoint(Box::new(create)))
            .await
            .unwrap();
        desk
    }

    /// Every host dials, and says what it serves.
    async fn dial(&mut self) {
        self.orders.clear();
        for n in 0..HOSTS {
            self.streams += 1;
            let stream = StreamId(self.streams);
            let greeting = Greeting {
                admission: Admission {
                    host: name(&format!("host-{n}")),
                    environment: name("prod"),
                    labels: Labels::parse(BTreeMap::new()).unwrap(),
                },
                boot: BootId([n as u8 + 1; 16]),
                generation: self.served[n as usize].generation,
                agent_version: "0.1.0".into(),
                attachment: "path".into(),
            };
            let orders = self.engine.join(Input::Joined { stream, greeting }).await;
            self.orders.push(orders.unwrap());
            self.says_on(stream, n).await;
        }
    }

    async fn says(&self, n: u64) {
        self.says_on(StreamId(self.streams + 1 + n - HOSTS), n)
            .await;
    }

    async fn says_on(&self, stream: StreamId, n: u64) {
        let served = self.served[n as usize].clone().into();
        self.engine
            .put(Input::Serves { stream, served })
            .await
            .unwrap();
    }

    /// Every host does what it was last told.
    async fn follow(&mut self) {
        for n in 0..HOSTS {
            let wanted = self.orders[n as usize].borrow_and_update().clone();
            let Some(wanted) = wanted else { continue };
            let served = &mut self.served[n as usize];
            served.generation = wanted.generation;
            for version in wanted.work.versions() {
                let ready = VersionState {
                    nearness: Nearness::Ready,
                    ..VersionState::default()
                };
                served.versions.insert(version.version.clone(), ready);
            }
            for duty in &wanted.work.endpoints {
                let Some((stamp, _)) = &duty.route else {
                    continue;
                };
                let live = RouteState {
                    live: *stamp,
                    ..RouteState::default()
                };
                served.routes.insert(duty.endpoint.name.clone(), live);
            }
            self.says(n).await;
        }
    }

    /// The hub is killed: what it had in memory is gone, and hosts dial the next one.
    async fn kill(&mut self) {
        self.engine = engine(self.folder, &self.clock).await;
        self.dial().await;
    }

    async fn asks(&self, request: Request) -> Result<Written, Rejected> {
        let input = Input::Asked {
            caller: Caller::Hub,
            why: "because".into(),
            request,
            condition: Condition::default(),
        };
        self.engine.put(input).await
    }

    async fn runs(&self, ask: &Ask) -> Result<Written, Rejected> {
        let published = self.engine.published();
        let plan = Plan::make(&published.state, ask, self.clock.now_us()).unwrap();
        let run = Command::Run(Box::new(plan.expect("something is to be changed")));
        self.asks(Request::Endpoint(Box::new(run))).await
    }

    async fn tick(&self, seconds: i64) {
        self.hand.advance(seconds * 1_000_000);
        let published = self.engine.published();
        let known = published.state.endpoints.get(&endpoint()).unwrap();
        let mut judgements = Judgements::new();
        if let Some(rollout) = &known.rollout {
            let finding = judge(&Bounds::of(&rollout.plan.intent), &good());
            let key = (endpoint(), known.stamp);
            judgements.insert(key, Judgement { finding });
        }
        let judgements = judgements.into();
        self.engine.put(Input::Tick { judgements }).await.unwrap();
    }

    fn phase(&self) -> Option<Phase> {
        let published = self.engine.published();
        let known = published.state.endpoints.get(&endpoint()).unwrap();
        known.rollout.as_ref().map(|rollout| rollout.phase.clone())
    }

    fn fates(&self) -> Vec<(u64, Fate)> {
        let published = self.engine.published();
        let known = published.state.endpoints.get(&endpoint()).unwrap();
        let fate = |revision: &std::sync::Arc<binnacle_core::endpoint::Revision>| {
            (revision.number, revision.fate.clone())
        };
        known.revisions.iter().map(fate).collect()
    }
}

async fn engine(folder: &Path, clock: &Clock) -> Engine {
    let store = store::open(&StoreUrl::Sqlite(folder.join("hub.db")))
        .await
        .unwrap();
    Engine::start(store, clock.clone(), "store".into())
        .await
        .unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn endpoint() -> EndpointName {
    "prod/fraud".parse().unwrap()
}

fn deploy(version: &str, strategy: &str) -> Ask {
    Ask {
        endpoint: endpoint(),
        want: Want::Deploy(Route::whole(version.parse().unwrap())),
        strategy: Some(strategy.parse().unwrap()),
        confirm_within_s: Some(0),
        keeps_sticky: false,
    }
}

/// A version as good as the one beside it.
fn good() -> Evidence {
    let counts = || Counts {
        errors: 0,
        latency: (0..1_000).map(|n| (10_000_000 + n * 10_000, 1)).collect(),
        ..Counts::default()
    };
    let span = || Span {
        canary: counts(),
        control: counts(),
    };
    Evidence {
        spans: vec![span(), span()],
        ..Evidence::default()
    }
}

#[tokio::test]
async fn a_hub_that_is_killed_at_every_phase_goes_on_and_does_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::start(folder.path()).await;
    for (version, strategy) in [("fraud@1", "all-at-once"), ("fraud@2", "canary:10%/1m")] {
        desk.runs(&deploy(version, strategy)).await.unwrap();
        let mut phases = Vec::new();
        for _ in 0..40 {
            let before = desk.engine.published().state.clone();
            desk.kill().await;
            let after = desk.engine.published().state.clone();
            assert_eq!(
                after, before,
                "the state is the journal, and coming back adds nothing"
            );
            let Some(phase) = desk.phase() else { break };
            phases.push(phase);
            desk.follow().await;
            desk.kill().await;
            desk.tick(61).await;
        }
        assert_eq!(desk.phase(), None, "{version} never arrived: {phases:?}");
        if strategy != "all-at-once" {
            assert!(
                phases.contains(&Phase::Step(0, Stage::Baking)),
                "{phases:?}"
            );
        }
    }
    assert_eq!(desk.fates(), [(1, Fate::Promoted), (2, Fate::Promoted)]);
    let back = Ask {
        want: Want::Rollback(None),
        strategy: None,
        ..deploy("fraud@1", "all-at-once")
    };
    desk.runs(&back).await.unwrap();
    desk.kill().await;
    desk.follow().await;
    desk.tick(1).await;
    assert_eq!(desk.fates()[2], (3, Fate::Promoted));
    let blocked = desk
        .engine
        .published()
        .state
        .endpoints
        .get(&endpoint())
        .unwrap()
        .blocked
        .clone();
    assert_eq!(
        blocked.len(),
        1,
        "what was rolled back may not come again by itself"
    );
}

#[tokio::test]
async fn a_change_of_route_is_pushed_to_the_hosts_of_the_endpoint_and_to_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::start(folder.path()).await;
    let greeting = Greeting {
        admission: Admission {
            host: name("elsewhere"),
            environment: name("staging"),
            labels: Labels::parse(BTreeMap::new()).unwrap(),
        },
        boot: BootId([99; 16]),
        generation: 0,
        agent_version: "0.1.0".into(),
        attachment: "path".into(),
    };
    let stream = StreamId(900);
    let mut elsewhere = desk
        .engine
        .join(Input::Joined { stream, greeting })
        .await
        .unwrap();
    elsewhere.wait_for(Option::is_some).await.unwrap();
    desk.follow().await;
    desk.runs(&deploy("fraud@1", "all-at-once")).await.unwrap();
    for orders in &mut desk.orders {
        assert!(orders.has_changed().unwrap());
        let wanted = orders.borrow_and_update().clone().unwrap();
        assert_eq!(wanted.work.versions().len(), 1, "{wanted:?}");
    }
    assert!(!elsewhere.has_changed().unwrap());
    let shared: Vec<_> = desk
        .orders
        .iter()
        .map(|orders| orders.borrow().clone().unwrap().work.endpoints[0].clone())
        .collect();
    assert!(
        std::sync::Arc::ptr_eq(&shared[0], &shared[2]),
        "one duty is shared by all"
    );
}

//! What a hub assigns is fetched, loaded, routed and taken back: a whole agent between a hub's
//! real protocol and an inference server over real sockets.
// A test stops where something is not as it must be, and bounds its waiting by the clock.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

#[path = "peers/call.rs"]
mod call;
#[path = "peers/hub.rs"]
mod hub;
#[path = "peers/upstream.rs"]
mod upstream;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use binnacle_agent::Agent;
use binnacle_agent::assignment::standing::Rollback;
use binnacle_agent::config::{Config, Given, Text};
use binnacle_agent::control::{self, AskError};
use binnacle_agent::server::Light;
use binnacle_agent::status::Status;
use binnacle_proto::v1 as proto;
use http::StatusCode;

use self::call::{Caller, eventually};
use self::hub::Hub;
use self::upstream::Upstream;

/// A host: its folders, its hub, its inference server, and an agent that can be started again.
struct Host {
    folder: tempfile::TempDir,
    hub: Hub,
    upstream: Upstream,
    agent: Option<Agent>,
}

impl Host {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::start().await;
        upstream.forget();
        upstream.load_from(&folder.path().join("repository"));
        let mut host = Self {
            hub: Hub::start(folder.path()),
            folder,
            upstream,
            agent: None,
        };
        host.start_again().await;
        host
    }

    async fn start_again(&mut self) {
        let text = |text: String| Some(Text::flag("test", text));
        let given = Given {
            host: text("infer-0042".into()),
            environment: text("test".into()),
            hubs: vec![Text::flag("hub", self.hub.addr())],
            upstream: text(format!("http://{}", self.upstream.addr)),
            listen: text("127.0.0.1:0".into()),
            data: text(self.folder.path().join("data").display().to_string()),
            repository: text(self.repository().display().to_string()),
            ..Given::default()
        };
        let config = Config::from_given(given, None).unwrap();
        self.agent = Some(Box::pin(Agent::start(config)).await.unwrap());
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn agent(&self) -> &Agent {
        self.agent.as_ref().unwrap()
    }

    fn status(&self) -> Status {
        (**self.agent().status().borrow()).clone()
    }

    /// What `pay` answers, and by which version.
    async fn pay(&self) -> (StatusCode, String) {
        let mut caller = Caller::new(self.agent().listen_addr()).await;
        caller.told("/v2/models/pay/infer").await
    }

    /// Assigns `pay` the route `revision` to `versions`, which have equal shares; the hub keeps
    /// `kept` and wants them warm.
    fn wanted(&self, revision: u64, versions: &[&str], kept: &[Kept]) -> proto::Assignment {
        proto::Assignment {
            generation: self.hub.observation().generation + 1,
            versions: kept.iter().map(|kept| kept.wanted(&self.hub)).collect(),
            endpoints: vec![proto::EndpointAssignment {
                endpoint: "pay".into(),
                route: Some(route(revision, versions)),
                ..proto::EndpointAssignment::default()
            }],
            ..proto::Assignment::default()
        }
    }

    fn assign(&self, revision: u64, versions: &[&str], kept: &[Kept]) -> proto::Assignment {
        let assignment = self.wanted(revision, versions, kept);
        self.hub.assign(assignment.clone());
        assignment
    }

    async fn live(&self, revision: u64) {
        let what = format!("revision {revision} is live");
        eventually(&what, || self.hub.revision("pay") == revision).await;
    }

    async fn rollback(&self, to: Option<&str>) -> Result<(), AskError> {
        let asked = Rollback {
            endpoint: "pay".into(),
            to: to.map(str::to_owned),
            who: "ada".into(),
            reason: "it declines everybody".into(),
        };
        let path = self.agent().control().to_owned();
        control::roll_back(&path, &asked).await.map(drop)
    }
}

/// A version whose file says what becomes of it.
#[derive(Clone)]
struct Kept {
    version: &'static str,
    file: String,
    golden: Option<String>,
}

fn kept(version: &'static str, file: &str) -> Kept {
    Kept {
        version,
        file: file.to_owned(),
        golden: None,
    }
}

impl Kept {
    fn wanted(&self, hub: &Hub) -> proto::WantedVersion {
        let golden = self
            .golden
            .as_ref()
            .map(|golden| hub.keep(golden.as_bytes()));
        proto::WantedVersion {
            model: "fraud".into(),
            version: self.version.into(),
            nearness: proto::Nearness::Warm.into(),
            sha256: hub.keep(self.file.as_bytes()).into(),
            bytes: self.file.len() as u64,
            format: "onnx".into(),
            golden_sha256: golden.unwrap_or_default().into(),
            ..Default::default()
        }
    }
}

fn route(revision: u64, versions: &[&str]) -> proto::Route {
    let shares = versions.iter().map(|version| proto::Share {
        model: "fraud".into(),
        version: (*version).into(),
        weight: 10_000 / versions.len() as u32,
    });
    proto::Route {
        revision,
        shares: shares.collect(),
        ..proto::Route::default()
    }
}

/// An assignment whose route reverts to `back` unless somebody confirms it.
fn unless_confirmed(
    assignment: &proto::Assignment,
    back: proto::Route,
    after_ms: u64,
) -> proto::Assignment {
    let mut assignment = assignment.clone();
    assignment.endpoints[0].dead_man = Some(proto::DeadMan {
        revert_to: Some(back),
        after_ms,
    });
    assignment
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_comes_takes_over_without_a_failed_request_and_goes() {
    let host = Host::start().await;
    let (one, two) = (kept("1", "well, one"), kept("2", "well, two"));
    host.assign(1, &["1"], std::slice::from_ref(&one));
    host.live(1).await;
    assert_eq!(host.pay().await, (StatusCode::OK, "fraud@1".into()));
    let over = Arc::new(AtomicBool::new(false));
    let (address, stop) = (host.agent().listen_addr(), over.clone());
    let application = tokio::spawn(async move {
        let (mut caller, mut answers) = (Caller::new(address).await, Vec::new());
        while !stop.load(Ordering::SeqCst) {
            let (status, version) = caller.told("/v2/models/pay/infer").await;
            assert_eq!(status, StatusCode::OK);
            if answers.last() != Some(&version) {
                answers.push(version);
            }
        }
        answers
    });
    host.assign(2, &["2"], &[one, two.clone()]);
    host.live(2).await;
    assert_eq!(host.pay().await, (StatusCode::OK, "fraud@2".into()));
    over.store(true, Ordering::SeqCst);
    assert_eq!(application.await.unwrap(), ["fraud@1", "fraud@2"]);
    let observed = host.hub.observation();
    assert!(observed.routes[0].switch_ns > 0);
    for version in ["1", "2"] {
        let state = host.hub.version(version);
        assert_eq!(state.phase(), proto::Phase::Ready, "{state:?}");
        assert!(state.fetch_ms > 0 && state.load_ms > 0 && state.verified_at_us > 0);
    }
    // Nothing names the first any more.
    host.assign(2, &["2"], &[two]);
    eventually("it is forgotten", || {
        host.hub.observation().versions.len() == 1
    })
    .await;
    let changes = ["load fraud@1", "load fraud@2", "unload fraud@1"];
    assert_eq!(host.upstream.changes(), changes);
    assert!(!host.repository().join("fraud/1").exists());
    let shelf = std::fs::read_dir(host.folder.path().join("data/artifacts"));
    assert_eq!(shelf.unwrap().count(), 1);
}

#[tokio::test]
async fn a_version_that_cannot_serve_is_never_ready_and_the_route_waits_for_it() {
    let host = Host::start().await;
    let one = kept("1", "well, one");
    host.assign(1, &["1"], std::slice::from_ref(&one));
    host.live(1).await;
    for (version, file, reason) in [
        ("2", "corrupt", "load: HTTP 400: the model is corrupt"),
        (
            "3",
            "broken",
            "warm-up: HTTP 500: the model is out of order",
        ),
    ] {
        host.assign(2, &[version], &[one.clone(), kept(version, file)]);
        eventually("it fails", || host.hub.version(version).reason == reason).await;
        assert_eq!(host.hub.version(version).phase(), proto::Phase::Failed);
        let route = host.hub.observation().routes[0].clone();
        let waits = format!("fraud@{version} is FAILED: {reason}");
        assert_eq!((route.revision, route.waiting_for), (1, waits));
        assert_eq!(host.pay().await, (StatusCode::OK, "fraud@1".into()));
    }
    host.assign(4, &["4"], &[one, kept("4", "well, four")]);
    host.live(4).await;
}

#[tokio::test]
async fn bytes_that_are_not_those_that_were_registered_are_not_served() {
    let host = Host::start().await;
    let two = kept("2", "well, two");
    let digest = two.wanted(&host.hub).sha256;
    let forged = (b"well, but another".to_vec(), usize::MAX);
    let mut wanted = two.wanted(&host.hub);
    wanted.bytes = forged.0.len() as u64;
    host.hub.known().blobs.insert(digest.to_vec(), forged);
    let mut assignment = host.assign(2, &["2"], &[]);
    assignment.versions = vec![wanted];
    assignment.generation += 1;
    host.hub.assign(assignment);
    let failed = || host.hub.version("2").phase() == proto::Phase::Failed;
    eventually("it fails", failed).await;
    let reason = host.hub.version("2").reason;
    assert!(reason.contains("and should have"), "{reason}");
    assert_eq!(host.upstream.changes(), [""; 0]);
    assert!(!host.repository().exists());
}

#[tokio::test]
async fn a_download_that_breaks_goes_on_where_it_was_cut_off() {
    let host = Host::start().await;
    let two = kept("2", &format!("well, {}", "two ".repeat(1_500)));
    let digest = two.wanted(&host.hub).sha256;
    let mut assignment = host.assign(2, &["2"], &[]);
    assignment.versions = vec![two.wanted(&host.hub)];
    assignment.generation += 1;
    host.hub.known().blobs.get_mut(&digest[..]).unwrap().1 = 2_500;
    host.hub.assign(assignment);
    host.live(2).await;
    assert_eq!(host.hub.known().downloads, [0, 2_500]);
}

#[tokio::test]
async fn without_a_hub_an_agent_serves_what_it_last_served_from_its_first_request_on() {
    let mut host = Host::start().await;
    let (one, two) = (kept("1", "well, one"), kept("2", "well, two"));
    host.assign(1, &["1", "2"], &[one, two]);
    host.live(1).await;
    host.agent.take().unwrap().shutdown().await;
    host.hub.kill();
    host.start_again().await;
    let (status, version) = host.pay().await;
    assert_eq!(status, StatusCode::OK);
    assert!(["fraud@1", "fraud@2"].contains(&&*version), "{version}");
    // What the server has kept need not be loaded again; what it has lost is.
    let ready = |host: &Host| {
        let versions = host.status().observed.versions;
        versions
            .iter()
            .filter(|state| state.phase.word() == "ready")
            .count()
    };
    eventually("both are ready", || ready(&host) == 2).await;
    assert_eq!(host.upstream.changes().len(), 2);
    host.upstream.forget();
    eventually("both are loaded again", || {
        host.upstream.changes().len() == 4
    })
    .await;
    eventually("both are ready again", || ready(&host) == 2).await;
    assert_eq!(host.pay().await.0, StatusCode::OK);
}

#[tokio::test]
async fn wherever_an_agent_dies_the_next_one_gets_there() {
    let mut host = Host::start().await;
    let file = format!("well, {}", "two ".repeat(10_000));
    for (round, wait) in [0, 5, 15, 30, 60, 120, 240].into_iter().enumerate() {
        let revision = round as u64 + 1;
        let version = ["1", "2"][round % 2];
        host.assign(
            revision,
            &[version],
            &[kept("1", &file), kept("2", &format!("{file}2"))],
        );
        tokio::time::sleep(Duration::from_millis(wait)).await;
        // As a kill does: everything stops where it is.
        drop(host.agent.take());
        let control = host.folder.path().join("data/agent.sock");
        eventually("its socket is free", || !control.exists()).await;
        host.start_again().await;
    }
    host.live(7).await;
    assert_eq!(host.pay().await, (StatusCode::OK, "fraud@1".into()));
}

#[tokio::test]
async fn a_route_that_nobody_confirms_reverts_with_the_hub_gone_and_stays_reverted() {
    let mut host = Host::start().await;
    let kept = [kept("1", "well, one"), kept("2", "well, two")];
    host.assign(1, &["1"], &kept);
    host.live(1).await;
    let assignment = host.wanted(2, &["2"], &kept);
    // Long enough that a slow machine has told of it before it has fired.
    let assignment = unless_confirmed(&assignment, route(1, &["1"]), 6_000);
    host.hub.assign(assignment.clone());
    host.live(2).await;
    let is_armed = || host.hub.observation().routes[0].reverts_in_ms > 0;
    eventually("the switch is armed", is_armed).await;
    host.hub.kill();
    let live = |host: &Host| {
        let status = host.status();
        status
            .observed
            .routes
            .first()
            .map_or(0, |route| route.revision)
    };
    eventually("it reverts", || live(&host) == 1).await;
    assert_eq!(host.pay().await, (StatusCode::OK, "fraud@1".into()));
    // Neither a start of its own nor the hub's old word changes that.
    host.agent.take().unwrap().shutdown().await;
    host.start_again().await;
    host.hub.start_again();
    let told = || host.hub.observation().overrides.len() == 1;
    eventually("the hub is told", told).await;
    let decided = host.hub.observation().overrides[0].clone();
    assert_eq!(decided.kind(), proto::r#override::Kind::Unconfirmed);
    assert_eq!(
        (decided.from_revision, decided.route.unwrap().revision),
        (2, 1)
    );
    assert_eq!(host.hub.revision("pay"), 1);
    // An assignment that knows of it takes its place.
    let mut assignment = assignment;
    assignment.generation += 1;
    assignment.supersedes = vec![decided.id];
    assignment.endpoints[0].dead_man = None;
    host.hub.assign(assignment);
    host.live(2).await;
    assert!(host.hub.observation().overrides.is_empty());
}

#[tokio::test]
async fn a_route_that_is_confirmed_stays() {
    let host = Host::start().await;
    let kept = [kept("1", "well, one"), kept("2", "well, two")];
    host.assign(1, &["1"], &kept);
    host.live(1).await;
    let mut assignment = host.assign(1, &["1"], &kept);
    assignment.endpoints[0].route = Some(route(2, &["2"]));
    assignment.generation += 1;
    let waiting = unless_confirmed(&assignment, route(1, &["1"]), 6_000);
    host.hub.assign(waiting);
    host.live(2).await;
    let armed_at = Instant::now();
    assignment.generation += 1;
    host.hub.assign(assignment);
    let disarmed = || host.hub.observation().routes[0].reverts_in_ms == 0;
    eventually("it is disarmed", disarmed).await;
    let passed = || armed_at.elapsed() > Duration::from_millis(6_500);
    eventually("its time has passed", passed).await;
    assert_eq!(host.pay().await, (StatusCode::OK, "fraud@2".into()));
    assert!(host.hub.observation().overrides.is_empty());
}

#[tokio::test]
async fn somebody_on_the_host_rolls_back_without_a_hub_and_it_is_told_later() {
    let mut host = Host::start().await;
    let kept = [kept("1", "well, one"), kept("2", "well, two")];
    host.assign(1, &["1"], &kept);
    host.live(1).await;
    host.assign(2, &["2"], &kept);
    host.live(2).await;
    host.hub.kill();
    host.rollback(None).await.unwrap();
    eventually("it is live", || {
        let status = host.status();
        status
            .observed
            .routes
            .first()
            .is_some_and(|route| route.revision == 1)
    })
    .await;
    assert_eq!(host.pay().await, (StatusCode::OK, "fraud@1".into()));
    let refused = host.rollback(Some("9")).await.unwrap_err().to_string();
    assert!(
        refused.starts_with("fraud@9 is not loaded here"),
        "{refused}"
    );
    host.agent.take().unwrap().shutdown().await;
    host.start_again().await;
    assert_eq!(host.pay().await, (StatusCode::OK, "fraud@1".into()));
    host.hub.start_again();
    let told = || host.hub.observation().overrides.len() == 1;
    eventually("the hub is told", told).await;
    let decided = host.hub.observation().overrides[0].clone();
    assert_eq!(decided.kind(), proto::r#override::Kind::Local);
    assert_eq!(decided.reason, "it declines everybody");
    assert!(decided.who.starts_with("ada (uid "), "{}", decided.who);
    // A later generation that does not know of it does not undo it.
    host.assign(3, &["2"], &kept);
    let generation = host.hub.observation().generation + 1;
    eventually("it is heard", || {
        host.status().generation >= generation.saturating_sub(1)
    })
    .await;
    assert_eq!(host.hub.revision("pay"), 1);
}

#[tokio::test]
async fn a_version_is_ready_only_when_its_golden_requests_are_answered_as_they_should_be() {
    let host = Host::start().await;
    let golden = |score: f64| {
        let output = serde_json::json!({
            "name": "p", "shape": [1, 2], "datatype": "FP64", "data": [score, 0.1],
        });
        let golden = serde_json::json!({
            "request": {"inputs": []},
            "response": {"model_name": "fraud", "outputs": [output]},
        });
        Some(golden.to_string())
    };
    let mut wrong = kept("1", "well, one");
    wrong.golden = golden(0.7);
    host.assign(1, &["1"], &[wrong]);
    let failed = || host.hub.version("1").phase() == proto::Phase::Failed;
    eventually("it fails", failed).await;
    let reason = host.hub.version("1").reason;
    assert!(
        reason.starts_with("0 of 1 golden requests answered"),
        "{reason}"
    );
    let words = "golden request 1: p[0] is 0.9, expected 0.7 within 1.0e-4";
    assert!(reason.ends_with(words), "{reason}");
    let mut right = kept("1", "well, one");
    right.golden = golden(0.9);
    host.assign(1, &["1"], &[right]);
    host.live(1).await;
    let state = host.hub.version("1");
    assert_eq!((state.golden_passed, state.golden_total), (1, 1));
    assert!(state.golden_at_us > 0);
    // Others are given to it while it serves: it is asked at once, and serves on.
    let mut other = kept("1", "well, one");
    other.golden = golden(0.5);
    host.assign(2, &["1"], &[other]);
    let is_asked = || {
        let state = host.hub.version("1");
        (state.golden_passed, state.golden_total) == (0, 1)
    };
    eventually("it is asked the new ones", is_asked).await;
    let state = host.hub.version("1");
    assert_eq!(state.phase(), proto::Phase::Ready);
    assert!(state.reason.contains("expected 0.5"), "{}", state.reason);
    let correct = || {
        let server = host.status().server;
        server.versions.first().map(|version| version.correct)
    };
    eventually("the fourth light is out", || correct() == Some(Light::Off)).await;
}

#[tokio::test]
async fn a_host_that_drains_turns_load_balancers_away_serves_on_and_unloads() {
    let host = Host::start().await;
    let one = kept("1", "well, one");
    let mut assignment = host.assign(1, &["1"], &[one]);
    host.live(1).await;
    let address = host.agent().listen_addr();
    let ready = || async move { Caller::new(address).await.get("/v2/health/ready").await };
    assert_eq!(ready().await, StatusCode::OK);
    assignment.generation += 1;
    assignment.draining = true;
    host.hub.assign(assignment.clone());
    eventually("it drains", || host.hub.observation().draining).await;
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(host.pay().await, (StatusCode::OK, "fraud@1".into()));
    let fetched = || host.hub.version("1").phase() == proto::Phase::Fetched;
    eventually("it is unloaded", fetched).await;
    assert_eq!(host.upstream.changes(), ["load fraud@1", "unload fraud@1"]);
    assignment.generation += 1;
    assignment.draining = false;
    host.hub.assign(assignment);
    let serves = || host.hub.version("1").phase() == proto::Phase::Ready;
    eventually("it serves again", serves).await;
    assert_eq!(ready().await, StatusCode::OK);
}

#[tokio::test]
async fn a_shadow_answers_beside_the_version_that_serves_and_inputs_are_replayed_on_demand() {
    let host = Host::start().await;
    let kept = [kept("1", "well, one"), kept("2", "well, two")];
    host.assign(1, &["1"], &kept);
    host.live(1).await;
    let mut assignment = host.assign(1, &["1"], &kept);
    let endpoint = &mut assignment.endpoints[0];
    endpoint.keep_inputs = 50;
    let shadowed = endpoint.route.as_mut().unwrap();
    shadowed.revision = 2;
    shadowed.shadows = route(0, &["2"]).shares;
    assignment.generation += 1;
    host.hub.assign(assignment);
    host.live(2).await;
    for _ in 0..30 {
        assert_eq!(host.pay().await, (StatusCode::OK, "fraud@1".into()));
    }
    let sum = |of: fn(&proto::ShadowWindow) -> u64| {
        let known = host.hub.known();
        known.shadows.iter().map(of).sum::<u64>()
    };
    eventually("all are compared", || sum(|window| window.compared) == 30).await;
    assert_eq!(sum(|window| window.same_class), 30);
    assert_eq!(sum(|window| window.difference_decades[0]), 30);
    assert_eq!(sum(|window| window.failed + window.dropped), 0);
    let window = host.hub.known().shadows[0].clone();
    let versions = (
        &*window.endpoint,
        &*window.control_version,
        &*window.shadow_version,
    );
    assert_eq!(versions, ("pay", "1", "2"));
    for (version, expected) in [("2", Ok(20)), ("9", Err("fraud@9 is not loaded here"))] {
        let prove = proto::Prove {
            id: version.as_bytes().to_vec().into(),
            endpoint: "pay".into(),
            model: "fraud".into(),
            version: version.into(),
            most: 20,
        };
        let body = Some(proto::directive::Body::Prove(prove));
        let directive = proto::Directive { body };
        host.hub.say(proto::hub_message::Body::Directive(directive));
        let id = version.as_bytes();
        let told = || host.hub.known().proved.iter().any(|proved| proved.id == id);
        eventually("it is told", told).await;
        let proved = host.hub.known().proved.last().unwrap().clone();
        match expected {
            Ok(compared) => assert_eq!(proved.compared.unwrap().compared, compared),
            Err(words) => assert_eq!(proved.reason, words),
        }
    }
}

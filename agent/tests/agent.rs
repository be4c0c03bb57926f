//! A whole agent between a real inference server and a real hub's protocol.
// A test stops where something is not as it must be, and bounds its waiting by the clock.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

#[path = "peers/call.rs"]
mod call;
#[path = "peers/hub.rs"]
mod hub;
#[path = "peers/upstream.rs"]
mod upstream;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use http::StatusCode;
use tonic::Status as Refusal;

use binnacle_agent::config::{Config, Given, HubAddr, Text};
use binnacle_agent::control;
use binnacle_agent::server::Light;
use binnacle_agent::status::{HubState, SCHEMA, Status};
use binnacle_agent::{Agent, StartError};
use binnacle_proto::v1 as proto;

use self::call::{Caller, eventually};
use self::hub::Hub;
use self::upstream::{Health, Upstream};

fn config(folder: &Path, hub: &Hub, upstream: &Upstream) -> Config {
    let text = |text: String| Some(Text::flag("test", text));
    let given = Given {
        host: text("infer-0042".into()),
        environment: text("test".into()),
        labels: vec![("rack".into(), Text::flag("label", "b7"))],
        hubs: vec![Text::flag("hub", hub.addr())],
        upstream: text(format!("http://{}", upstream.addr)),
        listen: text("127.0.0.1:0".into()),
        data: text(folder.join("data").display().to_string()),
        ..Given::default()
    };
    Config::from_given(given, None).unwrap()
}

async fn start(folder: &Path, hub: &Hub, upstream: &Upstream) -> Agent {
    Box::pin(Agent::start(config(folder, hub, upstream)))
        .await
        .unwrap()
}

fn status(agent: &Agent) -> Status {
    (**agent.status().borrow()).clone()
}

fn lights(status: &Status) -> (Light, Option<(Light, Light)>) {
    let version = status.server.versions.first();
    (
        status.server.process,
        version.map(|version| (version.loaded, version.answers)),
    )
}

const ALL_ON: (Light, Option<(Light, Light)>) = (Light::On, Some((Light::On, Light::On)));
const ALL_OFF: (Light, Option<(Light, Light)>) = (Light::Off, Some((Light::Off, Light::Off)));

#[tokio::test]
async fn what_was_asked_is_what_the_hub_counts_and_probes_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    let agent = start(folder.path(), &hub, &upstream).await;
    eventually("all lights on", || lights(&status(&agent)) == ALL_ON).await;
    let mut caller = Caller::new(agent.listen_addr()).await;
    caller.infer_times(50).await;
    let (missing, _) = caller.post("/v2/models/fraud/versions/2/infer").await;
    assert_eq!(missing, StatusCode::NOT_FOUND);
    eventually("counted", || hub.known().counted() == 51).await;
    assert!(upstream.inferences() > 51, "the probes reached the server");
    {
        let mut known = hub.known();
        known.flush();
        let ok = ("fraud".into(), "1".into(), i32::from(proto::Outcome::Ok));
        assert_eq!(known.disk.get(&ok), Some(&50));
        let other = (
            "other".into(),
            String::new(),
            i32::from(proto::Outcome::ClientError),
        );
        assert_eq!(known.disk.get(&other), Some(&1), "{:?}", known.disk);
        let hello = known.hellos.first().unwrap();
        assert_eq!((&*hello.host, &*hello.environment), ("infer-0042", "test"));
        assert_eq!(hello.labels.get("rack").map(String::as_str), Some("b7"));
        assert_eq!(hello.boot_id.len(), 16);
    }
    let moment = || hub.known().last.clone().unwrap();
    eventually("a report tells of the moment", || moment().vitals.is_some()).await;
    let report = moment();
    assert!(report.sent_at_us > 0 && report.losses.is_some());
    let health = report.server.unwrap();
    assert_eq!(health.process(), proto::Light::On);
    assert_eq!(health.versions[0].answers(), proto::Light::On);
    eventually("durable windows leave", || {
        status(&agent).losses.spooled_windows == 0
    })
    .await;
    agent.shutdown().await;
}

#[tokio::test]
async fn five_kills_of_the_hub_under_load_lose_and_repeat_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    let agent = start(folder.path(), &hub, &upstream).await;
    let mut caller = Caller::new(agent.listen_addr()).await;
    let mut sent = 0;
    for kill in 0..5 {
        for _ in 0..40 {
            caller.infer_times(5).await;
            sent += 5;
            tokio::task::yield_now().await;
        }
        let before = hub.known().reports;
        eventually("reports flow", || hub.known().reports > before).await;
        if kill % 2 == 0 {
            hub.known().flush();
        }
        hub.kill();
        caller.infer_times(20).await;
        sent += 20;
        let waits = || matches!(status(&agent).hub.state, HubState::Waiting);
        eventually("the agent notices", waits).await;
        hub.start_again();
        eventually("counted", || hub.known().counted() == sent).await;
    }
    agent.shutdown().await;
    hub.known().flush();
    assert_eq!(hub.known().disk.values().sum::<u64>(), sent);
}

#[tokio::test]
async fn windows_of_an_earlier_start_are_delivered_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut hub, upstream) = (Hub::new(folder.path()), Upstream::start().await);
    for _ in 0..3 {
        let agent = start(folder.path(), &hub, &upstream).await;
        let mut caller = Caller::new(agent.listen_addr()).await;
        caller.infer_times(7).await;
        agent.shutdown().await;
    }
    hub.start_again();
    let agent = start(folder.path(), &hub, &upstream).await;
    let mut caller = Caller::new(agent.listen_addr()).await;
    caller.infer_times(7).await;
    eventually("counted", || hub.known().counted() == 28).await;
    assert_eq!(hub.known().hellos[0].spooled_boots.len(), 3);
    // Received, not durable: a restart of the agent offers them again, the hub drops them.
    agent.shutdown().await;
    let agent = start(folder.path(), &hub, &upstream).await;
    eventually("offered again", || hub.known().duplicates >= 4).await;
    hub.known().flush();
    let mut caller = Caller::new(agent.listen_addr()).await;
    caller.infer_times(1).await;
    eventually("counted", || hub.known().counted() == 29).await;
    agent.shutdown().await;
    assert_eq!(hub.known().counted(), 29);
}

#[tokio::test]
async fn a_refusal_is_shown_in_the_hubs_words() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    let words = "this hub speaks protocol 2 to 3, the agent 1 to 1: upgrade the agent";
    hub.known().refusal = Some(Refusal::failed_precondition(words));
    let agent = start(folder.path(), &hub, &upstream).await;
    eventually("refused", || status(&agent).hub.state == HubState::Refused).await;
    assert_eq!(status(&agent).hub.reason, words);
    let mut caller = Caller::new(agent.listen_addr()).await;
    caller.infer_times(1).await;
}

#[tokio::test]
async fn a_newer_protocol_that_the_hub_insists_on_is_refused_by_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    hub.known().protocol = Some(9);
    let agent = start(folder.path(), &hub, &upstream).await;
    eventually("refused", || status(&agent).hub.state == HubState::Refused).await;
    let reason = status(&agent).hub.reason;
    assert_eq!(
        reason,
        "the hub speaks protocol 9, this agent 1 to 1: upgrade the agent"
    );
    assert_eq!(hub.known().reports, 0);
}

#[tokio::test]
async fn an_assignment_is_kept_confirmed_and_told_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    let assigned = proto::Assignment {
        generation: 7,
        ..proto::Assignment::default()
    };
    hub.known().assignment = Some(assigned);
    let agent = start(folder.path(), &hub, &upstream).await;
    eventually("observed", || hub.known().observed == Some(7)).await;
    agent.shutdown().await;
    let agent = start(folder.path(), &hub, &upstream).await;
    eventually("a second hello", || hub.known().hellos.len() == 2).await;
    assert_eq!(hub.known().hellos[1].generation, 7);
    agent.shutdown().await;
}

#[tokio::test]
async fn a_retired_host_serves_on_and_is_silent_until_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    let reason = "moved to another rack".to_owned();
    hub.known().assignment = Some(proto::Assignment {
        generation: 2,
        leave: true,
        reason,
        ..proto::Assignment::default()
    });
    let agent = start(folder.path(), &hub, &upstream).await;
    eventually("left", || status(&agent).hub.state == HubState::Left).await;
    assert_eq!(status(&agent).hub.reason, "moved to another rack");
    let mut caller = Caller::new(agent.listen_addr()).await;
    caller.infer_times(3).await;
    eventually("windows wait", || status(&agent).losses.spooled_windows > 0).await;
    assert_eq!(hub.known().hellos.len(), 1);
    agent.shutdown().await;
    hub.known().assignment = None;
    let agent = start(folder.path(), &hub, &upstream).await;
    eventually("counted", || hub.known().counted() == 3).await;
    agent.shutdown().await;
}

#[tokio::test]
async fn lights_go_out_one_by_one_and_come_back_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, mut upstream) = (Hub::start(folder.path()), Upstream::start().await);
    let agent = start(folder.path(), &hub, &upstream).await;
    let are = |lights_are| move |agent: &Agent| lights(&status(agent)) == lights_are;
    eventually("all on", || are(ALL_ON)(&agent)).await;
    let mut caller = Caller::new(agent.listen_addr()).await;

    upstream.set("fraud", "1", Health::Broken);
    let broken = (Light::On, Some((Light::On, Light::Off)));
    eventually("it does not answer", || are(broken)(&agent)).await;
    let reason = status(&agent).server.versions[0].reason.clone();
    assert_eq!(reason, "probe failed: HTTP 500: the model is out of order");

    upstream.set("fraud", "1", Health::Unloaded);
    let unloaded = (Light::On, Some((Light::Off, Light::Off)));
    eventually("it is not loaded", || are(unloaded)(&agent)).await;

    upstream.set("fraud", "1", Health::Well);
    eventually("all on again", || are(ALL_ON)(&agent)).await;

    upstream.stop();
    eventually("all off", || are(ALL_OFF)(&agent)).await;
    let (refused, body) = caller.infer().await;
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        serde_json::from_str::<serde_json::Value>(&body).is_ok(),
        "{body}"
    );

    upstream.start_again().await;
    eventually("all on after the restart", || are(ALL_ON)(&agent)).await;
    caller.infer_times(1).await;
    agent.shutdown().await;
}

#[tokio::test]
async fn a_server_that_hangs_is_up_and_neither_loaded_nor_answering() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    let agent = start(folder.path(), &hub, &upstream).await;
    eventually("all on", || lights(&status(&agent)) == ALL_ON).await;
    upstream.hang(true);
    let hung = (Light::On, Some((Light::Off, Light::Off)));
    eventually("it hangs", || lights(&status(&agent)) == hung).await;
    let reason = status(&agent).server.versions[0].reason.clone();
    assert_eq!(reason, "no answer within 1000 ms");
    upstream.hang(false);
    eventually("all on again", || lights(&status(&agent)) == ALL_ON).await;
}

#[tokio::test]
async fn a_server_that_cannot_list_is_asked_for_the_models_that_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    upstream.cannot_list();
    let mut config = config(folder.path(), &hub, &upstream);
    config.models = vec!["fraud".into()];
    let agent = Box::pin(Agent::start(config)).await.unwrap();
    eventually("all on", || lights(&status(&agent)) == ALL_ON).await;
    let version = status(&agent).server.versions[0].clone();
    assert_eq!((&*version.model, &*version.version), ("fraud", "1"));
}

#[tokio::test]
async fn a_hub_that_is_away_is_replaced_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    let mut config = config(folder.path(), &hub, &upstream);
    let away = HubAddr::Unix(folder.path().join("away.sock"));
    config.hubs.insert(0, away);
    let agent = Box::pin(Agent::start(config)).await.unwrap();
    let mut caller = Caller::new(agent.listen_addr()).await;
    caller.infer_times(4).await;
    eventually("counted", || hub.known().counted() == 4).await;
    assert_eq!(status(&agent).hub.address, hub.addr());
}

#[tokio::test]
async fn the_control_socket_tells_its_owner_what_the_agent_does() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    let agent = start(folder.path(), &hub, &upstream).await;
    eventually("connected", || {
        status(&agent).hub.state == HubState::Connected
    })
    .await;
    let mut caller = Caller::new(agent.listen_addr()).await;
    caller.infer_times(5).await;
    eventually("counted", || {
        status(&agent).totals.requests.get("ok") == Some(&5)
    })
    .await;
    let mode = std::fs::metadata(agent.control())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let told = control::ask(agent.control(), "/status").await.unwrap();
    let told: Status = serde_json::from_slice(&told).unwrap();
    assert_eq!(
        (&*told.schema, &*told.host, told.listen),
        (SCHEMA, "infer-0042", agent.listen_addr())
    );
    let metrics = control::ask(agent.control(), "/metrics").await.unwrap();
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    assert!(
        metrics.contains("binnacle_agent_requests_total{outcome=\"ok\"} 5\n"),
        "{metrics}"
    );
    assert!(control::ask(agent.control(), "/nowhere").await.is_err());
    let path = agent.control().to_owned();
    agent.shutdown().await;
    eventually("the socket is removed", || !path.exists()).await;
}

#[tokio::test]
async fn two_agents_cannot_share_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::new(folder.path()), Upstream::start().await);
    let first = start(folder.path(), &hub, &upstream).await;
    let second = Box::pin(Agent::start(config(folder.path(), &hub, &upstream))).await;
    assert!(matches!(second, Err(StartError::Spool(_))), "{second:?}");
    drop(first);
}

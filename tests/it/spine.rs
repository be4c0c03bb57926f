//! Every request through an agent is seen at the hub, exactly, whatever dies on the way.

use std::time::Duration;

use serde_json::Value;

use binnacle_tests::fleet::Agent;
use binnacle_tests::patience::{eventually, eventually_true};
use binnacle_tests::relay::Relay;
use binnacle_tests::request_log;
use binnacle_tests::traffic::Traffic;

use super::scene::{BACK_LIMIT, COUNT_LIMIT, Scene, row};

/// Between two requests of a lane: modest for two cores, and some thousands of requests a test.
const PACE: Duration = Duration::from_millis(4);
/// Kills in a test.
const KILLS: usize = 5;

/// How many times as long a run is, for tests/soak.
fn stretch() -> u64 {
    std::env::var("BINNACLE_SOAK").map_or(1, |times| times.parse().unwrap())
}

/// Waits until as many more requests have come to an end.
#[track_caller]
fn await_more(traffic: &Traffic, requests: u64) {
    let until = traffic.sent() + requests * stretch();
    let limit = Duration::from_secs(60) * u32::try_from(stretch()).unwrap();
    eventually_true("traffic flows", limit, || traffic.sent() >= until);
}

#[test]
fn sent_is_counted_across_five_kills_of_the_hub_and_no_request_fails() {
    let mut scene = Scene::start(1);
    let traffic = Traffic::start(&scene.lanes(PACE));
    // About thirty seconds of traffic in all.
    for _ in 0..KILLS {
        await_more(&traffic, 3_000);
        scene.hub.kill();
        await_more(&traffic, 2_000);
        scene.hub.start_again();
        scene.await_live("host-1", BACK_LIMIT);
    }
    await_more(&traffic, 3_000);
    let tally = traffic.stop();
    tally.assert_clean();
    scene.await_count(&tally);
}

#[test]
fn what_the_hub_called_durable_outlives_its_kill_without_the_agent() {
    let mut scene = Scene::start(1);
    let traffic = Traffic::start(&scene.lanes(PACE));
    await_more(&traffic, 2_000);
    let tally = traffic.stop();
    scene.await_count(&tally);
    eventually_true(
        "the agent holds nothing that is not durable",
        COUNT_LIMIT,
        || {
            let status = scene.agents[0].control("/status").unwrap().json();
            status["losses"]["spooled_windows"] == 0
        },
    );
    scene.agents[0].kill();
    scene.hub.kill();
    scene.hub.start_again();
    scene.await_count(&tally);
}

#[test]
fn sent_is_counted_across_an_agents_restart() {
    let mut scene = Scene::start(2);
    let traffic = Traffic::start(&scene.lanes(PACE));
    for agent in [0, 1, 0] {
        await_more(&traffic, 2_000);
        let ended = scene.agents[agent].terminate();
        assert!(ended.success(), "{ended}");
        await_more(&traffic, 200);
        scene.agents[agent].start_again();
        scene.await_live(&format!("host-{}", agent + 1), BACK_LIMIT);
    }
    await_more(&traffic, 2_000);
    let tally = traffic.stop();
    assert_eq!(tally.failed, 0, "{:?}", tally.failures);
    scene.await_count(&tally);
}

#[test]
fn sent_is_counted_when_the_agent_is_restarted_while_the_hub_is_away() {
    let mut scene = Scene::start(1);
    let traffic = Traffic::start(&scene.lanes(PACE));
    await_more(&traffic, 1_000);
    scene.hub.kill();
    for _ in 0..2 {
        await_more(&traffic, 1_500);
        assert!(scene.agents[0].terminate().success());
        scene.agents[0].start_again();
    }
    await_more(&traffic, 1_000);
    scene.hub.start_again();
    scene.await_live("host-1", BACK_LIMIT);
    let tally = traffic.stop();
    assert_eq!(tally.failed, 0, "{:?}", tally.failures);
    scene.await_count(&tally);
}

#[test]
fn a_killed_agent_loses_only_what_it_had_not_sealed_and_counts_nothing_twice() {
    let mut scene = Scene::start(1);
    let traffic = Traffic::start(&scene.lanes(PACE));
    let mut sealed = 0;
    for _ in 0..KILLS {
        await_more(&traffic, 1_500);
        let status = scene.agents[0].control("/status").unwrap().json();
        let outcomes = status["totals"]["requests"].as_object().unwrap();
        sealed += outcomes.values().filter_map(Value::as_u64).sum::<u64>();
        scene.agents[0].kill();
        scene.agents[0].start_again();
    }
    await_more(&traffic, 1_000);
    let tally = traffic.stop();
    let counted = eventually("what was sealed is counted", COUNT_LIMIT, || {
        let table = scene.latency();
        let counted = table["total"]["requests"].as_u64().unwrap();
        let status = scene.agents[0].control("/status").unwrap().json();
        match status["losses"]["spooled_windows"].as_u64() {
            Some(0) if counted >= sealed => Ok(counted),
            waiting => Err(format!(
                "{waiting:?} windows wait; {counted} of {sealed}: {table}"
            )),
        }
    });
    assert!(
        counted <= tally.sent(),
        "{counted} counted of {} that were sent",
        tally.sent()
    );
}

#[test]
fn sent_is_counted_when_only_the_connection_is_cut() {
    let mut scene = Scene::start(1);
    let hub = scene.hub.address();
    let hub = std::path::Path::new(hub.strip_prefix("unix:").unwrap());
    let relay = Relay::start(&scene.folder.path().join("relay.sock"), hub);
    let agent = Agent::start(
        scene.folder.path(),
        "host-2",
        &relay.address(),
        &scene.runtimes[0],
    );
    scene.agents.push(agent);
    scene.await_lights("host-2", COUNT_LIMIT);
    let traffic = Traffic::start(&scene.lanes(PACE));
    for _ in 0..KILLS {
        await_more(&traffic, 1_500);
        assert!(relay.cut() > 0, "the agent was connected");
        scene.await_live("host-2", BACK_LIMIT);
    }
    await_more(&traffic, 1_000);
    let tally = traffic.stop();
    tally.assert_clean();
    scene.await_count(&tally);
}

#[test]
fn percentiles_at_the_hub_are_those_of_every_request_within_one_percent() {
    let scene = Scene::start(2);
    let traffic = Traffic::start(&scene.lanes(PACE));
    await_more(&traffic, 12_000);
    let tally = traffic.stop();
    scene.await_count(&tally);
    let mut truth = request_log::Latencies::new();
    for agent in &scene.agents {
        for (key, latencies) in request_log::read(&agent.request_log()) {
            truth.entry(key).or_default().extend(latencies);
        }
    }
    let table = scene.latency();
    let mut compared = 0;
    for ((model, version), mut latencies) in truth {
        latencies.sort_unstable();
        let row = row(&table, &model, &version).unwrap();
        assert_eq!(
            row["requests"].as_u64().unwrap(),
            latencies.len() as u64,
            "{row}"
        );
        for (key, quantile) in [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99)] {
            let exact_us = request_log::nearest_rank(&latencies, quantile) as f64 / 1e3;
            let told_us = row[key].as_f64().unwrap();
            let off = (told_us - exact_us).abs() / exact_us;
            assert!(
                off <= 0.01,
                "{model} {version:?} {key}: {told_us}, exactly {exact_us}"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 12, "three percentiles of four series");
}

//! Versions that do not all find room in a host's memory, through the real programs: what serves
//! stays, what is kept warm goes for it, and it is told why.

use std::collections::BTreeMap;

use serde_json::Value;

use binnacle_tests::client;
use binnacle_tests::models;
use binnacle_tests::patience::{eventually, eventually_true};
use binnacle_tests::traffic::Traffic;

use crate::endpoints::{SOON, Stand};

/// A version on the host: its phase, why it is in that, and the bytes that it takes.
type Held = (String, String, u64);

fn versions(stand: &Stand) -> BTreeMap<String, Held> {
    let status = stand.agents[0]
        .control("/status")
        .map(|answer| answer.json());
    let status = status.unwrap_or_default();
    let versions = status["observed"]["versions"].as_array().cloned();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let held = |one: Value| {
        let bytes = one["memory_bytes"].as_u64().unwrap();
        let held = (text(&one["phase"]), text(&one["reason"]), bytes);
        (text(&one["version"]), held)
    };
    versions.unwrap_or_default().into_iter().map(held).collect()
}

/// Of the three versions all are loaded but this one, for which there is no room.
fn has_no_room(stand: &Stand, version: &str) -> Result<(), String> {
    let versions = versions(stand);
    let is_so = |(name, (phase, why, _)): (&String, &Held)| match name == version {
        true => phase == "fetched" && why.starts_with("no room in memory: it takes "),
        false => phase == "ready",
    };
    match versions.len() == 3 && versions.iter().all(is_so) {
        true => Ok(()),
        false => Err(format!("{versions:?}")),
    }
}

#[test]
fn what_is_kept_warm_goes_for_what_serves_and_no_request_fails() {
    let mut stand = Stand::start(1);
    let third = models::file("tumour", "1");
    stand.does(&format!(
        "version register --model tumour --file {}",
        third.display()
    ));
    stand.does("endpoint edit test/scan --keep-warm 2");
    for version in 1..=3 {
        let way = "--strategy all-at-once --confirm-within 0s --wait=2m";
        let told = stand.does(&format!("deploy tumour@{version} --to test/scan {way}"));
        assert_eq!(told["outcome"], "promoted", "{told}");
    }
    eventually_true("all three are loaded", SOON, || {
        let versions = versions(&stand);
        versions.len() == 3 && versions.values().all(|(phase, ..)| phase == "ready")
    });
    let takes: Vec<u64> = versions(&stand).values().map(|held| held.2).collect();
    assert!(takes.iter().all(|bytes| *bytes > 0), "{takes:?}");

    // A byte too little for all three: what matters least goes, from the server as well.
    let limit = (takes.iter().sum::<u64>() - 1).to_string();
    stand.agents[0].start_again_with(&["--memory-limit-bytes", &limit]);
    eventually("the first one has no room", SOON, || {
        has_no_room(&stand, "1")
    });
    let ready = b"GET /v2/models/tumour/versions/1/ready HTTP/1.1\r\nhost: test\r\n\
                  connection: close\r\n\r\n";
    let ready = client::raw(stand.runtimes[0].http(), ready).unwrap();
    assert_ne!(ready.status, 200, "the server has let go of it");

    // Back to the one that has no room: the one that a rollback of that does not go to makes it,
    // and what serves is not touched.
    let traffic = Traffic::start(&stand.lanes());
    let told = stand.does("rollback test/scan --to 1 --reason test");
    assert_eq!(told["outcome"], "promoted", "{told}");
    eventually("the second one has no room", SOON, || {
        has_no_room(&stand, "2")
    });
    let tally = traffic.stop();
    tally.assert_clean();
    assert!(tally.sent() > 0);
}

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

/// These versions are on the host, and all of them are loaded.
fn are_loaded(stand: &Stand, wanted: &[&str]) -> bool {
    let versions = versions(stand);
    let names: Vec<&str> = versions.keys().map(String::as_str).collect();
    names == wanted && versions.values().all(|(phase, ..)| phase == "ready")
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
        are_loaded(&stand, &["1", "2", "3"])
    });
    let takes: Vec<u64> = versions(&stand).values().map(|held| held.2).collect();
    assert!(takes.iter().all(|bytes| *bytes > 0), "{takes:?}");

    // A byte too little for all three: what matters least goes, from the server as well.
    let limit = (takes.iter().sum::<u64>() - 1).to_string();
    stand.agents[0].start_again_with(&["--memory-limit-bytes", &limit]);
    eventually("the first one has no room", SOON, || {
        let versions = versions(&stand);
        let phases: Vec<&str> = versions.values().map(|held| held.0.as_str()).collect();
        let why = versions.get("1").map_or("", |held| held.1.as_str());
        let said = why.starts_with("no room in memory: it takes ");
        match phases == ["fetched", "ready", "ready"] && said {
            true => Ok(()),
            false => Err(format!("{versions:?}")),
        }
    });
    let ready = b"GET /v2/models/tumour/versions/1/ready HTTP/1.1\r\nhost: test\r\n\
                  connection: close\r\n\r\n";
    let ready = client::raw(stand.runtimes[0].http(), ready).unwrap();
    assert_ne!(ready.status, 200, "the server has let go of it");

    // Back to the one that has no room: another one goes for it, and what serves is not touched.
    let traffic = Traffic::start(&stand.lanes());
    let told = stand.does("rollback test/scan --to 1 --reason test");
    assert_eq!(told["outcome"], "promoted", "{told}");
    // The third one is blocked now, so that it goes, and there is room for the second one again.
    eventually_true("two are loaded and the third has gone", SOON, || {
        are_loaded(&stand, &["1", "2"])
    });
    let tally = traffic.stop();
    tally.assert_clean();
    assert!(tally.sent() > 0);
}

//! Versions that do not all find room in a host's memory, through the real programs: what serves
//! stays, what is kept warm goes for it, and it is told why.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use binnacle_tests::client;
use binnacle_tests::fleet::{Agent, Hub, Runtime};
use binnacle_tests::models::{self, Model};
use binnacle_tests::patience::{eventually, eventually_true};
use binnacle_tests::traffic::{Lane, Protocol, Traffic};

/// Until a host has fetched, loaded and switched.
const SOON: Duration = Duration::from_secs(60);
const ENDPOINT: &str = "test/pay";

/// A hub, and a host that has three versions warm, of which the last one serves.
struct Stand {
    hub: Hub,
    agent: Agent,
    runtime: Runtime,
    _folder: TempDir,
}

impl Stand {
    fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("binnacle-it-")
            .tempdir()
            .unwrap();
        let hub = Hub::start(folder.path());
        let repository = folder.path().join("repository");
        std::fs::create_dir_all(&repository).unwrap();
        let runtime = Runtime::start(&folder.path().join("runtime"), &repository);
        let agent = Agent::start_placing(folder.path(), "host-1", &hub.address(), &runtime);
        let stand = Self {
            hub,
            agent,
            runtime,
            _folder: folder,
        };
        stand.does("model create fraud");
        for version in ["1", "2", "5"] {
            let file = models::file("fraud", version);
            let file = file.display();
            stand.does(&format!("version register --model fraud --file {file}"));
        }
        eventually_true("the host is live", SOON, || {
            let host = stand.hub.host("host-1");
            host.is_some_and(|host| host["state"] == "live")
        });
        stand.does(&format!("endpoint create {ENDPOINT} --keep-warm 2"));
        for version in 1..=3 {
            stand.deploy(&format!("deploy fraud@{version}"));
        }
        stand
    }

    #[track_caller]
    fn does(&self, words: &str) -> Value {
        let words: Vec<&str> = words.split_whitespace().collect();
        let ended = self.hub.ask(&words);
        let said = (&ended.stdout, &ended.stderr);
        assert_eq!(ended.code, 0, "{words:?} {said:?}");
        ended.outcome()["items"][0].clone()
    }

    #[track_caller]
    fn deploy(&self, words: &str) {
        let way = "--strategy all-at-once --confirm-within 0s --wait=2m";
        let told = self.does(&format!("{words} --to {ENDPOINT} {way}"));
        assert_eq!(told["outcome"], "promoted", "{told}");
    }

    /// Each version on the host: its phase, why, and the bytes that it takes.
    fn versions(&self) -> BTreeMap<String, (String, String, u64)> {
        let status = self.agent.control("/status").map(|answer| answer.json());
        let status = status.unwrap_or_default();
        let versions = status["observed"]["versions"].as_array().cloned();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let versions = versions.unwrap_or_default().into_iter().map(|one| {
            let bytes = one["memory_bytes"].as_u64().unwrap();
            let told = (text(&one["phase"]), text(&one["reason"]), bytes);
            (text(&one["version"]), told)
        });
        versions.collect()
    }

    /// Waits until these versions are loaded and this one has no room.
    #[track_caller]
    fn crowds_out(&self, loaded: [&str; 2], out: &str) {
        eventually("one version has no room", SOON, || {
            let versions = self.versions();
            let is_ready = |version: &&str| {
                let known = versions.get(*version);
                known.is_some_and(|(phase, ..)| phase == "ready")
            };
            let said = versions.get(out).is_some_and(|(phase, why, _)| {
                phase == "fetched" && why.starts_with("no room in memory: it takes ")
            });
            match said && loaded.iter().all(is_ready) {
                true => Ok(()),
                false => Err(format!("{versions:?}")),
            }
        });
        let of = format!(
            "GET /v2/models/fraud/versions/{out}/ready HTTP/1.1\r\nhost: test\r\n\
             connection: close\r\n\r\n"
        );
        let ready = client::raw(self.runtime.http(), of.as_bytes()).unwrap();
        assert_ne!(ready.status, 200, "the server has let go of it");
    }
}

#[test]
fn what_is_kept_warm_goes_for_what_serves_and_no_request_fails() {
    let mut stand = Stand::start();
    eventually_true("all three are loaded", SOON, || {
        let versions = stand.versions();
        versions.len() == 3 && versions.values().all(|(phase, ..)| phase == "ready")
    });
    let takes = stand.versions();
    assert!(takes.values().all(|(.., bytes)| *bytes > 0), "{takes:?}");
    // A byte too little for all three: what matters least goes.
    let all: u64 = takes.values().map(|(.., bytes)| bytes).sum();
    let limit = (all - 1).to_string();
    stand
        .agent
        .start_again_with(&["--memory-limit-bytes", &limit]);
    stand.crowds_out(["3", "2"], "1");
    let traffic = Traffic::start(&[Lane {
        protocol: Protocol::Http,
        to: stand.agent.listen(),
        model: Model::called("fraud", "pay"),
        version: String::new(),
        every: Duration::from_millis(20),
    }]);
    // Back to the one that has no room: another one goes for it, and what serves is not touched.
    let told = stand.does(&format!("rollback {ENDPOINT} --to 1 --reason test"));
    assert_eq!(told["outcome"], "promoted", "{told}");
    // It is blocked now, so that it goes, and there is room for the other one again.
    eventually_true("two are loaded and the third has gone", SOON, || {
        let versions = stand.versions();
        let names: Vec<&str> = versions.keys().map(String::as_str).collect();
        names == ["1", "2"] && versions.values().all(|(phase, ..)| phase == "ready")
    });
    let tally = traffic.stop();
    assert_eq!(
        (tally.failed, tally.unanswered),
        (0, 0),
        "{:?}",
        tally.failures
    );
    assert!(tally.sent() > 0);
}

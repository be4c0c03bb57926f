//! Hub and hosts are cut off from each other, by a network that says nothing, at every step of a
//! rollout: it goes on or goes back, and no host is left with another route than was decided.

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use binnacle_tests::command::Ended;
use binnacle_tests::fleet::{self, Agent, Hub, Runtime};
use binnacle_tests::models::{self, Model};
use binnacle_tests::patience::{eventually, eventually_true};
use binnacle_tests::relay::Relay;
use binnacle_tests::traffic::{Lane, Protocol, Traffic};

/// Until hosts have fetched, loaded, switched, and found each other again.
const SOON: Duration = Duration::from_secs(90);
/// Between two requests of a lane.
const PACE: Duration = Duration::from_millis(10);

/// A hub, and two hosts that reach it over a line that can be cut.
struct Stand {
    hub: Hub,
    agents: Vec<Agent>,
    lines: Vec<Relay>,
    _runtimes: Vec<Runtime>,
    _folder: TempDir,
}

impl Stand {
    fn start() -> Self {
        let folder = fleet::folder();
        let hub = Hub::start(folder.path());
        let socket = hub.address();
        let socket = socket.strip_prefix("unix:").unwrap();
        let (mut agents, mut lines, mut runtimes) = (Vec::new(), Vec::new(), Vec::new());
        for host in ["host-1", "host-2"] {
            let repository = folder.path().join(format!("repository-{host}"));
            std::fs::create_dir_all(&repository).unwrap();
            let place = folder.path().join(format!("runtime-{host}"));
            let runtime = Runtime::start(&place, &repository);
            let line = folder.path().join(format!("{host}.sock"));
            let line = Relay::start(&line, socket.as_ref());
            let agent = Agent::start_placing(folder.path(), host, &line.address(), &runtime);
            agents.push(agent);
            lines.push(line);
            runtimes.push(runtime);
        }
        let stand = Self {
            hub,
            agents,
            lines,
            _runtimes: runtimes,
            _folder: folder,
        };
        stand.are_heard();
        stand.does("model create tumour");
        for version in models::VERSIONS {
            let file = models::file("tumour", version);
            let file = file.to_str().unwrap();
            stand.does(&format!("version register --model tumour --file {file}"));
        }
        stand.does("endpoint create test/scan --objective errors<=5% --min-requests 50");
        let told = stand.does("deploy tumour@1 --to test/scan --confirm-within 0s --wait=2m");
        assert_eq!(told["outcome"], "promoted", "{told}");
        stand
    }

    fn ask(&self, words: &str) -> Ended {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.hub.ask(&words)
    }

    #[track_caller]
    fn does(&self, words: &str) -> Value {
        let ended = self.ask(words);
        assert_eq!(ended.code, 0, "{words}\n{}\n{}", ended.stdout, ended.stderr);
        ended.outcome()["items"][0].clone()
    }

    #[track_caller]
    fn are_heard(&self) {
        for agent in &self.agents {
            self.is(agent.host(), "live");
        }
    }

    #[track_caller]
    fn is(&self, host: &str, state: &str) {
        eventually(&format!("{host} is {state}"), SOON, || {
            match self.hub.host(host) {
                Some(host) if host["state"] == state => Ok(()),
                host => Err(format!("{host:?}")),
            }
        });
    }

    fn phase(&self) -> String {
        let endpoint = self.does("endpoint show test/scan");
        let phase = endpoint["rollout"]["phase"].as_str();
        phase.unwrap_or("none").to_owned()
    }

    /// Waits until a rollout is at a phase, or past it.
    #[track_caller]
    fn comes_to(&self, phase: &str) {
        eventually(phase, SOON, || match self.phase() {
            now if now == phase => Ok(()),
            now => Err(format!("{now}: {}", self.does("rollout show test/scan"))),
        });
    }

    /// The route that a host goes by, in its own words.
    fn live(agent: &Agent) -> Value {
        let status = agent.control("/status").map(|answer| answer.json());
        status.unwrap_or_default()["observed"]["routes"][0]["shares"].clone()
    }

    /// Nothing is under way, and every host has the route that the endpoint has.
    #[track_caller]
    fn is_whole(&self, version: &str) {
        let wanted = serde_json::json!([format!("tumour@{version} 100 %")]);
        eventually("all hosts have the one route", SOON, || {
            let endpoint = self.does("endpoint show test/scan");
            let live: Vec<Value> = self.agents.iter().map(Self::live).collect();
            let is_so = endpoint["rollout"].is_null()
                && endpoint["route"] == format!("tumour@{version} 100%")
                && live.iter().all(|live| *live == wanted);
            match is_so {
                true => Ok(()),
                false => Err(format!("{} {live:?}", endpoint["route"])),
            }
        });
    }

    fn traffic(&self) -> Traffic {
        let model = Model::called("tumour", "scan");
        let lane = |agent: &Agent| Lane {
            protocol: Protocol::Http,
            to: agent.listen(),
            model: model.clone(),
            version: String::new(),
            every: PACE,
        };
        Traffic::start(&self.agents.iter().map(lane).collect::<Vec<_>>())
    }
}

#[test]
fn a_rollout_goes_on_when_a_host_that_was_cut_off_at_any_step_of_it_is_back() {
    let stand = Stand::start();
    let traffic = stand.traffic();
    let mut serves = 1;
    for phase in ["preparing", "shifting", "baking", "confirming"] {
        serves = 3 - serves;
        let how = "--strategy canary:50%/4s --confirm-within 10m";
        stand.does(&format!("deploy tumour@{serves} --to test/scan {how}"));
        // Where hosts are quick, a phase is over before it is seen: then it is the next one.
        if ["baking", "confirming"].contains(&phase) {
            stand.comes_to(phase);
        }
        stand.lines[1].part();
        stand.is("host-2", "silent");
        let before = traffic.sent();
        eventually_true("both hosts serve on", SOON, || {
            traffic.sent() > before + 200
        });
        stand.lines[1].join();
        stand.is("host-2", "live");
        stand.comes_to("confirming");
        stand.does("rollout confirm test/scan --reason fine");
        stand.is_whole(&serves.to_string());
    }
    let tally = traffic.stop();
    tally.assert_clean();
}

#[test]
fn hosts_that_hear_nothing_of_a_confirmation_go_back_and_so_does_the_rollout() {
    let stand = Stand::start();
    let traffic = stand.traffic();
    stand.does("deploy tumour@2 --to test/scan --strategy all-at-once --confirm-within 20s");
    stand.comes_to("confirming");
    stand.lines.iter().for_each(Relay::part);
    for agent in &stand.agents {
        stand.is(agent.host(), "silent");
    }
    eventually_true("each host goes back by itself", SOON, || {
        let is_back = |agent| Stand::live(agent) == serde_json::json!(["tumour@1 100 %"]);
        stand.agents.iter().all(is_back)
    });
    stand.lines.iter().for_each(Relay::join);
    stand.are_heard();
    stand.is_whole("1");
    let told = stand.does("rollout show test/scan 2");
    assert_eq!(told["phase"], "rolled_back", "{told}");
    let tally = traffic.stop();
    tally.assert_clean();
}

#[test]
fn a_host_that_was_cut_off_while_the_others_went_back_follows_them() {
    let stand = Stand::start();
    stand.does(
        "deploy tumour@2 --to test/scan --strategy all-at-once --confirm-within 0s --wait=1m",
    );
    stand.lines[1].part();
    stand.is("host-2", "silent");
    // Half of the hosts are more than may be missing: nobody waits for them here.
    stand.does("rollback test/scan --reason bad --detach");
    eventually_true("the other goes back", SOON, || {
        let told = stand.does("rollout show test/scan");
        told["confirmed"] == 1 && told["missing"] == serde_json::json!(["host-2"])
    });
    stand.lines[1].join();
    stand.is_whole("1");
}

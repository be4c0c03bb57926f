//! A small fleet to play on: a hub, and hosts with an agent in front of a runtime.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use binnacle_tests::fleet::{self, Agent, Hub, Runtime};
use binnacle_tests::models::{self, Model};
use binnacle_tests::patience::eventually;
use binnacle_tests::traffic::{Lane, Protocol, Tally};

/// From a hub's return to the agents' return: what an operator is promised.
pub(crate) const BACK_LIMIT: Duration = Duration::from_secs(5);
/// From the last request to its count at the hub: a window is sealed each second, and what
/// waited follows behind live windows.
pub(crate) const COUNT_LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Scene {
    // Dropped in this order: programs before the folder that they write to.
    pub(crate) agents: Vec<Agent>,
    pub(crate) runtimes: Vec<Runtime>,
    pub(crate) hub: Hub,
    pub(crate) folder: TempDir,
}

impl Scene {
    /// A hub and `hosts` hosts, called `host-1` and on, all lights on.
    #[track_caller]
    pub(crate) fn start(hosts: usize) -> Self {
        let folder = fleet::folder();
        let repository = models::repository(folder.path());
        let hub = Hub::start(folder.path());
        let mut scene = Self {
            agents: Vec::new(),
            runtimes: Vec::new(),
            hub,
            folder,
        };
        for number in 1..=hosts {
            let name = format!("host-{number}");
            let place = scene.folder.path().join(format!("runtime-{number}"));
            let runtime = Runtime::start(&place, &repository);
            let hub = scene.hub.address();
            let agent = Agent::start(scene.folder.path(), &name, &hub, &runtime);
            scene.runtimes.push(runtime);
            scene.agents.push(agent);
        }
        for number in 1..=hosts {
            scene.await_lights(&format!("host-{number}"), COUNT_LIMIT);
        }
        scene
    }

    /// Waits until a host is live at the hub.
    #[track_caller]
    pub(crate) fn await_live(&self, host: &str, limit: Duration) {
        eventually(&format!("{host} is live"), limit, || {
            match self.hub.host(host) {
                Some(row) if row["state"] == "live" => Ok(()),
                seen => Err(format!("{seen:?}")),
            }
        });
    }

    /// Waits until every light of a host is on, for every version that there is.
    #[track_caller]
    pub(crate) fn await_lights(&self, host: &str, limit: Duration) {
        let expected = models::NAMES.len() * models::VERSIONS.len();
        eventually(&format!("every light of {host} is on"), limit, || {
            let row = self.hub.host(host).unwrap_or_default();
            let versions = row["server"]["versions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let lit = versions
                .iter()
                .filter(|v| v["loaded"] == "on" && v["answers"] == "on");
            if row["server"]["process"] == "on" && lit.count() == expected {
                Ok(())
            } else {
                Err(row.to_string())
            }
        });
    }

    /// Lanes to every host, over both protocols, for every model, with and without a version.
    pub(crate) fn lanes(&self, every: Duration) -> Vec<Lane> {
        let models: Vec<Arc<Model>> = models::NAMES.iter().map(|name| Model::load(name)).collect();
        let mut lanes = Vec::new();
        for agent in &self.agents {
            for (protocol, model, version) in [
                (Protocol::Http, 0, "1"),
                (Protocol::Http, 1, ""),
                (Protocol::Grpc, 0, "2"),
                (Protocol::Grpc, 1, "1"),
            ] {
                lanes.push(Lane {
                    protocol,
                    to: agent.listen(),
                    model: Arc::clone(&models[model]),
                    version: version.to_owned(),
                    every,
                });
            }
        }
        lanes
    }

    /// The hub's table of latencies over everything that this test sent.
    #[track_caller]
    pub(crate) fn latency(&self) -> Value {
        self.hub.ask(&["latency", "--since", "30m"]).ok()
    }

    /// Waits until the hub has counted exactly what was sent, version by version.
    #[track_caller]
    pub(crate) fn await_count(&self, tally: &Tally) {
        eventually("sent = counted", COUNT_LIMIT, || {
            let answer = self.hub.ask(&["latency", "--since", "30m"]);
            if answer.code != 0 {
                return Err(answer.stderr);
            }
            let table = answer.json();
            let counted = table["total"]["requests"].as_u64().unwrap();
            if counted == tally.sent() {
                Ok(())
            } else {
                Err(format!("sent {}, counted {counted}: {table}", tally.sent()))
            }
        });
        let table = self.latency();
        for name in models::NAMES {
            for version in ["", "1", "2"] {
                let counted = requests(&table, name, version);
                let answered = tally.answered_by(name, version);
                assert_eq!(
                    answered, counted,
                    "{name} {version:?}: answered, counted in {table}"
                );
            }
        }
    }
}

/// The requests of one version in a table of latencies.
pub(crate) fn requests(table: &Value, model: &str, version: &str) -> u64 {
    row(table, model, version).map_or(0, |row| row["requests"].as_u64().unwrap())
}

/// The row of one version in a table of latencies.
pub(crate) fn row<'a>(table: &'a Value, model: &str, version: &str) -> Option<&'a Value> {
    let mut rows = table["items"].as_array().unwrap().iter();
    rows.find(|row| row["model"] == model && row["version"] == version)
}

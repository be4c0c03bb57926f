//! A hub and one host of which inputs and answers are watched, with one version that serves.

use std::path::Path;
use std::time::Duration;

use open_inference::rest::Encoded;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{self, Answer};
use crate::fleet::{self, Agent, Hub, Runtime};
use crate::patience::{eventually, eventually_true};

/// Until a host has fetched, loaded and switched; until counts have come to the hub.
const SOON: Duration = Duration::from_secs(60);

/// The stand.
pub struct Watched {
    /// The hub, which can be killed and started again.
    pub hub: Hub,
    /// The host's agent.
    pub agent: Agent,
    _runtime: Runtime,
    /// Where everything lies.
    pub folder: TempDir,
    endpoint: String,
}

impl Watched {
    /// A version serves at an endpoint, and is watched before the first request comes: with so
    /// many per cent of a core. It is registered in a folder that is empty.
    pub fn start(
        version: &str,
        endpoint: &str,
        percent: u8,
        register: impl FnOnce(&Self, &Path),
    ) -> Self {
        let folder = fleet::folder();
        let hub = Hub::start(folder.path());
        let repository = folder.path().join("repository");
        std::fs::create_dir_all(&repository).unwrap();
        let runtime = Runtime::start(&folder.path().join("runtime"), &repository);
        let address = hub.address();
        let agent = Agent::start_watching(folder.path(), "host-1", &address, &runtime, percent);
        let watched = Self {
            hub,
            agent,
            _runtime: runtime,
            folder,
            endpoint: endpoint.to_owned(),
        };
        let sources = watched.folder.path().join("sources");
        std::fs::create_dir_all(&sources).unwrap();
        register(&watched, &sources);
        eventually_true("the host is live", SOON, || {
            let host = watched.hub.host("host-1");
            host.is_some_and(|host| host["state"] == "live")
        });
        watched.does(&format!("endpoint create {endpoint}"));
        let told = watched.does(&format!("deploy {version} --to {endpoint} --wait=2m"));
        assert_eq!(told["outcome"], "promoted", "{told}");
        eventually("the version is watched", SOON, || {
            let status = watched.agent.control("/status")?.json();
            match status["inputs"]["versions"] == 1 {
                true => Ok(()),
                false => Err(status["inputs"].to_string()),
            }
        });
        watched
    }

    /// Has the hub do something; the first item of what it says.
    #[track_caller]
    pub fn does(&self, words: &str) -> Value {
        let words: Vec<&str> = words.split_whitespace().collect();
        let ended = self.hub.ask(&words);
        let said = (&ended.stdout, &ended.stderr);
        assert_eq!(ended.code, 0, "{words:?} {said:?}");
        ended.outcome()["items"][0].clone()
    }

    /// What `drift` tells of the endpoint: list, show, explain or episodes, with more words.
    pub fn drift(&self, words: &str) -> Vec<Value> {
        let mut asked = vec!["drift"];
        asked.extend(words.split_whitespace());
        asked.insert(2, &self.endpoint);
        let ended = self.hub.ask(&asked);
        let items = ended.json()["items"].as_array().cloned();
        items.unwrap_or_default()
    }

    /// A request over HTTP as it is encoded, with more lines in its header.
    pub fn infer(&self, encoded: &Encoded, more: &str) -> Answer {
        self.post(&encoded.body, encoded.json_bytes, more)
    }

    /// One request over HTTP, whatever its body is, with more lines in its header.
    pub fn post(&self, body: &[u8], json_bytes: Option<usize>, more: &str) -> Answer {
        let name = self.endpoint.rsplit('/').next().unwrap();
        let binary =
            json_bytes.map(|bytes| format!("inference-header-content-length: {bytes}\r\n"));
        let mut request = format!(
            "POST /v2/models/{name}/infer HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n{}{more}\
             connection: close\r\n\r\n",
            body.len(),
            binary.unwrap_or_default(),
        )
        .into_bytes();
        request.extend_from_slice(body);
        client::raw(self.agent.listen(), &request).unwrap()
    }
}

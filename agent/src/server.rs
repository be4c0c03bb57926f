//! The inference server beside the agent: its lights, asked for directly and not through the
//! proxy, so that probes are never counted.
//!
//! Promises: *process* and *loaded* are looked at twice a second, *answers* every five
//! seconds and at once after a change; every light is out within two seconds of the server's
//! death, and comes back by itself. What the index says is only a list of names: servers call
//! versions ready that failed to load, so each version is asked for itself, and *answers*
//! means that it inferred. The proxy is told which names the server lists.

pub mod dialect;
pub mod loader;
mod mlserver;
mod open_inference;
mod runtime;
mod triton;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::dialect::Kind;
use self::open_inference::{Listed, OpenInference, Unanswered, path, printable};
use crate::assignment::observed::VersionState;
use crate::clock;
use crate::proxy::{Known, Upstream};

/// Between two looks: with the limit below, a death shows within two seconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// For any answer but an inference.
const ANSWER_LONGEST: Duration = Duration::from_secs(1);
/// Between two probes of one version.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// For a probe inference: a model that takes longer is not answering for its callers either.
const PROBE_LONGEST: Duration = Duration::from_secs(10);
/// Probes under way at once: they are load, and the server is there for others.
const PROBES_AT_ONCE: usize = 4;
/// Versions that are watched: a larger repository would take longer than a look to ask.
const VERSIONS_MOST: usize = 512;
/// Bytes of a name on the wire.
const NAME_LONGEST: usize = 255;

/// One of the lights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Light {
    /// Looked at, and it is so.
    On,
    /// Looked at, and it is not so.
    Off,
    /// Not looked at, or not knowable with this server.
    #[default]
    Unknown,
}

impl Light {
    /// The word for it; what is wrong stands out.
    pub fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "OFF",
            Self::Unknown => "unknown",
        }
    }
}

/// The lights of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionLights {
    /// The server's name of the model.
    pub model: Arc<str>,
    /// The server's version; empty where it has none.
    pub version: Arc<str>,
    /// The server says that it is ready.
    pub loaded: Light,
    /// A probe inference was answered.
    pub answers: Light,
    /// Its golden requests were answered as they should be; unknown where it has none.
    #[serde(default)]
    pub correct: Light,
    /// Why the first light that is not on is not; empty when all are on.
    pub reason: String,
}

/// The server's lights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerHealth {
    /// Its address.
    pub upstream: String,
    /// What it is, once it has said so, or as the configuration says.
    pub kind: Option<Kind>,
    /// The process is up.
    pub process: Light,
    /// Why that light is not on; empty when it is.
    pub reason: String,
    /// Each version that it lists, in order.
    pub versions: Vec<VersionLights>,
}

impl ServerHealth {
    /// The same with the fourth light: how golden requests were answered.
    pub fn corrected(&self, versions: &[VersionState]) -> Self {
        let mut health = self.clone();
        for state in versions.iter().filter(|state| state.golden.total > 0) {
            let is = |lights: &&mut VersionLights| {
                (&lights.model, &lights.version) == (&state.version.model, &state.version.version)
            };
            let Some(lights) = health.versions.iter_mut().find(is) else {
                continue;
            };
            lights.correct = match state.golden.passed == state.golden.total {
                true => Light::On,
                false => Light::Off,
            };
            if lights.correct == Light::Off && lights.reason.is_empty() {
                lights.reason.clone_from(&state.reason);
            }
        }
        health
    }
}

type VersionName = (Arc<str>, Arc<str>);

/// One version, as it was last seen.
#[derive(Debug, Default)]
struct Watched {
    loaded: Light,
    answers: Light,
    reason: String,
    probed: Option<Instant>,
    /// Rises when `loaded` changes: what a probe found before that is of the past.
    turn: u64,
    probing: bool,
}

/// What a probe found.
struct Probed {
    name: VersionName,
    turn: u64,
    answers: Light,
    reason: String,
}

/// Looks at a server for as long as it is polled.
#[derive(Debug)]
pub struct Lookout {
    upstream: Upstream,
    /// Models to ask for where the server has no list.
    models: Vec<String>,
    known: Known,
    /// What it is, as the configuration says.
    given: Option<Kind>,
    kind: Option<Kind>,
    server: OpenInference,
    process: Light,
    reason: String,
    watched: BTreeMap<VersionName, Watched>,
    due: VecDeque<VersionName>,
    probes: JoinSet<Probed>,
    shown: watch::Sender<Arc<ServerHealth>>,
}

impl Lookout {
    /// A lookout that tells `known` what the server lists, and where its lights are shown.
    /// A server of no `given` kind is asked what it is.
    pub fn new(
        upstream: &Upstream,
        given: Option<Kind>,
        models: Vec<String>,
        known: Known,
    ) -> (Self, watch::Receiver<Arc<ServerHealth>>) {
        let unseen = ServerHealth {
            upstream: upstream.to_string(),
            kind: given,
            ..ServerHealth::default()
        };
        let (shown, lights) = watch::channel(Arc::new(unseen));
        let lookout = Self {
            upstream: upstream.clone(),
            models,
            known,
            given,
            kind: given,
            server: OpenInference::new(upstream.authority()),
            process: Light::Unknown,
            reason: String::new(),
            watched: BTreeMap::new(),
            due: VecDeque::new(),
            probes: JoinSet::new(),
            shown,
        };
        (lookout, lights)
    }

    /// Looks, for ever.
    pub async fn run(mut self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => self.look().await,
                Some(probed) = self.probes.join_next() => {
                    if let Ok(probed) = probed {
                        self.take(probed);
                    }
                }
            }
            self.start_probes();
            self.show();
        }
    }

    async fn look(&mut self) {
        match self
            .server
            .ask(Method::GET, "/v2/health/live", Bytes::new(), ANSWER_LONGEST)
            .await
        {
            Ok(answer) if answer.status.is_server_error() => {
                return self.dark(format!("not live: {}", answer.told()));
            }
            // A server without this question still answered it.
            Ok(_) => {}
            Err(unanswered @ Unanswered::NoConnection(_)) => {
                return self.dark(unanswered.to_string());
            }
            Err(unanswered @ (Unanswered::Late(_) | Unanswered::Garbled(_))) => {
                if let Err(refused) = self.connects().await {
                    return self.dark(refused);
                }
                self.set_process(Light::On, String::new());
                return self.all_off(&unanswered.to_string());
            }
        }
        self.set_process(Light::On, String::new());
        if self.kind.is_none() {
            self.kind = self.ask_kind().await;
        }
        if let Some(listed) = self.list().await {
            self.watch(listed);
        }
        let names: Vec<VersionName> = self.watched.keys().cloned().collect();
        for name in names {
            match self.ready(&name).await {
                Ok((light, reason)) => self.set_loaded(&name, light, &reason),
                Err(unanswered) => return self.all_off(&unanswered.to_string()),
            }
        }
    }

    /// Whether anything accepts connections there, whatever it speaks.
    async fn connects(&self) -> Result<(), String> {
        let connect = tokio::net::TcpStream::connect(self.upstream.authority());
        match tokio::time::timeout(ANSWER_LONGEST, connect).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(refused)) => Err(format!("no connection: {refused}")),
            Err(_) => Err(Unanswered::Late(ANSWER_LONGEST).to_string()),
        }
    }

    /// What the server says that it is; one that does not say is asked again.
    async fn ask_kind(&mut self) -> Option<Kind> {
        #[derive(Deserialize)]
        struct About {
            #[serde(default)]
            name: String,
        }
        let asked = self
            .server
            .ask(Method::GET, "/v2", Bytes::new(), ANSWER_LONGEST);
        let answer = asked.await.ok()?;
        if answer.status.is_server_error() {
            return None;
        }
        let name = serde_json::from_slice(&answer.body).map_or_else(
            // It answers, and not as the protocol has it.
            |_| String::new(),
            |about: About| about.name,
        );
        let kind = Kind::of_name(&name);
        tracing::info!(
            name = printable(&name),
            kind = kind.word(),
            "the server is known"
        );
        Some(kind)
    }

    /// What the server has; `None` when it does not say, which changes nothing.
    async fn list(&mut self) -> Option<Vec<VersionName>> {
        let index = "/v2/repository/index";
        let body = Bytes::from_static(b"{}");
        let answer = self
            .server
            .ask(Method::POST, index, body, ANSWER_LONGEST)
            .await
            .ok()?;
        let mut names: Vec<(String, Option<String>)> = Vec::new();
        if answer.status == StatusCode::OK {
            let listed: Vec<Listed> = serde_json::from_slice(&answer.body).ok()?;
            let there = listed.into_iter().filter(|line| !line.was_unloaded());
            names.extend(there.map(|line| (line.name, line.version)));
        } else if answer.status.is_server_error()
            && answer.status != StatusCode::NOT_IMPLEMENTED
            && !self.watched.is_empty()
        {
            return None;
        }
        names.extend(self.models.iter().map(|model| (model.clone(), None)));
        let mut versions = std::collections::BTreeSet::new();
        for (model, version) in names {
            if versions.len() >= VERSIONS_MOST {
                break;
            }
            match version.filter(|version| !version.is_empty()) {
                Some(version) => {
                    versions.insert((model, version));
                }
                None => {
                    let said = self.server.metadata(&model, "", ANSWER_LONGEST).await;
                    let said = said.ok().and_then(|metadata| metadata.versions);
                    match said.filter(|versions| !versions.is_empty()) {
                        Some(said) => versions
                            .extend(said.into_iter().map(|version| (model.clone(), version))),
                        None => {
                            versions.insert((model, String::new()));
                        }
                    }
                }
            }
        }
        let fits = |(model, version): &(String, String)| {
            !model.is_empty() && model.len() <= NAME_LONGEST && version.len() <= NAME_LONGEST
        };
        let versions = versions.into_iter().filter(fits).take(VERSIONS_MOST);
        Some(
            versions
                .map(|(model, version)| (model.into(), version.into()))
                .collect(),
        )
    }

    /// Watches these, and tells the proxy of them.
    fn watch(&mut self, listed: Vec<VersionName>) {
        let same = listed.len() == self.watched.len()
            && listed
                .iter()
                .zip(self.watched.keys())
                .all(|(new, old)| new == old);
        if same {
            return;
        }
        let mut before = std::mem::take(&mut self.watched);
        for name in listed {
            let watched = before.remove(&name).unwrap_or_default();
            self.watched.insert(name, watched);
        }
        self.known.replace(self.watched.keys().cloned());
    }

    async fn ready(&mut self, name: &VersionName) -> Result<(Light, String), Unanswered> {
        let path = path(&name.0, &name.1, "/ready");
        let answer = self
            .server
            .ask(Method::GET, &path, Bytes::new(), ANSWER_LONGEST)
            .await?;
        if answer.status == StatusCode::OK {
            return Ok((Light::On, String::new()));
        }
        Ok((Light::Off, format!("not ready: {}", answer.told())))
    }

    fn dark(&mut self, reason: String) {
        // Another one may come in its place.
        self.kind = self.given;
        self.all_off(&reason);
        self.set_process(Light::Off, reason);
    }

    fn all_off(&mut self, reason: &str) {
        let names: Vec<VersionName> = self.watched.keys().cloned().collect();
        for name in names {
            self.set_loaded(&name, Light::Off, reason);
        }
    }

    fn set_process(&mut self, light: Light, reason: String) {
        if self.process != light {
            tracing::info!(upstream = %self.upstream, process = ?light, reason, "the server");
        }
        self.process = light;
        self.reason = reason;
    }

    fn set_loaded(&mut self, name: &VersionName, light: Light, reason: &str) {
        let Some(watched) = self.watched.get_mut(name) else {
            return;
        };
        if watched.loaded != light {
            let (model, version) = (printable(&name.0), printable(&name.1));
            tracing::info!(model, version, loaded = ?light, reason, "a version");
            watched.turn += 1;
            watched.probed = None;
            watched.probing = false;
        }
        watched.loaded = light;
        match light {
            Light::On => {}
            Light::Off | Light::Unknown => {
                watched.answers = Light::Off;
                watched.reason = reason.to_owned();
            }
        }
    }

    fn take(&mut self, probed: Probed) {
        let Some(watched) = self.watched.get_mut(&probed.name) else {
            return;
        };
        if watched.turn != probed.turn {
            return;
        }
        watched.probing = false;
        watched.probed = Some(clock::now());
        watched.answers = probed.answers;
        watched.reason = probed.reason;
    }

    /// Starts the probes that are due, the longest unprobed first.
    fn start_probes(&mut self) {
        let now = clock::now();
        let stale = |watched: &Watched| {
            let rested = |at| now.saturating_duration_since(at) >= PROBE_EVERY;
            watched.loaded == Light::On && !watched.probing && watched.probed.is_none_or(rested)
        };
        for (name, _) in self.watched.iter().filter(|(_, watched)| stale(watched)) {
            if !self.due.contains(name) {
                self.due.push_back(name.clone());
            }
        }
        while self.probes.len() < PROBES_AT_ONCE {
            let Some(name) = self.due.pop_front() else {
                return;
            };
            let Some(watched) = self.watched.get_mut(&name).filter(|watched| stale(watched)) else {
                continue;
            };
            watched.probing = true;
            let server = OpenInference::new(self.upstream.authority());
            self.probes.spawn(probe(server, name, watched.turn));
        }
    }

    fn show(&self) {
        let lights = self.watched.iter().map(|(name, watched)| {
            let (model, version) = counted(name);
            VersionLights {
                model,
                version,
                loaded: watched.loaded,
                answers: watched.answers,
                // Not looked at here: what a version must answer is kept with it.
                correct: Light::Unknown,
                reason: watched.reason.clone(),
            }
        });
        let health = ServerHealth {
            upstream: self.upstream.to_string(),
            kind: self.kind,
            process: self.process,
            reason: self.reason.clone(),
            versions: lights.collect(),
        };
        self.shown.send_if_modified(|shown| {
            let changed = **shown != health;
            if changed {
                *shown = Arc::new(health);
            }
            changed
        });
    }
}

/// Where a version is asked to infer.
pub(crate) fn infer_path(model: &str, version: &str) -> String {
    path(model, version, "/infer")
}

/// The names under which a version is counted, by what the server calls it.
fn counted((model, version): &VersionName) -> VersionName {
    let (name, _) = dialect::counted_as(model, version);
    if name.len() == model.len() {
        return (model.clone(), version.clone());
    }
    (name.into(), version.clone())
}

/// Asks a version to infer from zeros.
async fn probe(mut server: OpenInference, name: VersionName, turn: u64) -> Probed {
    let (answers, reason) = match infer(&mut server, &name).await {
        Ok(()) => (Light::On, String::new()),
        Err(found) => found,
    };
    Probed {
        name,
        turn,
        answers,
        reason,
    }
}

async fn infer(server: &mut OpenInference, name: &VersionName) -> Result<(), (Light, String)> {
    let (model, version) = name;
    let metadata = server.metadata(model, version, ANSWER_LONGEST).await;
    let metadata = metadata.map_err(|reason| (Light::Unknown, reason))?;
    let body = metadata
        .probe()
        .map_err(|reason| (Light::Unknown, reason))?;
    let path = path(model, version, "/infer");
    match server.ask(Method::POST, &path, body, PROBE_LONGEST).await {
        Ok(answer) if answer.status.is_success() => Ok(()),
        // A model may refuse zeros and yet be well: that is not known to be dark.
        Ok(answer) if answer.status.is_client_error() && answer.status != StatusCode::NOT_FOUND => {
            Err((Light::Unknown, format!("probe refused: {}", answer.told())))
        }
        Ok(answer) => Err((Light::Off, format!("probe failed: {}", answer.told()))),
        Err(unanswered) => Err((Light::Off, format!("probe failed: {unanswered}"))),
    }
}

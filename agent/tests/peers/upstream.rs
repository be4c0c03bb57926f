//! An inference server: the Open Inference Protocol's HTTP form over a real socket, with
//! models that can be unloaded and broken, and a process that can be stopped.
#![allow(dead_code)] // each test file uses its part

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How a version is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answers.
    Well,
    /// It is listed, and not ready.
    Unloaded,
    /// It is ready, and fails.
    Broken,
}

#[derive(Debug, Default)]
struct State {
    versions: BTreeMap<(String, String), Health>,
    /// Where versions are loaded from when they are asked for, as the runtime lays them out.
    repository: Option<PathBuf>,
    /// Loads and unloads, in order.
    changes: Vec<String>,
    inferences: u64,
    hangs: bool,
    cannot_list: bool,
}

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    state: Arc<Mutex<State>>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let mut upstream = Self {
            addr: "127.0.0.1:0".parse().unwrap(),
            state: Arc::default(),
            task: None,
        };
        upstream.set("fraud", "1", Health::Well);
        upstream.start_again().await;
        upstream
    }

    pub(crate) fn set(&self, model: &str, version: &str, health: Health) {
        self.state
            .lock()
            .unwrap()
            .versions
            .insert((model.into(), version.into()), health);
    }

    /// From here on it accepts connections and answers nothing; or answers again.
    pub(crate) fn hang(&self, hangs: bool) {
        self.state.lock().unwrap().hangs = hangs;
    }

    /// It has no repository extension.
    pub(crate) fn cannot_list(&self) {
        self.state.lock().unwrap().cannot_list = true;
    }

    /// It loads versions from a folder, and says that it is the runtime.
    pub(crate) fn load_from(&self, folder: &Path) {
        self.state.lock().unwrap().repository = Some(folder.to_owned());
    }

    /// What it was asked to load and unload.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.state.lock().unwrap().changes.clone()
    }

    /// It has forgotten everything, as a process that was started anew.
    pub(crate) fn forget(&self) {
        self.state.lock().unwrap().versions.clear();
    }

    /// Inferences that reached it: requests and probes.
    pub(crate) fn inferences(&self) -> u64 {
        self.state.lock().unwrap().inferences
    }

    /// The process is gone: nothing listens, every connection is cut.
    pub(crate) fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    pub(crate) async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.addr).await.unwrap();
        self.addr = listener.local_addr().unwrap();
        let state = self.state.clone();
        self.task = Some(tokio::spawn(async move {
            // Dropped with this task, and with it every connection.
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let state = state.clone();
                connections.spawn(async move {
                    let answer = service_fn(move |request| {
                        let state = state.clone();
                        async move { answer(request, &state).await }
                    });
                    let stream = TokioIo::new(stream);
                    let _ = http1::Builder::new().serve_connection(stream, answer).await;
                });
            }
        }));
    }
}

async fn answer(
    request: Request<Incoming>,
    state: &Mutex<State>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if state.lock().unwrap().hangs {
        std::future::pending::<()>().await;
    }
    let path = parts.uri.path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let mut state = state.lock().unwrap();
    let answer = match (&parts.method, segments.as_slice()) {
        (&Method::GET, ["v2", "health", "live" | "ready"]) => json(StatusCode::OK, "{}"),
        (&Method::POST, ["v2", "repository", "index"]) if !state.cannot_list => {
            let lines = state.versions.keys().map(|(model, version)| {
                serde_json::json!({"name": model, "version": version, "state": "READY"})
            });
            let index = serde_json::Value::Array(lines.collect());
            json(StatusCode::OK, &index.to_string())
        }
        (&Method::GET, ["v2"]) if state.repository.is_some() => {
            json(StatusCode::OK, r#"{"name":"binnacle-runtime"}"#)
        }
        (
            &Method::POST,
            [
                "v2",
                "repository",
                "models",
                model,
                verb @ ("load" | "unload"),
            ],
        ) if state.repository.is_some() => state.change(model, verb, &body),
        (&Method::GET, ["v2", "models", model]) => {
            let of_model = state.versions.keys().filter(|(name, _)| name == model);
            let versions: Vec<_> = of_model.map(|(_, version)| version).collect();
            let metadata = serde_json::json!({"name": model, "versions": versions});
            json(StatusCode::OK, &metadata.to_string())
        }
        (method, ["v2", "models", model, "versions", version, rest @ ..]) => {
            let health = state
                .versions
                .get(&(model.to_string(), version.to_string()))
                .copied();
            if *method == Method::POST && *rest == ["infer"] {
                state.inferences += 1;
            }
            version_answer(method, rest, health)
        }
        _ => json(StatusCode::NOT_FOUND, r#"{"error":"no such path"}"#),
    };
    Ok(answer)
}

impl State {
    /// Loads or unloads one version. A model is what its file says: `well`, or it is corrupt;
    /// `broken` loads and does not answer.
    fn change(&mut self, model: &str, verb: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let asked: serde_json::Value = serde_json::from_slice(body).unwrap();
        let version = asked["parameters"]["version"].as_str().unwrap().to_owned();
        self.changes.push(format!("{verb} {model}@{version}"));
        let name = (model.to_owned(), version.clone());
        if verb == "unload" {
            self.versions.remove(&name);
            return json(StatusCode::OK, "{}");
        }
        let folder = self.repository.as_ref().unwrap().join(model).join(version);
        let health = match std::fs::read_to_string(folder.join("model.onnx")).as_deref() {
            Ok(text) if text.starts_with("well") => Health::Well,
            Ok(text) if text.starts_with("broken") => Health::Broken,
            Ok(_) => {
                return json(
                    StatusCode::BAD_REQUEST,
                    r#"{"error":"the model is corrupt"}"#,
                );
            }
            Err(_) => {
                return json(
                    StatusCode::NOT_FOUND,
                    r#"{"error":"there is no such model"}"#,
                );
            }
        };
        self.versions.insert(name, health);
        json(StatusCode::OK, "{}")
    }
}

fn version_answer(method: &Method, rest: &[&str], health: Option<Health>) -> Response<Full<Bytes>> {
    let Some(health) = health.filter(|&health| health != Health::Unloaded) else {
        return json(
            StatusCode::NOT_FOUND,
            r#"{"error":"the version is not loaded"}"#,
        );
    };
    match (method, rest) {
        (&Method::GET, ["ready"]) => json(StatusCode::OK, "{}"),
        (&Method::GET, []) => json(
            StatusCode::OK,
            r#"{"name":"fraud","inputs":[{"name":"x","datatype":"FP64","shape":[-1,3]}]}"#,
        ),
        (&Method::POST, ["infer"]) if health == Health::Broken => json(
            StatusCode::INTERNAL_SERVER_ERROR,
            r#"{"error":"the model is out of order"}"#,
        ),
        (&Method::POST, ["infer"]) => json(
            StatusCode::OK,
            r#"{"model_name":"fraud","outputs":[{"name":"p","shape":[1,2],"datatype":"FP64","data":[0.9,0.1]}]}"#,
        ),
        _ => json(StatusCode::NOT_FOUND, r#"{"error":"no such path"}"#),
    }
}

fn json(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    response
}

//! Real inference servers behind a whole agent: what is assigned is served, exactly, and what
//! they get wrong misleads nobody. They and their clients live in a folder of their own, which
//! tests/run makes.
// A test stops where something is not as it must be, and bounds its waiting by the clock.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

#[path = "peers/call.rs"]
mod call;
#[path = "peers/hub.rs"]
mod hub;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use binnacle_agent::Agent;
use binnacle_agent::config::{Config, Given, Text};
use binnacle_proto::v1 as proto;

use self::call::eventually;
use self::hub::Hub;

/// Requests over each protocol: enough to tell a fifth from a half.
const REQUESTS: u64 = 150;

/// Where tests/run has put MLServer and the clients.
fn python() -> PathBuf {
    installed("servers", "mlserver")
}

/// The folder of programs that tests/run has made, with this one in it.
fn installed(name: &str, program: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    let tests = cache.unwrap_or_else(home).join("binnacle-tests");
    let bin = tests.join(name).join("bin");
    assert!(
        bin.join(program).is_file(),
        "there is no {program} in {}: run tests/run, which installs it",
        bin.display()
    );
    bin
}

/// The folder of this suite's scripts.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers")
}

/// Runs a script to its end; what it printed.
fn run(script: &str, args: &[&str]) -> String {
    let ended = Command::new(python().join("python"))
        .arg(scripts().join(script))
        .args(args)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{script}: {words}");
    String::from_utf8(ended.stdout).unwrap()
}

/// A server's process, ended by its id when this is dropped.
struct Server {
    child: Child,
    http: SocketAddr,
    grpc: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Addresses that were free a moment ago: these servers cannot choose their own.
fn free() -> [SocketAddr; 3] {
    let held = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap())
}

fn mlserver(folder: &Path, repository: &Path) -> Server {
    let [http, grpc, metrics] = free();
    std::fs::create_dir_all(repository).unwrap();
    let settings = serde_json::json!({
        "host": "127.0.0.1", "http_port": http.port(), "grpc_port": grpc.port(),
        "metrics_port": metrics.port(), "parallel_workers": 0,
    });
    std::fs::write(repository.join("settings.json"), settings.to_string()).unwrap();
    let log = std::fs::File::create(folder.join("mlserver.log")).unwrap();
    let child = Command::new(python().join("mlserver"))
        .arg("start")
        .arg(repository)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Server { child, http, grpc }
}

/// Triton in its explicit mode, with nothing loaded.
fn triton(folder: &Path, repository: &Path) -> Server {
    let [http, grpc, metrics] = free();
    std::fs::create_dir_all(repository).unwrap();
    let log = std::fs::File::create(folder.join("triton.log")).unwrap();
    let child = Command::new(installed("triton", "tritonserver").join("tritonserver"))
        .arg(format!("--model-repository={}", repository.display()))
        .args(["--model-control-mode=explicit", "--http-address=127.0.0.1"])
        .args(["--grpc-address=127.0.0.1", "--metrics-address=127.0.0.1"])
        .arg(format!("--http-port={}", http.port()))
        .arg(format!("--grpc-port={}", grpc.port()))
        .arg(format!("--metrics-port={}", metrics.port()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Server { child, http, grpc }
}

/// The runtime, built into the folder that the tests themselves were built into.
fn runtime(folder: &Path, repository: &Path) -> Server {
    let own = std::env::current_exe().unwrap();
    let built = own
        .ancestors()
        .map(|folder| folder.join("binnacle-runtime"))
        .find(|program| program.is_file());
    let built = built.expect("binnacle-runtime is not built: run tests/run, which builds it");
    let [http, grpc, _] = free();
    std::fs::create_dir_all(repository).unwrap();
    let log = std::fs::File::create(folder.join("runtime.log")).unwrap();
    let child = Command::new(built)
        .args(["run", "--explicit", "--repository"])
        .arg(repository)
        .args(["--http", &http.to_string(), "--grpc", &grpc.to_string()])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Server { child, http, grpc }
}

async fn agent(folder: &Path, hub: &Hub, server: &Server, repository: &Path) -> Agent {
    let text = |text: String| Some(Text::flag("test", text));
    let given = Given {
        host: text("infer-0042".into()),
        environment: text("test".into()),
        hubs: vec![Text::flag("hub", hub.addr())],
        upstream: text(format!("http://{}", server.http)),
        grpc_upstream: text(format!("http://{}", server.grpc)),
        listen: text("127.0.0.1:0".into()),
        data: text(folder.join("data").display().to_string()),
        repository: text(repository.display().to_string()),
        ..Given::default()
    };
    let config = Config::from_given(given, None).unwrap();
    Box::pin(Agent::start(config)).await.unwrap()
}

/// Versions, their files, and the weights of the route.
fn assignment(
    hub: &Hub,
    revision: u64,
    format: &str,
    files: &[(&str, &[u8])],
    weights: &[(&str, u32)],
) -> proto::Assignment {
    let wanted = files.iter().map(|(version, file)| proto::WantedVersion {
        model: "tumour".into(),
        version: (*version).into(),
        nearness: proto::Nearness::Warm.into(),
        sha256: hub.keep(file).into(),
        bytes: file.len() as u64,
        format: format.into(),
        golden_sha256: bytes::Bytes::new(),
        ..Default::default()
    });
    let shares = weights.iter().map(|(version, weight)| proto::Share {
        model: "tumour".into(),
        version: (*version).into(),
        weight: *weight,
    });
    let route = proto::Route {
        revision,
        shares: shares.collect(),
        ..proto::Route::default()
    };
    proto::Assignment {
        generation: revision,
        versions: wanted.collect(),
        endpoints: vec![proto::EndpointAssignment {
            endpoint: "screening".into(),
            route: Some(route),
            ..proto::EndpointAssignment::default()
        }],
        ..proto::Assignment::default()
    }
}

/// What an independent client counted: by version, over both protocols.
fn ask(agent: &Agent, rows: &Path, tensor: &[&str]) -> BTreeMap<String, u64> {
    let address = agent.listen_addr().to_string();
    let requests = REQUESTS.to_string();
    let mut args = vec![&*address, "screening", &*requests, rows.to_str().unwrap()];
    args.extend(tensor);
    let said: serde_json::Value = serde_json::from_str(&run("client.py", &args)).unwrap();
    assert_eq!(said["wrong"], 0, "an answer is not its version's: {said}");
    let mut versions = BTreeMap::new();
    for (key, count) in said["counts"].as_object().unwrap() {
        let version = key.split(' ').nth(1).unwrap().to_owned();
        *versions.entry(version).or_default() += count.as_u64().unwrap();
    }
    versions
}

/// Requests that the hub has counted, by version; probes are none.
fn counted(hub: &Hub) -> BTreeMap<String, u64> {
    let mut known = hub.known();
    known.flush();
    let mut versions = BTreeMap::new();
    for ((model, version, _), count) in &known.disk {
        assert_eq!(model, "tumour");
        *versions.entry(version.clone()).or_default() += count;
    }
    versions
}

async fn live(hub: &Hub, revision: u64) {
    eventually(&format!("revision {revision} is live"), || {
        hub.revision("screening") == revision
    })
    .await;
}

/// A canary, a version that is no model, and the way back.
async fn canary(
    hub: &Hub,
    agent: &Agent,
    format: &str,
    files: &[(&str, &[u8])],
    rows: &Path,
    tensor: &[&str],
) {
    hub.assign(assignment(hub, 1, format, files, &[("1", 10_000)]));
    live(hub, 1).await;
    let one = BTreeMap::from([("1".to_owned(), REQUESTS * 2)]);
    assert_eq!(ask(agent, rows, tensor), one);

    let corrupt = [files, &[("3", b"this is no model")]].concat();
    hub.assign(assignment(hub, 2, format, &corrupt, &[("3", 10_000)]));
    let failed = || hub.version("3").phase() == proto::Phase::Failed;
    eventually("the corrupt one fails", failed).await;
    assert_eq!(hub.revision("screening"), 1);
    assert_eq!(ask(agent, rows, tensor), one);

    hub.assign(assignment(
        hub,
        3,
        format,
        files,
        &[("1", 8_000), ("2", 2_000)],
    ));
    live(hub, 3).await;
    let both = ask(agent, rows, tensor);
    let second = both["2"] as f64;
    let mean = REQUESTS as f64 * 2.0 * 0.2;
    let deviation = (mean * 0.8).sqrt();
    assert!((second - mean).abs() <= 4.0 * deviation, "{both:?}");

    hub.assign(assignment(hub, 4, format, files, &[("1", 10_000)]));
    live(hub, 4).await;
    assert_eq!(ask(agent, rows, tensor), one);
    let expected = BTreeMap::from([
        ("1".to_owned(), REQUESTS * 6 + both["1"]),
        ("2".to_owned(), both["2"]),
    ]);
    eventually("all are counted", || counted(hub) == expected).await;
    hub.assign(assignment(hub, 5, format, &files[..1], &[("1", 10_000)]));
    let gone = || hub.observation().versions.len() == 1;
    eventually("what nobody names is gone", gone).await;
    assert_eq!(ask(agent, rows, tensor), one);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mlserver_serves_a_canary_and_never_what_it_cannot_load() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("models");
    let server = mlserver(folder.path(), &repository);
    let hub = Hub::start(folder.path());
    let agent = agent(folder.path(), &hub, &server, &repository).await;
    run("models.py", &[folder.path().to_str().unwrap()]);
    let file = |version: &str| std::fs::read(folder.path().join(version)).unwrap();
    let (one, two) = (file("1.joblib"), file("2.joblib"));
    let files: [(&str, &[u8]); 2] = [("1", &one), ("2", &two)];
    let rows = folder.path().join("rows.json");
    let tensor = ["predict", "FP64", "predict"];
    canary(&hub, &agent, "sklearn", &files, &rows, &tensor).await;
    let left = std::fs::read_dir(&repository).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["settings.json", "tumour.1"]);
    // A server that was started anew has nothing that it had.
    drop(server);
    let dark = || hub.version("1").phase() != proto::Phase::Ready;
    eventually("its death is seen", dark).await;
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runtime_serves_a_canary_and_never_what_it_cannot_load() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("models");
    let server = runtime(folder.path(), &repository);
    let hub = Hub::start(folder.path());
    let agent = agent(folder.path(), &hub, &server, &repository).await;
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../console/demo/models/tumour");
    let file = |version: &str| std::fs::read(models.join(version).join("model.onnx")).unwrap();
    let (one, two) = (file("1"), file("2"));
    let files: [(&str, &[u8]); 2] = [("1", &one), ("2", &two)];
    let known = std::fs::read(models.join("rows.json")).unwrap();
    let known: serde_json::Value = serde_json::from_slice(&known).unwrap();
    let said = |version: &str| known["predictions"][version]["label"].clone();
    let known = serde_json::json!({
        "rows": known["rows"], "said": {"1": said("1"), "2": said("2")},
    });
    let rows = folder.path().join("rows.json");
    std::fs::write(&rows, known.to_string()).unwrap();
    let tensor = ["features", "FP32", "label"];
    canary(&hub, &agent, "onnx", &files, &rows, &tensor).await;
    let left = std::fs::read_dir(repository.join("tumour")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["1"]);
    agent.shutdown().await;
}

/// The first measurement of a cell above which the models for Triton call a tumour so.
const RADIUS: f64 = 14.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn triton_serves_a_canary_and_never_what_it_cannot_load() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("models");
    let server = triton(folder.path(), &repository);
    let hub = Hub::start(folder.path());
    let agent = agent(folder.path(), &hub, &server, &repository).await;
    let text = std::fs::read_to_string(scripts().join("triton.py")).unwrap();
    let one = text.replace("SAYS", "1");
    let two = text.replace("SAYS", "0");
    let files: [(&str, &[u8]); 2] = [("1", one.as_bytes()), ("2", two.as_bytes())];
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../console/demo/models/tumour");
    let known = std::fs::read(models.join("rows.json")).unwrap();
    let known: serde_json::Value = serde_json::from_slice(&known).unwrap();
    let said = |says: i64| -> Vec<i64> {
        let rows = known["rows"].as_array().unwrap().iter();
        let is_large = |row: &serde_json::Value| row[0].as_f64().unwrap() > RADIUS;
        rows.map(|row| if is_large(row) { says } else { 1 - says })
            .collect()
    };
    let known = serde_json::json!({
        "rows": known["rows"], "said": {"1": said(1), "2": said(0)},
    });
    let rows = folder.path().join("rows.json");
    std::fs::write(&rows, known.to_string()).unwrap();
    let tensor = ["features", "FP32", "label"];
    canary(&hub, &agent, "python", &files, &rows, &tensor).await;
    agent.shutdown().await;
}

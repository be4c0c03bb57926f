//! The program itself: its flags, its words, its exit codes, its way out.
// A test stops where something is not as it must be, and bounds its waiting by the clock.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

#[path = "peers/call.rs"]
mod call;
#[path = "peers/hub.rs"]
mod hub;
#[path = "peers/upstream.rs"]
mod upstream;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use self::call::{Caller, eventually};
use self::hub::Hub;
use self::upstream::Upstream;

const AGENT: &str = env!("CARGO_BIN_EXE_binnacle-agent");

fn agent(arguments: &[&str]) -> Output {
    Command::new(AGENT).args(arguments).output().unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

struct Running {
    child: Child,
    ready: serde_json::Value,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(folder: &Path, hub: &Hub, upstream: &Upstream) -> Running {
    run_with(folder, hub, upstream, &[])
}

fn run_with(
    folder: &Path,
    hub: &Hub,
    upstream: &Upstream,
    environment: &[(&str, &Path)],
) -> Running {
    let mut child = Command::new(AGENT)
        .args([
            "run",
            "--host",
            "h1",
            "--environment",
            "test",
            "--listen",
            "127.0.0.1:0",
        ])
        .args(["--label", "rack=b7", "--hub", &hub.addr()])
        .args(["--upstream", &format!("http://{}", upstream.addr)])
        .args(["--data", &folder.join("data").display().to_string()])
        .env_remove("RUNTIME_DIRECTORY")
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    Running {
        child,
        ready: serde_json::from_str(&line).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sigterm_delivers_the_last_window_and_exits_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    let mut running = run(folder.path(), &hub, &upstream);
    let mut caller = Caller::new(running.ready["listen"].as_str().unwrap().parse().unwrap()).await;
    eventually("reports flow", || hub.known().reports > 0).await;
    caller.infer_times(12).await;
    drop(caller);
    let pid = rustix::process::Pid::from_child(&running.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    eventually("it exits", || running.child.try_wait().unwrap().is_some()).await;
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert_eq!(hub.known().counted(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn systemd_hears_of_readiness_life_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    let path = folder.path().join("notify.sock");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut heard = String::new();
    let mut hears = |words: &str| {
        let mut datagram = [0; 512];
        while let Ok(len) = socket.recv(&mut datagram) {
            heard.push_str(&String::from_utf8_lossy(&datagram[..len]));
        }
        heard.contains(words)
    };
    let running = run_with(
        folder.path(),
        &hub,
        &upstream,
        &[("NOTIFY_SOCKET", path.as_path())],
    );
    eventually("ready", || hears("READY=1")).await;
    eventually("alive", || hears("WATCHDOG=1")).await;
    eventually("what it does", || hears("STATUS=hub connected, server on")).await;
    let pid = rustix::process::Pid::from_child(&running.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    eventually("stopping", || hears("STOPPING=1")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sigkill_loses_at_most_the_open_second() {
    let folder = tempfile::tempdir().unwrap();
    let (mut hub, upstream) = (Hub::new(folder.path()), Upstream::start().await);
    let mut running = run(folder.path(), &hub, &upstream);
    let mut caller = Caller::new(running.ready["listen"].as_str().unwrap().parse().unwrap()).await;
    caller.infer_times(12).await;
    let control = running.ready["control"].as_str().unwrap().to_owned();
    let sealed = || {
        let output = agent(&["status", "--json", "--control", &control]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        status["totals"]["requests"]["ok"] == 12
    };
    eventually("sealed", sealed).await;
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    hub.start_again();
    let _again = run(folder.path(), &hub, &upstream);
    eventually("counted", || hub.known().counted() == 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn status_reads_a_running_agent_for_people_and_for_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, upstream) = (Hub::start(folder.path()), Upstream::start().await);
    let running = run(folder.path(), &hub, &upstream);
    let data = folder.path().join("data").display().to_string();
    let table = || agent(&["status", "--data", &data]);
    let text = || String::from_utf8(table().stdout).unwrap();
    eventually("connected", || text().contains(" connected")).await;
    assert_eq!(table().status.code(), Some(0));
    assert!(
        text().lines().next().unwrap().contains("test/h1"),
        "{}",
        text()
    );
    let json = agent(&["status", "--json", "--data", &data]);
    let status: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(status["schema"], "binnacle.agent-status/v1");
    assert_eq!(status["listen"], running.ready["listen"]);
    let refused = agent(&["rollback", "pay", "--reason", "too slow", "--data", &data]);
    assert_eq!(refused.status.code(), Some(6), "{}", words(&refused));
    let said = words(&refused);
    assert!(said.contains("routes no endpoint \"pay\""), "{said}");
}

#[test]
fn exit_codes_tell_usage_absence_and_silence_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let missing = agent(&["status", "--data", &path("nowhere")]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(
        words(&missing).contains("no agent has its socket at"),
        "{}",
        words(&missing)
    );

    // A socket that nobody serves any more.
    drop(std::os::unix::net::UnixListener::bind(path("dead.sock")).unwrap());
    let silent = agent(&["status", "--control", &path("dead.sock")]);
    assert_eq!(silent.status.code(), Some(9), "{}", words(&silent));

    assert_eq!(agent(&["status", "--nonsense"]).status.code(), Some(2));
    let bare = agent(&["run"]);
    assert_eq!(bare.status.code(), Some(2));
    assert!(words(&bare).contains("pass --upstream"), "{}", words(&bare));
}

#[test]
fn a_typing_error_in_the_configuration_names_its_line_and_what_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    fs::write(&path, "host = \"h1\"\nenvironmet = \"prod\"\n").unwrap();
    let path = path.display().to_string();
    for command in ["check", "run"] {
        let output = agent(&[command, "--config", &path]);
        assert_eq!(output.status.code(), Some(2));
        let expected = format!(
            "binnacle-agent: {path}, line 2: there is no key `environmet`: did you mean \
             `environment`?\n"
        );
        assert_eq!(words(&output), expected);
    }
}

#[test]
fn systemd_accepts_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    for name in ["binnacle-agent.service", "binnacle-agent.socket"] {
        let unit = fs::read_to_string(units.join(name)).unwrap();
        // Verification wants the program to exist: here it is where it was built.
        fs::write(
            folder.path().join(name),
            unit.replace("/usr/bin/binnacle-agent", AGENT),
        )
        .unwrap();
    }
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(folder.path().join("binnacle-agent.service"))
        .arg(folder.path().join("binnacle-agent.socket"))
        .output()
        .expect("systemd-analyze is there: install Debian's package systemd");
    let said = words(&output);
    let ours: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("binnacle-agent"))
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

//! The program itself: the line it prints, how it ends, and what it says when it cannot begin.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use binnacle_runtime::library::{Places, pinned_file};
use serde_json::Value;

use crate::client::{self, Http};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_binnacle-runtime"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Ends its process when the test fails before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

#[tokio::test]
async fn it_says_where_it_listens_when_all_is_loaded_and_sigterm_ends_it_well() {
    let (home, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = Places::of_process(None).find().unwrap();
    let mut command = program();
    command.arg("run").arg("--repository").arg(client::demo());
    command.arg("--onnxruntime").arg(library);
    command
        .args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"])
        .stderr(Stdio::null());
    command
        .env("HOME", home.path())
        .env("TMPDIR", scratch.path())
        .env_remove("XDG_CACHE_HOME");
    let mut running = Running(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let http: SocketAddr = ready["http"].as_str().unwrap().parse().unwrap();
    let grpc: SocketAddr = ready["grpc"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        Http::to(http)
            .await
            .get("/v2/models/wine/versions/2/ready")
            .await
            .status,
        200
    );
    let mut client = client::grpc(grpc).await;
    let asked = open_inference::proto::ServerLiveRequest {};
    assert!(client.server_live(asked).await.unwrap().into_inner().live);
    let id = rustix::process::Pid::from_raw(i32::try_from(running.0.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let status = tokio::task::spawn_blocking(move || running.0.wait().unwrap())
        .await
        .unwrap();
    assert!(status.success(), "{status}");
    // The library keeps its events for its maker in one of these, unless it is silenced.
    for folder in [home.path(), scratch.path()] {
        assert_eq!(
            std::fs::read_dir(folder).unwrap().count(),
            0,
            "{}",
            folder.display()
        );
    }
}

#[test]
fn without_the_library_it_says_exactly_what_to_run() {
    let nowhere = tempfile::tempdir().unwrap();
    let named = nowhere.path().join("libonnxruntime.so");
    let output = program()
        .arg("run")
        .arg("--repository")
        .arg(client::demo())
        .arg("--onnxruntime")
        .arg(&named)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = format!("no ONNX Runtime library at {}", named.display());
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn a_repository_that_is_not_there_is_named() {
    let output = program()
        .args(["run", "--repository", "/nowhere/models"])
        .args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("the repository /nowhere/models is not a folder"),
        "{said}"
    );
}

#[test]
fn fetching_what_is_there_already_only_checks_it() {
    let folder = tempfile::tempdir().unwrap();
    let library = Places::of_process(None).find().unwrap();
    std::fs::copy(library, folder.path().join(pinned_file())).unwrap();
    let mut fetch = program();
    // Without a path no downloader is found: it must not be needed.
    let output = fetch
        .arg("fetch")
        .arg("--into")
        .arg(folder.path())
        .env("PATH", "")
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.ends_with("is there already\n"),
        "{said}"
    );
}

#[test]
fn a_library_that_is_not_the_pinned_one_is_not_taken_for_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(pinned_file()), "other").unwrap();
    let mut fetch = program();
    let output = fetch
        .arg("fetch")
        .arg("--into")
        .arg(folder.path())
        .env("PATH", "")
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("cannot run python3, which fetches the library"),
        "{said}"
    );
}

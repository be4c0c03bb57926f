//! The demo: what it sends is counted, and whatever becomes of it, nothing stays behind.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use binnacle_tests::patience::eventually;
use binnacle_tests::program;
use binnacle_tests::terminal::Start;

/// A hub, three agents, three runtimes.
const PROGRAMS: usize = 7;
/// From the start to a whole fleet, on two busy cores.
const UP_LIMIT: Duration = Duration::from_secs(90);
/// From the parent's death to nothing left: the reaper asks, waits, and then ends.
const GONE_LIMIT: Duration = Duration::from_secs(30);

/// Processes that have something of `folder` among their arguments.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().map_while(Result::ok);
    let lines = entries.filter_map(|entry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let arguments = std::fs::read(entry.path().join("cmdline")).ok()?;
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        arguments
            .contains(folder)
            .then(|| format!("{id} {arguments}"))
    });
    lines.collect()
}

fn left_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map_while(Result::ok);
    entries
        .map(|entry| entry.path().display().to_string())
        .collect()
}

#[track_caller]
fn await_nothing_left(folder: &Path) {
    eventually("no process and no folder is left", GONE_LIMIT, || {
        let (running, files) = (processes(folder), left_in(folder));
        if running.is_empty() && files.is_empty() {
            Ok(())
        } else {
            Err(format!("{running:#?} {files:?}"))
        }
    });
}

#[test]
fn a_headless_demo_counts_what_it_sent_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = program::command("binnacle")
        .args(["demo", "--headless", "--for", "8s", "--json"])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{complaints}", output.status);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sent = summary["sent"].as_u64().unwrap();
    assert!(sent > 500, "{summary}");
    assert_eq!(summary["sent"], summary["counted"], "{summary}");
    assert_eq!(summary["errors"], 0, "{summary}");
    for side in ["client", "hub"] {
        for quantile in ["p50_us", "p99_us"] {
            assert!(
                summary[side][quantile].as_f64() > Some(0.0),
                "{side} {quantile}: {summary}"
            );
        }
    }
    await_nothing_left(folder.path());
}

#[test]
fn a_slow_version_is_found_and_taken_back_with_nobody_there() {
    let folder = tempfile::tempdir().unwrap();
    let output = program::command("binnacle")
        .args(["demo", "--headless", "--incident", "slow-version", "--json"])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{complaints}", output.status);
    let healed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(healed["version"], "fraud@3", "{healed}");
    assert!(healed["detected_after_s"].as_f64() > Some(0.0), "{healed}");
    assert!(healed["rolled_back_in_ms"].as_f64() > Some(0.0), "{healed}");
    assert_eq!(healed["failed_requests"], 0, "{healed}");
    assert_eq!(healed["hosts_confirmed"], 3, "{healed}");
    assert_eq!(healed["blame"]["kind"], "this_version", "{healed}");
    await_nothing_left(folder.path());
}

#[test]
fn a_version_that_answers_the_wrong_way_round_never_serves() {
    let folder = tempfile::tempdir().unwrap();
    let output = program::command("binnacle")
        .args(["demo", "--headless", "--incident", "wrong-version"])
        .arg("--json")
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{complaints}", output.status);
    let healed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(healed["version"], "fraud@5", "{healed}");
    assert_eq!(healed["failed_requests"], 0, "{healed}");
    assert_eq!(healed["blame"]["kind"], "this_version", "{healed}");
    let why = healed["blame"]["why"].as_str().unwrap();
    for words in ["0 of 8 golden requests", "golden request 1: label[0] is"] {
        assert!(why.contains(words), "{why}");
    }
    await_nothing_left(folder.path());
}

#[test]
fn a_demo_on_a_terminal_shows_its_fleet_and_ends_with_the_console() {
    let folder = tempfile::tempdir().unwrap();
    let text = |folder: &Path| folder.to_str().unwrap().to_owned();
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    // The library that the runtimes load lies in the home of whoever runs the tests.
    let home = std::env::var("HOME").unwrap();
    let mut terminal = Start::binnacle(folder.path(), &["demo"])
        .with("TMPDIR", &text(&temporary))
        .with("HOME", &home)
        .with("XDG_STATE_HOME", &text(folder.path()))
        .with("XDG_CONFIG_HOME", &text(folder.path()))
        .start();
    eventually("the console shows the fleet", UP_LIMIT, || {
        let shown = terminal.text();
        let is_whole = ["LIVE", "3 hosts"]
            .iter()
            .all(|piece| shown.contains(piece));
        if is_whole { Ok(()) } else { Err(shown) }
    });
    terminal.keys(":quit\r");
    assert_eq!(terminal.await_end(), 0);
    terminal.is_given_back().unwrap();
    assert!(terminal.text().contains("every one"), "{}", terminal.text());
    await_nothing_left(&temporary);
}

#[test]
fn a_demo_whose_parent_is_killed_leaves_no_process_and_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = program::command("binnacle")
        .args(["demo", "--headless", "--for", "10m", "--json"])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let own = format!("{} ", demo.id());
    eventually("the fleet runs", UP_LIMIT, || {
        let running = processes(folder.path());
        let others = running
            .iter()
            .filter(|line| !line.starts_with(&own))
            .count();
        match demo.try_wait().unwrap() {
            Some(ended) => panic!("the demo ended by itself: {ended}"),
            None if others >= PROGRAMS => Ok(()),
            None => Err(format!("{running:#?}")),
        }
    });
    demo.kill().unwrap();
    demo.wait().unwrap();
    await_nothing_left(folder.path());
}

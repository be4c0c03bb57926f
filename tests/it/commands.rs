//! What scripts rely on: schemas, exit codes, errors as JSON, and streams that resume.

use std::time::Duration;

use serde_json::{Value, json};

use binnacle_tests::command::{Following, binnacle, run};
use binnacle_tests::patience::eventually;
use binnacle_tests::stranger::{Stranger, hello};
use binnacle_tests::traffic::Traffic;

use super::scene::{BACK_LIMIT, COUNT_LIMIT, Scene};

/// From an event to its line, and between two heartbeats.
const LINE_LIMIT: Duration = Duration::from_secs(15);

/// A document is complete when a script can tell what it is, when it was so, and whether to
/// trust it.
#[track_caller]
fn assert_document(document: &Value, schema: &str) {
    assert_eq!(document["schema"], schema, "{document}");
    assert!(
        document["as_of"]
            .as_str()
            .is_some_and(|at| at.ends_with('Z')),
        "{document}"
    );
    assert_eq!(document["stale"], false, "{document}");
    assert!(document["items"].is_array(), "{document}");
}

#[test]
fn every_command_answers_with_a_document_of_its_schema() {
    let scene = Scene::start(1);
    let traffic = Traffic::start(&scene.lanes(Duration::from_millis(10)));
    eventually("some requests", COUNT_LIMIT, || match traffic.sent() {
        sent if sent >= 400 => Ok(()),
        sent => Err(sent.to_string()),
    });
    let tally = traffic.stop();
    scene.await_count(&tally);

    let hosts = scene.hub.ask(&["host", "list"]).ok();
    assert_document(&hosts, "binnacle.hosts/v1");
    let host = &hosts["items"][0];
    assert_eq!(
        (&host["name"], &host["status"]),
        (&json!("host-1"), &json!("ok")),
        "{host}"
    );
    let shown = scene.hub.ask(&["host", "show", "host-1"]).ok();
    assert_document(&shown, "binnacle.hosts/v1");
    assert_eq!(shown["items"][0]["environment"], "test", "{shown}");

    let latency = scene.hub.ask(&["latency", "--model", "tumour"]).ok();
    assert_document(&latency, "binnacle.latency/v1");
    let models = latency["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["model"]);
    assert!(
        models.into_iter().all(|model| model == "tumour"),
        "{latency}"
    );
    let asked = latency["total"]["requests"].as_u64().unwrap();
    assert_eq!(
        asked,
        tally.answered_by("tumour", "1") + tally.answered_by("tumour", "2")
    );

    let journal = scene.hub.ask(&["journal", "list"]).ok();
    assert_document(&journal, "binnacle.journal/v1");
    let kinds: Vec<_> = journal["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| &i["kind"])
        .collect();
    assert_eq!(kinds, ["host_admitted/v1", "genesis/v1"], "newest first");
    let verified = scene.hub.ask(&["journal", "verify"]).ok();
    assert_document(&verified, "binnacle.journal-verification/v1");
    assert_eq!(verified["items"][0]["entries"], 2, "{verified}");

    let doctor = scene.hub.ask(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert!(
        doctor.json()["schema"]
            .as_str()
            .is_some_and(|s| s.starts_with("binnacle.doctor/"))
    );
}

#[test]
fn tables_for_people_have_no_escapes_in_a_pipe_and_say_few_where_few_were_seen() {
    let scene = Scene::start(1);
    let lanes = scene.lanes(Duration::from_millis(50));
    let traffic = Traffic::start(&lanes[..1]);
    eventually("a few requests", COUNT_LIMIT, || match traffic.sent() {
        sent if sent >= 5 => Ok(()),
        sent => Err(sent.to_string()),
    });
    scene.await_count(&traffic.stop());
    for command in [
        &["host", "list"][..],
        &["latency"],
        &["journal", "list"],
        &["doctor"],
    ] {
        let ended = scene.hub.show(command);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(!ended.stdout.contains('\u{1b}'), "{:?}", ended.stdout);
    }
    let latency = scene.hub.show(&["latency"]).stdout;
    assert!(latency.contains("few"), "{latency}");
    let row = &scene.latency()["items"][0];
    assert!(
        row["p99_us"].is_null() && row["requests"].as_u64() >= Some(5),
        "{row}"
    );
}

#[test]
fn exit_codes_tell_what_went_wrong_and_errors_are_json_when_asked() {
    let scene = Scene::start(0);
    let cases: [(&[&str], i32, &str); 5] = [
        (&["host", "show", "nobody"], 3, "not_found"),
        (&["host", "list", "--colour"], 2, "usage"),
        (&["latency", "--since", "yesterdayish"], 2, "usage"),
        (&["latency", "--version", "1"], 2, "usage"),
        (
            &["journal", "verify", "--store", "sqlite:///nowhere/hub.db"],
            1,
            "failed",
        ),
    ];
    for (command, code, word) in cases {
        let ended = scene.hub.ask(command);
        assert_eq!(ended.code, code, "{command:?}: {ended:?}");
        let error = ended.error();
        assert_eq!(error["code"], word, "{command:?}: {error}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{error}"
        );
        let plain = scene.hub.show(command);
        assert_eq!(plain.code, code, "the same without --json");
        assert!(
            plain.stdout.is_empty(),
            "complaints do not go to stdout: {plain:?}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let nobody = format!("unix:{}", folder.path().join("no.sock").display());
    for command in [
        &["host", "list"][..],
        &["latency"],
        &["watch"],
        &["journal", "list"],
    ] {
        let mut command = command.to_vec();
        command.extend(["--hub", &nobody, "--json"]);
        let ended = binnacle(&command);
        assert_eq!(ended.code, 9, "{command:?}: {ended:?}");
        assert_eq!(ended.error()["retryable"], true, "{ended:?}");
    }
}

#[test]
fn a_host_is_retired_and_readmitted_by_name_with_a_reason_that_stays() {
    let scene = Scene::start(1);
    let retired = scene
        .hub
        .ask(&["host", "retire", "host-1", "--reason", "disk is dying"]);
    assert_eq!(retired.ok()["items"][0]["changed"], true);
    eventually("it is retired", COUNT_LIMIT, || {
        let row = scene.hub.host("host-1").unwrap();
        if row["state"] == "retired" {
            Ok(())
        } else {
            Err(row.to_string())
        }
    });
    let again = scene.hub.ask(&["host", "retire", "host-1"]).ok();
    assert_eq!(again["items"][0]["changed"], false, "{again}");
    let journal = scene.hub.ask(&["journal", "list", "--limit", "1"]).ok();
    let entry = &journal["items"][0];
    assert_eq!(
        (&entry["kind"], &entry["why"]),
        (&json!("host_retired/v1"), &json!("disk is dying"))
    );
    assert!(
        entry["caller"].as_str().is_some_and(|who| !who.is_empty()),
        "{entry}"
    );
    // It serves on: applications are none of the hub's business.
    let ready =
        binnacle_tests::client::http("GET", scene.agents[0].listen(), "/v2/health/ready", b"");
    assert_eq!(ready.unwrap().status, 200);
    assert_eq!(scene.hub.ask(&["host", "readmit", "host-1"]).code, 0);
    assert_eq!(scene.hub.ask(&["host", "retire", "nobody"]).code, 3);
}

#[test]
fn a_watcher_gets_heartbeats_outlives_the_hub_and_resumes_without_gap_or_repeat() {
    let mut scene = Scene::start(0);
    let address = scene.hub.address();
    let greet = |name: &str| drop(Stranger::dial(&address, hello(name)).unwrap());
    let args = ["watch", "--jsonl", "--since", "0", "--hub", &address];
    let watcher = Following::start(&args);
    let entry =
        |sequence: u64| move |line: &Value| line["type"] == "entry" && line["sequence"] == sequence;
    watcher.next("the first entry", LINE_LIMIT, entry(1));
    greet("one");
    let line = watcher.next("an entry as it is written", LINE_LIMIT, |line| {
        line["type"] == "entry"
    });
    assert_eq!(
        (&line["sequence"], &line["object"]),
        (&json!(2), &json!("host one")),
        "{line}"
    );
    watcher.next("a heartbeat", LINE_LIMIT, |line| {
        line["type"] == "heartbeat"
    });

    scene.hub.kill();
    watcher.next("it says that the hub is lost", LINE_LIMIT, |line| {
        line["type"] == "lost"
    });
    scene.hub.start_again();
    greet("two");
    let started = watcher.next("it is back", BACK_LIMIT, |line| line["type"] != "lost");
    assert_eq!(started["type"], "started", "{started}");
    let line = watcher.next("it goes on", LINE_LIMIT, |line| line["type"] == "entry");
    assert_eq!(
        (&line["sequence"], &line["object"]),
        (&json!(3), &json!("host two")),
        "{line}"
    );

    let late = Following::start(&["watch", "--jsonl", "--since", "2", "--hub", &address]);
    let line = late.next("only what came after", LINE_LIMIT, |line| {
        line["type"] == "entry"
    });
    assert_eq!(line["sequence"], 3, "{line}");
}

#[test]
fn rows_that_change_can_be_followed() {
    let scene = Scene::start(1);
    let address = scene.hub.address();
    let hosts = Following::start(&["watch", "--jsonl", "--view", "hosts", "--hub", &address]);
    hosts.next("the host", LINE_LIMIT, |line| {
        line["type"] == "host" && line["name"] == "host-1"
    });
    let models = Following::start(&["watch", "--jsonl", "--view", "models", "--hub", &address]);
    let traffic = Traffic::start(&scene.lanes(Duration::from_millis(20)));
    models.next("a model with traffic", LINE_LIMIT, |line| {
        line["type"] == "model"
            && line["model"] == "wine"
            && line["traffic"]["requests"]
                .as_u64()
                .is_some_and(|requests| requests > 20)
    });
    assert_eq!(traffic.stop().failed, 0);
}

#[test]
fn completions_and_manual_pages_come_out_of_the_program() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = binnacle(&["completions", shell]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.stdout.contains("journal"), "{shell} completes nouns");
    }
    let folder = tempfile::tempdir().unwrap();
    let ended = binnacle(&["man", folder.path().to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let pages = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(pages >= 8, "{pages} pages");
    assert!(binnacle(&["man"]).stdout.contains("binnacle"));
}

#[test]
fn an_agent_tells_of_itself_over_its_own_socket() {
    let mut scene = Scene::start(1);
    let traffic = Traffic::start(&scene.lanes(Duration::from_millis(10)));
    eventually("some requests", COUNT_LIMIT, || match traffic.sent() {
        sent if sent >= 200 => Ok(()),
        sent => Err(sent.to_string()),
    });
    let tally = traffic.stop();
    scene.await_count(&tally);
    let socket = scene.agents[0].control_socket();
    let socket = socket.to_str().unwrap();
    let ask = |form: &[&str]| {
        let mut args = vec!["status", "--control", socket];
        args.extend(form);
        run("binnacle-agent", &args)
    };
    let status = ask(&["--json"]).ok();
    assert_eq!(status["schema"], "binnacle.agent-status/v1", "{status}");
    assert_eq!(status["totals"]["requests"]["ok"], tally.sent(), "{status}");
    assert_eq!(status["server"]["process"], "on", "{status}");
    let told = ask(&[]);
    assert!(told.code == 0 && told.stdout.contains("host-1"), "{told:?}");
    assert!(
        !told.stdout.contains('\u{1b}'),
        "no escapes in a pipe: {:?}",
        told.stdout
    );
    let metrics = scene.agents[0].control("/metrics").unwrap();
    let metrics = String::from_utf8(metrics.body).unwrap();
    let counted = metrics
        .lines()
        .any(|line| line.ends_with(&format!(" {}", tally.sent())));
    assert!(
        counted,
        "{} requests, by some outcome, in:\n{metrics}",
        tally.sent()
    );
    scene.agents[0].kill();
    assert_eq!(
        ask(&["--json"]).code,
        9,
        "the socket is there, and nobody answers"
    );
    let nowhere = scene.folder.path().join("no.sock");
    let ended = run(
        "binnacle-agent",
        &["status", "--control", nowhere.to_str().unwrap()],
    );
    assert_eq!(ended.code, 3, "{ended:?}");
}

#[test]
fn an_export_is_the_journal_byte_for_byte_online_and_offline() {
    let mut scene = Scene::start(0);
    drop(Stranger::dial(&scene.hub.address(), hello("one")).unwrap());
    let online = scene.hub.show(&["journal", "export"]);
    assert_eq!(
        (online.code, online.stdout.lines().count()),
        (0, 2),
        "{online:?}"
    );
    assert!(scene.hub.terminate().success());
    let url = format!("sqlite://{}", scene.hub.data().join("hub.db").display());
    let offline = binnacle(&["journal", "export", "--store", &url]);
    assert_eq!((offline.code, &offline.stdout), (0, &online.stdout));
}

//! What breaks, and what is wrong, is met with a clear answer, and nothing is lost by it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use binnacle_core::series::{Outcome, SeriesKey, SeriesWindow};
use binnacle_proto::v1 as proto;
use binnacle_sketch::Latency;
use serde_json::{Value, json};

use binnacle_tests::client::{self, Kept};
use binnacle_tests::command::{binnacle, run};
use binnacle_tests::fleet::Hub;
use binnacle_tests::patience::eventually;
use binnacle_tests::stranger::{Stranger, hello};
use binnacle_tests::traffic::{Protocol, Traffic};

use super::scene::{COUNT_LIMIT, Scene, requests, row};

/// From a server's death to its dark lights at the hub.
const DARK_LIMIT: Duration = Duration::from_secs(2);
/// The path of a version that is there.
const INFER: &str = "/v2/models/wine/versions/1/infer";

fn lights(scene: &Scene) -> Value {
    scene
        .hub
        .host("host-1")
        .map(|row| row["server"].clone())
        .unwrap_or_default()
}

#[test]
fn a_killed_inference_server_is_a_503_its_lights_go_out_and_come_back() {
    let mut scene = Scene::start(1);
    scene.runtimes[0].kill();
    let agent = scene.agents[0].listen();
    let answer = client::http("POST", agent, INFER, b"{}").unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(
        answer.json()["error"]
            .as_str()
            .is_some_and(|why| !why.is_empty()),
        "{answer:?}"
    );
    eventually("every light is out", DARK_LIMIT, || {
        let server = lights(&scene);
        let versions = server["versions"].as_array().cloned().unwrap_or_default();
        let dark = versions
            .iter()
            .all(|v| v["loaded"] != "on" && v["answers"] != "on");
        if server["process"] == "off" && dark {
            Ok(())
        } else {
            Err(server.to_string())
        }
    });
    let reason = lights(&scene)["reason"].as_str().unwrap().to_owned();
    assert!(!reason.is_empty(), "a dark light says why");
    let listed = scene.hub.ask(&["host", "list"]).ok();
    assert_eq!(listed["items"][0]["status"], "crit", "{listed}");
    scene.runtimes[0].start_again();
    scene.await_lights("host-1", COUNT_LIMIT);
}

#[test]
fn refused_requests_over_grpc_are_unavailable_and_counted() {
    let mut scene = Scene::start(1);
    scene.runtimes[0].kill();
    let lanes = scene.lanes(Duration::from_millis(20));
    let grpc: Vec<_> = lanes
        .into_iter()
        .filter(|l| l.protocol == Protocol::Grpc)
        .collect();
    let traffic = Traffic::start(&grpc);
    eventually("requests are refused", COUNT_LIMIT, || {
        match traffic.sent() {
            sent if sent >= 20 => Ok(()),
            sent => Err(format!("{sent} refused")),
        }
    });
    let tally = traffic.stop();
    assert_eq!(tally.sent(), tally.failed);
    let unavailable = tally
        .failures
        .iter()
        .all(|words| words.contains("unavailable"));
    assert!(unavailable, "{:?}", tally.failures);
    eventually("sent = counted", COUNT_LIMIT, || {
        let table = scene.latency();
        let refused = |item: &Value| item["outcomes"]["upstream_refused"]["requests"].as_u64();
        let counted: u64 = table["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(refused)
            .sum();
        if counted == tally.sent() {
            Ok(())
        } else {
            Err(format!("{counted} of {}: {table}", tally.sent()))
        }
    });
}

#[test]
fn wrong_tensors_and_malformed_json_are_refused_by_name_and_counted_as_the_clients_error() {
    let scene = Scene::start(1);
    let agent = scene.agents[0].listen();
    let tensor = |name: &str, shape: Value, datatype: &str, data: Value| {
        let input = json!({"name": name, "shape": shape, "datatype": datatype, "data": data});
        json!({ "inputs": [input] }).to_string()
    };
    let row = json!([0.0; 13].to_vec());
    let cases = [
        (
            tensor(
                "features",
                json!([1, 12]),
                "FP32",
                json!([0.0; 12].to_vec()),
            ),
            "features",
        ),
        (
            tensor("features", json!([1, 13]), "INT64", json!([0; 13].to_vec())),
            "features",
        ),
        (
            tensor("feature", json!([1, 13]), "FP32", row.clone()),
            "feature",
        ),
        (tensor("features", json!([2, 13]), "FP32", row), "features"),
        ("{\"inputs\": [".to_owned(), ""),
        ("[]".to_owned(), ""),
    ];
    for (body, named) in &cases {
        let answer = client::http("POST", agent, INFER, body.as_bytes()).unwrap();
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        let why = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(why.contains(named), "{body}: {why}");
    }
    await_row(&scene, "wine", "1", cases.len() as u64, "client_error");
}

/// Waits until one version has been counted as often, all with one outcome.
#[track_caller]
fn await_row(scene: &Scene, model: &str, version: &str, count: u64, outcome: &str) {
    eventually("refused requests are counted", COUNT_LIMIT, || {
        let table = scene.latency();
        let found = row(&table, model, version).cloned().unwrap_or_default();
        let counted = found["outcomes"][outcome]["requests"].as_u64();
        let all = found["requests"].as_u64();
        if counted == Some(count) && all == counted {
            Ok(())
        } else {
            Err(table.to_string())
        }
    });
}

#[test]
fn ten_thousand_unknown_names_cost_no_memory_and_one_series() {
    const NAMES: u64 = 10_000;
    /// What an allocator may keep of ten thousand requests that came and went; a series for each
    /// name would be some hundred bytes and a histogram of 30 kB.
    const GROWTH: u64 = 2 << 20;
    let scene = Scene::start(1);
    let mut kept = Kept::connect(scene.agents[0].listen());
    let mut ask = |name: String| {
        let answer = kept.post(&format!("/v2/models/{name}/infer"), b"{\"inputs\":[]}");
        assert_eq!(answer.status, 404, "{name}: {answer:?}");
    };
    (0..500).for_each(|n| ask(format!("warm-{n}")));
    let before = scene.agents[0].program().resident();
    (0..NAMES).for_each(|n| ask(format!("no-such-model-{n}")));
    let after = scene.agents[0].program().resident();
    assert!(
        after.saturating_sub(before) <= GROWTH,
        "from {before} to {after} bytes"
    );
    eventually("all of them are counted together", COUNT_LIMIT, || {
        let table = scene.latency();
        let items = table["items"].as_array().unwrap().len();
        let other = requests(&table, "other", "");
        if items == 1 && other == NAMES + 500 {
            Ok(())
        } else {
            Err(table.to_string())
        }
    });
}

#[test]
fn a_report_in_a_newer_protocol_is_refused_with_what_to_do() {
    let scene = Scene::start(0);
    let newer = proto::Hello {
        protocol_min: 2,
        protocol_max: 9,
        ..hello("from-tomorrow")
    };
    let refused = Stranger::dial(&scene.hub.address(), newer)
        .err()
        .expect("it is refused");
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
    let words = refused.message();
    assert!(words.contains("protocol") && words.contains('2'), "{words}");
    assert!(
        scene.hub.host("from-tomorrow").is_none(),
        "it was never admitted"
    );

    let both = proto::Hello {
        protocol_max: 9,
        ..hello("from-today")
    };
    let (_stream, welcome) = Stranger::dial(&scene.hub.address(), both).unwrap();
    let Some(proto::hub_message::Body::Welcome(welcome)) = welcome.body else {
        panic!("{welcome:?}")
    };
    assert_eq!(welcome.protocol, binnacle_proto::PROTOCOL_MAX);
}

/// Clears the screen and turns what follows red, where a terminal believes it.
const ESCAPE: &str = "\u{1b}[2J\u{1b}[31mred\u{7}";

/// Whatever moment of its greeting a host is lost in, the hub does not take it for connected, and
/// the one that dials next has command.
#[test]
fn hosts_that_vanish_in_the_middle_of_their_greeting_hold_no_stream() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path());
    for moment in 0..120 {
        let after = Duration::from_micros(moment * 25);
        Stranger::vanish(&hub.address(), hello("infer-1"), after);
    }
    // One of them may never have been heard.
    let (_stranger, _welcome) = Stranger::dial(&hub.address(), hello("infer-1")).unwrap();
    eventually("only the one that stayed has a stream", COUNT_LIMIT, || {
        let host = hub.host("infer-1").unwrap();
        match host["streams"] == 1 {
            true => Ok(()),
            false => Err(host["streams"].to_string()),
        }
    });
}

fn hostile_report() -> proto::Report {
    let mut latency = Latency::<u64>::default();
    latency.record(1_000_000);
    let mut window = binnacle_wire::series::to_proto(&SeriesWindow {
        key: SeriesKey {
            endpoint: "".into(),
            model: ESCAPE.into(),
            version: ESCAPE.into(),
            outcome: Outcome::Ok,
        },
        latency: latency.encode(),
        request_bytes: 1,
        response_bytes: 1,
    });
    if let Some(series) = &mut window.series {
        // A newer agent's word for how a request can end.
        series.outcome = 99;
    }
    proto::Report {
        boot_id: vec![7; 16].into(),
        first_sequence: 1,
        last_sequence: 1,
        start_us: now_us(),
        span_ms: 1_000,
        series: vec![window],
        server: Some(proto::ServerHealth {
            upstream: ESCAPE.to_owned(),
            process: proto::Light::On.into(),
            versions: vec![proto::VersionLights {
                model: ESCAPE.to_owned(),
                version: "1".to_owned(),
                reason: ESCAPE.to_owned(),
                ..proto::VersionLights::default()
            }],
            ..proto::ServerHealth::default()
        }),
        losses: Some(proto::Losses::default()),
        sent_at_us: now_us(),
        ..proto::Report::default()
    }
}

fn now_us() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(now.as_micros()).unwrap()
}

#[test]
fn names_with_escapes_never_reach_a_terminal_raw_and_an_unknown_outcome_is_still_counted() {
    let scene = Scene::start(0);
    for (field, spoilt) in [
        (
            "agent_version",
            proto::Hello {
                agent_version: ESCAPE.to_owned(),
                ..hello("spoilt")
            },
        ),
        ("host", hello(ESCAPE)),
        (
            "environment",
            proto::Hello {
                environment: ESCAPE.to_owned(),
                ..hello("spoilt")
            },
        ),
    ] {
        let refused = Stranger::dial(&scene.hub.address(), spoilt)
            .err()
            .expect(field);
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
        assert!(
            refused.message().contains(field),
            "{field}: {}",
            refused.message()
        );
        assert!(
            !refused.message().contains('\u{1b}'),
            "{:?}",
            refused.message()
        );
    }
    let (mut stranger, _) = Stranger::dial(&scene.hub.address(), hello("hostile")).unwrap();
    stranger.report(hostile_report());
    eventually("it is counted", COUNT_LIMIT, || {
        let table = scene.latency();
        if table["total"]["requests"] == 1 {
            Ok(())
        } else {
            Err(table.to_string())
        }
    });
    let commands: [&[&str]; 5] = [
        &["host", "list"],
        &["host", "show", "hostile"],
        &["latency"],
        &["journal", "list"],
        &["doctor"],
    ];
    for command in commands {
        for ended in [scene.hub.show(command), scene.hub.ask(command)] {
            let raw = ended.stdout.chars().chain(ended.stderr.chars());
            let raw = raw.filter(|c| c.is_control() && *c != '\n');
            assert_eq!(raw.count(), 0, "{command:?} printed {:?}", ended.stdout);
        }
    }
    let shown = scene.hub.show(&["latency"]).stdout;
    assert!(shown.contains("red"), "the name is shown, escaped: {shown}");
}

/// A scene whose hub was asked to end, with some entries in its journal.
fn journal_at_rest() -> (Scene, PathBuf) {
    let mut scene = Scene::start(0);
    for name in ["one", "two", "three"] {
        drop(Stranger::dial(&scene.hub.address(), hello(name)).unwrap());
    }
    assert!(scene.hub.terminate().success());
    let store = scene.hub.data().join("hub.db");
    assert!(store.is_file(), "the store lies in the hub's folder");
    (scene, store)
}

fn verify(store: &Path) -> (i32, Value) {
    let url = format!("sqlite://{}", store.display());
    let ended = binnacle(&["journal", "verify", "--store", &url, "--json"]);
    (ended.code, ended.json()["items"][0].clone())
}

/// Runs one statement on a store that no hub has open.
fn alter(store: &Path, statement: &'static str, sequence: u64) {
    let url = format!("sqlite://{}", store.display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        let query = sqlx::query(statement).bind(i64::try_from(sequence).unwrap());
        let altered = query.execute(&pool).await.unwrap();
        assert_eq!(altered.rows_affected(), 1, "entry {sequence} is there");
        pool.close().await;
    });
}

/// What everybody says about a journal whose entry `sequence` cannot be trusted.
#[track_caller]
fn assert_found_out(scene: &Scene, store: &Path, sequence: u64) {
    let (code, found) = verify(store);
    assert_eq!((code, &found["ok"]), (1, &json!(false)), "{found}");
    assert_eq!(found["fault"]["sequence"], sequence, "{found}");
    let url = format!("sqlite://{}", store.display());
    let told = binnacle(&["journal", "verify", "--store", &url]);
    assert!(
        told.stdout.contains(&format!("entry {sequence}")),
        "{told:?}"
    );
    let refused = scene.hub.refuses_to_start();
    let named = refused.contains(&format!("entry {sequence}"));
    assert!(refused.contains("corrupt") && named, "{refused}");
}

#[test]
fn one_changed_byte_in_a_journal_is_found_named_and_keeps_the_hub_from_starting() {
    let (scene, store) = journal_at_rest();
    let (code, found) = verify(&store);
    assert_eq!((code, &found["ok"]), (0, &json!(true)), "{found}");
    // One digit of the time at which it was decided.
    let change = "UPDATE journal SET body = \
        CAST(replace(CAST(body AS TEXT), '\"at_us\":1', '\"at_us\":2') AS BLOB) \
        WHERE sequence = $1";
    alter(&store, change, 3);
    assert_found_out(&scene, &store, 3);
}

#[test]
fn a_byte_changed_in_the_file_of_a_hub_that_has_ended_is_found() {
    let (scene, store) = journal_at_rest();
    let url = format!("sqlite://{}", store.display());
    let exported = binnacle(&["journal", "export", "--store", &url]);
    let line = exported.stdout.lines().nth(2).unwrap();
    let third: Value = serde_json::from_str(line).unwrap();
    let body = third["body"].as_str().unwrap().as_bytes();
    let mut bytes = std::fs::read(&store).unwrap();
    let places: Vec<usize> = (0..bytes.len() - body.len())
        .filter(|&at| bytes[at..].starts_with(body))
        .collect();
    assert!(
        !places.is_empty(),
        "a hub that ends leaves its journal in hub.db: what is only in the log beside it \
         (hub.db-wal) is silently forgotten by SQLite when a byte of it changes"
    );
    for place in places {
        bytes[place + body.len() / 2] ^= 1;
    }
    std::fs::write(&store, bytes).unwrap();
    assert_found_out(&scene, &store, 3);
}

#[test]
fn a_journal_whose_end_was_cut_off_is_found_out() {
    let (scene, store) = journal_at_rest();
    let (_, whole) = verify(&store);
    let last = whole["entries"].as_u64().unwrap();
    alter(&store, "DELETE FROM journal WHERE sequence = $1", last);
    assert_found_out(&scene, &store, last);
}

#[test]
fn a_journal_with_an_entry_taken_out_of_its_middle_is_found_out() {
    let (scene, store) = journal_at_rest();
    alter(&store, "DELETE FROM journal WHERE sequence = $1", 2);
    assert_found_out(&scene, &store, 2);
}

#[test]
fn a_configuration_with_a_typo_is_refused_with_its_line_and_what_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    let path = file.to_str().unwrap();
    let good = "host = \"infer-1\"\nenvironment = \"test\"\nhub = \"unix:/run/hub.sock\"\n\
                upstream = \"http://127.0.0.1:8000\"\nlisten = \"127.0.0.1:0\"\n";
    let good = format!("{good}data = \"{}\"\n", folder.path().display());
    std::fs::write(&file, &good).unwrap();
    let ended = run("binnacle-agent", &["check", "--config", path]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let cases = [
        ("upstream =", "upstrem =", "line 4", "upstream"),
        ("listen =", "lisen =", "line 5", "listen"),
        ("\"infer-1\"", "\"Infer 1\"", "line 1", "Infer 1"),
        ("\"127.0.0.1:0\"", "\"127.0.0.1\"", "line 5", "127.0.0.1"),
    ];
    for (right, wrong, line, meant) in cases {
        std::fs::write(&file, good.replace(right, wrong)).unwrap();
        for command in ["check", "run"] {
            let ended = run("binnacle-agent", &[command, "--config", path]);
            assert_eq!(ended.code, 2, "{ended:?}");
            let told = ended.stderr.contains(line) && ended.stderr.contains(meant);
            assert!(told, "{line}, {meant}: {}", ended.stderr);
        }
    }
}

#[test]
fn addresses_that_other_machines_reach_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    for (listen, extra) in [
        ("0.0.0.0:0", Some("--insecure-loopback")),
        ("192.0.2.1:7000", Some("--insecure-loopback")),
        ("127.0.0.1:0", None),
    ] {
        let mut args = vec!["hub", "run", "--data", data, "--listen", listen];
        args.extend(extra);
        let ended = binnacle(&args);
        assert_ne!(ended.code, 0, "{listen}: {ended:?}");
        assert!(
            ended.stderr.contains("--insecure-loopback"),
            "{listen}: {}",
            ended.stderr
        );
    }
}

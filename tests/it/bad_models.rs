//! Bad models, and good ones, through the real programs: each bad one is refused, sent back or held
//! with the reason, no request fails but by the bad version's own fault, and the endpoint ends
//! where it began; of the good ones none goes back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use binnacle_tests::command::Ended;
use binnacle_tests::fleet::{self, Agent, Hub, Runtime};
use binnacle_tests::misbehaving::Misbehaving;
use binnacle_tests::models::{self, Model};
use binnacle_tests::patience::{eventually, eventually_true};
use binnacle_tests::traffic::{Lane, Protocol, Tally, Traffic};

/// Between two requests of a lane: one lane a host for each endpoint.
const PACE: Duration = Duration::from_millis(20);
/// Until hosts have fetched, loaded and switched, and until a bad version shows.
const SOON: Duration = Duration::from_secs(120);
/// Most bad versions are found within it; what is held may be looked at afterwards.
const CANARY: &str = "canary:30%/40s";

/// Of its requests more than should be are over a multiple of the p99, or most over one of the
/// median, of the version beside it: where one server computes for both, the median tells.
const SLOW: &[&str] = &[
    "over 1.2 × the p99 beside it",
    "over 2 × the median beside it",
];

/// A hub, two hosts, and as many endpoints as there are cases.
struct Stand {
    hub: Hub,
    agents: Vec<Agent>,
    _runtimes: Vec<Runtime>,
    _servers: Vec<Misbehaving>,
    folder: TempDir,
}

/// A version that is to take the place of a good one, and how it comes.
struct Case {
    /// Of the model and of its endpoint.
    name: &'static str,
    file: PathBuf,
    /// More words of its registration.
    registered: String,
    strategy: &'static str,
}

impl Case {
    fn new(name: &'static str, file: PathBuf) -> Self {
        Self {
            name,
            file,
            registered: String::new(),
            strategy: CANARY,
        }
    }

    fn endpoint(&self) -> String {
        format!("test/{}", self.name)
    }
}

impl Stand {
    /// Hosts with our own inference server.
    fn start() -> Self {
        Self::with(|folder, host, hub| {
            let repository = folder.join(format!("repository-{host}"));
            std::fs::create_dir_all(&repository).unwrap();
            let runtime = Runtime::start(&folder.join(format!("runtime-{host}")), &repository);
            let agent = Agent::start_placing(folder, host, hub, &runtime);
            (agent, Some(runtime), None)
        })
    }

    /// Hosts with a server whose versions misbehave as they are told.
    fn misbehaving() -> Self {
        Self::with(|folder, host, hub| {
            let place = folder.join(format!("server-{host}"));
            std::fs::create_dir_all(&place).unwrap();
            let server = Misbehaving::start(&place);
            let more = server.arguments();
            let agent = Agent::start_before(folder, host, hub, server.http(), more);
            (agent, None, Some(server))
        })
    }

    fn with(
        host: impl Fn(&Path, &str, &str) -> (Agent, Option<Runtime>, Option<Misbehaving>),
    ) -> Self {
        let folder = fleet::folder();
        let hub = Hub::start(folder.path());
        let (mut agents, mut runtimes, mut servers) = (Vec::new(), Vec::new(), Vec::new());
        for name in ["host-1", "host-2"] {
            let (agent, runtime, server) = host(folder.path(), name, &hub.address());
            agents.push(agent);
            runtimes.extend(runtime);
            servers.extend(server);
        }
        eventually_true("every host is live", SOON, || {
            let is_live = |agent: &Agent| {
                let host = hub.host(agent.host());
                host.is_some_and(|host| host["state"] == "live")
            };
            agents.iter().all(is_live)
        });
        Self {
            hub,
            agents,
            _runtimes: runtimes,
            _servers: servers,
            folder,
        }
    }

    fn ask(&self, words: &str) -> Ended {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.hub.ask(&words)
    }

    #[track_caller]
    fn does(&self, words: &str) -> Value {
        let ended = self.ask(words);
        assert_eq!(ended.code, 0, "{words}\n{}\n{}", ended.stdout, ended.stderr);
        ended.outcome()["items"][0].clone()
    }

    /// A model of two versions, the first of which serves at an endpoint of the model's name.
    #[track_caller]
    fn prepare(&self, case: &Case, good: &Path, format: &str) {
        let (name, endpoint) = (case.name, case.endpoint());
        self.does(&format!("model create {name}"));
        let register = |file: &Path, more: &str| {
            let file = file.display();
            let words = format!("version register --model {name} --file {file}");
            self.does(&format!("{words} --format {format} {more}"));
        };
        register(good, "");
        register(&case.file, &case.registered);
        let settings = "--objective errors<=2% --min-requests 200 --opens-after 1h";
        self.does(&format!("endpoint create {endpoint} {settings}"));
        let told = self.does(&format!("deploy {name}@1 --to {endpoint} --wait=2m"));
        assert_eq!(told["outcome"], "promoted", "{told}");
    }

    fn traffic(&self, case: &Case, rows: &str, protocols: &[Protocol]) -> Traffic {
        let model = Model::called(rows, case.name);
        let mut lanes = Vec::new();
        for agent in &self.agents {
            lanes.extend(protocols.iter().map(|&protocol| Lane {
                protocol,
                to: agent.listen(),
                model: model.clone(),
                version: String::new(),
                every: PACE * protocols.len() as u32,
            }));
        }
        Traffic::start(&lanes)
    }

    /// Brings the second version of each, all at once, and waits for what becomes of them.
    fn brings(&self, cases: &[Case]) -> Vec<Value> {
        let bring = |case: &Case| {
            let (name, endpoint, strategy) = (case.name, case.endpoint(), case.strategy);
            let how = format!("--strategy {strategy} --confirm-within 0s --wait=5m");
            let ended = self.ask(&format!("deploy {name}@2 --to {endpoint} {how}"));
            ended.outcome()["items"][0].clone()
        };
        std::thread::scope(|scope| {
            let all: Vec<_> = cases
                .iter()
                .map(|case| scope.spawn(|| bring(case)))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        })
    }

    /// A version comes that is held, with such words; it is then given up.
    #[track_caller]
    fn is_held(&self, case: &Case, words: &str) {
        let (name, endpoint, strategy) = (case.name, case.endpoint(), case.strategy);
        let how = format!("--strategy {strategy} --confirm-within 0s");
        self.does(&format!("deploy {name}@2 --to {endpoint} {how}"));
        eventually(case.name, SOON, || {
            let rollout = self.does(&format!("rollout show {endpoint}"));
            let is_told = rollout["finding"]["why"]
                .as_str()
                .is_some_and(|why| why.contains(words));
            match is_told && rollout["phase"] == "judging" {
                true => Ok(()),
                false => Err(rollout.to_string()),
            }
        });
        self.gives_up(case);
    }

    /// A version comes that is held, with such words, or taken back by what it answers meanwhile:
    /// it does not come to serve in full.
    #[track_caller]
    fn is_stopped(&self, case: &Case, words: &str) {
        let (name, endpoint, strategy) = (case.name, case.endpoint(), case.strategy);
        let how = format!("--strategy {strategy} --confirm-within 0s");
        self.does(&format!("deploy {name}@2 --to {endpoint} {how}"));
        let went_back = eventually(case.name, SOON, || {
            let rollout = self.does(&format!("rollout show {endpoint}"));
            let why = rollout["finding"]["why"].as_str().unwrap_or_default();
            match rollout["phase"].as_str() {
                Some("judging") if why.contains(words) => Ok(false),
                Some("rolled_back") => Ok(true),
                _ => Err(rollout.to_string()),
            }
        });
        if !went_back {
            self.gives_up(case);
        }
    }

    #[track_caller]
    fn gives_up(&self, case: &Case) {
        let endpoint = case.endpoint();
        self.does(&format!("rollout abort {endpoint} --reason no"));
        eventually_true("it is given up", SOON, || {
            self.does(&format!("endpoint show {endpoint}"))["rollout"].is_null()
        });
    }

    /// The endpoint is where it was, and no other version failed a request.
    #[track_caller]
    fn is_as_it_was(&self, case: &Case, tally: &Tally) {
        let name = case.name;
        let endpoint = self.does(&format!("endpoint show {}", case.endpoint()));
        assert_eq!(endpoint["live"], 1, "{endpoint}");
        assert_eq!(endpoint["route"], format!("{name}@1 100%"), "{endpoint}");
        assert!(endpoint["rollout"].is_null(), "{endpoint}");
        let ends = self.failures_by_version(name);
        assert_eq!(
            ends.0, 0,
            "{name}: the good version failed: {:?}",
            tally.failures
        );
        let failed = tally.failed + tally.unanswered;
        assert!(
            failed <= ends.1,
            "{name}: {failed} of {ends:?}: {:?}",
            tally.failures
        );
    }

    /// Requests to an endpoint that did not end well, of the first version and of the second.
    fn failures_by_version(&self, endpoint: &str) -> (u64, u64) {
        let (mut first, mut second) = (0, 0);
        for agent in &self.agents {
            let log = std::fs::read_to_string(agent.request_log()).unwrap();
            // Its end may still be on its way to the disk.
            let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
            for line in whole.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                if line["endpoint"] != endpoint || line["outcome"] == "ok" {
                    continue;
                }
                match line["version"].as_str() {
                    Some("2") => second += 1,
                    _ => first += 1,
                }
            }
        }
        (first, second)
    }
}

/// It went back, for one of these reasons.
#[track_caller]
fn went_back(case: &Case, told: &Value, words: &[&str]) {
    assert_eq!(told["outcome"], "rolled_back", "{}: {told}", case.name);
    let why = told["why"].as_str().unwrap();
    let is_told = words.iter().any(|words| why.contains(words));
    assert!(is_told, "{}: {why}", case.name);
}

/// Changes a byte in the middle of a version's file where the hub stores it, as a disk may.
#[track_caller]
fn damage(stand: &Stand, version: &str) {
    let shown = stand.does(&format!("version show {version}"));
    let sha256 = shown["artifact"]["sha256"].as_str().unwrap();
    let (first, rest) = sha256.split_at(2);
    let folder = stand.hub.data().join("artifacts/sha256");
    let stored = folder.join(first).join(rest);
    let mut bytes = std::fs::read(&stored).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&stored, bytes).unwrap();
}

#[test]
fn slow_failing_flipped_misfitting_and_damaged_models_are_caught_and_nothing_else_fails() {
    let stand = Stand::start();
    let good = models::file("fraud", "2");
    let golden = models::golden("fraud").display().to_string();
    let with_golden = |case: Case| Case {
        registered: format!("--golden {golden}"),
        ..case
    };
    let cases = [
        Case::new("slow", models::file("fraud", "3")),
        Case::new("failing", models::file("fraud", "4")),
        with_golden(Case::new("flipped", models::file("fraud", "5"))),
        Case::new("misfit", models::file("wine", "1")),
        Case::new("damaged", models::file("wine", "2")),
    ];
    let shadowed = Case {
        strategy: "shadow:50%/20s,20%/20s",
        ..Case::new("shadowed", models::file("fraud", "5"))
    };
    cases
        .iter()
        .for_each(|case| stand.prepare(case, &good, "onnx"));
    stand.prepare(&shadowed, &good, "onnx");
    damage(&stand, "damaged@2");
    let both = [Protocol::Http, Protocol::Grpc];
    let traffic = |case| stand.traffic(case, "fraud", &both);
    let lanes: Vec<Traffic> = cases.iter().map(traffic).collect();
    let others = traffic(&shadowed);
    let told = std::thread::scope(|scope| {
        let held = scope.spawn(|| stand.is_held(&shadowed, "that is another model"));
        let told = stand.brings(&cases);
        held.join().unwrap();
        told
    });
    let words = [
        SLOW,
        &["errors"],
        &["golden request 1: label[0] is"],
        &["it takes other inputs"],
        &["hosts cannot serve it"],
    ];
    for ((case, told), words) in cases.iter().zip(&told).zip(words) {
        went_back(case, told, words);
    }
    let mut tallies: Vec<Tally> = lanes.into_iter().map(Traffic::stop).collect();
    tallies.push(others.stop());
    for (case, tally) in cases.iter().chain([&shadowed]).zip(&tallies) {
        stand.is_as_it_was(case, tally);
    }
    // A slow version is no failed request, and what never served failed none either.
    for at in [0, 2, 4, 5] {
        let tally = &tallies[at];
        assert_eq!(tally.failed + tally.unanswered, 0, "{:?}", tally.failures);
    }
}

#[test]
fn delayed_mute_crashing_leaking_and_unready_models_are_caught_and_nothing_else_fails() {
    let stand = Stand::misbehaving();
    let folder = stand.folder.path();
    let version = |name: &str, behaviour: Value| Misbehaving::version(folder, name, &behaviour);
    let good = version("good", json!({}));
    let cases = [
        Case::new("delayed", version("delayed", json!({"delay_ms": 50}))),
        Case::new("mute", version("mute", json!({"nan_share": 0.2}))),
        Case::new("failing", version("failing", json!({"error_share": 0.05}))),
        Case::new(
            "stillborn",
            version("stillborn", json!({"crash_at_load": true})),
        ),
        Case {
            strategy: "canary:50%/90s",
            ..Case::new("mortal", version("mortal", json!({"crash_at": 1_000})))
        },
    ];
    let unready = Case::new("unready", version("unready", json!({"never_ready": true})));
    let leaking = Case::new("leaking", version("leaking", json!({"leak_kb": 512})));
    cases
        .iter()
        .for_each(|case| stand.prepare(case, &good, "sklearn"));
    stand.prepare(&unready, &good, "sklearn");
    stand.prepare(&leaking, &good, "sklearn");
    let traffic = |case| stand.traffic(case, "tumour", &[Protocol::Http]);
    let mut lanes: Vec<Traffic> = cases.iter().map(traffic).collect();
    lanes.push(traffic(&unready));
    lanes.push(traffic(&leaking));
    let told = stand.brings(&cases);
    // It sleeps and keeps nothing busy: the other one's tail stays where it was.
    let words = [
        &SLOW[..1],
        &["null answers"],
        &["errors"],
        &["hosts cannot serve it"],
        &["errors"],
    ];
    for ((case, told), words) in cases.iter().zip(&told).zip(words) {
        went_back(case, told, words);
    }
    never_ready(&stand, &unready);
    // By itself: a server that grows holds whatever else comes to its host. One that grows becomes
    // slow as well, and may be taken back for that first.
    stand.is_stopped(&leaking, "the memory of the inference server on host-");
    let tallies: Vec<Tally> = lanes.into_iter().map(Traffic::stop).collect();
    for (case, tally) in cases.iter().chain([&unready, &leaking]).zip(&tallies) {
        stand.is_as_it_was(case, tally);
    }
    for at in [0, 1, 3, 5, 6] {
        let tally = &tallies[at];
        assert_eq!(tally.failed + tally.unanswered, 0, "{:?}", tally.failures);
    }
}

/// A version that no host gets ready holds its rollout, which says on which hosts, and serves
/// nobody; it can be given up.
#[track_caller]
fn never_ready(stand: &Stand, case: &Case) {
    let endpoint = case.endpoint();
    stand.does(&format!(
        "deploy {}@2 --to {endpoint} --strategy {CANARY}",
        case.name
    ));
    let loading = |agent: &Agent| {
        let status = agent.control("/status").map(|answer| answer.json());
        let status = status.unwrap_or_default();
        let versions = status["observed"]["versions"].as_array().cloned();
        let mut versions = versions.unwrap_or_default().into_iter();
        versions.any(|one| {
            (&one["model"], &one["version"]) == (&json!(case.name), &json!("2"))
                && one["phase"] == "loading"
        })
    };
    eventually_true("hosts try to load it", SOON, || {
        stand.agents.iter().any(loading)
    });
    let rollout = stand.does(&format!("rollout show {endpoint}"));
    assert_eq!(rollout["phase"], "preparing", "{rollout}");
    assert_eq!(rollout["missing"], json!(["host-1", "host-2"]), "{rollout}");
    stand.gives_up(case);
}

#[test]
fn five_good_models_are_promoted() {
    let stand = Stand::start();
    let (old, new) = (models::file("fraud", "1"), models::file("fraud", "2"));
    let names = ["first", "second", "third", "fourth", "fifth"];
    let golden = models::golden("fraud").display().to_string();
    let cases = names.map(|name| Case {
        registered: format!("--golden {golden}"),
        ..Case::new(name, new.clone())
    });
    cases
        .iter()
        .for_each(|case| stand.prepare(case, &old, "onnx"));
    let both = [Protocol::Http, Protocol::Grpc];
    let lanes: Vec<Traffic> = cases
        .iter()
        .map(|case| stand.traffic(case, "fraud", &both))
        .collect();
    let told = stand.brings(&cases);
    for (case, told) in cases.iter().zip(&told) {
        assert_eq!(told["outcome"], "promoted", "{}: {told}", case.name);
    }
    for tally in lanes.into_iter().map(Traffic::stop) {
        assert_eq!(tally.failed + tally.unanswered, 0, "{:?}", tally.failures);
    }
    let shown = stand.does("version show first@2");
    assert_eq!(shown["golden"]["requests"], 8, "{shown}");
    golden_fails_later(&stand);
}

/// Golden requests that are given to a version while it serves, and that it does not answer as they
/// say: its fourth light goes out on every host, and it is an alert that is laid to the version.
#[track_caller]
fn golden_fails_later(stand: &Stand) {
    let asked = std::fs::read_to_string(models::golden("fraud")).unwrap();
    let wrong = asked.replace("\"data\": [1]", "\"data\": [0]");
    let file = stand.folder.path().join("wrong.jsonl");
    std::fs::write(&file, wrong).unwrap();
    stand.does("endpoint edit test/first --opens-after 10s --closes-after 10s");
    let file = file.display();
    let given = stand.does(&format!("version golden first@2 {file} --reason audit"));
    assert_eq!(given["changed"], true, "{given}");
    let alert = eventually("an alert is open", SOON, || {
        let listed = stand.ask("alert list").ok();
        let first = listed["items"].as_array().unwrap().first().cloned();
        first.ok_or_else(|| "none".to_owned())
    });
    assert_eq!(alert["subject"], "golden", "{alert}");
    assert_eq!(alert["blame"]["whom"]["version"], "first@2", "{alert}");
    let shown = stand.hub.show(&["host", "show", "host-1"]);
    let is_out = shown.stdout.lines().any(|line| {
        line.contains("first 2") && line.contains("correct x off") && line.contains("expected 0")
    });
    assert!(is_out, "{}", shown.stdout);
    stand.does("version golden first@2 --none --reason the_cases_were_wrong");
    eventually_true("the alert is over", SOON, || {
        let listed = stand.ask("alert list").ok();
        listed["items"].as_array().unwrap().is_empty()
    });
}

#[test]
fn without_traffic_a_canary_is_held_and_says_what_it_needs() {
    let stand = Stand::start();
    let case = Case {
        strategy: "canary:30%/5s",
        ..Case::new("silent", models::file("fraud", "2"))
    };
    stand.prepare(&case, &models::file("fraud", "1"), "onnx");
    stand.is_held(&case, "no request of the new version was seen");
    stand.is_as_it_was(&case, &Tally::default());
}

//! Inputs held against the training data, through the real programs: every value is counted once,
//! whatever comes and whatever dies meanwhile; and what moved is told in words.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use open_inference::{Data, DataForm, InferRequest, Tensor, rest};
use serde_json::{Value, json};
use tempfile::TempDir;

use binnacle_tests::client;
use binnacle_tests::fleet::{Agent, Hub, Runtime};
use binnacle_tests::models::{self, Model};
use binnacle_tests::patience::{eventually, eventually_true};
use binnacle_tests::program;
use binnacle_tests::traffic::{Lane, Protocol, Traffic};

/// Until a host has fetched, loaded and switched; until counts have come to the hub.
const SOON: Duration = Duration::from_secs(60);
const MODEL: &str = "wine";
const ENDPOINT: &str = "test/cellar";
const FEATURES: u64 = 13;
/// Of the three columns of its probabilities the reference has two.
const OUTPUTS: [&str; 3] = [
    "output label",
    "output probabilities[0]",
    "output probabilities[2]",
];

/// A hub and one host whose inputs are watched.
struct Stand {
    hub: Hub,
    agent: Agent,
    _runtime: Runtime,
    _folder: TempDir,
}

impl Stand {
    /// A version serves, and its inputs are watched before the first request comes.
    fn start(percent: u8) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("binnacle-it-")
            .tempdir()
            .unwrap();
        let hub = Hub::start(folder.path());
        let repository = folder.path().join("repository");
        std::fs::create_dir_all(&repository).unwrap();
        let runtime = Runtime::start(&folder.path().join("runtime"), &repository);
        let address = hub.address();
        let agent = Agent::start_watching(folder.path(), "host-1", &address, &runtime, percent);
        let stand = Self {
            hub,
            agent,
            _runtime: runtime,
            _folder: folder,
        };
        stand.register(stand._folder.path());
        eventually_true("the host is live", SOON, || {
            let host = stand.hub.host("host-1");
            host.is_some_and(|host| host["state"] == "live")
        });
        stand.does(&format!("endpoint create {ENDPOINT}"));
        let told = stand.does(&format!("deploy wine@1 --to {ENDPOINT} --wait=2m"));
        assert_eq!(told["outcome"], "promoted", "{told}");
        eventually("the inputs of the version are watched", SOON, || {
            let status = stand.agent.control("/status")?.json();
            match status["inputs"]["versions"] == 1 {
                true => Ok(()),
                false => Err(status["inputs"].to_string()),
            }
        });
        stand
    }

    fn register(&self, folder: &Path) {
        let table = folder.join("rows.csv");
        Model::load(MODEL).table(&table);
        let (table, file) = (table.display(), models::file(MODEL, "1"));
        self.does(&format!("dataset register rows --file {table}"));
        let answers = folder.join("answers.csv");
        predictions(&answers);
        self.does(&format!(
            "dataset register answers --file {}",
            answers.display()
        ));
        self.does("featureset register vector --from rows@1");
        self.does(&format!("model create {MODEL}"));
        self.does(&format!(
            "version register --model {MODEL} --file {} --dataset rows@1:train \
             --dataset answers@1:predictions --featureset vector@1",
            file.display()
        ));
    }

    #[track_caller]
    fn does(&self, words: &str) -> Value {
        let words: Vec<&str> = words.split_whitespace().collect();
        let ended = self.hub.ask(&words);
        let said = (&ended.stdout, &ended.stderr);
        assert_eq!(ended.code, 0, "{words:?} {said:?}");
        ended.outcome()["items"][0].clone()
    }

    /// Every feature, as the hub counted it.
    fn features(&self) -> Vec<Value> {
        let ended = self.hub.ask(&["drift", "show", ENDPOINT]);
        let items = ended.json()["items"].as_array().unwrap().clone();
        let features = items.into_iter();
        features.filter(|item| item["feature"] != "").collect()
    }

    fn lane(&self, protocol: Protocol, every: Duration) -> Lane {
        Lane {
            protocol,
            to: self.agent.listen(),
            model: Model::called(MODEL, "cellar"),
            version: String::new(),
            every,
        }
    }

    /// One request over HTTP, however it is answered.
    fn post(&self, body: &Bytes, json_bytes: Option<usize>) {
        let more = json_bytes.map(|bytes| format!("inference-header-content-length: {bytes}\r\n"));
        self.post_with(body, &more.unwrap_or_default());
    }

    /// The same with more lines in its header.
    fn post_with(&self, body: &Bytes, more: &str) {
        let mut request = format!(
            "POST /v2/models/cellar/infer HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n{more}\
             connection: close\r\n\r\n",
            body.len(),
        )
        .into_bytes();
        request.extend_from_slice(body);
        client::raw(self.agent.listen(), &request).unwrap();
    }

    /// A tensor of rows, as JSON or with its bytes behind it.
    fn tensor(&self, rows: i64, columns: i64, data: Data, form: DataForm) {
        let tensor = Tensor::new("features", vec![rows, columns], data).unwrap();
        let request = InferRequest {
            id: String::new(),
            inputs: vec![tensor],
            outputs: Vec::new(),
            form: DataForm::Typed,
        };
        let encoded = rest::encode_request(&request, form).unwrap();
        self.post(&encoded.body, encoded.json_bytes);
    }

    /// What was sent of every feature, and how much of it is missing; and of how many rows the
    /// answers were counted.
    fn settles(&self, requests: u64, unfit: u64, (sent, missing): (u64, u64), answered: u64) {
        eventually("everything that was sent is counted", SOON, || {
            let listed = self.hub.ask(&["drift", "list", ENDPOINT]);
            if listed.code != 0 {
                return Err(listed.stderr);
            }
            let item = listed.json()["items"][0].clone();
            let counted = [
                &item["requests"],
                &item["unfit"],
                &item["skipped"],
                &item["dropped"],
            ];
            let wanted = json!([requests, unfit, 0, 0]);
            match json!(counted) == wanted {
                true => Ok(()),
                false => Err(format!("{item} and not {wanted}")),
            }
        });
        let is_output = |item: &Value| {
            item["feature"]
                .as_str()
                .is_some_and(|it| it.starts_with("output "))
        };
        let (outputs, features): (Vec<Value>, Vec<Value>) =
            self.features().into_iter().partition(is_output);
        let names = outputs.iter().map(|output| output["feature"].as_str());
        let names: BTreeSet<&str> = names.map(Option::unwrap).collect();
        assert_eq!(
            names,
            OUTPUTS.into(),
            "an output that no reference has is nobody's"
        );
        for output in outputs {
            assert_eq!(output["counted"], answered, "{output}");
        }
        assert_eq!(features.len() as u64, FEATURES);
        for feature in features {
            let bins = feature["bins"].as_array().unwrap().iter();
            let binned: u64 = bins.map(|count| count.as_u64().unwrap()).sum();
            assert_eq!(feature["counted"], sent, "{feature}");
            assert_eq!(feature["missing"], missing, "{feature}");
            assert_eq!(binned, sent - missing, "{feature}");
        }
    }
}

/// What the version is said to have answered, as a table.
fn predictions(to: &Path) {
    let mut table = "label,probabilities[0],probabilities[2]\n".to_owned();
    for row in 0..300 {
        let (label, part) = (row % 3, f64::from(row) / 300.0);
        table.push_str(&format!("{label},{part},{}\n", 1.0 - part));
    }
    std::fs::write(to, table).unwrap();
}

#[test]
fn every_value_is_counted_once_whatever_comes_and_whatever_dies() {
    let mut stand = Stand::start(100);
    let columns = FEATURES as i64;
    let good = |rows: i64| Data::Fp32(vec![12.5; (rows * columns) as usize]);
    // JSON, flat and nested; bytes behind the JSON; and gRPC.
    for _ in 0..20 {
        stand.tensor(1, columns, good(1), DataForm::Typed);
        stand.tensor(3, columns, good(3), DataForm::Raw);
        let row = vec![1.5; columns as usize];
        let input = json!({
            "name": "features", "datatype": "FP32", "shape": [2, columns], "data": [row, row],
        });
        stand.post(&Bytes::from(json!({ "inputs": [input] }).to_string()), None);
    }
    let traffic = Traffic::start(&[stand.lane(Protocol::Grpc, Duration::from_millis(4))]);
    eventually_true("gRPC is answered", SOON, || traffic.sent() >= 200);
    let grpc = traffic.stop().sent();
    let (mut requests, mut values) = (60 + grpc, 20 + 60 + 40 + grpc);
    stand.settles(requests, 0, (values, 0), values);

    // What is wrong is counted for what it is: not finite, of another type, too narrow, no request.
    stand.hub.kill();
    let not_finite = [f32::NAN, f32::INFINITY].map(|x| Data::Fp32(vec![x; columns as usize]));
    for data in not_finite {
        stand.tensor(1, columns, data, DataForm::Raw);
    }
    let word = Data::Bytes(vec![Bytes::from_static(b"12.5"); columns as usize]);
    stand.tensor(1, columns, word, DataForm::Typed);
    let double = Data::Fp64(vec![12.5; columns as usize]);
    stand.tensor(1, columns, double, DataForm::Typed);
    stand.tensor(1, columns - 1, Data::Fp32(vec![1.0; 12]), DataForm::Typed);
    stand.post(&Bytes::from_static(b"{\"inputs\": [nonsense"), None);
    requests += 6;
    values += 5;
    // None of it is answered well.
    let answered = values - 5;
    stand.hub.start_again();
    stand.settles(requests, 2, (values, 4), answered);

    // Killed again and again, the hub counts nothing twice.
    let traffic = Traffic::start(&[stand.lane(Protocol::Http, Duration::from_millis(4))]);
    for round in 1..=3 {
        eventually_true("requests are answered", SOON, || {
            traffic.sent() >= round * 300
        });
        stand.hub.kill();
        stand.hub.start_again();
    }
    let more = traffic.stop().sent();
    stand.settles(requests + more, 2, (values + more, 4), answered + more);
}

#[test]
fn what_the_budget_leaves_no_time_for_is_counted_as_left_out() {
    let stand = Stand::start(1);
    let lanes = [Protocol::Http, Protocol::Grpc].map(|it| stand.lane(it, Duration::from_micros(1)));
    let traffic = Traffic::start(&lanes);
    eventually_true("sampling has begun", SOON, || {
        let status = stand.agent.control("/status").map(|answer| answer.json());
        let share = status.map(|status| status["inputs"]["share_permille"].as_u64());
        share.is_ok_and(|share| share.is_some_and(|share| share < 1_000))
    });
    let sent = traffic.stop().sent();
    let item = eventually("everything that was sent is accounted for", SOON, || {
        let item = stand.hub.ask(&["drift", "list", ENDPOINT]).json()["items"][0].clone();
        let count = |field: &str| item[field].as_u64().unwrap_or(0);
        let all = count("requests") + count("skipped") + count("dropped");
        match all == sent {
            true => Ok(item),
            false => Err(format!("{all} of {sent}: {item}")),
        }
    });
    assert!(item["skipped"].as_u64() > Some(0), "{item}");
    for feature in stand.features() {
        assert_eq!(feature["counted"], item["requests"], "{feature}");
    }
}

#[test]
fn answers_that_are_unlike_what_was_registered_page_while_inputs_do_not() {
    let stand = Stand::start(100);
    // The rows that the version was trained on, and what it truly says of them: surer by far than
    // what it is said to have answered.
    let traffic = Traffic::start(&[stand.lane(Protocol::Http, Duration::from_millis(2))]);
    let moved = eventually("it is told what moved", SOON, || {
        let ended = stand.hub.ask(&["drift", "explain", ENDPOINT]);
        let moved = ended.json()["items"].as_array().unwrap().clone();
        let listed = stand.hub.ask(&["drift", "list", ENDPOINT]).json()["items"][0].clone();
        match listed["state"] == "moved" && !moved.is_empty() {
            true => Ok(moved),
            false => Err(listed.to_string()),
        }
    });
    for item in &moved {
        let feature = item["feature"].as_str().unwrap();
        assert!(OUTPUTS.contains(&feature), "{item}");
    }
    let alerts = stand.hub.ask(&["drift", "episodes", ENDPOINT]).json();
    let said = alerts["items"][0]["what"].as_str().unwrap();
    assert!(said.starts_with("wine@1: output "), "{alerts}");
    let tally = traffic.stop();
    assert_eq!(tally.failed, 0, "{:?}", tally.failures);
}

#[test]
fn a_canary_that_is_asked_other_things_than_the_version_beside_it_is_held() {
    let stand = Stand::start(100);
    let file = models::file(MODEL, "2");
    stand.does(&format!(
        "version register --model {MODEL} --file {} --dataset rows@1:train --featureset vector@1",
        file.display()
    ));
    let lanes = [Protocol::Http, Protocol::Grpc].map(|it| stand.lane(it, Duration::from_millis(2)));
    let traffic = Traffic::start(&lanes);
    let deploy = format!("deploy wine@2 --to {ENDPOINT} --confirm-within 0s");
    // The same requests for both, dealt out by chance: nothing is held against it.
    let told = stand.does(&format!("{deploy} --strategy canary:50%/10s --wait=3m"));
    assert_eq!(told["outcome"], "promoted", "{told}");
    let back = stand.does(&format!(
        "deploy wine@1 --to {ENDPOINT} --strategy all-at-once --confirm-within 0s --wait=2m"
    ));
    assert_eq!(back["outcome"], "promoted", "{back}");

    // Some callers have one version to themselves, and they ask other things.
    let strategy = "--strategy canary:50%/10s --pin x-cohort=beta:wine@2 --sticky x-user";
    stand.does(&format!("{deploy} {strategy}"));
    let model = Model::load(MODEL);
    let held = eventually("it is held", SOON, || {
        for rows in model.rows().chunks(20).take(5) {
            // Stronger by half, all of it.
            let values = rows.iter().flatten().map(|x| x * 1.5).collect();
            let rows = rows.len() as i64;
            let tensor = Tensor::new("features", vec![rows, 13], Data::Fp32(values)).unwrap();
            let request = InferRequest {
                id: String::new(),
                inputs: vec![tensor],
                outputs: Vec::new(),
                form: DataForm::Typed,
            };
            let encoded = rest::encode_request(&request, DataForm::Typed).unwrap();
            stand.post_with(&encoded.body, "x-cohort: beta\r\n");
        }
        let rollout = stand.does(&format!("rollout show {ENDPOINT}"));
        let why = rollout["finding"]["why"].as_str().unwrap_or_default();
        let is_told = why.starts_with("it is asked other things than the version beside it");
        match is_told && rollout["finding"]["verdict"] == "hold" {
            true => Ok(rollout),
            false => Err(rollout.to_string()),
        }
    });
    let after = "wine@2 100%, x-cohort=beta to wine@2, sticky by x-user";
    assert_eq!(held["after"], after, "{held}");
    stand.does(&format!("rollout abort {ENDPOINT} --reason no"));
    eventually_true("it is given up", SOON, || {
        stand.does(&format!("endpoint show {ENDPOINT}"))["rollout"].is_null()
    });
    let tally = traffic.stop();
    assert_eq!(tally.failed, 0, "{:?}", tally.failures);
}

#[test]
fn a_unit_that_changed_upstream_is_found_named_and_laid_to_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let output = program::command("binnacle")
        .args([
            "demo",
            "--headless",
            "--incident",
            "upstream-drift",
            "--json",
        ])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{complaints}", output.status);
    let moved: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(moved["features"], json!(["proline"]), "{moved}");
    let explanation = moved["explanation"].as_str().unwrap();
    assert!(explanation.contains("÷ 1000"), "{moved}");
    assert!(
        moved["onset_error_batches"].as_f64().unwrap() <= 2.0,
        "{moved}"
    );
    assert_eq!(moved["blame"], "upstream data", "{moved}");
    assert!(
        moved["observations_to_alarm"].as_u64().unwrap() > 0,
        "{moved}"
    );
    assert!(moved["ticks_before"].as_u64().unwrap() >= 360, "{moved}");
    assert_eq!(moved["episodes_before"], 0, "{moved}");
    assert_eq!(moved["failed_requests"], 0, "{moved}");
}

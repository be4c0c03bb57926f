//! Inputs held against the training data, through the real programs: every value is counted once,
//! whatever comes and whatever dies meanwhile; and what moved is told in words.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use open_inference::{Data, DataForm, InferRequest, Tensor, rest};
use serde_json::{Value, json};

use binnacle_tests::models::{self, Model};
use binnacle_tests::patience::{eventually, eventually_true};
use binnacle_tests::program;
use binnacle_tests::traffic::{Lane, Protocol, Traffic};
use binnacle_tests::watched::Watched;

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

/// One version serves, and its inputs and answers are watched.
struct Stand {
    watched: Watched,
}

impl Stand {
    fn start(percent: u8) -> Self {
        let watched = Watched::start("wine@1", ENDPOINT, percent, register);
        Self { watched }
    }

    /// Every feature, as the hub counted it: all of it, or what was counted in a span.
    fn features(&self, span: &str) -> Vec<Value> {
        let items = self.watched.drift(&format!("show {span}"));
        let features = items.into_iter();
        features.filter(|item| item["feature"] != "").collect()
    }

    fn lane(&self, protocol: Protocol, every: Duration) -> Lane {
        Lane {
            protocol,
            to: self.watched.agent.listen(),
            model: Model::called(MODEL, "cellar"),
            version: String::new(),
            every,
        }
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
        self.watched.infer(&encoded, "");
    }

    /// What was sent of every feature, and how much of it is missing; and of how many rows the
    /// answers were counted.
    fn settles(&self, requests: u64, unfit: u64, (sent, missing): (u64, u64), answered: u64) {
        eventually("everything that was sent is counted", SOON, || {
            let item = self.watched.drift("list").first().cloned();
            let item = item.unwrap_or_default();
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
            self.features("").into_iter().partition(is_output);
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
        // Whatever died meanwhile: what was counted of late is as much, and before it is nothing.
        let counts = |span: &str| {
            let of = |feature: Value| (feature["feature"].clone(), feature["bins"].clone());
            let features = self.features(span).into_iter().map(of);
            features.collect::<Vec<(Value, Value)>>()
        };
        assert_eq!(counts("--since 6h"), counts(""));
        for feature in self.features("--until 6h") {
            let nothing = (&feature["counted"], &feature["from"], &feature["psi"]);
            assert_eq!(
                nothing,
                (&json!(0), &Value::Null, &Value::Null),
                "{feature}"
            );
        }
    }
}

fn register(watched: &Watched, folder: &Path) {
    let table = folder.join("rows.csv");
    Model::load(MODEL).table(&table);
    let (table, file) = (table.display(), models::file(MODEL, "1"));
    watched.does(&format!("dataset register rows --file {table}"));
    let answers = folder.join("answers.csv");
    predictions(&answers);
    watched.does(&format!(
        "dataset register answers --file {}",
        answers.display()
    ));
    watched.does("featureset register vector --from rows@1");
    watched.does(&format!("model create {MODEL}"));
    watched.does(&format!(
        "version register --model {MODEL} --file {} --dataset rows@1:train \
         --dataset answers@1:predictions --featureset vector@1",
        file.display()
    ));
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
        let body = json!({ "inputs": [input] }).to_string();
        stand.watched.post(body.as_bytes(), None, "");
    }
    let traffic = Traffic::start(&[stand.lane(Protocol::Grpc, Duration::from_millis(4))]);
    eventually_true("gRPC is answered", SOON, || traffic.sent() >= 200);
    let grpc = traffic.stop().sent();
    let (mut requests, mut values) = (60 + grpc, 20 + 60 + 40 + grpc);
    stand.settles(requests, 0, (values, 0), values);

    // What is wrong is counted for what it is: not finite, of another type, too narrow, no request.
    stand.watched.hub.kill();
    let not_finite = [f32::NAN, f32::INFINITY].map(|x| Data::Fp32(vec![x; columns as usize]));
    for data in not_finite {
        stand.tensor(1, columns, data, DataForm::Raw);
    }
    let word = Data::Bytes(vec![Bytes::from_static(b"12.5"); columns as usize]);
    stand.tensor(1, columns, word, DataForm::Typed);
    let double = Data::Fp64(vec![12.5; columns as usize]);
    stand.tensor(1, columns, double, DataForm::Typed);
    stand.tensor(1, columns - 1, Data::Fp32(vec![1.0; 12]), DataForm::Typed);
    stand.watched.post(b"{\"inputs\": [nonsense", None, "");
    requests += 6;
    values += 5;
    // None of it is answered well.
    let answered = values - 5;
    stand.watched.hub.start_again();
    stand.settles(requests, 2, (values, 4), answered);

    // Killed again and again, the hub counts nothing twice.
    let traffic = Traffic::start(&[stand.lane(Protocol::Http, Duration::from_millis(4))]);
    for round in 1..=3 {
        eventually_true("requests are answered", SOON, || {
            traffic.sent() >= round * 300
        });
        stand.watched.hub.kill();
        stand.watched.hub.start_again();
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
        let status = stand
            .watched
            .agent
            .control("/status")
            .map(|answer| answer.json());
        let share = status.map(|status| status["inputs"]["share_permille"].as_u64());
        share.is_ok_and(|share| share.is_some_and(|share| share < 1_000))
    });
    let sent = traffic.stop().sent();
    let item = eventually("everything that was sent is accounted for", SOON, || {
        let item = stand.watched.drift("list")[0].clone();
        let count = |field: &str| item[field].as_u64().unwrap_or(0);
        let all = count("requests") + count("skipped") + count("dropped");
        match all == sent {
            true => Ok(item),
            false => Err(format!("{all} of {sent}: {item}")),
        }
    });
    assert!(item["skipped"].as_u64() > Some(0), "{item}");
    for feature in stand.features("") {
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
        let moved = stand.watched.drift("explain");
        let listed = stand.watched.drift("list")[0].clone();
        match listed["state"] == "moved" && !moved.is_empty() {
            true => Ok(moved),
            false => Err(listed.to_string()),
        }
    });
    for item in &moved {
        let feature = item["feature"].as_str().unwrap();
        assert!(OUTPUTS.contains(&feature), "{item}");
    }
    let alerts = stand.watched.drift("episodes");
    let said = alerts[0]["what"].as_str().unwrap();
    assert!(said.starts_with("wine@1: output "), "{alerts:?}");
    let tally = traffic.stop();
    assert_eq!(tally.failed, 0, "{:?}", tally.failures);
}

#[test]
fn a_canary_that_is_asked_other_things_than_the_version_beside_it_is_held() {
    let stand = Stand::start(100);
    let file = models::file(MODEL, "2");
    stand.watched.does(&format!(
        "version register --model {MODEL} --file {} --dataset rows@1:train --featureset vector@1",
        file.display()
    ));
    let lanes = [Protocol::Http, Protocol::Grpc].map(|it| stand.lane(it, Duration::from_millis(2)));
    let traffic = Traffic::start(&lanes);
    let deploy = format!("deploy wine@2 --to {ENDPOINT} --confirm-within 0s");
    // The same requests for both, dealt out by chance: nothing is held against it.
    let told = stand
        .watched
        .does(&format!("{deploy} --strategy canary:50%/10s --wait=3m"));
    assert_eq!(told["outcome"], "promoted", "{told}");
    let back = stand.watched.does(&format!(
        "deploy wine@1 --to {ENDPOINT} --strategy all-at-once --confirm-within 0s --wait=2m"
    ));
    assert_eq!(back["outcome"], "promoted", "{back}");

    // Some callers have one version to themselves, and they ask other things.
    let strategy = "--strategy canary:50%/10s --pin x-cohort=beta:wine@2 --sticky x-user";
    stand.watched.does(&format!("{deploy} {strategy}"));
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
            stand.watched.infer(&encoded, "x-cohort: beta\r\n");
        }
        let rollout = stand.watched.does(&format!("rollout show {ENDPOINT}"));
        let why = rollout["finding"]["why"].as_str().unwrap_or_default();
        let is_told = why.starts_with("it is asked other things than the version beside it");
        match is_told && rollout["finding"]["verdict"] == "hold" {
            true => Ok(rollout),
            false => Err(rollout.to_string()),
        }
    });
    let after = "wine@2 100%, x-cohort=beta to wine@2, sticky by x-user";
    assert_eq!(held["after"], after, "{held}");
    stand
        .watched
        .does(&format!("rollout abort {ENDPOINT} --reason no"));
    eventually_true("it is given up", SOON, || {
        stand.watched.does(&format!("endpoint show {ENDPOINT}"))["rollout"].is_null()
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

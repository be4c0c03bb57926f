//! The registry through the real programs: registered, moved, asked about, compared, exported,
//! taken over by another hub; and what is refused.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use binnacle_tests::command::Ended;
use binnacle_tests::fleet::{self, Hub};
use binnacle_tests::postgres::Postgres;

const FEATURES: &str = r#"
[[features]]
name = "amount"
type = "float"
unit = "EUR"
allowed = { range = { min = 0.0 } }

[[features]]
name = "age"
type = "integer"
"#;

pub(super) const SIGNATURE: &str = r#"
inputs = [{ name = "x", datatype = "FP32", shape = [-1, 2] }]
outputs = [{ name = "p", datatype = "FP32", shape = [-1, 1] }]
"#;

/// A hub and the folder of whoever registers there.
pub(super) struct Desk {
    pub(super) hub: Hub,
    pub(super) folder: TempDir,
}

impl Desk {
    pub(super) fn start() -> Self {
        Self::begin(Hub::start)
    }

    fn begin(start: impl FnOnce(&Path) -> Hub) -> Self {
        let folder = fleet::folder();
        let hub = start(folder.path());
        Self { hub, folder }
    }

    pub(super) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Asks in words; blanks part them.
    pub(super) fn ask(&self, words: &str) -> Ended {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.hub.ask(&words)
    }

    /// What a change was about.
    #[track_caller]
    pub(super) fn does(&self, words: &str) -> String {
        let told = self.ask(words).ok();
        assert_eq!(told["schema"], "binnacle.change/v1");
        told["items"][0]["object"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn refuses(&self, words: &str, code: i32, said: &str) {
        let ended = self.ask(words);
        assert_eq!(ended.code, code, "{}\n{}", ended.stdout, ended.stderr);
        let error = ended.error();
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }

    #[track_caller]
    pub(super) fn items(&self, words: &str) -> Vec<Value> {
        self.ask(words).ok()["items"].as_array().unwrap().clone()
    }

    /// All that is registered, in a file.
    #[track_caller]
    fn export(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        let ended = self.hub.ask(&["export", "--file", path.to_str().unwrap()]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        path
    }

    /// Two data set versions, a feature set, a model with three versions.
    pub(super) fn day(&self) {
        let data = |rows: u32| {
            let text = format!("location = 's3://data/t'\nformat = 'parquet'\nrows = {rows}\n");
            self.file(&format!("data-{rows}.toml"), &text)
        };
        let (first, second) = (data(1_000), data(2_000));
        let features = self.file("features.toml", FEATURES);
        let signature = self.file("signature.toml", SIGNATURE);
        let register = format!("dataset register transactions --document {first}");
        assert_eq!(self.does(&register), "transactions@1");
        let register = format!("dataset register transactions --document {second}");
        assert_eq!(self.does(&register), "transactions@2");
        let register = format!("featureset register fraud-features --file {features}");
        assert_eq!(self.does(&register), "fraud-features@1");
        self.does("model create fraud --owner alice --team risk --objective p99<=250ms");
        let register = format!(
            "version register --model fraud --dataset transactions@1:train --metric auc=0.91 \
             --featureset fraud-features@1 --signature {signature} --commit abc123"
        );
        assert_eq!(self.does(&register), "fraud@1");
        let register = "version register --model fraud --dataset transactions@2:train \
                        --dataset transactions@1:test --metric auc=0.97 --parent fraud@1";
        assert_eq!(self.does(register), "fraud@2");
        assert_eq!(
            self.does("version register --model fraud --param depth=7"),
            "fraud@3"
        );
    }
}

#[test]
fn lineage_and_the_past_are_answered_for() {
    let desk = Desk::start();
    desk.day();
    desk.does("alias set champion fraud@1");
    let moved = desk.items("alias show fraud champion")[0]["moves"][0]["at"].clone();
    let moved = moved.as_str().unwrap();
    desk.does("alias set champion fraud@2 --reason better");
    let now = &desk.items("alias show fraud champion")[0];
    assert_eq!(
        (&now["version"], now["moves"].as_array().unwrap().len()),
        (&json!("fraud@2"), 2)
    );
    let then = desk.items(&format!("alias show fraud champion --at {moved}"));
    assert_eq!(then[0]["version"], "fraud@1");
    let model = &desk.items("model show fraud")[0];
    assert_eq!(model["aliases"]["champion"], 2, "{model}");

    let tree = &desk.items("version lineage fraud@2")[0];
    let below = |node: &Value| -> Vec<String> {
        let below = node["below"].as_array().unwrap().iter();
        below
            .map(|node| {
                let (relation, name) = (node["relation"].as_str(), node["name"].as_str());
                format!("{} {}", relation.unwrap(), name.unwrap())
            })
            .collect()
    };
    assert_eq!(
        below(tree),
        [
            "test transactions@1",
            "train transactions@2",
            "parent fraud@1"
        ]
    );
    let tree = &desk.items("dataset lineage transactions@1")[0];
    assert_eq!(below(tree), ["train fraud@1", "test fraud@2"]);

    let rows = desk.items("version compare fraud@1 fraud@2");
    let auc = rows.iter().find(|row| row["fact"] == "metric auc").unwrap();
    assert_eq!(
        (&auc["left"], &auc["right"], &auc["same"]),
        (&json!("0.91"), &json!("0.97"), &json!(false))
    );
    let history = desk.items("model history fraud");
    assert_eq!(history[0]["why"], "better", "newest first");
    assert_eq!(history.last().unwrap()["kind"], "model_created/v1");
}

#[test]
fn what_does_not_fit_is_refused_and_says_what_to_do() {
    let desk = Desk::start();
    desk.day();
    let wide = SIGNATURE.replace("-1, 2", "-1, 3");
    let wide = desk.file("wide.toml", &wide);
    desk.refuses(
        &format!("version register --model fraud --featureset fraud-features@1 --signature {wide}"),
        2,
        "input x takes 3 features a row, the feature set has 2",
    );
    desk.refuses(
        "version register --model churn",
        3,
        "model churn is not registered",
    );
    desk.refuses(
        "version register --model fraud --dataset transactions@9:test",
        3,
        "transactions@9",
    );
    desk.refuses(
        "version register --model fraud --metric auc=NaN",
        2,
        "finite",
    );
    desk.refuses("model create fraud", 6, "exists");
    desk.refuses("model delete fraud", 1, "has 3 versions");
    desk.refuses("version deprecate fraud@3", 2, "say why");
    desk.refuses("version show fraud@9", 3, "fraud@9");
    let long = "x".repeat(10_000);
    desk.refuses(&format!("model create {long}"), 2, "at most 63 bytes");
    let escape = desk
        .hub
        .ask(&["model", "create", "tidy", "--owner", "\u{1b}[31mred"]);
    assert_eq!(escape.code, 2, "{}", escape.stderr);
    assert!(
        !escape.stderr.contains('\u{1b}'),
        "an escape reaches no terminal"
    );
    let typo = desk.file(
        "typo.toml",
        "location = 's3://d'\nformat = 'csv'\nrowz = 1\n",
    );
    desk.refuses(&format!("dataset register t --document {typo}"), 2, "rowz");
    assert_eq!(desk.items("model list").len(), 1, "nothing was registered");
}

#[test]
fn of_two_editors_the_second_is_told_and_a_repeated_command_is_done_once() {
    let desk = Desk::start();
    desk.day();
    let revision = desk.items("model show fraud")[0]["revision"]
        .as_u64()
        .unwrap();
    desk.does(&format!(
        "model edit fraud --set owner=bob --if-revision {revision}"
    ));
    desk.refuses(
        &format!("model edit fraud --set owner=carol --if-revision {revision}"),
        6,
        "was changed meanwhile",
    );
    let register = "version register --model fraud --idempotency-key run-1";
    assert_eq!(
        (desk.does(register), desk.does(register)),
        ("fraud@4".into(), "fraud@4".into())
    );
    let told = desk.ask("version register --model fraud --dry-run").ok();
    assert_eq!(told["items"][0]["object"], "fraud@5");
    assert_eq!(desk.items("version list --model fraud").len(), 4);
}

#[test]
fn a_killed_hub_comes_back_with_the_registry_and_another_takes_it_over_whole() {
    let mut desk = Desk::start();
    desk.day();
    desk.does("alias set champion fraud@2");
    let owner = desk
        .hub
        .ask(&["version", "note", "fraud@1", "too many false alarms"]);
    assert_eq!(owner.code, 0, "{}", owner.stderr);
    let all = |desk: &Desk| {
        [
            "model list",
            "version list --model fraud",
            "alias list",
            "dataset list transactions",
            "featureset list fraud-features",
        ]
        .map(|words| desk.items(words))
    };
    let before = all(&desk);
    desk.hub.kill();
    desk.hub.start_again();
    assert_eq!(all(&desk), before);

    let text = |path: &Path| std::fs::read_to_string(path).unwrap();
    let first = desk.export("export.jsonl");
    let other = Desk::start();
    let import = ["import", first.to_str().unwrap()];
    assert_eq!(other.hub.ask(&import).ok()["items"][0]["imported"], 9);
    let known = other.hub.ask(&import).ok();
    assert_eq!(
        known["items"][0]["imported"], 0,
        "done again, nothing is done: {known}"
    );
    assert_eq!(
        text(&other.export("again.jsonl")),
        text(&first),
        "word for word"
    );
    assert_eq!(
        other.items("version show fraud@1")[0]["notes"],
        "too many false alarms"
    );
}

#[test]
fn what_one_hub_keeps_in_a_file_another_keeps_in_postgresql_word_for_word() {
    let desk = Desk::start();
    desk.day();
    desk.does("alias set champion fraud@2");
    desk.does("version deprecate fraud@1 --reason alarms");
    let text = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let first = desk.export("export.jsonl");
    let server = Postgres::start();
    let url = server.database();
    let mut other = Desk::begin(|folder| Hub::start_on(folder, &url));
    let imported = other.hub.ask(&["import", first.to_str().unwrap()]).ok();
    let lines = text(first.clone()).lines().count();
    assert_eq!(imported["items"][0]["imported"], lines);
    assert_eq!(text(other.export("again.jsonl")), text(first.clone()));
    let asked = [
        "model list",
        "version list --model fraud",
        "alias list",
        "dataset list transactions",
        "featureset list fraud-features",
    ];
    let rows = |desk: &Desk| asked.map(|words| desk.items(words));
    let kept = rows(&other);
    other.hub.kill();
    other.hub.start_again();
    assert_eq!(rows(&other), kept, "after a kill");
    assert_eq!(text(other.export("after.jsonl")), text(first));
}

/// Rows of a made-up table, as CSV: the same for the same seed.
fn table(rows: u32, shift: f64) -> String {
    let mut text = String::from("at,amount,age,country\n");
    let mut state = 7_u64;
    for row in 0..rows {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let part = (state >> 33) as f64 / f64::from(u32::MAX >> 1);
        let country = ["de", "fr", "it"][(state >> 40) as usize % 3];
        let minute = row / 60;
        text.push_str(&format!(
            "2026-01-{:02}T{:02}:{:02}:{:02}Z,{},{},{country}\n",
            1 + minute / 1_440,
            minute / 60 % 24,
            minute % 60,
            row % 60,
            part * 100.0 + shift,
            18 + (state >> 50) % 60,
        ));
    }
    text
}

#[test]
fn a_data_set_is_read_once_known_by_its_content_and_compared() {
    let desk = Desk::start();
    let file = desk.file("t.csv", &table(5_000, 0.0));
    let moved = desk.file("moved.csv", &table(5_000, 40.0));
    assert_eq!(
        desk.does(&format!("dataset register t --file {file}")),
        "t@1"
    );
    assert_eq!(
        desk.does(&format!("dataset register t --file {moved}")),
        "t@2"
    );
    let first = &desk.items("dataset show t@1")[0];
    assert_eq!(
        (&first["rows"], &first["format"]),
        (&json!(5_000), &json!("csv")),
        "{first}"
    );
    assert_eq!(first["span"]["column"], "at");
    assert_ne!(first["digest"], desk.items("dataset show t@2")[0]["digest"]);
    let names: Vec<&str> = first["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["at", "amount", "age", "country"]);

    let profile = desk.items("profile show t@1");
    let amount = profile.iter().find(|row| row["name"] == "amount").unwrap();
    assert!(
        (amount["mean"].as_f64().unwrap() - 50.0).abs() < 2.0,
        "{amount}"
    );
    let ended = desk.ask("profile compare t@1 t@2");
    assert_eq!(ended.code, 7, "drift: {}", ended.stdout);
    let compared = ended.json()["items"].as_array().unwrap().clone();
    let of = |name: &str| compared.iter().find(|row| row["name"] == name).unwrap();
    let psi = |row: &Value| {
        row["compared"]["distances"]["psi"]["value"]
            .as_f64()
            .unwrap()
    };
    let (amount, age) = (of("amount"), of("age"));
    assert!(psi(amount) > 1.0 && psi(age) < 0.01, "{compared:?}");
    assert!(amount["drift"]["moved"][0].is_string(), "{compared:?}");
    assert_eq!(age["drift"], "same");
    assert_eq!(desk.items("profile compare t@1 t@1")[0]["drift"], "same");
    // The same without a hub, on the files themselves.
    let offline = desk.ask(&format!("profile compare {file} {moved}"));
    assert_eq!(
        (offline.code, &offline.json()["items"]),
        (7, &ended.json()["items"])
    );

    let ragged = desk.file("ragged.csv", "a,b\n1,2\n3\n");
    desk.refuses(
        &format!("dataset register bad --file {ragged}"),
        1,
        "line 3",
    );
    assert_eq!(
        desk.items("dataset list").len(),
        1,
        "nothing else was registered"
    );
}

#[test]
fn stored_files_are_handed_out_as_they_came_or_not_at_all() {
    let desk = Desk::start();
    desk.does("model create tumour");
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../console/demo/models/tumour/1/model.onnx");
    let bytes = std::fs::read(&model).unwrap();
    let model = model.to_str().unwrap().to_owned();
    let register = format!("version register --model tumour --file {model} --metric auc=0.97");
    assert_eq!(desk.does(&register), "tumour@1");
    let version = &desk.items("version show tumour@1")[0];
    let files = &version["artifact"];
    assert_eq!(
        (&files["format"], &files["bytes"]),
        (&json!("onnx"), &json!(bytes.len()))
    );
    let inputs = version["signature"]["inputs"].as_array().unwrap();
    assert_eq!(
        inputs[0]["datatype"], "FP32",
        "the file tells its signature: {version}"
    );

    let copy = desk.folder.path().join("copy.onnx");
    let download = format!("artifact download tumour@1 {}", copy.display());
    assert_eq!(desk.ask(&download).code, 0);
    assert_eq!(std::fs::read(&copy).unwrap(), bytes);
    assert_eq!(desk.ask("artifact verify").code, 0);
    assert_eq!(desk.items("artifact usage")[0]["blobs"], 1);

    let sha256 = files["sha256"].as_str().unwrap();
    let blob = desk
        .folder
        .path()
        .join("hub/data/artifacts/sha256")
        .join(&sha256[..2])
        .join(&sha256[2..]);
    let mut flipped = bytes.clone();
    flipped[1_000] ^= 1;
    std::fs::write(&blob, flipped).unwrap();
    let verified = desk.ask("artifact verify");
    assert_eq!(verified.code, 1);
    assert_eq!(
        verified.json()["items"][0]["versions"][0],
        "tumour@1",
        "it names the version"
    );
    std::fs::remove_file(&copy).unwrap();
    let refused = desk.ask(&download);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(
        refused.error()["message"]
            .as_str()
            .unwrap()
            .contains("damaged")
    );
    assert!(!copy.exists(), "nothing is left behind");
}

//! The registry through the real programs: registered, moved, asked about, compared, exported,
//! taken over by another hub; and what is refused.

use std::path::Path;

use serde_json::{Value, json};

use binnacle_tests::command::Ended;
use binnacle_tests::fleet::Hub;
use tempfile::TempDir;

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

const SIGNATURE: &str = r#"
inputs = [{ name = "x", datatype = "FP32", shape = [-1, 2] }]
outputs = [{ name = "p", datatype = "FP32", shape = [-1, 1] }]
"#;

/// A hub and the folder of whoever registers there.
struct Desk {
    hub: Hub,
    folder: TempDir,
}

impl Desk {
    fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("binnacle-it-")
            .tempdir()
            .unwrap();
        let hub = Hub::start(folder.path());
        Self { hub, folder }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Asks in words; blanks part them.
    fn ask(&self, words: &str) -> Ended {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.hub.ask(&words)
    }

    /// What a change was about.
    #[track_caller]
    fn does(&self, words: &str) -> String {
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
    fn items(&self, words: &str) -> Vec<Value> {
        self.ask(words).ok()["items"].as_array().unwrap().clone()
    }

    /// Two data set versions, a feature set, a model with three versions.
    fn day(&self) {
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

    let export = |desk: &Desk, name: &str| {
        let path = desk.folder.path().join(name);
        let ended = desk.hub.ask(&["export", "--file", path.to_str().unwrap()]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        path
    };
    let text = |path: &Path| std::fs::read_to_string(path).unwrap();
    let first = export(&desk, "export.jsonl");
    let other = Desk::start();
    let import = ["import", first.to_str().unwrap()];
    assert_eq!(other.hub.ask(&import).ok()["items"][0]["imported"], 9);
    let known = other.hub.ask(&import).ok();
    assert_eq!(
        known["items"][0]["imported"], 0,
        "done again, nothing is done: {known}"
    );
    assert_eq!(
        text(&export(&other, "again.jsonl")),
        text(&first),
        "word for word"
    );
    assert_eq!(
        other.items("version show fraud@1")[0]["notes"],
        "too many false alarms"
    );
}

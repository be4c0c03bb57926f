//! What the registry's commands refuse: each time with what is wrong, what to do and an exit
//! code, and nothing changed.

use std::process::Stdio;

use serde_json::Value;

use binnacle_tests::program;

use super::registry::{Desk, SIGNATURE};

/// Words as they are typed; those with blanks stand by themselves.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The last entry of the journal.
fn head(desk: &Desk) -> Value {
    desk.items("journal list --limit 1")[0]["sequence"].clone()
}

#[track_caller]
fn refused(desk: &Desk, words: &[String], code: i32, said: &str) {
    let before = head(desk);
    let ended = desk.hub.ask(words);
    assert_eq!(
        ended.code, code,
        "{words:?}\n{}\n{}",
        ended.stdout, ended.stderr
    );
    let error = ended.error();
    let (message, hint) = (error["message"].as_str(), error["hint"].as_str());
    let told = format!("{}\n{}", message.unwrap(), hint.unwrap());
    assert!(told.contains(said), "{words:?}: {told}");
    assert!(
        told.len() < 2_000,
        "it does not echo what it was given: {told}"
    );
    assert!(
        !ended.stderr.contains('\u{1b}'),
        "no escape reaches a terminal"
    );
    let plain = desk.hub.show(words);
    assert_eq!(plain.code, code, "the same without --json: {plain:?}");
    assert!(!plain.stderr.contains('\u{1b}'), "{:?}", plain.stderr);
    assert_eq!(head(desk), before, "{words:?} changed something");
}

/// What is typed, its exit code, and what the refusal says; braces name a file of [`files`].
const REFUSED: [(&str, i32, &str); 44] = [
    ("model create {long}", 2, "at most 63 bytes"),
    ("model create Fraud", 2, "use a-z, 0-9"),
    ("model create fraud", 6, "edit it"),
    (
        "model edit fraud --file {twice}",
        2,
        "\"owner\" stands twice",
    ),
    ("model edit fraud --file {deep}", 2, "recursion limit"),
    (
        "model edit fraud --file {typo}",
        2,
        "line 2: there is no field onwer: did you mean owner?",
    ),
    (
        "model edit fraud --file /nowhere.toml",
        1,
        "cannot read /nowhere.toml",
    ),
    ("model edit fraud --file {raw}", 1, "UTF-8"),
    ("model edit fraud --set onwer=b", 2, "did you mean owner?"),
    ("model edit fraud --set owner", 2, "KEY=VALUE"),
    ("model edit fraud --no-input", 2, "--set KEY=VALUE"),
    (
        "model edit fraud --set owner=b --if-revision 1",
        6,
        "was changed meanwhile",
    ),
    ("model edit froud --set owner=b", 3, "`binnacle model list`"),
    (
        "dataset edit transactions --set objectives=p99<=1ms",
        2,
        "only a model has objectives",
    ),
    (
        "version edit fraud@1 --set metrics=1",
        2,
        "only its notes change",
    ),
    (
        "version register --model fraud --metric auc=NaN",
        2,
        "finite number",
    ),
    (
        "version register --model fraud --metric auc=inf",
        2,
        "finite number",
    ),
    (
        "version register --model fraud --metric auc=good",
        2,
        "is no number",
    ),
    (
        "version register --model fraud --featureset fraud-features@1 --signature {wide}",
        2,
        "input x takes 3 features a row, the feature set has 2",
    ),
    (
        "version register --model fraud --featureset fraud-features@7",
        3,
        "fraud-features@7",
    ),
    (
        "version register --model fraud --parent fraud@9",
        3,
        "fraud@9",
    ),
    (
        "version deprecate fraud@2 --reason old",
        1,
        "what alias champion points to; move the alias",
    ),
    ("model deprecate fraud --reason old", 1, "alias champion"),
    ("version deprecate fraud --reason old", 2, "say NAME@NUMBER"),
    ("version deprecate fraud@1", 2, "say why"),
    ("model delete fraud", 1, "fraud@1 to fraud@3"),
    ("alias set Champion fraud@1", 2, "use a-z"),
    ("alias set champion fraud@9", 3, "fraud@9"),
    ("alias set champion fraud", 2, "fraud@7"),
    (
        "alias remove fraud shadow",
        3,
        "`binnacle alias list fraud`",
    ),
    ("model list --filter ownr=a", 2, "did you mean owner?"),
    (
        "version list fraud --filter auc>0.9",
        2,
        "did you mean metric.auc or param.auc?",
    ),
    ("model list --filter versions>many", 2, "is no figure"),
    ("model list --sort ownre", 2, "did you mean owner?"),
    ("model list --sort owner:down", 2, "FIELD:desc"),
    ("version list fraud@1", 2, "`binnacle version show fraud@1`"),
    ("model show fraud@1", 2, "`binnacle version show fraud@1`"),
    (
        "dataset edit transactions@1 --set owner=b",
        2,
        "say transactions for the whole",
    ),
    (
        "dataset register transactions",
        2,
        "nothing says where the data are",
    ),
    ("model show fraud --at yesterdayish", 2, "yesterday 14:00"),
    ("model show fraud --at 2999-01-01", 2, "is to come"),
    ("import {line}", 2, "line 1: the key \"at_us\" stands twice"),
    ("import /nowhere.jsonl", 1, "/nowhere.jsonl"),
    (
        "environment edit nowhere --set protected=true",
        3,
        "`binnacle environment list`",
    ),
];

/// Files with something wrong in them, and a name that is too long.
fn files(desk: &Desk) -> Vec<(&'static str, String)> {
    let raw = desk.file("raw.toml", "");
    std::fs::write(&raw, b"owner = '\xff'").unwrap();
    let twice = r#"{"owner":"a","team":"b","owner":"c"}"#;
    vec![
        ("{long}", "x".repeat(10_000)),
        ("{raw}", raw),
        (
            "{wide}",
            desk.file("wide.toml", &SIGNATURE.replace("-1, 2", "-1, 3")),
        ),
        ("{twice}", desk.file("twice.json", twice)),
        (
            "{deep}",
            desk.file("deep.json", &"{\"owner\":".repeat(100_000)),
        ),
        (
            "{typo}",
            desk.file("typo.toml", "team = 'a'\nonwer = 'b'\n"),
        ),
        (
            "{line}",
            desk.file("line.jsonl", "{\"at_us\":1,\"at_us\":2}\n"),
        ),
    ]
}

#[test]
fn whatever_is_wrong_is_named_with_what_to_do_and_nothing_is_changed() {
    let desk = Desk::start();
    desk.day();
    desk.does("alias set champion fraud@2");
    let files = files(&desk);
    for (typed, code, said) in REFUSED {
        let named = |typed: String, (name, file): &(&str, String)| typed.replace(name, file);
        let typed = files.iter().fold(typed.to_owned(), named);
        refused(&desk, &words(&typed), code, said);
    }
    for (typed, escape) in [
        ("model create tidy --owner", "\u{1b}]0;owned\u{7}"),
        ("model edit fraud --set", "owner=\u{1b}[31mred"),
        ("model edit fraud --set", "description=a\rb"),
    ] {
        let mut typed = words(typed);
        typed.push(escape.to_owned());
        refused(&desk, &typed, 2, "control character");
    }
}

#[test]
fn what_is_deprecated_says_what_was_made_from_it_and_the_same_key_is_done_once() {
    let desk = Desk::start();
    desk.day();
    let deprecate = "dataset deprecate transactions@1 --reason leak --idempotency-key k1";
    let told = &desk.items(deprecate)[0];
    assert_eq!(
        told["used_by"],
        serde_json::json!(["fraud@1", "fraud@2"]),
        "{told}"
    );
    let (changed, at) = (&told["changed"], &told["journal"]);
    assert_eq!(changed, true);
    let before = head(&desk);
    let again = &desk.items(deprecate)[0];
    assert_eq!(
        (&again["changed"], &again["journal"]),
        (&Value::Bool(false), at)
    );
    assert_eq!(head(&desk), before);
    let plain = desk
        .hub
        .show(&words("dataset deprecate transactions@2 --reason leak"));
    assert!(plain.stdout.contains("fraud@2"), "{}", plain.stdout);
}

/// Edits with an editor that is a shell script, which is given the file as `$1`.
fn edits(desk: &Desk, typed: &str, script: &str) -> (i32, String, String) {
    let editor = desk.file("editor.sh", script);
    let mut command = program::command("binnacle");
    let ended = command
        .args(words(typed))
        .args(["--hub", &desk.hub.address()])
        .env("VISUAL", format!("sh {editor}"))
        .env("XDG_STATE_HOME", desk.folder.path().join("state"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        ended.status.code().unwrap(),
        text(ended.stdout),
        text(ended.stderr),
    )
}

#[test]
fn an_editor_shows_what_it_changes_and_loses_nothing_that_was_typed() {
    let desk = Desk::start();
    desk.day();
    let set = |from: &str, to: &str| format!("sed -i 's/{from}/{to}/' \"$1\"\n");
    let edit = "model edit fraud --reason moved";
    let (code, told, complaint) = edits(&desk, edit, &set("alice", "carol"));
    assert_eq!(code, 0, "{complaint}");
    assert!(
        told.contains("- owner = \"alice\"\n+ owner = \"carol\"\n"),
        "{told}"
    );
    assert_eq!(desk.items("model show fraud")[0]["owner"], "carol");
    assert_eq!(desk.items("model history fraud")[0]["why"], "moved");

    let before = head(&desk);
    let (code, told, _) = edits(&desk, edit, "true\n");
    assert!(code == 0 && told.contains("nothing was changed"), "{told}");
    let dry = format!("{edit} --dry-run");
    let (code, told, _) = edits(&desk, &dry, &set("carol", "dave"));
    assert!(code == 0 && told.contains("+ owner = \"dave\""), "{told}");
    let (code, _, complaint) = edits(&desk, edit, "exit 3\n");
    assert!(
        code == 1 && complaint.contains("nothing was taken over"),
        "{complaint}"
    );
    let (code, _, complaint) = edits(&desk, edit, "echo 'ownr = 1' >> \"$1\"\n");
    assert_eq!(code, 2, "{complaint}");
    assert!(complaint.contains("did you mean owner?"), "{complaint}");
    let kept = complaint.split_once("--file ").unwrap().1;
    let kept = kept.split('`').next().unwrap();
    assert!(
        std::fs::read_to_string(kept)
            .unwrap()
            .ends_with("ownr = 1\n")
    );
    assert_eq!(head(&desk), before, "none of these changed anything");

    for (typed, script, show, field, is) in [
        (
            "dataset edit transactions",
            set("owner = \"\"", "owner = \"eve\""),
            "dataset list",
            "owner",
            "eve",
        ),
        (
            "featureset edit fraud-features",
            set("team = \"\"", "team = \"risk\""),
            "featureset list",
            "team",
            "risk",
        ),
        (
            "version edit fraud@1",
            set("notes = \"\"", "notes = \"too eager\""),
            "version show fraud@1",
            "notes",
            "too eager",
        ),
    ] {
        let (code, told, complaint) = edits(&desk, typed, &script);
        assert_eq!(code, 0, "{typed}: {told}{complaint}");
        assert_eq!(desk.items(show)[0][field], is, "{typed}");
    }
    desk.does("environment set prod --protected true");
    let (code, _, complaint) = edits(&desk, "environment edit prod", &set("true", "false"));
    assert_eq!(code, 0, "{complaint}");
    assert_eq!(desk.items("environment show prod")[0]["protected"], false);
    assert_eq!(desk.items("environment history prod").len(), 2);
}

/// What is asked for, the field that is looked at, and what it is in each row.
const CHOSEN: [(&str, &str, &[&str]); 21] = [
    ("model list --filter owner=alice", "name", &["fraud"]),
    ("model list --filter tag~cr", "name", &["churn"]),
    ("model list --filter FRA", "name", &["fraud"]),
    ("model list --filter versions=0", "name", &["churn"]),
    ("model list --filter alias=champion", "name", &["fraud"]),
    ("model list --filter standing=deprecated", "name", &[]),
    (
        "model list --sort versions:desc",
        "name",
        &["fraud", "churn"],
    ),
    ("model list --sort owner:desc", "name", &["churn", "fraud"]),
    ("model list --sort changed", "name", &["churn", "fraud"]),
    (
        "model list --filter created>2020-01-01 --filter owner!=bob",
        "name",
        &["fraud"],
    ),
    (
        "version list fraud",
        "version",
        &["fraud@3", "fraud@2", "fraud@1"],
    ),
    (
        "version list --model fraud --sort number",
        "version",
        &["fraud@1", "fraud@2", "fraud@3"],
    ),
    (
        "version list fraud --filter metric.auc>0.9",
        "version",
        &["fraud@2", "fraud@1"],
    ),
    (
        "version list fraud --sort metric.auc",
        "version",
        &["fraud@1", "fraud@2", "fraud@3"],
    ),
    (
        "version list fraud --filter standing=active",
        "version",
        &["fraud@3", "fraud@2"],
    ),
    (
        "version list fraud --filter param.depth>=7",
        "version",
        &["fraud@3"],
    ),
    (
        "version list fraud --filter dataset~transactions@1",
        "version",
        &["fraud@2", "fraud@1"],
    ),
    (
        "dataset list transactions --filter rows>1500",
        "version",
        &["transactions@2"],
    ),
    (
        "featureset list fraud-features --filter feature=age",
        "version",
        &["fraud-features@1"],
    ),
    (
        "alias list --filter version=fraud@2",
        "alias",
        &["champion"],
    ),
    ("environment list --filter hosts>0", "name", &[]),
];

#[test]
fn tables_are_chosen_and_sorted_by_their_fields() {
    let desk = Desk::start();
    desk.day();
    desk.does("model create churn --owner bob --tag crm");
    desk.does("alias set champion fraud@2");
    desk.does("version deprecate fraud@1 --reason old");
    let names = |typed: &str, field: &str| -> Vec<String> {
        let rows = desk.items(typed);
        let name = |row: &Value| row[field].as_str().unwrap().to_owned();
        rows.iter().map(name).collect()
    };
    for (typed, field, is) in CHOSEN {
        assert_eq!(names(typed, field), is, "{typed}");
    }
    let plain = desk.hub.show(&words("model list --filter owner=nobody"));
    assert!(
        plain.stdout.contains("nothing fits the filter"),
        "{}",
        plain.stdout
    );
}

#[test]
fn what_was_then_is_told_with_the_moment_that_it_was_read_as() {
    let desk = Desk::start();
    desk.day();
    desk.does("alias set champion fraud@1");
    let then = desk.items("alias show fraud champion")[0]["moves"][0]["at"].clone();
    let then = then.as_str().unwrap().to_owned();
    desk.does("alias set champion fraud@3 --reason better");
    let shown = format!("alias show fraud champion --at {then}");
    let document = desk.ask(&shown).ok();
    assert_eq!(document["at"], then.as_str(), "{document}");
    assert_eq!(document["items"][0]["version"], "fraud@1");
    let plain = desk.hub.show(&words(&shown));
    assert!(
        plain.stdout.starts_with("as it was at 20"),
        "{}",
        plain.stdout
    );
    assert!(
        plain.stdout.contains("champion of fraud → fraud@1"),
        "{}",
        plain.stdout
    );
    let models = desk.items(&format!("model list --at {then}"));
    assert_eq!(models[0]["aliases"]["champion"], 1);
    assert!(desk.items("alias list --at 2h").is_empty());
    let typed = [
        "alias",
        "show",
        "fraud",
        "champion",
        "--at",
        "yesterday 14:00",
    ];
    let ended = desk.hub.ask(&typed);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(
        ended.error()["message"]
            .as_str()
            .unwrap()
            .contains("had no alias champion at")
    );
    let history = desk.items("alias history fraud champion");
    let why: Vec<&str> = history
        .iter()
        .map(|entry| entry["why"].as_str().unwrap())
        .collect();
    assert_eq!(why, ["better", ""]);
}

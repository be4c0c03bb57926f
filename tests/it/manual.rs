//! What the documents tell people to type can be typed: every command and flag is there.

use std::collections::BTreeSet;
use std::path::Path;

use binnacle_core::view::filter::Listed as _;
use binnacle_core::view::{
    AliasItem, DataSetItem, EnvironmentItem, FeatureSetItem, ModelItem, SetItem, VersionItem,
};
use binnacle_tests::command::run;

/// The documents that tell people what to type.
const DOCUMENTS: [&str; 4] = [
    "README.md",
    "docs/operating.md",
    "docs/architecture.md",
    "docs/registry.md",
];
const PROGRAMS: [&str; 3] = ["binnacle", "binnacle-agent", "binnacle-runtime"];

/// The lines of code blocks and the inline code of a document that begin with a program.
fn typed(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut block = false;
    for line in text.lines() {
        if line.starts_with("```") {
            block = !block;
            continue;
        }
        let mut spans: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        if block {
            spans = line.split("&&").map(str::trim).collect();
        }
        for span in spans {
            let span = span.split('#').next().unwrap_or(span);
            let span: String = span.chars().filter(|c| !"[]…,".contains(*c)).collect();
            let span = span
                .trim()
                .trim_start_matches("./target/release/")
                .to_owned();
            if PROGRAMS
                .iter()
                .any(|program| span.split(' ').next() == Some(program))
            {
                found.insert(span);
            }
        }
    }
    found
}

/// What is wrong with a line that somebody may type, if anything is.
fn wrong(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let program = words.next()?;
    let mut verbs: Vec<&str> = Vec::new();
    let mut flags: Vec<&str> = Vec::new();
    for word in words {
        if word.starts_with("--") {
            flags.push(word.split('=').next().unwrap_or(word));
        } else if flags.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
            verbs.push(word);
        }
    }
    verbs.push("--help");
    let help = run(program, &verbs);
    if help.code != 0 {
        return Some(format!("{line}: {}", help.stderr));
    }
    let words: Vec<&str> = help
        .stdout
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .collect();
    let missing = flags.iter().find(|flag| !words.contains(*flag));
    missing.map(|flag| format!("{line}: there is no {flag}"))
}

#[test]
fn what_the_documents_tell_people_to_type_can_be_typed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut checked = 0;
    let mut broken = Vec::new();
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        for line in typed(&text) {
            checked += 1;
            broken.extend(wrong(&line).map(|why| format!("{document}: {why}")));
        }
    }
    assert!(
        broken.is_empty(),
        "a command that does not exist:\n  {}",
        broken.join("\n  ")
    );
    assert!(
        checked >= 15,
        "only {checked} commands were found in {DOCUMENTS:?}"
    );
}

#[test]
fn the_fields_of_the_registrys_tables_are_those_that_the_hub_knows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join("docs/protocol.md")).unwrap();
    let said = |noun: &str| -> Vec<String> {
        let section = text.split("### Fields of the registry's tables").nth(1);
        let first = format!("| {noun} |");
        let mut lines = section.unwrap_or_default().lines();
        let row = lines.find_map(|line| line.strip_prefix(&first));
        let row = row.unwrap_or_else(|| panic!("docs/protocol.md does not tell of {noun}"));
        let fields = row.split('`').skip(1).step_by(2);
        fields.map(|field| field.replace("NAME", "")).collect()
    };
    for (noun, fields) in [
        ("models", ModelItem::FIELDS),
        ("data sets, feature sets", SetItem::FIELDS),
        ("versions", VersionItem::FIELDS),
        ("versions of a data set", DataSetItem::FIELDS),
        ("versions of a feature set", FeatureSetItem::FIELDS),
        ("aliases", AliasItem::FIELDS),
        ("environments", EnvironmentItem::FIELDS),
    ] {
        assert_eq!(said(noun), fields, "{noun}");
    }
}

#[test]
fn lines_that_people_type_are_told_apart_from_prose() {
    let text = "Say `binnacle host list` or `host show NAME`.\n```\ncargo build && \
                ./target/release/binnacle demo --for 20s\nexport X=1\n```\n";
    let lines: Vec<String> = typed(text).into_iter().collect();
    assert_eq!(lines, ["binnacle demo --for 20s", "binnacle host list"]);
}

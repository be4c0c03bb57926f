//! Who may know whom: the lines between the crates, read from their manifests and the lock file.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::hold;
use super::tree;

/// Each crate of ours, its folder, and the crates of ours that it may depend on.
const EDGES: [(&str, &str, &[&str]); 13] = [
    ("binnacle-proto", "proto", &[]),
    ("open-inference", "proto/open-inference", &[]),
    ("binnacle-sketch", "agent/sketch", &[]),
    ("binnacle-runtime", "agent/runtime", &["open-inference"]),
    (
        "binnacle-agent",
        "agent",
        &["binnacle-proto", "open-inference", "binnacle-sketch"],
    ),
    ("binnacle-core", "console/core", &["binnacle-sketch"]),
    (
        "binnacle-wire",
        "console/wire",
        &["binnacle-proto", "binnacle-core", "binnacle-sketch"],
    ),
    ("binnacle-data", "console/data", &["binnacle-sketch"]),
    (
        "binnacle-hub",
        "console/hub",
        &[
            "binnacle-proto",
            "binnacle-core",
            "binnacle-wire",
            "binnacle-sketch",
        ],
    ),
    ("binnacle-demo", "console/demo", &["open-inference"]),
    ("binnacle-tui", "console/tui", &["binnacle-core"]),
    (
        "binnacle",
        "console",
        &[
            "binnacle-core",
            "binnacle-wire",
            "binnacle-data",
            "binnacle-hub",
            "binnacle-tui",
            "binnacle-demo",
            "binnacle-proto",
            "binnacle-sketch",
        ],
    ),
    (
        "binnacle-tests",
        "tests",
        &[
            "binnacle-proto",
            "binnacle-core",
            "binnacle-wire",
            "binnacle-sketch",
            "binnacle-data",
            "binnacle-hub",
            "binnacle-agent",
            "open-inference",
        ],
    ),
];

/// Crates that read a clock, a disk, a socket or a terminal, or that run tasks.
const IMPURE: [&str; 16] = [
    "tokio",
    "mio",
    "async-std",
    "smol",
    "tonic",
    "prost",
    "hyper",
    "h2",
    "reqwest",
    "ratatui",
    "crossterm",
    "sqlx",
    "sysinfo",
    "socket2",
    "directories",
    "tempfile",
];

fn manifest(folder: &str) -> Table {
    let path = tree::root().join(folder).join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    text.parse().unwrap()
}

/// The names in the tables of dependencies whose key ends with one of `tables`.
fn dependencies(manifest: &Table, tables: &[&str]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let targets = manifest.get("target").and_then(Value::as_table);
    let each = targets
        .into_iter()
        .flat_map(|t| t.values().filter_map(Value::as_table));
    for table in std::iter::once(manifest).chain(each) {
        for key in tables {
            if let Some(found) = table.get(*key).and_then(Value::as_table) {
                names.extend(found.keys().cloned());
            }
        }
    }
    names
}

#[test]
fn crates_know_only_whom_the_architecture_allows() {
    let ours: BTreeSet<&str> = EDGES.iter().map(|(name, _, _)| *name).collect();
    let mut broken = Vec::new();
    for (name, folder, allowed) in EDGES {
        let manifest = manifest(folder);
        let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
        for dependency in dependencies(&manifest, &tables) {
            if ours.contains(dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                broken.push(format!(
                    "{folder}/Cargo.toml: {name} depends on {dependency}"
                ));
            }
        }
    }
    hold(
        "A crate exists where the compiler must hold a line; a new edge needs a record in \
         docs/decisions/ and its place in this table:",
        &broken,
    );
}

#[test]
fn what_measures_and_what_judges_is_pure() {
    let lock: Table = std::fs::read_to_string(tree::root().join("Cargo.lock"))
        .unwrap()
        .parse()
        .unwrap();
    let mut graph: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let needs = package.get("dependencies").and_then(Value::as_array);
        let needs = needs.into_iter().flatten().filter_map(Value::as_str);
        let needs = needs
            .filter_map(|need| need.split(' ').next())
            .map(str::to_owned);
        let name = package["name"].as_str().unwrap().to_owned();
        graph.entry(name).or_default().extend(needs);
    }
    let mut broken = Vec::new();
    for folder in ["agent/sketch", "console/core"] {
        let mut open: Vec<(String, String)> = dependencies(&manifest(folder), &["dependencies"])
            .into_iter()
            .map(|name| (name.clone(), name))
            .collect();
        let mut seen = BTreeSet::new();
        while let Some((name, way)) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            if IMPURE.contains(&name.as_str()) {
                broken.push(format!("{folder}: {way}"));
            }
            // Crates of ours are followed by their manifests: the lock file adds what only
            // their tests need.
            if name.starts_with("binnacle-") {
                continue;
            }
            for next in graph.get(&name).into_iter().flatten() {
                open.push((next.clone(), format!("{way} → {next}")));
            }
        }
    }
    hold(
        "sketch measures and core concludes, both as pure functions of what they are given; a \
         runtime, socket, disk or terminal among their dependencies ends that:",
        &broken,
    );
}

#[test]
fn every_manifest_is_a_member_and_takes_versions_and_lints_from_the_workspace() {
    let root = manifest("");
    let members = root["workspace"]["members"].as_array().unwrap();
    let members: BTreeSet<&str> = members.iter().filter_map(Value::as_str).collect();
    let mut broken = Vec::new();
    for file in tree::files() {
        let Some(folder) = file.path.strip_suffix("/Cargo.toml") else {
            continue;
        };
        if !members.contains(folder) {
            broken.push(format!("{}: no member of the workspace", file.path));
        }
        if !EDGES.iter().any(|(_, known, _)| *known == folder) {
            broken.push(format!("{}: has no place in the table of edges", file.path));
        }
        let manifest = manifest(folder);
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        if lints.and_then(Value::as_bool) != Some(true) {
            broken.push(format!(
                "{}: does not take the workspace's lints",
                file.path
            ));
        }
        for key in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let table = manifest.get(key).and_then(Value::as_table);
            for (name, value) in table.into_iter().flatten() {
                if value.get("workspace").and_then(Value::as_bool) != Some(true) {
                    broken.push(format!("{}: {name} has a version of its own", file.path));
                }
            }
        }
    }
    hold(
        "One version of each crate and one set of lints, written once in the root Cargo.toml:",
        &broken,
    );
}

#[test]
fn a_plain_build_makes_the_three_programs_and_no_tests() {
    let root = manifest("");
    let members = root["workspace"]["default-members"].as_array().unwrap();
    let members: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
    assert_eq!(
        members,
        ["agent", "agent/runtime", "console"],
        "`cargo build --release` builds what an operator installs, and nothing else"
    );
}

#[test]
fn the_pure_crates_repeat_the_roots_lint_settings_and_add_their_own() {
    let root: Table = std::fs::read_to_string(tree::root().join("clippy.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let mut broken = Vec::new();
    for folder in ["agent/sketch", "console/core"] {
        let path = tree::root().join(folder).join("clippy.toml");
        let own: Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        for (key, value) in &root {
            let kept = match (value, own.get(key)) {
                (Value::Array(root), Some(Value::Array(own))) => {
                    root.iter().all(|item| own.contains(item))
                }
                (value, own) => own == Some(value),
            };
            if !kept {
                broken.push(format!(
                    "{folder}/clippy.toml: {key} differs from the root's"
                ));
            }
        }
        for module in [
            "std::fs",
            "std::net",
            "std::thread",
            "std::env",
            "std::process",
        ] {
            let texts = ["disallowed-methods", "disallowed-types"]
                .iter()
                .filter_map(|key| own.get(*key).and_then(Value::as_array))
                .flatten()
                .filter_map(|item| item.get("path").and_then(Value::as_str));
            if !texts.into_iter().any(|path| path.starts_with(module)) {
                broken.push(format!(
                    "{folder}/clippy.toml: nothing of {module} is disallowed"
                ));
            }
        }
    }
    hold(
        "A clippy.toml in a crate replaces the root's, so it must repeat it; and it forbids what \
         would make measuring and judging depend on more than their arguments:",
        &broken,
    );
}

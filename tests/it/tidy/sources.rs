//! How a source file looks: its opening, its size, its names, and what it may touch.

use super::hold;
use super::tree::{self, File};

const MAX_LINES: usize = 600;
const MAX_COLUMNS: usize = 100;

/// Words that say nothing: whatever they name has a better name in the field.
const EMPTY_WORDS: [&str; 8] = [
    "manager", "helper", "helpers", "util", "utils", "info", "handler", "service",
];

/// Words of others that our sources must repeat: what gRPC calls the thing that it serves, and
/// what tonic's traits ask for.
const OF_OTHERS: [&str; 3] = ["SERVICE", "ConnectInfo", "connect_info"];

/// What introduces a name of ours.
const DEFINERS: [&str; 8] = [
    "fn ", "struct ", "enum ", "trait ", "mod ", "type ", "const ", "static ",
];

/// Marks of work that somebody meant to come back to. Written apart, so that they do not find
/// themselves.
fn unfinished() -> [String; 4] {
    [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"]].map(|parts| parts.concat())
}

/// Whether a file is only for tests or benches, which may read the clock to bound their waiting.
fn only_tests(file: &File) -> bool {
    file.path.starts_with("tests/") || file.path.contains("/tests/") || file.name() == "tests.rs"
}

#[test]
fn no_file_is_longer_than_a_person_can_hold() {
    let mut broken = Vec::new();
    for file in tree::rust() {
        let lines = file.lines().count();
        if lines > MAX_LINES {
            broken.push(format!("{}: {lines} lines", file.path));
        }
        for (at, line) in file.lines() {
            if line.chars().count() > MAX_COLUMNS {
                broken.push(format!(
                    "{}:{at}: {} columns",
                    file.path,
                    line.chars().count()
                ));
            }
        }
    }
    hold(
        "At most 600 lines a file and 100 columns a line: longer is two things:",
        &broken,
    );
}

#[test]
fn every_module_opens_by_saying_what_it_is_for() {
    /// Shorter than this is a placeholder, not a promise.
    const WORDS: usize = 4;
    let mut broken = Vec::new();
    for file in tree::rust() {
        let opening = file
            .text()
            .lines()
            .take_while(|line| line.starts_with("//!"));
        let words: usize = opening
            .map(|line| line.split_whitespace().count() - 1)
            .sum();
        if words < WORDS {
            broken.push(file.path);
        }
    }
    hold(
        "A module opens with `//!`: what it is for, what it promises, what it leaves to others:",
        &broken,
    );
}

#[test]
fn a_module_is_a_file_of_its_own_name() {
    let files = tree::rust();
    let broken: Vec<String> = files
        .iter()
        .filter(|f| f.name() == "mod.rs")
        .map(|f| f.path.clone())
        .collect();
    hold(
        "`foo.rs` beside `foo/`: a tab that reads mod.rs says nothing:",
        &broken,
    );
}

#[test]
fn nothing_is_left_for_later_in_the_source() {
    let marks = unfinished();
    let mut broken = Vec::new();
    for file in tree::files() {
        if file.path == "Cargo.lock" || file.path.ends_with(".json") {
            continue;
        }
        for (at, line) in file.lines() {
            let mut words = line.split(|c: char| !c.is_alphanumeric());
            if words.any(|word| marks.iter().any(|mark| mark == word)) {
                broken.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    hold(
        "What is on main is done; what is not done is not on main:",
        &broken,
    );
}

#[test]
fn names_are_words_that_an_operator_would_use() {
    let mut broken = Vec::new();
    for file in tree::rust() {
        let stem = file.name().trim_end_matches(".rs");
        if words(stem)
            .iter()
            .any(|word| EMPTY_WORDS.contains(&word.as_str()))
        {
            broken.push(file.path.clone());
        }
        for (at, line) in file.lines() {
            if let Some(name) = defined(line)
                && !OF_OTHERS.contains(&name)
                && words(name)
                    .iter()
                    .any(|word| EMPTY_WORDS.contains(&word.as_str()))
            {
                broken.push(format!("{}:{at}: {name}", file.path));
            }
        }
    }
    hold(
        "Manager, helper, util, info, handler, service: each hides the word that would say what \
         the thing does (docs/glossary.md has the words):",
        &broken,
    );
}

/// The name that a line of source introduces, if it does.
fn defined(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if rest.starts_with("//") {
        return None;
    }
    if let Some(after) = rest.strip_prefix("pub") {
        rest = match after.strip_prefix('(') {
            Some(scope) => scope.split_once(')').map_or(after, |(_, rest)| rest),
            None => after,
        };
    }
    rest = rest.trim_start();
    for word in ["async ", "unsafe ", "const fn "] {
        if let Some(after) = rest.strip_prefix(word) {
            rest = after;
            if word == "const fn " {
                return Some(identifier(rest));
            }
        }
    }
    DEFINERS
        .iter()
        .find_map(|word| rest.strip_prefix(word))
        .map(identifier)
}

fn identifier(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The words of a name in snake, kebab or camel case, in small letters.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            words.push(String::new());
        } else {
            if words.is_empty() || (c.is_uppercase() && small) {
                words.push(String::new());
            }
            words
                .last_mut()
                .expect("one was pushed")
                .extend(c.to_lowercase());
        }
        small = c.is_lowercase();
    }
    words
}

#[test]
fn names_fall_apart_into_their_words() {
    assert_eq!(words("HostManager"), ["host", "manager"]);
    assert_eq!(words("server_info"), ["server", "info"]);
    assert_eq!(words("information"), ["information"]);
    assert_eq!(
        defined("    pub(crate) async fn tidy_util(x: u8) {"),
        Some("tidy_util")
    );
    assert_eq!(defined("pub const fn info_of() {}"), Some("info_of"));
    assert_eq!(defined("    info!(\"started\");"), None);
    assert_eq!(defined("/// fn helper"), None);
}

#[test]
fn only_the_clocks_read_the_time() {
    let reads = [["Instant", "now"], ["SystemTime", "now"]].map(|parts| parts.join("::"));
    let mut broken = Vec::new();
    for file in tree::rust() {
        if file.name() == "clock.rs" || only_tests(&file) {
            continue;
        }
        for (at, line) in file.lines() {
            if !line.trim_start().starts_with("//") && reads.iter().any(|r| line.contains(r)) {
                broken.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    hold(
        "Time is an argument, so that tests and replays choose it; only a clock.rs reads it:",
        &broken,
    );
}

#[test]
fn wire_types_stop_at_the_edges() {
    /// Where a message of the contract may be seen.
    const EDGES: [&str; 9] = [
        "proto/",
        "tests/",
        "console/wire/",
        "console/hub/src/server",
        "console/src/link",
        "console/src/cli/",
        "agent/src/wire",
        "agent/src/uplink",
        "agent/tests/",
    ];
    let mut broken = Vec::new();
    for file in tree::rust() {
        if EDGES.iter().any(|edge| file.path.starts_with(edge)) || only_tests(&file) {
            continue;
        }
        for (at, line) in file.lines() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            let versions = line.contains("PROTOCOL_M");
            if line.contains("binnacle_proto::") && !versions {
                broken.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    hold(
        "A message that has crossed the edge is a value of ours, checked once; past it nobody asks \
         again whether a field was there:",
        &broken,
    );
}

#[test]
fn the_link_to_the_hub_knows_no_command() {
    let mut broken = Vec::new();
    for file in tree::rust() {
        if !file.path.starts_with("console/src/link") {
            continue;
        }
        for (at, line) in file.lines() {
            if line.contains("cli::") {
                broken.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    hold(
        "The console's screens and the commands ask over the same link; what both need belongs to \
         it:",
        &broken,
    );
}

#[test]
fn only_the_rooms_with_a_disk_touch_the_hubs_disk() {
    const ROOMS: [&str; 5] = [
        "console/hub/src/store",
        "console/hub/src/artifact",
        "console/hub/src/identity",
        // A unix socket is a file, made and removed where it is listened on.
        "console/hub/src/listen",
        // The lock that keeps a second hub out of the folder.
        "console/hub/src/lib.rs",
    ];
    let mut broken = Vec::new();
    for file in tree::rust() {
        if !file.path.starts_with("console/hub/src/") || only_tests(&file) {
            continue;
        }
        if ROOMS.iter().any(|room| file.path.starts_with(room)) {
            continue;
        }
        for (at, line) in file.lines() {
            if line.trim() == "#[cfg(test)]" {
                break;
            }
            let disk = ["std::fs", "tokio::fs", "File::"]
                .iter()
                .any(|d| line.contains(d));
            if disk && !line.trim_start().starts_with("//") {
                broken.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    hold(
        "What the hub keeps goes through its store, where a torn write or a full disk is met once:",
        &broken,
    );
}

#[test]
fn imports_stand_in_three_groups() {
    let broken: Vec<String> = tree::rust()
        .iter()
        .filter_map(|file| groups(file.text()).map(|line| format!("{}: {line}", file.path)))
        .collect();
    hold(
        "`use` in three groups, a blank line between: std, crates, ours. So a reader sees at a \
         glance what a module leans on:",
        &broken,
    );
}

/// The first import of a file's opening that stands in the wrong group.
fn groups(text: &str) -> Option<&str> {
    let mut last = 0;
    let mut blank = true;
    let mut depth = 0_usize;
    for line in text.lines() {
        let code = line.trim();
        if depth > 0 {
            depth += code.matches('{').count();
            depth -= code.matches('}').count();
        } else if code.is_empty() {
            blank = true;
        } else if let Some(path) = code.strip_prefix("use ") {
            let head = path.split([':', ';', ' ']).next().unwrap_or_default();
            let group = match head {
                "std" | "core" | "alloc" => 1,
                "crate" | "super" | "self" => 3,
                // Other crates of ours may stand among the crates, or apart after them.
                name if of_ours(name) && (last == 3 || (last == 2 && blank)) => 3,
                _ => 2,
            };
            if group < last || (group > last && last > 0 && !blank) {
                return Some(line);
            }
            (last, blank) = (group, false);
            depth = code.matches('{').count() - code.matches('}').count();
        } else if !(code.starts_with("//") || code.starts_with("#") || code.ends_with(';')) {
            return None;
        }
    }
    None
}

fn of_ours(name: &str) -> bool {
    name.starts_with("binnacle") || name == "open_inference"
}

#[test]
fn the_three_groups_are_told_apart() {
    assert_eq!(
        groups("//! x\n\nuse std::fs;\n\nuse toml::Value;\n\nuse crate::a;\n"),
        None
    );
    assert_eq!(
        groups("use std::{\n    fs,\n};\nuse toml::Value;\n"),
        Some("use toml::Value;")
    );
    assert_eq!(
        groups("use binnacle_core::name;\nuse toml::Value;\n\nuse crate::a;\n"),
        None
    );
    assert_eq!(
        groups("use crate::a;\n\nuse std::fs;\n"),
        Some("use std::fs;")
    );
}

#[test]
fn nothing_names_a_place_that_a_reader_does_not_have() {
    // Joined here, so that this list does not find itself.
    let hosts = [
        ["crates", "io"],
        ["pypi", "org"],
        ["pythonhosted", "org"],
        ["npmjs", "org"],
        ["npmjs", "com"],
    ];
    let mut places: Vec<String> = hosts.iter().map(|parts| parts.join(".")).collect();
    places.push(["", "work", ""].join("/"));
    places.push(["..", "shared"].join("/"));
    let mut broken = Vec::new();
    for file in tree::files() {
        // The lock file names the registry that its checksums belong to.
        if file.path == "Cargo.lock" {
            continue;
        }
        for (at, line) in file.lines() {
            for place in places.iter().filter(|place| line.contains(place.as_str())) {
                broken.push(format!("{}:{at}: {place}", file.path));
            }
        }
    }
    hold(
        "A fresh clone stands alone: no registry by its host name (the package tools know theirs), \
         no path of one person's machine:",
        &broken,
    );
}

#[test]
fn scripts_stop_at_the_first_error() {
    let mut broken = Vec::new();
    for file in tree::files() {
        let mut lines = file.text().lines();
        let Some(first) = lines.next().filter(|line| line.starts_with("#!")) else {
            continue;
        };
        if first.contains("sh") && !lines.any(|line| line == "set -euo pipefail") {
            broken.push(file.path);
        }
    }
    hold(
        "A script that goes on after an error does harm quietly: `set -euo pipefail`:",
        &broken,
    );
}

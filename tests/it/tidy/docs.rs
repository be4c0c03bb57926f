//! The documents: every link leads somewhere, every document can be found, and what they say of
//! the contract and of the commands is so.

use std::collections::BTreeSet;

use super::hold;
use super::tree::{self, File};

fn markdown() -> Vec<File> {
    let mut files = tree::files();
    files.retain(|file| file.path.ends_with(".md"));
    files
}

/// The targets of the links in a document, with the line that each stands on.
fn links(file: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut code = false;
    for (at, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        // Inline code is no link, whatever its brackets look like.
        let prose: String = line.split('`').step_by(2).collect();
        for part in prose.split("](").skip(1) {
            if let Some((target, _)) = part.split_once(')') {
                found.push((at, target.to_owned()));
            }
        }
    }
    found
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let documents = markdown();
    let mut broken = Vec::new();
    for file in &documents {
        for (at, target) in links(file) {
            if target.starts_with("https://") || target.starts_with("http://") {
                continue;
            }
            let (path, section) = target.split_once('#').unwrap_or((&target, ""));
            let full = if path.is_empty() {
                file.path.clone()
            } else {
                normal(file.folder(), path)
            };
            if !tree::root().join(&full).exists() {
                broken.push(format!("{}:{at}: {target}", file.path));
            } else if !section.is_empty() {
                let there = documents.iter().find(|other| other.path == full);
                let headings = there.map_or("", File::text).lines();
                let mut headings = headings.filter(|line| line.starts_with('#'));
                if !headings.any(|heading| anchor(heading) == section) {
                    broken.push(format!("{}:{at}: {target}: no such section", file.path));
                }
            }
        }
    }
    hold(
        "A link that leads nowhere costs a reader the thread:",
        &broken,
    );
}

/// A path from `folder`, without `.` and `..`.
fn normal(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn the_routing_table_leads_to_every_document() {
    let documents = markdown();
    let table = documents.iter().find(|file| file.path == "docs/README.md");
    let table = table.expect("docs/README.md is the routing table");
    let known: BTreeSet<String> = links(table)
        .into_iter()
        .map(|(_, target)| normal("docs", &target))
        .collect();
    let broken: Vec<String> = documents
        .iter()
        .filter(|file| file.path.starts_with("docs/") && file.path != "docs/README.md")
        .filter(|file| !known.contains(&file.path))
        .map(|file| file.path.clone())
        .collect();
    hold(
        "docs/README.md is the one door: a document it does not name is not found:",
        &broken,
    );
}

#[test]
fn decisions_have_a_number_of_their_own_and_open_with_a_title() {
    let mut seen = BTreeSet::new();
    let mut broken = Vec::new();
    for file in markdown() {
        let Some(name) = file.path.strip_prefix("docs/decisions/") else {
            continue;
        };
        let number: String = name.chars().take_while(char::is_ascii_digit).collect();
        let title = file.text().lines().next().unwrap_or_default();
        if number.len() != 4 || !seen.insert(number.clone()) {
            broken.push(format!("{}: four digits that no other has", file.path));
        }
        if !title.starts_with("# ") {
            broken.push(format!("{}: opens with its title", file.path));
        }
    }
    hold(
        "A decision is referred to by its number for as long as the house stands:",
        &broken,
    );
}

#[test]
fn the_protocol_document_names_every_call_and_message_of_the_contract() {
    let files = tree::files();
    let document = files
        .iter()
        .find(|file| file.path == "docs/protocol.md")
        .unwrap();
    let spoken: BTreeSet<&str> = document
        .text()
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    let mut broken = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.path.starts_with("proto/binnacle/"))
    {
        for (at, line) in file.lines() {
            let line = line.trim_start();
            let rpc = line.strip_prefix("rpc ");
            // Only the agents' contract is told message by message: it has two implementations
            // that are upgraded apart. The rest is told call by call.
            let agents = file.path.ends_with("agent.proto");
            let message = line.strip_prefix("message ").filter(|_| agents);
            let Some(rest) = rpc.or(message) else {
                continue;
            };
            let name = rest
                .split(|c: char| !c.is_alphanumeric())
                .next()
                .unwrap_or_default();
            if !spoken.contains(name) {
                broken.push(format!("{}:{at}: {name}", file.path));
            }
        }
    }
    hold(
        "docs/protocol.md is what a second implementation is written from:",
        &broken,
    );
}

#[test]
fn every_count_of_what_was_dropped_is_explained_to_those_who_see_it() {
    /// Where the counts that `binnacle doctor` shows get their names, and what they begin with.
    const NAMED_IN: &str = "console/hub/src/telemetry/book.rs";
    const PREFIX: &str = "telemetry_";
    let files = tree::files();
    let text = |path: &str| {
        files
            .iter()
            .find(|file| file.path == path)
            .map_or("", File::text)
    };
    let explained = text("docs/operating.md");
    let names = text(NAMED_IN)
        .split('"')
        .filter(|part| part.starts_with(PREFIX));
    let names: Vec<&str> = names
        .filter(|name| !name.contains(char::is_whitespace))
        .collect();
    assert!(
        names.len() >= 5,
        "{NAMED_IN} no longer names the counts: {names:?}"
    );
    let missing = names
        .iter()
        .filter(|name| !explained.contains(&format!("`{name}`")));
    let broken: Vec<String> = missing.map(|name| (*name).to_owned()).collect();
    hold(
        "`binnacle doctor` sends people to docs/operating.md for these:",
        &broken,
    );
}

#[test]
fn the_house_has_what_a_stranger_looks_for_first() {
    let broken: Vec<String> = ["LICENSE", "README.md", "Cargo.lock", "docs/README.md"]
        .iter()
        .filter(|path| !tree::root().join(path).is_file())
        .map(|path| (*path).to_owned())
        .collect();
    hold(
        "Licence, readme, lock file and the way into the documents lie at their places:",
        &broken,
    );
}

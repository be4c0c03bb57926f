//! Documents that are drawn from the console, or read as its test.
//!
//! docs/keys.md and docs/overview.svg are written by the tests that compare them with what the
//! console says, when `REGENERATE=1` is set; docs/first-ten-minutes.md is walked key by key.
#![allow(
    clippy::disallowed_methods,
    reason = "tests that compare files of the tree with what the pure crate draws"
)]

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::keymap::bindings;
use crate::screen::overview;
use crate::theme::{Background, Colours, Letters, Theme};

mod svg;
mod walk;

/// A file of docs/.
fn document(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("../../docs").join(name)
}

/// Holds a file of docs/ against what it is made from, or writes it.
fn hold(name: &str, text: &str) {
    let path = document(name);
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stands == text,
        "docs/{name} is not what the console is: REGENERATE=1 cargo test -p binnacle-tui documents"
    );
}

/// A key as Markdown, whatever letters it has.
fn key(text: &str) -> String {
    let text = text.replace('|', "\\|");
    format!("`{text}`")
}

fn keys() -> String {
    let mut text = String::from(
        "# Keys\n\n\
         Every key of the console, made from its key map. `?` shows the same on the screen,\n\
         searchable; the key bar at the bottom shows those that do something where one is. A key\n\
         that stands as two is typed one after the other.\n\n\
         All of them can be set under `[console.keys]` in the configuration, by the name in the\n\
         second column, which is also what the palette (`:`) calls it.\n",
    );
    let mut groups: Vec<&str> = Vec::new();
    for line in bindings() {
        let group = line.group.word();
        // Of a group the lines need not stand together in the table.
        if !groups.contains(&group) {
            groups.push(group);
            write!(
                text,
                "\n## {group}\n\n| keys | name | what it does |\n| --- | --- | --- |\n"
            )
            .unwrap();
            let of_group = bindings().filter(|other| other.group.word() == group);
            for line in of_group {
                let keys: Vec<String> = line.keys.iter().map(|text| key(text)).collect();
                let help = line.help.replace('|', "\\|");
                writeln!(text, "| {} | `{}` | {help} |", keys.join(" "), line.name).unwrap();
            }
        }
    }
    text
}

#[test]
fn the_list_of_keys_is_the_key_map() {
    hold("keys.md", &keys());
}

#[test]
fn the_picture_is_what_the_console_draws() {
    let mut stage = overview::tests::full((120, 30));
    stage.model.theme = Theme::new(Colours::True, Background::Dark, Letters::Unicode);
    hold("overview.svg", &svg::picture(&stage.buffer()));
}

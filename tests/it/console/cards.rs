//! What is said of a model, edited in the editor of whoever sits there: shown before it counts,
//! and kept where somebody else was quicker.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use binnacle_tests::patience::eventually;
use binnacle_tests::terminal::Terminal;
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;
use serde_json::Value;

use super::{FILE_LIMIT, Place};

/// What a review says once its keys count.
const SEEN: &str = "<esc> keeps it as a draft";
/// How a program ends that a signal asked to leave.
const INTERRUPTED: u32 = 130;

/// A hub with one model.
fn place() -> Place {
    let place = Place::start(0);
    let create = [
        "model", "create", "fraud", "--owner", "alice", "--team", "risk",
    ];
    place.hub.ask(&create).ok();
    place
}

/// What is said of it at the hub.
fn card(place: &Place) -> Value {
    place.hub.ask(&["model", "show", "fraud"]).ok()["items"][0].clone()
}

#[track_caller]
fn await_owner(place: &Place, owner: &str) -> Value {
    eventually("the hub has the edit", FILE_LIMIT, || {
        let card = card(place);
        match card["owner"] == owner {
            true => Ok(card),
            false => Err(card.to_string()),
        }
    })
}

pub(super) fn script(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\nset -e\ntest -t 0\n{text}")).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
}

/// The models, with this editor.
#[track_caller]
fn open(place: &Place, editor: &Path) -> Terminal {
    let start = place.console(&["--open", "models"]);
    let start = start.with("EDITOR", editor.to_str().unwrap());
    // What an editor is given lies there.
    let terminal = start.with("TMPDIR", place.home().to_str().unwrap()).start();
    terminal.await_text("▌ fraud");
    terminal
}

#[test]
fn a_card_is_edited_as_toml_shown_as_a_difference_and_applied_by_a_key() {
    let place = place();
    let editor = place.home().join("editor");
    script(
        &editor,
        "sed -i -e 's/^owner = \"alice\"$/owner = \"bob\"/' \
         -e 's/^reason = \"\"$/reason = \"alice moved on\"/' \"$1\"\n",
    );
    let terminal = open(&place, &editor);
    let before = card(&place);
    terminal.keys("e");
    terminal.await_text(&format!(
        "Apply to model fraud, on revision {}",
        before["revision"]
    ));
    terminal.await_text("alice → bob");
    terminal.await_text(SEEN);
    assert_eq!(card(&place), before, "nothing is changed by looking at it");
    terminal.keys("y");
    let after = await_owner(&place, "bob");
    assert_eq!(after["team"], "risk", "the rest is as it was");
    let history = place.hub.ask(&["model", "history", "fraud"]).ok();
    assert_eq!(history["items"][0]["why"], "alice moved on");
    terminal.await_no_text("alice → bob");
    terminal.await_text("bob");
}

#[test]
fn what_an_editor_has_saved_is_a_draft_when_the_line_is_lost_under_it() {
    let place = place();
    let (editor, go) = (place.home().join("editor"), place.home().join("go"));
    mkfifoat(CWD, &go, Mode::RUSR | Mode::WUSR).unwrap();
    // It saves, and stays open until the test says so; opened on the draft, it ends at once.
    script(
        &editor,
        &format!(
            "if grep -q '^owner = \"alice\"$' \"$1\"; then\n\
             sed -i 's/^owner = \"alice\"$/owner = \"bob\"/' \"$1\"\n\
             read -r said < '{}'\n\
             fi\n",
            go.display()
        ),
    );
    let mut terminal = open(&place, &editor);
    terminal.keys("e");
    // Opening it to write waits for the editor, which reads it.
    let told = std::fs::OpenOptions::new().write(true).open(&go).unwrap();
    terminal.signal(Signal::HUP);
    terminal.await_gone();
    drop(told);
    let left = place.files("edit", ".toml");
    assert_eq!(left.len(), 1, "what an editor keeps beside its file stays");

    let terminal = open(&place, &editor);
    terminal.keys("e");
    terminal.await_text("alice → bob");
    assert_eq!(card(&place)["owner"], "alice", "nothing was applied");
}

#[test]
fn whoever_was_slower_is_shown_both_sides_and_finds_what_was_typed_after_the_line_was_lost() {
    let place = place();
    let (editor, go) = (place.home().join("editor"), place.home().join("go"));
    mkfifoat(CWD, &go, Mode::RUSR | Mode::WUSR).unwrap();
    // It is open until the test says so; opened on a draft, it leaves it as it is.
    script(
        &editor,
        &format!(
            "if grep -q '^owner = \"alice\"$' \"$1\"; then\n\
             read -r said < '{}'\n\
             sed -i 's/^owner = \"alice\"$/owner = \"bob\"/' \"$1\"\n\
             else\n\
             grep -q '^owner = \"bob\"$' \"$1\"\n\
             fi\n",
            go.display()
        ),
    );
    let mut terminal = open(&place, &editor);
    let before = card(&place)["revision"].clone();
    terminal.keys("e");
    // Opening it to write waits for the editor, which reads it.
    let mut told = std::fs::OpenOptions::new().write(true).open(&go).unwrap();
    let carols = ["model", "edit", "fraud", "--set", "owner=carol"];
    let carols = [&carols[..], &["--set", "team=fraud-desk"]].concat();
    place.hub.ask(&carols).ok();
    let theirs = card(&place)["revision"].clone();
    std::io::Write::write_all(&mut told, b"go on\n").unwrap();
    drop(told);

    let both = format!("yours was made on revision {before}, it is at {theirs}");
    terminal.await_text(&both);
    for side in ["was     alice", "theirs  carol", "yours   bob"] {
        terminal.await_text(side);
    }
    terminal.await_text(SEEN);
    terminal.keys("y");
    terminal.await_text("m puts yours on top");
    assert_eq!(card(&place)["owner"], "carol", "nobody is overwritten");
    terminal.signal(Signal::HUP);
    assert_eq!(terminal.await_end(), INTERRUPTED);

    let terminal = open(&place, &editor);
    terminal.keys("e");
    terminal.await_text(&both);
    terminal.await_text("yours   bob");
    terminal.await_text(SEEN);
    terminal.keys("m");
    terminal.await_text(&format!("Apply to model fraud, on revision {theirs}"));
    terminal.await_text("carol → bob");
    terminal.await_text(SEEN);
    terminal.keys("y");
    let after = await_owner(&place, "bob");
    assert_eq!(after["team"], "fraud-desk", "what carol changed besides");
    terminal.await_no_text(SEEN);
    terminal.await_text("bob");
    // Once it is taken, the draft is gone: the editor gets what is there now.
    terminal.keys("e");
    terminal.await_text("nothing was changed");
}

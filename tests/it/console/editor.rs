//! The editor of whoever sits there, and a change that needs it.

use std::os::unix::fs::PermissionsExt as _;

use binnacle_tests::patience::eventually;

use super::{FILE_LIMIT, Place};

/// What the question says once its answers count.
const SEEN: &str = "<esc> leaves everything as it is";

#[test]
fn a_reason_is_written_in_the_editor_and_reaches_the_journal() {
    let place = Place::start(1);
    let editor = place.home().join("an editor");
    // It has the terminal, finds what was typed so far, and leaves two lines.
    let script = "#!/bin/sh\nset -e\ntest -t 0 && test -t 1\ngrep -q noise \"$1\"\n\
                  printf 'the disk\\nmakes noise\\n' > \"$1\"\n";
    std::fs::write(&editor, script).unwrap();
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o700)).unwrap();
    let start = place.console(&["--open", "hosts"]);
    let quoted = format!("'{}'", editor.display());
    let terminal = start.with("EDITOR", &quoted).start();
    terminal.await_text("host-01");
    terminal.keys("a");
    terminal.await_text("retire");
    terminal.keys("t");
    terminal.await_text(SEEN);
    terminal.keys("host-01\rnoise\x05");
    terminal.await_text("the disk makes noise");
    terminal.await_text(SEEN);
    assert!(terminal.screen(|screen| screen.alternate_screen()));
    terminal.keys("\r");
    eventually("the host is retired", FILE_LIMIT, || {
        let row = place.hub.host("host-01").unwrap_or_default();
        match row["status"] == "retired" {
            true => Ok(()),
            false => Err(row.to_string()),
        }
    });
    let journal = place.hub.ask(&["journal", "list"]).ok().to_string();
    assert!(journal.contains("the disk makes noise"), "{journal}");
    terminal.await_text("RETIRED");
}

#[test]
fn an_editor_that_fails_changes_nothing_and_is_told() {
    let place = Place::start(1);
    let start = place.console(&["--open", "hosts"]);
    let terminal = start.with("EDITOR", "/nowhere/ed").start();
    terminal.await_text("host-01");
    terminal.keys("at");
    terminal.await_text(SEEN);
    terminal.keys("host-01\rnoise\x05");
    terminal.await_text("nothing was taken over");
    terminal.await_text("reason: noise");
    terminal.keys("\x1b");
    terminal.await_no_text(SEEN);
    assert_ne!(place.hub.host("host-01").unwrap()["state"], "retired");
}

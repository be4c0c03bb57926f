//! Every way out gives the terminal back as it was.

use rustix::process::Signal;

use binnacle_tests::patience::eventually;
use binnacle_tests::terminal::Start;

use super::{FILE_LIMIT, HELP, Place, command};

/// How a program ends that a signal asked to leave.
const INTERRUPTED: u32 = 130;

#[test]
fn leaving_gives_the_terminal_back_and_keeps_the_session() {
    let place = Place::start(2);
    let mut terminal = place.open();
    terminal
        .is_given_back()
        .expect_err("it is ours while it runs");
    command(&terminal, "quit");
    assert_eq!(terminal.await_end(), 0);
    terminal.is_given_back().unwrap();
    place.await_file("session-", ".json");
    // Twice Ctrl-C leaves too.
    let mut terminal = place.console(&[]).start();
    terminal.await_text("host-01");
    terminal.keys("\x03\x03");
    assert_eq!(terminal.await_end(), 0);
    terminal.is_given_back().unwrap();
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let place = Place::start(1);
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut terminal = place.open();
        terminal.signal(signal);
        assert_eq!(terminal.await_end(), INTERRUPTED, "{signal:?}");
        terminal
            .is_given_back()
            .unwrap_or_else(|why| panic!("{signal:?}: {why}"));
    }
}

#[test]
fn a_panic_anywhere_gives_the_terminal_back_and_then_reports() {
    let place = Place::start(1);
    for (place_of_it, said) in [
        ("loop", "a test asked the loop for this"),
        ("task", "a test asked a task for this"),
        ("thread", "a test asked a thread for this"),
    ] {
        let start = place.console(&[]).with("BINNACLE_TEST_PANIC", place_of_it);
        let mut terminal = start.start();
        let code = terminal.await_end();
        terminal
            .is_given_back()
            .unwrap_or_else(|why| panic!("{place_of_it}: {why}"));
        terminal.await_text(said);
        assert_eq!(code, 101, "{place_of_it}");
    }
}

#[test]
fn it_stops_to_the_shell_and_comes_back_whole() {
    let place = Place::start(2);
    let terminal = Start::shell(place.home()).start();
    terminal.await_text("sh> ");
    let address = place.hub.address();
    terminal.keys(&format!("set -m; binnacle --open hosts --hub {address}\n"));
    terminal.await_text("host-02");
    terminal.keys("\x1a");
    eventually("the shell has the terminal", FILE_LIMIT, || {
        let (alternate, hidden) =
            terminal.screen(|screen| (screen.alternate_screen(), screen.hide_cursor()));
        match (alternate, hidden) {
            (false, false) => Ok(()),
            modes => Err(format!("{modes:?}")),
        }
    });
    terminal.keys("jobs\n");
    terminal.await_text("binnacle --open");
    terminal.keys("fg; echo ended=$?\n");
    terminal.await_text("host-02");
    terminal.await_text("LIVE");
    assert!(terminal.screen(|screen| screen.alternate_screen()));
    terminal.keys("?");
    terminal.await_text(HELP);
    terminal.keys("\x1b");
    command(&terminal, "quit");
    terminal.await_text("ended=0");
}

//! Over a narrow line, a slow one, and one that takes nothing.

use std::sync::Arc;

use binnacle_tests::command::Following;
use binnacle_tests::crowd::{Crowd, Says, live, requests};
use binnacle_tests::terminal::Terminal;
use rustix::process::Signal;

use super::{FILE_LIMIT, HELP, HOSTS, Place};

/// Beats of the hub, one a second, over which frames are counted.
const BEATS: usize = 8;
/// Frames of figures a second at most, of an ordinary line and of a narrow one.
const USUAL: usize = 4;
const NARROW: usize = 1;
/// A terminal whose frames are some 9 KB each.
const LARGE: (u16, u16) = (200, 60);
/// Keys that ask for a frame painted anew: 64 of them, read together, ask for one. These are
/// fifteen frames, and a pty holds 64 KB of what nobody takes.
const REPAINTS: usize = 960;

/// Figures that are others each second.
fn lively() -> Says {
    Arc::new(|host, second, now_us| {
        let number = host.len() as u64 + second;
        let took = [(40 + number * 7 % 90, 1.0 + (number % 9) as f64)];
        vec![live(now_us, vec![requests("fraud", "7", &took)])]
    })
}

fn crowd(place: &Place, hosts: usize) -> Crowd {
    let hosts = (1..=hosts).map(|number| format!("host-{number:02}"));
    Crowd::start(&place.hub.address(), hosts.collect(), lively())
}

fn large(place: &Place) -> Terminal {
    let (width, height) = LARGE;
    let start = place.console(&["--open", "hosts"]).size(width, height);
    let terminal = start.start();
    terminal.await_text("host-50");
    terminal
}

/// Frames within so many beats of the hub.
fn frames(place: &Place, terminal: &Terminal) -> usize {
    let address = place.hub.address();
    let beats = Following::start(&["watch", "--jsonl", "--hub", &address]);
    let beat = || {
        beats.next("a heartbeat", FILE_LIMIT, |line| {
            line["type"] == "heartbeat"
        });
    };
    beat();
    let before = terminal.count(b"\x1b[?2026h");
    (0..BEATS).for_each(|_| beat());
    terminal.count(b"\x1b[?2026h") - before
}

#[test]
fn over_a_narrow_line_figures_are_painted_once_a_second_and_keys_at_once() {
    let place = Place::start(0);
    let _crowd = crowd(&place, HOSTS);
    let terminal = place.open();
    let usual = frames(&place, &terminal);
    // The first and the last may each be over the edge.
    assert!(usual <= BEATS * USUAL + 2, "{usual} frames");
    assert!(
        usual >= BEATS / 2,
        "{usual} frames: the figures stand still"
    );
    drop(terminal);

    let folder = place.home().join(".config/binnacle");
    std::fs::create_dir_all(&folder).unwrap();
    let config = "[console]\nlow-bandwidth = true\n";
    std::fs::write(folder.join("config.toml"), config).unwrap();
    let terminal = place.open();
    let narrow = frames(&place, &terminal);
    assert!(narrow <= BEATS * NARROW + 2, "{narrow} frames");
    assert!(
        narrow >= BEATS / 4,
        "{narrow} frames: the figures stand still"
    );
    terminal.keys("?");
    terminal.await_text(HELP);
    println!("{usual} frames in {BEATS} s, {narrow} over a narrow line");
}

#[test]
fn a_terminal_that_takes_nothing_for_a_while_is_whole_again_afterwards() {
    let place = Place::start(HOSTS);
    let terminal = large(&place);
    terminal.hold();
    terminal.keys(&"\x0c".repeat(REPAINTS));
    terminal.keys("?");
    terminal.release();
    terminal.await_text(HELP);
    terminal.keys("\x1b");
    terminal.await_no_text(HELP);
    terminal.await_text("LIVE");
    terminal.await_text("host-50");
}

#[test]
fn a_console_whose_terminal_takes_nothing_ends_all_the_same_when_it_is_asked_to() {
    let place = Place::start(HOSTS);
    let mut terminal = large(&place);
    terminal.hold();
    terminal.keys(&"\x0c".repeat(REPAINTS));
    terminal.await_blocked();
    terminal.signal(Signal::TERM);
    terminal.await_gone();
}

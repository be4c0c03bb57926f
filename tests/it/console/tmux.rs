//! In a tmux, where people leave it running.

use std::path::PathBuf;

use binnacle_tests::patience::eventually;
use binnacle_tests::tmux::Tmux;

use super::{FILE_LIMIT, HELP, HOSTS, Place};

/// Pieces of what is written to a terminal, which nobody may see as letters.
const RAW: [&str; 6] = ["\x1b", "2026", "[?", "]11", "rgb:", "[6n"];

fn start(place: &Place, term: &str) -> Tmux {
    let address = place.hub.address();
    let args = ["--open", "hosts", "--hub", &address];
    let tmux = Tmux::start(place.home(), term, (80, 24), &args);
    shows(&tmux, &["LIVE", "host-01"]);
    tmux
}

#[track_caller]
fn shows(tmux: &Tmux, pieces: &[&str]) -> String {
    eventually(&format!("tmux shows {pieces:?}"), FILE_LIMIT, || {
        let text = tmux.text();
        match pieces.iter().all(|piece| text.contains(piece)) {
            true => Ok(text),
            false => Err(text),
        }
    })
}

/// Waits until the screen is filled to its last line, which is the key bar, and whole.
#[track_caller]
fn is_filled(tmux: &Tmux, host: &str) {
    let text = eventually("the screen is filled", FILE_LIMIT, || {
        let text = tmux.text();
        let last = text.lines().last().unwrap_or_default();
        match last.contains("<enter> open") && text.contains(host) {
            true => Ok(text),
            false => Err(text),
        }
    });
    for piece in RAW {
        assert!(!text.contains(piece), "{piece:?} in {text}");
    }
    for piece in ["LIVE", "HOST", "STATUS"] {
        assert_eq!(text.matches(piece).count(), 1, "{piece} once in {text}");
    }
}

#[test]
fn in_a_tmux_it_fills_every_size_and_is_left_and_found_again() {
    let place = Place::start(HOSTS);
    let tmux = start(&place, "tmux-256color");
    is_filled(&tmux, "host-15");
    tmux.resize(200, 60);
    is_filled(&tmux, "host-50");
    tmux.resize(80, 24);
    is_filled(&tmux, "host-15");

    let mut client = tmux.attach(100, 30);
    client.await_text("LIVE");
    client.keys("\x02d");
    assert_eq!(client.await_end(), 0, "{}", client.text());
    let client = tmux.attach(120, 40);
    client.await_text("LIVE");
    // A terminal that is closed on it is one more way to leave.
    drop(client);
    tmux.keys("?");
    shows(&tmux, &[HELP]);
    tmux.key("Escape");
    eventually("the list of keys is closed", FILE_LIMIT, || {
        let text = tmux.text();
        match text.contains(HELP) {
            true => Err(text),
            false => Ok(()),
        }
    });
    shows(&tmux, &["LIVE", "host-01"]);
}

#[test]
fn in_a_tmux_colours_are_those_that_its_terminal_has() {
    let place = Place::start(2);
    for term in ["tmux-256color", "screen-256color"] {
        let tmux = start(&place, term);
        let coloured = tmux.coloured();
        assert!(coloured.contains("38;5;"), "{term}: {coloured:?}");
        assert!(!coloured.contains("38;2;"), "{term}: {coloured:?}");
        let text = tmux.text();
        for piece in RAW {
            assert!(!text.contains(piece), "{term}: {piece:?} in {text}");
        }
        tmux.kill();
    }
}

#[test]
fn a_tmux_that_is_killed_takes_the_console_with_it() {
    let place = Place::start(1);
    let tmux = start(&place, "tmux-256color");
    let arguments = PathBuf::from(format!("/proc/{}/cmdline", tmux.id()));
    assert!(!std::fs::read(&arguments).unwrap().is_empty());
    tmux.kill();
    // What has ended and was not asked about yet has none either.
    eventually("the console ends", FILE_LIMIT, || {
        match std::fs::read(&arguments) {
            Ok(left) if !left.is_empty() => Err(String::from_utf8_lossy(&left).into_owned()),
            Ok(_) | Err(_) => Ok(()),
        }
    });
    place.await_file("session-", ".json");
}

//! What the console does while its hub is gone, slow or silent.

use std::sync::Arc;
use std::time::Duration;

use binnacle_tests::crowd::{Crowd, Says, live, requests};
use binnacle_tests::patience::eventually;
use binnacle_tests::relay::Relay;
use binnacle_tests::terminal::{Start, Terminal};

use super::{HELP, Place, command};

/// From the hub's return to the console's: what an operator is promised, and two busy cores.
const BACK_LIMIT: Duration = Duration::from_secs(15);

#[test]
fn a_hub_that_is_gone_leaves_its_figures_and_their_age_and_is_found_again() {
    let mut place = Place::start(2);
    let says: Says =
        Arc::new(|_, _, now_us| vec![live(now_us, vec![requests("fraud", "7", &[(400, 3.1)])])]);
    let crowd = Crowd::start(&place.hub.address(), vec!["host-90".to_owned()], says);
    let terminal = place.open();
    let figures = |terminal: &Terminal| {
        let text = terminal.text();
        let row = text.lines().find(|line| line.contains("host-90"));
        row.unwrap_or_default().to_owned()
    };
    eventually("figures are there", BACK_LIMIT, || {
        let row = figures(&terminal);
        match row.contains("3.1") {
            true => Ok(()),
            false => Err(row),
        }
    });
    place.hub.kill();
    terminal.await_text("STALE");
    let since = |text: &str| {
        let (_, after) = text.split_once("STALE ")?;
        after.split_once("s, reconnecting")?.0.parse::<u32>().ok()
    };
    let text = terminal.text();
    let first = since(&text).unwrap_or_else(|| panic!("it says since when: {text}"));
    assert!(figures(&terminal).contains("~3.1"), "{text}");
    eventually("it grows older", BACK_LIMIT, || {
        let text = terminal.text();
        match since(&text) {
            Some(now) if now > first => Ok(()),
            _ => Err(text),
        }
    });
    assert!(figures(&terminal).contains("~3.1"), "figures are kept");
    place.hosts.clear();
    drop(crowd);
    place.hub.start_again();
    eventually("the console is back", BACK_LIMIT, || {
        let text = terminal.text();
        if text.contains("LIVE") {
            Ok(())
        } else {
            Err(text)
        }
    });
    terminal.await_no_text("STALE");
    terminal.await_text("host-02");
}

#[test]
fn a_console_that_is_opened_before_its_hub_says_so_and_waits() {
    let mut place = Place::start(1);
    place.hub.kill();
    let terminal = place.console(&["--open", "hosts"]).start();
    terminal.await_text("NO HUB");
    place.hub.start_again();
    terminal.await_text("LIVE");
}

#[test]
fn keys_paint_while_the_hub_holds_its_answers_back_for_ten_seconds() {
    let place = Place::start(2);
    let mut beats = place.beats();
    let socket = place.home().join("relay.sock");
    let hub = place.hub.address();
    let hub = hub.strip_prefix("unix:").unwrap();
    let relay = Relay::start(&socket, hub.as_ref());
    let address = relay.address();
    let args = ["--open", "hosts", "--hub", &address];
    let terminal = Start::binnacle(place.home(), &args).start();
    terminal.await_text("host-02");
    relay.hold();
    // A question whose answer cannot come, then keys whose paint does not wait for it.
    command(&terminal, "latency");
    terminal.await_text("Latency");
    terminal.keys("?");
    terminal.await_text(HELP);
    terminal.keys("\x1b");
    terminal.await_no_text(HELP);
    // Ten seconds of the hub's own beats, and somebody who types all the while.
    let mut typed = String::new();
    terminal.keys("?");
    for letter in "abcde".chars() {
        beats();
        typed.push(letter);
        terminal.keys(&letter.to_string());
        terminal.await_text(&format!("?{typed}"));
    }
    terminal.keys("\x1b");
    terminal.await_no_text(HELP);
    // Silence is noticed by its length alone, and told.
    terminal.await_text("STALE");
    relay.release();
    terminal.await_text("LIVE");
    terminal.await_no_text("STALE");
}

//! What the console does while its hub is gone, slow or silent.

use std::time::Duration;

use binnacle_tests::patience::eventually;
use binnacle_tests::relay::Relay;
use binnacle_tests::terminal::Start;

use super::{HELP, Place, command};

/// From the hub's return to the console's: what an operator is promised, and two busy cores.
const BACK_LIMIT: Duration = Duration::from_secs(15);

#[test]
fn a_hub_that_is_gone_leaves_its_figures_and_their_age_and_is_found_again() {
    let mut place = Place::start(2);
    let terminal = place.open();
    place.hub.kill();
    terminal.await_text("STALE");
    assert!(terminal.text().contains("host-02"), "{}", terminal.text());
    place.hosts.clear();
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
fn keys_paint_while_the_hub_holds_its_answers_back() {
    let place = Place::start(2);
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
    // Silence is noticed by its length alone, and told.
    terminal.await_text("STALE");
    relay.release();
    terminal.await_text("LIVE");
    terminal.await_no_text("STALE");
}

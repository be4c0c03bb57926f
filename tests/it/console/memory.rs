//! What a console of a large fleet takes.

use std::sync::Arc;

use binnacle_tests::crowd::{Crowd, Says, live, requests};
use binnacle_tests::patience::eventually;
use binnacle_tests::terminal::Terminal;

use super::{FILE_LIMIT, Place, command};

/// The fleet that a console is built for, and what it may take with it.
const FLEET: usize = 10_000;
const RESIDENT_MAX: u64 = 40 << 20;
/// Models that each host serves.
const MODELS: usize = 3;

/// Each host says something in one second of four: seldom enough for one machine to play them
/// all, and often enough to be live.
fn quiet() -> Says {
    Arc::new(|host, second, now_us| {
        let number: u64 = host.bytes().map(u64::from).sum();
        if !(second + number).is_multiple_of(4) {
            return Vec::new();
        }
        let series = (0..MODELS).map(|model| {
            let took = [(50, 3.0 + model as f64), (1, 40.0)];
            requests(&format!("model-{model}"), "7", &took)
        });
        vec![live(now_us, series.collect())]
    })
}

/// Goes through every screen, and comes back to the table.
fn look_around(terminal: &Terminal) {
    for (words, shown) in [
        ("overview", "WRONG NOW"),
        ("latency", "Latency"),
        ("journal", "Journal"),
        ("hosts", "Hosts"),
    ] {
        command(terminal, words);
        terminal.await_text(shown);
    }
}

#[test]
fn a_console_of_ten_thousand_hosts_fits_into_forty_megabytes() {
    let place = Place::start(1);
    let terminal = place.open();
    look_around(&terminal);
    let few = terminal.resident();
    let hosts = (1..FLEET).map(|number| format!("infer-{number:05}-eu-west-1"));
    let _crowd = Crowd::start(&place.hub.address(), hosts.collect(), quiet());
    eventually("every host is told of", FILE_LIMIT, || {
        let text = terminal.text();
        match text.contains("10,000 hosts") {
            true => Ok(()),
            false => Err(text),
        }
    });
    look_around(&terminal);
    command(&terminal, "latency");
    terminal.await_text("model-0");
    let many = terminal.resident();
    println!("{few} bytes with 1 host, {many} with {FLEET}");
    assert!(
        many <= RESIDENT_MAX,
        "{few} bytes with 1 host, {many} with {FLEET}"
    );
}

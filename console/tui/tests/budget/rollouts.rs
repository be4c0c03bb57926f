//! The same over endpoints: a thousand of them, at every tenth a canary under way.

use std::sync::Arc;

use binnacle_core::view::EndpointItem;
use binnacle_tui::draw;
use binnacle_tui::msg::Msg;
use binnacle_tui::question::endpoint::{Inquiry, Told};
use binnacle_tui::question::{Answer, Question};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::json;

use super::{Console, fleet, least_us};

/// Endpoints: what one hub is measured with.
const ROWS: usize = 1_000;

fn endpoint(number: usize) -> EndpointItem {
    let at = "2026-11-22T03:00:00Z";
    let name = format!("prod/model-{number:05}");
    let rollout = json!({
        "endpoint": name, "revision": 41, "verb": "deploy", "before": "fraud@7 100%",
        "after": "fraud@8 100%", "strategy": "canary:1%/5m,10%/15m", "plan": "7f".repeat(32),
        "at": at, "phase": "baking", "why": "", "since": at, "step": 1, "steps": 3, "path": [],
        "is_over": false, "confirm_by": null, "confirmed": 399, "hosts": 412, "missing": [],
        "slowest_us": 412, "finding": null, "trail": [],
    });
    let row = json!({
        "endpoint": name, "settings": {}, "edited": 12, "created_at": at, "live": 40,
        "route": "fraud@7 100%", "versions": ["fraud@7"], "protected": true, "hosts": 412,
        "heard": 412, "rollout": number.is_multiple_of(10).then_some(rollout),
        "rollback": {"to": 39, "route": "fraud@6 100%", "hosts": 412, "warm": 400 + number % 13,
                     "verified": 412, "silent": 0, "eta_ms": 1_400},
        "blocked": [], "overridden": [],
    });
    serde_json::from_value(row).unwrap()
}

/// The list of endpoints, told what it asks.
fn told(size: (u16, u16)) -> Console {
    let mut console = Console::open("rollouts", "", size);
    let rows: Arc<[EndpointItem]> = (0..ROWS).map(endpoint).collect();
    console.tell(Msg::Glances(fleet(ROWS)));
    let underway = rows.iter().filter_map(|row| row.rollout.clone()).take(3);
    let told = [
        (Inquiry::All, Told::Endpoints(rows.clone())),
        (Inquiry::Underway, Told::Rollouts(underway.collect())),
    ];
    // Asked in this order when it connected.
    for ((inquiry, told), generation) in told.into_iter().zip(1..) {
        console.tell(Msg::Answered {
            question: Question::Endpoints(inquiry),
            generation,
            answer: Ok(Answer::Endpoints(told)),
        });
    }
    console
}

#[test]
fn a_thousand_endpoints_cost_no_more_than_hosts_do() {
    for size in [(80, 24), (120, 40), (200, 60)] {
        let mut console = told(size);
        let first = console.paint().len();
        println!("{size:?} first paint of endpoints: {first} bytes");
        // By area, what 120×40 may cost.
        let most = usize::from(size.0) * usize::from(size.1) * 12_000 / (120 * 40);
        assert!((1_500..=most).contains(&first), "{size:?}: {first}");
        for key in ["j", "j", "k"] {
            let bytes = console.press(key).len();
            println!("{size:?} {key}: {bytes} bytes");
            assert!((10..=300).contains(&bytes), "{size:?} {key}: {bytes}");
        }
        let mut buffer = Buffer::empty(Rect::new(0, 0, size.0, size.1));
        let model = &console.model;
        let us = least_us(|| draw::draw(model, &mut buffer));
        println!("a frame of {size:?} over {ROWS} endpoints: {us:.0} µs");
        assert!(us <= 1_000.0, "{us} µs");
        let us = least_us(|| console.tell(Msg::Key("j".parse().unwrap())));
        println!("a key over {ROWS} endpoints: {us:.0} µs");
        assert!(us <= 1_000.0, "{us} µs");
    }
}

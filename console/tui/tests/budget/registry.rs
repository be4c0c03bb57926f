//! The same over the registry: fifty thousand models, and a model with as many versions. Pages
//! are told as a hub tells them; a key is answered before any of them comes.

use std::sync::Arc;

use binnacle_core::view::{DriftItem, ModelItem, VersionItem, rfc3339};
use binnacle_tui::draw;
use binnacle_tui::msg::{Effect, Msg};
use binnacle_tui::question::drift::{self, Inquiry};
use binnacle_tui::question::endpoint as endpoints;
use binnacle_tui::question::registry::{Listed, Listing, Noun, PAGE, Rows, Told};
use binnacle_tui::question::{Answer, Question};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::{Console, NOW_US, least_us};

/// Rows of each table.
const ROWS: usize = 50_000;
/// The tables, and what is told of.
const TABLES: [(&str, &str); 2] = [("models", ""), ("versions", "fraud")];
/// Questions that lead to further ones: a page, and what is told beside it.
const ROUNDS: usize = 6;

/// So many hours ago and five minutes: no age changes while a test takes its minute.
fn at(number: usize) -> String {
    rfc3339(NOW_US - number as i64 * 3_600_000_000 - 300_000_000)
}

fn model(number: usize) -> Value {
    let owners = [("alice", ""), ("bob", "risk"), ("carol", "growth")];
    let (owner, team) = owners[number % owners.len()];
    json!({
        "name": format!("model-{number:05}"),
        "owner": owner,
        "team": team,
        "description": "Card fraud at the till.",
        "tags": ["eu", "pci"],
        "objectives": ["p99<=250ms", "errors<=0.5%"],
        "deprecated": number.is_multiple_of(97).then_some("nobody calls it any more"),
        "created_at": at(number + ROWS),
        "revision": number + 1,
        "versions": number % 100,
        "latest_at": at(number),
        "aliases": {"champion": 7, "challenger": 8},
    })
}

fn version(number: usize) -> Value {
    json!({
        "version": format!("fraud@{number}"),
        "registered_at": at(ROWS - number),
        "registered_by": "uid 1000 (bob)",
        "deprecated": number.is_multiple_of(97).then_some("trained on leaked labels"),
        "revision": number + 1,
        "sequence": number + 1,
        "aliases": if number.is_multiple_of(9) { json!(["champion"]) } else { json!([]) },
        "artifact": {
            "location": "stored", "format": "onnx", "sha256": "5e".repeat(32),
            "bytes": 1_204_000 + number,
        },
        "signature": {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 29]}],
            "outputs": [{"name": "p", "datatype": "FP32", "shape": [-1, 1]}],
        },
        "metrics": {
            "auc": number as f64 / ROWS as f64, "loss": 0.12, "precision": 0.7, "recall": 0.61,
        },
        "parameters": {"depth": "7", "rounds": "400"},
        "source": {"run": format!("run-{number}"), "commit": "9f1c2ab", "author": "bob"},
        "data_sets": [format!("transactions@{number}:train")],
        "feature_set": "cards@2",
        "parent": (number > 1).then(|| format!("fraud@{}", number - 1)),
        "notes": "Watch the night hours.",
    })
}

/// Two thousand versions that serve, of which one in ten moved; counted a moment ago.
fn inputs(now_us: i64) -> Arc<[DriftItem]> {
    let ago = |us: i64| rfc3339(now_us - us);
    let row = |(number, version): (usize, String)| {
        let page = json!({
            "at": ago(600_000_000), "since": ago(900_000_000), "observations": 31_400,
            "evidence": 24.1, "is_open": true,
        });
        let is_moved = number % 10 == 0;
        json!({
            "endpoint": format!("prod/endpoint-{number}"), "version": version,
            "state": if is_moved { "moved" } else { "watched" }, "why": "",
            "data_set": "customers@9", "profile": "7f".repeat(32), "sampled": 48_210,
            "features": 100, "streams": 400, "meter": 0.1, "most": null, "since": ago(1 << 40),
            "seen_at": ago(2_000_000), "ticks": 36_000, "requests": 312_400, "unfit": 0,
            "skipped": 0, "dropped": 0, "warned_at": null, "page": is_moved.then_some(page),
        })
    };
    let newest = (ROWS - 999..=ROWS).map(|number| (number, format!("fraud@{number}")));
    let models = (1..=1_000).map(|number| (number, format!("model-{number:05}@1")));
    read::<DriftItem>(newest.chain(models).map(row)).into()
}

fn read<T: serde::de::DeserializeOwned>(rows: impl Iterator<Item = Value>) -> Vec<T> {
    rows.map(|row| serde_json::from_value(row).unwrap())
        .collect()
}

/// A page as the hub tells it, versions the newest first.
fn listed(listing: &Listing) -> Listed {
    let skip = listing.page as usize * PAGE;
    let numbers = skip + 1..=(skip + PAGE).min(ROWS);
    let rows = match listing.noun {
        Noun::Models => Rows::Models(read::<ModelItem>(numbers.map(model))),
        Noun::Versions => {
            let newest_first = numbers.map(|number| version(ROWS + 1 - number));
            Rows::Versions(read::<VersionItem>(newest_first))
        }
        other => panic!("{other:?} is not asked for"),
    };
    Listed {
        rows,
        total: ROWS as u32,
    }
}

impl Console {
    /// A table of the registry, with all told that it asks for.
    fn registry((view, object): (&str, &str), size: (u16, u16)) -> Self {
        let mut console = Self::open(view, object, size);
        console.settled();
        assert!(console.paint().len() > 1_000, "{view} has rows");
        console
    }

    /// The selection rests, and what is asked for then is told.
    fn settled(&mut self) {
        for _ in 0..ROUNDS {
            self.now_us += 200_000;
            self.tell(Msg::Tick);
            self.answered();
        }
    }

    /// What was asked for is told.
    fn answered(&mut self) {
        for effect in std::mem::take(&mut self.asked) {
            let Effect::Ask {
                question,
                generation,
            } = effect
            else {
                continue;
            };
            let answer = match &question {
                Question::Listed(listing) => {
                    Answer::Registry(Told::Listed(Arc::new(listed(listing))))
                }
                Question::Drift(inquiry) => {
                    assert_eq!(*inquiry, Inquiry::All);
                    Answer::Drift(drift::Told::All(inputs(self.now_us)))
                }
                // Asked on every screen: nothing is under way.
                Question::Endpoints(endpoints::Inquiry::Underway) => {
                    Answer::Endpoints(endpoints::Told::Rollouts([].into()))
                }
                other => panic!("{other:?} is not asked for"),
            };
            self.tell(Msg::Answered {
                question,
                generation,
                answer: Ok(answer),
            });
        }
    }
}

#[test]
fn the_first_paint_of_a_registry_is_at_most_12_kb() {
    for table in TABLES {
        let mut console = Console::open(table.0, table.1, (120, 40));
        let empty = console.paint().len();
        console.settled();
        let bytes = console.paint().len();
        println!("first paint of {table:?}, 120×40: {empty} bytes, with its rows {bytes}");
        assert!((1_000..=12_000).contains(&(empty + bytes)), "{table:?}");
    }
}

#[test]
fn a_cursor_move_over_a_registry_is_at_most_300_bytes_and_its_preview_2_kb() {
    for table in TABLES {
        for size in [(80, 24), (120, 40), (200, 60)] {
            let mut console = Console::registry(table, size);
            for key in ["j", "j", "k", "down"] {
                let bytes = console.press(key).len();
                println!("{table:?} {size:?} {key}: {bytes} bytes");
                assert!(
                    (10..=300).contains(&bytes),
                    "{table:?} {size:?} {key}: {bytes}"
                );
                console.settled();
                let preview = console.paint().len();
                println!("{table:?} {size:?} preview: {preview} bytes");
                assert!(preview <= 2_000, "{table:?} {size:?}: {preview}");
            }
        }
    }
}

#[test]
fn nothing_of_a_registry_is_drawn_while_nothing_happens() {
    for table in TABLES {
        let mut console = Console::registry(table, (120, 40));
        for second in 0..50 {
            console.now_us += 1_000_000;
            console.tell(Msg::Tick);
            console.answered();
            let drawn = console.paint().len();
            assert_eq!(drawn, 0, "{table:?} after {second} s");
        }
    }
}

#[test]
fn a_frame_and_a_key_over_50_000_rows_of_a_registry_take_at_most_a_millisecond_each() {
    for table in TABLES {
        let mut console = Console::registry(table, (200, 60));
        let model = &console.model;
        let mut buffer = Buffer::empty(Rect::new(0, 0, 200, 60));
        let frame = least_us(|| draw::draw(model, &mut buffer));
        let key = least_us(|| console.tell(Msg::Key("j".parse().unwrap())));
        println!("{table:?}: a frame of 200×60 {frame:.0} µs, a key {key:.0} µs");
        assert!(frame <= 1_000.0, "{table:?}: {frame} µs");
        assert!(key <= 1_000.0, "{table:?}: {key} µs");
    }
}

#[test]
fn to_the_end_of_a_registry_and_back_is_a_millisecond_a_key() {
    for table in TABLES {
        let mut console = Console::registry(table, (200, 60));
        let us = least_us(|| {
            console.tell(Msg::Key("G".parse().unwrap()));
            console.tell(Msg::Key("home".parse().unwrap()));
        });
        println!("{table:?}: to the end of 50,000 rows and back {us:.0} µs");
        assert!(us <= 2_000.0, "{table:?}: {us} µs");
    }
}

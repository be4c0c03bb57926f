//! The journal: how it looks in every state, how it grows, and what its keys do.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "other questions are answered alike, other effects are not looked for"
)]

use std::sync::Arc;

use binnacle_core::view::EntryRow;
use proptest::prelude::*;

use super::before;
use super::collected::MAX_ENTRIES;
use crate::msg::{Effect, Msg};
use crate::question::{Answer, Question};
use crate::screen::Place;
use crate::stage::{self, NOW_US, Stage};

/// Entries on a page of the hub of these tests.
const PAGE: u64 = 20;

fn written(sequence: u64) -> EntryRow {
    let host = format!("infer-{:04}", sequence % 7 + 1);
    let (kind, why, caller) = match sequence % 4 {
        0 => ("host_retired/v1", "GPU fell off the bus, again", "alice"),
        1 => ("host_readmitted/v1", "the card was replaced", "bob"),
        2 => ("host_relabelled/v1", "", &*host),
        _ => ("host_admitted/v1", "", &*host),
    };
    let data = match why {
        "" => serde_json::json!({
            "host": host,
            "environment": if sequence > 60 { "prod" } else { "staging" },
            "labels": { "rack": (sequence % 9).to_string(), "zone": "eu-west-1c" },
        }),
        _ => serde_json::json!({ "host": host }),
    };
    EntryRow {
        caller: caller.into(),
        at_us: NOW_US - (200 - sequence as i64) * 60_000_000,
        data,
        ..stage::entry(sequence, kind, &host, why)
    }
}

/// What a hub with entries 1 to `newest` answers.
fn answer(question: &Question, newest: u64) -> Result<Answer, String> {
    let Question::Journal { host, before } = question else {
        return match question {
            Question::Past { .. } => Ok(Answer::Past(Arc::new(stage::glances(9)))),
            _ => Err("not on this stage".into()),
        };
    };
    let below = before.unwrap_or(newest + 1).min(newest + 1);
    let all = (1..below).rev().map(written);
    let about = all.filter(|entry| host.is_none() || entry.host() == host.as_deref());
    Ok(Answer::Journal(about.take(PAGE as usize).collect()))
}

fn full(size: (u16, u16)) -> Stage {
    let mut stage = Stage::with_hosts("journal", size, 9);
    settle(&mut stage, 104);
    stage
}

/// Answers until nothing more is asked.
fn settle(stage: &mut Stage, newest: u64) {
    for _ in 0..400 {
        let is_ask = |effect: &Effect| matches!(effect, Effect::Ask { .. });
        if !stage.effects.iter().any(is_ask) {
            return;
        }
        stage.answer(|question| answer(question, newest));
    }
    panic!("asks without end");
}

#[test]
fn looks() {
    for (name, size) in stage::SIZES {
        let mut live = full(size);
        live.tell(Msg::Entry(written(105)));
        live.press("j");
        live.wait(200_000);
        settle(&mut live, 105);
        insta::assert_snapshot!(format!("journal-full-{name}"), live.text());
        let mut stale = full(size);
        stale.lose();
        stale.wait(43_000_000);
        insta::assert_snapshot!(format!("journal-stale-{name}"), stale.text());
        let loading = Stage::connected("journal", size);
        insta::assert_snapshot!(format!("journal-loading-{name}"), loading.text());
        let mut empty = Stage::with_hosts("journal", size, 0);
        settle(&mut empty, 0);
        insta::assert_snapshot!(format!("journal-empty-{name}"), empty.text());
        let mut broken = Stage::connected("journal", size);
        broken.answer(|_| Err("the store cannot be read: disk I/O error".into()));
        insta::assert_snapshot!(format!("journal-broken-{name}"), broken.text());
        let mut entry = full(size);
        entry.press("j j enter");
        settle(&mut entry, 104);
        insta::assert_snapshot!(format!("journal-entry-{name}"), entry.text());
    }
}

#[test]
fn older_entries_come_page_by_page_down_to_the_first() {
    let mut stage = full((80, 24));
    for _ in 0..30 {
        stage.press("G");
        settle(&mut stage, 104);
    }
    let text = stage.text();
    assert!(text.contains("this is where the journal begins"), "{text}");
    assert!(stage.line(1).ends_with(" 104"), "{text}");
    let last = stage.line(21);
    assert!(last.starts_with("▌ 1 "), "{text}");
}

#[test]
fn what_is_written_meanwhile_stands_on_top_and_nothing_is_missed() {
    let mut stage = full((80, 24));
    stage.tell(Msg::Entry(written(105)));
    assert!(stage.line(3).contains("105"), "{}", stage.text());
    // 106 was missed: what follows it waits until the newest page tells both.
    stage.tell(Msg::Entry(written(107)));
    assert!(!stage.text().contains("107"), "{}", stage.text());
    stage.wait(16_000_000);
    settle(&mut stage, 107);
    assert!(
        stage.line(3).contains("107") && stage.line(4).contains("106"),
        "{}",
        stage.text()
    );
    // More was written than a page holds: the list begins anew rather than hide a hole.
    stage.wait(16_000_000);
    settle(&mut stage, 300);
    assert!(stage.line(3).contains("300"), "{}", stage.text());
    assert!(!stage.text().contains(" 107 "), "{}", stage.text());
}

#[test]
fn as_many_are_held_as_are_said_and_no_more() {
    let newest = MAX_ENTRIES as u64 + 500;
    let mut stage = Stage::with_hosts("journal", (80, 24), 9);
    for _ in 0..MAX_ENTRIES as u64 / PAGE + 10 {
        settle(&mut stage, newest);
        stage.press("G");
    }
    let text = stage.text();
    assert!(text.contains("5,000 entries are here"), "{text}");
    assert!(
        text.contains("binnacle journal list --before 501"),
        "{text}"
    );
    stage.tell(Msg::Entry(written(newest + 1)));
    assert!(stage.text().contains("--before 502"), "{}", stage.text());
}

#[test]
fn a_filter_asks_for_who_what_and_where() {
    let mut stage = full((120, 40));
    stage.press("/");
    stage.type_text("by=alice kind=host_retired object~infer host=infer-0003");
    stage.press("enter");
    settle(&mut stage, 104);
    // 16, 44, 72 and 100.
    assert!(stage.line(1).contains("4/104"), "{}", stage.text());
    stage.press("esc /");
    stage.type_text("retired again");
    assert!(stage.line(3).contains("104"), "{}", stage.text());
}

#[test]
fn an_entry_leads_to_what_everything_was_then() {
    let mut stage = full((80, 24));
    stage.press("j j enter");
    settle(&mut stage, 104);
    let text = stage.text();
    assert!(stage.line(1).contains("Journal > 102"), "{text}");
    assert!(text.contains("rack"), "{text}");
    stage.press("enter");
    settle(&mut stage, 104);
    assert!(stage.line(0).contains("AT 01:33Z"), "{}", stage.text());
    stage.press("q");
    settle(&mut stage, 104);
    // The entry itself is told, those after it are not.
    assert!(stage.line(3).contains("102"), "{}", stage.text());
    stage.press("!");
    assert!(
        stage.text().contains("journal list --before 103"),
        "{}",
        stage.text()
    );
}

#[test]
fn an_entry_too_old_to_be_shown_says_so() {
    let mut stage = Stage::with_hosts("journal", (80, 24), 9);
    let old = |_: &Question| {
        let mut old = written(1);
        old.at_us -= 30 * 86_400_000_000;
        Ok(Answer::Journal(Arc::from([old])))
    };
    stage.answer(old);
    stage.press("enter");
    stage.answer(old);
    stage.press("enter");
    assert!(
        stage.text().contains("longer than 7 days"),
        "{}",
        stage.text()
    );
    assert!(!stage.line(0).contains("AT "), "{}", stage.text());
}

#[test]
fn entries_are_exported_as_lines_that_can_be_read_back() {
    let mut stage = full((80, 24));
    stage.press("x");
    let exported = stage.effects.iter().find_map(|effect| match effect {
        Effect::Export { suffix, text, .. } => Some((*suffix, text.clone())),
        _ => None,
    });
    let (suffix, text) = exported.unwrap();
    assert_eq!(suffix, ".jsonl");
    let rows: Vec<EntryRow> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.first(), Some(&written(104)));
    assert!(rows.len() >= 20);
}

#[test]
fn the_journal_of_one_host_holds_nothing_else() {
    let mut setup = stage::setup("journal", (120, 40));
    setup.open = Some(Place {
        view: "journal".into(),
        object: "infer-0003".into(),
        ..Place::default()
    });
    let mut stage = Stage::of(setup);
    stage.connect();
    settle(&mut stage, 104);
    stage.tell(Msg::Entry(written(105)));
    assert!(
        stage.line(1).contains("Journal > infer-0003"),
        "{}",
        stage.text()
    );
    assert!(!stage.text().contains("105"), "{}", stage.text());
    stage.tell(Msg::Entry(written(107)));
    assert!(stage.line(3).contains("107"), "{}", stage.text());
}

fn told(entry: &EntryRow, earlier: &[EntryRow]) -> Vec<String> {
    let changes = before::changes(entry, earlier);
    let changes = changes.iter().filter(|change| change.is_change());
    changes.map(before::Change::words).collect()
}

#[test]
fn before_and_after_are_told_from_earlier_entries_and_never_guessed() {
    let admission = |sequence, kind: &str, environment: &str, labels: serde_json::Value| EntryRow {
        data: serde_json::json!({ "host": "a", "environment": environment, "labels": labels }),
        ..stage::entry(sequence, kind, "a", "")
    };
    let first = admission(
        1,
        "host_admitted/v1",
        "prod",
        serde_json::json!({ "rack": "7" }),
    );
    let other = stage::entry(2, "host_retired/v1", "b", "not this one");
    let moved = admission(
        3,
        "host_relabelled/v1",
        "prod",
        serde_json::json!({ "rack": "8", "gpu": "l4" }),
    );
    let retired = stage::entry(4, "host_retired/v1", "a", "smoke");
    let back = stage::entry(5, "host_readmitted/v1", "a", "no fire");
    assert_eq!(
        told(&first, &[]),
        [
            "membership – → member",
            "environment – → prod",
            "rack – → 7"
        ]
    );
    let earlier = [other.clone(), first.clone()];
    assert_eq!(told(&moved, &earlier), ["gpu – → l4", "rack 7 → 8"]);
    let earlier = [moved.clone(), other, first];
    assert_eq!(told(&retired, &earlier), ["membership member → retired"]);
    assert_eq!(
        told(&back, std::slice::from_ref(&retired)),
        ["membership retired → member"]
    );
    // Without what came before it nothing is known of it.
    assert_eq!(told(&retired, &[]), ["membership unknown → retired"]);
    assert_eq!(
        told(&moved, &[retired]),
        [
            "membership retired → member",
            "environment unknown → prod",
            "gpu unknown → l4",
            "rack unknown → 8"
        ]
    );
}

/// Keys that a hand falling onto the keyboard might press.
const KEYS: [&str; 24] = [
    "j",
    "k",
    "G",
    "home",
    "ctrl-d",
    "ctrl-u",
    "enter",
    "q",
    "esc",
    ",",
    ".",
    "x",
    "y",
    "space",
    "v",
    "*",
    "u",
    "s",
    "S",
    "V",
    "[",
    "]",
    "P",
    "/ a l enter",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_pressed_what_is_selected_is_seen(
        keys in prop::collection::vec((0..KEYS.len(), 0u64..40), 0..40),
        size in (40u16..210, 12u16..62),
        newest in 0u64..130,
    ) {
        let mut newest = newest;
        let mut stage = Stage::with_hosts("journal", size, 9);
        settle(&mut stage, newest);
        for (key, more) in keys {
            if more < 3 {
                newest += more + 1;
                stage.tell(Msg::Entry(written(newest)));
                stage.wait(20_000_000);
            }
            stage.press(KEYS[key]);
            if stage.effects.contains(&Effect::Quit) {
                break;
            }
            settle(&mut stage, newest);
            let text = stage.text();
            let is_empty = [
                "no entry matches",
                "The journal is empty",
                "No entry is as old",
                "Loading entry",
            ];
            if !is_empty.iter().any(|words| text.contains(words)) && newest > 0 {
                prop_assert!(text.contains('▌'), "after {}:\n{text}", KEYS[key]);
            }
        }
    }
}

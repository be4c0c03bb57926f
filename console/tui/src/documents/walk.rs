//! The first ten minutes, as docs/first-ten-minutes.md tells them: its keys are pressed, and
//! what it says is seen is looked for.

use std::sync::Arc;

use binnacle_core::view::{Coarse, Glances};

use crate::question::{Answer, Question};
use crate::stage::{self, Stage};

/// One line of a block that begins with "```walk".
#[derive(Debug, PartialEq)]
enum Step<'a> {
    /// Keys with blanks between them.
    Press(&'a str),
    /// Letters into a line.
    Type(&'a str),
    /// A line of the screen has these pieces in this order.
    See(Vec<&'a str>),
    /// No line of the screen has this any more.
    Gone(&'a str),
}

/// How long a person looks at a screen before the next key.
const READING_US: i64 = 3_000_000;

fn steps(document: &str) -> Vec<(usize, Step<'_>)> {
    let mut is_walk = false;
    let mut steps = Vec::new();
    for (at, line) in document.lines().enumerate() {
        if line.starts_with("```") {
            is_walk = line == "```walk";
        } else if is_walk {
            let (verb, rest) = line.split_once(' ').unwrap();
            let rest = rest.trim();
            let step = match verb {
                "press" => Step::Press(rest),
                "type" => Step::Type(rest),
                "see" => Step::See(rest.split('…').map(str::trim).collect()),
                "gone" => Step::Gone(rest),
                other => panic!("line {}: {other} is no step", at + 1),
            };
            steps.push((at + 1, step));
        }
    }
    steps
}

fn has(line: &str, pieces: &[&str]) -> bool {
    let mut rest = line;
    pieces.iter().all(|piece| match rest.split_once(piece) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// Eight hosts of which the seventh is slow now, and was not an hour ago.
fn fleet(slow_ms: u64) -> Glances {
    let mut glances = stage::glances(8);
    if let Some(host) = glances
        .hosts
        .iter_mut()
        .find(|host| &*host.host == "infer-0007")
    {
        host.cell.p99 = Coarse::of_ns(Some(slow_ms * 1_000_000));
    }
    glances
}

fn answer(question: &Question) -> Result<Answer, String> {
    match question {
        Question::Listed(_)
        | Question::Lineage { .. }
        | Question::About { .. }
        | Question::Profile { .. }
        | Question::Distances { .. }
        | Question::Endpoints(_)
        | Question::Alerts(_) => Err("not asked here".into()),
        Question::Past { .. } => Ok(Answer::Past(Arc::new(fleet(42)))),
        Question::Journal { .. } => Ok(Answer::Journal([].into())),
        Question::Latency { .. }
        | Question::HostLatency { .. }
        | Question::History { .. }
        | Question::Host { .. } => Err("it is not on this walk".into()),
    }
}

#[test]
fn the_first_ten_minutes_go_as_they_are_told() {
    let document = std::fs::read_to_string(super::document("first-ten-minutes.md")).unwrap();
    let steps = steps(&document);
    let seen = steps
        .iter()
        .filter(|(_, step)| matches!(step, Step::See(_)));
    assert!(seen.count() >= 8, "a walk has something to see");
    let mut stage = Stage::connected("overview", (80, 24));
    stage.tell(crate::msg::Msg::Glances(fleet(385)));
    for (at, step) in steps {
        match step {
            Step::Press(keys) => stage.press(keys),
            Step::Type(text) => stage.type_text(text),
            Step::See(pieces) => {
                let text = stage.text();
                let is_seen = text.lines().any(|line| has(line, &pieces));
                assert!(
                    is_seen,
                    "line {at}: {pieces:?} is not on the screen:\n{text}"
                );
            }
            Step::Gone(text) => {
                // What goes by itself goes while one reads on.
                stage.wait(2 * READING_US);
                assert!(!stage.text().contains(text), "line {at}: {}", stage.text());
            }
        }
        stage.answer(answer);
        stage.wait(READING_US);
    }
}

#[test]
fn steps_are_told_apart_from_prose() {
    let told = "press x\n```walk\npress g g\nsee a … b\ntype 1h\n```\n```\nsee c\n```\n";
    assert_eq!(
        steps(told),
        [
            (3, Step::Press("g g")),
            (4, Step::See(vec!["a", "b"])),
            (5, Step::Type("1h")),
        ]
    );
    assert!(has("x a y b", &["a", "b"]) && !has("b a", &["a", "b"]));
}

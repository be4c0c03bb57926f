//! A walk through the console as a document tells it: blocks that begin with "```walk"; and what
//! it types into a shell: blocks that begin with "```console".
//!
//! The console's own crate walks the same documents without a terminal; here a real one is
//! walked through, where each step is waited for.

use std::time::Duration;

use crate::patience::eventually;
use crate::terminal::Terminal;

/// From a key to what it shows; a line at the bottom goes after eight seconds.
const STEP_LIMIT: Duration = Duration::from_secs(30);

/// One step.
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// Keys with blanks between them.
    Press(&'a str),
    /// Letters into a line.
    Type(&'a str),
    /// A line of the screen comes to have these pieces in this order.
    See(Vec<&'a str>),
    /// No line of the screen has this any more.
    Gone(&'a str),
    /// A command for a shell.
    Run(String),
    /// A line of what the last command said has these pieces in this order.
    Says(Vec<&'a str>),
}

/// The steps of a document, each with its line.
#[track_caller]
pub fn steps(document: &str) -> Vec<(usize, Step<'_>)> {
    let mut block = "";
    let mut steps: Vec<(usize, Step<'_>)> = Vec::new();
    for (at, line) in document.lines().enumerate() {
        if let Some(kind) = line.strip_prefix("```") {
            block = kind;
        } else if block == "walk" {
            steps.push((at + 1, walked(at + 1, line)));
        } else if block == "console" {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push((at + 1, Step::Run(command.to_owned()))),
                (None, Some((_, Step::Run(command)))) if command.ends_with('\\') => {
                    command.pop();
                    command.push_str(line.trim());
                }
                (None, _) => steps.push((at + 1, Step::Says(pieces(line)))),
            }
        }
    }
    steps
}

fn pieces(text: &str) -> Vec<&str> {
    text.split('…').map(str::trim).collect()
}

#[track_caller]
fn walked(at: usize, line: &str) -> Step<'_> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    match verb {
        "press" => Step::Press(rest),
        "type" => Step::Type(rest),
        "see" => Step::See(pieces(rest)),
        "gone" => Step::Gone(rest),
        other => panic!("line {at}: {other} is no step"),
    }
}

/// Takes one step on a terminal.
#[track_caller]
pub fn take(terminal: &Terminal, line: usize, step: &Step<'_>) {
    match step {
        Step::Press(keys) => terminal.keys(&keys.split(' ').map(bytes).collect::<String>()),
        Step::Type(text) => terminal.keys(text),
        Step::See(pieces) => await_line(terminal, line, pieces, STEP_LIMIT),
        Step::Gone(text) => {
            eventually(
                &format!("line {line}: {text:?} is gone"),
                STEP_LIMIT,
                || {
                    let shown = terminal.text();
                    if shown.contains(text) {
                        Err(shown)
                    } else {
                        Ok(())
                    }
                },
            );
        }
        Step::Run(_) | Step::Says(_) => panic!("line {line}: that is for a shell"),
    }
}

/// Waits until a line of the screen has these pieces in this order.
#[track_caller]
pub fn await_line(terminal: &Terminal, line: usize, pieces: &[&str], limit: Duration) {
    let what = format!("line {line}: {pieces:?} is on the screen");
    eventually(&what, limit, || {
        let shown = terminal.text();
        match shown.lines().any(|line| has(line, pieces)) {
            true => Ok(()),
            false => Err(shown),
        }
    });
}

/// Whether a line has these pieces in this order.
pub fn has(line: &str, pieces: &[&str]) -> bool {
    let mut rest = line;
    pieces.iter().all(|piece| match rest.split_once(piece) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// A key as a terminal sends it.
fn bytes(key: &str) -> &str {
    match key {
        "enter" => "\r",
        "esc" => "\x1b",
        "tab" => "\t",
        "space" => " ",
        letter => letter,
    }
}

//! What the drift detector keeps of its promises: false alarms against the bound, observations
//! until a true shift is seen, what a step costs. Everything is drawn from a seed.
//!
//! A bench that cannot go on ends with the reason: it panics where a product would return an
//! error.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write as _;

use crate::section;

mod cost;
mod delay;
mod draws;
mod fleet;
mod validity;

/// What is measured.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// A twentieth of the runs: for a look, not for the page.
    #[arg(long)]
    quick: bool,
    /// Only these parts: validity, delay, cost, fleet. The page stays as it is.
    #[arg(long)]
    only: Vec<String>,
}

/// Measures with so many times fewer runs, and tells it as a page.
type Measured = fn(u64) -> String;

/// The whole of it.
pub(crate) fn run(options: &Options) -> color_eyre::Result<()> {
    let parts: [(&str, Measured); 4] = [
        ("validity", validity::measured),
        ("delay", delay::measured),
        ("cost", cost::measured),
        ("fleet", fleet::measured),
    ];
    let part = if options.quick { 20 } else { 1 };
    for (name, measured) in parts {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        let mut text = measured(part);
        println!("{text}");
        if !options.only.is_empty() || options.quick {
            continue;
        }
        write!(
            text,
            "\nMachine: {}; {}; `tests/bench/run drift`.",
            section::machine(),
            section::first_line("date", &["+%Y-%m-%d"]),
        )?;
        section::rewrite_in("drift-benchmarks.md", name, &text)?;
    }
    Ok(())
}

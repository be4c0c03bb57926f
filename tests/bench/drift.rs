//! What the drift detector keeps of its promises: false alarms against the bound, observations
//! until a true shift is seen, what a step costs; and what others make of the same: the shifts and
//! tests of "Failing Loudly", other detectors, another profiler. Everything is drawn from a seed.
//!
//! A bench that cannot go on ends with the reason: it panics where a product would return an
//! error.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write as _;

use color_eyre::eyre::bail;

use crate::section;

mod chart;
mod cost;
mod delay;
mod digits;
mod draws;
mod failing_loudly;
mod fleet;
mod peers;
mod python;
mod speed;
mod validity;

/// What is measured.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// A twentieth of the runs: for a look, not for the page.
    #[arg(long)]
    quick: bool,
    /// Only these parts: validity, delay, cost, failing-loudly, peers, speed, fleet.
    #[arg(long)]
    only: Vec<String>,
}

/// Measures with so many times fewer runs, and tells it as a page.
type Measured = fn(u64) -> String;

/// The whole of it.
pub(crate) fn run(options: &Options) -> color_eyre::Result<()> {
    let parts: [(&str, Measured); 7] = [
        ("validity", validity::measured),
        ("delay", delay::measured),
        ("cost", cost::measured),
        ("failing-loudly", failing_loudly::measured),
        ("peers", peers::measured),
        ("speed", speed::measured),
        ("fleet", fleet::measured),
    ];
    let known = |only: &String| parts.iter().any(|(name, _)| name == only);
    if let Some(other) = options.only.iter().find(|only| !known(only)) {
        bail!("no part of this bench is called {other}");
    }
    let part = if options.quick { 20 } else { 1 };
    for (name, measured) in parts {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        let mut text = measured(part);
        println!("{text}");
        if options.quick {
            continue;
        }
        write!(
            text,
            "\n{}, {}, load {} at the end; `tests/bench/run drift --only {name}`.",
            section::machine(),
            section::first_line("date", &["+%Y-%m-%d"]),
            section::first_line("cut", &["-d ", "-f1", "/proc/loadavg"]),
        )?;
        section::rewrite_in("drift-benchmarks.md", name, &text)?;
    }
    Ok(())
}

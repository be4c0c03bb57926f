//! The hub's section of docs/benchmarks.md.

use std::fmt::Write as _;

use super::Run;
use crate::section;

/// Rewrites the section; a quick run is only printed.
pub(crate) fn write(runs: &[Run], ingest: &[f64], quick: bool) -> color_eyre::Result<()> {
    let text = format!("{}\n{}\n{}", table(runs), counting(ingest), footer());
    println!("{text}");
    if quick {
        Ok(())
    } else {
        section::rewrite("hub", &text)
    }
}

fn counting(ingest: &[f64]) -> String {
    let each = super::ingest::SERIES.iter().zip(ingest);
    let each: Vec<_> = each
        .map(|(series, us)| format!("{us:.2} µs with {series}"))
        .collect();
    format!(
        "Of it, counting a report (no socket, 10,000 hosts in one process): {} series.\n",
        each.join(", "),
    )
}

fn footer() -> String {
    let version = section::first_line("git", &["rev-parse", "--short", "HEAD"]);
    let day = section::first_line("date", &["-u", "+%Y-%m-%d"]);
    let rustc = section::first_line("rustc", &["--version"]);
    format!(
        "Measured on {day} at {version} with {rustc}, on {}; the swarm shares the machine. \
         `tests/bench/run hub`",
        section::machine(),
    )
}

fn table(runs: &[Run]) -> String {
    let mut text = String::from(
        "| agents | series each | CPU of a core | CPU a report | memory a connection | memory \
         | visible after p50 / worst | all joined | all back after SIGKILL | sent = counted |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for run in runs {
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} % | {:.1} µs | {:.1} KB | {:.0} MB | {:.0} / {:.0} ms \
             | {:.1} s | {:.1} s | {} |",
            run.agents,
            run.series,
            run.core_percent,
            run.us_a_report,
            run.connection_bytes / 1_024.0,
            run.resident as f64 / 1_048_576.0,
            run.visible_ms.0,
            run.visible_ms.1,
            run.joined.as_secs_f64(),
            run.back.as_secs_f64(),
            run.requests,
        );
    }
    for (few, many) in further(runs) {
        let us = (many.us_a_report - few.us_a_report) / (many.series - few.series) as f64;
        let _ = writeln!(
            text,
            "\nA further series: {us:.2} µs of CPU ({} agents, {} against {} series).",
            many.agents, many.series, few.series,
        );
    }
    text
}

/// Pairs of runs that differ in their series alone.
fn further(runs: &[Run]) -> impl Iterator<Item = (&Run, &Run)> {
    runs.iter().filter(|run| run.series > 1).filter_map(|many| {
        let few = |run: &&Run| run.agents == many.agents && run.series == 1;
        Some((runs.iter().find(few)?, many))
    })
}

//! Its section of docs/benchmarks.md.

use std::fmt::Write as _;

use super::SCREENS;
use crate::section;

/// One span with a console.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    /// The hub's CPU, in percent of a core.
    pub(super) hub: f64,
    /// The console's.
    pub(super) own: f64,
    /// Bytes that the console has in memory at the end.
    pub(super) resident: u64,
    /// Bytes that it wrote to the terminal, a second.
    pub(super) bytes_s: f64,
    /// Frames, a second.
    pub(super) frames_s: f64,
}

/// All spans.
#[derive(Debug)]
pub(super) struct Figures {
    agents: usize,
    rounds: usize,
    spans: Vec<(&'static str, f64, Watched)>,
    passes: Vec<f64>,
    resident: u64,
}

impl Figures {
    pub(super) fn new(agents: usize, rounds: usize) -> Self {
        Self {
            agents,
            rounds,
            spans: Vec::new(),
            passes: Vec::new(),
            resident: 0,
        }
    }

    pub(super) fn add(&mut self, screen: &'static str, alone: f64, pass: f64, watched: Watched) {
        self.spans.push((screen, alone, watched));
        self.passes.push(pass);
    }

    pub(super) fn memory(&mut self, resident: u64) {
        self.resident = resident;
    }

    /// Rewrites the section; a quick run is only printed.
    pub(super) fn write(&self, is_quick: bool) -> color_eyre::Result<()> {
        let text = format!("{}\n{}", self.table(), self.footer());
        println!("{text}");
        if is_quick {
            return Ok(());
        }
        section::rewrite("watch", &text)
    }

    fn table(&self) -> String {
        let mut text = String::from(
            "| the console shows | hub alone | and watched | for the console | its own CPU \
             | its memory | to the terminal | frames |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for (screen, _) in SCREENS {
            let spans: Vec<_> = self.spans.iter().filter(|(of, ..)| *of == screen).collect();
            let mean = |of: &dyn Fn(&Watched) -> f64| {
                spans.iter().map(|(.., watched)| of(watched)).sum::<f64>() / spans.len() as f64
            };
            let alone = spans.iter().map(|(_, alone, _)| alone).sum::<f64>() / spans.len() as f64;
            let hub = mean(&|it| it.hub);
            let most = spans.iter().map(|(.., it)| it.resident).max();
            let _ = writeln!(
                text,
                "| {screen} | {alone:.1} % | {hub:.1} % | {:.1} % | {:.1} % | {:.0} MB \
                 | {:.0} B/s | {:.1}/s |",
                hub - alone,
                mean(&|it| it.own),
                most.unwrap_or(0) as f64 / 1_048_576.0,
                mean(&|it| it.bytes_s),
                mean(&|it| it.frames_s),
            );
        }
        text
    }

    fn footer(&self) -> String {
        let version = section::first_line("git", &["rev-parse", "--short", "HEAD"]);
        let day = section::first_line("date", &["-u", "+%Y-%m-%d"]);
        let alone: Vec<f64> = self.spans.iter().map(|(_, alone, _)| *alone).collect();
        let least = alone.iter().copied().fold(f64::INFINITY, f64::min);
        let most = alone.iter().copied().fold(0.0, f64::max);
        let pass = self.passes.iter().sum::<f64>() / self.passes.len() as f64;
        format!(
            "CPU is of one core, the mean of {} pairs of 55 s for each screen, with no console \
             and with one in turn; the {} spans with none lay between {least:.1} and {most:.1} %. \
             {} agents with {} series each that report in one second of four, {} models; the \
             hub's store reached back 45 minutes before it started. At the end the hub had \
             {:.0} MB in memory.\n\n\
             Finishing a minute of {} hosts: {pass:.2} % of a core over the minute.\n\n\
             Measured on {day} at {version}, on {}; the swarm and the console share the machine. \
             `tests/bench/run hub --watched --agents {} --rounds {}`",
            self.rounds,
            alone.len(),
            self.agents,
            super::SERIES,
            super::MODELS,
            self.resident as f64 / 1_048_576.0,
            self.agents,
            section::machine(),
            self.agents,
            self.rounds,
        )
    }
}

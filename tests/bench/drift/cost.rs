//! What a step costs, and what a stream takes.

use std::hint::black_box;

use binnacle_core::drift::Stream;
use rustix::time::{ClockId, clock_gettime};

use super::draws::{Draws, Rules, batch, reference};

const STEPS: usize = 20_000;

pub(crate) fn measured(part: u64) -> String {
    let rules = Rules::default();
    let mut page = String::from(
        "CPU of one step of one stream, J = 193, best of five rounds.\n\n\
         | batch | both gates, µs | gate B alone, µs | a gate, µs |\n\
         | ---: | ---: | ---: | ---: |\n",
    );
    let steps = (STEPS / part as usize).max(500);
    for size in [1, 16, 100, 10_000] {
        let both = us(&rules, size, true, steps);
        let one = us(&rules, size, false, steps);
        let line = format!("| {size} | {both:.2} | {one:.2} | {:.2} |\n", both / 2.0);
        eprint!("{line}");
        page += &line;
    }
    let bytes = Stream::new(rules.experts()).bytes();
    page + &format!("\nA stream takes {bytes} bytes.\n")
}

fn us(rules: &Rules, size: u64, exact: bool, steps: usize) -> f64 {
    let mut draws = Draws::new(1, "cost");
    let bins = reference(20_000, &mut draws, Draws::normal);
    let null = rules.null(exact.then_some(&bins.gaps()));
    let all: Vec<_> = (0..64)
        .map(|_| batch(&bins, size, &mut draws, Draws::normal))
        .collect();
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let mut stream = Stream::new(rules.experts());
        let before = cpu_s();
        for step in 0..steps {
            stream
                .step(step as u32, black_box(&null), &all[step % 64])
                .unwrap();
        }
        black_box(&stream);
        best = best.min((cpu_s() - before) / steps as f64 * 1e6);
    }
    best
}

/// CPU time of this process, in seconds.
pub(crate) fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

//! Observations until a true change is seen, at the threshold of a fleet.

use std::fmt::Write as _;

use binnacle_core::drift::Stream;
use binnacle_sketch::profile::Bins;

use super::draws::{Draws, Rules, batch, quantile, reference};

/// ln (F·c): a thousand models of a hundred features at a false page a day, and a little less.
const THRESHOLD: f64 = 21.17;
const BATCH: u64 = 16;
const RUNS: u64 = 1_000;
/// Values of the reference.
const REFERENCE: u32 = 20_000;
/// Live values after which a run is given up.
const MOST: u64 = 60_000;

/// A change, and the figures that the design promises: median for gate A, median and 95 % for
/// both.
struct Change {
    name: &'static str,
    promised: [u64; 3],
    reference: fn(&mut Draws) -> f64,
    live: fn(&mut Draws) -> f64,
}

const CHANGES: [Change; 7] = [
    shift("+0.2 σ", [1_304, 2_952, 4_550], |draws| {
        draws.normal() + 0.2
    }),
    shift("+0.3 σ", [568, 1_072, 1_686], |draws| draws.normal() + 0.3),
    shift("+0.5 σ", [240, 320, 449], |draws| draws.normal() + 0.5),
    shift("+1 σ", [64, 80, 112], |draws| draws.normal() + 1.0),
    shift("spread ×1.5", [212, 264, 371], |draws| {
        draws.normal() * 1.5
    }),
    Change {
        name: "a 10 % class lost",
        promised: [288, 320, 320],
        reference: class,
        live: |draws| loop {
            let class = class(draws);
            if class != 3.0 {
                return class;
            }
        },
    },
    Change {
        name: "half of a 10 % class lost",
        promised: [1_824, 2_424, 3_573],
        reference: class,
        live: |draws| loop {
            let class = class(draws);
            if class != 3.0 || draws.uniform() < 0.5 {
                return class;
            }
        },
    },
];

const fn shift(name: &'static str, promised: [u64; 3], live: fn(&mut Draws) -> f64) -> Change {
    Change {
        name,
        promised,
        reference: |draws| draws.normal(),
        live,
    }
}

fn class(draws: &mut Draws) -> f64 {
    (draws.uniform() * 10.0).floor()
}

/// One run: observations until gate A, and both; how far off the told beginning was.
struct Run {
    exact: u64,
    both: u64,
    onset: f64,
}

pub(crate) fn measured(part: u64) -> String {
    let rules = Rules::default();
    let runs = (RUNS / part).max(20);
    let mut page = format!(
        "K = 20, batches of {BATCH}, ln (F·c) = {THRESHOLD}, reference of {REFERENCE}, {runs} \
         runs: observations until the alarm. *÷* is against the figure of the design. The \
         change comes after 3,200 unchanged observations in the last two columns, which say how \
         late it is told to have begun.\n\n\
         | change | gate A | ÷ | both gates | ÷ | 95 % | ÷ | told beginning, off by | 90 % \
         within |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    );
    for (at, change) in CHANGES.iter().enumerate() {
        let all: Vec<Run> = (0..runs)
            .map(|run| change.run(&rules, at as u64 * 100_000 + run, 0))
            .collect();
        let mut exact: Vec<u64> = all.iter().map(|run| run.exact).collect();
        let mut both: Vec<u64> = all.iter().map(|run| run.both).collect();
        exact.sort_unstable();
        both.sort_unstable();
        let later = (0..runs / 4).map(|run| change.run(&rules, at as u64 * 100_000 + run, 200));
        let mut off: Vec<f64> = later.map(|run| run.onset).collect();
        off.sort_by(f64::total_cmp);
        let middle = off[off.len() / 2];
        let mut size: Vec<f64> = off.iter().map(|off| off.abs()).collect();
        size.sort_by(f64::total_cmp);
        let figures = [
            quantile(&exact, 0.5),
            quantile(&both, 0.5),
            quantile(&both, 0.95),
        ];
        let [a, b, late] = figures;
        let ratio = |at: usize| figures[at] as f64 / change.promised[at] as f64;
        let line = format!(
            "| {} | {a} | {:.2} | {b} | {:.2} | {late} | {:.2} | {middle:+.0} | {:.0} |\n",
            change.name,
            ratio(0),
            ratio(1),
            ratio(2),
            size[size.len() * 9 / 10],
        );
        eprint!("{line}");
        page += &line;
    }
    page += &small_references(&rules, part);
    page
}

/// What a small reference can prove, when it meets the change from the first request on.
fn small_references(rules: &Rules, part: u64) -> String {
    let runs = (40 / part).max(5);
    let mut page =
        String::from("\n| reference | shift | alarms | median |\n| ---: | ---: | ---: | ---: |\n");
    let cells = [
        (200, 0.5),
        (500, 0.5),
        (500, 0.3),
        (2_000, 0.3),
        (2_000, 0.2),
    ];
    for (m, by) in cells {
        let mut found = Vec::new();
        for run in 0..runs {
            let mut draws = Draws::new(run, "small");
            let bins = reference(m, &mut draws, Draws::normal);
            let null = rules.null(Some(&bins.gaps()));
            let mut stream = Stream::new(rules.experts());
            for step in 1..=u64::from(m) * 20 / BATCH {
                let counts = batch(&bins, BATCH, &mut draws, |draws| draws.normal() + by);
                stream.step(step as u32, &null, &counts).unwrap();
                if stream.evidence(&null).agreed() >= THRESHOLD.exp() {
                    found.push(step * BATCH);
                    break;
                }
            }
        }
        found.sort_unstable();
        let median = if found.is_empty() {
            "–".into()
        } else {
            quantile(&found, 0.5).to_string()
        };
        writeln!(
            page,
            "| {m} | +{by} σ | {} of {runs} | {median} |",
            found.len()
        )
        .unwrap();
    }
    page
}

impl Change {
    /// `before` steps without the change, and then with it until both gates agree.
    fn run(&self, rules: &Rules, seed: u64, before: u64) -> Run {
        let mut draws = Draws::new(seed, "delay");
        let bins: Bins = reference(REFERENCE, &mut draws, self.reference);
        let null = rules.null(Some(&bins.gaps()));
        let mut stream = Stream::new(rules.experts());
        for step in 0..before {
            let counts = batch(&bins, BATCH, &mut draws, self.reference);
            stream.step(step as u32 + 1, &null, &counts).unwrap();
        }
        let mut exact = MOST;
        for step in 1..=MOST / BATCH {
            let counts = batch(&bins, BATCH, &mut draws, self.live);
            stream.step((before + step) as u32, &null, &counts).unwrap();
            let evidence = stream.evidence(&null);
            if exact == MOST && evidence.exact.unwrap() >= THRESHOLD.exp() {
                exact = step * BATCH;
            }
            if evidence.agreed() >= THRESHOLD.exp() {
                // A change in the step before this one would be one tick old.
                let told = f64::from(evidence.age);
                return Run {
                    exact,
                    both: step * BATCH,
                    onset: (step as f64 - 1.0 - told) * BATCH as f64,
                };
            }
        }
        Run {
            exact,
            both: MOST,
            onset: MOST as f64,
        }
    }
}

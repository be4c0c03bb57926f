//! Alarms without a change, against the bound: steps ÷ threshold.
//!
//! The budget is scaled so that the bound is thousands of alarms and their number means something.
//! Both gates together alarm far less often than the bound says, so each is also measured alone:
//! gate A where the reference is a sample, gate B at a corner of its box.

use std::fmt::Write as _;

use binnacle_core::drift::{Null, Stream};
use binnacle_sketch::profile::{BINS, Bins, gaps};

use super::draws::{Draws, Rules, reference};

/// Steps of a stream's day: one each five minutes. A stream has as many as ticks with traffic.
const STEPS_A_DAY: u64 = 288;
/// Days that a stream is watched for.
const DAYS: u64 = 40;
/// The threshold.
const THRESHOLD: f64 = 1_000.0;

/// Which evidence has to pass it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Gates {
    A,
    B,
    Both,
}

/// What the values of a feature look like.
#[derive(Clone, Copy, Debug)]
enum Law {
    Normal,
    Heavy,
    ThreeValues,
    Constant,
    Mixed,
}

/// How the features of a model hang together.
#[derive(Clone, Copy, Debug)]
enum Model {
    /// One feature.
    One,
    /// So many that have nothing to do with each other.
    Apart(usize),
    /// So many of which each is the first.
    Copies(usize),
    /// So many normal ones, each pair correlated with ρ = 0.8.
    Correlated(usize),
}

struct Cell {
    gates: Gates,
    law: Law,
    model: Model,
    m: u32,
    batch: u64,
}

/// What a cell gave.
struct Found {
    stream_days: u64,
    bound: f64,
    alarms: u64,
    /// Of alarms ÷ bound.
    error: f64,
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut push = |gates, law, model, m, batch| {
        cells.push(Cell {
            gates,
            law,
            model,
            m,
            batch,
        });
    };
    for m in [50, 200, 500, 2_000, 50_000] {
        push(Gates::A, Law::Normal, Model::One, m, 16);
        push(Gates::Both, Law::Normal, Model::One, m, 16);
    }
    for law in [Law::Heavy, Law::ThreeValues, Law::Constant, Law::Mixed] {
        push(Gates::A, law, Model::One, 200, 16);
    }
    for batch in [1, 100] {
        push(Gates::A, Law::Normal, Model::One, 500, batch);
    }
    push(Gates::B, Law::Normal, Model::One, 50_000, 16);
    for model in [Model::Apart(10), Model::Copies(10), Model::Correlated(10)] {
        for m in [50, 500] {
            push(Gates::A, Law::Normal, model, m, 16);
        }
    }
    cells
}

pub(crate) fn measured(part: u64) -> String {
    let rules = Rules::default();
    let mut page = format!(
        "No change anywhere; {STEPS_A_DAY} steps a day, {DAYS} days a stream, threshold \
         {THRESHOLD}. A model alarms when the mean over its features reaches the threshold; the \
         bound is its steps ÷ threshold.\n\n\
         | evidence of | values | features | m | batch | stream-days | bound | alarms | alarms ÷ \
         bound (95 %) |\n| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    );
    let (mut days, mut bound, mut alarms, mut squared) = (0, 0.0, 0, 0.0);
    for (at, cell) in cells().iter().enumerate() {
        let models = (cell.models() / part).max(2);
        let found = cell.run(&rules, at as u64, models);
        let ratio = found.alarms as f64 / found.bound;
        let line = format!(
            "| {} | {} | {} | {} | {} | {} | {:.0} | {} | {ratio:.2} ± {:.2} |\n",
            match cell.gates {
                Gates::A => "gate A alone",
                Gates::B => "gate B alone, corner of its box",
                Gates::Both => "both",
            },
            match cell.law {
                Law::Normal => "normal",
                Law::Heavy => "heavy tail",
                Law::ThreeValues => "three values",
                Law::Constant => "one value",
                Law::Mixed => "half zeros",
            },
            match cell.model {
                Model::One => "one".to_owned(),
                Model::Apart(n) => format!("{n}, independent"),
                Model::Copies(n) => format!("{n} copies"),
                Model::Correlated(n) => format!("{n}, ρ = 0.8"),
            },
            cell.m,
            cell.batch,
            found.stream_days,
            found.bound,
            found.alarms,
            1.96 * found.error,
        );
        eprint!("{line}");
        page += &line;
        days += found.stream_days;
        bound += found.bound;
        alarms += found.alarms;
        squared += (found.error * found.bound).powi(2);
    }
    writeln!(
        page,
        "| all | | | | | {days} | {bound:.0} | {alarms} | {:.2} ± {:.2} |",
        alarms as f64 / bound,
        1.96 * squared.sqrt() / bound,
    )
    .unwrap();
    page
}

impl Cell {
    /// Models that are simulated: so that all cells cost about as much.
    fn models(&self) -> u64 {
        match self.model {
            Model::One => 120,
            Model::Apart(n) | Model::Correlated(n) | Model::Copies(n) => 120 / n as u64,
        }
    }

    fn run(&self, rules: &Rules, cell: u64, models: u64) -> Found {
        let steps = STEPS_A_DAY * DAYS;
        let bound = steps as f64 / THRESHOLD;
        let mut ratios = Vec::new();
        let mut alarms = 0;
        for model in 0..models {
            let found = self.alarms(rules, cell * 10_000 + model, steps);
            alarms += found;
            ratios.push(found as f64 / bound);
        }
        let mean = ratios.iter().sum::<f64>() / models as f64;
        let squared = ratios
            .iter()
            .map(|ratio| (ratio - mean).powi(2))
            .sum::<f64>();
        Found {
            stream_days: models * DAYS * self.features() as u64,
            bound: bound * models as f64,
            alarms,
            error: (squared / (models * (models - 1)) as f64).sqrt(),
        }
    }

    fn features(&self) -> usize {
        match self.model {
            Model::One => 1,
            Model::Apart(n) | Model::Copies(n) | Model::Correlated(n) => n,
        }
    }

    /// Alarms of one model.
    fn alarms(&self, rules: &Rules, seed: u64, steps: u64) -> u64 {
        let mut draws = Draws::new(seed, "validity");
        let features = self.features();
        let bins = self.references(&mut draws);
        let nulls: Vec<Null> = bins
            .iter()
            .map(|bins| rules.null((self.gates != Gates::B).then_some(&bins.gaps())))
            .collect();
        let mut streams = vec![Stream::new(rules.experts()); features];
        let mut alarms = 0;
        let mut row = vec![0.0; features];
        let mut counts = vec![[0; BINS]; features];
        for step in 0..steps {
            self.count(&bins, &mut draws, &mut row, &mut counts);
            let mut all = 0.0;
            for ((stream, null), counts) in streams.iter_mut().zip(&nulls).zip(&counts) {
                stream.step(step as u32 + 1, null, counts).unwrap();
                let evidence = stream.evidence(null);
                all += match self.gates {
                    Gates::A => evidence.exact.unwrap(),
                    Gates::B | Gates::Both => evidence.agreed(),
                };
            }
            if all / features as f64 >= THRESHOLD {
                alarms += 1;
                streams.iter_mut().for_each(Stream::reset);
            }
        }
        alarms
    }

    fn references(&self, draws: &mut Draws) -> Vec<Bins> {
        let features = self.features();
        let mut rows = vec![0.0; features * self.m as usize];
        for row in rows.chunks_exact_mut(features) {
            self.draw(draws, row);
        }
        (0..features)
            .map(|feature| {
                let mut own = rows.iter().skip(feature).step_by(features);
                reference(self.m, draws, |_| *own.next().unwrap())
            })
            .collect()
    }

    /// The counts of a step, in memory that every step uses again.
    fn count(&self, bins: &[Bins], draws: &mut Draws, row: &mut [f64], counts: &mut [[u64; BINS]]) {
        if self.gates == Gates::B {
            counts[0] = corner(self.batch, draws);
            return;
        }
        counts.fill([0; BINS]);
        for _ in 0..self.batch {
            self.draw(draws, row);
            for ((counts, bins), x) in counts.iter_mut().zip(bins).zip(&*row) {
                counts[bins.bin(*x, draws.uniform())] += 1;
            }
        }
    }

    fn draw(&self, draws: &mut Draws, row: &mut [f64]) {
        match self.model {
            Model::One | Model::Apart(_) => row.fill_with(|| self.law.draw(draws)),
            Model::Copies(_) => row.fill(self.law.draw(draws)),
            Model::Correlated(_) => {
                let shared = 0.8_f64.sqrt() * draws.normal();
                row.fill_with(|| shared + 0.2_f64.sqrt() * draws.normal());
            }
        }
    }
}

impl Law {
    fn draw(self, draws: &mut Draws) -> f64 {
        match self {
            Self::Normal => draws.normal(),
            Self::Heavy => draws.heavy(4.0),
            Self::ThreeValues => (draws.uniform() * 3.0).floor(),
            Self::Constant => 7.0,
            Self::Mixed => (draws.uniform() - 0.5).max(0.0),
        }
    }
}

/// Values with the shares that lie at a corner of gate B's box: half of the bins a tenth more.
fn corner(n: u64, draws: &mut Draws) -> [u64; BINS] {
    let all: u32 = gaps(BINS as u32 - 1).iter().sum();
    assert_eq!(all as usize, BINS, "even bins");
    let mut counts = [0; BINS];
    for _ in 0..n {
        let bin = (draws.uniform() * BINS as f64) as usize;
        let moved = bin < BINS / 2 && draws.uniform() < 0.1;
        counts[if moved { bin + BINS / 2 } else { bin }] += 1;
    }
    counts
}

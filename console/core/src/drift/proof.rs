//! What a reference can prove: the smallest shift that would page, and what it would take.
//!
//! Gate A learns from live values too. A small reference that meets shifted values from the first
//! request absorbs them instead of alarming, so there are shifts that it can never prove, however
//! long one waits. That is said beforehand, and is never shown as "no drift".

use std::sync::Arc;

use binnacle_sketch::profile::{BINS, Ties, gaps};
use serde::Serialize;

use super::experts::Experts;
use super::special::{normal_above, normal_quantile};
use super::stream::{Null, Stream};
use super::tolerance::{Bounds, Tolerance};

/// Shifts that are tried, in standard deviations.
const SHIFTS: [f64; 12] = [0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0];
/// Live values after which no more is to be expected of a reference: so many times its own.
const LONG: u64 = 8;
/// Runs of a shift, and how many of them must page for it to be called provable: two thirds.
const RUNS: u64 = 21;
const PROVED: usize = 14;
/// Values of a batch: at least so many, and at least such a part of all before it, so that a run
/// takes hundreds of steps whatever the reference.
const BATCH: u64 = 16;
const PART: u64 = 32;
/// Exponentials that are added for one gap; of more, their sum is taken to be normal by its cube
/// root (Wilson and Hilferty 1931).
const ADDED: u32 = 64;

/// What a reference proves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Provable {
    /// The smallest of the shifts that are tried that pages, in standard deviations.
    pub shift: f64,
    /// Live values that it takes about.
    pub need: u64,
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has seen what it needs.
    Watched,
    /// Too little for a verdict: neither good nor bad.
    NotEnough {
        /// Live values.
        n: u64,
        /// Live values that the smallest provable shift needs.
        need: u64,
    },
    /// No shift that is tried could be proved with this reference.
    Unprovable,
}

/// The experts, and gate B of a feature: made once, since both are the same for all references.
#[derive(Clone, Debug)]
pub struct Prover {
    experts: Arc<Experts>,
    tolerance: Arc<Tolerance>,
}

impl Default for Prover {
    fn default() -> Self {
        let experts = Arc::new(Experts::of_features());
        let tolerance = Tolerance::new(&experts, Bounds::of_feature());
        Self {
            tolerance: Arc::new(tolerance),
            experts,
        }
    }
}

impl Prover {
    /// What a reference of `m` values proves where one stream alone needs `threshold` (`F·c`);
    /// `None` when it proves none of the shifts that are tried. The answer depends on nothing
    /// else, so features that have as many values share it.
    pub fn provable(&self, m: u32, threshold: f64) -> Option<Provable> {
        // What pages for a shift pages for every greater one: halve.
        let (mut low, mut high) = (0, SHIFTS.len());
        let mut found = None;
        while low < high {
            let middle = usize::midpoint(low, high);
            let shift = SHIFTS.get(middle).copied().unwrap_or_default();
            match self.need(m, shift, threshold) {
                Some(need) => {
                    found = Some(Provable { shift, need });
                    high = middle;
                }
                None => low = middle + 1,
            }
        }
        found
    }

    /// Live values that a shift takes, from the first request on, in the middle of the runs;
    /// `None` when too few of them page. The runs are drawn, always from the same seed.
    pub fn need(&self, m: u32, shift: f64, threshold: f64) -> Option<u64> {
        let null = Null {
            experts: Arc::clone(&self.experts),
            tolerance: Arc::clone(&self.tolerance),
            gaps: Some(gaps(m).to_vec()),
        };
        let mut needs: Vec<u64> = (0..RUNS)
            .filter_map(|run| self.run(&null, m, Run { run, shift }, threshold))
            .collect();
        needs.sort_unstable();
        let middle = needs.get(RUNS as usize / 2).copied();
        middle.filter(|_| needs.len() >= PROVED)
    }

    fn run(&self, null: &Null, m: u32, run: Run, threshold: f64) -> Option<u64> {
        let ends = run.ends(null.gaps.as_deref().unwrap_or_default());
        let ties = Ties::new(run.run, "values");
        let most = u64::from(m).max(50) * LONG;
        let mut stream = Stream::new(&self.experts);
        let (mut step, mut n) = (0, 0);
        while n < most {
            let batch = (n / PART).max(BATCH);
            let mut counts = [0; BINS];
            for value in n..n + batch {
                let u = ties.at(value);
                let bin = ends.partition_point(|end| *end <= u);
                if let Some(count) = counts.get_mut(bin) {
                    *count += 1;
                }
            }
            (step, n) = (step + 1, n + batch);
            stream.step(step, null, &counts).ok()?;
            if stream.evidence(null).agreed() >= threshold {
                return Some(n);
            }
        }
        None
    }
}

/// One way in which it may go: which sample the reference is, and what comes.
#[derive(Clone, Copy, Debug)]
struct Run {
    run: u64,
    shift: f64,
}

impl Run {
    /// The share of shifted values at most as great as the end of each bin. Where the edges of a
    /// sample truly lie is drawn: their gaps are exponentials, divided by their sum.
    fn ends(self, gaps: &[u32]) -> [f64; BINS] {
        let ties = Ties::new(self.run, "reference");
        let mut draw = 0;
        let mut next = || {
            draw += 1;
            ties.at(draw).clamp(1e-15, 1.0 - 1e-15)
        };
        let mut widths = [0.0; BINS];
        for (width, gaps) in widths.iter_mut().zip(gaps) {
            *width = if *gaps <= ADDED {
                (0..*gaps).map(|_| -next().ln()).sum()
            } else {
                let gaps = f64::from(*gaps);
                let root = 1.0 - 1.0 / (9.0 * gaps) + normal_quantile(next()) / (3.0 * gaps.sqrt());
                gaps * root.powi(3)
            };
        }
        let all: f64 = widths.iter().sum();
        let mut below = 0.0;
        widths.map(|width| {
            below += width / all;
            // With nothing above, everything lies below, wherever it has moved to.
            if below > 1.0 - 1e-12 {
                1.0
            } else {
                normal_above(self.shift - normal_quantile(below.max(1e-300)))
            }
        })
    }
}

impl Standing {
    /// Of a stream that has seen `n` values since it began or was last reset.
    pub fn of(provable: Option<Provable>, n: u64) -> Self {
        match provable {
            None => Self::Unprovable,
            Some(provable) if n < provable.need => Self::NotEnough {
                n,
                need: provable.need,
            },
            Some(_) => Self::Watched,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ln (F·c) of a thousand models of a hundred features at one page a day.
    const FLEET: f64 = 21.17;

    #[test]
    fn a_larger_reference_proves_smaller_shifts() {
        let prover = Prover::default();
        let shift = |m| prover.provable(m, FLEET.exp()).map(|found| found.shift);
        let found = [50, 200, 500, 2_000, 20_000].map(shift);
        assert!(found[0].is_none_or(|shift| shift > 1.0), "{found:?}");
        assert!(
            found[1].is_some_and(|shift| (0.7..=1.0).contains(&shift)),
            "{found:?}"
        );
        assert!(
            found[2].is_some_and(|shift| (0.4..=0.5).contains(&shift)),
            "{found:?}"
        );
        assert!(
            found[3].is_some_and(|shift| (0.2..=0.3).contains(&shift)),
            "{found:?}"
        );
        assert!(found[4].is_some_and(|shift| shift <= 0.2), "{found:?}");
    }

    #[test]
    fn the_need_is_about_the_delay_that_is_measured() {
        let prover = Prover::default();
        for (shift, expected) in [(0.3, 1_072.0), (0.5, 320.0), (1.0, 80.0)] {
            let need = prover.need(20_000, shift, FLEET.exp()).unwrap() as f64;
            assert!((need / expected - 1.0).abs() < 0.3, "{shift}: {need}");
        }
        assert_eq!(prover.need(0, 3.0, FLEET.exp()), None);
        assert_eq!(Standing::of(None, 1 << 40), Standing::Unprovable);
    }

    #[test]
    fn a_share_that_did_not_move_is_that_of_the_gaps_on_average() {
        let gaps = gaps(90);
        let mut mean = [0.0; BINS];
        for run in 0..2_000 {
            let ends = Run { run, shift: 0.0 }.ends(&gaps);
            let mut last = 0.0;
            for (mean, end) in mean.iter_mut().zip(ends) {
                *mean += (end - last) / 2_000.0;
                last = end;
            }
        }
        for (mean, gaps) in mean.iter().zip(gaps) {
            assert!(
                (mean - f64::from(gaps) / 91.0).abs() < 0.003,
                "{mean} {gaps}"
            );
        }
    }
}

//! Two-valued signals: missing, unseen, out of range. Only how often they are on leaves a host.
//!
//! Gate A needs ranks. The values off and on are ranked like any others, equal ones by a number
//! in [0, 1) that breaks their ties; the one edge is the highest of the reference's `off`. Above
//! it lie all that are on, and of those that are off the few whose tie-break is higher still.
//! How many those are is drawn here, from a seed, so that the law of the gaps holds exactly with
//! a count alone, also where the reference never was on.

use std::sync::Arc;

use binnacle_sketch::profile::Ties;

use super::experts::Experts;
use super::stream::Null;
use super::tolerance::{Bounds, Tolerance};

/// Draws for one count at most; beyond, their number is its expectation: it is uncertain by a
/// hundredth then, of a part that is small itself.
const DRAWS: f64 = 10_000.0;

/// A signal and its reference.
#[derive(Clone, Debug)]
pub struct Share {
    /// The share of the reference in which it is on.
    on: f64,
    /// Whether off is the rarer, and so is what is counted as on.
    turned: bool,
    /// Share of the tie-breaks above the highest of the reference's off.
    above: f64,
    ties: Ties,
    null: Null,
}

impl Share {
    /// Of a reference with so many rows, in so many of which it is on. `name` tells this signal
    /// from all others of the seed.
    pub fn new(rows: u64, on: u64, seed: u64, name: &str) -> Self {
        let on = on.min(rows);
        let turned = on > rows / 2;
        let rare = if turned { rows - on } else { on };
        let ties = Ties::new(seed, name);
        // The highest of so many uniform numbers.
        let highest = ties.at(0).powf(1.0 / (rows - rare).max(1) as f64);
        Self {
            on: on as f64 / rows.max(1) as f64,
            turned,
            above: if rows == rare { 1.0 } else { 1.0 - highest },
            ties,
            null: null(rows - rare, rare + 1, rare as f64 / rows.max(1) as f64),
        }
    }

    /// Of a signal that never is on in the reference, and of which it is known how many of the
    /// gaps between its values a fresh one has to fall into to be the first: nothing is drawn.
    pub fn of_gaps(off: u64, on: u64, seed: u64, name: &str) -> Self {
        Self {
            on: 0.0,
            turned: false,
            above: 0.0,
            ties: Ties::new(seed, name),
            null: null(off, on, 0.0),
        }
    }

    /// What its stream is held against.
    pub fn null(&self) -> &Null {
        &self.null
    }

    /// The share of the reference.
    pub fn reference(&self) -> f64 {
        self.on
    }

    /// The share of `on` that an expert's share stands for.
    pub fn told(&self, share: f64) -> f64 {
        if self.turned { 1.0 - share } else { share }
    }

    /// The counts of its two bins for so many observations, of which so many are on, in this
    /// tick.
    pub fn counts(&self, observations: u64, on: u64, tick: u32) -> [u64; 2] {
        let on = on.min(observations);
        let rare = if self.turned { observations - on } else { on };
        let more = self.drawn(observations - rare, tick);
        [observations - rare - more, rare + more]
    }

    /// How many of `count` lie above the edge by their tie-break: binomial, by the gaps between
    /// them.
    fn drawn(&self, count: u64, tick: u32) -> u64 {
        if self.above >= 1.0 || self.above <= 0.0 {
            return if self.above > 0.0 { count } else { 0 };
        }
        let expected = count as f64 * self.above;
        if expected > DRAWS {
            return expected.round() as u64;
        }
        let log_rest = (-self.above).ln_1p();
        let (mut at, mut found, mut draw) = (0.0, 0, 0_u64);
        loop {
            draw += 1;
            let u = self
                .ties
                .at(u64::from(tick) << 32 | draw)
                .max(f64::MIN_POSITIVE);
            at += (u.ln() / log_rest).floor() + 1.0;
            if at > count as f64 || log_rest >= 0.0 {
                return found;
            }
            found += 1;
        }
    }
}

/// The null of a signal with these gaps, that is on with this share in the reference.
fn null(off: u64, on: u64, share: f64) -> Null {
    let all = off as f64 + on as f64;
    let experts = Arc::new(Experts::of_share(on as f64 / all.max(1.0)));
    let tolerance = Arc::new(Tolerance::new(&experts, Bounds::of_share(share)));
    // More gaps than a u32 counts know the share to eight digits: a smaller reference is taken.
    let scale = (all / f64::from(u32::MAX)).max(1.0);
    let gaps = |gaps: u64| (gaps as f64 / scale).round() as u32;
    Null {
        experts,
        tolerance,
        gaps: Some(vec![gaps(off), gaps(on).max(1)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_above_the_edge_has_its_share() {
        for (rows, on) in [(50, 0), (50, 3), (50, 48), (1_000, 500), (0, 0), (7, 7)] {
            let mut above = 0.0;
            let rounds = 4_000;
            for seed in 0..rounds {
                // The reference's share is taken for true: on in `on` of `rows`, one more row.
                let share = Share::new(rows, on, seed, "missing");
                let [low, high] = share.counts(10, 0, seed as u32 + 1);
                assert_eq!(low + high, 10);
                above += high as f64 / 10.0;
            }
            let off = if on > rows / 2 {
                1.0
            } else {
                1.0 / (rows - on + 1) as f64
            };
            let found = above / f64::from(rounds as u32);
            assert!((found - off).abs() < 0.012, "{rows} {on}: {found} {off}");
        }
    }

    #[test]
    fn the_same_tick_has_the_same_counts() {
        let share = Share::new(400, 3, 9, "x");
        assert_eq!(share.counts(5_000, 10, 3), share.counts(5_000, 10, 3));
        assert_eq!(share.counts(u64::MAX, u64::MAX, 3), [0, u64::MAX]);
        let [low, high] = share.counts(u64::MAX, 0, 3);
        assert!(low > high && high > 0);
    }

    #[test]
    fn huge_references_fit() {
        let share = Share::new(u64::MAX - 1, 12, 1, "x");
        let gaps = share.null().gaps.as_ref().unwrap();
        assert!(gaps.iter().all(|gaps| *gaps > 0), "{gaps:?}");
    }
}

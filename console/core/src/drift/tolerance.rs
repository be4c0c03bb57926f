//! Gate B's null: shares of the bins that nobody would be woken for.
//!
//! The null is a box, `l_k ≤ p_k ≤ u_k`. Each expert is held against the one distribution of the
//! box that is nearest to it, p* = argmin KL(q‖p): then E_p[q/p*] ≤ 1 for *every* p of the box,
//! which is what makes a ratio evidence whatever the true shares within the box are.

use binnacle_sketch::profile::{BINS, Hours};

use super::experts::Experts;

/// What a share may differ by, of itself.
pub const TOLERANCE: f64 = 0.1;
/// What a two-valued signal may differ by, whatever its share: 0.2 % of requests.
const LEAST_SHARE: f64 = 0.002;
/// How many standard errors an hour of the reference is uncertain by.
const ERRORS: f64 = 3.0;
/// Halvings that find ν: what is left is below the rounding of its logarithm.
const HALVINGS: u32 = 64;

/// Shares that are taken as unchanged.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Bounds {
    /// Of a feature whose reference has no time: each bin's even share, more or less a tenth.
    pub fn of_feature() -> Self {
        Self::around(&[1.0 / BINS as f64; BINS], TOLERANCE)
    }

    /// Of a feature by the hour of the week: what the reference had in that hour, more or less a
    /// tenth and three standard errors. An hour that the reference never had allows everything.
    pub fn of_hour(hours: &Hours, hour: usize) -> Self {
        let rows = f64::from(hours.rows(hour));
        let shares: [f64; BINS] =
            std::array::from_fn(|bin| hours.share(hour, bin).unwrap_or_default());
        let all: f64 = shares.iter().sum();
        if rows <= 0.0 || all <= 0.0 {
            return Self {
                low: vec![0.0; BINS],
                high: vec![1.0; BINS],
            };
        }
        let shares = shares.map(|share| share / all);
        // Half a row, so that a bin without one is not taken to be impossible.
        let error = |share: &f64| {
            let share = (share * rows + 0.5) / (rows + 1.0);
            ERRORS * (share * (1.0 - share) / rows).sqrt()
        };
        let low = |share: &f64| (share * (1.0 - TOLERANCE) - error(share)).max(0.0);
        let high = |share: &f64| (share * (1.0 + TOLERANCE) + error(share)).min(1.0);
        Self {
            low: shares.iter().map(low).collect(),
            high: shares.iter().map(high).collect(),
        }
    }

    /// Of a two-valued signal: its share more or less a tenth, and at least 0.2 % of requests.
    pub fn of_share(share: f64) -> Self {
        let may = (share * TOLERANCE).max(LEAST_SHARE);
        let (low, high) = ((share - may).max(0.0), (share + may).min(1.0));
        Self {
            low: vec![1.0 - high, low],
            high: vec![1.0 - low, high],
        }
    }

    fn around(shares: &[f64], part: f64) -> Self {
        Self {
            low: shares.iter().map(|share| share * (1.0 - part)).collect(),
            high: shares
                .iter()
                .map(|share| (share * (1.0 + part)).min(1.0))
                .collect(),
        }
    }

    /// With these shares, more or less a tenth, taken as unchanged too.
    #[must_use]
    pub fn widened(mut self, shares: &[f64]) -> Self {
        let more = Self::around(shares, TOLERANCE);
        for (low, other) in self.low.iter_mut().zip(&more.low) {
            *low = low.min(*other);
        }
        for (high, other) in self.high.iter_mut().zip(&more.high) {
            *high = high.max(*other);
        }
        self
    }

    /// Whether everything is allowed, so that nothing can be concluded.
    pub fn allows_everything(&self) -> bool {
        self.low.iter().all(|low| *low <= 0.0) && self.high.iter().all(|high| *high >= 1.0)
    }

    /// Whether these shares lie within.
    pub fn hold(&self, shares: &[f64]) -> bool {
        let within = |((low, high), share): ((&f64, &f64), &f64)| low <= share && share <= high;
        self.low.iter().zip(&self.high).zip(shares).all(within)
    }

    /// The distribution of the box that is nearest to `q`: p_k = clip(q_k / ν, l_k, u_k), with
    /// the ν at which they add up to 1.
    pub fn nearest(&self, q: &[f64]) -> Vec<f64> {
        let at = |log_nu: f64| {
            let bounds = self.low.iter().zip(&self.high);
            let nu = log_nu.exp();
            bounds
                .zip(q)
                .map(move |((low, high), q)| (q / nu).clamp(*low, *high))
        };
        let (mut low, mut high) = (-50.0, 50.0);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if at(middle).sum::<f64>() > 1.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        at(f64::midpoint(low, high)).collect()
    }

    /// The greatest Σ p_k r_k of a distribution p in the box: as much as it may of the greatest
    /// ratio, then of the next.
    pub fn greatest(&self, ratios: &[f64]) -> f64 {
        let mut rest = 1.0 - self.low.iter().sum::<f64>();
        let mut found: f64 = self.low.iter().zip(ratios).map(|(low, r)| low * r).sum();
        let widths = self
            .low
            .iter()
            .zip(&self.high)
            .map(|(low, high)| high - low);
        let mut order: Vec<(f64, f64)> = ratios.iter().copied().zip(widths).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (ratio, width) in order {
            let more = width.min(rest).max(0.0);
            found += more * ratio;
            rest -= more;
        }
        found
    }
}

/// Each expert against what the bounds allow: the logarithms of q_jk / p*_jk.
#[derive(Clone, Debug)]
pub struct Tolerance {
    bounds: Bounds,
    /// Bin by bin, those of all experts.
    columns: Vec<f64>,
    experts: usize,
}

impl Tolerance {
    /// Of these experts. Each ratio is divided by the greatest expectation that it has over the
    /// box, where bisection left that above 1 by a rounding error; a greater excess is a defect
    /// of ours and ends here.
    pub fn new(experts: &Experts, bounds: Bounds) -> Self {
        let bins = experts.bins();
        let mut columns = vec![0.0; experts.len() * bins];
        for (at, q) in experts.shares().enumerate() {
            let nearest = bounds.nearest(q);
            let ratio = |(q, p): (&f64, &f64)| if *p > 0.0 { q / p } else { f64::MAX };
            let ratios: Vec<f64> = q.iter().zip(&nearest).map(ratio).collect();
            let excess = bounds.greatest(&ratios).max(1.0);
            assert!(
                excess < 1.0 + 1e-9,
                "expert {at} expects {excess} of a distribution within the bounds"
            );
            let cells = columns.iter_mut().skip(at).step_by(experts.len());
            for (cell, ratio) in cells.zip(ratios) {
                *cell = (ratio / excess).ln();
            }
        }
        Self {
            bounds,
            columns,
            experts: experts.len(),
        }
    }

    /// What is taken as unchanged.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    pub(super) fn columns(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.columns.chunks_exact(self.experts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A distribution within bounds, from numbers in [0, 1): from the lower bounds upwards in
    /// turn.
    fn within(bounds: &Bounds, parts: &[f64]) -> Vec<f64> {
        let mut p = bounds.low.clone();
        let mut rest = 1.0 - p.iter().sum::<f64>();
        for _ in 0..60 {
            for ((p, high), part) in p.iter_mut().zip(&bounds.high).zip(parts) {
                let more = (part * rest).min(high - *p);
                *p += more;
                rest -= more;
            }
        }
        let open: f64 = p.iter().zip(&bounds.high).map(|(p, high)| high - p).sum();
        for (p, high) in p.iter_mut().zip(&bounds.high) {
            *p += rest * (high - *p) / open.max(1e-300);
        }
        p
    }

    fn bounds() -> impl Strategy<Value = Bounds> {
        let parts = prop::collection::vec(0.01_f64..1.0, BINS);
        (parts, 0.0_f64..0.9).prop_map(|(parts, width)| {
            let all: f64 = parts.iter().sum();
            let shares: Vec<f64> = parts.iter().map(|part| part / all).collect();
            Bounds::around(&shares, width)
        })
    }

    proptest! {
        #[test]
        fn no_expert_expects_more_than_one_of_any_shares_within(
            bounds in bounds(), parts in prop::collection::vec(0.0_f64..1.0, BINS),
        ) {
            let experts = Experts::of_features();
            let tolerance = Tolerance::new(&experts, bounds.clone());
            let p = within(&bounds, &parts);
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let mut expected = vec![0.0; experts.len()];
            for (p, column) in p.iter().zip(tolerance.columns()) {
                for (expected, log) in expected.iter_mut().zip(column) {
                    *expected += p * log.exp();
                }
            }
            for (at, expected) in expected.iter().enumerate() {
                prop_assert!(*expected <= 1.0 + 1e-9, "{at}: {expected}");
            }
        }

        #[test]
        fn the_nearest_is_no_farther_than_any_other_within(
            bounds in bounds(), parts in prop::collection::vec(0.0_f64..1.0, BINS),
            expert in 0_usize..193,
        ) {
            let experts = Experts::of_features();
            let q = experts.shares().nth(expert).unwrap();
            let apart = |p: &[f64]| q.iter().zip(p).map(|(q, p)| q * (q / p).ln()).sum::<f64>();
            let nearest = bounds.nearest(q);
            prop_assert!((nearest.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(apart(&nearest) <= apart(&within(&bounds, &parts)) + 1e-9);
        }
    }

    #[test]
    fn an_expert_within_the_bounds_is_its_own_nearest() {
        let experts = Experts::of_features();
        let q = experts.shares().nth(8).unwrap();
        assert!(!Bounds::of_feature().hold(q));
        let bounds = Bounds::of_feature().widened(q);
        assert!(bounds.hold(q));
        let nearest = bounds.nearest(q);
        assert!(q.iter().zip(&nearest).all(|(q, p)| (q - p).abs() < 1e-12));
        assert!(!bounds.allows_everything());
    }

    #[test]
    fn an_hour_that_the_reference_never_had_allows_everything() {
        let share = Bounds::of_share(0.0);
        assert!(share.hold(&[0.998, 0.002]) && !share.hold(&[0.99, 0.01]));
        assert!(Bounds::of_share(0.5).hold(&[0.55, 0.45]));
        assert!(Bounds::of_share(1.0).hold(&[0.0, 1.0]));
    }
}

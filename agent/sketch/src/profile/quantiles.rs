//! Two hundred and one order statistics of the reference: what is drawn, and what distances in
//! the feature's own unit are taken from.

use super::Malformed;
use super::bins::rank;

/// Steps between the least and the greatest: half a percent each, so that every edge of the
/// bins is one of them.
pub const STEPS: usize = 200;

/// Values of rank ⌊i(m+1)/200⌋, the first and the last being the sample's least and greatest.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantiles(Vec<f64>);

impl Quantiles {
    /// Of a sorted sample; `None` when it is empty.
    pub(crate) fn of(sorted: &[(f64, f64)]) -> Option<Self> {
        let m = sorted.len() as u32;
        let at = |i: u32| {
            let at = rank(i, STEPS, m).clamp(1, m.max(1)) - 1;
            sorted.get(at as usize).map(|(x, _)| *x)
        };
        (0..=STEPS as u32).map(at).collect::<Option<_>>().map(Self)
    }

    /// The quantiles that were written down so.
    pub(crate) fn from_values(values: Vec<f64>) -> Result<Self, Malformed> {
        let finite = values.iter().all(|x| x.is_finite());
        if values.len() != STEPS + 1 || !finite || !values.is_sorted() {
            return Err(Malformed::Quantiles);
        }
        Ok(Self(values))
    }

    /// All of them, ascending.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// The quantile nearest to `share`, of 0 to 1.
    pub fn at(&self, share: f64) -> f64 {
        let at = (share.clamp(0.0, 1.0) * STEPS as f64).round() as usize;
        self.0.get(at).copied().unwrap_or_default()
    }

    /// The shares of the sample below `x`, and at most `x`. Between two quantiles a straight
    /// line; where several are equal, the two differ.
    pub fn below(&self, x: f64) -> (f64, f64) {
        let share = |at: f64| at / STEPS as f64;
        let first = self.0.partition_point(|q| *q < x);
        let after = self.0.partition_point(|q| *q <= x);
        if first < after {
            let under = if first == 0 { 0.0 } else { share(first as f64) };
            let upto = if after > STEPS {
                1.0
            } else {
                share((after - 1) as f64)
            };
            return (under, upto);
        }
        let (Some(low), Some(high)) = (
            first.checked_sub(1).and_then(|at| self.0.get(at)),
            self.0.get(first),
        ) else {
            let all = if first == 0 { 0.0 } else { 1.0 };
            return (all, all);
        };
        // Halves, so that the width of the widest gap is a number.
        let part = (x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
        let at = share((first - 1) as f64 + part);
        (at, at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(mut values: Vec<f64>) -> Quantiles {
        values.sort_by(f64::total_cmp);
        let sorted: Vec<(f64, f64)> = values.into_iter().map(|x| (x, 0.0)).collect();
        Quantiles::of(&sorted).unwrap()
    }

    #[test]
    fn quantiles_of_a_ramp_are_the_ramp() {
        let ramp = of((1..2_000).map(f64::from).collect());
        assert_eq!(ramp.at(0.0), 1.0);
        assert_eq!(ramp.at(0.5), 1_000.0);
        assert_eq!(ramp.at(1.0), 1_999.0);
        assert_eq!(ramp.below(1_000.0), (0.5, 0.5));
        assert_eq!(ramp.below(0.0), (0.0, 0.0));
        assert_eq!(ramp.below(1e9), (1.0, 1.0));
    }

    #[test]
    fn equal_values_have_a_share_below_and_a_share_up_to_them() {
        let coin = of([vec![0.0; 500], vec![1.0; 500]].concat());
        let (under, upto) = coin.below(0.0);
        assert_eq!(under, 0.0);
        assert!((upto - 0.5).abs() < 0.01, "{upto}");
        assert!((coin.below(1.0).0 - 0.5).abs() < 0.01);
        assert_eq!(coin.below(1.0).1, 1.0);
        assert_eq!(of(vec![3.0]).below(3.0), (0.0, 1.0));
    }

    #[test]
    fn the_widest_gap_has_a_middle() {
        let (half, _) = of(vec![f64::MIN, f64::MAX]).below(0.0);
        assert!((0.3..0.7).contains(&half), "{half}");
        assert_eq!(Quantiles::of(&[]), None);
    }

    proptest! {
        #[test]
        fn shares_below_rise_and_stay_within_one(
            values in prop::collection::vec(-1e3_f64..1e3, 1..500),
            mut at in prop::collection::vec(-2e3_f64..2e3, 2..9),
        ) {
            let quantiles = of(values);
            at.sort_by(f64::total_cmp);
            let mut last = 0.0;
            for x in at {
                let (under, upto) = quantiles.below(x);
                prop_assert!(last <= under && under <= upto && upto <= 1.0);
                last = upto;
            }
        }
    }
}

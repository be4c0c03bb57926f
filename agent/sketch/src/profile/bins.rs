//! Twenty bins whose edges are order statistics of the reference.
//!
//! With `m` reference values and `K` bins, edge `k` is the value of rank ⌊k(m+1)/K⌋, taken with
//! the number that broke its ties. A further value from where the reference came from falls
//! into each of the `m + 1` gaps between ranks with the same probability, whatever the
//! distribution and however many values are equal; so it falls into bin `k` with probability
//! `a_k / (m + 1)`, where `a_k` is the gaps in that bin. That is exact, also for a small `m`.

use super::Malformed;

/// Bins of every feature. The detector's table of experts is shared by all features because
/// this is one number.
pub const BINS: usize = 20;
/// Edges between them.
pub(crate) const EDGES: usize = BINS - 1;

/// A reference value that bounds a bin, and the number that broke its ties.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Edge {
    /// The value; −∞ below the first rank of a sample smaller than the bins.
    pub x: f64,
    /// Uniform on [0, 1).
    pub v: f64,
}

/// The edges, laid out to be searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Bins {
    /// The edges, and behind them what no value lies above: 31, to be halved five times.
    /// Each as one integer that orders as value and tie-break do.
    tree: [u128; 32],
    sampled: u32,
}

impl Bins {
    /// The bins of these values, each with the number that breaks its ties. Sorts them.
    /// A value that is not finite has no rank and may not be among them.
    pub fn of(values: &mut [(f64, f64)]) -> Self {
        // Integers sort three times as fast as pairs of numbers do.
        let mut keys: Vec<u128> = values.iter().map(|(x, v)| key(*x, *v)).collect();
        keys.sort_unstable();
        for (value, key) in values.iter_mut().zip(keys) {
            *value = unkeyed(key);
        }
        let sampled = values.len() as u32;
        let mut edges = [(f64::NEG_INFINITY, 0.0); EDGES];
        for (k, edge) in (1..).zip(&mut edges) {
            let rank = rank(k, BINS, sampled) as usize;
            if let Some(value) = rank.checked_sub(1).and_then(|at| values.get(at)) {
                *edge = *value;
            }
        }
        Self::laid_out(&edges, sampled)
    }

    fn laid_out(edges: &[(f64, f64); EDGES], sampled: u32) -> Self {
        let mut tree = [u128::MAX; 32];
        for (place, (x, v)) in tree.iter_mut().zip(edges) {
            *place = key(*x, *v);
        }
        Self { tree, sampled }
    }

    /// The bins that were written down as these edges.
    pub(crate) fn from_edges(edges: &[Edge; EDGES], sampled: u32) -> Result<Self, Malformed> {
        let mut last = (f64::NEG_INFINITY, 0.0);
        for (k, edge) in (1..).zip(edges) {
            let bound = rank(k, BINS, sampled) > 0;
            let ordered = (edge.x, edge.v) >= last && (0.0..1.0).contains(&edge.v);
            if !ordered || edge.x.is_finite() != bound {
                return Err(Malformed::Edges);
            }
            last = (edge.x, edge.v);
        }
        Ok(Self::laid_out(&edges.map(|edge| (edge.x, edge.v)), sampled))
    }

    /// The bin of a finite value, 0 for the lowest; `v` breaks its ties.
    ///
    /// Halves what is left five times, without a branch: where a value falls cannot be foreseen,
    /// and a wrong guess would cost more than all five steps.
    #[inline]
    #[allow(clippy::indexing_slicing)] // the steps add up to 31, and one is taken off: below 32
    pub fn bin(&self, x: f64, v: f64) -> usize {
        let key = key(x, v);
        let mut below = 0;
        for step in [16, 8, 4, 2, 1] {
            below += step * usize::from(self.tree[below + step - 1] < key);
        }
        below
    }

    /// The edges, in ascending order.
    pub fn edges(&self) -> [Edge; EDGES] {
        let mut edges = [Edge { x: 0.0, v: 0.0 }; EDGES];
        for (edge, key) in edges.iter_mut().zip(&self.tree) {
            let (x, v) = unkeyed(*key);
            *edge = Edge { x, v };
        }
        edges
    }

    /// The bins of the same reference with its values rounded. Edges that come together stay in
    /// order.
    pub(crate) fn rounded(&self, round: impl Fn(f64) -> f64) -> Self {
        let mut edges = self.edges().map(|edge| match edge.x.is_finite() {
            true => (round(edge.x), edge.v),
            false => (edge.x, edge.v),
        });
        edges.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        Self::laid_out(&edges, self.sampled)
    }

    /// Reference values behind the edges: `m`.
    pub fn sampled(&self) -> u32 {
        self.sampled
    }

    /// Gaps between ranks in each bin: `a_k`. They add up to `m + 1`.
    pub fn gaps(&self) -> [u32; BINS] {
        gaps(self.sampled)
    }

    /// The share of each bin that the reference promises: `a_k / (m + 1)`.
    pub fn shares(&self) -> [f64; BINS] {
        let all = f64::from(self.sampled) + 1.0;
        self.gaps().map(|gap| f64::from(gap) / all)
    }
}

const SIGN: u64 = 1 << 63;

/// A value and its tie-break as one integer that orders as they do. −0 is +0.
#[inline]
fn key(x: f64, v: f64) -> u128 {
    let bits = (x + 0.0).to_bits();
    // Negative numbers order the other way round, below all others.
    let flip = ((bits as i64) >> 63) as u64 | SIGN;
    u128::from(bits ^ flip) << 64 | u128::from(v.to_bits())
}

/// What such an integer stands for.
fn unkeyed(key: u128) -> (f64, f64) {
    let ordered = (key >> 64) as u64;
    let flip = if ordered & SIGN == 0 { u64::MAX } else { SIGN };
    (f64::from_bits(ordered ^ flip), f64::from_bits(key as u64))
}

/// Gaps between the ranks of `m` reference values in each bin: `a_k`, which add up to `m + 1`.
pub fn gaps(m: u32) -> [u32; BINS] {
    let mut gaps = [0; BINS];
    for (k, gap) in (1..).zip(&mut gaps) {
        *gap = rank(k, BINS, m) - rank(k - 1, BINS, m);
    }
    gaps
}

/// ⌊k(m+1)/parts⌋.
pub(crate) fn rank(k: u32, parts: usize, m: u32) -> u32 {
    let rank = u64::from(k) * (u64::from(m) + 1) / parts as u64;
    u32::try_from(rank).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tie::Ties;
    use super::*;

    fn bins(values: &[f64], seed: u64) -> Bins {
        let ties = Ties::new(seed, "x");
        let with = |(at, x): (usize, &f64)| (*x, ties.at(at as u64));
        let mut values: Vec<(f64, f64)> = values.iter().enumerate().map(with).collect();
        Bins::of(&mut values)
    }

    #[test]
    fn a_value_at_an_edge_falls_by_its_tie_break() {
        let bins = bins(&[5.0; 1_000], 3);
        let edge = bins.edges()[9];
        assert_eq!(edge.x, 5.0);
        assert_eq!(bins.bin(5.0, edge.v.next_down()), 9);
        assert_eq!(bins.bin(5.0, edge.v), 9, "the edge itself ends its bin");
        assert_eq!(bins.bin(5.0, edge.v.next_up()), 10);
        assert_eq!(bins.bin(4.9, 0.99), 0);
        assert_eq!(bins.bin(5.1, 0.0), 19);
    }

    #[test]
    fn a_constant_column_still_fills_every_bin_evenly() {
        let bins = bins(&[0.0; 50_000], 3);
        let ties = Ties::new(4, "live");
        let mut counts = [0_f64; BINS];
        for counter in 0..20_000 {
            counts[bins.bin(-0.0, ties.at(counter))] += 1.0;
        }
        let chi: f64 = counts.iter().map(|n| (n - 1_000.0).powi(2) / 1_000.0).sum();
        // 19 degrees of freedom, and two fifths more for a finite reference.
        assert!(chi < 43.8 * 1.4, "{chi}");
    }

    #[test]
    fn extremes_have_a_bin() {
        let wide = bins(&[-1e308, 1e308, f64::MAX, f64::MIN, 0.0, -0.0], 1);
        assert_eq!(wide.bin(f64::MAX, 0.999_999), 19);
        assert_eq!(
            wide.bin(f64::MIN, 0.0),
            2,
            "two of twenty bins lie below rank 1"
        );
        let none = bins(&[], 1);
        assert_eq!(none.bin(1.0, 0.5), 19);
        assert_eq!(none.gaps().iter().sum::<u32>(), 1);
        assert_eq!(
            none.gaps()[19],
            1,
            "with no reference there is one gap, and it is the last"
        );
    }

    proptest! {
        #[test]
        fn gaps_add_up_to_one_more_than_the_sample(m in 0_u32..70_000) {
            let bins = Bins::laid_out(&[(0.0, 0.0); EDGES], m);
            prop_assert_eq!(bins.gaps().iter().sum::<u32>(), m + 1);
            prop_assert!((bins.shares().iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }

        #[test]
        fn each_bin_holds_its_gaps_of_the_reference_itself(
            values in prop::collection::vec(-9_i8..9, 0..400), seed: u64,
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let bins = bins(&values, seed);
            let ties = Ties::new(seed, "x");
            let mut counts = [0_u32; BINS];
            for (at, x) in values.iter().enumerate() {
                counts[bins.bin(*x, ties.at(at as u64))] += 1;
            }
            // m values make m + 1 gaps: the last bin has the one that no value closes.
            counts[BINS - 1] += 1;
            prop_assert_eq!(counts, bins.gaps());
        }

        #[test]
        fn bins_rise_with_the_value(
            values in prop::collection::vec(-1e9_f64..1e9, 1..200), seed: u64,
        ) {
            let bins = bins(&values, seed);
            let mut sorted = values;
            sorted.sort_by(f64::total_cmp);
            let of: Vec<usize> = sorted.iter().map(|x| bins.bin(*x, 0.5)).collect();
            prop_assert!(of.is_sorted());
        }

        #[test]
        fn edges_written_down_are_the_same_bins(
            values in prop::collection::vec(-99_i16..99, 0..300),
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let bins = bins(&values, 1);
            prop_assert_eq!(Bins::from_edges(&bins.edges(), bins.sampled()), Ok(bins));
        }
    }
}

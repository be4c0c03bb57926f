//! What the inputs may have become: a table of alternatives, shared by all features.
//!
//! Bins hold equal shares of the reference by construction, so that one table serves every
//! feature, whatever its unit. Each expert is a distribution over the bins and says in words
//! what it stands for. All have the same weight.

use std::ops::Range;

use binnacle_sketch::profile::BINS;

use super::special::normal_quantile;

/// Experts of one table at most: what a step needs of room on the stack.
pub const MAX_EXPERTS: usize = 256;
/// How strong the tilts are.
const TILTS: [f64; 6] = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6];
/// What a tilt may multiply a share by at most: e^20 of it.
const CLIP: f64 = 20.0;
/// How much of all values a spike holds.
const SPIKES: [f64; 3] = [0.03, 0.1, 0.3];
/// How much of a spike is spread over a block of bins.
const BLOCK_SPIKE: f64 = 0.1;
/// How much of a bin is gone.
const LOSSES: [f64; 2] = [0.5, 0.9];
/// Bins of the blocks that are looked at as one.
const BLOCKS: [usize; 2] = [2, 4];
/// What the odds of a two-valued signal may be multiplied by.
const ODDS: [f64; 10] = [0.1, 0.25, 0.5, 0.7, 1.4, 2.0, 4.0, 8.0, 20.0, 100.0];
/// Shares that it may come to, whatever they were.
const SHARES: [f64; 7] = [0.003, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9];

/// What an expert says has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// All values moved: by so many standard deviations, if they were normal.
    Shift(f64),
    /// They spread: by this factor, if they were normal.
    Spread(f64),
    /// They moved from the middle to both ends; negative: to the middle.
    Ends(f64),
    /// The mass leans: from the lower and the upper quarter into the others; negative: back.
    Lean(f64),
    /// So much of all values gathered in these bins.
    Spike(Range<usize>, f64),
    /// So much of these bins is gone.
    Loss(Range<usize>, f64),
    /// A two-valued signal has this share.
    Share(f64),
}

/// Alternatives over the same bins.
#[derive(Clone, Debug)]
pub struct Experts {
    bins: usize,
    shapes: Vec<Shape>,
    /// Expert by expert, the share of each bin.
    shares: Vec<f64>,
    /// Bin by bin, the logarithm of each expert's share of it: a step adds up whole columns.
    columns: Vec<f64>,
}

impl Experts {
    /// The 193 of every feature: 48 tilts, 100 of single bins, 45 of blocks.
    pub fn of_features() -> Self {
        let even = 1.0 / BINS as f64;
        let mut all = tilts();
        for bin in 0..BINS {
            all.extend(SPIKES.map(|share| spike(bin..bin + 1, share)));
            all.extend(LOSSES.map(|share| loss(bin..bin + 1, share)));
        }
        for size in BLOCKS {
            for first in (0..BINS).step_by(size) {
                all.extend(LOSSES.map(|share| loss(first..first + size, share)));
                all.push(spike(first..first + size, BLOCK_SPIKE));
            }
        }
        debug_assert!(all.iter().all(|(_, q)| q.iter().all(|q| *q < 21.0 * even)));
        Self::of(BINS, all)
    }

    /// Of a signal that is on with this share: what its odds may be multiplied by, and what it
    /// may come to.
    pub fn of_share(share: f64) -> Self {
        let share = share.clamp(1e-9, 1.0 - 1e-9);
        let by_odds = ODDS.map(|factor| {
            let odds = factor * share / (1.0 - share);
            odds / (1.0 + odds)
        });
        let all = by_odds.into_iter().chain(SHARES);
        let all = all.map(|share| (Shape::Share(share), vec![1.0 - share, share]));
        Self::of(2, all.collect())
    }

    fn of(bins: usize, all: Vec<(Shape, Vec<f64>)>) -> Self {
        let (shapes, shares): (Vec<Shape>, Vec<Vec<f64>>) = all.into_iter().unzip();
        assert!(shapes.len() <= MAX_EXPERTS, "a table has its limit");
        let columns = (0..bins).flat_map(|bin| {
            let column = shares.iter().filter_map(move |expert| expert.get(bin));
            column.map(|share| share.ln())
        });
        Self {
            bins,
            columns: columns.collect(),
            shapes,
            shares: shares.into_iter().flatten().collect(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Never so: a table without experts concludes nothing.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Bins of each.
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// What an expert says.
    pub fn shape(&self, expert: usize) -> Option<&Shape> {
        self.shapes.get(expert)
    }

    /// Expert by expert, the shares of the bins.
    pub fn shares(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.shares.chunks_exact(self.bins)
    }

    /// Bin by bin, the logarithms of the shares that the experts give it.
    pub(super) fn columns(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.columns.chunks_exact(self.shapes.len())
    }
}

/// The middle of each bin as a rank in (0, 1).
pub(super) fn middles() -> [f64; BINS] {
    std::array::from_fn(|bin| (bin as f64 + 0.5) / BINS as f64)
}

/// Legendre's polynomial of this degree, from 1 to 4, on the ranks (0, 1), with variance 1.
pub(super) fn legendre(degree: u32, rank: f64) -> f64 {
    let x = 2.0 * rank - 1.0;
    let square = x * x;
    let value = match degree {
        1 => x,
        2 => (3.0 * square - 1.0) / 2.0,
        3 => (5.0 * square - 3.0) * x / 2.0,
        _ => ((35.0 * square - 30.0) * square + 3.0) / 8.0,
    };
    value * f64::from(2 * degree.min(4) + 1).sqrt()
}

fn tilts() -> Vec<(Shape, Vec<f64>)> {
    let middles = middles();
    let scores = middles.map(normal_quantile);
    let wide = scores.map(|z| (z * z - 1.0) / std::f64::consts::SQRT_2);
    let ends = middles.map(|rank| legendre(2, rank));
    let lean = middles.map(|rank| legendre(3, rank));
    let signed = TILTS.into_iter().flat_map(|theta| [theta, -theta]);
    let mut all = Vec::new();
    for theta in signed {
        all.push((Shape::Shift(theta), tilt(&scores, theta)));
        let spread = tilt(&wide, theta);
        all.push((Shape::Spread(deviation(&scores, &spread)), spread));
        all.push((Shape::Ends(theta), tilt(&ends, theta)));
        all.push((Shape::Lean(theta), tilt(&lean, theta)));
    }
    all
}

/// q ∝ p0 exp(θφ), with even p0.
fn tilt(by: &[f64; BINS], theta: f64) -> Vec<f64> {
    let weights = by.map(|by| (theta * by).clamp(-CLIP, CLIP).exp());
    let all: f64 = weights.iter().sum();
    weights.map(|weight| weight / all).to_vec()
}

/// How wide shares are, against even ones.
fn deviation(scores: &[f64; BINS], shares: &[f64]) -> f64 {
    let even = scores.iter().map(|z| z * z).sum::<f64>() / BINS as f64;
    let squared = scores.iter().zip(shares).map(|(z, q)| z * z * q);
    (squared.sum::<f64>() / even).sqrt()
}

/// (1 − η) p0 + η, spread evenly over the bins.
fn spike(bins: Range<usize>, share: f64) -> (Shape, Vec<f64>) {
    let even = 1.0 / BINS as f64;
    let more = share / bins.len() as f64;
    let own = |bin| if bins.contains(&bin) { more } else { 0.0 };
    let shares = (0..BINS).map(|bin| (1.0 - share) * even + own(bin));
    (Shape::Spike(bins.clone(), share), shares.collect())
}

/// p0 with the bins' shares taken times 1 − κ, and then all of them times what makes one of it.
fn loss(bins: Range<usize>, share: f64) -> (Shape, Vec<f64>) {
    let even = 1.0 / BINS as f64;
    let all = 1.0 - share * bins.len() as f64 * even;
    let own = |bin| {
        if bins.contains(&bin) {
            1.0 - share
        } else {
            1.0
        }
    };
    let shares = (0..BINS).map(|bin| even * own(bin) / all);
    (Shape::Loss(bins.clone(), share), shares.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_have_193_experts_and_each_is_a_distribution() {
        let experts = Experts::of_features();
        assert_eq!((experts.len(), experts.bins()), (193, BINS));
        for (at, shares) in experts.shares().enumerate() {
            let all: f64 = shares.iter().sum();
            assert!((all - 1.0).abs() < 1e-12, "{:?}: {all}", experts.shape(at));
            assert!(shares.iter().all(|share| *share > 0.0), "{at}");
        }
        for share in [0.0, 1e-7, 0.02, 0.5, 1.0] {
            let experts = Experts::of_share(share);
            assert!(
                experts
                    .shares()
                    .all(|q| q.iter().all(|q| (0.0..1.0).contains(q)))
            );
        }
    }

    #[test]
    fn a_tilt_by_the_score_moves_a_normal_distribution_by_as_much() {
        let experts = Experts::of_features();
        let scores = middles().map(normal_quantile);
        let at = |shape: &Shape| (0..193).find(|at| experts.shape(*at) == Some(shape));
        let shift = at(&Shape::Shift(0.4)).unwrap();
        let shares = experts.shares().nth(shift).unwrap();
        let mean: f64 = scores.iter().zip(shares).map(|(z, q)| z * q).sum();
        assert!((mean - 0.4).abs() < 0.03, "{mean}");
        let widths: Vec<f64> = (0..193)
            .filter_map(|at| match experts.shape(at) {
                Some(Shape::Spread(factor)) => Some(*factor),
                _ => None,
            })
            .collect();
        assert!(widths.iter().any(|w| (1.3..1.6).contains(w)), "{widths:?}");
        assert!(widths.iter().any(|w| (0.6..0.9).contains(w)), "{widths:?}");
    }

    #[test]
    fn legendre_polynomials_are_orthonormal_over_the_ranks() {
        let steps = 20_000;
        for a in 1..=4 {
            for b in 1..=4 {
                let each = (0..steps).map(|n| (f64::from(n) + 0.5) / f64::from(steps));
                let product = each.map(|u| legendre(a, u) * legendre(b, u)).sum::<f64>();
                let expected = if a == b { 1.0 } else { 0.0 };
                assert!(
                    (product / f64::from(steps) - expected).abs() < 1e-6,
                    "{a} {b}"
                );
            }
        }
    }
}

//! Count, least, greatest, mean and standard deviation of all finite values of a column.
//!
//! Blocks are added in order, and what comes out depends on where they end in its last bits; so
//! whoever reads a table cuts it into blocks of a fixed size, whatever its file was cut into.

/// Lanes that are added side by side: as many as fill two vector registers, so that the compiler
/// may use them, and always as many, so that every machine rounds alike.
const LANES: usize = 8;

/// What adds up of a column of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    count: u64,
    min: f64,
    max: f64,
    mean: f64,
    /// Sum of squared distances from the mean.
    spread: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            count: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: 0.0,
            spread: 0.0,
        }
    }
}

impl Moments {
    /// Adds a block. NaN and infinities are left out.
    pub fn add(&mut self, values: &[f64]) {
        let first = First::of(values);
        if first.count == 0 {
            return;
        }
        let scale = if first.sum.is_finite() { 1.0 } else { HALVES };
        let count = first.count as f64;
        let mean = if first.sum.is_finite() {
            first.sum / count
        } else {
            // The sum overflowed: it is taken again of values that are small enough.
            total(values, |x| x * scale) / count / scale
        };
        let spread = total(values, |x| (x - mean) * (x - mean));
        self.join(first.count, mean, spread);
        self.min = self.min.min(first.min);
        self.max = self.max.max(first.max);
    }

    /// Adds what is known of another part (Chan, Golub and LeVeque 1983).
    fn join(&mut self, count: u64, mean: f64, spread: f64) {
        let all = self.count + count;
        let (own, other) = (self.count as f64 / all as f64, count as f64 / all as f64);
        let apart = mean - self.mean;
        // Each part is weighed before they are added, so that 1e308 does not overflow.
        self.mean = self.mean * own + mean * other;
        self.spread += spread + apart * other * apart * self.count as f64;
        self.count = all;
    }

    /// Finite values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Least, greatest, mean, standard deviation; `None` with no finite value. A deviation past
    /// what a number can say is the greatest number.
    pub fn figures(&self) -> Option<[f64; 4]> {
        let squared = self.spread.max(0.0) / self.count as f64;
        let sd = squared.sqrt().min(f64::MAX);
        let sd = if sd.is_nan() { f64::MAX } else { sd };
        (self.count > 0).then_some([self.min + 0.0, self.max + 0.0, self.mean + 0.0, sd])
    }
}

/// 2^-64: so many values could be the greatest number without their sum being infinite.
const HALVES: f64 = 1.0 / (1_u128 << 64) as f64;

/// What one pass over a block tells.
struct First {
    count: u64,
    min: f64,
    max: f64,
    sum: f64,
}

/// One lane of such a pass.
#[derive(Clone, Copy)]
struct Lane {
    sum: f64,
    count: u64,
    min: f64,
    max: f64,
}

impl First {
    fn of(values: &[f64]) -> Self {
        let lane = Lane {
            sum: 0.0,
            count: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        };
        let lanes = fold(values, lane, |lane, x| {
            let finite = x.abs() < f64::INFINITY;
            let (low, high) = (finite & (x < lane.min), finite & (x > lane.max));
            Lane {
                sum: lane.sum + if finite { x } else { 0.0 },
                count: lane.count + u64::from(finite),
                min: if low { x } else { lane.min },
                max: if high { x } else { lane.max },
            }
        });
        Self {
            count: lanes.iter().map(|lane| lane.count).sum(),
            min: lanes
                .iter()
                .fold(f64::INFINITY, |min, lane| min.min(lane.min)),
            max: lanes
                .iter()
                .fold(f64::NEG_INFINITY, |max, lane| max.max(lane.max)),
            sum: lanes.iter().map(|lane| lane.sum).sum(),
        }
    }
}

/// The sum of `of` over the finite values.
#[inline]
fn total(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let add = |sum: f64, x: f64| sum + if x.abs() < f64::INFINITY { of(x) } else { 0.0 };
    fold(values, 0.0, add).iter().sum()
}

/// Folds each lane by itself. What is missing of the last group is NaN.
#[inline]
fn fold<T: Copy>(values: &[f64], first: T, step: impl Fn(T, f64) -> T) -> [T; LANES] {
    let mut lanes = [first; LANES];
    let mut one = |group: &[f64; LANES]| {
        for (lane, x) in lanes.iter_mut().zip(group) {
            *lane = step(*lane, *x);
        }
    };
    let (groups, rest) = values.as_chunks::<LANES>();
    groups.iter().for_each(&mut one);
    let mut last = [f64::NAN; LANES];
    for (x, value) in last.iter_mut().zip(rest) {
        *x = *value;
    }
    one(&last);
    lanes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(blocks: &[&[f64]]) -> Moments {
        let mut moments = Moments::default();
        blocks.iter().for_each(|block| moments.add(block));
        moments
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let moments = of(&[&[1.0, f64::NAN, 3.0, f64::INFINITY, f64::NEG_INFINITY]]);
        assert_eq!(moments.figures(), Some([1.0, 3.0, 2.0, 1.0]));
        assert_eq!(moments.count(), 2);
        assert_eq!(of(&[&[], &[f64::NAN]]).figures(), None);
    }

    #[test]
    fn the_greatest_numbers_have_a_mean() {
        let [min, max, mean, sd] = of(&[&[1e308; 9], &[1e308; 100]]).figures().unwrap();
        assert_eq!((min, max), (1e308, 1e308));
        assert!((mean / 1e308 - 1.0).abs() < 1e-12, "{mean}");
        assert!(sd <= 1e294, "{sd}");
        let [.., mean, sd] = of(&[&[f64::MAX, f64::MIN]]).figures().unwrap();
        assert_eq!((mean, sd), (0.0, f64::MAX));
    }

    proptest! {
        #[test]
        fn the_figures_are_those_of_the_definition(
            a in prop::collection::vec(-1e6_f64..1e6, 0..60),
            b in prop::collection::vec(-1e6_f64..1e6, 1..60),
        ) {
            let [min, max, mean, sd] = of(&[&a, &b]).figures().unwrap();
            let all: Vec<f64> = a.into_iter().chain(b).collect();
            let count = all.len() as f64;
            let middle = all.iter().sum::<f64>() / count;
            let squared = all.iter().map(|x| (x - middle).powi(2)).sum::<f64>() / count;
            prop_assert!((mean - middle).abs() < 1e-6);
            prop_assert!((sd - squared.sqrt()).abs() < 1e-5 * (1.0 + sd));
            prop_assert_eq!(min, all.iter().copied().fold(f64::INFINITY, f64::min));
            prop_assert_eq!(max, all.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        }
    }
}

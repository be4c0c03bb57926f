//! A uniform sample of rows that never needs to know how many there are (Li 1994, Algorithm L).
//!
//! Between two rows that it takes it skips the right number without looking, so that a long
//! table costs next to nothing. Its logarithms are its own: those of the platform differ in
//! their last bit from one to the next, and a profile is named by a hash of its bytes.

use super::tie::Ties;

/// Rows that a reference keeps at most: enough to prove a shift of 0.1 σ, few enough to sort.
pub const ROWS: usize = 65_536;
/// Cells that a reference keeps at most while it is made: 32 MB.
pub const CELLS: usize = 4 << 20;

/// Which rows are kept, and where.
#[derive(Clone, Debug)]
pub struct Reservoir {
    ties: Ties,
    drawn: u64,
    slots: usize,
    /// Rows offered so far.
    seen: u64,
    /// The next row to be taken, once the slots are full.
    next: u64,
    /// ln W of the algorithm.
    log_w: f64,
}

impl Reservoir {
    /// For rows of so many features.
    pub fn new(seed: u64, features: usize) -> Self {
        let slots = (CELLS / features.max(1)).min(ROWS);
        Self::with_slots(seed, slots)
    }

    fn with_slots(seed: u64, slots: usize) -> Self {
        let mut reservoir = Self {
            ties: Ties::new(seed, "rows of the reference"),
            drawn: 0,
            slots,
            seen: 0,
            next: slots as u64,
            log_w: 0.0,
        };
        reservoir.skip();
        reservoir
    }

    /// Offers the next `rows`. Calls `take` with each one that is kept, counted from the first
    /// of these, and the slot that it goes to.
    pub fn offer(&mut self, rows: usize, mut take: impl FnMut(usize, usize)) {
        let (from, to) = (self.seen, self.seen + rows as u64);
        let filling = to.min(self.slots as u64);
        for row in from..filling {
            take((row - from) as usize, row as usize);
        }
        while self.next < to {
            let slot = self.draw() * self.slots as f64;
            take((self.next - from) as usize, slot as usize);
            self.next += 1;
            self.skip();
        }
        self.seen = to;
    }

    /// Rows offered so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Rows that are kept now.
    pub fn held(&self) -> usize {
        self.seen.min(self.slots as u64) as usize
    }

    fn skip(&mut self) {
        if self.slots == 0 {
            self.next = u64::MAX;
            return;
        }
        self.log_w += ln(self.draw()) / self.slots as f64;
        // ln(1 − W) for a small W without losing it in the 1.
        let w = exp(self.log_w);
        let log_rest = if w < 1e-5 {
            -w - w * w / 2.0
        } else {
            ln(1.0 - w)
        };
        let rows = ln(self.draw()) / log_rest;
        // A float that is too great becomes the greatest integer, and none of its rows come.
        self.next = self.next.saturating_add(rows as u64);
    }

    /// A number in (0, 1).
    fn draw(&mut self) -> f64 {
        self.drawn += 1;
        self.ties.at(self.drawn).max(f64::EPSILON / 4.0)
    }
}

/// The natural logarithm of a positive, normal number, by additions, multiplications and
/// divisions alone.
pub(crate) fn ln(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as f64 - 1_023.0;
    let mut fraction = f64::from_bits(bits & MANTISSA | 1_023 << 52);
    if fraction > std::f64::consts::SQRT_2 {
        fraction /= 2.0;
        exponent += 1.0;
    }
    // ln f = 2 artanh((f − 1) / (f + 1)), whose argument is below 0.172 here.
    let s = (fraction - 1.0) / (fraction + 1.0);
    let mut sum = 0.0;
    for power in (0..12).rev() {
        sum = sum * s * s + 1.0 / f64::from(2 * power + 1);
    }
    exponent * std::f64::consts::LN_2 + 2.0 * s * sum
}

/// e^x for x ≤ 0; 0 below −700.
pub(crate) fn exp(x: f64) -> f64 {
    if x < -700.0 {
        return 0.0;
    }
    let twos = (x / std::f64::consts::LN_2).round();
    let rest = x - twos * std::f64::consts::LN_2;
    let mut sum = 1.0;
    for n in (1..16).rev() {
        sum = 1.0 + sum * rest / f64::from(n);
    }
    let scale = f64::from_bits(((1_023.0 + twos) as u64) << 52);
    sum * scale
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(seed: u64, slots: usize, batches: &[usize]) -> Vec<u64> {
        let mut reservoir = Reservoir::with_slots(seed, slots);
        let mut rows = vec![u64::MAX; slots];
        for batch in batches {
            let first = reservoir.seen();
            reservoir.offer(*batch, |row, slot| rows[slot] = first + row as u64);
        }
        rows.truncate(reservoir.held());
        rows
    }

    #[test]
    fn each_row_is_kept_as_often_as_any_other() {
        const ROWS: usize = 600;
        let mut counts = [0_f64; ROWS];
        for seed in 0..4_000 {
            for row in kept(seed, 30, &[ROWS]) {
                counts[row as usize] += 1.0;
            }
        }
        // 4,000 samples of 30 in 600: 200 each, with variance 200 × 0.95.
        let chi: f64 = counts.iter().map(|n| (n - 200.0).powi(2) / 190.0).sum();
        // 599 degrees of freedom: 0.05 % lie above 720, and 0.05 % below 490.
        assert!((490.0..720.0).contains(&chi), "{chi}");
    }

    #[test]
    fn pairs_of_rows_are_kept_independently() {
        // Of neighbours, both are kept k(k−1)/n(n−1) of the time.
        let mut both = 0_f64;
        for seed in 0..2_000 {
            let mut rows = kept(seed, 20, &[200]);
            rows.sort_unstable();
            both += rows.windows(2).filter(|w| w[0] + 1 == w[1]).count() as f64;
        }
        let expected = 2_000.0 * 199.0 * (20.0 * 19.0) / (200.0 * 199.0);
        assert!(
            (both - expected).abs() < 5.0 * expected.sqrt(),
            "{both} {expected}"
        );
    }

    #[test]
    fn a_table_that_fits_is_kept_whole_and_in_order() {
        assert_eq!(kept(1, 10, &[3, 4]), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(kept(1, 10, &[]), [0; 0]);
        assert_eq!(kept(1, 0, &[5]), [0; 0]);
    }

    proptest! {
        #[test]
        fn how_rows_are_batched_does_not_matter(
            seed: u64, slots in 1_usize..50, batches in prop::collection::vec(0_usize..200, 0..9),
        ) {
            let whole = [batches.iter().sum()];
            prop_assert_eq!(kept(seed, slots, &batches), kept(seed, slots, &whole));
        }

        #[test]
        fn our_logarithm_is_the_logarithm(x in 1e-300_f64..1e300, small in -699.0_f64..0.0) {
            prop_assert!((ln(x) - x.ln()).abs() <= 1e-13 * x.ln().abs().max(1.0));
            prop_assert!((exp(small) / small.exp() - 1.0).abs() < 1e-12);
        }
    }
}

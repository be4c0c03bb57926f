//! Whether batches differ from each other by more than chance: sessions, retries and bursts make
//! observations that are not independent, and evidence that is not worth what it seems.

use super::experts::legendre;
use crate::packed::{Malformed, Packed, Packer, Unpacker};

/// Batches that the mean is taken over: 20 minutes of them.
const WINDOW: f32 = 256.0;
/// Batches before it is believed.
const LEAST: u32 = 64;
/// From here on counts are tempered.
const TOO_MUCH: f32 = 1.5;

/// φ, and what the next batch is compared with.
///
/// Each batch is compared with the one before, not with the reference: a shift that stays makes
/// no two neighbours differ, and must not be taken for noise. Two scores of the ranks are
/// compared (their level and their spread), each against its own variance within both batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    phi: f32,
    batches: u32,
    /// Observations of the last batch; of both scores, the mean and the mean square.
    last: [f32; 5],
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            phi: 1.0,
            batches: 0,
            last: [0.0; 5],
        }
    }
}

impl Spread {
    /// φ, once enough batches were seen: 1 when they are as different as chance makes them.
    pub fn phi(&self) -> Option<f32> {
        (self.batches >= LEAST).then_some(self.phi)
    }

    /// What evidence is raised to: 1 / φ where φ is above 1.5, and else 1.
    pub(super) fn power(&self) -> f64 {
        let too_much = self.phi().filter(|phi| *phi > TOO_MUCH);
        too_much.map_or(1.0, |phi| 1.0 / f64::from(phi))
    }

    pub(super) fn add(&mut self, counts: &[u64]) {
        let own = figures(counts);
        let [n, rest @ ..] = own;
        let [m, last @ ..] = self.last;
        self.last = own;
        if m <= 0.0 || n <= 0.0 {
            return;
        }
        let (mut sum, mut found) = (0.0, 0.0);
        for (own, other) in rest.as_chunks::<2>().0.iter().zip(last.as_chunks::<2>().0) {
            let ([mean, square], [other, other_square]) = (*own, *other);
            let middle = (n * mean + m * other) / (n + m);
            let within = (n * square + m * other_square) / (n + m) - middle * middle;
            let variance = within * (n + m) / (n + m - 1.0);
            if variance > 1e-6 {
                sum += (mean - other).powi(2) / (1.0 / n + 1.0 / m) / variance;
                found += 1.0;
            }
        }
        if found > 0.0 {
            self.batches = self.batches.saturating_add(1);
            let part = 1.0 / (self.batches as f32).min(WINDOW);
            self.phi += part * (sum / found - self.phi);
        }
    }
}

/// What is no number was never written: it begins anew.
impl Packed for Spread {
    fn shape(into: &mut String) {
        into.push_str("spread,");
        <(f32, u32)>::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        let Self { phi, batches, last } = self;
        phi.pack(to);
        batches.pack(to);
        last.iter().for_each(|x| x.pack(to));
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let (phi, batches) = <(f32, u32)>::unpack(from)?;
        let mut last = [0.0; 5];
        for x in &mut last {
            *x = f32::unpack(from)?;
        }
        let are_numbers = phi >= 0.0 && phi.is_finite() && last.iter().all(|x| x.is_finite());
        Ok(match are_numbers {
            true => Self { phi, batches, last },
            false => Self::default(),
        })
    }
}

/// How many there are, and of both scores the mean and the mean square.
fn figures(counts: &[u64]) -> [f32; 5] {
    let bins = counts.len().max(1);
    let mut sums = [0.0_f64; 5];
    let [n, level, level_squared, spread, spread_squared] = &mut sums;
    for (bin, count) in counts.iter().enumerate() {
        let (count, rank) = (*count as f64, (bin as f64 + 0.5) / bins as f64);
        let (a, b) = (legendre(1, rank), legendre(2, rank));
        *n += count;
        *level += count * a;
        *level_squared += count * a * a;
        *spread += count * b;
        *spread_squared += count * b * b;
    }
    let all = n.max(1.0);
    [
        *n,
        *level / all,
        *level_squared / all,
        *spread / all,
        *spread_squared / all,
    ]
    .map(|x| x as f32)
}

#[cfg(test)]
mod tests {
    use binnacle_sketch::profile::{BINS, Ties};

    use super::*;

    /// φ after batches of 16, each value of which comes so many times.
    fn phi(times: u64, shifted_from: u64) -> f32 {
        let ties = Ties::new(3, "batches");
        let mut spread = Spread::default();
        for batch in 0..600 {
            let mut counts = [0; BINS];
            for n in 0..16 / times {
                let u = ties.at(batch * 16 + n);
                let u = if batch < shifted_from { u } else { u.powf(1.5) };
                counts[(u * BINS as f64) as usize] += times;
            }
            spread.add(&counts);
        }
        spread.phi().unwrap()
    }

    #[test]
    fn independent_values_have_1_and_repeated_ones_more() {
        assert!(
            (phi(1, u64::MAX) - 1.0).abs() < 0.25,
            "{}",
            phi(1, u64::MAX)
        );
        assert!(phi(4, u64::MAX) > 2.0, "{}", phi(4, u64::MAX));
    }

    #[test]
    fn a_shift_is_not_taken_for_noise() {
        assert!((phi(1, 300) - 1.0).abs() < 0.25, "{}", phi(1, 300));
    }

    #[test]
    fn one_value_again_and_again_has_no_spread() {
        let mut spread = Spread::default();
        for _ in 0..200 {
            spread.add(&[9, 0]);
        }
        assert_eq!((spread.phi(), spread.power()), (None, 1.0));
    }
}

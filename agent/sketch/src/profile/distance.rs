//! How far live values lie from their reference: PSI, KS and Wasserstein, each from the counts
//! of the bins, and what chance alone would show.

use super::bins::BINS;
use super::quantiles::{Quantiles, STEPS};

/// The population stability index, Σ (p − q) ln(p / q) over the bins.
///
/// With nothing changed it is distributed as (1/n + 1/m) χ² with one degree of freedom less than
/// there are bins (Yurdakul 2018): what it shows by chance depends on both sizes, and a fixed
/// threshold on it is wrong for almost all of them.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Psi {
    /// The index.
    pub value: f64,
    /// What chance alone stays above in 39 of 40 comparisons.
    pub chance_low: f64,
    /// What chance alone stays below in 39 of 40 comparisons.
    pub chance_high: f64,
}

/// The greatest difference between the two distributions, at the edges of the bins: at most
/// what all values would show.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Ks {
    /// The difference, from 0 to 1.
    pub value: f64,
    /// What chance alone stays below in 19 of 20 comparisons.
    pub chance_high: f64,
}

/// Of the reference's shares against live counts of bins, `m` reference values behind the
/// shares. `None` without live or reference values.
///
/// A share of nothing stands for half a value: without it one empty bin would make the index
/// infinite.
pub fn psi(shares: &[f64; BINS], m: u32, counts: &[f64; BINS]) -> Option<Psi> {
    let n = sum(counts);
    if n <= 0.0 || m == 0 {
        return None;
    }
    let m = f64::from(m);
    let mut value = 0.0;
    let mut open = 0.0_f64;
    for (share, count) in shares.iter().zip(counts) {
        if *share <= 0.0 && *count <= 0.0 {
            continue;
        }
        let p = share.max(0.5 / (m + 1.0));
        let q = (count / n).max(0.5 / n);
        value += (p - q) * (p / q).ln();
        open += 1.0;
    }
    let scale = 1.0 / n + 1.0 / m;
    let chance = |z| scale * chi_square((open - 1.0).max(0.0), z);
    Some(Psi {
        value,
        chance_low: chance(-TAIL_40),
        chance_high: chance(TAIL_40),
    })
}

/// Of the same.
pub fn ks(shares: &[f64; BINS], m: u32, counts: &[f64; BINS]) -> Option<Ks> {
    /// √(−ln(0.05 / 2) / 2): Smirnov's limit at 5 %.
    const LIMIT: f64 = 1.358_102;
    let n = sum(counts);
    if n <= 0.0 || m == 0 {
        return None;
    }
    let mut apart = 0.0;
    let mut value = 0.0_f64;
    for (share, count) in shares.iter().zip(counts) {
        apart += share - count / n;
        value = value.max(apart.abs());
    }
    let chance_high = (LIMIT * (1.0 / n + 1.0 / f64::from(m)).sqrt()).min(1.0);
    Some(Ks { value, chance_high })
}

/// Wasserstein's distance in units of the reference's standard deviation: how far the values
/// moved on average. Within a bin, live values are taken to lie as the reference's do, so what
/// lies beyond the reference's range counts as if it lay at its end. `None` without live values
/// or for a constant reference.
pub fn wasserstein(
    quantiles: &Quantiles,
    sd: f64,
    shares: &[f64; BINS],
    counts: &[f64; BINS],
) -> Option<f64> {
    let n = sum(counts);
    if n <= 0.0 || sd <= 0.0 {
        return None;
    }
    let mut apart = 0.0;
    // The area between the two distribution functions, walked along the reference's quantiles.
    let mut before = 0.0;
    let mut area = 0.0;
    let steps = STEPS / BINS;
    let mut pairs = quantiles.values().windows(2);
    for (share, count) in shares.iter().zip(counts) {
        let step = (share - count / n) / steps as f64;
        for pair in pairs.by_ref().take(steps) {
            apart += step;
            if let [low, high] = pair {
                let width = high / sd - low / sd;
                area += width * (f64::abs(before) + f64::abs(apart)) / 2.0;
            }
            before = apart;
        }
    }
    Some(area.min(f64::MAX))
}

/// Wasserstein's distance between two samples by their quantiles, in units of `sd`.
pub(crate) fn between(a: &Quantiles, b: &Quantiles, sd: f64) -> Option<f64> {
    let pairs = a.values().iter().zip(b.values());
    let apart: Vec<f64> = pairs.map(|(a, b)| (a / sd - b / sd).abs()).collect();
    let area = apart.windows(2).map(|pair| pair.iter().sum::<f64>() / 2.0);
    let area = area.sum::<f64>() / STEPS as f64;
    (sd > 0.0).then_some(area.min(f64::MAX))
}

fn sum(counts: &[f64; BINS]) -> f64 {
    counts.iter().sum()
}

/// The normal quantile that one in forty lies beyond.
const TAIL_40: f64 = 1.959_964;

/// The quantile of χ² at the normal quantile `z` (Wilson and Hilferty 1931): within 0.3 % above
/// and 1 % below for the nineteen degrees that nearly every feature has.
fn chi_square(degrees: f64, z: f64) -> f64 {
    if degrees <= 0.0 {
        return 0.0;
    }
    let part = 2.0 / (9.0 * degrees);
    degrees * (1.0 - part + z * part.sqrt()).max(0.0).powi(3)
}

#[cfg(test)]
mod tests {
    use super::super::bins::Bins;
    use super::super::tie::Ties;
    use super::*;

    const EVEN: [f64; BINS] = [0.05; BINS];

    #[test]
    fn distances_to_itself_are_nothing() {
        let counts = [50.0; BINS];
        assert!(psi(&EVEN, 1_000, &counts).unwrap().value.abs() < 1e-12);
        assert!(ks(&EVEN, 1_000, &counts).unwrap().value < 1e-12);
        assert_eq!(psi(&EVEN, 1_000, &[0.0; BINS]), None);
        assert_eq!(ks(&EVEN, 0, &counts), None);
    }

    #[test]
    fn a_known_shift_has_its_known_distances() {
        // Half of the first bin has moved to the last.
        let mut counts = [50.0; BINS];
        counts[0] = 25.0;
        counts[19] = 75.0;
        let psi = psi(&EVEN, 1_000, &counts).unwrap().value;
        let expected = 0.025 * 2.0_f64.ln() + 0.025 * 1.5_f64.ln();
        assert!((psi - expected).abs() < 1e-9, "{psi}");
        assert!((ks(&EVEN, 1_000, &counts).unwrap().value - 0.025).abs() < 1e-9);
        let mut ramp: Vec<(f64, f64)> = (1..4_000).map(|x| (f64::from(x), 0.0)).collect();
        Bins::of(&mut ramp);
        let quantiles = Quantiles::of(&ramp).unwrap();
        let moved = wasserstein(&quantiles, 1_000.0, &EVEN, &counts).unwrap();
        // A fortieth of all values moved from about 100 to about 3,900.
        assert!((moved - 0.025 * 3.8).abs() < 0.002, "{moved}");
        assert_eq!(wasserstein(&quantiles, 0.0, &EVEN, &counts), None);
    }

    #[test]
    fn the_interval_holds_what_chance_shows() {
        let (n, m) = (700_u64, 900_u64);
        let mut outside = 0;
        let mut far = 0;
        for seed in 0..2_000 {
            let ties = Ties::new(seed, "chance");
            let mut values: Vec<(f64, f64)> = (0..m).map(|at| (ties.at(at), 0.5)).collect();
            let bins = Bins::of(&mut values);
            let mut counts = [0.0; BINS];
            for at in m..m + n {
                counts[bins.bin(ties.at(at), 0.5)] += 1.0;
            }
            let psi = psi(&bins.shares(), bins.sampled(), &counts).unwrap();
            outside += u32::from(!(psi.chance_low..psi.chance_high).contains(&psi.value));
            let ks = ks(&bins.shares(), bins.sampled(), &counts).unwrap();
            far += u32::from(ks.value > ks.chance_high);
        }
        assert!(
            (60..150).contains(&outside),
            "{outside} of 2,000, 100 expected"
        );
        assert!(far < 130, "{far} of 2,000, at most 100 expected");
    }

    #[test]
    fn the_quantiles_of_chi_square_are_those_of_the_tables() {
        for (degrees, low, high) in [(19.0, 8.907, 32.852), (4.0, 0.484, 11.143)] {
            assert!((chi_square(degrees, TAIL_40) / high - 1.0).abs() < 0.01);
            assert!((chi_square(degrees, -TAIL_40) - low).abs() < 0.05);
        }
    }
}

//! The few special functions that the judgement needs: the normal distribution, and logarithms of
//! rising factorials, which are differences of lnΓ without the digits that a difference loses.

/// Factors that are multiplied rather than taken from a series: 16 counts below 10^15 are a
/// number below 10^240.
const FACTORS: f64 = 16.0;

/// ln Γ(c + n) − ln Γ(c) for c > 0 and a whole n ≥ 0: the logarithm of c (c + 1) … (c + n − 1).
///
/// Not the difference of two lnΓ: at 10⁹ counts each is 2·10¹⁰, and what they differ in would
/// be lost. Up to sixteen factors are multiplied; beyond them Stirling's series is subtracted
/// term by term (Abramowitz and Stegun 6.1.40), with a remainder below 10⁻¹⁴ from 16 on.
pub(super) fn ln_rising(c: f64, n: f64) -> f64 {
    let first = n.min(FACTORS);
    let mut product = 1.0;
    let mut factor = 0.0;
    while factor < first {
        product *= c + factor;
        factor += 1.0;
    }
    let rest = n - first;
    if rest <= 0.0 {
        return product.ln();
    }
    let c = c + first;
    let whole = c + rest;
    let series = |x: f64| {
        let square = 1.0 / (x * x);
        (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1_260.0 - square / 1_680.0))) / x
    };
    let stirling =
        (c - 0.5) * (rest / c).ln_1p() + rest * (whole.ln() - 1.0) + series(whole) - series(c);
    product.ln() + stirling
}

/// The share of a normal distribution above `z`.
pub(super) fn normal_above(z: f64) -> f64 {
    libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2) / 2.0
}

/// The `z` below which the share `p` of a normal distribution lies; for p in (0, 1).
pub(super) fn normal_quantile(p: f64) -> f64 {
    // The function is monotone and is asked for twenty values once: halving needs no start and
    // cannot go astray.
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if normal_above(-middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.025, -1.959_963_984_540_054),
            (0.999_999, 4.753_424_308_822_899),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-9, "{p}");
        }
        assert!((normal_above(4.0) / 3.167_124_183_311_992e-5 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn huge_counts_keep_their_digits() {
        // Of c (c + 1) … (c + n − 1) for n far below c: n ln c + n (n − 1) / 2c.
        let (c, n) = (1e12_f64, 1e3_f64);
        let expected = n * c.ln() + n * (n - 1.0) / (2.0 * c);
        assert!((ln_rising(c, n) - expected).abs() < 1e-10);
        assert!(ln_rising(1.0, 1e15).is_finite());
        assert_eq!(ln_rising(5.0, 0.0), 0.0);
    }

    proptest! {
        #[test]
        fn a_rising_factorial_is_its_factors(c in 1_u32..5_000, n in 0_u32..400) {
            let factors = (0..n).map(|i| f64::from(c + i).ln()).sum::<f64>();
            let found = ln_rising(f64::from(c), f64::from(n));
            prop_assert!((found - factors).abs() < 1e-11 * (1.0 + factors), "{found} {factors}");
        }
    }
}

//! The numbers of a payload against numpy's, and laws that hold for any payload.

use proptest::prelude::*;

use super::*;

/// `x = ((np.arange(60) * 37 % 101) - 50) / 8; x[x < -5] = 0`
fn values() -> Vec<f64> {
    let ramp = (0..60).map(|n| f64::from((n * 37) % 101 - 50) / 8.0);
    ramp.map(|x| if x < -5.0 { 0.0 } else { x }).collect()
}

fn of(values: &[f64], shape: &[usize]) -> [f64; NUMBERS] {
    let mut out = [0.5; NUMBERS];
    Payload::new(7, "pixels").slice(values, shape, &mut out);
    out
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs())) || (a.is_nan() && b.is_nan())
}

/// numpy 1.26.4: `x.mean()`, `x.std()`, `(x == 0).mean()`, the mean of `np.abs(np.diff(…))` over
/// both axes of `x.reshape(3, 4, 5)`, `x.size`, the entropy of `np.histogram(x, bins=64)`; and
/// `s @ x / np.sqrt(60)` with `s[p, i] = 1 - 2 * (bits(i) >> p & 1)`, the bits made in Python by
/// SplitMix64's finaliser.
#[test]
fn the_numbers_are_numpys() {
    let told = of(&values(), &[3, 4, 5]);
    let expected = [
        0.5125,
        3.117_883_563_680_124,
        0.116_666_666_666_666_67,
        4.075_268_817_204_301,
        60.0,
        5.412_699_188_035_131,
        3.840_708_484_989_021_6,
        1.775_117_367_011_732_6,
        6.035_399_047_839_891,
        -7.423_218_080_230_882,
    ];
    for ((told, expected), name) in told.iter().zip(expected).zip(NAMES) {
        assert!(near(*told, expected), "{name}: {told} {expected}");
    }
    assert!(near(told[NUMBERS - 1], 4.066_632_513_517_788));
    let squared: f64 = told[FIGURES..].iter().map(|x| x * x).sum();
    assert!(near(squared, 446.552_083_333_333_3), "{squared}");
}

/// The same figure of `np.moveaxis(x.reshape(4, 5, 3), -1, 0)`, and of `np.diff(x)`.
#[test]
fn neighbours_are_pixels_where_there_is_an_image() {
    let x = values();
    assert!(near(of(&x, &[4, 5, 3])[3], 3.599_462_365_591_398));
    for shape in [&[60][..], &[1, 60], &[60, 1], &[], &[7, 9]] {
        let told = of(&x, shape)[3];
        assert!(near(told, 4.991_525_423_728_813), "{shape:?}: {told}");
    }
    assert_eq!(of(&x, &[1, 1, 3, 4, 5]), of(&x, &[3, 4, 5]));
    assert_eq!(of(&x, &[usize::MAX, usize::MAX, 3]), of(&x, &[60]));
}

/// Python: `len(t)`, the share of characters that are `isalpha()` and above 127, `isnumeric()`,
/// `isspace()`, and the entropy of `np.bincount` of the bytes.
#[test]
fn the_numbers_of_a_text_are_pythons() {
    let mut told = [0.0; TEXTS];
    text("Überraschung: 12 Äpfel, ٣ Birnen\n".as_bytes(), &mut told);
    let expected = [
        33.0,
        0.060_606_060_606_060_61,
        0.090_909_090_909_090_91,
        0.151_515_151_515_151_52,
        4.495_906_598_484_245,
    ];
    for ((told, expected), name) in told.iter().zip(expected).zip(TEXT_NAMES) {
        assert!(near(*told, expected), "{name}: {told} {expected}");
    }
}

#[test]
fn what_a_payload_does_not_have_is_no_number() {
    let none = of(&[], &[0, 28, 28]);
    assert_eq!(none[4], 0.0);
    assert_eq!(none.iter().filter(|x| x.is_nan()).count(), NUMBERS - 1);
    let odd = of(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY], &[3]);
    assert_eq!(odd[4], 3.0);
    assert_eq!(odd.iter().filter(|x| x.is_nan()).count(), NUMBERS - 1);
    let one = of(&[3.0], &[1]);
    assert_eq!(one[..3], [3.0, 0.0, 0.0]);
    assert!(one[3].is_nan(), "one value has no neighbour");
    assert_eq!((one[4], one[5], one[6].abs()), (1.0, 0.0, 3.0));
    let mut empty = [0.5; TEXTS];
    text(b"", &mut empty);
    assert_eq!(empty[0], 0.0);
    assert!(empty[1..].iter().all(|x| x.is_nan()));
}

#[test]
fn what_is_not_finite_changes_no_other_number() {
    let mut holed = values();
    holed.extend([f64::NAN, f64::INFINITY]);
    let (told, whole) = (of(&holed, &[62]), of(&values(), &[60]));
    for at in (0..NUMBERS).filter(|at| *at != 4) {
        assert_eq!(told[at], whole[at], "{}", NAMES[at]);
    }
}

#[test]
fn fewer_projections_are_the_first_of_all() {
    let few = Payload::projecting(7, "pixels", 9);
    let mut out = [-1.0; NUMBERS];
    few.slice(&values(), &[60], &mut out);
    assert_eq!(out[..FIGURES + 9], of(&values(), &[60])[..FIGURES + 9]);
    assert_eq!(out[FIGURES + 9..], [-1.0; NUMBERS - FIGURES - 9]);
    assert_eq!(few.names().len(), FIGURES + 9);
    let most = Payload::projecting(7, "pixels", 1_000);
    assert_eq!(most.names(), NAMES);
}

#[test]
fn projections_of_noise_have_variance_one_and_are_not_each_other() {
    let noise = Ties::new(3, "noise");
    // Uniform on (−√3, √3).
    let x = |at: u64| (noise.at(at) - 0.5) * 12_f64.sqrt();
    let rounds = 400;
    let (mut squares, mut products) = (0.0, 0.0);
    for round in 0..rounds {
        let values: Vec<f64> = (0..100).map(|at| x(round * 100 + at)).collect();
        let told = of(&values, &[10, 10]);
        let own = &told[FIGURES..];
        squares += own.iter().map(|y| y * y).sum::<f64>() / PROJECTIONS as f64;
        products += own[0] * own[1];
    }
    let rounds = rounds as f64;
    assert!(
        (squares / rounds - 1.0).abs() < 0.05,
        "{}",
        squares / rounds
    );
    assert!((products / rounds).abs() < 0.2, "{}", products / rounds);
}

#[test]
fn a_tensor_past_the_limit_is_looked_at_as_far_as_that() {
    let mut payload = Payload::projecting(1, "x", 1);
    let mut out = [0.0; FIGURES + 1];
    payload.numbers((0..MOST + 5).map(|at| (at / MOST) as f64), &[], &mut out);
    assert_eq!((out[0], out[4]), (0.0, (MOST + 5) as f64));
    let mut told = [0.0; TEXTS];
    text("ä".repeat(MOST).as_bytes(), &mut told);
    assert_eq!((told[0], told[1]), (MOST as f64, 1.0));
}

/// Any numbers, more of them plain than not.
fn any_values() -> impl Strategy<Value = Vec<f64>> {
    let one = prop_oneof![4 => -1e3_f64..1e3, 1 => Just(0.0), 1 => prop::num::f64::ANY];
    prop::collection::vec(one, 0..300)
}

proptest! {
    #[test]
    fn any_tensor_has_numbers_that_are_finite_or_none(
        values in any_values(), shape in prop::collection::vec(0_usize..20, 0..5),
    ) {
        let told = of(&values, &shape);
        prop_assert!(told.iter().all(|x| x.is_nan() || x.is_finite()), "{:?}", told);
        prop_assert!(told[2].is_nan() || (0.0..=1.0).contains(&told[2]));
        prop_assert!(told[3].is_nan() || told[3] >= 0.0);
        prop_assert!(told[5].is_nan() || (0.0..=6.000_001).contains(&told[5]));
        prop_assert_eq!(told[4], values.len() as f64);
    }

    #[test]
    fn values_one_by_one_are_those_in_a_row(a in any_values(), b in any_values()) {
        let mut payload = Payload::new(7, "pixels");
        for values in [&a, &b, &a] {
            let mut out = [0.5; NUMBERS];
            payload.numbers(values.iter().copied(), &[2, 3], &mut out);
            let whole = of(values, &[2, 3]);
            prop_assert_eq!(out.map(f64::to_bits), whole.map(f64::to_bits));
        }
    }

    #[test]
    fn a_tensor_twice_as_great_has_numbers_twice_as_great(
        values in prop::collection::vec(-1e6_f64..1e6, 1..200), width in 1_usize..20,
    ) {
        let shape = [values.len() / width, width];
        let (told, twice) = (of(&values, &shape), values.iter().map(|x| 2.0 * x));
        let twice = of(&twice.collect::<Vec<_>>(), &shape);
        // Doubling is exact, and the share of zeros, the length and the entropy have no unit.
        for at in 0..NUMBERS {
            let factor = if matches!(at, 2 | 4 | 5) { 1.0 } else { 2.0 };
            prop_assert!(near(told[at] * factor, twice[at]), "{}", NAMES[at]);
        }
    }

    #[test]
    fn projections_add_up(
        pairs in prop::collection::vec((-1e3_f64..1e3, -1e3_f64..1e3), 1..200),
    ) {
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let sum: Vec<f64> = pairs.iter().map(|(a, b)| a + b).collect();
        let [a, b, sum] = [a, b, sum].map(|values| of(&values, &[]));
        for at in FIGURES..NUMBERS {
            prop_assert!((a[at] + b[at] - sum[at]).abs() < 1e-8, "{}", NAMES[at]);
        }
    }

    #[test]
    fn any_bytes_are_a_text(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut told = [0.0; TEXTS];
        text(&bytes, &mut told);
        prop_assert!(told[0] <= bytes.len() as f64);
        for share in &told[1..4] {
            prop_assert!(share.is_nan() || (0.0..=1.0).contains(share));
        }
        prop_assert!(told[4].is_nan() || (0.0..=8.000_001).contains(&told[4]));
    }
}

//! What holds of every profile.

use proptest::prelude::*;

use super::*;

const HOUR_US: i64 = 3_600_000_000;

fn field(name: &str, kind: Kind) -> Field {
    let name = name.to_owned();
    Field { name, kind }
}

/// A profile of one column of numbers, in blocks of this size.
fn numbers(values: &[f64], seed: u64, block: usize) -> Profile {
    let mut gather = Gather::new(seed, vec![field("x", Kind::Number)]).unwrap();
    for values in values.chunks(block) {
        let column = Column::Numbers { values, nulls: 0 };
        gather.block(values.len(), &[column], None);
    }
    gather.finish()
}

fn texts(values: &[Option<String>], seed: u64, hourly: bool) -> Profile {
    let mut gather = Gather::new(seed, vec![field("c", Kind::Category)]).unwrap();
    let times: Vec<i64> = (0..values.len() as i64).map(|at| at * HOUR_US).collect();
    let at = |row: usize| values[row].as_deref();
    let nulls = values.iter().filter(|text| text.is_none()).count() as u64;
    let column = Column::Texts { at: &at, nulls };
    gather.block(values.len(), &[column], hourly.then_some(&times));
    gather.finish()
}

/// The profile, having been written and read.
fn kept(profile: &Profile) -> &Feature {
    let bytes = profile.encode();
    assert_eq!(Profile::decode(&bytes).as_ref(), Ok(profile));
    assert_eq!(profile.digest(), Profile::decode(&bytes).unwrap().digest());
    &profile.features[0]
}

fn distances(comparisons: &[Comparison]) -> Distances {
    let Compared::Distances(distances) = &comparisons[0].compared else {
        panic!("{comparisons:?}");
    };
    (**distances).clone()
}

fn found(feature: &Feature) -> &Numbers {
    let Found::Numbers(numbers) = &feature.found else {
        panic!("{feature:?}");
    };
    numbers
}

#[test]
fn a_column_of_nothing_has_nothing() {
    for values in [&[][..], &[f64::NAN; 5], &[f64::INFINITY, f64::NEG_INFINITY]] {
        let profile = numbers(values, 1, 10);
        let feature = kept(&profile);
        assert_eq!(feature.found, Found::Nothing);
        assert_eq!(feature.not_finite, values.len() as u64);
        assert!(rows(&profile, 20)[0].bars.is_empty());
        assert_eq!(compare(&profile, &profile)[0].compared, Compared::Empty);
    }
    let none = texts(&[None, None], 1, true);
    assert_eq!(
        (kept(&none).nulls, &kept(&none).found),
        (2, &Found::Nothing)
    );
}

#[test]
fn nulls_nans_and_infinities_are_told_apart_from_values() {
    let mut gather = Gather::new(1, vec![field("x", Kind::Number)]).unwrap();
    let values = [1.0, f64::NAN, f64::NAN, f64::INFINITY, -1e308];
    gather.block(
        5,
        &[Column::Numbers {
            values: &values,
            nulls: 1,
        }],
        None,
    );
    let profile = gather.finish();
    let feature = kept(&profile);
    assert_eq!(
        (feature.nulls, feature.not_finite, feature.sampled()),
        (1, 2, 2)
    );
    let found = found(feature);
    assert_eq!((found.min, found.max), (-1e308, 1.0));
}

#[test]
fn one_row_is_a_reference_of_one() {
    let profile = numbers(&[7.0], 1, 10);
    let feature = kept(&profile);
    assert_eq!(feature.sampled(), 1);
    assert_eq!(feature.bins().unwrap().gaps().iter().sum::<u32>(), 2);
    assert_eq!(found(feature).sd, 0.0);
    let mut counts = Counts::default();
    feature.number(&mut counts, 8.0, 0.5);
    feature.number(&mut counts, 6.0, 0.5);
    feature.number(&mut counts, f64::NAN, 0.5);
    feature.category(&mut counts, b"7", 0.5);
    assert_eq!((counts.over, counts.under, counts.missing), (1, 1, 2));
    assert_eq!(counts.binned(), 2);
}

#[test]
fn a_constant_column_has_bins_and_no_distance_in_deviations() {
    let profile = numbers(&[1e308; 3_000], 1, 1_000);
    let other = numbers(&[1e308; 500], 2, 1_000);
    let Distances {
        psi, wasserstein, ..
    } = distances(&compare(&profile, &other));
    assert!(psi.value < psi.chance_high, "{psi:?}");
    assert!(wasserstein.is_none_or(|moved| moved < 1e-9));
    kept(&profile);
}

#[test]
fn text_that_never_comes_again_has_no_bins() {
    let texts = texts(
        &(0..3_000)
            .map(|n| Some(format!("id-{n}")))
            .collect::<Vec<_>>(),
        1,
        false,
    );
    let feature = kept(&texts);
    assert_eq!(feature.kind, Kind::Text);
    assert_eq!(feature.bins(), None);
}

#[test]
fn a_numeric_feature_takes_8_kb_and_a_categorical_one_16() {
    let size = |feature: &Feature| {
        let mut bytes = Vec::new();
        feature.put(&mut bytes);
        bytes.len()
    };
    let rows = ROWS;
    let ties = Ties::new(1, "any");
    let values: Vec<f64> = (0..rows as u64).map(|at| ties.at(at) * 1e9).collect();
    let times: Vec<i64> = (0..rows as i64).map(|at| at * HOUR_US / 3).collect();
    let text = |at: usize| format!("{:<70}", ties.bits(at as u64) % 400);
    let texts: Vec<String> = (0..rows).map(text).collect();
    let long = |letter: &str| letter.repeat(FEATURE_NAME_BYTES);
    let fields = vec![
        field(&long("n"), Kind::Number),
        field(&long("c"), Kind::Category),
    ];
    let mut gather = Gather::new(1, fields).unwrap();
    let at = |row: usize| texts.get(row).map(String::as_str);
    let columns = [
        Column::Numbers {
            values: &values,
            nulls: 0,
        },
        Column::Texts { at: &at, nulls: 0 },
    ];
    gather.block(rows, &columns, Some(&times));
    let profile = gather.finish();
    kept(&profile);
    let [number, category] = &profile.features[..] else {
        panic!("two")
    };
    assert!(number.hours.is_some() && category.hours.is_some());
    assert_eq!(category.kind, Kind::Category);
    assert!(size(number) <= 8 << 10, "{}", size(number));
    assert!(size(category) <= 16 << 10, "{}", size(category));
}

#[test]
fn fresh_values_fall_into_each_bin_as_promised_also_for_a_tiny_reference() {
    // m = 7, many equal values: over many references, each gap is hit equally often.
    const ROUNDS: u64 = 40_000;
    let mut counts = [0_f64; BINS];
    for seed in 0..ROUNDS {
        let ties = Ties::new(seed, "rows");
        let value = |at: u64| (ties.at(at) * 3.0).floor();
        let values: Vec<f64> = (0..7).map(value).collect();
        let profile = numbers(&values, seed, 10);
        let bins = profile.features[0].bins().unwrap();
        counts[bins.bin(value(7), Ties::new(seed, "live").at(0))] += 1.0;
    }
    let bins = numbers(&[0.0; 7], 1, 10);
    let shares = bins.features[0].bins().unwrap().shares();
    let mut chi = 0.0;
    for (count, share) in counts.iter().zip(shares) {
        if share == 0.0 {
            assert_eq!(*count, 0.0);
        } else {
            let expected = share * ROUNDS as f64;
            chi += (count - expected).powi(2) / expected;
        }
    }
    // 7 degrees of freedom: 24.3 is passed once in a thousand.
    assert!(chi < 24.3, "{chi} {counts:?}");
}

#[test]
fn a_shift_is_seen_and_its_size_told() {
    let ties = Ties::new(9, "normal");
    let normal = |at: u64| (0..12).map(|n| ties.at(at * 12 + n)).sum::<f64>() - 6.0;
    let reference: Vec<f64> = (0..20_000).map(normal).collect();
    let moved: Vec<f64> = (20_000..30_000).map(|at| normal(at) + 0.5).collect();
    let (reference, moved) = (numbers(&reference, 1, 4_096), numbers(&moved, 2, 4_096));
    let Distances {
        psi,
        ks,
        wasserstein,
        ..
    } = distances(&compare(&reference, &moved));
    assert!((psi.value - 0.25).abs() < 0.03, "{psi:?}");
    assert!(psi.chance_high < 0.006, "{psi:?}");
    assert!((ks.value - 0.197).abs() < 0.015, "{ks:?}");
    assert!((wasserstein.unwrap() - 0.5).abs() < 0.03, "{wasserstein:?}");
    let feature = &reference.features[0];
    let mut counts = Counts::default();
    for at in 30_000..40_000 {
        feature.number(&mut counts, normal(at) + 0.5, ties.at(at + 1_000_000));
    }
    let (counts, found) = (counts.bins.map(|n| n as f64), found(feature));
    let shares = found.bins.shares();
    let moved = super::wasserstein(&found.quantiles, found.sd, &shares, &counts).unwrap();
    assert!((moved - 0.5).abs() < 0.04, "{moved}");
    let live = super::psi(&shares, found.bins.sampled(), &counts).unwrap();
    assert!((live.value - psi.value).abs() < 0.03, "{live:?}");
}

#[test]
fn a_lost_category_is_seen() {
    let text = |n: usize, lost: bool| match n % 10 {
        0 if lost => "b",
        0 => "a",
        1..4 => "b",
        _ => "c",
    };
    let all = |lost| {
        (0..5_000)
            .map(|n| Some(text(n, lost).to_owned()))
            .collect::<Vec<_>>()
    };
    let (whole, without) = (texts(&all(false), 1, true), texts(&all(true), 1, false));
    let back = compare(&without, &whole);
    let unseen = distances(&back).unseen.unwrap();
    assert!((unseen - 0.1).abs() < 0.01);
    let there = compare(&whole, &without);
    let Distances { psi, ks, .. } = distances(&there);
    assert!(psi.value > 10.0 * psi.chance_high, "{psi:?}");
    assert!((ks.value - 0.1).abs() < 0.02, "{ks:?}");
}

fn arbitrary() -> impl Strategy<Value = Vec<f64>> {
    let usual = prop_oneof![
        4 => -1e3_f64..1e3,
        3 => (-3_i8..3).prop_map(f64::from),
        1 => prop::num::f64::ANY,
    ];
    prop::collection::vec(usual, 0..300)
}

proptest! {
    #[test]
    fn the_same_rows_and_seed_give_the_same_bytes(values in arbitrary(), seed: u64) {
        prop_assert_eq!(numbers(&values, seed, 64).encode(), numbers(&values, seed, 64).encode());
        kept(&numbers(&values, seed, 64));
    }

    #[test]
    fn profiles_of_categories_are_read_as_they_were_written(
        values in prop::collection::vec(prop::option::of("[a-c]{0,2}"), 0..80), seed: u64,
        hourly: bool,
    ) {
        kept(&texts(&values, seed, hourly));
    }

    #[test]
    fn counts_merge_exactly_in_any_grouping(
        live in prop::collection::vec((prop::num::f64::ANY, 0.0_f64..1.0), 0..60),
        cuts in (0_usize..60, 0_usize..60), values in arbitrary(),
    ) {
        let profile = numbers(&values, 1, 100);
        let count = |part: &[(f64, f64)]| {
            let mut counts = Counts::default();
            part.iter().for_each(|(x, v)| profile.features[0].number(&mut counts, *x, *v));
            counts
        };
        let first = cuts.0.min(cuts.1).min(live.len());
        let second = cuts.0.max(cuts.1).min(live.len());
        let parts = [&live[..first], &live[first..second], &live[second..]].map(count);
        let merged = |a: &Counts, b: &Counts| {
            let mut sum = *a;
            sum.merge(b);
            sum
        };
        let left = merged(&merged(&parts[0], &parts[1]), &parts[2]);
        let right = merged(&parts[0], &merged(&parts[1], &parts[2]));
        prop_assert_eq!(left, right);
        prop_assert_eq!(left, count(&live));
        prop_assert_eq!(merged(&parts[0], &parts[1]), merged(&parts[1], &parts[0]));
    }

    #[test]
    fn changed_bytes_are_refused_or_are_another_profile(
        values in arbitrary(), at: prop::sample::Index, bit in 0_u8..8, keep: prop::sample::Index,
    ) {
        let profile = numbers(&values, 1, 100);
        let bytes = profile.encode();
        let mut changed = bytes.clone();
        let place = at.index(bytes.len());
        changed[place] ^= 1 << bit;
        if let Ok(other) = Profile::decode(&changed) {
            prop_assert_ne!(other.encode(), bytes.clone());
        }
        prop_assert!(Profile::decode(&bytes[..keep.index(bytes.len())]).is_err());
        prop_assert!(Profile::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn any_two_profiles_can_be_compared_and_drawn(a in arbitrary(), b in arbitrary()) {
        let (a, b) = (numbers(&a, 1, 100), numbers(&b, 2, 100));
        if let Compared::Distances(apart) = &compare(&a, &b)[0].compared {
            let Distances { psi, ks, wasserstein, shares, .. } = &**apart;
            prop_assert!(psi.value.is_finite() && psi.value >= 0.0);
            prop_assert!((0.0..=1.000_001).contains(&ks.value));
            prop_assert!(wasserstein.is_none_or(|moved| moved.is_finite()));
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{:?}", shares);
        }
        for bar in &rows(&a, 12)[0].bars {
            prop_assert!((0.0..=1.0).contains(&bar.share));
        }
    }
}

/// A profile that was made once is made again: it is named by its bytes.
#[test]
fn a_table_of_numbers_and_categories_has_the_bytes_that_it_always_had() {
    let fields = vec![field("x", Kind::Number), field("c", Kind::Category)];
    let mut gather = Gather::new(7, fields).unwrap();
    let ties = Ties::new(1, "any");
    for from in (0..150_000_usize).step_by(BLOCK) {
        let rows = BLOCK.min(150_000 - from);
        let values = (from..from + rows).map(|n| ties.at(n as u64));
        let values: Vec<f64> = values.collect();
        let at = |row: usize| Some(["a", "b", "c"][(from + row) * 7 % 11 % 3]);
        let times: Vec<i64> = (from..from + rows)
            .map(|n| n as i64 * HOUR_US / 9)
            .collect();
        let columns = [
            Column::Numbers {
                values: &values,
                nulls: 0,
            },
            Column::Texts { at: &at, nulls: 0 },
        ];
        gather.block(rows, &columns, Some(&times));
    }
    let past: u64 = gather
        .past()
        .iter()
        .flat_map(|past| &past.bins)
        .map(|b| u64::from(*b))
        .sum();
    let digest = gather.finish().digest();
    assert_eq!(
        (past, u64::from_le_bytes(digest[..8].try_into().unwrap())),
        (373_638, 16_823_314_648_014_208_449)
    );
}

//! What is told of images and texts is what is told of each row by itself.

use super::super::{Compared, FEATURES, Live, NO_TIME, ROWS, Ruler, compare, derived, rows_behind};
use super::*;
use crate::payload::{NAMES, TEXT_NAMES};

const SHAPE: [usize; 2] = [3, 4];

fn given(name: &str, kind: Kind) -> Given {
    let name = name.to_owned();
    Given::Feature(Field { name, kind })
}

/// Row `n` of a table of images, reviews, colours and numbers; some of each are not there.
fn image(n: usize) -> Option<Vec<f64>> {
    let ties = Ties::new(n as u64, "pixels");
    let pixels = (0..12).map(|at| (ties.at(at) * 16.0).floor() / 10.0);
    (n % 17 != 3).then(|| pixels.collect())
}

fn review(n: usize) -> Option<String> {
    (n % 13 != 5).then(|| format!("née {n} times {}", "so ".repeat(n % 7)))
}

fn colour(n: usize) -> Option<&'static str> {
    (n % 11 != 2).then_some(["red", "green", "blue"][n % 3])
}

fn gathered(rows: usize, seed: u64, times: bool) -> Gather {
    let mut gather = Gather::of(
        seed,
        vec![
            given("x", Kind::Number),
            Given::Tensor("image".into()),
            given("review", Kind::Category),
            given("colour", Kind::Category),
        ],
    )
    .unwrap();
    let mut from = 0;
    while from < rows {
        let here = BLOCK.min(rows - from);
        let all = from..from + here;
        let x: Vec<f64> = all.clone().map(|n| n as f64).collect();
        let images: Vec<_> = all.clone().map(image).collect();
        let reviews: Vec<_> = all.clone().map(review).collect();
        let image = |row: usize| images[row].as_ref().map(|it| (&it[..], &SHAPE[..]));
        let text = |row: usize| reviews[row].as_deref();
        let word = |row: usize| colour(from + row);
        let known: Vec<i64> = all
            .map(|n| if n % 5 == 0 { NO_TIME } else { n as i64 })
            .collect();
        let nulls = reviews.iter().filter(|text| text.is_none()).count() as u64;
        let columns = [
            Column::Numbers {
                values: &x,
                nulls: 0,
            },
            Column::Tensors { at: &image },
            Column::Texts { at: &text, nulls },
            Column::Texts {
                at: &word,
                nulls: 0,
            },
        ];
        gather.block(here, &columns, times.then_some(&known));
        from += here;
    }
    gather
}

/// A profile of one column of numbers, under this name.
fn plain(name: &str, seed: u64, values: &[f64]) -> Feature {
    let mut gather = Gather::of(seed, vec![given(name, Kind::Number)]).unwrap();
    for values in values.chunks(BLOCK) {
        gather.block(values.len(), &[Column::Numbers { values, nulls: 0 }], None);
    }
    gather.finish().features.remove(0)
}

#[test]
fn the_numbers_of_a_table_are_those_of_its_rows() {
    const SEED: u64 = 5;
    const COUNT: usize = 5_000;
    let profile = gathered(COUNT, SEED, false).finish();
    let bytes = profile.encode();
    assert_eq!(Profile::decode(&bytes).as_ref(), Ok(&profile));
    let names: Vec<&str> = profile.features.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names.len(), 1 + NAMES.len() + 1 + TEXT_NAMES.len() + 1);
    assert_eq!((names[1], names[38]), ("image mean", "image projection_32"));
    assert_eq!((names[39], names[40]), ("review", "review length"));
    assert_eq!(names[45], "colour", "a category is told in no numbers");

    let payload = Payload::new(SEED, "image");
    let told = |n: usize| -> [f64; NUMBERS] {
        let mut out = [f64::NAN; NUMBERS];
        if let Some(pixels) = image(n) {
            let pixels: Vec<f64> = pixels.iter().map(|x| f64::from(*x as f32)).collect();
            payload.slice(&pixels, &SHAPE, &mut out);
        }
        out
    };
    let written = |n: usize| -> [f64; NUMBERS] {
        let mut out = [f64::NAN; NUMBERS];
        if let Some(text) = review(n) {
            payload::text(text.as_bytes(), &mut out);
        }
        out
    };
    let images: Vec<_> = (0..COUNT).map(told).collect();
    let reviews: Vec<_> = (0..COUNT).map(written).collect();
    let runs = derived(&profile.features);
    assert_eq!(runs.len(), 2);
    for (run, rows) in runs.iter().zip([&images, &reviews]) {
        for (at, feature) in profile.features[run.features.clone()].iter().enumerate() {
            let values: Vec<f64> = rows.iter().map(|row| row[at]).collect();
            let alone = plain(&feature.name, SEED, &values);
            let missing = values.iter().filter(|x| x.is_nan()).count() as u64;
            assert_eq!((feature.nulls, feature.not_finite), (missing, 0));
            assert_eq!(feature.bins(), alone.bins(), "{}", feature.name);
            let (Found::Numbers(own), Found::Numbers(alone)) = (&feature.found, &alone.found)
            else {
                panic!("{feature:?}")
            };
            assert_eq!((own.min, own.max), (alone.min, alone.max));
            assert!((own.mean - alone.mean).abs() <= 1e-9 * (1.0 + own.mean.abs()));
        }
    }
}

#[test]
fn of_a_long_table_nothing_is_claimed_beyond_the_sample() {
    const COUNT: usize = 3 * ROWS;
    let profile = gathered(COUNT, 1, false).finish();
    let behind = rows_behind(&profile.features, profile.rows);
    let sampled = u64::from(profile.sampled);
    assert!((profile.rows, sampled) == (COUNT as u64, ROWS as u64));
    let runs = derived(&profile.features);
    for (at, feature) in profile.features.iter().enumerate() {
        let is_told = runs.iter().any(|run| run.features.contains(&at));
        let expected = if is_told { sampled } else { profile.rows };
        assert_eq!(behind[at], expected, "{}", feature.name);
        assert!(feature.nulls + feature.not_finite <= behind[at]);
    }
    // A seventeenth of the rows has no image, whichever were drawn.
    let missing = profile.feature("image mean").unwrap().nulls as f64 / sampled as f64;
    assert!((missing * 17.0 - 1.0).abs() < 0.06, "{missing}");
}

#[test]
fn what_is_told_beside_them_does_not_change_the_features() {
    let whole = gathered(9_000, 3, true).finish();
    let mut alone = Gather::of(3, vec![given("x", Kind::Number)]).unwrap();
    for from in (0..9_000).step_by(BLOCK) {
        let all = from..(from + BLOCK).min(9_000);
        let x: Vec<f64> = all.clone().map(|n| n as f64).collect();
        let known: Vec<i64> = all
            .map(|n| if n % 5 == 0 { NO_TIME } else { n as i64 })
            .collect();
        let column = Column::Numbers {
            values: &x,
            nulls: 0,
        };
        alone.block(x.len(), &[column], Some(&known));
    }
    let (own, alone) = (&whole.features[0], alone.finish());
    assert_eq!(Some(own), alone.feature("x"));
}

#[test]
fn the_past_has_each_feature_of_the_profile_in_its_order() {
    let gather = gathered(3_000, 2, true);
    let past = gather.past();
    let profile = gather.finish();
    assert_eq!(past.len(), profile.features.len());
    for (past, feature) in past.iter().zip(&profile.features) {
        assert_eq!(past.name, feature.name);
        let of_all = 3_000 * 3 / 10;
        let known = past.bins.len();
        assert!(
            (of_all * 7 / 10..=of_all * 8 / 10).contains(&known),
            "{known}"
        );
    }
    assert!(profile.feature("review entropy").unwrap().hours.is_some());
}

#[test]
fn a_vector_brings_the_numbers_of_its_features_unless_it_names_one_itself() {
    let profile = gathered(1_000, 1, false).finish();
    let vector = profile.of_vector(&["review", "image", "colour"]);
    let names: Vec<&str> = vector.features.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(
        (names[0], names[1], names[6]),
        ("review", "review length", "image mean")
    );
    assert_eq!((names.len(), derived(&vector.features).len()), (45, 2));
    let own = profile.of_vector(&["image", "image mean"]);
    assert_eq!(
        own.features.len(),
        1,
        "an input of that name is what is meant"
    );
    let answers = profile.of_outputs();
    let runs = derived(&answers.features);
    let parents: Vec<&str> = runs.iter().map(|run| run.parent).collect();
    assert_eq!(parents, ["output image", "output review"]);
}

#[test]
fn fresh_rows_fall_into_the_bins_as_promised_and_seldom_beyond() {
    let profile = gathered(4_000, 1, false).finish();
    let payload = Payload::new(profile.seed, "image");
    let ties = Ties::new(9, "live");
    for (at, figure) in NAMES.iter().enumerate() {
        let feature = profile.feature(&format!("image {figure}")).unwrap();
        let (ruler, mut live) = (Ruler::of(feature), Live::default());
        for n in (1 << 20..).filter(|n| n % 17 != 3).take(4_000) {
            let mut out = [f64::NAN; NUMBERS];
            let pixels = image(n).unwrap();
            let pixels: Vec<f64> = pixels.iter().map(|x| payload::single(*x)).collect();
            payload.slice(&pixels, &SHAPE, &mut out);
            ruler.number(&mut live, out[at], ties.at(n as u64));
        }
        let shares = feature.bins().unwrap().shares();
        let psi = super::super::psi(
            &shares,
            feature.sampled(),
            &live.counts.bins.map(|n| n as f64),
        );
        let psi = psi.unwrap();
        assert!(psi.value < 2.0 * psi.chance_high, "{figure} {psi:?}");
        assert!(live.counts.under + live.counts.over < 12, "{figure}");
    }
}

#[test]
fn numbers_that_are_not_told_of_the_same_are_not_compared() {
    let reference = gathered(3_000, 1, false).finish();
    let other = gathered(2_000, 2, false).finish();
    let compared = |other: &Profile| compare(&reference, other);
    let of = |all: &[super::super::Comparison], name: &str| {
        let found = all.iter().find(|one| one.name == name).unwrap();
        found.compared.clone()
    };
    let seeds = compared(&other);
    assert!(matches!(of(&seeds, "image mean"), Compared::Distances(_)));
    assert_eq!(of(&seeds, "image projection_07"), Compared::Empty);
    let mut few = other.clone();
    few.features.retain(|f| payload::parent(&f.name).is_none());
    let few = compared(&few);
    assert_eq!(
        of(&few, "review length"),
        Compared::Empty,
        "it is a category there"
    );
    assert_eq!(of(&few, "image mean"), Compared::Gone);
}

#[test]
fn a_table_of_many_texts_keeps_as_many_features_as_a_profile_can_have() {
    let many: Vec<Given> = (0..700)
        .map(|n| given(&n.to_string(), Kind::Category))
        .collect();
    let mut gather = Gather::of(1, many).unwrap();
    let texts: Vec<String> = (0..900).map(|n| format!("text {n}")).collect();
    let at = |row: usize| texts.get(row).map(String::as_str);
    let column = Column::Texts { at: &at, nulls: 0 };
    gather.block(900, &[column; 700], None);
    let profile = gather.finish();
    assert!(profile.features.len() <= FEATURES);
    assert_eq!(derived(&profile.features).len(), (FEATURES - 700) / 5);
    assert_eq!(Profile::decode(&profile.encode()).as_ref(), Ok(&profile));
}

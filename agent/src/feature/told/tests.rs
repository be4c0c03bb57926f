//! What is told of images and texts that come in adds up, and is what the reference would be told.

use std::sync::Arc;

use binnacle_sketch::payload::{NAMES, TEXT_NAMES, TEXTS};
use binnacle_sketch::profile::{Column, Field, Gather, Given, Kind, Live, Profile, Ruler, Ties};
use bytes::Bytes;
use proptest::prelude::*;

use super::super::Vector;
use super::*;

/// What breaks ties on this side.
const SEED: u64 = 3;
const SHAPE: [usize; 2] = [4, 5];
const SIZE: usize = 20;

fn pixels(n: u64) -> Vec<f64> {
    let ties = Ties::new(n, "pixels");
    (0..SIZE as u64)
        .map(|at| (ties.at(at) * 9.0).floor())
        .collect()
}

fn text(n: u64) -> String {
    format!("no {n}, née {}", "and so on ".repeat(n as usize % 5))
}

/// 600 images under this name, as many texts, and a number.
fn profile(image: &str, review: &str) -> Profile {
    let feature = |name: &str, kind| {
        let name = name.to_owned();
        Given::Feature(Field { name, kind })
    };
    let columns = vec![
        feature("age", Kind::Number),
        Given::Tensor(image.to_owned()),
        feature(review, Kind::Category),
    ];
    let mut gather = Gather::of(7, columns).unwrap();
    let ages: Vec<f64> = (0..600).map(f64::from).collect();
    let images: Vec<Vec<f64>> = (0..600).map(pixels).collect();
    let reviews: Vec<String> = (0..600).map(text).collect();
    let image = |row: usize| Some((&images[row][..], &SHAPE[..]));
    let review = |row: usize| Some(reviews[row].as_str());
    let columns = [
        Column::Numbers {
            values: &ages,
            nulls: 0,
        },
        Column::Tensors { at: &image },
        Column::Texts {
            at: &review,
            nulls: 0,
        },
    ];
    gather.block(600, &columns, None);
    gather.finish()
}

fn vector(names: &[&str]) -> Vector {
    let names: Vec<Arc<str>> = names.iter().map(|name| Arc::from(*name)).collect();
    Vector::new(&names, &profile("image", "review"), SEED)
}

fn tensor(name: &str, shape: &[i64], data: Data) -> Tensor {
    Tensor::new(name, shape.to_vec(), data).unwrap()
}

fn images(rows: Range<u64>) -> Vec<f32> {
    rows.flat_map(pixels).map(|x| x as f32).collect()
}

fn texts(rows: Range<u64>) -> Data {
    Data::Bytes(rows.map(|n| Bytes::from(text(n))).collect())
}

/// (with a bin, missing) of all that is told, which is the same of each of its numbers.
fn counted(vector: &mut Vector, parent: &str, figures: &[&str]) -> (u64, u64) {
    let taken = vector.take();
    let of = |figure: &&str| {
        let name = format!("{parent} {figure}");
        let (_, live) = taken.iter().find(|(own, _)| **own == name).unwrap();
        (live.counts.binned(), live.counts.missing)
    };
    let all: Vec<(u64, u64)> = figures.iter().map(of).collect();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
    all[0]
}

#[test]
fn a_batch_of_images_is_told_row_by_row_as_the_reference_was() {
    let mut vector = vector(&["image"]);
    for batch in [0..1, 1..33, 33..40] {
        let shape = [batch.end as i64 - batch.start as i64, 4, 5];
        let data = Data::Fp32(images(batch));
        assert_eq!(vector.count(&[tensor("image", &shape, data)]), Fit::Fits);
    }
    let profile = profile("image", "review");
    let payload = Payload::new(profile.seed, "image");
    let taken = vector.take();
    assert_eq!(taken.len(), NUMBERS);
    for (at, (name, live)) in taken.iter().enumerate() {
        let feature = profile.feature(name).unwrap();
        let (ruler, ties) = (Ruler::of(feature), Ties::new(SEED, name));
        let mut expected = Live::default();
        for n in 0..40 {
            let mut told = [f64::NAN; NUMBERS];
            payload.slice(&pixels(n), &SHAPE, &mut told);
            ruler.number(&mut expected, told[at], ties.at(n));
        }
        assert_eq!(live, &expected, "{name}");
        assert_eq!((live.counts.under, live.counts.over), (0, 0), "{name}");
    }
}

#[test]
fn every_datatype_of_numbers_comes_to_the_same() {
    let told = |data: Data| {
        let mut vector = vector(&["image"]);
        assert_eq!(
            vector.count(&[tensor("image", &[3, 4, 5], data)]),
            Fit::Fits
        );
        vector.take()
    };
    let values = images(0..3);
    let expected = told(Data::Fp32(values.clone()));
    let whole = values.iter().map(|x| *x as u8);
    let others = [
        Data::Uint8(whole.clone().collect()),
        Data::Uint16(whole.clone().map(u16::from).collect()),
        Data::Uint32(whole.clone().map(u32::from).collect()),
        Data::Uint64(whole.clone().map(u64::from).collect()),
        Data::Int8(whole.clone().map(|x| x as i8).collect()),
        Data::Int16(whole.clone().map(i16::from).collect()),
        Data::Int32(whole.clone().map(i32::from).collect()),
        Data::Int64(whole.map(i64::from).collect()),
        Data::Fp64(values.iter().map(|x| f64::from(*x)).collect()),
        Data::Bf16(values.iter().map(|x| (x.to_bits() >> 16) as u16).collect()),
    ];
    for other in others {
        let datatype = other.datatype();
        assert_eq!(told(other), expected, "{datatype:?}");
    }
}

#[test]
fn what_cannot_be_cut_into_rows_of_numbers_is_missing_and_does_not_fit() {
    let mut vector = vector(&["image"]);
    let word = || Bytes::from_static(b"jpeg");
    for (shape, data, missing) in [
        (&[8][..], Data::Bytes(vec![word(); 8]), 8),
        (&[2, 3], Data::Bytes(vec![word(); 6]), 2),
        (&[2, 2, 2], Data::Bool(vec![true; 8]), 2),
        (&[20], Data::Fp32(vec![1.0; 20]), 20),
        (&[], Data::Fp32(vec![1.0]), 1),
        (&[3, 0], Data::Fp32(vec![]), 0),
        (&[i64::MAX, 0], Data::Fp32(vec![]), 0),
        (&[0, 4, 5], Data::Fp32(vec![]), 0),
    ] {
        let fit = vector.count(&[tensor("image", shape, data)]);
        let expected = if shape.first() == Some(&0) {
            Fit::Fits
        } else {
            Fit::Unfit
        };
        assert_eq!(fit, expected, "{shape:?}");
        assert_eq!(
            counted(&mut vector, "image", &NAMES),
            (0, missing),
            "{shape:?}"
        );
    }
    let other = tensor("pixels", &[2, 4, 5], Data::Fp32(images(0..2)));
    assert_eq!(vector.count(&[other]), Fit::Unfit, "of another name");
    assert_eq!(counted(&mut vector, "image", &NAMES), (0, 2));
    // What is there and has no value counts as far as it goes.
    let nothing = tensor("image", &[2, 4, 5], Data::Fp32(vec![f32::NAN; 40]));
    assert_eq!(vector.count(&[nothing]), Fit::Fits);
    let taken = vector.take();
    let of = |name: &str| {
        taken
            .iter()
            .find(|(own, _)| &**own == name)
            .unwrap()
            .1
            .counts
    };
    assert_eq!(
        (of("image mean").missing, of("image length").binned()),
        (2, 2)
    );
}

#[test]
fn images_beside_texts_and_numbers_count_each_row_once() {
    let mut vector = vector(&["age", "image", "review"]);
    let age = || tensor("age", &[4, 1], Data::Fp32(vec![1.0, 2.0, 3.0, f32::NAN]));
    let image = || tensor("image", &[4, 4, 5], Data::Uint8(vec![7; 80]));
    let review = || tensor("review", &[4, 1], texts(0..4));
    assert_eq!(vector.count(&[review(), age(), image()]), Fit::Fits);
    let taken = vector.take();
    assert_eq!(taken.len(), 1 + NUMBERS + 1 + TEXTS);
    assert!(taken.iter().all(|(_, live)| live.values() == 4));
    // Without the image its four rows are missing, and so are those of a text that is none.
    let number = tensor("review", &[4], Data::Int64(vec![1; 4]));
    assert_eq!(vector.count(&[age(), number]), Fit::Unfit);
    let taken = vector.take();
    let missing = |parent: &str| {
        let own = taken.iter().filter(|(name, _)| name.starts_with(parent));
        own.map(|(_, live)| live.counts.missing).collect::<Vec<_>>()
    };
    assert_eq!(missing("image"), [4; NUMBERS]);
    assert_eq!(missing("review"), [4; 1 + TEXTS]);
    // In one input of rows there is no place for an image.
    let rows = tensor("x", &[2, 3], Data::Fp32(vec![0.5; 6]));
    assert_eq!(vector.count(&[rows]), Fit::Unfit);
    let taken = vector.take();
    let values: Vec<u64> = taken.iter().map(|(_, live)| live.values()).collect();
    assert_eq!(values, [2; 1 + NUMBERS + 1 + TEXTS]);
}

#[test]
fn texts_are_told_as_the_reference_was() {
    let mut vector = vector(&["review"]);
    let rows = tensor("review", &[30, 1], texts(0..30));
    assert_eq!(vector.count(&[rows]), Fit::Fits);
    let profile = profile("image", "review");
    let taken = vector.take();
    let figures = taken.iter().skip(1).zip(TEXT_NAMES).enumerate();
    assert_eq!(taken.len(), 1 + TEXTS);
    for (at, ((name, live), figure)) in figures {
        assert_eq!(**name, format!("review {figure}"));
        let (ruler, ties) = (
            Ruler::of(profile.feature(name).unwrap()),
            Ties::new(SEED, name),
        );
        let mut expected = Live::default();
        for n in 0..30 {
            let mut told = [f64::NAN; TEXTS];
            payload::text(text(n).as_bytes(), &mut told);
            ruler.number(&mut expected, told[at], ties.at(n));
        }
        assert_eq!(live, &expected, "{name}");
    }
}

#[test]
fn answers_are_told_by_the_signs_of_their_reference() {
    let profile = profile("embedding", "caption");
    let mut vector = Vector::of_outputs(&profile, SEED);
    let outputs = [
        tensor("caption", &[2], texts(0..2)),
        tensor("embedding", &[2, 4, 5], Data::Fp32(images(0..2))),
        tensor("age", &[2, 1], Data::Fp32(vec![1.0, 2.0])),
    ];
    assert_eq!(vector.count_answer(&outputs), Fit::Fits);
    let taken = vector.take();
    let names: Vec<&str> = taken.iter().map(|(name, _)| &**name).collect();
    let of_hub = profile.clone().of_outputs();
    let of_hub: Vec<&str> = of_hub
        .features
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, of_hub, "both sides call them alike");
    assert!(taken.iter().all(|(_, live)| live.counts.binned() == 2));
    assert!(
        taken
            .iter()
            .all(|(_, live)| live.counts.under + live.counts.over == 0)
    );
    assert_eq!(vector.count_answer(&outputs[..1]), Fit::Unfit);
}

#[test]
fn what_the_reference_does_not_have_is_neither_watched_nor_a_fault() {
    let mut vector = vector(&["sound"]);
    let sound = tensor("sound", &[2, 16_000], Data::Fp32(vec![0.0; 32_000]));
    assert_eq!(vector.count(&[sound]), Fit::Fits);
    assert!(vector.take().is_empty());
}

proptest! {
    #[test]
    fn whatever_comes_each_number_counts_as_many_rows_as_any_other(
        shape in prop::collection::vec(0_i64..5, 0..5), kind in 0..4,
    ) {
        let values = shape.iter().product::<i64>() as usize;
        let data = match kind {
            0 => Data::Fp32(vec![0.5; values]),
            1 => Data::Uint8((0..values).map(|n| n as u8).collect()),
            2 => Data::Bytes(vec![Bytes::new(); values]),
            _ => Data::Bool(vec![true; values]),
        };
        let mut vector = vector(&["image"]);
        let input = tensor("image", &shape, data);
        let rows = rows(&input) as u64;
        let fit = vector.count(&[input]);
        let taken = vector.take();
        prop_assert!(taken.iter().all(|(_, live)| live.values() == rows));
        if fit == Fit::Unfit {
            prop_assert!(taken.iter().all(|(_, live)| live.counts.binned() == 0));
        }
    }
}

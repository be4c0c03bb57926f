//! Tensors: lists of numbers in Parquet and JSON lines, the same whatever they were stored as.

use std::sync::Arc;

use arrow_array::builder::{
    FixedSizeListBuilder, Float32Builder, Int64Builder, LargeListBuilder, ListBuilder,
    PrimitiveBuilder, StringBuilder, UInt8Builder,
};
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use binnacle_data::{DataError, Registered, TENSOR_VALUES, Type};
use binnacle_sketch::Payload;
use binnacle_sketch::payload::{NAMES, NUMBERS};
use binnacle_sketch::profile::{Found, derived};
use parquet::basic::Compression;
use sha2::{Digest as _, Sha256};

use super::files::{Folder, parquet};

const ROWS: usize = 5_000;

/// Row `n`: an image of 2 × 3, or none.
fn image(n: usize) -> Option<[[f32; 3]; 2]> {
    let pixel = |at: usize| ((n * 31 + at * 17) % 101) as f32 / 4.0;
    (n % 9 != 4).then(|| {
        [
            [pixel(0), pixel(1), pixel(2)],
            [pixel(3), pixel(4), pixel(5)],
        ]
    })
}

fn images() -> ArrayRef {
    let mut images = ListBuilder::new(ListBuilder::new(Float32Builder::new()));
    for n in 0..ROWS {
        let image = image(n);
        for line in image.iter().flatten() {
            images.values().values().append_slice(line);
            images.values().append(true);
        }
        images.append(image.is_some());
    }
    Arc::new(images.finish())
}

fn json(changed: Option<usize>) -> Vec<u8> {
    let mut out = String::new();
    for n in 0..ROWS {
        let mut image = image(n);
        if let (Some(image), true) = (&mut image, changed == Some(n)) {
            image[1][2] += 0.25;
        }
        let image = image.map_or("null".into(), |image| format!("{image:?}"));
        out += &format!("{{\"n\":{n},\"image\":{image}}}\n");
    }
    out.into_bytes()
}

fn read(name: &str, bytes: &[u8]) -> Result<Registered, DataError> {
    Folder::new().read(name, bytes)
}

fn said(name: &str, bytes: &[u8]) -> String {
    read(name, bytes).unwrap_err().to_string()
}

fn of(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    parquet(&batch, 1_300, Compression::SNAPPY)
}

#[test]
fn images_are_the_same_table_in_parquet_and_json_lines() {
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let whole = read("a.parquet", &of(vec![("n", n), ("image", images())])).unwrap();
    let lines = read("a.jsonl", &json(None)).unwrap();
    assert_eq!(whole.columns, lines.columns);
    assert_eq!(
        (whole.columns[1].kind, whole.columns[1].nulls),
        (Type::Tensor, 556)
    );
    assert_eq!(whole.digest, lines.digest);
    assert_eq!(whole.profile, lines.profile);
    let changed = read("a.jsonl", &json(Some(4_444))).unwrap();
    assert_ne!(changed.digest, whole.digest, "one value");
}

#[test]
fn the_profile_has_the_numbers_of_each_image_and_no_feature_of_its_own() {
    let table = read("a.parquet", &of(vec![("image", images())])).unwrap();
    let features = &table.profile.features;
    assert_eq!(features.len(), NUMBERS);
    let [run] = &derived(features)[..] else {
        panic!("one")
    };
    assert_eq!(run.parent, "image");
    let payload = Payload::new(table.profile.seed, "image");
    let mut means = [0.0; NUMBERS];
    let mut count = 0.0;
    for image in (0..ROWS).filter_map(image) {
        let pixels: Vec<f64> = image.as_flattened().iter().map(|x| f64::from(*x)).collect();
        let mut told = [0.0; NUMBERS];
        payload.slice(&pixels, &[2, 3], &mut told);
        means.iter_mut().zip(told).for_each(|(all, x)| *all += x);
        count += 1.0;
    }
    for ((feature, name), all) in features.iter().zip(NAMES).zip(means) {
        let Found::Numbers(found) = &feature.found else {
            panic!("{feature:?}")
        };
        assert_eq!(feature.name, format!("image {name}"));
        assert!((found.mean - all / count).abs() < 1e-9, "{name}");
        assert_eq!((feature.nulls, u64::from(feature.sampled())), (556, 4_444));
    }
    assert_eq!(table.past.len(), features.len());
}

#[test]
fn lists_of_any_kind_and_number_of_any_width_are_tensors() {
    let mut large = LargeListBuilder::new(UInt8Builder::new());
    let mut fixed = FixedSizeListBuilder::new(Int64Builder::new(), 2);
    let mut wide = ListBuilder::new(PrimitiveBuilder::<UInt64Type>::new());
    for n in 0..500_usize {
        large.values().append_slice(&[n as u8, 7]);
        large.append(true);
        fixed.values().append_slice(&[n as i64 % 256, 7]);
        fixed.append(true);
        wide.values().append_value(n as u64 % 256);
        wide.values().append_value(7);
        wide.append(true);
    }
    let columns: [ArrayRef; 3] = [
        Arc::new(large.finish()),
        Arc::new(fixed.finish()),
        Arc::new(wide.finish()),
    ];
    let digests = columns.map(|column| read("a.parquet", &of(vec![("x", column)])).unwrap().digest);
    assert!(digests[0] == digests[1] && digests[1] == digests[2]);
    // Where values are few they may stand for another shape of them.
    let flat = read("a.jsonl", b"{\"x\":[1,2,3,4]}\n").unwrap();
    let square = read("a.jsonl", b"{\"x\":[[1,2],[3,4]]}\n").unwrap();
    assert_ne!(flat.digest, square.digest, "the shape counts");
}

#[test]
fn what_is_no_tensor_is_refused_with_its_place() {
    let fine = "{\"x\":[[1,2],[3,4]]}\n";
    for (odd, why) in [
        ("[[1,2],[3]]", "its lists are not equally long"),
        ("[[1,2],3]", "its lists are not equally long"),
        ("[1,[2,3]]", "its lists are not equally long"),
        ("[[1,2],null]", "its lists are not equally long"),
        ("[[],[1]]", "its lists are not equally long"),
        ("[1,\"a\"]", "its lists hold something that is no number"),
        ("[true]", "its lists hold something that is no number"),
        ("[{}]", "its lists hold something that is no number"),
        (
            "[[[[[[[[[1]]]]]]]]]",
            "its lists lie in more than seven others",
        ),
    ] {
        let told = said("a.jsonl", format!("{fine}{{\"x\":{odd}}}\n").as_bytes());
        let expected = format!(
            "line 2, column \"x\": {why}, and a tensor is lists of numbers that are equally long: \
             mend that value, or leave the column out (--without x)"
        );
        assert_eq!(told, expected, "{odd}");
    }
    let long = vec!["1"; TENSOR_VALUES + 1].join(",");
    let told = said("a.jsonl", format!("{{\"x\":[{long}]}}\n").as_bytes());
    assert!(told.starts_with("line 1, column \"x\" holds a tensor of 8193 values, over 8192:"));
    let mut ragged = ListBuilder::new(ListBuilder::new(Int64Builder::new()));
    for lengths in [[2, 2], [2, 3]] {
        for length in lengths {
            ragged.values().values().append_slice(&vec![1; length]);
            ragged.values().append(true);
        }
        ragged.append(true);
    }
    let told = said("a.parquet", &of(vec![("x", Arc::new(ragged.finish()))]));
    assert!(
        told.starts_with("row 2, column \"x\": its lists are not equally long"),
        "{told}"
    );
    let mut long = ListBuilder::new(Int64Builder::new());
    long.values().append_slice(&vec![1; TENSOR_VALUES]);
    long.append(true);
    long.values().append_slice(&vec![1; TENSOR_VALUES + 1]);
    long.append(true);
    let told = said("a.parquet", &of(vec![("x", Arc::new(long.finish()))]));
    assert!(
        told.starts_with("row 2, column \"x\" holds a tensor of 8193 values"),
        "{told}"
    );
    let mut texts = ListBuilder::new(StringBuilder::new());
    texts.values().append_value("a");
    texts.append(true);
    let told = said("a.parquet", &of(vec![("x", Arc::new(texts.finish()))]));
    assert!(
        told.contains("is a list of texts, which is neither"),
        "{told}"
    );
    assert!(said("a.jsonl", b"{\"x\":1}\n{\"x\":[1]}\n").contains("is a list, which is neither"));
    assert!(said("a.jsonl", b"{\"x\":[1]}\n{\"x\":1}\n").contains("\"1\" is no tensor"));
}

#[test]
fn a_table_whose_numbers_could_not_be_told_apart_is_refused() {
    let told = said("a.jsonl", b"{\"x mean\":1,\"x\":[1]}\n");
    assert!(
        told.starts_with("column \"x mean\" is called as one of the numbers"),
        "{told}"
    );
    let column = |n: usize| format!("\"c{n}\":[1]");
    let many: Vec<String> = (0..54).map(column).collect();
    let told = said("a.jsonl", format!("{{{}}}\n", many.join(",")).as_bytes());
    assert!(
        told.starts_with("the table has over 2048 features"),
        "{told}"
    );
    let told = said(
        "a.jsonl",
        format!("{{\"{}\":[1]}}\n", "x".repeat(250)).as_bytes(),
    );
    assert!(told.contains("leave room"), "{told}");
}

#[test]
fn nulls_and_nothing_among_numbers_are_told_as_what_they_are() {
    let table = read(
        "a.jsonl",
        b"{\"x\":[1,null,3]}\n{\"x\":null}\n{\"x\":[]}\n{\"x\":[null]}\n{}\n",
    )
    .unwrap();
    assert_eq!((table.columns[0].nulls, table.rows), (2, 5));
    let feature = |name: &str| table.profile.feature(name).unwrap();
    assert_eq!(
        feature("x length").sampled(),
        3,
        "1,null,3 and [] and [null]"
    );
    let mean = feature("x mean");
    assert_eq!((mean.nulls, mean.not_finite, mean.sampled()), (2, 2, 1));
}

/// The definition in the crate's documentation, followed word by word.
#[test]
fn the_digest_of_tensors_is_the_one_that_is_defined() {
    let table = read(
        "a.jsonl",
        b"{\"x\":[[1.5,-0.0]]}\n{\"x\":null}\n{\"x\":[[],[]]}\n",
    )
    .unwrap();
    let hash = |parts: &[&[u8]]| Sha256::digest(parts.concat());
    let side = |n: u32| n.to_le_bytes();
    let shapes = [&[2][..], &side(1), &side(2), &[0], &[2], &side(2), &side(0)].concat();
    let block = hash(&[
        &3_u32.to_le_bytes(),
        &[1, 0b010],
        &shapes,
        &1.5_f64.to_le_bytes(),
        &0_f64.to_le_bytes(),
    ]);
    let x = hash(&[&1_u32.to_le_bytes(), b"x", &[5], &block]);
    let all = [
        &b"binnacle table 1\n"[..],
        &3_u64.to_le_bytes(),
        &1_u32.to_le_bytes(),
        &x,
    ];
    assert_eq!(table.digest[..], hash(&all)[..]);
}

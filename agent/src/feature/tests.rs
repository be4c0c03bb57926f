//! Features out of requests: every value counted, where it lies or as missing.

use binnacle_sketch::profile::{Column, Field, Gather, Kind};
use bytes::Bytes;

use super::*;

/// `a` in [0, 1), the word `b`, and a column that no vector names.
fn profile() -> Profile {
    let fields = [
        ("a", Kind::Number),
        ("b", Kind::Category),
        ("label", Kind::Integer),
    ];
    let fields = fields.map(|(name, kind)| Field {
        name: name.into(),
        kind,
    });
    let mut gather = Gather::new(7, fields.to_vec()).unwrap();
    let a: Vec<f64> = (0..1_000).map(|n| f64::from(n) / 1_000.0).collect();
    let word = |row: usize| Some(["red", "green"][row % 2]);
    let label: Vec<f64> = (0..1_000).map(|n| f64::from(n % 2)).collect();
    let number = |values| Column::Numbers { values, nulls: 0 };
    let words = Column::Texts {
        at: &word,
        nulls: 0,
    };
    gather.block(1_000, &[number(&a), words, number(&label)], None);
    gather.finish()
}

fn vector(names: &[&str]) -> Vector {
    let names: Vec<Arc<str>> = names.iter().map(|name| Arc::from(*name)).collect();
    Vector::new(&names, &profile(), 3)
}

fn tensor(name: &str, shape: &[i64], data: Data) -> Tensor {
    Tensor::new(name, shape.to_vec(), data).unwrap()
}

/// (with a bin, missing) of each watched feature.
fn counted(vector: &mut Vector) -> Vec<(u64, u64)> {
    let taken = vector.take();
    let counts = taken.iter().map(|(_, live)| &live.counts);
    counts
        .map(|counts| (counts.binned(), counts.missing))
        .collect()
}

#[test]
fn rows_and_columns_come_to_the_same() {
    let mut rows = vector(&["a", "other", "a2"]);
    let data = Data::Fp64(vec![0.1, 9.0, 0.0, 0.2, 9.0, 0.0]);
    assert_eq!(rows.count(&[tensor("x", &[2, 3], data)]), Fit::Fits);
    assert_eq!(
        counted(&mut rows),
        [(2, 0)],
        "what the reference has not is not watched"
    );
    let mut columns = vector(&["a", "b"]);
    let a = tensor("a", &[2, 1], Data::Fp32(vec![0.1, 0.2]));
    let words = ["red", "blue"].map(|word| Bytes::from_static(word.as_bytes()));
    let b = tensor("b", &[2], Data::Bytes(words.to_vec()));
    assert_eq!(columns.count(&[b, a]), Fit::Fits);
    let taken = columns.take();
    assert_eq!(taken[1].1.counts.unseen, 1, "blue");
    assert_eq!(taken[0].1.values(), 2);
    assert_eq!(counted(&mut columns), [(0, 0), (0, 0)], "taken once");
}

#[test]
fn whatever_comes_is_counted_somewhere() {
    let mut rows = vector(&["a", "label"]);
    let wide = tensor("x", &[2, 3], Data::Fp32(vec![0.0; 6]));
    assert_eq!(rows.count(&[wide]), Fit::Unfit);
    assert_eq!(counted(&mut rows), [(0, 2), (0, 2)], "too wide");
    let not = [f32::NAN, 1.0, f32::INFINITY, 1.0];
    assert_eq!(
        rows.count(&[tensor("x", &[2, 2], Data::Fp32(not.to_vec()))]),
        Fit::Fits
    );
    assert_eq!(counted(&mut rows), [(0, 2), (2, 0)], "not finite");
    let empty = tensor("x", &[0, 2], Data::Fp32(vec![]));
    assert_eq!(rows.count(&[empty]), Fit::Fits);
    let none = tensor("x", &[3, 0], Data::Fp32(vec![]));
    assert_eq!(rows.count(&[none]), Fit::Unfit);
    assert_eq!(rows.count(&[]), Fit::Unfit);
    assert_eq!(counted(&mut rows), [(0, 0), (0, 0)]);
    let mut columns = vector(&["a", "b"]);
    let word = Data::Bytes(vec![Bytes::from_static(b"1"); 2]);
    let wrong = [
        tensor("a", &[2], word),
        tensor("extra", &[2], Data::Int64(vec![1, 2])),
    ];
    assert_eq!(columns.count(&wrong), Fit::Unfit);
    assert_eq!(
        counted(&mut columns),
        [(0, 2), (0, 2)],
        "a wrong type, and one that is missing"
    );
}

#[test]
fn every_datatype_is_read() {
    let one: [(Data, f64); 13] = [
        (Data::Bool(vec![true]), 1.0),
        (Data::Uint8(vec![7]), 7.0),
        (Data::Uint16(vec![7]), 7.0),
        (Data::Uint32(vec![7]), 7.0),
        (Data::Uint64(vec![7]), 7.0),
        (Data::Int8(vec![-7]), -7.0),
        (Data::Int16(vec![-7]), -7.0),
        (Data::Int32(vec![-7]), -7.0),
        (Data::Int64(vec![-7]), -7.0),
        (Data::Fp16(vec![0xc500]), -5.0),
        (Data::Bf16(vec![0x40a0]), 5.0),
        (Data::Fp32(vec![2.5]), 2.5),
        (Data::Fp64(vec![2.5]), 2.5),
    ];
    for (data, expected) in one {
        let mut found = Vec::new();
        each(&data, 0, 1, |value| {
            if let Value::Number(x) = value {
                found.push(x);
            }
        });
        assert_eq!(found, [expected], "{data:?}");
    }
    assert_eq!(
        (half(0x0001), half(0x7c00)),
        (2_f64.powi(-24), f64::INFINITY)
    );
    assert!(half(0x7e00).is_nan());
    assert_eq!(
        (shortened(1.0, HALF_LOST), shortened(-0.1, BRAIN_LOST)),
        (1.0, -0.10009765625)
    );
}

#[test]
fn answers_are_counted_by_their_outputs_columns() {
    let fields = ["label", "p[0]", "p[1]", "q"].map(|name| Field {
        name: name.into(),
        kind: Kind::Number,
    });
    let values: Vec<f64> = (0..500).map(|n| f64::from(n) / 500.0).collect();
    let column = || Column::Numbers {
        values: &values,
        nulls: 0,
    };
    let mut gather = Gather::new(7, fields.to_vec()).unwrap();
    gather.block(500, &[column(), column(), column(), column()], None);
    let mut vector = Vector::of_outputs(&gather.finish(), 3);
    let label = tensor("label", &[2], Data::Int64(vec![0, 1]));
    let p = tensor("p", &[2, 2], Data::Fp32(vec![0.1, 0.9, f32::NAN, 0.7]));
    let q = tensor("q", &[2, 1], Data::Fp64(vec![0.5, 0.5]));
    let other = tensor("other", &[2, 9], Data::Fp32(vec![0.0; 18]));
    let all = [other, q.clone(), p, label.clone()];
    assert_eq!(vector.count_answer(&all), Fit::Fits);
    let taken = vector.take();
    let names: Vec<&str> = taken.iter().map(|(name, _)| &**name).collect();
    let wanted = ["output label", "output p[0]", "output p[1]", "output q"];
    assert_eq!(names, wanted);
    let counts: Vec<_> = taken
        .iter()
        .map(|(_, live)| (live.counts.binned(), live.counts.missing))
        .collect();
    assert_eq!(counts, [(2, 0), (1, 1), (2, 0), (2, 0)]);
    // Without one of them, or of another width, it is not what the reference was made of.
    assert_eq!(vector.count_answer(&[q, label]), Fit::Unfit);
    let narrow = tensor("p", &[2, 1], Data::Fp32(vec![0.1, 0.9]));
    assert_eq!(vector.count_answer(&[narrow]), Fit::Unfit);
    assert_eq!(vector.count_answer(&[]), Fit::Unfit);
}

//! How two answers to one request differ: the class, and the largest difference of a number.
//!
//! Pure. Integers, booleans and text are classes. Where an answer has none of these, the class
//! of a row is the place of its largest number, and of a row of one number whether that is one
//! half or more.

use open_inference::{Data, InferResponse, Tensor};

/// Decades that differences are counted by: below 1e-9, then from 1e-9 to 1e-8, …; the last is
/// 1e6 and above, or no number.
pub const DECADES: usize = 17;
/// The exponent of the first bound.
const FIRST_DECADE: i32 = -9;

/// How two answers differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Every class is the same.
    pub same_class: bool,
    /// The largest absolute difference; infinite where one is no number, or is not there.
    pub largest: f64,
}

/// What two answers have nothing in common by.
const APART: Difference = Difference {
    same_class: false,
    largest: f64::INFINITY,
};

impl Difference {
    /// Which of the [`DECADES`] the largest difference counts in.
    pub fn decade(&self) -> usize {
        let bounds = (FIRST_DECADE..).take(DECADES - 1);
        let reached = bounds.filter(|&exponent| self.largest >= 10f64.powi(exponent));
        if self.largest.is_nan() {
            return DECADES - 1;
        }
        reached.count()
    }
}

/// How `other` differs from `one`: outputs are matched by name, and one that is missing, or has
/// another shape, has nothing in common.
pub fn compare(one: &InferResponse, other: &InferResponse) -> Difference {
    if one.outputs.len() != other.outputs.len() {
        return APART;
    }
    let has_classes = one.outputs.iter().any(|output| is_class(output.data()));
    let mut whole = Difference {
        same_class: true,
        largest: 0.0,
    };
    for output in &one.outputs {
        let same = |other: &&Tensor| other.name() == output.name();
        let Some(beside) = other.outputs.iter().find(same) else {
            return APART;
        };
        if beside.shape() != output.shape() {
            return APART;
        }
        let part = tensors(output, beside, has_classes);
        whole.same_class &= part.same_class;
        whole.largest = whole.largest.max(part.largest);
    }
    whole
}

fn tensors(one: &Tensor, other: &Tensor, has_classes: bool) -> Difference {
    if let (Data::Bytes(one), Data::Bytes(other)) = (one.data(), other.data()) {
        let same_class = one == other;
        let largest = if same_class { 0.0 } else { f64::INFINITY };
        return Difference {
            same_class,
            largest,
        };
    }
    let (Some(a), Some(b)) = (numbers(one.data()), numbers(other.data())) else {
        return if one.data() == other.data() {
            Difference {
                same_class: true,
                largest: 0.0,
            }
        } else {
            APART
        };
    };
    let apart = |(&a, &b): (&f64, &f64)| match (a.is_nan(), b.is_nan()) {
        (true, true) => 0.0,
        (false, false) if a == b => 0.0,
        (false, false) => (a - b).abs(),
        (true, false) | (false, true) => f64::INFINITY,
    };
    let largest = a.iter().zip(&b).map(apart).fold(0.0, f64::max);
    let same_class = if is_class(one.data()) {
        largest == 0.0
    } else {
        has_classes || classes(&a, columns(one)) == classes(&b, columns(other))
    };
    Difference {
        same_class,
        largest,
    }
}

/// Values in one row.
fn columns(tensor: &Tensor) -> usize {
    let shape = tensor.shape();
    let last = shape.last().filter(|_| shape.len() > 1);
    last.and_then(|&columns| usize::try_from(columns).ok())
        .map_or(1, |columns| columns.max(1))
}

/// The class of each row.
fn classes(values: &[f64], columns: usize) -> Vec<usize> {
    if columns == 1 {
        return values
            .iter()
            .map(|&value| usize::from(value >= 0.5))
            .collect();
    }
    let largest = |row: &[f64]| {
        let places = row.iter().enumerate();
        let largest = places.max_by(|(_, a), (_, b)| a.total_cmp(b));
        largest.map_or(0, |(place, _)| place)
    };
    values.chunks(columns).map(largest).collect()
}

fn is_class(data: &Data) -> bool {
    match data {
        Data::Bool(_)
        | Data::Uint8(_)
        | Data::Uint16(_)
        | Data::Uint32(_)
        | Data::Uint64(_)
        | Data::Int8(_)
        | Data::Int16(_)
        | Data::Int32(_)
        | Data::Int64(_)
        | Data::Bytes(_) => true,
        Data::Fp16(_) | Data::Fp32(_) | Data::Fp64(_) | Data::Bf16(_) => false,
    }
}

/// The values as numbers, where they are numbers that this agent reads.
pub(crate) fn numbers(data: &Data) -> Option<Vec<f64>> {
    Some(match data {
        Data::Bool(values) => values.iter().map(|&v| f64::from(u8::from(v))).collect(),
        Data::Uint8(values) => values.iter().map(|&v| f64::from(v)).collect(),
        Data::Uint16(values) => values.iter().map(|&v| f64::from(v)).collect(),
        Data::Uint32(values) => values.iter().map(|&v| f64::from(v)).collect(),
        Data::Uint64(values) => values.iter().map(|&v| v as f64).collect(),
        Data::Int8(values) => values.iter().map(|&v| f64::from(v)).collect(),
        Data::Int16(values) => values.iter().map(|&v| f64::from(v)).collect(),
        Data::Int32(values) => values.iter().map(|&v| f64::from(v)).collect(),
        Data::Int64(values) => values.iter().map(|&v| v as f64).collect(),
        Data::Fp32(values) => values.iter().map(|&v| f64::from(v)).collect(),
        Data::Fp64(values) => values.clone(),
        Data::Fp16(_) | Data::Bf16(_) | Data::Bytes(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outputs: &[(&str, &[i64], Data)]) -> InferResponse {
        let outputs = outputs
            .iter()
            .map(|(name, shape, data)| Tensor::new(*name, shape.to_vec(), data.clone()).unwrap());
        InferResponse {
            model_name: "m".into(),
            model_version: String::new(),
            id: String::new(),
            outputs: outputs.collect(),
        }
    }

    fn check(one: &[(&str, &[i64], Data)], other: &[(&str, &[i64], Data)], expected: (bool, f64)) {
        let difference = compare(&answer(one), &answer(other));
        assert_eq!(difference.same_class, expected.0, "{one:?} {other:?}");
        let near = (difference.largest - expected.1).abs() < 1e-9;
        assert!(near || difference.largest == expected.1, "{difference:?}");
    }

    #[test]
    fn classes_are_compared_as_such_and_numbers_by_how_far_they_are_apart() {
        let float = |values: &[f64]| Data::Fp64(values.to_vec());
        let scores: &[i64] = &[2, 2];
        check(
            &[("p", scores, float(&[0.9, 0.1, 0.4, 0.6]))],
            &[("p", scores, float(&[0.8, 0.2, 0.45, 0.55]))],
            (true, 0.1),
        );
        check(
            &[("p", scores, float(&[0.9, 0.1, 0.4, 0.6]))],
            &[("p", scores, float(&[0.9, 0.1, 0.6, 0.4]))],
            (false, 0.2),
        );
        check(
            &[("s", &[1], float(&[0.4]))],
            &[("s", &[1], float(&[0.6]))],
            (false, 0.2),
        );
        // A label says the class; its scores may differ.
        let labelled = |label: i64, score: f64| {
            [
                ("label", &[1][..], Data::Int64(vec![label])),
                ("p", &[1, 2][..], Data::Fp64(vec![score, 1.0 - score])),
            ]
        };
        check(&labelled(1, 0.4), &labelled(1, 0.6), (true, 0.2));
        check(&labelled(1, 0.4), &labelled(0, 0.4), (false, 1.0));
    }

    #[test]
    fn what_is_missing_or_no_number_has_nothing_in_common() {
        let one = |value: f64| [("s", &[1][..], Data::Fp64(vec![value]))];
        let infinite = f64::INFINITY;
        check(&one(1.0), &[], (false, infinite));
        check(
            &one(1.0),
            &[("t", &[1], Data::Fp64(vec![1.0]))],
            (false, infinite),
        );
        check(
            &one(1.0),
            &[("s", &[1, 1], Data::Fp64(vec![1.0]))],
            (false, infinite),
        );
        check(&one(f64::NAN), &one(f64::NAN), (true, 0.0));
        check(&one(f64::INFINITY), &one(f64::INFINITY), (true, 0.0));
        check(&one(1.0), &one(f64::NAN), (false, infinite));
        let text = |text: &'static str| [("t", &[1][..], Data::Bytes(vec![text.into()]))];
        check(&text("a"), &text("a"), (true, 0.0));
        check(&text("a"), &text("b"), (false, infinite));
    }

    #[test]
    fn differences_count_by_decade() {
        let decade = |largest: f64| {
            Difference {
                same_class: true,
                largest,
            }
            .decade()
        };
        for (largest, at) in [
            (0.0, 0),
            (9e-10, 0),
            (1e-9, 1),
            (0.05, 8),
            (0.5, 9),
            (1.0, 10),
            (9e5, 15),
            (1e6, 16),
            (f64::INFINITY, 16),
            (f64::NAN, 16),
        ] {
            assert_eq!(decade(largest), at, "{largest}");
        }
    }
}

//! Images, embeddings and free text, which have no column to be counted: each is told in numbers,
//! and each number is counted as a value of its own.
//!
//! Every row counts once in each of its numbers, with a bin or as missing. Nothing is allocated
//! for a tensor that is no longer than those before it.

use std::ops::Range;

use binnacle_sketch::payload::{self, NUMBERS, Payload};
use binnacle_sketch::profile;
use open_inference::{Data, Tensor};

use super::{Fit, Value, Watched, brain, each, half, signed, unsigned};

/// What one feature is told in.
#[derive(Debug)]
pub(super) struct Told {
    by: By,
    /// Where its numbers stand among the watched.
    numbers: Range<usize>,
    /// The shape of a row: kept to be filled again.
    shape: Vec<usize>,
}

#[derive(Debug)]
enum By {
    Tensor(Box<Payload>),
    Text,
}

impl Told {
    /// By the reference's own seed: projections are those of the reference only with its signs.
    pub(super) fn new(run: &profile::Derived<'_>, seed: u64) -> Self {
        let by = match run.told {
            profile::Told::Tensor => By::Tensor(Box::new(Payload::new(seed, run.parent))),
            profile::Told::Text => By::Text,
        };
        Self {
            by,
            numbers: run.features.clone(),
            shape: Vec::new(),
        }
    }

    /// Whether it is told of tensors, and not of texts.
    pub(super) fn is_tensor(&self) -> bool {
        match self.by {
            By::Tensor(_) => true,
            By::Text => false,
        }
    }

    /// So many rows that cannot be told.
    pub(super) fn missing(&self, watched: &mut [Watched], count: usize) {
        let own = watched.get_mut(self.numbers.clone()).unwrap_or_default();
        own.iter_mut().for_each(|one| one.missing(count));
    }

    /// Tells every `step`-th value from the `first` on; one that is no text is missing.
    pub(super) fn texts(
        &self,
        watched: &mut [Watched],
        (data, first, step): (&Data, usize, usize),
    ) {
        let mut numbers = [f64::NAN; payload::TEXTS];
        each(data, first, step, |value| match value {
            Value::Text(text) => {
                payload::text(text, &mut numbers);
                count(watched, &self.numbers, &numbers);
            }
            Value::Number(_) => self.missing(watched, 1),
        });
    }

    /// Tells each row of a tensor whose first axis is the batch. One that cannot be cut into rows
    /// of numbers is missing.
    pub(super) fn tensor(&mut self, watched: &mut [Watched], tensor: &Tensor) -> Fit {
        let By::Tensor(payload) = &mut self.by else {
            return Fit::Unfit;
        };
        let mut numbers = [f64::NAN; NUMBERS];
        self.shape.clear();
        let sides = tensor.shape().iter().skip(1);
        self.shape
            .extend(sides.map_while(|side| usize::try_from(*side).ok()));
        let size = self.shape.iter().try_fold(1_usize, |size, side| {
            let size = size.checked_mul(*side)?;
            (size > 0).then_some(size)
        });
        let batch = rows(tensor);
        let is_whole = |size: &usize| size.checked_mul(batch) == Some(tensor.data().len());
        let size = size.filter(is_whole);
        let (Some(size), true) = (size, tensor.shape().len() >= 2) else {
            self.missing(watched, batch);
            return Fit::Unfit;
        };
        for row in 0..batch {
            let own = row * size..(row + 1) * size;
            if !read(tensor.data(), own, payload, &self.shape, &mut numbers) {
                self.missing(watched, batch);
                return Fit::Unfit;
            }
            count(watched, &self.numbers, &numbers);
        }
        Fit::Fits
    }
}

/// Counts the numbers of one row.
fn count(watched: &mut [Watched], places: &Range<usize>, numbers: &[f64]) {
    let own = watched.get_mut(places.clone()).unwrap_or_default();
    for (one, x) in own.iter_mut().zip(numbers) {
        one.number(*x);
    }
}

/// Rows of an input: its first axis, where there are others behind it. Never more than its values:
/// what is said of none of them is said of nothing.
pub(super) fn rows(input: &Tensor) -> usize {
    let values = input.data().len();
    match input.shape() {
        [batch, _, ..] => usize::try_from(*batch).unwrap_or(0).min(values),
        [_] | [] => values,
    }
}

/// The numbers of a row of these values; whether they are numbers, which all rows of a tensor are
/// or none.
fn read(
    data: &Data,
    own: Range<usize>,
    payload: &mut Payload,
    shape: &[usize],
    out: &mut [f64],
) -> bool {
    macro_rules! told {
        ($values:expr, $number:expr) => {{
            let values = $values.get(own).unwrap_or_default().iter();
            payload.numbers(values.map(|x| payload::single($number(*x))), shape, out);
            true
        }};
    }
    match data {
        Data::Uint8(v) => told!(v, f64::from),
        Data::Uint16(v) => told!(v, f64::from),
        Data::Uint32(v) => told!(v, f64::from),
        Data::Uint64(v) => told!(v, unsigned),
        Data::Int8(v) => told!(v, f64::from),
        Data::Int16(v) => told!(v, f64::from),
        Data::Int32(v) => told!(v, f64::from),
        Data::Int64(v) => told!(v, signed),
        Data::Fp32(v) => told!(v, f64::from),
        Data::Fp64(v) => told!(v, f64::from),
        Data::Fp16(v) => told!(v, half),
        Data::Bf16(v) => told!(v, brain),
        Data::Bool(_) | Data::Bytes(_) => false,
    }
}

#[cfg(test)]
mod tests;

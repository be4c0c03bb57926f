//! Named feature values out of an inference request or its answer, counted against the version's
//! reference.
//!
//! A request has the features of its version's vector in one of two ways, as a registered
//! signature has: *rows*, the columns of its one input, or *columns*, an input of each feature's
//! name. Every value of every feature is counted, where it lies or as missing; what cannot be laid
//! to a feature makes the request one that does not fit. Pure: no request waits for it, and when
//! it is done is for others to say.

use std::cell::OnceCell;
use std::sync::Arc;

use binnacle_sketch::profile::{Live, OUTPUT, Profile, Ruler, Ties};
use open_inference::{Data, Datatype, Tensor};

/// Bits of a 32-bit float's fraction that 16-bit ones do not have.
const HALF_LOST: u32 = 13;
const BRAIN_LOST: u32 = 16;

/// The features of one version, and what was counted of them.
#[derive(Debug)]
pub struct Vector {
    /// Every feature of the vector in order, by name, and which of the watched it is.
    columns: Vec<(Arc<str>, Option<usize>)>,
    watched: Vec<Watched>,
}

/// One feature that the reference has.
#[derive(Debug)]
struct Watched {
    name: Arc<str>,
    exact: Ruler,
    /// For values that come in 32 bits, in 16 with a long fraction, and in 16 with a short one.
    single: OnceCell<Ruler>,
    half: OnceCell<Ruler>,
    brain: OnceCell<Ruler>,
    ties: Ties,
    /// Values so far: each has a tie-break of its own.
    values: u64,
    live: Live,
}

/// Whether a request is what its version's features make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It is.
    Fits,
    /// Something in it is no feature, or there are too many or too few of them.
    Unfit,
}

/// One value.
enum Value<'a> {
    Number(f64),
    Text(&'a [u8]),
}

impl Vector {
    /// The vector of these features, of which those that the profile has are watched. `seed` is
    /// this start's own: what breaks ties here must not be what broke them in the reference.
    pub fn new(features: &[Arc<str>], profile: &Profile, seed: u64) -> Self {
        let own = profile.of_vector(features);
        let watched = own.features.iter().map(|feature| Watched {
            name: feature.name.as_str().into(),
            exact: Ruler::of(feature),
            single: OnceCell::new(),
            half: OnceCell::new(),
            brain: OnceCell::new(),
            ties: Ties::new(seed, &feature.name),
            values: 0,
            live: Live::default(),
        });
        let watched: Vec<Watched> = watched.collect();
        let place = |name: &Arc<str>| watched.iter().position(|one| one.name == *name);
        let columns = features.iter().map(|name| (name.clone(), place(name)));
        Self {
            columns: columns.collect(),
            watched,
        }
    }

    /// The outputs that the profile has, by the names of its columns.
    pub fn of_outputs(profile: &Profile, seed: u64) -> Self {
        let names = profile.features.iter().map(|one| one.name.as_str().into());
        let names: Vec<Arc<str>> = names.collect();
        let mut vector = Self::new(&names, profile, seed);
        for one in &mut vector.watched {
            one.name = format!("{OUTPUT}{}", one.name).into();
        }
        vector
    }

    /// Counts an answer: an output of one column is the feature of its name, of several the one
    /// at place i is `NAME[i]`. Outputs that the reference does not have are nobody's business; one
    /// that it has and the answer does not makes the answer one that does not fit.
    pub fn count_answer(&mut self, outputs: &[Tensor]) -> Fit {
        let mut fit = Fit::Fits;
        for (column, place) in &self.columns {
            let Some(one) = place.and_then(|place| self.watched.get_mut(place)) else {
                continue;
            };
            match outputs.iter().find_map(|output| found(output, column)) {
                Some((data, first, step)) => one.count(data, first, step),
                None => fit = Fit::Unfit,
            }
        }
        fit
    }

    /// Counts the inputs of one request.
    pub fn count(&mut self, inputs: &[Tensor]) -> Fit {
        match inputs {
            [rows] if rows.shape().len() >= 2 => self.rows(rows),
            columns => self.columns(columns),
        }
    }

    /// The columns of one input.
    fn rows(&mut self, rows: &Tensor) -> Fit {
        let width = rows.shape().last().copied().unwrap_or(0);
        let width = usize::try_from(width).unwrap_or(0);
        if width != self.columns.len() {
            // Which value is which feature's cannot be known.
            let count = rows.data().len().checked_div(width).unwrap_or(0);
            self.watched.iter_mut().for_each(|one| one.missing(count));
            return Fit::Unfit;
        }
        for (at, (_, place)) in self.columns.iter().enumerate() {
            if let Some(one) = place.and_then(|place| self.watched.get_mut(place)) {
                one.count(rows.data(), at, width);
            }
        }
        Fit::Fits
    }

    /// An input for each feature.
    fn columns(&mut self, inputs: &[Tensor]) -> Fit {
        let named = |name: &str| inputs.iter().find(|input| input.name() == name);
        let count = inputs.iter().map(|input| input.data().len()).max();
        let mut fit = Fit::Fits;
        for (name, place) in &self.columns {
            let input = named(name);
            if input.is_none() {
                fit = Fit::Unfit;
            }
            let Some(one) = place.and_then(|place| self.watched.get_mut(place)) else {
                continue;
            };
            match input {
                Some(input) => one.count(input.data(), 0, 1),
                None => one.missing(count.unwrap_or(0)),
            }
        }
        let is_feature =
            |input: &Tensor| self.columns.iter().any(|(name, _)| **name == *input.name());
        if !inputs.iter().all(is_feature) {
            fit = Fit::Unfit;
        }
        fit
    }

    /// What was counted since it was last taken, of each watched feature, in order.
    pub fn take(&mut self) -> Vec<(Arc<str>, Live)> {
        let all = self.watched.iter_mut();
        all.map(|one| (one.name.clone(), std::mem::take(&mut one.live)))
            .collect()
    }
}

impl Watched {
    fn missing(&mut self, count: usize) {
        self.live.counts.missing += count as u64;
    }

    /// Counts every `step`-th value from the `first` on.
    fn count(&mut self, data: &Data, first: usize, step: usize) {
        let exact = &self.exact;
        let lossy = |lost| exact.rounded(|x| shortened(x, lost));
        let ruler = match data.datatype() {
            Datatype::Fp32 => self
                .single
                .get_or_init(|| exact.rounded(|x| f64::from(x as f32))),
            Datatype::Fp16 => self.half.get_or_init(|| lossy(HALF_LOST)),
            Datatype::Bf16 => self.brain.get_or_init(|| lossy(BRAIN_LOST)),
            Datatype::Bool
            | Datatype::Uint8
            | Datatype::Uint16
            | Datatype::Uint32
            | Datatype::Uint64
            | Datatype::Int8
            | Datatype::Int16
            | Datatype::Int32
            | Datatype::Int64
            | Datatype::Fp64
            | Datatype::Bytes => exact,
        };
        let (ties, values, live) = (self.ties, &mut self.values, &mut self.live);
        each(data, first, step, |value| {
            let v = ties.at(*values);
            *values += 1;
            match value {
                Value::Number(x) => ruler.number(live, x, v),
                Value::Text(text) => ruler.text(live, text, v),
            }
        });
    }
}

/// Where the values of a column lie in an output, and from one to the next.
fn found<'a>(output: &'a Tensor, column: &str) -> Option<(&'a Data, usize, usize)> {
    let width = match output.shape() {
        [_, rest @ ..] => rest.iter().product::<i64>(),
        [] => 1,
    };
    let width = usize::try_from(width).ok()?.max(1);
    let place = column.strip_prefix(output.name())?;
    let place = match (place, width) {
        ("", 1) => 0,
        (place, _) => place.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?,
    };
    (place < width).then_some((output.data(), place, width))
}

/// Hands out every `step`-th value from the `first` on.
fn each(data: &Data, first: usize, step: usize, mut to: impl FnMut(Value<'_>)) {
    macro_rules! numbers {
        ($values:expr, $number:expr) => {{
            let values = $values.iter().skip(first).step_by(step.max(1));
            values.for_each(|x| to(Value::Number($number(*x))))
        }};
    }
    match data {
        Data::Bool(v) => numbers!(v, truth),
        Data::Uint8(v) => numbers!(v, f64::from),
        Data::Uint16(v) => numbers!(v, f64::from),
        Data::Uint32(v) => numbers!(v, f64::from),
        Data::Uint64(v) => numbers!(v, unsigned),
        Data::Int8(v) => numbers!(v, f64::from),
        Data::Int16(v) => numbers!(v, f64::from),
        Data::Int32(v) => numbers!(v, f64::from),
        Data::Int64(v) => numbers!(v, signed),
        Data::Fp32(v) => numbers!(v, f64::from),
        Data::Fp64(v) => numbers!(v, f64::from),
        Data::Fp16(v) => numbers!(v, half),
        Data::Bf16(v) => numbers!(v, brain),
        Data::Bytes(v) => {
            let values = v.iter().skip(first).step_by(step.max(1));
            values.for_each(|text| to(Value::Text(text)));
        }
    }
}

fn truth(x: bool) -> f64 {
    f64::from(u8::from(x))
}

/// Past 2^53 neighbours may become one.
fn unsigned(x: u64) -> f64 {
    x as f64
}

fn signed(x: i64) -> f64 {
    x as f64
}

/// The number that these 16 bits are: the upper half of a 32-bit float.
fn brain(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

/// The number that these 16 bits are: sign, five bits of exponent, ten of fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3ff);
    match (bits >> 10) & 0x1f {
        0 => sign * fraction * 2_f64.powi(-24),
        0x1f if fraction == 0.0 => sign * f64::INFINITY,
        0x1f => f64::NAN,
        exponent => sign * (1.0 + fraction / 1024.0) * 2_f64.powi(i32::from(exponent) - 15),
    }
}

/// A number without the last `lost` bits of a 32-bit float's fraction, rounded to even.
fn shortened(x: f64, lost: u32) -> f64 {
    let bits = (x as f32).to_bits();
    let even = (bits >> lost) & 1;
    let rounded = bits.saturating_add((1 << (lost - 1)) - 1 + even);
    f64::from(f32::from_bits(rounded & !((1 << lost) - 1)))
}

#[cfg(test)]
mod tests;

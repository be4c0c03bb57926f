//! Named feature values out of an inference request or its answer, counted against the version's
//! reference.
//!
//! A request has the features of its version's vector in one of two ways, as a registered
//! signature has: *rows*, the columns of its one input, or *columns*, an input of each feature's
//! name. Every value of every feature is counted, where it lies or as missing; what cannot be laid
//! to a feature makes the request one that does not fit. Images, embeddings and free text are told
//! in numbers (`told`), which are counted as features are. Pure: no request waits for it, and
//! when it is done is for others to say.

mod told;

use std::cell::OnceCell;
use std::sync::Arc;

use binnacle_sketch::profile::{self, Live, OUTPUT, Profile, Ruler, Ties, derived};
use open_inference::{Data, Datatype, Tensor};

use self::told::{Told, rows};

/// Bits of a 32-bit float's fraction that 16-bit ones do not have.
const HALF_LOST: u32 = 13;
const BRAIN_LOST: u32 = 16;

/// The features of one version, and what was counted of them.
#[derive(Debug)]
pub struct Vector {
    /// Every feature of the vector, in order.
    columns: Vec<Column>,
    watched: Vec<Watched>,
}

/// One feature of the vector.
#[derive(Debug)]
struct Column {
    name: Arc<str>,
    /// Which of the watched it is.
    own: Option<usize>,
    /// What it is told in.
    told: Option<Told>,
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
    /// The vector of these features, of which those that the profile has are watched, and the
    /// numbers that it tells of them. `seed` is this start's own: what breaks ties here must not be
    /// what broke them in the reference.
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
        let runs = derived(&own.features);
        let told = |name: &Arc<str>| runs.iter().find(|run| *run.parent == **name);
        let columns = features.iter().map(|name| Column {
            name: name.clone(),
            own: place(name),
            told: told(name).map(|run| Told::new(run, profile.seed)),
        });
        Self {
            columns: columns.collect(),
            watched,
        }
    }

    /// The outputs that the profile has, by the names of its columns.
    pub fn of_outputs(profile: &Profile, seed: u64) -> Self {
        let mut vector = Self::new(&outputs(profile), profile, seed);
        for one in &mut vector.watched {
            one.name = format!("{OUTPUT}{}", one.name).into();
        }
        vector
    }

    /// Counts an answer: an output of one column is the feature of its name, of several the one
    /// at place i is `NAME[i]`, and one that the reference knows by its numbers is told in them.
    /// Outputs that the reference does not have are nobody's business; one that it has and the
    /// answer does not makes the answer one that does not fit.
    pub fn count_answer(&mut self, outputs: &[Tensor]) -> Fit {
        let (mut fit, watched) = (Fit::Fits, &mut self.watched);
        for column in &mut self.columns {
            if let Some(told) = column.told.as_mut().filter(|told| told.is_tensor()) {
                let output = outputs.iter().find(|output| output.name() == &*column.name);
                fit = fit.and(output.map_or(Fit::Unfit, |output| told.tensor(watched, output)));
                continue;
            }
            match outputs
                .iter()
                .find_map(|output| found(output, &column.name))
            {
                Some(values) => column.count(watched, values),
                None => fit = Fit::Unfit,
            }
        }
        fit
    }

    /// Counts the inputs of one request.
    pub fn count(&mut self, inputs: &[Tensor]) -> Fit {
        match inputs {
            [rows] if rows.shape().len() >= 2 && !self.is_alone(rows) => self.rows(rows),
            columns => self.columns(columns),
        }
    }

    /// Whether an input is the one feature, whole: a tensor, or nothing that is watched.
    fn is_alone(&self, input: &Tensor) -> bool {
        match &*self.columns {
            [one] => *one.name == *input.name() && one.own.is_none(),
            [] | [_, _, ..] => false,
        }
    }

    /// The columns of one input.
    fn rows(&mut self, rows: &Tensor) -> Fit {
        let width = rows.shape().last().copied().unwrap_or(0);
        let width = usize::try_from(width).unwrap_or(0);
        let is_tensor = |column: &Column| column.told.as_ref().is_some_and(Told::is_tensor);
        let count = match self.columns.iter().any(is_tensor) {
            // It may be one under another name, whose rows are those of its first axis.
            true => told::rows(rows),
            false => rows.data().len().checked_div(width).unwrap_or(0),
        };
        if width != self.columns.len() {
            // Which value is which feature's cannot be known.
            self.watched.iter_mut().for_each(|one| one.missing(count));
            return Fit::Unfit;
        }
        let (mut fit, watched) = (Fit::Fits, &mut self.watched);
        for (at, column) in self.columns.iter().enumerate() {
            if let Some(told) = column.told.as_ref().filter(|told| told.is_tensor()) {
                // One value is no tensor.
                told.missing(watched, count);
                fit = Fit::Unfit;
            }
            column.count(watched, (rows.data(), at, width));
        }
        fit
    }

    /// An input for each feature.
    fn columns(&mut self, inputs: &[Tensor]) -> Fit {
        let count = inputs.iter().map(rows).max().unwrap_or(0);
        let (mut fit, watched) = (Fit::Fits, &mut self.watched);
        for column in &mut self.columns {
            let Some(input) = inputs.iter().find(|input| input.name() == &*column.name) else {
                column.missing(watched, count);
                fit = Fit::Unfit;
                continue;
            };
            if let Some(told) = column.told.as_mut().filter(|told| told.is_tensor()) {
                fit = fit.and(told.tensor(watched, input));
            }
            column.count(watched, (input.data(), 0, 1));
        }
        let is_feature = |input: &Tensor| self.columns.iter().any(|one| *one.name == *input.name());
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

impl Fit {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fits, Self::Fits) => Self::Fits,
            (Self::Unfit, _) | (_, Self::Unfit) => Self::Unfit,
        }
    }
}

impl Column {
    fn missing(&self, watched: &mut [Watched], count: usize) {
        if let Some(one) = self.own.and_then(|own| watched.get_mut(own)) {
            one.missing(count);
        }
        if let Some(told) = &self.told {
            told.missing(watched, count);
        }
    }

    /// Counts every `step`-th value of some data from the `first` on, as what it is and as what it
    /// is told in. A tensor is no values.
    fn count(&self, watched: &mut [Watched], (data, first, step): (&Data, usize, usize)) {
        if let Some(one) = self.own.and_then(|own| watched.get_mut(own)) {
            one.count(data, first, step);
        }
        if let Some(told) = self.told.as_ref().filter(|told| !told.is_tensor()) {
            told.texts(watched, (data, first, step));
        }
    }
}

impl Watched {
    /// Counts one number that was told, which is the same on both sides: nothing of the reference
    /// is rounded for it.
    fn number(&mut self, x: f64) {
        let v = self.ties.at(self.values);
        self.values += 1;
        self.exact.number(&mut self.live, x, v);
    }

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

/// The outputs that a profile has: its features, and what is only told in them.
fn outputs(profile: &Profile) -> Vec<Arc<str>> {
    let runs = derived(&profile.features);
    let mut names = Vec::new();
    for (at, feature) in profile.features.iter().enumerate() {
        match runs.iter().find(|run| run.features.contains(&at)) {
            None => names.push(feature.name.as_str().into()),
            Some(run) => match run.told {
                profile::Told::Tensor if run.features.start == at => names.push(run.parent.into()),
                // A text is a feature of its own.
                profile::Told::Tensor | profile::Told::Text => {}
            },
        }
    }
    names
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

//! One payload in a few numbers: what is watched of images, embeddings and text, which have no
//! columns of their own.
//!
//! Each number is a feature like any other: a reference is made of it over a data set, live values
//! are counted against that, and nothing of the payload is kept. A number that a payload does not
//! have (the mean of nothing) is NaN, which counts as missing; none is infinite. Memory is bounded,
//! and nothing is allocated for a tensor that is no longer than those before it.

use std::f64::consts::LN_2;

use crate::profile::{Moments, Ties, ln};

/// Projections of a tensor.
pub const PROJECTIONS: usize = 32;
/// Numbers that are told of a tensor before its projections.
pub const FIGURES: usize = 6;
/// Numbers that are told of a tensor.
pub const NUMBERS: usize = FIGURES + PROJECTIONS;
/// Numbers that are told of a text.
pub const TEXTS: usize = 5;
/// Equal steps between a tensor's least and greatest value, over which its entropy is taken: few
/// enough for a small image to fill them, and enough to tell a drawing from a photograph.
pub const LEVELS: usize = 64;
/// Values of a tensor, or bytes of a text, that are looked at: 8 MB. The length counts all.
pub const MOST: usize = 1 << 20;
/// Values of a pixel at most, where they come last.
const CHANNELS: usize = 4;
/// Projections that are added up at a time: as many as registers hold.
const TOGETHER: usize = 8;
/// Values whose signs are held at a time: they stay in a core's nearest cache.
const STRETCH: usize = 256;

/// What the numbers of a tensor are called, in the order in which they are told.
///
/// - `mean`, `sd`: of its finite values; the deviation divides by their number.
/// - `zero_fraction`: of its finite values, those that are 0.
/// - `total_variation`: the mean of |a − b| over neighbours. Of an image (the last two axes are at
///   least 2 long; or the two before the last, where that is of at most 4 channels) each pixel has
///   a neighbour to the right and one below; of anything else the next value is the neighbour.
/// - `length`: all values, finite or not.
/// - `entropy`: Shannon's, in bits, of the finite values over [`LEVELS`] equal steps from the least
///   to the greatest of this tensor, so that neither unit nor brightness matters; 0 where all are
///   equal.
/// - `projection_…`: Σ sᵢxᵢ/√n over the n finite values, with signs sᵢ = ±1 drawn from the seed
///   (Achlioptas 2003): of variance 1 where the values have.
pub const NAMES: [&str; NUMBERS] = [
    "mean",
    "sd",
    "zero_fraction",
    "total_variation",
    "length",
    "entropy",
    "projection_01",
    "projection_02",
    "projection_03",
    "projection_04",
    "projection_05",
    "projection_06",
    "projection_07",
    "projection_08",
    "projection_09",
    "projection_10",
    "projection_11",
    "projection_12",
    "projection_13",
    "projection_14",
    "projection_15",
    "projection_16",
    "projection_17",
    "projection_18",
    "projection_19",
    "projection_20",
    "projection_21",
    "projection_22",
    "projection_23",
    "projection_24",
    "projection_25",
    "projection_26",
    "projection_27",
    "projection_28",
    "projection_29",
    "projection_30",
    "projection_31",
    "projection_32",
];

/// What the names of projections begin with.
pub const PROJECTION: &str = "projection_";

/// What the numbers of a text are called: its characters, of these the share of letters that are
/// not ASCII, of digits of any script and of white space, and Shannon's entropy of its bytes, in
/// bits.
pub const TEXT_NAMES: [&str; TEXTS] = [
    "length",
    "non_ascii_letters",
    "digits",
    "white_space",
    "entropy",
];

/// The parent and the figure of a feature with this name, where it can be a derived one:
/// `image projection_01` tells of `image`, and `last state mean` of `last state`.
pub fn parent(name: &str) -> Option<(&str, &'static str)> {
    let (parent, figure) = name.rsplit_once(' ')?;
    let known = NAMES.iter().chain(&TEXT_NAMES);
    let figure = known.copied().find(|known| *known == figure)?;
    (!parent.is_empty()).then_some((parent, figure))
}

/// A value of a tensor as it is told: in 32 bits, as models take it. A reference that was written
/// in 64 is told as the live values are that come in 32; what lies past them is infinite.
pub fn single(x: f64) -> f64 {
    f64::from(x as f32)
}

/// Tells the numbers of one feature's tensors. Made once, from the seed of the reference.
#[derive(Clone, Debug)]
pub struct Payload {
    signs: Ties,
    projections: usize,
    /// The tensor that is looked at: kept to be filled again.
    values: Vec<f64>,
}

impl Payload {
    /// Of the feature with this name, with all projections.
    pub fn new(seed: u64, feature: &str) -> Self {
        Self::projecting(seed, feature, PROJECTIONS)
    }

    /// The same with so many projections: the first of [`PROJECTIONS`], which are the most.
    pub fn projecting(seed: u64, feature: &str, projections: usize) -> Self {
        Self {
            signs: Ties::new(seed, feature),
            projections: projections.min(PROJECTIONS),
            values: Vec::new(),
        }
    }

    /// What is told, in order.
    pub fn names(&self) -> &'static [&'static str] {
        NAMES.get(..FIGURES + self.projections).unwrap_or(&NAMES)
    }

    /// Writes the numbers of a tensor into `out`, as many as both have. `shape` is the tensor's
    /// own, without the axis of the batch; one that does not fit its values is read as far as it
    /// does.
    pub fn numbers(
        &mut self,
        values: impl IntoIterator<Item = f64>,
        shape: &[usize],
        out: &mut [f64],
    ) {
        let mut kept = std::mem::take(&mut self.values);
        kept.clear();
        let mut length = 0_u64;
        for x in values {
            length += 1;
            if kept.len() < MOST {
                kept.push(x);
            }
        }
        self.told(&kept, length, shape, out);
        self.values = kept;
    }

    /// The same of values that lie in a row already: nothing is copied.
    pub fn slice(&self, values: &[f64], shape: &[usize], out: &mut [f64]) {
        let looked_at = values.get(..MOST).unwrap_or(values);
        self.told(looked_at, values.len() as u64, shape, out);
    }

    fn told(&self, values: &[f64], length: u64, shape: &[usize], out: &mut [f64]) {
        let mut moments = Moments::default();
        moments.add(values);
        let finite = moments.count();
        let zeros = values.iter().filter(|x| **x == 0.0).count();
        let [min, max, mean, sd] = moments.figures().unwrap_or([f64::NAN; 4]);
        let figures: [f64; FIGURES] = [
            mean,
            sd,
            zeros as f64 / finite as f64,
            variation(values, shape),
            length as f64,
            entropy(values, min, max),
        ];
        let mut sums = [0.0; PROJECTIONS];
        self.project(values, &mut sums);
        let root = (finite as f64).sqrt();
        let projections = sums.iter().take(self.projections).map(|sum| sum / root);
        for (out, x) in out.iter_mut().zip(figures.into_iter().chain(projections)) {
            *out = if x.is_finite() { x } else { f64::NAN };
        }
    }

    /// Adds up Σ sᵢxᵢ, some of the sums at a time: all at once do not fit a core's registers.
    #[allow(clippy::indexing_slicing)] // four bits name one of sixteen rows
    fn project(&self, values: &[f64], sums: &mut [f64; PROJECTIONS]) {
        let mut signs = [0_u64; STRETCH];
        let (groups, _) = sums.as_chunks_mut::<TOGETHER>();
        let used = self.projections.div_ceil(TOGETHER);
        for (stretch, values) in values.chunks(STRETCH).enumerate() {
            for (place, at) in signs.iter_mut().zip(stretch * STRETCH..) {
                *place = self.signs.bits(at as u64);
            }
            for (group, sums) in groups.iter_mut().take(used).enumerate() {
                let mut own = *sums;
                for (x, signs) in values.iter().zip(&signs) {
                    let x = if x.is_finite() { x.to_bits() } else { 0 };
                    let signs = signs >> (group * TOGETHER);
                    let rows = [signs & 15, (signs >> 4) & 15].map(|row| SIGNS[row as usize]);
                    for (sum, sign) in own.iter_mut().zip(rows.as_flattened()) {
                        *sum += f64::from_bits(x ^ sign);
                    }
                }
                *sums = own;
            }
        }
    }
}

/// Of each four bits, what turns the signs of four numbers where a bit is set.
#[allow(clippy::indexing_slicing)] // made when it is compiled: an index too far would not
const SIGNS: [[u64; 4]; 16] = {
    let mut all = [[0; 4]; 16];
    let mut row = 0;
    while row < 16 {
        let mut bit = 0;
        while bit < 4 {
            all[row][bit] = ((row as u64 >> bit) & 1) << 63;
            bit += 1;
        }
        row += 1;
    }
    all
};

/// The mean of |a − b| over neighbours, NaN without one. Neighbours that lie farther apart than a
/// number can say, or of which one is not finite, are left out.
fn variation(values: &[f64], shape: &[usize]) -> f64 {
    let (mut sum, mut pairs) = (0.0, 0_u64);
    let mut add = |a: &[f64], b: &[f64]| {
        for (a, b) in a.iter().zip(b) {
            let apart = (a - b).abs();
            let known = apart < f64::INFINITY;
            sum += if known { apart } else { 0.0 };
            pairs += u64::from(known);
        }
    };
    match image(shape, values.len()) {
        Some([height, width, channels]) => {
            let row = width * channels;
            for plane in values.chunks_exact(height * row) {
                for line in plane.chunks_exact(row) {
                    add(line, line.get(channels..).unwrap_or_default());
                }
                add(plane, plane.get(row..).unwrap_or_default());
            }
        }
        None => add(values, values.get(1..).unwrap_or_default()),
    }
    sum / pairs as f64
}

/// Height, width and the values of a pixel side by side, of a tensor of images that holds at least
/// one.
fn image(shape: &[usize], values: usize) -> Option<[usize; 3]> {
    let image = match shape {
        [.., height, width, channels] if *height > 1 && *width > 1 && *channels <= CHANNELS => {
            [*height, *width, *channels]
        }
        [.., height, width] if *height > 1 && *width > 1 => [*height, *width, 1],
        _ => return None,
    };
    let [height, width, channels] = image;
    let size = height.checked_mul(width)?.checked_mul(channels)?;
    (1..=values).contains(&size).then_some(image)
}

/// Shannon's entropy over equal steps from the least to the greatest value, which are NaN where
/// there is none.
#[allow(clippy::indexing_slicing)] // the least of it and the last step is a step
fn entropy(values: &[f64], min: f64, max: f64) -> f64 {
    // Halves: the greatest number less the least is none.
    let (low, range) = (min / 2.0, max / 2.0 - min / 2.0);
    if range.is_nan() {
        return f64::NAN;
    }
    let scale = LEVELS as f64 / range;
    let mut counts = [0_u64; LEVELS];
    for x in values.iter().filter(|x| x.is_finite()) {
        // 0 times infinity, where all are equal, is no number and becomes step 0.
        let step = ((x / 2.0 - low) * scale) as usize;
        counts[step.min(LEVELS - 1)] += 1;
    }
    bits(&counts)
}

/// Shannon's entropy of these counts, in bits; NaN of none.
fn bits(counts: &[u64]) -> f64 {
    let all = counts.iter().sum::<u64>() as f64;
    if all == 0.0 {
        return f64::NAN;
    }
    let shares = counts.iter().filter(|count| **count > 0);
    let shares = shares.map(|count| *count as f64 / all);
    // Not the platform's logarithm: a reference is named by its bytes. Of one share the sum is −0.
    shares.map(|share| -share * (ln(share) / LN_2)).sum::<f64>() + 0.0
}

/// Writes the numbers of a text into `out`, as many as both have ([`TEXT_NAMES`]). Bytes that are
/// no UTF-8 count as one character for each run that cannot be read.
#[allow(clippy::indexing_slicing)] // a byte is one of 256
pub fn text(bytes: &[u8], out: &mut [f64]) {
    let (looked_at, rest) = bytes.split_at(bytes.len().min(MOST));
    let (mut characters, mut letters, mut digits, mut white) = (0_u64, 0_u64, 0_u64, 0_u64);
    for chunk in looked_at.utf8_chunks() {
        for c in chunk.valid().chars() {
            characters += 1;
            letters += u64::from(!c.is_ascii() && c.is_alphabetic());
            digits += u64::from(c.is_numeric());
            white += u64::from(c.is_whitespace());
        }
        characters += u64::from(!chunk.invalid().is_empty());
    }
    let mut counts = [0_u64; 256];
    looked_at
        .iter()
        .for_each(|byte| counts[usize::from(*byte)] += 1);
    // Each character has one byte that does not go on with another.
    let more = rest.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    let share = |count: u64| count as f64 / characters as f64;
    let told: [f64; TEXTS] = [
        characters as f64 + more as f64,
        share(letters),
        share(digits),
        share(white),
        bits(&counts),
    ];
    for (out, x) in out.iter_mut().zip(told) {
        *out = x;
    }
}

#[cfg(test)]
mod tests;

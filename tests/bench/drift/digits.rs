//! Images of digits, as they are and shifted: their payload statistics, the streams that are made
//! of them, and what the detector finds in a stream.

use std::fs;
use std::path::Path;

use binnacle_core::drift::{Budget, Report, TICKS_A_DAY, Watch};
use binnacle_sketch::Payload;
use binnacle_sketch::payload::{FIGURES, NAMES, NUMBERS};
use binnacle_sketch::profile::{Column, Counts, Field, Gather, Kind, Profile, Ties};
use serde::Deserialize;

use super::draws::Draws;

/// Images that come in with one tick of the detector.
pub(crate) const BATCH: usize = 10;
/// What seeds of live values lie above those of references.
const LIVE: u64 = 1 << 32;
/// The parts of the test images that a shift is made to.
pub(crate) const PARTS: [f64; 3] = [0.1, 0.5, 1.0];

/// A set of images, with the numbers of each in each of its variants.
pub(crate) struct Digits {
    pub(crate) name: &'static str,
    labels: Vec<u8>,
    /// By variant, image and number.
    numbers: Vec<f64>,
    /// Images of the reference; the others are those that come in.
    reference: usize,
}

/// Which images are what in one run.
pub(crate) struct Split {
    pub(crate) reference: Vec<u32>,
    test: Vec<u32>,
}

/// A shift as Rabanser et al. (2019) make it.
pub(crate) struct Shift {
    pub(crate) name: &'static str,
    variant: u32,
    moved: Moved,
    zeros: Zeros,
}

/// How many images are of the variant.
enum Moved {
    Half,
    Part,
}

/// What becomes of the class 0.
enum Zeros {
    Stay,
    /// A part of it is gone.
    Lost,
    /// Everything else is gone.
    Alone,
}

const fn shift(name: &'static str, variant: u32, moved: Moved, zeros: Zeros) -> Shift {
    Shift {
        name,
        variant,
        moved,
        zeros,
    }
}

/// Variants as digits.py writes them: 0 plain, 1 to 3 noise, 4 to 6 images that were moved.
pub(crate) const SHIFTS: [Shift; 9] = [
    shift("noise, small", 1, Moved::Part, Zeros::Stay),
    shift("noise, medium", 2, Moved::Part, Zeros::Stay),
    shift("noise, large", 3, Moved::Part, Zeros::Stay),
    shift("image, small", 4, Moved::Part, Zeros::Stay),
    shift("image, medium", 5, Moved::Part, Zeros::Stay),
    shift("image, large", 6, Moved::Part, Zeros::Stay),
    shift("class knocked out", 0, Moved::Part, Zeros::Lost),
    shift(
        "image, medium + class knocked out",
        5,
        Moved::Half,
        Zeros::Lost,
    ),
    shift("only zeros + image, medium", 5, Moved::Part, Zeros::Alone),
];

#[derive(Deserialize)]
struct Sizes {
    images: usize,
    height: usize,
    width: usize,
    variants: Vec<String>,
}

impl Digits {
    /// Reads what digits.py wrote, and writes the numbers beside it for the peers.
    pub(crate) fn read(folder: &Path, name: &'static str) -> Self {
        let sizes = fs::read(folder.join(format!("{name}.json"))).unwrap();
        let sizes: Sizes = serde_json::from_slice(&sizes).unwrap();
        let pixels = fs::read(folder.join(format!("{name}.f32"))).unwrap();
        let shape = [sizes.height, sizes.width];
        let mut numbers = vec![0.0; sizes.variants.len() * sizes.images * NUMBERS];
        let mut payload = Payload::new(1, name);
        let images = pixels.chunks_exact(shape[0] * shape[1] * 4);
        for (image, out) in images.zip(numbers.chunks_exact_mut(NUMBERS)) {
            let pixels = image.as_chunks::<4>().0.iter();
            let pixels = pixels.map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
            payload.numbers(pixels, &shape, out);
        }
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        fs::write(folder.join(format!("{name}.f64")), bytes).unwrap();
        Self {
            name,
            labels: fs::read(folder.join(format!("{name}.u8"))).unwrap(),
            numbers,
            // Seven tenths of the one; of the other, which is small, two thirds.
            reference: if sizes.images > 2_000 { 3_500 } else { 1_197 },
        }
    }

    /// Of how many images the reference is, and how many come in without a shift.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.reference, self.labels.len() - self.reference)
    }

    /// The images of a run, drawn anew.
    pub(crate) fn split(&self, draws: &mut Draws) -> Split {
        let mut all: Vec<u32> = (0..self.labels.len() as u32).collect();
        draws.shuffle(&mut all);
        let test = all.split_off(self.reference);
        Split {
            reference: all,
            test,
        }
    }

    /// The images of a run as they come in, without a shift.
    pub(crate) fn plain(&self, split: &Split, draws: &mut Draws) -> Vec<u32> {
        let mut all = split.test.clone();
        draws.shuffle(&mut all);
        all
    }

    /// The same with a shift made to a part of them.
    pub(crate) fn shifted(
        &self,
        split: &Split,
        shift: &Shift,
        part: f64,
        draws: &mut Draws,
    ) -> Vec<u32> {
        let mut all = self.plain(split, draws);
        let is_zero = |id: &u32| self.labels[*id as usize] == 0;
        match shift.zeros {
            Zeros::Stay => {}
            Zeros::Alone => all.retain(is_zero),
            Zeros::Lost => {
                let zeros = all.iter().filter(|id| is_zero(id)).count() as f64;
                let mut lost = (zeros * part).ceil() as usize;
                all.retain(|id| {
                    let gone = is_zero(id) && lost > 0;
                    lost -= usize::from(gone);
                    !gone
                });
            }
        }
        let moved = match shift.moved {
            Moved::Half => 0.5,
            Moved::Part => part,
        };
        let moved = (all.len() as f64 * moved).ceil() as usize;
        for id in all.iter_mut().take(moved) {
            *id += shift.variant * self.labels.len() as u32;
        }
        draws.shuffle(&mut all);
        all
    }

    fn row(&self, id: u32) -> &[f64] {
        &self.numbers[id as usize * NUMBERS..][..NUMBERS]
    }
}

/// Which of the numbers are watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Watched {
    /// All of them.
    All,
    /// The projections alone.
    Projections,
}

impl Watched {
    /// The first of them.
    pub(crate) fn first(self) -> usize {
        match self {
            Self::All => 0,
            Self::Projections => FIGURES,
        }
    }
}

/// The detector with a reference, and nothing seen.
pub(crate) struct Detector<'a> {
    digits: &'a Digits,
    profile: Profile,
    watch: Watch,
    first: usize,
}

impl<'a> Detector<'a> {
    pub(crate) fn new(digits: &'a Digits, reference: &[u32], seed: u64, watched: Watched) -> Self {
        let first = watched.first();
        let field = |name: &&str| Field {
            name: (*name).to_owned(),
            kind: Kind::Number,
        };
        let mut gather = Gather::new(seed, NAMES[first..].iter().map(field).collect()).unwrap();
        let column = |at| -> Vec<f64> { reference.iter().map(|id| digits.row(*id)[at]).collect() };
        let columns: Vec<Vec<f64>> = (first..NUMBERS).map(column).collect();
        let columns: Vec<Column<'_>> = columns
            .iter()
            .map(|values| Column::Numbers { values, nulls: 0 })
            .collect();
        gather.block(reference.len(), &columns, None);
        let profile = gather.finish();
        let watch = Watch::new(&(&profile).into());
        Self {
            digits,
            profile,
            watch,
            first,
        }
    }

    /// The most evidence up to each tick of a stream. No page ever takes it away.
    pub(crate) fn evidence(&self, stream: &[u32], seed: u64) -> Vec<f64> {
        let budget = budget(1e300);
        let mut watch = self.watch.clone();
        // What breaks ties here must not be what broke them in the reference.
        let seed = seed + LIVE;
        let features = self.profile.features.iter();
        let ties: Vec<Ties> = features
            .map(|feature| Ties::new(seed, &feature.name))
            .collect();
        let mut most = 0_f64;
        let mut found = Vec::new();
        for (tick, batch) in (1..).zip(stream.chunks_exact(BATCH)) {
            let mut counts = vec![Counts::default(); ties.len()];
            for (at, id) in batch.iter().enumerate() {
                let row = &self.digits.row(*id)[self.first..];
                let count = (u64::from(tick) << 8) + at as u64;
                for (feature, x) in row.iter().enumerate() {
                    let v = ties[feature].at(count);
                    self.profile.features[feature].number(&mut counts[feature], *x, v);
                }
            }
            let counts: Vec<(usize, Counts)> = counts.into_iter().enumerate().collect();
            let report = Report {
                features: &counts,
                requests: BATCH as u64,
                unfit: 0,
            };
            watch.report(([0; 16], u64::from(tick)), tick, &report);
            most = most.max(watch.tick(tick, 0, &budget).evidence);
            found.push(most);
        }
        found
    }
}

/// A budget that pages at this evidence.
fn budget(threshold: f64) -> Budget {
    Budget {
        pages_a_day: f64::from(TICKS_A_DAY) / threshold,
        on_arrival: 0.0,
        ..Budget::of(1)
    }
}

/// The evidence that no more than this share of streams without a change reach in so many images:
/// the mean number of alarms is at most ticks ÷ threshold.
pub(crate) fn threshold(images: usize, level: f64) -> f64 {
    (images / BATCH) as f64 / level
}

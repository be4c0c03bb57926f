//! Makes a profile of the blocks of a table, in one pass and bounded memory.
//!
//! The caller cuts the table into blocks of one size ([`BLOCK`] rows, the last may be shorter),
//! whatever its file was cut into: then the profile depends on the rows and the seed alone.

use super::bins::Bins;
use super::categories::{Categories, Names, TABLE};
use super::hours::{Hours, NO_TIME, hour_of_week};
use super::moments::Moments;
use super::quantiles::Quantiles;
use super::sample::Reservoir;
use super::tie::{Ties, hash};
use super::{FEATURE_NAME_BYTES, FEATURES, Feature, Found, Kind, Numbers, Profile, Ranked};

/// Rows of a block: 32 KB of a column, so that it stays in a core's nearest cache while it is
/// counted, and the widest table's block takes 64 MB.
pub const BLOCK: usize = 4_096;
/// Sampled values of which at least half must differ, and more than have a line of their own,
/// for texts to be text rather than categories.
const TEXT_SHARE: usize = 2;

/// A feature that is to come.
#[derive(Clone, Debug)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// What its values are: [`Kind::Category`] for any text.
    pub kind: Kind,
}

/// The cells of one feature in a block.
#[derive(Clone, Copy)]
pub enum Column<'a> {
    /// Numbers, integers and booleans.
    Numbers {
        /// One a row; NaN where there is none.
        values: &'a [f64],
        /// Rows without a value.
        nulls: u64,
    },
    /// Texts, of which only those are asked for that the sample keeps.
    Texts {
        /// The text of a row of the block; `None` where there is none.
        at: &'a dyn Fn(usize) -> Option<&'a str>,
        /// Rows without a value.
        nulls: u64,
    },
}

/// A profile that is being made.
#[derive(Clone, Debug)]
pub struct Gather {
    seed: u64,
    reservoir: Reservoir,
    /// The row of the table in each slot of the sample, and its time.
    rows: Vec<u64>,
    times: Vec<i64>,
    span_us: Option<(i64, i64)>,
    features: Vec<Gathered>,
    /// The rows of the current block that are kept, and their slots: kept to be reused.
    kept: Vec<(usize, usize)>,
}

#[derive(Clone, Debug)]
struct Gathered {
    field: Field,
    nulls: u64,
    held: Held,
}

#[derive(Clone, Debug)]
pub(super) enum Held {
    Numbers { moments: Moments, sample: Vec<f64> },
    Texts { names: Names, sample: Vec<u64> },
}

impl Gather {
    /// For these features. `None` when there are more than a profile can have, or a name is too
    /// long or comes twice.
    pub fn new(seed: u64, fields: Vec<Field>) -> Option<Self> {
        let all = fields.len();
        Self::part(seed, fields, all)
    }

    /// For some of the features of a table that has `all` of them: the same rows are sampled as for
    /// all at once, so that the features of the parts, put together, are those of the table.
    pub fn part(seed: u64, fields: Vec<Field>, all: usize) -> Option<Self> {
        let mut names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        names.sort_unstable();
        let twice = names.windows(2).any(|pair| pair.first() == pair.last());
        let long = names.iter().any(|name| name.len() > FEATURE_NAME_BYTES);
        if twice || long || fields.len() > FEATURES {
            return None;
        }
        let features = fields.into_iter().map(Gathered::new).collect::<Vec<_>>();
        Some(Self {
            seed,
            reservoir: Reservoir::new(seed, all),
            rows: Vec::new(),
            times: Vec::new(),
            span_us: None,
            features,
            kept: Vec::new(),
        })
    }

    /// Adds the next block: a column for each feature, in order, and the times of its rows if
    /// the table has them ([`NO_TIME`] where a row has none).
    pub fn block(&mut self, rows: usize, columns: &[Column<'_>], times: Option<&[i64]>) {
        assert_eq!(
            columns.len(),
            self.features.len(),
            "a column for each feature"
        );
        let first = self.reservoir.seen();
        self.kept.clear();
        let kept = &mut self.kept;
        self.reservoir
            .offer(rows, |row, slot| kept.push((row, slot)));
        for (row, slot) in &self.kept {
            put(&mut self.rows, *slot, first + *row as u64, 0);
        }
        if let Some(times) = times {
            self.span_us = span(self.span_us, times);
            for (row, slot) in &self.kept {
                let time = times.get(*row).copied().unwrap_or(NO_TIME);
                put(&mut self.times, *slot, time, NO_TIME);
            }
        }
        for (feature, column) in self.features.iter_mut().zip(columns) {
            feature.add(column, &self.kept);
        }
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.reservoir.seen()
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// The time of each slot of the sample, where the table has times.
    pub(super) fn times(&self) -> &[i64] {
        &self.times
    }

    /// The row of the table in a slot.
    pub(super) fn row(&self, slot: usize) -> u64 {
        self.rows.get(slot).copied().unwrap_or_default()
    }

    /// What the sample holds of each feature, by name.
    pub(super) fn held(&self) -> impl Iterator<Item = (&str, &Held)> {
        let features = self.features.iter();
        features.map(|feature| (feature.field.name.as_str(), &feature.held))
    }

    /// The profile.
    pub fn finish(self) -> Profile {
        let context = Sampled {
            seed: self.seed,
            all: self.reservoir.seen(),
            rows: &self.rows,
            times: &self.times,
        };
        let features = self.features.into_iter().map(|f| f.finish(&context));
        Profile {
            seed: self.seed,
            rows: self.reservoir.seen(),
            sampled: self.reservoir.held() as u32,
            span_us: self.span_us,
            features: features.collect(),
        }
    }
}

/// What all features of a sample share.
struct Sampled<'a> {
    seed: u64,
    /// Rows of the table.
    all: u64,
    rows: &'a [u64],
    times: &'a [i64],
}

impl Sampled<'_> {
    /// By hour of the week, the bins of what has both a value and a time. `bin` is asked with a
    /// slot.
    fn hours(&self, bin: impl Fn(usize) -> Option<usize>) -> Option<Hours> {
        let known = self
            .times
            .iter()
            .enumerate()
            .filter(|(_, time)| **time != NO_TIME);
        let binned = known.filter_map(|(slot, time)| Some((hour_of_week(*time), bin(slot)?)));
        let mut binned = binned.peekable();
        binned.peek()?;
        Some(Hours::of(binned))
    }
}

impl Gathered {
    fn new(field: Field) -> Self {
        let held = match field.kind {
            Kind::Number | Kind::Integer | Kind::Boolean => Held::Numbers {
                moments: Moments::default(),
                sample: Vec::new(),
            },
            Kind::Category | Kind::Text => Held::Texts {
                names: Names::default(),
                sample: Vec::new(),
            },
        };
        Self {
            field,
            nulls: 0,
            held,
        }
    }

    fn add(&mut self, column: &Column<'_>, kept: &[(usize, usize)]) {
        match (&mut self.held, column) {
            (Held::Numbers { moments, sample }, Column::Numbers { values, nulls }) => {
                self.nulls += nulls;
                moments.add(values);
                for (row, slot) in kept {
                    // −0 and +0 are equal, and so must be one value to what orders them.
                    let x = values.get(*row).copied().unwrap_or(f64::NAN) + 0.0;
                    put(sample, *slot, x, f64::NAN);
                }
            }
            (Held::Texts { names, sample }, Column::Texts { at, nulls }) => {
                self.nulls += nulls;
                for (row, slot) in kept {
                    let key = at(*row).map_or(0, |text| {
                        let key = hash(text.as_bytes());
                        names.keep(key, text, sample);
                        key
                    });
                    put(sample, *slot, key, 0);
                }
            }
            (Held::Numbers { .. }, Column::Texts { .. })
            | (Held::Texts { .. }, Column::Numbers { .. }) => {
                unreachable!("a column keeps the kind that its field was given")
            }
        }
    }

    fn finish(self, sampled: &Sampled<'_>) -> Feature {
        let ties = Ties::new(sampled.seed, &self.field.name);
        let mut feature = Feature {
            name: self.field.name,
            kind: self.field.kind,
            nulls: self.nulls,
            not_finite: 0,
            found: Found::Nothing,
            hours: None,
            moves_after: None,
        };
        match self.held {
            Held::Numbers { moments, sample } => {
                feature.not_finite = sampled.all.saturating_sub(self.nulls + moments.count());
                numbers(&mut feature, &moments, &sample, sampled, ties);
            }
            Held::Texts { names, sample } => texts(&mut feature, &sample, &names, sampled, ties),
        }
        feature
    }
}

fn numbers(
    feature: &mut Feature,
    moments: &Moments,
    sample: &[f64],
    sampled: &Sampled<'_>,
    ties: Ties,
) {
    let tie = |slot: usize| sampled.rows.get(slot).map_or(0.0, |row| ties.at(*row));
    let finite = sample.iter().enumerate().filter(|(_, x)| x.is_finite());
    let mut values: Vec<(f64, f64)> = finite.map(|(slot, x)| (*x, tie(slot))).collect();
    let bins = Bins::of(&mut values);
    let (Some(quantiles), Some([min, max, mean, sd])) = (Quantiles::of(&values), moments.figures())
    else {
        return;
    };
    feature.hours = sampled.hours(|slot| {
        let x = sample.get(slot).filter(|x| x.is_finite())?;
        Some(bins.bin(*x, tie(slot)))
    });
    feature.found = Found::Numbers(Box::new(Numbers {
        bins,
        quantiles,
        min,
        max,
        mean,
        sd,
    }));
}

fn texts(feature: &mut Feature, sample: &[u64], names: &Names, sampled: &Sampled<'_>, ties: Ties) {
    let categories = Categories::of(sample, names);
    let held = sample.iter().filter(|hash| **hash != 0).count();
    let distinct = categories.distinct();
    if held == 0 {
        return;
    }
    if distinct as usize > TABLE && distinct as usize * TEXT_SHARE >= held {
        feature.kind = Kind::Text;
        feature.found = Found::Text {
            distinct,
            sampled: held as u32,
        };
        return;
    }
    let tie = |slot: usize| sampled.rows.get(slot).map_or(0.0, |row| ties.at(*row));
    let rank = |hash: u64| categories.rank_of(hash).x();
    let known = sample.iter().enumerate().filter(|(_, hash)| **hash != 0);
    let mut values: Vec<(f64, f64)> = known.map(|(slot, hash)| (rank(*hash), tie(slot))).collect();
    let bins = Bins::of(&mut values);
    feature.hours = sampled.hours(|slot| {
        let hash = sample.get(slot).filter(|hash| **hash != 0)?;
        Some(bins.bin(rank(*hash), tie(slot)))
    });
    feature.found = Found::Categories(Box::new(Ranked { bins, categories }));
}

/// Puts a value into a slot, which is at most one past the last.
fn put<T: Clone>(cells: &mut Vec<T>, slot: usize, value: T, none: T) {
    if cells.len() <= slot {
        cells.resize(slot + 1, none);
    }
    if let Some(cell) = cells.get_mut(slot) {
        *cell = value;
    }
}

/// The span that also covers these times.
fn span(so_far: Option<(i64, i64)>, times: &[i64]) -> Option<(i64, i64)> {
    let known = times.iter().filter(|time| **time != NO_TIME);
    known.fold(so_far, |span, time| {
        let (first, last) = span.unwrap_or((*time, *time));
        Some((first.min(*time), last.max(*time)))
    })
}

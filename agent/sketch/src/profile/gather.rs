//! Makes a profile of the blocks of a table, in one pass and bounded memory.
//!
//! The caller cuts the table into blocks of one size ([`BLOCK`] rows, the last may be shorter),
//! whatever its file was cut into: then the profile depends on the rows and the seed alone.

use super::bins::Bins;
use super::categories::{Categories, Names, TABLE};
use super::derived::Told;
use super::hours::NO_TIME;
use super::moments::Moments;
use super::plan::{Given, Plan};
use super::quantiles::Quantiles;
use super::sampler::{Sampler, put};
use super::tie::{Ties, hash};
use super::{Feature, Found, Kind, Numbers, Profile, Ranked};
use crate::payload::{self, NUMBERS, Payload, TEXTS};

/// Rows of a block: 32 KB of a column, so that it stays in a core's nearest cache while it is
/// counted, and the widest table's block takes 64 MB.
pub const BLOCK: usize = 4_096;
/// Sampled values of which at least half must differ, and more than have a line of their own,
/// for texts to be text rather than categories.
const TEXT_SHARE: usize = 2;
/// Texts whose numbers are remembered: categories come again and again, and that they are none is
/// known only at the end.
const KNOWN: usize = 256;

/// A feature that is to come.
#[derive(Clone, Debug)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// What its values are: [`Kind::Category`] for any text.
    pub kind: Kind,
}

/// A tensor: its values in rows, the last axis nearest, and its shape.
pub type Cell<'a> = (&'a [f64], &'a [usize]);

/// The cells of one column in a block.
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
    /// Tensors, of which only those are asked for that the sample keeps.
    Tensors {
        /// The tensor of a row of the block; `None` where there is none.
        at: &'a dyn Fn(usize) -> Option<Cell<'a>>,
    },
}

/// A profile that is being made.
#[derive(Clone, Debug)]
pub struct Gather {
    seed: u64,
    /// The rows of the features.
    whole: Sampler,
    /// The rows that are told in numbers beside them.
    told: Sampler,
    span_us: Option<(i64, i64)>,
    columns: Vec<Gathered>,
}

#[derive(Clone, Debug)]
enum Gathered {
    Feature {
        field: Field,
        nulls: u64,
        held: Held,
        /// Of texts: what they are told in, should they be free.
        figures: Option<Figures>,
    },
    Tensor(Payload, Figures),
}

#[derive(Clone, Debug)]
enum Held {
    Numbers { moments: Moments, sample: Vec<f64> },
    Texts { names: Names, sample: Vec<u64> },
}

/// The numbers of one parent.
#[derive(Clone, Debug)]
struct Figures {
    told: Told,
    /// What their features are called, and what the sample has of each: NaN where a row has none.
    all: Vec<(String, Vec<f64>)>,
    /// Of texts: those that came last, by their hashes.
    known: Vec<(u64, [f64; TEXTS])>,
}

/// What a sample has of a feature, by slot.
pub(super) struct Series<'a> {
    pub(super) name: &'a str,
    pub(super) values: Values<'a>,
    /// Of the rows that are told in numbers, rather than of the features'.
    pub(super) is_told: bool,
}

pub(super) enum Values<'a> {
    /// Not finite where there is none.
    Numbers(&'a [f64]),
    /// Hashes, 0 where there is none.
    Texts(&'a [u64], &'a Names),
}

impl Gather {
    /// For these features. `None` when there are more than a profile can have, or a name is too
    /// long or comes twice.
    pub fn new(seed: u64, fields: Vec<Field>) -> Option<Self> {
        Self::of(seed, fields.into_iter().map(Given::Feature).collect())
    }

    /// For these columns, in the same way.
    pub fn of(seed: u64, columns: Vec<Given>) -> Option<Self> {
        let plan = Plan::of(&columns).ok()?;
        Some(Self::part(seed, columns, &plan))
    }

    /// For some of the columns that were planned: the same rows are sampled as for all at once, so
    /// that the features of the parts, put together, are those of the table.
    pub fn part(seed: u64, columns: Vec<Given>, plan: &Plan) -> Self {
        let columns = columns.into_iter();
        Self {
            seed,
            whole: Sampler::new(plan.rows(seed)),
            told: Sampler::new(plan.told(seed)),
            span_us: None,
            columns: columns
                .map(|given| Gathered::new(given, seed, plan))
                .collect(),
        }
    }

    /// Adds the next block: a column for each that is given, in order, and the times of its rows
    /// if the table has them ([`NO_TIME`] where a row has none).
    pub fn block(&mut self, rows: usize, columns: &[Column<'_>], times: Option<&[i64]>) {
        assert_eq!(
            columns.len(),
            self.columns.len(),
            "a column for each that is given"
        );
        self.whole.block(rows, times);
        self.told.block(rows, times);
        if let Some(times) = times {
            self.span_us = span(self.span_us, times);
        }
        for (gathered, column) in self.columns.iter_mut().zip(columns) {
            gathered.add(column, self.whole.kept(), self.told.kept());
        }
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.whole.seen()
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// The rows of the features, and those that are told in numbers.
    pub(super) fn samplers(&self) -> [&Sampler; 2] {
        [&self.whole, &self.told]
    }

    /// What the samples hold of each feature that is to be, in order.
    pub(super) fn series(&self) -> Vec<Series<'_>> {
        let mut all = Vec::new();
        for gathered in &self.columns {
            let (own, figures) = match gathered {
                Gathered::Feature {
                    field,
                    held,
                    figures,
                    ..
                } => {
                    let is_told = held.is_free();
                    (
                        Some((&*field.name, held)),
                        figures.as_ref().filter(|_| is_told),
                    )
                }
                Gathered::Tensor(_, figures) => (None, Some(figures)),
            };
            all.extend(own.map(|(name, held)| Series {
                name,
                values: held.values(),
                is_told: false,
            }));
            let figures = figures.into_iter().flat_map(|figures| &figures.all);
            all.extend(figures.map(|(name, sample)| Series {
                name,
                values: Values::Numbers(sample),
                is_told: true,
            }));
        }
        all
    }

    /// The profile.
    pub fn finish(self) -> Profile {
        let mut features = Vec::new();
        for gathered in self.columns {
            let (is_told, figures) = match gathered {
                Gathered::Feature {
                    field,
                    nulls,
                    held,
                    figures,
                } => {
                    let is_free = held.is_free();
                    features.push(held.finish(field, nulls, self.seed, &self.whole));
                    (is_free, figures)
                }
                Gathered::Tensor(_, figures) => (true, Some(figures)),
            };
            if let Some(figures) = figures.filter(|_| is_told) {
                figures.finish(self.seed, &self.told, &mut features);
            }
        }
        Profile {
            seed: self.seed,
            rows: self.whole.seen(),
            sampled: self.whole.held() as u32,
            span_us: self.span_us,
            features,
        }
    }
}

impl Gathered {
    fn new(given: Given, seed: u64, plan: &Plan) -> Self {
        match given {
            Given::Tensor(name) => {
                Self::Tensor(Payload::new(seed, &name), Figures::of(Told::Tensor, &name))
            }
            Given::Feature(field) => {
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
                let is_told = plan.tells(&field.name);
                Self::Feature {
                    figures: is_told.then(|| Figures::of(Told::Text, &field.name)),
                    nulls: 0,
                    held,
                    field,
                }
            }
        }
    }

    /// Adds a block, of which these rows go to these slots: of the features, and of what is told
    /// beside them.
    fn add(&mut self, column: &Column<'_>, kept: &[(usize, usize)], told: &[(usize, usize)]) {
        let mut numbers = [f64::NAN; NUMBERS];
        match (self, column) {
            (Self::Tensor(payload, figures), Column::Tensors { at }) => {
                for (row, slot) in told {
                    let here = at(*row).map(|(values, shape)| {
                        let values = values.iter().map(|x| payload::single(*x));
                        payload.numbers(values, shape, &mut numbers);
                    });
                    figures.put(*slot, here.map(|()| &numbers[..]));
                }
            }
            (
                Self::Feature {
                    nulls: so_far,
                    held: Held::Numbers { moments, sample },
                    ..
                },
                Column::Numbers { values, nulls },
            ) => {
                *so_far += nulls;
                moments.add(values);
                for (row, slot) in kept {
                    // −0 and +0 are equal, and so must be one value to what orders them.
                    let x = values.get(*row).copied().unwrap_or(f64::NAN) + 0.0;
                    put(sample, *slot, x, f64::NAN);
                }
            }
            (
                Self::Feature {
                    nulls: so_far,
                    held: Held::Texts { names, sample },
                    figures,
                    ..
                },
                Column::Texts { at, nulls },
            ) => {
                *so_far += nulls;
                for (row, slot) in kept {
                    let key = at(*row).map_or(0, |text| {
                        let key = hash(text.as_bytes());
                        names.keep(key, text, sample);
                        key
                    });
                    put(sample, *slot, key, 0);
                }
                let Some(figures) = figures else { return };
                for (row, slot) in told {
                    let here = at(*row).map(|text| figures.of_text(text.as_bytes()));
                    figures.put(*slot, here.as_ref().map(|numbers| &numbers[..]));
                }
            }
            (
                Self::Feature { .. } | Self::Tensor(..),
                Column::Numbers { .. } | Column::Texts { .. } | Column::Tensors { .. },
            ) => {
                unreachable!("a column keeps the kind that its field was given")
            }
        }
    }
}

impl Held {
    /// Whether these are texts that hardly ever come again.
    fn is_free(&self) -> bool {
        match self {
            Self::Numbers { .. } => false,
            Self::Texts { sample, .. } => {
                let mut hashes = sample.clone();
                hashes.retain(|hash| *hash != 0);
                let held = hashes.len();
                hashes.sort_unstable();
                hashes.dedup();
                is_free(hashes.len(), held)
            }
        }
    }

    fn values(&self) -> Values<'_> {
        match self {
            Self::Numbers { sample, .. } => Values::Numbers(sample),
            Self::Texts { sample, names } => Values::Texts(sample, names),
        }
    }

    fn finish(self, field: Field, nulls: u64, seed: u64, sampler: &Sampler) -> Feature {
        let ties = Ties::new(seed, &field.name);
        let mut feature = empty(field, nulls);
        match self {
            Self::Numbers { moments, sample } => {
                feature.not_finite = sampler.seen().saturating_sub(nulls + moments.count());
                numbers(&mut feature, &moments, &sample, sampler, ties);
            }
            Self::Texts { names, sample } => texts(&mut feature, &sample, &names, sampler, ties),
        }
        feature
    }
}

impl Figures {
    fn of(told: Told, parent: &str) -> Self {
        let names = told.names(parent).unwrap_or_default().into_iter();
        Self {
            told,
            all: names.map(|name| (name, Vec::new())).collect(),
            known: match told {
                Told::Tensor => Vec::new(),
                Told::Text => vec![(0, [f64::NAN; TEXTS]); KNOWN],
            },
        }
    }

    /// The numbers of a text.
    fn of_text(&mut self, text: &[u8]) -> [f64; TEXTS] {
        let key = hash(text);
        let mut numbers = [f64::NAN; TEXTS];
        match self.known.get_mut(key as usize % KNOWN) {
            Some((known, numbers)) if *known == key => return *numbers,
            Some(place) => {
                payload::text(text, &mut numbers);
                *place = (key, numbers);
            }
            None => payload::text(text, &mut numbers),
        }
        numbers
    }

    /// The numbers of the row in a slot, which may have none.
    fn put(&mut self, slot: usize, numbers: Option<&[f64]>) {
        let numbers = numbers.into_iter().flatten().copied();
        let numbers = numbers.chain(std::iter::repeat(f64::NAN));
        for ((_, sample), x) in self.all.iter_mut().zip(numbers) {
            put(sample, slot, x + 0.0, f64::NAN);
        }
    }

    /// A feature for each. Its figures, and what is missing of it, are of the sample: no other row
    /// was told in numbers.
    fn finish(self, seed: u64, sampler: &Sampler, features: &mut Vec<Feature>) {
        // Whatever is there has a length, if nothing else.
        let mut lengths = self.all.iter().zip(self.told.figures());
        let lengths = lengths.find(|(_, figure)| **figure == "length");
        let here = lengths.map_or(0, |((_, sample), _)| {
            sample.iter().filter(|x| x.is_finite()).count()
        });
        let nulls = sampler.held().saturating_sub(here) as u64;
        for (name, sample) in self.all {
            let ties = Ties::new(seed, &name);
            let kind = Kind::Number;
            let mut feature = empty(Field { name, kind }, nulls);
            let mut moments = Moments::default();
            moments.add(&sample);
            feature.not_finite = (here as u64).saturating_sub(moments.count());
            numbers(&mut feature, &moments, &sample, sampler, ties);
            features.push(feature);
        }
    }
}

/// A feature of which nothing is known yet but what is missing.
fn empty(field: Field, nulls: u64) -> Feature {
    Feature {
        name: field.name,
        kind: field.kind,
        nulls,
        not_finite: 0,
        found: Found::Nothing,
        hours: None,
        moves_after: None,
    }
}

/// Whether so many different texts of so many are free text rather than categories.
fn is_free(distinct: usize, held: usize) -> bool {
    distinct > TABLE && distinct * TEXT_SHARE >= held
}

fn numbers(
    feature: &mut Feature,
    moments: &Moments,
    sample: &[f64],
    sampler: &Sampler,
    ties: Ties,
) {
    let finite = sample.iter().enumerate().filter(|(_, x)| x.is_finite());
    let mut values: Vec<(f64, f64)> = finite
        .map(|(slot, x)| (*x, sampler.tie(ties, slot)))
        .collect();
    let bins = Bins::of(&mut values);
    let (Some(quantiles), Some([min, max, mean, sd])) = (Quantiles::of(&values), moments.figures())
    else {
        return;
    };
    feature.hours = sampler.hours(|slot| {
        let x = sample.get(slot).filter(|x| x.is_finite())?;
        Some(bins.bin(*x, sampler.tie(ties, slot)))
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

fn texts(feature: &mut Feature, sample: &[u64], names: &Names, sampler: &Sampler, ties: Ties) {
    let categories = Categories::of(sample, names);
    let held = sample.iter().filter(|hash| **hash != 0).count();
    let distinct = categories.distinct();
    if held == 0 {
        return;
    }
    if is_free(distinct as usize, held) {
        feature.kind = Kind::Text;
        feature.found = Found::Text {
            distinct,
            sampled: held as u32,
        };
        return;
    }
    let rank = |hash: u64| categories.rank_of(hash).x();
    let known = sample.iter().enumerate().filter(|(_, hash)| **hash != 0);
    let mut values: Vec<(f64, f64)> = known
        .map(|(slot, hash)| (rank(*hash), sampler.tie(ties, slot)))
        .collect();
    let bins = Bins::of(&mut values);
    feature.hours = sampler.hours(|slot| {
        let hash = sample.get(slot).filter(|hash| **hash != 0)?;
        Some(bins.bin(rank(*hash), sampler.tie(ties, slot)))
    });
    feature.found = Found::Categories(Box::new(Ranked { bins, categories }));
}

/// The span that also covers these times.
fn span(so_far: Option<(i64, i64)>, times: &[i64]) -> Option<(i64, i64)> {
    let known = times.iter().filter(|time| **time != NO_TIME);
    known.fold(so_far, |span, time| {
        let (first, last) = span.unwrap_or((*time, *time));
        Some((first.min(*time), last.max(*time)))
    })
}

#[cfg(test)]
mod tests;

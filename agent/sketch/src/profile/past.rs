//! The sample of a reference in the order of its times: the earlier part as bins, and where each
//! value of the later part falls in them. What is concluded from it is `binnacle-core`'s.

use super::bins::{BINS, Bins};
use super::categories::Categories;
use super::gather::{Gather, Series, Values};
use super::sampler::Sampler;
use super::tie::Ties;

/// The part that is replayed: the last three tenths.
const REPLAYED: f64 = 0.3;

/// One feature's past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The feature.
    pub name: String,
    /// Gaps of the earlier part in each bin.
    pub gaps: [u32; BINS],
    /// The bin of each value of the later part, in the order of their times.
    pub bins: Vec<u8>,
}

impl Gather {
    /// The past of each feature, in their order; without values where no time is known.
    pub fn past(&self) -> Vec<Past> {
        let [whole, told] = self.samplers().map(|sampler| (sampler, sampler.in_time()));
        let all = self.series().into_iter().map(|series| {
            let (sampler, order) = if series.is_told { &told } else { &whole };
            past(&series, sampler, order, self.seed())
        });
        all.collect()
    }
}

fn past(series: &Series<'_>, sampler: &Sampler, order: &[usize], seed: u64) -> Past {
    let ties = Ties::new(seed, series.name);
    let tie = |slot: usize| sampler.tie(ties, slot);
    let known = order.iter().copied();
    let known: Vec<usize> = known.filter(|slot| series.values.has(*slot)).collect();
    let later = (known.len() as f64 * REPLAYED) as usize;
    let (earlier, later) = known.split_at(known.len() - later);
    let value = series.values.read(earlier);
    let mut values: Vec<(f64, f64)> = earlier
        .iter()
        .map(|slot| (value(*slot), tie(*slot)))
        .collect();
    let bins = Bins::of(&mut values);
    let bin = |slot: &usize| bins.bin(value(*slot), tie(*slot)) as u8;
    Past {
        name: series.name.to_owned(),
        gaps: bins.gaps(),
        bins: later.iter().map(bin).collect(),
    }
}

impl Values<'_> {
    fn has(&self, slot: usize) -> bool {
        match self {
            Self::Numbers(sample) => sample.get(slot).is_some_and(|x| x.is_finite()),
            Self::Texts(sample, _) => sample.get(slot).is_some_and(|hash| *hash != 0),
        }
    }

    /// The value of a slot that has one: a number, or the rank that its category had earlier.
    fn read(&self, earlier: &[usize]) -> Box<dyn Fn(usize) -> f64 + '_> {
        match self {
            Self::Numbers(sample) => Box::new(|slot| sample.get(slot).copied().unwrap_or_default()),
            Self::Texts(sample, names) => {
                let hash = |slot: &usize| sample.get(*slot).copied();
                let hashes: Vec<u64> = earlier.iter().filter_map(hash).collect();
                let categories = Categories::of(&hashes, names);
                Box::new(move |slot| {
                    let hash = sample.get(slot).copied().unwrap_or_default();
                    categories.rank_of(hash).x()
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::gather::{Column, Field};
    use super::super::{Kind, Profile};
    use super::*;

    fn gathered(times: Option<&[i64]>) -> Gather {
        let values = [5.0, 1.0, f64::NAN, 2.0, 3.0, 9.0, 4.0, 8.0, 6.0, 7.0, 0.0];
        let texts = ["a", "b", "a", "a", "b", "c", "a", "b", "a", "c", "a"];
        let fields = [("x", Kind::Number), ("c", Kind::Category)];
        let fields = fields.map(|(name, kind)| Field {
            name: name.into(),
            kind,
        });
        let mut gather = Gather::new(1, fields.to_vec()).unwrap();
        let at = |row: usize| texts.get(row).copied();
        let columns = [
            Column::Numbers {
                values: &values,
                nulls: 0,
            },
            Column::Texts { at: &at, nulls: 0 },
        ];
        gather.block(values.len(), &columns, times);
        gather
    }

    #[test]
    fn the_last_three_tenths_fall_into_the_bins_of_the_first_seven() {
        // The table runs backwards in time: its first rows are the last.
        let times: Vec<i64> = (0..11).rev().collect();
        let gather = gathered(Some(&times));
        let [x, c] = &gather.past()[..] else {
            panic!("two")
        };
        assert_eq!((x.bins.len(), c.bins.len()), (3, 3));
        assert_eq!(x.gaps.iter().sum::<u32>(), 8, "seven values before");
        assert!(
            x.bins[0] < x.bins[2],
            "2, 1 and 5, in the order of their times: {:?}",
            x.bins
        );
        let profile: Profile = gather.finish();
        assert_eq!(profile.features[0].sampled(), 10);
    }

    #[test]
    fn without_times_there_is_no_past() {
        for past in gathered(None).past() {
            assert!(past.bins.is_empty());
        }
    }
}

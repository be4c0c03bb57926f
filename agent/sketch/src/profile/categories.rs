//! The categories of a feature, in the order in which they are ranked.
//!
//! The most frequent 256 have a line of their own; the rest are told apart by a hash into 64
//! buckets. So a category is a rank, ranks are binned like numbers, and a category that the
//! reference never saw has the last rank of all. Identity is the hash of the whole text; the name
//! that is kept beside it is for people, and cut.

use std::collections::HashMap;

use super::Malformed;
use super::tie::hash;

/// Categories with a line of their own: what fits into 16 KB with their names, and what a
/// person would ever read.
pub const TABLE: usize = 256;
/// Buckets for the rest.
pub const BUCKETS: usize = 64;
/// Bytes of a name that are kept.
pub const NAME_BYTES: usize = 32;
/// Names that a sample holds before those of the rarest are let go: 32 times what is told.
const NAMES: usize = 8_192;

/// One category.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Category {
    /// Its name, cut after 32 bytes; empty when it was let go.
    pub name: String,
    /// The hash of its whole name.
    #[serde(skip)]
    pub hash: u64,
    /// Rows of the sample that have it.
    pub sampled: u32,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Categories {
    table: Vec<Category>,
    /// Sampled rows in each bucket; none when everything has a line.
    rest: Option<Box<[u32; BUCKETS]>>,
    distinct: u32,
    /// The hashes and ranks of the table, spread by hash: open addressing, half empty at least.
    /// Hash 0 is nobody's.
    index: Vec<(u64, u16)>,
}

/// Where a category stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// The reference had it, or one of its bucket.
    Seen(u16),
    /// The reference had none: the last rank.
    Unseen(u16),
}

impl Rank {
    /// The rank as a number, to be binned.
    #[inline]
    pub fn x(self) -> f64 {
        match self {
            Self::Seen(rank) | Self::Unseen(rank) => f64::from(rank),
        }
    }
}

impl Categories {
    /// Ranks the hashes of a sample; 0 stands for a missing value.
    pub(crate) fn of(sample: &[u64], names: &Names) -> Self {
        let mut counts: HashMap<u64, u32> = HashMap::new();
        for hash in sample.iter().filter(|hash| **hash != 0) {
            *counts.entry(*hash).or_default() += 1;
        }
        let distinct = counts.len() as u32;
        let mut all: Vec<(u64, u32)> = counts.into_iter().collect();
        all.sort_unstable_by_key(|(hash, sampled)| (std::cmp::Reverse(*sampled), *hash));
        let rest = all.split_off(TABLE.min(all.len()));
        let table = all.into_iter().map(|(hash, sampled)| Category {
            name: names.get(hash).to_owned(),
            hash,
            sampled,
        });
        let mut table: Vec<Category> = table.collect();
        // Which 256 there are is settled; among equals the names are in a reader's order.
        table.sort_by(|a, b| order(a).cmp(&order(b)));
        let rest = (!rest.is_empty()).then(|| {
            let mut buckets = Box::new([0; BUCKETS]);
            for (hash, sampled) in rest {
                if let Some(count) = buckets.get_mut(bucket(hash)) {
                    *count += sampled;
                }
            }
            buckets
        });
        Self::indexed(table, rest, distinct)
    }

    /// The categories that were written down so.
    pub(crate) fn from_parts(
        table: Vec<Category>,
        rest: Option<Box<[u32; BUCKETS]>>,
        distinct: u32,
    ) -> Result<Self, Malformed> {
        let ordered = table.is_sorted_by(|a, b| order(a) < order(b));
        let told = table.iter().all(|c| c.hash != 0 && c.sampled > 0);
        let whole = if rest.is_some() {
            table.len() == TABLE && distinct as usize > TABLE
        } else {
            table.len() == distinct as usize
        };
        if !ordered || !told || !whole || table.len() > TABLE {
            return Err(Malformed::Categories);
        }
        Ok(Self::indexed(table, rest, distinct))
    }

    fn indexed(table: Vec<Category>, rest: Option<Box<[u32; BUCKETS]>>, distinct: u32) -> Self {
        let slots = (2 * table.len()).next_power_of_two();
        let mut index = vec![(0, 0); slots];
        for (rank, category) in (0..).zip(&table) {
            let mut at = category.hash as usize;
            while let Some(slot) = index.get_mut(at & (slots - 1)) {
                if slot.0 == 0 {
                    *slot = (category.hash, rank);
                    break;
                }
                at += 1;
            }
        }
        Self {
            table,
            rest,
            distinct,
            index,
        }
    }

    /// The rank of a category.
    #[inline]
    pub fn rank(&self, text: &[u8]) -> Rank {
        self.rank_of(hash(text))
    }

    /// The rank of the category with this hash.
    #[inline]
    pub fn rank_of(&self, hash: u64) -> Rank {
        let mask = self.index.len() - 1;
        let mut at = hash as usize;
        while let Some((there, rank)) = self.index.get(at & mask) {
            if *there == hash {
                return Rank::Seen(*rank);
            }
            if *there == 0 {
                break;
            }
            at += 1;
        }
        self.bucket_rank(bucket(hash))
    }

    /// The rank of a bucket of the rest.
    pub(crate) fn bucket_rank(&self, bucket: usize) -> Rank {
        let seen = self.rest.as_ref().and_then(|rest| rest.get(bucket));
        if seen.is_some_and(|sampled| *sampled > 0) {
            Rank::Seen((self.table.len() + bucket) as u16)
        } else {
            Rank::Unseen((self.table.len() + BUCKETS) as u16)
        }
    }

    /// The categories with a line of their own, by falling frequency.
    pub fn table(&self) -> &[Category] {
        &self.table
    }

    /// Sampled rows in each bucket of the rest, where there is a rest.
    pub fn rest(&self) -> Option<&[u32; BUCKETS]> {
        self.rest.as_deref()
    }

    /// Different categories in the sample.
    pub fn distinct(&self) -> u32 {
        self.distinct
    }
}

fn order(category: &Category) -> (std::cmp::Reverse<u32>, &str, u64) {
    (
        std::cmp::Reverse(category.sampled),
        &category.name,
        category.hash,
    )
}

/// The bucket of a hash: its upper bits, since the lower ones choose a slot of the index.
fn bucket(hash: u64) -> usize {
    (hash >> 58) as usize
}

/// The names behind the hashes of a sample that is being drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(HashMap<u64, Box<str>>);

impl Names {
    /// Keeps the name of a hash. `sample` is what is held now: when there are too many names,
    /// those are let go that the fewest of its rows have. A category that becomes frequent
    /// later is drawn again, and then its name is back.
    pub(crate) fn keep(&mut self, hash: u64, text: &str, sample: &[u64]) {
        if self.0.contains_key(&hash) {
            return;
        }
        if self.0.len() >= NAMES {
            self.thin(sample);
        }
        self.0.insert(hash, cut(text, NAME_BYTES).into());
    }

    fn thin(&mut self, sample: &[u64]) {
        let mut counts: HashMap<u64, u32> = HashMap::new();
        for hash in sample {
            *counts.entry(*hash).or_default() += 1;
        }
        let count = |hash: &u64| counts.get(hash).copied().unwrap_or_default();
        let mut order: Vec<(u32, u64)> = self.0.keys().map(|h| (count(h), *h)).collect();
        order.sort_unstable();
        for (_, hash) in order.iter().take(NAMES / 2) {
            self.0.remove(hash);
        }
    }

    fn get(&self, hash: u64) -> &str {
        self.0.get(&hash).map_or("", |name| name)
    }
}

/// At most `bytes` of a text, ending where a character ends.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categories(texts: impl IntoIterator<Item = String>) -> Categories {
        let mut names = Names::default();
        let mut sample = Vec::new();
        for text in texts {
            let hash = hash(text.as_bytes());
            names.keep(hash, &text, &sample);
            sample.push(hash);
        }
        Categories::of(&sample, &names)
    }

    #[test]
    fn categories_stand_by_falling_frequency_and_then_by_name() {
        let all = categories(["b", "c", "a", "c", "b", "c", "d"].map(str::to_owned));
        let lines: Vec<(&str, u32)> = all
            .table()
            .iter()
            .map(|c| (c.name.as_str(), c.sampled))
            .collect();
        assert_eq!(lines, [("c", 3), ("b", 2), ("a", 1), ("d", 1)]);
        assert_eq!(all.rank(b"c"), Rank::Seen(0));
        assert_eq!(all.rank(b"d"), Rank::Seen(3));
        assert_eq!(
            all.rank(b"e"),
            Rank::Unseen(68),
            "after every rank that the reference has"
        );
        assert_eq!(all.distinct(), 4);
    }

    #[test]
    fn what_has_no_line_has_a_bucket() {
        let twice = (0..600).map(|n| n % 300).map(|n| format!("city-{n:03}"));
        let all = categories(twice);
        assert_eq!(all.table().len(), TABLE);
        assert_eq!(all.distinct(), 300);
        let held: u32 = all.table().iter().map(|c| c.sampled).sum();
        assert_eq!(held + all.rest().unwrap().iter().sum::<u32>(), 600);
        for n in 0..300 {
            let rank = all.rank(format!("city-{n:03}").as_bytes());
            assert!(matches!(rank, Rank::Seen(_)), "{n}: {rank:?}");
        }
    }

    #[test]
    fn names_of_the_frequent_outlive_any_number_of_rare_ones() {
        let often = (0..20_000).map(|n| format!("often-{}", n % 7));
        let rare = (0..20_000).map(|n| format!("rare-{n}"));
        let all = categories(often.zip(rare).flat_map(|(a, b)| [a, b]));
        let names: Vec<&str> = all
            .table()
            .iter()
            .take(7)
            .map(|c| c.name.as_str())
            .collect();
        assert!(
            names.iter().all(|name| name.starts_with("often-")),
            "{names:?}"
        );
    }

    #[test]
    fn a_long_name_is_cut_where_a_character_ends() {
        let text = "ä".repeat(40);
        let all = categories([format!("x{text}")]);
        assert_eq!(all.table()[0].name.len(), 31);
        assert!(matches!(
            all.rank(format!("x{text}").as_bytes()),
            Rank::Seen(0)
        ));
        assert!(matches!(
            all.rank(all.table()[0].name.as_bytes()),
            Rank::Unseen(_)
        ));
    }

    #[test]
    fn with_no_category_everything_is_unseen() {
        let none = categories([]);
        assert_eq!(none.rank(b""), Rank::Unseen(64));
        assert_eq!(none.distinct(), 0);
    }
}

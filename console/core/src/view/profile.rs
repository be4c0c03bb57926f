//! Rows of profiles: what a data set looks like, feature by feature, and how far two lie apart.

use std::sync::Arc;

use binnacle_sketch::profile::{Compared, Comparison, Kind, Profile, compare, rows};
use serde::{Deserialize, Serialize};

/// Bars of one feature: what eighty columns leave.
const BARS: usize = 24;

/// What a data set looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileItem {
    /// Rows of the table.
    pub rows: u64,
    /// Those behind bins and quantiles.
    pub sampled: u32,
    /// Each feature, in the table's order.
    pub features: Vec<SpreadItem>,
}

/// One feature of a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpreadItem {
    /// Its name.
    pub name: Arc<str>,
    /// What its values are, in a word.
    pub kind: Arc<str>,
    /// The share of rows without a value.
    pub nulls: Option<f64>,
    /// Least, median and greatest; of numbers.
    pub spread: Option<[f64; 3]>,
    /// Shares to be drawn side by side.
    pub bars: Vec<f64>,
}

/// One feature of two data sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DistanceItem {
    /// Its name.
    pub name: Arc<str>,
    /// How far the two lie apart; null where they cannot be compared.
    pub psi: Option<f64>,
    /// What chance alone stays below.
    pub chance: Option<f64>,
    /// The greatest gap between the two.
    pub ks: Option<f64>,
    /// How far values moved, in standard deviations of the first; of numbers.
    pub moved: Option<f64>,
    /// What it comes to, in words; empty where nothing does.
    pub says: Arc<str>,
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "number",
        Kind::Integer => "integer",
        Kind::Boolean => "boolean",
        Kind::Category => "category",
        Kind::Text => "text",
    }
}

impl ProfileItem {
    /// The row of a profile.
    pub fn of(profile: &Profile) -> Self {
        let feature = |row: binnacle_sketch::profile::Row| SpreadItem {
            name: row.name.into(),
            kind: word(row.kind).into(),
            nulls: row.nulls,
            spread: row
                .quantiles
                .map(|[least, _, _, _, median, _, _, _, most]| [least, median, most]),
            bars: row.bars.iter().map(|bar| bar.share).collect(),
        };
        Self {
            rows: profile.rows,
            sampled: profile.sampled,
            features: rows(profile, BARS).into_iter().map(feature).collect(),
        }
    }
}

impl DistanceItem {
    /// The features of the first, then those that only the other has.
    pub fn all(reference: &Profile, other: &Profile) -> Vec<Self> {
        let all = compare(reference, other);
        all.iter().map(Self::of).collect()
    }

    fn of(row: &Comparison) -> Self {
        let mut item = Self {
            name: row.name.as_str().into(),
            psi: None,
            chance: None,
            ks: None,
            moved: None,
            says: "".into(),
        };
        item.says = match &row.compared {
            Compared::Distances(found) => {
                item.psi = Some(found.psi.value);
                item.chance = Some(found.psi.chance_high);
                item.ks = Some(found.ks.value);
                item.moved = found.wasserstein;
                match found.psi.value > found.psi.chance_high {
                    true => "differs",
                    false => "",
                }
            }
            Compared::Gone => "gone",
            Compared::New => "new",
            Compared::Kinds { .. } => "another type",
            Compared::Empty => "no values",
            Compared::Text => "text: not compared",
        }
        .into();
        item
    }
}

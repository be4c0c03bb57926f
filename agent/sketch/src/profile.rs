//! What a data set looks like, feature by feature: the reference that live inputs are held
//! against.
//!
//! Made once for a version of a data set from a seeded, uniform sample of its rows, and never
//! changed: [`Profile::encode`] gives the same bytes for the same rows and seed on every machine,
//! and [`Profile::digest`] names it by them. A numeric feature takes at most 8 KB, a categorical
//! one 16 KB. What is concluded from it is `binnacle-core`'s.
//!
//! The bytes begin with [`VERSION`]. What later versions add (such as whether a feature alarmed
//! on its own past) comes under a higher number, which this one refuses to read.

mod bins;
mod categories;
mod codec;
mod comparison;
mod counts;
mod derived;
mod distance;
mod gather;
mod hours;
#[cfg(test)]
mod laws;
mod live;
mod moments;
mod past;
mod plan;
mod quantiles;
mod row;
mod sample;
mod sampler;
mod tie;

pub use bins::{BINS, Bins, Edge, gaps};
pub use categories::{BUCKETS, Categories, Category, NAME_BYTES, Rank, TABLE};
pub use comparison::{Compared, Comparison, Distances, compare};
pub use counts::Counts;
pub use derived::{Derived, Told, derived, rows_behind};
pub use distance::{Ks, Psi, ks, psi, wasserstein};
pub use gather::{BLOCK, Cell, Column, Field, Gather};
pub use hours::{HOURS, Hours, NO_TIME, hour_of_week};
pub use live::{Live, OUTPUT, Ruler};
pub use moments::Moments;
pub use past::Past;
pub use plan::{Given, Plan, Unplanned};
pub use quantiles::{Quantiles, STEPS};
pub use row::{Bar, Row, bars, rows};
pub(crate) use sample::ln;
pub use sample::{CELLS, ROWS, Reservoir};
pub use tie::{Ties, hash};

/// The version of the bytes.
pub const VERSION: u8 = 1;
/// Features of one profile at most: what a screen can list and 32 MB of profile can hold.
pub const FEATURES: usize = 2_048;
/// Bytes of a feature's name at most.
pub const FEATURE_NAME_BYTES: usize = 255;

/// What one version of a data set looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// What the sample, the ties and the projections of this reference are drawn from.
    pub seed: u64,
    /// Rows of the data set.
    pub rows: u64,
    /// Rows of the sample.
    pub sampled: u32,
    /// The first and the last time, in microseconds since 1970, where a time column was named.
    pub span_us: Option<(i64, i64)>,
    /// In the order of the data set's columns; what is derived of a column stands in its place,
    /// or behind it.
    pub features: Vec<Feature>,
}

/// What a feature's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Numbers with a fraction.
    Number,
    /// Whole numbers. Past 2^53 neighbours may share a bin.
    Integer,
    /// 0 and 1.
    Boolean,
    /// Names that come again.
    Category,
    /// Text that hardly ever comes again: an identifier, a sentence. It has no bins.
    Text,
}

/// One feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// The column's name.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// Rows of the data set without a value; of a derived number, rows of its sample
    /// ([`rows_behind`]).
    pub nulls: u64,
    /// Rows that are NaN or infinite, of the same.
    pub not_finite: u64,
    /// What was found in the others.
    pub found: Found,
    /// Bins by hour of the week, where a time column was named.
    pub hours: Option<Hours>,
    /// After so many values of its own last part it was told from the part before: it follows the
    /// hours, or the season. Only where there are hours to hold it against instead.
    pub moves_after: Option<u64>,
}

/// What the values of a feature look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// No value in the sample: all null, not finite, or no row.
    Nothing,
    /// Numbers, integers and booleans.
    Numbers(Box<Numbers>),
    /// Categories.
    Categories(Box<Ranked>),
    /// Text without bins: different values in the sample, and values.
    Text {
        /// Different values in the sample.
        distinct: u32,
        /// Values in the sample.
        sampled: u32,
    },
}

/// What numbers look like.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// The bins, of the sample.
    pub bins: Bins,
    /// What is drawn, of the sample.
    pub quantiles: Quantiles,
    /// The least finite value of all rows; of a derived number, of its sample, as all below.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub sd: f64,
}

/// What categories look like.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The bins of their ranks.
    pub bins: Bins,
    /// Which category has which rank.
    pub categories: Categories,
}

/// Why bytes are no profile.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Malformed {
    /// They do not begin as a profile does.
    #[error("these bytes are no profile")]
    Magic,
    /// They were written by a later version.
    #[error("profile of version {0} is not known, only {VERSION}: upgrade, or make it again")]
    Version(u8),
    /// They end too early.
    #[error("profile is cut short")]
    CutShort,
    /// Something follows its end.
    #[error("profile is followed by {0} bytes that are none of it")]
    Trailing(usize),
    /// A count or a length past its limit.
    #[error("profile has a count past its limit")]
    TooMany,
    /// A name is no UTF-8.
    #[error("profile has a name that is no text")]
    Name,
    /// A tag that no writer writes.
    #[error("profile has an unknown tag {0}")]
    Tag(u8),
    /// Edges out of order.
    #[error("profile has edges out of order")]
    Edges,
    /// Quantiles out of order.
    #[error("profile has quantiles out of order")]
    Quantiles,
    /// Categories out of order.
    #[error("profile has categories out of order")]
    Categories,
    /// Shares by hour that do not fit.
    #[error("profile has hours that do not fit its bins")]
    Hours,
    /// The same profile has other bytes.
    #[error("profile is not written as it would be written")]
    NotCanonical,
}

impl Profile {
    /// The feature of this name.
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.features.iter().find(|feature| feature.name == name)
    }
}

impl Feature {
    /// The bins that live values are counted in, where the reference has any.
    pub fn bins(&self) -> Option<&Bins> {
        match &self.found {
            Found::Numbers(numbers) => Some(&numbers.bins),
            Found::Categories(ranked) => Some(&ranked.bins),
            Found::Nothing | Found::Text { .. } => None,
        }
    }

    /// Values of the sample: `m`.
    pub fn sampled(&self) -> u32 {
        match &self.found {
            Found::Nothing => 0,
            Found::Numbers(numbers) => numbers.bins.sampled(),
            Found::Categories(ranked) => ranked.bins.sampled(),
            Found::Text { sampled, .. } => *sampled,
        }
    }
}

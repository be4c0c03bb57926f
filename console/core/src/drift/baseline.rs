//! What a version is held against: the profiles of what it is asked and of what it answers, as
//! one row of features.

use std::ops::Range;

use binnacle_sketch::profile::{Feature, Profile};

/// Features side by side, each with the data set that it is of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    features: Vec<Feature>,
    parts: Vec<Part>,
}

/// One data set, and which of the features are its.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) features: Range<usize>,
    /// Rows of the data set.
    pub(super) rows: u64,
    /// What its ties are drawn from.
    pub(super) seed: u64,
}

impl Baseline {
    /// Of these profiles, whose features have different names.
    pub fn new(profiles: impl IntoIterator<Item = Profile>) -> Self {
        let mut baseline = Self::default();
        for profile in profiles {
            let first = baseline.features.len();
            baseline.features.extend(profile.features);
            baseline.parts.push(Part {
                features: first..baseline.features.len(),
                rows: profile.rows,
                seed: profile.seed,
            });
        }
        baseline
    }

    /// All features, in the order of the profiles.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The data sets in order, each with its own features.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&Part, &[Feature])> {
        let own = |part: &Part| self.features.get(part.features.clone());
        let parts = self.parts.iter();
        parts.map(move |part| (part, own(part).unwrap_or_default()))
    }
}

impl From<&Profile> for Baseline {
    fn from(profile: &Profile) -> Self {
        Self::new([profile.clone()])
    }
}

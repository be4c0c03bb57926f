//! A new version's inputs and answers beside those of the version that it is to replace, over the
//! same minutes.
//!
//! Requests are dealt out by chance, so both are asked the same kind of thing. Where they are not
//! (a sticky value that sends other customers to it, a caller of its own), errors and latencies
//! of the two cannot be compared. Held against each other at a few fixed sizes, never against
//! history: what changes with the time of day changes for both.

use std::sync::Arc;

use binnacle_sketch::profile::{BINS, Counts, OUTPUT, psi};

use super::neyman::{DEGREES, LEAST_REFERENCE, LOOKS, between, greatest};
use super::special::normal_above;
use crate::report::References;

/// How often two versions of one kind of request are ever called different: shared by the looks,
/// features, scores and both signs.
const LEVEL: f64 = 0.001;
/// A difference matters from this population stability index on, beyond what chance shows: what
/// the field calls a moderate one.
const MATTERS: f64 = 0.1;

/// What was counted of one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// What it was counted against: bins are the same where this is.
    pub references: References,
    /// Its features, and then its answers, in order.
    pub features: Vec<Seen>,
}

/// What was counted of one feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its name.
    pub name: Arc<str>,
    /// Since the version is watched.
    pub counts: Counts,
    /// φ: how much more its batches differ than chance makes them, from 1.
    pub spread: f64,
}

/// One feature that lies apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Differs {
    /// Its name.
    pub feature: Arc<str>,
    /// How the new version's values lie to the other one's.
    pub how: &'static str,
    /// How often chance alone shows as much in any feature at any look.
    pub p: f64,
    /// The population stability index beyond what chance shows.
    pub psi: f64,
}

/// What lies apart: of inputs and of answers that which is the least likely to be chance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beside {
    /// Of the inputs.
    pub inputs: Option<Differs>,
    /// Of the answers.
    pub answers: Option<Differs>,
}

impl Side {
    /// What was counted after an earlier moment.
    #[must_use]
    pub fn after(&self, before: &Self) -> Self {
        let mut side = self.clone();
        if before.references == self.references {
            for (own, before) in side.features.iter_mut().zip(&before.features) {
                own.counts = since(&own.counts, &before.counts);
            }
        }
        side
    }

    /// How many of the looks are due.
    pub fn looks(&self) -> usize {
        let values = self.features.iter().map(|seen| seen.counts.binned()).max();
        let values = values.unwrap_or(0);
        LOOKS.iter().filter(|look| values >= **look).count()
    }

    /// What lies apart between this new version and the one beside it. Nothing is said where they
    /// were not counted against the same, or where too little was counted.
    pub fn beside(&self, control: &Self) -> Beside {
        let mut found = Beside::default();
        let tests = (LOOKS.len() * DEGREES * self.features.len().max(1)) as f64;
        for own in self.features.iter().filter(|seen| match seen.is_answer() {
            true => self.references.outputs == control.references.outputs,
            false => self.references.inputs == control.references.inputs,
        }) {
            let mut others = control.features.iter();
            let other = others.find(|other| other.name == own.name);
            let Some(differs) = other.and_then(|other| own.differs(other, tests)) else {
                continue;
            };
            let place = match own.is_answer() {
                true => &mut found.answers,
                false => &mut found.inputs,
            };
            let is_likelier = |known: &Differs| {
                (known.p, -known.psi).partial_cmp(&(differs.p, -differs.psi))
                    == Some(std::cmp::Ordering::Greater)
            };
            if place.as_ref().is_none_or(is_likelier) {
                *place = Some(differs);
            }
        }
        found
    }
}

impl Seen {
    fn is_answer(&self) -> bool {
        self.name.starts_with(OUTPUT)
    }

    fn differs(&self, control: &Self, tests: f64) -> Option<Differs> {
        let (n, m) = (self.counts.binned(), control.counts.binned());
        if n < u64::from(LEAST_REFERENCE) || m < u64::from(LEAST_REFERENCE) {
            return None;
        }
        let shares = control.counts.bins.map(|count| count as f64 / m as f64);
        let (degree, score) = greatest(between(&self.counts.bins, &control.counts.bins));
        // That of the version that is known: what is sent to the new one by others in batches of
        // their own makes its batches differ, and is what is looked for.
        let spread = control.spread.max(1.0);
        let p = (2.0 * normal_above(score.abs() / spread.sqrt()) * tests).min(1.0);
        let counts = self.counts.bins.map(|count| count as f64);
        let index = psi(&shares, u32::try_from(m).unwrap_or(u32::MAX), &counts)?;
        let psi = index.value - index.chance_high * spread;
        (p <= LEVEL && psi >= MATTERS).then(|| Differs {
            feature: self.name.clone(),
            how: how(degree, score > 0.0),
            p,
            psi,
        })
    }
}

/// How values lie by a score and its sign.
fn how(degree: usize, is_above: bool) -> &'static str {
    match (degree, is_above) {
        (1, true) => "higher",
        (1, false) => "lower",
        (2, true) => "more spread out",
        (2, false) => "closer together",
        (_, _) => "of another shape",
    }
}

/// In a sentence: `tenure is higher (PSI 0.43 beyond chance, p 2e-5)`.
impl std::fmt::Display for Differs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // How much less likely it is than this says nothing more.
        let p = self.p.max(1e-9);
        write!(
            f,
            "{} is {} (PSI {:.2} beyond chance, p {p:.0e})",
            self.feature, self.how, self.psi
        )
    }
}

/// Counts that came after others.
fn since(all: &Counts, before: &Counts) -> Counts {
    let less = |all: u64, before: u64| all.saturating_sub(before);
    let mut bins = [0; BINS];
    for (bin, (all, before)) in bins.iter_mut().zip(all.bins.iter().zip(&before.bins)) {
        *bin = less(*all, *before);
    }
    Counts {
        bins,
        under: less(all.under, before.under),
        over: less(all.over, before.over),
        missing: less(all.missing, before.missing),
        unseen: less(all.unseen, before.unseen),
    }
}

#[cfg(test)]
mod tests {
    use binnacle_sketch::profile::Ties;

    use super::*;

    /// Values of three features and an answer, the second and the answer pressed towards 0.
    fn side(seed: u64, values: u64, powers: [f64; 4]) -> Side {
        let names = ["a", "b", "c", "output score"];
        let features = names.iter().zip(powers).map(|(name, power)| {
            let ties = Ties::new(seed, name);
            let mut counts = Counts::default();
            for at in 0..values {
                let u = ties.at(at).powf(power);
                counts.bins[(u * BINS as f64) as usize] += 1;
            }
            Seen {
                name: (*name).into(),
                counts,
                spread: 1.0,
            }
        });
        Side {
            references: References::default(),
            features: features.collect(),
        }
    }

    #[test]
    fn two_versions_of_one_kind_of_request_are_not_called_different() {
        for seed in 0..500 {
            let canary = side(2 * seed, 500, [1.0; 4]);
            let control = side(2 * seed + 1, 4_500, [1.0; 4]);
            assert_eq!(canary.beside(&control), Beside::default(), "{seed}");
        }
    }

    #[test]
    fn what_differs_is_named_and_what_does_not_matter_is_not() {
        let (canary, control) = (side(1, 600, [1.0, 1.8, 1.0, 0.5]), side(2, 5_000, [1.0; 4]));
        let found = canary.beside(&control);
        let inputs = found.inputs.unwrap();
        assert_eq!((&*inputs.feature, inputs.how), ("b", "lower"), "{inputs:?}");
        let answers = found.answers.unwrap();
        assert_eq!((&*answers.feature, answers.how), ("output score", "higher"));
        assert!(
            inputs.to_string().starts_with("b is lower (PSI 0."),
            "{inputs}"
        );
        // Ever so sure, and of no matter.
        let canary = side(3, 100_000, [1.05, 1.0, 1.0, 1.0]);
        let control = side(4, 900_000, [1.0; 4]);
        assert_eq!(canary.beside(&control), Beside::default());
        // Batches that differ more than chance makes them prove less.
        let (canary, mut control) = (side(5, 500, [1.5, 1.0, 1.0, 1.0]), side(6, 5_000, [1.0; 4]));
        assert!(canary.beside(&control).inputs.is_some());
        control.features[0].spread = 40.0;
        assert_eq!(canary.beside(&control).inputs, None);
    }

    #[test]
    fn a_value_that_never_changed_beside_another_one_differs() {
        let constant = |bin: usize, values: u64| {
            let mut side = side(1, 1_000, [1.0; 4]);
            let mut counts = Counts::default();
            counts.bins[bin] = values;
            side.features[0].counts = counts;
            side
        };
        let control = constant(3, 9_000);
        assert_eq!(constant(3, 1_000).beside(&control), Beside::default());
        for (bin, how) in [(7, "higher"), (1, "lower")] {
            let inputs = constant(bin, 1_000).beside(&control).inputs.unwrap();
            assert_eq!((&*inputs.feature, inputs.how), ("a", how), "{inputs:?}");
        }
    }

    #[test]
    fn only_what_came_since_counts_and_only_against_the_same() {
        let (early, all) = (side(1, 400, [3.0; 4]), side(1, 2_400, [1.0; 4]));
        let mut later = all.clone();
        for (later, early) in later.features.iter_mut().zip(&early.features) {
            later.counts.merge(&early.counts);
        }
        assert_eq!(later.after(&early), all);
        assert_eq!((early.looks(), all.looks()), (0, 2));
        let mut other = side(2, 5_000, [3.0; 4]);
        other.references.inputs = crate::registry::Digest::try_from_bytes(&[7; 32]);
        let found = all.beside(&other);
        assert!(
            found.inputs.is_none() && found.answers.is_some(),
            "{found:?}"
        );
        assert_eq!(
            all.beside(&side(2, 100, [3.0; 4])),
            Beside::default(),
            "too few"
        );
    }
}

//! Two profiles held against each other, feature by feature.
//!
//! The second is a data set of its own, of which only the profile is left: its values are put
//! into the first one's bins by its quantiles (to half a percent of its rows) or by its table of
//! categories (exactly, but for those without a line). Counts of live values need no such thing.

use std::collections::{HashMap, HashSet};

use super::bins::{BINS, Bins};
use super::categories::Categories;
use super::distance::{Ks, Psi, between, ks, psi};
use super::quantiles::Quantiles;
use super::{Feature, Found, Kind, Profile, Ranked, derived, rows_behind};
use crate::payload::PROJECTION;

/// A feature of either profile.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// Its name.
    pub name: String,
    /// Share of rows without a value in the reference; `None` when it has no rows or no such
    /// feature.
    pub nulls: Option<f64>,
    /// Share of rows without a value in the other.
    pub other_nulls: Option<f64>,
    /// What came of it.
    pub compared: Compared,
}

/// What came of comparing a feature.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// Both have values that can be compared.
    Distances(Box<Distances>),
    /// Only the reference has this feature.
    Gone,
    /// Only the other has it.
    New,
    /// Numbers here, names there.
    Kinds {
        /// What it is in the reference.
        reference: Kind,
        /// What it is in the other.
        other: Kind,
    },
    /// One of the two has no value, or no number that is told of the same.
    Empty,
    /// Free text, which has no bins.
    Text,
}

/// How far two features lie apart.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Distances {
    /// The population stability index.
    pub psi: Psi,
    /// The greatest difference between the distributions.
    pub ks: Ks,
    /// How far values moved on average, in standard deviations of the reference; of numbers that
    /// are not constant.
    pub wasserstein: Option<f64>,
    /// Share of the other's values whose category the reference never saw; of categories.
    pub unseen: Option<f64>,
    /// The reference's share of each of its bins.
    pub expected: [f64; BINS],
    /// The other's share of the same bins.
    pub shares: [f64; BINS],
}

/// Compares two profiles: the reference's features in its order, then those that only the other
/// has.
pub fn compare(reference: &Profile, other: &Profile) -> Vec<Comparison> {
    let share =
        |feature: &Feature, behind: u64| (behind > 0).then(|| feature.nulls as f64 / behind as f64);
    let behind = rows_behind(&other.features, other.rows);
    let there: HashMap<&str, (&Feature, u64)> = other
        .features
        .iter()
        .zip(behind)
        .map(|(feature, behind)| (feature.name.as_str(), (feature, behind)))
        .collect();
    // Of which parent it tells, and which of its figures.
    let mut told = vec![None; reference.features.len()];
    for run in derived(&reference.features) {
        let own = told.iter_mut().skip(run.features.start);
        for (told, figure) in own.zip(run.told.figures()) {
            *told = Some((run.parent, *figure));
        }
    }
    let behind = rows_behind(&reference.features, reference.rows);
    let own = reference.features.iter().zip(behind).zip(told);
    let own = own.map(|((feature, behind), told)| {
        let name = feature.name.as_str();
        let found = there.get(name);
        // The signs of projections are the seed's: of another one they tell something else.
        let is_other = reference.seed != other.seed
            && told.is_some_and(|(_, figure)| figure.starts_with(PROJECTION));
        // A text that is told in numbers here and not there is a category there.
        let is_there = told.is_some_and(|(parent, _)| there.contains_key(parent));
        Comparison {
            name: name.to_owned(),
            nulls: share(feature, behind),
            other_nulls: found.and_then(|(there, behind)| share(there, *behind)),
            compared: match found {
                Some(_) if is_other => Compared::Empty,
                Some((there, _)) => pair(feature, there),
                None if is_there => Compared::Empty,
                None => Compared::Gone,
            },
        }
    });
    let known: HashSet<&str> = reference.features.iter().map(|f| f.name.as_str()).collect();
    let new = other.features.iter();
    let new = new.filter(|feature| !known.contains(feature.name.as_str()));
    let new = new.map(|feature| Comparison {
        name: feature.name.clone(),
        nulls: None,
        other_nulls: there
            .get(feature.name.as_str())
            .and_then(|(there, behind)| share(there, *behind)),
        compared: Compared::New,
    });
    own.chain(new).collect()
}

fn pair(reference: &Feature, other: &Feature) -> Compared {
    match (&reference.found, &other.found) {
        (Found::Nothing, _) | (_, Found::Nothing) => Compared::Empty,
        (Found::Numbers(own), Found::Numbers(there)) => {
            let shares = of_numbers(&own.bins, &there.quantiles);
            let moved = between(&own.quantiles, &there.quantiles, own.sd);
            distances(&own.bins, shares, there.bins.sampled(), moved, None)
        }
        (Found::Categories(own), Found::Categories(there)) => {
            let (shares, unseen) = of_ranks(own, &there.categories);
            distances(&own.bins, shares, there.bins.sampled(), None, Some(unseen))
        }
        (Found::Text { .. }, Found::Text { .. } | Found::Categories(_))
        | (Found::Categories(_), Found::Text { .. }) => Compared::Text,
        (Found::Numbers(_), Found::Categories(_) | Found::Text { .. })
        | (Found::Categories(_) | Found::Text { .. }, Found::Numbers(_)) => Compared::Kinds {
            reference: reference.kind,
            other: other.kind,
        },
    }
}

fn distances(
    bins: &Bins,
    shares: [f64; BINS],
    n: u32,
    wasserstein: Option<f64>,
    unseen: Option<f64>,
) -> Compared {
    let expected = bins.shares();
    let counts = shares.map(|share| share * f64::from(n));
    let psi = psi(&expected, bins.sampled(), &counts);
    let ks = ks(&expected, bins.sampled(), &counts);
    match (psi, ks) {
        (Some(psi), Some(ks)) => Compared::Distances(Box::new(Distances {
            psi,
            ks,
            wasserstein,
            unseen,
            expected,
            shares,
        })),
        (None, _) | (_, None) => Compared::Empty,
    }
}

/// The share of a sample, known by its quantiles, in each bin.
fn of_numbers(bins: &Bins, quantiles: &Quantiles) -> [f64; BINS] {
    between_edges(bins, |x, v| {
        let (under, upto) = quantiles.below(x);
        under + v * (upto - under)
    })
}

/// The share of categories in each of the reference's bins, and that of those it never saw.
fn of_ranks(own: &Ranked, there: &Categories) -> ([f64; BINS], f64) {
    let mut ranks: Vec<(f64, f64)> = Vec::new();
    let (mut all, mut unseen) = (0.0, 0.0);
    let lines = there
        .table()
        .iter()
        .map(|c| (own.categories.rank_of(c.hash), c.sampled));
    let rest = there.rest().into_iter().flatten().enumerate();
    let rest = rest.map(|(bucket, n)| (own.categories.bucket_rank(bucket), *n));
    for (rank, sampled) in lines.chain(rest) {
        let sampled = f64::from(sampled);
        all += sampled;
        if let super::Rank::Unseen(_) = rank {
            unseen += sampled;
        }
        ranks.push((rank.x(), sampled));
    }
    let all = f64::max(all, 1.0);
    let shares = between_edges(&own.bins, |x, v| {
        let below = ranks.iter().map(|(rank, n)| match rank.total_cmp(&x) {
            std::cmp::Ordering::Less => *n,
            std::cmp::Ordering::Equal => v * n,
            std::cmp::Ordering::Greater => 0.0,
        });
        below.sum::<f64>() / all
    });
    (shares, unseen / all)
}

/// What lies in each bin, of a distribution whose share below an edge is `below`.
fn between_edges(bins: &Bins, below: impl Fn(f64, f64) -> f64) -> [f64; BINS] {
    let mut shares = [0.0; BINS];
    let ends = bins.edges().map(|edge| below(edge.x, edge.v));
    let mut last = 0.0;
    for (share, end) in shares.iter_mut().zip(ends.into_iter().chain([1.0])) {
        *share = (end - last).max(0.0);
        last = end;
    }
    shares
}

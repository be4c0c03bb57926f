//! A profile as rows: what a screen draws and a script reads.

use super::quantiles::Quantiles;
use super::{Feature, Found, Kind, Profile, rows_behind};

/// One feature as a row.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// Values of the sample behind the bins.
    pub sampled: u32,
    /// Share of rows without a value, of a derived number in its sample; `None` without rows.
    pub nulls: Option<f64>,
    /// Rows that are NaN or infinite.
    pub not_finite: u64,
    /// Least, 1 %, 5 %, 25 %, 50 %, 75 %, 95 %, 99 %, greatest; of numbers.
    pub quantiles: Option<[f64; 9]>,
    /// Mean of all rows; of numbers.
    pub mean: Option<f64>,
    /// Standard deviation of all rows; of numbers.
    pub sd: Option<f64>,
    /// Different values in the sample; of categories and text.
    pub distinct: Option<u32>,
    /// After so many values it was told from its own past: it is held against the hours of a week.
    pub moves_after: Option<u64>,
    /// Shares to be drawn side by side: of equal spans of the values, or of the most frequent
    /// categories.
    pub bars: Vec<Bar>,
}

/// A share of a feature's values.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Bar {
    /// The least value, or the category.
    pub label: String,
    /// From 0 to 1.
    pub share: f64,
}

/// All features as rows, each with at most so many bars.
pub fn rows(profile: &Profile, count: usize) -> Vec<Row> {
    let behind = rows_behind(&profile.features, profile.rows);
    let features = profile.features.iter().zip(behind);
    features
        .map(|(feature, behind)| row(feature, behind, count))
        .collect()
}

fn row(feature: &Feature, rows: u64, count: usize) -> Row {
    let mut row = Row {
        name: feature.name.clone(),
        kind: feature.kind,
        sampled: feature.sampled(),
        nulls: (rows > 0).then(|| feature.nulls as f64 / rows as f64),
        not_finite: feature.not_finite,
        quantiles: None,
        mean: None,
        sd: None,
        distinct: None,
        moves_after: feature.moves_after,
        bars: Vec::new(),
    };
    match &feature.found {
        Found::Nothing => {}
        Found::Numbers(numbers) => {
            let q = |share| numbers.quantiles.at(share);
            let [a, b, c, d, e, f, g] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99].map(q);
            row.quantiles = Some([numbers.min, a, b, c, d, e, f, g, numbers.max]);
            row.mean = Some(numbers.mean);
            row.sd = Some(numbers.sd);
            row.bars = bars(&numbers.quantiles, q(0.005), q(0.995), count);
        }
        Found::Categories(ranked) => {
            let all = f64::from(ranked.bins.sampled().max(1));
            row.distinct = Some(ranked.categories.distinct());
            let table = ranked.categories.table().iter().take(count);
            let bar = |name: &str, sampled| Bar {
                label: name.to_owned(),
                share: f64::from(sampled) / all,
            };
            row.bars = table.map(|c| bar(&c.name, c.sampled)).collect();
        }
        Found::Text { distinct, .. } => row.distinct = Some(*distinct),
    }
    row
}

/// The shares of a sample in `count` equal spans from `low` to `high`; the first and the last
/// also hold what lies beyond them. Two samples over the same spans can be laid over each other.
pub fn bars(quantiles: &Quantiles, low: f64, high: f64, count: usize) -> Vec<Bar> {
    let mut bars = Vec::with_capacity(count);
    let mut last = 0.0;
    for bar in 0..count {
        let at = |step: usize| {
            let part = step as f64 / count as f64;
            low * (1.0 - part) + high * part
        };
        let end = if bar + 1 == count {
            1.0
        } else {
            quantiles.below(at(bar + 1)).0
        };
        bars.push(Bar {
            label: format!("{:?}", at(bar)),
            share: (end - last).max(0.0),
        });
        last = end;
    }
    bars
}

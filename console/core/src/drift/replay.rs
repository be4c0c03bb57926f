//! Whether a feature is exchangeable with its own past: the last part of the reference replayed
//! in time order against the part before.
//!
//! A feature that alarms on its own past follows the hour, the season or the growth of the
//! business. For such a feature gate A proves nothing; it is held against the envelope of the
//! hours of the week alone, and the console says so.

use std::sync::Arc;

use binnacle_sketch::profile::{BINS, Past};
use serde::{Deserialize, Serialize};

use super::experts::Experts;
use super::stream::{Null, Stream};
use super::tolerance::{Bounds, Tolerance};

/// How many of a hundred features that are exchangeable are called otherwise, at most.
const LEVEL: f64 = 0.01;
/// Values of a batch.
const BATCH: usize = 16;
/// Values of the replayed part below which nothing is said.
const LEAST: usize = 100;

/// What the replay showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replayed {
    /// The last part looks like the part before.
    Exchangeable,
    /// It alarmed after so many values.
    Moves {
        /// Values of the replayed part.
        after: u64,
    },
    /// Too few values, or no time, to say.
    NotEnough,
}

/// Replays the past of one feature.
pub fn replay(past: &Past) -> Replayed {
    if past.bins.len() < LEAST {
        return Replayed::NotEnough;
    }
    let experts = Arc::new(Experts::of_features());
    let tolerance = Arc::new(Tolerance::new(&experts, Bounds::of_feature()));
    let null = Null {
        experts,
        tolerance,
        gaps: Some(past.gaps.to_vec()),
    };
    let mut stream = Stream::new(&null.experts);
    let steps = past.bins.len().div_ceil(BATCH);
    let threshold = steps as f64 / LEVEL;
    for (step, batch) in past.bins.chunks(BATCH).enumerate() {
        let mut counts = [0; BINS];
        for bin in batch {
            if let Some(count) = counts.get_mut(usize::from(*bin)) {
                *count += 1;
            }
        }
        // A bin without a gap cannot hold a value: the same sample gave both.
        if stream.step(step as u32 + 1, &null, &counts).is_err() {
            return Replayed::NotEnough;
        }
        if stream.evidence(&null).agreed() >= threshold {
            let after = (step * BATCH + batch.len()) as u64;
            return Replayed::Moves { after };
        }
    }
    Replayed::Exchangeable
}

#[cfg(test)]
mod tests {
    use binnacle_sketch::profile::{Column, Field, Gather, Kind, Ties};

    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    fn replayed(rows: usize, value: impl Fn(usize, f64) -> f64) -> Replayed {
        let ties = Ties::new(3, "values");
        let values: Vec<f64> = (0..rows).map(|at| value(at, ties.at(at as u64))).collect();
        let times: Vec<i64> = (0..rows as i64).map(|at| at * HOUR_US).collect();
        let field = Field {
            name: "x".into(),
            kind: Kind::Number,
        };
        let mut gather = Gather::new(1, vec![field]).unwrap();
        gather.block(
            rows,
            &[Column::Numbers {
                values: &values,
                nulls: 0,
            }],
            Some(&times),
        );
        replay(&gather.past().remove(0))
    }

    #[test]
    fn a_feature_that_follows_the_hour_or_grows_is_not_exchangeable() {
        assert_eq!(replayed(6_000, |_, u| u), Replayed::Exchangeable);
        let daily = |at: usize, u: f64| u + 2.0 * ((at / 200) as f64).sin();
        assert!(matches!(replayed(6_000, daily), Replayed::Moves { .. }));
        let growing = |at: usize, u: f64| u + at as f64 / 6_000.0;
        assert!(matches!(replayed(6_000, growing), Replayed::Moves { .. }));
        assert_eq!(replayed(200, |_, u| u), Replayed::NotEnough);
        assert_eq!(
            replayed(6_000, |_, _| 1.0),
            Replayed::Exchangeable,
            "constant"
        );
    }
}

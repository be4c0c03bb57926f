//! Bounds that must hold wherever a model serves: `p99<=250ms`, `errors<=0.5%`, `nulls<=1%`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Objectives of one model: one a figure, and there are few figures.
pub const MAX_OBJECTIVES: usize = 8;

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Figure {
    /// The share of requests that failed.
    Errors,
    /// The share of answers that say nothing: no number, null, empty.
    Nulls,
    /// The median latency.
    P50,
    /// The 90th percentile of latency.
    P90,
    /// The 99th percentile of latency.
    P99,
    /// The 99.9th percentile of latency.
    P999,
}

/// A bound from above on one figure. Written as text everywhere: `p99<=250ms`, `errors<=0.5%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "String")]
pub struct Objective {
    /// What is bounded.
    pub figure: Figure,
    /// The bound: nanoseconds of a latency, millionths of a share.
    limit: u64,
}

/// Why text is no objective.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no objective: say errors<=0.5%, nulls<=1% or p50, p90, p99, p99.9 as in p99<=250ms"
)]
pub struct NotAnObjective(String);

impl Figure {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Nulls => "nulls",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
        }
    }

    /// Whether it is a share of all, and not a latency.
    fn is_share(self) -> bool {
        match self {
            Self::Errors | Self::Nulls => true,
            Self::P50 | Self::P90 | Self::P99 | Self::P999 => false,
        }
    }

    const ALL: [Self; 6] = [
        Self::Errors,
        Self::Nulls,
        Self::P50,
        Self::P90,
        Self::P99,
        Self::P999,
    ];
}

/// Units, the longest name first where one ends another.
const LATENCIES: [(&str, f64); 3] = [("us", 1e3), ("ms", 1e6), ("s", 1e9)];
/// No latency is bounded by more than an hour: what is measured ends there.
const MAX_NS: f64 = 3.6e12;
/// Millionths in one per cent.
const PERCENT: f64 = 1e4;

impl FromStr for Objective {
    type Err = NotAnObjective;
    fn from_str(text: &str) -> Result<Self, NotAnObjective> {
        let no = || NotAnObjective(text.to_owned());
        let (figure, bound) = text.split_once("<=").ok_or_else(no)?;
        let (figure, bound) = (figure.trim(), bound.trim());
        let figure = Figure::ALL.into_iter().find(|known| known.word() == figure);
        let figure = figure.ok_or_else(no)?;
        let (number, unit, max) = match figure {
            Figure::Errors | Figure::Nulls => {
                (bound.strip_suffix('%').ok_or_else(no)?, PERCENT, 1e6)
            }
            Figure::P50 | Figure::P90 | Figure::P99 | Figure::P999 => {
                let unit = |(name, ns): (&str, f64)| Some((bound.strip_suffix(name)?, ns, MAX_NS));
                LATENCIES.into_iter().find_map(unit).ok_or_else(no)?
            }
        };
        let number: f64 = number.trim().parse().map_err(|_| no())?;
        let limit = (number * unit).round();
        // Also false for what is no number.
        if !(limit >= 1.0 && limit <= max) {
            return Err(no());
        }
        let limit = limit as u64;
        Ok(Self { figure, limit })
    }
}

impl Objective {
    /// The bound of a latency, in nanoseconds.
    pub fn latency_ns(&self) -> Option<u64> {
        (!self.figure.is_share()).then_some(self.limit)
    }

    /// The bound of a share, in millionths.
    pub fn share_ppm(&self) -> Option<u64> {
        self.figure.is_share().then_some(self.limit)
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, limit) = (self.figure.word(), self.limit as f64);
        if self.figure.is_share() {
            return write!(f, "{word}<={}%", limit / PERCENT);
        }
        let [(us, in_us), (ms, in_ms), (s, in_s)] = LATENCIES;
        let (unit, in_unit) = match limit {
            ns if ns >= in_s => (s, in_s),
            ns if ns >= in_ms => (ms, in_ms),
            _ => (us, in_us),
        };
        write!(f, "{word}<={}{unit}", limit / in_unit)
    }
}

impl TryFrom<Arc<str>> for Objective {
    type Error = NotAnObjective;
    fn try_from(text: Arc<str>) -> Result<Self, NotAnObjective> {
        text.parse()
    }
}

impl From<Objective> for String {
    fn from(objective: Objective) -> Self {
        objective.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objective_is_written_as_it_is_read() {
        for text in [
            "p99<=250ms",
            "errors<=0.5%",
            "p50<=900us",
            "p99.9<=1.5s",
            "errors<=100%",
            "nulls<=1%",
        ] {
            let objective: Objective = text.parse().unwrap();
            assert_eq!(objective.to_string(), text);
        }
        let objective: Objective = "p99 <= 0.25 s".parse().unwrap();
        assert_eq!(objective.latency_ns(), Some(250_000_000));
        for bad in [
            "p99",
            "p99<=",
            "p99<=NaNms",
            "errors<=101%",
            "p99<=2h",
            "p98<=1ms",
            "errors<=5",
        ] {
            assert!(bad.parse::<Objective>().is_err(), "{bad:?}");
        }
    }
}

//! A glance: what a table of the whole fleet needs of each host, and nothing more.
//!
//! A console holds one of these for every host, so it is small; the whole [`HostRow`] is
//! fetched for what is on the screen. Figures are those of one finished minute.
//!
//! [`HostRow`]: super::HostRow

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Status;
use crate::host::Labels;

/// One host at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Glance {
    /// Its name.
    pub host: Arc<str>,
    /// Where it belongs.
    pub environment: Arc<str>,
    /// What selectors choose by.
    pub labels: Labels,
    /// What it says of itself.
    pub status: Status,
    /// Since when its status is what it is, as far as the hub saw; absent when it did not.
    pub since_us: Option<i64>,
    /// Why it is not OK; empty when it is.
    pub reason: Arc<str>,
    /// Its requests of the last finished minute.
    pub cell: Cell,
}

/// The whole fleet at a glance, or what changed of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Glances {
    /// By the hub's clock.
    pub as_of_us: i64,
    /// Where the minute of the cells begins; absent before the first is finished.
    pub minute_us: Option<i64>,
    /// Whether these are all hosts; else only those that changed.
    pub is_whole: bool,
    /// In order of name.
    pub hosts: Vec<Glance>,
}

/// One host's requests over a span of time, in twelve bytes: what a heat map is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// Requests that ended in the span.
    pub requests: u32,
    /// Those that failed.
    pub errors: u32,
    /// Median.
    pub p50: Coarse,
    /// 99th percentile.
    pub p99: Coarse,
}

/// Bytes of a [`Cell`] on the wire and in a store.
pub const CELL_BYTES: usize = 12;

/// Percent of a minute's requests that a part has to hold for its percentiles to be told.
const NEARLY_ALL: u64 = 90;

impl Cell {
    /// Little endian, in the order of the fields.
    pub fn to_bytes(self) -> [u8; CELL_BYTES] {
        let mut bytes = [0; CELL_BYTES];
        let fields = self.requests.to_le_bytes().into_iter();
        let fields = fields
            .chain(self.errors.to_le_bytes())
            .chain(self.p50.0.to_le_bytes())
            .chain(self.p99.0.to_le_bytes());
        bytes
            .iter_mut()
            .zip(fields)
            .for_each(|(to, from)| *to = from);
        bytes
    }

    /// Parts of one minute: requests and errors add up, percentiles do not. Those of the part
    /// with the most requests are told where nearly all are in it, and none otherwise.
    pub fn together(parts: &[Self]) -> Self {
        let added = Self::added(parts);
        let most = parts.iter().max_by_key(|part| part.requests);
        let nearly_all =
            |part: &&Self| u64::from(part.requests) * 100 >= u64::from(added.requests) * NEARLY_ALL;
        match most.filter(nearly_all) {
            Some(part) => Self {
                p50: part.p50,
                p99: part.p99,
                ..added
            },
            None => added,
        }
    }

    /// Minutes as one longer span: requests and errors add up, percentiles are those of its
    /// worst minute.
    pub fn longer(minutes: &[Self]) -> Self {
        let worst = |of: fn(&Self) -> Coarse| minutes.iter().map(of).max().unwrap_or_default();
        Self {
            p50: worst(|cell| cell.p50),
            p99: worst(|cell| cell.p99),
            ..Self::added(minutes)
        }
    }

    fn added(cells: &[Self]) -> Self {
        let sum = |sum: Self, cell: &Self| Self {
            requests: sum.requests.saturating_add(cell.requests),
            errors: sum.errors.saturating_add(cell.errors),
            ..sum
        };
        cells.iter().fold(Self::default(), sum)
    }

    /// What [`Cell::to_bytes`] wrote.
    pub fn from_bytes(bytes: [u8; CELL_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self {
            requests: u32::from_le_bytes([a, b, c, d]),
            errors: u32::from_le_bytes([e, f, g, h]),
            p50: Coarse(u16::from_le_bytes([i, j])),
            p99: Coarse(u16::from_le_bytes([k, l])),
        }
    }
}

/// A latency in two bytes: `round(1024 · log2(ns))`, which is within 0.034 % of it; 0 where
/// too few requests were seen to know it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Coarse(pub u16);

/// Steps to a doubling.
const STEPS: f64 = 1024.0;

impl Coarse {
    /// Rounds a latency; 0 and 1 ns are told as 1 step above 1 ns, since 0 is "few".
    pub fn of_ns(ns: Option<u64>) -> Self {
        let steps = |ns: u64| ((ns.max(1) as f64).log2() * STEPS).round() as u16;
        Self(ns.map_or(0, |ns| steps(ns).max(1)))
    }

    /// In microseconds; absent where few requests were seen.
    pub fn us(self) -> Option<f64> {
        (self.0 > 0).then(|| (f64::from(self.0) / STEPS).exp2() / 1_000.0)
    }
}

/// Hosts' requests over time: what a heat map and a host's past are drawn from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// By the hub's clock.
    pub as_of_us: i64,
    /// Where the first column begins.
    pub from_us: i64,
    /// Seconds a column.
    pub step_s: u32,
    /// The host, and its cell in each column; a column in which the hub knows nothing of it
    /// is absent, which is not the same as one with no requests.
    pub hosts: Vec<(Arc<str>, Vec<Option<Cell>>)>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cell_survives_its_twelve_bytes(requests: u32, errors: u32, p50: u16, p99: u16) {
            let cell = Cell { requests, errors, p50: Coarse(p50), p99: Coarse(p99) };
            prop_assert_eq!(Cell::from_bytes(cell.to_bytes()), cell);
        }

        #[test]
        fn a_latency_in_two_bytes_is_within_its_bound(ns in 2u64..3_600_000_000_000) {
            let us = Coarse::of_ns(Some(ns)).us().unwrap();
            let error = (us * 1_000.0 / ns as f64 - 1.0).abs();
            prop_assert!(error < 0.000_34, "{ns} ns became {us} µs");
        }
    }

    #[test]
    fn percentiles_of_parts_are_told_of_nearly_all_requests_or_not_at_all() {
        let part = |requests, p99| Cell {
            requests,
            errors: 1,
            p50: Coarse(p99 / 2),
            p99: Coarse(p99),
        };
        let (most, rest) = (part(900, 40), part(100, 80));
        let whole = part(1_000, 40);
        assert_eq!(Cell::together(&[rest, most]), Cell { errors: 2, ..whole });
        let unknown = Cell {
            requests: 1_001,
            errors: 2,
            ..Cell::default()
        };
        assert_eq!(Cell::together(&[most, part(101, 80)]), unknown);
        assert_eq!(Cell::together(&[most]), most);
        assert_eq!(Cell::together(&[]), Cell::default());
        let worst = part(1_000, 80);
        assert_eq!(Cell::longer(&[most, rest]), Cell { errors: 2, ..worst });
    }

    #[test]
    fn few_stays_few_and_nothing_else_becomes_it() {
        assert_eq!(Coarse::of_ns(None).us(), None);
        assert!(Coarse::of_ns(Some(0)).us().is_some());
        assert!(Coarse::of_ns(Some(u64::MAX)).us().is_some());
    }
}

//! The agent's own log of requests, read back: one line of JSON for each.
//!
//! It is the truth that the hub's figures are held against, because it is written a request at a
//! time and nothing in it has been added up.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Latencies in nanoseconds, ascending, by model and version.
pub type Latencies = BTreeMap<(String, String), Vec<u64>>;

/// Reads a log.
#[track_caller]
pub fn read(path: &Path) -> Latencies {
    let mut latencies = Latencies::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        let ns = line["ns"].as_u64().unwrap();
        latencies
            .entry((text("model"), text("version")))
            .or_default()
            .push(ns);
    }
    latencies.values_mut().for_each(|of| of.sort_unstable());
    latencies
}

/// The exact nearest-rank quantile: the smallest value that at least that share is at or below.
pub fn nearest_rank(ascending: &[u64], quantile: f64) -> u64 {
    let rank = (quantile * ascending.len() as f64).ceil() as usize;
    ascending[rank.clamp(1, ascending.len()) - 1]
}

//! Each model's requests of late, all hosts and outcomes together.

use std::collections::BTreeMap;
use std::sync::Arc;

use binnacle_core::view::{ModelRow, Traffic};
use binnacle_sketch::Encoded;

use crate::telemetry::seconds::Look;
use crate::telemetry::tally::Folder;

/// The span of a model's traffic.
const SPAN_S: i64 = 10;
/// The second before the present one is still coming in.
const UNFINISHED_S: i64 = 1;

const SECOND_US: i64 = 1_000_000;

/// The last ten whole seconds.
pub(crate) fn span(now_us: i64) -> (i64, i64) {
    let to_us = (now_us.div_euclid(SECOND_US) - UNFINISHED_S) * SECOND_US;
    (to_us - SPAN_S * SECOND_US, to_us)
}

/// A row a model, in order of name.
pub(crate) fn rows(looks: &[Look]) -> Vec<ModelRow> {
    let mut models = BTreeMap::<Arc<str>, (u64, Vec<&Encoded>)>::new();
    let parts = looks.iter().flat_map(|look| &look.parts);
    for counted in parts.flat_map(|part| part.iter()) {
        let model = models.entry(counted.key.model.clone()).or_default();
        if counted.key.outcome.is_error() {
            model.0 += counted.latency.count().unwrap_or(0);
        }
        model.1.push(&counted.latency);
    }
    let mut folder = Folder::sparse();
    let row = |(model, (errors, pieces)): (Arc<str>, (u64, Vec<&Encoded>))| {
        let latency = folder.latency(pieces.into_iter());
        let traffic = Traffic {
            span_s: SPAN_S as u32,
            requests: latency.count(),
            errors,
            p50_ns: latency.known_quantile_ns(0.5),
            p99_ns: latency.known_quantile_ns(0.99),
            // Requests under way are known by host, not by model.
            in_flight: 0,
        };
        ModelRow { model, traffic }
    };
    models.into_iter().map(row).collect()
}

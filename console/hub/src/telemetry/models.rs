//! Each model's requests of late, all hosts and outcomes together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use binnacle_core::series::SeriesKey;
use binnacle_core::view::{ModelRow, Traffic};
use binnacle_sketch::Encoded;

use crate::telemetry::seconds::Look;
use crate::telemetry::tally::Folder;
use crate::telemetry::traffic::{ENOUGH, LONG_S, SHORT_S, UNFINISHED_S};

const SECOND_US: i64 = 1_000_000;

/// Rows that were worked out in one second, for all who ask in it.
pub(crate) type Shared = Arc<tokio::sync::Mutex<Option<(i64, Arc<Vec<ModelRow>>)>>>;

/// The whole seconds that the longest row is of.
pub(crate) fn span(now_us: i64) -> (i64, i64) {
    let to_us = (now_us.div_euclid(SECOND_US) - UNFINISHED_S) * SECOND_US;
    (to_us - LONG_S * SECOND_US, to_us)
}

/// One model while it is added up.
#[derive(Default)]
struct Sum<'a> {
    /// Requests and errors of the short span.
    short: (u64, u64),
    /// Errors of the long one.
    errors: u64,
    /// Pieces, those of the short span last, and how many are before them.
    pieces: Vec<&'a Encoded>,
    older: usize,
}

/// A row a model, in order of name; the looks are of the seconds before `to_us`, and memory
/// holds them from `whole_from_us` on.
pub(crate) fn rows(looks: &[Look], whole_from_us: i64, to_us: i64) -> Vec<ModelRow> {
    let to_s = to_us.div_euclid(SECOND_US);
    let known_s = (to_s - whole_from_us.div_euclid(SECOND_US)).clamp(SHORT_S, LONG_S);
    let mut models = Models::default();
    for look in looks {
        let is_short = look.second >= to_s - SHORT_S;
        for counted in look.parts.iter().flat_map(|part| part.pieces()) {
            let sum = models.sum(&counted.key);
            let requests = counted.latency.count().unwrap_or(0);
            let errors = if counted.key.outcome.is_error() {
                requests
            } else {
                0
            };
            sum.errors += errors;
            if is_short {
                sum.short = (sum.short.0 + requests, sum.short.1 + errors);
            } else {
                sum.older += 1;
            }
            sum.pieces.push(&counted.latency);
        }
    }
    let mut folder = Folder::sparse();
    let mut row = |(model, sum): (&&str, &Sum<'_>)| ModelRow {
        model: (*model).into(),
        traffic: sum.traffic(known_s, &mut folder),
    };
    let named = models.by_name.iter();
    named
        .filter_map(|(model, &place)| Some(row((model, models.sums.get(place)?))))
        .collect()
}

/// Models in order of name, and where the sum of each series is.
#[derive(Default)]
struct Models<'a> {
    by_name: BTreeMap<&'a str, usize>,
    /// By where the key lies, which all pieces of a series share: comparing names for each piece
    /// would take longer than adding it.
    by_key: HashMap<*const SeriesKey, usize>,
    sums: Vec<Sum<'a>>,
}

impl<'a> Models<'a> {
    fn sum(&mut self, key: &'a Arc<SeriesKey>) -> &mut Sum<'a> {
        let place = *self.by_key.entry(Arc::as_ptr(key)).or_insert_with(|| {
            *self.by_name.entry(&key.model).or_insert_with(|| {
                self.sums.push(Sum::default());
                self.sums.len() - 1
            })
        });
        self.sums
            .get_mut(place)
            .expect("the place was just looked up or filled")
    }
}

impl Sum<'_> {
    fn traffic(&self, known_s: i64, folder: &mut Folder) -> Traffic {
        let is_enough = self.short.0 >= ENOUGH;
        let (span_s, errors, skip) = match is_enough {
            true => (SHORT_S, self.short.1, self.older),
            false => (known_s, self.errors, 0),
        };
        let latency = folder.latency(self.pieces.iter().copied().skip(skip));
        Traffic {
            span_s: span_s as u32,
            requests: latency.count(),
            errors,
            p50_ns: latency.known_quantile_ns(0.5),
            p99_ns: latency.known_quantile_ns(0.99),
            // Requests under way are known by host, not by model.
            in_flight: 0,
        }
    }
}

//! Latencies as tables and charts show them: histograms that were merged exactly, read at the
//! end.

use std::collections::BTreeMap;
use std::sync::Arc;

use binnacle_sketch::{Latency, Malformed};
use serde::{Deserialize, Serialize};

use crate::series::{Outcome, SeriesWindow};

/// Latencies, told: what the merged histogram of a span says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Requests.
    pub requests: u64,
    /// Median in microseconds; absent when few.
    pub p50_us: Option<f64>,
    /// 90th percentile; absent when few.
    pub p90_us: Option<f64>,
    /// 99th percentile; absent when few.
    pub p99_us: Option<f64>,
    /// 99.9th percentile; absent when few.
    pub p999_us: Option<f64>,
    /// Arithmetic mean; absent when there was none.
    pub mean_us: Option<f64>,
    /// The slowest; absent when there was none.
    pub max_us: Option<f64>,
}

impl Percentiles {
    /// Reads them off a histogram.
    pub fn of(latency: &Latency) -> Self {
        let us = |ns: u64| ns as f64 / 1_000.0;
        let known = |quantile| latency.known_quantile_ns(quantile).map(us);
        let requests = latency.count();
        Self {
            requests,
            p50_us: known(0.5),
            p90_us: known(0.9),
            p99_us: known(0.99),
            p999_us: known(0.999),
            mean_us: (requests > 0).then(|| us(latency.sum_ns()) / requests as f64),
            max_us: (requests > 0).then(|| us(latency.max_ns())),
        }
    }
}

/// One version's requests over a span, merged over hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyRow {
    /// The endpoint that was called; empty while none is configured.
    pub endpoint: Arc<str>,
    /// The upstream's name of the model; `other` for names that no server knows.
    pub model: Arc<str>,
    /// The upstream's version; empty when the application named none.
    pub version: Arc<str>,
    /// All requests, whatever their outcome.
    #[serde(flatten)]
    pub all: Percentiles,
    /// Requests that failed.
    pub errors: u64,
    /// Bytes of the requests' bodies.
    pub request_bytes: u64,
    /// Bytes of the answers' bodies.
    pub response_bytes: u64,
    /// The same figures by outcome; outcomes that did not occur are absent.
    pub outcomes: BTreeMap<Outcome, Percentiles>,
}

/// A span's rows by version, and their total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyTable {
    /// In order of endpoint, model, version.
    pub rows: Vec<LatencyRow>,
    /// Everything together.
    pub total: LatencyRow,
}

#[derive(Default)]
struct Sum {
    all: Latency,
    outcomes: BTreeMap<Outcome, Latency>,
    request_bytes: u64,
    response_bytes: u64,
}

impl Sum {
    fn add(&mut self, window: &SeriesWindow) -> Result<(), Malformed> {
        self.all.add_encoded(&window.latency)?;
        self.outcomes
            .entry(window.key.outcome)
            .or_default()
            .add_encoded(&window.latency)?;
        self.request_bytes = self.request_bytes.saturating_add(window.request_bytes);
        self.response_bytes = self.response_bytes.saturating_add(window.response_bytes);
        Ok(())
    }

    fn errors(&self) -> u64 {
        let failed = self.outcomes.iter().filter(|(by, _)| by.is_error());
        failed.map(|(_, latency)| latency.count()).sum()
    }

    fn row(&self, (endpoint, model, version): Place) -> LatencyRow {
        let outcomes = self.outcomes.iter();
        LatencyRow {
            endpoint,
            model,
            version,
            all: Percentiles::of(&self.all),
            errors: self.errors(),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            outcomes: outcomes
                .map(|(by, sum)| (*by, Percentiles::of(sum)))
                .collect(),
        }
    }
}

type Place = (Arc<str>, Arc<str>, Arc<str>);

/// Adds windows up by version: histograms and counts add, percentiles are read at the end.
pub fn latency<'a>(
    windows: impl IntoIterator<Item = &'a SeriesWindow>,
) -> Result<LatencyTable, Malformed> {
    let (mut sums, mut total) = (BTreeMap::<Place, Sum>::new(), Sum::default());
    for window in windows {
        let key = &window.key;
        let place = (key.endpoint.clone(), key.model.clone(), key.version.clone());
        sums.entry(place).or_default().add(window)?;
        total.add(window)?;
    }
    let rows = sums
        .into_iter()
        .map(|(place, sum)| sum.row(place))
        .collect();
    Ok(LatencyTable {
        rows,
        total: total.row(("".into(), "".into(), "".into())),
    })
}

/// One bar of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// The least latency in it.
    pub low_ns: u64,
    /// How many nanoseconds it spans.
    pub width_ns: u64,
    /// Requests in it, exactly.
    pub requests: u64,
}

/// How one version's latencies are spread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The upstream's version.
    pub version: Arc<str>,
    /// Bars that hold something, in order.
    pub bars: Vec<Bar>,
}

/// The versions of a model over one step of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyPoint {
    /// Where the step begins.
    pub start_us: i64,
    /// All versions together.
    pub all: Percentiles,
    /// Requests of all versions that failed.
    pub errors: u64,
    /// Each version that was called in it.
    pub versions: Vec<(Arc<str>, Percentiles)>,
}

/// All that a page about latency shows of a span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyPage {
    /// By the hub's clock.
    pub as_of_us: i64,
    /// Where the span begins.
    pub from_us: i64,
    /// Where it ends.
    pub to_us: i64,
    /// Seconds by which it is resolved.
    pub resolution_s: u32,
    /// By version, and in total.
    pub table: LatencyTable,
    /// How the latencies of each version are spread over the span.
    pub shapes: Vec<Shape>,
    /// Step by step, in order of time; a step without requests is absent.
    pub points: Vec<LatencyPoint>,
}

impl LatencyPage {
    /// Adds up what was counted step by step.
    pub fn of(
        (from_us, to_us): (i64, i64),
        resolution_s: u32,
        as_of_us: i64,
        points: &[(i64, Vec<SeriesWindow>)],
    ) -> Result<Self, Malformed> {
        let mut shapes = BTreeMap::<Arc<str>, Latency>::new();
        let windows = || points.iter().flat_map(|(_, windows)| windows);
        for window in windows() {
            let shape = shapes.entry(window.key.version.clone()).or_default();
            shape.add_encoded(&window.latency)?;
        }
        Ok(Self {
            as_of_us,
            from_us,
            to_us,
            resolution_s,
            table: latency(windows())?,
            shapes: shapes
                .into_iter()
                .map(|(version, sum)| Shape::of(version, &sum))
                .collect(),
            points: points
                .iter()
                .map(|(start_us, windows)| LatencyPoint::of(*start_us, windows))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Shape {
    fn of(version: Arc<str>, latency: &Latency) -> Self {
        let bar = |(low_ns, width_ns, requests)| Bar {
            low_ns,
            width_ns,
            requests,
        };
        let bars = latency.buckets().map(bar).collect();
        Self { version, bars }
    }
}

impl LatencyPoint {
    fn of(start_us: i64, windows: &[SeriesWindow]) -> Result<Self, Malformed> {
        let mut versions = BTreeMap::<Arc<str>, Sum>::new();
        let mut all = Sum::default();
        for window in windows {
            let version = versions.entry(window.key.version.clone()).or_default();
            version.add(window)?;
            all.add(window)?;
        }
        let told = |(version, sum): (Arc<str>, Sum)| (version, Percentiles::of(&sum.all));
        Ok(Self {
            start_us,
            all: Percentiles::of(&all.all),
            errors: all.errors(),
            versions: versions.into_iter().map(told).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::SeriesKey;

    fn window(version: &str, outcome: Outcome, values: &[u64]) -> SeriesWindow {
        let mut latency = Latency::<u64>::default();
        values.iter().for_each(|&ns| latency.record(ns));
        SeriesWindow {
            key: SeriesKey {
                endpoint: "".into(),
                model: "fraud".into(),
                version: version.into(),
                outcome,
            },
            latency: latency.encode(),
            request_bytes: 10,
            response_bytes: 1,
        }
    }

    #[test]
    fn windows_add_up_by_version_and_in_total() {
        let windows = [
            window("7", Outcome::Ok, &[1_000_000; 60]),
            window("7", Outcome::ServerError, &[9_000_000; 3]),
            window("8", Outcome::Ok, &[2_000_000; 60]),
            window("7", Outcome::Ok, &[1_000_000; 40]),
        ];
        let table = latency(&windows).unwrap();
        let told: Vec<_> = table
            .rows
            .iter()
            .map(|row| {
                (
                    &*row.version,
                    row.all.requests,
                    row.errors,
                    row.request_bytes,
                )
            })
            .collect();
        assert_eq!(told, [("7", 103, 3, 30), ("8", 60, 0, 10)]);
        assert_eq!((table.total.all.requests, table.total.errors), (163, 3));
        assert_eq!(table.rows[0].outcomes[&Outcome::ServerError].requests, 3);
        assert_eq!(
            table.rows[0].outcomes[&Outcome::ServerError].p50_us,
            None,
            "few"
        );
        assert!(table.rows[0].all.p50_us.is_some());
    }

    #[test]
    fn a_page_counts_every_request_once_in_its_table_its_shapes_and_its_points() {
        let points = [
            (0, vec![window("7", Outcome::Ok, &[1_000_000; 60])]),
            (
                10,
                vec![
                    window("7", Outcome::ServerError, &[4_000_000; 5]),
                    window("8", Outcome::Ok, &[2_000_000; 40]),
                ],
            ),
        ];
        let page = LatencyPage::of((0, 20), 10, 20, &points).unwrap();
        let bars = |shape: &Shape| shape.bars.iter().map(|bar| bar.requests).sum::<u64>();
        let by_points = page.points.iter().map(|point| point.all.requests);
        assert_eq!(page.table.total.all.requests, 105);
        assert_eq!(page.shapes.iter().map(bars).collect::<Vec<_>>(), [65, 40]);
        assert_eq!(by_points.collect::<Vec<_>>(), [60, 45]);
        assert_eq!(page.points[1].errors, 5);
        assert_eq!(page.points[1].versions.len(), 2);
    }
}

//! What a demo has to show for itself: sent against counted, the client's figures and the hub's.

use std::time::Duration;

use serde::Serialize;

use crate::hub::{Counted, CountedRow};
use crate::traffic::Sent;

/// The name and version of the document.
const SCHEMA: &str = "binnacle.demo/v1";

/// One document about one demo.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The document's name and version.
    pub schema: &'static str,
    /// How long requests were sent, in seconds.
    pub seconds: f64,
    /// Hosts in the fleet.
    pub hosts: usize,
    /// Requests whose end the client saw.
    pub sent: u64,
    /// Requests that the hub counted.
    pub counted: u64,
    /// Requests of those sent that failed, as the client saw it.
    pub errors: u64,
    /// What the client measured.
    pub client: Client,
    /// What the hub has, merged over the hosts.
    pub hub: Percentiles,
    /// The same by model and version.
    pub models: Vec<ModelSummary>,
}

/// What the client measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Client {
    /// Requests sent over HTTP.
    pub http: u64,
    /// Requests sent over gRPC.
    pub grpc: u64,
    /// Over both.
    #[serde(flatten)]
    pub percentiles: Percentiles,
}

/// Two percentiles of latency, in microseconds; absent when there are too few requests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50_us: Option<f64>,
    /// The 99th.
    pub p99_us: Option<f64>,
}

/// One version of one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelSummary {
    /// The model.
    pub model: String,
    /// The version.
    pub version: String,
    /// Requests whose end the client saw.
    pub sent: u64,
    /// Requests that the hub counted.
    pub counted: u64,
    /// Errors that the hub counted.
    pub errors: u64,
    /// What the hub has.
    #[serde(flatten)]
    pub percentiles: Percentiles,
}

impl Summary {
    /// Whether the hub counted exactly what was sent, in all and of every version.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.sent == self.counted && self.models.iter().all(|one| one.sent == one.counted)
    }
}

pub(crate) fn sum_up(took: Duration, hosts: usize, sent: Sent, counted: Counted) -> Summary {
    let mut models: Vec<ModelSummary> = counted.items.iter().map(hub_row).collect();
    for (name, count) in &sent.versions {
        let (model, version) = name.split_once('@').unwrap_or((name, ""));
        let same = |row: &&mut ModelSummary| row.model == model && row.version == version;
        if let Some(row) = models.iter_mut().find(same) {
            row.sent = *count;
        } else {
            models.push(ModelSummary {
                model: model.to_owned(),
                version: version.to_owned(),
                sent: *count,
                counted: 0,
                errors: 0,
                percentiles: Percentiles {
                    p50_us: None,
                    p99_us: None,
                },
            });
        }
    }
    let at = |quantile: f64| {
        let measured = !sent.latency_us.is_empty();
        measured.then(|| sent.latency_us.value_at_quantile(quantile) as f64)
    };
    Summary {
        schema: SCHEMA,
        seconds: (took.as_secs_f64() * 10.0).round() / 10.0,
        hosts,
        sent: sent.total(),
        counted: counted.total.requests,
        errors: sent.errors,
        client: Client {
            http: sent.http,
            grpc: sent.grpc,
            percentiles: Percentiles {
                p50_us: at(0.5),
                p99_us: at(0.99),
            },
        },
        hub: percentiles(&counted.total),
        models,
    }
}

fn hub_row(row: &CountedRow) -> ModelSummary {
    ModelSummary {
        model: row.model.clone(),
        version: row.version.clone(),
        sent: 0,
        counted: row.requests,
        errors: row.errors,
        percentiles: percentiles(row),
    }
}

fn percentiles(row: &CountedRow) -> Percentiles {
    Percentiles {
        p50_us: row.p50_us,
        p99_us: row.p99_us,
    }
}

//! What this server counts about itself, in the exposition format that Prometheus reads.
//!
//! Labels come from the repository only, never from a request: names that are not there count as
//! one. A version's series are made once, when it is loaded, and live as long as the process.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The content type of [`Metrics::exposition`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds: trees answer in microseconds, large networks in seconds.
const BUCKETS: [f64; 14] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05,
    0.25, 1.0, 5.0,
];

/// How a request to a version ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Answered.
    Ok,
    /// The request did not fit the model.
    Refused,
    /// The model failed.
    Failed,
    /// Too many were waiting.
    Overloaded,
}

/// Every metric of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<VersionLabels, Histogram>,
    running: Family<VersionLabels, Gauge>,
    ready: Family<VersionLabels, Gauge>,
    unserved: Counter,
}

/// The metrics of one version, at hand.
#[derive(Clone, Debug)]
pub struct Meters {
    ok: Counter,
    refused: Counter,
    failed: Counter,
    overloaded: Counter,
    seconds: Histogram,
    running: Gauge,
    ready: Gauge,
}

/// One request that waits or runs, while it lives.
#[derive(Debug)]
pub struct Running(Gauge);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    model: String,
    version: u64,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    model: String,
    version: u64,
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.write_str(match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Overloaded => "overloaded",
        })
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::default();
        let seconds = Family::new_with_constructor(buckets as fn() -> Histogram);
        let running = Family::default();
        let ready = Family::default();
        let unserved = Counter::default();
        let mut registry = Registry::with_prefix("binnacle_runtime");
        registry.register(
            "inference_requests",
            "Inference requests to a version, by how they ended",
            requests.clone(),
        );
        registry.register_with_unit(
            "inference_duration",
            "Time from a request's tensors to the answer's, waiting included",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register(
            "inferences_running",
            "Requests that wait for a version or are being answered by it",
            running.clone(),
        );
        registry.register(
            "version_ready",
            "Whether a version is ready (1) or not (0)",
            ready.clone(),
        );
        registry.register(
            "unserved_requests",
            "Inference requests for a model or version that is not served here",
            unserved.clone(),
        );
        Self {
            registry,
            requests,
            seconds,
            running,
            ready,
            unserved,
        }
    }
}

impl Metrics {
    /// The metrics of that version.
    #[must_use]
    pub fn meters(&self, model: &str, version: u64) -> Meters {
        let model = model.to_owned();
        let outcome = |outcome| {
            let labels = RequestLabels {
                model: model.clone(),
                version,
                outcome,
            };
            self.requests.get_or_create_owned(&labels)
        };
        let labels = VersionLabels {
            model: model.clone(),
            version,
        };
        Meters {
            ok: outcome(Outcome::Ok),
            refused: outcome(Outcome::Refused),
            failed: outcome(Outcome::Failed),
            overloaded: outcome(Outcome::Overloaded),
            seconds: self.seconds.get_or_create_owned(&labels),
            running: self.running.get_or_create_owned(&labels),
            ready: self.ready.get_or_create_owned(&labels),
        }
    }

    /// Counts a request for what is not served here.
    pub fn count_unserved(&self) {
        self.unserved.inc();
    }

    /// Everything, as text of [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// None in practice: writing to a string does not fail.
    pub fn exposition(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Meters {
    /// Counts one request that ended so after that time.
    pub fn count(&self, outcome: Outcome, took: Duration) {
        match outcome {
            Outcome::Ok => self.ok.inc(),
            Outcome::Refused => self.refused.inc(),
            Outcome::Failed => self.failed.inc(),
            Outcome::Overloaded => self.overloaded.inc(),
        };
        if outcome == Outcome::Ok {
            self.seconds.observe(took.as_secs_f64());
        }
    }

    /// Counts one request as running, until what is given back is dropped.
    #[must_use]
    pub fn run(&self) -> Running {
        self.running.inc();
        Running(self.running.clone())
    }

    /// Says that the version is ready.
    pub fn set_ready(&self) {
        self.ready.set(1);
    }

    /// Says that the version is not ready.
    pub fn set_not_ready(&self) {
        self.ready.set(0);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn buckets() -> Histogram {
    Histogram::new(BUCKETS)
}

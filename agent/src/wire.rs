//! The agent's own types and the wire's: here alone they meet.
//!
//! Promises: `to_proto` cannot fail; `from_proto` refuses what is out of bounds and names the
//! field. Also the bytes of a window in the spool, which are a report without its moment.

mod assignment;
mod inputs;

use std::sync::Arc;

use binnacle_proto::v1 as proto;
use binnacle_sketch::{Encoded, latency};
use prost::Message;

use crate::assignment::Version;
use crate::assignment::observed::Observed;
use crate::callers::Called;
use crate::config::Config;
use crate::host::Vitals;
use crate::nulls::Nulls;
use crate::seal::{BootId, Window};
use crate::server::{Light, ServerHealth, VersionLights};
use crate::shadow::{Compared, Pair, Proved};
use crate::spool::Losses;
use crate::uplink::FromHub;
use crate::window::{Outcome, SealedSeries, SeriesKey};

/// Why a message is not one that this agent can use.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// A part that must be there is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An id of another length.
    #[error("{field} has {len} bytes, it should have 16")]
    Boot {
        /// Which field.
        field: &'static str,
        /// Its length.
        len: usize,
    },
    /// A digest of another length.
    #[error("{field} has {len} bytes, a SHA-256 has 32")]
    Digest {
        /// Which field.
        field: &'static str,
        /// Its length.
        len: usize,
    },
    /// A name that is empty, too long, or has control characters.
    #[error("{field} is no name")]
    Name {
        /// Which field.
        field: &'static str,
    },
    /// More of something than this agent takes.
    #[error("{field} has {count}, at most {most}")]
    Many {
        /// Which field.
        field: &'static str,
        /// How many it has.
        count: usize,
        /// How many it may have.
        most: usize,
    },
    /// A route that does not lead all requests somewhere.
    #[error("the weights of a route add up to {sum} and not to 10000")]
    Weights {
        /// What they add up to.
        sum: u64,
    },
    /// A range of sequences that runs backwards or begins at nothing.
    #[error("sequences {first} to {last} are no range")]
    Range {
        /// First sequence.
        first: u64,
        /// Last sequence.
        last: u64,
    },
    /// A histogram that cannot be read.
    #[error("the latency of model {model:?} cannot be read")]
    Latency {
        /// Whose.
        model: String,
        /// What is wrong with it.
        #[source]
        source: latency::Malformed,
    },
    /// Bytes that are no message.
    #[error("the bytes are no report")]
    Bytes(#[source] prost::DecodeError),
}

/// What an agent says of the moment that it sends a report in.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The wall clock.
    pub sent_at_us: i64,
    /// The machine; absent when it cannot be read.
    pub vitals: Option<Vitals>,
    /// The inference server.
    pub server: Arc<ServerHealth>,
    /// What was dropped.
    pub losses: Losses,
    /// What shadows answered since the last moment was told.
    pub shadows: Vec<(Pair, Compared)>,
    /// Answers that were looked at since then, by endpoint and version.
    pub answers: Vec<((Arc<str>, Version), Nulls)>,
    /// What callers did since then, by endpoint and caller.
    pub callers: Vec<Called>,
}

/// The first message of a stream.
pub fn hello(
    config: &Config,
    boot: BootId,
    generation: u64,
    spooled: &[BootId],
    sent_at_us: i64,
) -> proto::AgentMessage {
    let labels = config
        .labels
        .iter()
        .map(|(key, value)| (key.to_string(), value.clone()));
    let hello = proto::Hello {
        protocol_min: binnacle_proto::PROTOCOL_MIN,
        protocol_max: binnacle_proto::PROTOCOL_MAX,
        host: config.host.to_string(),
        environment: config.environment.to_string(),
        labels: labels.collect(),
        agent_version: env!("CARGO_PKG_VERSION").into(),
        boot_id: boot.0.to_vec().into(),
        generation,
        sent_at_us,
        upstream: config.upstream.to_string(),
        attachment: "path".into(),
        spooled_boots: spooled.iter().map(|boot| boot.0.to_vec().into()).collect(),
    };
    message(proto::agent_message::Body::Hello(hello))
}

/// A report: a window, and the moment if it has one.
pub fn report(window: &Window, moment: Option<&Moment>) -> proto::AgentMessage {
    let mut report = window_to_proto(window);
    if let Some(moment) = moment {
        report.vitals = moment.vitals.map(vitals_to_proto);
        report.server = Some(server_to_proto(&moment.server));
        report.losses = Some(losses_to_proto(&moment.losses));
        let shadows = moment.shadows.iter();
        report.shadows = shadows.map(assignment::compared).collect();
        report.answers = moment.answers.iter().map(assignment::answered).collect();
        report.callers = moment.callers.iter().map(assignment::called).collect();
        report.sent_at_us = moment.sent_at_us;
    }
    message(proto::agent_message::Body::Report(report))
}

/// What came of a replay.
pub fn proved(proved: &Proved) -> proto::AgentMessage {
    message(proto::agent_message::Body::Proved(assignment::proved(
        proved,
    )))
}

/// What the host does now.
pub fn observation(observed: &Observed) -> proto::AgentMessage {
    let observation = assignment::to_proto(observed);
    message(proto::agent_message::Body::Observation(observation))
}

fn message(body: proto::agent_message::Body) -> proto::AgentMessage {
    proto::AgentMessage { body: Some(body) }
}

/// What the hub said; `None` for what this build does not know, which a newer hub may say.
pub fn from_hub(message: proto::HubMessage) -> Result<Option<FromHub>, Malformed> {
    use proto::hub_message::Body;
    let heard = match message.body {
        None => return Ok(None),
        Some(Body::Welcome(welcome)) => {
            let marks = welcome.watermarks.iter();
            let durable = marks
                .map(|mark| Ok((boot("watermarks.boot_id", &mark.boot_id)?, mark.durable)))
                .collect::<Result<_, Malformed>>()?;
            FromHub::Welcome {
                protocol: welcome.protocol,
                durable,
                hub_version: welcome.hub_version,
            }
        }
        Some(Body::Assignment(assigned)) => {
            FromHub::Assignment(Box::new(assignment::from_proto(assigned)?))
        }
        Some(Body::Ack(ack)) => FromHub::Ack {
            boot: boot("ack.boot_id", &ack.boot_id)?,
            received: ack.received,
            durable: ack.durable,
        },
        Some(Body::Directive(directive)) => match directive.body {
            None => return Ok(None),
            Some(proto::directive::Body::Prove(asked)) => FromHub::Prove(assignment::prove(asked)?),
            Some(proto::directive::Body::Backoff(backoff)) => FromHub::Backoff {
                cap_ms: backoff.cap_ms,
            },
        },
    };
    Ok(Some(heard))
}

/// A window's bytes in the spool.
pub fn window_to_bytes(window: &Window) -> Vec<u8> {
    window_to_proto(window).encode_to_vec()
}

/// A window out of the spool's bytes; every histogram in it can be read.
pub fn window_from_bytes(bytes: &[u8]) -> Result<Window, Malformed> {
    let report = proto::Report::decode(bytes).map_err(Malformed::Bytes)?;
    let (first, last) = (report.first_sequence, report.last_sequence);
    if first == 0 || first > last {
        return Err(Malformed::Range { first, last });
    }
    Ok(Window {
        boot: boot("report.boot_id", &report.boot_id)?,
        first,
        last,
        start_us: report.start_us,
        span_ms: report.span_ms,
        series: report
            .series
            .into_iter()
            .map(series_from_proto)
            .collect::<Result<_, _>>()?,
        in_flight: report.in_flight,
        inputs: report
            .inputs
            .into_iter()
            .map(inputs::from_proto)
            .collect::<Result<_, _>>()?,
    })
}

fn window_to_proto(window: &Window) -> proto::Report {
    proto::Report {
        boot_id: window.boot.0.to_vec().into(),
        first_sequence: window.first,
        last_sequence: window.last,
        start_us: window.start_us,
        span_ms: window.span_ms,
        series: window.series.iter().map(series_to_proto).collect(),
        in_flight: window.in_flight,
        inputs: window.inputs.iter().map(inputs::to_proto).collect(),
        ..proto::Report::default()
    }
}

fn boot(field: &'static str, bytes: &[u8]) -> Result<BootId, Malformed> {
    let id = bytes.try_into().map_err(|_| Malformed::Boot {
        field,
        len: bytes.len(),
    })?;
    Ok(BootId(id))
}

fn series_to_proto(series: &SealedSeries) -> proto::SeriesWindow {
    proto::SeriesWindow {
        series: Some(proto::Series {
            endpoint: series.key.endpoint.to_string(),
            model: series.key.model.to_string(),
            version: series.key.version.to_string(),
            outcome: outcome_to_proto(series.key.outcome).into(),
        }),
        latency: Some(proto::Histogram {
            layout: latency::LAYOUT,
            counts: series.latency.counts.clone().into(),
            sum_ns: series.latency.sum_ns,
            min_ns: series.latency.min_ns,
            max_ns: series.latency.max_ns,
        }),
        request_bytes: series.request_bytes,
        response_bytes: series.response_bytes,
    }
}

fn series_from_proto(window: proto::SeriesWindow) -> Result<SealedSeries, Malformed> {
    let series = window.series.ok_or(Malformed::Missing("series"))?;
    let histogram = window.latency.ok_or(Malformed::Missing("latency"))?;
    let unreadable = |source| Malformed::Latency {
        model: series.model.clone(),
        source,
    };
    if histogram.layout != latency::LAYOUT {
        return Err(unreadable(latency::Malformed::Layout(histogram.layout)));
    }
    let latency = Encoded {
        counts: histogram.counts.to_vec(),
        sum_ns: histogram.sum_ns,
        min_ns: histogram.min_ns,
        max_ns: histogram.max_ns,
    };
    latency.count().map_err(unreadable)?;
    Ok(SealedSeries {
        key: SeriesKey {
            endpoint: series.endpoint.as_str().into(),
            model: series.model.as_str().into(),
            version: series.version.as_str().into(),
            outcome: outcome_from_proto(series.outcome())?,
        },
        latency,
        request_bytes: window.request_bytes,
        response_bytes: window.response_bytes,
    })
}

fn outcome_to_proto(outcome: Outcome) -> proto::Outcome {
    match outcome {
        Outcome::Ok => proto::Outcome::Ok,
        Outcome::ClientError => proto::Outcome::ClientError,
        Outcome::ServerError => proto::Outcome::ServerError,
        Outcome::UpstreamRefused => proto::Outcome::UpstreamRefused,
        Outcome::TimedOut => proto::Outcome::TimedOut,
        Outcome::ClientGone => proto::Outcome::ClientGone,
    }
}

fn outcome_from_proto(outcome: proto::Outcome) -> Result<Outcome, Malformed> {
    match outcome {
        proto::Outcome::Unspecified => Err(Malformed::Missing("outcome")),
        proto::Outcome::Ok => Ok(Outcome::Ok),
        proto::Outcome::ClientError => Ok(Outcome::ClientError),
        proto::Outcome::ServerError => Ok(Outcome::ServerError),
        proto::Outcome::UpstreamRefused => Ok(Outcome::UpstreamRefused),
        proto::Outcome::TimedOut => Ok(Outcome::TimedOut),
        proto::Outcome::ClientGone => Ok(Outcome::ClientGone),
    }
}

fn vitals_to_proto(vitals: Vitals) -> proto::Vitals {
    proto::Vitals {
        cpu_permille: vitals.cpu_permille,
        cores: vitals.cores,
        memory_used: vitals.memory_used,
        memory_total: vitals.memory_total,
        disk_used: vitals.disk_used,
        disk_total: vitals.disk_total,
        network_received_per_s: vitals.network_received_per_s,
        network_sent_per_s: vitals.network_sent_per_s,
        agent_memory: vitals.agent_memory,
        server_memory: vitals.server_memory,
    }
}

fn light_to_proto(light: Light) -> i32 {
    let light = match light {
        Light::Unknown => proto::Light::Unspecified,
        Light::On => proto::Light::On,
        Light::Off => proto::Light::Off,
    };
    light.into()
}

fn server_to_proto(health: &ServerHealth) -> proto::ServerHealth {
    proto::ServerHealth {
        upstream: health.upstream.clone(),
        process: light_to_proto(health.process),
        reason: health.reason.clone(),
        versions: health.versions.iter().map(lights_to_proto).collect(),
    }
}

fn lights_to_proto(lights: &VersionLights) -> proto::VersionLights {
    proto::VersionLights {
        model: lights.model.to_string(),
        version: lights.version.to_string(),
        loaded: light_to_proto(lights.loaded),
        answers: light_to_proto(lights.answers),
        correct: light_to_proto(lights.correct),
        reason: lights.reason.clone(),
    }
}

fn losses_to_proto(losses: &Losses) -> proto::Losses {
    proto::Losses {
        spool_windows: losses.spool_windows,
        spool_requests: losses.spool_requests,
        series_overflow: losses.series_overflow,
        log_lines: losses.log_lines,
        tap_bodies: losses.tap_bodies,
        spooled_windows: losses.spooled_windows,
        spooled_bytes: losses.spooled_bytes,
        spool_write_failures: losses.spool_write_failures,
    }
}

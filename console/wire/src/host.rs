//! Rows of hosts and models.

use binnacle_core::host::Labels;
use binnacle_core::name::Name;
use binnacle_core::view::{HostRow, HostState, ModelRow, Traffic};
use binnacle_proto::v1 as proto;

use crate::{Refused, refuse, report};

/// Reads a host's row.
pub fn from_proto(row: proto::HostRow) -> Result<HostRow, Refused> {
    let name = |field, text: &str| Name::parse(text).map_err(|error| refuse(field, error));
    let at = |at_us: i64| (at_us != 0).then_some(at_us);
    Ok(HostRow {
        name: name("name", &row.name)?,
        environment: name("environment", &row.environment)?,
        labels: Labels::parse(row.labels).map_err(|error| refuse("labels", error))?,
        state: match proto::HostState::try_from(row.state) {
            Ok(proto::HostState::Live) => HostState::Live,
            Ok(proto::HostState::Silent) => HostState::Silent,
            Ok(proto::HostState::Retired) => HostState::Retired,
            Ok(proto::HostState::Unspecified) | Err(_) => {
                return Err(refuse("state", format!("{} is no state", row.state)));
            }
        },
        since_us: at(row.status_since_us),
        seen_at_us: at(row.seen_at_us),
        connected_at_us: at(row.connected_at_us),
        admitted_at_us: row.admitted_at_us,
        agent_version: row.agent_version.into(),
        attachment: row.attachment.into(),
        boot: match row.boot_id.is_empty() {
            true => None,
            false => Some(report::boot_from(&row.boot_id)?),
        },
        generation_wanted: row.generation_wanted,
        generation_observed: row.generation_observed,
        skew_us: row.skew_us,
        streams: row.streams,
        server: row.server.map(report::server_from).transpose()?,
        vitals: row.vitals.map(report::vitals_from),
        traffic: row.traffic.map(traffic_from),
        losses: row.losses.map(report::losses_from).unwrap_or_default(),
        retired_reason: row.retired_reason.into(),
        drain_reason: row.drain_reason.into(),
    })
}

/// A host's row, to send.
pub fn to_proto(row: &HostRow) -> proto::HostRow {
    let labels = row
        .labels
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let state = match row.state {
        HostState::Live => proto::HostState::Live,
        HostState::Silent => proto::HostState::Silent,
        HostState::Retired => proto::HostState::Retired,
    };
    proto::HostRow {
        name: row.name.to_string(),
        environment: row.environment.to_string(),
        labels: labels.collect(),
        state: state.into(),
        seen_at_us: row.seen_at_us.unwrap_or_default(),
        connected_at_us: row.connected_at_us.unwrap_or_default(),
        admitted_at_us: row.admitted_at_us,
        agent_version: row.agent_version.to_string(),
        attachment: row.attachment.to_string(),
        boot_id: row
            .boot
            .map(|boot| boot.0.to_vec().into())
            .unwrap_or_default(),
        generation_wanted: row.generation_wanted,
        generation_observed: row.generation_observed,
        skew_us: row.skew_us,
        streams: row.streams,
        server: row.server.as_ref().map(report::server_to),
        vitals: row.vitals.as_ref().map(report::vitals_to),
        traffic: row.traffic.as_ref().map(traffic_to),
        losses: Some(report::losses_to(&row.losses)),
        retired_reason: row.retired_reason.to_string(),
        drain_reason: row.drain_reason.to_string(),
        status_since_us: row.since_us.unwrap_or_default(),
    }
}

/// Reads a model's row.
pub fn model_from(row: proto::ModelRow) -> Result<ModelRow, Refused> {
    let traffic = row.traffic.ok_or_else(|| refuse("traffic", "is missing"))?;
    Ok(ModelRow {
        model: row.model.into(),
        traffic: traffic_from(traffic),
    })
}

/// A model's row, to send.
pub fn model_to(row: &ModelRow) -> proto::ModelRow {
    proto::ModelRow {
        model: row.model.to_string(),
        traffic: Some(traffic_to(&row.traffic)),
    }
}

fn traffic_from(traffic: proto::Traffic) -> Traffic {
    Traffic {
        span_s: traffic.span_s,
        requests: traffic.requests,
        errors: traffic.errors,
        p50_ns: traffic.p50_ns,
        p99_ns: traffic.p99_ns,
        in_flight: traffic.in_flight,
    }
}

fn traffic_to(traffic: &Traffic) -> proto::Traffic {
    proto::Traffic {
        span_s: traffic.span_s,
        requests: traffic.requests,
        errors: traffic.errors,
        p50_ns: traffic.p50_ns,
        p99_ns: traffic.p99_ns,
        in_flight: traffic.in_flight,
    }
}

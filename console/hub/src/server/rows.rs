//! Rows of hosts: what was decided, what is observed and what was measured, put together.

use std::sync::Arc;

use binnacle_core::host::Membership;
use binnacle_core::name::Name;
use binnacle_core::view::{HostRow, HostState};
use tonic::Status;

use crate::engine::Published;
use crate::server::{Hub, agent};
use crate::telemetry::HostReading;

/// A host that has not reported for this long is silent: five windows, so that a pause of the
/// network or of a busy agent is not called one.
const LIVE_WITHIN_US: i64 = 5_000_000;

/// The rows of these hosts, in the order asked for; names that are not known are left out.
pub(crate) async fn hosts(
    hub: &Hub,
    published: &Published,
    names: &[Name],
) -> Result<Vec<HostRow>, Status> {
    let asked = names.iter().map(Name::shared).collect();
    let readings = hub.telemetry.hosts(asked).await;
    let readings = readings.map_err(agent::unmeasured)?;
    let now_us = hub.clock.now_us();
    let rows = names.iter().zip(readings);
    Ok(rows
        .filter_map(|(name, reading)| row(published, name, reading, now_us))
        .collect())
}

fn row(
    published: &Published,
    name: &Name,
    reading: Option<HostReading>,
    now_us: i64,
) -> Option<HostRow> {
    let host = published.state.hosts.get(name)?;
    let stream = published
        .observed
        .commanding(name)
        .map(|(_, stream)| stream);
    let seen_us = reading.as_ref().map(|reading| reading.seen_us);
    let heard = seen_us.is_some_and(|seen_us| now_us - seen_us <= LIVE_WITHIN_US);
    let nothing: Arc<str> = "".into();
    let (state, retired_reason) = match &host.membership {
        Membership::Retired { why, .. } => (HostState::Retired, why.clone()),
        Membership::Member if stream.is_some() && heard => (HostState::Live, nothing.clone()),
        Membership::Member => (HostState::Silent, nothing.clone()),
    };
    let moment = reading.as_ref().map(|reading| &reading.moment);
    Some(HostRow {
        name: name.clone(),
        environment: host.admission.environment.clone(),
        labels: host.admission.labels.clone(),
        state,
        since_us: None,
        seen_at_us: seen_us,
        connected_at_us: stream.map(|stream| stream.since_us),
        admitted_at_us: host.admitted_at_us,
        agent_version: stream.map_or(nothing.clone(), |stream| stream.agent_version.clone()),
        attachment: stream.map_or(nothing, |stream| stream.attachment.clone()),
        boot: stream.map(|stream| stream.boot),
        generation_wanted: host.generation,
        generation_observed: stream.map_or(0, |stream| stream.generation),
        skew_us: reading.as_ref().map_or(0, |reading| reading.skew_us),
        streams: published.observed.streams(name) as u32,
        server: moment.and_then(|moment| moment.server.clone()),
        vitals: moment.and_then(|moment| moment.vitals),
        losses: moment.map(|moment| moment.losses).unwrap_or_default(),
        traffic: reading.map(|reading| reading.traffic),
        retired_reason,
    })
}

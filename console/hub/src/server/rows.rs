//! Rows of hosts: what was decided, what is observed and what was measured, put together.

use std::sync::Arc;

use binnacle_core::host::Membership;
use binnacle_core::name::Name;
use binnacle_core::observed::Streams;
use binnacle_core::rollout::duty;
use binnacle_core::view::HostRow;
use tonic::Status;

use crate::engine::Published;
use crate::server::standing::Standing;
use crate::server::{Hub, agent};
use crate::telemetry::HostReading;

/// The rows of these hosts, in the order asked for; names that are not known are left out.
pub(crate) async fn hosts(
    hub: &Hub,
    published: &Published,
    names: &[Name],
) -> Result<Vec<HostRow>, Status> {
    let asked = names.iter().map(Name::shared).collect();
    let readings = hub.telemetry.hosts(asked).await;
    let readings = readings.map_err(agent::unmeasured)?;
    let at = (hub.started_us, hub.clock.now_us());
    let rows = names.iter().zip(readings);
    Ok(rows
        .filter_map(|(name, reading)| row(published, name, reading, at))
        .collect())
}

fn row(
    published: &Published,
    name: &Name,
    reading: Option<HostReading>,
    at: (i64, i64),
) -> Option<HostRow> {
    let host = published.state.hosts.get(name)?;
    let stream = published
        .observed
        .commanding(name)
        .map(|(_, stream)| stream);
    let pulse = reading.as_ref().map(|reading| &reading.pulse);
    let streams = published.observed.of(name);
    let standing = Standing::of(host, streams, pulse, at);
    let nothing: Arc<str> = "".into();
    let retired_reason = match &host.membership {
        Membership::Retired { why, .. } => why.clone(),
        Membership::Member => nothing.clone(),
    };
    let moment = reading.as_ref().map(|reading| &reading.moment);
    Some(HostRow {
        name: name.clone(),
        environment: host.admission.environment.clone(),
        labels: host.admission.labels.clone(),
        state: standing.state,
        since_us: Some(standing.since_us),
        seen_at_us: pulse.map(|pulse| pulse.seen_us),
        connected_at_us: stream.map(|stream| stream.since_us),
        admitted_at_us: host.admitted_at_us,
        agent_version: stream.map_or(nothing.clone(), |stream| stream.agent_version.clone()),
        attachment: stream.map_or(nothing, |stream| stream.attachment.clone()),
        boot: stream.map(|stream| stream.boot),
        generation_wanted: duty::generation(&published.state, host),
        generation_observed: stream.map_or(0, |stream| stream.generation),
        skew_us: reading.as_ref().map_or(0, |reading| reading.skew_us),
        streams: streams.map_or(0, Streams::open) as u32,
        server: moment.and_then(|moment| moment.server.clone()),
        vitals: moment.and_then(|moment| moment.vitals),
        losses: moment.map(|moment| moment.losses).unwrap_or_default(),
        traffic: reading.map(|reading| reading.traffic),
        retired_reason,
        drain_reason: host.drained.clone().unwrap_or_else(|| "".into()),
    })
}

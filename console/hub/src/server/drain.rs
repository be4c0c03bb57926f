//! Whether the other hosts of an endpoint can bear what a host did that is to be drained.
//!
//! What they can bear is measured and not configured: the busiest minute that each had within a
//! day. Where less than an hour is known of them nobody knows, and nothing is refused.

use std::sync::Arc;

use binnacle_core::host::{Load, overload};
use binnacle_core::name::Name;
use binnacle_core::rollout::tick;
use tonic::Status;

use crate::engine::Published;
use crate::server::Hub;
use crate::server::agent::unmeasured;
use crate::telemetry::Past;

const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 24 * 60 * MINUTE_US;
/// Hosts of an endpoint that are looked at: of more, one that goes is not felt.
const HOSTS_MOST: usize = 200;

/// Refuses where an endpoint's other hosts would be busier than they were ever seen to be.
pub(super) async fn is_bearable(hub: &Hub, host: &str) -> Result<(), Status> {
    let published = hub.engine.published();
    let Some(known) = Name::parse(host)
        .ok()
        .and_then(|name| published.state.hosts.get(&name).cloned())
    else {
        return Ok(());
    };
    for endpoint in published.state.endpoints.of_host(&known.admission) {
        let all = heard(&published, &endpoint.name);
        let others: Vec<Arc<str>> = all.into_iter().filter(|other| **other != *host).collect();
        if others.is_empty() || others.len() > HOSTS_MOST {
            continue;
        }
        let own = loads(hub, vec![host.into()]).await?;
        let rest = loads(hub, others).await?;
        let Some(over) = overload(&own, &rest) else {
            continue;
        };
        let message = format!(
            "without {host} the other {} hosts of {} would have {:.0} requests a minute, and 80 % \
             of their busiest minutes within a day are {:.0}: nothing was changed; wait for a \
             quieter hour, or say --anyway",
            rest.len(),
            endpoint.name,
            over.now,
            over.bearable,
        );
        return Err(Status::failed_precondition(message));
    }
    Ok(())
}

fn heard(published: &Published, endpoint: &binnacle_core::endpoint::EndpointName) -> Vec<Arc<str>> {
    tick::hosts_of(&published.state, endpoint)
        .filter(|host| published.observed.commanding(host).is_some())
        .map(Name::shared)
        .collect()
}

/// A day of each host, minute by minute, up to the last one that is finished.
async fn loads(hub: &Hub, hosts: Vec<Arc<str>>) -> Result<Vec<Load>, Status> {
    let now_us = hub.clock.now_us();
    // A minute is finished some seconds after its end.
    let to_us = now_us - now_us.rem_euclid(MINUTE_US) - MINUTE_US;
    let asked = Past {
        hosts,
        from_us: to_us - DAY_US,
        to_us,
        step_s: 60,
    };
    let history = hub.telemetry.history(asked).await.map_err(unmeasured)?;
    let load = |(_, cells): (Arc<str>, Vec<Option<binnacle_core::view::Cell>>)| Load {
        minutes: cells
            .into_iter()
            .map(|cell| cell.map(|cell| cell.requests))
            .collect(),
    };
    Ok(history.hosts.into_iter().map(load).collect())
}

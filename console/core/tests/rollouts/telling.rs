//! What came of things, as a scenario's golden says it.

use binnacle_core::endpoint::Change as Endpoints;
use binnacle_core::journal::{Change, Entry};
use binnacle_core::name::Name;
use binnacle_core::state::Refusal;
use binnacle_core::view::{EndpointItem, Trouble, endpoint_troubles};

use crate::alerting::alerted;

/// What came of it, a line an entry.
pub(crate) fn told(came: Result<Vec<Entry>, Refusal>) -> Vec<String> {
    let entries = match came {
        Err(refusal) => return vec![format!("refused: {refusal}")],
        Ok(entries) => entries,
    };
    let line = |entry: &Entry| {
        let text = match &entry.change {
            Change::Endpoint(Endpoints::Moved(of)) => {
                let moved = &of.moved;
                let through = moved
                    .through
                    .as_ref()
                    .map(|host| format!(" through {host}"));
                let missing: Vec<String> = moved.missing.iter().map(Name::to_string).collect();
                let missing = match missing.is_empty() {
                    true => String::new(),
                    false => format!(" without {}", missing.join(" ")),
                };
                let (at, through) = (
                    format!("{}/{}", moved.confirmed, moved.hosts),
                    through.unwrap_or_default(),
                );
                format!(
                    "revision {}: {}{through}, {at}{missing}",
                    of.revision, moved.to
                )
            }
            Change::Endpoint(Endpoints::Accepted(accepted)) => {
                format!(
                    "revision {}: {}",
                    accepted.revision, accepted.plan.intent.after
                )
            }
            Change::Endpoint(change) => change.kind().to_owned(),
            Change::Genesis { .. }
            | Change::HostAdmitted(_)
            | Change::HostRelabelled(_)
            | Change::HostRetired { .. }
            | Change::HostDrained { .. }
            | Change::HostResumed { .. }
            | Change::HostReadmitted { .. }
            | Change::Registry(_) => entry.change.kind().to_owned(),
            Change::Alert(change) => alerted(entry, change),
        };
        let why = match entry.why.is_empty() {
            true => String::new(),
            false => format!(" ({})", entry.why),
        };
        format!("{}: {text}{why}", entry.caller)
    };
    entries.iter().map(line).collect()
}

/// An endpoint as it was.
pub(crate) fn then(row: &EndpointItem) -> Vec<String> {
    let mut lines = vec![format!("revision {} {}", row.live, row.route)];
    lines.extend(row.rollout.as_ref().map(|rollout| {
        let (revision, phase, since) = (rollout.revision, &rollout.phase, rollout.since_us);
        let trail = rollout.trail.iter();
        assert!(trail.map(|trace| trace.at_us).all(|at_us| at_us <= since));
        format!("on its way to {revision}, {phase}, step {}", rollout.step)
    }));
    let alerts = row.alerts.iter();
    lines.extend(alerts.map(|alert| format!("alert: {}", alert.text)));
    lines
}

/// What is wrong with it, and what to do next.
pub(crate) fn troubles(row: &EndpointItem, now_us: i64) -> Vec<String> {
    let all = endpoint_troubles(std::slice::from_ref(row), now_us);
    let line = |one: &Trouble| format!("{}: {}", one.what, one.next);
    all.iter().map(line).collect()
}

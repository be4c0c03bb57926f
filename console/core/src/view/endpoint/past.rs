//! Endpoints as they were at a moment: from what is kept of each revision and rollout.

use std::sync::Arc;

use super::{EndpointItem, RolloutItem};
use crate::endpoint::{Endpoint, Fate, Revision, Route};
use crate::observed::Observed;
use crate::registry::Reference;
use crate::rollout::Rollout;
use crate::state::State;
use crate::view::AlertItem;

impl EndpointItem {
    /// The row as it was then: its route, what was under way and which alerts were open. What hosts
    /// said then is not kept, so that `hosts`, `heard` and `rollback` are of nobody; settings are
    /// those of today. `None` before it was named.
    pub fn at(state: &State, endpoint: &Endpoint, at_us: i64) -> Option<Self> {
        if endpoint.created_at_us > at_us {
            return None;
        }
        let (live, underway) = then(endpoint, at_us);
        let rollout = underway.map(|revision| {
            let rollout = revision.rollout.as_of(at_us);
            RolloutItem {
                phase: rollout.phase.word().into(),
                why: rollout.phase.why().into(),
                is_over: false,
                confirm_by_us: None,
                ..RolloutItem::past(endpoint, &rollout)
            }
        });
        let route = live.map(|revision| &revision.route);
        let coming = underway.map(|revision| &revision.route);
        let routes = route.into_iter().chain(coming);
        let mut versions: Vec<Reference> = routes.flat_map(Route::all_versions).cloned().collect();
        versions.sort();
        versions.dedup();
        let now = Self::of(state, &Observed::default(), endpoint, at_us);
        Some(Self {
            live: live.map_or(0, |revision| revision.number),
            route: route.map(Route::to_string).unwrap_or_default().into(),
            versions,
            hosts: 0,
            heard: 0,
            rollout,
            rollback: None,
            blocked: now
                .blocked
                .into_iter()
                .filter(|block| block.at_us <= at_us)
                .collect(),
            overridden: Vec::new(),
            alerts: alerts(state, endpoint, at_us),
            ..now
        })
    }
}

/// What served then, and what was on its way.
fn then(endpoint: &Endpoint, at_us: i64) -> (Option<&Arc<Revision>>, Option<&Arc<Revision>>) {
    let (mut live, mut underway) = (None, None);
    for revision in endpoint.revisions.iter() {
        if revision.at_us > at_us {
            break;
        }
        match (&revision.fate, revision.fate_at_us <= at_us) {
            (Fate::Promoted, true) => live = Some(revision),
            (Fate::RolledBack(_) | Fate::Aborted(_), true) => {}
            (Fate::Underway, _) | (_, false) => underway = Some(revision),
        }
    }
    (live, underway)
}

/// Alerts that were open then, the loudest first.
fn alerts(state: &State, endpoint: &Endpoint, at_us: i64) -> Vec<AlertItem> {
    let all = state.alerts.open.values().chain(state.alerts.closed.iter());
    let was_open = |closed: Option<i64>| closed.is_none_or(|closed_us| closed_us > at_us);
    let of = all.filter(|alert| alert.endpoint == endpoint.name && alert.opened_at_us <= at_us);
    let of = of.filter(|alert| was_open(alert.closed.as_ref().map(|mark| mark.at_us)));
    let mut alerts: Vec<AlertItem> = of
        .map(|alert| {
            let item = AlertItem::of(state, alert, at_us);
            AlertItem {
                acknowledged: item.acknowledged.filter(|mark| mark.at_us <= at_us),
                closed: None,
                ..item
            }
        })
        .collect();
    alerts.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.alert));
    alerts
}

impl Rollout {
    /// The rollout as it was then.
    fn as_of(&self, at_us: i64) -> Self {
        let trail = self.trail.iter().take_while(|trace| trace.at_us <= at_us);
        let mut then = self.begun();
        for trace in trail {
            then.phase = trace.moved.to.clone();
            then.since_us = trace.at_us;
            then.trail.push_back(trace.clone());
        }
        then
    }
}

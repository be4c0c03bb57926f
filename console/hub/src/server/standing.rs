//! How a host stands: its state, its status, and since when; for rows and glances alike.

use std::sync::Arc;

use binnacle_core::host::{Host, Membership};
use binnacle_core::observed::Streams;
use binnacle_core::view::{self, HostState, Status};

use crate::telemetry::{LIVE_WITHIN_US, Pulse};

/// How one host stands at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: HostState,
    pub(crate) status: Status,
    /// Since when its status is what it is, as far as the hub saw.
    pub(crate) since_us: i64,
    /// Why it is not OK, where that is known.
    pub(crate) reason: Option<Arc<str>>,
}

impl Standing {
    /// Judges what was decided, observed and measured of a host, in a hub that was started at
    /// `started_us`.
    pub(crate) fn of(
        host: &Host,
        streams: Option<&Streams>,
        pulse: Option<&Pulse>,
        (started_us, now_us): (i64, i64),
    ) -> Self {
        if let Membership::Retired { why, at_us } = &host.membership {
            return Self {
                state: HostState::Retired,
                status: Status::Retired,
                since_us: *at_us,
                reason: Some(why.clone()),
            };
        }
        let open = streams.map_or(0, Streams::open);
        let heard = pulse.filter(|pulse| now_us - pulse.seen_us <= LIVE_WITHIN_US);
        let (Some(streams), Some(pulse), 1..) = (streams, heard, open) else {
            return Self::silent(streams, pulse, started_us);
        };
        let (status, claimed) = view::live(pulse.health, open as u32);
        let since_us = pulse.heard_since_us.max(pulse.health_since_us);
        let mut since_us = since_us.max(streams.turned_us());
        if pulse.health == Status::Ok {
            // Only then do the claims on its name make a difference.
            since_us = since_us.max(streams.claimed_us());
        }
        Self {
            state: HostState::Live,
            status,
            since_us,
            reason: claimed.map_or_else(|| pulse.reason.clone(), |why| Some(why.into())),
        }
    }

    /// Silent since it was last heard; where it never was, since its stream ended, or opened
    /// and said nothing; else since the hub can know.
    fn silent(streams: Option<&Streams>, pulse: Option<&Pulse>, started_us: i64) -> Self {
        let seen_us = pulse.map(|pulse| pulse.seen_us);
        let since_us = seen_us.or_else(|| Some(streams?.turned_us()));
        Self {
            state: HostState::Silent,
            status: Status::Silent,
            since_us: since_us.unwrap_or(started_us),
            reason: None,
        }
    }
}

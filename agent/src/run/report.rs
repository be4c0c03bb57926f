//! What the loop knows, gathered into a status; and the sums that it keeps for that.

use std::time::Duration;

use binnacle_sketch::Latency;

use super::Keeper;
use crate::clock;
use crate::server::ServerHealth;
use crate::spool::Losses;
use crate::status::{Hub, HubState, SCHEMA, Status, Totals, Traffic, Watched};
use crate::uplink::{Ending, State, Uplink};
use crate::window::{Outcome, Sealed};

/// Sums over every window of this start, and what the last one was.
#[derive(Default)]
pub(super) struct Tally {
    totals: Totals,
    traffic: Traffic,
    /// Of the proxy alone.
    losses: Losses,
    /// Kept from second to second: a histogram is 30 KB.
    latency: Latency,
}

impl Tally {
    /// Adds a sealed window, which becomes the last one.
    pub(super) fn add(&mut self, sealed: &Sealed) {
        self.latency.clear();
        self.traffic = Traffic {
            in_flight: sealed.in_flight,
            ..Traffic::default()
        };
        for series in &sealed.series {
            let requests = series.latency.count().unwrap_or(0);
            let outcome = series.key.outcome;
            *self
                .totals
                .requests
                .entry(outcome.word().into())
                .or_default() += requests;
            let sum_ns = series.latency.sum_ns;
            self.totals.latency_ns = self.totals.latency_ns.saturating_add(sum_ns);
            self.traffic.requests += requests;
            if outcome != Outcome::Ok {
                self.traffic.errors += requests;
            }
            if let Err(malformed) = self.latency.add_encoded(&series.latency) {
                tracing::error!(%malformed, "a sealed latency cannot be read");
            }
        }
        let quantile_us = |quantile| {
            let ns = self.latency.known_quantile_ns(quantile)?;
            Some(ns / 1_000)
        };
        self.traffic.p50_us = quantile_us(0.5);
        self.traffic.p99_us = quantile_us(0.99);
        self.losses.series_overflow = sealed.series_overflow;
        self.losses.log_lines = sealed.log_lines_dropped;
        self.losses.tap_bodies = sealed.tap_bodies_dropped;
    }

    /// Requests under way when the last window was sealed.
    pub(super) fn in_flight(&self) -> u32 {
        self.traffic.in_flight
    }

    /// The spool's losses with the proxy's.
    pub(super) fn losses(&self, spool: Losses) -> Losses {
        Losses {
            series_overflow: self.losses.series_overflow,
            log_lines: self.losses.log_lines,
            tap_bodies: self.losses.tap_bodies,
            ..spool
        }
    }
}

/// The server's lights, the fourth among them, which is the obeying loop's to know.
pub(super) fn server(keeper: &Keeper) -> ServerHealth {
    let lights = keeper.lights.borrow().clone();
    lights.corrected(&keeper.observed.borrow().versions)
}

pub(super) fn status(keeper: &Keeper) -> Status {
    Status {
        schema: SCHEMA.into(),
        as_of: jiff::Timestamp::from_microsecond(clock::wall_us()).unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").into(),
        host: keeper.config.host.to_string(),
        environment: keeper.config.environment.to_string(),
        boot: keeper.boot,
        sequence: keeper.sealer.last(),
        listen: keeper.listen,
        hub: hub(keeper),
        generation: keeper.assignment.generation,
        observed: (**keeper.observed.borrow()).clone(),
        server: server(keeper),
        traffic: keeper.tally.traffic.clone(),
        totals: keeper.tally.totals.clone(),
        inputs: Watched {
            versions: keeper.inputs.watched(),
            share_permille: (keeper.inputs.share() * 1e3).round() as u32,
        },
        losses: keeper.tally.losses(keeper.spool.losses()),
        spool_trouble: keeper.spool.trouble().unwrap_or_default().into(),
        vitals: keeper.vitals,
    }
}

fn hub(keeper: &Keeper) -> Hub {
    let uplink: &Uplink = &keeper.uplink;
    let address = keeper
        .config
        .hubs
        .get(uplink.hub())
        .map(ToString::to_string);
    let refused = matches!(uplink.trouble(), Some(Ending::Refused(_)));
    let (state, version, wait) = match uplink.state() {
        State::Waiting { until } => {
            let wait = until.saturating_duration_since(clock::now());
            let state = if refused {
                HubState::Refused
            } else {
                HubState::Waiting
            };
            (state, "", wait)
        }
        State::Dialling { .. } if refused => (HubState::Refused, "", Duration::ZERO),
        State::Dialling { .. } => (HubState::Connecting, "", Duration::ZERO),
        State::Up { hub_version, .. } => {
            (HubState::Connected, hub_version.as_str(), Duration::ZERO)
        }
        State::Left { .. } => (HubState::Left, "", Duration::ZERO),
    };
    let reason = match (uplink.state(), uplink.trouble()) {
        (State::Left { reason }, _) => reason.clone(),
        (_, Some(Ending::Unreachable(words) | Ending::Lost(words) | Ending::Refused(words))) => {
            words.clone()
        }
        (_, None) => String::new(),
    };
    Hub {
        address: address.unwrap_or_default(),
        state,
        reason,
        version: version.into(),
        retry_in_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
    }
}

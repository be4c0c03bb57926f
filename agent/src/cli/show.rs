//! The status as a table for a person.

use std::fmt::Write;

use crate::assignment::observed::{Phase, RouteState, VersionState};
use crate::assignment::standing::{Override, OverrideKind};
use crate::server::{Light, VersionLights};
use crate::status::Status;

/// The table, with a line for each thing and each version.
pub(super) fn table(status: &Status) -> String {
    let mut table = String::new();
    let mut line = |name: &str, value: String| {
        writeln!(table, "{name:<10} {value}").expect("writing to a string cannot fail");
    };
    line("host", format!("{}/{}", status.environment, status.host));
    line(
        "agent",
        format!("{}, listens on {}", status.version, status.listen),
    );
    line("hub", hub(status));
    line("server", server(status));
    for version in &status.server.versions {
        line("", version_line(version));
    }
    for route in &status.observed.routes {
        line("route", route_line(route));
    }
    for version in &status.observed.versions {
        line("version", state_line(version));
    }
    for decided in &status.observed.overrides {
        line("decided", override_line(decided));
    }
    if status.observed.draining {
        line("draining", "load balancers are turned away".into());
    }
    line("traffic", traffic(status));
    let losses = &status.losses;
    let mut spool = format!("{} windows wait", losses.spooled_windows);
    if !status.spool_trouble.is_empty() {
        spool.push_str(&format!(" in memory: {}", plain(&status.spool_trouble)));
    }
    line("spool", spool);
    if losses.spool_windows > 0 {
        let (windows, requests) = (losses.spool_windows, losses.spool_requests);
        line(
            "lost",
            format!("{windows} windows with {requests} requests"),
        );
    }
    if let Some(vitals) = status.vitals {
        let mib = |bytes: u64| bytes >> 20;
        let (used, total) = (mib(vitals.memory_used), mib(vitals.memory_total));
        let (cpu, own) = (vitals.cpu_permille / 10, mib(vitals.agent_memory));
        line(
            "machine",
            format!("cpu {cpu} %, memory {used}/{total} MiB, agent {own} MiB"),
        );
    }
    table
}

/// What a rollback came to.
pub(super) fn decided(decided: &Override) -> String {
    let shares = decided.route.shares.iter();
    let shares: Vec<String> = shares.map(|share| share.version.to_string()).collect();
    format!(
        "{} goes to {} (was revision {}); the hub is told, and this stands until it says \
         otherwise\n",
        decided.endpoint,
        shares.join(", "),
        decided.from_revision
    )
}

fn route_line(route: &RouteState) -> String {
    let mut words = format!(
        "{} revision {}.{}: {}",
        plain(&route.endpoint),
        route.revision,
        route.step,
        if route.shares.is_empty() {
            "nothing yet".into()
        } else {
            plain(&route.shares.join(", "))
        }
    );
    if route.switch_ns > 0 {
        words.push_str(&format!(
            " (switched in {:.3} ms)",
            route.switch_ns as f64 / 1e6
        ));
    }
    if let Some(left) = route.reverts_in_ms {
        words.push_str(&format!("; reverts in {} s unless confirmed", left / 1_000));
    }
    if !route.waiting_for.is_empty() {
        words.push_str(&format!(
            "; the next one waits: {}",
            plain(&route.waiting_for)
        ));
    }
    words
}

fn state_line(state: &VersionState) -> String {
    let mut words = format!(
        "{} {}",
        plain(&state.version.to_string()),
        state.phase.word()
    );
    if state.progress_permille > 0 {
        words.push_str(&format!(" {} %", state.progress_permille / 10));
    }
    if state.phase == Phase::Ready && state.memory_bytes > 0 {
        words.push_str(&format!(", {} MiB", state.memory_bytes.div_ceil(1 << 20)));
    }
    if state.golden.total > 0 {
        let golden = state.golden;
        words.push_str(&format!(", golden {}/{}", golden.passed, golden.total));
    }
    if !state.reason.is_empty() {
        words.push_str(&format!(": {}", plain(&state.reason)));
    }
    words
}

fn override_line(decided: &Override) -> String {
    let by = match decided.kind {
        OverrideKind::Local => format!("rolled back by {}", plain(&decided.who)),
        OverrideKind::Unconfirmed => "reverted".into(),
    };
    format!(
        "{} {by} from revision {}: {}",
        plain(&decided.endpoint),
        decided.from_revision,
        plain(&decided.reason)
    )
}

fn hub(status: &Status) -> String {
    let hub = &status.hub;
    let mut words = format!("{} {}", hub.address, hub.state.word());
    if !hub.reason.is_empty() {
        words.push_str(&format!(": {}", plain(&hub.reason)));
    }
    if hub.retry_in_ms > 0 {
        words.push_str(&format!(" (again in {} ms)", hub.retry_in_ms));
    }
    words
}

fn server(status: &Status) -> String {
    let server = &status.server;
    let mut words = format!("{} process {}", server.upstream, server.process.word());
    if !server.reason.is_empty() {
        words.push_str(&format!(": {}", plain(&server.reason)));
    }
    words
}

fn version_line(version: &VersionLights) -> String {
    let mut words = plain(&version.model);
    if !version.version.is_empty() {
        words.push_str(&format!("@{}", plain(&version.version)));
    }
    let (loaded, answers) = (version.loaded.word(), version.answers.word());
    words.push_str(&format!(" loaded {loaded}, answers {answers}"));
    if version.correct != Light::Unknown {
        words.push_str(&format!(", correct {}", version.correct.word()));
    }
    if !version.reason.is_empty() {
        words.push_str(&format!(": {}", plain(&version.reason)));
    }
    words
}

fn traffic(status: &Status) -> String {
    let traffic = &status.traffic;
    let latency = |us: Option<u64>| match us {
        Some(us) => format!("{:.1} ms", us as f64 / 1_000.0),
        None => "few".into(),
    };
    format!(
        "{} requests in the last second, {} not ok, {} in flight, p50 {}, p99 {}",
        traffic.requests,
        traffic.errors,
        traffic.in_flight,
        latency(traffic.p50_us),
        latency(traffic.p99_us)
    )
}

/// Names and words of others, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}

//! The status as a table for a person.

use std::fmt::Write;

use crate::server::VersionLights;
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

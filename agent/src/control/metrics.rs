//! The status in Prometheus' text exposition format.
//!
//! Promises: counters only rise within one start of the agent; names carry their unit.
//! Percentiles are not here: they cannot be added up, and the hub has them exactly.

use std::fmt::{Display, Write};

use crate::server::Light;
use crate::status::{HubState, Status};

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, says: &str) {
        self.line(format_args!("# HELP binnacle_agent_{name} {says}"));
        self.line(format_args!("# TYPE binnacle_agent_{name} {kind}"));
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let quoted: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", escape(value)))
            .collect();
        if quoted.is_empty() {
            self.line(format_args!("binnacle_agent_{name} {value}"));
        } else {
            self.line(format_args!(
                "binnacle_agent_{name}{{{}}} {value}",
                quoted.join(",")
            ));
        }
    }

    fn single(&mut self, name: &str, kind: &str, says: &str, value: impl Display) {
        self.family(name, kind, says);
        self.value(name, &[], value);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("writing to a string cannot fail");
    }
}

fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// The page.
pub(super) fn text(status: &Status) -> String {
    let mut page = Page(String::with_capacity(4096));
    page.family("build_info", "gauge", "Which agent this is.");
    page.value(
        "build_info",
        &[("version", &status.version), ("host", &status.host)],
        1,
    );
    requests(&mut page, status);
    hub(&mut page, status);
    server(&mut page, status);
    if let Some(vitals) = status.vitals {
        let says = "The agent's own resident memory.";
        page.single("resident_memory_bytes", "gauge", says, vitals.agent_memory);
    }
    page.0
}

fn requests(page: &mut Page, status: &Status) {
    page.family(
        "requests_total",
        "counter",
        "Inference requests that ended, by outcome.",
    );
    for (outcome, count) in &status.totals.requests {
        page.value("requests_total", &[("outcome", outcome)], count);
    }
    let says = "Time that those requests took, from their head to the end of the answer.";
    page.family("request_duration_seconds", "summary", says);
    let count: u64 = status.totals.requests.values().sum();
    let seconds = status.totals.latency_ns as f64 / 1e9;
    page.value("request_duration_seconds_sum", &[], seconds);
    page.value("request_duration_seconds_count", &[], count);
    let says = "Inference requests under way.";
    page.single(
        "requests_in_flight",
        "gauge",
        says,
        status.traffic.in_flight,
    );
    let says = "Requests counted as \"other\" because the series limit was reached.";
    page.single(
        "series_overflow_total",
        "counter",
        says,
        status.losses.series_overflow,
    );
}

fn hub(page: &mut Page, status: &Status) {
    let connected = u8::from(status.hub.state == HubState::Connected);
    page.single(
        "hub_connected",
        "gauge",
        "Whether the stream to the hub stands.",
        connected,
    );
    let losses = &status.losses;
    let says = "Windows that wait until the hub has them on disk.";
    page.single("spool_windows", "gauge", says, losses.spooled_windows);
    page.single(
        "spool_bytes",
        "gauge",
        "Bytes of those windows.",
        losses.spooled_bytes,
    );
    let says = "Windows that the full spool dropped.";
    page.single(
        "spool_dropped_windows_total",
        "counter",
        says,
        losses.spool_windows,
    );
    let says = "Requests in dropped windows.";
    page.single(
        "spool_dropped_requests_total",
        "counter",
        says,
        losses.spool_requests,
    );
    let says = "Writes to the spool that the disk refused.";
    page.single(
        "spool_write_failures_total",
        "counter",
        says,
        losses.spool_write_failures,
    );
}

fn server(page: &mut Page, status: &Status) {
    let lit = |light| match light {
        Light::On => 1,
        Light::Off | Light::Unknown => 0,
    };
    let says = "Whether the inference server's process is up.";
    page.single("server_up", "gauge", says, lit(status.server.process));
    page.family(
        "version_loaded",
        "gauge",
        "Whether the server says that a version is ready.",
    );
    for version in &status.server.versions {
        let labels = [("model", &*version.model), ("version", &*version.version)];
        page.value("version_loaded", &labels, lit(version.loaded));
    }
    page.family(
        "version_answers",
        "gauge",
        "Whether a version answered the last probe.",
    );
    for version in &status.server.versions {
        let labels = [("model", &*version.model), ("version", &*version.version)];
        page.value("version_answers", &labels, lit(version.answers));
    }
    page.family(
        "version_correct",
        "gauge",
        "Whether a version answered its golden requests as it should.",
    );
    for version in &status.server.versions {
        let labels = [("model", &*version.model), ("version", &*version.version)];
        page.value("version_correct", &labels, lit(version.correct));
    }
}

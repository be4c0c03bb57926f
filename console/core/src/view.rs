//! Rows: all that a screen or a command ever sees.
//!
//! A row is made at the hub from what was decided, what is observed and what was measured,
//! travels, and is shown. Serialised, it is one item of the JSON documents that scripts read:
//! times are RFC 3339, latencies are microseconds, unknown figures are null.

use std::collections::BTreeMap;
use std::sync::Arc;

use binnacle_sketch::{Latency, Malformed};
use serde::{Serialize, Serializer};

use crate::host::Labels;
use crate::name::Name;
use crate::report::{BootId, Light, Losses, ServerHealth, VersionLights, Vitals};
use crate::series::{Outcome, SeriesWindow};

/// Whether a host is heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// Connected, and it reported within the last few seconds.
    Live,
    /// A member of the fleet that is not heard of: not the same as failing.
    Silent,
    /// Taken out of the fleet.
    Retired,
}

/// A host, as tables and pages show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostRow {
    /// Its name.
    pub name: Name,
    /// Where it belongs.
    pub environment: Name,
    /// What selectors choose by.
    pub labels: Labels,
    /// Whether it is heard of.
    pub state: HostState,
    /// When it last reported since the hub started.
    #[serde(rename = "seen_at", serialize_with = "some_time")]
    pub seen_at_us: Option<i64>,
    /// Since when its stream is open.
    #[serde(rename = "connected_at", serialize_with = "some_time")]
    pub connected_at_us: Option<i64>,
    /// When it was first admitted.
    #[serde(rename = "admitted_at", serialize_with = "time")]
    pub admitted_at_us: i64,
    /// The agent's release; empty while it is not connected.
    pub agent_version: Arc<str>,
    /// How it is attached: path, tap or watch.
    pub attachment: Arc<str>,
    /// This start of its agent.
    #[serde(serialize_with = "some_boot")]
    pub boot: Option<BootId>,
    /// The generation that the hub wants it to follow.
    pub generation_wanted: u64,
    /// The generation that it follows.
    pub generation_observed: u64,
    /// Its clock minus the hub's, in microseconds.
    pub skew_us: i64,
    /// Open streams that claim its name; more than one is an alarm.
    pub streams: u32,
    /// The inference server beside its agent.
    pub server: Option<ServerHealth>,
    /// The machine.
    pub vitals: Option<Vitals>,
    /// Its requests of late.
    pub traffic: Option<Traffic>,
    /// What its agent had to drop.
    pub losses: Losses,
    /// Why it was retired; empty when it was not.
    pub retired_reason: Arc<str>,
}

/// What a row says at a glance, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every light that is known is on.
    Ok,
    /// Taken out of the fleet.
    Retired,
    /// Not heard of.
    Silent,
    /// Something is dark, and something still answers.
    Warn,
    /// Nothing answers.
    Crit,
}

impl Status {
    /// The glyph: never without its [`word`](Self::word), nor the word without it.
    pub fn glyph(self) -> char {
        match self {
            Self::Ok => '+',
            Self::Retired => '.',
            Self::Silent => '?',
            Self::Warn => '!',
            Self::Crit => 'x',
        }
    }

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Retired => "RETIRED",
            Self::Silent => "SILENT",
            Self::Warn => "WARN",
            Self::Crit => "CRIT",
        }
    }
}

impl HostRow {
    /// What it says at a glance, and why; nothing where all is well.
    pub fn status(&self) -> (Status, Arc<str>) {
        match self.state {
            HostState::Retired => return (Status::Retired, self.retired_reason.clone()),
            HostState::Silent => return (Status::Silent, "".into()),
            HostState::Live => {}
        }
        let Some(server) = &self.server else {
            return (Status::Ok, "".into());
        };
        if server.process == Light::Off {
            return (Status::Crit, server.reason.clone());
        }
        let dark = |version: &&VersionLights| {
            version.loaded == Light::Off || version.answers == Light::Off
        };
        match server.versions.iter().filter(dark).count() {
            0 if self.streams > 1 => (Status::Warn, "two machines claim this name".into()),
            0 => (Status::Ok, "".into()),
            all if all == server.versions.len() => (Status::Crit, first_reason(server)),
            _ => (Status::Warn, first_reason(server)),
        }
    }
}

fn first_reason(server: &ServerHealth) -> Arc<str> {
    let mut reasons = server
        .versions
        .iter()
        .filter(|version| !version.reason.is_empty());
    reasons
        .next()
        .map_or_else(|| "".into(), |version| version.reason.clone())
}

/// What happened to requests over a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// The span.
    pub span_s: u32,
    /// Requests that ended in it.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Median; absent when few requests were seen.
    #[serde(rename = "p50_us", serialize_with = "some_us")]
    pub p50_ns: Option<u64>,
    /// 99th percentile; absent when few requests were seen.
    #[serde(rename = "p99_us", serialize_with = "some_us")]
    pub p99_ns: Option<u64>,
    /// Requests under way now.
    pub in_flight: u32,
}

impl Traffic {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / f64::from(self.span_s.max(1))
    }
}

/// A model's requests of late, merged over hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelRow {
    /// The upstream's name of the model.
    pub model: Arc<str>,
    /// Its requests, all outcomes.
    pub traffic: Traffic,
}

/// Latencies, told: what the merged histogram of a span says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Requests.
    pub requests: u64,
    /// Median in microseconds; absent when few.
    pub p50_us: Option<f64>,
    /// 90th percentile; absent when few.
    pub p90_us: Option<f64>,
    /// 99th percentile; absent when few.
    pub p99_us: Option<f64>,
    /// 99.9th percentile; absent when few.
    pub p999_us: Option<f64>,
    /// Arithmetic mean; absent when there was none.
    pub mean_us: Option<f64>,
    /// The slowest; absent when there was none.
    pub max_us: Option<f64>,
}

impl Percentiles {
    /// Reads them off a histogram.
    pub fn of(latency: &Latency) -> Self {
        let us = |ns: u64| ns as f64 / 1_000.0;
        let known = |quantile| latency.known_quantile_ns(quantile).map(us);
        let requests = latency.count();
        Self {
            requests,
            p50_us: known(0.5),
            p90_us: known(0.9),
            p99_us: known(0.99),
            p999_us: known(0.999),
            mean_us: (requests > 0).then(|| us(latency.sum_ns()) / requests as f64),
            max_us: (requests > 0).then(|| us(latency.max_ns())),
        }
    }
}

/// One version's requests over a span, merged over hosts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyRow {
    /// The endpoint that was called; empty while none is configured.
    pub endpoint: Arc<str>,
    /// The upstream's name of the model; `other` for names that no server knows.
    pub model: Arc<str>,
    /// The upstream's version; empty when the application named none.
    pub version: Arc<str>,
    /// All requests, whatever their outcome.
    #[serde(flatten)]
    pub all: Percentiles,
    /// Requests that failed.
    pub errors: u64,
    /// Bytes of the requests' bodies.
    pub request_bytes: u64,
    /// Bytes of the answers' bodies.
    pub response_bytes: u64,
    /// The same figures by outcome; outcomes that did not occur are absent.
    pub outcomes: BTreeMap<&'static str, Percentiles>,
}

/// A span's rows by version, and their total.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyTable {
    /// In order of endpoint, model, version.
    pub rows: Vec<LatencyRow>,
    /// Everything together.
    pub total: LatencyRow,
}

#[derive(Default)]
struct Sum {
    all: Latency,
    outcomes: BTreeMap<Outcome, Latency>,
    request_bytes: u64,
    response_bytes: u64,
}

impl Sum {
    fn add(&mut self, window: &SeriesWindow) -> Result<(), Malformed> {
        self.all.add_encoded(&window.latency)?;
        self.outcomes
            .entry(window.key.outcome)
            .or_default()
            .add_encoded(&window.latency)?;
        self.request_bytes = self.request_bytes.saturating_add(window.request_bytes);
        self.response_bytes = self.response_bytes.saturating_add(window.response_bytes);
        Ok(())
    }

    fn row(&self, (endpoint, model, version): Place) -> LatencyRow {
        let failed = |(outcome, latency): (&Outcome, &Latency)| {
            if outcome.is_error() {
                latency.count()
            } else {
                0
            }
        };
        let outcomes = self.outcomes.iter();
        LatencyRow {
            endpoint,
            model,
            version,
            all: Percentiles::of(&self.all),
            errors: outcomes.clone().map(failed).sum(),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            outcomes: outcomes
                .map(|(by, sum)| (by.word(), Percentiles::of(sum)))
                .collect(),
        }
    }
}

type Place = (Arc<str>, Arc<str>, Arc<str>);

/// Adds windows up by version: histograms and counts add, percentiles are read at the end.
pub fn latency<'a>(
    windows: impl IntoIterator<Item = &'a SeriesWindow>,
) -> Result<LatencyTable, Malformed> {
    let (mut sums, mut total) = (BTreeMap::<Place, Sum>::new(), Sum::default());
    for window in windows {
        let key = &window.key;
        let place = (key.endpoint.clone(), key.model.clone(), key.version.clone());
        sums.entry(place).or_default().add(window)?;
        total.add(window)?;
    }
    let rows = sums
        .into_iter()
        .map(|(place, sum)| sum.row(place))
        .collect();
    Ok(LatencyTable {
        rows,
        total: total.row(("".into(), "".into(), "".into())),
    })
}

/// Text from outside, made safe for a terminal: control characters and escapes are shown as
/// such, never sent.
pub fn shown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        // Bidirectional overrides and zero-width letters can make a name look like another.
        let hidden = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if letter.is_control() || hidden {
            safe.extend(letter.escape_unicode());
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// Microseconds since 1970 as RFC 3339 in UTC.
pub fn rfc3339(at_us: i64) -> String {
    jiff::Timestamp::from_microsecond(at_us)
        .map_or_else(|_| format!("{at_us} us"), |at| at.to_string())
}

fn time<S: Serializer>(at_us: &i64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&rfc3339(*at_us))
}

fn some_time<S: Serializer>(at_us: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
    match at_us {
        Some(at_us) => time(at_us, to),
        None => to.serialize_none(),
    }
}

fn some_us<S: Serializer>(ns: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
    match ns {
        Some(ns) => to.serialize_f64(*ns as f64 / 1_000.0),
        None => to.serialize_none(),
    }
}

fn some_boot<S: Serializer>(boot: &Option<BootId>, to: S) -> Result<S::Ok, S::Error> {
    match boot {
        Some(boot) => to.collect_str(boot),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::SeriesKey;

    fn window(version: &str, outcome: Outcome, values: &[u64]) -> SeriesWindow {
        let mut latency = Latency::<u64>::default();
        values.iter().for_each(|&ns| latency.record(ns));
        SeriesWindow {
            key: SeriesKey {
                endpoint: "".into(),
                model: "fraud".into(),
                version: version.into(),
                outcome,
            },
            latency: latency.encode(),
            request_bytes: 10,
            response_bytes: 1,
        }
    }

    #[test]
    fn windows_add_up_by_version_and_in_total() {
        let windows = [
            window("7", Outcome::Ok, &[1_000_000; 60]),
            window("7", Outcome::ServerError, &[9_000_000; 3]),
            window("8", Outcome::Ok, &[2_000_000; 60]),
            window("7", Outcome::Ok, &[1_000_000; 40]),
        ];
        let table = latency(&windows).unwrap();
        let told: Vec<_> = table
            .rows
            .iter()
            .map(|row| {
                (
                    &*row.version,
                    row.all.requests,
                    row.errors,
                    row.request_bytes,
                )
            })
            .collect();
        assert_eq!(told, [("7", 103, 3, 30), ("8", 60, 0, 10)]);
        assert_eq!((table.total.all.requests, table.total.errors), (163, 3));
        assert_eq!(table.rows[0].outcomes["server_error"].requests, 3);
        assert_eq!(table.rows[0].outcomes["server_error"].p50_us, None, "few");
        assert!(table.rows[0].all.p50_us.is_some());
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(
            shown("a\u{1b}[31mb\n\u{202e}é"),
            "a\\u{1b}[31mb\\u{a}\\u{202e}é"
        );
    }
}

//! Incidents: a version with a fault comes to the demo's fleet, and is put right again; or what
//! is sent to it changes ([`crate::moved`]).
//!
//! Each is a real version with a fault that happens in practice. Played through by itself, a
//! canary brings it and the hub's judge sends it back; for a person, somebody has confirmed it
//! already, and taking it back is theirs to do.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::DemoError;
use crate::catalogue;
use crate::clock::Stopwatch;
use crate::hub::Hub;

/// The name and version of the document.
const SCHEMA: &str = "binnacle.incident/v1";
/// What the canary gives the new version, and for how long at most: the verdict comes sooner.
const CANARY: &str = "canary:10%/5m";
/// Longest wait for the version to be judged and taken back.
const JUDGED_MAX: &str = "--wait=6m";
/// How long a deploy that waits to be confirmed may take to come there.
const CONFIRM_MAX: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A rollout that was refused or rolled back ends so.
const ROLLED_BACK: i32 = 7;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incident {
    /// A version takes some 40 ms of computing for each answer.
    SlowVersion,
    /// A version fails for transactions of the last hour of the day.
    FailingVersion,
    /// A version answers the wrong way round: no host serves it, as its golden requests fail.
    WrongVersion,
    /// Whoever sends the requests sends one feature in another unit, to all hosts.
    UpstreamDrift,
}

/// A version with a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    incident: Incident,
    version: &'static str,
    /// What was promised of it.
    why: &'static str,
}

/// What became of an incident that played through by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Healed {
    /// The document's name and version.
    pub schema: &'static str,
    /// Which it was.
    pub incident: &'static str,
    /// Where it was.
    pub endpoint: String,
    /// The version with the fault.
    pub version: String,
    /// From the moment when every host gave it requests, or from its deploy where none did, to the
    /// decision to take it back.
    pub detected_after_s: f64,
    /// From the decision until every host had gone back.
    pub rolled_back_in_ms: f64,
    /// How long the slowest host's switch took.
    pub swap_ms_max: Option<f64>,
    /// Hosts that went back.
    pub hosts_confirmed: u64,
    /// Requests that failed, of all that were sent, as the client saw it.
    pub failed_requests: u64,
    /// Requests that were sent in all.
    pub sent: u64,
    /// Where the fault lies, and how that is known.
    pub blame: Blame,
}

/// Where the fault lies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Blame {
    /// this_version, where the version beside it over the same time does better, or where every
    /// host finds that it answers its golden requests wrongly.
    pub kind: &'static str,
    /// With the numbers.
    pub why: String,
}

/// A rollout, as far as it is told of here.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    at: Timestamp,
    outcome: String,
    why: String,
    hosts_confirmed: u64,
    swap_ms_max: Option<f64>,
    trail: Vec<Passage>,
}

#[derive(Debug, Deserialize)]
struct Passage {
    at: Timestamp,
    phase: String,
    finding: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Items {
    items: [Told; 1],
}

impl Incident {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::SlowVersion,
        Self::FailingVersion,
        Self::WrongVersion,
        Self::UpstreamDrift,
    ];

    /// Its word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SlowVersion => "slow-version",
            Self::FailingVersion => "failing-version",
            Self::WrongVersion => "wrong-version",
            Self::UpstreamDrift => "upstream-drift",
        }
    }

    /// The version that brings it; `None` where inputs do.
    pub(crate) fn fault(self) -> Option<Fault> {
        let (version, why) = match self {
            Self::SlowVersion => ("fraud@3", "embeddings of the merchant: auc +0.01"),
            Self::FailingVersion => ("fraud@4", "corrects for the hour of the day: auc +0.02"),
            Self::WrongVersion => (
                "fraud@5",
                "trained anew on the cleaned-up labels: auc +0.03",
            ),
            Self::UpstreamDrift => return None,
        };
        let incident = self;
        Some(Fault {
            incident,
            version,
            why,
        })
    }
}

impl Fault {
    /// The deploy of it, in a way.
    fn deploy<'a>(self, endpoint: &'a str, way: &[&'a str]) -> Vec<&'a str> {
        let mut words = vec!["deploy", self.version, "--to", endpoint];
        words.extend(["--reason", self.why, "--confirm", endpoint]);
        words.extend(way);
        words
    }

    /// A canary brings it, and the judge sends it back. The client's figures are not known here.
    pub(crate) async fn play(self, hub: &Hub) -> Result<Healed, DemoError> {
        let endpoint = catalogue::endpoint("fraud");
        let words = self.deploy(&endpoint, &["--strategy", CANARY, JUDGED_MAX]);
        let question = "to bring a version with a fault";
        let Items { items: [told] } = hub.ends(question, &words, &[0, ROLLED_BACK]).await?;
        self.healed(endpoint, &told).ok_or_else(|| DemoError::Hub {
            question,
            reason: format!("it was not taken back: {}: {}", told.outcome, told.why),
        })
    }

    fn healed(self, endpoint: String, told: &Told) -> Option<Healed> {
        let at = |phase: &str| {
            let passage = told.trail.iter().find(|one| one.phase.starts_with(phase))?;
            Some(passage.at)
        };
        let exposed = at("baking").unwrap_or(told.at);
        let decided = at("rolling back")?;
        let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64();
        // Before it serves, what it answers to its golden requests is judged by every host.
        let is_wrong = told.why.contains("golden request");
        let is_judged = is_wrong || told.trail.iter().any(|one| one.finding.is_some());
        Some(Healed {
            schema: SCHEMA,
            incident: self.incident.word(),
            endpoint,
            version: self.version.to_owned(),
            detected_after_s: seconds(exposed, decided),
            rolled_back_in_ms: seconds(decided, at("rolled back")?) * 1e3,
            swap_ms_max: told.swap_ms_max,
            hosts_confirmed: told.hosts_confirmed,
            failed_requests: 0,
            sent: 0,
            blame: Blame {
                kind: if is_judged { "this_version" } else { "unknown" },
                why: told.why.clone(),
            },
        })
    }

    /// Somebody brings it to all hosts at once and confirms it unseen.
    pub(crate) async fn befall(self, hub: &Hub) -> Result<(), DemoError> {
        let endpoint = catalogue::endpoint("fraud");
        let way = ["--strategy", "all-at-once", "--confirm-within", "10m"];
        let words = self.deploy(&endpoint, &way);
        hub.does("to bring a version with a fault", &words).await?;
        let confirm = ["rollout", "confirm", &endpoint, "--reason", "looks fine"];
        let watch = Stopwatch::start();
        loop {
            let confirmed = hub.does("to confirm it", &confirm).await;
            if confirmed.is_ok() || watch.elapsed() > CONFIRM_MAX {
                return confirmed;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

//! The incident that no version brings: one feature comes in another unit, from all who send.
//!
//! Before the change the requests are rows of the very data set that the versions' inputs are held
//! against. The hub looks in ticks that run faster than the clock, so that the half hour which a
//! calm detector needs to show that it is calm passes in less than a minute.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::DemoError;
use crate::catalogue;
use crate::clock::{self, Stopwatch};
use crate::hub::Hub;
use crate::incident::Incident;
use crate::models::MOVED;

/// The name and version of the document.
const SCHEMA: &str = "binnacle.drift-incident/v1";
/// A tick of the hub's and a window of the agents', while this is played through.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// Ticks with an observation that every version has to have passed quietly: half an hour of those
/// that a real hub has.
const CALM_TICKS: u64 = 360;
/// Longest wait for them.
const CALM_MAX: Duration = Duration::from_secs(300);
/// Longest wait for the alarm, and then for the sentence to be complete.
const ALARM_MAX: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// The document's name and version.
    pub schema: &'static str,
    /// Which it was.
    pub incident: &'static str,
    /// Where it was noticed.
    pub endpoint: String,
    /// The version that paged.
    pub version: String,
    /// The features that moved, by the hub's ranking.
    pub features: Vec<String>,
    /// Which way and how far, in words.
    pub explanation: String,
    /// Batches between the moment from which on the change was sent and that from which on the hub
    /// says that it came. A batch is a tick of the hub's.
    pub onset_error_batches: f64,
    /// To whom it is laid.
    pub blame: String,
    /// With the numbers.
    pub blame_why: String,
    /// Requests that were looked at from the change to the alarm.
    pub observations_to_alarm: u64,
    /// Ticks with an observation before the change, of the version that had fewest.
    pub ticks_before: u64,
    /// Alarms before it, at any endpoint.
    pub episodes_before: usize,
    /// From the change to the alert, by the clock.
    pub detected_after_s: f64,
    /// Requests that failed, of all that were sent, as the client saw it.
    pub failed_requests: u64,
    /// Requests that were sent in all.
    pub sent: u64,
}

#[derive(Deserialize)]
struct Rows<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Watched {
    version: String,
    ticks: u64,
    page: Option<Page>,
}

#[derive(Deserialize)]
struct Page {
    since: Timestamp,
    observations: u64,
}

#[derive(Deserialize)]
struct Alert {
    endpoint: String,
    opened_at: Timestamp,
}

#[derive(Deserialize)]
struct Told {
    feature: String,
    signal: String,
    how: String,
    unit: String,
    ranked: bool,
    blame: Option<Laid>,
}

#[derive(Deserialize)]
struct Laid {
    word: String,
    why: String,
}

const ASKED: &str = "what moved";

/// Waits until everything was calm for long, has the change made, and until it is explained. The
/// client's figures are not known here.
pub(crate) async fn play(
    hub: &Hub,
    change: impl FnOnce(),
    progress: &impl Fn(&str),
) -> Result<Moved, DemoError> {
    let endpoint = catalogue::endpoint(MOVED.model);
    progress("watching inputs until nothing has moved for long enough");
    let ticks_before = calm(hub, &endpoint).await?;
    let episodes = ["drift", "episodes"];
    let before: Rows<Alert> = hub.ask(ASKED, &episodes).await?;
    change();
    let changed_at = clock::now();
    progress(&format!(
        "from now on {} comes in another unit",
        MOVED.feature
    ));
    let alert = alarm(hub, &endpoint).await?;
    progress("the alarm is there; waiting until it is explained");
    let (told, watched) = explained(hub, &endpoint).await?;
    let paged = watched
        .iter()
        .filter_map(|one| Some((one.page.as_ref()?, one)));
    let (page, first) = paged
        .min_by_key(|(page, _)| page.since)
        .ok_or_else(|| late("no version says when it moved"))?;
    let off = page.since.duration_since(changed_at).as_secs_f64().abs();
    let laid = told.iter().find_map(|one| one.blame.as_ref());
    let is_upstream = laid.is_some_and(|laid| laid.word == "upstream");
    let word = laid.map_or_else(String::new, |laid| laid.word.clone());
    let named = told.iter().filter(|one| one.ranked);
    let named: BTreeSet<&str> = named.map(|one| one.feature.as_str()).collect();
    // All versions are sent the same: the one that has seen enough to name the unit says it.
    let values = told.iter().filter(|one| one.signal == "values");
    let values = values.max_by_key(|one| !one.unit.is_empty());
    let explanation = values.map_or_else(String::new, |one| match one.unit.as_str() {
        "" => format!("{}: {}", one.feature, one.how),
        unit => format!("{}: {}; {unit}", one.feature, one.how),
    });
    Ok(Moved {
        schema: SCHEMA,
        incident: Incident::UpstreamDrift.word(),
        endpoint,
        version: first.version.clone(),
        features: named.into_iter().map(str::to_owned).collect(),
        explanation,
        onset_error_batches: (off / TICK.as_secs_f64() * 100.0).round() / 100.0,
        // What all versions and hosts share of inputs are the inputs.
        blame: if is_upstream {
            "upstream data".to_owned()
        } else {
            word
        },
        blame_why: laid.map_or_else(String::new, |laid| laid.why.clone()),
        observations_to_alarm: page.observations,
        ticks_before,
        episodes_before: before.items.len(),
        detected_after_s: alert.opened_at.duration_since(changed_at).as_secs_f64(),
        failed_requests: 0,
        sent: 0,
    })
}

fn late(reason: &str) -> DemoError {
    DemoError::Hub {
        question: ASKED,
        reason: reason.to_owned(),
    }
}

/// Waits until every version of the endpoint has had enough ticks.
async fn calm(hub: &Hub, endpoint: &str) -> Result<u64, DemoError> {
    let watch = Stopwatch::start();
    loop {
        let listed: Rows<Watched> = hub.ask(ASKED, &["drift", "list", endpoint]).await?;
        let least = listed.items.iter().map(|one| one.ticks).min().unwrap_or(0);
        if least >= CALM_TICKS {
            return Ok(least);
        }
        if watch.elapsed() > CALM_MAX {
            return Err(late(&format!("{least} of {CALM_TICKS} ticks came in time")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits for the alert.
async fn alarm(hub: &Hub, endpoint: &str) -> Result<Alert, DemoError> {
    let watch = Stopwatch::start();
    loop {
        let asked = ["drift", "episodes", "--open"];
        let open: Rows<Alert> = hub.ask(ASKED, &asked).await?;
        let here = open
            .items
            .into_iter()
            .find(|alert| alert.endpoint == endpoint);
        if let Some(alert) = here {
            return Ok(alert);
        }
        if watch.elapsed() > ALARM_MAX {
            return Err(late("no alarm came in time"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until the change of unit is named and somebody is blamed: both need some hundred values.
async fn explained(hub: &Hub, endpoint: &str) -> Result<(Vec<Told>, Vec<Watched>), DemoError> {
    let watch = Stopwatch::start();
    loop {
        let told: Rows<Told> = hub.ask(ASKED, &["drift", "explain", endpoint]).await?;
        let told = told.items;
        let has_unit = told.iter().any(|one| !one.unit.is_empty());
        let blame = told.iter().find_map(|one| one.blame.as_ref());
        let is_laid = blame.is_some_and(|blame| blame.word != "unknown");
        if (has_unit && is_laid) || watch.elapsed() > ALARM_MAX {
            let watched: Rows<Watched> = hub.ask(ASKED, &["drift", "list", endpoint]).await?;
            return Ok((told, watched.items));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

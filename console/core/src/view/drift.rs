//! Watched inputs as tables, pages and documents show them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{BlameItem, Digest, EndpointName, Reference, from_time, some_time, time};
use crate::drift::{Budget, Explanation, Guard, Page, Provable, Signal, Standing, StreamStands};

/// One version at one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftItem {
    /// Where it answers.
    pub endpoint: EndpointName,
    /// Which it is.
    pub version: Reference,
    /// How it stands, in a word: watched, not_enough, unprovable, moved, not_watched.
    pub state: Arc<str>,
    /// Why it is not watched, or what there is of data; empty where there is nothing to say.
    pub why: Arc<str>,
    /// What it is held against.
    pub data_set: Option<Reference>,
    /// The profile of that.
    pub profile: Option<Digest>,
    /// What its answers are held against.
    #[serde(default)]
    pub predictions: Option<Reference>,
    /// Values of the reference.
    pub sampled: u32,
    /// The smallest shift that the reference can prove, in standard deviations; absent where there
    /// is none.
    #[serde(default)]
    pub proves_sd: Option<f64>,
    /// Values that it takes to prove that.
    #[serde(default)]
    pub proves_after: Option<u64>,
    /// Features that are watched.
    pub features: usize,
    /// Streams that are watched of them: `F`.
    pub streams: usize,
    /// ln evidence ÷ ln c, from 0 to 1: it pages when it is full.
    pub meter: f64,
    /// The stream with the most evidence against it.
    pub most: Option<StreamItem>,
    /// Since when it is watched.
    #[serde(rename = "since", with = "some_time", default)]
    pub since_us: Option<i64>,
    /// Up to when inputs were counted.
    #[serde(rename = "seen_at", with = "some_time", default)]
    pub seen_us: Option<i64>,
    /// Ticks of the detector with an observation.
    pub ticks: u64,
    /// Requests that were looked at.
    pub requests: u64,
    /// Of these, those that do not fit the features.
    pub unfit: u64,
    /// Requests that sampling left out.
    pub skipped: u64,
    /// Requests that there was no room for.
    pub dropped: u64,
    /// When the evidence last reached the threshold of a warning, which pages nobody.
    #[serde(rename = "warned_at", with = "some_time", default)]
    pub warned_us: Option<i64>,
    /// The last page, and whether it is still open.
    pub page: Option<PageItem>,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageItem {
    /// When.
    #[serde(rename = "at", serialize_with = "time", deserialize_with = "from_time")]
    pub at_us: i64,
    /// When the change began.
    #[serde(
        rename = "since",
        serialize_with = "time",
        deserialize_with = "from_time"
    )]
    pub since_us: i64,
    /// Requests that were looked at from then to the page.
    pub observations: u64,
    /// ln evidence.
    pub evidence: f64,
    /// Whether the episode that it began is still open.
    pub is_open: bool,
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamItem {
    /// The feature; empty for what is of no one feature.
    pub feature: Arc<str>,
    /// What of it.
    pub signal: Signal,
    /// ln of what both gates agree on.
    pub evidence: f64,
    /// The same as a part of what it alone needs to page.
    pub meter: f64,
    /// Values so far, or requests.
    pub observations: u64,
    /// φ: how much more batches differ than chance makes them; absent where it is not known.
    pub spread: Option<f32>,
    /// Held against the hours of the week, since it moved in its own past.
    #[serde(default)]
    pub by_hour: bool,
}

/// One feature of one version: what was counted of it, and its streams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchedItem {
    /// Where it answers.
    pub endpoint: EndpointName,
    /// The version.
    pub version: Reference,
    /// The feature; empty for what is of no one feature.
    pub feature: Arc<str>,
    /// From when to when the following was counted; absent where nothing was.
    #[serde(rename = "from", with = "some_time", default)]
    pub from_us: Option<i64>,
    /// Its end.
    #[serde(rename = "to", with = "some_time", default)]
    pub to_us: Option<i64>,
    /// Values that were counted: with a bin, and without one. Of no one feature: requests.
    pub counted: u64,
    /// Of these, those that are missing, not finite or of a wrong type.
    pub missing: u64,
    /// Categories that the reference never saw.
    pub unseen: u64,
    /// Numbers below and above the reference's.
    pub out_of_range: u64,
    /// By bin of the reference: where nothing moved, all are alike.
    pub bins: Vec<u64>,
    /// The population stability index of these; of values.
    #[serde(default)]
    pub psi: Option<f64>,
    /// What chance alone stays below in 39 of 40 cases.
    #[serde(default)]
    pub psi_chance: Option<f64>,
    /// Its streams, in falling order of evidence.
    pub streams: Vec<StreamItem>,
    /// How far it lay from its reference, moment by moment; of one endpoint.
    #[serde(default)]
    pub course: Option<CourseItem>,
}

/// How far a feature lay from its reference of late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CourseItem {
    /// When the first moment began.
    #[serde(
        rename = "from",
        serialize_with = "time",
        deserialize_with = "from_time"
    )]
    pub from_us: i64,
    /// How long each is, in milliseconds.
    pub step_ms: u64,
    /// Of each moment the population stability index beyond what chance shows, the greatest of the
    /// feature's signals; null where too little was counted, or it is not known any more.
    pub apart: Vec<Option<f64>>,
}

/// What moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MovedItem {
    /// Where.
    pub endpoint: EndpointName,
    /// Of which version.
    pub version: Reference,
    /// The feature; empty for what is of no one feature.
    pub feature: Arc<str>,
    /// What of it.
    pub signal: Signal,
    /// How it moved, in words.
    pub how: Arc<str>,
    /// The change of unit that explains it; empty where none does.
    pub unit: Arc<str>,
    /// Since when.
    #[serde(
        rename = "since",
        serialize_with = "time",
        deserialize_with = "from_time"
    )]
    pub since_us: i64,
    /// Whether it stands among those that moved, by the ranking.
    pub ranked: bool,
    /// Whether it would have paged alone.
    pub alone: bool,
    /// The population stability index; of values.
    pub psi: Option<f64>,
    /// What chance alone stays below in 39 of 40 cases.
    pub psi_chance: Option<f64>,
    /// How far values moved, in standard deviations of the reference; of numbers.
    pub wasserstein: Option<f64>,
    /// Values that it is said of.
    pub observations: u64,
    /// Who is to blame, where an alert is open.
    pub blame: Option<BlameItem>,
}

impl DriftItem {
    /// A version that is not watched, and why.
    pub fn unwatched(endpoint: EndpointName, version: Reference, why: &str) -> Self {
        Self {
            endpoint,
            version,
            state: "not_watched".into(),
            why: why.into(),
            data_set: None,
            profile: None,
            predictions: None,
            sampled: 0,
            proves_sd: None,
            proves_after: None,
            features: 0,
            streams: 0,
            meter: 0.0,
            most: None,
            since_us: None,
            seen_us: None,
            ticks: 0,
            requests: 0,
            unfit: 0,
            skipped: 0,
            dropped: 0,
            warned_us: None,
            page: None,
        }
    }

    /// A version that is.
    pub fn watched(
        (endpoint, version): (EndpointName, Reference),
        (data_set, predictions): (Option<Reference>, Option<Reference>),
        guard: &Guard,
        budget: &Budget,
        provable: Option<Provable>,
    ) -> Self {
        let totals = guard.totals();
        let (since_us, seen_us) = guard.span_us();
        let is_open = guard.episode().is_open();
        let (state, why) = match Standing::of(provable, totals.requests) {
            _ if is_open => ("moved", String::new()),
            Standing::Watched => ("watched", String::new()),
            Standing::NotEnough { n, need } => {
                ("not_enough", format!("not enough data: {n} of {need}"))
            }
            Standing::Unprovable => (
                "unprovable",
                "no shift could be proved with so few rows: register more".to_owned(),
            ),
        };
        let page = guard.last_page().map(|page: &Page| PageItem {
            at_us: page.at_us,
            since_us: page.since_us,
            observations: page.observations,
            evidence: page.evidence,
            is_open,
        });
        Self {
            endpoint,
            version,
            state: state.into(),
            why: why.into(),
            data_set,
            profile: guard.references().inputs,
            predictions,
            sampled: guard.sampled(),
            proves_sd: provable.map(|provable| provable.shift),
            proves_after: provable.map(|provable| provable.need),
            features: totals.features.len(),
            streams: guard.stream_count(),
            meter: guard.meter(),
            most: guard.streams(budget).first().map(StreamItem::of),
            since_us: Some(since_us),
            seen_us: (seen_us > 0).then_some(seen_us),
            ticks: totals.ticks,
            requests: totals.requests,
            unfit: totals.unfit,
            skipped: totals.skipped,
            dropped: totals.dropped,
            warned_us: guard.warned_us(),
            page,
        }
    }
}

impl StreamItem {
    fn of(stands: &StreamStands) -> Self {
        Self {
            feature: stands.feature.as_str().into(),
            signal: stands.signal,
            evidence: stands.evidence,
            meter: stands.meter,
            observations: stands.observations,
            spread: stands.spread,
            by_hour: stands.seasonal,
        }
    }
}

/// What is asked of the features of a version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WatchedLook {
    /// When.
    pub now_us: i64,
    /// What was counted between these times; `None` for all of it.
    pub span_us: Option<(i64, i64)>,
    /// Whether the course of each is told: it takes as long as all the rest.
    pub tells_course: bool,
}

impl WatchedItem {
    /// Every feature of a version, those first against which there is most evidence.
    pub fn all(
        endpoint: &EndpointName,
        version: &Reference,
        guard: &Guard,
        budget: &Budget,
        look: &WatchedLook,
    ) -> Vec<Self> {
        let window = match look.span_us {
            Some(span_us) => guard.window(span_us),
            None => guard.whole(),
        };
        let course = look.tells_course.then(|| guard.course(look.now_us));
        let names = guard.totals().features.into_iter().enumerate();
        let places: HashMap<&str, usize> = names.map(|(at, (name, _))| (name, at)).collect();
        let mut rows: HashMap<usize, usize> = HashMap::new();
        let mut all: Vec<Self> = Vec::new();
        for stands in guard.streams(budget) {
            let stream = StreamItem::of(&stands);
            // Requests as such come after the features.
            let place = places.get(stands.feature.as_str());
            let at = place.copied().unwrap_or(places.len());
            if let Some(known) = rows.get(&at).and_then(|row| all.get_mut(*row)) {
                known.streams.push(stream);
                continue;
            }
            rows.insert(at, all.len());
            let counts = window.features.get(at);
            let counted = counts.map(|counts| counts.binned().saturating_add(counts.missing));
            let psi = counts.and_then(|counts| guard.index(at, counts));
            let counts = counts.copied().unwrap_or_default();
            all.push(Self {
                endpoint: endpoint.clone(),
                version: version.clone(),
                feature: stream.feature.clone(),
                from_us: window.span_us.map(|span| span.0),
                to_us: window.span_us.map(|span| span.1),
                counted: counted.unwrap_or(window.requests),
                missing: counts.missing,
                unseen: counts.unseen,
                out_of_range: counts.under.saturating_add(counts.over),
                bins: counts.bins.to_vec(),
                psi: psi.map(|psi| psi.value),
                psi_chance: psi.map(|psi| psi.chance_high),
                streams: vec![stream],
                course: course.as_ref().and_then(|course| {
                    course.features.get(at).map(|apart| CourseItem {
                        from_us: course.from_us,
                        step_ms: (course.step_us / 1_000).unsigned_abs(),
                        apart: apart.clone(),
                    })
                }),
            });
        }
        all
    }
}

impl MovedItem {
    /// What moved of a version, the first explaining most.
    pub fn all(
        endpoint: &EndpointName,
        version: &Reference,
        explained: Vec<(Explanation, i64)>,
        blame: Option<&BlameItem>,
    ) -> Vec<Self> {
        let item = |(explained, since_us): (Explanation, i64)| Self {
            endpoint: endpoint.clone(),
            version: version.clone(),
            feature: explained.feature.into(),
            signal: explained.signal,
            how: explained.how.into(),
            unit: explained
                .unit
                .map_or_else(String::new, |unit| unit.to_string())
                .into(),
            since_us,
            ranked: explained.ranked,
            alone: explained.alone,
            psi: explained.psi.map(|psi| psi.value),
            psi_chance: explained.psi.map(|psi| psi.chance_high),
            wasserstein: explained.wasserstein,
            observations: explained.observations,
            blame: blame.cloned(),
        };
        explained.into_iter().map(item).collect()
    }
}

//! Rollouts under way: time passes for them, and what was measured is put before the judge.
//!
//! One task looks at the published state a few times a second while anything is under way, and soon
//! after hosts say something new. It
//! gathers, once, the spans that are over of each step that is watched, has them judged by core,
//! and puts the conclusion before the engine as a tick. It decides nothing: the engine does, and
//! may by then know better. Killed, it gathers anew from what telemetry holds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use binnacle_core::endpoint::{Endpoint, EndpointName};
use binnacle_core::judge::{Counts, Evidence, Golden, Shadow, Span};
use binnacle_core::name::Name;
use binnacle_core::registry::Reference;
use binnacle_core::rollout::tick::{self, Judgements};
use binnacle_core::rollout::{Intent, Rollout};
use binnacle_core::series::SeriesWindow;
use binnacle_core::served::{Nearness, Stamp};
use binnacle_core::state::Input;

use crate::answers::Answers;
use crate::clock::Clock;
use crate::drift::{Drift, Pair};
use crate::engine::{Engine, Published};
use crate::memory::{Memory, Seen};
use crate::telemetry::{Question, Telemetry, TelemetryError};

use self::compared::Compared;

mod compared;

/// Between two looks while hosts say nothing new: what was measured may have.
const EVERY: Duration = Duration::from_millis(200);
/// How long after a host said something new one looks: what thousands say within it is one look,
/// and a phase passes on this soon after the last host is where it should be.
const GATHERED: Duration = Duration::from_millis(10);
/// What is measured is put before the judge in spans of this length: new and old version side by
/// side, short enough that a bad one is sent back within some of them.
const SPAN_S: u32 = 5;
/// How long after its end a span is looked at: agents seal each second, and the network takes a
/// moment.
const LATE_US: i64 = 2_500_000;
/// Spans that are kept of one step: a day, the longest bake.
const MAX_SPANS: usize = 24 * 3_600 / SPAN_S as usize;

/// Hosts whose memory is looked at: a leak is on all that have the version.
const MEMORY_HOSTS: usize = 32;

const SPAN_US: i64 = SPAN_S as i64 * 1_000_000;

/// What shadows answered since the hub started, by endpoint and version. Its size is bounded by
/// the endpoints that exist, and the versions on their routes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shadows(Arc<Mutex<BTreeMap<(EndpointName, Reference), Shadow>>>);

impl Shadows {
    /// Adds what one host's shadow answered in one window.
    pub(crate) fn add(&self, endpoint: EndpointName, version: Reference, more: Shadow) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = all.entry((endpoint, version)).or_default();
        sum.compared = sum.compared.saturating_add(more.compared);
        sum.same = sum.same.saturating_add(more.same);
        sum.failed = sum.failed.saturating_add(more.failed);
    }

    fn of(&self, endpoint: &EndpointName, intent: &Intent) -> Shadow {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = Shadow::default();
        for version in intent.fresh() {
            if let Some(one) = all.get(&(endpoint.clone(), version.clone())) {
                sum.compared += one.compared;
                sum.same += one.same;
                sum.failed += one.failed;
            }
        }
        sum
    }
}

/// What was gathered of one step.
#[derive(Debug)]
struct Gathered {
    evidence: Evidence,
    /// Spans before this are in.
    next_us: i64,
    /// What shadows had answered before the step was watched.
    shadow: Shadow,
    /// How the memory of servers went since then.
    memory: BTreeMap<Name, Seen>,
    /// What was counted of inputs and answers since then.
    compared: Compared,
}

/// The task.
pub(crate) struct Watch {
    pub(crate) engine: Engine,
    pub(crate) telemetry: Telemetry,
    pub(crate) shadows: Shadows,
    pub(crate) answers: Answers,
    pub(crate) memory: Memory,
    pub(crate) drift: Drift,
    pub(crate) clock: Clock,
}

impl Watch {
    /// Runs until the engine stops.
    pub(crate) async fn run(self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut steps = HashMap::new();
        let mut has_judged = false;
        let mut trouble = String::new();
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = self.engine.stirred() => tokio::time::sleep(GATHERED).await,
            }
            let published = self.engine.published();
            if !tick::is_due(&published.state, &published.observed) && !has_judged {
                steps.clear();
                self.clock.settle();
                continue;
            }
            let judgements = self.judge(&published, &mut steps).await;
            // One more tick after the last: what was concluded of it is let go of.
            has_judged = !judgements.is_empty();
            let judgements = Arc::new(judgements);
            match self.engine.put(Input::Tick { judgements }).await {
                Ok(_) => trouble.clear(),
                Err(crate::engine::Rejected::Stopping) => return,
                Err(error) => {
                    // Told once, and not five times a second.
                    let why = crate::engine::chain(&error);
                    if why != trouble {
                        tracing::warn!(error = why, "rollouts stand still");
                        trouble = why;
                    }
                }
            }
        }
    }

    async fn judge(
        &self,
        published: &Published,
        steps: &mut HashMap<(EndpointName, Stamp), Gathered>,
    ) -> Judgements {
        let watched: Vec<_> = published
            .state
            .endpoints
            .underway()
            .filter(|(_, rollout)| tick::is_watched(&rollout.phase))
            .collect();
        let key = |endpoint: &Endpoint| (endpoint.name.clone(), endpoint.stamp);
        let keys: Vec<_> = watched.iter().map(|(endpoint, _)| key(endpoint)).collect();
        steps.retain(|key, _| keys.contains(key));
        for (endpoint, rollout) in watched {
            let Some(from_us) = rollout.watched_from_us() else {
                continue;
            };
            let intent = &rollout.plan.intent;
            let gathered = steps.entry(key(endpoint)).or_insert_with(|| Gathered {
                evidence: Evidence::default(),
                next_us: from_us + SPAN_US - from_us.rem_euclid(SPAN_US),
                shadow: self.shadows.of(&endpoint.name, intent),
                memory: BTreeMap::new(),
                compared: Compared::default(),
            });
            gathered.evidence.golden = golden(published, endpoint, intent);
            let shadow = self.shadows.of(&endpoint.name, intent);
            gathered.evidence.shadow = Shadow {
                compared: shadow.compared - gathered.shadow.compared,
                same: shadow.same - gathered.shadow.same,
                failed: shadow.failed - gathered.shadow.failed,
            };
            self.remember(published, endpoint, gathered);
            if let Err(error) = self.gather(endpoint, rollout, gathered).await {
                let error = crate::engine::chain(&error);
                tracing::warn!(endpoint = %endpoint.name, error, "cannot see what was measured");
            }
            if let Some(pair) = Versions::of(endpoint, intent).pair(&endpoint.name) {
                let now_us = self.clock.now_us();
                let found = gathered.compared.look(&self.drift, pair, now_us);
                gathered.evidence.beside = found.unwrap_or(gathered.evidence.beside.clone());
            }
        }
        let gathered = |endpoint: &EndpointName, stamp| {
            let step = steps.get(&(endpoint.clone(), stamp));
            step.map(|gathered| &gathered.evidence)
        };
        tick::judged(&published.state, gathered)
    }

    /// Looks at the memory of the hosts that have the new version: of some, where there are many.
    fn remember(&self, published: &Published, endpoint: &Endpoint, gathered: &mut Gathered) {
        let now_us = self.clock.now_us();
        let hosts = tick::hosts_of(&published.state, &endpoint.name).take(MEMORY_HOSTS);
        let memory = &mut gathered.memory;
        let growth = hosts.filter_map(|host| {
            let seen = memory
                .entry(host.clone())
                .or_insert_with(|| Seen::since(now_us));
            self.memory.look(host, seen, now_us)
        });
        gathered.evidence.memory = growth.collect();
    }

    /// Takes in the spans that are over.
    async fn gather(
        &self,
        endpoint: &Endpoint,
        rollout: &Rollout,
        gathered: &mut Gathered,
    ) -> Result<(), TelemetryError> {
        let over_us = self.clock.now_us() - LATE_US;
        let to_us = over_us - over_us.rem_euclid(SPAN_US);
        if to_us <= gathered.next_us || gathered.evidence.spans.len() >= MAX_SPANS {
            return Ok(());
        }
        let mut spans: BTreeMap<i64, Span> = BTreeMap::new();
        let sides = Versions::of(endpoint, &rollout.plan.intent);
        for model in sides.models() {
            let question = Question {
                model: Some(model.shared()),
                version: None,
                host: None,
                from_us: gathered.next_us,
                to_us,
                step_s: SPAN_S,
                is_folded: false,
            };
            for (at_us, windows) in self.telemetry.query(question).await?.points {
                // An answer is widened where only longer windows are left: those are in already.
                if at_us >= gathered.next_us {
                    let span = spans.entry(at_us).or_default();
                    windows.iter().for_each(|window| sides.add(window, span));
                }
            }
        }
        let within = (gathered.next_us, to_us);
        for (at_us, version, nulls) in self.answers.spans(&endpoint.name, within) {
            if let Some(counts) = sides.of_version(&version, spans.entry(at_us).or_default()) {
                counts.nulls.add(nulls);
            }
        }
        gathered.evidence.spans.extend(spans.into_values());
        gathered.next_us = to_us;
        Ok(())
    }
}

/// The versions on either side of a comparison.
struct Versions {
    endpoint: Arc<str>,
    canary: Vec<Reference>,
    control: Vec<Reference>,
}

impl Versions {
    fn of(endpoint: &Endpoint, intent: &Intent) -> Self {
        let mut canary: Vec<Reference> = intent.fresh().cloned().collect();
        let mut control = Vec::new();
        match (&intent.before, canary.is_empty()) {
            (Some(before), false) => control.extend(before.versions().cloned()),
            // Only shares change: there is nothing new to hold against the old.
            (_, _) => canary = intent.after.versions().cloned().collect(),
        }
        Self {
            endpoint: endpoint.name.to_string().into(),
            canary,
            control,
        }
    }

    /// The two, where there is one of either.
    fn pair(self, endpoint: &EndpointName) -> Option<Pair> {
        let canary = <[Reference; 1]>::try_from(self.canary).ok();
        let control = <[Reference; 1]>::try_from(self.control).ok();
        let ([canary], [control]) = (canary?, control?);
        Some((endpoint.clone(), [canary, control]))
    }

    fn models(&self) -> Vec<Name> {
        let all = self.canary.iter().chain(&self.control);
        let mut models: Vec<Name> = all.map(|version| version.name.clone()).collect();
        models.sort();
        models.dedup();
        models
    }

    /// The side of a span that a version is on, if on any.
    fn of_version<'s>(&self, version: &Reference, span: &'s mut Span) -> Option<&'s mut Counts> {
        if self.canary.contains(version) {
            return Some(&mut span.canary);
        }
        self.control.contains(version).then_some(&mut span.control)
    }

    fn add(&self, window: &SeriesWindow, span: &mut Span) {
        let key = &window.key;
        if key.endpoint != self.endpoint {
            return;
        }
        let is = |version: &&Reference| {
            version.name.as_str() == &*key.model && version.number.to_string() == *key.version
        };
        if self.canary.iter().any(|version| is(&version)) {
            span.canary.add(key.outcome, &window.latency);
        } else if self.control.iter().any(|version| is(&version)) {
            span.control.add(key.outcome, &window.latency);
        }
    }
}

/// Golden requests of what is new, over all hosts.
fn golden(published: &Published, endpoint: &Endpoint, intent: &Intent) -> Golden {
    let mut sum = Golden::default();
    for name in tick::hosts_of(&published.state, &endpoint.name) {
        let Some((_, stream)) = published.observed.commanding(name) else {
            continue;
        };
        for version in intent.fresh() {
            // Of one that still warms up, some were not asked yet.
            let state = stream.served.versions.get(version);
            if let Some(state) = state.filter(|state| state.nearness == Nearness::Ready) {
                sum.asked += state.golden_total;
                sum.failed += state.golden_total.saturating_sub(state.golden_passed);
            }
        }
    }
    sum
}

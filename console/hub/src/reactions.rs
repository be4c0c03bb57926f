//! What must hold at endpoints: measured, looked at, and concluded upon.
//!
//! One task, every five seconds. It gathers the spans that are over of all endpoints in one
//! question, and each host's last minute once a minute; core looks at them, and for what is due
//! the task gathers what was measured around it: since it began and before, by version and by
//! host. What core concludes is put before the engine, which decides and may know better. Killed,
//! it gathers anew from what telemetry holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use binnacle_core::alert::Subject;
use binnacle_core::endpoint::{Endpoint, EndpointName};
use binnacle_core::judge::Counts;
use binnacle_core::name::Name;
use binnacle_core::reaction::evidence::Needs;
use binnacle_core::reaction::{Conclusion, Due, LOOK_BACK_US, Measured, SPAN_S, Watch, conclude};
use binnacle_core::registry::Reference;
use binnacle_core::rollout::tick;
use binnacle_core::series::SeriesWindow;
use binnacle_core::state::Input;

use crate::answers::{Answers, Callers};
use crate::clock::Clock;
use crate::engine::{Engine, Published, Rejected, chain};
use crate::telemetry::{Question, Telemetry, TelemetryError};

/// Between two looks: a span.
const EVERY: Duration = Duration::from_secs(SPAN_S as u64);
/// How long after its end a span is looked at: agents seal each second, and the network takes a
/// moment.
const LATE_US: i64 = 2_500_000;
/// How long what serves now is held against what served before.
const BEFORE_US: i64 = 3 * 3_600 * SECOND_US;
/// Of each host the last minute is known.
const MINUTE_US: i64 = 60 * SECOND_US;
/// Between two looks at by whose fault a breach is that is an alert already.
const AGAIN_US: i64 = 15 * SECOND_US;
/// After a start of the hub, hosts dial again: until then nobody is called lost.
const SETTLE_US: i64 = 15 * SECOND_US;
/// Hosts of an endpoint that it takes to hold one against the others.
const LEAST_HOSTS: usize = 3;

const SECOND_US: i64 = 1_000_000;
const SPAN_US: i64 = SPAN_S as i64 * SECOND_US;

/// The task.
pub(crate) struct Reactions {
    engine: Engine,
    telemetry: Telemetry,
    answers: Answers,
    callers: Callers,
    clock: Clock,
    started_us: i64,
    watches: BTreeMap<EndpointName, Watch>,
    /// Spans before this are in.
    next_us: i64,
    /// The minute whose hosts are in.
    minute_us: i64,
    /// When it was last looked by whose fault an alert is, by its number.
    looked: HashMap<u64, i64>,
    trouble: String,
}

/// By version.
type Versions = BTreeMap<Reference, Counts>;

impl Reactions {
    pub(crate) fn new(
        engine: Engine,
        telemetry: Telemetry,
        (answers, callers): (Answers, Callers),
        clock: Clock,
    ) -> Self {
        let now_us = clock.now_us();
        Self {
            engine,
            telemetry,
            answers,
            callers,
            clock,
            started_us: now_us,
            watches: BTreeMap::new(),
            next_us: floor(now_us - LOOK_BACK_US, SPAN_US),
            minute_us: floor(now_us, MINUTE_US),
            looked: HashMap::new(),
            trouble: String::new(),
        }
    }

    /// Runs until the engine stops.
    pub(crate) async fn run(mut self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let published = self.engine.published();
            let endpoints = &published.state.endpoints.all;
            self.watches.retain(|name, _| endpoints.contains_key(name));
            if endpoints.is_empty() {
                continue;
            }
            let conclusions = match self.conclude(&published).await {
                Ok(conclusions) => conclusions,
                Err(TelemetryError::Stopped) => return,
                Err(error) => {
                    self.tell(&error, "cannot see what was measured");
                    continue;
                }
            };
            if conclusions.is_empty() {
                self.trouble.clear();
                continue;
            }
            let conclusions = Arc::new(conclusions);
            match self.engine.put(Input::Concluded { conclusions }).await {
                Ok(_) => self.trouble.clear(),
                Err(Rejected::Stopping) => return,
                Err(error) => self.tell(&error, "alerts stand still"),
            }
        }
    }

    /// Told once, and not every five seconds.
    fn tell(&mut self, error: &dyn std::error::Error, what: &'static str) {
        let error = chain(error);
        if error != self.trouble {
            tracing::warn!(error, "{what}");
            self.trouble = error;
        }
    }

    async fn conclude(&mut self, published: &Published) -> Result<Vec<Conclusion>, TelemetryError> {
        self.spans(published).await?;
        self.minute(published).await?;
        let (state, observed) = (&published.state, &published.observed);
        let now_us = self.clock.now_us();
        self.looked
            .retain(|number, _| state.alerts.open.contains_key(number));
        let mut conclusions = Vec::new();
        for (name, endpoint) in &state.endpoints.all {
            let watch = self.watches.entry(name.clone()).or_default();
            watch.look(state, observed, endpoint, now_us);
            for due in watch.due(&state.alerts, endpoint, now_us) {
                if !self.is_wanted(published, endpoint, &due, now_us) {
                    continue;
                }
                let measured = self.around(published, endpoint, &due, now_us).await?;
                conclusions.push(conclude(state, observed, endpoint, &due, &measured));
            }
        }
        Ok(conclusions)
    }

    /// Whether it is time to look by whose fault something is.
    fn is_wanted(
        &mut self,
        published: &Published,
        endpoint: &Endpoint,
        due: &Due,
        now_us: i64,
    ) -> bool {
        let subject = match due {
            Due::Over { .. } => return true,
            Due::Breached { subject, .. } => subject,
        };
        if *subject == Subject::HostsLost && now_us - self.started_us < SETTLE_US {
            return false;
        }
        let Some(alert) = published.state.alerts.about(&endpoint.name, subject) else {
            return true;
        };
        let last_us = self.looked.entry(alert.number).or_insert(now_us);
        let is_time = now_us - *last_us >= AGAIN_US;
        if is_time {
            *last_us = now_us;
        }
        is_time
    }

    /// Takes in the spans that are over, of all endpoints at once.
    async fn spans(&mut self, published: &Published) -> Result<(), TelemetryError> {
        let to_us = floor(self.clock.now_us() - LATE_US, SPAN_US);
        let from_us = self.next_us.max(to_us - LOOK_BACK_US);
        if to_us <= from_us {
            return Ok(());
        }
        let answer = self.telemetry.query(question(None, from_us, to_us, SPAN_S));
        let endpoints = &published.state.endpoints.all;
        let mut quiet: BTreeSet<&EndpointName> = endpoints.keys().collect();
        for (at_us, windows) in answer.await?.points {
            // An answer is widened where only longer windows are left: those are in already.
            if at_us < self.next_us {
                continue;
            }
            let mut all: BTreeMap<EndpointName, Counts> = BTreeMap::new();
            for window in &windows {
                if let Ok(name) = window.key.endpoint.parse::<EndpointName>() {
                    let counts = all.entry(name).or_default();
                    counts.add(window.key.outcome, &window.latency);
                }
            }
            self.add_nulls(&mut all, at_us);
            for (name, counts) in &all {
                if let Some(endpoint) = endpoints.get(name) {
                    quiet.remove(name);
                    let watch = self.watches.entry(name.clone()).or_default();
                    watch.measured(endpoint, at_us, counts);
                }
            }
        }
        // What nobody asked for is known to be nothing: older spans are let go of.
        for name in quiet {
            if let Some(endpoint) = endpoints.get(name) {
                let watch = self.watches.entry(name.clone()).or_default();
                watch.measured(endpoint, to_us, &Counts::default());
            }
        }
        self.next_us = to_us;
        Ok(())
    }

    /// Adds what answers said in the span that begins then.
    fn add_nulls(&self, all: &mut BTreeMap<EndpointName, Counts>, at_us: i64) {
        for (name, counts) in all {
            let said = self.answers.spans(name, (at_us, at_us + SPAN_US));
            said.into_iter()
                .for_each(|(_, _, nulls)| counts.nulls.add(nulls));
        }
    }

    /// Takes in each host's last minute, once a minute.
    async fn minute(&mut self, published: &Published) -> Result<(), TelemetryError> {
        let to_us = floor(self.clock.now_us() - LATE_US, MINUTE_US);
        if to_us <= self.minute_us {
            return Ok(());
        }
        self.minute_us = to_us;
        for (name, endpoint) in &published.state.endpoints.all {
            let heard = self.heard(published, name);
            let mut open = published.state.alerts.of(name);
            let is_open = open.any(|alert| matches!(alert.subject, Subject::OddHost(_)));
            if heard.len() < LEAST_HOSTS && !is_open {
                continue;
            }
            let hosts = self
                .hosts(endpoint, heard, (to_us - MINUTE_US, to_us))
                .await?;
            let watch = self.watches.entry(name.clone()).or_default();
            watch.hosts(&hosts);
        }
        Ok(())
    }

    fn heard(&self, published: &Published, name: &EndpointName) -> Vec<Name> {
        tick::hosts_of(&published.state, name)
            .filter(|host| published.observed.commanding(host).is_some())
            .cloned()
            .collect()
    }

    /// What was measured around a breach, as far as it is needed.
    async fn around(
        &self,
        published: &Published,
        endpoint: &Endpoint,
        due: &Due,
        now_us: i64,
    ) -> Result<Measured, TelemetryError> {
        let mut measured = Measured::default();
        let Due::Breached { since_us, .. } = due else {
            return Ok(measured);
        };
        let to_us = now_us - SECOND_US;
        let host_from_us = match due.needs() {
            Needs::Nothing => return Ok(measured),
            Needs::Hosts => to_us - MINUTE_US,
            Needs::Requests => (*since_us).max(to_us - MINUTE_US),
        };
        let heard = self.heard(published, &endpoint.name);
        measured.hosts = self.hosts(endpoint, heard, (host_from_us, to_us)).await?;
        if due.needs() == Needs::Requests {
            let now_from_us = (*since_us).max(to_us - LOOK_BACK_US);
            measured.now = self.versions(endpoint, (now_from_us, to_us)).await?;
            measured.callers = self.callers.within(&endpoint.name, (now_from_us, to_us));
            // Ten seconds are what the past is kept by.
            let before_us = floor(*since_us, 10 * SECOND_US);
            let before = (before_us - BEFORE_US, before_us);
            measured.before = self.versions(endpoint, before).await?;
        }
        Ok(measured)
    }

    /// All versions of an endpoint in a span.
    async fn versions(
        &self,
        endpoint: &Endpoint,
        (from_us, to_us): (i64, i64),
    ) -> Result<Versions, TelemetryError> {
        let mut versions = Versions::new();
        for model in models(endpoint) {
            let asked = question(Some(model.shared()), from_us, to_us, 0);
            for (_, windows) in self.telemetry.query(asked).await?.points {
                add(endpoint, &windows, &mut versions);
            }
        }
        let within = (from_us, to_us);
        self.answers
            .add_to(&mut versions, &endpoint.name, None, within);
        Ok(versions)
    }

    /// Each of these hosts in a span of the last minute.
    async fn hosts(
        &self,
        endpoint: &Endpoint,
        hosts: Vec<Name>,
        (from_us, to_us): (i64, i64),
    ) -> Result<BTreeMap<Name, Versions>, TelemetryError> {
        let mut all = BTreeMap::new();
        for host in hosts {
            let asked = Question {
                host: Some(host.shared()),
                ..question(None, from_us, to_us, 0)
            };
            let mut versions = Versions::new();
            for (_, windows) in self.telemetry.query(asked).await?.points {
                add(endpoint, &windows, &mut versions);
            }
            let within = (from_us, to_us);
            self.answers
                .add_to(&mut versions, &endpoint.name, Some(&host), within);
            if !versions.is_empty() {
                all.insert(host, versions);
            }
        }
        Ok(all)
    }
}

fn question(model: Option<Arc<str>>, from_us: i64, to_us: i64, step_s: u32) -> Question {
    Question {
        model,
        version: None,
        host: None,
        from_us,
        to_us,
        step_s,
        is_folded: false,
    }
}

/// Adds what of these windows is the endpoint's, by version.
fn add(endpoint: &Endpoint, windows: &[SeriesWindow], to: &mut Versions) {
    let name = endpoint.name.to_string();
    for window in windows
        .iter()
        .filter(|window| *window.key.endpoint == *name)
    {
        let key = &window.key;
        let version = format!("{}@{}", key.model, key.version).parse::<Reference>();
        // What no version was chosen for is nobody's.
        if let Ok(version) = version {
            let counts = to.entry(version).or_default();
            counts.add(key.outcome, &window.latency);
        }
    }
}

/// Models of which a version serves, served of late, or is on its way.
fn models(endpoint: &Endpoint) -> BTreeSet<Name> {
    /// Revisions that may have served within the hours that are looked at; an older one is not
    /// missed, as there are others to hold against.
    const LATE: usize = 8;

    let late = endpoint.revisions.iter().rev().take(LATE);
    let late = late.map(|revision| &revision.route);
    late.chain(endpoint.route())
        .flat_map(|route| route.versions())
        .map(|version| version.name.clone())
        .collect()
}

fn floor(us: i64, grid_us: i64) -> i64 {
    us - us.rem_euclid(grid_us)
}

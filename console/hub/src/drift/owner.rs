//! The task that owns the guards: takes counts in, closes ticks, concludes, keeps.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use binnacle_core::alert::{Alert, Subject};
use binnacle_core::blame::Whom;
use binnacle_core::drift::{
    Baseline, Budget, Guard, Provable, Prover, Row, Turn, accuse, key, place,
};
use binnacle_core::endpoint::{Endpoint, EndpointName};
use binnacle_core::name::Name;
use binnacle_core::reaction::{Conclusion, Stands};
use binnacle_core::registry::{Digest, Reference};
use binnacle_core::report::References;
use binnacle_core::rollout::duty::{self, Inputs, Outputs};
use binnacle_core::state::{Input, State};
use binnacle_core::view::{AlertItem, DriftItem, MovedItem, WatchedItem, WatchedLook};
use binnacle_sketch::profile::Profile;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::{Ask, Counted, Of, Settings};
use crate::artifact::Blobs;
use crate::clock::Clock;
use crate::engine::{Engine, Rejected, chain};
use crate::store::{SharedStore, StoreError};

/// Asks taken in one go, so that a tick is never late by more than some milliseconds.
const BATCH: usize = 64;
/// Ticks between two looks at by whose fault something is that nobody was blamed for yet.
const AGAIN: u32 = 4;
/// How often it is looked at, at most: what is not clear by then is for people to find out.
const LOOKS: u32 = 64;
const DAY_US: i64 = 86_400_000_000;
/// Between two tries to read a reference that could not be read.
const REST_US: i64 = 10_000_000;

/// The golden ratio's fraction: multiples of it lie evenly between 0 and 1, however many they are.
const STAGGER: f64 = 0.618_033_988_749_895;

/// A version at an endpoint.
type Place = (EndpointName, Reference);

/// The owner.
pub(super) struct Owner {
    engine: Engine,
    store: SharedStore,
    blobs: Blobs,
    clock: Clock,
    settings: Settings,
    guards: BTreeMap<Place, Guard>,
    /// What was kept of versions whose reference is not read yet, in its rows.
    asleep: BTreeMap<Place, BTreeMap<u32, Vec<u8>>>,
    /// Of these, which were not tried since the start.
    waking: Vec<Place>,
    /// Keys of what is to be let go of in the store.
    gone: BTreeSet<String>,
    /// References that cannot be read, and until when they are not tried again.
    unread: HashMap<Digest, i64>,
    prover: Prover,
    /// By values of the reference and half steps of ln threshold.
    provable: HashMap<(u32, u32), Option<Provable>>,
    /// Ticks since an endpoint's alert was last looked at, and how often it was.
    looked: BTreeMap<EndpointName, (u32, u32)>,
    trouble: String,
}

impl Owner {
    pub(super) async fn start(
        engine: Engine,
        store: SharedStore,
        (blobs, clock): (Blobs, Clock),
        settings: Settings,
    ) -> Result<Self, StoreError> {
        let (mut asleep, mut gone) = (BTreeMap::new(), BTreeSet::new());
        for (name, bytes) in store.guards().await? {
            let Some((place, row)) = place(&name) else {
                tracing::warn!(name, "another release kept this; its evidence begins anew");
                gone.insert(name);
                continue;
            };
            let rows: &mut BTreeMap<_, _> = asleep.entry(place).or_default();
            rows.insert(row, bytes);
        }
        let waking = asleep.keys().cloned().collect();
        Ok(Self {
            engine,
            store,
            blobs,
            clock,
            settings,
            guards: BTreeMap::new(),
            asleep,
            waking,
            gone,
            unread: HashMap::new(),
            prover: Prover::default(),
            provable: HashMap::new(),
            looked: BTreeMap::new(),
            trouble: String::new(),
        })
    }

    /// Takes up what was kept of one more version, so that it is seen before it is counted again:
    /// ticks are taken anew for it, which takes some hundredths of a second.
    async fn wake(&mut self) {
        let next = self.waking.pop();
        if let Some(place) = next {
            self.ready(&place).await;
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Ask>) {
        let mut tick = tokio::time::interval(self.settings.tick.max(Duration::from_millis(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut asks = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                _ = tick.tick() => {
                    if self.tick().await.is_err() {
                        // Whatever came in by now is still to be kept.
                        tracing::debug!("the engine stopped before inputs were looked at");
                    }
                }
                count = inbox.recv_many(&mut asks, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    for ask in asks.drain(..) {
                        self.take(ask).await;
                    }
                }
                () = tokio::task::yield_now(), if !self.waking.is_empty() => self.wake().await,
            }
        }
    }

    async fn take(&mut self, ask: Ask) {
        // Whoever has stopped waiting for an answer does not miss it.
        match ask {
            Ask::Counted(counted) => self.count(counted).await,
            Ask::Persist(reply) => {
                let _gone = reply.send(self.persist().await);
            }
            Ask::List(of, reply) => {
                let _gone = reply.send(self.list(&of));
            }
            Ask::Show(of, reply) => {
                let _gone = reply.send(self.show(&of));
            }
            Ask::Explain(of, reply) => {
                let _gone = reply.send(self.explain(&of));
            }
            Ask::Sides((endpoint, versions), reply) => {
                let side = |version: &Reference| {
                    let place = (endpoint.clone(), version.clone());
                    self.guards.get(&place).map(Guard::side)
                };
                let _gone = reply.send(versions.each_ref().map(side));
            }
        }
    }

    fn budget(&self) -> Budget {
        let models = self.guards.len() + self.asleep.len();
        let models = u32::try_from(models).unwrap_or(u32::MAX);
        Budget {
            pages_a_day: self.settings.pages_a_day,
            ..Budget::of(models)
        }
    }

    async fn count(&mut self, counted: Counted) {
        let now_us = self.clock.now_us();
        for window in &counted.windows {
            let Ok(name) = Name::parse(&window.endpoint) else {
                continue;
            };
            let endpoint = EndpointName {
                environment: counted.environment.clone(),
                name,
            };
            let place = (endpoint, window.version.clone());
            if !self.ready(&place).await {
                continue;
            }
            if let Some(guard) = self.guards.get_mut(&place)
                && guard.references() == window.references
            {
                let report = (counted.boot.0, counted.sequence);
                guard.receive(&counted.host, report, window, now_us);
            }
        }
    }

    /// Whether a version has its guard, if need be a new one. None of an endpoint that is not
    /// known, or of a version without a reference.
    async fn ready(&mut self, place: &Place) -> bool {
        if self.guards.contains_key(place) {
            return true;
        }
        let published = self.engine.published();
        let (endpoint, version) = place;
        if published.state.endpoints.get(endpoint).is_none() {
            return false;
        }
        let inputs = duty::inputs(&published.state, version).ok();
        let outputs = duty::outputs(&published.state, version);
        let references = References {
            inputs: inputs.as_ref().map(|inputs| inputs.profile),
            outputs: outputs.as_ref().map(|outputs| outputs.profile),
        };
        if references == References::default() {
            return false;
        }
        let now_us = self.clock.now_us();
        let Some(baseline) = self.baseline(inputs, outputs, now_us).await else {
            return false;
        };
        let rows = self.asleep.remove(place).unwrap_or_default();
        let kept = (!rows.is_empty()).then(|| {
            let resumed = Guard::resume(baseline.clone(), rows.values().map(Vec::as_slice));
            resumed.inspect_err(|error| {
                let error = chain(error);
                tracing::warn!(%endpoint, %version, error, "evidence begins anew");
            })
        });
        let kept = kept.and_then(Result::ok);
        let kept = kept.filter(|kept| kept.references() == references);
        if kept.is_none() {
            let rows = rows.keys().map(|row| key(endpoint, version, *row));
            self.gone.extend(rows);
        }
        let tick_us = i64::try_from(self.settings.tick.as_micros()).unwrap_or(i64::MAX);
        let nth = self.begun_with(now_us);
        let guard =
            kept.unwrap_or_else(|| Guard::new(baseline, references, (now_us, tick_us), nth));
        self.guards.insert(place.clone(), guard);
        true
    }

    /// How many began on this day, and one more.
    fn begun_with(&self, now_us: i64) -> u32 {
        let day = |us: i64| us.div_euclid(DAY_US);
        let all = self.guards.values().map(|guard| guard.span_us().0);
        let today = all.filter(|began_us| day(*began_us) == day(now_us));
        u32::try_from(today.count()).map_or(u32::MAX, |count| count.saturating_add(1))
    }

    /// Reads what a version is held against: the features of its vector, and its answers.
    async fn baseline(
        &mut self,
        inputs: Option<Inputs>,
        outputs: Option<Outputs>,
        now_us: i64,
    ) -> Option<Arc<Baseline>> {
        let mut profiles = Vec::new();
        if let Some(inputs) = inputs {
            let profile = self
                .reference(&inputs.data_set, inputs.profile, now_us)
                .await?;
            let names: Vec<&str> = inputs.features.iter().map(|name| &**name).collect();
            profiles.push(profile.of_vector(&names));
        }
        if let Some(Outputs { data_set, profile }) = outputs {
            let profile = self.reference(&data_set, profile, now_us).await?;
            profiles.push(profile.of_outputs());
        }
        Some(Arc::new(Baseline::new(profiles)))
    }

    /// Reads a reference. One that cannot be read is not tried again at once.
    async fn reference(
        &mut self,
        data_set: &Reference,
        profile: Digest,
        now_us: i64,
    ) -> Option<Profile> {
        let until = self.unread.get(&profile);
        if until.is_some_and(|until| now_us < *until) {
            return None;
        }
        match self.read(profile).await {
            Ok(read) => {
                self.unread.remove(&profile);
                Some(read)
            }
            Err(why) => {
                tracing::warn!(%data_set, why, "a reference cannot be read");
                self.unread.insert(profile, now_us + REST_US);
                None
            }
        }
    }

    async fn read(&self, digest: Digest) -> Result<Profile, String> {
        let read = async {
            let (bytes, mut reading) = self.blobs.read(digest, 0).await?;
            let mut whole = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
            while let Some(part) = reading.next().await? {
                whole.extend_from_slice(&part);
            }
            Ok(whole)
        };
        let whole: Result<Vec<u8>, crate::artifact::BlobError> = read.await;
        let whole = whole.map_err(|error| chain(&error))?;
        Profile::decode(&whole).map_err(|error| error.to_string())
    }

    /// Closes a tick.
    async fn tick(&mut self) -> Result<(), Rejected> {
        let published = self.engine.published();
        let state = &published.state;
        self.forget(state);
        let (now_us, budget) = (self.clock.now_us(), self.budget());
        for ((endpoint, version), guard) in &mut self.guards {
            // Everything else goes on between one and the next.
            tokio::task::yield_now().await;
            if let Some(entry) = state.alerts.rebaselined.get(endpoint) {
                guard.rebaseline(*entry);
            }
            match guard.tick(now_us, &budget) {
                Turn::Page => tracing::warn!(%endpoint, %version, "inputs moved"),
                Turn::Over => tracing::info!(%endpoint, %version, "inputs are as they were"),
                Turn::Nothing | Turn::GoesOn => {}
            }
        }
        let conclusions = self.conclude(state, &budget);
        if conclusions.is_empty() {
            return Ok(());
        }
        let conclusions = Arc::new(conclusions);
        match self.engine.put(Input::Concluded { conclusions }).await {
            Ok(_) => self.trouble.clear(),
            Err(Rejected::Stopping) => return Err(Rejected::Stopping),
            Err(error) => {
                let error = chain(&error);
                if error != self.trouble {
                    tracing::warn!(error, "what moved cannot be told");
                    self.trouble = error;
                }
            }
        }
        Ok(())
    }

    /// Lets go of endpoints that are no more.
    fn forget(&mut self, state: &State) {
        let gone = &mut self.gone;
        self.guards.retain(|(endpoint, version), guard| {
            let is_known = state.endpoints.get(endpoint).is_some();
            if !is_known {
                gone.extend((0..=guard.rows()).map(|row| key(endpoint, version, row)));
            }
            is_known
        });
    }

    /// What is to be put before the engine: an alert for what is open and is none yet, its end for
    /// what is over, and whose fault it is where nobody was blamed.
    fn conclude(&mut self, state: &State, budget: &Budget) -> Vec<Conclusion> {
        let mut conclusions = Vec::new();
        // What is open may be among those that are not awake yet.
        if !self.waking.is_empty() {
            return conclusions;
        }
        let names: BTreeSet<&EndpointName> = self.guards.keys().map(|(name, _)| name).collect();
        let names: Vec<EndpointName> = names.into_iter().cloned().collect();
        for name in names {
            let Some(endpoint) = state.endpoints.get(&name) else {
                continue;
            };
            let is_open = self.of(&name).any(|(_, guard)| guard.episode().is_open());
            let alert = state.alerts.about(&name, &Subject::Drift);
            let stands = match (is_open, alert) {
                (false, None) => None,
                (false, Some(_)) => Some(Stands::Holds {
                    why: over(state, &name).into(),
                }),
                (true, alert) if self.is_wanted(&name, alert) => {
                    let guards: Vec<(&Reference, &Guard)> = self.of(&name).collect();
                    accused(state, endpoint, &guards, budget)
                }
                (true, _) => None,
            };
            conclusions.extend(stands.map(|stands| Conclusion {
                endpoint: name,
                subject: Subject::Drift,
                stands,
            }));
        }
        conclusions
    }

    /// The guards of an endpoint.
    fn of<'a>(
        &'a self,
        name: &'a EndpointName,
    ) -> impl Iterator<Item = (&'a Reference, &'a Guard)> {
        let all = self.guards.iter();
        let own = all.filter(move |((endpoint, _), _)| endpoint == name);
        own.map(|((_, version), guard)| (version, guard))
    }

    /// Whether an alert is to be opened, or looked at again.
    fn is_wanted(&mut self, name: &EndpointName, alert: Option<&Arc<Alert>>) -> bool {
        let Some(alert) = alert else {
            self.looked.insert(name.clone(), (0, 0));
            return true;
        };
        if alert.blame.whom != Whom::Unknown {
            return false;
        }
        let (since, looks) = self.looked.entry(name.clone()).or_default();
        *since += 1;
        if *since < AGAIN || *looks >= LOOKS {
            return false;
        }
        (*since, *looks) = (0, *looks + 1);
        true
    }

    /// Has everything on the disk that changed.
    async fn persist(&mut self) -> Result<(), StoreError> {
        let gone = std::mem::take(&mut self.gone);
        // First: one that begins anew writes over what it was.
        let mut changed: Vec<_> = gone.iter().map(|name| (name.clone(), None)).collect();
        let mut saved: Vec<(Place, u32)> = Vec::new();
        for (at, (place, guard)) in self.guards.iter_mut().enumerate() {
            let rows = guard.save((at as f64 * STAGGER).fract());
            let Some(last) = rows.iter().map(|row| row.number).max() else {
                continue;
            };
            saved.push((place.clone(), last));
            let (endpoint, version) = place;
            let named = |row: Row| (key(endpoint, version, row.number), row.bytes);
            changed.extend(rows.into_iter().map(named));
            tokio::task::yield_now().await;
        }
        if changed.is_empty() {
            return Ok(());
        }
        let kept = self.store.save_guards(changed).await;
        if kept.is_err() {
            self.gone.extend(gone);
            for (place, last) in saved {
                if let Some(guard) = self.guards.get_mut(&place) {
                    guard.unsave(last);
                }
            }
        }
        kept
    }

    /// Every version that answers or may come to, watched or not.
    fn list(&mut self, of: &Of) -> Vec<DriftItem> {
        let published = self.engine.published();
        let (state, budget) = (&published.state, self.budget());
        let mut items = Vec::new();
        for (name, endpoint) in &state.endpoints.all {
            if of.endpoint.as_ref().is_some_and(|wanted| wanted != name) {
                continue;
            }
            for version in versions(endpoint, self.of(name).map(|(version, _)| version)) {
                if of.version.as_ref().is_some_and(|wanted| *wanted != version) {
                    continue;
                }
                let inputs = duty::inputs(state, &version);
                let outputs = duty::outputs(state, &version);
                let place = (name.clone(), version);
                let known = self.guards.get(&place);
                let known = known.map(|guard| (guard.sampled(), guard.stream_count()));
                let Some((sampled, streams)) = known else {
                    let why = inputs.err().filter(|_| outputs.is_none());
                    let why = why.unwrap_or("no request was looked at yet");
                    items.push(DriftItem::unwatched(place.0, place.1, why));
                    continue;
                };
                let provable = self.provable(sampled, budget.alone(streams));
                if let Some(guard) = self.guards.get(&place) {
                    let inputs = inputs.ok().map(|inputs| inputs.data_set);
                    let outputs = outputs.map(|outputs| outputs.data_set);
                    let against = (inputs, outputs);
                    items.push(DriftItem::watched(place, against, guard, &budget, provable));
                }
            }
        }
        items
    }

    /// What a reference of so many values proves.
    fn provable(&mut self, sampled: u32, threshold: f64) -> Option<Provable> {
        let step = (threshold.ln() * 2.0).ceil().max(0.0) as u32;
        let prover = &self.prover;
        let known = self.provable.entry((sampled, step));
        *known.or_insert_with(|| prover.provable(sampled, (f64::from(step) / 2.0).exp()))
    }

    fn wanted<'a>(&'a self, of: &'a Of) -> impl Iterator<Item = (&'a Place, &'a Guard)> {
        let all = self.guards.iter();
        all.filter(move |((endpoint, version), _)| {
            of.endpoint.as_ref().is_none_or(|wanted| wanted == endpoint)
                && of.version.as_ref().is_none_or(|wanted| wanted == version)
        })
    }

    fn show(&self, of: &Of) -> Vec<WatchedItem> {
        let budget = self.budget();
        let look = WatchedLook {
            now_us: self.clock.now_us(),
            span_us: of.span_us,
            tells_course: of.endpoint.is_some(),
        };
        let all = self.wanted(of);
        all.flat_map(|((endpoint, version), guard)| {
            WatchedItem::all(endpoint, version, guard, &budget, &look)
        })
        .collect()
    }

    fn explain(&self, of: &Of) -> Vec<MovedItem> {
        let published = self.engine.published();
        let (state, budget, now_us) = (&published.state, self.budget(), self.clock.now_us());
        let all = self.wanted(of);
        all.flat_map(|((endpoint, version), guard)| {
            let alert = state.alerts.about(endpoint, &Subject::Drift);
            let blame = alert.map(|alert| AlertItem::of(state, alert, now_us).blame);
            MovedItem::all(endpoint, version, guard.explain(&budget), blame.as_ref())
        })
        .collect()
    }
}

/// What the engine is told of inputs that moved.
fn accused(
    state: &State,
    endpoint: &Endpoint,
    guards: &[(&Reference, &Guard)],
    budget: &Budget,
) -> Option<Stands> {
    let found = accuse(endpoint, guards, budget)?;
    // What was trained on the same data is fed by the same source.
    let sets = guards
        .iter()
        .filter_map(|(version, _)| duty::inputs(state, version).ok());
    let sets: BTreeSet<Name> = sets.map(|inputs| inputs.data_set.name).collect();
    let data = sets.iter().map(|name| format!("data {name}").into());
    Some(Stands::Breached {
        since_us: found.since_us,
        what: found.what,
        blame: found.blame,
        causes: found.causes.into_iter().chain(data).collect(),
    })
}

/// Why an alert is over.
fn over(state: &State, name: &EndpointName) -> String {
    let alert = state.alerts.about(name, &Subject::Drift);
    let opened = alert.map_or(0, |alert| alert.number);
    match state.alerts.rebaselined.get(name) {
        Some(entry) if *entry > opened => "what inputs are like now is accepted as normal".into(),
        Some(_) | None => "inputs are like the training data again".into(),
    }
}

/// Versions on the route of an endpoint, on their way to it, or watched there.
fn versions<'a>(
    endpoint: &'a Endpoint,
    watched: impl Iterator<Item = &'a Reference>,
) -> BTreeSet<Reference> {
    let coming = endpoint.rollout.as_ref();
    let coming = coming.map(|rollout| &rollout.plan.intent.after);
    let routes = endpoint.route().into_iter().chain(coming);
    let on_it = routes.flat_map(|route| route.versions());
    on_it.chain(watched).cloned().collect()
}

//! What becomes of copies of requests: shadows answer them as well, and their answers are held
//! against those that applications got; it is looked whether answers say anything; recent inputs
//! are kept in memory, to be replayed through a version on demand.
//!
//! Promises: nothing here is on a request's way; work at once, copies that wait and inputs that
//! are kept are bounded; inputs leave this host only as counts of how answers differ.

mod ask;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, mpsc};

use self::ask::Asker;
use crate::assignment::Version;
use crate::compare::{DECADES, Difference};
use crate::nulls::Nulls;
use crate::proxy::Upstream;
use crate::proxy::mirror::Copied;
use crate::proxy::routes::{Leg, Placed, Routes};

/// Shadow requests at once: they take the server's time from those who wait for it.
const AT_ONCE: usize = 4;
/// Inputs replayed at once, for the same reason.
const REPLAYED_AT_ONCE: usize = 2;
/// Bytes of inputs kept, of all endpoints: what a sidecar can spare.
const INPUTS_BYTES_MOST: usize = 16 << 20;
/// Replays that may wait.
const REPLAYS_MOST: usize = 8;

/// What a pair of versions answered side by side; everything in it adds up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Pairs of answers that were compared.
    pub compared: u64,
    /// Those of one class.
    pub same_class: u64,
    /// Shadow requests that failed.
    pub failed: u64,
    /// Copies that were dropped for want of room.
    pub dropped: u64,
    /// Of the largest difference of each pair, by decade.
    pub decades: [u64; DECADES],
}

/// Whose answers are held against whose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The endpoint.
    pub endpoint: Arc<str>,
    /// The version that answered the application.
    pub control: Version,
    /// The version that answered the copy.
    pub shadow: Version,
}

/// A replay that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prove {
    /// Told back.
    pub id: Vec<u8>,
    /// Whose inputs.
    pub endpoint: Arc<str>,
    /// Through which version.
    pub version: Version,
    /// Of how many inputs at most.
    pub most: usize,
}

/// What came of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// Which.
    pub id: Vec<u8>,
    /// How the answers differ, or why there is nothing to compare.
    pub outcome: Result<(Pair, Compared), String>,
}

/// A request that is kept, and what it was answered.
type Input = Arc<Copied>;

/// Inputs that are kept, by endpoint.
#[derive(Debug, Default)]
struct Inputs {
    of: BTreeMap<Arc<str>, VecDeque<Input>>,
    bytes: usize,
}

/// Answers that were looked at, by endpoint and version.
type Looked = BTreeMap<(Arc<str>, Version), Nulls>;

/// The way to shadows and inputs. Clones share it.
#[derive(Clone, Debug)]
pub struct Shadows {
    counts: Arc<Mutex<BTreeMap<Pair, Compared>>>,
    answers: Arc<Mutex<Looked>>,
    inputs: Arc<Mutex<Inputs>>,
    limits: Arc<Mutex<BTreeMap<Arc<str>, usize>>>,
    asker: Arc<Asker>,
    routes: Routes,
    replays: Arc<Semaphore>,
}

impl Shadows {
    /// Shadows of the versions at these addresses.
    pub fn new(upstream: &Upstream, grpc_upstream: &Upstream, routes: Routes) -> Self {
        Self {
            counts: Arc::default(),
            answers: Arc::default(),
            inputs: Arc::default(),
            limits: Arc::default(),
            asker: Arc::new(Asker::new(upstream, grpc_upstream)),
            routes,
            replays: Arc::new(Semaphore::new(REPLAYS_MOST)),
        }
    }

    /// How many inputs each endpoint keeps; what is over that is forgotten.
    pub fn keep(&self, limits: BTreeMap<Arc<str>, usize>) {
        let mut inputs = lock(&self.inputs);
        let limit = |endpoint: &Arc<str>| limits.get(endpoint).copied().unwrap_or(0);
        let inputs = &mut *inputs;
        for (endpoint, kept) in &mut inputs.of {
            while kept.len() > limit(endpoint) {
                let gone = kept.pop_front();
                inputs.bytes -= gone.map_or(0, |input| size(&input));
            }
        }
        inputs.of.retain(|_, kept| !kept.is_empty());
        *lock(&self.limits) = limits;
    }

    /// What was compared since this was last asked.
    pub fn take(&self) -> Vec<(Pair, Compared)> {
        let mut counts = std::mem::take(&mut *lock(&self.counts));
        for route in self.routes.all() {
            let Some(control) = route.heaviest() else {
                continue;
            };
            for shadow in route.shadows() {
                let dropped = shadow.take_dropped();
                if dropped > 0 {
                    counts.entry(pair(control, shadow)).or_default().dropped += dropped;
                }
            }
        }
        counts.into_iter().collect()
    }

    /// Answers that were looked at since this was last asked, by endpoint and version.
    pub fn take_answers(&self) -> Vec<((Arc<str>, Version), Nulls)> {
        std::mem::take(&mut *lock(&self.answers))
            .into_iter()
            .collect()
    }

    /// Takes copies as they come, until no proxy makes any.
    pub async fn run(self, mut copies: mpsc::Receiver<Input>) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        while let Some(copied) = copies.recv().await {
            if copied.look
                && let Some(is_null) = ask::is_null(&copied)
            {
                let key = (copied.control.endpoint.clone(), version(&copied.control));
                lock(&self.answers).entry(key).or_default().add(is_null);
            }
            if copied.keep {
                self.remember(&copied);
            }
            for shadow in &copied.shadows {
                // While all places are taken copies wait in their queue, and are dropped there.
                let Ok(place) = places.clone().acquire_owned().await else {
                    return;
                };
                let (this, copied, shadow) = (self.clone(), copied.clone(), shadow.clone());
                tokio::spawn(async move {
                    let answer = this.asker.compare(&copied, &Place::of(&shadow)).await;
                    let pair = pair(&copied.control, &shadow);
                    lock(&this.counts).entry(pair).or_default().add(&answer);
                    drop(place);
                });
            }
        }
    }

    fn remember(&self, copied: &Input) {
        let endpoint = &copied.control.endpoint;
        let limit = lock(&self.limits).get(endpoint).copied().unwrap_or(0);
        let mut inputs = lock(&self.inputs);
        let inputs = &mut *inputs;
        let kept = inputs.of.entry(endpoint.clone()).or_default();
        kept.push_back(copied.clone());
        inputs.bytes += size(copied);
        while kept.len() > limit || (inputs.bytes > INPUTS_BYTES_MOST && !kept.is_empty()) {
            let gone = kept.pop_front();
            inputs.bytes -= gone.map_or(0, |input| size(&input));
        }
    }

    /// Replays recent inputs of an endpoint through a version, and holds its answers against
    /// those that were given.
    pub async fn prove(&self, asked: Prove, placed: Option<Placed>) -> Proved {
        let outcome = self.replay(&asked, placed).await;
        Proved {
            id: asked.id,
            outcome,
        }
    }

    async fn replay(
        &self,
        asked: &Prove,
        placed: Option<Placed>,
    ) -> Result<(Pair, Compared), String> {
        let Ok(_place) = self.replays.try_acquire() else {
            return Err(format!("{REPLAYS_MOST} replays are under way: ask again"));
        };
        let placed = placed.ok_or_else(|| format!("{} is not loaded here", asked.version))?;
        let control = self.routes.of(&asked.endpoint);
        let control = control.and_then(|route| route.heaviest().cloned());
        let control =
            control.ok_or_else(|| format!("{} has no route on this host", asked.endpoint))?;
        let inputs = self.recent(&control, asked.most);
        if inputs.is_empty() {
            let (endpoint, version) = (&asked.endpoint, control.name());
            return Err(format!(
                "no recent inputs of {endpoint} are kept that {version} answered"
            ));
        }
        let place = Place::at(&placed);
        let mut compared = Compared::default();
        for some in inputs.chunks(REPLAYED_AT_ONCE) {
            let answers = some.iter().map(|input| self.asker.compare(input, &place));
            for answer in futures::future::join_all(answers).await {
                compared.add(&answer);
            }
        }
        let pair = Pair {
            endpoint: asked.endpoint.clone(),
            control: version(&control),
            shadow: asked.version.clone(),
        };
        Ok((pair, compared))
    }

    /// The last inputs that a version answered, the newest first.
    fn recent(&self, control: &Leg, most: usize) -> Vec<Input> {
        let inputs = lock(&self.inputs);
        let kept = inputs.of.get(&control.endpoint).into_iter().flatten().rev();
        let same = |input: &&Input| {
            (&input.control.model, &input.control.version) == (&control.model, &control.version)
        };
        kept.filter(same).take(most).cloned().collect()
    }
}

impl Compared {
    fn add(&mut self, answer: &Result<Difference, String>) {
        match answer {
            Ok(difference) => {
                self.compared += 1;
                self.same_class += u64::from(difference.same_class);
                if let Some(decade) = self.decades.get_mut(difference.decade()) {
                    *decade += 1;
                }
            }
            Err(reason) => {
                tracing::debug!(reason, "a shadow did not answer");
                self.failed += 1;
            }
        }
    }
}

/// Where a version is asked.
#[derive(Clone, Debug)]
struct Place {
    path: String,
    model: Arc<str>,
    version: Arc<str>,
}

impl Place {
    fn of(leg: &Leg) -> Self {
        let (model, version) = leg.upstream();
        Self {
            path: format!("{}/infer", leg.path()),
            model: model.clone(),
            version: version.clone(),
        }
    }

    fn at(placed: &Placed) -> Self {
        let (model, version) = (&placed.upstream_model, &placed.upstream_version);
        Self {
            path: crate::server::infer_path(model, version),
            model: model.clone(),
            version: version.clone(),
        }
    }
}

fn pair(control: &Leg, shadow: &Leg) -> Pair {
    Pair {
        endpoint: control.endpoint.clone(),
        control: version(control),
        shadow: version(shadow),
    }
}

fn version(leg: &Leg) -> Version {
    Version {
        model: leg.model.clone(),
        version: leg.version.clone(),
    }
}

fn size(copied: &Copied) -> usize {
    copied.request.len() + copied.answer.len()
}

/// Held for as long as a map is changed, never across a wait.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

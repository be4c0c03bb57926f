//! What the versions are asked and what they answer here, counted against their references: off
//! the request path, within a budget of processor time, and with nothing left out that is not
//! counted.
//!
//! Promises: a request is looked at, or counted as skipped (by sampling) or dropped (for want of
//! room), each exactly once; no request waits for it; nothing but counts leaves the host. The
//! worker copies requests into a bounded queue ([`Meter`] says which), one thread reads them, and
//! the agent's loop takes what was counted with a window. Where references come from is left to
//! [mod@reference].

pub mod reference;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use binnacle_sketch::profile::{Live, Profile};
use tokio::sync::{mpsc, oneshot};

use crate::artifact::Digest;
use crate::clock;
use crate::copied::{self, Unread};
use crate::feature::{Fit, Vector};
use crate::proxy::mirror::Copied;

/// Copies that may wait for the thread: a burst of some tenths of a second. Their bytes are
/// bounded by the mirror.
pub const QUEUE: usize = 1_024;
/// Features of one version at most, as a profile has.
pub const FEATURES_MOST: usize = 4_096;
/// The whole of a share, as a number.
const WHOLE: u32 = 1 << 16;
/// The least share: of a flood that would take a hundred cores to look at, something is seen.
const LEAST: u32 = WHOLE >> 10;
/// Between two looks at what the counting costs.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// By how much the share rises where there is room: it falls at once, and comes back slowly.
const RISE: f64 = 1.25;

/// Whose inputs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The endpoint that was called.
    pub endpoint: Arc<str>,
    /// The model that answered.
    pub model: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
}

/// What the request path knows of one version's inputs.
#[derive(Debug)]
pub struct Meter {
    subject: Subject,
    /// Of [`WHOLE`]: how many requests are looked at.
    share: Arc<AtomicU32>,
    /// The answer is looked at as well.
    answers: bool,
    skipped: AtomicU64,
    dropped: AtomicU64,
}

/// The meters of all versions that are watched.
pub type Meters = HashMap<Subject, Arc<Meter>>;

/// What a version's values are counted against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Against {
    /// The profile of its inputs.
    pub inputs: Option<Digest>,
    /// That of its answers.
    pub outputs: Option<Digest>,
}

/// What was counted of one version in a span of time. Everything in it adds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputWindow {
    /// Whose.
    pub subject: Subject,
    /// What it was counted against.
    pub against: Against,
    /// How long it was counted.
    pub span_ms: u32,
    /// Requests that were looked at.
    pub requests: u64,
    /// Of these, those that do not fit the features.
    pub unfit: u64,
    /// Requests that sampling left out.
    pub skipped: u64,
    /// Requests that there was no room for, or that could not be followed to their end.
    pub dropped: u64,
    /// Each watched feature: of the inputs, and then of the answers.
    pub features: Vec<(Arc<str>, Live)>,
}

/// Features in order.
pub type Names = Arc<[Arc<str>]>;

/// A version that is to be watched.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which.
    pub subject: Subject,
    /// Its references.
    pub against: Against,
    /// That of its inputs, read, and its vector.
    pub inputs: Option<(Arc<Profile>, Names)>,
    /// That of its answers.
    pub outputs: Option<Arc<Profile>>,
}

/// What waits for the thread.
#[derive(Debug)]
pub enum Item {
    /// A request to be looked at.
    Copied(Arc<Copied>),
    /// Everything before this was looked at.
    Settled(oneshot::Sender<()>),
}

/// What is counted. Clones share it.
#[derive(Clone, Debug)]
pub struct Inputs {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Item>,
}

#[derive(Debug)]
struct Shared {
    counted: Mutex<BTreeMap<Subject, Counted>>,
    /// What was counted of versions that are watched no more, or against another reference.
    residue: Mutex<Vec<InputWindow>>,
    share: Arc<AtomicU32>,
    seed: u64,
}

#[derive(Debug)]
struct Counted {
    meter: Arc<Meter>,
    against: Against,
    features: Option<Names>,
    inputs: Option<Vector>,
    outputs: Option<Vector>,
    requests: u64,
    unfit: u64,
}

impl Meter {
    /// Whether this request is to be copied; one that is not is counted as skipped.
    pub(crate) fn takes(&self, draw: u64) -> bool {
        let share = self.share.load(Ordering::Relaxed);
        let taken = share >= WHOLE || (draw % u64::from(WHOLE)) < u64::from(share);
        if !taken {
            self.skipped.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Whether it is to be copied with its answer.
    pub(crate) fn takes_answers(&self) -> bool {
        self.answers
    }

    /// A copy of a request came to nothing.
    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl InputWindow {
    /// Adds a later window of the same version.
    fn add(&mut self, later: &Self) {
        self.span_ms = self.span_ms.saturating_add(later.span_ms);
        self.requests = self.requests.saturating_add(later.requests);
        self.unfit = self.unfit.saturating_add(later.unfit);
        self.skipped = self.skipped.saturating_add(later.skipped);
        self.dropped = self.dropped.saturating_add(later.dropped);
        for (name, live) in &later.features {
            match self.features.iter_mut().find(|(own, _)| own == name) {
                Some((_, own)) => own.merge(live),
                None => self.features.push((name.clone(), live.clone())),
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.requests + self.skipped + self.dropped == 0
    }
}

/// Adds later windows to earlier ones: those of one version and reference become one.
pub fn merge(earlier: &mut Vec<InputWindow>, later: Vec<InputWindow>) {
    for window in later {
        let same =
            |own: &&mut InputWindow| own.subject == window.subject && own.against == window.against;
        match earlier.iter_mut().find(same) {
            Some(own) => own.add(&window),
            None => earlier.push(window),
        }
    }
}

impl Inputs {
    /// Counts nothing yet. The thread that is to count reads from what is returned beside it.
    pub fn new(seed: u64) -> (Self, mpsc::Receiver<Item>) {
        let (queue, items) = mpsc::channel(QUEUE);
        let shared = Shared {
            counted: Mutex::default(),
            residue: Mutex::default(),
            share: Arc::new(AtomicU32::new(WHOLE)),
            seed,
        };
        let shared = Arc::new(shared);
        (Self { shared, queue }, items)
    }

    /// Where copies go.
    pub fn queue(&self) -> mpsc::Sender<Item> {
        self.queue.clone()
    }

    /// Watches these versions and no others; the meters that the request path is to have.
    pub fn watch(&self, wanted: Vec<Wanted>) -> Meters {
        let mut counted = lock(&self.shared.counted);
        let mut before = std::mem::take(&mut *counted);
        for one in wanted {
            let features = one.inputs.as_ref().map(|(_, features)| features);
            let same = |known: &Counted| {
                known.against == one.against && known.features.as_ref() == features
            };
            let kept = match before.remove(&one.subject) {
                Some(known) if same(&known) => known,
                Some(mut other) => {
                    self.leave(&mut other);
                    self.begin(&one)
                }
                None => self.begin(&one),
            };
            counted.insert(one.subject, kept);
        }
        before.values_mut().for_each(|gone| self.leave(gone));
        let all = counted.iter();
        all.map(|(subject, one)| (subject.clone(), one.meter.clone()))
            .collect()
    }

    fn begin(&self, one: &Wanted) -> Counted {
        let meter = Meter {
            subject: one.subject.clone(),
            share: self.shared.share.clone(),
            answers: one.outputs.is_some(),
            skipped: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        };
        let seed = self.shared.seed;
        let (inputs, outputs) = (one.inputs.as_ref(), one.outputs.as_ref());
        Counted {
            meter: Arc::new(meter),
            against: one.against,
            inputs: inputs.map(|(profile, features)| Vector::new(features, profile, seed)),
            outputs: outputs.map(|profile| Vector::of_outputs(profile, seed)),
            features: inputs.map(|(_, features)| features.clone()),
            requests: 0,
            unfit: 0,
        }
    }

    fn leave(&self, gone: &mut Counted) {
        let window = gone.take(0);
        if !window.is_empty() {
            lock(&self.shared.residue).push(window);
        }
    }

    /// What was counted since it was last taken, over a span of so many milliseconds.
    pub fn take(&self, span_ms: u32) -> Vec<InputWindow> {
        let mut taken = std::mem::take(&mut *lock(&self.shared.residue));
        let mut counted = lock(&self.shared.counted);
        let windows = counted.values_mut().map(|one| one.take(span_ms)).collect();
        merge(&mut taken, windows);
        taken.retain(|window| !window.is_empty());
        taken
    }

    /// Comes back when everything that was copied until now is counted.
    pub async fn settled(&self) {
        let (reply, settled) = oneshot::channel();
        if self.queue.send(Item::Settled(reply)).await.is_ok() {
            // A thread that ended has nothing left to count.
            let _ = settled.await;
        }
    }

    /// Versions at endpoints that are watched.
    pub fn watched(&self) -> usize {
        lock(&self.shared.counted).len()
    }

    /// The share of requests that is looked at, from 0 to 1.
    pub fn share(&self) -> f64 {
        f64::from(self.shared.share.load(Ordering::Relaxed)) / f64::from(WHOLE)
    }
}

impl Shared {
    /// Looks at one request.
    fn look(&self, copied: &Copied) {
        let Some(meter) = &copied.meter else {
            return;
        };
        let request = copied::request(copied);
        let answer = (meter.answers && copied.is_answered).then(|| copied::answer(copied));
        let mut counted = lock(&self.counted);
        let Some(one) = counted.get_mut(&meter.subject) else {
            return;
        };
        let asked = match (request, &mut one.inputs) {
            (Err(Unread::Compressed), _) => return meter.count_dropped(),
            (Err(Unread::Malformed(_)), _) => Fit::Unfit,
            (Ok(request), Some(inputs)) => inputs.count(&request.inputs),
            (Ok(_), None) => Fit::Fits,
        };
        let answered = match (answer, &mut one.outputs) {
            (Some(Ok(answer)), Some(outputs)) => outputs.count_answer(&answer.outputs),
            (Some(Err(Unread::Malformed(_))), Some(_)) => Fit::Unfit,
            (Some(Err(Unread::Compressed)) | None, _) | (Some(_), None) => Fit::Fits,
        };
        one.requests += 1;
        one.unfit += u64::from([asked, answered].contains(&Fit::Unfit));
    }
}

impl Counted {
    fn take(&mut self, span_ms: u32) -> InputWindow {
        InputWindow {
            subject: self.meter.subject.clone(),
            against: self.against,
            span_ms,
            requests: std::mem::take(&mut self.requests),
            unfit: std::mem::take(&mut self.unfit),
            skipped: self.meter.skipped.swap(0, Ordering::Relaxed),
            dropped: self.meter.dropped.swap(0, Ordering::Relaxed),
            features: [&mut self.inputs, &mut self.outputs]
                .into_iter()
                .flatten()
                .flat_map(Vector::take)
                .collect(),
        }
    }
}

/// Starts the thread that counts, with so many percent of one core to use. It ends when nobody is
/// left who could give it anything.
pub fn start(
    inputs: &Inputs,
    mut items: mpsc::Receiver<Item>,
    percent: u8,
) -> io::Result<JoinHandle<()>> {
    let budget = f64::from(percent) / 100.0;
    let shared = inputs.shared.clone();
    let thread = std::thread::Builder::new().name("inputs".into());
    thread.spawn(move || {
        let mut pace = Pace::new(budget);
        while let Some(item) = items.blocking_recv() {
            match item {
                Item::Copied(copied) => shared.look(&copied),
                Item::Settled(reply) => {
                    // Whoever stopped waiting does not miss it.
                    let _ = reply.send(());
                }
            }
            pace.keep(&shared.share);
        }
    })
}

/// Keeps the thread within its budget, by the share of requests that it is given.
struct Pace {
    budget: f64,
    since: Instant,
    used: Duration,
}

impl Pace {
    fn new(budget: f64) -> Self {
        Self {
            budget,
            since: clock::now(),
            used: clock::thread_cpu(),
        }
    }

    fn keep(&mut self, share: &AtomicU32) {
        let now = clock::now();
        let passed = now.saturating_duration_since(self.since);
        if passed < LOOK_EVERY {
            return;
        }
        let used = clock::thread_cpu();
        let part = used.saturating_sub(self.used).as_secs_f64() / passed.as_secs_f64();
        (self.since, self.used) = (now, used);
        let before = share.load(Ordering::Relaxed);
        share.store(next_share(before, part, self.budget), Ordering::Relaxed);
    }
}

/// The share to go on with, after one that took such a part of a core.
fn next_share(before: u32, part: f64, budget: f64) -> u32 {
    let factor = (budget / part.max(1e-9)).min(RISE);
    let next = f64::from(before) * factor;
    (next as u32).clamp(LEAST, WHOLE)
}

/// Held for as long as counts are added, never across a wait.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_falls_at_once_and_comes_back_slowly() {
        let mut share = WHOLE;
        assert_eq!(next_share(share, 0.01, 0.02), WHOLE, "no more than all");
        share = next_share(share, 0.2, 0.02);
        assert_eq!(share, WHOLE / 10);
        let rises =
            std::iter::successors(Some(share), |share| Some(next_share(*share, 0.001, 0.02)));
        let steps = rises.take_while(|share| *share < WHOLE).count();
        assert!((10..=12).contains(&steps), "{steps}");
        assert_eq!(
            next_share(LEAST, 90.0, 0.02),
            LEAST,
            "something is always seen"
        );
    }

    #[test]
    fn a_meter_takes_its_share_and_counts_the_others() {
        let share = Arc::new(AtomicU32::new(WHOLE / 4));
        let subject = Subject {
            endpoint: "e".into(),
            model: "m".into(),
            version: "1".into(),
        };
        let meter = Meter {
            subject,
            share: share.clone(),
            answers: false,
            skipped: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        };
        let taken = (0..u64::from(WHOLE))
            .filter(|draw| meter.takes(*draw))
            .count();
        assert_eq!(taken as u32, WHOLE / 4);
        assert_eq!(
            meter.skipped.load(Ordering::Relaxed),
            u64::from(WHOLE * 3 / 4)
        );
        share.store(WHOLE, Ordering::Relaxed);
        assert!(meter.takes(u64::MAX));
    }
}

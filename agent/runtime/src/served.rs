//! One ready version: its model, and who may run it when.
//!
//! A version exists only after a warm-up inference succeeded, so holding one means that it
//! answers. A model runs one request at a time (the library parallelises inside a request). A
//! model whose warm-up showed it cheap runs on the caller's thread when it is free; all else
//! waits its turn, boundedly, and runs on a thread that may block.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use open_inference::{CodecError, InferRequest, InferResponse, Tensor};
use tokio::sync::Semaphore;

use crate::clock::Stopwatch;
use crate::engine::{Engine, EngineError, Model};
use crate::metrics::{Meters, Outcome};
use crate::refusal::{Kind, Refusal};
use crate::signature::Signature;

/// Most requests waiting for one version: at a millisecond each the last one waits a second.
pub const WAITING_MAX: usize = 1_024;
/// A warm inference up to this long may run where the request was read: a hop to another thread
/// and back costs about as much (docs/decisions/0011).
const INLINE_MAX: Duration = Duration::from_micros(50);
/// How many times the values of the warm-up request an inline one may have, so that a large
/// batch of a cheap model does not hold up its thread.
const INLINE_VALUES: usize = 16;
/// Runs measured after the first one; the shortest counts, as the least disturbed.
const MEASURED_RUNS: usize = 5;

/// A version that is loaded, warm and ready.
#[derive(Debug)]
pub struct Served {
    name: String,
    version: u64,
    signature: Signature,
    model: Mutex<Model>,
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Requests of at most this many values run inline; 0 when none may.
    inline_values: usize,
    meters: Meters,
}

/// Counts one waiting request while it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl Served {
    /// Opens the model file at `path` and warms it up. Blocks for as long as that takes.
    ///
    /// # Errors
    /// When it cannot be opened, or the warm-up inference fails.
    pub fn open(
        engine: &Engine,
        path: &Path,
        name: &str,
        version: u64,
        meters: Meters,
    ) -> Result<Self, EngineError> {
        let mut model = engine.model(path)?;
        let signature = model.signature().clone();
        let zeros = signature.zeros()?;
        let values: usize = zeros.iter().map(|tensor| tensor.data().len()).sum();
        let _outputs = model.run(zeros.clone(), |_| true)?;
        let mut shortest = Duration::MAX;
        for _ in 0..MEASURED_RUNS {
            let inputs = zeros.clone();
            let watch = Stopwatch::start();
            let _outputs = model.run(inputs, |_| true)?;
            shortest = shortest.min(watch.elapsed());
            if shortest > INLINE_MAX * 100 {
                break;
            }
        }
        let inline_values = if shortest <= INLINE_MAX {
            values * INLINE_VALUES
        } else {
            0
        };
        let turn = Arc::new(Semaphore::new(1));
        Ok(Self {
            name: name.to_owned(),
            version,
            signature,
            model: Mutex::new(model),
            turn,
            waiting: AtomicUsize::new(0),
            inline_values,
            meters,
        })
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version's number.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What it takes and gives.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Its metrics.
    #[must_use]
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// A request as it was decoded, or its refusal, counted as one of this version.
    ///
    /// # Errors
    /// As `decoded` says.
    pub fn admit(
        &self,
        decoded: Result<InferRequest, CodecError>,
    ) -> Result<InferRequest, Refusal> {
        decoded.map_err(|error| {
            self.meters.count(Outcome::Refused, Duration::ZERO);
            Refusal::Request(error)
        })
    }

    /// Answers one request.
    ///
    /// # Errors
    /// When the request does not fit, too many wait, or the model fails.
    pub async fn infer(
        self: &Arc<Self>,
        request: &mut InferRequest,
    ) -> Result<InferResponse, Refusal> {
        let watch = Stopwatch::start();
        let _running = self.meters.run();
        let result = self.answer(request).await;
        let outcome = result
            .as_ref()
            .map_or_else(|refusal| ended(refusal.kind()), |_| Outcome::Ok);
        self.meters.count(outcome, watch.elapsed());
        let outputs = result?;
        Ok(InferResponse {
            model_name: self.name.clone(),
            model_version: self.version.to_string(),
            id: request.id.clone(),
            outputs,
        })
    }

    async fn answer(self: &Arc<Self>, request: &mut InferRequest) -> Result<Vec<Tensor>, Refusal> {
        let inputs = self.signature.order(request)?;
        let wanted: Vec<String> = request.outputs.iter().map(|o| o.name.clone()).collect();
        let values: usize = inputs.iter().map(|tensor| tensor.data().len()).sum();
        if values <= self.inline_values
            && let Ok(_turn) = self.turn.try_acquire()
        {
            return self.run(inputs, &wanted);
        }
        let turn = {
            let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
            let _counted = Waiting(&self.waiting);
            if waiting >= WAITING_MAX {
                return Err(self.overloaded(waiting));
            }
            let turn = Arc::clone(&self.turn).acquire_owned().await;
            turn.map_err(|_| self.failed("it was closed".to_owned()))?
        };
        let served = Arc::clone(self);
        let running = tokio::task::spawn_blocking(move || {
            // Kept until the run is over even when whoever asked is gone: the model is busy.
            let _turn = turn;
            served.run(inputs, &wanted)
        });
        running
            .await
            .map_err(|error| self.failed(error.to_string()))?
    }

    fn run(&self, inputs: Vec<Tensor>, wanted: &[String]) -> Result<Vec<Tensor>, Refusal> {
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
        model.run(inputs, wants).map_err(|error| match error {
            EngineError::Tensor(error) => Refusal::Request(error),
            EngineError::Run(reason) => self.failed(reason),
            other @ (EngineError::Library { .. }
            | EngineError::Talkative
            | EngineError::Start(_)
            | EngineError::Open(_)
            | EngineError::NotTensor { .. }) => self.failed(other.to_string()),
        })
    }

    fn failed(&self, reason: String) -> Refusal {
        Refusal::Failed {
            model: self.name.clone(),
            version: self.version,
            reason,
        }
    }

    fn overloaded(&self, waiting: usize) -> Refusal {
        Refusal::Overloaded {
            model: self.name.clone(),
            version: self.version,
            waiting,
        }
    }
}

fn ended(kind: Kind) -> Outcome {
    match kind {
        Kind::Invalid | Kind::NotFound => Outcome::Refused,
        Kind::Unavailable => Outcome::Overloaded,
        Kind::Internal => Outcome::Failed,
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

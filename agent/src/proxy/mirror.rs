//! Copies of routed requests with their answers: for shadows, which answer them as well, for
//! replays, which need recent inputs, for whoever counts what inputs look like, and of some
//! answers for whoever looks whether they say anything. Never in a request's way.
//!
//! Whether a request is copied is decided before its first byte. Its bytes and those of its
//! answer are gathered under a limit, and offered to a bounded queue: to shadows and replays when
//! the answer was good, to be counted however it was answered. What does not fit is dropped
//! whole, and counted. What becomes of copies is left to others.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::routes::Leg;
use crate::inputs::{Item, Meter};

/// Copies that may wait: a second of a shadow that takes as long as the version it shadows.
const QUEUE: usize = 256;
/// Bytes of copies that are being gathered or wait: what a sidecar can spare.
const BYTES_MOST: usize = 8 << 20;
/// Bytes of one copy, request and answer: more than this is an upload, not a row.
const ONE_MOST: usize = 1 << 20;

/// Where copies go. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Mirror {
    queue: mpsc::Sender<Arc<Copied>>,
    /// Where inputs are counted.
    inputs: Option<mpsc::Sender<Item>>,
    budget: Arc<Budget>,
}

#[derive(Debug, Default)]
struct Budget {
    held: AtomicUsize,
    dropped: AtomicU64,
}

/// How the bytes of bodies are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// JSON over HTTP, and how much of it comes before binary tensors.
    Http {
        /// `Inference-Header-Content-Length` of the request.
        request_json: Option<usize>,
        /// The same of the answer.
        answer_json: Option<usize>,
    },
    /// A gRPC message each, with its five-byte prefix.
    Grpc,
}

/// A request, its answer, and for whom it was copied.
#[derive(Debug)]
pub struct Copied {
    /// The version that answered.
    pub control: Arc<Leg>,
    /// The versions that are to answer as well.
    pub shadows: Vec<Arc<Leg>>,
    /// It is to be kept for a replay.
    pub keep: bool,
    /// Its inputs are to be counted.
    pub meter: Option<Arc<Meter>>,
    /// Its answer is to be looked at.
    pub look: bool,
    /// It was answered well, and all of the answer is here.
    pub is_answered: bool,
    /// How the bodies are to be read.
    pub spoken: Spoken,
    /// The request's body.
    pub request: Vec<u8>,
    /// The answer's.
    pub answer: Vec<u8>,
    budget: Arc<Budget>,
}

impl Drop for Copied {
    fn drop(&mut self) {
        let held = self.request.len() + self.answer.len();
        self.budget.held.fetch_sub(held, Ordering::Relaxed);
    }
}

impl Mirror {
    /// A mirror, and the end where copies come out.
    pub fn new(inputs: Option<mpsc::Sender<Item>>) -> (Self, mpsc::Receiver<Arc<Copied>>) {
        let (queue, copies) = mpsc::channel(QUEUE);
        let mirror = Self {
            queue,
            inputs,
            budget: Arc::default(),
        };
        (mirror, copies)
    }

    /// Copies that did not fit, since the start.
    pub fn dropped(&self) -> u64 {
        self.budget.dropped.load(Ordering::Relaxed)
    }

    /// Begins a copy.
    pub(crate) fn open(
        &self,
        control: Arc<Leg>,
        shadows: Vec<Arc<Leg>>,
        (keep, look): (bool, bool),
        meter: Option<Arc<Meter>>,
    ) -> Box<Copying> {
        let counted = meter.as_ref().is_some_and(|meter| meter.takes_answers());
        let answered = keep || look || counted || !shadows.is_empty();
        Box::new(Copying {
            mirror: self.clone(),
            whole: true,
            answer_whole: true,
            asked: keep || meter.is_some() || !shadows.is_empty(),
            answered,
            copied: Some(Copied {
                control,
                shadows,
                keep,
                meter,
                look,
                is_answered: false,
                spoken: Spoken::Grpc,
                request: Vec::new(),
                answer: Vec::new(),
                budget: self.budget.clone(),
            }),
        })
    }

    /// Gives a copy to those who want it.
    fn offer(&self, copied: Copied, is_good: bool) {
        let copied = Arc::new(copied);
        if let Some(meter) = &copied.meter {
            let item = Item::Copied(copied.clone());
            let taken = self.inputs.as_ref().map(|inputs| inputs.try_send(item));
            if !matches!(taken, Some(Ok(()))) {
                meter.count_dropped();
            }
        }
        if !is_good || !copied.is_for_answers() {
            return;
        }
        match self.queue.try_send(copied) {
            Ok(()) => {}
            Err(TrySendError::Full(copied) | TrySendError::Closed(copied)) => lost(&copied),
        }
    }
}

/// A copy that is being made.
#[derive(Debug)]
pub(crate) struct Copying {
    mirror: Mirror,
    /// Nothing of the request was left out so far.
    whole: bool,
    /// Nothing of the answer was.
    answer_whole: bool,
    /// The request is wanted.
    asked: bool,
    /// The answer is wanted as well, or alone.
    answered: bool,
    /// There until it is finished.
    copied: Option<Copied>,
}

/// A copy that comes to nothing: the application left, or the server was not there.
impl Drop for Copying {
    fn drop(&mut self) {
        if let Some(meter) = self.copied.take().and_then(|copied| copied.meter.clone()) {
            meter.count_dropped();
        }
    }
}

impl Copying {
    /// It was asked over HTTP.
    pub(crate) fn asked_in(&mut self, request_json: Option<usize>) {
        if let Some(copied) = &mut self.copied {
            copied.spoken = Spoken::Http {
                request_json,
                answer_json: None,
            };
        }
    }

    /// It was answered over HTTP.
    pub(crate) fn answered_in(&mut self, json: Option<usize>) {
        let spoken = self.copied.as_mut().map(|copied| &mut copied.spoken);
        if let Some(Spoken::Http { answer_json, .. }) = spoken {
            *answer_json = json;
        }
    }

    /// Bytes of the request.
    pub(crate) fn request(&mut self, bytes: &[u8]) {
        if self.asked {
            self.whole &= self.gather(bytes, |copied| &mut copied.request);
        }
    }

    /// Bytes of the answer.
    pub(crate) fn answer(&mut self, bytes: &[u8]) {
        if self.answered && self.answer_whole {
            self.answer_whole = self.gather(bytes, |copied| &mut copied.answer);
        }
    }

    /// The request cannot be copied: its bytes are not what they mean.
    pub(crate) fn spoil_request(&mut self) {
        self.whole &= !self.asked;
    }

    /// The answer cannot be copied: the request may matter all the same.
    pub(crate) fn spoil_answer(&mut self) {
        self.answer_whole = false;
    }

    /// Keeps bytes, if there is room for them.
    fn gather(&mut self, bytes: &[u8], part: impl FnOnce(&mut Copied) -> &mut Vec<u8>) -> bool {
        let Some(copied) = self.copied.as_mut().filter(|_| self.whole) else {
            return false;
        };
        let one = copied.request.len() + copied.answer.len() + bytes.len();
        let held = copied.budget.held.fetch_add(bytes.len(), Ordering::Relaxed);
        if one > ONE_MOST || held + bytes.len() > BYTES_MOST {
            copied.budget.held.fetch_sub(bytes.len(), Ordering::Relaxed);
            return false;
        }
        part(copied).extend_from_slice(bytes);
        true
    }

    /// The answer has passed, good or not: the copy goes where copies go.
    pub(crate) fn finish(mut self, is_good: bool) {
        let Some(mut copied) = self.copied.take() else {
            return;
        };
        copied.is_answered = is_good && self.answered && self.answer_whole;
        let is_lost = is_good && copied.is_for_answers() && !(self.whole && self.answer_whole);
        if is_lost {
            lost(&copied);
        }
        match self.whole {
            true => self.mirror.offer(copied, is_good && !is_lost),
            false => {
                if let Some(meter) = &copied.meter {
                    meter.count_dropped();
                }
            }
        }
    }
}

impl Copied {
    /// Whether anybody wants it together with its answer.
    fn is_for_answers(&self) -> bool {
        self.keep || self.look || !self.shadows.is_empty()
    }
}

fn lost(copied: &Copied) {
    copied.budget.dropped.fetch_add(1, Ordering::Relaxed);
    for shadow in &copied.shadows {
        shadow.count_dropped();
    }
}

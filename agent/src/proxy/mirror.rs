//! Copies of routed requests with their answers: for shadows, which answer them as well, and for
//! replays, which need recent inputs; and of some answers alone, for whoever looks whether they say
//! anything. Never in a request's way.
//!
//! Whether a request is copied is decided before its first byte. Its bytes and those of its
//! answer are gathered under a limit, and offered to a bounded queue when the answer was good;
//! what does not fit is dropped whole, and counted. What becomes of copies is left to others.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::routes::Leg;

/// Copies that may wait: a second of a shadow that takes as long as the version it shadows.
const QUEUE: usize = 256;
/// Bytes of copies that are being gathered or wait: what a sidecar can spare.
const BYTES_MOST: usize = 8 << 20;
/// Bytes of one copy, request and answer: more than this is an upload, not a row.
const ONE_MOST: usize = 1 << 20;

/// Where copies go. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Mirror {
    queue: mpsc::Sender<Copied>,
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
    /// Its answer is to be looked at.
    pub look: bool,
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
    pub fn new() -> (Self, mpsc::Receiver<Copied>) {
        let (queue, copies) = mpsc::channel(QUEUE);
        let budget = Arc::default();
        (Self { queue, budget }, copies)
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
    ) -> Box<Copying> {
        Box::new(Copying {
            queue: self.queue.clone(),
            whole: true,
            answer_only: !keep && shadows.is_empty(),
            copied: Copied {
                control,
                shadows,
                keep,
                look,
                spoken: Spoken::Grpc,
                request: Vec::new(),
                answer: Vec::new(),
                budget: self.budget.clone(),
            },
        })
    }
}

/// A copy that is being made.
#[derive(Debug)]
pub(crate) struct Copying {
    queue: mpsc::Sender<Copied>,
    /// Nothing was left out so far.
    whole: bool,
    /// Nobody needs the request.
    answer_only: bool,
    copied: Copied,
}

impl Copying {
    /// It was asked over HTTP.
    pub(crate) fn asked_in(&mut self, request_json: Option<usize>) {
        self.copied.spoken = Spoken::Http {
            request_json,
            answer_json: None,
        };
    }

    /// It was answered over HTTP.
    pub(crate) fn answered_in(&mut self, json: Option<usize>) {
        if let Spoken::Http { answer_json, .. } = &mut self.copied.spoken {
            *answer_json = json;
        }
    }

    /// Bytes of the request.
    pub(crate) fn request(&mut self, bytes: &[u8]) {
        if !self.answer_only && self.fits(bytes.len()) {
            self.copied.request.extend_from_slice(bytes);
        }
    }

    /// Bytes of the answer.
    pub(crate) fn answer(&mut self, bytes: &[u8]) {
        if self.fits(bytes.len()) {
            self.copied.answer.extend_from_slice(bytes);
        }
    }

    /// The request cannot be copied: its bytes are not what they mean.
    pub(crate) fn spoil_request(&mut self) {
        self.whole &= self.answer_only;
    }

    /// It cannot be copied: its bytes are not what they mean.
    pub(crate) fn spoil(&mut self) {
        self.whole = false;
    }

    fn fits(&mut self, bytes: usize) -> bool {
        let one = self.copied.request.len() + self.copied.answer.len() + bytes;
        if !self.whole || one > ONE_MOST {
            self.whole = false;
            return false;
        }
        let held = self.copied.budget.held.fetch_add(bytes, Ordering::Relaxed);
        if held + bytes > BYTES_MOST {
            self.copied.budget.held.fetch_sub(bytes, Ordering::Relaxed);
            self.whole = false;
        }
        self.whole
    }

    /// The answer was good, and has passed: the copy goes where copies go.
    pub(crate) fn finish(self) {
        if !self.whole {
            return lost(&self.copied);
        }
        match self.queue.try_send(self.copied) {
            Ok(()) => {}
            Err(TrySendError::Full(copied) | TrySendError::Closed(copied)) => lost(&copied),
        }
    }
}

fn lost(copied: &Copied) {
    copied.budget.dropped.fetch_add(1, Ordering::Relaxed);
    for shadow in &copied.shadows {
        shadow.count_dropped();
    }
}

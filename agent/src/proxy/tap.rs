//! Copies of some request bodies, for whoever looks at features: off unless a [`Tap`] is
//! given, and never in a request's way.
//!
//! Whether a body is copied is decided before its first byte, since a copy is a reference
//! that keeps the connection's read buffer alive. Bodies wait in a queue that is bounded in
//! number and bytes; what does not fit is dropped whole, and counted.

use std::{
    num::NonZeroU32,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// Bodies that may wait for their reader.
const QUEUE: usize = 256;

/// Bytes of bodies that may wait or be gathered at one time: what a sidecar can spare.
const MAX_BYTES: usize = 8 << 20;

/// Chunks of one body that are kept: more than this is an upload, not a row.
const MAX_CHUNKS: usize = 64;

/// Where copies go. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Tap {
    every: NonZeroU32,
    queue: mpsc::Sender<Tapped>,
    budget: Arc<Budget>,
}

#[derive(Debug, Default)]
struct Budget {
    held: AtomicUsize,
    dropped: AtomicU64,
}

/// What names a tapped body's model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// JSON, or JSON and tensors after it, as the path and headers say.
    Http {
        /// The upstream's name for the model.
        model: Box<str>,
        /// The version that was named, or nothing.
        version: Box<str>,
        /// `Inference-Header-Content-Length`: bytes of JSON before binary tensors.
        json_bytes: Option<usize>,
    },
    /// A gRPC message with its five-byte prefix, which names the model itself.
    Grpc,
}

/// A whole request body, by reference.
#[derive(Debug)]
pub struct Tapped {
    /// What names the model.
    pub origin: Origin,
    /// The body, as it came.
    pub chunks: Vec<Bytes>,
    bytes: usize,
    budget: Arc<Budget>,
}

impl Tap {
    /// A tap on one request in `every`, and the end where bodies come out.
    pub fn new(every: NonZeroU32) -> (Self, mpsc::Receiver<Tapped>) {
        let (queue, bodies) = mpsc::channel(QUEUE);
        let budget = Arc::default();
        let tap = Self {
            every,
            queue,
            budget,
        };
        (tap, bodies)
    }

    /// Bodies that did not fit, since the start.
    pub fn dropped(&self) -> u64 {
        self.budget.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn every(&self) -> u32 {
        self.every.get()
    }

    pub(crate) fn open(&self, origin: Origin) -> Tapped {
        Tapped {
            origin,
            chunks: Vec::new(),
            bytes: 0,
            budget: self.budget.clone(),
        }
    }

    /// Keeps a chunk of a body; false if that was too much, which is counted.
    pub(crate) fn gather(&self, tapped: &mut Tapped, chunk: &Bytes) -> bool {
        let kept = tapped.push(chunk);
        if !kept {
            self.budget.dropped.fetch_add(1, Ordering::Relaxed);
        }
        kept
    }

    pub(crate) fn offer(&self, tapped: Tapped) {
        if self.queue.try_send(tapped).is_err() {
            self.budget.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Tapped {
    /// Keeps a reference to a chunk, if limits allow.
    fn push(&mut self, chunk: &Bytes) -> bool {
        let held = self.budget.held.fetch_add(chunk.len(), Ordering::Relaxed);
        self.bytes += chunk.len();
        if held + chunk.len() > MAX_BYTES || self.chunks.len() >= MAX_CHUNKS {
            return false;
        }
        self.chunks.push(chunk.clone());
        true
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A body that passes through, and perhaps is copied.
#[derive(Debug)]
pub struct TapBody<B> {
    inner: B,
    copy: Option<(Tap, Tapped)>,
}

impl<B> TapBody<B> {
    /// Only passes through.
    pub fn untapped(inner: B) -> Self {
        Self { inner, copy: None }
    }

    /// Is copied into `tap` when it has passed through whole.
    pub fn tapped(inner: B, tap: &Tap, origin: Origin) -> Self {
        let copy = Some((tap.clone(), tap.open(origin)));
        Self { inner, copy }
    }

    fn finish(&mut self) {
        if let Some((tap, tapped)) = self.copy.take() {
            tap.offer(tapped);
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for TapBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some((tap, tapped)) = &mut self.copy {
            match frame
                .as_ref()
                .map(|frame| frame.as_ref().map(Frame::data_ref))
            {
                Some(Ok(Some(chunk))) => {
                    if !tap.gather(tapped, chunk) {
                        self.copy = None;
                    } else if self.inner.is_end_stream() {
                        self.finish();
                    }
                }
                Some(Ok(None)) | None => self.finish(),
                // Cut short: no whole body, and no loss of ours.
                Some(Err(_)) => self.copy = None,
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

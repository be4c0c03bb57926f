//! The windows of one boot that wait, in order, and where each lies.
//!
//! Promises: ascending ranges that do not overlap; only windows that were never offered are
//! ever grouped. Pure but for logging: reading and writing are left to the spool.

use std::collections::VecDeque;
use std::ops::Range;

use super::log::{Kind, Span};
use crate::seal::{BootId, Window};
use crate::wire;

/// Where a window's bytes are.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Disk(Span),
    Memory(Vec<u8>),
}

impl Place {
    pub(super) fn on_disk(&self) -> bool {
        match self {
            Self::Disk(_) => true,
            Self::Memory(_) => false,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Disk(span) => u64::from(span.len),
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }
}

/// A window that waits: all but its counts.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    first: u64,
    pub(super) last: u64,
    start_us: i64,
    pub(super) requests: u64,
    pub(super) place: Place,
    /// It was on a stream, so the hub may have received it: its range is fixed.
    offered: bool,
}

impl Waiting {
    pub(super) fn new(window: &Window, place: Place) -> Self {
        Self {
            first: window.first,
            last: window.last,
            start_us: window.start_us,
            requests: window.requests(),
            place,
            offered: false,
        }
    }
}

/// One boot's windows.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) boot: BootId,
    waiting: VecDeque<Waiting>,
    /// The last sequence that was offered on the present stream.
    cursor: u64,
}

impl Queue {
    pub(super) fn new(boot: BootId) -> Self {
        Self {
            boot,
            waiting: VecDeque::new(),
            cursor: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.waiting
            .iter()
            .map(|waiting| waiting.place.bytes())
            .sum()
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.spans().map(|span| u64::from(span.len)).sum()
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        self.bytes() - self.disk_bytes()
    }

    pub(super) fn spans(&self) -> impl Iterator<Item = Span> {
        self.waiting
            .iter()
            .filter_map(|waiting| match waiting.place {
                Place::Disk(span) => Some(span),
                Place::Memory(_) => None,
            })
    }

    pub(super) fn relocate(&mut self, moved: &mut impl Iterator<Item = Span>) {
        for waiting in self
            .waiting
            .iter_mut()
            .filter(|waiting| waiting.place.on_disk())
        {
            if let Some(span) = moved.next() {
                waiting.place = Place::Disk(span);
            }
        }
    }

    pub(super) fn in_memory(&mut self) -> impl Iterator<Item = &mut Waiting> {
        self.waiting
            .iter_mut()
            .filter(|waiting| !waiting.place.on_disk())
    }

    /// Puts a window into its place, instead of those that its range covers.
    pub(super) fn insert(&mut self, waiting: Waiting) {
        let from = self
            .waiting
            .partition_point(|other| other.first < waiting.first);
        let to = self
            .waiting
            .partition_point(|other| other.first <= waiting.last);
        if from == self.waiting.len() {
            self.waiting.push_back(waiting);
        } else {
            self.replace(from..to, waiting);
        }
    }

    pub(super) fn replace(&mut self, range: Range<usize>, by: Waiting) {
        let at = range.start;
        self.waiting.drain(range);
        self.waiting.insert(at, by);
    }

    pub(super) fn remove(&mut self, at: usize) -> Option<Waiting> {
        self.waiting.remove(at)
    }

    pub(super) fn rewind(&mut self) {
        self.cursor = 0;
    }

    pub(super) fn pending(&self) -> bool {
        self.waiting
            .back()
            .is_some_and(|newest| newest.first > self.cursor)
    }

    /// The next window behind the cursor, which moves past it.
    pub(super) fn offer(&mut self) -> Option<(usize, Place)> {
        let at = self
            .waiting
            .partition_point(|waiting| waiting.first <= self.cursor);
        let waiting = self.waiting.get_mut(at)?;
        waiting.offered = true;
        self.cursor = waiting.last;
        Some((at, waiting.place.clone()))
    }

    /// Takes out what the hub calls durable. A window that was never offered stays, whatever
    /// the hub says of it.
    pub(super) fn take_durable(&mut self, durable: u64) -> Vec<Waiting> {
        let sure = |waiting: &&Waiting| waiting.last <= durable && waiting.offered;
        let count = self.waiting.iter().take_while(sure).count();
        self.waiting.drain(..count).collect()
    }

    /// Takes out the oldest that `sheds`, until `left` bytes are gone.
    pub(super) fn shed(
        &mut self,
        left: &mut u64,
        sheds: impl Fn(&Waiting) -> bool,
    ) -> Vec<Waiting> {
        let mut lost = Vec::new();
        self.waiting.retain(|waiting| {
            let goes = *left > 0 && sheds(waiting);
            if goes {
                *left = left.saturating_sub(waiting.place.bytes());
                lost.push(waiting.clone());
            }
            !goes
        });
        lost
    }

    /// The first two or more neighbours that were never offered, that began in the same
    /// `width_us` of time, which ended before `before_us`, and that are small enough together.
    pub(super) fn group(
        &self,
        before_us: i64,
        width_us: i64,
        most_bytes: u64,
    ) -> Option<Range<usize>> {
        let span_of = |waiting: &Waiting| waiting.start_us.div_euclid(width_us);
        let old = |waiting: &Waiting| {
            let end_us = (span_of(waiting) + 1).saturating_mul(width_us);
            !waiting.offered && end_us <= before_us
        };
        let mut start = 0;
        while let Some(first) = self.waiting.get(start) {
            let mut bytes = 0;
            let alike = self.waiting.range(start..).take_while(|waiting| {
                bytes += waiting.place.bytes();
                old(waiting) && span_of(waiting) == span_of(first) && bytes <= most_bytes
            });
            let count = alike.count();
            if count > 1 {
                return Some(start..start + count);
            }
            start += 1;
        }
        None
    }

    pub(super) fn places(&self, range: Range<usize>) -> impl Iterator<Item = &Place> {
        self.waiting.range(range).map(|waiting| &waiting.place)
    }
}

/// Reads one record of the file into the queues of the boots that it tells of.
pub(super) fn replay(queues: &mut Vec<Queue>, kind: Kind, body: &[u8], span: Span) {
    match kind {
        Kind::Window => match wire::window_from_bytes(body) {
            Ok(window) => {
                let at = queues.iter().position(|queue| queue.boot == window.boot);
                let at = at.unwrap_or_else(|| {
                    queues.push(Queue::new(window.boot));
                    queues.len() - 1
                });
                if let Some(queue) = queues.get_mut(at) {
                    // The process that wrote it may have sent it.
                    let place = Place::Disk(span);
                    queue.insert(Waiting {
                        offered: true,
                        ..Waiting::new(&window, place)
                    });
                }
            }
            Err(malformed) => tracing::error!(%malformed, "a window in the spool is skipped"),
        },
        Kind::Forget => {
            if let Some((boot, upto)) = forgotten(body)
                && let Some(queue) = queues.iter_mut().find(|queue| queue.boot == boot)
            {
                queue.waiting.retain(|waiting| waiting.last > upto);
            }
        }
    }
}

/// The body of a forget record: the boot, then the sequence in little-endian.
pub(super) fn forget_bytes(boot: BootId, upto: u64) -> [u8; 24] {
    let mut body = [0; 24];
    let (id, sequence) = body.split_at_mut(16);
    id.copy_from_slice(&boot.0);
    sequence.copy_from_slice(&upto.to_le_bytes());
    body
}

fn forgotten(body: &[u8]) -> Option<(BootId, u64)> {
    let (id, sequence) = body.split_first_chunk::<16>()?;
    Some((BootId(*id), u64::from_le_bytes(sequence.try_into().ok()?)))
}

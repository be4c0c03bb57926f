//! One host's last minute and some seconds, second by second, packed: a second with one
//! series takes about fifty bytes, so that ten thousand hosts fit.

use std::collections::VecDeque;

use binnacle_sketch::Encoded;
use bytes::Buf as _;
use prost::encoding::{decode_varint, encode_varint};

use crate::telemetry::names::SeriesId;

/// How far back: a minute, and the seconds until it is finished.
pub(crate) const KEEP_US: i64 = 70 * 1_000_000;
/// Bytes of an entry beside what is packed in it.
const ENTRY_BYTES: usize = 40;

/// The windows of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    windows: VecDeque<(i64, Box<[u8]>)>,
    bytes: usize,
}

/// One window, packed.
#[derive(Debug)]
pub(crate) struct Window {
    /// When it began.
    pub(crate) start_us: i64,
    packed: Box<[u8]>,
}

impl Window {
    /// The latencies of its series.
    pub(crate) fn latencies(&self) -> impl Iterator<Item = Encoded> {
        let mut rest: &[u8] = &self.packed;
        std::iter::from_fn(move || Some(unpack(&mut rest)?.latency))
    }
}

/// One series in one window.
#[derive(Debug)]
pub(crate) struct Part {
    /// Which series.
    pub(crate) id: SeriesId,
    /// Its latencies.
    pub(crate) latency: Encoded,
    /// Bytes of requests' bodies.
    pub(crate) request_bytes: u64,
    /// Bytes of answers' bodies.
    pub(crate) response_bytes: u64,
}

/// Packs the parts of one window.
#[derive(Debug, Default)]
pub(crate) struct Packer(Vec<u8>);

impl Packer {
    /// Adds one series.
    pub(crate) fn put(&mut self, id: SeriesId, latency: &Encoded, bodies: (u64, u64)) {
        let numbers = [
            latency.sum_ns,
            latency.min_ns,
            latency.max_ns,
            bodies.0,
            bodies.1,
        ];
        encode_varint(id.into(), &mut self.0);
        numbers
            .iter()
            .for_each(|&number| encode_varint(number, &mut self.0));
        encode_varint(latency.counts.len() as u64, &mut self.0);
        self.0.extend_from_slice(&latency.counts);
    }

    fn take(&mut self) -> Box<[u8]> {
        let packed = self.0.as_slice().into();
        self.0.clear();
        packed
    }
}

impl Recent {
    /// Adds what was packed of a window that began at `start_us`.
    pub(crate) fn push(&mut self, start_us: i64, packer: &mut Packer) {
        let packed = packer.take();
        if !packed.is_empty() {
            self.bytes += packed.len() + ENTRY_BYTES;
            self.windows.push_back((start_us, packed));
        }
    }

    /// Drops the oldest window if it is too old at `now_us`, or if all of them take over
    /// `share` bytes; answers with it.
    pub(crate) fn shed(&mut self, now_us: i64, share: usize) -> Option<Window> {
        let (start_us, _) = self.windows.front()?;
        let is_much = self.bytes > share && self.windows.len() > 1;
        if *start_us >= now_us - KEEP_US && !is_much {
            return None;
        }
        let (start_us, packed) = self.windows.pop_front()?;
        self.bytes -= packed.len() + ENTRY_BYTES;
        Some(Window { start_us, packed })
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Every part of the windows that began in `[from_us, to_us)`, with its start.
    pub(crate) fn parts(&self, from_us: i64, to_us: i64) -> impl Iterator<Item = (i64, Part)> {
        let inside = move |(start_us, _): &&(i64, Box<[u8]>)| (from_us..to_us).contains(start_us);
        self.windows
            .iter()
            .filter(inside)
            .flat_map(|(start_us, packed)| {
                let mut rest: &[u8] = packed;
                std::iter::from_fn(move || Some((*start_us, unpack(&mut rest)?)))
            })
    }
}

/// What [`Packer::put`] put; `None` at the end.
fn unpack(rest: &mut &[u8]) -> Option<Part> {
    let mut number = || decode_varint(rest).ok();
    let id = SeriesId::try_from(number()?).ok()?;
    let (sum_ns, min_ns, max_ns) = (number()?, number()?, number()?);
    let (request_bytes, response_bytes) = (number()?, number()?);
    let length = usize::try_from(number()?).ok()?;
    let counts = rest.get(..length)?.to_vec();
    rest.advance(length);
    let latency = Encoded {
        counts,
        sum_ns,
        min_ns,
        max_ns,
    };
    Some(Part {
        id,
        latency,
        request_bytes,
        response_bytes,
    })
}

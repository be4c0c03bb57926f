//! What is kept of a guard over restarts: now and then all of it, and in between what was added.
//!
//! Evidence is four kilobytes a stream and changes with every tick, while the counts that change
//! it are some tens of bytes. So a whole is followed by rows that each hold the counts of the
//! ticks since the row before, and going on takes those ticks again: the same arithmetic on the
//! same numbers, and so the same evidence. A new whole is written when the rows have come to half
//! of it at least: what is written is then at most three times the counts. What was counted of
//! late comes back with it, but for the hosts that counted it.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use binnacle_sketch::profile::{Counts, Live};
use sha2::{Digest as _, Sha256};

use super::super::baseline::Baseline;
use super::super::recent::Recent;
use super::super::watch::{Margin, NotOurs, Pending, Source, State, Step, Watch};
use super::{Guard, Kept};
use crate::packed::{Malformed, Packed, Packer, Unpacker, packed};

/// Raised when ticks come to something else than before, by the same counts.
const EDITION: u32 = 1;
/// Rows come to this part of a whole, and up to all of it, before there is a new one.
const PART: f64 = 0.5;
/// Ticks that wait to be kept: when nobody keeps them, the whole is kept at last.
const WAITING: usize = 64;

/// A piece of what is kept: the whole is number 0, and those after it add to it in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub number: u32,
    /// What it holds; `None` where it is to be let go of.
    pub bytes: Option<Vec<u8>>,
}

/// Bytes that no guard can go on with.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// They are none of this release's.
    #[error("what was kept of a watched version cannot be read")]
    Bytes(#[source] Malformed),
    /// They belong to another reference.
    #[error(transparent)]
    Reference(#[from] NotOurs),
}

/// What changed since it was last kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsaved {
    /// Rows that there are; `None` where all is to be written anew, over any that there are.
    rows: Option<u32>,
    /// Rows that are to go once there is a new whole.
    old: u32,
    /// The whole of one that has just begun, until it is written: it is small.
    first: Option<Vec<u8>>,
    /// Bytes of the rows after the whole.
    bytes: usize,
    steps: Vec<(Step, SpanUs)>,
    sources: BTreeSet<Source>,
    /// It paged since.
    pages: bool,
}

/// A row after the whole.
struct More {
    /// Without what was accepted as normal, which is in the whole, and with what paged only where
    /// that is new.
    kept: Kept,
    steps: Vec<(Step, SpanUs)>,
    margin: Margin,
    /// Of what is pending in the margin.
    open: SpanUs,
}

packed!(More {
    kept,
    steps,
    margin,
    open,
});

/// From when to when the counts of a tick were counted. Their magnitudes are kept with the whole
/// alone: in each row they would be some five times the counts.
type SpanUs = Option<(i64, i64)>;

/// Has these counts be those of the tick that is open.
fn restore(span_us: SpanUs, counts: &Pending, recent: &mut Recent) {
    let live = |(at, counts): (&usize, &Counts)| {
        let live = Live {
            counts: *counts,
            ..Live::default()
        };
        (*at, live)
    };
    let lives: Vec<(usize, Live)> = counts.features.iter().map(live).collect();
    let features = lives.iter().map(|(at, live)| (*at, live));
    recent.restore(span_us, (counts.requests, counts.unfit), features);
}

impl Unsaved {
    /// It has just begun, and this is what it has begun with.
    pub(super) fn begun(kept: &Kept, state: &State, recent: &Recent) -> Self {
        Self {
            first: Some(whole(kept, state, recent)),
            ..Self::written()
        }
    }

    /// There is a whole, and nothing after it.
    fn written() -> Self {
        Self {
            rows: Some(0),
            ..Self::default()
        }
    }

    /// A source told something.
    pub(super) fn told(&mut self, source: Source) {
        if self.rows.is_some() {
            self.sources.insert(source);
        }
    }

    /// A tick was closed.
    pub(super) fn stepped(&mut self, step: Step, span_us: SpanUs) {
        if self.rows.is_none() {
            return;
        }
        self.steps.push((step, span_us));
        if self.steps.len() > WAITING {
            self.whole();
        }
    }

    /// Somebody is to be told of something that moved.
    pub(super) fn paged(&mut self) {
        self.pages = true;
    }

    /// Something changed that no row can tell of.
    pub(super) fn whole(&mut self) {
        self.old = self.old.max(self.rows.take().unwrap_or(0));
        self.first = None;
        self.pages = false;
        self.steps.clear();
        self.sources.clear();
    }
}

/// What the bytes are made of, as a number: other bytes are not read.
static FORMAT: LazyLock<[u8; 4]> = LazyLock::new(|| {
    let mut shape = format!("{EDITION} ");
    <(Kept, State)>::shape(&mut shape);
    Recent::shape(&mut shape);
    More::shape(&mut shape);
    let digest = Sha256::digest(shape.as_bytes());
    digest.first_chunk().copied().unwrap_or_default()
});

fn bytes_of(write: impl FnOnce(&mut Packer)) -> Vec<u8> {
    let mut packer = Packer::default();
    FORMAT.pack(&mut packer);
    write(&mut packer);
    packer.bytes
}

fn whole(kept: &Kept, state: &State, recent: &Recent) -> Vec<u8> {
    bytes_of(|to| {
        kept.pack(to);
        state.pack(to);
        recent.pack(to);
        recent.open().span_us.pack(to);
    })
}

/// Reads bytes of this release to their end.
fn read<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Unpacker<'_>) -> Result<T, Malformed>,
) -> Result<T, NotKept> {
    let whole = || {
        let mut from = Unpacker::new(bytes);
        if <[u8; 4]>::unpack(&mut from)? != *FORMAT {
            return Err(Malformed("another release has written them"));
        }
        let value = read(&mut from)?;
        from.finish()?;
        Ok(value)
    };
    whole().map_err(NotKept::Bytes)
}

impl Guard {
    /// What is to be written, if anything changed since this was last asked. Of guards that began
    /// together each is given another number from 0 to 1, so that their wholes do not all come due
    /// at once.
    pub fn save(&mut self, stagger: f64) -> Vec<Row> {
        let Some(rows) = self.unsaved.rows else {
            return self.save_whole();
        };
        let first = self.unsaved.first.take().map(|bytes| Row {
            number: 0,
            bytes: Some(bytes),
        });
        let first = first.into_iter();
        if self.unsaved.sources.is_empty() && self.unsaved.steps.is_empty() {
            return first.collect();
        }
        let part = PART + (1.0 - PART) * stagger.clamp(0.0, 1.0);
        let bytes = self.watch.bytes() + self.recent.bytes();
        if self.unsaved.bytes as f64 >= part * bytes as f64 {
            self.unsaved.whole();
            return self.save_whole();
        }
        let pages = std::mem::take(&mut self.unsaved.pages);
        let more = More {
            kept: Kept {
                normal: Vec::new(),
                paged: self.kept.paged.clone().filter(|_| pages),
                ..self.kept.clone()
            },
            margin: self
                .watch
                .margin(&std::mem::take(&mut self.unsaved.sources)),
            steps: std::mem::take(&mut self.unsaved.steps),
            open: self.recent.open().span_us,
        };
        let bytes = bytes_of(|to| more.pack(to));
        self.unsaved.rows = Some(rows + 1);
        self.unsaved.bytes += bytes.len();
        let more = Row {
            number: rows + 1,
            bytes: Some(bytes),
        };
        first.chain([more]).collect()
    }

    fn save_whole(&mut self) -> Vec<Row> {
        let old = (1..=self.unsaved.old).map(|number| Row {
            number,
            bytes: None,
        });
        let whole = Row {
            number: 0,
            bytes: Some(whole(&self.kept, self.watch.state(), &self.recent)),
        };
        let rows = old.chain([whole]).collect();
        self.unsaved = Unsaved::written();
        rows
    }

    /// What was to be written, up to this row, was not: all of it is the next time.
    pub fn unsave(&mut self, last: u32) {
        self.unsaved.whole();
        self.unsaved.old = self.unsaved.old.max(last);
    }

    /// How many rows there are after the whole.
    pub fn rows(&self) -> u32 {
        self.unsaved.rows.unwrap_or(0).max(self.unsaved.old)
    }

    /// Goes on with what was written: the whole, and what was added to it.
    pub fn resume<'a>(
        baseline: Arc<Baseline>,
        rows: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, NotKept> {
        let mut rows = rows.into_iter();
        let whole = rows.next().unwrap_or_default();
        let features = baseline.features().len();
        let (kept, state, mut recent, open) = read(whole, |from| {
            let (kept, state) = <(Kept, State)>::unpack(from)?;
            let recent = Recent::unpack(from, features)?;
            Ok((kept, state, recent, SpanUs::unpack(from)?))
        })?;
        if kept.totals.len() != features {
            return Err(NotOurs.into());
        }
        restore(open, state.pending(), &mut recent);
        let mut guard = Self {
            watch: Watch::resume(&baseline, state)?,
            recent,
            baseline,
            kept,
            verdict: None,
            unsaved: Unsaved::written(),
        };
        guard.accept();
        for bytes in rows {
            guard.add(read(bytes, More::unpack)?);
            guard.unsaved.rows = guard.unsaved.rows.map(|rows| rows + 1);
            guard.unsaved.bytes += bytes.len();
        }
        Ok(guard)
    }

    /// Takes anew what a row after the whole tells of.
    fn add(&mut self, more: More) {
        for (step, span_us) in more.steps {
            restore(span_us, &step.counts, &mut self.recent);
            self.recent.close(step.tick);
            self.watch.redo(&step);
        }
        restore(more.open, &more.margin.pending, &mut self.recent);
        self.watch.edge(more.margin);
        let normal = std::mem::take(&mut self.kept.normal);
        let paged = more.kept.paged.clone().or(self.kept.paged.take());
        self.kept = Kept {
            normal,
            paged,
            ..more.kept
        };
    }
}

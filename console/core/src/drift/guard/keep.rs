//! What is kept of a guard over restarts: now and then all of it, and in between what was added.
//!
//! Evidence is four kilobytes a stream and changes with every tick, while the counts that change
//! it are some tens of bytes. So a whole is followed by rows that each hold the counts of the
//! ticks since the row before, and going on takes those ticks again: the same arithmetic on the
//! same numbers, and so the same evidence. A new whole is written when the rows have come to half
//! of it at least: what is written is then at most three times the counts.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use sha2::{Digest as _, Sha256};

use super::super::baseline::Baseline;
use super::super::recent::Recent;
use super::super::watch::{Margin, NotOurs, Source, State, Step, Watch};
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
    steps: Vec<Step>,
    sources: BTreeSet<Source>,
}

/// A row after the whole.
struct More {
    /// Without what was accepted as normal: that is in the whole.
    kept: Kept,
    steps: Vec<Step>,
    margin: Margin,
}

packed!(More {
    kept,
    steps,
    margin
});

impl Unsaved {
    /// It has just begun, and this is what it has begun with.
    pub(super) fn begun(kept: &Kept, state: &State) -> Self {
        Self {
            first: Some(whole(kept, state)),
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
    pub(super) fn stepped(&mut self, step: Step) {
        if self.rows.is_none() {
            return;
        }
        self.steps.push(step);
        if self.steps.len() > WAITING {
            self.whole();
        }
    }

    /// Something changed that no row can tell of.
    pub(super) fn whole(&mut self) {
        self.old = self.old.max(self.rows.take().unwrap_or(0));
        self.first = None;
        self.steps.clear();
        self.sources.clear();
    }
}

/// What the bytes are made of, as a number: other bytes are not read.
static FORMAT: LazyLock<[u8; 4]> = LazyLock::new(|| {
    let mut shape = format!("{EDITION} ");
    <(Kept, State)>::shape(&mut shape);
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

fn whole(kept: &Kept, state: &State) -> Vec<u8> {
    bytes_of(|to| {
        kept.pack(to);
        state.pack(to);
    })
}

fn read<T: Packed>(bytes: &[u8]) -> Result<T, NotKept> {
    let read = || {
        let mut from = Unpacker::new(bytes);
        if <[u8; 4]>::unpack(&mut from)? != *FORMAT {
            return Err(Malformed("another release has written them"));
        }
        let value = T::unpack(&mut from)?;
        from.finish()?;
        Ok(value)
    };
    read().map_err(NotKept::Bytes)
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
        if self.unsaved.bytes as f64 >= part * self.watch.bytes() as f64 {
            self.unsaved.whole();
            return self.save_whole();
        }
        let more = More {
            kept: Kept {
                normal: Vec::new(),
                ..self.kept.clone()
            },
            margin: self
                .watch
                .margin(&std::mem::take(&mut self.unsaved.sources)),
            steps: std::mem::take(&mut self.unsaved.steps),
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
            bytes: Some(whole(&self.kept, self.watch.state())),
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
        let (kept, state): (Kept, State) = read(whole)?;
        if kept.totals.len() != baseline.features().len() {
            return Err(NotOurs.into());
        }
        let mut guard = Self {
            watch: Watch::resume(&baseline, state)?,
            recent: Recent::new(baseline.features().len()),
            baseline,
            kept,
            verdict: None,
            paged: None,
            unsaved: Unsaved::written(),
        };
        guard.accept();
        for bytes in rows {
            let More {
                kept,
                steps,
                margin,
            } = read(bytes)?;
            steps.iter().for_each(|step| guard.watch.redo(step));
            guard.watch.edge(margin);
            let normal = std::mem::take(&mut guard.kept.normal);
            guard.kept = Kept { normal, ..kept };
            guard.unsaved.rows = guard.unsaved.rows.map(|rows| rows + 1);
            guard.unsaved.bytes += bytes.len();
        }
        Ok(guard)
    }
}

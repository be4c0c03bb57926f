//! Each host's requests minute by minute: what a flush adds, and the bytes that it takes.
//!
//! A host with requests takes 13 bytes a minute where hosts are dense, an idle one a single
//! byte: 130 KB a minute and 187 MB a day for ten thousand busy hosts.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use binnacle_core::view::{CELL_BYTES, Cell};
use bytes::Buf as _;
use prost::encoding::{decode_varint, encode_varint};

use super::refusal::nonsense;
use super::{READ, StoreError};

/// Minutes are kept for a day: yesterday's same hour is what a night's incident is held
/// against.
pub const KEEP_MINUTES_US: i64 = 24 * 3_600 * 1_000_000;

/// One part of one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinutePart {
    /// When the minute begins, by the hub's clock.
    pub start_us: i64,
    /// What kind of part it is.
    pub kind: PartKind,
    /// At most one a host.
    pub cells: Vec<(Arc<str>, Cell)>,
}

/// What a part of a minute is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartKind {
    /// What was counted in a minute that is not finished: all that is left of it when the hub
    /// dies before its end.
    Draft,
    /// All that came in before the minute was finished. It replaces the drafts of later
    /// flushes than this one, which are those of the same start of the hub.
    Whole {
        /// The last flush before the hub started.
        drafts_after: u64,
    },
    /// What came after the minute was finished.
    Late,
}

/// Which minutes are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinuteQuery {
    /// Minutes that begin at this time or later.
    pub from_us: i64,
    /// Minutes that begin before this time.
    pub to_us: i64,
    /// These hosts only; all when absent.
    pub hosts: Option<BTreeSet<Arc<str>>>,
}

impl MinuteQuery {
    /// Whether the query asks for this host.
    pub fn takes(&self, host: &str) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.contains(host))
    }
}

/// One host in one part of a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinuteCell {
    /// When the minute begins.
    pub start_us: i64,
    /// The flush that wrote it.
    pub flush: u64,
    /// Whether its minute was not finished.
    pub is_draft: bool,
    /// The host.
    pub host: Arc<str>,
    /// Its requests.
    pub cell: Cell,
}

/// One row of a part, and the hosts that are asked for by their numbers.
pub(super) struct Asked<'a> {
    pub(super) start_us: i64,
    pub(super) flush: u64,
    pub(super) is_draft: bool,
    pub(super) hosts: &'a HashMap<u64, Arc<str>>,
}

impl Asked<'_> {
    /// Hands the cells of the hosts that are asked for to `sink`.
    pub(super) fn hand(
        &self,
        cells: &[u8],
        sink: &mut (dyn FnMut(MinuteCell) + Send),
    ) -> Result<(), StoreError> {
        let start_us = self.start_us;
        let whole = unpack(cells, |id, cell| {
            if let Some(host) = self.hosts.get(&id) {
                sink(MinuteCell {
                    start_us,
                    flush: self.flush,
                    is_draft: self.is_draft,
                    host: host.clone(),
                    cell,
                });
            }
        });
        whole.ok_or_else(|| {
            nonsense(
                READ,
                format!("the hosts' minute at {start_us} is cut short"),
            )
        })
    }
}

/// Packs cells, in ascending order of number.
pub(super) fn pack(cells: &[(u64, Cell)]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(cells.len() * (CELL_BYTES + 2));
    let mut next = 0;
    for (id, cell) in cells {
        let is_busy = cell.requests > 0;
        encode_varint((id - next) << 1 | u64::from(is_busy), &mut packed);
        if is_busy {
            packed.extend_from_slice(&cell.to_bytes());
        }
        next = id + 1;
    }
    packed
}

/// What [`pack`] packed; `None` where the bytes are not that.
fn unpack(mut packed: &[u8], mut each: impl FnMut(u64, Cell)) -> Option<()> {
    let mut next = 0u64;
    while packed.has_remaining() {
        let head = decode_varint(&mut packed).ok()?;
        let id = next.checked_add(head >> 1)?;
        let cell = match head & 1 {
            0 => Cell::default(),
            _ => {
                let (bytes, rest) = packed.split_first_chunk::<CELL_BYTES>()?;
                packed = rest;
                Cell::from_bytes(*bytes)
            }
        };
        each(id, cell);
        next = id.checked_add(1)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use binnacle_core::view::Coarse;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cells_survive_their_bytes(
            cells in prop::collection::btree_map(0..100_000u64, (0..9u32, any::<u16>()), 0..90),
        ) {
            let cell = |(requests, p50): (u32, u16)| match requests {
                0 => Cell::default(),
                _ => Cell { requests, p50: Coarse(p50), ..Cell::default() },
            };
            let cells: BTreeMap<u64, Cell> =
                cells.into_iter().map(|(id, made)| (id, cell(made))).collect();
            let packed = pack(&cells.clone().into_iter().collect::<Vec<_>>());
            let mut read = BTreeMap::new();
            let is_whole = unpack(&packed, |id, cell| {
                read.insert(id, cell);
            });
            prop_assert!(is_whole.is_some());
            prop_assert_eq!(read, cells);
        }

        #[test]
        fn any_bytes_are_cells_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _either = unpack(&bytes, |_, _| {});
        }
    }

    #[test]
    fn a_busy_host_takes_thirteen_bytes_and_an_idle_one_one() {
        let busy = Cell {
            requests: 600,
            ..Cell::default()
        };
        let cells: Vec<_> = (1..=1_000).map(|id| (id, busy)).collect();
        assert_eq!(pack(&cells).len(), 13_000);
        let idle: Vec<_> = (1..=1_000).map(|id| (id, Cell::default())).collect();
        assert_eq!(pack(&idle).len(), 1_000);
    }
}

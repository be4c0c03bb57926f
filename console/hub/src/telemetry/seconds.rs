//! The last quarter of an hour, second by second, in memory.
//!
//! A window stands at the second in which it began. Seconds that are still coming in are kept
//! as tallies; a few seconds later they are sealed into one small piece a series, shared with
//! whoever asks. A late window opens its second again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use binnacle_core::series::Outcome;

use crate::telemetry::names::{Names, SeriesId, nameless};
use crate::telemetry::shelf::Topic;
use crate::telemetry::tally::{Counted, Folder, Tally};

/// How far back: what an engineer who was just woken looks at first.
pub(crate) const KEEP_S: i64 = 15 * 60;
/// Seconds younger than this are left open: agents seal on the second, and the network and a
/// busy machine take a moment.
const OPEN_S: i64 = 3;
/// Bytes of a second beside its series: its place, and all of it folded.
const SECOND_BYTES: usize = 700;

/// Counts of one second. A series may be there in several pieces.
#[derive(Debug, Default)]
pub(crate) struct Sealed {
    pieces: Vec<Counted>,
    /// All of it by outcome, once somebody asked: a screen asks for the same seconds over and
    /// over.
    folded: OnceLock<Vec<Counted>>,
}

impl Sealed {
    fn new(pieces: Vec<Counted>) -> Self {
        let folded = OnceLock::new();
        Self { pieces, folded }
    }

    /// Its pieces.
    pub(crate) fn pieces(&self) -> &[Counted] {
        &self.pieces
    }

    /// All of it added together, by outcome.
    pub(crate) fn folded(&self) -> &[Counted] {
        self.folded.get_or_init(|| {
            let mut folder = Folder::sparse();
            let fold = |outcome| fold(outcome, &self.pieces, &mut folder);
            Outcome::ALL.into_iter().filter_map(fold).collect()
        })
    }
}

fn fold(outcome: Outcome, pieces: &[Counted], folder: &mut Folder) -> Option<Counted> {
    let ours = || pieces.iter().filter(|piece| piece.key.outcome == outcome);
    ours().next()?;
    let bytes = |of: fn(&Counted) -> u64| ours().map(of).fold(0, u64::saturating_add);
    Some(Counted {
        key: Arc::new(nameless(outcome)),
        latency: folder.latency(ours().map(|piece| &piece.latency)).encode(),
        request_bytes: bytes(|piece| piece.request_bytes),
        response_bytes: bytes(|piece| piece.response_bytes),
    })
}

/// The seconds that are kept.
#[derive(Debug)]
pub(crate) struct Seconds {
    kept: BTreeMap<i64, Second>,
    bytes: usize,
    limit: usize,
    /// Seconds before this one are not here, or not whole.
    whole_from_s: i64,
    evicted: u64,
}

#[derive(Debug, Default)]
struct Second {
    sealed: Arc<Sealed>,
    open: HashMap<SeriesId, Tally>,
    /// The longest window that began here, in seconds.
    longest_s: u32,
    /// Bytes of `sealed`.
    bytes: usize,
}

/// One second, as it was at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// When it began, in seconds.
    pub(crate) second: i64,
    /// The longest window that began in it, in seconds.
    pub(crate) longest_s: u32,
    /// Parts of it, to be added together.
    pub(crate) parts: [Arc<Sealed>; 2],
}

impl Seconds {
    /// None yet; whole from `whole_from_s` on, within `limit` bytes.
    pub(crate) fn new(whole_from_s: i64, limit: usize) -> Self {
        Self {
            kept: BTreeMap::new(),
            bytes: 0,
            limit,
            whole_from_s,
            evicted: 0,
        }
    }

    /// The tally of a series in a second, or none where the second is too old to be kept.
    pub(crate) fn tally(&mut self, second: i64, span_s: u32, id: SeriesId) -> Option<&mut Tally> {
        if second < self.whole_from_s {
            return None;
        }
        let at = self.kept.entry(second).or_default();
        at.longest_s = at.longest_s.max(span_s);
        Some(at.open.entry(id).or_default())
    }

    /// The first second from which everything that came in is here.
    pub(crate) fn whole_from_s(&self) -> i64 {
        self.whole_from_s
    }

    /// Seconds that were dropped early, because of the limit.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Bytes of the sealed seconds, and an estimate of the open ones.
    pub(crate) fn bytes(&self) -> usize {
        let open = self
            .kept
            .values()
            .rev()
            .flat_map(|second| second.open.values());
        self.bytes + open.map(Tally::bytes).sum::<usize>()
    }

    /// Seals what is old enough, drops what is too old or too much.
    pub(crate) fn seal(&mut self, now_s: i64, names: &Names, folder: &mut Folder) {
        for (_, second) in self.kept.range_mut(..now_s - OPEN_S) {
            if second.open.is_empty() {
                continue;
            }
            let before = second.bytes;
            second.seal(names, folder);
            self.bytes = self.bytes + second.bytes - before;
        }
        self.whole_from_s = self.whole_from_s.max(now_s - KEEP_S);
        while let Some(first) = self.kept.first_entry() {
            let second = *first.key();
            if second >= self.whole_from_s {
                if self.bytes <= self.limit || self.kept.len() == 1 {
                    break;
                }
                self.evicted += 1;
                self.whole_from_s = second + 1;
            }
            if let Some((_, dropped)) = self.kept.pop_first() {
                self.bytes -= dropped.bytes;
                // Tallies give their dense histograms back.
                for (id, tally) in dropped.open {
                    if let Some(key) = names.key(id) {
                        tally.fold(key.clone(), folder);
                    }
                }
            }
        }
    }

    /// The longest window that began in `[from_s, to_s)`, in seconds; 0 where none did.
    pub(crate) fn longest_s(&self, from_s: i64, to_s: i64) -> u32 {
        let kept = self.kept.range(from_s..to_s.max(from_s));
        kept.map(|(_, second)| second.longest_s).max().unwrap_or(0)
    }

    /// The seconds of `[from_s, to_s)`, as they are now; of those that are open, only series
    /// that the topic takes.
    pub(crate) fn look(&self, from_s: i64, to_s: i64, of: &Topic, names: &Names) -> Vec<Look> {
        let look = |(&second, at): (&i64, &Second)| Look {
            second,
            longest_s: at.longest_s,
            parts: [
                at.sealed.clone(),
                Arc::new(Sealed::new(at.opened(of, names))),
            ],
        };
        self.kept
            .range(from_s..to_s.max(from_s))
            .map(look)
            .collect()
    }
}

impl Second {
    fn opened(&self, of: &Topic, names: &Names) -> Vec<Counted> {
        let mut pieces = Vec::new();
        for (&id, tally) in &self.open {
            if let Some(key) = names.key(id).filter(|key| of.takes(key)) {
                // Not added together: that is for whoever asks to do, in their own time.
                tally.pieces(key, &mut pieces);
            }
        }
        pieces
    }

    fn seal(&mut self, names: &Names, folder: &mut Folder) {
        let mut whole = Vec::with_capacity(self.open.len().max(self.sealed.pieces.len()));
        for counted in &self.sealed.pieces {
            // What came late is added to what was sealed before.
            whole.push(counted.clone());
        }
        let mut places: HashMap<_, _> = whole
            .iter()
            .enumerate()
            .map(|(place, counted)| (counted.key.clone(), place))
            .collect();
        for (id, tally) in self.open.drain() {
            let Some(key) = names.key(id) else {
                continue;
            };
            let fresh = tally.fold(key.clone(), folder);
            match places.get(key).and_then(|&place| whole.get_mut(place)) {
                Some(before) => before.merge(&fresh, folder),
                None => {
                    places.insert(key.clone(), whole.len());
                    whole.push(fresh);
                }
            }
        }
        self.open.shrink_to_fit();
        self.bytes = SECOND_BYTES + whole.iter().map(Counted::bytes).sum::<usize>();
        self.sealed = Arc::new(Sealed::new(whole));
    }
}

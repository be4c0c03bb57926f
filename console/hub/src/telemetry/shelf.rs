//! Minutes that somebody asked about, added together as the question takes them: screens ask
//! the same again every few seconds, and a minute of a large fleet is thousands of rows.
//!
//! A page is all that was counted of its minute at one moment. Whatever is counted of the minute
//! later takes the page away, and a page that was being written meanwhile is not taken in: what
//! is on the shelf is what the disk and memory would say, always.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use binnacle_core::series::SeriesKey;

use crate::store::{Rollup, RollupQuery, Span};
use crate::telemetry::Question;

/// How far back pages are kept: as far as screens reach.
const KEEP_US: i64 = 25 * 3_600 * 1_000_000;
/// Topics at once: some consoles, each on another model.
const MAX_TOPICS: usize = 32;
/// Sweeps, a minute each, after which a topic is forgotten that nobody asked about: memory answers
/// for about as long, so that whoever comes back later finds the gap on the disk.
const IDLE_SWEEPS: u32 = 15;
/// How long after its end a minute is put on the shelf: earlier, windows still come in.
const SETTLE_US: i64 = 5_000_000;
/// Minutes that are remembered to have been added to late; more come only after a hub was away
/// for a day.
const MAX_LATE: usize = 2_000;
/// Bytes of a row or page beside its counts.
const ROW_BYTES: usize = size_of::<Rollup>() + 16;

/// All rows of one minute, one for each span and series.
pub(crate) type Page = Arc<[Rollup]>;

/// What a question is about, whatever its time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Topic {
    model: Option<Arc<str>>,
    version: Option<Arc<str>>,
    is_folded: bool,
}

impl Topic {
    /// The topic of a question about all hosts.
    pub(crate) fn of(question: &Question) -> Self {
        Self {
            model: question.model.clone(),
            version: question.version.clone(),
            is_folded: question.is_folded,
        }
    }

    /// Everything.
    pub(crate) fn all() -> Self {
        Self {
            model: None,
            version: None,
            is_folded: false,
        }
    }

    /// Whether it takes a series.
    pub(crate) fn takes(&self, key: &SeriesKey) -> bool {
        self.model.as_ref().is_none_or(|model| *model == key.model)
            && self.version.as_ref().is_none_or(|it| *it == key.version)
    }

    /// What is asked of the disk about it; the flush is for others to say.
    pub(crate) fn query(&self, span: Range<i64>) -> RollupQuery {
        RollupQuery {
            from_us: span.start,
            to_us: span.end,
            model: self.model.clone(),
            version: self.version.clone(),
            flush: 0,
        }
    }

    /// Whether its pages are kept: all series of a large fleet by name would fill the shelf.
    fn is_kept(&self) -> bool {
        self.is_folded || self.model.is_some()
    }
}

/// Whether pages of such a topic and span are kept.
pub(crate) fn is_kept(topic: &Topic, span: &Range<i64>, now_us: i64) -> bool {
    topic.is_kept()
        && span.start >= now_us.saturating_sub(KEEP_US)
        && span.end <= now_us.saturating_add(KEEP_US)
}

/// The shelf.
#[derive(Debug)]
pub(crate) struct Shelf {
    topics: HashMap<Topic, Pages>,
    bytes: usize,
    limit: usize,
    /// Pages that were dropped for want of room.
    evicted: u64,
    /// Minutes before this time may be on the shelf, or on their way to it.
    settled_us: i64,
    /// Grows with each window that comes late for that.
    number: u64,
    /// Which minutes such windows were of, and the number of the last.
    late: BTreeMap<i64, u64>,
    /// Pages that were begun before this number are not taken in.
    least: u64,
    sweeps: u32,
}

#[derive(Debug, Default)]
struct Pages {
    minutes: BTreeMap<i64, Page>,
    /// The sweep before which it was last asked about.
    asked: u32,
}

impl Shelf {
    /// An empty one, for so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            topics: HashMap::new(),
            bytes: 0,
            limit,
            evicted: 0,
            settled_us: i64::MIN,
            number: 0,
            late: BTreeMap::new(),
            least: 0,
            sweeps: 0,
        }
    }

    /// Something that began at `start_us` was counted.
    pub(crate) fn counted(&mut self, start_us: i64) {
        // Nearly always: live windows are of a minute that is not settled.
        if start_us >= self.settled_us {
            return;
        }
        let minute_us = Span::Minute.start_of(start_us);
        self.number += 1;
        self.late.insert(minute_us, self.number);
        if self.late.len() > MAX_LATE {
            self.late.clear();
            self.least = self.number;
        }
        for pages in self.topics.values_mut() {
            if let Some(page) = pages.minutes.remove(&minute_us) {
                self.bytes -= bytes(&page);
            }
        }
    }

    /// The pages of `span` that are there, and the number under which others may be brought.
    pub(crate) fn look(
        &mut self,
        topic: &Topic,
        span: Range<i64>,
        now_us: i64,
    ) -> (u64, BTreeMap<i64, Page>) {
        let settled_us = Span::Minute.start_of(now_us - SETTLE_US);
        self.settled_us = self.settled_us.max(settled_us);
        let Some(pages) = self.topics.get_mut(topic) else {
            return (self.number, BTreeMap::new());
        };
        pages.asked = self.sweeps;
        let there = pages.minutes.range(span);
        let there = there.map(|(&minute_us, page)| (minute_us, page.clone()));
        (self.number, there.collect())
    }

    /// Minutes before this time are taken in.
    pub(crate) fn settled_us(&self) -> i64 {
        self.settled_us
    }

    /// Takes pages in that were begun when [`Shelf::look`] gave `number`.
    pub(crate) fn put(&mut self, topic: Topic, number: u64, fresh: Vec<(i64, Page)>) {
        if number < self.least {
            return;
        }
        let (late, settled_us) = (&self.late, self.settled_us);
        let is_whole = |minute_us: &i64| {
            *minute_us < settled_us && late.get(minute_us).is_none_or(|last| *last <= number)
        };
        let pages = self.topics.entry(topic).or_default();
        pages.asked = self.sweeps;
        for (minute_us, page) in fresh.into_iter().filter(|(at, _)| is_whole(at)) {
            self.bytes += bytes(&page);
            if let Some(before) = pages.minutes.insert(minute_us, page) {
                self.bytes -= bytes(&before);
            }
        }
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.topics.len() > MAX_TOPICS || self.bytes > self.limit {
            let oldest = self.topics.iter().min_by_key(|(_, pages)| pages.asked);
            let Some(oldest) = oldest.map(|(topic, _)| topic.clone()) else {
                return;
            };
            if self.topics.len() > 1 {
                self.forget(&oldest);
            } else if let Some(pages) = self.topics.get_mut(&oldest)
                && let Some((_, page)) = pages.minutes.pop_first()
            {
                self.bytes -= bytes(&page);
                self.evicted += 1;
            } else {
                return;
            }
        }
    }

    fn forget(&mut self, topic: &Topic) {
        if let Some(pages) = self.topics.remove(topic) {
            self.bytes -= pages.minutes.values().map(bytes).sum::<usize>();
            self.evicted += pages.minutes.len() as u64;
        }
    }

    /// What comes with time: topics that nobody asks about, and pages that are too old, go.
    pub(crate) fn sweep(&mut self, now_us: i64) {
        self.sweeps = self.sweeps.wrapping_add(1);
        let from_us = now_us.saturating_sub(KEEP_US);
        let sweeps = self.sweeps;
        let mut freed = 0;
        self.topics.retain(|_, pages| {
            let is_asked = sweeps.wrapping_sub(pages.asked) <= IDLE_SWEEPS;
            pages.minutes.retain(|minute_us, page| {
                let stays = is_asked && *minute_us >= from_us;
                freed += if stays { 0 } else { bytes(page) };
                stays
            });
            is_asked
        });
        self.bytes -= freed;
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Pages that were dropped for want of room.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }
}

fn bytes(page: &Page) -> usize {
    let rows = page.iter().map(|row| row.window.latency.counts.len());
    ROW_BYTES + rows.map(|counts| counts + ROW_BYTES).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::iter::once;

    use super::*;

    const MINUTE: i64 = 60 * 1_000_000;
    /// Some noon, and some seconds.
    const NOW: i64 = 28_333_334 * MINUTE + 9_000_000;
    const FROM: i64 = NOW - NOW % MINUTE - 10 * MINUTE;

    fn topic(model: usize) -> Topic {
        Topic {
            model: Some(format!("m{model}").into()),
            ..Topic::all()
        }
    }

    fn put(shelf: &mut Shelf, model: usize, minutes: i64) {
        let (number, _) = shelf.look(&topic(model), 0..0, NOW);
        let page = |minute| (FROM + minute * MINUTE, Page::from([]));
        shelf.put(topic(model), number, (0..minutes).map(page).collect());
    }

    fn there(shelf: &mut Shelf, model: usize) -> usize {
        shelf.look(&topic(model), FROM..NOW, NOW).1.len()
    }

    #[test]
    fn a_page_is_kept_until_something_of_its_minute_is_counted() {
        let mut shelf = Shelf::new(usize::MAX);
        put(&mut shelf, 1, 20);
        assert_eq!(there(&mut shelf, 1), 10, "the eleventh minute goes on");
        shelf.counted(FROM + 3 * MINUTE + 7);
        assert_eq!(there(&mut shelf, 1), 9);
        put(&mut shelf, 1, 10);
        assert_eq!(there(&mut shelf, 1), 10);
        let (number, _) = shelf.look(&topic(1), 0..0, NOW);
        shelf.counted(FROM);
        shelf.put(topic(1), number, once((FROM, Page::from([]))).collect());
        assert_eq!(there(&mut shelf, 1), 9, "it was begun before");
    }

    #[test]
    fn there_is_room_for_so_much_and_who_asks_least_makes_it() {
        let mut shelf = Shelf::new(15 * ROW_BYTES);
        put(&mut shelf, 1, 10);
        shelf.sweep(NOW);
        put(&mut shelf, 2, 10);
        assert_eq!((there(&mut shelf, 1), there(&mut shelf, 2)), (0, 10));
        assert_eq!((shelf.evicted(), shelf.bytes()), (10, 10 * ROW_BYTES));
        let mut shelf = Shelf::new(4 * ROW_BYTES);
        put(&mut shelf, 1, 10);
        assert_eq!((there(&mut shelf, 1), shelf.evicted()), (4, 6));
        let mut shelf = Shelf::new(usize::MAX);
        (0..2 * MAX_TOPICS).for_each(|model| put(&mut shelf, model, 1));
        assert_eq!(shelf.topics.len(), MAX_TOPICS);
    }

    #[test]
    fn what_nobody_asks_about_any_more_goes() {
        let mut shelf = Shelf::new(usize::MAX);
        put(&mut shelf, 1, 10);
        (0..IDLE_SWEEPS).for_each(|_| shelf.sweep(NOW));
        assert_eq!(there(&mut shelf, 1), 10);
        shelf.sweep(NOW + KEEP_US - 5 * MINUTE);
        assert!(there(&mut shelf, 1) < 10);
        (0..=IDLE_SWEEPS).for_each(|_| shelf.sweep(NOW));
        assert_eq!((there(&mut shelf, 1), shelf.bytes()), (0, 0));
    }
}

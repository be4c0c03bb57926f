//! All that the owner knows, and what it does with a report: no clock, no task, no disk.
//!
//! A report is counted in three places at once: in the second in which it began, in the delta
//! that the next flush writes, and in its host's last minute. Its sequences join the next
//! flush's watermarks together with its counts, so that the two can never disagree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use binnacle_core::report::{BootId, Report};
use binnacle_core::series::SeriesWindow;
use binnacle_sketch::Counts;
use tokio::sync::watch;

use crate::store::{
    Flushed, KEEP_US, KEEP_WATERMARK_US, Rollup, RollupBatch, RollupQuery, Span, Watermark,
};
use crate::telemetry::closing::{Closing, Parts};
use crate::telemetry::history::MinutesBeside;
use crate::telemetry::hosts::{Host, Room};
use crate::telemetry::names::Names;
use crate::telemetry::pages::Known;
use crate::telemetry::pending::Pending;
use crate::telemetry::ranges::Standing;
use crate::telemetry::recent::{self, Packer};
use crate::telemetry::seconds::{Look, Seconds};
use crate::telemetry::shelf::{Page, Shelf, Topic};
use crate::telemetry::tally::{Counted, Folder};
use crate::telemetry::{Ack, HostReading, Minute, Pulse, Settings};

/// Bytes of a host beside its last minute: its name, boot, moment, and their place.
const HOST_BYTES: usize = 1_536;

const SECOND_US: i64 = 1_000_000;

/// Everything measured that is in memory.
#[derive(Debug)]
pub(crate) struct Book {
    settings: Settings,
    writer: [u8; 16],
    names: Names,
    folder: Folder,
    counts: Counts,
    packer: Packer,
    seconds: Seconds,
    closing: Closing,
    shelf: Shelf,
    pending: Pending,
    /// What is being written: neither on the disk for sure, nor pending.
    flying: Option<Arc<RollupBatch>>,
    committed: u64,
    hosts: HashMap<Arc<str>, Host>,
    listed: Vec<(Arc<str>, BootId)>,
    recent_bytes: usize,
    /// Bytes of hosts' windows that came late, at most, and are in no batch yet.
    late_bytes: usize,
    drops: Drops,
}

/// What was not counted where it should have been, since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Drops {
    duplicates: u64,
    overlaps: u64,
    malformed: u64,
    misplaced: u64,
    holes: u64,
    boots: u64,
}

impl Book {
    /// The book as the store left it.
    pub(crate) fn new(
        settings: Settings,
        writer: [u8; 16],
        flushed: Flushed,
        marks: Vec<Watermark>,
        now_us: i64,
    ) -> Self {
        let mut hosts = HashMap::<Arc<str>, Host>::new();
        for mark in marks {
            hosts.entry(mark.host.clone()).or_default().remember(mark);
        }
        // Before this second, the disk may hold what memory does not.
        let whole_from_s = now_us.max(flushed.end_us).div_euclid(SECOND_US) + 1;
        Self {
            seconds: Seconds::new(whole_from_s, settings.seconds_limit()),
            closing: Closing::new(now_us, flushed.flush),
            shelf: Shelf::new(settings.shelf_limit()),
            settings,
            writer,
            names: Names::default(),
            folder: Folder::default(),
            counts: Counts::default(),
            packer: Packer::default(),
            pending: Pending::default(),
            flying: None,
            committed: flushed.flush,
            hosts,
            listed: Vec::new(),
            recent_bytes: 0,
            late_bytes: 0,
            drops: Drops::default(),
        }
    }

    /// Counts a report, once. `elapsed_us` is the monotonic clock's.
    pub(crate) fn receive(
        &mut self,
        name: Arc<str>,
        mut report: Report,
        received_us: i64,
        elapsed_us: i64,
    ) {
        let hosts = self.hosts.len().max(1);
        let host = self.hosts.entry(name.clone()).or_default();
        let has_waited = report.moment.is_none();
        let start_us = host.hear(&mut report, received_us, elapsed_us);
        let (boot, forgotten) = host.boot(report.boot);
        self.drops.boots += forgotten;
        boot.heard_us = received_us;
        if report.first == 0 || report.last < report.first {
            self.drops.malformed += 1;
            return;
        }
        match boot.counted.standing(report.first, report.last) {
            Standing::New => self.drops.holes += boot.counted.insert(report.first, report.last),
            Standing::Counted => {
                self.drops.duplicates += 1;
                let ack = boot.ack();
                return host.tell(ack);
            }
            Standing::Torn => {
                self.drops.overlaps += 1;
                boot.is_torn = true;
                tracing::warn!(
                    host = %name, boot = %report.boot, first = report.first, last = report.last,
                    "report refused: some of its windows were counted before, and not the rest",
                );
                return;
            }
        }
        if !boot.is_listed {
            boot.is_listed = true;
            self.listed.push((name.clone(), report.boot));
        }
        let ack = boot.ack();
        if has_waited {
            host.tell(ack);
        }
        let start_us = self.place(start_us, received_us);
        self.shelf.counted(start_us);
        let counted = self.count(&report, start_us, received_us);
        let mut room = Room {
            packer: &mut self.packer,
            folder: &mut self.folder,
            share: self.settings.recent_limit() / hosts,
            open_us: self.closing.open_us(),
        };
        if let Some(host) = self.hosts.get_mut(&name) {
            let before = host.bytes();
            let at = (start_us, received_us);
            self.late_bytes += host.count(&report, at, counted, &mut room);
            self.recent_bytes = self.recent_bytes + host.bytes() - before;
        }
    }

    /// A start that can be: not after it was received, not before what is kept.
    fn place(&mut self, start_us: i64, received_us: i64) -> i64 {
        let placed = start_us.clamp(received_us.saturating_sub(KEEP_US), received_us);
        // Up to a second is a clock that runs ahead by less than is corrected.
        if placed.abs_diff(start_us) > SECOND_US.unsigned_abs() {
            self.drops.misplaced += 1;
        }
        placed
    }

    /// Counts a report's series; answers with its requests, and those that failed.
    fn count(&mut self, report: &Report, start_us: i64, received_us: i64) -> (u64, u64) {
        let mut counted = (0, 0);
        let span_s = report.span_ms.div_ceil(1_000);
        let span = if span_s <= 10 {
            Span::TenSeconds
        } else {
            Span::Minute
        };
        let second = start_us.div_euclid(SECOND_US);
        let is_recent = start_us >= received_us - recent::KEEP_US;
        for SeriesWindow {
            key,
            latency,
            request_bytes,
            response_bytes,
        } in &report.series
        {
            let Ok(requests) = self.counts.read(latency) else {
                self.drops.malformed += 1;
                continue;
            };
            counted.0 += requests;
            counted.1 += if key.outcome.is_error() { requests } else { 0 };
            let id = self.names.id(key, requests, received_us);
            let bodies = (*request_bytes, *response_bytes);
            if let Some(tally) = self.seconds.tally(second, span_s, id) {
                tally.add_read(latency, &self.counts, &mut self.folder);
                tally.add_bytes(bodies.0, bodies.1);
            }
            let tally = self.pending.tally(start_us, span, id);
            tally.add_read(latency, &self.counts, &mut self.folder);
            tally.add_bytes(bodies.0, bodies.1);
            if is_recent {
                self.packer.put(id, latency, bodies);
            }
        }
        counted
    }

    /// What comes with time: seconds are sealed.
    pub(crate) fn seal(&mut self, now_us: i64) {
        let now_s = now_us.div_euclid(SECOND_US);
        self.seconds.seal(now_s, &self.names, &mut self.folder);
        self.closing.begin(now_us, &mut self.hosts);
    }

    /// Finishes the last minute for some hosts, where that is due; answers with the minute
    /// once it is finished for all.
    pub(crate) fn turn(&mut self) -> Option<Arc<Minute>> {
        let is_finished = self.closing.turn(&mut self.hosts, &mut self.folder);
        self.closing.last().filter(|_| is_finished).cloned()
    }

    /// Whether minutes are being finished.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_underway()
    }

    /// What comes with much time: idle series, hosts and boots are forgotten.
    pub(crate) fn sweep(&mut self, now_us: i64) {
        // Deltas refer to series by number: none is older than the last flush, unless it fails.
        if self.flying.is_none() {
            self.names.sweep(now_us);
        }
        let heard_from = now_us.saturating_sub(KEEP_WATERMARK_US);
        for host in self.hosts.values_mut() {
            host.boots
                .retain(|boot| boot.is_listed || boot.heard_us >= heard_from);
        }
        self.hosts.retain(|_, host| !host.is_gone());
        self.recent_bytes = self.hosts.values().map(Host::bytes).sum();
        self.shelf.sweep(now_us);
    }

    /// What is to be written next: what failed before, or all that came since.
    pub(crate) fn batch(&mut self, elapsed_us: i64) -> Option<Arc<RollupBatch>> {
        if let Some(flying) = &self.flying {
            return Some(flying.clone());
        }
        let mut listed = std::mem::take(&mut self.listed);
        let names: Vec<_> = listed.iter().map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(host) = self.hosts.get_mut(&name) else {
                continue;
            };
            for id in host.give_up_holes(elapsed_us) {
                let (boot, _) = host.boot(id);
                if !boot.is_listed {
                    boot.is_listed = true;
                    listed.push((name.clone(), id));
                }
            }
        }
        if listed.is_empty() && self.pending.is_empty() && self.closing.waiting().is_empty() {
            return None;
        }
        self.late_bytes = 0;
        let (open_us, mut parts) = (self.closing.open_us(), Parts::default());
        let fresh = self.closing.take_fresh();
        fresh.into_iter().for_each(|draft| parts.draft(draft));
        let mut watermarks = Vec::with_capacity(listed.len());
        for (name, id) in listed {
            let Some(host) = self.hosts.get_mut(&name) else {
                continue;
            };
            parts.take(&name, host, open_us, &mut self.folder);
            if let Some(boot) = host.boots.iter_mut().find(|boot| boot.id == id) {
                boot.is_listed = false;
                watermarks.push(boot.watermark(&name));
            }
        }
        let batch = Arc::new(RollupBatch {
            flush: self.committed + 1,
            writer: self.writer,
            rollups: self.pending.take(&self.names, &mut self.folder),
            watermarks,
            minutes: self
                .closing
                .take()
                .into_iter()
                .chain(parts.into_parts())
                .collect(),
        });
        self.flying = Some(batch.clone());
        Some(batch)
    }

    /// What was being written is on the disk: agents may forget it.
    pub(crate) fn committed(&mut self) {
        let Some(batch) = self.flying.take() else {
            return;
        };
        self.committed = batch.flush;
        for mark in &batch.watermarks {
            let Some(host) = self.hosts.get_mut(&mark.host) else {
                continue;
            };
            let boot = host.boots.iter_mut().find(|boot| boot.id == mark.boot);
            if let Some(ack) = boot.map(|boot| {
                boot.durable = boot.durable.max(mark.durable);
                boot.ack()
            }) {
                host.tell(ack);
            }
        }
    }

    /// Whether more waits for the disk than may.
    pub(crate) fn is_full(&self) -> bool {
        let waiting = self.pending.bytes() + self.late_bytes;
        waiting + self.flying_bytes() > self.settings.pending_limit()
    }

    /// Whether so much came late that it is better written at once than at the next flush.
    pub(crate) fn is_pressed(&self) -> bool {
        self.late_bytes > self.settings.pending_limit() / 4
    }

    /// A host's stream has opened: its acks from now on.
    pub(crate) fn dialled(&mut self, host: Arc<str>, elapsed_us: i64) -> watch::Receiver<Vec<Ack>> {
        self.hosts.entry(host).or_default().dialled(elapsed_us)
    }

    /// How much is durable of each start of a host's agent.
    pub(crate) fn watermarks(&self, host: &str) -> Vec<(BootId, u64)> {
        let boots = self.hosts.get(host).map_or(&[][..], |host| &host.boots);
        boots.iter().map(|boot| (boot.id, boot.durable)).collect()
    }

    /// What is known of each of these hosts; `None` for one that has not reported.
    pub(crate) fn readings(&mut self, hosts: &[Arc<str>], now_us: i64) -> Vec<Option<HostReading>> {
        let mut readings = Vec::with_capacity(hosts.len());
        for name in hosts {
            let reading = self.hosts.get_mut(name).and_then(|host| {
                let pulse = host.pulse()?;
                let traffic = host.traffic(now_us, &self.names, &mut self.folder);
                let (skew_us, moment) = (host.skew_us, host.moment.clone());
                Some(HostReading {
                    pulse,
                    skew_us,
                    moment,
                    traffic,
                })
            });
            readings.push(reading);
        }
        readings
    }

    /// Whether each of these hosts is heard; `None` for one that has not reported.
    pub(crate) fn pulses(&self, hosts: &[Arc<str>]) -> Vec<Option<Pulse>> {
        let pulse = |name: &Arc<str>| self.hosts.get(name)?.pulse();
        hosts.iter().map(pulse).collect()
    }

    /// The hosts whose pulse has turned since this was last asked, in order of name: a walk over
    /// all of them, which a look-up of each would take ten times as long for.
    pub(crate) fn turned(&mut self, now_us: i64) -> Vec<(Arc<str>, Pulse)> {
        let turned = self.hosts.iter_mut().filter_map(|(name, host)| {
            let pulse = host.has_turned(now_us).then(|| host.pulse())?;
            Some((name.clone(), pulse?))
        });
        let mut turned: Vec<_> = turned.collect();
        turned.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        turned
    }

    /// One host's windows of the last minute that began in `[from_us, to_us)`.
    pub(crate) fn recent(&self, host: &str, from_us: i64, to_us: i64) -> Vec<(i64, Counted)> {
        let Some(host) = self.hosts.get(host) else {
            return Vec::new();
        };
        let counted = |(start_us, part): (i64, recent::Part)| {
            let counted = Counted {
                key: self.names.key(part.id)?.clone(),
                latency: part.latency,
                request_bytes: part.request_bytes,
                response_bytes: part.response_bytes,
            };
            Some((start_us, counted))
        };
        host.recent
            .parts(from_us, to_us)
            .filter_map(counted)
            .collect()
    }

    /// The first second from which memory holds all.
    pub(crate) fn whole_from_us(&self) -> i64 {
        self.seconds.whole_from_s() * SECOND_US
    }

    /// The seconds of `[from_us, to_us)` that memory holds; of those that are open, only what
    /// the topic takes.
    pub(crate) fn seconds(&self, of: &Topic, from_us: i64, to_us: i64) -> Vec<Look> {
        let (from_s, to_s) = (from_us.div_euclid(SECOND_US), to_us.div_euclid(SECOND_US));
        self.seconds.look(from_s, to_s, of, &self.names)
    }

    /// What is known of a span of whole minutes, and what has to be read.
    pub(crate) fn minutes(&mut self, topic: &Topic, span: Range<i64>, now_us: i64) -> Known {
        let (number, shelved) = self.shelf.look(topic, span.clone(), now_us);
        let (mut remembered, mut read) = (BTreeSet::new(), BTreeSet::new());
        for minute_us in span.step_by(Span::Minute.us() as usize) {
            if shelved.contains_key(&minute_us) {
                continue;
            }
            let from_s = minute_us.div_euclid(SECOND_US);
            let to_s = from_s + i64::from(Span::Minute.seconds());
            // A longer window is a row of its own length on the disk, and is not told apart here.
            let is_remembered = minute_us >= self.whole_from_us()
                && self.seconds.longest_s(from_s, to_s) <= Span::TenSeconds.seconds();
            match is_remembered {
                true => remembered.insert(minute_us),
                false => read.insert(minute_us),
            };
        }
        let in_memory = hull(&remembered);
        let looks = self.seconds(topic, in_memory.start, in_memory.end);
        let (query, beside) = self.beside_disk(topic.query(hull(&read)));
        Known {
            number,
            settled_us: self.shelf.settled_us(),
            shelved,
            remembered,
            looks,
            read,
            query,
            beside,
        }
    }

    /// Takes pages for the shelf in, which were begun under this number.
    pub(crate) fn shelve(&mut self, topic: Topic, number: u64, pages: Vec<(i64, Page)>) {
        self.shelf.put(topic, number, pages);
    }

    /// What a query asks for and the disk does not hold; the rest of it is there in rows of
    /// the flush that is answered, and of those before.
    pub(crate) fn beside_disk(&mut self, mut query: RollupQuery) -> (RollupQuery, Vec<Rollup>) {
        query.flush = self.committed;
        let mut rows = self.pending.look(&query, &self.names, &mut self.folder);
        let flying = self.flying.iter().flat_map(|batch| &batch.rollups);
        rows.extend(flying.filter(|row| query.asks_for(row)).cloned());
        (query, rows)
    }

    /// Hosts' minutes beside the disk: what a query needs to know of what is on it, and what
    /// is not there, or not for sure.
    pub(crate) fn minutes_beside_disk(&self) -> MinutesBeside {
        let flying = self.flying.iter();
        MinutesBeside {
            committed: self.committed,
            drafts_after: self.closing.drafts_after(),
            open_us: self.closing.open_us(),
            flying: flying.flat_map(|batch| batch.minutes.clone()).collect(),
            waiting: self.closing.waiting().to_vec(),
        }
    }

    /// Bytes in use, estimated.
    pub(crate) fn memory(&self) -> u64 {
        let hosts = self.hosts.len() * HOST_BYTES + self.recent_bytes;
        let deltas = self.pending.bytes() + self.flying_bytes();
        (self.seconds.bytes() + self.shelf.bytes() + deltas + hosts) as u64
    }

    /// Each limit that something ran into, and how often.
    pub(crate) fn dropped(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::from([
            ("telemetry_duplicate_reports", self.drops.duplicates),
            ("telemetry_torn_reports", self.drops.overlaps),
            ("telemetry_malformed_series", self.drops.malformed),
            ("telemetry_windows_moved_in_time", self.drops.misplaced),
            ("telemetry_holes_closed", self.drops.holes),
            ("telemetry_boots_forgotten", self.drops.boots),
            ("telemetry_requests_counted_as_other", self.names.overflow()),
            ("telemetry_seconds_evicted", self.seconds.evicted()),
            ("telemetry_minutes_evicted", self.shelf.evicted()),
        ])
    }

    fn flying_bytes(&self) -> usize {
        let rows = self.flying.iter().flat_map(|batch| &batch.rollups);
        rows.map(|row| size_of::<Rollup>() + row.window.latency.counts.len())
            .sum()
    }
}

/// From the first of these minutes to the end of the last.
fn hull(minutes: &BTreeSet<i64>) -> Range<i64> {
    match (minutes.first(), minutes.last()) {
        (Some(&first), Some(&last)) => first..last.saturating_add(Span::Minute.us()),
        (None, _) | (_, None) => 0..0,
    }
}

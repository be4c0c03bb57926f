//! How minutes are finished: some seconds after their end, some hosts at a time, so that
//! counting never waits for more than a few milliseconds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use binnacle_core::view::Cell;

use crate::store::{MinutePart, PartKind, Span};
use crate::telemetry::Minute;
use crate::telemetry::hosts::Host;
use crate::telemetry::tally::Folder;

/// How long after its end a minute is finished: agents seal on the second, and a report that
/// the network holds up takes two or three more.
const SETTLE_US: i64 = 4_000_000;
/// Hosts in one turn: some 20 µs each where they serve one model. One in tests, so that things
/// happen in between.
const HOSTS_A_TURN: usize = if cfg!(test) { 1 } else { 100 };

type Hosts = HashMap<Arc<str>, Host>;
type Cells = Vec<(Arc<str>, Cell)>;

/// Which minutes are finished, and what of them is to be written.
#[derive(Debug)]
pub(crate) struct Closing {
    /// Minutes before this time are finished.
    open_us: i64,
    pass: Option<Pass>,
    /// The last flush before the hub started.
    drafts_after: u64,
    /// Finished, and in no batch yet.
    waiting: Vec<MinutePart>,
    last: Option<Arc<Minute>>,
}

/// Minutes while they are finished, host by host.
#[derive(Debug)]
struct Pass {
    until_us: i64,
    left: Vec<Arc<str>>,
    done: BTreeMap<i64, Cells>,
    /// What no draft tells of, of hosts that are done: a flush before the pass ends calls it
    /// durable, so it has to be written with it.
    fresh: Vec<(i64, Arc<str>, Cell)>,
}

impl Closing {
    /// Minutes from the one that holds `now_us` on are open.
    pub(crate) fn new(now_us: i64, drafts_after: u64) -> Self {
        Self {
            open_us: Span::Minute.start_of(now_us),
            pass: None,
            drafts_after,
            waiting: Vec::new(),
            last: None,
        }
    }

    /// From when on minutes are open, for hosts that the pass under way has not come to.
    pub(crate) fn open_us(&self) -> i64 {
        self.open_us
    }

    /// The last flush before the hub started.
    pub(crate) fn drafts_after(&self) -> u64 {
        self.drafts_after
    }

    /// The last minute that is finished.
    pub(crate) fn last(&self) -> Option<&Arc<Minute>> {
        self.last.as_ref()
    }

    /// What is finished and in no batch yet.
    pub(crate) fn waiting(&self) -> &[MinutePart] {
        &self.waiting
    }

    /// Takes what is finished, for a batch.
    pub(crate) fn take(&mut self) -> Vec<MinutePart> {
        std::mem::take(&mut self.waiting)
    }

    /// What a flush has to write as drafts of hosts that the pass under way is done with.
    pub(crate) fn take_fresh(&mut self) -> Vec<(i64, Arc<str>, Cell)> {
        let pass = self.pass.as_mut();
        pass.map(|pass| std::mem::take(&mut pass.fresh))
            .unwrap_or_default()
    }

    /// Whether a pass is under way.
    pub(crate) fn is_underway(&self) -> bool {
        self.pass.is_some()
    }

    /// Begins a pass where a minute has ended.
    pub(crate) fn begin(&mut self, now_us: i64, hosts: &mut Hosts) {
        if self.pass.is_some() {
            return;
        }
        // A clock that was set back must not keep minutes from being finished for as long.
        if self.open_us - now_us > 2 * Span::Minute.us() {
            self.open_us = Span::Minute.start_of(now_us);
            let minutes = hosts.values_mut().map(|host| &mut host.minutes);
            minutes.for_each(|minutes| minutes.reopen(self.open_us));
        }
        let until_us = Span::Minute.start_of(now_us - SETTLE_US);
        if until_us > self.open_us {
            self.pass = Some(Pass {
                until_us,
                left: due(hosts, until_us),
                done: BTreeMap::new(),
                fresh: Vec::new(),
            });
        }
    }

    /// One turn of a pass; whether it was the last.
    pub(crate) fn turn(&mut self, hosts: &mut Hosts, folder: &mut Folder) -> bool {
        let Some(pass) = &mut self.pass else {
            return false;
        };
        let span = (self.open_us, pass.until_us);
        let from = pass.left.len().saturating_sub(HOSTS_A_TURN);
        for name in pass.left.drain(from..) {
            let Some(host) = hosts.get_mut(&name) else {
                continue;
            };
            for (start_us, cell, fresh) in host.minutes.finish(span, &host.recent, folder) {
                let cells = pass.done.entry(start_us).or_default();
                cells.push((name.clone(), cell));
                let fresh = fresh.map(|fresh| (start_us, name.clone(), fresh));
                pass.fresh.extend(fresh);
            }
        }
        if pass.left.is_empty() {
            // Hosts that were heard for the first time meanwhile.
            pass.left = due(hosts, pass.until_us);
        }
        if !pass.left.is_empty() {
            return false;
        }
        if let Some(pass) = self.pass.take() {
            self.finish(pass);
        }
        true
    }

    fn finish(&mut self, mut pass: Pass) {
        self.open_us = pass.until_us;
        for cells in pass.done.values_mut() {
            cells.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        }
        let start_us = pass.until_us - Span::Minute.us();
        let cells = pass.done.get(&start_us).cloned().unwrap_or_default();
        self.last = Some(Arc::new(Minute { start_us, cells }));
        let kind = PartKind::Whole {
            drafts_after: self.drafts_after,
        };
        let part = |(start_us, cells)| MinutePart {
            start_us,
            kind,
            cells,
        };
        self.waiting.extend(pass.done.into_iter().map(part));
    }
}

fn due(hosts: &Hosts, until_us: i64) -> Vec<Arc<str>> {
    let due = hosts
        .iter()
        .filter(|(_, host)| host.minutes.is_due(until_us));
    due.map(|(name, _)| name.clone()).collect()
}

/// What hosts add to a batch beside whole minutes, put together by minute.
#[derive(Debug, Default)]
pub(crate) struct Parts(BTreeMap<(i64, PartKind), Cells>);

impl Parts {
    /// Takes what a host has to write: what came late, and drafts of the rest.
    pub(crate) fn take(
        &mut self,
        name: &Arc<str>,
        host: &mut Host,
        open_us: i64,
        folder: &mut Folder,
    ) {
        let mut put = |kind, cells: Vec<(i64, Cell)>| {
            for (start_us, cell) in cells {
                let part = self.0.entry((start_us, kind)).or_default();
                part.push((name.clone(), cell));
            }
        };
        put(PartKind::Late, host.minutes.late(open_us, folder));
        put(PartKind::Draft, host.minutes.drafts());
    }

    /// Adds a draft.
    pub(crate) fn draft(&mut self, (start_us, name, cell): (i64, Arc<str>, Cell)) {
        let part = self.0.entry((start_us, PartKind::Draft)).or_default();
        part.push((name, cell));
    }

    /// All of it.
    pub(crate) fn into_parts(self) -> impl Iterator<Item = MinutePart> {
        self.0
            .into_iter()
            .map(|((start_us, kind), cells)| MinutePart {
                start_us,
                kind,
                cells,
            })
    }
}

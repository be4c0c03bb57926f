//! Hosts' past: minutes from the disk, and those that have not reached it, put together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use binnacle_core::view::{Cell, History};

use crate::store::{MinuteCell, MinutePart, MinuteQuery, PartKind};
use crate::telemetry::Past;

/// Each minute's hosts, and what is known of each.
pub(crate) type ByMinute = BTreeMap<i64, BTreeMap<Arc<str>, Cell>>;

/// What memory knows of hosts' minutes and the disk does not, at one moment.
#[derive(Debug)]
pub(crate) struct MinutesBeside {
    /// The last flush that is on the disk for sure.
    pub(crate) committed: u64,
    /// The last flush before the hub started.
    pub(crate) drafts_after: u64,
    /// Minutes from here on are not finished.
    pub(crate) open_us: i64,
    /// Parts of the next flush, which is being written.
    pub(crate) flying: Vec<MinutePart>,
    /// Parts that are in no flush yet.
    pub(crate) waiting: Vec<MinutePart>,
}

impl MinutesBeside {
    /// Puts them together with what the disk held when its last flush was `flush`; `None`
    /// where that is too much later than this.
    pub(crate) fn together(
        self,
        query: &MinuteQuery,
        flush: u64,
        cells: Vec<MinuteCell>,
    ) -> Option<ByMinute> {
        if flush > self.committed + 1 {
            return None;
        }
        let has_landed = flush > self.committed;
        let flying = self.flying.iter().filter(|_| !has_landed);
        let beside: Vec<_> = flying
            .chain(&self.waiting)
            .filter(|part| (query.from_us..query.to_us).contains(&part.start_us))
            .collect();
        let is_whole = |part: &&&MinutePart| matches!(part.kind, PartKind::Whole { .. });
        let replaced: Vec<i64> = beside
            .iter()
            .filter(is_whole)
            .map(|it| it.start_us)
            .collect();
        let mut parts = HashMap::<(i64, Arc<str>), Vec<Cell>>::new();
        for cell in cells {
            // Drafts of which the whole is here, and on its way to replace them there.
            let is_old = cell.is_draft && cell.flush > self.drafts_after;
            if !(is_old && replaced.contains(&cell.start_us)) {
                let at = parts.entry((cell.start_us, cell.host)).or_default();
                at.push(cell.cell);
            }
        }
        for part in beside {
            if part.kind == PartKind::Draft && replaced.contains(&part.start_us) {
                continue;
            }
            for (host, cell) in part.cells.iter().filter(|(host, _)| query.takes(host)) {
                let at = parts.entry((part.start_us, host.clone())).or_default();
                at.push(*cell);
            }
        }
        let mut minutes = ByMinute::new();
        for ((start_us, host), cells) in parts {
            let minute = minutes.entry(start_us).or_default();
            minute.insert(host, Cell::together(&cells));
        }
        Some(minutes)
    }
}

impl Past {
    fn step_us(&self) -> i64 {
        i64::from(self.step_s.max(60)) * 1_000_000
    }

    /// The span, widened to whole steps.
    pub(crate) fn span(&self) -> (i64, i64) {
        let step_us = self.step_us();
        let from_us = self.from_us - self.from_us.rem_euclid(step_us);
        let over_us = (self.to_us - from_us).rem_euclid(step_us);
        let rest_us = if over_us == 0 { 0 } else { step_us - over_us };
        (from_us, self.to_us + rest_us)
    }
}

/// Cuts minutes into columns.
pub(crate) fn columns(asked: &Past, minutes: &ByMinute, now_us: i64) -> History {
    let (from_us, to_us) = asked.span();
    let step_us = asked.step_us();
    let column = |host: &Arc<str>, start_us: i64| {
        let span = minutes.range(start_us..start_us + step_us);
        let cells: Vec<Cell> = span
            .filter_map(|(_, hosts)| hosts.get(host).copied())
            .collect();
        (!cells.is_empty()).then(|| Cell::longer(&cells))
    };
    let starts = || (from_us..to_us).step_by(step_us as usize);
    let line = |host: &Arc<str>| {
        let cells = starts().map(|start_us| column(host, start_us)).collect();
        (host.clone(), cells)
    };
    History {
        as_of_us: now_us,
        from_us,
        step_s: (step_us / 1_000_000) as u32,
        hosts: asked.hosts.iter().map(line).collect(),
    }
}

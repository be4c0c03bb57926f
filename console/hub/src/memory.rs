//! How much memory the inference server of each host has, as the host last said.
//!
//! Read by whoever watches a rollout: what grows while a new version is there may be its leak.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use binnacle_core::judge::{Growth, LATELY_US};
use binnacle_core::name::Name;
use binnacle_core::report::Vitals;

/// How long after the first look a server still loads and fills its caches.
const WARM_US: i64 = 10_000_000;
/// Looks that are kept of one host, a second apart: as far back as `LATELY_US`.
const LATE_LOOKS: usize = 16;
/// Between two looks that are kept.
const LOOK_EVERY_US: i64 = 1_000_000;

/// The last word of every host. Clones share it; its size is bounded by the hosts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Mutex<HashMap<Name, Sample>>>);

/// One word of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    server: u64,
    free: u64,
}

/// What was seen of one host while a step was watched.
#[derive(Debug)]
pub(crate) struct Seen {
    began_us: i64,
    first: Option<(i64, u64)>,
    late: std::collections::VecDeque<(i64, u64)>,
    free: u64,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Sample>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a host says of the moment; one that does not know its server says nothing.
    pub(crate) fn told(&self, host: &Name, vitals: &Vitals) {
        if vitals.server_memory == 0 {
            return;
        }
        let sample = Sample {
            server: vitals.server_memory,
            free: vitals.memory_total.saturating_sub(vitals.memory_used),
        };
        self.lock().insert(host.clone(), sample);
    }

    /// Looks at a host once more; says how its memory went since the first look.
    pub(crate) fn look(&self, host: &Name, seen: &mut Seen, now_us: i64) -> Option<Growth> {
        let sample = *self.lock().get(host)?;
        seen.look(sample, now_us);
        seen.growth(host, now_us)
    }
}

impl Seen {
    /// A host that is watched from now on.
    pub(crate) fn since(now_us: i64) -> Self {
        Self {
            began_us: now_us,
            first: None,
            late: std::collections::VecDeque::new(),
            free: 0,
        }
    }

    fn look(&mut self, sample: Sample, now_us: i64) {
        if now_us - self.began_us < WARM_US {
            return;
        }
        self.free = sample.free;
        self.first.get_or_insert((now_us, sample.server));
        let last_us = self.late.back().map(|(at, _)| *at);
        if last_us.is_none_or(|last_us| now_us - last_us >= LOOK_EVERY_US) {
            self.late.push_back((now_us, sample.server));
        }
        if self.late.len() > LATE_LOOKS {
            self.late.pop_front();
        }
    }

    fn growth(&self, host: &Name, now_us: i64) -> Option<Growth> {
        let (first_us, first) = self.first?;
        let (_, last) = self.late.back()?;
        let lately = self.late.iter().find(|(at, _)| now_us - at <= LATELY_US);
        let before = lately.map_or(first, |(_, bytes)| *bytes);
        Some(Growth {
            host: host.clone(),
            lasted_us: now_us - first_us,
            grown: last.saturating_sub(first),
            lately: last.saturating_sub(before),
            free: self.free,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_on_and_on_is_told_with_when_the_host_is_full() {
        let (memory, host) = (Memory::default(), Name::parse("host-1").unwrap());
        let mut seen = Seen::since(0);
        let mut growth = None;
        let mut say = |second: i64, megabytes: u64| {
            let vitals = Vitals {
                server_memory: megabytes << 20,
                memory_used: 1 << 30,
                memory_total: 9 << 30,
                ..Vitals::default()
            };
            memory.told(&host, &vitals);
            growth = memory.look(&host, &mut seen, second * 1_000_000);
            growth.clone()
        };
        assert_eq!(say(0, 100), None, "it still loads");
        let grown = (10..=40).map(|second| say(second, 100 + second as u64 * 5));
        let leaks = grown.last().flatten().unwrap();
        assert_eq!((leaks.grown >> 20, leaks.lately >> 20), (150, 50));
        let full_in_s = leaks.full_in_us().unwrap() / 1e6;
        assert!((1_600.0..1_700.0).contains(&full_in_s), "{full_in_s}");
        let stands = (41..=60).map(|second| say(second, 300));
        let stands = stands.last().flatten().unwrap();
        assert_eq!(stands.full_in_us(), None, "it grows no more");
    }
}

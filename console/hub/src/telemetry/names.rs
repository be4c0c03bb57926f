//! Numbers for series, so that what is kept a million times is four bytes.

use std::collections::HashMap;
use std::sync::Arc;

use binnacle_core::series::{Outcome, SeriesKey};

/// Series at once: fifty models in ten versions with seven outcomes, six times over. A fleet
/// with more has a name that somebody makes up for each request.
pub(crate) const MAX_SERIES: usize = 20_000;
/// Series that nothing was counted of for this long give their number back: by then they are
/// gone from everything that refers to them by number.
const IDLE_US: i64 = 20 * 60 * 1_000_000;
/// The name under which series beyond the limit are counted.
const OTHER: &str = "other";

/// What everything of one outcome is counted by where no names are asked for.
pub(crate) fn nameless(outcome: Outcome) -> SeriesKey {
    SeriesKey {
        endpoint: Arc::default(),
        model: Arc::default(),
        version: Arc::default(),
        outcome,
    }
}

/// A series' number.
pub(crate) type SeriesId = u32;

/// The numbers that are given out.
#[derive(Debug, Default)]
pub(crate) struct Names {
    ids: HashMap<Arc<SeriesKey>, SeriesId>,
    slots: Vec<Option<Slot>>,
    free: Vec<SeriesId>,
    overflow: u64,
}

#[derive(Debug)]
struct Slot {
    key: Arc<SeriesKey>,
    used_us: i64,
}

impl Names {
    /// The number of a series. Beyond the limit, the number of `other` with the same outcome,
    /// and the requests are counted in [`Names::overflow`].
    pub(crate) fn id(&mut self, key: &SeriesKey, requests: u64, now_us: i64) -> SeriesId {
        if let Some(&id) = self.ids.get(key) {
            self.touch(id, now_us);
            return id;
        }
        if self.ids.len() < MAX_SERIES {
            return self.give(key.clone(), now_us);
        }
        self.overflow = self.overflow.saturating_add(requests);
        let other = SeriesKey {
            endpoint: "".into(),
            model: OTHER.into(),
            version: "".into(),
            outcome: key.outcome,
        };
        match self.ids.get(&other).copied() {
            Some(id) => {
                self.touch(id, now_us);
                id
            }
            // One past the limit for each outcome, so that none is turned away.
            None => self.give(other, now_us),
        }
    }

    /// The series of a number.
    pub(crate) fn key(&self, id: SeriesId) -> Option<&Arc<SeriesKey>> {
        Some(&self.slots.get(id as usize)?.as_ref()?.key)
    }

    /// Requests that were counted as `other` since the start.
    pub(crate) fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Takes the numbers of idle series back.
    pub(crate) fn sweep(&mut self, now_us: i64) {
        for (id, place) in self.slots.iter_mut().enumerate() {
            if let Some(slot) = place.take_if(|slot| now_us - slot.used_us > IDLE_US) {
                self.ids.remove(&slot.key);
                self.free.push(id as SeriesId);
            }
        }
    }

    fn touch(&mut self, id: SeriesId, now_us: i64) {
        if let Some(Some(slot)) = self.slots.get_mut(id as usize) {
            slot.used_us = now_us;
        }
    }

    fn give(&mut self, key: SeriesKey, now_us: i64) -> SeriesId {
        let key = Arc::new(key);
        let slot = Slot {
            key: key.clone(),
            used_us: now_us,
        };
        let reused = self.free.pop();
        let id = reused.unwrap_or(self.slots.len() as SeriesId);
        match self.slots.get_mut(id as usize) {
            Some(place) => *place = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        self.ids.insert(key, id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(model: usize) -> SeriesKey {
        SeriesKey {
            endpoint: "".into(),
            model: format!("m{model}").into(),
            version: "1".into(),
            outcome: Outcome::Ok,
        }
    }

    #[test]
    fn names_beyond_the_limit_are_counted_as_other_and_idle_ones_make_room() {
        let mut names = Names::default();
        (0..MAX_SERIES).for_each(|n| {
            names.id(&key(n), 1, 0);
        });
        let other = names.id(&key(MAX_SERIES), 3, IDLE_US);
        assert_eq!(&*names.key(other).unwrap().model, OTHER);
        assert_eq!((names.overflow(), names.ids.len()), (3, MAX_SERIES + 1));
        names.id(&key(7), 1, IDLE_US);
        names.sweep(IDLE_US + 1);
        assert_eq!(names.ids.len(), 2);
        let fresh = names.id(&key(MAX_SERIES + 1), 1, IDLE_US + 1);
        assert_eq!(
            &*names.key(fresh).unwrap().model,
            format!("m{}", MAX_SERIES + 1)
        );
        assert_eq!(names.overflow(), 3);
    }
}

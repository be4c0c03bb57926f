//! Which sequences of one boot are counted: ranges, ascending and apart.

/// Holes kept apart in one boot. Windows that wait are sent oldest first, so a stream leaves
/// one hole, and a reconnect one more.
const MAX_RANGES: usize = 64;

/// A set of sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

/// What a range of sequences is to those that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// None of it is counted.
    New,
    /// All of it is counted.
    Counted,
    /// Some of it is counted: it can be neither counted nor dropped.
    Torn,
}

impl Ranges {
    /// From what was stored, which was once written by [`Ranges::pairs`].
    pub(crate) fn from_pairs(pairs: Vec<(u64, u64)>) -> Self {
        Self(pairs)
    }

    /// First and last of each range.
    pub(crate) fn pairs(&self) -> Vec<(u64, u64)> {
        self.0.clone()
    }

    /// What `first..=last` is to this set.
    pub(crate) fn standing(&self, first: u64, last: u64) -> Standing {
        let touching = self
            .0
            .iter()
            .rev()
            .find(|(from, to)| *from <= last && first <= *to);
        match touching {
            None => Standing::New,
            Some((from, to)) if *from <= first && last <= *to => Standing::Counted,
            Some(_) => Standing::Torn,
        }
    }

    /// Adds `first..=last`; answers with the holes that were closed for want of room.
    pub(crate) fn insert(&mut self, first: u64, last: u64) -> u64 {
        match self.0.last_mut() {
            // Live windows come in order: the hot path is one comparison.
            Some((_, to)) if to.checked_add(1) == Some(first) => *to = last,
            Some(_) | None => self.insert_anywhere(first, last),
        }
        let mut closed = 0;
        while self.0.len() > MAX_RANGES {
            let (from, _) = self.0.remove(0);
            if let Some((next, _)) = self.0.first_mut() {
                *next = from;
            }
            closed += 1;
        }
        closed
    }

    fn insert_anywhere(&mut self, mut first: u64, mut last: u64) {
        let apart = |&(from, to): &(u64, u64)| {
            to.saturating_add(1) < first || last.saturating_add(1) < from
        };
        let joined: Vec<_> = self
            .0
            .iter()
            .copied()
            .filter(|range| !apart(range))
            .collect();
        self.0.retain(apart);
        for (from, to) in joined {
            first = first.min(from);
            last = last.max(to);
        }
        let place = self.0.partition_point(|(from, _)| *from < first);
        self.0.insert(place, (first, last));
    }

    /// The last sequence before the first hole.
    pub(crate) fn prefix(&self) -> u64 {
        match self.0.first() {
            Some(&(1, last)) => last,
            Some(_) | None => 0,
        }
    }

    /// Whether something is missing below the last.
    pub(crate) fn has_holes(&self) -> bool {
        match self.0.as_slice() {
            [] => false,
            [(first, _)] => *first != 1,
            _ => true,
        }
    }

    /// Takes everything below the last as counted.
    pub(crate) fn close_holes(&mut self) {
        if let Some(&(_, last)) = self.0.last() {
            self.0 = vec![(1, last)];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_a_set_of_sequences(
            inserts in prop::collection::vec((1..60u64, 0..6u64), 0..40),
            (first, more) in (1..60u64, 0..6u64),
        ) {
            let mut ranges = Ranges::default();
            let mut model = std::collections::BTreeSet::new();
            for (first, more) in inserts {
                ranges.insert(first, first + more);
                model.extend(first..=first + more);
            }
            let flat: Vec<_> = ranges.pairs().into_iter().flat_map(|(a, b)| a..=b).collect();
            prop_assert_eq!(&flat, &model.iter().copied().collect::<Vec<_>>());
            let apart = ranges.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0);
            prop_assert!(apart, "{:?}", ranges);
            let inside = (first..=first + more).filter(|n| model.contains(n)).count() as u64;
            let expected = match inside {
                0 => Standing::New,
                all if all == more + 1 => Standing::Counted,
                _ => Standing::Torn,
            };
            prop_assert_eq!(ranges.standing(first, first + more), expected);
            let prefix = (1..).take_while(|n| model.contains(n)).last().unwrap_or(0);
            prop_assert_eq!(ranges.prefix(), prefix);
        }
    }

    #[test]
    fn the_lowest_holes_are_closed_when_there_are_too_many_and_counted() {
        let mut ranges = Ranges::default();
        let closed: u64 = (1..=100).map(|n| ranges.insert(n * 10, n * 10)).sum();
        assert_eq!(
            (ranges.0.len(), closed),
            (MAX_RANGES, 100 - MAX_RANGES as u64)
        );
        assert_eq!(ranges.0[0], (10, 370));
        ranges.close_holes();
        assert_eq!(ranges.pairs(), [(1, 1000)]);
    }
}

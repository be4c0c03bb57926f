//! What was counted of late, in cuts that grow coarser with age: the last few ticks one by one,
//! those before by twos, by fours, and so on. Counts add up, so that any span of them can be told
//! exactly, to the grain of its cuts.

use std::collections::{BTreeMap, VecDeque};

use binnacle_sketch::profile::{Counts, Live};

use crate::name::Name;
use crate::packed::{Malformed, Packed, Packer, Unpacker, packed};
use crate::report::InputWindow;

/// Cuts of one size: beyond, the two oldest become one of twice the size.
const EACH: usize = 6;
/// How often a cut may be doubled: six cuts of 1,024 ticks are eight hours.
const LEVELS: u8 = 10;
/// Hosts that are told apart, times features: 192 bytes each, in every cut.
const CELLS: usize = 4_096;

/// What was counted in some ticks.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    /// When the first of it was counted.
    pub(super) from_us: Option<i64>,
    pub(super) requests: u64,
    pub(super) unfit: u64,
    /// By feature of the vector.
    pub(super) features: Vec<Live>,
    /// By host, as far as they are told apart.
    pub(super) hosts: BTreeMap<Name, OfHost>,
}

/// What one host counted.
#[derive(Clone, Debug, Default)]
pub(super) struct OfHost {
    pub(super) requests: u64,
    pub(super) unfit: u64,
    pub(super) features: Vec<Counts>,
}

packed!(Sum {
    from_us,
    requests,
    unfit,
    features,
    hosts,
});

packed!(OfHost {
    requests,
    unfit,
    features,
});

/// Packed, since there are dozens for each feature and they are seldom looked at: a tenth of what
/// the counts take as they are.
#[derive(Clone, Debug)]
struct Cut {
    first: u32,
    last: u32,
    level: u8,
    from_us: Option<i64>,
    sum: Box<[u8]>,
}

impl Cut {
    fn of((first, last): (u32, u32), level: u8, sum: &Sum) -> Self {
        let mut packer = Packer::default();
        sum.pack(&mut packer);
        Self {
            first,
            last,
            level,
            from_us: sum.from_us,
            sum: packer.bytes.into(),
        }
    }

    fn sum(&self) -> Sum {
        let sum = Sum::unpack(&mut Unpacker::new(&self.sum));
        sum.expect("it was packed here, and lay in memory")
    }

    /// This cut and the one after it as one, with the hosts that are told apart.
    fn joined(&self, later: &Self, hosts_most: usize) -> Self {
        let mut sum = self.sum();
        sum.add(&later.sum());
        while sum.hosts.len() > hosts_most && sum.hosts.pop_last().is_some() {}
        Self::of((self.first, later.last), self.level + 1, &sum)
    }
}

/// What lies between two ticks, both of them included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    pub(super) first: u32,
    pub(super) last: u32,
    sum: &'a [u8],
}

impl Span<'_> {
    /// Requests, those of them that do not fit, and what was counted by feature: of all hosts,
    /// which are not unpacked.
    pub(super) fn counted(&self) -> (u64, u64, Vec<Live>) {
        let mut unpacker = Unpacker::new(self.sum);
        let read = |unpacker: &mut Unpacker<'_>| {
            let _from_us = Option::<i64>::unpack(unpacker)?;
            let (requests, unfit) = (u64::unpack(unpacker)?, u64::unpack(unpacker)?);
            Ok::<_, Malformed>((requests, unfit, Vec::unpack(unpacker)?))
        };
        read(&mut unpacker).expect("it was packed here, and lay in memory")
    }
}

/// The cuts, the oldest first.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    features: usize,
    hosts_most: usize,
    cuts: VecDeque<Cut>,
    /// Of the tick that is open.
    open: Sum,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.from_us = match (self.from_us, other.from_us) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
        self.requests = self.requests.saturating_add(other.requests);
        self.unfit = self.unfit.saturating_add(other.unfit);
        self.features.resize(
            self.features.len().max(other.features.len()),
            Live::default(),
        );
        for (own, other) in self.features.iter_mut().zip(&other.features) {
            own.merge(other);
        }
        for (name, other) in &other.hosts {
            self.hosts.entry(name.clone()).or_default().add(other);
        }
    }
}

impl OfHost {
    fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.unfit = self.unfit.saturating_add(other.unfit);
        self.features.resize(
            self.features.len().max(other.features.len()),
            Counts::default(),
        );
        for (own, other) in self.features.iter_mut().zip(&other.features) {
            own.merge(other);
        }
    }
}

impl Recent {
    /// Nothing yet, of so many features.
    pub(super) fn new(features: usize) -> Self {
        Self {
            features,
            hosts_most: (CELLS / features.max(1)).max(2),
            cuts: VecDeque::new(),
            open: Sum::default(),
        }
    }

    /// Adds what a host counted from then on, of these features.
    pub(super) fn add(
        &mut self,
        host: &Name,
        from_us: i64,
        window: &InputWindow,
        features: &[(usize, &Live)],
    ) {
        let mut own = OfHost {
            requests: window.requests,
            unfit: window.unfit,
            features: vec![Counts::default(); self.features],
        };
        let mut sum = Sum {
            from_us: Some(from_us),
            requests: window.requests,
            unfit: window.unfit,
            features: vec![Live::default(); self.features],
            hosts: BTreeMap::new(),
        };
        for (at, live) in features {
            if let Some(counts) = own.features.get_mut(*at) {
                counts.merge(&live.counts);
            }
            if let Some(all) = sum.features.get_mut(*at) {
                all.merge(live);
            }
        }
        self.open.add(&sum);
        let known = self.open.hosts.contains_key(host);
        if known || self.open.hosts.len() < self.hosts_most {
            self.open.hosts.entry(host.clone()).or_default().add(&own);
        }
    }

    /// Closes the tick that is open.
    pub(super) fn close(&mut self, tick: u32) {
        let sum = std::mem::take(&mut self.open);
        self.cuts.push_back(Cut::of((tick, tick), 0, &sum));
        for level in 0..LEVELS {
            let of = |cut: &Cut| cut.level == level;
            if self.cuts.iter().filter(|cut| of(cut)).count() <= EACH {
                break;
            }
            let Some(at) = self.cuts.iter().position(of) else {
                break;
            };
            // The oldest two of one size lie side by side.
            if let Some(later) = self.cuts.remove(at + 1)
                && let Some(cut) = self.cuts.get_mut(at)
            {
                *cut = cut.joined(&later, self.hosts_most);
            }
        }
        let top = |cut: &&Cut| cut.level >= LEVELS;
        if self.cuts.iter().filter(top).count() > EACH {
            self.cuts.pop_front();
        }
    }

    /// The tick that was closed last.
    pub(super) fn last_tick(&self) -> u32 {
        self.cuts.back().map_or(0, |cut| cut.last)
    }

    /// When the first of what [`since`](Self::since) finds was counted.
    pub(super) fn began(&self, tick: u32) -> Option<i64> {
        let after = self.cuts.iter().filter(|cut| cut.first >= tick);
        let first = after.filter_map(|cut| cut.from_us).min();
        first.or_else(|| self.cuts.back()?.from_us)
    }

    /// All that was counted in this tick and after it. A cut that reaches back before it is left
    /// out, unless there is nothing else.
    pub(super) fn since(&self, tick: u32) -> Sum {
        let mut sum = Sum::default();
        let after = self.cuts.iter().filter(|cut| cut.first >= tick);
        after.for_each(|cut| sum.add(&cut.sum()));
        if sum.from_us.is_none()
            && let Some(last) = self.cuts.back()
        {
            sum.add(&last.sum());
        }
        sum
    }

    /// The cuts, the oldest first.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span<'_>> {
        self.cuts.iter().map(|cut| Span {
            first: cut.first,
            last: cut.last,
            sum: &cut.sum,
        })
    }

    /// All that began to be counted at this time or later.
    pub(super) fn since_us(&self, at_us: i64) -> Sum {
        self.of(|from_us| from_us >= at_us)
    }

    /// All that began to be counted earlier.
    pub(super) fn before_us(&self, at_us: i64) -> Sum {
        self.of(|from_us| from_us < at_us)
    }

    fn of(&self, wanted: impl Fn(i64) -> bool) -> Sum {
        let mut sum = Sum::default();
        let cuts = self.cuts.iter();
        let cuts = cuts.filter(|cut| cut.from_us.is_some_and(&wanted));
        cuts.for_each(|cut| sum.add(&cut.sum()));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(requests: u64) -> InputWindow {
        let mut live = Live::default();
        live.counts.bins[0] = requests;
        InputWindow {
            endpoint: "pay".into(),
            version: "fraud@7".parse().unwrap(),
            references: crate::report::References::default(),
            from_us: 0,
            to_us: 0,
            requests,
            unfit: 0,
            skipped: 0,
            dropped: 0,
            features: vec![("x".into(), live)],
        }
    }

    #[test]
    fn cuts_grow_coarser_and_nothing_of_them_is_lost() {
        let (mut recent, name) = (Recent::new(1), Name::parse("a").unwrap());
        for tick in 0..3_000_u32 {
            let window = window(2);
            let live = &window.features[0].1;
            recent.add(&name, i64::from(tick) * 10, &window, &[(0, live)]);
            recent.close(tick);
        }
        assert!(recent.cuts.len() <= EACH * usize::from(LEVELS + 1));
        let all = recent.since(0);
        assert_eq!((all.requests, all.from_us), (6_000, Some(0)));
        assert_eq!(all.features[0].counts.bins[0], 6_000);
        assert_eq!(all.hosts[&name].requests, 6_000);
        assert_eq!(recent.since(2_996).requests, 8, "the last ticks one by one");
        let late = recent.since(2_000).requests;
        assert!((1_000..=2_000).contains(&late), "{late}");
        assert_eq!(recent.since_us(29_990).requests, 2);
        let (before, after) = (recent.before_us(15_000), recent.since_us(15_000));
        assert_eq!(before.requests + after.requests, 6_000);
    }

    #[test]
    fn more_hosts_than_are_told_apart_are_still_counted() {
        let mut recent = Recent::new(2_048);
        for at in 0..9 {
            let window = window(1);
            let name = Name::parse(&format!("host-{at}")).unwrap();
            recent.add(&name, 5, &window, &[(0, &window.features[0].1)]);
        }
        recent.close(1);
        let all = recent.since(1);
        assert_eq!((all.hosts.len(), all.requests), (2, 9));
    }
}

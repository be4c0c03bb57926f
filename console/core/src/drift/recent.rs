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
/// How often a cut may be doubled: six cuts of 8,192 ticks are 68 hours, and all of them six days.
const LEVELS: u8 = 13;
/// How often a cut of which hosts are told apart may be doubled: all of those are four hours, and
/// what moved is laid to a host by what it counted since.
const OF_HOSTS: u8 = 8;
/// Hosts that are told apart, times features: 192 bytes each, in every such cut.
const CELLS: usize = 4_096;

/// What was counted in some ticks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sum {
    /// From when to when it was counted.
    pub(super) span_us: Option<(i64, i64)>,
    pub(super) all: OfAll,
    /// By host, as far as they are told apart.
    pub(super) hosts: BTreeMap<Name, OfHost>,
}

/// What all hosts counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OfAll {
    pub(super) requests: u64,
    pub(super) unfit: u64,
    /// By feature of the vector.
    pub(super) features: Vec<Live>,
}

/// What one host counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OfHost {
    pub(super) requests: u64,
    pub(super) unfit: u64,
    pub(super) features: Vec<Counts>,
}

packed!(OfAll {
    requests,
    unfit,
    features,
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
    span_us: Option<(i64, i64)>,
    all: Box<[u8]>,
    hosts: Box<[u8]>,
}

/// A cut as it is kept over restarts: without hosts.
impl Packed for Cut {
    fn shape(into: &mut String) {
        <(u32, u32)>::shape(into);
        <(u64, Option<(i64, i64)>)>::shape(into);
        OfAll::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        (self.first, self.last).pack(to);
        (u64::from(self.level), self.span_us).pack(to);
        to.block(&self.all);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let (first, last) = Packed::unpack(from)?;
        let (level, span_us) = <(u64, _)>::unpack(from)?;
        let level = u8::try_from(level).map_err(|_| Malformed("a cut has no such level"))?;
        let all = from.block()?;
        // What lies in memory can be read.
        unpacked::<OfAll>(all)?;
        Ok(Self {
            first,
            last,
            level,
            span_us,
            all: all.into(),
            hosts: bytes(&BTreeMap::<Name, OfHost>::new()),
        })
    }
}

fn bytes(value: &impl Packed) -> Box<[u8]> {
    let mut packer = Packer::default();
    value.pack(&mut packer);
    packer.bytes.into()
}

fn unpacked<T: Packed>(bytes: &[u8]) -> Result<T, Malformed> {
    let mut from = Unpacker::new(bytes);
    let value = T::unpack(&mut from)?;
    from.finish()?;
    Ok(value)
}

/// What was packed here, and lay in memory.
fn own<T: Packed>(bytes: &[u8]) -> T {
    unpacked(bytes).expect("it was packed here, and lay in memory")
}

impl Cut {
    fn of((first, last): (u32, u32), level: u8, sum: &Sum) -> Self {
        Self {
            first,
            last,
            level,
            span_us: sum.span_us,
            all: bytes(&sum.all),
            hosts: bytes(&sum.hosts),
        }
    }

    fn sum(&self) -> Sum {
        Sum {
            span_us: self.span_us,
            all: own(&self.all),
            hosts: own(&self.hosts),
        }
    }

    /// This cut and the one after it as one, with the hosts that are told apart.
    fn joined(&self, later: &Self, hosts_most: usize) -> Self {
        let mut sum = self.sum();
        sum.add(&later.sum());
        let level = self.level + 1;
        let most = if level > OF_HOSTS { 0 } else { hosts_most };
        while sum.hosts.len() > most && sum.hosts.pop_last().is_some() {}
        Self::of((self.first, later.last), level, &sum)
    }
}

/// What lies between two ticks, both of them included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    pub(super) first: u32,
    pub(super) last: u32,
    all: &'a [u8],
}

impl Span<'_> {
    /// What was counted, of all hosts.
    pub(super) fn counted(&self) -> OfAll {
        own(self.all)
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
        self.span_us = match (self.span_us, other.span_us) {
            (Some(own), Some(other)) => Some((own.0.min(other.0), own.1.max(other.1))),
            (own, other) => own.or(other),
        };
        self.all.add(&other.all);
        for (name, other) in &other.hosts {
            self.hosts.entry(name.clone()).or_default().add(other);
        }
    }
}

impl OfAll {
    fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.unfit = self.unfit.saturating_add(other.unfit);
        self.features.resize(
            self.features.len().max(other.features.len()),
            Live::default(),
        );
        for (own, other) in self.features.iter_mut().zip(&other.features) {
            own.merge(other);
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

    /// Adds what a host counted in this span, of these features.
    pub(super) fn add(
        &mut self,
        host: &Name,
        span_us: (i64, i64),
        window: &InputWindow,
        features: &[(usize, &Live)],
    ) {
        let mut own = OfHost {
            requests: window.requests,
            unfit: window.unfit,
            features: vec![Counts::default(); self.features],
        };
        for (at, live) in features {
            if let Some(counts) = own.features.get_mut(*at) {
                counts.merge(&live.counts);
            }
        }
        let counted = (window.requests, window.unfit);
        let sum = self.sum(Some(span_us), counted, features.iter().copied());
        self.open.add(&sum);
        let known = self.open.hosts.contains_key(host);
        if known || self.open.hosts.len() < self.hosts_most {
            self.open.hosts.entry(host.clone()).or_default().add(&own);
        }
    }

    /// Has the tick that is open hold these requests, those of them that do not fit, and what was
    /// counted of features, of hosts that are not known any more.
    pub(super) fn restore<'l>(
        &mut self,
        span_us: Option<(i64, i64)>,
        counted: (u64, u64),
        features: impl IntoIterator<Item = (usize, &'l Live)>,
    ) {
        self.open = self.sum(span_us, counted, features);
    }

    fn sum<'l>(
        &self,
        span_us: Option<(i64, i64)>,
        (requests, unfit): (u64, u64),
        features: impl IntoIterator<Item = (usize, &'l Live)>,
    ) -> Sum {
        let mut all = OfAll {
            requests,
            unfit,
            features: vec![Live::default(); self.features],
        };
        for (at, live) in features {
            if let Some(sum) = all.features.get_mut(at) {
                sum.merge(live);
            }
        }
        Sum {
            span_us,
            all,
            hosts: BTreeMap::new(),
        }
    }

    /// What was counted since the last tick.
    pub(super) fn open(&self) -> &Sum {
        &self.open
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
        let from = |cut: &Cut| Some(cut.span_us?.0);
        let after = self.cuts.iter().filter(|cut| cut.first >= tick);
        let first = after.filter_map(from).min();
        first.or_else(|| from(self.cuts.back()?))
    }

    /// All that was counted in this tick and after it. A cut that reaches back before it is left
    /// out, unless there is nothing else.
    pub(super) fn since(&self, tick: u32) -> Sum {
        let mut sum = Sum::default();
        let after = self.cuts.iter().filter(|cut| cut.first >= tick);
        after.for_each(|cut| sum.add(&cut.sum()));
        if sum.span_us.is_none()
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
            all: &cut.all,
        })
    }

    /// All that began to be counted at this time or later.
    pub(super) fn since_us(&self, at_us: i64) -> Sum {
        self.of(|(from_us, _)| from_us >= at_us)
    }

    /// All that began to be counted earlier.
    pub(super) fn before_us(&self, at_us: i64) -> Sum {
        self.of(|(from_us, _)| from_us < at_us)
    }

    fn of(&self, wanted: impl Fn((i64, i64)) -> bool) -> Sum {
        let mut sum = Sum::default();
        let cuts = self.cuts.iter();
        let cuts = cuts.filter(|cut| cut.span_us.is_some_and(&wanted));
        cuts.for_each(|cut| sum.add(&cut.sum()));
        sum
    }

    /// What all hosts counted in the cuts that this span touches, the open tick too, and from when
    /// to when that was. `None` where nothing was.
    pub(super) fn within(&self, (from_us, to_us): (i64, i64)) -> Option<((i64, i64), OfAll)> {
        let touches = |span: &(i64, i64)| span.0 < to_us && span.1 > from_us;
        let mut sum = Sum::default();
        for cut in &self.cuts {
            if let Some(span_us) = cut.span_us.filter(touches) {
                sum.add(&Sum {
                    span_us: Some(span_us),
                    all: own(&cut.all),
                    hosts: BTreeMap::new(),
                });
            }
        }
        if self.open.span_us.as_ref().is_some_and(touches) {
            sum.add(&self.open);
        }
        Some((sum.span_us?, sum.all))
    }

    /// Bytes of what is kept over restarts.
    pub(super) fn bytes(&self) -> usize {
        self.cuts.iter().map(|cut| cut.all.len()).sum()
    }

    /// The cuts, as they are kept.
    pub(super) fn pack(&self, to: &mut Packer) {
        self.cuts.len().pack(to);
        self.cuts.iter().for_each(|cut| cut.pack(to));
    }

    /// What [`unpack`](Self::unpack) reads is made of this.
    pub(super) fn shape(into: &mut String) {
        Vec::<Cut>::shape(into);
    }

    /// Takes up cuts that were kept, of so many features.
    pub(super) fn unpack(from: &mut Unpacker<'_>, features: usize) -> Result<Self, Malformed> {
        let cuts = Vec::<Cut>::unpack(from)?.into();
        Ok(Self {
            cuts,
            ..Self::new(features)
        })
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

    /// A feature with two values a tick of ten microseconds, from 0.
    fn counted(ticks: u32) -> Recent {
        let (mut recent, name) = (Recent::new(1), Name::parse("a").unwrap());
        for tick in 0..ticks {
            let window = window(2);
            let from_us = i64::from(tick) * 10;
            let features = [(0, &window.features[0].1)];
            recent.add(&name, (from_us, from_us + 10), &window, &features);
            recent.close(tick);
        }
        recent
    }

    #[test]
    fn cuts_grow_coarser_and_nothing_of_them_is_lost() {
        let (recent, name) = (counted(3_000), Name::parse("a").unwrap());
        assert!(recent.cuts.len() <= EACH * usize::from(LEVELS + 1));
        let all = recent.since(0);
        assert_eq!((all.all.requests, all.span_us), (6_000, Some((0, 30_000))));
        assert_eq!(all.all.features[0].counts.bins[0], 6_000);
        assert_eq!(all.hosts[&name].requests, 6_000);
        assert_eq!(
            recent.since(2_996).all.requests,
            8,
            "the last ticks one by one"
        );
        let late = recent.since(2_000).all.requests;
        assert!((1_000..=2_000).contains(&late), "{late}");
        assert_eq!(recent.since_us(29_990).all.requests, 2);
        let (before, after) = (recent.before_us(15_000), recent.since_us(15_000));
        assert_eq!(before.all.requests + after.all.requests, 6_000);
    }

    #[test]
    fn a_window_is_widened_to_whole_cuts_and_says_so() {
        let mut recent = counted(3_000);
        let read = |recent: &Recent, span| {
            let (span_us, all) = recent.within(span)?;
            Some((span_us, all.requests))
        };
        assert_eq!(read(&recent, (29_980, 29_995)), Some(((29_980, 30_000), 4)));
        assert_eq!(
            read(&recent, (i64::MIN, i64::MAX)),
            Some(((0, 30_000), 6_000))
        );
        let ((from_us, to_us), requests) = read(&recent, (15_000, 20_000)).unwrap();
        assert!(from_us <= 15_000 && to_us >= 20_000, "{from_us} {to_us}");
        assert_eq!(
            requests,
            (to_us - from_us) as u64 / 5,
            "all of it, and nothing else"
        );
        assert_eq!(read(&recent, (30_000, i64::MAX)), None, "not counted yet");
        let window = window(1);
        recent.add(
            &Name::parse("b").unwrap(),
            (30_000, 30_010),
            &window,
            &[(0, &window.features[0].1)],
        );
        assert_eq!(
            read(&recent, (30_000, i64::MAX)),
            Some(((30_000, 30_010), 1))
        );
    }

    #[test]
    fn what_is_kept_of_it_is_all_but_the_hosts() {
        let recent = counted(700);
        let mut to = Packer::default();
        recent.pack(&mut to);
        let mut from = Unpacker::new(&to.bytes);
        let read = Recent::unpack(&mut from, 1).unwrap();
        from.finish().unwrap();
        assert!(to.bytes.len() < recent.bytes() + 12 * recent.cuts.len() + 9);
        let (before, after) = (recent.since(0), read.since(0));
        assert_eq!((after.span_us, &after.all), (before.span_us, &before.all));
        assert_eq!((before.hosts.len(), after.hosts.len()), (1, 0));
        let broken = &to.bytes[..to.bytes.len() - 1];
        assert!(Recent::unpack(&mut Unpacker::new(broken), 1).is_err());
    }

    #[test]
    fn more_hosts_than_are_told_apart_are_still_counted() {
        let mut recent = Recent::new(2_048);
        for at in 0..9 {
            let window = window(1);
            let name = Name::parse(&format!("host-{at}")).unwrap();
            recent.add(&name, (5, 9), &window, &[(0, &window.features[0].1)]);
        }
        recent.close(1);
        let all = recent.since(1);
        assert_eq!((all.hosts.len(), all.all.requests), (2, 9));
    }
}

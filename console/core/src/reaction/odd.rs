//! The odd host out: each minute every host is held against its peers on the same version.
//!
//! Three of five minutes make a host odd, one at most makes it like the others again. Where more
//! than a tenth of the hosts stand out in one minute it is not they, and nobody is marked.

use std::collections::BTreeMap;

use crate::blame::Share;
use crate::judge::Counts;
use crate::name::Name;
use crate::registry::Reference;

/// Minutes that are kept.
const MINUTES: u32 = 5;
/// Of which so many make a host odd.
const ODD: u32 = 3;
/// And so many at most make it like the others.
const LIKE: u32 = 1;
/// Of so many hosts at most it may be said that they are odd.
const FEW: f64 = 0.1;
/// Peers that it takes: of three hosts two can outvote one.
const LEAST_PEERS: usize = 2;
/// Requests in the minute under which a host is not held against anybody.
const LEAST_REQUESTS: u64 = 100;
/// A host is slow from this many times its peers' p99 on, as on the Overview.
const FAR: f64 = 3.0;
/// ... and by at least this much.
const LEAST_SLOWER_NS: u64 = 1_000_000;
/// A share of errors under which nobody is woken.
const FAILING: f64 = 0.005;

/// Who stood out in the last minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Odd {
    /// A bit a minute, the latest lowest.
    marks: BTreeMap<Name, u8>,
    /// Minutes that were taken in, as far as that matters.
    minutes: u32,
}

impl Odd {
    /// Takes a minute in.
    pub(super) fn minute(&mut self, hosts: &BTreeMap<Name, BTreeMap<Reference, Counts>>) {
        let standing_out = standing_out(hosts);
        let measured = hosts.len() as f64;
        let is_theirs = standing_out.len() as f64 <= (measured * FEW).max(1.0);
        self.minutes = (self.minutes + 1).min(MINUTES);
        // A host that is gone stands out no more.
        for marks in self.marks.values_mut() {
            *marks = (*marks << 1) & ((1 << MINUTES) - 1);
        }
        for name in standing_out.into_iter().filter(|_| is_theirs) {
            *self.marks.entry(name.clone()).or_default() |= 1;
        }
    }

    /// Whether a host that is not among [`hosts`](Self::hosts) is known to be like the others.
    pub(super) fn is_settled(&self) -> bool {
        self.minutes >= MINUTES
    }

    /// Each host that stood out of late, and whether it is odd: yes, no, or in between.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (&Name, Option<bool>)> {
        self.marks.iter().map(|(name, marks)| {
            let is_odd = match marks.count_ones() {
                ODD.. => Some(true),
                0..=LIKE => Some(false),
                _ => None,
            };
            (name, is_odd)
        })
    }

    /// Lets go of those of which nothing has to be said any more.
    pub(super) fn forget(&mut self, is_open: impl Fn(&Name) -> bool) {
        self.marks
            .retain(|name, marks| *marks != 0 || is_open(name));
    }
}

fn standing_out(hosts: &BTreeMap<Name, BTreeMap<Reference, Counts>>) -> Vec<&Name> {
    let mut all: BTreeMap<&Reference, Vec<(&Name, &Counts)>> = BTreeMap::new();
    for (name, versions) in hosts {
        for (version, counts) in versions {
            if counts.requests() >= LEAST_REQUESTS {
                all.entry(version).or_default().push((name, counts));
            }
        }
    }
    let mut found = Vec::new();
    for peers in all.values().filter(|peers| peers.len() > LEAST_PEERS) {
        let total: u64 = peers.iter().map(|(_, counts)| counts.requests()).sum();
        let errors: u64 = peers.iter().map(|(_, counts)| counts.errors).sum();
        let mut p99s: Vec<u64> = peers
            .iter()
            .map(|(_, counts)| counts.quantile_ns(0.99))
            .collect();
        p99s.sort_unstable();
        // The one that is looked at is among them: with three hosts the middle is not it.
        let middle = p99s.get((p99s.len() - 1) / 2).copied().unwrap_or(0);
        for (name, counts) in peers {
            let own = Share {
                beyond: counts.errors,
                of: counts.requests(),
            };
            let others = Share {
                beyond: errors - own.beyond,
                of: total - own.of,
            };
            let is_failing = own.part() >= FAILING && own.is_worse_than(&others);
            let p99 = counts.quantile_ns(0.99);
            let is_slow = p99 as f64 >= FAR * middle as f64 && p99 >= middle + LEAST_SLOWER_NS;
            if (is_failing || is_slow) && !found.contains(name) {
                found.push(*name);
            }
        }
    }
    found
}

/// In what a host is unlike its peers, over a minute.
pub(super) fn unlike(
    host: &Name,
    hosts: &BTreeMap<Name, BTreeMap<Reference, Counts>>,
) -> (String, String) {
    let mut own = Counts::default();
    let mut peers = Counts::default();
    let versions = hosts.get(host);
    for (name, theirs) in hosts {
        let is_same = |version: &Reference| versions.is_some_and(|own| own.contains_key(version));
        for (_, counts) in theirs.iter().filter(|(version, _)| is_same(version)) {
            match name == host {
                true => own.merge(counts),
                false => peers.merge(counts),
            }
        }
    }
    let words = |counts: &Counts| {
        let share = counts.errors as f64 / counts.requests().max(1) as f64 * 100.0;
        let ms = counts.quantile_ns(0.99) as f64 / 1e6;
        format!("p99 {ms:.1} ms, errors {share:.2}%")
    };
    (words(&own), words(&peers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(bad: &[usize], of: usize) -> BTreeMap<Name, BTreeMap<Reference, Counts>> {
        let one = |at: usize| {
            let (ns, errors) = match bad.contains(&at) {
                true if at.is_multiple_of(2) => (90_000_000, 0),
                true => (10_000_000, 30),
                false => (10_000_000 + at as u64 * 10_000, 1),
            };
            let counts = Counts {
                errors,
                latency: [(ns, 1_000)].into(),
                ..Counts::default()
            };
            let name = Name::parse(&format!("host-{at}")).unwrap();
            (name, [("m@1".parse().unwrap(), counts)].into())
        };
        (0..of).map(one).collect()
    }

    #[track_caller]
    fn check(minutes: &[&[usize]], of: usize, expected: &[(&str, Option<bool>)]) {
        let mut odd = Odd::default();
        minutes.iter().for_each(|bad| odd.minute(&hosts(bad, of)));
        let found: Vec<_> = odd.hosts().map(|(name, it)| (name.as_str(), it)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn three_of_five_minutes_make_a_host_odd_slow_or_failing() {
        check(&[&[2], &[], &[2], &[2]], 12, &[("host-2", Some(true))]);
        check(&[&[3], &[3], &[3]], 3, &[]);
        check(&[&[1], &[1], &[1]], 3, &[("host-1", Some(true))]);
        check(&[&[2], &[2]], 12, &[("host-2", None)]);
        let well: &[&[usize]] = &[&[2], &[2], &[2], &[], &[], &[], &[]];
        check(well, 12, &[("host-2", Some(false))]);
    }

    #[test]
    fn more_than_a_tenth_of_the_hosts_are_not_odd() {
        check(&[&[2, 4], &[2, 4], &[2, 4]], 12, &[]);
        let two = [("host-2", Some(true)), ("host-4", Some(true))];
        check(&[&[2, 4], &[2, 4], &[2, 4]], 20, &two);
    }
}

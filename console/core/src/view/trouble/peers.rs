//! Hosts held against their peers, the other hosts of their environment: who is far slower,
//! who fails far more, or whether all of them fail.
//!
//! What is compared is the last finished minute. Hosts of an environment are meant to do the
//! same work; where they are not, labels will one day say so, and until then only what is far
//! off is told.

use super::{LEAST_ALL, Object, Suspect, Trouble, is_most};
use crate::view::{Cell, Coarse, Glance, Status};

/// A host is slow from this many times its peers' median p99 on. Load and data spread hosts'
/// p99 by a factor below two; three leaves that behind and still finds a throttled GPU.
pub(super) const FAR: f64 = 3.0;
/// ... and if it is by at least this much: no caller notices less.
const LEAST_SLOWER_US: f64 = 1_000.0;
/// Peers whose figures must be known before one host is called unlike them: a median of fewer
/// moves with each of them.
const LEAST_PEERS: usize = 5;
/// The same in an environment that has no more: of three hosts two can still outvote one.
const LEAST_PEERS_OF_FEW: usize = 2;
/// Requests in the minute under which a share of errors is chance.
const LEAST_REQUESTS: u32 = 100;
/// Errors in the minute under which they are chance.
const LEAST_ERRORS: u32 = 10;
/// A share of errors under which nobody is woken.
const FAILING: f64 = 0.005;
/// From this share of failed requests on it is critical: most callers get nothing.
const BROKEN: f64 = 0.5;

/// In what a host is unlike its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Unlike {
    /// Its p99 over its peers' median, and that median in microseconds.
    slow: Option<(f64, f64)>,
    /// Its share of errors, and its peers' median.
    failing: Option<(f64, f64)>,
}

impl Unlike {
    pub(super) fn is_slow(&self) -> bool {
        self.slow.is_some()
    }

    /// How far off it is: the greatest factor.
    pub(super) fn times(&self) -> f64 {
        let slow = self.slow.map_or(0.0, |(times, _)| times);
        let failing = self.failing.map_or(0.0, |(share, peers)| share / peers);
        slow.max(failing)
    }

    pub(super) fn words(&self) -> String {
        let slow = self
            .slow
            .map(|(times, _)| format!("p99 {} × its peers'", figure(times)));
        let failing = self.failing.map(|(share, peers)| {
            let (share, peers) = (figure(share * 100.0), figure(peers * 100.0));
            format!("errors {share} %, its peers {peers} %")
        });
        let facts: Vec<String> = slow.into_iter().chain(failing).collect();
        facts.join("; ")
    }
}

/// What came of comparing an environment's hosts.
#[derive(Default)]
pub(super) struct Compared<'a> {
    /// Those that say that they are not well, or are unlike their peers.
    pub(super) hosts: Vec<Suspect<'a>>,
    pub(super) all: Option<Trouble>,
    /// Hosts that had figures, and enough peers that had.
    pub(super) compared: usize,
}

pub(super) fn compare<'a>(environment: &str, hosts: &[&'a Glance]) -> Compared<'a> {
    let peers = Peers::of(hosts);
    let mut came = Compared {
        all: peers.all.trouble(environment),
        ..Compared::default()
    };
    for glance in hosts.iter().filter(|host| host.status != Status::Silent) {
        let (p99, share) = (peers.p99(glance), peers.share(glance));
        came.compared += usize::from(p99.is_some() || share.is_some());
        let unlike = Unlike {
            slow: p99.and_then(|p99| peers.slower(p99)),
            failing: share.and_then(|share| peers.fails_more(share)),
        };
        // What a dead server's last minute looked like is no further news.
        let is_news = unlike != Unlike::default() && glance.status != Status::Crit;
        if is_news || glance.status != Status::Ok {
            let unlike = is_news.then_some(unlike);
            came.hosts.push(Suspect { glance, unlike });
        }
    }
    came
}

/// An environment's figures in order, to hold one host against the others.
struct Peers {
    p99s: Vec<Coarse>,
    shares: Vec<f64>,
    all: All,
    /// Peers whose figures must be known.
    least: usize,
    /// No less than this can be slow: what spares most hosts a search.
    least_slow: Option<Coarse>,
}

impl Peers {
    fn of(hosts: &[&Glance]) -> Self {
        let mut peers = Self {
            p99s: Vec::with_capacity(hosts.len()),
            shares: Vec::with_capacity(hosts.len()),
            all: All::default(),
            least: match hosts.len() {
                all if all <= LEAST_PEERS => LEAST_PEERS_OF_FEW,
                _ => LEAST_PEERS,
            },
            least_slow: None,
        };
        for host in hosts.iter().filter(|host| host.status != Status::Silent) {
            if host.cell.p99 > Coarse::default() {
                peers.p99s.push(host.cell.p99);
            }
            if let Some(share) = share(host.cell) {
                peers.shares.push(share);
                peers.all.add(host, share);
            }
        }
        // A latency in two bytes has the order of what it stands for, and is sorted in no time.
        peers.p99s.sort_unstable();
        peers.shares.sort_unstable_by(f64::total_cmp);
        // Whichever host is left out, the median of the others is no less than this one.
        let below = (peers.p99s.len().saturating_sub(1) / 2).saturating_sub(1);
        let below_us = peers.p99s.get(below).and_then(|p99| p99.us());
        peers.least_slow = below_us.and_then(|below_us| {
            let is_less = |p99: &Coarse| p99.us().is_some_and(|us| us < FAR * below_us);
            peers.p99s.get(peers.p99s.partition_point(is_less)).copied()
        });
        peers
    }

    fn p99(&self, host: &Glance) -> Option<Coarse> {
        let is_known = self.p99s.len() > self.least && host.cell.p99 > Coarse::default();
        is_known.then_some(host.cell.p99)
    }

    fn share(&self, host: &Glance) -> Option<(f64, u32)> {
        let can = self.shares.len() > self.least;
        share(host.cell)
            .filter(|_| can)
            .map(|share| (share, host.cell.errors))
    }

    fn slower(&self, p99: Coarse) -> Option<(f64, f64)> {
        if self.least_slow.is_none_or(|least| p99 < least) {
            return None;
        }
        let (lower, upper) = middle_of_others(&p99, &self.p99s)?;
        let (us, median) = (p99.us()?, f64::midpoint(lower.us()?, upper.us()?));
        let is_far = us >= FAR * median && us - median >= LEAST_SLOWER_US;
        is_far.then_some((us / median, median))
    }

    fn fails_more(&self, (share, errors): (f64, u32)) -> Option<(f64, f64)> {
        if share < FAILING || errors < LEAST_ERRORS {
            return None;
        }
        let (lower, upper) = middle_of_others(&share, &self.shares)?;
        let median = f64::midpoint(lower, upper);
        (share >= FAR * median).then_some((share, median))
    }
}

fn share(cell: Cell) -> Option<f64> {
    (cell.requests >= LEAST_REQUESTS).then(|| f64::from(cell.errors) / f64::from(cell.requests))
}

/// The two values in the middle of sorted ones, this one left out: their median lies between.
fn middle_of_others<T: PartialOrd + Copy>(value: &T, sorted: &[T]) -> Option<(T, T)> {
    let own = sorted.partition_point(|other| other < value);
    let others = sorted.len().checked_sub(1)?;
    let at = |place: usize| sorted.get(place + usize::from(place >= own)).copied();
    let upper = at(others / 2)?;
    match others.is_multiple_of(2) {
        true => Some((at((others / 2).checked_sub(1)?)?, upper)),
        false => Some((upper, upper)),
    }
}

/// How all hosts fail, as far as they had requests enough.
#[derive(Default)]
struct All {
    measured: usize,
    failing: usize,
    requests: u64,
    errors: u64,
}

impl All {
    fn add(&mut self, host: &Glance, share: f64) {
        self.measured += 1;
        self.requests += u64::from(host.cell.requests);
        self.errors += u64::from(host.cell.errors);
        let fails = share >= FAILING && host.cell.errors >= LEAST_ERRORS;
        self.failing += usize::from(fails && host.status != Status::Crit);
    }

    /// Requests fail on nearly all hosts: then it is none of them.
    fn trouble(&self, environment: &str) -> Option<Trouble> {
        if self.measured < LEAST_ALL || !is_most(self.failing, self.measured) {
            return None;
        }
        let share = self.errors as f64 / self.requests as f64;
        let percent = figure(share * 100.0);
        Some(Trouble {
            severity: match share >= BROKEN {
                true => Status::Crit,
                false => Status::Warn,
            },
            title: environment.to_owned(),
            since_us: None,
            what: format!(
                "errors {percent} % on {} of {} hosts",
                self.failing, self.measured
            ),
            blame: "all hosts: upstream or the model".into(),
            next: "errors by version tell whether it is one of them".into(),
            object: Object::Hosts(format!("env={environment} errors>={}", FAILING * 100.0)),
            hosts: self.failing,
        })
    }
}

/// A filter that shows the hosts that are unlike their peers, and maybe some more.
pub(super) fn filter(environment: &str, unlike: impl Iterator<Item = Unlike>) -> String {
    let slow = unlike.filter_map(|unlike| unlike.slow);
    let median_us = slow.map(|(_, median)| median).fold(f64::INFINITY, f64::min);
    match median_us.is_finite() {
        true => format!("env={environment} p99>={:.1}", FAR * median_us / 1e3),
        false => format!("env={environment} errors>={}", FAILING * 100.0),
    }
}

/// Two figures where they matter: 0.41, 4.1, 41.
pub(super) fn figure(value: f64) -> String {
    let text = match value {
        value if value < 0.995 => format!("{value:.2}"),
        value if value < 9.95 => format!("{value:.1}"),
        value => return format!("{value:.0}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_others_leaves_one_out() {
        let sorted = [1, 2, 2, 9];
        assert_eq!(middle_of_others(&9, &sorted), Some((2, 2)));
        assert_eq!(middle_of_others(&1, &sorted), Some((2, 2)));
        assert_eq!(middle_of_others(&2, &[2, 4, 8]), Some((4, 8)));
        assert_eq!(middle_of_others(&2, &[2]), None);
        assert_eq!(middle_of_others(&2, &[]), None);
    }

    #[test]
    fn figures_are_short() {
        let told = [0.0, 0.41, 3.0, 8.91, 41.2, 1_200.0].map(figure);
        assert_eq!(told, ["0", "0.41", "3", "8.9", "41", "1200"]);
    }
}

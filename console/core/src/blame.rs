//! Whose fault it is: this version, this host, what all of them share, one caller, or unknown.
//!
//! Laid only where the figures carry it. What is held against what, in this order: a host against
//! its peers on the same version, a caller against the others, a version against the one beside
//! it, a version that has just come against what served before it, all of them against their own
//! last hours. Whatever is left is unknown, and the sentence says what would tell.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::judge::{OFTENER, limits, share};
use crate::name::Name;
use crate::registry::Reference;
use crate::why::lasts;

/// Requests under which a share says nothing.
pub const LEAST: u64 = 20;
/// Of so many hosts at most it may be said that it is they and not what they share.
const FEW_HOSTS: f64 = 0.1;
/// What began this soon after a route was changed came with it.
pub const WITH_IT_US: i64 = 5 * MINUTE_US;
/// Where a breach is noticed may lie a little before the change that caused it: spans are whole.
const EARLY_US: i64 = 30 * SECOND_US;
/// What has served well for this long does not break by itself on all hosts at once.
const SETTLED_US: i64 = 30 * MINUTE_US;
/// From this share of the hosts that were measured on, it is all of them.
const ALIKE: f64 = 0.75;
/// Names in one sentence.
const NAMED: usize = 3;

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;

/// To whom it is laid, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blame {
    /// To whom.
    pub whom: Whom,
    /// In a sentence, with the numbers.
    pub why: Arc<str>,
}

/// To whom it is laid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// This version: going back helps.
    Version(Reference),
    /// This host: taking it out helps.
    Host(Name),
    /// What all versions and hosts share: inputs, a feature store, a network. Going back does not
    /// help.
    Upstream,
    /// One caller.
    Caller(Arc<str>),
    /// Nobody knows.
    Unknown,
}

/// How much of something is beyond what may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// So much.
    pub beyond: u64,
    /// Of so much.
    pub of: u64,
}

/// A change of the route, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switched {
    /// When all hosts had it.
    pub at_us: i64,
    /// Versions that it brought.
    pub brought: Vec<Reference>,
    /// Versions that answered before it: only these are what served before. One that was taken
    /// back an hour ago says nothing of what is to be expected.
    pub replaced: Vec<Reference>,
    /// Those of them that still answer.
    pub stayed: Vec<Reference>,
}

/// What was measured, beside each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The share that may be beyond.
    pub fair: f64,
    /// What they are that are beyond, as in `over 250ms`, or `failed`.
    pub what: Arc<str>,
    /// Since when it is so.
    pub since_us: i64,
    /// By version, since then.
    pub now: BTreeMap<Reference, Share>,
    /// By version, in the hours before.
    pub before: BTreeMap<Reference, Share>,
    /// By host and version, since then.
    pub hosts: BTreeMap<Name, BTreeMap<Reference, Share>>,
    /// By caller, since then; empty where callers are not told apart.
    pub callers: BTreeMap<Arc<str>, Share>,
    /// The last change of the route.
    pub switched: Option<Switched>,
}

/// Whose fault it is, as far as the evidence carries it.
pub fn blame(evidence: &Evidence) -> Blame {
    let found = evidence
        .host()
        .or_else(|| evidence.caller())
        .or_else(|| evidence.beside())
        .or_else(|| evidence.came_with())
        .or_else(|| evidence.shared());
    let (whom, why) = found.unwrap_or_else(|| (Whom::Unknown, evidence.unknown()));
    Blame {
        whom,
        why: why.into(),
    }
}

type Found = Option<(Whom, String)>;

impl Share {
    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        self.beyond += other.beyond;
        self.of += other.of;
    }

    /// How large it is.
    pub fn part(&self) -> f64 {
        self.beyond as f64 / self.of.max(1) as f64
    }

    /// Whether there is enough of it to say anything.
    pub fn is_enough(&self) -> bool {
        self.of >= LEAST
    }

    /// Whether it is beyond `fair` for sure.
    pub fn breaks(&self, fair: f64) -> bool {
        self.is_enough() && limits(self.beyond, self.of).0 > fair
    }

    /// Whether it is within `fair`, as far as it goes.
    pub fn holds(&self, fair: f64) -> bool {
        self.is_enough() && self.part() <= fair
    }

    /// Whether it is larger than another by what matters, for sure.
    pub fn is_worse_than(&self, other: &Self) -> bool {
        let low = limits(self.beyond, self.of).0;
        low > limits(other.beyond, other.of).1 && low > OFTENER * other.part()
    }
}

/// `42.10% (421 of 1000)`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} of {})", share(self.part()), self.beyond, self.of)
    }
}

impl Evidence {
    fn bound(&self) -> String {
        format!("{}, {} may be", self.what, share(self.fair))
    }

    /// A host far worse than its peers on the same version, which hold.
    fn host(&self) -> Found {
        let versions: Vec<&Reference> = self.hosts.values().flat_map(BTreeMap::keys).collect();
        versions
            .into_iter()
            .find_map(|version| self.host_of(version))
    }

    fn host_of(&self, version: &Reference) -> Found {
        let hosts = self.hosts.iter();
        let all: Vec<(&Name, Share)> = hosts
            .filter_map(|(name, versions)| Some((name, *versions.get(version)?)))
            .collect();
        let (bad, rest): (Vec<_>, Vec<_>) = all
            .into_iter()
            .filter(|(_, share)| share.is_enough())
            .partition(|(_, share)| share.breaks(self.fair));
        let few = ((bad.len() + rest.len()) as f64 * FEW_HOSTS).max(1.0);
        let peers = sum(rest.iter().map(|(_, share)| *share));
        let worst = bad
            .iter()
            .max_by(|a, b| a.1.part().total_cmp(&b.1.part()))?;
        let is_theirs = bad.len() as f64 <= few
            && peers.is_enough()
            && !peers.breaks(self.fair)
            && worst.1.is_worse_than(&peers);
        let others = match bad.len() {
            1 => String::new(),
            more => format!(" and {} more", more - 1),
        };
        is_theirs.then(|| {
            let why = format!(
                "{}{others}: {} {}; {} peers on {version}: {}",
                worst.0,
                worst.1,
                self.bound(),
                rest.len(),
                share(peers.part()),
            );
            (Whom::Host(worst.0.clone()), why)
        })
    }

    /// A caller without whom it would hold.
    fn caller(&self) -> Found {
        let worst = self.callers.iter().filter(|(_, one)| one.breaks(self.fair));
        let (caller, worst) = worst.max_by(|a, b| a.1.beyond.cmp(&b.1.beyond))?;
        let others = self.callers.iter().filter(|(name, _)| *name != caller);
        let others = sum(others.map(|(_, share)| *share));
        let is_theirs = others.holds(self.fair) && worst.is_worse_than(&others);
        is_theirs.then(|| {
            let others = share(others.part());
            let why = format!("{caller}: {worst} {}; the others: {others}", self.bound());
            (Whom::Caller(caller.clone()), why)
        })
    }

    /// A version far worse than the one beside it, which holds.
    fn beside(&self) -> Found {
        let (bad, good): (Vec<_>, Vec<_>) = self
            .now
            .iter()
            .filter(|(_, share)| share.is_enough())
            .partition(|(_, share)| share.breaks(self.fair));
        let worst = bad
            .iter()
            .max_by(|a, b| a.1.part().total_cmp(&b.1.part()))?;
        let best = good
            .iter()
            .min_by(|a, b| a.1.part().total_cmp(&b.1.part()))?;
        worst.1.is_worse_than(best.1).then(|| {
            let (found, bound) = (worst.1, self.bound());
            let beside = share(best.1.part());
            let why = format!(
                "{}: {found} {bound}; {} beside it: {beside}",
                worst.0, best.0
            );
            (Whom::Version(worst.0.clone()), why)
        })
    }

    /// A version that came just before it began, where what served before it held.
    fn came_with(&self) -> Found {
        let switched = self.switched.as_ref()?;
        let after_us = self.since_us - switched.at_us;
        if !(-EARLY_US..=WITH_IT_US).contains(&after_us) {
            return None;
        }
        let brought = |version: &Reference| switched.brought.contains(version);
        let was_there =
            |version: &Reference| switched.replaced.contains(version) && !brought(version);
        // What breaks for those that were there as well did not come with the new one; where they
        // answer, and it cannot be told yet, it is too early to say.
        let mut stayed = self.now.iter().filter(|(version, _)| was_there(version));
        let is_early = |version: &Reference, share: &Share| {
            switched.stayed.contains(version) && share.of > 0 && !share.is_enough()
        };
        if stayed.any(|(version, share)| share.breaks(self.fair) || is_early(version, share)) {
            return None;
        }
        let old = self.before.iter().filter(|(version, _)| was_there(version));
        let old = sum(old.map(|(_, share)| *share));
        let fresh = self.now.iter().filter(|(version, _)| brought(version));
        let (version, worst) = fresh.max_by(|a, b| a.1.part().total_cmp(&b.1.part()))?;
        let is_new = old.is_enough() && !old.breaks(self.fair) && worst.is_worse_than(&old);
        let is_it = is_new && worst.breaks(self.fair);
        is_it.then(|| {
            let (bound, old) = (self.bound(), share(old.part()));
            let ago = ago(after_us);
            let why = format!("{version}: {worst} {bound}; it came {ago} before, until then {old}");
            (Whom::Version(version.clone()), why)
        })
    }

    /// All versions and hosts alike, and what serves has served well for long.
    fn shared(&self) -> Found {
        let measured: Vec<_> = self.now.iter().filter(|(_, it)| it.is_enough()).collect();
        let all_break = measured.iter().all(|(_, share)| share.breaks(self.fair));
        if measured.is_empty() || !all_break {
            return None;
        }
        let total = sum(measured.iter().map(|(_, share)| **share));
        if measured.len() > 1 {
            let why = format!(
                "all {} versions alike: {total} {}: what they share, such as inputs",
                measured.len(),
                self.bound(),
            );
            return Some((Whom::Upstream, why));
        }
        let (broken, hosts) = self.broken_hosts();
        let is_all = hosts > 1 && broken as f64 >= ALIKE * hosts as f64;
        let own = measured.iter().filter_map(|it| self.before.get(it.0));
        let own = sum(own.copied());
        (is_all && self.is_settled() && own.is_enough() && !own.breaks(self.fair)).then(|| {
            let (bound, own) = (self.bound(), share(own.part()));
            let why = format!(
                "{broken} of {hosts} hosts alike: {total} {bound}; the same version held before \
                 ({own}): what they share, such as inputs"
            );
            (Whom::Upstream, why)
        })
    }

    /// Hosts that break it, of those that were measured.
    fn broken_hosts(&self) -> (usize, usize) {
        let whole = |versions: &BTreeMap<Reference, Share>| sum(versions.values().copied());
        let hosts: Vec<Share> = self.hosts.values().map(whole).collect();
        let measured = hosts.iter().filter(|share| share.is_enough());
        let broken = hosts.iter().filter(|share| share.breaks(self.fair));
        (broken.count(), measured.count())
    }

    fn is_settled(&self) -> bool {
        let came_us = self.switched.as_ref().map(|switched| switched.at_us);
        came_us.is_none_or(|came_us| self.since_us - came_us >= SETTLED_US)
    }

    /// Why nobody is blamed, and what would tell.
    fn unknown(&self) -> String {
        let total = sum(self.now.values().copied());
        if !total.is_enough() {
            return format!("{} requests are too few to tell", total.of);
        }
        let found = format!("{total} {}", self.bound());
        let (_, hosts) = self.broken_hosts();
        match &self.switched {
            Some(switched) if !self.is_settled() => {
                let some = switched.brought.iter().take(NAMED);
                let some: Vec<String> = some.map(Reference::to_string).collect();
                let ago = ago(self.since_us - switched.at_us);
                format!(
                    "{found}; {} came {ago} before and is suspect: nothing beside it to tell",
                    some.join(", ")
                )
            }
            Some(_) | None if hosts < 2 => {
                format!("{found}; one version on one host: nothing beside it to tell")
            }
            Some(_) | None => format!("{found}; neither one host nor one version stands out"),
        }
    }
}

fn sum(all: impl Iterator<Item = Share>) -> Share {
    let mut sum = Share::default();
    all.for_each(|one| sum.add(one));
    sum
}

/// How long before, in words.
fn ago(us: i64) -> String {
    lasts(us)
}

impl Whom {
    /// Its words, the same everywhere.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Version(_) => "this version",
            Self::Host(_) => "this host",
            Self::Upstream => "upstream",
            Self::Caller(_) => "one caller",
            Self::Unknown => "unknown",
        }
    }

    /// Whether taking the endpoint back helps; `None` where nobody knows.
    pub fn is_helped_by_rollback(&self) -> Option<bool> {
        match self {
            Self::Version(_) => Some(true),
            Self::Host(_) | Self::Upstream | Self::Caller(_) => Some(false),
            Self::Unknown => None,
        }
    }
}

/// `this version`, with its name in the sentence behind it.
impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.whom.word(), self.why)
    }
}

#[cfg(test)]
mod tests;

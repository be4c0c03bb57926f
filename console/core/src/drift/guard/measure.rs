//! What moved, measured by host, by version and before it moved: what blame is laid by.

use std::collections::BTreeMap;

use binnacle_sketch::profile::Counts;

use super::super::recent::OfAll;
use super::super::signal::Signal;
use super::super::tolerance::TOLERANCE;
use super::Guard;
use crate::blame::Share;
use crate::name::Name;

/// What a rare signal may be on beyond its reference before a host or version is said to have it:
/// half a percent.
const RARE: f64 = 0.005;

/// How much of what moved lies where more lies than did in the reference: of all hosts, of each,
/// and before it moved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beyond {
    /// What may.
    pub fair: f64,
    /// What is counted, in words.
    pub what: String,
    /// Since it began.
    pub now: Share,
    /// Before.
    pub before: Share,
    /// By host, since it began.
    pub hosts: BTreeMap<Name, Share>,
}

/// What is counted as beyond: of a feature's signal, and of its values these bins.
#[derive(Clone, Debug, PartialEq)]
pub struct Yardstick {
    feature: usize,
    signal: Signal,
    bins: Vec<bool>,
    since_us: i64,
    fair: f64,
    what: String,
}

impl Guard {
    /// What is to be held against each other to find whose fault it is, of what moved most.
    pub fn yardstick(&self) -> Option<Yardstick> {
        let paged = self.kept.paged.as_ref()?;
        let (first, onset) = paged.moved.first()?;
        let (feature, signal) = self.watch.signal(first.stream)?;
        let (held, _) = self.watch.stream(first.stream)?;
        let name = self.baseline.features().get(feature);
        let name = name.map_or("requests", |feature| &feature.name);
        let null = held.null();
        let (bins, fair, what) = match held.share() {
            Some(share) => {
                let reference = share.reference();
                let fair = (reference * (1.0 + TOLERANCE)).max(reference + RARE);
                let what = match signal {
                    Signal::Values | Signal::Missing => "missing",
                    Signal::Unseen => "of no known category",
                    Signal::OutOfRange => "out of range",
                    Signal::Unfit => "that do not fit",
                };
                (Vec::new(), fair, format!("of {name} {what}"))
            }
            None => {
                let bins = self.baseline.features().get(feature)?.bins()?;
                let shares = bins.shares();
                let expert = null.experts.shares().nth(first.evidence.best)?;
                let more = expert.iter().zip(&shares).map(|(q, p)| q > p);
                let more: Vec<bool> = more.collect();
                let fair = shares.iter().zip(&more).filter(|(_, more)| **more);
                let fair: f64 = fair.map(|(share, _)| share).sum();
                let what = format!("of {name} where few were");
                (more, fair * (1.0 + TOLERANCE), what)
            }
        };
        Some(Yardstick {
            feature,
            signal,
            bins,
            since_us: onset.at_us,
            fair: fair.clamp(0.0, 0.999),
            what,
        })
    }

    /// Measures with a yardstick, which may be that of another version of the same vector.
    pub fn beyond(&self, by: &Yardstick) -> Beyond {
        let now = self.recent.since_us(by.since_us);
        let before = self.recent.before_us(by.since_us);
        let share = |counts: &Counts| {
            let (beyond, of) = match by.signal {
                Signal::Values => {
                    let more = counts.bins.iter().zip(&by.bins).filter(|(_, more)| **more);
                    (more.map(|(n, _)| *n).sum(), counts.binned())
                }
                Signal::Missing => (counts.missing, counts.binned() + counts.missing),
                Signal::Unseen => (counts.unseen, counts.binned()),
                Signal::OutOfRange => (counts.under + counts.over, counts.binned()),
                Signal::Unfit => (0, 0),
            };
            Share { beyond, of }
        };
        let of = |sum: &OfAll| match by.signal {
            Signal::Unfit => Share {
                beyond: sum.unfit,
                of: sum.requests,
            },
            Signal::Values | Signal::Missing | Signal::Unseen | Signal::OutOfRange => {
                let live = sum.features.get(by.feature);
                live.map_or_else(Share::default, |live| share(&live.counts))
            }
        };
        let hosts = now.hosts.iter().filter_map(|(name, own)| {
            let share = match by.signal {
                Signal::Unfit => Share {
                    beyond: own.unfit,
                    of: own.requests,
                },
                Signal::Values | Signal::Missing | Signal::Unseen | Signal::OutOfRange => {
                    share(own.features.get(by.feature)?)
                }
            };
            Some((name.clone(), share))
        });
        Beyond {
            fair: by.fair,
            what: by.what.clone(),
            hosts: hosts.collect(),
            now: of(&now.all),
            before: of(&before.all),
        }
    }
}

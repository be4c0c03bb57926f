//! Bets against a version: evidence that one may look at as often as one likes.
//!
//! Take every event that speaks against a version (a slow request, an error), on it or on the one
//! beside it. Were the version no worse than it may be, an event would fall on it with at most a
//! known chance, given by how many requests each had. A gambler who stakes a unit on worse chances,
//! at fair odds, then has at any time *ever* more than `1/α` units with a chance of at most α
//! (Ville's inequality; Wald's sequential test mixed over several alternatives). Nothing is tested
//! twice by looking twice.
//!
//! Refused: a Mann–Whitney test at each look, whose false alarms add up with the looks, and which
//! is about the middle of a distribution and not about its tail.

use std::fmt;

use super::evidence::{Counts, Evidence};
use super::{OFTENER, SLOWER, SLOWER_MEDIAN, Summary};
use crate::registry::Objectives;
use crate::registry::objective::{Figure, Objective};

/// Units a bet has to win: the chance that any one is ever won against a version that is no worse
/// is at most one in this many.
const STAKES: f64 = 1_000.0;
/// Units from which on something is likely, if not sure.
const LIKELY: f64 = 10.0;
/// How many times as often the gambler thinks that events fall on the canary.
const RATIOS: [f64; 5] = [3.0, 5.0, 10.0, 25.0, 100.0];
/// How many times the bounded share the gambler thinks of.
const MULTIPLES: [f64; 3] = [2.0, 4.0, 12.0];

/// A gambler's purse, in logarithms, one an alternative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bet<const N: usize> {
    purses: [f64; N],
    /// The most that the purses ever held together, in natural logarithms.
    best: f64,
}

/// A bet on events that fall on either version.
pub type Beside = Bet<5>;
/// A bet on a share that must not be above a bound.
pub type Above = Bet<3>;

/// One objective, and the bets that each version breaks it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounded {
    /// Which.
    pub objective: Objective,
    /// On the new version.
    pub canary: Above,
    /// On the one beside it.
    pub control: Above,
}

/// All that was seen of two versions.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The new version, in sum.
    pub canary: Summary,
    /// The one beside it.
    pub control: Summary,
    /// That errors are too many.
    pub errors: Beside,
    /// That requests are refused as the client's fault.
    pub refused: Beside,
    /// That answers say nothing.
    pub nulls: Beside,
    /// That requests are too slow, by the slowest of them.
    pub slow: Beside,
    /// That requests are too slow, by most of them.
    pub slow_median: Beside,
    /// That an objective is broken.
    pub objectives: Vec<Bounded>,
}

impl<const N: usize> Bet<N> {
    fn new() -> Self {
        Self {
            purses: [0.0; N],
            best: 0.0,
        }
    }

    /// Whether it is won: what it is about is so.
    pub fn is_won(&self) -> bool {
        self.best >= STAKES.ln()
    }

    /// Whether what it is about may well be so.
    pub fn is_likely(&self) -> bool {
        self.best >= LIKELY.ln()
    }

    /// Adds each alternative's winnings, and notes how much they are together: the mean, as
    /// the stake is spread over them evenly.
    fn win(&mut self, winnings: impl Fn(usize) -> f64) {
        for (at, purse) in self.purses.iter_mut().enumerate() {
            *purse += winnings(at);
        }
        let most = self.purses.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = self.purses.iter().map(|purse| (purse - most).exp()).sum();
        self.best = self.best.max(most + (sum / N as f64).ln());
    }
}

impl Beside {
    /// `ours` of the events fell on the canary and `theirs` on control, which had so many requests.
    fn events(&mut self, ours: u64, theirs: u64, requests: (u64, u64)) {
        let (canary, control) = (requests.0 as f64, requests.1 as f64);
        if canary == 0.0 || control == 0.0 || ours + theirs == 0 {
            return;
        }
        let chance = |ratio: f64| ratio * canary / (ratio * canary + control);
        let fair = chance(OFTENER);
        self.win(|at| {
            let bold = chance(RATIOS.get(at).copied().unwrap_or(OFTENER));
            ours as f64 * (bold / fair).ln() + theirs as f64 * ((1.0 - bold) / (1.0 - fair)).ln()
        });
    }
}

impl Above {
    /// `events` of `requests` were beyond a bound that a share `fair` of them may be beyond.
    fn events(&mut self, events: u64, requests: u64, fair: f64) {
        let rest = requests.saturating_sub(events);
        if requests == 0 || fair >= 1.0 {
            return;
        }
        self.win(|at| {
            let multiple = MULTIPLES.get(at).copied().unwrap_or(1.0);
            let bold = (fair * multiple).min(f64::midpoint(fair, 1.0));
            events as f64 * (bold / fair).ln() + rest as f64 * ((1.0 - bold) / (1.0 - fair)).ln()
        });
    }
}

/// A bet that more than a share `fair` of requests is beyond a bound, given all of them at once.
pub fn above(events: u64, requests: u64, fair: f64) -> Above {
    let mut bet = Above::new();
    bet.events(events, requests, fair);
    bet
}

impl Seen {
    /// Looks at evidence, span by span, in order of time.
    pub fn of(evidence: &Evidence, objectives: &Objectives) -> Self {
        let bounded = |objective: &Objective| Bounded {
            objective: *objective,
            canary: Above::new(),
            control: Above::new(),
        };
        let mut seen = Self {
            canary: Summary::default(),
            control: Summary::default(),
            errors: Beside::new(),
            refused: Beside::new(),
            nulls: Beside::new(),
            slow: Beside::new(),
            slow_median: Beside::new(),
            objectives: objectives.iter().map(bounded).collect(),
        };
        let (mut canary, mut control) = (Counts::default(), Counts::default());
        for span in &evidence.spans {
            // The mark is set by what was there before the span: nobody bets on a race that is run.
            if control.answered() > 0 {
                let mark_ns = control.quantile_ns(0.99);
                let slow = span.canary.over(times(SLOWER, mark_ns));
                let theirs = span.control.over(mark_ns);
                let answered = (span.canary.answered(), span.control.answered());
                seen.slow.events(slow, theirs, answered);
                // The same mark for both: a span in which everything is slow says nothing.
                let mark_ns = times(SLOWER_MEDIAN, control.quantile_ns(0.5));
                let slow = span.canary.over(mark_ns);
                let theirs = span.control.over(mark_ns);
                seen.slow_median.events(slow, theirs, answered);
            }
            let requests = (span.canary.requests(), span.control.requests());
            seen.errors
                .events(span.canary.errors, span.control.errors, requests);
            let refused = (span.canary.refused, span.control.refused);
            let all = (requests.0 + refused.0, requests.1 + refused.1);
            seen.refused.events(refused.0, refused.1, all);
            let looked = (span.canary.nulls.looked, span.control.nulls.looked);
            let null = (span.canary.nulls.null, span.control.nulls.null);
            seen.nulls.events(null.0, null.1, looked);
            for one in &mut seen.objectives {
                one.look(&span.canary, &span.control);
            }
            canary.merge(&span.canary);
            control.merge(&span.control);
        }
        let mark_ns = control.quantile_ns(0.99);
        let slow = match control.answered() {
            0 => 0,
            _ => canary.over(times(SLOWER, mark_ns)),
        };
        seen.canary = summary(&canary, slow);
        seen.control = summary(&control, control.over(mark_ns));
        seen
    }
}

impl Seen {
    /// Whether the new version's median is beyond [`SLOWER_MEDIAN`] times the other one's.
    pub fn is_median_slow(&self) -> bool {
        let control_ns = self.control.p50_ns;
        control_ns > 0 && self.canary.p50_ns > times(SLOWER_MEDIAN, control_ns)
    }
}

impl Bounded {
    fn look(&mut self, canary: &Counts, control: &Counts) {
        for (bet, counts) in [(&mut self.canary, canary), (&mut self.control, control)] {
            let (events, of, fair) = beyond(&self.objective, counts);
            bet.events(events, of, fair);
        }
    }
}

/// Requests beyond an objective's bound, of how many, and the share that may be.
pub(crate) fn beyond(objective: &Objective, counts: &Counts) -> (u64, u64, f64) {
    let share = match objective.figure {
        Figure::Errors => {
            let fair = objective.share_ppm().unwrap_or(0) as f64 / 1e6;
            return (counts.errors, counts.requests(), fair);
        }
        Figure::Nulls => {
            let fair = objective.share_ppm().unwrap_or(0) as f64 / 1e6;
            return (counts.nulls.null, counts.nulls.looked, fair);
        }
        Figure::P50 => 0.5,
        Figure::P90 => 0.1,
        Figure::P99 => 0.01,
        Figure::P999 => 0.001,
    };
    let bound_ns = objective.latency_ns().unwrap_or(u64::MAX);
    (counts.over(bound_ns), counts.answered(), share)
}

fn summary(counts: &Counts, slow: u64) -> Summary {
    Summary {
        requests: counts.requests(),
        errors: counts.errors,
        p50_ns: counts.quantile_ns(0.5),
        p99_ns: counts.quantile_ns(0.99),
        slow,
        refused: counts.refused,
        looked: counts.nulls.looked,
        null: counts.nulls.null,
    }
}

fn times(factor: f64, ns: u64) -> u64 {
    (ns as f64 * factor) as u64
}

/// `at 1200 to 1`.
impl<const N: usize> fmt::Display for Bet<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Beyond a billion, how much more says nothing.
        let odds = self.best.exp().min(1e9);
        write!(f, "[{odds:.0} to 1]")
    }
}

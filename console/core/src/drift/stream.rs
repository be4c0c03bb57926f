//! One stream: the evidence that the bins of one feature have other shares than its reference.
//!
//! A step takes the counts of one tick and does, for each expert j and either gate,
//! `R_j ← (R_j + 1) · E_j`. Under the gate's null E_j is expected to be at most 1 whatever came
//! before, so R_j grows by at most 1 a step on average, and so does its mean over the experts.

use std::sync::Arc;

use binnacle_sketch::profile::BINS;

use super::experts::{Experts, MAX_EXPERTS};
use super::special::ln_rising;
use super::spread::Spread;
use super::tolerance::Tolerance;
use crate::packed::{Malformed, Packed, Packer, Unpacker, packed};

/// What one step may multiply evidence by: far past any threshold, far from what a double holds.
const CAP: f64 = 1e60;
/// What evidence may come to. Less of it is never wrong: the bound is one from above.
const MOST: f64 = 1e200;

/// What a stream is held against: fixed while its reference is.
#[derive(Clone, Debug)]
pub struct Null {
    /// What it may have become.
    pub experts: Arc<Experts>,
    /// Gate B.
    pub tolerance: Arc<Tolerance>,
    /// Gate A: the gaps of the reference in each bin, `a_k`. `None` for a feature that is not
    /// exchangeable with its own past, where gate A would prove nothing.
    pub gaps: Option<Vec<u32>>,
}

/// The state of a stream: what is kept over restarts. At most 4 KB.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// R_j of gate A, and then R_j of gate B.
    evidence: Box<[f64]>,
    /// For each expert, how many ticks ago the change began, if it is right: the mean over all
    /// moments, weighed by what each has of R_j.
    ages: Box<[f32]>,
    /// Live values in each bin so far: `n_k`.
    seen: [u64; BINS],
    /// The tick of the last step.
    tick: u32,
    /// Steps since the evidence was last set to nothing.
    steps: u32,
    spread: Spread,
}

/// Without a step there is no evidence, and of that only how many experts it would be of.
impl Packed for Stream {
    fn shape(into: &mut String) {
        into.push_str("stream,");
        <(Box<[f64]>, Box<[f32]>)>::shape(into);
        <[u64; BINS]>::shape(into);
        <(u32, u32, Spread)>::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        let Self {
            evidence,
            ages,
            seen,
            tick,
            steps,
            spread,
        } = self;
        steps.pack(to);
        match steps {
            0 => ages.len().pack(to),
            _ => {
                evidence.pack(to);
                ages.pack(to);
            }
        }
        seen.pack(to);
        tick.pack(to);
        spread.pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let steps = u32::unpack(from)?;
        let (evidence, ages) = match steps {
            0 => {
                let experts = usize::unpack(from)?;
                if experts > MAX_EXPERTS {
                    return Err(Malformed("there are too many experts"));
                }
                (vec![0.0; 2 * experts].into(), vec![0.0; experts].into())
            }
            _ => (Packed::unpack(from)?, Packed::unpack(from)?),
        };
        Ok(Self {
            evidence,
            ages,
            seen: Packed::unpack(from)?,
            tick: Packed::unpack(from)?,
            steps,
            spread: Packed::unpack(from)?,
        })
    }
}

/// What a stream has against its null.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// M_A; `None` where gate A is off.
    pub exact: Option<f64>,
    /// M_B.
    pub practical: f64,
    /// The expert that both gates hold for the likeliest.
    pub best: usize,
    /// How many ticks ago the change that it stands for began.
    pub age: f32,
    /// Steps that the evidence was gathered over.
    pub steps: u32,
}

packed!(Evidence {
    exact,
    practical,
    best,
    age,
    steps,
});

/// Counts that cannot have been counted against this reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} values in bin {bin}, in which the reference leaves no room")]
pub struct Impossible {
    /// The bin.
    pub bin: usize,
    /// Values in it.
    pub count: u64,
}

impl Evidence {
    /// What both gates agree on: the lesser of the two.
    pub fn agreed(&self) -> f64 {
        self.exact
            .map_or(self.practical, |exact| exact.min(self.practical))
    }
}

impl Stream {
    /// Nothing seen.
    pub fn new(experts: &Experts) -> Self {
        Self {
            evidence: vec![0.0; 2 * experts.len()].into(),
            ages: vec![0.0; experts.len()].into(),
            seen: [0; BINS],
            tick: 0,
            steps: 0,
            spread: Spread::default(),
        }
    }

    /// Takes the counts of a tick, a number for each bin. Without an observation nothing
    /// happens. Counts that this reference cannot have given change nothing.
    pub fn step(&mut self, tick: u32, null: &Null, counts: &[u64]) -> Result<(), Impossible> {
        if counts.iter().all(|count| *count == 0) {
            return Ok(());
        }
        let power = self.spread.power();
        let mut gains = [0.0; MAX_EXPERTS];
        let gains = gains
            .get_mut(..self.ages.len())
            .expect("a table has its limit");
        let (exact, practical) = self.evidence.split_at_mut(self.ages.len());
        if let Some(gaps) = &null.gaps {
            let log_null = log_polya(gaps, &self.seen, counts)?;
            gains.fill(-log_null);
            weigh(gains, null.experts.columns(), counts);
            grow_old(&mut self.ages, exact, tick.saturating_sub(self.tick));
            advance(exact, gains, power);
        } else {
            grow_old(&mut self.ages, practical, tick.saturating_sub(self.tick));
        }
        gains.fill(0.0);
        weigh(gains, null.tolerance.columns(), counts);
        advance(practical, gains, power);
        for (seen, count) in self.seen.iter_mut().zip(counts) {
            *seen = seen.saturating_add(*count);
        }
        self.spread.add(counts);
        self.tick = tick;
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }

    /// What there is against the null by now.
    pub fn evidence(&self, null: &Null) -> Evidence {
        let (exact, practical) = self.evidence.split_at(self.ages.len());
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len().max(1) as f64;
        let on = null.gaps.is_some();
        let both = exact.iter().zip(practical);
        let both = both.map(|(a, b)| if on { a.min(*b) } else { *b });
        let best = both.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        let best = best.map_or(0, |(at, _)| at);
        Evidence {
            exact: on.then(|| mean(exact)),
            practical: mean(practical),
            best,
            age: self.ages.get(best).copied().unwrap_or_default(),
            steps: self.steps,
        }
    }

    /// Sets the evidence to nothing, after a page. What was seen stays seen: gate A is exact only
    /// given everything that came before.
    pub fn reset(&mut self) {
        self.evidence.fill(0.0);
        self.ages.fill(0.0);
        self.steps = 0;
    }

    /// Live values in each bin so far.
    pub fn seen(&self) -> &[u64; BINS] {
        &self.seen
    }

    /// Live values so far.
    pub fn observations(&self) -> u64 {
        self.seen
            .iter()
            .fold(0, |all, seen| all.saturating_add(*seen))
    }

    /// φ: how much more batches differ from each other than chance makes them.
    pub fn spread(&self) -> &Spread {
        &self.spread
    }

    /// Bytes of the state, the heap included.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.evidence) + size_of_val(&*self.ages)
    }

    /// Whether the state belongs to a table of so many experts and is made of numbers: what was
    /// read from a store is checked before it is used.
    pub fn fits(&self, experts: &Experts) -> bool {
        let numbers = self.evidence.iter().all(|r| (0.0..=MOST).contains(r));
        let ages = self.ages.iter().all(|age| age.is_finite());
        numbers
            && ages
            && self.ages.len() == experts.len()
            && self.evidence.len() == 2 * experts.len()
    }
}

/// ln of the probability of these counts, in one order, after what was seen and the reference
/// (Pólya's urn): a fresh value falls into bin k with probability c_k / A, c_k = a_k + n_k, and
/// is then one of those that were seen.
pub(super) fn log_polya(gaps: &[u32], seen: &[u64], counts: &[u64]) -> Result<f64, Impossible> {
    let (mut all, mut n, mut found) = (0.0, 0.0, 0.0);
    for (bin, ((gaps, seen), count)) in gaps.iter().zip(seen).zip(counts).enumerate() {
        let before = f64::from(*gaps) + *seen as f64;
        all += before;
        if *count == 0 {
            continue;
        }
        if before <= 0.0 {
            return Err(Impossible { bin, count: *count });
        }
        let count = *count as f64;
        n += count;
        found += ln_rising(before, count);
    }
    Ok(found - ln_rising(all, n))
}

/// Adds N_k times each expert's column.
pub(super) fn weigh<'a>(
    gains: &mut [f64],
    columns: impl Iterator<Item = &'a [f64]>,
    counts: &[u64],
) {
    for (count, column) in counts.iter().zip(columns) {
        if *count == 0 {
            continue;
        }
        let count = *count as f64;
        for (gain, log) in gains.iter_mut().zip(column) {
            *gain += count * log;
        }
    }
}

/// R ← (R + 1) · E^power. For a power below 1 the expectation of E^power is at most 1 where that
/// of E is (Jensen), so tempering costs power and no validity.
fn advance(evidence: &mut [f64], gains: &[f64], power: f64) {
    for (r, gain) in evidence.iter_mut().zip(gains) {
        let e = (gain * power).exp().min(CAP);
        *r = ((*r + 1.0) * e).min(MOST);
    }
}

/// What is known of the moment of change grows older by the ticks that have passed, and is mixed
/// with the one moment that is new: this one. E multiplies all of them alike.
fn grow_old(ages: &mut [f32], evidence: &[f64], ticks: u32) {
    for (age, r) in ages.iter_mut().zip(evidence) {
        let r = *r as f32;
        let old = *age + ticks as f32;
        *age = if r < f32::MAX {
            old * (r / (r + 1.0))
        } else {
            old
        };
    }
}

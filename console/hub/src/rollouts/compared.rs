//! What a new version is asked, beside what the one that it is to replace is asked.
//!
//! Rollouts never wait for what looks at inputs: they ask it now and then, and take what it said
//! when they come by again.

use binnacle_core::drift::Beside;
use tokio::sync::oneshot;

use crate::drift::{Drift, Pair, Sides};

/// Between two questions: counts come from hosts every few seconds.
const ASK_US: i64 = 1_000_000;

/// What was counted of the two, since a step is watched.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// What was counted before then.
    before: Sides,
    /// How often what came since was looked at.
    looked: usize,
    asked: Option<oneshot::Receiver<Sides>>,
    /// Not asked again earlier.
    ask_at_us: i64,
}

impl Compared {
    /// What lies apart, where enough has come since to look at it once more.
    pub(super) fn look(&mut self, drift: &Drift, pair: Pair, now_us: i64) -> Option<Beside> {
        if let Some(asked) = &mut self.asked {
            match asked.try_recv() {
                Ok(sides) => {
                    self.asked = None;
                    return self.take(sides);
                }
                Err(oneshot::error::TryRecvError::Empty) => return None,
                // It stops, and so will whoever asks.
                Err(oneshot::error::TryRecvError::Closed) => self.asked = None,
            }
        }
        if now_us >= self.ask_at_us {
            self.ask_at_us = now_us.saturating_add(ASK_US);
            self.asked = drift.sides(pair);
        }
        None
    }

    fn take(&mut self, [canary, control]: Sides) -> Option<Beside> {
        let control = control?;
        let [canary_before, control_before] = &mut self.before;
        // A new version may not have been asked anything when the other one is known already.
        let Some(before) = control_before else {
            (*canary_before, *control_before) = (canary, Some(control));
            return None;
        };
        let canary = canary?;
        let canary = match canary_before {
            Some(before) => canary.after(before),
            None => canary,
        };
        let looks = canary.looks();
        if looks <= self.looked {
            return None;
        }
        self.looked = looks;
        Some(canary.beside(&control.after(before)))
    }
}

#[cfg(test)]
mod tests {
    use binnacle_core::drift::{Seen, Side};
    use binnacle_core::report::References;
    use binnacle_sketch::profile::Counts;

    use super::*;

    /// One feature of which all values lie in one bin, or in several.
    fn side(bins: &[(usize, u64)]) -> Option<Side> {
        let mut counts = Counts::default();
        bins.iter()
            .for_each(|(bin, values)| counts.bins[*bin] = *values);
        let seen = Seen {
            name: "tenure".into(),
            counts,
            spread: 1.0,
        };
        Some(Side {
            references: References::default(),
            features: vec![seen],
        })
    }

    #[test]
    fn what_came_before_does_not_count_and_each_size_is_looked_at_once() {
        let mut compared = Compared::default();
        assert_eq!(compared.take([None, None]), None);
        // The other one was asked otherwise before the step.
        assert_eq!(compared.take([None, side(&[(9, 5_000)])]), None);
        assert_eq!(compared.take([None, side(&[(2, 900), (9, 5_000)])]), None);
        let same = compared.take([side(&[(2, 500)]), side(&[(2, 900), (9, 5_000)])]);
        assert_eq!(same, Some(Beside::default()));
        let again = compared.take([side(&[(9, 900)]), side(&[(2, 900), (9, 5_000)])]);
        assert_eq!(again, None, "not before there are 2,000");
        let other = compared.take([side(&[(9, 2_000)]), side(&[(2, 900), (9, 5_000)])]);
        let inputs = other.unwrap().inputs.unwrap();
        assert_eq!((&*inputs.feature, inputs.how), ("tenure", "higher"));
    }
}

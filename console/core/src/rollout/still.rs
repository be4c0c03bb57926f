//! Whether a look at a rollout can come to anything yet, without going through its hosts.
//!
//! A hub looks many times a second, and through a fleet of ten thousand hosts only where what they
//! say can change something. Where hosts switch, one that has not is enough; it is looked for from
//! both ends at once, since they come in any order, or in theirs. Promises: where this says so,
//! [`next`](super::next) comes to nothing.

use super::progress::{by_hand, follows};
use super::{PREPARE_WITHIN_US, Phase, Progress, Rollout, SECOND_US, SHIFT_WITHIN_US, Stage, Turn};
use crate::endpoint::Endpoint;
use crate::host::Host;
use crate::judge::{Judgement, Verdict};
use crate::name::Name;
use crate::observed::Observed;
use crate::state::State;

/// Whether nothing can come of a look.
pub fn is_still(
    (state, observed): (&State, &Observed),
    endpoint: &Endpoint,
    rollout: &Rollout,
    judgement: &Judgement,
    now_us: i64,
) -> bool {
    let intent = &rollout.plan.intent;
    let turn = Turn {
        rollout,
        progress: &Progress::default(),
        judgement,
        now_us,
    };
    let is_due = rollout.deadline_us().is_some_and(|due_us| now_us >= due_us);
    let has_left =
        !intent.is_rollback() && turn.is_forward() && by_hand(endpoint, rollout).is_some();
    if is_due || has_left {
        return false;
    }
    let verdict = judgement.finding.verdict;
    let lasts = |within_us: i64| !turn.is_over(within_us);
    let seconds = |count: u32| i64::from(count) * SECOND_US;
    match &rollout.phase {
        // Whoever cannot load what is coming may be any of them; what waits to be approved has
        // nothing to do with hosts, and its end is looked for as it is.
        Phase::Awaiting { .. } | Phase::Preparing => false,
        Phase::Step(_, Stage::Shifting) => {
            let within_us = match intent.is_rollback() {
                true => PREPARE_WITHIN_US,
                false => SHIFT_WITHIN_US,
            };
            lasts(within_us) && somebody_waits(state, observed, endpoint)
        }
        Phase::Step(_, Stage::Baking) => {
            let bake_s = rollout.step().map_or(0, |step| step.bake_s);
            verdict != Verdict::RollBack && lasts(seconds(bake_s))
        }
        Phase::Step(_, Stage::Judging) => match verdict {
            Verdict::Promote | Verdict::RollBack => false,
            Verdict::Hold | Verdict::Inconclusive { .. } => lasts(seconds(intent.hold_at_most_s)),
        },
        Phase::Confirming => verdict != Verdict::RollBack,
        Phase::Paused(_) => lasts(seconds(intent.hold_at_most_s)),
        Phase::Pausing(_) | Phase::RollingBack(_) | Phase::Aborting(_) => {
            lasts(SHIFT_WITHIN_US) && somebody_waits(state, observed, endpoint)
        }
        Phase::Promoted | Phase::RolledBack(_) | Phase::Aborted(_) => true,
    }
}

/// Whether a host that is heard does not do what is wanted of it yet.
fn somebody_waits(state: &State, observed: &Observed, endpoint: &Endpoint) -> bool {
    let waits = |(name, host): (&Name, &std::sync::Arc<Host>)| {
        endpoint.is_served_by(host)
            && observed
                .commanding(name)
                .is_some_and(|(_, stream)| !follows(&stream.served, endpoint, host, name))
    };
    let (mut first, mut last) = (state.hosts.iter(), state.hosts.iter().rev());
    // Both halves together are all of them.
    let half = state.hosts.len().div_ceil(2);
    (0..half).any(|_| first.next().is_some_and(waits) || last.next().is_some_and(waits))
}

//! Endpoints that want somebody's eye: rollouts that are held, go back or wait for a word, what
//! was rolled back lately, and hosts that decided for themselves.

use super::{Object, Trouble};
use crate::alert::Severity;
use crate::blame::Whom;
use crate::judge::{Finding, Verdict};
use crate::rollout::Verb;
use crate::view::{AlertItem, BlockItem, EndpointItem, OverrideItem, RolloutItem, Status};

/// How long what was rolled back is told: an hour, in which whoever comes asks why.
const LATELY_US: i64 = 3_600_000_000;
/// How long before hosts go back by themselves it becomes urgent.
const URGENT_US: i64 = 120_000_000;

/// Judges endpoints: what of them is wrong, worst first; of two alike that which began later.
pub fn endpoint_troubles(rows: &[EndpointItem], now_us: i64) -> Vec<Trouble> {
    let mut list = Vec::new();
    for row in rows {
        let heard = row.alerts.iter().filter(|alert| alert.silenced.is_none());
        list.extend(heard.map(|alert| alerted(row, alert)));
        let rollout = row.rollout.as_ref();
        list.extend(rollout.and_then(|rollout| underway(row, rollout, now_us)));
        list.extend(rollout.and_then(|rollout| cannot(row, rollout)));
        let lately = |block: &&BlockItem| now_us - block.at_us < LATELY_US;
        let newest = row.blocked.iter().filter(lately);
        list.extend(
            newest
                .max_by_key(|block| block.at_us)
                .map(|block| went_back(row, block)),
        );
        let standing = row.overridden.iter().filter(|one| one.stands);
        list.extend(by_hand(row, &standing.collect::<Vec<_>>()));
    }
    list.sort_by(|a, b| {
        let worse = b.severity.cmp(&a.severity);
        worse.then_with(|| b.since_us.cmp(&a.since_us))
    });
    list
}

fn trouble(row: &EndpointItem, severity: Status, since_us: i64, what: String) -> Trouble {
    Trouble {
        severity,
        title: row.endpoint.to_string(),
        since_us: Some(since_us),
        what,
        blame: String::new(),
        next: String::new(),
        object: Object::Endpoint(row.endpoint.clone()),
        hosts: row.hosts as usize,
    }
}

/// What does not hold: with whom it is laid to, and what helps.
fn alerted(row: &EndpointItem, alert: &AlertItem) -> Trouble {
    let severity = match alert.severity {
        Severity::Page => Status::Crit,
        Severity::Warn => Status::Warn,
    };
    let back = row.rollback.as_ref().filter(|back| back.warm > 0);
    let next = match (&alert.blame.whom, back) {
        (Whom::Version(version), _) if !row.versions.contains(version) => {
            "it serves no more: this ends when what it answered is past".into()
        }
        (Whom::Version(_), Some(back)) => format!(
            "R goes back to rev {}, ready on {} of {} hosts",
            back.to, back.warm, back.hosts
        ),
        (Whom::Version(_), None) => "R goes back; no host has it loaded".into(),
        (Whom::Host(host), _) => format!("binnacle host drain {host} takes it out"),
        (Whom::Upstream, _) => "going back does not help: look at what feeds it".into(),
        (Whom::Caller(_) | Whom::Unknown, _) => format!("binnacle why {}", row.endpoint),
    };
    let next = match &alert.acknowledged {
        Some(mark) => format!("{} knows; {next}", mark.caller),
        None => next,
    };
    Trouble {
        blame: alert.blame.why.to_string(),
        next,
        ..trouble(
            row,
            severity,
            alert.since_us,
            format!("not {}: {}", alert.text, alert.what),
        )
    }
}

/// What is under way and does not go on by itself, or goes back.
fn underway(row: &EndpointItem, rollout: &RolloutItem, now_us: i64) -> Option<Trouble> {
    if rollout.verb != Verb::Deploy {
        return None;
    }
    let (revision, step) = (rollout.revision, place(rollout));
    let tell = |severity, what, blame: String, next: &str| {
        Some(Trouble {
            blame,
            next: next.into(),
            ..trouble(row, severity, rollout.since_us, what)
        })
    };
    let version = || format!("rev {revision}: {}", rollout.after);
    let against = rollout.finding.as_ref().filter(|it| it.speaks_against());
    match (&*rollout.phase, against) {
        ("rolling_back" | "aborting", _) => tell(
            Status::Crit,
            format!("rev {revision} goes back: {}", rollout.why),
            version(),
            "hosts go back by themselves; 5 shows how far",
        ),
        (_, Some(finding)) => tell(
            Status::Crit,
            format!("rev {revision} is bad: {}", finding.why),
            version(),
            "it goes back by itself; R does it now",
        ),
        ("confirming", None) => {
            let by_us = rollout.confirm_by_us;
            let left_us = by_us.map(|by_us| by_us - now_us);
            let severity = match left_us.is_some_and(|left_us| left_us < URGENT_US) {
                true => Status::Crit,
                false => Status::Warn,
            };
            let what = match left_us {
                Some(left_us) => format!(
                    "rev {revision} is not confirmed: hosts go back in {}",
                    minutes(left_us)
                ),
                None => format!("rev {revision} is not confirmed"),
            };
            tell(
                severity,
                what,
                "a person's word is awaited".into(),
                "a, then c keeps it; R takes it back",
            )
        }
        ("paused", None) => tell(
            Status::Warn,
            format!("rev {revision} is paused{step}"),
            "somebody asked for it".into(),
            "a, then u goes on; R takes it back",
        ),
        ("judging", None) => {
            let (why, blame) = held(rollout.finding.as_ref());
            tell(
                Status::Warn,
                format!("rev {revision} is held{step}: {why}"),
                blame.into(),
                "R takes it back; held too long, it goes back",
            )
        }
        (_, None) => None,
    }
}

/// Why it is held, and what that is laid to.
fn held(finding: Option<&Finding>) -> (&str, &'static str) {
    match finding {
        None => ("nothing was measured yet", "unknown: no requests"),
        Some(finding) => {
            let blame = match finding.verdict {
                Verdict::Inconclusive { .. } => "unknown: not enough requests",
                Verdict::Hold | Verdict::Promote | Verdict::RollBack => {
                    "unknown: neither good nor bad enough"
                }
            };
            (&finding.why, blame)
        }
    }
}

/// Hosts that cannot do what is wanted of them.
fn cannot(row: &EndpointItem, rollout: &RolloutItem) -> Option<Trouble> {
    let first = rollout.failed.first()?;
    let what = match rollout.failed.len() {
        1 => format!("{} cannot load it: {}", first.host, first.why),
        many => format!("{many} hosts cannot load it: {}: {}", first.host, first.why),
    };
    let next = match rollout.verb {
        Verb::Deploy => "look there first; R takes it back",
        Verb::Rollback(_) => "look there: the others are back",
    };
    Some(Trouble {
        blame: format!("rev {}: {}", rollout.revision, rollout.after),
        next: next.into(),
        hosts: rollout.failed.len(),
        ..trouble(row, Status::Warn, rollout.since_us, what)
    })
}

/// A version that was taken back lately.
fn went_back(row: &EndpointItem, block: &BlockItem) -> Trouble {
    let why = match &*block.why {
        "" => String::new(),
        why => format!(": {why}"),
    };
    Trouble {
        blame: format!("version {}", block.version),
        next: "it serves no more; a lifts the block when it is mended".into(),
        ..trouble(
            row,
            Status::Warn,
            block.at_us,
            format!("{} was rolled back{why}", block.version),
        )
    }
}

/// Hosts that decided for themselves.
fn by_hand(row: &EndpointItem, standing: &[&OverrideItem]) -> Option<Trouble> {
    let first = standing.first()?;
    let what = match standing.len() {
        1 => format!("{} left the route by itself: {}", first.host, first.why),
        many => format!(
            "{many} hosts left the route by themselves, {}: {}",
            first.host, first.why
        ),
    };
    Some(Trouble {
        since_us: None,
        blame: format!("{} on the host", first.who),
        next: "a deploy or R from here overrules it".into(),
        hosts: standing.len(),
        ..trouble(row, Status::Warn, 0, what)
    })
}

fn place(rollout: &RolloutItem) -> String {
    match (rollout.step, rollout.steps) {
        (0, _) => String::new(),
        (step, steps) => format!(" at step {step}/{steps}"),
    }
}

fn minutes(us: i64) -> String {
    match us / 1_000_000 {
        ..=0 => "a moment".into(),
        seconds @ 1..120 => format!("{seconds}s"),
        seconds => format!("{}m", seconds / 60),
    }
}

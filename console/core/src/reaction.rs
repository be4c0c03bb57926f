//! Reactions: what happens when something that must hold at an endpoint does not.
//!
//! The hub looks at what is measured ([`Watch`]) and puts what it concludes before the engine;
//! here it is decided what comes of it: an alert is opened, laid to somebody, closed, and the
//! endpoint is taken back where it asks for that, its version is to blame, nothing is under way
//! that judges itself, and it was not done too often. An automatic rollback is a rollback like
//! any other, run by the hub.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::alert::change::{Blamed, Change as Alerts, OfAlert, Opened};
use crate::alert::{MAX_BLAMED, Reaction, Subject};
use crate::blame::{Blame, Whom};
use crate::caller::Caller;
use crate::endpoint::{self, Endpoint, EndpointName, Route, command};
use crate::journal::Change;
use crate::observed::Observed;
use crate::registry::Reference;
use crate::rollout::{Ask, Plan, Want};
use crate::state::State;

pub use evidence::{Measured, conclude};
pub use settings::{NotReactions, OnBreach, ROLLBACKS_AN_HOUR, Reactions};
pub use watch::{Due, LOOK_BACK_US, SPAN_S, Watch};

pub mod evidence;
mod odd;
pub mod settings;
pub mod watch;

const HOUR_US: i64 = 3_600 * 1_000_000;

/// What was concluded about one thing that must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// At which endpoint.
    pub endpoint: EndpointName,
    /// What must hold.
    pub subject: Subject,
    /// Whether it does.
    pub stands: Stands,
}

/// Whether something holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Stands {
    /// It does not.
    Breached {
        /// Since when.
        since_us: i64,
        /// What was found, with its numbers.
        what: Arc<str>,
        /// To whom it is laid.
        blame: Blame,
        /// What may be behind the like at other endpoints; of most things nothing is known.
        causes: Vec<Arc<str>>,
    },
    /// It does again, or does not have to.
    Holds {
        /// Why the alert is over.
        why: Arc<str>,
    },
}

/// What follows from conclusions, as it stands: each entry's reason, and the change.
pub(crate) fn decide(
    state: &State,
    observed: &Observed,
    conclusions: &[Conclusion],
    now_us: i64,
) -> Vec<(String, Change)> {
    let mut desk = Desk {
        state,
        observed,
        now_us,
        taken_back: BTreeSet::new(),
        decided: Vec::new(),
    };
    for conclusion in conclusions {
        if let Some(endpoint) = state.endpoints.get(&conclusion.endpoint) {
            desk.take(endpoint, conclusion);
        }
    }
    desk.decided
}

/// Decides one conclusion after the other.
struct Desk<'a> {
    state: &'a State,
    observed: &'a Observed,
    now_us: i64,
    /// Endpoints that were taken back just now: once is enough, whatever else breaks there.
    taken_back: BTreeSet<&'a EndpointName>,
    decided: Vec<(String, Change)>,
}

impl<'a> Desk<'a> {
    fn take(&mut self, endpoint: &'a Endpoint, conclusion: &Conclusion) {
        let open = self.state.alerts.about(&endpoint.name, &conclusion.subject);
        match (&conclusion.stands, open) {
            (Stands::Holds { why }, Some(alert)) => {
                let closed = Alerts::Closed(OfAlert {
                    alert: alert.number,
                    endpoint: endpoint.name.clone(),
                });
                self.decided.push((why.to_string(), Change::Alert(closed)));
            }
            (Stands::Holds { .. }, None) => {}
            (
                Stands::Breached {
                    since_us,
                    what,
                    blame,
                    causes,
                },
                None,
            ) => {
                let (reaction, back) = self.react(endpoint, blame, (&conclusion.subject, what));
                let opened = Alerts::Opened(Box::new(Opened {
                    endpoint: endpoint.name.clone(),
                    subject: conclusion.subject.clone(),
                    since_us: *since_us,
                    revision: endpoint.live,
                    what: what.clone(),
                    blame: blame.clone(),
                    reaction,
                    causes: causes.clone(),
                }));
                self.decided.push((what.to_string(), Change::Alert(opened)));
                self.decided.extend(back);
            }
            (Stands::Breached { what, blame, .. }, Some(alert)) => {
                // What has been acted upon is not laid to somebody else while it settles, and
                // what was laid to somebody is not taken back because it is hard to see now.
                let has_acted = matches!(alert.reaction, Reaction::RollBack { .. });
                if has_acted || alert.blamed >= MAX_BLAMED || blame.whom == Whom::Unknown {
                    return;
                }
                let (reaction, back) = self.react(endpoint, blame, (&conclusion.subject, what));
                if blame.whom == alert.blame.whom && back.is_none() {
                    return;
                }
                let blamed = Alerts::Blamed(Box::new(Blamed {
                    alert: alert.number,
                    endpoint: endpoint.name.clone(),
                    what: what.clone(),
                    blame: blame.clone(),
                    reaction,
                }));
                self.decided.push((what.to_string(), Change::Alert(blamed)));
                self.decided.extend(back);
            }
        }
    }

    /// What is done about a breach, and the rollback if it is one.
    fn react(
        &mut self,
        endpoint: &'a Endpoint,
        blame: &Blame,
        (subject, what): (&Subject, &str),
    ) -> (Reaction, Option<(String, Change)>) {
        let plan = match self.plan(endpoint, blame) {
            Ok(plan) => plan,
            Err(reaction) => return (reaction, None),
        };
        let crate::rollout::Verb::Rollback(to) = plan.intent.verb else {
            return (Reaction::Tell("the plan is no rollback".into()), None);
        };
        let why = format!("{subject} does not hold: {what}; {blame}");
        let run = endpoint::Command::Run(Box::new(plan));
        let asked = command::Asked {
            caller: &Caller::Hub,
            why: &why,
            if_revision: None,
            now_us: self.now_us,
        };
        match endpoint::decide(self.state, self.observed, &run, asked) {
            Ok(Some(change)) => {
                self.taken_back.insert(&endpoint.name);
                let revision = endpoint.latest() + 1;
                let back = (why, Change::Endpoint(change));
                (Reaction::RollBack { revision, to }, Some(back))
            }
            Ok(None) => (Reaction::Tell("it is as it was already".into()), None),
            Err(refusal) => (Reaction::Tell(refusal.to_string().into()), None),
        }
    }

    /// The rollback that is to run, or why none is.
    fn plan(&self, endpoint: &Endpoint, blame: &Blame) -> Result<Plan, Reaction> {
        let tell = |why: String| Err(Reaction::Tell(why.into()));
        match endpoint.settings.reactions.on_breach {
            OnBreach::Alert => return tell("people are told; it is for them to act".into()),
            OnBreach::RollBack => {}
        }
        let Whom::Version(version) = &blame.whom else {
            return match blame.whom.is_helped_by_rollback() {
                None => tell("not taken back by itself: nobody is to blame for sure".into()),
                Some(_) => tell("not taken back: that would not help".into()),
            };
        };
        if self.taken_back.contains(&endpoint.name) {
            return tell("it is being taken back already".into());
        }
        if let Some(rollout) = endpoint.moving() {
            let revision = rollout.revision;
            return match rollout.plan.intent.is_rollback() {
                true => tell(format!("revision {revision} takes it back already")),
                false => tell(format!(
                    "revision {revision} is on its way and judged by itself"
                )),
            };
        }
        if !endpoint.route().is_some_and(|route| route.names(version)) {
            return tell(format!("{version} does not serve any more"));
        }
        if let Some(why) = frozen(endpoint, self.now_us) {
            return Err(Reaction::Frozen(why.into()));
        }
        let ask = Ask {
            endpoint: endpoint.name.clone(),
            want: Want::Rollback(None),
            strategy: None,
            confirm_within_s: None,
            keeps_sticky: false,
        };
        match Plan::make(self.state, &ask, self.now_us) {
            Ok(Some(plan)) if plan.intent.after.names(version) => {
                let to = &plan.intent.after;
                tell(format!("what it would go back to has {version} too: {to}"))
            }
            Ok(Some(plan)) => match blocked(endpoint, &plan.intent.after) {
                Some(bad) => tell(format!(
                    "what it would go back to was taken back itself: {bad}"
                )),
                None => Ok(plan),
            },
            Ok(None) => tell("it serves what it would go back to".into()),
            Err(refusal) => tell(refusal.to_string()),
        }
    }
}

/// A version of a route that was taken back: a person may go there again, the hub does not.
fn blocked<'a>(endpoint: &Endpoint, route: &'a Route) -> Option<&'a Reference> {
    let mut versions = route.all_versions();
    versions.find(|version| endpoint.blocked.contains_key(*version))
}

/// Why an endpoint is not taken back by itself any more, for now.
pub fn frozen(endpoint: &Endpoint, now_us: i64) -> Option<String> {
    let by_itself = |within_us: i64| {
        let revisions = endpoint.revisions.iter().rev();
        revisions
            .take_while(|revision| revision.at_us > now_us - within_us)
            .filter(|revision| {
                let intent = &revision.rollout.plan.intent;
                revision.caller == Caller::Hub && intent.is_rollback()
            })
            .count()
    };
    let a_day = usize::from(endpoint.settings.reactions.rollbacks_a_day);
    match (by_itself(24 * HOUR_US), by_itself(HOUR_US)) {
        (day, _) if day >= a_day => Some(format!(
            "it was taken back by itself {day} times within 24 hours, at most {a_day} may be"
        )),
        (_, hour) if hour >= ROLLBACKS_AN_HOUR => Some(format!(
            "it was taken back by itself {hour} times within an hour, at most \
             {ROLLBACKS_AN_HOUR} may be"
        )),
        _ => None,
    }
}

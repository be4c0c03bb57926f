//! Endpoints as the fold of their changes. Total: what does not fit changes nothing.

use std::sync::Arc;

use imbl::OrdMap;

use super::change::{Accepted, Change, OfRollout};
use super::{Block, Endpoint, Endpoints, Fate, Overridden, Revision};
use crate::caller::Caller;
use crate::judge::Finding;
use crate::list::List;
use crate::name::Name;
use crate::registry::{self, Reference};
use crate::rollout::duty::{is_news, near};
use crate::rollout::{Phase, Rollout, Stage, Trace};
use crate::served::Stamp;

/// Where, when and by whom a change stands in the journal.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The entry.
    pub sequence: u64,
    /// When it was decided.
    pub at_us: i64,
    /// Who asked for it.
    pub caller: &'a Caller,
    /// Why, in the caller's words.
    pub why: &'a str,
}

impl Endpoints {
    /// Folds a change in.
    pub(crate) fn apply(&mut self, change: &Change, at: Place<'_>) {
        if let Change::Created(said) = change {
            let endpoint = Endpoint {
                name: said.endpoint.clone(),
                settings: Arc::new(said.settings.clone()),
                edited: at.sequence,
                created_at_us: at.at_us,
                revisions: List::default(),
                live: 0,
                stamp: Stamp::default(),
                rollout: None,
                blocked: OrdMap::new(),
                overridden: OrdMap::new(),
                generation: at.sequence,
                history: List::from_iter([at.sequence]),
            };
            self.all.insert(said.endpoint.clone(), Arc::new(endpoint));
            return;
        }
        let Some(endpoint) = self.all.get_mut(change.endpoint()) else {
            return;
        };
        let before = endpoint.clone();
        let endpoint = Arc::make_mut(endpoint);
        endpoint.history.push_back(at.sequence);
        match change {
            Change::Created(_) => {}
            Change::Edited(said) => {
                endpoint.settings = Arc::new(said.settings.clone());
                endpoint.edited = at.sequence;
            }
            Change::Accepted(accepted) => endpoint.accept(accepted, at),
            Change::Moved(of) => endpoint.pass(of, at),
            Change::Lifted(lifted) => {
                endpoint.blocked.remove(&lifted.version);
            }
            Change::Adopted(adopted) => {
                for one in &adopted.overrides {
                    let overridden = Overridden {
                        told: one.told.clone(),
                        adopted_at_us: at.at_us,
                        stands: one.stands,
                    };
                    endpoint
                        .overridden
                        .insert(one.host.clone(), Arc::new(overridden));
                }
            }
        }
        // What settings say may be about which hosts, and what each is asked for.
        if endpoint.edited == at.sequence || is_news(&before, endpoint) {
            endpoint.generation = at.sequence;
        }
    }
}

impl Endpoints {
    /// What changed of a version that the hosts which keep it have to be told: its golden requests.
    pub(crate) fn heed(&mut self, change: &registry::Change, sequence: u64) {
        let registry::Change::VersionGolden(of) = change else {
            return;
        };
        let version = &of.version;
        let keeps = |endpoint: &&Arc<Endpoint>| near(endpoint).contains(version);
        let told: Vec<_> = self.all.values().filter(keeps).cloned().collect();
        for endpoint in told {
            let endpoint = Endpoint {
                generation: sequence,
                ..Endpoint::clone(&endpoint)
            };
            self.all.insert(endpoint.name.clone(), Arc::new(endpoint));
        }
    }
}

impl Endpoint {
    fn accept(&mut self, accepted: &Accepted, at: Place<'_>) {
        let intent = &accepted.plan.intent;
        let underway = self.rollout.take();
        if let Some(underway) = &underway {
            let why = match at.why {
                "" => format!("revision {} took its place", accepted.revision),
                why => why.to_owned(),
            };
            let fate = match underway.is_waiting() {
                true => Fate::Aborted(why.into()),
                false => Fate::RolledBack(why.into()),
            };
            self.end(underway, fate, at);
        }
        if intent.is_rollback() {
            let underway = underway.filter(|underway| !underway.is_waiting());
            self.block_what_leaves(accepted, underway.as_deref(), at);
            for version in intent.after.all_versions() {
                self.blocked.remove(version);
            }
        }
        let rollout = Arc::new(Rollout::accepted(accepted, self.stamp, at.at_us));
        self.revisions.push_back(Arc::new(Revision {
            number: accepted.revision,
            route: intent.after.clone(),
            sequence: at.sequence,
            at_us: at.at_us,
            caller: at.caller.clone(),
            why: at.why.into(),
            rollout: rollout.clone(),
            fate: Fate::Underway,
            fate_at_us: at.at_us,
        }));
        if rollout.step().is_some() {
            self.restamp(accepted.revision);
        }
        // What waits for a yes changes nothing yet, and overrules nobody.
        if !rollout.is_waiting() {
            self.overrule();
        }
        self.rollout = Some(rollout);
    }

    /// A rollback blocks what it takes away: of the route that serves, and of the one that was on
    /// its way.
    fn block_what_leaves(
        &mut self,
        accepted: &Accepted,
        underway: Option<&Rollout>,
        at: Place<'_>,
    ) {
        let after = &accepted.plan.intent.after;
        let underway = underway.and_then(|rollout| self.revision(rollout.revision));
        let routes = [self.revision(self.live), underway];
        let routes = routes.into_iter().flatten().cloned();
        let leaving: Vec<(Reference, u64)> = routes
            .flat_map(|revision| {
                let versions: Vec<Reference> = revision.route.versions().cloned().collect();
                versions
                    .into_iter()
                    .map(move |version| (version, revision.number))
            })
            .filter(|(version, _)| !after.names(version))
            .collect();
        for (version, revision) in leaving {
            self.block(version, revision, at.why.into(), at);
        }
    }

    fn block(&mut self, version: Reference, revision: u64, why: Arc<str>, at: Place<'_>) {
        let block = Block {
            by_itself: *at.caller == Caller::Hub,
            why,
            at_us: at.at_us,
            revision,
        };
        self.blocked.insert(version, block);
    }

    fn pass(&mut self, of: &OfRollout, at: Place<'_>) {
        let Some(rollout) = self
            .rollout
            .as_ref()
            .filter(|it| it.revision == of.revision)
        else {
            return;
        };
        let mut rollout = Rollout::clone(rollout);
        rollout.phase = of.moved.to.clone();
        rollout.through = of.moved.through.clone();
        rollout.since_us = at.at_us;
        rollout.trail.push_back(Arc::new(Trace {
            sequence: at.sequence,
            at_us: at.at_us,
            caller: at.caller.clone(),
            moved: of.moved.clone(),
        }));
        match &of.moved.to {
            Phase::Step(_, Stage::Shifting) => {
                rollout.stepped_us = at.at_us;
                self.restamp(of.revision);
            }
            Phase::Preparing => self.overrule(),
            Phase::RollingBack(_) | Phase::Aborting(_) => {
                if self.stamp.revision == of.revision {
                    self.restamp(of.revision);
                }
                self.overrule();
            }
            Phase::Awaiting { .. }
            | Phase::Step(_, Stage::Baking | Stage::Judging)
            | Phase::Confirming
            | Phase::Pausing(_)
            | Phase::Paused(_)
            | Phase::Promoted
            | Phase::RolledBack(_)
            | Phase::Aborted(_) => {}
        }
        self.block_what_was_bad(&rollout, of, at);
        let rollout = Arc::new(rollout);
        match fate(&of.moved.to) {
            Some(fate) => {
                if fate == Fate::Promoted {
                    self.live = of.revision;
                }
                self.rollout = None;
                self.end(&rollout, fate, at);
            }
            None => {
                self.keep(&rollout);
                self.rollout = Some(rollout);
            }
        }
    }

    /// What a verdict sends back may not come again until somebody lifts that.
    fn block_what_was_bad(&mut self, rollout: &Rollout, of: &OfRollout, at: Place<'_>) {
        let finding = of.moved.finding.as_ref();
        if let Phase::RollingBack(why) = &of.moved.to
            && finding.is_some_and(Finding::speaks_against)
        {
            for version in rollout.plan.intent.fresh().cloned().collect::<Vec<_>>() {
                self.block(version, of.revision, why.clone(), at);
            }
        }
    }

    /// The route that hosts are given is another one from now on.
    fn restamp(&mut self, revision: u64) {
        let step = match self.stamp.revision == revision {
            true => self.stamp.step.saturating_add(1),
            false => 1,
        };
        self.stamp = Stamp { revision, step };
    }

    /// What hosts decided for themselves has had its say.
    fn overrule(&mut self) {
        let overrule = |(host, one): (&Name, &Arc<Overridden>)| {
            let overruled = Overridden {
                stands: false,
                ..Overridden::clone(one)
            };
            (host.clone(), Arc::new(overruled))
        };
        self.overridden = self.overridden.iter().map(overrule).collect();
    }

    /// Keeps the rollout as it stands with its revision.
    fn keep(&mut self, rollout: &Arc<Rollout>) {
        self.settle(rollout.revision, |revision| {
            revision.rollout = rollout.clone()
        });
    }

    fn end(&mut self, rollout: &Arc<Rollout>, fate: Fate, at: Place<'_>) {
        self.settle(rollout.revision, |revision| {
            revision.rollout = rollout.clone();
            revision.fate = fate;
            revision.fate_at_us = at.at_us;
        });
    }

    fn settle(&mut self, number: u64, settle: impl FnOnce(&mut Revision)) {
        let place = number
            .checked_sub(1)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(revision) = place.and_then(|at| self.revisions.get_mut(at)) {
            settle(Arc::make_mut(revision));
        }
    }
}

/// What becomes of a revision whose rollout comes to a phase; `None` where it goes on.
fn fate(phase: &Phase) -> Option<Fate> {
    match phase {
        Phase::Promoted => Some(Fate::Promoted),
        Phase::RolledBack(why) => Some(Fate::RolledBack(why.clone())),
        Phase::Aborted(why) => Some(Fate::Aborted(why.clone())),
        Phase::Awaiting { .. }
        | Phase::Preparing
        | Phase::Step(..)
        | Phase::Confirming
        | Phase::Pausing(_)
        | Phase::Paused(_)
        | Phase::RollingBack(_)
        | Phase::Aborting(_) => None,
    }
}

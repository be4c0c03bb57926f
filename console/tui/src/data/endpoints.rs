//! What is known of endpoints and rollouts.

use std::sync::Arc;

use binnacle_core::view::{EndpointItem, EndpointName, PlanItem, RevisionItem, RolloutItem};

use super::{Data, Known};
use crate::question::endpoint::{Inquiry, Told, Wanted};
use crate::question::{Answer, Question};

impl Data {
    /// What was told of an inquiry; `pick` takes what is of its kind.
    fn told<'a, T>(
        &'a self,
        inquiry: Inquiry,
        now_us: i64,
        pick: impl Fn(&'a Told) -> Option<&'a T>,
    ) -> Known<'a, T> {
        let question = Question::Endpoints(inquiry);
        self.known(&question, now_us, |answer| match answer {
            Answer::Endpoints(told) => pick(told),
            Answer::Latency(_)
            | Answer::History(_)
            | Answer::Journal(_)
            | Answer::Past(_)
            | Answer::Host(_)
            | Answer::Registry(_) => None,
        })
    }

    /// Every endpoint, in order of name.
    pub fn endpoints(&self, now_us: i64) -> Known<'_, Arc<[EndpointItem]>> {
        self.told(Inquiry::All, now_us, |told| match told {
            Told::Endpoints(rows) => Some(rows),
            Told::Revisions(_) | Told::Rollouts(_) | Told::Plan(_) => None,
        })
    }

    /// One endpoint.
    pub fn endpoint(&self, name: &EndpointName, now_us: i64) -> Known<'_, EndpointItem> {
        let inquiry = Inquiry::One(name.clone());
        self.told(inquiry, now_us, |told| match told {
            Told::Endpoints(rows) => rows.first(),
            Told::Revisions(_) | Told::Rollouts(_) | Told::Plan(_) => None,
        })
    }

    /// Every route that an endpoint was ever to have, newest first.
    pub fn revisions(&self, name: &EndpointName, now_us: i64) -> Known<'_, Arc<[RevisionItem]>> {
        let inquiry = Inquiry::Revisions(name.clone());
        self.told(inquiry, now_us, |told| match told {
            Told::Revisions(rows) => Some(rows),
            Told::Endpoints(_) | Told::Rollouts(_) | Told::Plan(_) => None,
        })
    }

    /// How an endpoint came, or comes, to a revision.
    pub fn rollout(
        &self,
        name: &EndpointName,
        revision: u64,
        now_us: i64,
    ) -> Known<'_, RolloutItem> {
        let inquiry = Inquiry::Rollout(name.clone(), revision);
        self.told(inquiry, now_us, |told| match told {
            Told::Rollouts(rows) => rows.first(),
            Told::Endpoints(_) | Told::Revisions(_) | Told::Plan(_) => None,
        })
    }

    /// What would be done.
    pub fn plan(&self, wanted: &Wanted, now_us: i64) -> Known<'_, Arc<PlanItem>> {
        let inquiry = Inquiry::Plan(wanted.clone());
        self.told(inquiry, now_us, |told| match told {
            Told::Plan(item) => Some(item),
            Told::Endpoints(_) | Told::Revisions(_) | Told::Rollouts(_) => None,
        })
    }

    /// What is under way, wherever, as far as it is known.
    pub fn underway(&self) -> &[RolloutItem] {
        let known = self.told(Inquiry::Underway, 0, |told| match told {
            Told::Rollouts(rows) => Some(rows),
            Told::Endpoints(_) | Told::Revisions(_) | Told::Plan(_) => None,
        });
        match known {
            Known::Here(rows, _) => rows,
            Known::Loading | Known::Broken(_) => &[],
        }
    }
}

//! What is known of endpoints and rollouts.

use std::sync::Arc;

use binnacle_core::view::{
    EndpointItem, EndpointName, PlanItem, ProofItem, RevisionItem, RolloutItem,
};

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
        self.known(&question, now_us, |answer| {
            let Answer::Endpoints(told) = answer else {
                return None;
            };
            pick(told)
        })
    }

    /// Every endpoint, in order of name.
    pub fn endpoints(&self, now_us: i64) -> Known<'_, Arc<[EndpointItem]>> {
        self.endpoints_at(None, now_us)
    }

    /// Every endpoint, now or at a moment of the past.
    pub fn endpoints_at(&self, at_us: Option<i64>, now_us: i64) -> Known<'_, Arc<[EndpointItem]>> {
        let inquiry = at_us.map_or(Inquiry::All, Inquiry::AllAt);
        self.told(inquiry, now_us, endpoints)
    }

    /// One endpoint, now or at a moment of the past.
    pub fn endpoint_at(
        &self,
        name: &EndpointName,
        at_us: Option<i64>,
        now_us: i64,
    ) -> Known<'_, EndpointItem> {
        let inquiry = match at_us {
            None => Inquiry::One(name.clone()),
            Some(at_us) => Inquiry::OneAt(name.clone(), at_us),
        };
        self.told(inquiry, now_us, |told| endpoints(told)?.first())
    }

    /// One endpoint.
    pub fn endpoint(&self, name: &EndpointName, now_us: i64) -> Known<'_, EndpointItem> {
        self.endpoint_at(name, None, now_us)
    }

    /// Every route that an endpoint was ever to have, newest first.
    pub fn revisions(&self, name: &EndpointName, now_us: i64) -> Known<'_, Arc<[RevisionItem]>> {
        let inquiry = Inquiry::Revisions(name.clone());
        self.told(inquiry, now_us, |told| match told {
            Told::Revisions(rows) => Some(rows),
            Told::Endpoints(_) | Told::Rollouts(_) | Told::Plan(_) | Told::Proof(_) => None,
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
            Told::Endpoints(_) | Told::Revisions(_) | Told::Plan(_) | Told::Proof(_) => None,
        })
    }

    /// What would be done.
    pub fn plan(&self, wanted: &Wanted, now_us: i64) -> Known<'_, Arc<PlanItem>> {
        let inquiry = Inquiry::Plan(wanted.clone());
        self.told(inquiry, now_us, |told| match told {
            Told::Plan(item) => Some(item),
            Told::Endpoints(_) | Told::Revisions(_) | Told::Rollouts(_) | Told::Proof(_) => None,
        })
    }

    /// What a replay of an endpoint's recent inputs showed.
    pub fn proof(&self, inquiry: Inquiry, now_us: i64) -> Known<'_, Arc<ProofItem>> {
        self.told(inquiry, now_us, |told| match told {
            Told::Proof(item) => Some(item),
            Told::Endpoints(_) | Told::Revisions(_) | Told::Rollouts(_) | Told::Plan(_) => None,
        })
    }

    /// What is under way, wherever, as far as it is known.
    pub fn underway(&self) -> &[RolloutItem] {
        let known = self.told(Inquiry::Underway, 0, |told| match told {
            Told::Rollouts(rows) => Some(rows),
            Told::Endpoints(_) | Told::Revisions(_) | Told::Plan(_) | Told::Proof(_) => None,
        });
        match known {
            Known::Here(rows, _) => rows,
            Known::Loading | Known::Broken(_) => &[],
        }
    }
}

fn endpoints(told: &Told) -> Option<&Arc<[EndpointItem]>> {
    match told {
        Told::Endpoints(rows) => Some(rows),
        Told::Revisions(_) | Told::Rollouts(_) | Told::Plan(_) | Told::Proof(_) => None,
    }
}

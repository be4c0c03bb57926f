//! What is known of watched inputs.

use std::sync::Arc;

use binnacle_core::view::{DriftItem, EndpointName, Reference};

use super::{Data, Known};
use crate::question::drift::{Inquiry, Stretch, Told, Watched};
use crate::question::{Answer, Question};

impl Data {
    fn told_of_drift<'a, T>(
        &'a self,
        inquiry: Inquiry,
        now_us: i64,
        pick: impl Fn(&'a Told) -> Option<&'a T>,
    ) -> Known<'a, T> {
        let question = Question::Drift(inquiry);
        self.known(&question, now_us, |answer| {
            let Answer::Drift(told) = answer else {
                return None;
            };
            pick(told)
        })
    }

    /// Every version that serves, and how its inputs stand.
    pub fn drift(&self, now_us: i64) -> Known<'_, Arc<[DriftItem]>> {
        self.told_of_drift(Inquiry::All, now_us, |told| match told {
            Told::All(rows) => Some(rows),
            Told::One(_) => None,
        })
    }

    /// One version's features.
    pub fn watched(
        &self,
        (endpoint, version): (&EndpointName, &Reference),
        stretch: Stretch,
        now_us: i64,
    ) -> Known<'_, Arc<Watched>> {
        let inquiry = Inquiry::One(endpoint.clone(), version.clone(), stretch);
        self.told_of_drift(inquiry, now_us, |told| match told {
            Told::One(watched) => Some(watched),
            Told::All(_) => None,
        })
    }
}

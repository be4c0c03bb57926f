//! What is known of alerts.

use std::sync::Arc;

use binnacle_core::view::{AlertItem, SinkItem, WhyItem};

use super::{Data, Known};
use crate::question::alert::{Inquiry, Told};
use crate::question::{Answer, Question};

impl Data {
    fn told_of_alerts<'a, T>(
        &'a self,
        inquiry: Inquiry,
        now_us: i64,
        pick: impl Fn(&'a Told) -> Option<&'a T>,
    ) -> Known<'a, T> {
        let question = Question::Alerts(inquiry);
        self.known(&question, now_us, |answer| {
            let Answer::Alerts(told) = answer else {
                return None;
            };
            pick(told)
        })
    }

    /// Every alert that is open, and those closed last.
    pub fn alerts(&self, now_us: i64) -> Known<'_, Arc<[AlertItem]>> {
        self.told_of_alerts(Inquiry::All, now_us, |told| match told {
            Told::Alerts { rows, .. } => Some(rows),
            Told::Why(_) => None,
        })
    }

    /// How letters about alerts fare, as it was told with this.
    pub fn sinks(&self, inquiry: Inquiry) -> &[SinkItem] {
        let known = self.told_of_alerts(inquiry, 0, |told| match told {
            Told::Alerts { sinks, .. } => Some(sinks),
            Told::Why(_) => None,
        });
        match known {
            Known::Here(sinks, _) => sinks,
            Known::Loading | Known::Broken(_) => &[],
        }
    }

    /// One alert.
    pub fn alert(&self, number: u64, now_us: i64) -> Known<'_, AlertItem> {
        self.told_of_alerts(Inquiry::One(number), now_us, |told| match told {
            Told::Alerts { rows, .. } => rows.first(),
            Told::Why(_) => None,
        })
    }

    /// Why it is as it is at an alert's endpoint.
    pub fn why(&self, number: u64, now_us: i64) -> Known<'_, WhyItem> {
        self.told_of_alerts(Inquiry::Why(number), now_us, |told| match told {
            Told::Why(rows) => rows.first(),
            Told::Alerts { .. } => None,
        })
    }
}

//! Alerts as the fold of their changes. Total: what does not fit changes nothing.

use std::sync::Arc;

use super::change::Change;
use super::{Alert, Alerts, MAX_CLOSED, MAX_SILENCES, Mark, Silence};
use crate::endpoint::Place;

impl Alerts {
    /// Folds a change in.
    pub(crate) fn apply(&mut self, change: &Change, at: Place<'_>) {
        let mark = || Mark {
            caller: at.caller.clone(),
            why: at.why.into(),
            at_us: at.at_us,
        };
        match change {
            Change::Opened(opened) => {
                let incident = self.incident(&opened.subject, &opened.causes, at.at_us);
                let alert = Alert {
                    number: at.sequence,
                    endpoint: opened.endpoint.clone(),
                    subject: opened.subject.clone(),
                    since_us: opened.since_us,
                    opened_at_us: at.at_us,
                    revision: opened.revision,
                    what: opened.what.clone(),
                    blame: opened.blame.clone(),
                    blamed: 0,
                    reaction: opened.reaction.clone(),
                    causes: opened.causes.clone(),
                    incident: incident.unwrap_or(at.sequence),
                    acknowledged: None,
                    closed: None,
                };
                self.open.insert(at.sequence, Arc::new(alert));
            }
            Change::Blamed(blamed) => self.settle(blamed.alert, |alert| {
                alert.what = blamed.what.clone();
                alert.blame = blamed.blame.clone();
                alert.reaction = blamed.reaction.clone();
                alert.blamed = alert.blamed.saturating_add(1);
            }),
            Change::Closed(of) => {
                let Some(mut alert) = self.open.remove(&of.alert) else {
                    return;
                };
                Arc::make_mut(&mut alert).closed = Some(mark());
                self.closed.push_back(alert);
                while self.closed.len() > MAX_CLOSED {
                    self.closed.pop_front();
                }
            }
            Change::Acknowledged(of) => {
                self.settle(of.alert, |alert| alert.acknowledged = Some(mark()));
            }
            Change::Rebaselined(of) => {
                self.rebaselined.insert(of.endpoint.clone(), at.sequence);
            }
            Change::Silenced(silenced) => {
                self.silences.retain(|silence| {
                    let is_replaced = silence.endpoint == silenced.endpoint
                        && (silenced.subject.is_none() || silence.subject == silenced.subject);
                    silence.until_us > at.at_us && !is_replaced
                });
                self.silences.push_back(Arc::new(Silence {
                    endpoint: silenced.endpoint.clone(),
                    subject: silenced.subject.clone(),
                    mark: mark(),
                    until_us: silenced.until_us,
                }));
                while self.silences.len() > MAX_SILENCES {
                    self.silences.pop_front();
                }
            }
        }
    }

    fn settle(&mut self, number: u64, settle: impl FnOnce(&mut Alert)) {
        if let Some(alert) = self.open.get_mut(&number) {
            settle(Arc::make_mut(alert));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::{OfAlert, Opened};
    use super::super::{Reaction, Subject};
    use super::*;
    use crate::blame::{Blame, Whom};
    use crate::caller::Caller;

    fn change(alerts: &mut Alerts, (sequence, minutes): (u64, i64), change: &Change) {
        let place = Place {
            sequence,
            at_us: minutes * 60_000_000,
            caller: &Caller::Hub,
            why: "",
        };
        alerts.apply(change, place);
    }

    /// Opens an alert about inputs; the incident that it belongs to.
    fn open(alerts: &mut Alerts, at: (u64, i64), causes: &[&str]) -> u64 {
        let opened = Opened {
            endpoint: format!("prod/e{}", at.0).parse().unwrap(),
            subject: Subject::Drift,
            since_us: 0,
            revision: 1,
            what: "".into(),
            blame: Blame {
                whom: Whom::Upstream,
                why: "".into(),
            },
            reaction: Reaction::Tell("".into()),
            causes: causes.iter().map(|cause| (*cause).into()).collect(),
        };
        change(alerts, at, &Change::Opened(Box::new(opened)));
        alerts.get(at.0).unwrap().incident
    }

    #[test]
    fn alerts_of_one_cause_are_one_incident_for_as_long_as_they_follow_each_other() {
        let mut alerts = Alerts::default();
        let alerts = &mut alerts;
        assert_eq!(open(alerts, (1, 0), &["feature x", "data d"]), 1);
        assert_eq!(open(alerts, (2, 5), &["feature x"]), 1);
        assert_eq!(
            open(alerts, (3, 14), &["feature x", "feature y"]),
            1,
            "after the last"
        );
        assert_eq!(
            open(alerts, (4, 15), &["data d"]),
            4,
            "not all of them share it"
        );
        assert_eq!(
            open(alerts, (5, 15), &[]),
            5,
            "of what no cause is known stands alone"
        );
        assert_eq!(open(alerts, (6, 30), &["feature x"]), 6, "too late");
        let with = |alerts: &Alerts, number| -> Vec<u64> {
            let alert = alerts.get(number).unwrap();
            alerts.with(alert).map(|other| other.number).collect()
        };
        assert_eq!((with(alerts, 1), with(alerts, 4)), (vec![2, 3], vec![]));
        let over = OfAlert {
            alert: 1,
            endpoint: "prod/e1".parse().unwrap(),
        };
        change(alerts, (7, 31), &Change::Closed(over));
        assert_eq!(with(alerts, 2), [3], "those that are open");
        assert_eq!(with(alerts, 1), [2, 3], "also of one that is over");
    }
}

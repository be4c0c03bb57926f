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

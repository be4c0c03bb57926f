//! What each kind of sink is told: the ten lines, in the words that it understands.

use std::sync::Arc;

use binnacle_core::alert::{Change, Severity};
use binnacle_core::view::{AlertItem, WhyItem, rfc3339};
use serde_json::{Value, json};

use super::{Kind, Sink};

/// Bytes in the longest summary that PagerDuty takes.
const MAX_SUMMARY: usize = 1_024;
/// How long Alertmanager keeps an alert that it hears no more of: until it is closed, or the
/// longest that anybody leaves one open. Its own limit would be five minutes.
const KEPT_US: i64 = 7 * 24 * 3_600 * 1_000_000;

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Opened,
    Blamed,
    Acknowledged,
    Closed,
}

/// One thing to say.
#[derive(Debug)]
pub(super) struct Letter {
    /// Which hub's store it stands in.
    pub(super) store: Arc<str>,
    /// As which entry.
    pub(super) sequence: u64,
    pub(super) event: Event,
    pub(super) at_us: i64,
    pub(super) alert: AlertItem,
    pub(super) why: WhyItem,
}

impl Event {
    /// What a change says to those outside; `None` for what is nothing to them.
    pub(super) fn of(change: &Change) -> Option<Self> {
        match change {
            Change::Opened(_) => Some(Self::Opened),
            Change::Blamed(_) => Some(Self::Blamed),
            Change::Acknowledged(_) => Some(Self::Acknowledged),
            Change::Closed(_) => Some(Self::Closed),
            Change::Silenced(_) | Change::Rebaselined(_) => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Blamed => "blamed",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
        }
    }
}

impl Letter {
    /// The same for every try, and for no other letter.
    pub(super) fn key(&self) -> String {
        format!("{}:{}", self.store, self.sequence)
    }

    /// Whether nobody is to be told. That one is over is told in any case: who was told before
    /// must not wait for it.
    pub(super) fn is_silenced(&self) -> bool {
        self.event != Event::Closed && self.alert.silenced.is_some()
    }

    /// What is sent; `None` where this kind of sink has no words for it.
    pub(super) fn body(&self, sink: &Sink) -> Option<Vec<u8>> {
        let body = match sink.kind {
            Kind::Webhook => Some(self.webhook()),
            Kind::Slack => Some(self.slack()),
            // Its page is over with the last alert of the cause.
            Kind::PagerDuty if self.event == Event::Closed && !self.alert.with.is_empty() => None,
            Kind::PagerDuty => Some(self.pagerduty(&sink.key)),
            Kind::Alertmanager => self.alertmanager(),
        }?;
        Some(body.to_string().into_bytes())
    }

    fn summary(&self) -> String {
        let AlertItem {
            endpoint,
            text,
            what,
            ..
        } = &self.alert;
        let blame = &self.alert.blame.word;
        let incident = self.alert.incident;
        let with = match self.is_one_of_several() {
            true => format!("; of one cause with alert {incident}"),
            false => String::new(),
        };
        match &self.alert.closed {
            Some(closed) if self.event == Event::Closed => format!("{endpoint}: {}", closed.why),
            Some(_) | None => format!("{endpoint}: not {text}: {what}; blame: {blame}{with}"),
        }
    }

    /// An alert of an incident that somebody was told of already.
    fn is_one_of_several(&self) -> bool {
        self.alert.incident != self.alert.alert
    }

    fn lines(&self) -> String {
        self.why.lines.join("\n")
    }

    fn webhook(&self) -> Value {
        json!({
            "schema": "binnacle.alert/v1",
            "delivery": self.key(),
            "event": self.event.word(),
            "at": rfc3339(self.at_us),
            "store": self.store,
            "alert": self.alert,
            "why": self.why,
        })
    }

    fn slack(&self) -> Value {
        let (event, number) = (self.event.word(), self.alert.alert);
        let severity = self.alert.severity.word();
        let escape = |text: &str| {
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            text.replace('>', "&gt;")
        };
        let (summary, lines) = (escape(&self.summary()), escape(&self.lines()));
        json!({ "text": format!("*alert {number} {event}* ({severity}) {summary}\n```{lines}```") })
    }

    fn pagerduty(&self, key: &str) -> Value {
        // One page a cause: what shares it belongs to the page that is there.
        let dedup = format!("binnacle:{}:{}", self.store, self.alert.incident);
        let action = match self.event {
            Event::Opened | Event::Blamed => "trigger",
            Event::Acknowledged => "acknowledge",
            Event::Closed => "resolve",
        };
        let severity = match self.alert.severity {
            Severity::Warn => "warning",
            Severity::Page => "critical",
        };
        let mut summary = self.summary();
        let end = (0..=MAX_SUMMARY)
            .rev()
            .find(|at| summary.is_char_boundary(*at));
        summary.truncate(end.unwrap_or(0));
        let mut body = json!({
            "routing_key": key,
            "event_action": action,
            "dedup_key": dedup,
            "client": "binnacle",
            "payload": {
                "summary": summary,
                "source": self.alert.endpoint,
                "severity": severity,
                "timestamp": rfc3339(self.alert.since_us),
                "component": self.alert.endpoint.name,
                "group": self.alert.endpoint.environment,
                "class": self.alert.subject.word(),
                "custom_details": {
                    "why": self.why.lines,
                    "blame": self.alert.blame.word,
                    "command": self.why.command,
                    "alert": self.alert.alert,
                },
            },
        });
        if self.alert.runbook.starts_with("https://") || self.alert.runbook.starts_with("http://") {
            let links = json!([{ "href": self.alert.runbook, "text": "runbook" }]);
            if let Some(body) = body.as_object_mut() {
                body.insert("links".to_owned(), links);
            }
        }
        body
    }

    fn alertmanager(&self) -> Option<Value> {
        let ends_us = match self.event {
            Event::Opened | Event::Blamed => self.at_us.saturating_add(KEPT_US),
            Event::Closed => self.at_us,
            // It has no word for it: its users silence there.
            Event::Acknowledged => return None,
        };
        Some(json!([{
            "labels": {
                "alertname": "BinnacleAlert",
                "environment": self.alert.endpoint.environment,
                "endpoint": self.alert.endpoint,
                "subject": self.alert.text,
                "class": self.alert.subject.word(),
                "severity": self.alert.severity.word(),
                "alert": self.alert.alert.to_string(),
                "incident": self.alert.incident.to_string(),
                "store": self.store,
            },
            "annotations": {
                "summary": self.summary(),
                "description": self.lines(),
                "command": self.why.command,
                "runbook_url": self.alert.runbook,
            },
            "startsAt": rfc3339(self.alert.since_us),
            "endsAt": rfc3339(ends_us),
        }]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An alert of an incident, with so many others of it open.
    fn letter(event: Event, number: u64, with: &[&str]) -> Letter {
        let alert = json!({
            "alert": number, "endpoint": "prod/fraud", "subject": "drift",
            "text": "inputs like the training data", "severity": "page",
            "since": rfc3339(0), "opened_at": rfc3339(0), "revision": 1,
            "what": "fraud@1: amount: scale ×100",
            "blame": {"word": "upstream", "whom": "upstream", "why": "all versions"},
            "reaction": {"tell": "going back does not help"}, "reacted": "",
            "acknowledged": null, "silenced": null, "closed": null, "runbook": "",
            "incident": 7, "with": with,
        });
        let why = json!({
            "endpoint": "prod/fraud", "alert": alert, "more": 0, "lines": [], "route": "",
            "revision": 1, "hosts": 1, "heard": 1, "silent": [], "changes": [],
            "helps": false, "rollback": null, "command": "", "runbook": "",
        });
        Letter {
            store: "S".into(),
            sequence: 9,
            event,
            at_us: 0,
            alert: serde_json::from_value(alert).unwrap(),
            why: serde_json::from_value(why).unwrap(),
        }
    }

    fn paged(letter: &Letter) -> Option<Value> {
        let sink: Sink = "pagerduty=k3y".parse().unwrap();
        let body = letter.body(&sink)?;
        Some(serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn alerts_of_one_cause_are_one_page_which_is_over_with_the_last_of_them() {
        let first = paged(&letter(Event::Opened, 7, &[])).unwrap();
        let second = paged(&letter(Event::Opened, 9, &["prod/churn"])).unwrap();
        assert_eq!(first["dedup_key"], "binnacle:S:7");
        assert_eq!(second["dedup_key"], first["dedup_key"]);
        let summary = |page: &Value| page["payload"]["summary"].as_str().unwrap().to_owned();
        assert!(!summary(&first).contains("one cause"), "{first}");
        assert!(
            summary(&second).contains("of one cause with alert 7"),
            "{second}"
        );
        assert_eq!(paged(&letter(Event::Closed, 7, &["prod/fraud"])), None);
        let last = paged(&letter(Event::Closed, 9, &[])).unwrap();
        assert_eq!(
            (&last["event_action"], &last["dedup_key"]),
            (&json!("resolve"), &first["dedup_key"])
        );
    }
}

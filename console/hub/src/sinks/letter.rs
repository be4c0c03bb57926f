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
        match &self.alert.closed {
            Some(closed) if self.event == Event::Closed => format!("{endpoint}: {}", closed.why),
            Some(_) | None => format!("{endpoint}: not {text}: {what}; blame: {blame}"),
        }
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
        let dedup = format!("binnacle:{}:{}", self.store, self.alert.alert);
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

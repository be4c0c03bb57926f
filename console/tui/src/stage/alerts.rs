//! Made-up alerts for tests: one that somebody has to look at now, one that is known, and one
//! that is over; and what the hub would answer about them. Rows are read from the JSON that the hub
//! sends.

use serde_json::{Value, json};

use super::{NOW_US, endpoints};
use crate::question::alert::{Inquiry, Told};
use crate::question::{Answer, Question};
use crate::screen::models::tests::dark;
use crate::stage::{self, Stage};

const MINUTE_US: i64 = 60_000_000;

fn at(minutes_ago: i64) -> String {
    binnacle_core::view::rfc3339(NOW_US - minutes_ago * MINUTE_US)
}

/// What the hub knows of alerts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alerts {
    /// Whether there was never any.
    pub(crate) is_empty: bool,
    /// Whether somebody silenced the loudest.
    pub(crate) is_silenced: bool,
    /// Why a sink takes nothing; empty where it does.
    pub(crate) trouble: &'static str,
}

impl Alerts {
    fn errors(&self) -> Value {
        let mark = json!({"caller": "uid 1000 (bob)", "why": "crm is down", "at": at(2)});
        json!({
            "alert": 812, "endpoint": "prod/fraud",
            "subject": {"objective": "errors<=1%"}, "text": "errors<=1%",
            "severity": "page", "since": at(9), "opened_at": at(8), "revision": 41,
            "what": "4.1 % of 10,133 requests failed, where at most 1 % may",
            "blame": {
                "word": "this version", "whom": {"version": "fraud@8"},
                "why": "fraud@8 fails on 3/3 hosts, and fraud@7 beside it does not: 4.1 % and \
                        0.4 % of the requests of the same minutes",
            },
            "reaction": {"roll_back": {"revision": 42, "to": 40}},
            "reacted": "it goes back to what served as rev 40, by rev 42",
            "acknowledged": null,
            "silenced": self.is_silenced.then_some(mark),
            "silenced_until": self.is_silenced.then(|| at(-58)),
            "closed": null, "runbook": "https://runbooks.example/fraud",
            "incident": 807, "with": ["prod/churn"],
        })
    }

    fn rows(&self) -> Vec<Value> {
        if self.is_empty {
            return Vec::new();
        }
        let mut odd = self.errors();
        odd["alert"] = json!(809);
        odd["endpoint"] = json!("prod/pricing");
        odd["subject"] = json!({"odd_host": "infer-0003"});
        odd["text"] = json!("infer-0003 like its peers");
        odd["severity"] = json!("warn");
        odd["what"] = json!("its p99 is 8.1 × that of its peers");
        odd["blame"] = json!({
            "word": "this host", "whom": {"host": "infer-0003"},
            "why": "2 others of the same version are well",
        });
        odd["reaction"] = json!({"tell": "one host is nothing to go back for"});
        odd["reacted"] = json!("it tells: one host is nothing to go back for");
        odd["silenced"] = Value::Null;
        odd["silenced_until"] = Value::Null;
        odd["acknowledged"] = json!({
            "caller": "uid 1001 (alice)", "why": "draining it", "at": at(3),
        });
        let mut over = odd.clone();
        over["alert"] = json!(700);
        over["since"] = json!(at(2_000));
        over["closed"] =
            json!({"caller": "hub", "why": "all is well since 5 min", "at": at(1_900)});
        vec![self.errors(), odd, over]
    }

    fn sinks(&self) -> Value {
        json!([{
            "sink": "slack https://hooks.example/T0", "delivered": 14, "failed": 3,
            "given_up": if self.trouble.is_empty() { 0 } else { 2 },
            "silenced": 0, "up_to": 811, "trouble": self.trouble,
        }])
    }

    fn why(&self) -> Value {
        json!([{
            "endpoint": "prod/fraud", "alert": self.errors(), "more": 0,
            "lines": [
                "prod/fraud: errors are 4.1 %, and were to be at most 1 %",
                "since 14:02:10Z, 40 s after rev 41 (bob)",
                "this version: fraud@8 fails on 3/3 hosts, fraud@7 does not",
                "a rollback helps: rev 40 is warm on 3/3 hosts",
                "binnacle rollback prod/fraud",
            ],
            "route": "fraud@7 90%, fraud@8 10%", "revision": 41, "hosts": 3, "heard": 3,
            "silent": [], "changes": [], "helps": true, "rollback": null,
            "command": "binnacle rollback prod/fraud", "runbook": "",
        }])
    }

    /// What the hub would answer.
    pub(crate) fn answer(&self, inquiry: &Inquiry) -> Result<Answer, String> {
        let read = |rows: Vec<Value>| Told::Alerts {
            rows: serde_json::from_value(Value::Array(rows)).unwrap(),
            sinks: serde_json::from_value(self.sinks()).unwrap(),
        };
        Ok(Answer::Alerts(match inquiry {
            Inquiry::All => read(self.rows()),
            Inquiry::One(number) | Inquiry::Why(number) => {
                let mut rows = self.rows();
                rows.retain(|row| row["alert"] == *number);
                if rows.is_empty() {
                    return Err(format!("alert {number} is not known"));
                }
                match inquiry {
                    Inquiry::Why(_) => Told::Why(serde_json::from_value(self.why()).unwrap()),
                    Inquiry::All | Inquiry::One(_) => read(rows),
                }
            }
        }))
    }
}

/// Answers until nothing is asked any more, and the selection has rested.
pub(crate) fn told(stage: &mut Stage, alerts: &Alerts) {
    let fleet = endpoints::Fleet::calm();
    for _ in 0..6 {
        stage.answer(|question| {
            if let Question::Alerts(inquiry) = question {
                return alerts.answer(inquiry);
            }
            if let Question::Endpoints(inquiry) = question {
                return fleet.answer(inquiry);
            }
            Err(format!("nobody answers {question:?} here"))
        });
        stage.wait(200_000);
    }
}

/// A console at a place, with everything answered that it asks.
pub(crate) fn at_place(place: &str, size: (u16, u16), alerts: &Alerts) -> Stage {
    let mut stage = dark(place, size);
    stage.connect();
    stage.tell(crate::msg::Msg::Glances(stage::glances(8)));
    told(&mut stage, alerts);
    stage
}

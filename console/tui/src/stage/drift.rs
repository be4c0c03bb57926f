//! Made-up inputs for tests: a version whose inputs moved, one that is well, and one of which too
//! little is known; and what the hub would answer about them. Rows are read from the JSON that
//! the hub sends.

use binnacle_core::view::rfc3339;
use serde_json::{Value, json};

use super::{NOW_US, endpoints};
use crate::msg::Msg;
use crate::question::drift::{Inquiry, Stretch, Told};
use crate::question::{Answer, Question};
use crate::screen::models::tests::dark;
use crate::stage::{self, Stage};

const MINUTE_US: i64 = 60_000_000;

fn at(minutes_ago: i64) -> String {
    rfc3339(NOW_US - minutes_ago * MINUTE_US)
}

/// What the hub knows of inputs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inputs {
    /// Whether nothing serves.
    pub(crate) is_empty: bool,
    /// Whether somebody has said that it is normal.
    pub(crate) is_normal: bool,
    /// Whether the alarm has set the evidence to nothing: what moved is no longer first.
    pub(crate) is_after: bool,
}

impl Inputs {
    fn churn(&self) -> Value {
        let page = json!({
            "at": at(20), "since": at(26), "observations": 31_400, "evidence": 24.1,
            "is_open": true,
        });
        json!({
            "endpoint": "prod/churn", "version": "churn@14",
            "state": if self.is_normal { "watched" } else { "moved" }, "why": "",
            "data_set": "customers@9", "profile": "7f".repeat(32), "sampled": 48_210,
            "proves_sd": 0.2, "proves_after": 2_100,
            "predictions": "churn-answers@14",
            "features": 3, "streams": 9, "meter": if self.is_normal { 0.0 } else { 1.0 },
            "most": stream("tenure", "values", 1.0), "since": at(3_000), "seen_at": at(0),
            "ticks": 36_000, "requests": 312_400, "unfit": 2, "skipped": 0, "dropped": 0,
            "warned_at": null, "page": (!self.is_normal).then_some(page),
        })
    }

    fn rows(&self) -> Vec<Value> {
        if self.is_empty {
            return Vec::new();
        }
        let mut well = self.churn();
        well["endpoint"] = json!("prod/fraud");
        well["version"] = json!("fraud@7");
        well["state"] = json!("watched");
        well["meter"] = json!(0.34);
        well["most"] = stream("monthly", "missing", 0.34);
        well["data_set"] = json!("transactions@3");
        well["warned_at"] = json!(at(300));
        well["page"] = Value::Null;
        let mut few = well.clone();
        few["endpoint"] = json!("prod/wine");
        few["version"] = json!("wine@1");
        few["state"] = json!("not_enough");
        few["why"] = json!("not enough data: 130 of 2,000");
        few["meter"] = json!(0.0);
        few["data_set"] = json!("wine@1");
        few["requests"] = json!(130);
        few["warned_at"] = Value::Null;
        vec![self.churn(), well, few]
    }

    /// Features, of the last five days or of less.
    fn features(&self, stretch: Stretch) -> Value {
        let (from_us, to_us) = stretch.span_us(NOW_US).unwrap_or((1, NOW_US));
        let from_us = from_us.max(NOW_US - 7_200 * MINUTE_US);
        let alike: Vec<u64> = (0..20).map(|bin| 15_000 + bin * 7 % 300).collect();
        let mut shifted = alike.clone();
        for (bin, count) in shifted.iter_mut().enumerate() {
            *count = if bin < 14 { 40 } else { 45_000 };
        }
        let feature = |name: &str, bins: &[u64], missing: u64, part: f64| {
            // Since 26 minutes ago, of two hours; nothing is known of the first ones.
            let apart = (0..48).map(|moment| match moment {
                0..3 => Value::Null,
                _ if part >= 1.0 && moment >= 37 => json!(4.2),
                20 if part > 0.0 => json!(0.05),
                _ => json!(0.0),
            });
            let apart: Vec<Value> = apart.collect();
            json!({
                "course": {"from": at(120), "step_ms": 150_000, "apart": apart},
                "endpoint": "prod/churn", "version": "churn@14", "feature": name,
                "from": rfc3339(from_us), "to": rfc3339(to_us),
                "psi": if part >= 1.0 { 4.31 } else { 0.003 }, "psi_chance": 0.004,
                "counted": (to_us - from_us) / 1_382_800, "missing": missing, "unseen": 0,
                "out_of_range": 412,
                "bins": bins, "streams": [stream(name, "values", part)],
            })
        };
        let part = if self.is_normal || self.is_after {
            0.0
        } else {
            1.0
        };
        let mut all = vec![
            feature("tenure", &shifted, 0, part),
            feature("monthly_charge/of_all_contracts", &alike, 230, 0.3),
            feature("plan", &alike, 0, 0.0),
        ];
        if self.is_after {
            all.rotate_left(1);
        }
        Value::Array(all)
    }

    fn moved(&self) -> Value {
        if self.is_normal {
            return json!([]);
        }
        let mut moved = json!([{
            "endpoint": "prod/churn", "version": "churn@14", "feature": "tenure",
            "signal": "values", "how": "scale ×12", "unit": "months for years", "since": at(26),
            "ranked": true, "alone": true, "psi": 4.31, "psi_chance": 0.004,
            "wasserstein": 3.9, "observations": 31_400,
            "blame": {
                "word": "upstream", "whom": "upstream",
                "why": "tenure moved on 38/38 hosts and with every version: not the version",
            },
        }]);
        if let Some(all) = moved.as_array_mut().filter(|_| self.is_after) {
            let mut beside = all[0].clone();
            beside["signal"] = json!("missing");
            beside["how"] = json!("missing 0 → 0 %");
            (beside["ranked"], beside["alone"]) = (json!(false), json!(false));
            all.push(beside);
        }
        moved
    }

    /// What the hub would answer.
    pub(crate) fn answer(&self, inquiry: &Inquiry) -> Result<Answer, String> {
        Ok(Answer::Drift(match inquiry {
            Inquiry::All => {
                let rows = Value::Array(self.rows());
                Told::All(serde_json::from_value(rows).unwrap())
            }
            Inquiry::One(_, _, stretch) => {
                let features = match self.is_empty {
                    true => json!([]),
                    false => self.features(*stretch),
                };
                let watched = json!({
                    "version": (!self.is_empty).then(|| self.churn()),
                    "features": features,
                    "moved": if self.is_empty { json!([]) } else { self.moved() },
                });
                Told::One(serde_json::from_value(watched).unwrap())
            }
        }))
    }
}

fn stream(feature: &str, signal: &str, part: f64) -> Value {
    json!({
        "feature": feature, "signal": signal, "evidence": part * 21.3, "meter": part,
        "observations": 312_398, "spread": 1.02,
    })
}

/// Answers until nothing is asked any more, and the selection has rested.
pub(crate) fn told(stage: &mut Stage, inputs: &Inputs) {
    let fleet = endpoints::Fleet::calm();
    for _ in 0..6 {
        stage.answer(|question| {
            if let Question::Drift(inquiry) = question {
                return inputs.answer(inquiry);
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
pub(crate) fn at_place(place: &str, size: (u16, u16), inputs: &Inputs) -> Stage {
    let mut stage = dark(place, size);
    stage.connect();
    stage.tell(Msg::Glances(stage::glances(8)));
    told(&mut stage, inputs);
    stage
}

//! Made-up endpoints for tests: one with a canary under way, one that is well, one that went
//! back, and what the hub would answer about them. Rows are read from the JSON that the hub sends.

use binnacle_core::view::{Plan, PlanItem};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::NOW_US;
use crate::question::Answer;
use crate::question::endpoint::{Inquiry, Told, Want, Wanted};

const MINUTE_US: i64 = 60_000_000;

fn at(minutes_ago: i64) -> String {
    binnacle_core::view::rfc3339(NOW_US - minutes_ago * MINUTE_US)
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn digest(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

/// A whole route, or one with two versions.
fn route(splits: &[(&str, u32)]) -> Value {
    let split = |(version, weight): &(&str, u32)| json!({"version": version, "weight": weight});
    json!({"versions": splits.iter().map(split).collect::<Vec<_>>()})
}

/// What the hub knows of endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    /// The phase of the rollout at `prod/fraud`; none where nothing is under way.
    pub(crate) phase: Option<&'static str>,
    /// What the judge says of it.
    pub(crate) verdict: Value,
    /// Whether there is any endpoint.
    pub(crate) is_empty: bool,
    /// The last revision of `prod/fraud`.
    pub(crate) latest: u64,
    /// How the rollback that was asked for ended; none while it is on its way.
    pub(crate) back: Option<&'static str>,
    /// Why no plan is made.
    pub(crate) refusal: Option<&'static str>,
    /// Who asked for the rollout at `prod/fraud`.
    pub(crate) asked_by: &'static str,
}

impl Fleet {
    /// A canary is held at `prod/fraud`.
    pub(crate) fn busy() -> Self {
        Self {
            phase: Some("judging"),
            verdict: json!("hold"),
            is_empty: false,
            latest: 41,
            back: None,
            refusal: None,
            asked_by: "uid 1000 (bob)",
        }
    }

    /// Nothing is under way.
    pub(crate) fn calm() -> Self {
        Self {
            phase: None,
            latest: 40,
            ..Self::busy()
        }
    }

    /// No endpoint is named yet.
    pub(crate) fn empty() -> Self {
        Self {
            is_empty: true,
            ..Self::calm()
        }
    }

    fn finding(&self) -> Value {
        json!({
            "verdict": self.verdict,
            "why": "2.9% of its requests are over 1.2 × the p99 beside it (45.1 ms, not 38.2 ms)",
            "canary": {
                "requests": 10_133, "errors": 45, "slow": 294,
                "p50_ns": 9_400_000, "p99_ns": 45_100_000,
            },
            "control": {
                "requests": 91_204, "errors": 374, "slow": 908,
                "p50_ns": 9_100_000, "p99_ns": 38_200_000,
            },
        })
    }

    /// The rollout at `prod/fraud`.
    pub(crate) fn rollout(&self, phase: &str) -> Value {
        let is_over = matches!(phase, "promoted" | "rolled_back" | "aborted");
        let trace = |minutes: i64, phase: &str, confirmed: u32, journal: u64, finding: Value| {
            json!({
                "at": at(minutes), "caller": "hub", "phase": phase, "why": "",
                "confirmed": confirmed, "hosts": 8, "finding": finding, "journal": journal,
            })
        };
        json!({
            "endpoint": "prod/fraud", "revision": 41, "verb": "deploy",
            "before": "fraud@7 100%", "after": "fraud@8 100%",
            "strategy": "canary:1%/5m,10%/15m", "plan": digest(0x7f),
            "at": at(24), "phase": phase,
            "asked_by": self.asked_by, "asked_why": "Q3 features",
            "approvals": (phase == "awaiting_approval")
                .then(|| json!({"have": 1, "of": 2, "by": ["uid 1002 (chen)"]})),
            "why": if phase == "rolled_back" { "errors 4.1 %" } else { "" },
            "since": at(2), "step": 2, "steps": 3,
            "path": [
                {"what": "1%", "bake_s": 300},
                {"what": "10%", "bake_s": 900},
                {"what": "100%", "bake_s": 0},
            ],
            "is_over": is_over,
            "confirm_by": (phase == "confirming").then(|| at(-4)),
            "confirmed": 6, "hosts": 8, "missing": ["infer-0005", "infer-0007"],
            "failed": [{"host": "infer-0005", "why": "fraud@8: out of memory"}],
            "slowest_us": 412, "finding": self.finding(),
            "trail": [
                trace(23, "shifting at step 1", 8, 311, Value::Null),
                trace(23, "baking at step 1", 8, 312, Value::Null),
                trace(18, "shifting at step 2", 8, 313, self.finding()),
                trace(2, "judging at step 2", 6, 314, self.finding()),
            ],
        })
    }

    /// The rollback of `prod/fraud` that follows its last revision.
    fn rolled_back(&self) -> Value {
        let phase = self.back.unwrap_or("shifting");
        let is_over = self.back.is_some();
        json!({
            "endpoint": "prod/fraud", "revision": self.latest + 1, "verb": {"rollback": 40},
            "before": "fraud@7 100%", "after": "fraud@7 100%", "strategy": "all-at-once",
            "plan": digest(0x7a), "at": at(0), "phase": phase, "why": "",
            "since": binnacle_core::view::rfc3339(NOW_US + if is_over { 84_000 } else { 0 }),
            "step": 1, "steps": 1, "path": [{"what": "100%", "bake_s": 0}],
            "is_over": is_over, "confirm_by": null,
            "confirmed": if is_over { 8 } else { 5 }, "hosts": 8,
            "missing": if is_over { json!([]) } else { json!(["infer-0006"]) },
            "slowest_us": 412, "finding": null, "trail": [],
        })
    }

    fn fraud(&self) -> Value {
        let blocked = json!([{
            "version": "fraud@6", "why": "chargebacks up 9 %", "since": at(44_640),
            "revision": 39,
        }]);
        json!({
            "endpoint": "prod/fraud",
            "settings": {
                "description": "card fraud at the till",
                "selector": {}, "objectives": ["p99<=250ms", "errors<=0.5%"],
                "policy": {"keep_warm": 1},
            },
            "edited": 12, "created_at": at(90_000), "live": 40, "route": "fraud@7 100%",
            "versions": if self.phase.is_some() {
                json!(["fraud@7", "fraud@8"])
            } else {
                json!(["fraud@7"])
            },
            "protected": true, "hosts": 8, "heard": 8,
            "rollout": self.phase.map(|phase| self.rollout(phase)),
            "rollback": {"to": 40, "route": "fraud@7 100%", "hosts": 8, "warm": 8,
                         "verified": 8, "silent": 0, "eta_ms": 0},
            "blocked": blocked, "overridden": [],
        })
    }

    /// `prod/fraud` as it was a while ago.
    fn then(&self) -> Value {
        let mut row = self.fraud();
        row["live"] = json!(38);
        row["route"] = json!("fraud@5 100%");
        row["rollout"] = Value::Null;
        row["rollback"] = Value::Null;
        row["hosts"] = json!(0);
        row["heard"] = json!(0);
        row
    }

    fn others(&self) -> Vec<Value> {
        let other = |name: &str, version: &str, warm: u32, eta: Option<u64>| {
            json!({
                "endpoint": name, "settings": {}, "edited": 3, "created_at": at(9_000),
                "live": 12, "route": format!("{version} 100%"), "versions": [version],
                "protected": false, "hosts": 3, "heard": 3, "rollout": null,
                "rollback": {"to": 11, "route": "pricing@11 100%", "hosts": 3, "warm": warm,
                             "verified": 3, "silent": 0, "eta_ms": eta},
                "blocked": [], "overridden": [],
            })
        };
        let mut pay = other("prod/pay", "fraud@7", 3, Some(0));
        pay["overridden"] = json!([{
            "host": "infer-0003", "kind": "by_hand", "who": "uid 0 (root)",
            "why": "scores look wrong", "stands": true,
        }]);
        let mut fresh = other("test/new", "fraud@7", 0, None);
        fresh["live"] = json!(0);
        fresh["route"] = json!("");
        fresh["versions"] = json!([]);
        fresh["rollback"] = Value::Null;
        vec![
            pay,
            other("prod/pricing", "pricing@12", 2, Some(4_100)),
            fresh,
        ]
    }

    fn revisions(&self) -> Value {
        let revision = |number: u64, version: &str, fate: &str, ago: i64, why: &str, fate_why| {
            json!({
                "revision": number, "route": route(&[(version, 10_000)]),
                "text": format!("{version} 100%"), "at": at(ago), "caller": "uid 1000 (bob)",
                "why": why, "fate": fate, "fate_why": fate_why, "journal": 300 + number,
            })
        };
        let mut rows = vec![
            revision(40, "fraud@7", "promoted", 17_280, "", ""),
            revision(
                39,
                "fraud@6",
                "rolled_back",
                44_640,
                "",
                "chargebacks up 9 %",
            ),
            revision(38, "fraud@5", "promoted", 60_000, "weekly", ""),
        ];
        if self.phase.is_some() {
            rows.insert(
                0,
                revision(41, "fraud@8", "underway", 24, "Q3 features", ""),
            );
        }
        Value::Array(rows)
    }

    /// The plan of what is wanted.
    fn plan(&self, wanted: &Wanted) -> Result<PlanItem, String> {
        if let Some(why) = self.refusal {
            return Err(why.into());
        }
        let (verb, after, strategy) = match &wanted.want {
            Want::Rollback(to) => {
                let to = to.unwrap_or(40);
                (json!({"rollback": to}), "fraud@7".to_owned(), "all-at-once")
            }
            Want::Deploy(version) => (json!("deploy"), version.to_string(), "canary:5%/10m"),
        };
        let is_rollback = wanted.is_rollback();
        let step = |splits: &[(&str, u32)], bake_s: u32| {
            let route = route(splits);
            json!({"route": route, "hosts": 10_000, "bake_s": bake_s})
        };
        let mut steps = vec![step(&[(&after, 10_000)], 0)];
        if !is_rollback {
            steps.insert(0, step(&[("fraud@7", 9_500), (&after, 500)], 600));
        }
        let mut plan: Plan = read(json!({
            "hash": digest(0),
            "made_at_us": NOW_US,
            "intent": {
                "verb": verb, "endpoint": wanted.endpoint.to_string(), "base": self.latest,
                "before": route(&[("fraud@7", 10_000)]), "after": route(&[(&after, 10_000)]),
                "digests": {}, "strategy": strategy, "steps": steps,
                "objectives": ["p99<=250ms", "errors<=0.5%"], "min_requests": 500,
                "hold_at_most_s": 7_200,
                "confirm_within_s": wanted.confirm_within_s.unwrap_or(0),
                "may_be_missing": 1_000, "selector": {},
            },
        }));
        plan.hash = plan.intent.hash();
        let words = match is_rollback {
            true => vec![format!("{after} 100%")],
            false => vec![
                format!("fraud@7 95%, {after} 5%, watched for 10m, then judged"),
                format!("{after} 100%"),
            ],
        };
        let ready = json!({"to": 40, "route": "fraud@7 100%", "hosts": 8, "warm": 7,
                           "verified": 8, "silent": 0, "eta_ms": 1_400});
        let mut item: PlanItem = read(json!({
            "endpoint": wanted.endpoint.to_string(), "hash": plan.hash, "no_change": false,
            "plan": null, "steps": words,
            "readiness": if is_rollback { ready } else { Value::Null },
            "protected": wanted.endpoint.to_string() == "prod/fraud",
        }));
        item.plan = Some(plan);
        Ok(item)
    }

    /// What the hub would answer.
    pub(crate) fn answer(&self, inquiry: &Inquiry) -> Result<Answer, String> {
        Ok(Answer::Endpoints(match inquiry {
            Inquiry::All | Inquiry::AllAt(_) if self.is_empty => Told::Endpoints([].into()),
            Inquiry::AllAt(_) => Told::Endpoints(read(json!([self.then()]))),
            Inquiry::OneAt(..) => Told::Endpoints(read(json!([self.then()]))),
            Inquiry::All => {
                let mut rows = vec![self.fraud()];
                rows.extend(self.others());
                Told::Endpoints(read(Value::Array(rows)))
            }
            Inquiry::One(name) => {
                let mut rows = vec![self.fraud()];
                rows.extend(self.others());
                let name = name.to_string();
                rows.retain(|row| row["endpoint"] == name.as_str() && !self.is_empty);
                if rows.is_empty() {
                    return Err(format!("endpoint {name} is not known"));
                }
                Told::Endpoints(read(Value::Array(rows)))
            }
            Inquiry::Revisions(_) => Told::Revisions(read(self.revisions())),
            Inquiry::Rollout(_, revision) if *revision > self.latest => {
                Told::Rollouts(read(json!([self.rolled_back()])))
            }
            Inquiry::Rollout(..) => {
                let phase = self.phase.unwrap_or("promoted");
                Told::Rollouts(read(json!([self.rollout(phase)])))
            }
            Inquiry::Underway => {
                let rollout = self.phase.map(|phase| self.rollout(phase));
                Told::Rollouts(read(Value::Array(rollout.into_iter().collect())))
            }
            Inquiry::Plan(wanted) => Told::Plan(self.plan(wanted)?.into()),
            Inquiry::Proof(endpoint, _) => Told::Proof(read(json!({
                "endpoint": endpoint.to_string(), "version": "fraud@7", "hosts": 8, "answered": 8,
                "compared": 512, "same_class": 505, "failed": 0, "decades": [505, 7], "reasons": [],
            }))),
        }))
    }
}

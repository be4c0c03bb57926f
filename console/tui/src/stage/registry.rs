//! A made-up registry for tests: models with versions, data sets, a feature set, and what the
//! hub would answer about them. Rows are read from the JSON that the hub sends.

use std::sync::Arc;

use binnacle_core::view::{EntryRow, ModelItem, VersionItem};
use serde_json::{Value, json};

use super::NOW_US;
use super::drift::Inputs;
use crate::question::registry::{Listed, Listing, Noun, PAGE, Rows, Told};
use crate::question::{Answer, Question};

const HOUR_US: i64 = 3_600_000_000;

fn at(hours_ago: i64) -> String {
    binnacle_core::view::rfc3339(NOW_US - hours_ago * HOUR_US)
}

/// A model of this number; the first is `fraud`.
pub(crate) fn model(number: usize, revision: u64, owner: &str) -> Value {
    let name = match number {
        1 => "fraud".to_owned(),
        2 => "churn".to_owned(),
        number => format!("model-{number:05}"),
    };
    let is_fraud = number == 1;
    let team = ["", "risk", "growth"][number % 3];
    json!({
        "name": name,
        "owner": owner,
        "team": team,
        "description": if is_fraud { "Card fraud at the till.\nScores from 0 to 1." } else { "" },
        "tags": if is_fraud { json!(["eu", "pci"]) } else { json!([]) },
        "objectives": if is_fraud { json!(["p99<=250ms", "errors<=0.5%"]) } else { json!([]) },
        "deprecated": (number == 4).then_some("nobody calls it any more"),
        "created_at": at(900 + number as i64),
        "revision": revision,
        "versions": if is_fraud { 8 } else { number % 5 },
        "latest_at": (!number.is_multiple_of(5)).then(|| at(number as i64 % 300)),
        "aliases": if is_fraud { json!({"champion": 7, "challenger": 8}) } else { json!({}) },
    })
}

fn numbered(name: &str, number: u32, hours_ago: i64) -> Value {
    json!({
        "version": format!("{name}@{number}"),
        "registered_at": at(hours_ago),
        "registered_by": "uid 1000 (bob)",
        "deprecated": (number == 2).then_some("trained on leaked labels"),
        "revision": 20 + number,
        "sequence": 20 + number,
    })
}

fn with(mut value: Value, more: Value) -> Value {
    let (Value::Object(fields), Value::Object(more)) = (&mut value, more) else {
        panic!("both are objects");
    };
    fields.extend(more);
    value
}

/// A version of `fraud`.
pub(crate) fn version(number: u32) -> Value {
    let aliases = match number {
        7 => json!(["champion"]),
        8 => json!(["challenger"]),
        _ => json!([]),
    };
    let sha256 = format!("{number:02x}").repeat(32);
    with(
        numbered("fraud", number, 240 - 24 * i64::from(number)),
        json!({
            "aliases": aliases,
            "artifact": {
                "location": "stored", "format": "onnx", "sha256": sha256,
                "bytes": 1_204_000 + number * 1_000,
            },
            "signature": {
                "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 29]}],
                "outputs": [{"name": "p", "datatype": "FP32", "shape": [-1, 1]}],
            },
            "metrics": {"auc": 0.96 + f64::from(number) / 1000.0, "recall at 1 %": 0.61},
            "parameters": {"depth": (4 + number % 3).to_string(), "rounds": "400"},
            "source": {"run": format!("run-{number}"), "commit": "9f1c2ab", "author": "bob"},
            "data_sets": [format!("transactions@{}:train", 1 + number / 4)],
            "feature_set": "cards@2",
            "parent": (number > 1).then(|| format!("fraud@{}", number - 1)),
            "notes": if number == 8 { "Q3 features.\nWatch the night hours." } else { "" },
        }),
    )
}

fn digest(number: u32) -> String {
    format!("{:02x}", 0xa0 + number).repeat(32)
}

fn data_set(number: u32) -> Value {
    with(
        numbered("transactions", number, 400 - 100 * i64::from(number)),
        json!({
            "trained": [{"version": format!("fraud@{number}"), "role": "train"}],
            "location": "s3://lake/transactions/2026-10.parquet",
            "format": "parquet",
            "digest": digest(number + 8),
            "rows": 48_210 * number,
            "bytes": 9_800_000,
            "columns": [
                {"name": "amount", "type": "double", "nullable": false},
                {"name": "country", "type": "string", "nullable": true},
            ],
            "profile": digest(number),
            "notes": "",
        }),
    )
}

fn feature_set() -> Value {
    with(
        numbered("cards", 2, 300),
        json!({
            "given": ["fraud@7", "fraud@8"],
            "features": [
                {"name": "amount", "type": "float", "unit": "EUR",
                 "allowed": {"range": {"min": 0.0, "max": null}}},
                {"name": "country", "type": "category", "allowed": {"values": ["DE", "FR"]}},
            ],
            "notes": "",
        }),
    )
}

fn set(name: &str, versions: u32) -> Value {
    json!({
        "name": name, "owner": "dana", "team": "data", "description": "", "tags": ["lake"],
        "deprecated": null, "created_at": at(800), "revision": 9, "versions": versions,
        "latest_at": at(100),
    })
}

fn read<T: serde::de::DeserializeOwned>(rows: impl IntoIterator<Item = Value>) -> Vec<T> {
    let rows = rows.into_iter();
    rows.map(|row| serde_json::from_value(row).unwrap())
        .collect()
}

/// What a hub with so many models answers.
pub(crate) struct Registry {
    pub(crate) models: usize,
    /// The revision and the owner of `fraud`.
    pub(crate) fraud: (u64, &'static str),
}

impl Registry {
    pub(crate) fn of(models: usize) -> Self {
        Self {
            models,
            fraud: (41, "alice"),
        }
    }

    fn model(&self, number: usize) -> Value {
        match number {
            1 => model(1, self.fraud.0, self.fraud.1),
            number => model(number, number as u64, "bob"),
        }
    }

    pub(crate) fn answer(&self, question: &Question) -> Result<Answer, String> {
        match question {
            Question::Listed(listing) => self.listed(listing),
            Question::Lineage { uses, .. } => {
                let tree = json!({
                    "relation": "", "kind": "version", "name": "fraud@8",
                    "deprecated": false, "cut": false,
                    "below": if *uses { json!([]) } else { json!([
                        {"relation": "train", "kind": "data set", "name": "transactions@3",
                         "deprecated": false, "cut": false, "below": []},
                        {"relation": "features", "kind": "feature set", "name": "cards@2",
                         "deprecated": true, "cut": false, "below": []},
                        {"relation": "parent", "kind": "version", "name": "fraud@7",
                         "deprecated": false, "cut": false, "below": [
                            {"relation": "train", "kind": "data set", "name": "transactions@2",
                             "deprecated": false, "cut": true, "below": []}]},
                    ]) },
                });
                let tree = serde_json::from_value(tree).unwrap();
                Ok(Answer::Registry(Told::Lineage(Arc::new(tree))))
            }
            Question::Drift(inquiry) => Inputs::default().answer(inquiry),
            Question::About { .. } => Ok(Answer::Journal(entries().into())),
            Question::Profile { .. } => {
                let bars: Vec<f64> = (0..24).map(|at| 1.0 / f64::from(1 + at)).collect();
                let feature = |name: &str, spread: Value| {
                    let kind = if spread.is_null() {
                        "category"
                    } else {
                        "number"
                    };
                    json!({"name": name, "kind": kind, "nulls": 0.012, "spread": spread,
                        "bars": bars})
                };
                let profile = json!({
                    "rows": 48_210, "sampled": 48_210,
                    "features": [feature("amount", json!([0.01, 31.2, 9812.0])),
                                 feature("country", Value::Null)],
                });
                let profile = serde_json::from_value(profile).unwrap();
                Ok(Answer::Registry(Told::Profile(Arc::new(profile))))
            }
            Question::Distances { .. } => {
                let rows = json!([
                    {"name": "country", "psi": 0.0021, "chance": 0.0040, "ks": 0.011,
                     "moved": null, "says": ""},
                    {"name": "amount", "psi": 0.2104, "chance": 0.0040, "ks": 0.091,
                     "moved": 0.41, "says": "differs"},
                ]);
                let rows: Vec<_> = serde_json::from_value(rows).unwrap();
                Ok(Answer::Registry(Told::Distances(rows.into())))
            }
            Question::Latency { .. }
            | Question::HostLatency { .. }
            | Question::History { .. }
            | Question::Journal { .. }
            | Question::Past { .. }
            | Question::Host { .. }
            | Question::Endpoints(_)
            | Question::Alerts(_) => Err("not asked of the registry".into()),
        }
    }

    fn listed(&self, listing: &Listing) -> Result<Answer, String> {
        let skip = listing.page as usize * PAGE;
        let name = &*listing.name;
        let (rows, total) = match listing.noun {
            Noun::Models => {
                let all = 1..=self.models;
                let found = all.filter(|number| {
                    let row = self.model(*number);
                    let told = row["name"].as_str().unwrap();
                    (name.is_empty() || told == name) && told.contains(&*listing.search)
                });
                let found: Vec<usize> = found.collect();
                let page = found.iter().skip(skip).take(PAGE);
                let page = page.map(|number| self.model(*number));
                let rows: Vec<ModelItem> = read(page);
                (Rows::Models(rows), found.len())
            }
            Noun::Versions => {
                let (model, one) = name.split_once('@').unwrap_or((name, ""));
                if model != "fraud" {
                    return Err(format!("model {model} is not registered"));
                }
                let rows: Vec<VersionItem> = match one.parse() {
                    Ok(number) => read([version(number)]),
                    Err(_) => read((1..=8).rev().map(version)),
                };
                let total = rows.len();
                (Rows::Versions(rows), total)
            }
            Noun::Aliases => {
                let moves = |to: &[u32]| -> Vec<Value> {
                    let each = to.iter().enumerate();
                    each.map(|(ago, to)| {
                        json!({"at": at(3 + 60 * ago as i64), "version": format!("fraud@{to}"),
                               "sequence": 40 - ago})
                    })
                    .collect()
                };
                let alias = |name: &str, to: &[u32]| {
                    json!({"model": "fraud", "alias": name, "version": format!("fraud@{}", to[0]),
                           "revision": 40, "moves": moves(to)})
                };
                let rows = read([alias("champion", &[7, 6, 5]), alias("challenger", &[8])]);
                (Rows::Aliases(rows), 2)
            }
            Noun::DataSets => (Rows::Sets(read([set("transactions", 3)])), 1),
            Noun::FeatureSets => (Rows::Sets(read([set("cards", 2)])), 1),
            Noun::DataSetVersions => match name.split_once('@') {
                Some((_, number)) => {
                    let rows = read([data_set(number.parse().unwrap())]);
                    (Rows::DataSets(rows), 1)
                }
                None => (Rows::DataSets(read((1..=3).rev().map(data_set))), 3),
            },
            Noun::FeatureSetVersions => (Rows::FeatureSets(read([feature_set()])), 1),
        };
        let listed = Listed {
            rows,
            total: total as u32,
        };
        Ok(Answer::Registry(Told::Listed(Arc::new(listed))))
    }
}

/// Entries about `fraud`, newest first.
fn entries() -> Vec<EntryRow> {
    let entry = |sequence: u64, kind: &str, object: &str, why: &str, data: Value| EntryRow {
        object: object.into(),
        data,
        ..super::entry(sequence, kind, "none", why)
    };
    vec![
        entry(
            41,
            "model_edited/v1",
            "model fraud",
            "moved on",
            json!({"name": "fraud"}),
        ),
        entry(
            40,
            "alias_moved/v1",
            "model fraud",
            "",
            json!({"model": "fraud", "alias": "champion", "from": 6, "to": 7}),
        ),
        entry(
            28,
            "version_registered/v1",
            "version fraud@8",
            "",
            json!({}),
        ),
    ]
}

/// The entry that changed `fraud` meanwhile.
pub(crate) fn changed(revision: u64) -> EntryRow {
    EntryRow {
        object: "model fraud".into(),
        data: json!({"name": "fraud"}),
        caller: "carol".into(),
        ..super::entry(revision, "model_edited/v1", "none", "")
    }
}

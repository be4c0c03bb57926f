//! The models and the rows that are built in, what the registry says of them, and requests made of
//! the rows.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use open_inference::{Data, DataForm, InferRequest, Tensor, grpc, proto, rest};
use serde::Deserialize;

use crate::DemoError;

/// The input of every built-in model.
const INPUT: &str = "features";

/// A model, its versions' files, and the rows held out of its training.
pub(crate) struct BuiltIn {
    /// What it is called; its endpoint is called the same.
    pub(crate) name: &'static str,
    /// What it predicts, as the registry says it.
    pub(crate) description: &'static str,
    /// Who answers for it.
    pub(crate) team: &'static str,
    /// From version 1 on: the file, what was said of it, and how many of the held-out rows it gets
    /// right, of a thousand; 0 where nobody measured it.
    pub(crate) versions: &'static [Version],
    /// Routes that its endpoint is given before the demo begins, one after the other.
    pub(crate) routes: &'static [&'static [&'static str]],
    rows: &'static str,
    /// What every version of it must answer, where somebody wrote that down.
    pub(crate) golden: Option<&'static str>,
}

/// One version of a model.
pub(crate) struct Version {
    /// Its file.
    pub(crate) file: &'static [u8],
    /// What others should know.
    pub(crate) notes: &'static str,
    /// The accuracy on held-out rows, as it is told; empty where nobody measured it.
    pub(crate) accuracy: &'static str,
}

/// What the demo serves.
pub(crate) const BUILT_IN: [BuiltIn; 3] = [
    BuiltIn {
        name: "tumour",
        description: "whether a breast tumour is malignant, of 30 measurements of its cells",
        team: "diagnostics",
        versions: &[
            Version {
                file: include_bytes!("../models/tumour/1/model.onnx"),
                notes: "logistic regression",
                accuracy: "0.9708",
            },
            Version {
                file: include_bytes!("../models/tumour/2/model.onnx"),
                notes: "gradient boosted trees",
                accuracy: "0.9591",
            },
        ],
        routes: &[&["tumour@1"], &["tumour@1=75%", "tumour@2=25%"]],
        rows: include_str!("../models/tumour/rows.json"),
        golden: None,
    },
    BuiltIn {
        name: "wine",
        description: "which of three cultivars a wine was made of, of 13 measurements",
        team: "cellar",
        versions: &[
            Version {
                file: include_bytes!("../models/wine/1/model.onnx"),
                notes: "logistic regression",
                accuracy: "0.9815",
            },
            Version {
                file: include_bytes!("../models/wine/2/model.onnx"),
                notes: "gradient boosted trees",
                accuracy: "0.9815",
            },
        ],
        routes: &[&["wine@1"], &["wine@1=75%", "wine@2=25%"]],
        rows: include_str!("../models/wine/rows.json"),
        golden: None,
    },
    BuiltIn {
        name: "fraud",
        description: "whether a card transaction is fraud; trained on synthetic transactions",
        team: "payments",
        versions: &[
            Version {
                file: include_bytes!("../models/fraud/1/model.onnx"),
                notes: "logistic regression",
                accuracy: "0.8333",
            },
            Version {
                file: include_bytes!("../models/fraud/2/model.onnx"),
                notes: "gradient boosted trees",
                accuracy: "0.8407",
            },
            Version {
                file: include_bytes!("../models/fraud/3/model.onnx"),
                notes: "with embeddings of the merchant",
                accuracy: "",
            },
            Version {
                file: include_bytes!("../models/fraud/4/model.onnx"),
                notes: "corrects for the hour of the day",
                accuracy: "",
            },
            Version {
                file: include_bytes!("../models/fraud/5/model.onnx"),
                notes: "trained anew on the cleaned-up labels",
                accuracy: "",
            },
        ],
        routes: &[&["fraud@1"], &["fraud@2"]],
        rows: include_str!("../models/fraud/rows.json"),
        golden: Some(include_str!("../models/fraud/golden.jsonl")),
    },
];

/// A feature that may come in another unit.
pub(crate) struct Change {
    /// Of which model.
    pub(crate) model: &'static str,
    /// Which.
    pub(crate) feature: &'static str,
    /// What every value is divided by: milligrams become grams.
    by: f32,
}

/// What changes when something changes upstream.
pub(crate) const MOVED: Change = Change {
    model: "wine",
    feature: "proline",
    by: 1_000.0,
};

/// One request, made once and sent many times.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The path that it is asked at over HTTP.
    pub(crate) path: String,
    /// The JSON body over HTTP.
    pub(crate) json: Bytes,
    /// The message over gRPC.
    pub(crate) message: proto::ModelInferRequest,
    /// The same row as it is sent once something changed upstream; nothing where it is the same.
    pub(crate) moved: Option<Box<Question>>,
}

#[derive(Deserialize)]
struct Rows {
    features: Vec<String>,
    rows: Vec<Vec<f32>>,
}

impl BuiltIn {
    fn read(&self) -> Result<Rows, DemoError> {
        serde_json::from_str(self.rows).map_err(|source| DemoError::Rows {
            model: self.name,
            source,
        })
    }
}

/// Every row of every model as a request to its endpoint, each model spread over all of them.
pub(crate) fn built_in() -> Result<Arc<[Question]>, DemoError> {
    let mut all = Vec::new();
    for model in &BUILT_IN {
        let Rows { features, rows } = model.read()?;
        let place = features.iter().position(|name| name == MOVED.feature);
        let place = place.filter(|_| model.name == MOVED.model);
        let count = rows.len() as f64;
        for (at, row) in rows.into_iter().enumerate() {
            let moved = place.and_then(|place| {
                let mut row = row.clone();
                *row.get_mut(place)? /= MOVED.by;
                Some(Box::new(question(model.name, row)))
            });
            let question = question(model.name, row);
            all.push(((at as f64 + 0.5) / count, Question { moved, ..question }));
        }
    }
    all.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    Ok(all.into_iter().map(|(_, question)| question).collect())
}

/// Writes the versions' files where they are registered from.
pub(crate) fn lay_out(folder: &Path) -> Result<(), DemoError> {
    for model in &BUILT_IN {
        for (at, version) in model.versions.iter().enumerate() {
            write(&file(folder, model.name, at + 1), version.file)?;
        }
        if let Some(golden) = model.golden {
            write(&golden_file(folder, model.name), golden.as_bytes())?;
        }
        let written = fs::write(table(folder, model.name), csv(&model.read()?));
        written.map_err(|source| DemoError::Folder {
            what: "write a data set",
            folder: folder.to_owned(),
            source,
        })?;
    }
    Ok(())
}

/// Where the rows of a model were written, as a data set is registered from.
pub(crate) fn table(folder: &Path, model: &str) -> PathBuf {
    folder.join(format!("{model}.csv"))
}

/// Rows as a table: no name and no number of them needs quotes.
fn csv(Rows { features, rows }: &Rows) -> String {
    let mut text = features.join(",");
    for row in rows {
        text.push('\n');
        let numbers: Vec<String> = row.iter().map(f32::to_string).collect();
        text.push_str(&numbers.join(","));
    }
    text.push('\n');
    text
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    let parent = path.parent().unwrap_or(path).to_owned();
    let written = fs::create_dir_all(&parent).and_then(|()| fs::write(path, bytes));
    written.map_err(|source| DemoError::Folder {
        what: "write a model",
        folder: parent,
        source,
    })
}

/// Where the golden requests of a model were written.
pub(crate) fn golden_file(folder: &Path, model: &str) -> PathBuf {
    folder.join(model).join("golden.jsonl")
}

/// Where the file of a version was written.
pub(crate) fn file(folder: &Path, model: &str, number: usize) -> PathBuf {
    folder
        .join(model)
        .join(number.to_string())
        .join("model.onnx")
}

fn question(endpoint: &str, row: Vec<f32>) -> Question {
    let shape = vec![1, i64::try_from(row.len()).unwrap_or(0)];
    let tensor = Tensor::new(INPUT, shape, Data::Fp32(row))
        .expect("the shape was made of the row's own length");
    let request = InferRequest {
        id: String::new(),
        inputs: vec![tensor],
        outputs: Vec::new(),
        form: DataForm::Typed,
    };
    let json = rest::encode_request(&request, DataForm::Typed)
        .expect("rows that were read from JSON can be written as JSON");
    Question {
        path: format!("/v2/models/{endpoint}/infer"),
        json: json.body,
        message: grpc::encode_request(endpoint, "", request, DataForm::Raw),
        moved: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_endpoint_is_asked_with_real_rows() {
        let mut asked: BTreeMap<String, usize> = BTreeMap::new();
        for question in built_in().unwrap().iter() {
            *asked
                .entry(question.message.model_name.clone())
                .or_default() += 1;
            assert_eq!(question.message.raw_input_contents.len(), 1);
            assert!(question.message.model_version.is_empty());
        }
        let expected = [("tumour", 171), ("wine", 54), ("fraud", 270)];
        let expected = expected.map(|(name, rows)| (name.to_owned(), rows));
        assert_eq!(asked, BTreeMap::from(expected));
    }

    #[test]
    fn what_changes_upstream_is_one_feature_of_one_model() {
        let all = built_in().unwrap();
        let moved = all
            .iter()
            .filter_map(|one| Some((one, one.moved.as_ref()?)));
        let moved: Vec<_> = moved.collect();
        assert_eq!(moved.len(), 54);
        for (before, after) in moved {
            let row = |question: &Question| -> Vec<f32> {
                let raw = &question.message.raw_input_contents[0];
                let (values, _) = raw.as_chunks::<4>();
                values
                    .iter()
                    .map(|value| f32::from_le_bytes(*value))
                    .collect()
            };
            let (before, after) = (row(before), row(after));
            let differ = before.iter().zip(&after).filter(|(a, b)| a != b).count();
            assert_eq!(differ, 1);
            // A number of 32 bits divided by a thousand is rounded.
            let times = f64::from(before[12]) / f64::from(after[12]);
            assert!((times - 1_000.0).abs() < 0.001, "{times}");
        }
    }

    #[test]
    fn a_table_has_a_name_for_each_column_and_a_line_for_each_row() {
        for model in &BUILT_IN {
            let rows = model.read().unwrap();
            let text = csv(&rows);
            assert_eq!(text.lines().count(), rows.rows.len() + 1);
            let columns = |line: &str| line.split(',').count();
            assert!(
                text.lines()
                    .all(|line| columns(line) == rows.features.len())
            );
        }
    }

    #[test]
    fn routes_name_versions_that_are_there() {
        for model in &BUILT_IN {
            for version in model.routes.iter().flat_map(|route| route.iter()) {
                let (name, rest) = version.split_once('@').unwrap();
                let number: usize = rest.split('=').next().unwrap().parse().unwrap();
                assert_eq!(name, model.name);
                assert!((1..=model.versions.len()).contains(&number), "{version}");
            }
        }
    }
}

//! The models and the real rows that are built in, and requests made of them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use open_inference::{Data, DataForm, InferRequest, Tensor, grpc, proto, rest};
use serde::Deserialize;

use crate::DemoError;

/// The input of every built-in model.
const INPUT: &str = "features";

/// A model, its versions' files, and the rows held out of its training.
struct BuiltIn {
    name: &'static str,
    versions: [(&'static str, &'static [u8]); 2],
    rows: &'static str,
}

const BUILT_IN: [BuiltIn; 2] = [
    BuiltIn {
        name: "tumour",
        versions: [
            ("1", include_bytes!("../models/tumour/1/model.onnx")),
            ("2", include_bytes!("../models/tumour/2/model.onnx")),
        ],
        rows: include_str!("../models/tumour/rows.json"),
    },
    BuiltIn {
        name: "wine",
        versions: [
            ("1", include_bytes!("../models/wine/1/model.onnx")),
            ("2", include_bytes!("../models/wine/2/model.onnx")),
        ],
        rows: include_str!("../models/wine/rows.json"),
    },
];

/// Of every so many requests one goes to the newer version, as behind a canary.
const CANARY_SHARE: usize = 4;

/// One request, made once and sent many times.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The model.
    pub(crate) model: &'static str,
    /// The version.
    pub(crate) version: &'static str,
    /// The path that it is asked at over HTTP.
    pub(crate) path: String,
    /// The JSON body over HTTP.
    pub(crate) json: Bytes,
    /// The message over gRPC.
    pub(crate) message: proto::ModelInferRequest,
}

#[derive(Deserialize)]
struct Rows {
    rows: Vec<Vec<f32>>,
}

/// Every row of every model as a request, the models taking turns.
pub(crate) fn built_in() -> Result<Arc<[Question]>, DemoError> {
    let mut all = Vec::new();
    for model in &BUILT_IN {
        let parsed: Rows = serde_json::from_str(model.rows).map_err(|source| DemoError::Rows {
            model: model.name,
            source,
        })?;
        let [older, newer] = model.versions.map(|(version, _)| version);
        for (at, row) in parsed.rows.into_iter().enumerate() {
            let version = if at % CANARY_SHARE == 0 { newer } else { older };
            all.push((at, question(model.name, version, row)));
        }
    }
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, question)| question).collect())
}

/// Writes the models as a repository that a runtime serves.
pub(crate) fn lay_out(folder: &Path) -> Result<(), DemoError> {
    for model in &BUILT_IN {
        for (version, bytes) in model.versions {
            let folder = folder.join(model.name).join(version);
            let written = fs::create_dir_all(&folder)
                .and_then(|()| fs::write(folder.join("model.onnx"), bytes));
            written.map_err(|source| DemoError::Folder {
                what: "write a model",
                folder,
                source,
            })?;
        }
    }
    Ok(())
}

fn question(model: &'static str, version: &'static str, row: Vec<f32>) -> Question {
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
        model,
        version,
        path: format!("/v2/models/{model}/versions/{version}/infer"),
        json: json.body,
        message: grpc::encode_request(model, version, request, DataForm::Raw),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_version_of_every_model_is_asked_with_real_rows() {
        let mut asked: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for question in built_in().unwrap().iter() {
            *asked.entry((question.model, question.version)).or_default() += 1;
            assert_eq!(question.message.raw_input_contents.len(), 1);
        }
        let expected = [
            (("tumour", "1"), 128),
            (("tumour", "2"), 43),
            (("wine", "1"), 40),
            (("wine", "2"), 14),
        ];
        assert_eq!(asked, BTreeMap::from(expected));
    }
}

//! The demo's models, and the real rows that are sent to them.
//!
//! Both lie in `console/demo/models`, where the script that made them lies too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

/// The models that are served, and their versions.
pub const NAMES: [&str; 2] = ["tumour", "wine"];
/// The versions of each.
pub const VERSIONS: [&str; 2] = ["1", "2"];
/// The input tensor of every model.
const INPUT: &str = "features";

/// A model with one tensor of rows as its input.
#[derive(Debug)]
pub struct Model {
    /// The name that the server knows it by.
    pub name: String,
    /// Its input tensor's name.
    pub input: String,
    /// Real rows of features.
    rows: Vec<Vec<f32>>,
}

/// Lays out a repository of the demo's models in `folder`, as a runtime reads it.
pub fn repository(folder: &Path) -> PathBuf {
    let repository = folder.join("models");
    for name in NAMES {
        for version in VERSIONS {
            let version = Path::new(name).join(version);
            std::fs::create_dir_all(repository.join(&version)).unwrap();
            let file = version.join("model.onnx");
            std::fs::copy(source().join(&file), repository.join(&file)).unwrap();
        }
    }
    repository
}

/// The file of a version of a model, as it is registered.
pub fn file(name: &str, version: &str) -> PathBuf {
    source().join(name).join(version).join("model.onnx")
}

/// The golden requests of a model's versions.
pub fn golden(name: &str) -> PathBuf {
    source().join(name).join("golden.jsonl")
}

fn source() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests lie in the root");
    root.join("console/demo/models")
}

impl Model {
    /// The same rows, sent to an endpoint.
    pub fn called(name: &str, endpoint: &str) -> Arc<Self> {
        let mut model = Arc::into_inner(Self::load(name)).expect("nobody else has it yet");
        endpoint.clone_into(&mut model.name);
        Arc::new(model)
    }

    /// Reads a model's rows.
    pub fn load(name: &str) -> Arc<Self> {
        let text = std::fs::read_to_string(source().join(name).join("rows.json")).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let rows = serde_json::from_value(document["rows"].clone()).unwrap();
        Arc::new(Self {
            name: name.to_owned(),
            input: INPUT.to_owned(),
            rows,
        })
    }

    /// Writes its rows as a table, as a data set is registered from.
    pub fn table(&self, to: &Path) {
        let text = std::fs::read_to_string(source().join(&self.name).join("rows.json")).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let names: Vec<String> = serde_json::from_value(document["features"].clone()).unwrap();
        let mut table = names.join(",");
        for row in &self.rows {
            let numbers: Vec<String> = row.iter().map(f32::to_string).collect();
            table.push_str(&format!("\n{}", numbers.join(",")));
        }
        std::fs::write(to, table + "\n").unwrap();
    }

    /// Where a version is asked: the protocol's path, or the unversioned one for an empty version.
    pub fn path(&self, version: &str) -> String {
        if version.is_empty() {
            format!("/v2/models/{}/infer", self.name)
        } else {
            format!("/v2/models/{}/versions/{version}/infer", self.name)
        }
    }

    /// Its rows of features.
    pub fn rows(&self) -> &[Vec<f32>] {
        &self.rows
    }

    /// Features in a row.
    pub fn columns(&self) -> usize {
        self.rows[0].len()
    }

    /// One row as the body of an HTTP request; rows repeat.
    pub fn json(&self, row: usize) -> Bytes {
        let row = &self.rows[row % self.rows.len()];
        let input = json!({
            "name": self.input, "shape": [1, row.len()], "datatype": "FP32", "data": row,
        });
        Bytes::from(json!({ "inputs": [input] }).to_string())
    }

    /// One row as the raw bytes of its tensor; rows repeat.
    pub fn raw(&self, row: usize) -> Bytes {
        let row = &self.rows[row % self.rows.len()];
        row.iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

//! Triton: loading a model again stalls its requests for seconds, also those of versions that
//! stay. So each version is placed as a model of its own, which nothing that serves notices.
//!
//! It answers a load before the version serves and an unload before it is gone (`UNLOADING`, for
//! seconds), keeps a version that failed in its index for ever, and starts its counters again at
//! nothing with each load. It can only be told what to serve in its explicit mode.

use std::path::PathBuf;

use super::dialect::{Abilities, Asking, Content, Dialect, Kind, Laid, NoLayout, by_name};
use crate::proxy::routes::Placed;

#[derive(Debug)]
pub(super) struct Triton;

/// Formats, the backend that runs each, and what its file is called.
const BACKENDS: [(&str, &str, &str); 5] = [
    ("onnx", "onnxruntime", "model.onnx"),
    ("python", "python", "model.py"),
    ("torchscript", "pytorch", "model.pt"),
    ("tensorrt", "tensorrt", "model.plan"),
    ("openvino", "openvino", "model.xml"),
];

impl Dialect for Triton {
    fn kind(&self) -> Kind {
        Kind::Triton
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            loads: true,
            one_version: false,
            unloads_later: true,
            binary_tensors: true,
            statistics: true,
        }
    }

    fn placed(&self, model: &str, version: &str) -> Placed {
        by_name(model, version)
    }

    fn layout(&self, placed: &Placed, format: &str) -> Result<Vec<Laid>, NoLayout> {
        let known = BACKENDS.iter().find(|(known, _, _)| *known == format);
        let Some((_, backend, file)) = known else {
            return Err(NoLayout::Format {
                server: "Triton",
                format: format.to_owned(),
                instead: "it runs onnx, python, torchscript, tensorrt and openvino",
            });
        };
        let Ok(number) = placed.upstream_version.parse::<u32>() else {
            return Err(NoLayout::Number {
                server: "Triton",
                version: placed.upstream_version.to_string(),
            });
        };
        let config = format!(
            "name: \"{}\"\nbackend: \"{backend}\"\n\
             version_policy {{ specific {{ versions: [{number}] }} }}\n",
            placed.upstream_model
        );
        let folder = self.folder(placed);
        Ok(vec![
            Laid {
                path: folder.join(number.to_string()).join(file),
                content: Content::Artifact,
            },
            Laid {
                path: folder.join("config.pbtxt"),
                content: Content::Text(config),
            },
        ])
    }

    fn folder(&self, placed: &Placed) -> PathBuf {
        PathBuf::from(&*placed.upstream_model)
    }

    fn load(&self, placed: &Placed) -> Asking {
        Asking::repository(&placed.upstream_model, "load", "{}".into())
    }

    fn unload(&self, placed: &Placed) -> Asking {
        Asking::repository(&placed.upstream_model, "unload", "{}".into())
    }

    fn statistics(&self, placed: &Placed) -> Option<String> {
        let (model, version) = (&placed.upstream_model, &placed.upstream_version);
        Some(super::open_inference::path(model, version, "/stats"))
    }
}

//! `binnacle-runtime`: loads and unloads single versions, and answers when that is done.

use std::path::PathBuf;

use super::dialect::{Abilities, Asking, Content, Dialect, Kind, Laid, NoLayout, by_version};
use crate::proxy::routes::Placed;

const NAME: &str = "binnacle-runtime";

#[derive(Debug)]
pub(super) struct Runtime;

impl Dialect for Runtime {
    fn kind(&self) -> Kind {
        Kind::Runtime
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            loads: true,
            one_version: true,
            unloads_later: false,
            binary_tensors: true,
            statistics: false,
        }
    }

    fn placed(&self, model: &str, version: &str) -> Placed {
        by_version(model, version)
    }

    fn layout(&self, placed: &Placed, format: &str) -> Result<Vec<Laid>, NoLayout> {
        if format != "onnx" {
            return Err(NoLayout::Format {
                server: NAME,
                format: format.to_owned(),
                instead: "it runs onnx",
            });
        }
        if placed.upstream_version.parse::<u64>().is_err() {
            return Err(NoLayout::Number {
                server: NAME,
                version: placed.upstream_version.to_string(),
            });
        }
        Ok(vec![Laid {
            path: self.folder(placed).join("model.onnx"),
            content: Content::Artifact,
        }])
    }

    fn folder(&self, placed: &Placed) -> PathBuf {
        let parts = [&*placed.upstream_model, &*placed.upstream_version];
        parts.iter().collect()
    }

    fn load(&self, placed: &Placed) -> Asking {
        Asking::repository(&placed.upstream_model, "load", version(placed))
    }

    fn unload(&self, placed: &Placed) -> Asking {
        Asking::repository(&placed.upstream_model, "unload", version(placed))
    }

    fn statistics(&self, _: &Placed) -> Option<String> {
        None
    }
}

fn version(placed: &Placed) -> String {
    serde_json::json!({"parameters": {"version": &*placed.upstream_version}}).to_string()
}

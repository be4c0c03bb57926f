//! MLServer: loads by name, all version folders of it together. So each version is placed as a
//! model of its own, and loading one leaves those that serve alone.
//!
//! Its index calls versions ready that failed to load, it is ready with nothing loaded, and it
//! answers a wrong shape with 500 in plain text; only a version's own readiness and an inference
//! say what is so, and these are asked of every server.

use std::path::PathBuf;

use super::dialect::{Abilities, Asking, Content, Dialect, Kind, Laid, NoLayout, by_name};
use crate::proxy::routes::Placed;

#[derive(Debug)]
pub(super) struct MlServer;

/// Formats, what runs each in MLServer, and what its file is called.
const IMPLEMENTATIONS: [(&str, &str, &str); 6] = [
    ("sklearn", "mlserver_sklearn.SKLearnModel", "model.joblib"),
    ("joblib", "mlserver_sklearn.SKLearnModel", "model.joblib"),
    ("pickle", "mlserver_sklearn.SKLearnModel", "model.pickle"),
    ("xgboost", "mlserver_xgboost.XGBoostModel", "model.json"),
    ("lightgbm", "mlserver_lightgbm.LightGBMModel", "model.bst"),
    ("catboost", "mlserver_catboost.CatboostModel", "model.cbm"),
];

impl Dialect for MlServer {
    fn kind(&self) -> Kind {
        Kind::Mlserver
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            loads: true,
            one_version: false,
            unloads_later: false,
            binary_tensors: false,
            statistics: false,
        }
    }

    fn placed(&self, model: &str, version: &str) -> Placed {
        by_name(model, version)
    }

    fn layout(&self, placed: &Placed, format: &str) -> Result<Vec<Laid>, NoLayout> {
        let known = IMPLEMENTATIONS
            .iter()
            .find(|(known, _, _)| *known == format);
        let Some((_, implementation, file)) = known else {
            return Err(NoLayout::Format {
                server: "MLServer",
                format: format.to_owned(),
                instead: "it runs sklearn, joblib, pickle, xgboost, lightgbm and catboost",
            });
        };
        let folder = self.folder(placed);
        let settings = serde_json::json!({
            "name": &*placed.upstream_model,
            "implementation": implementation,
            "parameters": {
                "uri": format!("./{file}"),
                "version": &*placed.upstream_version,
            },
        });
        // The settings last: they make the folder a model.
        Ok(vec![
            Laid {
                path: folder.join(file),
                content: Content::Artifact,
            },
            Laid {
                path: folder.join("model-settings.json"),
                content: Content::Text(settings.to_string()),
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

    fn statistics(&self, _: &Placed) -> Option<String> {
        None
    }
}

//! How one kind of inference server wants to be spoken to, as data: what it can do, how a
//! version lies in its repository, and how it is asked to load and unload one.
//!
//! Pure: what is asked here is carried out elsewhere. Readiness, metadata and inference are the
//! same with every server that speaks the Open Inference Protocol, and are not repeated here.

use std::fmt::Debug;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::mlserver::MlServer;
use super::runtime::Runtime;
use super::triton::Triton;
use crate::proxy::routes::Placed;

/// Kinds of inference servers that the agent knows its way with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `binnacle-runtime`.
    Runtime,
    /// MLServer.
    Mlserver,
    /// NVIDIA's Triton.
    Triton,
    /// Anything else that speaks the protocol: what it serves is somebody else's to change.
    Other,
}

/// What a server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// It loads and unloads models when it is asked to.
    pub loads: bool,
    /// It loads one version of a model without touching the others. Where it does not, each
    /// version is placed as a model of its own.
    pub one_version: bool,
    /// It answers an unload before the version is gone.
    pub unloads_later: bool,
    /// It takes tensors in binary over HTTP.
    pub binary_tensors: bool,
    /// It tells what it counted, model by model.
    pub statistics: bool,
}

/// A question to be put to a server with POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The path.
    pub path: String,
    /// The body, in JSON.
    pub body: String,
}

/// One file that a version needs in the server's repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Laid {
    /// Below the repository's root.
    pub path: PathBuf,
    /// What is in it.
    pub content: Content,
}

/// What is in a file of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The artifact's bytes.
    Artifact,
    /// This text.
    Text(String),
}

/// Why a version cannot be laid out for a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLayout {
    /// The server cannot run what the artifact is.
    #[error("{server} cannot run a model in the format {format:?}: {instead}")]
    Format {
        /// Which server.
        server: &'static str,
        /// The artifact's format.
        format: String,
        /// What it runs.
        instead: &'static str,
    },
    /// The server's versions are numbers.
    #[error("{server} numbers versions, and {version:?} is no number")]
    Number {
        /// Which server.
        server: &'static str,
        /// The version.
        version: String,
    },
    /// The server cannot be told what to serve.
    #[error(
        "this server is not one that the agent can load models into: name its kind with --server"
    )]
    Unable,
}

/// One kind of server.
pub trait Dialect: Debug + Send + Sync {
    /// Which.
    fn kind(&self) -> Kind;

    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// What the server calls a version that the agent places there.
    fn placed(&self, model: &str, version: &str) -> Placed;

    /// The files of a version, in the order in which they are to be written.
    fn layout(&self, placed: &Placed, format: &str) -> Result<Vec<Laid>, NoLayout>;

    /// The folder below the repository's root that is the version's alone.
    fn folder(&self, placed: &Placed) -> PathBuf;

    /// How it is asked to load a version.
    fn load(&self, placed: &Placed) -> Asking;

    /// How it is asked to unload a version.
    fn unload(&self, placed: &Placed) -> Asking;

    /// Where it tells what it counted of a version, if it does.
    fn statistics(&self, placed: &Placed) -> Option<String>;
}

impl Kind {
    /// The word for it, in configurations and status.
    pub fn word(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::Mlserver => "mlserver",
            Self::Triton => "triton",
            Self::Other => "other",
        }
    }

    /// By what a server says of itself at `/v2`.
    pub fn of_name(name: &str) -> Self {
        match name {
            "binnacle-runtime" => Self::Runtime,
            "mlserver" => Self::Mlserver,
            "triton" => Self::Triton,
            _ => Self::Other,
        }
    }

    /// How it is spoken to.
    pub fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::Runtime => &Runtime,
            Self::Mlserver => &MlServer,
            Self::Triton => &Triton,
            Self::Other => &Other,
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Runtime, Self::Mlserver, Self::Triton, Self::Other];
        let named = all.into_iter().find(|kind| kind.word() == text);
        named.ok_or_else(|| {
            format!("{text:?} is no kind of server: it is runtime, mlserver, triton or other")
        })
    }
}

/// A version placed under its own names.
pub(crate) fn by_version(model: &str, version: &str) -> Placed {
    Placed {
        model: model.into(),
        version: version.into(),
        upstream_model: model.into(),
        upstream_version: version.into(),
    }
}

/// A version placed as a model of its own, for servers that load by name. No model's name has a
/// dot, so that no other model is met.
pub(super) fn by_name(model: &str, version: &str) -> Placed {
    Placed {
        upstream_model: format!("{model}.{version}").into(),
        ..by_version(model, version)
    }
}

/// What a server calls a version, in the names that are counted: those of [`by_name`] undone.
pub(super) fn counted_as<'a>(model: &'a str, version: &'a str) -> (&'a str, &'a str) {
    match model.rsplit_once('.') {
        Some((name, suffix)) if !name.is_empty() && suffix == version => (name, version),
        Some(_) | None => (model, version),
    }
}

/// A server that only answers.
#[derive(Debug)]
struct Other;

impl Dialect for Other {
    fn kind(&self) -> Kind {
        Kind::Other
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            loads: false,
            one_version: false,
            unloads_later: false,
            binary_tensors: false,
            statistics: false,
        }
    }

    fn placed(&self, model: &str, version: &str) -> Placed {
        by_version(model, version)
    }

    fn layout(&self, _: &Placed, _: &str) -> Result<Vec<Laid>, NoLayout> {
        Err(NoLayout::Unable)
    }

    fn folder(&self, placed: &Placed) -> PathBuf {
        [&*placed.upstream_model, &*placed.upstream_version]
            .iter()
            .collect()
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

impl Asking {
    /// A question of the repository extension.
    pub(super) fn repository(model: &str, verb: &str, body: String) -> Self {
        let mut path = String::from("/v2/repository/models/");
        crate::proxy::escape(model, &mut path);
        path.push('/');
        path.push_str(verb);
        Self { path, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: Kind, format: &str) -> Vec<String> {
        let dialect = kind.dialect();
        let placed = dialect.placed("fraud", "7");
        let mut lines = match dialect.layout(&placed, format) {
            Ok(files) => files
                .iter()
                .map(|file| match &file.content {
                    Content::Artifact => format!("{} = artifact", file.path.display()),
                    Content::Text(text) => format!("{} = {text}", file.path.display()),
                })
                .collect(),
            Err(why) => vec![why.to_string()],
        };
        for asking in [dialect.load(&placed), dialect.unload(&placed)] {
            lines.push(format!("{} {}", asking.path, asking.body));
        }
        lines
    }

    #[test]
    fn each_server_is_asked_for_one_version_in_its_own_way() {
        let body = r#"{"parameters":{"version":"7"}}"#;
        assert_eq!(
            shown(Kind::Runtime, "onnx"),
            [
                "fraud/7/model.onnx = artifact".to_owned(),
                format!("/v2/repository/models/fraud/load {body}"),
                format!("/v2/repository/models/fraud/unload {body}"),
            ]
        );
        assert_eq!(
            shown(Kind::Mlserver, "sklearn"),
            [
                "fraud.7/model.joblib = artifact".to_owned(),
                "fraud.7/model-settings.json = {\"implementation\":\
                 \"mlserver_sklearn.SKLearnModel\",\"name\":\"fraud.7\",\"parameters\":\
                 {\"uri\":\"./model.joblib\",\"version\":\"7\"}}"
                    .to_owned(),
                "/v2/repository/models/fraud.7/load {}".to_owned(),
                "/v2/repository/models/fraud.7/unload {}".to_owned(),
            ]
        );
        assert_eq!(
            shown(Kind::Triton, "onnx"),
            [
                "fraud.7/7/model.onnx = artifact".to_owned(),
                "fraud.7/config.pbtxt = name: \"fraud.7\"\nbackend: \"onnxruntime\"\n\
                 version_policy { specific { versions: [7] } }\n"
                    .to_owned(),
                "/v2/repository/models/fraud.7/load {}".to_owned(),
                "/v2/repository/models/fraud.7/unload {}".to_owned(),
            ]
        );
    }

    #[test]
    fn what_a_server_cannot_run_says_what_it_can() {
        assert_eq!(
            shown(Kind::Runtime, "pickle")[0],
            "binnacle-runtime cannot run a model in the format \"pickle\": it runs onnx"
        );
        assert!(shown(Kind::Triton, "pickle")[0].contains("it runs onnx"));
        assert!(shown(Kind::Other, "onnx")[0].contains("--server"));
    }

    #[test]
    fn a_version_placed_by_name_is_counted_as_what_it_is() {
        let placed = by_name("fraud", "7");
        let (model, version) = (&*placed.upstream_model, &*placed.upstream_version);
        assert_eq!((model, version), ("fraud.7", "7"));
        assert_eq!(counted_as(model, version), ("fraud", "7"));
        for other in [("fraud", "7"), ("a.b", "7"), (".7", "7"), ("fraud.7", "")] {
            assert_eq!(counted_as(other.0, other.1), other);
        }
    }
}

//! Why a request is not answered with an inference, in terms that both protocols can carry.

use open_inference::CodecError;
use open_inference::error::shown;

/// A request refused, or an inference that failed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request's bytes or tensors are wrong.
    #[error(transparent)]
    Request(#[from] CodecError),
    /// A parameter of the request is wrong.
    #[error("parameter {}: expected {expected}, got {came}", shown(parameter))]
    Parameter {
        /// Its name.
        parameter: String,
        /// What would have been right.
        expected: &'static str,
        /// What came, escaped.
        came: String,
    },
    /// There is no such model here.
    #[error("no model {} in the repository", shown(model))]
    NoModel {
        /// Its name as it came.
        model: String,
    },
    /// The model is here, but not that version of it.
    #[error(
        "no version {} of model {} in the repository",
        shown(version),
        shown(model)
    )]
    NoVersion {
        /// The model.
        model: String,
        /// The version as it came.
        version: String,
    },
    /// The version is in the repository, but does not serve.
    #[error("model {}, {version}, does not serve: {reason}", shown(model))]
    NotServed {
        /// The model.
        model: String,
        /// "version 3", or "any version".
        version: String,
        /// Why.
        reason: String,
    },
    /// A version could not be loaded.
    #[error(
        "version {version} of model {} cannot be loaded: {reason}",
        shown(model)
    )]
    NotLoaded {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// Why.
        reason: String,
    },
    /// More requests wait for this version than it may keep waiting.
    #[error(
        "model {}, version {version}, has {waiting} requests waiting: send fewer at once",
        shown(model)
    )]
    Overloaded {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// How many wait.
        waiting: usize,
    },
    /// The model failed on tensors that fit it.
    #[error("model {}, version {version}: {reason}", shown(model))]
    Failed {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// What the library said.
        reason: String,
    },
    /// The answer cannot be sent in the form asked for.
    #[error("the answer cannot be sent: {0}")]
    Answer(CodecError),
    /// The repository folder cannot be read.
    #[error("cannot read the repository: {0}")]
    Repository(String),
}

/// Whose fault a refusal is, and whether to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is wrong: HTTP 400, `INVALID_ARGUMENT`.
    Invalid,
    /// What it asks for is not here: HTTP 404, `NOT_FOUND`.
    NotFound,
    /// Not now: HTTP 503, `UNAVAILABLE`.
    Unavailable,
    /// The server or the model failed: HTTP 500, `INTERNAL`.
    Internal,
}

impl Refusal {
    /// Whose fault it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Request(_) | Self::Parameter { .. } | Self::NotLoaded { .. } => Kind::Invalid,
            Self::NoModel { .. } | Self::NoVersion { .. } | Self::NotServed { .. } => {
                Kind::NotFound
            }
            Self::Overloaded { .. } => Kind::Unavailable,
            Self::Failed { .. } | Self::Answer(_) | Self::Repository(_) => Kind::Internal,
        }
    }
}

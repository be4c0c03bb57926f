//! The inference library: model files opened as sessions, tensors run through them.
//!
//! The only module that speaks to ONNX Runtime. A model whose inputs or outputs are not all
//! plain tensors of the protocol's datatypes is refused when it is opened, with the reason.

mod convert;

use std::path::Path;
use std::sync::OnceLock;

use open_inference::{CodecError, Tensor};
use ort::environment::{Environment, GlobalThreadPoolOptions};
use ort::session::{Session, SessionInputValue};
use ort::value::{Outlet, ValueType};

use crate::library::SILENCE;
use crate::signature::{Signature, TensorSpec};

/// The loaded library. Cheap to clone; one for the whole process, as the library demands.
#[derive(Clone, Debug)]
pub struct Engine {
    environment: Environment,
}

/// One model file, opened.
#[derive(Debug)]
pub struct Model {
    session: Session,
    signature: Signature,
}

/// Why a model cannot be opened or run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The library is there, but cannot be used.
    #[error("cannot use the ONNX Runtime library {path}; run `binnacle-runtime fetch`")]
    Library {
        /// Where it lies.
        path: String,
        /// What the loader says.
        #[source]
        source: ort::LoadDynamicError,
    },
    /// The library would report to its maker.
    #[error(
        "the ONNX Runtime library would report what it runs to its maker: set {}={} before \
         starting this process",
        SILENCE.0, SILENCE.1
    )]
    Talkative,
    /// The library does not start.
    #[error("cannot start ONNX Runtime")]
    Start(#[source] ort::Error),
    /// The file is not a model that the library runs.
    #[error("cannot open the model: {0}")]
    Open(String),
    /// The model has an input or output that is not a tensor of the protocol.
    #[error("{side} `{name}` is {came}, which is not a tensor of the protocol: {advice}")]
    NotTensor {
        /// "input" or "output".
        side: &'static str,
        /// Its name.
        name: String,
        /// Its type.
        came: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The model failed on tensors that fit it.
    #[error("the model failed: {0}")]
    Run(String),
    /// A tensor cannot be given to the model or read back from it.
    #[error(transparent)]
    Tensor(#[from] CodecError),
}

impl Engine {
    /// Loads the library from `path`, with `threads` threads for operators shared by all models.
    /// When the process has loaded it already, that one is returned.
    ///
    /// # Errors
    /// When the file is not a library, is too old, or does not start; and when the environment
    /// does not hold [`SILENCE`].
    pub fn open(path: &Path, threads: usize) -> Result<Self, EngineError> {
        static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
        if let Some(environment) = ENVIRONMENT.get() {
            return Ok(Self {
                environment: environment.clone(),
            });
        }
        // Models and their use are the operator's business: rather no inference than a leak.
        if std::env::var_os(SILENCE.0).is_none_or(|value| value != SILENCE.1) {
            return Err(EngineError::Talkative);
        }
        let builder = ort::init_from(path).map_err(|source| EngineError::Library {
            path: path.display().to_string(),
            source,
        })?;
        // One pool for all versions: a pool a version would be threads × versions. No spinning:
        // the host's other processes need the core that a waiting thread would burn.
        let pool = GlobalThreadPoolOptions::default()
            .with_intra_threads(threads)
            .and_then(|pool| pool.with_spin_control(false))
            .map_err(EngineError::Start)?;
        let environment = builder
            .with_name("binnacle")
            .with_telemetry(false)
            .with_global_thread_pool(pool)
            .build()
            .map_err(EngineError::Start)?;
        Ok(Self {
            environment: ENVIRONMENT.get_or_init(|| environment).clone(),
        })
    }

    /// Opens the model file at `path`. Takes as long as the file is large: not on a reactor.
    ///
    /// # Errors
    /// When the library cannot run it, or its inputs and outputs are not all tensors.
    pub fn model(&self, path: &Path) -> Result<Model, EngineError> {
        let session = Session::builder(&self.environment)
            .and_then(|mut builder| builder.commit_from_file(path))
            .map_err(|error| EngineError::Open(error.message().to_owned()))?;
        let inputs = session.inputs().iter().map(|outlet| spec("input", outlet));
        let outputs = session
            .outputs()
            .iter()
            .map(|outlet| spec("output", outlet));
        let signature = Signature {
            inputs: inputs.collect::<Result<_, _>>()?,
            outputs: outputs.collect::<Result<_, _>>()?,
        };
        Ok(Model { session, signature })
    }
}

impl Model {
    /// What it takes and gives.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Runs `inputs`, which must be in the signature's order and fit it, and gives the outputs
    /// for whose name `wanted` is true.
    ///
    /// # Errors
    /// When the model fails on them, or gives what the protocol cannot carry.
    pub fn run(
        &mut self,
        inputs: Vec<Tensor>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Tensor>, EngineError> {
        let failed = |error: ort::Error| EngineError::Run(error.message().to_owned());
        let mut values = Vec::with_capacity(inputs.len());
        for tensor in inputs {
            let name = tensor.name().to_owned();
            let value: SessionInputValue<'_> = convert::to_value(tensor)?.into();
            values.push((name, value));
        }
        let results = self.session.run(values).map_err(failed)?;
        let mut outputs = Vec::with_capacity(results.len());
        for spec in self
            .signature
            .outputs
            .iter()
            .filter(|spec| wanted(&spec.name))
        {
            let Some(value) = results.get(&spec.name) else {
                return Err(EngineError::Run(format!("no output `{}` came", spec.name)));
            };
            outputs.push(convert::from_value(spec, value)?);
        }
        Ok(outputs)
    }
}

fn spec(side: &'static str, outlet: &Outlet) -> Result<TensorSpec, EngineError> {
    let refused = |advice| EngineError::NotTensor {
        side,
        name: outlet.name().to_owned(),
        came: outlet.dtype().to_string(),
        advice,
    };
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(refused(
            "export it with plain tensors (scikit-learn: zipmap off)",
        ));
    };
    let Some(datatype) = convert::datatype(*ty) else {
        return Err(refused("export it with a datatype that the protocol has"));
    };
    // The library writes a dimension of unknown size as -1 already; others are sizes.
    let shape = shape.iter().map(|&size| size.max(-1)).collect();
    Ok(TensorSpec {
        name: outlet.name().to_owned(),
        datatype,
        shape,
    })
}

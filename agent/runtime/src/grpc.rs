//! The Open Inference Protocol over gRPC, with its streaming form and the repository extension.
//!
//! Says the same as [`crate::http`], refusals included, in gRPC's codes.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use open_inference::error::shown;
use open_inference::proto::grpc_inference_service_server::GrpcInferenceService;
use open_inference::proto::model_metadata_response::TensorMetadata;
use open_inference::proto::model_repository_parameter::ParameterChoice;
use open_inference::proto::repository_index_response::ModelIndex;
use open_inference::{grpc, proto};
use tonic::{Request, Response, Status, Streaming};

use crate::refusal::{Kind, Refusal};
use crate::repository::{Readiness, Repository, Scope};
use crate::signature::TensorSpec;
use crate::{EXTENSIONS, NAME, PLATFORM, VERSION};

/// The gRPC side.
#[derive(Clone, Debug)]
pub struct Grpc {
    /// The models.
    pub repository: Arc<Repository>,
}

type Responses =
    Pin<Box<dyn Stream<Item = Result<proto::ModelStreamInferResponse, Status>> + Send>>;

#[tonic::async_trait]
impl GrpcInferenceService for Grpc {
    type ModelStreamInferStream = Responses;

    async fn server_live(
        &self,
        _: Request<proto::ServerLiveRequest>,
    ) -> Result<Response<proto::ServerLiveResponse>, Status> {
        Ok(Response::new(proto::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<proto::ServerReadyRequest>,
    ) -> Result<Response<proto::ServerReadyResponse>, Status> {
        let ready = self.repository.readiness() == Readiness::Ready;
        Ok(Response::new(proto::ServerReadyResponse { ready }))
    }

    async fn model_ready(
        &self,
        request: Request<proto::ModelReadyRequest>,
    ) -> Result<Response<proto::ModelReadyResponse>, Status> {
        let proto::ModelReadyRequest { name, version } = request.into_inner();
        let ready = match self.repository.find(&name, Some(&version)) {
            Ok(_) => true,
            // Here, but not serving: an answer. Not here at all: an error.
            Err(Refusal::NotServed { .. }) => false,
            Err(refusal) => return Err(status(&refusal)),
        };
        Ok(Response::new(proto::ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<proto::ServerMetadataRequest>,
    ) -> Result<Response<proto::ServerMetadataResponse>, Status> {
        Ok(Response::new(proto::ServerMetadataResponse {
            name: NAME.to_owned(),
            version: VERSION.to_owned(),
            extensions: EXTENSIONS.map(str::to_owned).to_vec(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<proto::ModelMetadataRequest>,
    ) -> Result<Response<proto::ModelMetadataResponse>, Status> {
        let proto::ModelMetadataRequest { name, version } = request.into_inner();
        let served = self
            .repository
            .find(&name, Some(&version))
            .map_err(|r| status(&r))?;
        let versions = self.repository.ready_versions(&name);
        Ok(Response::new(proto::ModelMetadataResponse {
            name,
            versions: versions.iter().map(u64::to_string).collect(),
            platform: PLATFORM.to_owned(),
            inputs: tensors(&served.signature().inputs),
            outputs: tensors(&served.signature().outputs),
        }))
    }

    async fn model_infer(
        &self,
        request: Request<proto::ModelInferRequest>,
    ) -> Result<Response<proto::ModelInferResponse>, Status> {
        let answered = infer(&self.repository, request.into_inner()).await;
        answered
            .map(Response::new)
            .map_err(|refusal| status(&refusal))
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<proto::ModelInferRequest>>,
    ) -> Result<Response<Responses>, Status> {
        let repository = Arc::clone(&self.repository);
        // One at a time and in order: a client reads answers in the order of its questions, and
        // what it sends meanwhile waits in HTTP/2's own flow control.
        let responses = request.into_inner().then(move |message| {
            let repository = Arc::clone(&repository);
            async move {
                let answered = infer(&repository, message?).await;
                Ok(match answered {
                    Ok(response) => proto::ModelStreamInferResponse {
                        error_message: String::new(),
                        infer_response: Some(response),
                    },
                    Err(refusal) => proto::ModelStreamInferResponse {
                        error_message: refusal.to_string(),
                        infer_response: None,
                    },
                })
            }
        });
        Ok(Response::new(Box::pin(responses)))
    }

    async fn repository_index(
        &self,
        request: Request<proto::RepositoryIndexRequest>,
    ) -> Result<Response<proto::RepositoryIndexResponse>, Status> {
        let ready_only = request.into_inner().ready;
        let index = self
            .repository
            .index()
            .await
            .map_err(|refusal| status(&refusal))?;
        let wanted = index
            .into_iter()
            .filter(|entry| !ready_only || entry.state == "READY");
        let models = wanted.map(|entry| ModelIndex {
            name: entry.name,
            version: entry.version,
            state: entry.state.to_owned(),
            reason: entry.reason,
        });
        Ok(Response::new(proto::RepositoryIndexResponse {
            models: models.collect(),
        }))
    }

    async fn repository_model_load(
        &self,
        request: Request<proto::RepositoryModelLoadRequest>,
    ) -> Result<Response<proto::RepositoryModelLoadResponse>, Status> {
        let request = request.into_inner();
        if let Some(name) = request
            .parameters
            .keys()
            .find(|name| *name != VERSION_PARAMETER)
        {
            return Err(status(&Refusal::Parameter {
                parameter: name.clone(),
                expected: "no parameter but `version`",
                came: "it".to_owned(),
            }));
        }
        let scope = scope(&request.parameters).map_err(|refusal| status(&refusal))?;
        let loaded = self.repository.load(&request.model_name, scope).await;
        loaded.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(proto::RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<proto::RepositoryModelUnloadRequest>,
    ) -> Result<Response<proto::RepositoryModelUnloadResponse>, Status> {
        let request = request.into_inner();
        let scope = scope(&request.parameters).map_err(|refusal| status(&refusal))?;
        let unloaded = self.repository.unload(&request.model_name, scope).await;
        unloaded.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(proto::RepositoryModelUnloadResponse {}))
    }
}

const VERSION_PARAMETER: &str = "version";

async fn infer(
    repository: &Repository,
    message: proto::ModelInferRequest,
) -> Result<proto::ModelInferResponse, Refusal> {
    let served = repository.served(&message.model_name, Some(&message.model_version))?;
    let mut request = served.admit(grpc::decode_request(message))?;
    let response = served.infer(&mut request).await?;
    Ok(grpc::encode_response(response, request.form))
}

fn scope(parameters: &BTreeMap<String, proto::ModelRepositoryParameter>) -> Result<Scope, Refusal> {
    let Some(parameter) = parameters.get(VERSION_PARAMETER) else {
        return Ok(Scope::All);
    };
    let (number, came) = match &parameter.parameter_choice {
        Some(ParameterChoice::StringParam(text)) => (text.parse().ok(), shown(text)),
        Some(ParameterChoice::Int64Param(n)) => (u64::try_from(*n).ok(), n.to_string()),
        Some(ParameterChoice::BoolParam(truth)) => (None, truth.to_string()),
        Some(ParameterChoice::BytesParam(_)) => (None, "bytes".to_owned()),
        None => (None, "nothing".to_owned()),
    };
    number.map(Scope::One).ok_or_else(|| Refusal::Parameter {
        parameter: VERSION_PARAMETER.to_owned(),
        expected: "a version's number",
        came,
    })
}

fn tensors(specs: &[TensorSpec]) -> Vec<TensorMetadata> {
    let one = |spec: &TensorSpec| TensorMetadata {
        name: spec.name.clone(),
        datatype: spec.datatype.name().to_owned(),
        shape: spec.shape.clone(),
    };
    specs.iter().map(one).collect()
}

fn status(refusal: &Refusal) -> Status {
    let message = refusal.to_string();
    match refusal.kind() {
        Kind::Invalid => Status::invalid_argument(message),
        Kind::NotFound => Status::not_found(message),
        Kind::Unavailable => Status::unavailable(message),
        Kind::Internal => Status::internal(message),
    }
}

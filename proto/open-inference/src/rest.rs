//! Requests and responses as HTTP bodies: JSON, and the binary tensor extension after it.
//!
//! A body is one JSON object; when the header [`crate::HEADER_CONTENT_LENGTH`] says where it
//! ends, the raw bytes of tensors whose parameters hold a `binary_data_size` follow in order.
//! Both directions are here, for servers and for clients. JSON nesting is bounded by
//! [`crate::RANK_MAX`]; the size of a body is bounded by whoever reads it.

mod values;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::shown;
use crate::{
    CodecError, DataForm, Datatype, InferRequest, InferResponse, RequestedOutput, TENSORS_MAX,
    Tensor, raw,
};

/// An HTTP body, and what its [`crate::HEADER_CONTENT_LENGTH`] header must say, if anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The whole body.
    pub body: Bytes,
    /// The bytes of JSON at its start; `None` when the body is JSON alone.
    pub json_bytes: Option<usize>,
}

/// Reads the body of an inference request.
///
/// `json_bytes` is the text of the [`crate::HEADER_CONTENT_LENGTH`] header, if the request has one.
///
/// # Errors
/// When it is not the protocol's JSON, or a tensor in it is not what it says it is.
pub fn decode_request(body: &Bytes, json_bytes: Option<&str>) -> Result<InferRequest, CodecError> {
    let (json, mut rest) = split(body, json_bytes)?;
    let request: RequestJson<'_> = parse("the request body", &json)?;
    let form = form(request.parameters.binary_data_output);
    let outputs = request
        .outputs
        .into_iter()
        .map(|output| requested(output, form));
    let outputs = outputs.collect::<Result<_, _>>()?;
    let inputs = tensors(request.inputs, &mut rest)?;
    Ok(InferRequest {
        id: request.id,
        inputs,
        outputs,
        form,
    })
}

/// Reads the body of an inference response.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_response(
    body: &Bytes,
    json_bytes: Option<&str>,
) -> Result<InferResponse, CodecError> {
    let (json, mut rest) = split(body, json_bytes)?;
    let response: ResponseJson<'_> = parse("the response body", &json)?;
    Ok(InferResponse {
        model_name: response.model_name,
        model_version: response.model_version,
        id: response.id,
        outputs: tensors(response.outputs, &mut rest)?,
    })
}

/// Writes a request whose inputs are all in the form `inputs`.
///
/// # Errors
/// When JSON cannot carry a value and the form is typed: see [`encode_response`].
pub fn encode_request(request: &InferRequest, inputs: DataForm) -> Result<Encoded, CodecError> {
    let (tensors, raw) = written(&request.inputs, |_| inputs)?;
    let outputs: Vec<_> = request.outputs.iter().map(output_written).collect();
    encode(
        &RequestWritten {
            id: &request.id,
            parameters: binary_output(request.form),
            inputs: tensors,
            outputs,
        },
        raw,
    )
}

/// Writes a response, each output in the form that `request` asked for.
///
/// # Errors
/// When an output asked for as JSON holds what JSON cannot carry: 16-bit floats, values that are
/// not finite, byte strings that are not UTF-8.
pub fn encode_response(
    response: &InferResponse,
    request: &InferRequest,
) -> Result<Encoded, CodecError> {
    let (outputs, raw) = written(&response.outputs, |tensor| request.form_of(tensor.name()))?;
    encode(
        &ResponseWritten {
            model_name: &response.model_name,
            model_version: &response.model_version,
            id: &response.id,
            outputs,
        },
        raw,
    )
}

#[derive(Deserialize)]
struct RequestJson<'a> {
    #[serde(default)]
    id: String,
    #[serde(default)]
    parameters: RequestParameters,
    #[serde(borrow)]
    inputs: Vec<TensorJson<'a>>,
    #[serde(default)]
    outputs: Vec<OutputJson>,
}

#[derive(Deserialize)]
struct ResponseJson<'a> {
    #[serde(default)]
    model_name: String,
    #[serde(default)]
    model_version: String,
    #[serde(default)]
    id: String,
    #[serde(borrow)]
    outputs: Vec<TensorJson<'a>>,
}

#[derive(Deserialize, Default)]
struct RequestParameters {
    #[serde(default)]
    binary_data_output: bool,
}

#[derive(Deserialize)]
struct TensorJson<'a> {
    name: String,
    shape: Vec<i64>,
    datatype: String,
    #[serde(default)]
    parameters: TensorParameters,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct TensorParameters {
    binary_data_size: Option<usize>,
    shared_memory_region: Option<String>,
}

#[derive(Deserialize)]
struct OutputJson {
    name: String,
    #[serde(default)]
    parameters: OutputParameters,
}

#[derive(Deserialize, Default)]
struct OutputParameters {
    binary_data: Option<bool>,
    classification: Option<i64>,
    shared_memory_region: Option<String>,
}

#[derive(Serialize)]
struct RequestWritten<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinaryOutput>,
    inputs: Vec<TensorWritten<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<OutputWritten<'a>>,
}

#[derive(Serialize)]
struct ResponseWritten<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    outputs: Vec<TensorWritten<'a>>,
}

#[derive(Serialize)]
struct BinaryOutput {
    binary_data_output: bool,
}

#[derive(Serialize)]
struct OutputWritten<'a> {
    name: &'a str,
    parameters: BinaryData,
}

#[derive(Serialize)]
struct BinaryData {
    binary_data: bool,
}

#[derive(Serialize)]
struct TensorWritten<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [i64],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinarySize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<values::Written<'a>>,
}

#[derive(Serialize)]
struct BinarySize {
    binary_data_size: usize,
}

fn form(binary: bool) -> DataForm {
    if binary {
        DataForm::Raw
    } else {
        DataForm::Typed
    }
}

fn binary_output(form: DataForm) -> Option<BinaryOutput> {
    match form {
        DataForm::Raw => Some(BinaryOutput {
            binary_data_output: true,
        }),
        DataForm::Typed => None,
    }
}

fn output_written(output: &RequestedOutput) -> OutputWritten<'_> {
    let binary_data = output.form == DataForm::Raw;
    OutputWritten {
        name: &output.name,
        parameters: BinaryData { binary_data },
    }
}

fn split(body: &Bytes, json_bytes: Option<&str>) -> Result<(Bytes, Bytes), CodecError> {
    let Some(said) = json_bytes else {
        return Ok((body.clone(), Bytes::new()));
    };
    match said.trim().parse::<usize>() {
        Ok(end) if end <= body.len() => Ok((body.slice(..end), body.slice(end..))),
        Ok(_) | Err(_) => Err(CodecError::HeaderLength {
            expected: shown(said),
            came: body.len(),
        }),
    }
}

fn parse<'a, T: Deserialize<'a>>(what: &'static str, json: &'a [u8]) -> Result<T, CodecError> {
    serde_json::from_slice(json).map_err(|error| CodecError::Json {
        what,
        reason: error.to_string(),
    })
}

fn requested(output: OutputJson, default: DataForm) -> Result<RequestedOutput, CodecError> {
    let OutputParameters {
        binary_data,
        classification,
        shared_memory_region,
    } = output.parameters;
    // Answering these as if they had not been asked would look like an answer to them.
    let refused = [
        ("classification", classification.is_some()),
        ("shared memory", shared_memory_region.is_some()),
    ];
    if let Some((came, _)) = refused.iter().find(|(_, present)| *present) {
        return Err(CodecError::tensor(
            &output.name,
            "an output sent as values",
            *came,
        ));
    }
    Ok(RequestedOutput {
        form: binary_data.map_or(default, form),
        name: output.name,
    })
}

fn tensors(written: Vec<TensorJson<'_>>, rest: &mut Bytes) -> Result<Vec<Tensor>, CodecError> {
    if written.len() > TENSORS_MAX {
        return Err(CodecError::Tensors {
            came: written.len(),
        });
    }
    let tensors = written
        .into_iter()
        .map(|json| tensor(json, rest))
        .collect::<Result<_, _>>()?;
    match rest.len() {
        0 => Ok(tensors),
        bytes => Err(CodecError::Unclaimed { bytes }),
    }
}

fn tensor(json: TensorJson<'_>, rest: &mut Bytes) -> Result<Tensor, CodecError> {
    let TensorJson {
        name,
        shape,
        datatype,
        parameters,
        data,
    } = json;
    let Some(datatype) = Datatype::from_name(&datatype) else {
        return Err(CodecError::tensor(
            &name,
            "a datatype of the protocol",
            shown(&datatype),
        ));
    };
    match (data, parameters.binary_data_size) {
        (Some(data), None) => values::decode(&name, datatype, shape, data),
        (None, Some(size)) if size <= rest.len() => {
            raw::decode(&name, datatype, shape, &rest.split_to(size))
        }
        (None, Some(size)) => {
            let came = format!("{} after the JSON", rest.len());
            Err(CodecError::tensor(
                &name,
                format!("{size} bytes of binary data"),
                came,
            ))
        }
        (Some(_), Some(_)) => Err(CodecError::tensor(
            &name,
            "data or binary_data_size",
            "both",
        )),
        (None, None) => {
            let came = match parameters.shared_memory_region {
                Some(_) => "shared memory, which is not served here",
                None => "neither",
            };
            Err(CodecError::tensor(&name, "data or binary_data_size", came))
        }
    }
}

fn written(
    tensors: &[Tensor],
    form: impl Fn(&Tensor) -> DataForm,
) -> Result<(Vec<TensorWritten<'_>>, Vec<Bytes>), CodecError> {
    let mut raws = Vec::new();
    let mut all = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let (parameters, data) = match form(tensor) {
            DataForm::Typed => (None, Some(values::Written::of(tensor)?)),
            DataForm::Raw => {
                raws.push(raw::encode(tensor.data()));
                (
                    Some(BinarySize {
                        binary_data_size: raw::len(tensor.data()),
                    }),
                    None,
                )
            }
        };
        let datatype = tensor.datatype().name();
        all.push(TensorWritten {
            name: tensor.name(),
            datatype,
            shape: tensor.shape(),
            parameters,
            data,
        });
    }
    Ok((all, raws))
}

fn encode(document: &impl Serialize, raws: Vec<Bytes>) -> Result<Encoded, CodecError> {
    let json = serde_json::to_vec(document).map_err(|error| CodecError::Json {
        what: "the document to write",
        reason: error.to_string(),
    })?;
    if raws.is_empty() {
        return Ok(Encoded {
            body: json.into(),
            json_bytes: None,
        });
    }
    let json_bytes = json.len();
    let mut body = BytesMut::from(Bytes::from(json));
    for raw in raws {
        body.extend_from_slice(&raw);
    }
    Ok(Encoded {
        body: body.freeze(),
        json_bytes: Some(json_bytes),
    })
}

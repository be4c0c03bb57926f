//! Requests and responses as the protocol's protobuf messages.
//!
//! Raw contents are sliced out of the message without copying the buffer; typed contents are
//! moved or narrowed with a range check. Which model is asked stays in the message.

use bytes::Bytes;

use crate::error::shown;
use crate::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use crate::proto::model_infer_response::InferOutputTensor;
use crate::proto::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use crate::{
    CodecError, Data, DataForm, Datatype, InferRequest, InferResponse, RequestedOutput,
    TENSORS_MAX, Tensor, raw,
};

/// Reads a request. Its outputs will be wanted in the form that its inputs came in.
///
/// # Errors
/// When a tensor is not what it says it is, or raw contents are given for some tensors only.
pub fn decode_request(message: ModelInferRequest) -> Result<InferRequest, CodecError> {
    let form = form_of(&message.raw_input_contents);
    let parts = message.inputs.into_iter().map(|input| Parts {
        name: input.name,
        datatype: input.datatype,
        shape: input.shape,
        contents: input.contents,
    });
    let inputs = tensors(parts, message.raw_input_contents)?;
    let outputs = message.outputs.into_iter();
    let outputs = outputs
        .map(|wanted| RequestedOutput {
            name: wanted.name,
            form,
        })
        .collect();
    Ok(InferRequest {
        id: message.id,
        inputs,
        outputs,
        form,
    })
}

/// Reads a response.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_response(message: ModelInferResponse) -> Result<InferResponse, CodecError> {
    let parts = message.outputs.into_iter().map(|output| Parts {
        name: output.name,
        datatype: output.datatype,
        shape: output.shape,
        contents: output.contents,
    });
    let outputs = tensors(parts, message.raw_output_contents)?;
    Ok(InferResponse {
        model_name: message.model_name,
        model_version: message.model_version,
        id: message.id,
        outputs,
    })
}

/// Writes a request to `model` and, unless it is empty, `version`, its inputs in that form.
#[must_use]
pub fn encode_request(
    model: &str,
    version: &str,
    request: InferRequest,
    form: DataForm,
) -> ModelInferRequest {
    let form = carried(&request.inputs, form);
    let mut message = ModelInferRequest {
        model_name: model.to_owned(),
        model_version: version.to_owned(),
        id: request.id,
        ..ModelInferRequest::default()
    };
    message.outputs = request
        .outputs
        .into_iter()
        .map(|wanted| InferRequestedOutputTensor {
            name: wanted.name,
            ..Default::default()
        })
        .collect();
    for tensor in request.inputs {
        let (name, shape) = (tensor.name().to_owned(), tensor.shape().to_vec());
        let datatype = tensor.datatype().name().to_owned();
        let contents = match form {
            DataForm::Raw => {
                message.raw_input_contents.push(raw::encode(tensor.data()));
                None
            }
            DataForm::Typed => Some(contents(tensor.into_data())),
        };
        let tensor = InferInputTensor {
            name,
            datatype,
            shape,
            contents,
            ..Default::default()
        };
        message.inputs.push(tensor);
    }
    message
}

/// Writes a response in that form; outputs that only raw bytes can carry make all of them raw.
#[must_use]
pub fn encode_response(response: InferResponse, form: DataForm) -> ModelInferResponse {
    let form = carried(&response.outputs, form);
    let mut message = ModelInferResponse {
        model_name: response.model_name,
        model_version: response.model_version,
        id: response.id,
        ..ModelInferResponse::default()
    };
    for tensor in response.outputs {
        let (name, shape) = (tensor.name().to_owned(), tensor.shape().to_vec());
        let datatype = tensor.datatype().name().to_owned();
        let contents = match form {
            DataForm::Raw => {
                message.raw_output_contents.push(raw::encode(tensor.data()));
                None
            }
            DataForm::Typed => Some(contents(tensor.into_data())),
        };
        let tensor = InferOutputTensor {
            name,
            datatype,
            shape,
            contents,
            ..Default::default()
        };
        message.outputs.push(tensor);
    }
    message
}

struct Parts {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    contents: Option<InferTensorContents>,
}

fn form_of(raws: &[Bytes]) -> DataForm {
    if raws.is_empty() {
        DataForm::Typed
    } else {
        DataForm::Raw
    }
}

/// The protocol has no typed field for 16-bit floats.
fn carried(tensors: &[Tensor], form: DataForm) -> DataForm {
    let half = |t: &Tensor| matches!(t.datatype(), Datatype::Fp16 | Datatype::Bf16);
    if tensors.iter().any(half) {
        DataForm::Raw
    } else {
        form
    }
}

fn tensors(
    parts: impl ExactSizeIterator<Item = Parts>,
    raws: Vec<Bytes>,
) -> Result<Vec<Tensor>, CodecError> {
    if parts.len() > TENSORS_MAX {
        return Err(CodecError::Tensors { came: parts.len() });
    }
    if raws.is_empty() {
        return parts.map(typed).collect();
    }
    if raws.len() != parts.len() {
        return Err(CodecError::RawContents {
            expected: parts.len(),
            came: raws.len(),
        });
    }
    let whole = |(part, raw): (Parts, Bytes)| {
        if part.contents.is_some() {
            let expected = "raw contents or typed contents";
            return Err(CodecError::tensor(&part.name, expected, "both"));
        }
        raw::decode(&part.name, named(&part)?, part.shape, &raw)
    };
    parts.zip(raws).map(whole).collect()
}

fn named(part: &Parts) -> Result<Datatype, CodecError> {
    Datatype::from_name(&part.datatype).ok_or_else(|| {
        CodecError::tensor(
            &part.name,
            "a datatype of the protocol",
            shown(&part.datatype),
        )
    })
}

fn typed(part: Parts) -> Result<Tensor, CodecError> {
    let datatype = named(&part)?;
    let Parts {
        name,
        shape,
        contents,
        ..
    } = part;
    let contents = contents.unwrap_or_default();
    let data = match datatype {
        Datatype::Bool => Data::Bool(contents.bool_contents),
        Datatype::Uint8 => Data::Uint8(narrow(&name, datatype, &contents.uint_contents)?),
        Datatype::Uint16 => Data::Uint16(narrow(&name, datatype, &contents.uint_contents)?),
        Datatype::Uint32 => Data::Uint32(contents.uint_contents),
        Datatype::Uint64 => Data::Uint64(contents.uint64_contents),
        Datatype::Int8 => Data::Int8(narrow(&name, datatype, &contents.int_contents)?),
        Datatype::Int16 => Data::Int16(narrow(&name, datatype, &contents.int_contents)?),
        Datatype::Int32 => Data::Int32(contents.int_contents),
        Datatype::Int64 => Data::Int64(contents.int64_contents),
        Datatype::Fp32 => Data::Fp32(contents.fp32_contents),
        Datatype::Fp64 => Data::Fp64(contents.fp64_contents),
        Datatype::Bytes => Data::Bytes(contents.bytes_contents),
        Datatype::Fp16 | Datatype::Bf16 => {
            return Err(CodecError::not_carried(&name, datatype, "typed contents"));
        }
    };
    Tensor::new(name, shape, data)
}

fn narrow<W: Copy + ToString, N: TryFrom<W>>(
    name: &str,
    datatype: Datatype,
    wide: &[W],
) -> Result<Vec<N>, CodecError> {
    let one = |(at, &value): (usize, &W)| {
        N::try_from(value).map_err(|_| {
            let expected = format!("{datatype} at index {at}");
            CodecError::tensor(name, expected, value.to_string())
        })
    };
    wide.iter().enumerate().map(one).collect()
}

fn contents(data: Data) -> InferTensorContents {
    let mut to = InferTensorContents::default();
    match data {
        Data::Bool(v) => to.bool_contents = v,
        Data::Uint8(v) => to.uint_contents = v.into_iter().map(u32::from).collect(),
        // 16-bit floats never come here: `carried` makes them raw.
        Data::Uint16(v) | Data::Fp16(v) | Data::Bf16(v) => {
            to.uint_contents = v.into_iter().map(u32::from).collect();
        }
        Data::Uint32(v) => to.uint_contents = v,
        Data::Uint64(v) => to.uint64_contents = v,
        Data::Int8(v) => to.int_contents = v.into_iter().map(i32::from).collect(),
        Data::Int16(v) => to.int_contents = v.into_iter().map(i32::from).collect(),
        Data::Int32(v) => to.int_contents = v,
        Data::Int64(v) => to.int64_contents = v,
        Data::Fp32(v) => to.fp32_contents = v,
        Data::Fp64(v) => to.fp64_contents = v,
        Data::Bytes(v) => to.bytes_contents = v,
    }
    to
}

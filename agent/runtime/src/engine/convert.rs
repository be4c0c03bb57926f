//! Tensors of the protocol as values of the inference library, and back.
//!
//! Numbers are moved in without a copy and copied once on their way out.

use bytes::Bytes;
use half::slice::HalfFloatSliceExt as _;
use half::vec::HalfBitsVecExt as _;
use open_inference::{CodecError, Data, Datatype, Tensor};
use ort::value::{DynTensor, DynValue, Tensor as OrtTensor};
use ort::value::{PrimitiveTensorElementType, TensorElementType};

use super::EngineError;
use crate::signature::TensorSpec;

/// The protocol's datatype for an element type; `None` where it has none.
// The enum is the library's own and open-ended: a new element type is one we do not carry.
#[allow(clippy::wildcard_enum_match_arm)]
pub(super) fn datatype(element: TensorElementType) -> Option<Datatype> {
    Some(match element {
        TensorElementType::Bool => Datatype::Bool,
        TensorElementType::Uint8 => Datatype::Uint8,
        TensorElementType::Uint16 => Datatype::Uint16,
        TensorElementType::Uint32 => Datatype::Uint32,
        TensorElementType::Uint64 => Datatype::Uint64,
        TensorElementType::Int8 => Datatype::Int8,
        TensorElementType::Int16 => Datatype::Int16,
        TensorElementType::Int32 => Datatype::Int32,
        TensorElementType::Int64 => Datatype::Int64,
        TensorElementType::Float16 => Datatype::Fp16,
        TensorElementType::Float32 => Datatype::Fp32,
        TensorElementType::Float64 => Datatype::Fp64,
        TensorElementType::Bfloat16 => Datatype::Bf16,
        TensorElementType::String => Datatype::Bytes,
        // Complex numbers, and floats and integers of less than a byte or of eight bits: the
        // protocol has no names for them.
        _ => return None,
    })
}

/// The tensor as the library takes it.
pub(super) fn to_value(tensor: Tensor) -> Result<DynTensor, EngineError> {
    let shape = tensor.shape().to_vec();
    if let Data::Bytes(values) = tensor.data() {
        return strings(&tensor, values, shape);
    }
    match tensor.into_data() {
        Data::Bool(v) => number(shape, v),
        Data::Uint8(v) => number(shape, v),
        Data::Uint16(v) => number(shape, v),
        Data::Uint32(v) => number(shape, v),
        Data::Uint64(v) => number(shape, v),
        Data::Int8(v) => number(shape, v),
        Data::Int16(v) => number(shape, v),
        Data::Int32(v) => number(shape, v),
        Data::Int64(v) => number(shape, v),
        Data::Fp16(v) => number(shape, v.reinterpret_into::<half::f16>()),
        Data::Bf16(v) => number(shape, v.reinterpret_into::<half::bf16>()),
        Data::Fp32(v) => number(shape, v),
        Data::Fp64(v) => number(shape, v),
        Data::Bytes(_) => Err(EngineError::Run("strings were handled above".to_owned())),
    }
}

/// The library's value as a tensor of the name and datatype that `spec` promises.
pub(super) fn from_value(spec: &TensorSpec, value: &DynValue) -> Result<Tensor, EngineError> {
    let (shape, data) = match spec.datatype {
        Datatype::Bool => taken::<bool, _>(value, |v| Data::Bool(v.to_vec())),
        Datatype::Uint8 => taken::<u8, _>(value, |v| Data::Uint8(v.to_vec())),
        Datatype::Uint16 => taken::<u16, _>(value, |v| Data::Uint16(v.to_vec())),
        Datatype::Uint32 => taken::<u32, _>(value, |v| Data::Uint32(v.to_vec())),
        Datatype::Uint64 => taken::<u64, _>(value, |v| Data::Uint64(v.to_vec())),
        Datatype::Int8 => taken::<i8, _>(value, |v| Data::Int8(v.to_vec())),
        Datatype::Int16 => taken::<i16, _>(value, |v| Data::Int16(v.to_vec())),
        Datatype::Int32 => taken::<i32, _>(value, |v| Data::Int32(v.to_vec())),
        Datatype::Int64 => taken::<i64, _>(value, |v| Data::Int64(v.to_vec())),
        Datatype::Fp16 => {
            taken::<half::f16, _>(value, |v| Data::Fp16(v.reinterpret_cast().to_vec()))
        }
        Datatype::Bf16 => {
            taken::<half::bf16, _>(value, |v| Data::Bf16(v.reinterpret_cast().to_vec()))
        }
        Datatype::Fp32 => taken::<f32, _>(value, |v| Data::Fp32(v.to_vec())),
        Datatype::Fp64 => taken::<f64, _>(value, |v| Data::Fp64(v.to_vec())),
        Datatype::Bytes => value.try_extract_strings().map(|(shape, strings)| {
            let strings = strings.into_iter().map(Bytes::from).collect();
            (shape.to_vec(), Data::Bytes(strings))
        }),
    }
    .map_err(|error| EngineError::Run(error.message().to_owned()))?;
    Ok(Tensor::new(&spec.name, shape, data)?)
}

fn number<T>(shape: Vec<i64>, values: Vec<T>) -> Result<DynTensor, EngineError>
where
    T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    OrtTensor::from_array((shape, values))
        .map(OrtTensor::upcast)
        .map_err(|error| EngineError::Run(error.message().to_owned()))
}

fn strings(tensor: &Tensor, values: &[Bytes], shape: Vec<i64>) -> Result<DynTensor, EngineError> {
    let mut strings = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        match std::str::from_utf8(value) {
            // The library takes strings that a NUL ends: it would cut this one.
            Ok(text) if !text.contains('\0') => strings.push(text.to_owned()),
            Ok(_) | Err(_) => {
                let expected = format!("UTF-8 without NUL at index {at}");
                return Err(CodecError::tensor(tensor.name(), expected, "other bytes").into());
            }
        }
    }
    OrtTensor::from_string_array((shape, strings.as_slice()))
        .map(OrtTensor::upcast)
        .map_err(|error| EngineError::Run(error.message().to_owned()))
}

fn taken<T, R>(value: &DynValue, read: impl Fn(&[T]) -> R) -> ort::Result<(Vec<i64>, R)>
where
    T: PrimitiveTensorElementType,
{
    value
        .try_extract_tensor::<T>()
        .map(|(shape, values)| (shape.to_vec(), read(values)))
}

//! One tensor: a name, a shape, and exactly as many values as the shape says.
//!
//! [`Tensor::new`] is the only way in, so code that holds a tensor need not check it again.

use bytes::Bytes;

use crate::{CodecError, Datatype, NAME_MAX_BYTES, RANK_MAX};

/// A named tensor whose values fill its shape exactly, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    name: String,
    shape: Vec<i64>,
    data: Data,
}

/// The values of a tensor, in row-major order; the variant is its datatype.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// `BOOL`.
    Bool(Vec<bool>),
    /// `UINT8`.
    Uint8(Vec<u8>),
    /// `UINT16`.
    Uint16(Vec<u16>),
    /// `UINT32`.
    Uint32(Vec<u32>),
    /// `UINT64`.
    Uint64(Vec<u64>),
    /// `INT8`.
    Int8(Vec<i8>),
    /// `INT16`.
    Int16(Vec<i16>),
    /// `INT32`.
    Int32(Vec<i32>),
    /// `INT64`.
    Int64(Vec<i64>),
    /// `FP16`, each as its 16 bits.
    Fp16(Vec<u16>),
    /// `FP32`.
    Fp32(Vec<f32>),
    /// `FP64`.
    Fp64(Vec<f64>),
    /// `BF16`, each as its 16 bits.
    Bf16(Vec<u16>),
    /// `BYTES`.
    Bytes(Vec<Bytes>),
}

impl Tensor {
    /// A tensor of these parts.
    ///
    /// # Errors
    /// When the name is empty or longer than [`NAME_MAX_BYTES`], the shape has more than
    /// [`RANK_MAX`] dimensions or a negative one, or the values are not as many as it says.
    pub fn new(name: impl Into<String>, shape: Vec<i64>, data: Data) -> Result<Self, CodecError> {
        let name = name.into();
        let expected = count(&name, &shape)?;
        if expected != data.len() {
            let wanted = format!("{expected} values for shape {shape:?}");
            return Err(CodecError::tensor(&name, wanted, data.len().to_string()));
        }
        Ok(Self { name, shape, data })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its dimensions; none is negative.
    #[must_use]
    pub fn shape(&self) -> &[i64] {
        &self.shape
    }

    /// Its values, in row-major order.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Its datatype.
    #[must_use]
    pub fn datatype(&self) -> Datatype {
        self.data.datatype()
    }

    /// Its values, taken out.
    #[must_use]
    pub fn into_data(self) -> Data {
        self.data
    }
}

impl Data {
    /// The datatype of these values.
    #[must_use]
    pub fn datatype(&self) -> Datatype {
        match self {
            Self::Bool(_) => Datatype::Bool,
            Self::Uint8(_) => Datatype::Uint8,
            Self::Uint16(_) => Datatype::Uint16,
            Self::Uint32(_) => Datatype::Uint32,
            Self::Uint64(_) => Datatype::Uint64,
            Self::Int8(_) => Datatype::Int8,
            Self::Int16(_) => Datatype::Int16,
            Self::Int32(_) => Datatype::Int32,
            Self::Int64(_) => Datatype::Int64,
            Self::Fp16(_) => Datatype::Fp16,
            Self::Fp32(_) => Datatype::Fp32,
            Self::Fp64(_) => Datatype::Fp64,
            Self::Bf16(_) => Datatype::Bf16,
            Self::Bytes(_) => Datatype::Bytes,
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(v) => v.len(),
            Self::Uint8(v) => v.len(),
            Self::Uint16(v) | Self::Fp16(v) | Self::Bf16(v) => v.len(),
            Self::Uint32(v) => v.len(),
            Self::Uint64(v) => v.len(),
            Self::Int8(v) => v.len(),
            Self::Int16(v) => v.len(),
            Self::Int32(v) => v.len(),
            Self::Int64(v) => v.len(),
            Self::Fp32(v) => v.len(),
            Self::Fp64(v) => v.len(),
            Self::Bytes(v) => v.len(),
        }
    }

    /// Whether there are none: a shape with a zero in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `count` values of `datatype` that are all zero, false or empty.
    #[must_use]
    pub fn zeros(datatype: Datatype, count: usize) -> Self {
        match datatype {
            Datatype::Bool => Self::Bool(vec![false; count]),
            Datatype::Uint8 => Self::Uint8(vec![0; count]),
            Datatype::Uint16 => Self::Uint16(vec![0; count]),
            Datatype::Uint32 => Self::Uint32(vec![0; count]),
            Datatype::Uint64 => Self::Uint64(vec![0; count]),
            Datatype::Int8 => Self::Int8(vec![0; count]),
            Datatype::Int16 => Self::Int16(vec![0; count]),
            Datatype::Int32 => Self::Int32(vec![0; count]),
            Datatype::Int64 => Self::Int64(vec![0; count]),
            Datatype::Fp16 => Self::Fp16(vec![0; count]),
            Datatype::Fp32 => Self::Fp32(vec![0.0; count]),
            Datatype::Fp64 => Self::Fp64(vec![0.0; count]),
            Datatype::Bf16 => Self::Bf16(vec![0; count]),
            Datatype::Bytes => Self::Bytes(vec![Bytes::new(); count]),
        }
    }
}

/// How many values a shape asks for, once name and shape are found sound.
pub(crate) fn count(name: &str, shape: &[i64]) -> Result<usize, CodecError> {
    if name.is_empty() || name.len() > NAME_MAX_BYTES {
        let wanted = format!("a name of 1 to {NAME_MAX_BYTES} bytes");
        return Err(CodecError::tensor(
            name,
            wanted,
            format!("{} bytes", name.len()),
        ));
    }
    if shape.len() > RANK_MAX {
        let wanted = format!("at most {RANK_MAX} dimensions");
        return Err(CodecError::tensor(name, wanted, shape.len().to_string()));
    }
    shape
        .iter()
        .try_fold(1_usize, |product, &size| {
            product.checked_mul(usize::try_from(size).ok()?)
        })
        .ok_or_else(|| {
            let wanted = "a shape of sizes that are not negative and can be multiplied";
            CodecError::tensor(name, wanted, format!("{shape:?}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, shape: &[i64], data: Data) -> String {
        Tensor::new(name, shape.to_vec(), data)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_tensor_that_is_not_whole_is_refused_by_name() {
        assert_eq!(
            refused("x", &[1, 3], Data::Fp32(vec![0.0; 2])),
            "tensor `x`: expected 3 values for shape [1, 3], got 2"
        );
        assert_eq!(
            refused("", &[0], Data::Fp32(vec![])),
            "tensor ``: expected a name of 1 to 255 bytes, got 0 bytes"
        );
        assert_eq!(
            refused("x", &[-1], Data::Fp32(vec![0.0])),
            "tensor `x`: expected a shape of sizes that are not negative and can be multiplied, \
             got [-1]"
        );
        assert_eq!(
            refused("x", &[1; 17], Data::Fp32(vec![0.0])),
            "tensor `x`: expected at most 16 dimensions, got 17"
        );
    }

    #[test]
    fn a_shape_too_large_to_count_is_refused_without_allocating() {
        let huge = refused("x", &[i64::MAX, i64::MAX], Data::Uint8(vec![]));
        assert!(huge.contains("can be multiplied"), "{huge}");
    }

    #[test]
    fn zeros_have_the_datatype_and_count_asked_for() {
        for datatype in Datatype::ALL {
            let zeros = Data::zeros(datatype, 3);
            assert_eq!((zeros.datatype(), zeros.len()), (datatype, 3));
        }
    }
}

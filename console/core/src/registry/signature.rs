//! What goes into a model and what comes out: named, typed tensors, as the Open Inference
//! Protocol describes them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text::Line;

/// Tensors on one side of a signature: a model with one input a feature has many.
pub const MAX_TENSORS: usize = 4_096;
/// Dimensions of one tensor: the most that ONNX Runtime and its like accept in practice.
pub const MAX_DIMENSIONS: usize = 16;

/// What a model takes and gives. Empty on both sides where nobody said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Sides", into = "Sides")]
pub struct Signature {
    /// What it takes.
    pub inputs: Arc<[Tensor]>,
    /// What it gives.
    pub outputs: Arc<[Tensor]>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sides {
    #[serde(default)]
    inputs: Vec<Tensor>,
    #[serde(default)]
    outputs: Vec<Tensor>,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tensor {
    /// Its name, unique on its side.
    pub name: Line,
    /// What it is made of.
    pub datatype: Datatype,
    /// Its dimensions; −1 for one that a request chooses.
    #[serde(default)]
    pub shape: Vec<i64>,
}

/// What a tensor is made of, in the protocol's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    Bytes,
}

/// Every datatype and its word.
const DATATYPES: [(Datatype, &str); 14] = [
    (Datatype::Bool, "BOOL"),
    (Datatype::Uint8, "UINT8"),
    (Datatype::Uint16, "UINT16"),
    (Datatype::Uint32, "UINT32"),
    (Datatype::Uint64, "UINT64"),
    (Datatype::Int8, "INT8"),
    (Datatype::Int16, "INT16"),
    (Datatype::Int32, "INT32"),
    (Datatype::Int64, "INT64"),
    (Datatype::Fp16, "FP16"),
    (Datatype::Bf16, "BF16"),
    (Datatype::Fp32, "FP32"),
    (Datatype::Fp64, "FP64"),
    (Datatype::Bytes, "BYTES"),
];

/// Why a signature is refused.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotASignature {
    /// More than [`MAX_TENSORS`].
    #[error("a signature has at most {MAX_TENSORS} tensors a side, here are {0}")]
    TooMany(usize),
    /// A tensor without a name, or two of one name.
    #[error("tensor {0:?} is named twice, or has no name")]
    Name(String),
    /// A dimension below −1, or more than [`MAX_DIMENSIONS`].
    #[error("tensor {name:?} has shape {shape:?}: up to {MAX_DIMENSIONS} sizes, or -1 for any")]
    Shape {
        /// Which tensor.
        name: String,
        /// What came.
        shape: Vec<i64>,
    },
    /// Not one of the protocol's words.
    #[error("{0:?} is no datatype: say BOOL, INT64, FP32, BYTES or another of the protocol's")]
    Datatype(String),
}

impl Signature {
    /// Checks and takes both sides.
    pub fn parse(inputs: Vec<Tensor>, outputs: Vec<Tensor>) -> Result<Self, NotASignature> {
        check(&inputs)?;
        check(&outputs)?;
        Ok(Self {
            inputs: inputs.into(),
            outputs: outputs.into(),
        })
    }

    /// Whether nobody said.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.outputs.is_empty()
    }
}

fn check(tensors: &[Tensor]) -> Result<(), NotASignature> {
    if tensors.len() > MAX_TENSORS {
        return Err(NotASignature::TooMany(tensors.len()));
    }
    let mut names = std::collections::HashSet::with_capacity(tensors.len());
    for Tensor { name, shape, .. } in tensors {
        if name.is_empty() || !names.insert(name) {
            return Err(NotASignature::Name(name.to_string()));
        }
        if shape.len() > MAX_DIMENSIONS || shape.iter().any(|size| *size < -1) {
            let (name, shape) = (name.to_string(), shape.clone());
            return Err(NotASignature::Shape { name, shape });
        }
    }
    Ok(())
}

impl Datatype {
    /// Whether it holds numbers.
    pub fn is_number(self) -> bool {
        !matches!(self, Self::Bool | Self::Bytes)
    }

    /// Whether it holds whole numbers.
    pub fn is_integer(self) -> bool {
        self.is_number() && !self.is_float()
    }

    /// Whether it holds numbers with a fraction.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Fp16 | Self::Bf16 | Self::Fp32 | Self::Fp64)
    }
}

impl FromStr for Datatype {
    type Err = NotASignature;
    fn from_str(text: &str) -> Result<Self, NotASignature> {
        let known = DATATYPES.iter().find(|(_, word)| *word == text);
        known
            .map(|(datatype, _)| *datatype)
            .ok_or_else(|| NotASignature::Datatype(text.to_owned()))
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = DATATYPES.iter().find(|(datatype, _)| datatype == self);
        f.write_str(known.map_or("", |(_, word)| word))
    }
}

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.shape.iter().map(|size| match size {
            -1 => "?".to_owned(),
            size => size.to_string(),
        });
        let sizes: Vec<String> = sizes.collect();
        write!(f, "{} {}[{}]", self.name, self.datatype, sizes.join(","))
    }
}

impl TryFrom<Sides> for Signature {
    type Error = NotASignature;
    fn try_from(sides: Sides) -> Result<Self, NotASignature> {
        Self::parse(sides.inputs, sides.outputs)
    }
}

impl From<Signature> for Sides {
    fn from(signature: Signature) -> Self {
        Self {
            inputs: signature.inputs.to_vec(),
            outputs: signature.outputs.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[i64]) -> Tensor {
        Tensor {
            name: Line::parse(name).unwrap(),
            datatype: Datatype::Fp32,
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn a_signature_names_each_tensor_once_and_has_shapes_that_can_be() {
        let good = Signature::parse(vec![tensor("x", &[-1, 4])], vec![tensor("y", &[])]).unwrap();
        assert_eq!(good.inputs[0].to_string(), "x FP32[?,4]");
        for bad in [
            vec![tensor("x", &[]), tensor("x", &[])],
            vec![tensor("", &[])],
            vec![tensor("x", &[-2])],
            vec![tensor("x", &[1; MAX_DIMENSIONS + 1])],
        ] {
            assert!(Signature::parse(bad, Vec::new()).is_err());
        }
    }

    #[test]
    fn datatypes_are_written_as_the_protocol_writes_them() {
        for (datatype, word) in DATATYPES {
            assert_eq!(word.parse(), Ok(datatype));
            assert_eq!(
                serde_json::to_string(&datatype).unwrap(),
                format!("{word:?}")
            );
        }
        assert!("FP8".parse::<Datatype>().is_err());
    }
}

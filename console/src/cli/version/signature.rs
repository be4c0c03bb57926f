//! The signature that a file tells by itself: an ONNX graph's inputs and outputs.
//!
//! Of the public ONNX schema (onnx.proto3, IR version 8) only the fields that are read here are
//! declared; all others, the weights among them, are skipped.

use std::path::Path;

use binnacle_core::registry::{Datatype, Line, Signature, Tensor};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Initializer>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<Value>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Initializer {
    #[prost(string, tag = "8")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Message)]
struct Kind {
    #[prost(message, optional, tag = "1")]
    tensor: Option<Typed>,
}

#[derive(Clone, PartialEq, Message)]
struct Typed {
    #[prost(int32, tag = "1")]
    element: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    size: Vec<Size>,
}

#[derive(Clone, PartialEq, Message)]
struct Size {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
}

/// ONNX's numbers of element types, and the protocol's words for them.
const ELEMENTS: [(i32, Datatype); 14] = [
    (1, Datatype::Fp32),
    (2, Datatype::Uint8),
    (3, Datatype::Int8),
    (4, Datatype::Uint16),
    (5, Datatype::Int16),
    (6, Datatype::Int32),
    (7, Datatype::Int64),
    (8, Datatype::Bytes),
    (9, Datatype::Bool),
    (10, Datatype::Fp16),
    (11, Datatype::Fp64),
    (12, Datatype::Uint32),
    (13, Datatype::Uint64),
    (16, Datatype::Bf16),
];

/// What an ONNX file takes and gives. An output that is no tensor (a map of classes, as some
/// exporters add) has no place in a signature, and is left out.
pub(crate) fn of_onnx(path: &Path) -> Result<Signature, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    read(&bytes)
}

fn read(bytes: &[u8]) -> Result<Signature, String> {
    let model = Model::decode(bytes).map_err(|_| "it is no ONNX file".to_owned())?;
    let graph = model.graph.ok_or("it is no ONNX file: it has no graph")?;
    // Before IR version 4 the weights were listed among the inputs.
    let is_weight = |value: &Value| {
        graph
            .initializer
            .iter()
            .any(|known| known.name == value.name)
    };
    let inputs = graph.input.iter().filter(|value| !is_weight(value));
    let inputs: Vec<Tensor> = inputs
        .map(tensor)
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect();
    let outputs = graph.output.iter().map(tensor);
    let outputs = outputs
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten();
    Signature::parse(inputs, outputs.collect()).map_err(|error| error.to_string())
}

fn tensor(value: &Value) -> Result<Option<Tensor>, String> {
    let Some(typed) = value.kind.as_ref().and_then(|kind| kind.tensor.as_ref()) else {
        return Ok(None);
    };
    let known = ELEMENTS
        .iter()
        .find(|(element, _)| *element == typed.element);
    let Some((_, datatype)) = known else {
        return Ok(None);
    };
    let sizes = typed.shape.iter().flat_map(|shape| &shape.size);
    let shape = sizes.map(|size| size.value.filter(|value| *value > 0).unwrap_or(-1));
    Ok(Some(Tensor {
        name: Line::parse(&value.name).map_err(|error| error.to_string())?,
        datatype: *datatype,
        shape: shape.collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_onnx_file_tells_its_inputs_and_outputs() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/models");
        let mut seen = 0;
        let mut folders = vec![models];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map_while(Result::ok) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|is| is == "onnx") {
                    let signature = of_onnx(&path).unwrap();
                    assert_eq!(signature.inputs.len(), 1, "{signature:?}");
                    assert_eq!(signature.inputs[0].datatype, Datatype::Fp32);
                    assert!(!signature.outputs.is_empty(), "{signature:?}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 0, "the demo has models");
    }

    #[test]
    fn what_is_no_onnx_file_is_told_so() {
        for bytes in [&b""[..], b"PK\x03\x04", b"\x08", &[0xff; 64]] {
            assert!(read(bytes).is_err());
        }
    }
}

//! The inputs and outputs that an ONNX file tells.
//!
//! Of the public ONNX schema (onnx.proto3, IR version 8) only the fields that are read here are
//! declared. A file is walked field by field, and its weights are passed over: gigabytes of them
//! cost neither memory nor reading.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::Path;

use binnacle_core::registry::signature::MAX_TENSORS;
use binnacle_core::registry::{Datatype, Line, Signature, Tensor};
use prost::Message;

/// Bytes of what is said of one input: a name and some dimensions.
const MAX_VALUE: u64 = 64 << 10;
/// Bytes of the names of all weights together: the largest models have a megabyte of them.
const MAX_NAMES: usize = 16 << 20;

/// ModelProto.graph.
const GRAPH: u64 = 7;
/// GraphProto's weights, inputs and outputs.
const INITIALIZER: u64 = 5;
const INPUT: u64 = 11;
const OUTPUT: u64 = 12;
/// TensorProto.name.
const NAME: u64 = 8;

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

/// What a file takes and gives. An output that is no tensor (a map of classes, as some exporters
/// add) has no place in a signature, and is left out.
pub(super) fn read(path: &Path) -> Result<Signature, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let bytes = file.metadata().map_err(|error| error.to_string())?.len();
    walked(BufReader::new(file), bytes)
}

/// What was found of a graph.
#[derive(Default)]
struct Found {
    has_graph: bool,
    weights: HashSet<String>,
    weight_bytes: usize,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
}

fn walked(from: impl io::BufRead + Seek, bytes: u64) -> Result<Signature, String> {
    let mut found = Found::default();
    let mut walk = Walk { from, left: bytes };
    while let Some((field, length)) = walk.field()? {
        match (field, length) {
            (GRAPH, Some(length)) => {
                found.has_graph = true;
                graph(&mut walk, length, &mut found)?;
            }
            (_, length) => walk.skip(length.unwrap_or(0))?,
        }
    }
    if !found.has_graph {
        return Err("it is no ONNX file: it has no graph".into());
    }
    // Before IR version 4 the weights were listed among the inputs.
    let inputs = found.inputs.iter();
    let inputs = inputs.filter(|value| !found.weights.contains(&value.name));
    let inputs: Result<Vec<_>, _> = inputs.map(tensor).collect();
    let outputs: Result<Vec<_>, _> = found.outputs.iter().map(tensor).collect();
    let inputs = inputs?.into_iter().flatten().collect();
    let outputs = outputs?.into_iter().flatten().collect();
    Signature::parse(inputs, outputs).map_err(|error| error.to_string())
}

fn graph<R: io::BufRead + Seek>(
    walk: &mut Walk<R>,
    length: u64,
    found: &mut Found,
) -> Result<(), String> {
    let end = walk.end_of(length)?;
    while walk.left > end {
        let Some((field, length)) = walk.field()? else {
            break;
        };
        match (field, length) {
            (INITIALIZER, Some(length)) => weight(walk, length, found)?,
            (INPUT | OUTPUT, Some(length)) => {
                let value = Value::decode(&*walk.bytes(length, MAX_VALUE)?);
                let value = value.map_err(|_| no_onnx())?;
                let side = match field {
                    INPUT => &mut found.inputs,
                    _ => &mut found.outputs,
                };
                // Old files list their weights here as well.
                if side.len() > 16 * MAX_TENSORS {
                    return Err(format!("it has more than {MAX_TENSORS} inputs or outputs"));
                }
                side.push(value);
            }
            (_, length) => walk.skip(length.unwrap_or(0))?,
        }
    }
    match walk.left == end {
        true => Ok(()),
        false => Err(no_onnx()),
    }
}

/// The name of one weight; its numbers are passed over.
fn weight<R: io::BufRead + Seek>(
    walk: &mut Walk<R>,
    length: u64,
    found: &mut Found,
) -> Result<(), String> {
    let end = walk.end_of(length)?;
    while walk.left > end {
        let Some((field, length)) = walk.field()? else {
            break;
        };
        match (field, length) {
            (NAME, Some(length)) => {
                let name = walk.bytes(length, MAX_VALUE)?;
                found.weight_bytes += name.len();
                if found.weight_bytes > MAX_NAMES {
                    return Err(format!(
                        "its weights have more than {MAX_NAMES} bytes of names"
                    ));
                }
                let name = String::from_utf8(name).map_err(|_| no_onnx())?;
                found.weights.insert(name);
            }
            (_, length) => walk.skip(length.unwrap_or(0))?,
        }
    }
    match walk.left == end {
        true => Ok(()),
        false => Err(no_onnx()),
    }
}

fn no_onnx() -> String {
    "it is no ONNX file, or is damaged".into()
}

/// A protobuf message that is walked, and never held.
struct Walk<R> {
    from: R,
    /// Bytes up to the end of the file.
    left: u64,
}

impl<R: io::BufRead + Seek> Walk<R> {
    /// The next field: its number, and its length where it has one. What has none is passed.
    fn field(&mut self) -> Result<Option<(u64, Option<u64>)>, String> {
        if self.left == 0 {
            return Ok(None);
        }
        let tag = self.varint()?;
        let length = match tag & 7 {
            0 => {
                self.varint()?;
                None
            }
            1 => {
                self.skip(8)?;
                None
            }
            2 => Some(self.varint()?),
            5 => {
                self.skip(4)?;
                None
            }
            _ => return Err(no_onnx()),
        };
        Ok(Some((tag >> 3, length)))
    }

    /// What is left of the file where a message of this length ends.
    fn end_of(&self, length: u64) -> Result<u64, String> {
        self.left.checked_sub(length).ok_or_else(no_onnx)
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for at in 0..10 {
            let mut byte = [0];
            self.left = self.end_of(1)?;
            self.from.read_exact(&mut byte).map_err(|_| no_onnx())?;
            let [byte] = byte;
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(no_onnx())
    }

    fn skip(&mut self, length: u64) -> Result<(), String> {
        self.left = self.end_of(length)?;
        let by = i64::try_from(length).map_err(|_| no_onnx())?;
        let skipped = self.from.seek(SeekFrom::Current(by));
        skipped.map(drop).map_err(|error| error.to_string())
    }

    fn bytes(&mut self, length: u64, most: u64) -> Result<Vec<u8>, String> {
        self.left = self.end_of(length)?;
        if length > most {
            return Err(format!(
                "it has a name or a shape of more than {most} bytes"
            ));
        }
        let mut bytes = vec![0; length as usize];
        self.from.read_exact(&mut bytes).map_err(|_| no_onnx())?;
        Ok(bytes)
    }
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
    use std::io::Cursor;

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
                    let signature = read(&path).unwrap();
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
            assert!(walked(Cursor::new(bytes), bytes.len() as u64).is_err());
        }
    }

    fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
        let mut field = Vec::new();
        prost::encoding::encode_varint(number << 3 | 2, &mut field);
        prost::encoding::encode_varint(bytes.len() as u64, &mut field);
        field.extend_from_slice(bytes);
        field
    }

    fn told(bytes: &[u8]) -> Result<Signature, String> {
        walked(Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn lengths_that_lie_are_refused_without_being_believed() {
        let input = field(INPUT, &field(1, b"x"));
        assert_eq!(told(&field(GRAPH, &input)), Ok(Signature::default()));
        // A graph, a weight, a name that say they are longer than the file.
        for lying in [
            vec![
                GRAPH as u8 * 8 + 2,
                0xff,
                0xff,
                0xff,
                0xff,
                0xff,
                0xff,
                0xff,
                0xff,
                0x7f,
            ],
            field(GRAPH, &[INITIALIZER as u8 * 8 + 2, 0x40]),
            field(GRAPH, &field(INITIALIZER, &[NAME as u8 * 8 + 2, 0x40])),
            field(GRAPH, &[0xff; 11]),
        ] {
            assert!(told(&lying).is_err());
        }
        let long = field(GRAPH, &field(INPUT, &field(1, &[b'x'; MAX_VALUE as usize])));
        assert!(told(&long).unwrap_err().contains("more than 65536 bytes"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_refused_or_told(bytes in proptest::prelude::any::<Vec<u8>>()) {
            drop(told(&bytes));
            drop(told(&field(GRAPH, &bytes)));
        }
    }
}

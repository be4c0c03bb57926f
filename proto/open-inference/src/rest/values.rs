//! The `data` of a tensor in JSON: a flat array, or arrays nested as the shape says.
//!
//! Values are read straight into their type: no tree of JSON values is built. A value that does
//! not fit is refused with its index; nothing is rounded to fit except a float to its own width.

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq as _, Serializer};
use serde_json::value::RawValue;

use crate::error::shown;
use crate::{CodecError, Data, Datatype, RANK_MAX, Tensor, tensor};

/// Reads `data` as values of `datatype`.
pub(super) fn decode(
    name: &str,
    datatype: Datatype,
    shape: Vec<i64>,
    data: &RawValue,
) -> Result<Tensor, CodecError> {
    tensor::count(name, &shape)?;
    let at = At {
        name,
        datatype,
        shape: &shape,
    };
    let data = match datatype {
        Datatype::Bool => Data::Bool(read(&at, data)?),
        Datatype::Uint8 => Data::Uint8(read(&at, data)?),
        Datatype::Uint16 => Data::Uint16(read(&at, data)?),
        Datatype::Uint32 => Data::Uint32(read(&at, data)?),
        Datatype::Uint64 => Data::Uint64(read(&at, data)?),
        Datatype::Int8 => Data::Int8(read(&at, data)?),
        Datatype::Int16 => Data::Int16(read(&at, data)?),
        Datatype::Int32 => Data::Int32(read(&at, data)?),
        Datatype::Int64 => Data::Int64(read(&at, data)?),
        Datatype::Fp32 => Data::Fp32(read(&at, data)?),
        Datatype::Fp64 => Data::Fp64(read(&at, data)?),
        Datatype::Bytes => Data::Bytes(read(&at, data)?),
        Datatype::Fp16 | Datatype::Bf16 => {
            return Err(CodecError::not_carried(name, datatype, "JSON"));
        }
    };
    Tensor::new(name, shape, data)
}

/// The values of a tensor, checked to be such that JSON carries them, written as a flat array.
pub(super) struct Written<'a>(&'a Data);

impl<'a> Written<'a> {
    pub(super) fn of(tensor: &'a Tensor) -> Result<Self, CodecError> {
        let refused = |at: usize, came: &str| {
            let came = format!("{came} at index {at}, which JSON cannot carry");
            Err(CodecError::tensor(tensor.name(), "raw binary data", came))
        };
        match tensor.data() {
            Data::Fp16(_) | Data::Bf16(_) => {
                let datatype = tensor.datatype();
                return Err(CodecError::not_carried(tensor.name(), datatype, "JSON"));
            }
            Data::Fp32(v) => {
                if let Some(at) = v.iter().position(|x| !x.is_finite()) {
                    return refused(at, &v.get(at).map_or_else(String::new, f32::to_string));
                }
            }
            Data::Fp64(v) => {
                if let Some(at) = v.iter().position(|x| !x.is_finite()) {
                    return refused(at, &v.get(at).map_or_else(String::new, f64::to_string));
                }
            }
            Data::Bytes(v) => {
                if let Some(at) = v.iter().position(|x| std::str::from_utf8(x).is_err()) {
                    return refused(at, "bytes that are not UTF-8");
                }
            }
            Data::Bool(_)
            | Data::Uint8(_)
            | Data::Uint16(_)
            | Data::Uint32(_)
            | Data::Uint64(_)
            | Data::Int8(_)
            | Data::Int16(_)
            | Data::Int32(_)
            | Data::Int64(_) => {}
        }
        Ok(Self(tensor.data()))
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Data::Bool(v) => v.serialize(to),
            Data::Uint8(v) => v.serialize(to),
            Data::Uint16(v) | Data::Fp16(v) | Data::Bf16(v) => v.serialize(to),
            Data::Uint32(v) => v.serialize(to),
            Data::Uint64(v) => v.serialize(to),
            Data::Int8(v) => v.serialize(to),
            Data::Int16(v) => v.serialize(to),
            Data::Int32(v) => v.serialize(to),
            Data::Int64(v) => v.serialize(to),
            Data::Fp32(v) => v.serialize(to),
            Data::Fp64(v) => v.serialize(to),
            Data::Bytes(v) => {
                let mut seq = to.serialize_seq(Some(v.len()))?;
                for value in v {
                    seq.serialize_element(&String::from_utf8_lossy(value))?;
                }
                seq.end()
            }
        }
    }
}

/// Which tensor is being read.
struct At<'a> {
    name: &'a str,
    datatype: Datatype,
    shape: &'a [i64],
}

fn read<T: Element>(at: &At<'_>, data: &RawValue) -> Result<Vec<T>, CodecError> {
    let mut reading = Reading {
        out: Vec::new(),
        layout: Layout::Unknown,
        fault: None,
    };
    let mut json = serde_json::Deserializer::from_str(data.get());
    let nest = Nest {
        at,
        depth: 0,
        reading: &mut reading,
    };
    match (nest.deserialize(&mut json), reading.fault) {
        (Ok(()), _) => Ok(reading.out),
        (Err(_), Some(Fault { expected, came })) => {
            Err(CodecError::tensor(at.name, expected, came))
        }
        (Err(error), None) => {
            let expected = format!("{} values", at.datatype);
            Err(CodecError::tensor(at.name, expected, error.to_string()))
        }
    }
}

struct Reading<T> {
    out: Vec<T>,
    layout: Layout,
    fault: Option<Fault>,
}

struct Fault {
    expected: String,
    came: String,
}

/// Settled by the first thing inside the outer array.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Unknown,
    Flat,
    Nested,
}

/// Reads one JSON value that lies inside `depth` arrays.
struct Nest<'a, T> {
    at: &'a At<'a>,
    depth: usize,
    reading: &'a mut Reading<T>,
}

impl<T: Element> Nest<'_, T> {
    fn fault<E: serde::de::Error>(&mut self, expected: String, came: String) -> E {
        self.reading.fault = Some(Fault { expected, came });
        E::custom("refused")
    }

    fn scalar<E: serde::de::Error>(&mut self, value: Scalar<'_>) -> Result<(), E> {
        if self.depth == 0 {
            return Err(self.fault("an array of values".to_owned(), value.to_string()));
        }
        if self.reading.layout == Layout::Nested && self.depth != self.at.shape.len() {
            let expected = format!("arrays nested as shape {:?}", self.at.shape);
            return Err(self.fault(expected, format!("{value} inside {} arrays", self.depth)));
        }
        if self.reading.layout == Layout::Unknown {
            self.reading.layout = Layout::Flat;
        }
        let Some(element) = T::from_scalar(&value) else {
            let index = self.reading.out.len();
            let expected = format!("{} at index {index}", self.at.datatype);
            return Err(self.fault(expected, value.to_string()));
        };
        self.reading.out.push(element);
        Ok(())
    }

    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.depth == 0 {
            return Ok(());
        }
        if self.depth >= RANK_MAX || self.reading.layout == Layout::Flat {
            let expected = match self.reading.layout {
                Layout::Flat => "values only, as the first one is".to_owned(),
                Layout::Unknown | Layout::Nested => format!("at most {RANK_MAX} nested arrays"),
            };
            return Err(self.fault(expected, "an array".to_owned()));
        }
        self.reading.layout = Layout::Nested;
        Ok(())
    }

    fn leave<E: serde::de::Error>(&mut self, length: usize) -> Result<(), E> {
        if self.reading.layout != Layout::Nested {
            return Ok(());
        }
        let wanted = self.at.shape.get(self.depth).copied().unwrap_or(0);
        if usize::try_from(wanted) == Ok(length) {
            return Ok(());
        }
        let expected = format!("arrays nested as shape {:?}", self.at.shape);
        Err(self.fault(
            expected,
            format!("{length} elements at depth {}", self.depth),
        ))
    }
}

impl<'de, T: Element> DeserializeSeed<'de> for Nest<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: Element> Visitor<'de> for Nest<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.at.datatype)
    }

    fn visit_bool<E: serde::de::Error>(mut self, v: bool) -> Result<(), E> {
        self.scalar(Scalar::Bool(v))
    }

    fn visit_u64<E: serde::de::Error>(mut self, v: u64) -> Result<(), E> {
        self.scalar(Scalar::Unsigned(v))
    }

    fn visit_i64<E: serde::de::Error>(mut self, v: i64) -> Result<(), E> {
        self.scalar(Scalar::Signed(v))
    }

    fn visit_f64<E: serde::de::Error>(mut self, v: f64) -> Result<(), E> {
        self.scalar(Scalar::Float(v))
    }

    fn visit_str<E: serde::de::Error>(mut self, v: &str) -> Result<(), E> {
        self.scalar(Scalar::Text(v))
    }

    fn visit_unit<E: serde::de::Error>(mut self) -> Result<(), E> {
        self.scalar(Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.enter()?;
        let mut length = 0;
        loop {
            let reading = &mut *self.reading;
            let inner = Nest {
                at: self.at,
                depth: self.depth + 1,
                reading,
            };
            if seq.next_element_seed(inner)?.is_none() {
                return self.leave(length);
            }
            length += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        let expected = format!("{} at index {}", self.at.datatype, self.reading.out.len());
        self.reading.fault = Some(Fault {
            expected,
            came: "an object".to_owned(),
        });
        Err(A::Error::custom("refused"))
    }
}

/// One JSON value that is no array and no object.
enum Scalar<'a> {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
    Null,
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(v) => v.fmt(f),
            Self::Unsigned(v) => v.fmt(f),
            Self::Signed(v) => v.fmt(f),
            Self::Float(v) => v.fmt(f),
            Self::Text(v) => write!(f, "the text {}", shown(v)),
            Self::Null => f.write_str("null"),
        }
    }
}

/// A type that a JSON value may be read as.
trait Element: Sized {
    fn from_scalar(value: &Scalar<'_>) -> Option<Self>;
}

impl Element for bool {
    fn from_scalar(value: &Scalar<'_>) -> Option<Self> {
        if let Scalar::Bool(v) = value {
            Some(*v)
        } else {
            None
        }
    }
}

impl Element for Bytes {
    fn from_scalar(value: &Scalar<'_>) -> Option<Self> {
        if let Scalar::Text(v) = value {
            Some(Self::copy_from_slice(v.as_bytes()))
        } else {
            None
        }
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Element for $integer {
            fn from_scalar(value: &Scalar<'_>) -> Option<Self> {
                match value {
                    Scalar::Unsigned(v) => Self::try_from(*v).ok(),
                    Scalar::Signed(v) => Self::try_from(*v).ok(),
                    Scalar::Bool(_) | Scalar::Float(_) | Scalar::Text(_) | Scalar::Null => None,
                }
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, i8, i16, i32, i64);

impl Element for f64 {
    fn from_scalar(value: &Scalar<'_>) -> Option<Self> {
        match value {
            Scalar::Unsigned(v) => Some(*v as Self),
            Scalar::Signed(v) => Some(*v as Self),
            Scalar::Float(v) => Some(*v),
            Scalar::Bool(_) | Scalar::Text(_) | Scalar::Null => None,
        }
    }
}

impl Element for f32 {
    fn from_scalar(value: &Scalar<'_>) -> Option<Self> {
        // A finite number that overflows to infinity would change what the client meant.
        f64::from_scalar(value)
            .map(|wide| wide as Self)
            .filter(|narrow| narrow.is_finite())
    }
}

//! Raw tensor bytes: little-endian values one after another, `BYTES` with a length before each.
//!
//! Shared by the binary tensor extension over HTTP and by gRPC's raw contents. Byte strings are
//! handed on as slices of the buffer that came; numbers are copied once into their type.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{CodecError, Data, Datatype, Tensor, tensor};

/// The bytes before each `BYTES` value that hold its length.
const LENGTH_BYTES: usize = 4;

/// Reads the values of one tensor.
///
/// # Errors
/// When name or shape are unsound, the bytes are not as many as datatype and shape say, a `BOOL`
/// is neither 0 nor 1, or a `BYTES` value is cut short.
pub fn decode(
    name: &str,
    datatype: Datatype,
    shape: Vec<i64>,
    raw: &Bytes,
) -> Result<Tensor, CodecError> {
    let count = tensor::count(name, &shape)?;
    if let Some(size) = datatype.size_bytes()
        && count.checked_mul(size) != Some(raw.len())
    {
        let wanted = format!("{size} × {count} bytes for {datatype} {shape:?}");
        return Err(CodecError::tensor(
            name,
            wanted,
            format!("{} bytes", raw.len()),
        ));
    }
    let data = match datatype {
        Datatype::Bool => Data::Bool(bools(name, raw)?),
        Datatype::Uint8 => Data::Uint8(raw.to_vec()),
        Datatype::Uint16 => Data::Uint16(numbers(raw, u16::from_le_bytes)),
        Datatype::Uint32 => Data::Uint32(numbers(raw, u32::from_le_bytes)),
        Datatype::Uint64 => Data::Uint64(numbers(raw, u64::from_le_bytes)),
        Datatype::Int8 => Data::Int8(numbers(raw, i8::from_le_bytes)),
        Datatype::Int16 => Data::Int16(numbers(raw, i16::from_le_bytes)),
        Datatype::Int32 => Data::Int32(numbers(raw, i32::from_le_bytes)),
        Datatype::Int64 => Data::Int64(numbers(raw, i64::from_le_bytes)),
        Datatype::Fp16 => Data::Fp16(numbers(raw, u16::from_le_bytes)),
        Datatype::Fp32 => Data::Fp32(numbers(raw, f32::from_le_bytes)),
        Datatype::Fp64 => Data::Fp64(numbers(raw, f64::from_le_bytes)),
        Datatype::Bf16 => Data::Bf16(numbers(raw, u16::from_le_bytes)),
        Datatype::Bytes => Data::Bytes(strings(name, raw)?),
    };
    Tensor::new(name, shape, data)
}

/// Writes the values of one tensor.
#[must_use]
pub fn encode(data: &Data) -> Bytes {
    let mut out = BytesMut::with_capacity(len(data));
    match data {
        Data::Bool(v) => v.iter().for_each(|&x| out.put_u8(u8::from(x))),
        Data::Uint8(v) => out.put_slice(v),
        Data::Uint16(v) | Data::Fp16(v) | Data::Bf16(v) => {
            v.iter().for_each(|&x| out.put_u16_le(x));
        }
        Data::Uint32(v) => v.iter().for_each(|&x| out.put_u32_le(x)),
        Data::Uint64(v) => v.iter().for_each(|&x| out.put_u64_le(x)),
        Data::Int8(v) => v.iter().for_each(|&x| out.put_i8(x)),
        Data::Int16(v) => v.iter().for_each(|&x| out.put_i16_le(x)),
        Data::Int32(v) => v.iter().for_each(|&x| out.put_i32_le(x)),
        Data::Int64(v) => v.iter().for_each(|&x| out.put_i64_le(x)),
        Data::Fp32(v) => v.iter().for_each(|&x| out.put_f32_le(x)),
        Data::Fp64(v) => v.iter().for_each(|&x| out.put_f64_le(x)),
        Data::Bytes(v) => v.iter().for_each(|value| {
            let length = u32::try_from(value.len()).expect("values come out of bounded bodies");
            out.put_u32_le(length);
            out.put_slice(value);
        }),
    }
    out.freeze()
}

/// How many bytes [`encode`] writes.
#[must_use]
pub fn len(data: &Data) -> usize {
    match (data, data.datatype().size_bytes()) {
        (Data::Bytes(v), _) => v.iter().map(|value| LENGTH_BYTES + value.len()).sum(),
        (numbers, size) => numbers.len() * size.unwrap_or(0),
    }
}

fn numbers<T, const N: usize>(raw: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    let (values, _) = raw.as_chunks::<N>();
    values.iter().map(|value| read(*value)).collect()
}

fn bools(name: &str, raw: &[u8]) -> Result<Vec<bool>, CodecError> {
    let read = |(at, byte): (usize, &u8)| match byte {
        0 => Ok(false),
        1 => Ok(true),
        other => {
            let wanted = format!("BOOL as 0 or 1 at index {at}");
            Err(CodecError::tensor(name, wanted, other.to_string()))
        }
    };
    raw.iter().enumerate().map(read).collect()
}

fn strings(name: &str, raw: &Bytes) -> Result<Vec<Bytes>, CodecError> {
    let mut rest = raw.clone();
    let mut values = Vec::new();
    while !rest.is_empty() {
        let cut = |wanted: usize, left: usize| {
            let wanted = format!("{wanted} more bytes for BYTES value {}", values.len());
            CodecError::tensor(name, wanted, format!("{left}"))
        };
        let Some(length) = rest.first_chunk::<LENGTH_BYTES>() else {
            return Err(cut(LENGTH_BYTES, rest.len()));
        };
        let length = u32::from_le_bytes(*length) as usize;
        let left = rest.len() - LENGTH_BYTES;
        if length > left {
            return Err(cut(length, left));
        }
        let _prefix = rest.split_to(LENGTH_BYTES);
        values.push(rest.split_to(length));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(datatype: Datatype, shape: &[i64], raw: &'static [u8]) -> String {
        let raw = Bytes::from_static(raw);
        decode("x", datatype, shape.to_vec(), &raw)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn raw_bytes_that_do_not_fit_the_shape_are_refused_by_name() {
        assert_eq!(
            refused(Datatype::Fp32, &[2], &[0; 7]),
            "tensor `x`: expected 4 × 2 bytes for FP32 [2], got 7 bytes"
        );
        assert_eq!(
            refused(Datatype::Bool, &[2], &[1, 2]),
            "tensor `x`: expected BOOL as 0 or 1 at index 1, got 2"
        );
        assert_eq!(
            refused(Datatype::Bytes, &[1], &[9, 0, 0, 0, b'a']),
            "tensor `x`: expected 9 more bytes for BYTES value 0, got 1"
        );
        assert_eq!(
            refused(Datatype::Bytes, &[2], &[1, 0, 0, 0, b'a']),
            "tensor `x`: expected 2 values for shape [2], got 1"
        );
    }
}

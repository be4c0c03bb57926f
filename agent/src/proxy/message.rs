//! gRPC messages as they pass: where each begins and ends, and what its first two string
//! fields say, which are the names of model and version.
//!
//! Reads along and holds nothing back: no byte is delayed, copied (but at most 255 of each
//! name) or changed. What is no gRPC is no error here; the upstream will say so.

use crate::window::MAX_NAME_BYTES;

/// One byte of compression flag, four of length.
const PREFIX_BYTES: usize = 5;

/// Finds message boundaries in a stream of chunks, and reads names.
#[derive(Default)]
pub(crate) struct Reader {
    prefix: [u8; PREFIX_BYTES],
    have: usize,
    /// Bytes of the current message that are still to come, once the prefix is whole.
    left: Option<u32>,
    size: u32,
    fields: Fields,
}

/// A message that has passed whole.
pub(crate) struct Passed {
    /// With its prefix.
    pub(crate) bytes: u64,
}

impl Reader {
    /// Reads a chunk up to the end of a message; returns it, and what follows in the chunk.
    pub(crate) fn read<'a>(&mut self, mut chunk: &'a [u8]) -> (Option<Passed>, &'a [u8]) {
        loop {
            match self.left {
                None => {
                    while let (Some(slot), Some((&byte, rest))) =
                        (self.prefix.get_mut(self.have), chunk.split_first())
                    {
                        *slot = byte;
                        self.have += 1;
                        chunk = rest;
                    }
                    if self.have < PREFIX_BYTES {
                        return (None, chunk);
                    }
                    let [compressed, a, b, c, d] = self.prefix;
                    self.size = u32::from_be_bytes([a, b, c, d]);
                    self.left = Some(self.size);
                    self.have = 0;
                    self.fields = Fields::default();
                    if compressed != 0 {
                        self.fields.at = At::Lost;
                    }
                }
                Some(left) => {
                    let here = chunk.len().min(left as usize);
                    let (message, rest) = chunk.split_at(here);
                    self.fields.read(message);
                    let left = left - here as u32;
                    if left > 0 {
                        self.left = Some(left);
                        return (None, rest);
                    }
                    self.left = None;
                    let bytes = u64::from(self.size) + PREFIX_BYTES as u64;
                    return (Some(Passed { bytes }), rest);
                }
            }
        }
    }

    /// The names in the message that is passing or has passed last; empty where it has none,
    /// `None` where they cannot be read.
    pub(crate) fn names(&self) -> Option<(&str, &str)> {
        if matches!(self.fields.at, At::Lost) {
            return None;
        }
        Some((self.fields.first.text()?, self.fields.second.text()?))
    }

    /// Whether a later byte of this message could still change the names as its encoders
    /// write it: fields in the order of their numbers.
    pub(crate) fn named(&self) -> bool {
        // Between messages the fields are still those of the last one.
        self.have == 0 && self.fields.past_names
    }

    /// Bytes of the message that is passing or has passed last, without its prefix.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// Whether the message has ended where a field of it does.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.fields.at, At::Tag { value: 0, shift: 0 })
    }

    /// Whether the first field of the last message holds anything: in an answer of a stream
    /// that is the error.
    pub(crate) fn first_is_empty(&self) -> bool {
        self.fields.first.length == 0
    }
}

/// A name, as far as it fits.
struct Name {
    bytes: [u8; MAX_NAME_BYTES],
    length: usize,
}

impl Default for Name {
    fn default() -> Self {
        Self {
            bytes: [0; MAX_NAME_BYTES],
            length: 0,
        }
    }
}

impl Name {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(slot) = self.bytes.get_mut(self.length) {
                *slot = byte;
            }
            self.length = self.length.saturating_add(1);
        }
    }

    /// `None` where it is too long or no UTF-8.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..self.length)?).ok()
    }
}

/// A walk over the fields of one protobuf message.
#[derive(Default)]
struct Fields {
    at: At,
    first: Name,
    second: Name,
    past_names: bool,
}

#[derive(Clone, Copy)]
enum At {
    Tag {
        value: u64,
        shift: u32,
    },
    Varint,
    Length {
        field: u64,
        value: u64,
        shift: u32,
    },
    Inside {
        field: u64,
        left: u64,
    },
    /// Compressed, or no protobuf.
    Lost,
}

impl Default for At {
    fn default() -> Self {
        TAG
    }
}

const TAG: At = At::Tag { value: 0, shift: 0 };

/// Bits of the longest varint.
const VARINT_BITS: u32 = 63;

impl Fields {
    fn read(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = rest;
            let low = u64::from(byte & 0x7f);
            let more = byte & 0x80 != 0;
            self.at = match self.at {
                At::Tag { shift, .. } | At::Length { shift, .. } if shift > VARINT_BITS => At::Lost,
                At::Tag { value, shift } if more => At::Tag {
                    value: value | low << shift,
                    shift: shift + 7,
                },
                At::Tag { value, shift } => self.begin(value | low << shift),
                At::Varint if more => At::Varint,
                At::Varint => TAG,
                At::Length {
                    field,
                    value,
                    shift,
                } if more => At::Length {
                    field,
                    value: value | low << shift,
                    shift: shift + 7,
                },
                At::Length {
                    field,
                    value,
                    shift,
                } => inside(field, value | low << shift),
                At::Inside { field, left } => {
                    // The byte just taken is the first of these.
                    let here = (rest.len() as u64).min(left - 1) as usize;
                    let (more, after) = rest.split_at(here);
                    match field {
                        1 => (self.first.push(&[byte]), self.first.push(more)),
                        2 => (self.second.push(&[byte]), self.second.push(more)),
                        _ => ((), ()),
                    };
                    bytes = after;
                    inside(field, left - 1 - here as u64)
                }
                At::Lost => return,
            };
        }
    }

    fn begin(&mut self, tag: u64) -> At {
        let field = tag >> 3;
        if field > 2 {
            self.past_names = true;
        }
        match tag & 7 {
            0 => At::Varint,
            1 => inside(0, 8),
            2 => {
                // Said twice, the later one holds.
                match field {
                    1 => self.first.length = 0,
                    2 => self.second.length = 0,
                    _ => {}
                }
                At::Length {
                    field,
                    value: 0,
                    shift: 0,
                }
            }
            5 => inside(0, 4),
            _ => At::Lost,
        }
    }
}

fn inside(field: u64, left: u64) -> At {
    if left == 0 {
        TAG
    } else {
        At::Inside { field, left }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    #[derive(Clone, PartialEq, Message)]
    struct Infer {
        #[prost(string, tag = "1")]
        model: String,
        #[prost(string, tag = "2")]
        version: String,
        #[prost(uint64, tag = "3")]
        number: u64,
        #[prost(double, tag = "4")]
        real: f64,
        #[prost(bytes = "vec", repeated, tag = "7")]
        raw: Vec<Vec<u8>>,
    }

    fn framed(message: &impl Message) -> Vec<u8> {
        let body = message.encode_to_vec();
        let mut framed = vec![0];
        framed.extend((body.len() as u32).to_be_bytes());
        framed.extend(body);
        framed
    }

    /// The names and sizes of all messages in `bytes`, read in chunks of `size`.
    fn read(bytes: &[u8], size: usize) -> Vec<(Option<(String, String)>, u64)> {
        let (mut reader, mut passed) = (Reader::default(), Vec::new());
        for mut chunk in bytes.chunks(size) {
            while !chunk.is_empty() {
                let (message, rest) = reader.read(chunk);
                chunk = rest;
                if let Some(message) = message {
                    let names = reader.names().map(|(m, v)| (m.to_owned(), v.to_owned()));
                    passed.push((names, message.bytes));
                }
            }
        }
        passed
    }

    proptest! {
        #[test]
        fn names_are_read_however_the_bytes_are_cut(
            model in ".{0,40}", version in ".{0,10}", number: u64, real: f64,
            raw in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..3),
            size in 1..600usize,
        ) {
            let names = (model.clone(), version.clone());
            let message = Infer { model: names.0, version: names.1, number, real, raw };
            let one = framed(&message);
            let bytes = [one.clone(), framed(&Infer::default()), one.clone()].concat();
            let named = (Some((model, version)), one.len() as u64);
            let empty = (Some((String::new(), String::new())), 5);
            prop_assert_eq!(read(&bytes, size), vec![named.clone(), empty, named]);
        }

        #[test]
        fn any_bytes_are_read_without_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..400), size in 1..50usize,
        ) {
            read(&bytes, size);
        }
    }

    #[test]
    fn a_name_that_cannot_be_read_is_no_name() {
        let long = Infer {
            model: "x".repeat(256),
            ..Infer::default()
        };
        assert_eq!(read(&framed(&long), 7)[0].0, None);
        let mut compressed = framed(&Infer {
            model: "m".into(),
            ..Infer::default()
        });
        compressed[0] = 1;
        assert_eq!(read(&compressed, 7)[0].0, None);
    }
}

//! Where the body of an HTTP/1.1 message ends, found while its bytes pass.
//!
//! Strict on purpose: what two readers could understand differently is how requests are
//! smuggled past a proxy, so it is refused rather than guessed. Nothing is decoded or copied:
//! bytes that are approved here pass as they are.

/// Digits of a chunk's size: more than any body, and no overflow of a `u64`.
const MAX_SIZE_DIGITS: usize = 15;

/// Bytes of extensions behind one chunk's size; nobody uses them.
const MAX_EXTENSION_BYTES: usize = 256;

/// Bytes of trailers behind the last chunk.
const MAX_TRAILER_BYTES: usize = 16 << 10;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many more bytes.
    Length(u64),
    /// With its last chunk.
    Chunked(Chunk),
    /// When the connection does.
    UntilClose,
}

/// What comes next in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    Size {
        size: u64,
        digits: usize,
    },
    Extension {
        size: u64,
        length: usize,
    },
    SizeLineFeed {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataReturn,
    DataLineFeed,
    /// The start of a trailer's line, or of the line that ends the body.
    TrailerStart {
        length: usize,
    },
    TrailerName {
        length: usize,
    },
    TrailerValue {
        length: usize,
    },
    TrailerLineFeed {
        length: usize,
    },
    LastLineFeed,
    End,
}

/// Bytes that belong to the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Including the framing of chunks.
    pub(crate) bytes: usize,
    /// Without it.
    pub(crate) data: u64,
}

/// The framing is not HTTP/1.1's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the body's chunks are malformed")]
pub(crate) struct Malformed;

impl Framing {
    pub(crate) const CHUNKED: Self = Self::Chunked(Chunk::Size { size: 0, digits: 0 });

    /// Whether the whole body has been scanned.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }

    /// How many of these bytes are the body's, up to its end.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<Scanned, Malformed> {
        match self {
            Self::Length(left) => {
                let here = (bytes.len() as u64).min(*left);
                *left -= here;
                let (bytes, data) = (here as usize, here);
                Ok(Scanned { bytes, data })
            }
            Self::UntilClose => {
                let (bytes, data) = (bytes.len(), bytes.len() as u64);
                Ok(Scanned { bytes, data })
            }
            Self::Chunked(chunk) => chunk.scan(bytes),
        }
    }
}

impl Chunk {
    fn scan(&mut self, bytes: &[u8]) -> Result<Scanned, Malformed> {
        let mut scanned = Scanned::default();
        while let Some(rest) = bytes.get(scanned.bytes..) {
            if let Self::Data { left } = self {
                let here = (rest.len() as u64).min(*left);
                *left -= here;
                scanned.bytes += here as usize;
                scanned.data += here;
                if *left == 0 {
                    *self = Self::DataReturn;
                    continue;
                }
                return Ok(scanned);
            }
            let Some(&byte) = rest.first() else { break };
            if *self == Self::End {
                break;
            }
            *self = self.after(byte)?;
            scanned.bytes += 1;
        }
        Ok(scanned)
    }

    /// The state after one byte of framing.
    fn after(self, byte: u8) -> Result<Self, Malformed> {
        let visible = matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        Ok(match (self, byte) {
            (Self::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                let digit = u64::from((byte as char).to_digit(16).ok_or(Malformed)?);
                if digits >= MAX_SIZE_DIGITS {
                    return Err(Malformed);
                }
                let (size, digits) = (size << 4 | digit, digits + 1);
                Self::Size { size, digits }
            }
            (Self::Size { size, digits: 1.. }, b'\r') => Self::SizeLineFeed { size },
            (Self::Size { size, digits: 1.. }, b';') => Self::Extension { size, length: 0 },
            (Self::Extension { size, .. }, b'\r') => Self::SizeLineFeed { size },
            (Self::Extension { size, length }, _) if visible && length < MAX_EXTENSION_BYTES => {
                let length = length + 1;
                Self::Extension { size, length }
            }
            (Self::SizeLineFeed { size: 0 }, b'\n') => Self::TrailerStart { length: 0 },
            (Self::SizeLineFeed { size }, b'\n') => Self::Data { left: size },
            (Self::DataReturn, b'\r') => Self::DataLineFeed,
            (Self::DataLineFeed, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::TrailerStart { .. }, b'\r') => Self::LastLineFeed,
            (Self::TrailerStart { length } | Self::TrailerName { length }, _)
                if is_token(byte) && length < MAX_TRAILER_BYTES =>
            {
                let length = length + 1;
                Self::TrailerName { length }
            }
            (Self::TrailerName { length }, b':') => Self::TrailerValue { length },
            (Self::TrailerValue { length }, b'\r') => Self::TrailerLineFeed { length },
            (Self::TrailerValue { length }, _) if visible && length < MAX_TRAILER_BYTES => {
                let length = length + 1;
                Self::TrailerValue { length }
            }
            (Self::TrailerLineFeed { length }, b'\n') => Self::TrailerStart { length },
            (Self::LastLineFeed, b'\n') => Self::End,
            _ => return Err(Malformed),
        })
    }
}

/// A character of a header's name.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Scans in pieces of `size`; the bytes of the body and its data, or none if malformed.
    fn scan(bytes: &[u8], size: usize) -> Option<(usize, u64, bool)> {
        let (mut framing, mut all) = (Framing::CHUNKED, Scanned::default());
        for piece in bytes.chunks(size) {
            let scanned = framing.scan(piece).ok()?;
            all.bytes += scanned.bytes;
            all.data += scanned.data;
            if scanned.bytes < piece.len() {
                break;
            }
        }
        Some((all.bytes, all.data, framing.is_over()))
    }

    #[test]
    fn only_well_formed_chunks_are_approved() {
        for (bytes, expected) in [
            ("0\r\n\r\n", Some((5, 0, true))),
            ("3\r\nabc\r\n0\r\n\r\nNEXT", Some((13, 3, true))),
            ("A;x=y\r\n0123456789\r\n0\r\n\r\n", Some((24, 10, true))),
            (
                "1\r\na\r\n0\r\nx-sum: 1\r\ny: 2\r\n\r\n",
                Some((27, 1, true)),
            ),
            ("3\r\nab", Some((5, 2, false))),
            ("", Some((0, 0, false))),
            ("\r\n", None),
            ("zz\r\n", None),
            ("0x3\r\nabc\r\n", None),
            ("+3\r\nabc\r\n", None),
            (" 3\r\nabc\r\n", None),
            ("3 \r\nabc\r\n", None),
            ("3\nabc\r\n", None),
            ("3\r\nabcd\r\n", None),
            ("3\r\nabc\n0\r\n\r\n", None),
            ("0\r\nno colon\r\n\r\n", None),
            ("0\r\n: empty\r\n\r\n", None),
            ("0\r\n folded\r\n\r\n", None),
            ("0\r\na: b\n\r\n", None),
            ("1;\n\r\na", None),
            ("1111111111111111\r\n", None),
        ] {
            for size in [1, 2, 3, 100] {
                assert_eq!(
                    scan(bytes.as_bytes(), size),
                    expected,
                    "{bytes:?} by {size}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_body_is_found_however_it_is_cut(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..100), 0..6),
            size in 1..300usize,
        ) {
            let mut bytes = Vec::new();
            for part in &parts {
                bytes.extend(format!("{:x}\r\n", part.len()).bytes());
                bytes.extend(part);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            let (length, data) = (bytes.len(), parts.concat().len() as u64);
            bytes.extend(b"GET / HTTP/1.1\r\n");
            prop_assert_eq!(scan(&bytes, size), Some((length, data, true)));
        }
    }
}

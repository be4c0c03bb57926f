//! The files of a version, as far as the index knows them: forty bytes, of which there are
//! millions.

use super::{Digest, List};
use crate::name::Name;
use crate::packed::{Malformed, Packed, Packer, Unpacker};

/// Ways in which files are laid out (onnx, safetensors, …) that the index tells apart: a dozen
/// are in use anywhere, and each takes a number of one byte.
pub const MAX_FORMATS: usize = 255;

/// The files of a version, as far as the index knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    /// Over their bytes.
    pub sha256: Digest,
    /// How many bytes.
    pub bytes: Size,
    /// How they are laid out.
    pub format: Format,
    /// Where they lie.
    pub lie: Lie,
}

/// Where the files of a version lie, as far as the index knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// In the hub's artifact store: one file.
    File,
    /// In the hub's artifact store: a folder's files, and their manifest under the digest.
    Folder,
    /// Elsewhere, and only referred to.
    Elsewhere,
}

/// A number of bytes in six of them: 256 TiB and more are told as that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size([u8; 6]);

/// A way in which files are laid out, as its place among the registry's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format(u8);

impl Lie {
    /// Whether the hub's artifact store has them.
    pub fn is_stored(self) -> bool {
        match self {
            Self::File | Self::Folder => true,
            Self::Elsewhere => false,
        }
    }
}

impl Size {
    pub(super) fn of(bytes: u64) -> Self {
        let [a, b, c, d, e, f, _, _] = bytes.min((1 << 48) - 1).to_le_bytes();
        Self([a, b, c, d, e, f])
    }

    /// As a number.
    pub fn get(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }
}

impl Format {
    /// The place of `format` among `known`, to which it is added where it is new. Those beyond
    /// [`MAX_FORMATS`] have none: [`super::decide`] refuses them.
    pub(super) fn of(known: &mut List<Name>, format: &Name) -> Self {
        let place = known.iter().position(|one| one == format);
        let place = place.unwrap_or_else(|| {
            if known.len() < MAX_FORMATS {
                known.push_back(format.clone());
                return known.len() - 1;
            }
            MAX_FORMATS
        });
        Self(u8::try_from(place).unwrap_or(u8::MAX))
    }

    pub(super) fn place(self) -> usize {
        usize::from(self.0)
    }
}

impl Packed for Size {
    fn shape(into: &mut String) {
        into.push_str("size,");
    }
    fn pack(&self, to: &mut Packer) {
        to.number(self.get());
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        from.number().map(Self::of)
    }
}

impl Packed for Format {
    fn shape(into: &mut String) {
        into.push_str("format,");
    }
    fn pack(&self, to: &mut Packer) {
        to.number(u64::from(self.0));
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let place = u8::try_from(from.number()?);
        place.map(Self).map_err(|_| Malformed("a format is none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_files_is_forty_bytes_and_loses_none() {
        assert_eq!(size_of::<Option<Files>>(), 40);
        for bytes in [0, 1, 255, 1 << 40, (1 << 48) - 1] {
            assert_eq!(Size::of(bytes).get(), bytes);
        }
        assert_eq!(Size::of(u64::MAX).get(), (1 << 48) - 1);
    }

    #[test]
    fn a_format_has_one_place() {
        let mut known = List::default();
        let name = |text: &str| Name::parse(text).unwrap();
        let onnx = Format::of(&mut known, &name("onnx"));
        let other = Format::of(&mut known, &name("safetensors"));
        assert_ne!(onnx, other);
        assert_eq!(Format::of(&mut known, &name("onnx")), onnx);
        assert_eq!(known.len(), 2);
        assert_eq!(known.get(other.place()), Some(&name("safetensors")));
    }
}

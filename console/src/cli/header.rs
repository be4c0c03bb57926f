//! What a model's file says of itself: that it is what it is called, its inputs and outputs, its
//! weights; and whether loading it runs code. Read in bounded memory, and nothing is believed.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use binnacle_core::name::Name;
use binnacle_core::registry::artifact::runs_code;
use binnacle_core::registry::{Signature, Tensor};
use serde::Serialize;

mod onnx;
mod safetensors;

/// Bytes that tell what a file is: the first name in a zip is among them.
const LOOK: u64 = 512;

/// What was read.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Header {
    /// What goes in and out, where the format tells.
    pub(crate) signature: Signature,
    /// What lies in it, where that is not the same: a safetensors file has weights, and no word of
    /// what goes in and out.
    pub(crate) weights: Vec<Weight>,
}

/// One array of weights, in the words of its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Weight {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) shape: Vec<u64>,
}

/// Whether a file is what it is called, and what it tells of its inputs and outputs.
pub(crate) fn check(path: &Path, format: &Name) -> Result<Signature, String> {
    read(path, format).map(|header| header.signature)
}

/// All that a file of this format says of itself.
pub(crate) fn read(path: &Path, format: &Name) -> Result<Header, String> {
    if !runs_code(format) && is_pickle(path)? {
        return Err(format!(
            "it is called {format} and is a pickle, which runs code when it is loaded"
        ));
    }
    match format.as_str() {
        "onnx" => Ok(Header {
            signature: onnx::read(path)?,
            weights: Vec::new(),
        }),
        "safetensors" => Ok(Header {
            signature: Signature::default(),
            weights: safetensors::read(path)?,
        }),
        _ => Ok(Header::default()),
    }
}

/// Whether loading the file would run a pickle: a bare one, or one in a zip as PyTorch writes it.
/// The oldest protocols have no mark, and are not told.
pub(crate) fn is_pickle(path: &Path) -> Result<bool, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut first = Vec::new();
    let read = file.take(LOOK).read_to_end(&mut first);
    read.map_err(|error| error.to_string())?;
    Ok(match first.as_slice() {
        [0x80, protocol, ..] => (2..=5).contains(protocol),
        [b'P', b'K', 3, 4, ..] => first.windows(8).any(|part| part == b"data.pkl"),
        _ => false,
    })
}

/// A tensor as a person reads it.
pub(crate) fn line(tensor: &Tensor) -> String {
    binnacle_core::view::shown(&tensor.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn a_pickle_is_told_by_its_content_and_not_by_its_name() {
        let pickles = [
            &b"\x80\x04\x95rest"[..],
            b"PK\x03\x04......archive/data.pkl",
        ];
        let others = [
            &b"\x08\x08"[..],
            b"PK\x03\x04......model.json",
            b"",
            b"\x80",
        ];
        let format = |name| Name::parse(name).unwrap();
        for bytes in pickles {
            let file = file(bytes);
            for name in ["onnx", "safetensors", "xgboost"] {
                let told = check(file.path(), &format(name)).unwrap_err();
                assert!(told.contains("pickle"), "{told}");
            }
            for name in ["pickle", "joblib", "torch"] {
                assert!(check(file.path(), &format(name)).is_ok());
            }
        }
        for bytes in others {
            assert!(!is_pickle(file(bytes).path()).unwrap());
        }
    }
}

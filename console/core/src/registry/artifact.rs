//! Where a version's or a data set's bytes lie, and how one knows that they are the same.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text::Line;
use crate::name::Name;

/// SHA-256 over stored bytes. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "String")]
pub struct Digest(pub [u8; 32]);

/// Text that is no digest.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no SHA-256: it has 64 hexadecimal digits")]
pub struct NotADigest(String);

/// A version's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Where they lie.
    pub location: Location,
    /// What they are: onnx, safetensors, pickle, …
    pub format: Name,
    /// Over the bytes; of a folder, over its manifest.
    pub sha256: Digest,
    /// How many bytes; of a folder, those of its files together.
    pub bytes: u64,
}

/// Where bytes lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// In the hub's artifact store, under their digest.
    Stored,
    /// In the hub's artifact store, file by file, and their manifest under its digest.
    Folder,
    /// Elsewhere, and only pointed at: `https://`, `s3://`, `gs://`, `az://`, `file://`.
    Referred(Line),
}

/// Formats that are pickles inside: loading such a file may run code that is in it.
const PICKLED: [&str; 3] = ["pickle", "joblib", "torch"];

/// Whether loading a file of this format may run code that is in it.
pub fn runs_code(format: &Name) -> bool {
    PICKLED.contains(&format.as_str())
}

/// Schemes that a location elsewhere may have.
pub const SCHEMES: [&str; 5] = ["https", "s3", "gs", "az", "file"];

/// Text that is no location.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no location: say https://, s3://, gs://, az:// or file:// and a path")]
pub struct NotALocation(String);

impl Location {
    /// A location elsewhere.
    pub fn referred(text: &str) -> Result<Self, NotALocation> {
        let no = || NotALocation(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(no)?;
        if !SCHEMES.contains(&scheme) || rest.is_empty() {
            return Err(no());
        }
        Line::parse(text).map(Self::Referred).map_err(|_| no())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored => f.write_str("stored"),
            Self::Folder => f.write_str("stored as a folder"),
            Self::Referred(at) => at.fmt(f),
        }
    }
}

impl Digest {
    /// A digest out of its 32 bytes.
    pub fn try_from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl FromStr for Digest {
    type Err = NotADigest;
    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(NotADigest(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<Arc<str>> for Digest {
    type Error = NotADigest;
    fn try_from(text: Arc<str>) -> Result<Self, NotADigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_that_can_be_fetched_from_are_locations() {
        for good in [
            "s3://bucket/key",
            "https://h/p?x=y",
            "file:///srv/models/m.onnx",
        ] {
            assert_eq!(Location::referred(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "s3://",
            "ftp://h/p",
            "/srv/m.onnx",
            "http://h/p",
            "s3://a\nb",
        ] {
            assert!(Location::referred(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        let text = "00ff".repeat(16);
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        for bad in ["", "00", &"0g".repeat(32), &"00".repeat(33)] {
            assert!(bad.parse::<Digest>().is_err());
        }
    }
}

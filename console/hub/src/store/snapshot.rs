//! The state as of one entry, so that a start need not replay what came before it.
//!
//! To the store a snapshot is bytes, under the place in the journal that they stand for. They
//! are cut into parts, each written by itself; the row that names them comes last, so that a
//! snapshot is there whole or not at all.

use binnacle_core::journal::Hash;
use sha2::{Digest as _, Sha256};

/// Bytes of one part: one write, some ten milliseconds for a disk.
pub(super) const PART: usize = 1 << 20;
/// Parts of an earlier snapshot that one write lets go of.
pub(super) const DROP_AT_ONCE: i64 = 16;

/// The state as of one entry.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry that is in it.
    pub sequence: u64,
    /// That entry's hash.
    pub hash: Hash,
    /// How the bytes are to be read.
    pub format: u32,
    /// SHA-256 over the bytes, as it was when they were written.
    pub digest: [u8; 32],
    /// The state.
    pub bytes: Vec<u8>,
}

impl Snapshot {
    /// A snapshot of these bytes.
    pub fn new((sequence, hash): (u64, Hash), format: u32, bytes: Vec<u8>) -> Self {
        Self {
            sequence,
            hash,
            format,
            digest: Sha256::digest(&bytes).into(),
            bytes,
        }
    }

    /// Whether the bytes are those that were written.
    pub fn is_intact(&self) -> bool {
        self.digest == <[u8; 32]>::from(Sha256::digest(&self.bytes))
    }

    /// Its parts, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = (i64, &[u8])> {
        (0..).zip(self.bytes.chunks(PART))
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({}, {} bytes)", self.sequence, self.bytes.len())
    }
}

//! Entries and heads of the journal.

use binnacle_core::journal::{Hash, Stored};
use binnacle_proto::v1 as proto;

use crate::{Refused, refuse};

/// Reads an entry as it was stored.
pub fn from_proto(entry: proto::Entry) -> Result<Stored, Refused> {
    let hash = hash_from(&entry.hash)?;
    Ok(Stored {
        sequence: entry.sequence,
        body: entry.body.into(),
        hash,
    })
}

/// An entry as it is stored, to send.
pub fn to_proto(stored: Stored) -> proto::Entry {
    let Stored {
        sequence,
        body,
        hash,
    } = stored;
    proto::Entry {
        sequence,
        body: body.into(),
        hash: hash.to_vec().into(),
    }
}

/// The journal's end, to send.
pub fn head_to(sequence: u64, hash: &Hash, at_us: i64) -> proto::Head {
    proto::Head {
        sequence,
        hash: hash.to_vec().into(),
        at_us,
    }
}

/// Reads a link of the chain.
pub fn hash_from(bytes: &[u8]) -> Result<Hash, Refused> {
    bytes
        .try_into()
        .map_err(|_| refuse("hash", format!("has {} bytes, not 32", bytes.len())))
}

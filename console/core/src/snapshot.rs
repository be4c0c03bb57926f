//! The state as bytes, and back: so that a start need not replay all of the journal.
//!
//! What comes back is equal to what went in. Bytes that were damaged or that another release
//! packed in another shape are refused, and then the journal is replayed: a snapshot saves time,
//! and is never the only copy of anything.

use sha2::{Digest as _, Sha256};

use crate::host::{Admission, Host, Membership};
use crate::packed::{Malformed, Packed, Packer, Unpacker, document, packed};
use crate::state::State;

pub use crate::packed::Malformed as NotASnapshot;

/// Raised when the fold itself changes while its shape stays: an old snapshot would then be
/// what an old release made of the journal.
const EDITION: u32 = 1;

/// What the bytes of a snapshot are made of, as a number. Another number, another making.
pub fn format() -> u32 {
    let mut shape = format!("{EDITION} ");
    State::shape(&mut shape);
    let digest = Sha256::digest(shape.as_bytes());
    let first = digest.first_chunk().copied();
    u32::from_be_bytes(first.unwrap_or_default())
}

/// The state as bytes of [`format()`].
pub fn write(state: &State) -> Vec<u8> {
    let mut packer = Packer::default();
    state.pack(&mut packer);
    packer.bytes
}

/// The state out of bytes of [`format()`].
pub fn read(bytes: &[u8]) -> Result<State, Malformed> {
    let mut unpacker = Unpacker::new(bytes);
    let state = State::unpack(&mut unpacker)?;
    unpacker.finish()?;
    Ok(state)
}

packed!(Host {
    admission,
    admitted_at_us,
    generation,
    membership,
    drained,
});

document!(Admission);

impl Packed for Membership {
    fn shape(into: &mut String) {
        into.push_str("membership(");
        Option::<(std::sync::Arc<str>, i64)>::shape(into);
        into.push(')');
    }
    fn pack(&self, to: &mut Packer) {
        match self {
            Self::Member => false.pack(to),
            Self::Retired { why, at_us } => {
                true.pack(to);
                why.pack(to);
                at_us.pack(to);
            }
        }
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let retired = Option::unpack(from)?;
        Ok(retired.map_or(Self::Member, |(why, at_us)| Self::Retired { why, at_us }))
    }
}

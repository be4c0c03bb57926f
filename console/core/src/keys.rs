//! What was asked for under a key of late, so that asking again does nothing twice.
//!
//! A command whose answer was lost is sent again with the same key. The key stands in the entry
//! that the command caused, so this is a fold like all state, and holds over restarts.

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use crate::caller::Caller;
use crate::packed::{Malformed, Packed, Packer, Unpacker};
use crate::registry::Line;

/// How long a key is known: a pipeline that was stopped over night goes on in the morning.
const KEEP_US: i64 = 24 * 3_600 * 1_000_000;
/// Keys that are known at most, the latest: an import of a large registry with a key a line.
const MAX_KEYS: usize = 100_000;

/// Keys of late, and the entries that they stand in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Keys {
    known: OrdMap<Arc<str>, (i64, u64)>,
    /// In order of time.
    order: Vector<(i64, Arc<str>)>,
}

impl Keys {
    /// The entry that was caused under this key within [`KEEP_US`]. One caller's key is nothing
    /// to another.
    pub(crate) fn find(&self, caller: &Caller, key: &Line, now_us: i64) -> Option<u64> {
        let (at_us, sequence) = self.known.get(&*whole(caller, key))?;
        (now_us - at_us <= KEEP_US).then_some(*sequence)
    }

    /// Notes an entry's key, and lets go of those that are too old or too many.
    pub(crate) fn note(&mut self, caller: &Caller, key: &Line, sequence: u64, at_us: i64) {
        let whole: Arc<str> = whole(caller, key).into();
        self.known.insert(whole.clone(), (at_us, sequence));
        self.order.push_back((at_us, whole));
        while let Some((noted_us, _)) = self.order.front()
            && (self.order.len() > MAX_KEYS || at_us - noted_us > KEEP_US)
        {
            let Some((noted_us, old)) = self.order.pop_front() else {
                break;
            };
            // A key that was used again since belongs to its later entry.
            if self
                .known
                .get(&old)
                .is_some_and(|(at_us, _)| *at_us == noted_us)
            {
                self.known.remove(&old);
            }
        }
    }
}

/// A line has no line break: the two cannot run into each other.
fn whole(caller: &Caller, key: &Line) -> String {
    format!("{caller}\n{key}")
}

impl Packed for Keys {
    fn shape(into: &mut String) {
        into.push_str("keys(");
        OrdMap::<Arc<str>, (i64, u64)>::shape(into);
        Vector::<(i64, Arc<str>)>::shape(into);
        into.push(')');
    }
    fn pack(&self, to: &mut Packer) {
        let Self { known, order } = self;
        known.pack(to);
        order.pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let known: OrdMap<Arc<str>, (i64, u64)> = Packed::unpack(from)?;
        let order: Vector<(i64, Arc<str>)> = Packed::unpack(from)?;
        // One text for both, as it was.
        let shared = order.into_iter().map(|(at_us, key)| {
            let held = known.get_key_value(&key).map(|(held, _)| held.clone());
            (at_us, held.unwrap_or(key))
        });
        Ok(Self {
            order: shared.collect(),
            known,
        })
    }
}

//! Alerts as bytes of a snapshot.

use super::{Alert, Alerts, Mark, Reaction, Silence, Subject};
use crate::blame::Blame;
use crate::packed::{Malformed, Packed, Packer, Unpacker, document, packed};

packed!(Alerts {
    open,
    closed,
    silences,
    rebaselined,
});
packed!(Alert {
    number,
    endpoint,
    subject,
    since_us,
    opened_at_us,
    revision,
    what,
    blame,
    blamed,
    reaction,
    acknowledged,
    closed,
});

document!(Subject);
document!(Blame);
document!(Reaction);
document!(Mark);
document!(Silence);

impl Packed for u32 {
    fn shape(into: &mut String) {
        u64::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        u64::from(*self).pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let number = u64::unpack(from)?;
        Self::try_from(number).map_err(|_| Malformed("a number is too large"))
    }
}

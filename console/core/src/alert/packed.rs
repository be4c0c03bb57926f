//! Alerts as bytes of a snapshot.

use super::{Alert, Alerts, Mark, Reaction, Silence, Subject};
use crate::blame::Blame;
use crate::packed::{document, packed};

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
    causes,
    incident,
    acknowledged,
    closed,
});

document!(Subject);
document!(Blame);
document!(Reaction);
document!(Mark);
document!(Silence);

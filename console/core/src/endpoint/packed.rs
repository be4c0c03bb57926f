//! Endpoints as bytes of a snapshot.

use super::{
    Block, Endpoint, EndpointName, Endpoints, Fate, Overridden, Revision, Route, Settings,
};
use crate::caller::Caller;
use crate::packed::{document, packed};
use crate::rollout::{Moved, Phase, Plan, Rollout, Trace};
use crate::served::{Override, Stamp};

packed!(Endpoints { all });
packed!(EndpointName { environment, name });
packed!(Endpoint {
    name,
    settings,
    edited,
    created_at_us,
    revisions,
    live,
    stamp,
    rollout,
    blocked,
    overridden,
    generation,
    history,
});
packed!(Revision {
    number,
    route,
    sequence,
    at_us,
    caller,
    why,
    rollout,
    fate,
    fate_at_us,
});
packed!(Block {
    by_itself,
    why,
    at_us,
    revision,
});
packed!(Overridden {
    told,
    adopted_at_us,
    stands,
});
packed!(Rollout {
    revision,
    plan,
    at_us,
    phase,
    since_us,
    stepped_us,
    through,
    base,
    trail,
});
packed!(Trace {
    sequence,
    at_us,
    caller,
    moved,
});

document!(Caller);
document!(Settings);
document!(Route);
document!(Fate);
document!(Stamp);
document!(Override);
document!(Plan);
document!(Phase);
document!(Moved);

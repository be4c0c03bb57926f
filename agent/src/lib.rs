//! The sidecar beside each inference host: in the request path, it counts every request
//! exactly and reports to the hub.
//!
//! It measures and obeys; it does not judge, and never depends on the console's core. A
//! library, so that tests run whole fleets in one process.

pub mod clock;

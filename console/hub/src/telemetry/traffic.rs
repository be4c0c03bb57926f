//! Over what span traffic is told: a short one where that holds enough requests for a 99th
//! percentile, else a long one.

/// Whole seconds of the short span.
pub(crate) const SHORT_S: i64 = 10;
/// Whole seconds of the long one.
pub(crate) const LONG_S: i64 = 60;
/// Requests of which the 99th percentile is known: see `Latency::known_quantile_ns`.
pub(crate) const ENOUGH: u64 = 2_000;
/// The second before the present one is still coming in.
pub(crate) const UNFINISHED_S: i64 = 1;

//! Filters: words and comparisons, as they are typed after `/`. The hub's tables read the same.

pub use binnacle_core::view::filter::{Fields, Filter, Value, contains};

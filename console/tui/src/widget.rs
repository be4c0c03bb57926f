//! What screens are made of. Every widget draws into any area, even an empty one, and builds
//! only what is visible.

pub mod line;
pub mod table;

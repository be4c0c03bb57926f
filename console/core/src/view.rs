//! The views: being written.

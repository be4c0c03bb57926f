//! The state: being written.

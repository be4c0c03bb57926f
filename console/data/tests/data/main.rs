//! Data sets as they come: Parquet, CSV and JSON lines, whole, damaged and strange.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // such a test fails

mod damage;
mod digest;
mod files;
mod refusals;
mod tables;
mod tensors;

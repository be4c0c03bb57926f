//! Data sets, read once: their content digest, their schema and their reference profile.
//!
//! [`read`] takes Parquet, CSV or JSON lines from a file or an object store through one pass in
//! bounded memory and gives a [`Registered`]. It blocks: call it from a thread that may (in a
//! runtime, `spawn_blocking`). All three formats become the same table of canonical cells, so
//! the digest and the profile belong to the content and not to how it was stored:
//!
//! - the digest is defined in [`digest`];
//! - the profile, comparing two of them, and their rows for a screen are
//!   [`binnacle_sketch::profile`]'s;
//! - what is wrong with a file is a [`DataError`], which says where and what to do.
//!
//! What a table costs in memory is a block of 4,096 rows, the sample (32 MB at most, and as much of
//! what is told of texts and tensors in numbers), and of
//! Parquet the open page and dictionary of 48 columns at once, about 1.5 MB each as most writers
//! make them. Neither the length of the file nor its width matters.

mod block;
mod csv;
pub mod digest;
mod error;
mod format;
mod json_lines;
mod parquet;
mod read;
mod schema;
mod source;
mod table;
mod tensor;
mod text;

pub use error::{At, DataError};
pub use format::{Format, Packing};
pub use read::{Options, Progress, Registered, read};
pub use schema::{CELL_BYTES, COLUMNS, Column, Type};
pub use source::Source;
pub use tensor::{TENSOR_SIDES, TENSOR_VALUES};

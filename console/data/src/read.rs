//! Reading a data set: from a source to what is registered of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use binnacle_sketch::profile::{Past, Profile};

use crate::digest::TableDigest;
use crate::error::DataError;
use crate::format::{self, Format};
use crate::schema::{Column, Type, shown};
use crate::source::Source;
use crate::{csv, json_lines, parquet};

/// How a data set is to be read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the profile's sample and ties are drawn from. The same seed and content give the
    /// same profile.
    pub seed: u64,
    /// The column that tells when a row was recorded; the first one of times if none is named.
    pub time: Option<String>,
    /// Types that are declared rather than found out, by column; of CSV and JSON lines.
    pub types: BTreeMap<String, Type>,
    /// Columns that are left out of schema, digest and profile.
    pub without: BTreeSet<String>,
}

/// How far reading is. Told after every block of 4,096 rows and at the end; whoever answers
/// [`ControlFlow::Break`] ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the file that were read.
    pub bytes: u64,
    /// Bytes of the file.
    pub of_bytes: u64,
    /// Rows that were read.
    pub rows: u64,
}

/// What is known of a data set once it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// Its rows.
    pub rows: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The first and the last time in its column of times, in microseconds since 1970.
    pub span_us: Option<(i64, i64)>,
    /// What its content is known by.
    pub digest: TableDigest,
    /// What it looks like.
    pub profile: Profile,
    /// The same in the order of its times, feature by feature.
    pub past: Vec<Past>,
}

/// Reads a data set in one pass. Blocks until it is done, has failed, or `progress` ends it.
pub fn read(
    source: &Source,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Registered, DataError> {
    let file = source.open()?;
    let (format, packing) = format::of(&file)?;
    match format {
        Format::Parquet => parquet::read(&file, options, progress),
        Format::Csv { delimiter } => csv::read(&file, packing, delimiter, options, progress),
        Format::JsonLines => json_lines::read(&file, packing, options, progress),
    }
}

impl Options {
    /// Refuses names of columns that are not there.
    pub(crate) fn check<'a>(
        &self,
        names: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), DataError> {
        let named = self.types.keys().chain(&self.without).chain(&self.time);
        for name in named {
            if !names.clone().any(|there| there == name) {
                return Err(DataError::NoSuchColumn(shown(name)));
            }
        }
        Ok(())
    }
}

//! Parquet, page by page: row groups follow one another without a seam, so that neither their
//! size nor their compression can be told from what is read.
//!
//! The decoder is not ours, and a damaged file may make it panic; that is caught here and told as
//! what it is, a file that cannot be read.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{ChunkReader, Length};
use arrow_schema::{ArrowError, DataType};
use binnacle_sketch::profile::{BLOCK, Plan};
use bytes::Bytes;

use crate::error::DataError;
use crate::read::{Options, Progress, Registered};
use crate::schema::{self, Type, shown};
use crate::source::{Opened, Sequential};
use crate::table::{self, Part, Table};

mod cells;

/// Bytes that are read at once where the length of what is wanted is not known: the head of a
/// page, whose length is told in the page before.
const HEAD: usize = 4 << 10;
/// The most that one page or dictionary may take. Writers make pages of about 1 MB; a damaged
/// length must not ask for all memory.
const PAGE: usize = 256 << 20;

/// Columns that are read side by side. Each needs its open page and its dictionary, 1.5 MB as most
/// writers make them: a wide table would need as much as it is wide.
const TOGETHER: usize = 48;

/// Rows that are decoded at once where there are tensors: how great they are is not known before.
const TENSOR_ROWS: usize = 128;

/// Reads a Parquet file: some columns to their end, then the next ones. Neither digest nor sample
/// depends on the columns beside, and no byte is read twice but of the column of times.
pub(crate) fn read(
    file: &Opened,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Registered, DataError> {
    let (metadata, kept) = guarded(file, || open(file, options))??;
    let columns: Columns = kept.iter().map(|(_, column)| column.clone()).collect();
    let time = table::time_column(&columns, options)?;
    let plan = table::plan(&columns)?;
    let mut whole: Option<Part> = None;
    for (first, group) in (0..).step_by(TOGETHER).zip(kept.chunks(TOGETHER)) {
        let mut group = group.to_vec();
        // The sample of every feature is kept with the times of its rows.
        let far = time.filter(|at| !(first..first + TOGETHER).contains(at));
        let place = far.map(|at| if at < first { 0 } else { group.len() });
        if let (Some(time), Some(place)) = (far.and_then(|at| kept.get(at)), place) {
            group.insert(place, time.clone());
        }
        let mut part = side_by_side(file, &metadata, &group, &plan, options, progress)?;
        if let Some(place) = place {
            part.without(place);
        }
        match &mut whole {
            None => whole = Some(part),
            Some(whole) => whole.add(part),
        }
    }
    let whole = whole.ok_or_else(|| DataError::Empty(file.name()))?;
    Ok(whole.whole())
}

/// Reads these columns to their end.
fn side_by_side(
    file: &Opened,
    metadata: &ArrowReaderMetadata,
    group: &[Kept],
    plan: &Plan,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Part, DataError> {
    let mut batches = guarded(file, || batches(file, metadata, group))??;
    let columns = group.iter().map(|(_, column)| column.clone());
    let meter = file.meter().clone();
    let mut table = Table::part(columns.collect(), plan, options, meter, progress)?;
    while let Some(batch) = guarded(file, || batches.next())? {
        let batch = batch.map_err(|cause| refused(file, &cause))?;
        let mut from = 0;
        while from < batch.num_rows() {
            let rows = table.room().min(batch.num_rows() - from);
            let row = table.rows() + table.open_rows() as u64;
            let arrays = batch.columns().iter().zip(group).enumerate();
            for (at, (array, (_, (name, kind)))) in arrays {
                let Some(column) = table.column(at) else {
                    continue;
                };
                let part = array.slice(from, rows);
                if let Err(odd) = cells::append(column, *kind, &part) {
                    return Err(odd.told(row + 1, name));
                }
            }
            from += rows;
            table.advance()?;
        }
    }
    table.part_finished()
}

/// A column that is wanted: where it stands in the file, its name and type.
type Kept = (usize, (String, Type));
type Columns = Vec<(String, Type)>;

/// What the file says of itself, and the columns that are wanted.
fn open(file: &Opened, options: &Options) -> Result<(ArrowReaderMetadata, Vec<Kept>), DataError> {
    let plain = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let unreadable = |cause: ParquetError| trouble(file, &cause);
    let metadata = ArrowReaderMetadata::load(file, plain).map_err(unreadable)?;
    let fields = metadata.schema().fields();
    options.check(fields.iter().map(|field| field.name().as_str()))?;
    schema::check(fields.iter().map(|field| field.name().as_str()))?;
    let mut kept = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let name = field.name();
        if options.without.contains(name) {
            continue;
        }
        let kind = kind(field.data_type()).ok_or_else(|| DataError::Unreadable {
            column: shown(name),
            kind: words(field.data_type()),
        })?;
        if options
            .types
            .get(name)
            .is_some_and(|declared| *declared != kind)
        {
            let column = shown(name);
            return Err(DataError::Declared { column, kind });
        }
        kept.push((at, (name.clone(), kind)));
    }
    Ok((metadata, kept))
}

/// A reader of these columns.
fn batches(
    file: &Opened,
    metadata: &ArrowReaderMetadata,
    group: &[Kept],
) -> Result<ParquetRecordBatchReader, DataError> {
    let builder =
        ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata.clone());
    let places = group.iter().map(|(at, _)| *at);
    let mask = ProjectionMask::roots(builder.parquet_schema(), places);
    let is_tensor = |(_, (_, kind)): &Kept| *kind == Type::Tensor;
    let rows = if group.iter().any(is_tensor) {
        TENSOR_ROWS
    } else {
        BLOCK
    };
    let batches = builder.with_projection(mask).with_batch_size(rows).build();
    batches.map_err(|cause| trouble(file, &cause))
}

/// What the cells of a column of this type become.
fn kind(arrow: &DataType) -> Option<Type> {
    // arrow's enum grows with its versions; a type that we have never met is not read.
    #[allow(clippy::wildcard_enum_match_arm)]
    match arrow {
        DataType::Boolean => Some(Type::Boolean),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(Type::Integer),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            Some(Type::Integer)
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Some(Type::Number),
        DataType::Decimal32(..) | DataType::Decimal64(..) => Some(Type::Number),
        DataType::Decimal128(..) => Some(Type::Number),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Type::Text),
        DataType::Date32 | DataType::Timestamp(..) => Some(Type::Time),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            match kind(innermost(arrow))? {
                Type::Integer | Type::Number => Some(Type::Tensor),
                Type::Boolean | Type::Text | Type::Time | Type::Tensor => None,
            }
        }
        _ => None,
    }
}

/// What the innermost lists hold.
fn innermost(arrow: &DataType) -> &DataType {
    let mut inner = arrow;
    while let DataType::List(field)
    | DataType::LargeList(field)
    | DataType::FixedSizeList(field, _) = inner
    {
        inner = field.data_type();
    }
    inner
}

/// What a person calls a type that is not read.
fn words(arrow: &DataType) -> String {
    #[allow(clippy::wildcard_enum_match_arm)]
    match arrow {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            match kind(innermost(arrow)) {
                Some(Type::Text) => "a list of texts".into(),
                Some(Type::Boolean) => "a list of booleans".into(),
                Some(Type::Time) => "a list of times".into(),
                Some(Type::Integer | Type::Number | Type::Tensor) | None => "a list".into(),
            }
        }
        DataType::Struct(_) => "a struct".into(),
        DataType::Map(..) => "a map".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytes".into(),
        DataType::FixedSizeBinary(_) => "bytes".into(),
        DataType::Time32(_) | DataType::Time64(_) => "a time of day".into(),
        other => shown(&other.to_string()),
    }
}

/// Runs the decoder. A panic of it is a file that cannot be read.
fn guarded<T>(file: &Opened, run: impl FnOnce() -> T) -> Result<T, DataError> {
    // What the decoder left behind is not used again: reading ends here.
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| DataError::Parquet {
        name: file.name(),
        what: "the decoder gave up on damaged data".into(),
    })
}

fn trouble(file: &Opened, cause: &ParquetError) -> DataError {
    DataError::Parquet {
        name: file.name(),
        what: shown(&cause.to_string()),
    }
}

fn refused(file: &Opened, cause: &ArrowError) -> DataError {
    DataError::Parquet {
        name: file.name(),
        what: shown(&cause.to_string()),
    }
}

impl Length for Opened {
    fn len(&self) -> u64 {
        self.all()
    }
}

impl ChunkReader for Opened {
    type T = Sequential;

    fn get_read(&self, start: u64) -> Result<Sequential, ParquetError> {
        Ok(self.from(start, HEAD))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if length > PAGE || start.saturating_add(length as u64) > self.all() {
            let what = format!("{length} bytes at {start} of {} are not there", self.all());
            return Err(ParquetError::EOF(what));
        }
        Ok(self.at(start, length)?)
    }
}

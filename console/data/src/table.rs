//! The table that a format is read into: block after block of canonical cells, each digested
//! and profiled when it is full, and then forgotten.

use std::ops::ControlFlow;

use binnacle_sketch::profile::{
    self, BLOCK, Cell, Field, Gather, Given, Kind, Past, Plan, Profile, Unplanned,
};

use crate::block::Column;
use crate::digest::{self, ColumnDigest};
use crate::error::DataError;
use crate::read::{Options, Progress, Registered};
use crate::schema::{self, Type, shown};
use crate::source::Meter;
use crate::tensor::BLOCK_VALUES;

/// A table that is being read.
pub(crate) struct Table<'a> {
    columns: Vec<Told>,
    /// The column that tells the time of a row.
    time: Option<usize>,
    gather: Gather,
    rows: u64,
    meter: Meter,
    progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

/// One column of it.
struct Told {
    name: String,
    kind: Type,
    nulls: u64,
    block: Column,
    digest: ColumnDigest,
}

impl<'a> Table<'a> {
    /// A table of these columns, whose names are checked here.
    pub(crate) fn new(
        columns: Vec<(String, Type)>,
        options: &Options,
        meter: Meter,
        progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Self, DataError> {
        schema::check(columns.iter().map(|(name, _)| name.as_str()))?;
        let plan = plan(&columns)?;
        Self::part(columns, &plan, options, meter, progress)
    }

    /// Some columns of a table of this plan, and the one that tells the time among them.
    pub(crate) fn part(
        columns: Vec<(String, Type)>,
        plan: &Plan,
        options: &Options,
        meter: Meter,
        progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Self, DataError> {
        let time = time_column(&columns, options)?;
        let given = columns.iter().filter_map(|(name, kind)| given(name, *kind));
        let gather = Gather::part(options.seed, given.collect(), plan);
        let columns = columns.into_iter().map(|(name, kind)| Told {
            digest: ColumnDigest::new(&name, kind),
            block: Column::new(kind),
            nulls: 0,
            name,
            kind,
        });
        Ok(Self {
            columns: columns.collect(),
            time,
            gather,
            rows: 0,
            meter,
            progress,
        })
    }

    /// Rows that the block still takes.
    pub(crate) fn room(&self) -> usize {
        BLOCK - self.open_rows()
    }

    /// Rows of the open block. Not to be asked while a row is being added.
    pub(crate) fn open_rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.block.len())
    }

    /// The open block of a column.
    pub(crate) fn column(&mut self, at: usize) -> Option<&mut Column> {
        self.columns.get_mut(at).map(|column| &mut column.block)
    }

    /// The open blocks of all columns.
    pub(crate) fn columns(&mut self) -> impl Iterator<Item = &mut Column> {
        self.columns.iter_mut().map(|column| &mut column.block)
    }

    /// Rows so far, those of the open block not counted.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Closes the block if it is full. Every column has to have the same number of cells.
    pub(crate) fn advance(&mut self) -> Result<(), DataError> {
        let tensors = self.columns.iter().map(|told| told.block.tensor_values());
        if tensors.sum::<usize>() > BLOCK_VALUES {
            let row = self.rows + 1;
            return Err(DataError::LongTensors { row });
        }
        if self.room() > 0 {
            return Ok(());
        }
        self.close();
        self.tell()
    }

    /// Says how far it is, and hears whether to go on.
    fn tell(&mut self) -> Result<(), DataError> {
        let told = Progress {
            bytes: self.meter.done(),
            of_bytes: self.meter.all(),
            rows: self.rows,
        };
        match (self.progress)(told) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(DataError::Interrupted { rows: self.rows }),
        }
    }

    fn close(&mut self) {
        let rows = self.open_rows();
        if rows == 0 {
            return;
        }
        for column in &mut self.columns {
            column.block.seal();
            column.nulls += column.block.null_count();
            column.digest.block(rows, &column.block);
        }
        let texts: Vec<_> = self
            .columns
            .iter()
            .map(|c| |row: usize| c.block.text(row))
            .collect();
        let tensors: Vec<_> = self
            .columns
            .iter()
            .map(|c| |row: usize| -> Option<Cell<'_>> { c.block.tensor(row) })
            .collect();
        let cells = self
            .columns
            .iter()
            .zip(texts.iter().zip(&tensors))
            .filter_map(|(column, (text, tensor))| {
                let nulls = column.block.null_count();
                match column.kind {
                    Type::Boolean | Type::Integer | Type::Number => {
                        Some(profile::Column::Numbers {
                            values: column.block.numbers(),
                            nulls,
                        })
                    }
                    Type::Text => Some(profile::Column::Texts { at: text, nulls }),
                    Type::Tensor => Some(profile::Column::Tensors { at: tensor }),
                    Type::Time => None,
                }
            });
        let cells: Vec<_> = cells.collect();
        let times = self.time.and_then(|at| self.columns.get(at)?.block.times());
        self.gather.block(rows, &cells, times.as_deref());
        self.rows += rows as u64;
        for column in &mut self.columns {
            column.block.clear();
        }
    }

    /// The last block, and what came of it all.
    pub(crate) fn finish(self) -> Result<Registered, DataError> {
        Ok(self.part_finished()?.whole())
    }

    /// The last block, and what came of these columns.
    pub(crate) fn part_finished(mut self) -> Result<Part, DataError> {
        self.close();
        self.tell()?;
        let columns = self.columns.into_iter().map(|column| {
            let told = schema::Column {
                name: column.name,
                kind: column.kind,
                nullable: column.nulls > 0,
                nulls: column.nulls,
            };
            (told, column.digest)
        });
        Ok(Part {
            bytes: self.meter.all(),
            columns: columns.collect(),
            past: self.gather.past(),
            profile: self.gather.finish(),
        })
    }
}

/// What came of some columns of a table.
pub(crate) struct Part {
    bytes: u64,
    columns: Vec<(schema::Column, ColumnDigest)>,
    profile: Profile,
    past: Vec<Past>,
}

impl Part {
    /// Leaves a column out that was only read for its times; times are no feature.
    pub(crate) fn without(&mut self, at: usize) {
        if at < self.columns.len() {
            self.columns.remove(at);
        }
    }

    /// The columns that come behind these.
    pub(crate) fn add(&mut self, next: Self) {
        self.columns.extend(next.columns);
        self.profile.features.extend(next.profile.features);
        self.past.extend(next.past);
    }

    /// The table of these columns.
    pub(crate) fn whole(self) -> Registered {
        let (columns, digests) = self.columns.into_iter().unzip();
        Registered {
            rows: self.profile.rows,
            bytes: self.bytes,
            span_us: self.profile.span_us,
            digest: digest::table(self.profile.rows, digests),
            columns,
            profile: self.profile,
            past: self.past,
        }
    }
}

/// What becomes of all columns of a table.
pub(crate) fn plan(columns: &[(String, Type)]) -> Result<Plan, DataError> {
    let given = columns.iter().filter_map(|(name, kind)| given(name, *kind));
    Plan::of(&given.collect::<Vec<_>>()).map_err(|why| match why {
        Unplanned::TooMany => DataError::TooManyNumbers,
        Unplanned::LongName(name) => DataError::LongTensorName(shown(&name)),
        Unplanned::Twice(name) => DataError::Told(shown(&name)),
    })
}

/// What the profile is told of a column; times are no feature.
fn given(name: &str, kind: Type) -> Option<Given> {
    let name = name.to_owned();
    let kind = match kind {
        Type::Boolean => Kind::Boolean,
        Type::Integer => Kind::Integer,
        Type::Number => Kind::Number,
        Type::Text => Kind::Category,
        Type::Time => return None,
        Type::Tensor => return Some(Given::Tensor(name)),
    };
    Some(Given::Feature(Field { name, kind }))
}

/// The column that tells the time: the one that was named, or else the first one of times.
pub(crate) fn time_column(
    columns: &[(String, Type)],
    options: &Options,
) -> Result<Option<usize>, DataError> {
    let Some(name) = &options.time else {
        return Ok(columns.iter().position(|(_, kind)| *kind == Type::Time));
    };
    let at = columns.iter().position(|(column, _)| column == name);
    let at = at.ok_or_else(|| DataError::NoSuchColumn(shown(name)))?;
    match columns.get(at) {
        Some((_, Type::Time)) | None => Ok(Some(at)),
        Some((name, kind)) => Err(DataError::NoTime {
            column: shown(name),
            kind: *kind,
        }),
    }
}

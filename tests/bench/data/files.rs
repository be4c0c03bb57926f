//! The tables that are read: made from a seed, a part at a time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use binnacle_sketch::profile::Ties;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// Rows that are made at once.
const PART: usize = 100_000;
const CITIES: [&str; 7] = [
    "Amsterdam",
    "Berlin",
    "Copenhagen",
    "Dublin",
    "Espoo",
    "Faro",
    "Graz",
];

/// What the cells are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cells {
    /// Random numbers, which nothing can pack.
    Numbers,
    /// Amounts in cents, which repeat.
    Amounts,
    /// Numbers of which one in eight is null.
    Sparse,
    /// Whole numbers up to a million.
    Integers,
    /// Four columns of numbers, two of integers, two of cities.
    Mixed,
}

/// What they are written in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Parquet,
    Csv,
    JsonLines,
}

/// One of the tables.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    name: &'static str,
    cells: Cells,
    written: Written,
    columns: usize,
    rows: usize,
}

impl Table {
    pub(crate) fn all() -> Vec<Self> {
        let of = |name, cells, written, columns, rows| Self {
            name,
            cells,
            written,
            columns,
            rows,
        };
        vec![
            of(
                "numbers, short",
                Cells::Numbers,
                Written::Parquet,
                16,
                80_000,
            ),
            of(
                "numbers, ×10",
                Cells::Numbers,
                Written::Parquet,
                16,
                800_000,
            ),
            of(
                "numbers, ×100",
                Cells::Numbers,
                Written::Parquet,
                16,
                8_000_000,
            ),
            of("amounts", Cells::Amounts, Written::Parquet, 16, 2_000_000),
            of(
                "sparse numbers",
                Cells::Sparse,
                Written::Parquet,
                16,
                2_000_000,
            ),
            of("integers", Cells::Integers, Written::Parquet, 16, 2_000_000),
            of(
                "200 columns",
                Cells::Numbers,
                Written::Parquet,
                200,
                200_000,
            ),
            of("mixed", Cells::Mixed, Written::Parquet, 8, 2_000_000),
            of("mixed, CSV", Cells::Mixed, Written::Csv, 8, 2_000_000),
            of(
                "mixed, JSON lines",
                Cells::Mixed,
                Written::JsonLines,
                8,
                1_000_000,
            ),
        ]
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn file(&self) -> &'static str {
        match self.written {
            Written::Parquet => "table.parquet",
            Written::Csv => "table.csv",
            Written::JsonLines => "table.jsonl",
        }
    }

    /// Writes the table, or the first tenth of it.
    pub(crate) fn write(&self, path: &Path, tenth: usize) -> color_eyre::Result<()> {
        let rows = self.rows / tenth;
        let mut parts = (0..rows)
            .step_by(PART)
            .map(|from| self.batch(from, PART.min(rows - from)));
        match self.written {
            Written::Parquet => {
                let first = parts.next().expect("there are rows");
                let plain = WriterProperties::builder().set_compression(Compression::SNAPPY);
                let file = File::create(path)?;
                let mut writer = ArrowWriter::try_new(file, first.schema(), Some(plain.build()))?;
                writer.write(&first)?;
                for part in parts {
                    writer.write(&part)?;
                }
                writer.close()?;
            }
            Written::Csv => {
                let mut out = BufWriter::new(File::create(path)?);
                let names: Vec<String> = (0..self.columns).map(|at| format!("f{at}")).collect();
                writeln!(out, "{}", names.join(","))?;
                for from in 0..rows {
                    let cells: Vec<String> =
                        (0..self.columns).map(|at| self.text(from, at)).collect();
                    writeln!(out, "{}", cells.join(","))?;
                }
            }
            Written::JsonLines => {
                let mut out = BufWriter::new(File::create(path)?);
                for from in 0..rows {
                    let cell = |at| {
                        let text = self.text(from, at);
                        let quote = if at >= 6 { "\"" } else { "" };
                        format!("\"f{at}\":{quote}{text}{quote}")
                    };
                    let cells: Vec<String> = (0..self.columns).map(cell).collect();
                    writeln!(out, "{{{}}}", cells.join(","))?;
                }
            }
        }
        Ok(())
    }

    fn batch(&self, from: usize, rows: usize) -> RecordBatch {
        let columns = (0..self.columns).map(|at| {
            let ties = Ties::new(at as u64, "cells");
            let all = from as u64..(from + rows) as u64;
            let array: ArrayRef = match (self.cells, at) {
                (Cells::Numbers, _) | (Cells::Mixed, 0..4) => {
                    Arc::new(Float64Array::from_iter_values(all.map(|n| number(ties, n))))
                }
                (Cells::Amounts, _) => {
                    let amount = |n| (number(ties, n).abs() * 2_000.0).round() / 100.0;
                    Arc::new(Float64Array::from_iter_values(all.map(amount)))
                }
                (Cells::Sparse, _) => {
                    let some = |n| (!ties.bits(n).is_multiple_of(8)).then(|| number(ties, n));
                    Arc::new(all.map(some).collect::<Float64Array>())
                }
                (Cells::Integers, _) | (Cells::Mixed, 4..6) => {
                    Arc::new(Int64Array::from_iter_values(all.map(|n| integer(ties, n))))
                }
                (Cells::Mixed, _) => {
                    Arc::new(StringArray::from_iter_values(all.map(|n| city(ties, n))))
                }
            };
            (format!("f{at}"), array, self.cells == Cells::Sparse)
        });
        RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
    }

    /// A cell of a mixed table, as text.
    fn text(&self, row: usize, at: usize) -> String {
        let (ties, row) = (Ties::new(at as u64, "cells"), row as u64);
        match at {
            0..4 => format!("{:?}", number(ties, row)),
            4..6 => integer(ties, row).to_string(),
            _ => city(ties, row).to_owned(),
        }
    }
}

/// Nearly normal: the sum of four uniform numbers.
fn number(ties: Ties, n: u64) -> f64 {
    (0..4).map(|part| ties.at(n * 4 + part)).sum::<f64>() - 2.0
}

fn integer(ties: Ties, n: u64) -> i64 {
    (ties.bits(n) % 1_000_000) as i64
}

fn city(ties: Ties, n: u64) -> &'static str {
    CITIES[(ties.bits(n) % 7) as usize]
}

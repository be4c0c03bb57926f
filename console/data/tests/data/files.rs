//! Tables written in every format, and read back.

use std::fs;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use binnacle_data::{DataError, Options, Registered, Source, read};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

/// A folder of files that are read.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and reads it.
    pub(crate) fn read(&self, name: &str, bytes: &[u8]) -> Result<Registered, DataError> {
        self.read_with(name, bytes, &Options::default())
    }

    pub(crate) fn read_with(
        &self,
        name: &str,
        bytes: &[u8],
        options: &Options,
    ) -> Result<Registered, DataError> {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        of(&path, options)
    }
}

/// Reads a file to its end.
pub(crate) fn of(path: &Path, options: &Options) -> Result<Registered, DataError> {
    let source = Source::File(path.to_owned());
    read(&source, options, &mut |_| ControlFlow::Continue(()))
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A table of every type, some cells null: row `n` is a function of `n`.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) rows: usize,
    /// A row whose amount is another one.
    pub(crate) changed: Option<usize>,
}

impl Rows {
    pub(crate) fn of(rows: usize) -> Self {
        let changed = None;
        Self { rows, changed }
    }

    fn amount(self, n: usize) -> f64 {
        let extra = if self.changed == Some(n) { 0.25 } else { 0.0 };
        (n * 7_919 % 10_007) as f64 / 4.0 + extra
    }

    fn count(n: usize) -> Option<i64> {
        (n % 11 != 3).then_some(n as i64 % 40 - 20)
    }

    fn city(n: usize) -> Option<&'static str> {
        (n % 13 != 5).then_some(["Rome", "Łódź", "New York, NY", "Kraków \"old\""][n % 4])
    }

    fn time_us(n: usize) -> i64 {
        1_700_000_000_000_000 + n as i64 * 60_000_000
    }

    pub(crate) fn batch(self) -> RecordBatch {
        let all = || 0..self.rows;
        let columns: [(&str, ArrayRef); 5] = [
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from_iter_values(
                    all().map(Self::time_us),
                )),
            ),
            (
                "amount",
                Arc::new(Float64Array::from_iter_values(
                    all().map(|n| self.amount(n)),
                )),
            ),
            (
                "count",
                Arc::new(all().map(Self::count).collect::<Int64Array>()),
            ),
            (
                "city",
                Arc::new(all().map(Self::city).collect::<StringArray>()),
            ),
            (
                "new",
                Arc::new(all().map(|n| Some(n % 3 == 0)).collect::<BooleanArray>()),
            ),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
            .unwrap()
    }

    pub(crate) fn csv(self) -> Vec<u8> {
        let mut out = String::from("at,amount,count,city,new\n");
        for n in 0..self.rows {
            let time = jiff::Timestamp::from_microsecond(Self::time_us(n)).unwrap();
            let count = Self::count(n).map_or(String::new(), |n| n.to_string());
            let city = Self::city(n).map_or(String::new(), |city| {
                format!("\"{}\"", city.replace('"', "\"\""))
            });
            let new = n % 3 == 0;
            out += &format!("{time},{:?},{count},{city},{new}\n", self.amount(n));
        }
        out.into_bytes()
    }

    pub(crate) fn json_lines(self) -> Vec<u8> {
        let mut out = Vec::new();
        for n in 0..self.rows {
            let time = jiff::Timestamp::from_microsecond(Self::time_us(n)).unwrap();
            let line = serde_json::json!({
                "at": time.to_string(), "amount": self.amount(n), "count": Self::count(n),
                "city": Self::city(n), "new": n % 3 == 0,
            });
            // serde_json sorts its keys; the columns are in the order of the table.
            let cell = |name: &str| format!("\"{name}\":{}", line[name]);
            let cells = ["at", "amount", "count", "city", "new"].map(cell);
            out.extend_from_slice(format!("{{{}}}\n", cells.join(",")).as_bytes());
        }
        out
    }

    pub(crate) fn parquet(self, group: usize, compression: Compression) -> Vec<u8> {
        parquet(&self.batch(), group, compression)
    }
}

pub(crate) fn parquet(batch: &RecordBatch, group: usize, compression: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .set_data_page_row_count_limit(group / 3 + 1)
        .set_compression(compression)
        .build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    out
}

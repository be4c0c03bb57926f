//! CSV: a header, then rows of as many fields. Types are found in the first rows, or declared.
//!
//! The first 10,000 rows (or 16 MB) are held and looked at; each column gets the narrowest type
//! that takes all of its values in them. A later value that is none of its column is an error
//! that names line, column and a type that would take it: a profile that changes its mind half
//! way would be wrong about both halves. An empty field is null; in columns that are not text
//! so are `NA`, `N/A`, `null`, `NULL`, `None` and `\N`. Empty lines are passed over.

use std::ops::ControlFlow;

use ::csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use crate::error::DataError;
use crate::format::Packing;
use crate::read::{Options, Progress, Registered};
use crate::schema::{self, shown};
use crate::source::Opened;
use crate::table::Table;
use crate::text::{
    self, Allowance, FIRST_BYTES, FIRST_ROWS, Guess, Misfit, Named, RECORD_BYTES, Unpacked,
};

/// Bytes that the parser holds ahead.
const AHEAD: usize = 64 << 10;

/// Reads a CSV file.
pub(crate) fn read(
    file: &Opened,
    packing: Packing,
    delimiter: u8,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Registered, DataError> {
    let mut records = Records::open(file, packing, delimiter)?;
    let header = records.header()?;
    options.check(header.iter().map(String::as_str))?;
    schema::check(header.iter().map(String::as_str))?;
    let first = records.first()?;
    let mut columns = Vec::new();
    let mut fields = Vec::new();
    for (at, name) in header.into_iter().enumerate() {
        if options.without.contains(&name) {
            continue;
        }
        let declared = options.types.get(&name).copied();
        let kind = declared.unwrap_or_else(|| guess(&first, at));
        let declared = declared.is_some();
        columns.push((name.clone(), kind));
        fields.push((
            at,
            Named {
                name,
                kind,
                declared,
            },
        ));
    }
    if columns.is_empty() {
        return Err(DataError::Empty(file.name()));
    }
    let mut table = Table::new(columns, options, file.meter().clone(), progress)?;
    for record in first {
        add(&mut table, &fields, &record)?;
    }
    let mut record = ByteRecord::new();
    while records.next(&mut record)? {
        add(&mut table, &fields, &record)?;
    }
    table.finish()
}

/// The type of a field in the first rows.
fn guess(first: &[ByteRecord], at: usize) -> schema::Type {
    let mut guess = Guess::START;
    for record in first {
        let text = record
            .get(at)
            .and_then(|field| std::str::from_utf8(field).ok());
        // What is no UTF-8 is refused when its row is added.
        guess.see(text.unwrap_or_default());
    }
    guess.kind()
}

fn add(
    table: &mut Table<'_>,
    fields: &[(usize, Named)],
    record: &ByteRecord,
) -> Result<(), DataError> {
    let line = line(record);
    for (column, (at, named)) in table.columns().zip(fields) {
        let field = record.get(*at).unwrap_or_default();
        let text = std::str::from_utf8(field).map_err(|_| DataError::NotUtf8 {
            line,
            column: shown(&named.name),
        })?;
        let pushed = match text::value(named.kind, text) {
            Some(value) => text::push(column, value),
            None => Err(Misfit::Kind),
        };
        pushed.map_err(|misfit| named.refuse(line, text, misfit))?;
    }
    table.advance()
}

fn line(record: &ByteRecord) -> u64 {
    record.position().map_or(0, ::csv::Position::line)
}

/// The records of a file, each of bounded length.
struct Records<'a> {
    file: &'a Opened,
    packing: Packing,
    reader: Reader<Unpacked>,
    allowance: Allowance,
    /// The line that the record begins on which is being read.
    begins: u64,
}

impl<'a> Records<'a> {
    fn open(file: &'a Opened, packing: Packing, delimiter: u8) -> Result<Self, DataError> {
        let allowance = Allowance::new(RECORD_BYTES);
        let unpacked = Unpacked::of(file, packing, allowance.clone())
            .map_err(|cause| text::trouble(file, packing, 1, cause))?;
        let mut builder = ReaderBuilder::new();
        builder.delimiter(delimiter).buffer_capacity(AHEAD);
        Ok(Self {
            reader: builder.from_reader(unpacked),
            file,
            packing,
            allowance,
            begins: 1,
        })
    }

    fn header(&mut self) -> Result<Vec<String>, DataError> {
        let header = match self.reader.byte_headers() {
            Ok(header) => header.clone(),
            Err(error) => return Err(self.trouble(error)),
        };
        if header.is_empty() {
            return Err(DataError::Empty(self.file.name()));
        }
        let names = header.iter().map(|field| {
            let name = String::from_utf8(field.to_vec());
            name.map_err(|error| DataError::NotUtf8 {
                line: 1,
                column: shown(&String::from_utf8_lossy(error.as_bytes())),
            })
        });
        names.collect()
    }

    /// The rows that tell the types.
    fn first(&mut self) -> Result<Vec<ByteRecord>, DataError> {
        let mut first = Vec::new();
        let mut bytes = 0;
        let mut record = ByteRecord::new();
        while first.len() < FIRST_ROWS && bytes < FIRST_BYTES && self.next(&mut record)? {
            bytes += record.as_slice().len();
            first.push(record.clone());
        }
        Ok(first)
    }

    fn next(&mut self, record: &mut ByteRecord) -> Result<bool, DataError> {
        self.allowance.renew(RECORD_BYTES);
        self.begins = self.reader.position().line();
        match self.reader.read_byte_record(record) {
            Ok(more) => Ok(more),
            Err(error) => Err(self.trouble(error)),
        }
    }

    fn trouble(&self, error: ::csv::Error) -> DataError {
        let here = self.begins;
        // The kinds that only serde meets never come from reading bytes.
        #[allow(clippy::wildcard_enum_match_arm)]
        match error.into_kind() {
            ErrorKind::UnequalLengths {
                pos,
                expected_len,
                len,
            } => DataError::Ragged {
                line: pos.map_or(here, |pos| pos.line()),
                expected: expected_len,
                found: len,
            },
            ErrorKind::Io(cause) => text::trouble(self.file, self.packing, here, cause),
            other => DataError::Read {
                name: self.file.name(),
                cause: std::io::Error::other(format!("{other:?}")),
            },
        }
    }
}

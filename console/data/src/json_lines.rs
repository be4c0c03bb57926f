//! JSON lines: an object a line. Columns and types are found in the first lines, or declared.
//!
//! The columns are the keys of the first 10,000 lines (or 16 MB), in the order in which they
//! first appear. A key that is missing is null; one that comes later and was not declared is an
//! error. A column is what its first value is: whole numbers become numbers where one has a
//! fraction, and texts become times where all of the first lines hold times; nested lists of
//! numbers are tensors. Anything else that is mixed is an error that names the line. Empty lines
//! are passed over.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;

use crate::error::DataError;
use crate::format::Packing;
use crate::read::{Options, Progress, Registered};
use crate::schema::{self, Type, shown};
use crate::source::Opened;
use crate::table::Table;
use crate::text::{
    self, Allowance, FIRST_BYTES, FIRST_ROWS, Misfit, Named, RECORD_BYTES, Unpacked, Value,
};

mod object;

use self::object::{Object, Scalar};

/// Bytes that are held ahead.
const AHEAD: usize = 64 << 10;

/// Reads a file of JSON lines.
pub(crate) fn read(
    file: &Opened,
    packing: Packing,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Registered, DataError> {
    let mut lines = Lines::open(file, packing)?;
    let first = lines.first()?;
    let columns = Columns::of(&first, options)?;
    if columns.told.is_empty() {
        return Err(DataError::Empty(file.name()));
    }
    let named = columns
        .told
        .iter()
        .map(|named| (named.name.clone(), named.kind));
    let mut table = Table::new(named.collect(), options, file.meter().clone(), progress)?;
    for (line, object) in first {
        columns.add(&mut table, line, &object)?;
    }
    while let Some((line, object)) = lines.next()? {
        columns.add(&mut table, line, &object)?;
    }
    table.finish()
}

/// The lines of a file, each of bounded length.
struct Lines<'a> {
    file: &'a Opened,
    packing: Packing,
    reader: BufReader<Unpacked>,
    allowance: Allowance,
    bytes: Vec<u8>,
    line: u64,
}

impl<'a> Lines<'a> {
    fn open(file: &'a Opened, packing: Packing) -> Result<Self, DataError> {
        let allowance = Allowance::new(RECORD_BYTES);
        let unpacked = Unpacked::of(file, packing, allowance.clone())
            .map_err(|cause| text::trouble(file, packing, 1, cause))?;
        Ok(Self {
            file,
            packing,
            reader: BufReader::with_capacity(AHEAD, unpacked),
            allowance,
            bytes: Vec::new(),
            line: 0,
        })
    }

    /// The lines that tell the columns.
    fn first(&mut self) -> Result<Vec<(u64, Object)>, DataError> {
        let mut first = Vec::new();
        let mut bytes = 0;
        while first.len() < FIRST_ROWS && bytes < FIRST_BYTES {
            let Some(next) = self.next()? else { break };
            bytes += self.bytes.len();
            first.push(next);
        }
        Ok(first)
    }

    /// The next object, and its line.
    fn next(&mut self) -> Result<Option<(u64, Object)>, DataError> {
        loop {
            self.allowance.renew(RECORD_BYTES);
            self.bytes.clear();
            self.line += 1;
            let read = self.reader.read_until(b'\n', &mut self.bytes);
            let count =
                read.map_err(|cause| text::trouble(self.file, self.packing, self.line, cause))?;
            if count == 0 {
                return Ok(None);
            }
            let mark = if self.line == 1 {
                "\u{feff}".as_bytes()
            } else {
                b""
            };
            let bytes = self
                .bytes
                .strip_prefix(mark)
                .unwrap_or(&self.bytes)
                .trim_ascii();
            if bytes.is_empty() {
                continue;
            }
            let object = serde_json::from_slice(bytes);
            let object = object.map_err(|cause| DataError::Json {
                line: self.line,
                cause,
            })?;
            return Ok(Some((self.line, object)));
        }
    }
}

/// The columns of the table, and where to find each by its key.
struct Columns {
    told: Vec<Named>,
    places: HashMap<String, Option<usize>>,
    first: usize,
}

impl Columns {
    fn of(first: &[(u64, Object)], options: &Options) -> Result<Self, DataError> {
        let mut order: Vec<&str> = Vec::new();
        let mut guesses: HashMap<&str, Option<Type>> = HashMap::new();
        for (_, object) in first {
            for (key, scalar) in &object.0 {
                let guess = guesses.entry(key).or_insert_with(|| {
                    order.push(key);
                    None
                });
                *guess = scalar.widened(*guess);
            }
        }
        // What was declared may come later, or never.
        for name in options.types.keys() {
            if !guesses.contains_key(name.as_str()) {
                order.push(name);
            }
        }
        let named = options.without.iter().chain(&options.time);
        for name in named {
            if !order.iter().any(|key| key == name) && !options.without.contains(name) {
                return Err(DataError::NoSuchColumn(shown(name)));
            }
        }
        schema::check(order.iter().copied())?;
        let mut told = Vec::new();
        let mut places = HashMap::new();
        for name in order
            .into_iter()
            .filter(|name| !options.without.contains(*name))
        {
            let declared = options.types.get(name).copied();
            let found = guesses.get(name).copied().flatten();
            places.insert(name.to_owned(), Some(told.len()));
            told.push(Named {
                name: name.to_owned(),
                kind: declared.or(found).unwrap_or(Type::Text),
                declared: declared.is_some(),
            });
        }
        places.extend(options.without.iter().map(|name| (name.clone(), None)));
        let first = first.len();
        Ok(Self {
            told,
            places,
            first,
        })
    }

    fn add(&self, table: &mut Table<'_>, line: u64, object: &Object) -> Result<(), DataError> {
        let full = table.open_rows() + 1;
        for (key, scalar) in &object.0 {
            let at = match self.places.get(key) {
                Some(Some(at)) => *at,
                Some(None) => continue,
                None => {
                    return Err(DataError::NewColumn {
                        line,
                        column: shown(key),
                        first: self.first,
                    });
                }
            };
            let (Some(named), Some(column)) = (self.told.get(at), table.column(at)) else {
                continue;
            };
            let text;
            let value = match scalar {
                Scalar::Null => Ok(Value::Null),
                Scalar::Text(text) if named.kind == Type::Text => Ok(Value::Text(text)),
                // A text may be a time, or what its column was declared to be.
                Scalar::Text(text) if named.declared || named.kind == Type::Time => {
                    text::value(named.kind, text).ok_or(Misfit::Kind)
                }
                Scalar::Text(_) => Err(Misfit::Kind),
                Scalar::List(list) if named.kind == Type::Tensor => match list {
                    Ok((values, shape)) => Ok(Value::Tensor(values, shape)),
                    Err(fault) => Err(Misfit::Lists(*fault)),
                },
                Scalar::List(_) | Scalar::Object => {
                    return Err(DataError::Unreadable {
                        column: shown(key),
                        kind: scalar.shown(),
                    });
                }
                Scalar::Boolean(_) | Scalar::Integer(_) | Scalar::Number(_)
                    if named.kind == Type::Text && named.declared =>
                {
                    text = scalar.shown();
                    Ok(Value::Text(&text))
                }
                Scalar::Boolean(value) => Ok(Value::Boolean(*value)),
                Scalar::Integer(value) => Ok(Value::Integer(*value)),
                Scalar::Number(value) => Ok(Value::Number(*value)),
            };
            let pushed = value.and_then(|value| text::push(column, value));
            pushed.map_err(|misfit| named.refuse(line, &scalar.shown(), misfit))?;
        }
        for column in table.columns().filter(|column| column.len() < full) {
            column.push_null();
        }
        table.advance()
    }
}

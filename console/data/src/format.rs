//! What a file is: by its name and by its first bytes, which have to agree.

use crate::error::DataError;
use crate::source::Opened;

/// What a table is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Lines of fields, with a header.
    Csv {
        /// What stands between the fields: a comma, or a tab in a `.tsv`.
        delimiter: u8,
    },
    /// A JSON object a line.
    JsonLines,
}

/// What it is packed in. Parquet packs itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Nothing.
    Plain,
    /// gzip, of one or several members.
    Gzip,
    /// Zstandard, of one or several frames.
    Zstd,
}

impl Packing {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// What the first bytes say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Parquet,
    Packed(Packing),
    /// Begins with a brace, as JSON lines do and a header may.
    Brace,
    Text,
}

const PARQUET: &[u8] = b"PAR1";
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
/// Bytes that are looked at: a mark of byte order, some space, and a brace.
const LOOK: usize = 256;

/// The format and the packing of a file.
pub(crate) fn of(file: &Opened) -> Result<(Format, Packing), DataError> {
    if file.all() == 0 {
        return Err(DataError::Empty(file.name()));
    }
    let first = file.at(0, LOOK).map_err(|cause| DataError::Read {
        name: file.name(),
        cause,
    })?;
    let holds = holds(&first);
    let Some((format, packing, called)) = called(file.path()) else {
        return match holds {
            Holds::Parquet => Ok((Format::Parquet, Packing::Plain)),
            Holds::Brace => Ok((Format::JsonLines, Packing::Plain)),
            Holds::Packed(_) | Holds::Text => Err(DataError::UnknownFormat(file.name())),
        };
    };
    let fits = match holds {
        Holds::Parquet => format == Format::Parquet,
        Holds::Packed(held) => held == packing,
        Holds::Brace => packing == Packing::Plain && format != Format::Parquet,
        Holds::Text => packing == Packing::Plain && matches!(format, Format::Csv { .. }),
    };
    if fits {
        return Ok((format, packing));
    }
    Err(DataError::Disagree {
        name: file.name(),
        called,
        holds: match holds {
            Holds::Parquet => "Parquet",
            Holds::Packed(held) => held.word(),
            Holds::Brace => "JSON",
            Holds::Text => "something else",
        },
    })
}

fn holds(first: &[u8]) -> Holds {
    if first.starts_with(PARQUET) {
        return Holds::Parquet;
    }
    if first.starts_with(GZIP) {
        return Holds::Packed(Packing::Gzip);
    }
    if first.starts_with(ZSTD) {
        return Holds::Packed(Packing::Zstd);
    }
    let text = first.strip_prefix(BYTE_ORDER_MARK).unwrap_or(first);
    if text.trim_ascii_start().starts_with(b"{") {
        return Holds::Brace;
    }
    Holds::Text
}

/// What a name says, and in which words.
fn called(path: &str) -> Option<(Format, Packing, &'static str)> {
    const COMMA: Format = Format::Csv { delimiter: b',' };
    const TAB: Format = Format::Csv { delimiter: b'\t' };
    const NAMES: [(&str, Format, Packing, &str); 17] = [
        (".parquet", Format::Parquet, Packing::Plain, "Parquet"),
        (".pq", Format::Parquet, Packing::Plain, "Parquet"),
        (".csv", COMMA, Packing::Plain, "CSV"),
        (".csv.gz", COMMA, Packing::Gzip, "CSV in gzip"),
        (".csv.zst", COMMA, Packing::Zstd, "CSV in zstd"),
        (".tsv", TAB, Packing::Plain, "TSV"),
        (".tsv.gz", TAB, Packing::Gzip, "TSV in gzip"),
        (".tsv.zst", TAB, Packing::Zstd, "TSV in zstd"),
        (".jsonl", Format::JsonLines, Packing::Plain, "JSON lines"),
        (
            ".jsonl.gz",
            Format::JsonLines,
            Packing::Gzip,
            "JSON lines in gzip",
        ),
        (
            ".jsonl.zst",
            Format::JsonLines,
            Packing::Zstd,
            "JSON lines in zstd",
        ),
        (".ndjson", Format::JsonLines, Packing::Plain, "JSON lines"),
        (
            ".ndjson.gz",
            Format::JsonLines,
            Packing::Gzip,
            "JSON lines in gzip",
        ),
        (
            ".ndjson.zst",
            Format::JsonLines,
            Packing::Zstd,
            "JSON lines in zstd",
        ),
        (".json", Format::JsonLines, Packing::Plain, "JSON"),
        (".json.gz", Format::JsonLines, Packing::Gzip, "JSON in gzip"),
        (
            ".json.zst",
            Format::JsonLines,
            Packing::Zstd,
            "JSON in zstd",
        ),
    ];
    let path = path.to_ascii_lowercase();
    let found = NAMES.iter().find(|(end, ..)| path.ends_with(end));
    found.map(|(_, format, packing, called)| (*format, *packing, *called))
}

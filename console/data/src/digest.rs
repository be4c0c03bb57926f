//! The digest of a table's content: what a data set is known by, whatever its file looks like.
//!
//! It covers the names and types of the columns in their order and every cell of every row in
//! theirs. It does not depend on row groups, pages, compression, encodings or on the format: a
//! CSV and a Parquet file with the same columns, types and cells have the same digest.
//!
//! **Definition** (version 1). All integers are little-endian. Rows are taken in blocks of
//! 4,096, the last of which may be shorter. A cell is
//!
//! | type | code | bytes of a cell | bytes of a null |
//! | --- | --- | --- | --- |
//! | boolean | 0 | 1: 0 or 1 | 0 |
//! | integer | 1 | 8: two's complement | 0 |
//! | number | 2 | 8: IEEE 754; −0 as +0, every NaN as 0x7ff8000000000000 | that NaN |
//! | text | 3 | 4: length of its UTF-8, which follows all lengths of the block | 0 |
//! | time | 4 | 8: microseconds since 1970 in UTC, two's complement | 0 |
//! | tensor | 5 | 1: its sides; 4: the length of each | 0 |
//!
//! 1. *block* = SHA-256(rows as 4 bytes; one byte, 1 when the block has a null in this column,
//!    else 0; if 1, a bitmap with a 1 for each null, the first row in the lowest bit, padded
//!    with 0 to whole bytes; the cells).
//! 2. *column* = SHA-256(length of the name as 4 bytes; the name; the type's code as one byte;
//!    the digests of its blocks in order).
//! 3. *table* = SHA-256(`binnacle table 1` and a line feed; rows as 8 bytes; columns as 4 bytes;
//!    the digests of the columns in order).
//!
//! Columns are independent of one another until the last step, so they can be hashed side by
//! side. Decimals and wide floats are digested as the numbers that they became, times without
//! what is finer than a microsecond. The values of tensors follow all shapes of their block, the
//! last side nearest, as the numbers that they became, a null among them as NaN; of one that holds
//! nothing the sides up to the first that is 0.

use binnacle_sketch::profile::BLOCK;
use sha2::{Digest as _, Sha256};

use crate::block::{Cells, Column};
use crate::schema::Type;

/// A table's digest.
pub type TableDigest = [u8; 32];

const BEGIN: &[u8] = b"binnacle table 1\n";

/// The digest of one column that is being read.
#[derive(Clone, Debug)]
pub(crate) struct ColumnDigest {
    blocks: Sha256,
    /// Cells as bytes, kept to be used again.
    bytes: Vec<u8>,
}

impl ColumnDigest {
    pub(crate) fn new(name: &str, kind: Type) -> Self {
        let mut blocks = Sha256::new();
        blocks.update((name.len() as u32).to_le_bytes());
        blocks.update(name);
        let code = match kind {
            Type::Boolean => 0,
            Type::Integer => 1,
            Type::Number => 2,
            Type::Text => 3,
            Type::Time => 4_u8,
            Type::Tensor => 5,
        };
        blocks.update([code]);
        Self {
            blocks,
            bytes: Vec::new(),
        }
    }

    /// Adds the column's cells of the next block.
    pub(crate) fn block(&mut self, rows: usize, column: &Column) {
        let mut block = Sha256::new();
        block.update((rows as u32).to_le_bytes());
        let nulls = column.nulls();
        block.update([u8::from(nulls.is_some())]);
        if let Some(nulls) = nulls {
            let bits = nulls.chunks(8).map(|group| {
                let bit = |(at, null): (usize, &bool)| u8::from(*null) << at;
                group.iter().enumerate().map(bit).fold(0, |a, b| a | b)
            });
            self.bytes.clear();
            self.bytes.extend(bits);
            block.update(&self.bytes);
        }
        match column.cells() {
            Cells::Booleans(cells) => block.update(cells),
            Cells::Integers(cells) | Cells::Times(cells) => {
                block.update(words(&mut self.bytes, cells, |x| x.to_le_bytes()));
            }
            Cells::Numbers(cells) => {
                block.update(words(&mut self.bytes, cells, |x| x.to_bits().to_le_bytes()));
            }
            Cells::Texts { ends, text } => {
                self.bytes.clear();
                let mut last = 0;
                for end in ends {
                    self.bytes.extend_from_slice(&(end - last).to_le_bytes());
                    last = *end;
                }
                block.update(&self.bytes);
                block.update(text);
            }
            Cells::Tensors(cells) => {
                self.bytes.clear();
                for row in 0..cells.len() {
                    let shape = cells.get(row).map_or(&[][..], |(_, shape)| shape);
                    self.bytes.push(shape.len() as u8);
                    let sides = shape.iter().flat_map(|side| (*side as u32).to_le_bytes());
                    self.bytes.extend(sides);
                }
                block.update(&self.bytes);
                // Some at a time: a block of tensors need not be in memory twice.
                for part in cells.values().chunks(BLOCK) {
                    block.update(words(&mut self.bytes, part, |x| x.to_bits().to_le_bytes()));
                }
            }
        }
        self.blocks.update(block.finalize());
    }
}

/// The digest of a table of these columns.
pub(crate) fn table(rows: u64, columns: Vec<ColumnDigest>) -> TableDigest {
    let mut table = Sha256::new();
    table.update(BEGIN);
    table.update(rows.to_le_bytes());
    table.update((columns.len() as u32).to_le_bytes());
    for column in columns {
        table.update(column.blocks.finalize());
    }
    table.finalize().into()
}

/// The bytes of cells of eight each.
fn words<'a, T: Copy>(bytes: &'a mut Vec<u8>, cells: &[T], of: impl Fn(T) -> [u8; 8]) -> &'a [u8] {
    bytes.resize(cells.len() * 8, 0);
    let (groups, _) = bytes.as_chunks_mut::<8>();
    for (group, cell) in groups.iter_mut().zip(cells) {
        *group = of(*cell);
    }
    bytes
}

//! One column of a block of rows, in canonical cells: what every format becomes, and what is
//! digested and profiled.

use binnacle_sketch::profile::{BLOCK, NO_TIME};

use crate::schema::Type;
use crate::tensor::Tensors;

/// The cells. A null has a cell too, whose bytes the digest defines.
#[derive(Clone, Debug)]
pub(crate) enum Cells {
    Booleans(Vec<u8>),
    Integers(Vec<i64>),
    /// A null is NaN, as is NaN.
    Numbers(Vec<f64>),
    Texts {
        /// Where each cell ends in the text.
        ends: Vec<u32>,
        text: String,
    },
    Times(Vec<i64>),
    Tensors(Tensors),
}

/// The cells of one column, up to [`BLOCK`] of them.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    cells: Cells,
    /// Empty as long as there is no null.
    nulls: Vec<bool>,
    null_count: u64,
    /// The cells as numbers, for what is no number but counted as one.
    numbers: Vec<f64>,
}

impl Column {
    pub(crate) fn new(kind: Type) -> Self {
        let cells = match kind {
            Type::Boolean => Cells::Booleans(Vec::with_capacity(BLOCK)),
            Type::Integer => Cells::Integers(Vec::with_capacity(BLOCK)),
            Type::Number => Cells::Numbers(Vec::with_capacity(BLOCK)),
            Type::Text => Cells::Texts {
                ends: Vec::with_capacity(BLOCK),
                text: String::new(),
            },
            Type::Time => Cells::Times(Vec::with_capacity(BLOCK)),
            Type::Tensor => Cells::Tensors(Tensors::default()),
        };
        Self {
            cells,
            nulls: Vec::new(),
            null_count: 0,
            numbers: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.cells {
            Cells::Booleans(cells) => cells.len(),
            Cells::Integers(cells) | Cells::Times(cells) => cells.len(),
            Cells::Numbers(cells) => cells.len(),
            Cells::Texts { ends, .. } => ends.len(),
            Cells::Tensors(cells) => cells.len(),
        }
    }

    pub(crate) fn clear(&mut self) {
        match &mut self.cells {
            Cells::Booleans(cells) => cells.clear(),
            Cells::Integers(cells) | Cells::Times(cells) => cells.clear(),
            Cells::Numbers(cells) => cells.clear(),
            Cells::Texts { ends, text } => {
                ends.clear();
                text.clear();
            }
            Cells::Tensors(cells) => cells.clear(),
        }
        self.nulls.clear();
        self.null_count = 0;
    }

    pub(crate) fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Cells to be added in bulk; nulls among them are named by [`Self::mark_nulls`].
    pub(crate) fn cells_mut(&mut self) -> &mut Cells {
        &mut self.cells
    }

    /// Which cells are null; `None` when none is.
    pub(crate) fn nulls(&self) -> Option<&[bool]> {
        (self.null_count > 0).then_some(&self.nulls)
    }

    pub(crate) fn null_count(&self) -> u64 {
        self.null_count
    }

    /// Adds a null.
    pub(crate) fn push_null(&mut self) {
        let at = self.len();
        match &mut self.cells {
            Cells::Booleans(cells) => cells.push(0),
            Cells::Integers(cells) | Cells::Times(cells) => cells.push(0),
            Cells::Numbers(cells) => cells.push(f64::NAN),
            Cells::Texts { ends, text } => ends.push(text.len() as u32),
            Cells::Tensors(cells) => cells.push_null(),
        }
        self.nulls.resize(at, false);
        self.nulls.push(true);
        self.null_count += 1;
    }

    /// Says of the last cells, as many as there are answers, which are null. Those become what
    /// the digest defines.
    pub(crate) fn mark_nulls(&mut self, null: impl ExactSizeIterator<Item = bool>) {
        let from = self.len().saturating_sub(null.len());
        self.nulls.resize(from, false);
        self.nulls.extend(null);
        let fresh = self.nulls.get(from..).unwrap_or_default();
        self.null_count += fresh.iter().filter(|null| **null).count() as u64;
        match &mut self.cells {
            Cells::Booleans(cells) => blank(cells, fresh, 0),
            Cells::Integers(cells) | Cells::Times(cells) => blank(cells, fresh, 0),
            Cells::Numbers(cells) => blank(cells, fresh, f64::NAN),
            // A null has no bytes of these.
            Cells::Texts { .. } | Cells::Tensors(_) => {}
        }
    }

    /// Makes the list of nulls as long as the cells, and the cells numbers where they are
    /// counted as such.
    pub(crate) fn seal(&mut self) {
        let rows = self.len();
        if self.null_count > 0 {
            self.nulls.resize(rows, false);
        }
        let nulls = self.nulls.iter().copied().chain(std::iter::repeat(false));
        let number = |x: f64, null: bool| if null { f64::NAN } else { x };
        self.numbers.clear();
        match &self.cells {
            Cells::Booleans(cells) => {
                let cells = cells.iter().zip(nulls);
                self.numbers
                    .extend(cells.map(|(x, null)| number(f64::from(*x), null)));
            }
            Cells::Integers(cells) if self.null_count == 0 => {
                self.numbers.extend(cells.iter().map(|x| *x as f64));
            }
            Cells::Integers(cells) => {
                let cells = cells.iter().zip(nulls);
                self.numbers
                    .extend(cells.map(|(x, null)| number(*x as f64, null)));
            }
            Cells::Numbers(_) | Cells::Texts { .. } | Cells::Times(_) | Cells::Tensors(_) => {}
        }
    }

    /// The cells as numbers, NaN where there is none. Empty for text, times and tensors.
    pub(crate) fn numbers(&self) -> &[f64] {
        match &self.cells {
            Cells::Numbers(cells) => cells,
            Cells::Booleans(_)
            | Cells::Integers(_)
            | Cells::Texts { .. }
            | Cells::Times(_)
            | Cells::Tensors(_) => &self.numbers,
        }
    }

    /// The text of a row.
    pub(crate) fn text(&self, row: usize) -> Option<&str> {
        let Cells::Texts { ends, text } = &self.cells else {
            return None;
        };
        if self.nulls.get(row).copied().unwrap_or(false) {
            return None;
        }
        let from = row.checked_sub(1).and_then(|last| ends.get(last)).copied();
        text.get(from.unwrap_or(0) as usize..*ends.get(row)? as usize)
    }

    /// The tensor of a row: its values and its shape.
    pub(crate) fn tensor(&self, row: usize) -> Option<(&[f64], &[usize])> {
        let Cells::Tensors(cells) = &self.cells else {
            return None;
        };
        cells.get(row)
    }

    /// Values of all tensors.
    pub(crate) fn tensor_values(&self) -> usize {
        match &self.cells {
            Cells::Tensors(cells) => cells.values().len(),
            Cells::Booleans(_)
            | Cells::Integers(_)
            | Cells::Numbers(_)
            | Cells::Texts { .. }
            | Cells::Times(_) => 0,
        }
    }

    /// The times of all rows, [`NO_TIME`] where there is none.
    pub(crate) fn times(&self) -> Option<Vec<i64>> {
        let Cells::Times(cells) = &self.cells else {
            return None;
        };
        let mut times = cells.clone();
        blank(&mut times, &self.nulls, NO_TIME);
        Some(times)
    }
}

/// Writes `none` over the last cells, where they are null.
fn blank<T: Copy>(cells: &mut [T], nulls: &[bool], none: T) {
    let from = cells.len().saturating_sub(nulls.len());
    for (cell, null) in cells.iter_mut().skip(from).zip(nulls) {
        if *null {
            *cell = none;
        }
    }
}

/// A number as it is digested and counted: one zero, one NaN.
#[inline]
pub(crate) fn canonical(x: f64) -> f64 {
    if x.is_nan() { f64::NAN } else { x + 0.0 }
}

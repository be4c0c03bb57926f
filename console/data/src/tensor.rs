//! Tensors: images, embeddings and the like, as cells of a column.
//!
//! A cell is nested lists of numbers. All lists of one depth within a cell are equally long, and
//! their lengths are its shape; the cells of a column may have different shapes. A number that is
//! null is NaN. What holds nothing has no sides behind the first that is 0: how deep an empty list
//! would go is not always known.

use binnacle_sketch::profile::BLOCK;

use crate::error::{At, DataError};

/// Values of a tensor at most. A block of such cells takes 256 MB; an image of 90 × 90 is watched
/// as well as a greater one, and a greater embedding is seldom met.
pub const TENSOR_VALUES: usize = 8_192;
/// Sides of a tensor at most.
pub const TENSOR_SIDES: usize = 8;
/// Values of all tensors of a block at most: 256 MB.
pub(crate) const BLOCK_VALUES: usize = BLOCK * TENSOR_VALUES;

/// Why lists are no tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Lists of one depth are not equally long, or one of them is a number or null.
    Ragged,
    /// Something in them is no number.
    NoNumber,
    /// More than [`TENSOR_SIDES`] within another.
    Deep,
    /// More than [`TENSOR_VALUES`]: so many.
    Long(usize),
}

impl Fault {
    /// The error for the person who wrote it.
    pub(crate) fn told(self, at: At, column: String) -> DataError {
        let why = match self {
            Self::Long(values) => return DataError::LongTensor { at, column, values },
            Self::Ragged => "its lists are not equally long",
            Self::NoNumber => "its lists hold something that is no number",
            Self::Deep => "its lists lie in more than seven others",
        };
        DataError::NoTensor { at, column, why }
    }
}

/// The tensors of a block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tensors {
    values: Vec<f64>,
    sides: Vec<usize>,
    /// Where each cell ends among the values, and among the sides. A null has neither.
    ends: Vec<(usize, usize)>,
}

impl Tensors {
    /// Adds a cell: of this shape, which is that of its values.
    pub(crate) fn push(&mut self, values: &[f64], shape: &[usize]) -> Result<(), Fault> {
        if values.len() > TENSOR_VALUES {
            return Err(Fault::Long(values.len()));
        }
        if shape.len() > TENSOR_SIDES {
            return Err(Fault::Deep);
        }
        self.values.extend_from_slice(values);
        let sides = shape.iter().position(|side| *side == 0);
        let sides = sides.and_then(|none| shape.get(..=none));
        self.sides.extend_from_slice(sides.unwrap_or(shape));
        self.end();
        Ok(())
    }

    pub(crate) fn push_null(&mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.ends.push((self.values.len(), self.sides.len()));
    }

    /// Cells.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The values of all cells, one after another.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.sides.clear();
        self.ends.clear();
    }

    /// The values and the shape of a row; `None` where it is null.
    pub(crate) fn get(&self, row: usize) -> Option<(&[f64], &[usize])> {
        let before = row.checked_sub(1).and_then(|last| self.ends.get(last));
        let (from, first) = before.copied().unwrap_or((0, 0));
        let (to, last) = *self.ends.get(row)?;
        let shape = self.sides.get(first..last)?;
        let values = self.values.get(from..to)?;
        (!shape.is_empty()).then_some((values, shape))
    }
}

/// Lists that are being read, from the outermost inwards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    values: Vec<f64>,
    /// Numbers that were met: more than are kept, where there are too many.
    count: usize,
    /// The length of the lists of each depth, once one has ended.
    sides: Vec<Option<usize>>,
    /// How many lists the numbers lie in, once one was met.
    depth: Option<usize>,
    fault: Option<Fault>,
}

impl Lists {
    /// A list begins that lies in so many others.
    pub(crate) fn begin(&mut self, depth: usize) {
        if self.depth.is_some_and(|numbers| depth >= numbers) {
            self.wrong(Fault::Ragged);
        }
        if depth >= TENSOR_SIDES {
            self.wrong(Fault::Deep);
        } else if depth >= self.sides.len() {
            self.sides.resize(depth + 1, None);
        }
    }

    /// A list ends that lies in so many others.
    pub(crate) fn end(&mut self, depth: usize, length: usize) {
        let is_other = self.sides.get_mut(depth).is_some_and(|side| {
            let known = *side.get_or_insert(length);
            known != length
        });
        if is_other {
            self.wrong(Fault::Ragged);
        }
    }

    /// A number that lies in so many lists; NaN for a null.
    pub(crate) fn number(&mut self, depth: usize, x: f64) {
        if *self.depth.get_or_insert(depth) != depth || self.sides.len() > depth {
            self.wrong(Fault::Ragged);
        }
        self.count += 1;
        if self.count <= TENSOR_VALUES {
            self.values.push(x);
        }
    }

    /// The first that is wrong is told.
    pub(crate) fn wrong(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// The values and the shape.
    pub(crate) fn finish(self) -> Result<(Vec<f64>, Vec<usize>), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.count > TENSOR_VALUES {
            return Err(Fault::Long(self.count));
        }
        let sides = self.sides.into_iter().map(Option::unwrap_or_default);
        Ok((self.values, sides.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_nothing_ends_its_shape_there_and_a_null_has_none() {
        let mut tensors = Tensors::default();
        tensors.push(&[1.0, 2.0], &[1, 2]).unwrap();
        tensors.push(&[], &[2, 0, 7]).unwrap();
        tensors.push_null();
        tensors.push(&[3.0], &[1]).unwrap();
        let cells: Vec<_> = (0..5).map(|row| tensors.get(row)).collect();
        assert_eq!(cells[0], Some((&[1.0, 2.0][..], &[1, 2][..])));
        assert_eq!(cells[1], Some((&[][..], &[2, 0][..])));
        assert_eq!((cells[2], cells[4]), (None, None));
        assert_eq!(cells[3], Some((&[3.0][..], &[1][..])));
        let long = vec![0.0; TENSOR_VALUES + 1];
        let fault = tensors.push(&long, &[long.len()]).unwrap_err();
        assert_eq!(fault, Fault::Long(TENSOR_VALUES + 1));
        assert_eq!(tensors.push(&[1.0], &[1; 9]), Err(Fault::Deep));
        assert_eq!(tensors.len(), 4, "and nothing of them is kept");
    }
}

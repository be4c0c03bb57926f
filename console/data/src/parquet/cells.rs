//! Arrow's arrays as canonical cells.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal32Type, Decimal64Type, Decimal128Type, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, FixedSizeListArray, GenericListArray, OffsetSizeTrait};
use arrow_schema::{DataType, TimeUnit};

use crate::block::{Cells, Column, canonical};
use crate::error::{At, DataError};
use crate::schema::{CELL_BYTES, Type, shown};
use crate::tensor::{Fault, Tensors};

const DAY_US: i64 = 86_400_000_000;

/// A cell that is none: its row within the array, and why.
pub(super) struct Odd {
    row: usize,
    why: Why,
}

enum Why {
    /// Past what 64 bits hold.
    TooGreat(u64),
    /// Longer than a cell may be.
    TooLong,
    /// Lists that are no tensor.
    Lists(Fault),
    /// Not what the schema says.
    Other(String),
}

impl Odd {
    /// The error for the person who wrote the file; `first` is the array's first row, from 1.
    pub(super) fn told(self, first: u64, name: &str) -> DataError {
        let at = At::Row(first + self.row as u64);
        let column = shown(name);
        match self.why {
            Why::TooGreat(value) => DataError::TooGreat { at, column, value },
            Why::TooLong => DataError::LongCell { at, column },
            Why::Lists(fault) => fault.told(at, column),
            Why::Other(kind) => DataError::Unreadable { column, kind },
        }
    }
}

/// Adds an array to a column.
pub(super) fn append(column: &mut Column, kind: Type, array: &ArrayRef) -> Result<(), Odd> {
    match (column.cells_mut(), kind) {
        (Cells::Numbers(cells), _) => numbers(cells, array)?,
        (Cells::Integers(cells), _) => integers(cells, array)?,
        (Cells::Times(cells), _) => times(cells, array)?,
        (Cells::Booleans(cells), _) => {
            let array = array.as_boolean_opt().ok_or_else(|| other(array))?;
            cells.extend(array.values().iter().map(u8::from));
        }
        (Cells::Texts { ends, text }, _) => texts(ends, text, array)?,
        (Cells::Tensors(cells), _) => tensors(cells, array)?,
    }
    if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
        column.mark_nulls(nulls.iter().map(|valid| !valid));
    }
    Ok(())
}

fn other(array: &ArrayRef) -> Odd {
    let why = Why::Other(shown(&array.data_type().to_string()));
    Odd { row: 0, why }
}

/// Adds every value of an array of `T`; nulls hold anything.
fn each<T: ArrowPrimitiveType, U>(
    cells: &mut Vec<U>,
    array: &ArrayRef,
    of: impl Fn(T::Native) -> U,
) -> Result<(), Odd> {
    let array = array.as_primitive_opt::<T>().ok_or_else(|| other(array))?;
    cells.extend(array.values().iter().map(|x| of(*x)));
    Ok(())
}

fn numbers(cells: &mut Vec<f64>, array: &ArrayRef) -> Result<(), Odd> {
    // What `kind` let pass is matched here; a type that it does not know never comes so far.
    #[allow(clippy::wildcard_enum_match_arm)]
    match array.data_type() {
        DataType::Float64 => each::<Float64Type, _>(cells, array, canonical),
        DataType::Float32 => each::<Float32Type, _>(cells, array, |x| canonical(f64::from(x))),
        DataType::Float16 => each::<Float16Type, _>(cells, array, |x| canonical(x.to_f64())),
        DataType::Decimal32(_, scale) => {
            let unit = 10_f64.powi(i32::from(*scale));
            each::<Decimal32Type, _>(cells, array, |x| canonical(f64::from(x) / unit))
        }
        DataType::Decimal64(_, scale) => {
            let unit = 10_f64.powi(i32::from(*scale));
            each::<Decimal64Type, _>(cells, array, |x| canonical(x as f64 / unit))
        }
        DataType::Decimal128(_, scale) => {
            let unit = 10_f64.powi(i32::from(*scale));
            each::<Decimal128Type, _>(cells, array, |x| canonical(x as f64 / unit))
        }
        _ => Err(other(array)),
    }
}

fn integers(cells: &mut Vec<i64>, array: &ArrayRef) -> Result<(), Odd> {
    #[allow(clippy::wildcard_enum_match_arm)]
    match array.data_type() {
        DataType::Int64 => each::<Int64Type, _>(cells, array, |x| x),
        DataType::Int32 => each::<Int32Type, _>(cells, array, i64::from),
        DataType::Int16 => each::<Int16Type, _>(cells, array, i64::from),
        DataType::Int8 => each::<Int8Type, _>(cells, array, i64::from),
        DataType::UInt32 => each::<UInt32Type, _>(cells, array, i64::from),
        DataType::UInt16 => each::<UInt16Type, _>(cells, array, i64::from),
        DataType::UInt8 => each::<UInt8Type, _>(cells, array, i64::from),
        DataType::UInt64 => {
            let values = array.as_primitive_opt::<UInt64Type>();
            let values = values.ok_or_else(|| other(array))?;
            for (row, x) in values.values().iter().enumerate() {
                match i64::try_from(*x) {
                    Ok(x) => cells.push(x),
                    Err(_) if array.is_null(row) => cells.push(0),
                    Err(_) => {
                        let why = Why::TooGreat(*x);
                        return Err(Odd { row, why });
                    }
                }
            }
            Ok(())
        }
        _ => Err(other(array)),
    }
}

fn times(cells: &mut Vec<i64>, array: &ArrayRef) -> Result<(), Odd> {
    #[allow(clippy::wildcard_enum_match_arm)]
    match array.data_type() {
        DataType::Date32 => each::<Date32Type, _>(cells, array, |day| i64::from(day) * DAY_US),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => {
                each::<TimestampSecondType, _>(cells, array, |x| x.saturating_mul(1_000_000))
            }
            TimeUnit::Millisecond => {
                each::<TimestampMillisecondType, _>(cells, array, |x| x.saturating_mul(1_000))
            }
            TimeUnit::Microsecond => each::<TimestampMicrosecondType, _>(cells, array, |x| x),
            TimeUnit::Nanosecond => {
                each::<TimestampNanosecondType, _>(cells, array, |x| x.div_euclid(1_000))
            }
        },
        _ => Err(other(array)),
    }
}

fn texts(ends: &mut Vec<u32>, text: &mut String, array: &ArrayRef) -> Result<(), Odd> {
    let array = array.as_string_opt::<i32>().ok_or_else(|| other(array))?;
    for (row, value) in array.iter().enumerate() {
        let value = value.unwrap_or_default();
        if value.len() > CELL_BYTES {
            let why = Why::TooLong;
            return Err(Odd { row, why });
        }
        text.push_str(value);
        ends.push(text.len() as u32);
    }
    Ok(())
}

/// The lists of one depth.
enum Lists {
    Small(GenericListArray<i32>),
    Large(GenericListArray<i64>),
    Fixed(FixedSizeListArray),
}

impl Lists {
    /// Lists, and what they hold.
    fn of(array: &ArrayRef) -> Option<(Self, ArrayRef)> {
        if let Some(lists) = array.as_list_opt::<i32>() {
            return Some((Self::Small(lists.clone()), lists.values().clone()));
        }
        if let Some(lists) = array.as_list_opt::<i64>() {
            return Some((Self::Large(lists.clone()), lists.values().clone()));
        }
        let lists = array.as_fixed_size_list_opt()?;
        Some((Self::Fixed(lists.clone()), lists.values().clone()))
    }

    /// Where a list begins in what they hold, which is where the one before it ends.
    fn at(&self, list: usize) -> usize {
        fn offset<O: OffsetSizeTrait>(lists: &GenericListArray<O>, list: usize) -> usize {
            lists
                .value_offsets()
                .get(list)
                .map_or(0, |at| at.as_usize())
        }
        match self {
            Self::Small(lists) => offset(lists, list),
            Self::Large(lists) => offset(lists, list),
            Self::Fixed(lists) => list * usize::try_from(lists.value_length()).unwrap_or(0),
        }
    }

    fn is_null(&self, list: usize) -> bool {
        match self {
            Self::Small(lists) => lists.is_null(list),
            Self::Large(lists) => lists.is_null(list),
            Self::Fixed(lists) => lists.is_null(list),
        }
    }
}

fn tensors(cells: &mut Tensors, array: &ArrayRef) -> Result<(), Odd> {
    let (mut depths, mut inner) = (Vec::new(), array.clone());
    while let Some((lists, held)) = Lists::of(&inner) {
        depths.push(lists);
        inner = held;
    }
    let (mut from, mut to) = (0, array.len());
    for lists in &depths {
        (from, to) = (lists.at(from), lists.at(to));
    }
    let values = values(&inner.slice(from, to.saturating_sub(from)))?;
    let mut shape = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            cells.push_null();
            continue;
        }
        shape.clear();
        let (mut first, mut last) = (row, row + 1);
        for (depth, lists) in depths.iter().enumerate() {
            let side = |list: usize| lists.at(list + 1).saturating_sub(lists.at(list));
            let own = if first < last { side(first) } else { 0 };
            let odd = |list: usize| side(list) != own || (depth > 0 && lists.is_null(list));
            if (first..last).any(odd) {
                let why = Why::Lists(Fault::Ragged);
                return Err(Odd { row, why });
            }
            shape.push(own);
            (first, last) = (lists.at(first), lists.at(last));
        }
        let own = values.get(first.saturating_sub(from)..last.saturating_sub(from));
        let pushed = cells.push(own.unwrap_or_default(), &shape);
        pushed.map_err(|fault| Odd {
            row,
            why: Why::Lists(fault),
        })?;
    }
    Ok(())
}

/// The numbers of an array, NaN where there is none.
fn values(array: &ArrayRef) -> Result<Vec<f64>, Odd> {
    let mut values = Vec::with_capacity(array.len());
    // Whole numbers past what 64 bits with a sign hold are numbers like any other here.
    if array.data_type() == &DataType::UInt64 {
        each::<UInt64Type, _>(&mut values, array, |x| x as f64)?;
    } else if array.data_type().is_integer() {
        let mut whole = Vec::with_capacity(array.len());
        integers(&mut whole, array)?;
        values.extend(whole.into_iter().map(|x| x as f64));
    } else {
        numbers(&mut values, array)?;
    }
    if let Some(nulls) = array.nulls() {
        for (x, valid) in values.iter_mut().zip(nulls.iter()) {
            *x = if valid { *x } else { f64::NAN };
        }
    }
    Ok(values)
}

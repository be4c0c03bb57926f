//! A list that is shared and grows at its end: cloning it and adding to it cost the same however
//! long it is, and it takes little more than what is in it.
//!
//! It is blocks in a persistent vector. A persistent vector by itself keeps five chunks of 64
//! places for whatever is longer than one chunk, most of them empty: for a model of a hundred
//! versions that was three times what the versions take.

use std::sync::Arc;

use imbl::Vector;

use crate::packed::{Malformed, Packed, Packer, Unpacker};

/// Places of one block: what is copied when something is added while an older copy is held.
const BLOCK: usize = 32;

/// A list.
#[derive(Clone, Debug)]
pub struct List<T: Clone> {
    /// All but the last have [`BLOCK`] places in use, and no more.
    blocks: Vector<Arc<Vec<T>>>,
    len: usize,
}

impl<T: Clone> List<T> {
    /// How long it is.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Each, from the first on.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.blocks.iter().flat_map(|block| block.iter())
    }

    /// The one at a place, from 0.
    pub fn get(&self, place: usize) -> Option<&T> {
        self.blocks.get(place / BLOCK)?.get(place % BLOCK)
    }

    /// The one at a place, to be changed.
    pub fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        let block = self.blocks.get_mut(place / BLOCK)?;
        Arc::make_mut(block).get_mut(place % BLOCK)
    }

    /// The first.
    pub fn front(&self) -> Option<&T> {
        self.get(0)
    }

    /// The last.
    pub fn last(&self) -> Option<&T> {
        self.get(self.len.checked_sub(1)?)
    }

    /// Adds one.
    pub fn push_back(&mut self, one: T) {
        match self.blocks.get_mut(self.len / BLOCK) {
            Some(block) => {
                let block = Arc::make_mut(block);
                // Room for this one alone: most blocks are never added to again.
                block.reserve_exact(1);
                block.push(one);
            }
            None => self.blocks.push_back(Arc::new(vec![one])),
        }
        self.len += 1;
    }

    /// Whether it is in the list.
    pub fn contains(&self, one: &T) -> bool
    where
        T: PartialEq,
    {
        self.iter().any(|other| other == one)
    }
}

impl<T: Clone> Default for List<T> {
    fn default() -> Self {
        Self {
            blocks: Vector::new(),
            len: 0,
        }
    }
}

impl<T: Clone + PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<T: Clone + Eq> Eq for List<T> {}

impl<T: Clone> Extend<T> for List<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, all: I) {
        all.into_iter().for_each(|one| self.push_back(one));
    }
}

impl<T: Clone> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut list = Self::default();
        list.extend(all);
        list
    }
}

impl<T: Packed + Clone> Packed for List<T> {
    fn shape(into: &mut String) {
        Vec::<T>::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        to.number(self.len as u64);
        self.iter().for_each(|one| one.pack(to));
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let mut left = from.number()?;
        let mut list = Self::default();
        while left > 0 {
            // A block at once, exactly as large as what is in it.
            let count = left.min(BLOCK as u64);
            let mut block = Vec::with_capacity(count as usize);
            for _ in 0..count {
                block.push(T::unpack(from)?);
            }
            list.len += block.len();
            list.blocks.push_back(Arc::new(block));
            left -= count;
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_vector_and_an_older_copy_stays_as_it_was(
            first in prop::collection::vec(any::<u64>(), 0..70),
            then in prop::collection::vec(any::<u64>(), 0..70),
            at in any::<prop::sample::Index>(),
        ) {
            let mut list: List<u64> = first.iter().copied().collect();
            let older = list.clone();
            let mut vector = [first.as_slice(), &then].concat();
            list.extend(then);
            if !vector.is_empty() {
                let at = at.index(vector.len());
                vector[at] = 7;
                *list.get_mut(at).unwrap() = 7;
                prop_assert_eq!(list.get(at), Some(&7));
            }
            prop_assert!(older.iter().eq(&first));
            prop_assert!(list.iter().eq(&vector));
            prop_assert!(list.iter().rev().eq(vector.iter().rev()));
            prop_assert_eq!((list.len(), list.is_empty()), (vector.len(), vector.is_empty()));
            prop_assert_eq!((list.front(), list.last()), (vector.first(), vector.last()));
            let mut packer = Packer::default();
            list.pack(&mut packer);
            let mut unpacker = Unpacker::new(&packer.bytes);
            prop_assert_eq!(List::unpack(&mut unpacker), Ok(list));
        }
    }
}

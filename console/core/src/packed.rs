//! Values as bytes, for snapshots: small, quick to read, and only ever read by the release that
//! wrote them or one whose values have the same shape.
//!
//! A struct packs its fields in order ([`packed!`]); a field that is added and not packed does
//! not compile. What the bytes look like follows from the *shape*, which is spelt out
//! ([`Packed::shape`]) and goes into the snapshot's format: bytes of another shape are not read.
//! Names are written once and referred to from then on, and are shared when they are read.
//! Values that have a document ([`document!`]) are packed as that.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use imbl::{OrdMap, Vector};

use crate::name::Name;

mod numbers;

/// Bytes that are no snapshot of this release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not what this release packs: {0}")]
pub struct Malformed(pub(crate) &'static str);

/// A value that can be packed.
pub(crate) trait Packed: Sized {
    /// Says what the bytes are made of.
    fn shape(into: &mut String);
    fn pack(&self, to: &mut Packer);
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed>;
}

/// Packs one value after the other.
#[derive(Default)]
pub(crate) struct Packer {
    pub(crate) bytes: Vec<u8>,
    names: HashMap<Name, u64>,
}

/// Unpacks one value after the other.
pub(crate) struct Unpacker<'a> {
    bytes: &'a [u8],
    names: Vec<Name>,
}

impl Packer {
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    pub(crate) fn block(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let names = Vec::new();
        Self { bytes, names }
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self
                .bytes
                .split_first()
                .ok_or(Malformed("they end early"))?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed("a number has no end"))
    }

    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let split = self.bytes.split_at_checked(count);
        let (taken, rest) = split.ok_or(Malformed("they end early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn block(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.number()?;
        self.take(count)
    }

    /// Nothing is left.
    pub(crate) fn finish(self) -> Result<(), Malformed> {
        match self.bytes.is_empty() {
            true => Ok(()),
            false => Err(Malformed("something follows them")),
        }
    }
}

/// Packs a struct field by field.
macro_rules! packed {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl $crate::packed::Packed for $type {
            fn shape(into: &mut String) {
                into.push_str(concat!(stringify!($type), "{"));
                $(
                    into.push_str(concat!(stringify!($field), ":"));
                    $crate::packed::shape_of(|value: &$type| &value.$field, into);
                )*
                into.push('}');
            }

            fn pack(&self, to: &mut $crate::packed::Packer) {
                let Self { $($field),* } = self;
                $($crate::packed::Packed::pack($field, to);)*
            }

            fn unpack(
                from: &mut $crate::packed::Unpacker<'_>,
            ) -> Result<Self, $crate::packed::Malformed> {
                Ok(Self { $($field: $crate::packed::Packed::unpack(from)?),* })
            }
        }
    };
}

/// Packs a value as its document.
macro_rules! document {
    ($type:ty) => {
        impl $crate::packed::Packed for $type {
            fn shape(into: &mut String) {
                into.push_str(concat!("document ", stringify!($type), ","));
            }

            fn pack(&self, to: &mut $crate::packed::Packer) {
                let document = serde_json::to_vec(self);
                to.block(&document.expect("it has string keys and finite numbers"));
            }

            fn unpack(
                from: &mut $crate::packed::Unpacker<'_>,
            ) -> Result<Self, $crate::packed::Malformed> {
                let read = serde_json::from_slice(from.block()?);
                read.map_err(|_| {
                    $crate::packed::Malformed(concat!("a ", stringify!($type), " is none"))
                })
            }
        }
    };
}

pub(crate) use {document, packed};

/// The shape of what a field holds, by way of whoever reads it: a macro sees no types.
pub(crate) fn shape_of<S, T: Packed>(_field: fn(&S) -> &T, into: &mut String) {
    T::shape(into);
}

impl Packed for u64 {
    fn shape(into: &mut String) {
        into.push_str("u64,");
    }
    fn pack(&self, to: &mut Packer) {
        to.number(*self);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        from.number()
    }
}

impl Packed for i64 {
    fn shape(into: &mut String) {
        into.push_str("i64,");
    }
    fn pack(&self, to: &mut Packer) {
        to.number(((self << 1) ^ (self >> 63)) as u64);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let number = from.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }
}

impl Packed for bool {
    fn shape(into: &mut String) {
        into.push_str("bool,");
    }
    fn pack(&self, to: &mut Packer) {
        to.number(u64::from(*self));
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        Ok(from.number()? != 0)
    }
}

impl<const N: usize> Packed for [u8; N] {
    fn shape(into: &mut String) {
        into.push_str(&format!("{N} bytes,"));
    }
    fn pack(&self, to: &mut Packer) {
        to.bytes.extend_from_slice(self);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let bytes = from.take(N as u64)?.try_into();
        bytes.map_err(|_| Malformed("they end early"))
    }
}

impl Packed for Arc<str> {
    fn shape(into: &mut String) {
        into.push_str("text,");
    }
    fn pack(&self, to: &mut Packer) {
        to.block(self.as_bytes());
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(from.block()?);
        text.map(Self::from)
            .map_err(|_| Malformed("a text is none"))
    }
}

impl Packed for Name {
    fn shape(into: &mut String) {
        into.push_str("name,");
    }
    fn pack(&self, to: &mut Packer) {
        match to.names.get(self) {
            Some(&place) => to.number(place),
            None => {
                let place = to.names.len() as u64 + 1;
                to.names.insert(self.clone(), place);
                to.number(0);
                to.block(self.as_str().as_bytes());
            }
        }
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let not = Malformed("a name is none");
        match from.number()?.checked_sub(1) {
            Some(place) => {
                let known = from.names.get(usize::try_from(place).map_err(|_| not)?);
                known.cloned().ok_or(not)
            }
            None => {
                let text = std::str::from_utf8(from.block()?).map_err(|_| not)?;
                let name = Self::parse(text).map_err(|_| not)?;
                from.names.push(name.clone());
                Ok(name)
            }
        }
    }
}

impl<T: Packed> Packed for Option<T> {
    fn shape(into: &mut String) {
        into.push('?');
        T::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        self.is_some().pack(to);
        if let Some(value) = self {
            value.pack(to);
        }
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        match bool::unpack(from)? {
            true => T::unpack(from).map(Some),
            false => Ok(None),
        }
    }
}

impl<T: Packed> Packed for Arc<T> {
    fn shape(into: &mut String) {
        T::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        T::pack(self, to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        T::unpack(from).map(Self::new)
    }
}

impl<A: Packed, B: Packed> Packed for (A, B) {
    fn shape(into: &mut String) {
        A::shape(into);
        B::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        self.0.pack(to);
        self.1.pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        Ok((A::unpack(from)?, B::unpack(from)?))
    }
}

impl<A: Packed, B: Packed, C: Packed> Packed for (A, B, C) {
    fn shape(into: &mut String) {
        A::shape(into);
        B::shape(into);
        C::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        self.0.pack(to);
        self.1.pack(to);
        self.2.pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        Ok((A::unpack(from)?, B::unpack(from)?, C::unpack(from)?))
    }
}

fn pack_all<'a, T: Packed + 'a>(all: impl ExactSizeIterator<Item = &'a T>, to: &mut Packer) {
    to.number(all.len() as u64);
    all.for_each(|one| one.pack(to));
}

impl<T: Packed + Clone> Packed for Vector<T> {
    fn shape(into: &mut String) {
        into.push('*');
        T::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        pack_all(self.iter(), to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let count = from.number()?;
        (0..count).map(|_| T::unpack(from)).collect()
    }
}

impl<T: Packed> Packed for Vec<T> {
    fn shape(into: &mut String) {
        into.push('*');
        T::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        pack_all(self.iter(), to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let count = from.number()?;
        (0..count).map(|_| T::unpack(from)).collect()
    }
}

impl<K: Packed + Ord + Clone + Hash, V: Packed + Clone> Packed for OrdMap<K, V> {
    fn shape(into: &mut String) {
        into.push('#');
        K::shape(into);
        V::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        to.number(self.len() as u64);
        for (key, value) in self {
            key.pack(to);
            value.pack(to);
        }
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let count = from.number()?;
        (0..count).map(|_| <(K, V)>::unpack(from)).collect()
    }
}

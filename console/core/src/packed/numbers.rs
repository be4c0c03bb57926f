//! Numbers as bytes, alone and in rows: floats whole, so that what comes back is what went in.

use std::collections::BTreeMap;

use binnacle_sketch::Magnitudes;
use binnacle_sketch::profile::{Counts, Live};

use super::{Malformed, Packed, Packer, Unpacker};

/// Whole numbers that 64 bits hold.
macro_rules! whole {
    ($type:ty, $shape:literal) => {
        impl Packed for $type {
            fn shape(into: &mut String) {
                into.push_str($shape);
            }
            fn pack(&self, to: &mut Packer) {
                to.number(*self as u64);
            }
            fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
                let number = Self::try_from(from.number()?);
                number.map_err(|_| Malformed("a number is too great"))
            }
        }
    };
}

/// Floats in all of their bytes.
macro_rules! float {
    ($type:ty, $shape:literal) => {
        impl Packed for $type {
            fn shape(into: &mut String) {
                into.push_str($shape);
            }
            fn pack(&self, to: &mut Packer) {
                self.to_le_bytes().pack(to);
            }
            fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
                Packed::unpack(from).map(Self::from_le_bytes)
            }
        }
    };
}

// Snapshots of before write 32 bits as they write 64.
whole!(u32, "u64,");
whole!(usize, "u64,");
float!(f64, "f64,");
float!(f32, "f32,");

/// Bins: as many as there are until only empty ones follow.
impl<const N: usize> Packed for [u64; N] {
    fn shape(into: &mut String) {
        into.push_str(&format!("{N} bins,"));
    }
    fn pack(&self, to: &mut Packer) {
        let used = self.iter().rposition(|count| *count > 0);
        let used = used.map_or(0, |last| last + 1);
        used.pack(to);
        self.iter().take(used).for_each(|count| to.number(*count));
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let mut bins = [0; N];
        let used = usize::unpack(from)?;
        let used = bins.get_mut(..used);
        for count in used.ok_or(Malformed("there are too many bins"))? {
            *count = from.number()?;
        }
        Ok(bins)
    }
}

impl<const N: usize> Packed for [f64; N] {
    fn shape(into: &mut String) {
        into.push_str(&format!("{N} f64,"));
    }
    fn pack(&self, to: &mut Packer) {
        self.iter().for_each(|x| x.pack(to));
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let mut all = [0.0; N];
        for x in &mut all {
            *x = f64::unpack(from)?;
        }
        Ok(all)
    }
}

impl<T: Packed> Packed for Box<[T]> {
    fn shape(into: &mut String) {
        into.push('*');
        T::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        self.len().pack(to);
        self.iter().for_each(|one| one.pack(to));
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let count = from.number()?;
        (0..count).map(|_| T::unpack(from)).collect()
    }
}

impl<K: Packed + Ord, V: Packed> Packed for BTreeMap<K, V> {
    fn shape(into: &mut String) {
        into.push('#');
        K::shape(into);
        V::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        self.len().pack(to);
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

impl Packed for Counts {
    fn shape(into: &mut String) {
        into.push_str("counts,");
        <[u64; binnacle_sketch::profile::BINS]>::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        let Self {
            bins,
            missing,
            unseen,
            under,
            over,
        } = self;
        bins.pack(to);
        [*missing, *unseen, *under, *over].pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let bins = Packed::unpack(from)?;
        let [missing, unseen, under, over] = Packed::unpack(from)?;
        Ok(Self {
            bins,
            missing,
            unseen,
            under,
            over,
        })
    }
}

/// Buckets rise: each is written as how far it is from the one before.
impl Packed for Magnitudes {
    fn shape(into: &mut String) {
        into.push_str("magnitudes,");
    }
    fn pack(&self, to: &mut Packer) {
        let (width, buckets) = self.parts();
        to.number(u64::from(width));
        buckets.len().pack(to);
        let mut before = 0;
        for (bucket, count) in buckets {
            (i64::from(*bucket) - before).pack(to);
            to.number(*count);
            before = i64::from(*bucket);
        }
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let not = Malformed("magnitudes are none");
        let width = u8::try_from(from.number()?).map_err(|_| not)?;
        let count = from.number()?;
        let mut before = 0_i64;
        let buckets = (0..count).map(|_| {
            before = before.checked_add(i64::unpack(from)?).ok_or(not)?;
            let bucket = i32::try_from(before).map_err(|_| not)?;
            Ok((bucket, from.number()?))
        });
        let buckets = buckets.collect::<Result<Vec<_>, _>>()?;
        Self::from_parts(width, buckets).ok_or(not)
    }
}

impl Packed for Live {
    fn shape(into: &mut String) {
        Counts::shape(into);
        Magnitudes::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        let Self { counts, magnitudes } = self;
        counts.pack(to);
        magnitudes.pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let counts = Packed::unpack(from)?;
        let magnitudes = Packed::unpack(from)?;
        Ok(Self { counts, magnitudes })
    }
}

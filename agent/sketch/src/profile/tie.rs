//! Numbers that break ties: uniform on [0, 1), a function of a seed, a name and a counter.
//!
//! There is no state to carry from one number to the next, so any of them can be made again
//! later, on another machine and in another order. The same file has the hash that categories
//! are known by. Both are frozen: profiles made years ago are held against live values.

/// Step of the counter: 2^64 divided by the golden ratio, odd, so that every counter differs.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
/// Multipliers of the text hash: odd, with no pattern in their bits.
const FOLD: [u64; 2] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];

/// A stream of numbers that break ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ties {
    key: u64,
}

impl Ties {
    /// The stream called `name` under `seed`. Streams of different names have nothing in common.
    pub fn new(seed: u64, name: &str) -> Self {
        let key = mix(mix(seed.wrapping_add(STEP)) ^ hash(name.as_bytes()));
        Self { key }
    }

    /// 64 bits that belong to `counter`.
    #[inline]
    pub fn bits(self, counter: u64) -> u64 {
        mix(self.key.wrapping_add(counter.wrapping_mul(STEP)))
    }

    /// The number in [0, 1) that belongs to `counter`.
    #[inline]
    pub fn at(self, counter: u64) -> f64 {
        unit(self.bits(counter))
    }
}

/// The upper 53 bits as a number in [0, 1).
#[inline]
pub(crate) fn unit(bits: u64) -> f64 {
    const SCALE: f64 = 1.0 / (1_u64 << 53) as f64;
    (bits >> 11) as f64 * SCALE
}

/// Spreads every bit over all 64 (the finaliser of SplitMix64: Steele, Lea and Flood 2014).
#[inline]
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// What a category is known by: 64 bits of its text, never 0. Eight bytes are taken at a time,
/// since this is done for every live value; it resists accidents, not an adversary, who could
/// only make two categories look like one.
#[inline]
pub fn hash(text: &[u8]) -> u64 {
    let mut state = FOLD[0] ^ text.len() as u64;
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        state = folded(state ^ u64::from_le_bytes(*word), FOLD[1]);
    }
    let mut last = 0_u64;
    for byte in rest.iter().rev() {
        last = last << 8 | u64::from(*byte);
    }
    mix(folded(state ^ last, FOLD[1])).max(1)
}

/// Both halves of the product of `a` and `b`, folded into one.
#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_and_the_hash_are_frozen() {
        assert_eq!(hash(b""), 0x4e6a_e996_bbe4_4404);
        assert_eq!(hash(b"checking"), 0x301c_7498_06c5_6746);
        assert_eq!(hash(b"checking account"), 0x3479_cf8a_253e_70ce);
        assert_eq!(Ties::new(7, "age").bits(0), 0x6e88_afb5_ae35_9c7e);
        assert_eq!(Ties::new(7, "age").bits(1), 0xf284_6ca5_1bb5_a0ee);
    }

    #[test]
    fn the_numbers_fill_the_unit_interval_evenly() {
        let ties = Ties::new(1, "amount");
        let mut counts = [0_u32; 64];
        for counter in 0..64_000 {
            counts[(ties.at(counter) * 64.0) as usize] += 1;
        }
        let square = |count: &u32| (f64::from(*count) - 1_000.0).powi(2) / 1_000.0;
        let chi: f64 = counts.iter().map(square).sum();
        // 63 degrees of freedom: 103 is passed once in a thousand.
        assert!(chi < 103.0, "{chi}");
    }

    #[test]
    fn texts_that_differ_in_one_byte_have_different_hashes() {
        let mut seen = std::collections::BTreeSet::new();
        for length in 0..40 {
            let mut text = vec![b'a'; length];
            assert!(seen.insert(hash(&text)));
            for at in 0..length {
                text[at] = b'b';
                assert!(seen.insert(hash(&text)), "{length} {at}");
                text[at] = b'a';
            }
        }
    }
}

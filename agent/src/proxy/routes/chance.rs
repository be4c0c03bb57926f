//! Which of several a request is given: by a value, always the same; or by a number that looks
//! drawn. Both cost a few multiplications and take no lock.

/// What an endpoint's sticky values are hashed with: its name, so that who is among the few of
/// one endpoint is not among those of every other.
pub fn seed(endpoint: &str) -> u64 {
    hash(0, endpoint.as_bytes())
}

/// FNV-1a with a seed, and a last mix: the same on every host and in every build, since a value
/// must lead to the same version everywhere.
pub(super) fn hash(seed: u64, value: &[u8]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325 ^ seed;
    for &byte in value {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(state)
}

/// Numbers that look drawn, out of a counter: one multiplication more than counting.
#[derive(Debug)]
pub(crate) struct Draws {
    at: std::cell::Cell<u64>,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            at: std::cell::Cell::new(mix(seed)),
        }
    }

    pub(crate) fn next(&self) -> u64 {
        let at = self.at.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.at.set(at);
        mix(at)
    }
}

/// The last steps of SplitMix64.
fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

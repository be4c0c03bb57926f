//! Numbers by sign and order of magnitude: what twenty frozen bins cannot tell apart.
//!
//! Values that are a hundred times too great lie in one bin all, with those that are twice too
//! great. So live values are counted a second time, in buckets that need no reference: 32 to each
//! doubling (2.2 % wide on average, 3.2 % at most), kept only where something was counted. A
//! bucket is the upper bits of a double, so counting takes a shift, and no two machines differ.
//!
//! When more than [`BUCKETS`] are in use, all become twice as wide. What comes of values and
//! merges depends on the values alone, not on their order or grouping: the width is the least
//! at which they fit.

/// Buckets of one histogram at most: two kilobytes.
pub const BUCKETS: usize = 128;
/// Bits of a double below those that name a bucket: sign, eleven of the exponent, five more.
const BELOW: u32 = 47;
/// The widest buckets: one for each sign.
const WIDEST: u8 = 17;

/// Live numbers by magnitude.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Magnitudes {
    /// Each bucket is this many doublings wider than the narrowest.
    width: u8,
    /// Buckets in ascending order of their values, with their counts. 0 holds zero; the others
    /// are one more than their bits, with the sign of their values.
    buckets: Vec<(i32, u64)>,
}

impl Magnitudes {
    /// Counts a number. One that is not finite has no magnitude and is not counted.
    #[inline]
    pub fn add(&mut self, x: f64) {
        if !x.is_finite() {
            return;
        }
        self.put(wider(narrowest(x), self.width), 1);
        self.fit();
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.widen(self.width.max(other.width));
        for (bucket, count) in &other.buckets {
            self.put(wider(*bucket, self.width - other.width), *count);
        }
        self.fit();
    }

    /// What is written down of it: how much wider than the narrowest its buckets are, and each
    /// with its count, in ascending order.
    pub fn parts(&self) -> (u8, &[(i32, u64)]) {
        (self.width, &self.buckets)
    }

    /// The numbers that were written down so; `None` of what none are written down as.
    pub fn from_parts(width: u8, buckets: Vec<(i32, u64)>) -> Option<Self> {
        let ordered = buckets.is_sorted_by(|a, b| a.0 < b.0);
        let counted = buckets.iter().all(|(_, count)| *count > 0);
        let fits = buckets.len() <= BUCKETS && width <= WIDEST;
        let most = ((f64::MAX.to_bits() >> BELOW) as i32 + 1) >> width;
        let bounded = |(bucket, _): &(i32, u64)| bucket.unsigned_abs() <= most.unsigned_abs() + 1;
        let sound = ordered && counted && fits && buckets.iter().all(bounded);
        sound.then_some(Self { width, buckets })
    }

    /// How many numbers.
    pub fn count(&self) -> u64 {
        let counts = self.buckets.iter();
        counts.fold(0, |all, (_, count)| all.saturating_add(*count))
    }

    /// Buckets from the least values to the greatest: their ends, and how many lie between.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = (f64, f64, u64)> {
        self.buckets.iter().map(|(bucket, count)| {
            let (low, high) = ends(*bucket, self.width);
            (low, high, *count)
        })
    }

    /// The value below which this share of the numbers lies, taken to lie evenly within their
    /// buckets. `None` of no numbers.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let mut rest = share.clamp(0.0, 1.0) * self.count() as f64;
        let mut found = None;
        for (low, high, count) in self.buckets() {
            let count = count as f64;
            let part = (rest / count).clamp(0.0, 1.0);
            // Halves, so that the widest bucket has a middle.
            found = Some(low + (high / 2.0 - low / 2.0) * 2.0 * part);
            if rest <= count {
                break;
            }
            rest -= count;
        }
        found
    }

    fn put(&mut self, bucket: i32, count: u64) {
        let at = self.buckets.partition_point(|(there, _)| *there < bucket);
        match self.buckets.get_mut(at) {
            Some((there, all)) if *there == bucket => *all = all.saturating_add(count),
            _ => self.buckets.insert(at, (bucket, count)),
        }
    }

    fn fit(&mut self) {
        while self.buckets.len() > BUCKETS && self.width < WIDEST {
            self.widen(self.width + 1);
        }
    }

    fn widen(&mut self, width: u8) {
        let by = width - self.width;
        if by == 0 {
            return;
        }
        self.width = width;
        let mut wide: Vec<(i32, u64)> = Vec::with_capacity(self.buckets.len());
        for (bucket, count) in self.buckets.drain(..) {
            let bucket = wider(bucket, by);
            match wide.last_mut() {
                Some((there, all)) if *there == bucket => *all = all.saturating_add(count),
                _ => wide.push((bucket, count)),
            }
        }
        self.buckets = wide;
    }
}

/// The narrowest bucket of a finite number.
#[inline]
fn narrowest(x: f64) -> i32 {
    if x == 0.0 {
        return 0;
    }
    let bits = (x.abs().to_bits() >> BELOW) as i32 + 1;
    if x < 0.0 { -bits } else { bits }
}

/// The bucket that this one is part of, so many doublings wider.
#[inline]
fn wider(bucket: i32, by: u8) -> i32 {
    let size = bucket.abs();
    if size == 0 {
        return 0;
    }
    (((size - 1) >> by) + 1) * bucket.signum()
}

/// The ends of a bucket of this width, the lesser first.
fn ends(bucket: i32, width: u8) -> (f64, f64) {
    let size = u64::from(bucket.unsigned_abs());
    if size == 0 {
        return (0.0, 0.0);
    }
    let end = |bits: u64| {
        let bits = bits << width << BELOW;
        f64::from_bits(bits.min(f64::MAX.to_bits()))
    };
    let (near, far) = (end(size - 1), end(size));
    if bucket < 0 {
        (-far, -near)
    } else {
        (near, far)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Magnitudes {
        let mut all = Magnitudes::default();
        values.iter().for_each(|x| all.add(*x));
        all
    }

    fn merged(a: &Magnitudes, b: &Magnitudes) -> Magnitudes {
        let mut sum = a.clone();
        sum.merge(b);
        sum
    }

    #[test]
    fn a_bucket_holds_its_values_and_is_narrow() {
        for x in [
            1.0,
            -1.0,
            0.1,
            1e-308,
            5e-324,
            -7.3e200,
            f64::MAX,
            f64::MIN,
            60.0,
        ] {
            let all = of(&[x]);
            let (low, high, count) = all.buckets().next().unwrap();
            assert!(low <= x && x <= high && count == 1, "{x}: {low} {high}");
            assert!(x.abs() < 1e-300 || (high - low) <= 0.032 * x.abs(), "{x}");
        }
        let zeros = of(&[0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        assert_eq!(zeros.buckets().collect::<Vec<_>>(), [(0.0, 0.0, 2)]);
        assert_eq!(of(&[]).quantile(0.5), None);
    }

    #[test]
    fn the_median_of_a_ramp_is_its_middle() {
        let ramp: Vec<f64> = (-500..=1_500).map(f64::from).collect();
        let median = of(&ramp).quantile(0.5).unwrap();
        assert!((median - 500.0).abs() < 15.0, "{median}");
        let small: Vec<f64> = (0..4_000).map(|n| 100.0 + f64::from(n) / 100.0).collect();
        let median = of(&small).quantile(0.5).unwrap();
        assert!((median - 120.0).abs() < 0.2, "{median}");
    }

    proptest! {
        #[test]
        fn what_comes_of_values_depends_on_them_alone(
            mut values in prop::collection::vec(prop_oneof![
                4 => -1e3_f64..1e3, 1 => prop::num::f64::ANY], 0..400),
            cuts in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            let whole = of(&values);
            prop_assert!(whole.buckets().len() <= BUCKETS);
            let finite = values.iter().filter(|x| x.is_finite()).count() as u64;
            prop_assert_eq!(whole.count(), finite);
            let [a, b] = [cuts.0, cuts.1].map(|cut| cut.index(values.len() + 1));
            let (first, second) = (a.min(b), a.max(b));
            let parts = [&values[..first], &values[first..second], &values[second..]].map(of);
            let left = merged(&merged(&parts[0], &parts[1]), &parts[2]);
            let right = merged(&parts[0], &merged(&parts[1], &parts[2]));
            prop_assert_eq!(&left, &whole);
            prop_assert_eq!(&right, &whole);
            prop_assert_eq!(&merged(&parts[1], &parts[0]), &merged(&parts[0], &parts[1]));
            let (width, buckets) = whole.parts();
            prop_assert_eq!(Magnitudes::from_parts(width, buckets.to_vec()), Some(whole.clone()));
            values.reverse();
            prop_assert_eq!(&of(&values), &whole);
        }

        #[test]
        fn quantiles_rise(values in prop::collection::vec(prop::num::f64::NORMAL, 1..300)) {
            let all = of(&values);
            let twentieth = |n| all.quantile(f64::from(n) / 20.0).unwrap();
            let at: Vec<f64> = (0..=20).map(twentieth).collect();
            prop_assert!(at.is_sorted(), "{:?}", at);
            prop_assert!(at.iter().all(|x| x.is_finite()));
        }
    }
}

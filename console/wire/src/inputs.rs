//! What inputs were counted, and by whom it is told to be.

use binnacle_core::registry::{Digest, Reference};
use binnacle_core::report::{InputWindow, References};
use binnacle_core::series::MAX_UPSTREAM_NAME;
use binnacle_proto::v1 as proto;
use binnacle_sketch::Magnitudes;
use binnacle_sketch::profile::{BINS, Counts, FEATURE_NAME_BYTES, FEATURES, Live};

use crate::{Refused, refuse};

/// Versions of which one report may tell: those that a host serves, some of them twice.
const MAX_WINDOWS: usize = 4_096;
/// Features of which one window may tell: those of the inputs, and those of the answers.
const MAX_FEATURES: usize = 2 * FEATURES;

/// Reads what inputs were counted in a report that ends at `end_us`. What is of no version of the
/// registry is nobody's reference, and is left out.
pub(crate) fn from_proto(
    windows: Vec<proto::InputWindow>,
    end_us: i64,
) -> Result<Vec<InputWindow>, Refused> {
    if windows.len() > MAX_WINDOWS {
        let what = format!("{} entries, at most {MAX_WINDOWS}", windows.len());
        return Err(refuse("inputs", what));
    }
    let mut all = Vec::with_capacity(windows.len());
    for window in windows {
        let version = format!("{}@{}", window.model, window.version);
        if let Ok(version) = version.parse::<Reference>() {
            all.push(one(window, version, end_us)?);
        }
    }
    Ok(all)
}

fn one(
    window: proto::InputWindow,
    version: Reference,
    end_us: i64,
) -> Result<InputWindow, Refused> {
    if window.endpoint.is_empty() || window.endpoint.len() > MAX_UPSTREAM_NAME {
        return Err(refuse("inputs.endpoint", "is no name"));
    }
    let references = References {
        inputs: digest("inputs.profile_sha256", &window.profile_sha256)?,
        outputs: digest(
            "inputs.outputs_profile_sha256",
            &window.outputs_profile_sha256,
        )?,
    };
    if references == References::default() {
        return Err(refuse("inputs.profile_sha256", "names no profile"));
    }
    if window.features.len() > MAX_FEATURES {
        let what = format!("{} entries, at most {MAX_FEATURES}", window.features.len());
        return Err(refuse("inputs.features", what));
    }
    if window.unfit > window.requests {
        return Err(refuse("inputs.unfit", "is more than all requests"));
    }
    let features = window.features.into_iter().map(|feature| {
        if feature.name.is_empty() || feature.name.len() > FEATURE_NAME_BYTES {
            return Err(refuse("inputs.features.name", "is no name"));
        }
        let name = feature.name.as_str().into();
        Ok((name, live(feature)?))
    });
    let span_us = i64::from(window.span_ms).saturating_mul(1_000);
    Ok(InputWindow {
        endpoint: window.endpoint.into(),
        version,
        references,
        from_us: end_us.saturating_sub(span_us),
        to_us: end_us,
        requests: window.requests,
        unfit: window.unfit,
        skipped: window.skipped,
        dropped: window.dropped,
        features: features.collect::<Result<_, _>>()?,
    })
}

/// A digest; none of no bytes.
fn digest(field: &'static str, bytes: &[u8]) -> Result<Option<Digest>, Refused> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let digest = bytes
        .try_into()
        .map_err(|_| refuse(field, "is not 32 bytes"))?;
    Ok(Some(Digest(digest)))
}

fn live(feature: proto::FeatureWindow) -> Result<Live, Refused> {
    let bins: Result<[u64; BINS], _> = feature.bins.try_into();
    let bins = bins.map_err(|bins: Vec<u64>| {
        let what = format!("has {} bins, not {BINS}", bins.len());
        refuse("inputs.features.bins", what)
    })?;
    let mut last = 0_i32;
    let buckets = feature.magnitude_buckets.iter().map(|step| {
        last = last.saturating_add(*step);
        last
    });
    let buckets = buckets.zip(feature.magnitude_counts).collect();
    let width = u8::try_from(feature.magnitude_width).unwrap_or(u8::MAX);
    let magnitudes = Magnitudes::from_parts(width, buckets);
    let magnitudes =
        magnitudes.ok_or_else(|| refuse("inputs.features.magnitude_buckets", "are none"))?;
    Ok(Live {
        counts: Counts {
            bins,
            missing: feature.missing,
            unseen: feature.unseen,
            under: feature.under,
            over: feature.over,
        },
        magnitudes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> proto::InputWindow {
        let feature = proto::FeatureWindow {
            name: "amount".into(),
            bins: vec![1; BINS],
            magnitude_buckets: vec![5, 2],
            magnitude_counts: vec![12, 8],
            ..Default::default()
        };
        proto::InputWindow {
            endpoint: "pay".into(),
            model: "fraud".into(),
            version: "7".into(),
            profile_sha256: vec![1; 32].into(),
            requests: 20,
            features: vec![feature],
            span_ms: 5_000,
            ..Default::default()
        }
    }

    #[test]
    fn counts_are_read_and_what_breaks_the_contract_is_refused_by_the_field() {
        let read = from_proto(vec![window()], 9_000_000).unwrap();
        let [read] = read.as_slice() else {
            panic!("one window")
        };
        assert_eq!((read.from_us, read.to_us), (4_000_000, 9_000_000));
        assert_eq!(read.features[0].1.magnitudes.count(), 20);
        let refused = |change: fn(&mut proto::InputWindow)| {
            let mut window = window();
            change(&mut window);
            from_proto(vec![window], 0).unwrap_err().field
        };
        assert_eq!(refused(|w| w.endpoint.clear()), "inputs.endpoint");
        assert_eq!(refused(|w| w.unfit = 21), "inputs.unfit");
        assert_eq!(
            refused(|w| w.profile_sha256.clear()),
            "inputs.profile_sha256"
        );
        assert_eq!(
            refused(|w| w.features[0].bins.clear()),
            "inputs.features.bins"
        );
        let buckets = "inputs.features.magnitude_buckets";
        assert_eq!(refused(|w| w.features[0].magnitude_buckets[1] = 0), buckets);
        let mut other = window();
        other.version = "latest".into();
        assert_eq!(from_proto(vec![other], 0).unwrap(), []);
    }
}

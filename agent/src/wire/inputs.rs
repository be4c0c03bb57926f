//! What inputs were counted: the wire's and the agent's own.

use binnacle_proto::v1 as proto;
use binnacle_sketch::Magnitudes;
use binnacle_sketch::profile::{BINS, Counts, Live};

use super::Malformed;
use super::assignment::{digest, name};
use crate::artifact::Digest;
use crate::inputs::{Against, InputWindow, Subject};

pub(super) fn to_proto(window: &InputWindow) -> proto::InputWindow {
    let features = window.features.iter();
    proto::InputWindow {
        endpoint: window.subject.endpoint.to_string(),
        model: window.subject.model.to_string(),
        version: window.subject.version.to_string(),
        profile_sha256: bytes(window.against.inputs),
        outputs_profile_sha256: bytes(window.against.outputs),
        span_ms: window.span_ms,
        requests: window.requests,
        unfit: window.unfit,
        skipped: window.skipped,
        dropped: window.dropped,
        features: features.map(|(name, live)| feature(name, live)).collect(),
    }
}

fn bytes(digest: Option<Digest>) -> bytes::Bytes {
    digest.map_or_else(Default::default, |digest| digest.0.to_vec().into())
}

fn feature(name: &str, live: &Live) -> proto::FeatureWindow {
    let Live { counts, magnitudes } = live;
    let (width, buckets) = magnitudes.parts();
    let mut last = 0;
    let steps = buckets.iter().map(|(bucket, _)| {
        let step = bucket - last;
        last = *bucket;
        step
    });
    proto::FeatureWindow {
        name: name.to_owned(),
        bins: counts.bins.to_vec(),
        missing: counts.missing,
        unseen: counts.unseen,
        under: counts.under,
        over: counts.over,
        magnitude_width: width.into(),
        magnitude_buckets: steps.collect(),
        magnitude_counts: buckets.iter().map(|(_, count)| *count).collect(),
    }
}

/// A window out of the spool.
pub(super) fn from_proto(window: proto::InputWindow) -> Result<InputWindow, Malformed> {
    let against = Against {
        inputs: digest("inputs.profile_sha256", &window.profile_sha256)?,
        outputs: digest(
            "inputs.outputs_profile_sha256",
            &window.outputs_profile_sha256,
        )?,
    };
    if against == Against::default() {
        return Err(Malformed::Missing("inputs.profile_sha256"));
    }
    let features = window.features.into_iter();
    Ok(InputWindow {
        subject: Subject {
            endpoint: name("inputs.endpoint", &window.endpoint)?,
            model: name("inputs.model", &window.model)?,
            version: name("inputs.version", &window.version)?,
        },
        against,
        span_ms: window.span_ms,
        requests: window.requests,
        unfit: window.unfit,
        skipped: window.skipped,
        dropped: window.dropped,
        features: features
            .map(|feature| Ok((name("inputs.features", &feature.name)?, live(feature)?)))
            .collect::<Result<_, _>>()?,
    })
}

fn live(feature: proto::FeatureWindow) -> Result<Live, Malformed> {
    let bins: Result<[u64; BINS], _> = feature.bins.try_into();
    let mut last = 0_i32;
    let buckets = feature.magnitude_buckets.iter().map(|step| {
        last = last.saturating_add(*step);
        last
    });
    let buckets = buckets.zip(feature.magnitude_counts).collect();
    let width = u8::try_from(feature.magnitude_width).unwrap_or(u8::MAX);
    let magnitudes = Magnitudes::from_parts(width, buckets);
    Ok(Live {
        counts: Counts {
            bins: bins.map_err(|_| Malformed::Missing("inputs.features.bins"))?,
            missing: feature.missing,
            unseen: feature.unseen,
            under: feature.under,
            over: feature.over,
        },
        magnitudes: magnitudes.ok_or(Malformed::Missing("inputs.features.magnitudes"))?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_was_counted_is_the_same_on_the_wire_and_off_it() {
        let mut live = Live::default();
        live.counts.bins[3] = 7;
        live.counts.over = 2;
        [-5.0, 0.0, 1e308, 3.0, 3.0]
            .into_iter()
            .for_each(|x| live.magnitudes.add(x));
        let name = |name: &str| Arc::<str>::from(name);
        let window = InputWindow {
            subject: Subject {
                endpoint: name("pay"),
                model: name("fraud"),
                version: name("7"),
            },
            against: Against {
                inputs: Some(Digest([3; 32])),
                outputs: Some(Digest([4; 32])),
            },
            span_ms: 5_000,
            requests: 9,
            unfit: 1,
            skipped: 2,
            dropped: 3,
            features: vec![(name("amount"), live), (name("age"), Live::default())],
        };
        assert_eq!(from_proto(to_proto(&window)).unwrap(), window);
        let mut short = to_proto(&window);
        short.features[0].bins.pop();
        assert!(from_proto(short).is_err());
    }
}

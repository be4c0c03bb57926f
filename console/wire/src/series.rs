//! Series, histograms and windows.

use binnacle_core::series::{MAX_UPSTREAM_NAME, Outcome, SeriesKey, SeriesWindow};
use binnacle_proto::v1 as proto;
use binnacle_sketch::{Encoded, Malformed, latency};

use crate::{Refused, refuse};

/// Reads one series' counts, and checks every byte of its histogram.
pub fn from_proto(window: proto::SeriesWindow) -> Result<SeriesWindow, Refused> {
    let series = window
        .series
        .ok_or_else(|| refuse("series", "is missing"))?;
    let names = [&series.endpoint, &series.model, &series.version];
    if let Some(long) = names.iter().find(|name| name.len() > MAX_UPSTREAM_NAME) {
        let what = format!(
            "a name has {} bytes of at most {MAX_UPSTREAM_NAME}",
            long.len()
        );
        return Err(refuse("series", what));
    }
    let histogram = window
        .latency
        .ok_or_else(|| refuse("latency", "is missing"))?;
    if histogram.layout != latency::LAYOUT {
        return Err(refuse("latency", Malformed::Layout(histogram.layout)));
    }
    let latency = Encoded {
        counts: histogram.counts.into(),
        sum_ns: histogram.sum_ns,
        min_ns: histogram.min_ns,
        max_ns: histogram.max_ns,
    };
    latency.count().map_err(|error| refuse("latency", error))?;
    let key = SeriesKey {
        outcome: outcome_from(series.outcome),
        endpoint: series.endpoint.into(),
        model: series.model.into(),
        version: series.version.into(),
    };
    let (request_bytes, response_bytes) = (window.request_bytes, window.response_bytes);
    Ok(SeriesWindow {
        key,
        latency,
        request_bytes,
        response_bytes,
    })
}

/// One series' counts, to send.
pub fn to_proto(window: &SeriesWindow) -> proto::SeriesWindow {
    let SeriesWindow {
        key,
        latency,
        request_bytes,
        response_bytes,
    } = window;
    proto::SeriesWindow {
        series: Some(proto::Series {
            endpoint: key.endpoint.to_string(),
            model: key.model.to_string(),
            version: key.version.to_string(),
            outcome: outcome_to(key.outcome).into(),
        }),
        latency: Some(proto::Histogram {
            layout: latency::LAYOUT,
            counts: latency.counts.clone().into(),
            sum_ns: latency.sum_ns,
            min_ns: latency.min_ns,
            max_ns: latency.max_ns,
        }),
        request_bytes: *request_bytes,
        response_bytes: *response_bytes,
    }
}

/// A newer agent's word is kept as [`Outcome::Unknown`]: its requests are counted all the same.
fn outcome_from(word: i32) -> Outcome {
    match proto::Outcome::try_from(word) {
        Ok(proto::Outcome::Ok) => Outcome::Ok,
        Ok(proto::Outcome::ClientError) => Outcome::ClientError,
        Ok(proto::Outcome::ServerError) => Outcome::ServerError,
        Ok(proto::Outcome::UpstreamRefused) => Outcome::UpstreamRefused,
        Ok(proto::Outcome::TimedOut) => Outcome::TimedOut,
        Ok(proto::Outcome::ClientGone) => Outcome::ClientGone,
        Ok(proto::Outcome::Unspecified) | Err(_) => Outcome::Unknown,
    }
}

fn outcome_to(outcome: Outcome) -> proto::Outcome {
    match outcome {
        Outcome::Ok => proto::Outcome::Ok,
        Outcome::ClientError => proto::Outcome::ClientError,
        Outcome::ServerError => proto::Outcome::ServerError,
        Outcome::UpstreamRefused => proto::Outcome::UpstreamRefused,
        Outcome::TimedOut => proto::Outcome::TimedOut,
        Outcome::ClientGone => proto::Outcome::ClientGone,
        Outcome::Unknown => proto::Outcome::Unspecified,
    }
}

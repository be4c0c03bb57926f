//! Assignments and observations: the wire's and the agent's own.

use std::sync::Arc;

use binnacle_proto::v1 as proto;

use super::Malformed;
use crate::artifact::Digest;
use crate::assignment::observed::{Observed, Phase, RouteState, VersionState};
use crate::assignment::standing::{Override, OverrideKind};
use crate::assignment::{
    Artifact, Assignment, DeadMan, Endpoint, Nearness, OverrideId, Pin, Route, Share, Version,
    Wanted,
};
use crate::callers::Called;
use crate::inputs::FEATURES_MOST;
use crate::nulls::Nulls;
use crate::proxy::routes::{LEGS_MOST, WHOLE};
use crate::shadow::{Compared, Pair, Prove, Proved};
use crate::window::MAX_NAME_BYTES;

/// Versions that a host may be asked to keep: as many as its lights can be watched.
const VERSIONS_MOST: usize = 512;
/// Endpoints of one host: as many as its series leave room for.
const ENDPOINTS_MOST: usize = 1024;
/// Inputs that an endpoint may be asked to keep.
const INPUTS_MOST: u32 = 10_000;

/// What the hub wants of this host.
pub(super) fn from_proto(assignment: proto::Assignment) -> Result<Assignment, Malformed> {
    at_most(
        "assignment.versions",
        assignment.versions.len(),
        VERSIONS_MOST,
    )?;
    at_most(
        "assignment.endpoints",
        assignment.endpoints.len(),
        ENDPOINTS_MOST,
    )?;
    let versions = assignment.versions.into_iter().map(wanted);
    let endpoints = assignment.endpoints.into_iter().map(endpoint);
    Ok(Assignment {
        generation: assignment.generation,
        leave: assignment.leave,
        reason: assignment.reason,
        versions: versions.collect::<Result<_, _>>()?,
        endpoints: endpoints.collect::<Result<_, _>>()?,
        draining: assignment.draining,
        supersedes: assignment
            .supersedes
            .iter()
            .map(|id| override_id("assignment.supersedes", id))
            .collect::<Result<_, _>>()?,
    })
}

fn at_most(field: &'static str, count: usize, most: usize) -> Result<(), Malformed> {
    if count > most {
        return Err(Malformed::Many { field, count, most });
    }
    Ok(())
}

pub(super) fn name(field: &'static str, name: &str) -> Result<Arc<str>, Malformed> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        return Err(Malformed::Name { field });
    }
    Ok(name.into())
}

fn version(model: &str, version: &str) -> Result<Version, Malformed> {
    Ok(Version {
        model: name("model", model)?,
        version: name("version", version)?,
    })
}

pub(super) fn digest(field: &'static str, bytes: &[u8]) -> Result<Option<Digest>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let digest = bytes.try_into().map_err(|_| Malformed::Digest {
        field,
        len: bytes.len(),
    })?;
    Ok(Some(Digest(digest)))
}

fn override_id(field: &'static str, bytes: &[u8]) -> Result<OverrideId, Malformed> {
    let id = bytes.try_into().map_err(|_| Malformed::Boot {
        field,
        len: bytes.len(),
    })?;
    Ok(OverrideId(id))
}

fn wanted(wanted: proto::WantedVersion) -> Result<Wanted, Malformed> {
    let nearness = match wanted.nearness() {
        proto::Nearness::Fetched => Nearness::Fetched,
        // What a newer hub may ask for is no less than being ready.
        proto::Nearness::Warm | proto::Nearness::Unspecified => Nearness::Warm,
    };
    let digest_of = digest("wanted_version.sha256", &wanted.sha256)?;
    Ok(Wanted {
        version: version(&wanted.model, &wanted.version)?,
        nearness,
        artifact: digest_of.map(|digest| Artifact {
            digest,
            bytes: wanted.bytes,
            format: wanted.format,
        }),
        golden: digest("wanted_version.golden_sha256", &wanted.golden_sha256)?,
        profile: digest("wanted_version.profile_sha256", &wanted.profile_sha256)?,
        features: features(wanted.features)?,
        outputs: digest(
            "wanted_version.outputs_profile_sha256",
            &wanted.outputs_profile_sha256,
        )?,
    })
}

fn features(given: Vec<String>) -> Result<Arc<[Arc<str>]>, Malformed> {
    at_most("wanted_version.features", given.len(), FEATURES_MOST)?;
    let all = given.iter().map(|one| name("wanted_version.features", one));
    all.collect()
}

fn shares(field: &'static str, shares: Vec<proto::Share>) -> Result<Vec<Share>, Malformed> {
    at_most(field, shares.len(), LEGS_MOST)?;
    let share = |share: proto::Share| {
        Ok(Share {
            version: version(&share.model, &share.version)?,
            weight: share.weight,
        })
    };
    shares.into_iter().map(share).collect()
}

fn route(route: proto::Route) -> Result<Route, Malformed> {
    let answering = shares("route.shares", route.shares)?;
    let sum: u64 = answering.iter().map(|share| u64::from(share.weight)).sum();
    if sum != u64::from(WHOLE) {
        return Err(Malformed::Weights { sum });
    }
    at_most("route.pins", route.pins.len(), LEGS_MOST)?;
    let pin = |pin: proto::Pin| {
        Ok(Pin {
            header: header("pin.header", &pin.header)?,
            value: pin.value.into(),
            version: version(&pin.model, &pin.version)?,
        })
    };
    let sticky = Some(route.sticky_header).filter(|header| !header.is_empty());
    Ok(Route {
        revision: route.revision,
        step: route.step,
        shares: answering,
        shadows: shares("route.shadows", route.shadows)?,
        pins: route.pins.into_iter().map(pin).collect::<Result<_, _>>()?,
        sticky_header: sticky
            .map(|name| header("route.sticky_header", &name))
            .transpose()?,
    })
}

fn header(field: &'static str, name: &str) -> Result<Box<str>, Malformed> {
    let name: http::HeaderName = name.parse().map_err(|_| Malformed::Name { field })?;
    Ok(name.as_str().into())
}

fn endpoint(endpoint: proto::EndpointAssignment) -> Result<Endpoint, Malformed> {
    let missing = Malformed::Missing;
    let dead_man = |dead_man: proto::DeadMan| {
        let revert_to = dead_man.revert_to.ok_or(missing("dead_man.revert_to"))?;
        Ok(DeadMan {
            revert_to: route(revert_to)?,
            after_ms: dead_man.after_ms,
        })
    };
    Ok(Endpoint {
        name: name("endpoint", &endpoint.endpoint)?,
        route: route(endpoint.route.ok_or(missing("endpoint.route"))?)?,
        dead_man: endpoint.dead_man.map(dead_man).transpose()?,
        keep_inputs: endpoint.keep_inputs.min(INPUTS_MOST),
    })
}

/// A replay that the hub asks for.
pub(super) fn prove(asked: proto::Prove) -> Result<Prove, Malformed> {
    Ok(Prove {
        id: asked.id.to_vec(),
        endpoint: name("prove.endpoint", &asked.endpoint)?,
        version: version(&asked.model, &asked.version)?,
        most: usize::try_from(asked.most.min(INPUTS_MOST)).unwrap_or(usize::MAX),
    })
}

/// What came of a replay.
pub(super) fn proved(proved: &Proved) -> proto::Proved {
    let (compared, reason) = match &proved.outcome {
        Ok((pair, counts)) => (Some(pair_to_proto(pair, counts)), String::new()),
        Err(reason) => (None, reason.clone()),
    };
    proto::Proved {
        id: proved.id.clone().into(),
        compared,
        reason,
    }
}

/// What a shadow answered.
pub(super) fn compared((pair, counts): &(Pair, Compared)) -> proto::ShadowWindow {
    pair_to_proto(pair, counts)
}

/// What one caller did.
pub(super) fn called(((endpoint, caller), calls): &Called) -> proto::CallerWindow {
    proto::CallerWindow {
        endpoint: endpoint.to_string(),
        caller: caller.to_string(),
        requests: calls.requests,
        errors: calls.errors,
    }
}

/// What some answers of a version said.
pub(super) fn answered(
    ((endpoint, version), nulls): &((Arc<str>, Version), Nulls),
) -> proto::AnswerWindow {
    proto::AnswerWindow {
        endpoint: endpoint.to_string(),
        model: version.model.to_string(),
        version: version.version.to_string(),
        looked: nulls.looked,
        null: nulls.null,
    }
}

fn pair_to_proto(pair: &Pair, counts: &Compared) -> proto::ShadowWindow {
    proto::ShadowWindow {
        endpoint: pair.endpoint.to_string(),
        control_model: pair.control.model.to_string(),
        control_version: pair.control.version.to_string(),
        shadow_model: pair.shadow.model.to_string(),
        shadow_version: pair.shadow.version.to_string(),
        compared: counts.compared,
        same_class: counts.same_class,
        failed: counts.failed,
        dropped: counts.dropped,
        difference_decades: counts.decades.to_vec(),
    }
}

/// What the host does now.
pub(super) fn to_proto(observed: &Observed) -> proto::Observation {
    proto::Observation {
        generation: observed.generation,
        versions: observed.versions.iter().map(version_state).collect(),
        routes: observed.routes.iter().map(route_state).collect(),
        overrides: observed.overrides.iter().map(override_to_proto).collect(),
        draining: observed.draining,
    }
}

fn phase(phase: Phase) -> proto::Phase {
    match phase {
        Phase::Absent => proto::Phase::Absent,
        Phase::Fetching => proto::Phase::Fetching,
        Phase::Verifying => proto::Phase::Verifying,
        Phase::Fetched => proto::Phase::Fetched,
        Phase::Loading => proto::Phase::Loading,
        Phase::Warming => proto::Phase::Warming,
        Phase::Ready => proto::Phase::Ready,
        Phase::Draining => proto::Phase::Draining,
        Phase::Failed => proto::Phase::Failed,
    }
}

fn version_state(state: &VersionState) -> proto::VersionState {
    proto::VersionState {
        model: state.version.model.to_string(),
        version: state.version.version.to_string(),
        phase: phase(state.phase).into(),
        progress_permille: state.progress_permille,
        reason: state.reason.clone(),
        fetch_ms: state.fetch_ms,
        load_ms: state.load_ms,
        warm_ms: state.warm_ms,
        golden_passed: state.golden.passed,
        golden_total: state.golden.total,
        golden_at_us: state.golden.at_us,
        verified_at_us: state.verified_at_us,
    }
}

fn route_state(state: &RouteState) -> proto::RouteState {
    proto::RouteState {
        endpoint: state.endpoint.to_string(),
        revision: state.revision,
        step: state.step,
        waiting_for: state.waiting_for.clone(),
        switch_ns: state.switch_ns,
        // 0 says that none is armed: one that fires now still has a moment.
        reverts_in_ms: state.reverts_in_ms.map_or(0, |left| left.max(1)),
    }
}

fn share_to_proto(share: &Share) -> proto::Share {
    proto::Share {
        model: share.version.model.to_string(),
        version: share.version.version.to_string(),
        weight: share.weight,
    }
}

fn route_to_proto(route: &Route) -> proto::Route {
    let pin = |pin: &Pin| proto::Pin {
        header: pin.header.to_string(),
        value: pin.value.to_string(),
        model: pin.version.model.to_string(),
        version: pin.version.version.to_string(),
    };
    proto::Route {
        revision: route.revision,
        step: route.step,
        shares: route.shares.iter().map(share_to_proto).collect(),
        shadows: route.shadows.iter().map(share_to_proto).collect(),
        pins: route.pins.iter().map(pin).collect(),
        sticky_header: route.sticky_header.as_deref().unwrap_or_default().into(),
    }
}

fn override_to_proto(decided: &Override) -> proto::Override {
    let kind = match decided.kind {
        OverrideKind::Local => proto::r#override::Kind::Local,
        OverrideKind::Unconfirmed => proto::r#override::Kind::Unconfirmed,
    };
    proto::Override {
        id: decided.id.0.to_vec().into(),
        endpoint: decided.endpoint.to_string(),
        from_revision: decided.from_revision,
        from_step: decided.from_step,
        route: Some(route_to_proto(&decided.route)),
        kind: kind.into(),
        who: decided.who.clone(),
        reason: decided.reason.clone(),
        at_us: decided.at_us,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> proto::Assignment {
        let share = |version: &str, weight| proto::Share {
            model: "fraud".into(),
            version: version.into(),
            weight,
        };
        let route = proto::Route {
            revision: 4,
            step: 2,
            shares: vec![share("7", 9_500), share("8", 500)],
            shadows: vec![share("9", 100)],
            pins: vec![proto::Pin {
                header: "X-Arm".into(),
                value: "b".into(),
                model: "fraud".into(),
                version: "8".into(),
            }],
            sticky_header: "X-User".into(),
        };
        proto::Assignment {
            generation: 3,
            versions: vec![proto::WantedVersion {
                model: "fraud".into(),
                version: "8".into(),
                nearness: proto::Nearness::Warm.into(),
                sha256: vec![1; 32].into(),
                bytes: 77,
                format: "onnx".into(),
                golden_sha256: vec![2; 32].into(),
                ..Default::default()
            }],
            endpoints: vec![proto::EndpointAssignment {
                endpoint: "pay".into(),
                route: Some(route.clone()),
                dead_man: Some(proto::DeadMan {
                    revert_to: Some(route),
                    after_ms: 5,
                }),
                keep_inputs: 1_000_000,
            }],
            supersedes: vec![vec![3; 16].into()],
            ..proto::Assignment::default()
        }
    }

    #[test]
    fn an_assignment_is_read_field_by_field() {
        let read = from_proto(given()).unwrap();
        assert_eq!(read.versions[0].artifact.as_ref().unwrap().bytes, 77);
        assert_eq!(read.versions[0].golden, Some(Digest([2; 32])));
        let endpoint = &read.endpoints[0];
        assert_eq!(endpoint.keep_inputs, INPUTS_MOST);
        assert_eq!(endpoint.route.sticky_header.as_deref(), Some("x-user"));
        assert_eq!(&*endpoint.route.pins[0].header, "x-arm");
        assert_eq!(endpoint.dead_man.as_ref().unwrap().after_ms, 5);
        assert_eq!(read.supersedes, [OverrideId([3; 16])]);
        let names: Vec<String> = endpoint.route.versions().map(Version::to_string).collect();
        assert_eq!(names, ["fraud@7", "fraud@8", "fraud@8", "fraud@9"]);
        let told = route_to_proto(&endpoint.route);
        assert_eq!(route(told).unwrap(), endpoint.route);
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_field() {
        type Spoil = fn(&mut proto::Assignment);
        let cases: [(Spoil, &str); 7] = [
            (
                |a| a.versions[0].sha256 = vec![1; 31].into(),
                "wanted_version.sha256 has 31 bytes",
            ),
            (|a| a.versions[0].model.clear(), "model is no name"),
            (
                |a| a.endpoints[0].endpoint = "\u{1b}[2J".into(),
                "endpoint is no name",
            ),
            (|a| a.endpoints[0].route = None, "endpoint.route is missing"),
            (
                |a| a.supersedes = vec![vec![1].into()],
                "assignment.supersedes has 1 bytes",
            ),
            (
                |a| a.endpoints[0].route.as_mut().unwrap().shares[0].weight = 1,
                "the weights of a route add up to 501",
            ),
            (
                |a| a.versions = vec![a.versions[0].clone(); VERSIONS_MOST + 1],
                "assignment.versions has 513",
            ),
        ];
        for (spoil, words) in cases {
            let mut spoilt = given();
            spoil(&mut spoilt);
            let told = from_proto(spoilt).unwrap_err().to_string();
            assert!(told.starts_with(words), "{told}");
        }
    }
}

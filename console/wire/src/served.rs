//! What a host says that it serves, and what it is told to serve.
//!
//! Versions go by the server's name and version there, which for what the registry knows are the
//! model's name and the version's number; what is neither is the server's own business, and is
//! left out.

use std::sync::Arc;

use binnacle_core::endpoint::{Route, Shadow, Split};
use binnacle_core::name::Name;
use binnacle_core::registry::Reference;
use binnacle_core::rollout::duty::{EndpointDuty, Work};
use binnacle_core::served::{
    MAX_SERVED, Nearness, Override, OverrideKind, RouteState, Served, Stamp, VersionState,
};
use binnacle_proto::v1 as proto;

use crate::{Refused, refuse};

/// Bytes of a reason that a host gives; longer ones are cut.
const MAX_REASON: usize = 500;

/// Reads what a host says that it serves.
pub fn from_proto(told: proto::Observation) -> Result<Served, Refused> {
    let counts = [told.versions.len(), told.routes.len(), told.overrides.len()];
    if counts.into_iter().any(|count| count > MAX_SERVED) {
        let what = format!("more than {MAX_SERVED} versions, routes or overrides");
        return Err(refuse("observation", what));
    }
    let mut served = Served {
        generation: told.generation,
        draining: told.draining,
        ..Served::default()
    };
    for version in told.versions {
        if let Some(reference) = reference(&version.model, &version.version) {
            served.versions.insert(reference, version_from(version));
        }
    }
    for route in told.routes {
        let (name, state) = route_from(&route)?;
        served.routes.insert(name, state);
    }
    for one in told.overrides {
        let (name, one) = override_from(one)?;
        served.overrides.insert(name, one);
    }
    Ok(served)
}

/// The registry's version that goes by these names at a server; `None` for another's.
fn reference(model: &str, version: &str) -> Option<Reference> {
    format!("{model}@{version}").parse().ok()
}

fn version_from(version: proto::VersionState) -> VersionState {
    use proto::Phase;

    let nearness = match Phase::try_from(version.phase) {
        Ok(Phase::Fetching) => Nearness::Fetching,
        Ok(Phase::Verifying) => Nearness::Verifying,
        Ok(Phase::Fetched) => Nearness::Fetched,
        Ok(Phase::Loading) => Nearness::Loading,
        Ok(Phase::Warming) => Nearness::Warming,
        Ok(Phase::Ready) => Nearness::Ready,
        Ok(Phase::Draining) => Nearness::Draining,
        Ok(Phase::Failed) => Nearness::Failed,
        // A newer agent's word: whatever it is, it is not known to be ready.
        Ok(Phase::Absent | Phase::Unspecified) | Err(_) => Nearness::Absent,
    };
    VersionState {
        nearness,
        progress_permille: version.progress_permille,
        reason: shortened(&version.reason).into(),
        fetch_ms: version.fetch_ms,
        load_ms: version.load_ms,
        warm_ms: version.warm_ms,
        golden_passed: version.golden_passed,
        golden_total: version.golden_total,
        verified_at_us: version.verified_at_us,
    }
}

fn route_from(route: &proto::RouteState) -> Result<(Name, RouteState), Refused> {
    let name = Name::parse(&route.endpoint).map_err(|error| refuse("routes.endpoint", error))?;
    let state = RouteState {
        live: Stamp {
            revision: route.revision,
            step: route.step,
        },
        waiting_for: shortened(&route.waiting_for).into(),
        switch_ns: route.switch_ns,
        reverts_in_ms: route.reverts_in_ms,
    };
    Ok((name, state))
}

fn override_from(one: proto::Override) -> Result<(Name, Override), Refused> {
    use proto::r#override::Kind;

    let name = Name::parse(&one.endpoint).map_err(|error| refuse("overrides.endpoint", error))?;
    let id = one.id.as_ref().try_into();
    let id = id.map_err(|_| refuse("overrides.id", "is not 16 bytes"))?;
    let kind = match Kind::try_from(one.kind) {
        Ok(Kind::Unconfirmed) => OverrideKind::Unconfirmed,
        // A newer agent's reason: a decision of the host's all the same, which stands.
        Ok(Kind::Local | Kind::Unspecified) | Err(_) => OverrideKind::ByHand,
    };
    let told = Override {
        id,
        from: Stamp {
            revision: one.from_revision,
            step: one.from_step,
        },
        kind,
        who: shortened(&one.who),
        why: shortened(&one.reason),
        at_us: one.at_us,
    };
    Ok((name, told))
}

/// Text of a host's, without what a terminal would obey, cut where it is too long.
pub(crate) fn shortened(text: &str) -> String {
    let mut short = String::new();
    for letter in text.chars() {
        if short.len() + letter.len_utf8() > MAX_REASON {
            break;
        }
        short.push(if letter.is_control() { ' ' } else { letter });
    }
    short
}

/// What a host is told to serve.
pub fn work_to(work: &Work, assignment: &mut proto::Assignment) {
    assignment.versions = work
        .versions()
        .into_iter()
        .map(|wanted| {
            let (sha256, bytes) = match wanted.files {
                Some((sha256, bytes)) => (sha256.0.to_vec().into(), bytes),
                None => Default::default(),
            };
            let inputs = wanted.inputs.as_ref();
            let outputs = wanted.outputs.as_ref();
            proto::WantedVersion {
                model: wanted.version.name.to_string(),
                version: wanted.version.number.to_string(),
                nearness: proto::Nearness::Warm.into(),
                sha256,
                bytes,
                format: wanted.format.to_string(),
                golden_sha256: wanted
                    .golden
                    .map(|sha256| sha256.0.to_vec().into())
                    .unwrap_or_default(),
                profile_sha256: inputs
                    .map_or_else(Default::default, |inputs| inputs.profile.0.to_vec().into()),
                features: inputs.map_or_else(Vec::new, |inputs| {
                    let names = inputs.features.iter();
                    names.map(|name| name.to_string()).collect()
                }),
                outputs_profile_sha256: outputs.map_or_else(Default::default, |outputs| {
                    outputs.profile.0.to_vec().into()
                }),
            }
        })
        .collect();
    // An endpoint without a route yet has versions to be loaded, and nothing to be asked.
    let duties = work.endpoints.iter();
    assignment.endpoints = duties.filter_map(duty_to).collect();
    let supersedes = work.supersedes.iter();
    assignment.supersedes = supersedes.map(|id| id.to_vec().into()).collect();
}

fn duty_to(duty: &Arc<EndpointDuty>) -> Option<proto::EndpointAssignment> {
    let (stamp, route) = duty.route.as_ref()?;
    Some(proto::EndpointAssignment {
        endpoint: duty.endpoint.name.to_string(),
        route: Some(route_to(*stamp, route)),
        dead_man: duty.dead_man.as_ref().map(|dead_man| proto::DeadMan {
            revert_to: Some(route_to(dead_man.stamp, &dead_man.route)),
            after_ms: dead_man.after_ms,
        }),
        keep_inputs: duty.keep_inputs.into(),
    })
}

fn route_to(stamp: Stamp, route: &Route) -> proto::Route {
    let parts = route.parts();
    let share = |version: &Reference, weight| proto::Share {
        model: version.name.to_string(),
        version: version.number.to_string(),
        weight,
    };
    let pin = |pin: &binnacle_core::endpoint::Pin| proto::Pin {
        header: parts.pin_header.to_string(),
        value: pin.value.to_string(),
        model: pin.version.name.to_string(),
        version: pin.version.number.to_string(),
    };
    let answers = |split: &Split| share(&split.version, split.weight);
    let listens = |shadow: &Shadow| share(&shadow.version, shadow.share);
    proto::Route {
        revision: stamp.revision,
        step: stamp.step,
        shares: parts.versions.iter().map(answers).collect(),
        shadows: parts.shadows.iter().map(listens).collect(),
        pins: parts.pins.iter().map(pin).collect(),
        sticky_header: parts.sticky_header.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_registrys_is_left_out_and_what_is_newer_is_not_called_ready() {
        let version = |model: &str, version: &str, phase: i32| proto::VersionState {
            model: model.into(),
            version: version.into(),
            phase,
            ..Default::default()
        };
        let ready = proto::Phase::Ready.into();
        let told = proto::Observation {
            generation: 7,
            versions: vec![
                version("fraud", "7", ready),
                version("fraud", "8", 99),
                version("Found Serving", "latest", ready),
            ],
            ..Default::default()
        };
        let served = from_proto(told).unwrap();
        let seven = "fraud@7".parse().unwrap();
        assert_eq!((served.generation, served.versions.len()), (7, 2));
        assert_eq!(served.nearness(&seven), Nearness::Ready);
        assert_eq!(
            served.nearness(&"fraud@8".parse().unwrap()),
            Nearness::Absent
        );
    }

    #[test]
    fn what_breaks_the_contract_is_refused_by_the_field() {
        let one = |endpoint: &str, id: usize| proto::Observation {
            overrides: vec![proto::Override {
                id: vec![1; id].into(),
                endpoint: endpoint.into(),
                reason: "a\u{1b}[31m".into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let refused = |told| from_proto(told).unwrap_err().field;
        assert_eq!(refused(one("fraud", 15)), "overrides.id");
        assert_eq!(refused(one("prod/fraud", 16)), "overrides.endpoint");
        let told = from_proto(one("fraud", 16)).unwrap();
        let (_, told) = told.overrides.into_iter().next().unwrap();
        assert_eq!(
            (told.kind, told.why.as_str()),
            (OverrideKind::ByHand, "a [31m")
        );
        let many = proto::Observation {
            routes: vec![proto::RouteState::default(); MAX_SERVED + 1],
            ..Default::default()
        };
        assert_eq!(refused(many), "observation");
    }
}

//! What a route leads to, and how often.

use super::*;

fn placed(version: &str) -> Placed {
    Placed {
        model: "fraud".into(),
        version: version.into(),
        upstream_model: "fraud".into(),
        upstream_version: version.into(),
    }
}

fn plan(weights: &[(&str, u32)]) -> Plan {
    Plan {
        endpoint: "pay".into(),
        weights: weights.iter().map(|(v, w)| (placed(v), *w)).collect(),
        pins: vec![],
        sticky: None,
        seed: 7,
        shadows: vec![],
        keeps: false,
    }
}

fn none(_: &str) -> Option<&'static [u8]> {
    None
}

/// How often a version is drawn, and how often it should be at least and at most: four
/// standard deviations, which one run in 15,000 exceeds.
fn held(route: &Route, version: &str, weight: u32, requests: u32) {
    let draws = Draws::new(u64::from(weight));
    let drawn = (0..requests)
        .filter(|_| &*route.choose(none, || draws.next()).unwrap().version == version)
        .count() as f64;
    let share = f64::from(weight) / f64::from(WHOLE);
    let mean = f64::from(requests) * share;
    let deviation = (mean * (1.0 - share)).sqrt();
    assert!(
        (drawn - mean).abs() <= 4.0 * deviation,
        "{version}: {drawn} of {mean} ± {deviation}"
    );
}

#[test]
fn versions_are_drawn_by_their_weights() {
    for weight in [1, 100, 500, 2_500, 5_000, 9_999, WHOLE] {
        let route = Route::new(&plan(&[("1", WHOLE - weight), ("2", weight)])).unwrap();
        held(&route, "2", weight, 200_000);
    }
}

#[test]
fn so_many_answers_are_looked_at_in_a_second_and_no_more() {
    let route = Route::new(&plan(&[("1", WHOLE)])).unwrap();
    let leg = route.heaviest().unwrap();
    let looks = |second| (0..9).filter(|_| leg.may_look(second, 3)).count();
    assert_eq!([looks(1), looks(1), looks(2)], [3, 0, 3]);
    // A worker that is a second behind shares what is left of this one.
    assert_eq!([looks(1), looks(3)], [0, 3]);
}

#[test]
fn a_sticky_value_leads_to_one_version_and_moves_only_into_what_grew() {
    let sticky = |canary: u32| {
        let mut plan = plan(&[("1", WHOLE - canary), ("2", canary)]);
        plan.sticky = Some("X-User".into());
        Route::new(&plan).unwrap()
    };
    let of = |route: &Route, user: u32| {
        let user = user.to_string();
        let header = |name: &str| (name == "x-user").then_some(user.as_bytes());
        route
            .choose(header, || panic!("drawn"))
            .unwrap()
            .version
            .clone()
    };
    let (small, large) = (sticky(500), sticky(2_500));
    let mut on_canary = 0;
    for user in 0..20_000 {
        assert_eq!(of(&small, user), of(&small, user));
        if &*of(&small, user) == "2" {
            on_canary += 1;
            assert_eq!(&*of(&large, user), "2", "user {user} went back");
        }
    }
    let (mean, deviation) = (1_000.0, (20_000.0 * 0.05 * 0.95f64).sqrt());
    assert!(
        (f64::from(on_canary) - mean).abs() < 4.0 * deviation,
        "{on_canary}"
    );
}

#[test]
fn a_pin_comes_before_everything() {
    let mut plan = plan(&[("1", WHOLE)]);
    plan.pins = vec![("X-Arm".into(), "b".into(), placed("2"))];
    plan.sticky = Some("x-user".into());
    let route = Route::new(&plan).unwrap();
    let arm = |value: &'static str| {
        let header = move |name: &str| (name == "x-arm").then_some(value.as_bytes());
        route.choose(header, || 0).unwrap().name().to_owned()
    };
    assert_eq!((arm("b"), arm("c")), ("fraud@2".into(), "fraud@1".into()));
}

#[test]
fn what_is_no_route_is_refused_by_name() {
    for (plan, words) in [
        (plan(&[]), "the weights of pay add up to 0 and not to 10000"),
        (
            plan(&[("1", u32::MAX), ("2", u32::MAX)]),
            "the weights of pay add up to 8589934590 and not to 10000",
        ),
        (
            Plan {
                sticky: Some("a b".into()),
                ..plan(&[("1", WHOLE)])
            },
            "the route of pay looks at \"a b\", which is no name of a header",
        ),
    ] {
        assert_eq!(Route::new(&plan).unwrap_err().to_string(), words);
    }
}

#[test]
fn a_leg_is_held_by_its_requests_alone_once_its_route_is_gone() {
    let routes = Routes::default();
    routes.replace([Route::new(&plan(&[("1", WHOLE)])).unwrap()]);
    let leg = routes.of("pay").unwrap().legs().next().unwrap();
    let request = routes
        .load()
        .find("pay")
        .unwrap()
        .choose(none, || 0)
        .unwrap()
        .clone();
    routes.replace([Route::new(&plan(&[("2", WHOLE)])).unwrap()]);
    assert!(leg.upgrade().is_some());
    drop(request);
    assert!(leg.upgrade().is_none());
}

#[test]
fn a_leg_names_its_version_as_protobuf_does() {
    use prost::Message;
    let long = "m".repeat(200);
    let leg = Leg::new(
        &"pay".into(),
        &Placed {
            upstream_model: long.as_str().into(),
            ..placed("7")
        },
    );
    let message = open_inference::proto::ModelInferRequest {
        model_name: "pay".into(),
        id: "x".into(),
        ..Default::default()
    };
    let bytes = [&message.encode_to_vec(), &leg.fields()[..]].concat();
    let read = open_inference::proto::ModelInferRequest::decode(&bytes[..]).unwrap();
    assert_eq!((read.model_name, &*read.model_version), (long, "7"));
    assert_eq!(read.id, "x");
}

//! What a plan takes over from what serves, where nothing is said of it.

use binnacle_core::endpoint::{Command, EndpointName, Route, Settings, Spoken};
use binnacle_core::host::Labels;
use binnacle_core::name::Name;
use binnacle_core::rollout::{Ask, Plan, Want};

use crate::fleet::{Fleet, Switches};

fn endpoint() -> EndpointName {
    "prod/fraud".parse().unwrap()
}

fn ask(route: &str) -> Ask {
    let spoken: Spoken = route.parse().unwrap();
    Ask {
        endpoint: endpoint(),
        want: Want::Deploy(spoken.route),
        strategy: Some("all-at-once".parse().unwrap()),
        confirm_within_s: Some(0),
        keeps_sticky: spoken.keeps_sticky,
    }
}

/// A host that serves two versions, by a header of which each value stays with one.
fn fleet() -> Fleet {
    let mut fleet = Fleet::new();
    fleet.model(&Name::parse("fraud").unwrap(), 3);
    fleet.admit("prod", "host-1", Labels::default());
    fleet.dial(&Name::parse("host-1").unwrap());
    let create = Command::Create(endpoint(), Settings::default());
    fleet.command(create, "").unwrap();
    deploy(&mut fleet, "fraud@1 60%, fraud@2 40%, sticky by x-user");
    fleet
}

/// Deploys, and waits until it serves; the route that does.
fn deploy(fleet: &mut Fleet, route: &str) -> Route {
    fleet.run(&ask(route), "").unwrap();
    for _ in 0..10 {
        for name in fleet.heard() {
            fleet.follow(&name, Switches::Yes);
        }
        fleet.tick(1);
    }
    let one = fleet.state.endpoints.get(&endpoint()).unwrap();
    assert!(one.rollout.is_none(), "{route}: it is promoted");
    one.route().unwrap().clone()
}

#[test]
fn a_sticky_header_stays_until_a_deploy_says_otherwise() {
    let mut fleet = fleet();
    let silent = deploy(&mut fleet, "fraud@3");
    assert_eq!(silent.to_string(), "fraud@3 100%, sticky by x-user");
    let other = deploy(&mut fleet, "fraud@3, sticky by x-account");
    assert_eq!(other.to_string(), "fraud@3 100%, sticky by x-account");
    // What is so already is no deploy.
    let same = Plan::make(&fleet.state, &ask("fraud@3"), fleet.now_us).unwrap();
    assert_eq!(same, None);
    let none = deploy(&mut fleet, "fraud@3, sticky by none");
    assert_eq!(none.to_string(), "fraud@3 100%");
}

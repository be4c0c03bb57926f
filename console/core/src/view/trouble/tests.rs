//! What is found, case by case, and what holds whatever the fleet looks like.

use proptest::prelude::*;

use super::*;
use crate::view::{Cell, Coarse, Labels, Percentiles};

const NOW_US: i64 = 1_795_317_060_000_000;

/// A host that is well: 6,000 requests a minute, p99 40 ms.
fn well(number: usize) -> Glance {
    let labels = [("rack", number % 9), ("zone", number % 3)];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_string()));
    Glance {
        host: format!("h-{number:02}").into(),
        environment: "prod".into(),
        labels: Labels::parse(labels.into_iter().collect()).unwrap(),
        status: Status::Ok,
        since_us: None,
        reason: "".into(),
        cell: Cell {
            requests: 6_000,
            errors: 0,
            p50: Coarse::of_ns(Some(3_000_000)),
            p99: Coarse::of_ns(Some(40_000_000 + (number as u64 % 5) * 1_000_000)),
        },
    }
}

fn fleet(hosts: usize) -> Vec<Glance> {
    (1..=hosts).map(well).collect()
}

fn says(host: &mut Glance, status: Status, reason: &str) {
    host.status = status;
    host.reason = reason.into();
    host.since_us = Some(NOW_US);
}

fn p99(host: &mut Glance, ms: u64) {
    host.cell.p99 = Coarse::of_ns(Some(ms * 1_000_000));
}

/// The troubles in lines: how bad, what about, what, whom to blame, where to look.
fn told(hosts: &[Glance]) -> Vec<String> {
    told_with(hosts, &[])
}

fn told_with(hosts: &[Glance], past: &[LatencyPoint]) -> Vec<String> {
    let found = troubles(hosts, past);
    let line = |trouble: &Trouble| {
        let object = match &trouble.object {
            Object::Host(host) => format!("@{host}"),
            Object::Hosts(filter) => format!("/{filter}"),
            Object::Endpoint(name) => format!("={name}"),
        };
        let Trouble {
            severity,
            title,
            what,
            blame,
            ..
        } = trouble;
        format!("{} {title}: {what} -> {blame} {object}", severity.glyph())
    };
    found.list.iter().map(line).collect()
}

#[test]
fn a_dark_host_is_named_with_its_reason() {
    let mut hosts = fleet(8);
    says(&mut hosts[2], Status::Crit, "connection refused");
    says(&mut hosts[4], Status::Warn, "fraud 8 does not answer");
    says(&mut hosts[6], Status::Crit, "");
    assert_eq!(
        told(&hosts),
        [
            "x h-03: connection refused -> this host @h-03",
            "x h-07: nothing answers -> this host @h-07",
            "! h-05: fraud 8 does not answer -> this host @h-05",
        ]
    );
}

#[test]
fn one_slow_host_is_that_host_and_how_slow_is_said() {
    let mut hosts = fleet(8);
    p99(&mut hosts[6], 336);
    assert_eq!(
        told(&hosts),
        ["! h-07: p99 8 × its peers' -> this host @h-07"]
    );
    // The status that it has itself stays the first thing that is said of it.
    says(&mut hosts[6], Status::Warn, "fraud 8 does not answer");
    assert_eq!(
        told(&hosts),
        ["! h-07: fraud 8 does not answer; p99 8 × its peers' -> this host @h-07"]
    );
}

#[test]
fn a_small_fleet_is_compared_from_three_hosts_on_and_a_large_one_needs_five_peers() {
    let slow_of = |hosts: usize| {
        let mut hosts = fleet(hosts);
        p99(&mut hosts[0], 336);
        hosts
    };
    assert_eq!(told(&slow_of(2)), [""; 0]);
    assert_eq!(
        told(&slow_of(3)),
        ["! h-01: p99 7.9 × its peers' -> this host @h-01"]
    );
    let mut few_known = slow_of(9);
    few_known[5..]
        .iter_mut()
        .for_each(|host| host.cell.p99 = Coarse::default());
    assert_eq!(told(&few_known), [""; 0], "four peers of eight are known");
    p99(&mut few_known[5], 40);
    assert_eq!(told(&few_known).len(), 1);
}

#[test]
fn peers_are_those_of_the_same_environment() {
    let mut hosts = fleet(6);
    hosts.extend(fleet(6).into_iter().map(|host| Glance {
        host: format!("s-{}", host.host).into(),
        environment: "staging".into(),
        ..host
    }));
    hosts[6..].iter_mut().for_each(|host| p99(host, 400));
    assert_eq!(told(&hosts), [""; 0]);
}

#[test]
fn what_too_few_requests_stand_behind_is_not_judged() {
    let mut hosts = fleet(8);
    hosts[0].cell = Cell {
        requests: 99,
        errors: 99,
        ..Cell::default()
    };
    hosts[1].cell = Cell {
        requests: 150,
        errors: 9,
        ..Cell::default()
    };
    assert_eq!(told(&hosts), [""; 0]);
    assert_eq!(troubles(&hosts, &[]).compared, 7, "99 requests say nothing");
}

#[test]
fn a_host_that_fails_more_than_its_peers_is_that_host() {
    let mut hosts = fleet(8);
    hosts[1].cell.errors = 246;
    assert_eq!(
        told(&hosts),
        ["! h-02: errors 4.1 %, its peers 0 % -> this host @h-02"]
    );
    // Three times the others, who fail a little too.
    hosts.iter_mut().for_each(|host| host.cell.errors = 12);
    hosts[1].cell.errors = 36;
    assert_eq!(
        told(&hosts),
        ["! h-02: errors 0.6 %, its peers 0.2 % -> this host @h-02"]
    );
    hosts[1].cell.errors = 35;
    assert_eq!(told(&hosts), [""; 0]);
}

#[test]
fn all_hosts_failing_at_once_is_none_of_them() {
    let mut hosts = fleet(8);
    hosts.iter_mut().for_each(|host| host.cell.errors = 240);
    hosts[3].cell.errors = 0;
    assert_eq!(
        told(&hosts),
        [
            "! prod: errors 3.5 % on 7 of 8 hosts -> all hosts: upstream or the model \
          /env=prod errors>=0.5"
        ]
    );
    hosts.iter_mut().for_each(|host| host.cell.errors = 4_000);
    assert!(told(&hosts)[0].starts_with("x prod: errors 67 % on 8 of 8 hosts"));
}

#[test]
fn all_hosts_dark_for_one_reason_is_one_trouble() {
    let mut hosts = fleet(8);
    hosts[..7]
        .iter_mut()
        .for_each(|host| says(host, Status::Crit, "connection refused"));
    assert_eq!(
        told(&hosts),
        [
            "x prod: 7 of 8 hosts: connection refused -> no one host: what all of them share \
          /env=prod status=crit"
        ]
    );
}

#[test]
fn many_hosts_with_one_reason_are_one_trouble_and_the_others_are_counted() {
    let mut hosts = fleet(60);
    hosts[..7]
        .iter_mut()
        .for_each(|host| says(host, Status::Warn, "out of memory"));
    for (at, host) in hosts[20..30].iter_mut().enumerate() {
        says(host, Status::Crit, &format!("reason {at}"));
        host.since_us = Some(NOW_US + at as i64);
    }
    assert_eq!(
        told(&hosts),
        [
            "x 5 more hosts: say CRIT -> unknown /env=prod status=crit",
            "x h-30: reason 9 -> this host @h-30",
            "x h-29: reason 8 -> this host @h-29",
            "x h-28: reason 7 -> this host @h-28",
            "x h-27: reason 6 -> this host @h-27",
            "x h-26: reason 5 -> this host @h-26",
            "! 7 hosts: out of memory -> unknown: all say the same /env=prod status=warn",
        ]
    );
}

#[test]
fn many_slow_hosts_are_not_each_to_blame() {
    let mut hosts = fleet(40);
    for (at, host) in hosts[..9].iter_mut().enumerate() {
        p99(host, 200 + at as u64 * 100);
    }
    let told = told(&hosts);
    assert_eq!(told.len(), 6);
    assert!(
        told[0].starts_with("! 4 more hosts: far from their peers"),
        "{told:?}"
    );
    assert!(told[0].contains("/env=prod p99>="), "{told:?}");
    assert!(
        told[1].starts_with("! h-09"),
        "the farthest are named: {told:?}"
    );
    assert!(
        told.iter()
            .all(|line| line.contains("unknown: 9 hosts are so"))
    );
}

#[test]
fn silence_behind_one_label_is_that_label() {
    let mut hosts = fleet(36);
    let mut silence = |numbers: &[usize]| {
        for number in numbers {
            says(&mut hosts[number - 1], Status::Silent, "");
        }
        told(&hosts)
    };
    assert_eq!(
        silence(&[7]),
        ["? h-07: silent: its reports stopped -> unknown: host, agent or network @h-07"]
    );
    assert_eq!(
        silence(&[16]),
        ["? 2 hosts silent: h-07, h-16 -> unknown: no label in common /status=silent"],
        "half of the rack is heard"
    );
    assert_eq!(
        silence(&[25, 34]),
        ["? 4 hosts silent: all 4 of rack=7 -> rack 7 /rack=7 status=silent"]
    );
    assert_eq!(
        silence(&[1])[1],
        "? h-01: silent: its reports stopped -> unknown: host, agent or network @h-01"
    );
    // The whole zone is more than one of its racks.
    let zone: Vec<usize> = (1..=36).filter(|number| number % 3 == 1).collect();
    assert_eq!(
        silence(&zone),
        ["? 12 hosts silent: all 12 of zone=1 -> zone 1 /zone=1 status=silent"]
    );
    let all: Vec<usize> = (1..=36).collect();
    assert!(silence(&all)[0].starts_with("? silent: all 36 hosts -> unknown"));
}

#[test]
fn a_label_that_no_filter_can_say_is_left_out_of_the_filter() {
    let mut hosts = fleet(36);
    for host in &mut hosts[..3] {
        let pair = ("row".to_owned(), "a b".to_owned());
        host.labels = Labels::parse([pair].into()).unwrap();
        says(host, Status::Silent, "");
    }
    assert_eq!(
        told(&hosts),
        ["? 3 hosts silent: all 3 of row=a b -> row a b /status=silent"]
    );
}

fn past(p50s_ms: &[Option<f64>]) -> Vec<LatencyPoint> {
    let point = |(at, p50_ms): (usize, &Option<f64>)| LatencyPoint {
        start_us: at as i64 * 60_000_000,
        all: Percentiles {
            requests: 48_000,
            p50_us: p50_ms.map(|ms| ms * 1e3),
            ..Percentiles::default()
        },
        errors: 0,
        versions: Vec::new(),
    };
    p50s_ms.iter().enumerate().map(point).collect()
}

#[test]
fn all_requests_slower_than_they_were_is_no_host() {
    let hosts = fleet(8);
    let mut p50s = vec![Some(3.0); 10];
    p50s.extend([Some(7.2), Some(7.5)]);
    assert_eq!(
        told_with(&hosts, &past(&p50s)),
        ["! all requests: median 2.5 × what it was -> all hosts: upstream or the model /"]
    );
    let found = troubles(&hosts, &past(&p50s));
    assert_eq!(found.list[0].since_us, Some(10 * 60_000_000));
    let one = &hosts[..1];
    assert!(told_with(one, &past(&p50s))[0].contains("unknown: one host"));
    p50s.pop();
    assert_eq!(
        told_with(&hosts, &past(&p50s)),
        [""; 0],
        "one step is a burst"
    );
    let short = [Some(3.0), Some(3.0), Some(9.0), Some(9.0)];
    assert_eq!(told_with(&hosts, &past(&short)), [""; 0], "what is usual?");
    let few = [None; 12];
    assert_eq!(told_with(&hosts, &past(&few)), [""; 0]);
}

#[test]
fn retired_hosts_are_no_part_of_it() {
    let mut hosts = fleet(3);
    says(&mut hosts[1], Status::Retired, "sold");
    let found = troubles(&hosts, &[]);
    assert_eq!((found.list.len(), found.hosts), (0, 2));
    assert_eq!(troubles(&[], &[]), Troubles::default());
}

/// Any host: any status, load, latency and labels.
fn any_host() -> impl Strategy<Value = Glance> {
    let statuses = [
        Status::Ok,
        Status::Ok,
        Status::Ok,
        Status::Retired,
        Status::Silent,
        Status::Warn,
        Status::Crit,
    ];
    let status = prop::sample::select(statuses.to_vec());
    let reason = prop::sample::select(vec!["", "out of memory", "connection refused"]);
    let environment = prop::sample::select(vec!["prod", "prod", "staging"]);
    let p99 = prop::option::of(1_000_000_u64..1_000_000_000);
    let figures = (0_u32..20_000, 0_u32..400, p99);
    (
        status,
        reason,
        environment,
        figures,
        prop::option::of(0_i64..9),
        (0_usize..4, 0_usize..3),
    )
        .prop_map(
            |(status, reason, environment, (requests, errors, p99), since_us, (rack, zone))| {
                let labels = [("rack", rack), ("zone", zone)];
                let labels = labels.map(|(key, value)| (key.to_owned(), value.to_string()));
                Glance {
                    host: "".into(),
                    environment: environment.into(),
                    labels: Labels::parse(labels.into_iter().collect()).unwrap(),
                    status,
                    since_us,
                    reason: reason.into(),
                    cell: Cell {
                        requests,
                        errors: errors.min(requests),
                        p50: Coarse::default(),
                        p99: Coarse::of_ns(p99),
                    },
                }
            },
        )
}

fn any_fleet() -> impl Strategy<Value = Vec<Glance>> {
    prop::collection::vec(any_host(), 0..60).prop_map(|mut hosts| {
        for (at, host) in hosts.iter_mut().enumerate() {
            host.host = format!("h-{at:03}").into();
        }
        hosts
    })
}

/// Hosts that are named or counted in a trouble of their own.
fn troubled(found: &Troubles) -> usize {
    let own = found.list.iter().filter(|trouble| !is_of_all(trouble));
    own.map(|trouble| trouble.hosts).sum()
}

/// Whether it is about how all hosts fail, beside what each of them has.
fn is_of_all(trouble: &Trouble) -> bool {
    trouble.what.starts_with("errors ") && trouble.blame.starts_with("all hosts")
}

proptest! {
    #[test]
    fn the_order_of_hosts_does_not_show(
        (hosts, mixed) in any_fleet().prop_flat_map(|hosts| {
            (Just(hosts.clone()), Just(hosts).prop_shuffle())
        }),
    ) {
        prop_assert_eq!(troubles(&hosts, &[]), troubles(&mixed, &[]));
    }

    #[test]
    fn a_fleet_that_is_well_has_no_trouble(
        spread in prop::collection::vec((1_000_000_u64..2_900_000, 0_u32..20), 0..60),
    ) {
        let mut hosts = fleet(spread.len());
        for (host, (p99, errors)) in hosts.iter_mut().zip(spread) {
            host.cell.p99 = Coarse::of_ns(Some(p99));
            host.cell.errors = errors;
        }
        prop_assert_eq!(troubles(&hosts, &[]).list, []);
    }

    #[test]
    fn an_idle_host_that_is_well_adds_no_trouble(hosts in any_fleet()) {
        let before = troubled(&troubles(&hosts, &[]));
        let mut more = hosts;
        let idle = Glance { host: "idle".into(), cell: Cell::default(), ..well(1) };
        more.push(idle);
        let found = troubles(&more, &[]);
        prop_assert!(troubled(&found) <= before, "{:?}", found.list);
        prop_assert!(found.list.iter().all(|trouble| trouble.title != "idle"));
    }

    #[test]
    fn every_dark_or_silent_host_is_in_exactly_one_trouble(hosts in any_fleet()) {
        let found = troubles(&hosts, &[]);
        for status in [Status::Crit, Status::Silent] {
            let own = found.list.iter().filter(|trouble| {
                trouble.severity == status && !is_of_all(trouble)
            });
            let said: usize = own.map(|trouble| trouble.hosts).sum();
            prop_assert_eq!(said, hosts.iter().filter(|host| host.status == status).count());
        }
        prop_assert!(troubled(&found) <= found.hosts);
        prop_assert!(found.compared <= found.hosts);
        prop_assert!(found.list.is_sorted_by(|a, b| a.severity >= b.severity), "worst first");
    }
}

//! Blame is laid where the figures carry it, and nowhere else.

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_700_000_000_000_000;

fn version(number: u32) -> Reference {
    format!("m@{number}").parse().unwrap()
}

fn share(beyond: u64, of: u64) -> Share {
    Share { beyond, of }
}

fn evidence() -> Evidence {
    Evidence {
        fair: 0.01,
        what: "over 250ms".into(),
        since_us: NOW,
        ..Evidence::default()
    }
}

fn versions(all: &[(u32, Share)]) -> BTreeMap<Reference, Share> {
    all.iter().map(|(at, one)| (version(*at), *one)).collect()
}

fn hosts(number: u32, all: &[Share]) -> BTreeMap<Name, BTreeMap<Reference, Share>> {
    let one = |(at, one): (usize, &Share)| {
        let name = Name::parse(&format!("host-{at}")).unwrap();
        (name, versions(&[(number, *one)]))
    };
    all.iter().enumerate().map(one).collect()
}

fn came(seconds: i64, brought: u32) -> Option<Switched> {
    Some(Switched {
        at_us: NOW - seconds * SECOND_US,
        brought: vec![version(brought)],
        replaced: vec![version(1)],
        stayed: vec![version(1)],
    })
}

#[track_caller]
fn check(evidence: &Evidence, whom: Whom, says: &str) {
    let found = blame(evidence);
    assert_eq!(found.whom, whom, "{}", found.why);
    assert!(found.why.contains(says), "{}", found.why);
}

#[test]
fn a_version_is_blamed_for_what_the_one_beside_it_does_not_do() {
    let all = Evidence {
        now: versions(&[(1, share(2, 900)), (2, share(40, 100))]),
        hosts: hosts(2, &[share(20, 50), share(20, 50)]),
        ..evidence()
    };
    check(&all, Whom::Version(version(2)), "m@1 beside it: 0.22%");
}

#[test]
fn a_version_is_blamed_for_what_began_when_it_came() {
    let all = Evidence {
        now: versions(&[(2, share(300, 1_000))]),
        before: versions(&[(1, share(10, 9_000))]),
        hosts: hosts(2, &[share(150, 500), share(150, 500)]),
        switched: came(40, 2),
        ..evidence()
    };
    check(&all, Whom::Version(version(2)), "it came 40s before");
    let later = Evidence {
        switched: came(600, 2),
        ..all.clone()
    };
    check(
        &later,
        Whom::Unknown,
        "m@2 came 10m 0s before and is suspect",
    );
    let bad_before = Evidence {
        before: versions(&[(1, share(3_000, 9_000))]),
        ..all
    };
    check(&bad_before, Whom::Unknown, "suspect");
}

#[test]
fn the_last_requests_of_a_version_that_is_gone_do_not_hide_what_came_after_it() {
    let gone = |stayed: Vec<Reference>| Evidence {
        now: versions(&[(1, share(0, 12)), (2, share(300, 1_000))]),
        before: versions(&[(1, share(10, 9_000))]),
        hosts: hosts(2, &[share(150, 500), share(150, 500)]),
        switched: came(0, 2).map(|switched| Switched { stayed, ..switched }),
        ..evidence()
    };
    check(
        &gone(vec![]),
        Whom::Version(version(2)),
        "it came 0s before",
    );
    // One that still answers may yet do the same.
    check(&gone(vec![version(1)]), Whom::Unknown, "suspect");
}

#[test]
fn a_version_that_just_came_is_not_blamed_for_what_those_that_stayed_do_as_well() {
    let all = Evidence {
        now: versions(&[(1, share(300, 900)), (2, share(40, 100))]),
        before: versions(&[(1, share(10, 9_000))]),
        hosts: hosts(1, &[share(150, 450), share(150, 450)]),
        switched: came(40, 2),
        ..evidence()
    };
    check(&all, Whom::Upstream, "all 2 versions alike");
}

#[test]
fn what_all_versions_and_hosts_share_is_upstream() {
    let both = Evidence {
        now: versions(&[(1, share(300, 900)), (2, share(35, 100))]),
        switched: came(40, 2),
        ..evidence()
    };
    check(&both, Whom::Upstream, "all 2 versions alike");
    let one = Evidence {
        now: versions(&[(2, share(300, 1_000))]),
        before: versions(&[(2, share(10, 90_000))]),
        hosts: hosts(2, &[share(100, 333), share(100, 333), share(100, 334)]),
        switched: came(7_200, 2),
        ..evidence()
    };
    check(&one, Whom::Upstream, "3 of 3 hosts alike");
}

#[test]
fn one_host_unlike_its_peers_is_that_host_and_many_are_not() {
    let mut shares = vec![share(1, 500); 20];
    shares[3] = share(200, 500);
    let one = Evidence {
        now: versions(&[(2, share(219, 10_000))]),
        before: versions(&[(1, share(1, 10_000))]),
        hosts: hosts(2, &shares),
        switched: came(60, 2),
        ..evidence()
    };
    let host = Name::parse("host-3").unwrap();
    check(&one, Whom::Host(host), "19 peers on m@2: 0.20%");
    for at in [5, 7] {
        shares[at] = share(200, 500);
    }
    let many = Evidence {
        hosts: hosts(2, &shares),
        switched: None,
        ..one
    };
    check(&many, Whom::Unknown, "neither one host nor one version");
}

#[test]
fn a_host_is_held_against_peers_on_the_same_version_alone() {
    let mut all = Evidence {
        now: versions(&[(1, share(1, 900)), (2, share(300, 900))]),
        hosts: hosts(1, &[share(1, 450), share(0, 450)]),
        ..evidence()
    };
    let canary = Name::parse("host-9").unwrap();
    all.hosts.insert(canary, versions(&[(2, share(300, 900))]));
    check(&all, Whom::Version(version(2)), "beside it");
}

#[test]
fn one_caller_without_whom_it_holds_is_that_caller() {
    let all = Evidence {
        now: versions(&[(1, share(100, 1_000))]),
        callers: [
            ("batch".into(), share(99, 150)),
            ("shop".into(), share(1, 850)),
        ]
        .into(),
        ..evidence()
    };
    check(&all, Whom::Caller("batch".into()), "the others: 0.12%");
}

#[test]
fn too_little_blames_nobody_and_says_so() {
    let few = Evidence {
        now: versions(&[(1, share(5, 10))]),
        ..evidence()
    };
    check(&few, Whom::Unknown, "10 requests are too few");
    let alone = Evidence {
        now: versions(&[(1, share(50, 100))]),
        ..evidence()
    };
    check(&alone, Whom::Unknown, "one version on one host");
}

fn any_share() -> impl Strategy<Value = Share> {
    (0u64..400, 0u64..400).prop_map(|(a, b)| share(a.min(b), a.max(b)))
}

proptest! {
    #[test]
    fn what_holds_everywhere_is_nobodys_fault_and_sentences_are_one_line(
        now in prop::collection::vec(any_share(), 0..4),
        shares in prop::collection::vec(any_share(), 0..30),
        before in any_share(),
        after_s in -100i64..10_000,
    ) {
        let all = Evidence {
            now: now.iter().enumerate().map(|(at, one)| (version(at as u32 + 1), *one)).collect(),
            before: versions(&[(1, before)]),
            hosts: hosts(1, &shares),
            switched: came(after_s, 2),
            ..evidence()
        };
        let found = blame(&all);
        prop_assert!(found.why.len() < 300 && !found.why.contains('\n'), "{}", found.why);
        let is_broken = now.iter().chain(&shares).any(|one| one.breaks(all.fair));
        prop_assert!(is_broken || found.whom == Whom::Unknown, "{}", found.why);
        if let Whom::Version(blamed) = &found.whom {
            prop_assert!(all.now[blamed].breaks(all.fair), "{}", found.why);
        }
    }
}

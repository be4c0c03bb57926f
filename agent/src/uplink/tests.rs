//! The state machine, event by event.

use proptest::prelude::*;

use super::*;
use crate::clock;

fn welcome() -> FromHub {
    FromHub::Welcome {
        protocol: 1,
        durable: vec![(BootId([1; 16]), 4)],
        hub_version: "0.1.0".into(),
    }
}

fn heard(connection: u64, said: FromHub) -> Event {
    Event {
        connection,
        what: What::Heard(said),
    }
}

fn ended(connection: u64, ending: Ending) -> Event {
    Event {
        connection,
        what: What::Ended(ending),
    }
}

fn lost() -> Ending {
    Ending::Lost("broken pipe".into())
}

/// Waits as long as the uplink wants to, and dials: the wait and the hub.
fn redial(uplink: &mut Uplink, now: &mut Instant) -> (Duration, usize) {
    let at = uplink.wake_at().unwrap();
    let wait = at.saturating_duration_since(*now);
    *now = at;
    match uplink.woken(*now).as_slice() {
        [Action::Dial { hub, .. }] => (wait, *hub),
        other => panic!("{other:?}"),
    }
}

#[test]
fn waits_double_up_to_three_seconds_and_begin_again_after_a_steady_stream() {
    let mut now = clock::now();
    let mut uplink = Uplink::new(1, 7, now);
    assert_eq!(redial(&mut uplink, &mut now).0, Duration::ZERO);
    for failures in 0..12u32 {
        uplink.on(ended(uplink.connection, lost()), now);
        let (wait, _) = redial(&mut uplink, &mut now);
        let full = (WAIT_FIRST * 2u32.pow(failures)).min(WAIT_LONGEST);
        assert!(
            wait >= full / 2 && wait <= full,
            "{wait:?} after {failures} failures"
        );
    }
    uplink.on(heard(uplink.connection, welcome()), now);
    now += STEADY;
    uplink.on(ended(uplink.connection, lost()), now);
    assert!(redial(&mut uplink, &mut now).0 <= WAIT_FIRST);
}

#[test]
fn hubs_are_tried_in_turn_before_any_long_wait() {
    let mut now = clock::now();
    let mut uplink = Uplink::new(3, 7, now);
    let mut hubs = Vec::new();
    for _ in 0..6 {
        let (wait, hub) = redial(&mut uplink, &mut now);
        assert!(wait <= WAIT_FIRST * 2, "{wait:?}");
        hubs.push(hub);
        uplink.on(ended(uplink.connection, lost()), now);
    }
    assert_eq!(hubs, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_refusal_is_kept_and_tried_again_slowly() {
    let mut now = clock::now();
    let mut uplink = Uplink::new(1, 7, now);
    redial(&mut uplink, &mut now);
    let refusal = Ending::Refused("the host is retired".into());
    uplink.on(ended(1, refusal.clone()), now);
    assert_eq!(uplink.trouble(), Some(&refusal));
    assert!(redial(&mut uplink, &mut now).0 >= WAIT_REFUSED / 2);
}

#[test]
fn a_welcome_that_does_not_come_is_waited_for_so_long() {
    let mut now = clock::now();
    let mut uplink = Uplink::new(1, 7, now);
    redial(&mut uplink, &mut now);
    now += GREETING_LONGEST;
    assert_eq!(uplink.woken(now), [Action::HangUp]);
    assert!(matches!(uplink.trouble(), Some(Ending::Unreachable(_))));
    assert_eq!(uplink.on(heard(1, welcome()), now), []);
}

#[test]
fn a_hub_that_is_busy_is_left_alone_as_long_as_it_asks() {
    let mut now = clock::now();
    let mut uplink = Uplink::new(1, 7, now);
    redial(&mut uplink, &mut now);
    uplink.on(heard(1, welcome()), now);
    uplink.on(heard(1, FromHub::Backoff { cap_ms: 20_000 }), now);
    uplink.on(ended(1, lost()), now);
    let (wait, _) = redial(&mut uplink, &mut now);
    assert!(
        wait >= Duration::from_secs(20) && wait <= Duration::from_secs(40),
        "{wait:?}"
    );
}

#[test]
fn what_an_earlier_connection_says_is_ignored() {
    let mut now = clock::now();
    let mut uplink = Uplink::new(1, 7, now);
    redial(&mut uplink, &mut now);
    uplink.on(ended(1, lost()), now);
    redial(&mut uplink, &mut now);
    assert_eq!(uplink.on(heard(1, welcome()), now), []);
    assert_eq!(uplink.on(ended(1, lost()), now), []);
    assert!(matches!(uplink.state(), State::Dialling { .. }));
}

fn said() -> impl Strategy<Value = FromHub> {
    prop_oneof![
        4 => (0..3u32).prop_map(|protocol| FromHub::Welcome {
            protocol,
            durable: Vec::new(),
            hub_version: String::new(),
        }),
        2 => (0..9u64, 0..9u64).prop_map(|(received, durable)| FromHub::Ack {
            boot: BootId([1; 16]),
            received,
            durable,
        }),
        1 => any::<u64>().prop_map(|generation| FromHub::Assignment(Box::new(Assignment {
            generation,
            ..Assignment::default()
        }))),
        1 => any::<u32>().prop_map(|cap_ms| FromHub::Backoff { cap_ms }),
    ]
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        5 => said().prop_map(What::Heard),
        1 => Just(What::Ended(lost())),
        1 => Just(What::Ended(Ending::Refused("no".into()))),
        1 => Just(What::Ended(Ending::Unreachable("nobody there".into()))),
    ]
}

proptest! {
    #[test]
    fn whatever_a_hub_says_the_uplink_is_up_or_dials_again_in_bounded_time(
        steps in prop::collection::vec((what(), 0..3u64, 0..5_000u64), 0..60),
    ) {
        let mut now = clock::now();
        let mut uplink = Uplink::new(2, 7, now);
        for (what, age, ms) in steps {
            now += Duration::from_millis(ms);
            uplink.woken(now);
            let connection = uplink.connection.saturating_sub(age);
            uplink.on(Event { connection, what }, now);
            let bounded = match uplink.state() {
                State::Up { .. } => true,
                State::Waiting { until } => *until <= now + WAIT_ASKED_LONGEST * 2,
                State::Dialling { since } => *since <= now,
                State::Left { .. } => false,
            };
            prop_assert!(bounded, "{:?}", uplink.state());
        }
    }
}

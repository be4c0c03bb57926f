//! A version under guard: quiet while nothing moves, and precise once something does.

use binnacle_sketch::profile::{Column, Field, Gather, Kind, Live, Ruler, Ties};

use super::super::unit::Change;
use super::*;

const TICK_US: i64 = 5_000_000;
const START_US: i64 = 1_700_000_000_000_000;
const DIGEST: Digest = Digest([7; 32]);

/// What becomes of a row.
type Change3 = fn([f64; 3]) -> [f64; 3];

fn row(at: u64) -> [f64; 3] {
    let ties = Ties::new(3, "rows");
    [0, 1, 2].map(|column| 10.0 + 5.0 * ties.at(3 * at + column))
}

fn profile() -> Arc<Profile> {
    let fields = ["a", "b", "c"].map(|name| Field {
        name: name.into(),
        kind: Kind::Number,
    });
    let mut gather = Gather::new(1, fields.to_vec()).unwrap();
    let column = |column: usize| (0..3_000).map(|at| row(at)[column]).collect::<Vec<f64>>();
    let columns = [column(0), column(1), column(2)];
    let columns = columns
        .each_ref()
        .map(|values| Column::Numbers { values, nulls: 0 });
    gather.block(3_000, &columns, None);
    Arc::new(gather.finish())
}

/// What a host counts in a tick: eight rows that the reference does not have.
fn counted(profile: &Profile, host: u64, tick: u64, change: Change3) -> InputWindow {
    let mut lives = vec![Live::default(); 3];
    for at in 0..8 {
        let number = 10_000 + (tick * 2 + host) * 8 + at;
        let values = change(row(number));
        for ((live, feature), x) in lives.iter_mut().zip(&profile.features).zip(values) {
            let v = Ties::new(9, &feature.name).at(number);
            Ruler::of(feature).number(live, x, v);
        }
    }
    let to_us = START_US + tick as i64 * TICK_US;
    let names = profile
        .features
        .iter()
        .map(|feature| feature.name.as_str().into());
    InputWindow {
        endpoint: "pay".into(),
        version: "fraud@7".parse().unwrap(),
        profile: DIGEST,
        from_us: to_us - TICK_US,
        to_us,
        requests: 8,
        unfit: 0,
        skipped: 1,
        dropped: 2,
        features: names.zip(lives).collect(),
    }
}

fn host(number: u64) -> Name {
    Name::parse(&format!("host-{number}")).unwrap()
}

/// Two hosts, tick after tick; the first turn that says something.
fn run(
    guard: &mut Guard,
    ticks: std::ops::Range<u64>,
    changed: impl Fn(u64) -> Change3,
) -> Option<(u64, Turn)> {
    let profile = guard.profile.clone();
    for tick in ticks {
        let now_us = START_US + tick as i64 * TICK_US;
        for number in 0..2 {
            let window = counted(&profile, number, tick, changed(number));
            let report = ([number as u8; 16], tick + 1);
            let received = guard.receive(&host(number), report, &window, now_us);
            assert_eq!(received, Received::New);
            let again = guard.receive(&host(number), report, &window, now_us);
            assert_eq!(again, Received::Again, "a report counts once");
        }
        match guard.tick(now_us, &Budget::of(10)) {
            Turn::Nothing => {}
            turn @ (Turn::Page | Turn::GoesOn | Turn::Over) => return Some((tick, turn)),
        }
    }
    None
}

fn same(row: [f64; 3]) -> [f64; 3] {
    row
}

fn grams([a, b, c]: [f64; 3]) -> [f64; 3] {
    [a, b * 1_000.0, c]
}

#[test]
fn a_unit_that_changes_on_all_hosts_is_found_named_and_measured() {
    let mut guard = Guard::new(profile(), DIGEST, START_US, TICK_US);
    assert_eq!(run(&mut guard, 0..400, |_| same), None, "nothing moved");
    let (tick, turn) = run(&mut guard, 400..500, |_| grams).unwrap();
    assert_eq!(turn, Turn::Page);
    assert!(tick <= 402, "{tick}");
    let page = guard.last_page().unwrap().clone();
    let began_us = START_US + 399 * TICK_US;
    assert!((page.since_us - began_us).abs() <= TICK_US, "{page:?}");
    assert_eq!(page.observations, (tick - 399) * 16);
    // Counts go on, and say it better; a model that stays moved pages once.
    let mut at = tick + 1;
    while let Some((later, turn)) = run(&mut guard, at..tick + 20, |_| grams) {
        assert_eq!(turn, Turn::GoesOn);
        at = later + 1;
    }
    let explained = guard.explain(&Budget::of(10));
    assert!(
        explained.iter().all(|(one, _)| one.feature == "b"),
        "{explained:?}"
    );
    let values = explained
        .iter()
        .find(|(one, _)| one.signal == Signal::Values);
    let (values, since_us) = values.unwrap();
    assert_eq!(values.unit, Some(Change::Times(1_000.0)));
    assert!((since_us - began_us).abs() <= TICK_US);
    let beyond = guard.beyond(&guard.yardstick().unwrap());
    assert_eq!(beyond.now.beyond, beyond.now.of, "{beyond:?}");
    assert!(beyond.before.part() < 0.1, "{beyond:?}");
    let hosts: Vec<f64> = beyond.hosts.values().map(|share| share.part()).collect();
    assert_eq!(hosts, [1.0, 1.0]);
}

#[test]
fn one_host_that_moved_is_told_from_those_that_did_not() {
    let mut guard = Guard::new(profile(), DIGEST, START_US, TICK_US);
    let one = |number: u64| -> Change3 { if number == 1 { grams } else { same } };
    assert_eq!(run(&mut guard, 0..50, |_| same), None);
    let (tick, _) = run(&mut guard, 50..100, one).unwrap();
    run(&mut guard, tick + 1..tick + 4, one);
    let beyond = guard.beyond(&guard.yardstick().unwrap());
    let parts: Vec<f64> = beyond.hosts.values().map(|share| share.part()).collect();
    assert!(parts[0] < 0.1 && parts[1] == 1.0, "{beyond:?}");
}

#[test]
fn what_is_kept_goes_on_where_it_was() {
    let mut whole = Guard::new(profile(), DIGEST, START_US, TICK_US);
    let mut killed = Guard::new(profile(), DIGEST, START_US, TICK_US);
    run(&mut whole, 0..30, |_| same);
    run(&mut killed, 0..30, |_| same);
    // Counted and not yet looked at: it is kept as well.
    let window = counted(&whole.profile.clone(), 0, 30, same);
    for guard in [&mut whole, &mut killed] {
        guard.receive(&host(0), ([0; 16], 31), &window, START_US + 30 * TICK_US);
    }
    let bytes = killed.save().unwrap();
    assert_eq!(killed.save(), None, "nothing changed since");
    assert_eq!(Guard::profile_of(&bytes).unwrap(), DIGEST);
    let mut killed = Guard::resume(profile(), &bytes).unwrap();
    let again = killed.receive(&host(0), ([0; 16], 31), &window, START_US + 30 * TICK_US);
    assert_eq!(again, Received::Again);
    for guard in [&mut whole, &mut killed] {
        guard.tick(START_US + 30 * TICK_US, &Budget::of(10));
    }
    let streams = |guard: &Guard| guard.streams(&Budget::of(10));
    assert_eq!(streams(&whole), streams(&killed));
    assert_eq!(whole.totals(), killed.totals());
    assert_eq!(whole.totals().requests, 31 * 16 - 8);
    assert_eq!((whole.totals().skipped, whole.totals().dropped), (61, 122));
    let other = Arc::new(profile().of_vector(&["a"]));
    assert!(Guard::resume(other, &bytes).is_err());
    assert!(Guard::resume(profile(), b"nonsense").is_err());
}

#[test]
fn what_is_accepted_as_normal_ends_the_episode_and_does_not_page_again() {
    let wide: Change3 = |[a, b, c]| [a, b, if c < 11.5 { 14.0 + (c - 10.0) / 2.0 } else { c }];
    let mut guard = Guard::new(profile(), DIGEST, START_US, TICK_US);
    run(&mut guard, 0..20, |_| same);
    let (tick, turn) = run(&mut guard, 20..200, |_| wide).unwrap();
    assert_eq!(turn, Turn::Page);
    let mut at = tick + 1;
    while let Some((later, turn)) = run(&mut guard, at..tick + 60, |_| wide) {
        assert_eq!(turn, Turn::GoesOn, "a model that stays moved pages once");
        at = later + 1;
    }
    assert!(guard.rebaseline(12) && !guard.rebaseline(12));
    assert!(!guard.episode().is_open());
    assert_eq!(run(&mut guard, tick + 60..tick + 400, |_| wide), None);
    // What was accepted is kept as well.
    let bytes = guard.save().unwrap();
    let mut guard = Guard::resume(profile(), &bytes).unwrap();
    assert_eq!(run(&mut guard, tick + 400..tick + 600, |_| wide), None);
    assert!(run(&mut guard, tick + 600..tick + 700, |_| grams).is_some());
}

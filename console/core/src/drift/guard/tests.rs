//! A version under guard: quiet while nothing moves, and precise once something does.

use std::collections::BTreeMap;

use binnacle_sketch::profile::{Column, Field, Gather, Kind, Live, Profile, Ruler, Ties};

use super::super::unit::Change;
use super::*;
use crate::registry::Digest;

const TICK_US: i64 = 5_000_000;
const START_US: i64 = 1_700_000_000_000_000;
const REFERENCES: References = References {
    inputs: Some(Digest([7; 32])),
    outputs: None,
};

/// What becomes of a row.
type Change3 = fn([f64; 3]) -> [f64; 3];

fn row(at: u64) -> [f64; 3] {
    let ties = Ties::new(3, "rows");
    [0, 1, 2].map(|column| 10.0 + 5.0 * ties.at(3 * at + column))
}

fn baseline() -> Arc<Baseline> {
    Arc::new((&profile()).into())
}

fn profile() -> Profile {
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
    gather.finish()
}

/// What a host counts in a tick: eight rows that the reference does not have.
fn counted(baseline: &Baseline, host: u64, tick: u64, change: Change3) -> InputWindow {
    let mut lives = vec![Live::default(); 3];
    for at in 0..8 {
        let number = 10_000 + (tick * 2 + host) * 8 + at;
        let values = change(row(number));
        for ((live, feature), x) in lives.iter_mut().zip(baseline.features()).zip(values) {
            let v = Ties::new(9, &feature.name).at(number);
            Ruler::of(feature).number(live, x, v);
        }
    }
    let to_us = START_US + tick as i64 * TICK_US;
    let names = baseline
        .features()
        .iter()
        .map(|feature| feature.name.as_str().into());
    InputWindow {
        endpoint: "pay".into(),
        version: "fraud@7".parse().unwrap(),
        references: REFERENCES,
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
    let baseline = guard.baseline.clone();
    for tick in ticks {
        let now_us = START_US + tick as i64 * TICK_US;
        for number in 0..2 {
            let window = counted(&baseline, number, tick, changed(number));
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
fn the_course_of_each_feature_says_when_it_moved_and_where_it_did_not() {
    let mut guard = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
    assert_eq!(run(&mut guard, 0..400, |_| same), None, "nothing moved");
    let mut at = 400;
    while let Some((tick, _)) = run(&mut guard, at..480, |_| grams) {
        at = tick + 1;
    }
    let course = guard.course(START_US + 479 * TICK_US);
    assert_eq!(course.step_us, 10 * TICK_US, "480 ticks in 48 moments");
    assert_eq!(course.from_us, START_US);
    assert_eq!(course.features.len(), 4, "three, and the requests");
    let [a, b, c, requests] = &course.features[..] else {
        panic!("{course:?}");
    };
    for calm in [a, c, requests] {
        assert_eq!(calm.len(), MOMENTS);
        let most = calm.iter().flatten().fold(0.0, |most: f64, x| most.max(*x));
        // 160 values a moment, of 39 in 40 of which chance shows nothing.
        assert!(most < 0.3, "{calm:?}");
    }
    let first = b.iter().position(|x| x.is_some_and(|x| x > 1.0));
    // What is old is known in coarser cuts: the change may seem to begin a little early.
    assert!((38..=40).contains(&first.unwrap()), "{b:?}");
    let late = &b[41..];
    assert!(late.iter().all(|x| x.is_some_and(|x| x > 1.0)), "{b:?}");
    // A guard that began a moment ago knows nothing of the time before.
    let young = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
    let course = young.course(START_US);
    assert_eq!(course.from_us, START_US - 47 * TICK_US);
    assert!(course.features.iter().flatten().all(Option::is_none));
}

#[test]
fn a_unit_that_changes_on_all_hosts_is_found_named_and_measured() {
    let mut guard = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
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
fn a_unit_is_named_where_the_change_is_held_to_have_begun_long_before_it_did() {
    let mut guard = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
    assert_eq!(run(&mut guard, 0..400, |_| same), None, "nothing moved");
    let (tick, _) = run(&mut guard, 400..500, |_| grams).unwrap();
    let paged = guard.kept.paged.as_mut().unwrap();
    for (_, onset) in &mut paged.moved {
        onset.tick = onset.tick.saturating_sub(300);
    }
    let mut at = tick + 1;
    while let Some((later, _)) = run(&mut guard, at..tick + 60, |_| grams) {
        at = later + 1;
    }
    let explained = guard.explain(&Budget::of(10));
    let units = explained.iter().filter_map(|(one, _)| one.unit);
    let units: Vec<Change> = units.collect();
    assert_eq!(units, [Change::Times(1_000.0)], "{explained:?}");
}

#[test]
fn inputs_that_were_other_ones_from_the_first_request_on_are_found_by_their_number() {
    // So little that both gates need far longer for it, and a reference that takes it in.
    let lean: Change3 = |[a, b, c]| [a, 10.0 + 5.0 * ((b - 10.0) / 5.0).powf(1.45), c];
    let mut guard = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
    let (tick, turn) = run(&mut guard, 0..200, |_| lean).unwrap();
    assert_eq!(turn, Turn::Page);
    let requests = guard.totals().requests;
    assert!((500..516).contains(&requests), "{requests} at tick {tick}");
    assert!(guard.watch.standing(&Budget::of(10))[0].evidence.agreed() < Budget::of(10).page());
    let explained = guard.explain(&Budget::of(10));
    let (first, since_us) = &explained[0];
    assert_eq!(
        (first.feature.as_str(), first.signal),
        ("b", Signal::Values)
    );
    assert!(
        first.how.starts_with("mass +") && first.how.contains("in [10, "),
        "{first:?}"
    );
    assert_eq!(first.observations, requests);
    assert_eq!(*since_us, START_US - TICK_US);
    // Once it is accepted nobody is told again, however often it is looked at.
    guard.rebaseline(3);
    assert_eq!(run(&mut guard, tick + 1..tick + 900, |_| lean), None);
    // The part of the budget that a hundredth on its day has left is not enough for it.
    let mut guard = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 100_000);
    assert_eq!(run(&mut guard, 0..32, |_| lean), None);
}

#[test]
fn what_is_told_beside_what_moved_began_when_that_did() {
    let mut guard = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
    run(&mut guard, 0..30, |_| same);
    let stream = |feature: usize, signal: Signal| {
        let wanted = Some((feature, signal));
        (0..guard.stream_count()).find(|at| guard.watch.signal(*at) == wanted)
    };
    let standing = guard.watch.standing(&Budget::of(10));
    let moved = |feature, signal, age: f32| {
        let stream = stream(feature, signal).unwrap();
        let one = standing.iter().find(|one| one.stream == stream).unwrap();
        let mut one = *one;
        one.evidence.age = age;
        guard.dated(29, one).unwrap()
    };
    let all = [
        moved(1, Signal::OutOfRange, 2.0),
        moved(0, Signal::Values, 9.0),
        moved(1, Signal::Values, 20.0),
        moved(2, Signal::Values, 20.0),
    ];
    let ticks = |all: &[(Moved, Onset)]| all.iter().map(|(_, on)| on.tick).collect::<Vec<_>>();
    assert_eq!(ticks(&all), [27, 20, 9, 9]);
    let mut told = all;
    guard.side_by_side(&mut told, 2);
    assert_eq!(
        ticks(&told),
        [27, 20, 27, 9],
        "only what is of the same feature"
    );
    let mut told = all;
    guard.side_by_side(&mut told, 3);
    assert_eq!(
        ticks(&told),
        [27, 20, 9, 9],
        "what is ranked stands for itself"
    );
}

#[test]
fn one_host_that_moved_is_told_from_those_that_did_not() {
    let mut guard = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
    let one = |number: u64| -> Change3 { if number == 1 { grams } else { same } };
    assert_eq!(run(&mut guard, 0..50, |_| same), None);
    let (tick, _) = run(&mut guard, 50..100, one).unwrap();
    run(&mut guard, tick + 1..tick + 4, one);
    let beyond = guard.beyond(&guard.yardstick().unwrap());
    let parts: Vec<f64> = beyond.hosts.values().map(|share| share.part()).collect();
    assert!(parts[0] < 0.1 && parts[1] == 1.0, "{beyond:?}");
}

/// A disk: the rows of one guard by their number.
#[derive(Clone, Default)]
struct Disk(BTreeMap<u32, Vec<u8>>);

impl Disk {
    fn write(&mut self, rows: Vec<Row>) {
        for Row { number, bytes } in rows {
            match bytes {
                Some(bytes) => self.0.insert(number, bytes),
                None => self.0.remove(&number),
            };
        }
    }

    fn read(&self) -> Result<Guard, NotKept> {
        let numbers: Vec<u32> = self.0.keys().copied().collect();
        let all = 0..numbers.len() as u32;
        assert!(numbers.iter().copied().eq(all), "{numbers:?}");
        Guard::resume(baseline(), self.0.values().map(Vec::as_slice))
    }
}

#[test]
fn what_is_kept_goes_on_where_it_was() {
    let mut whole = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
    let mut killed = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
    let mut disk = Disk::default();
    // Evidence builds, and pages: all of it goes on.
    let slowly: Change3 = |[a, b, c]| [a, b, c + 0.4];
    for tick in 0..120 {
        let change = if tick < 60 { same } else { slowly };
        let turns = [&mut whole, &mut killed].map(|guard| run(guard, tick..tick + 1, |_| change));
        assert_eq!(turns[0], turns[1]);
        // Counted and not yet looked at: it is kept as well.
        let window = counted(&whole.baseline.clone(), 0, tick + 500, same);
        let report = ([9; 16], tick + 1);
        for guard in [&mut whole, &mut killed] {
            guard.receive(&host(0), report, &window, START_US + tick as i64 * TICK_US);
        }
        disk.write(killed.save(0.3));
        assert_eq!(killed.save(0.3), [], "nothing changed since");
        killed = disk.read().unwrap();
        assert_eq!(killed.kept, whole.kept);
        let late = [&killed, &whole].map(|guard| guard.recent.since(0));
        assert_eq!(late[0].span_us, late[1].span_us);
        let counts = |sum: &super::super::recent::Sum| {
            let counts = sum.all.features.iter().map(|live| live.counts);
            (sum.all.requests, sum.all.unfit, counts.collect::<Vec<_>>())
        };
        assert_eq!(counts(&late[0]), counts(&late[1]), "but for the hosts");
        let open = [&killed, &whole].map(|guard| counts(guard.recent.open()));
        assert_eq!(open[0], open[1]);
        assert!(killed.watch.state() == whole.watch.state(), "{tick}");
        let again = killed.receive(&host(0), report, &window, START_US);
        assert_eq!(again, Received::Again);
    }
    assert!(whole.last_page().is_some(), "it paged on the way");
    let budget = Budget::of(10);
    assert_eq!(killed.explain(&budget), whole.explain(&budget));
    assert_eq!(whole.totals().requests, 120 * 24);
}

#[test]
fn rows_after_the_whole_are_short_and_few() {
    let mut guard = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
    let (mut disk, mut written, mut wholes) = (Disk::default(), 0, 0);
    for tick in 0..300 {
        run(&mut guard, tick..tick + 1, |_| same);
        let rows = guard.save(0.0);
        wholes += rows.iter().filter(|row| row.number == 0).count();
        let bytes = rows.iter().filter_map(|row| row.bytes.as_ref());
        written += bytes.map(Vec::len).sum::<usize>();
        disk.write(rows);
        assert_eq!(disk.0.len() as u32, guard.rows() + 1);
    }
    let whole = disk.0[&0].len();
    assert!(whole > 3 * 4_000, "evidence of three features: {whole}");
    assert!(wholes < 20 && written < 30 * whole, "{wholes}, {written}");
    assert!(disk.0.len() < 100);
}

#[test]
fn what_could_not_be_written_is_written_whole_the_next_time() {
    let mut guard = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
    let mut disk = Disk::default();
    for tick in 0..40 {
        run(&mut guard, tick..tick + 1, |_| same);
        let rows = guard.save(0.0);
        match tick % 5 {
            4 => guard.unsave(rows.iter().map(|row| row.number).max().unwrap()),
            _ => disk.write(rows),
        }
    }
    run(&mut guard, 40..41, |_| same);
    disk.write(guard.save(0.0));
    let kept = disk.read().unwrap();
    assert!(kept.watch.state() == guard.watch.state());
    assert_eq!(kept.kept, guard.kept);
    // Nobody kept anything for an hour: it does not grow for it.
    run(&mut guard, 41..800, |_| same);
    let rows = guard.save(0.0);
    assert_eq!(rows.last().map(|row| row.number), Some(0));
    disk.write(rows);
    assert!(disk.read().unwrap().watch.state() == guard.watch.state());
}

#[test]
fn nobody_goes_on_with_what_is_not_theirs() {
    let mut guard = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
    run(&mut guard, 0..3, |_| same);
    let mut disk = Disk::default();
    disk.write(guard.save(0.0));
    let whole = disk.0[&0].clone();
    let other = Arc::new((&profile().of_vector(&["a"])).into());
    let resumed = Guard::resume(other, [&whole[..]]);
    assert!(matches!(resumed, Err(NotKept::Reference(_))));
    for cut in [0, 3, whole.len() / 2, whole.len() - 1] {
        let resumed = Guard::resume(baseline(), [&whole[..cut]]);
        assert!(matches!(resumed, Err(NotKept::Bytes(_))), "{cut}");
    }
    assert!(Guard::resume(baseline(), [&b"nonsense"[..]]).is_err());
    assert!(Guard::resume(baseline(), [&whole[..], &whole[..]]).is_err());
}

#[test]
fn what_is_accepted_as_normal_ends_the_episode_and_does_not_page_again() {
    let wide: Change3 = |[a, b, c]| [a, b, if c < 11.5 { 14.0 + (c - 10.0) / 2.0 } else { c }];
    let mut guard = Guard::new(baseline(), REFERENCES, (START_US, TICK_US), 1);
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
    let mut disk = Disk::default();
    disk.write(guard.save(0.0));
    let mut guard = disk.read().unwrap();
    assert_eq!(run(&mut guard, tick + 400..tick + 600, |_| wide), None);
    assert!(run(&mut guard, tick + 600..tick + 700, |_| grams).is_some());
}

//! A model under watch: what is counted once, what pages, and what is said of it.

use binnacle_sketch::profile::{Column, Field, Gather, Kind, Profile, Ties};
use proptest::prelude::*;

use super::super::{Explanation, Lately, Normal, Replayed, explain, moved, replay};
use super::*;
use crate::packed::{Packed as _, Packer, Unpacker};

const ROWS: usize = 3_000;

/// What becomes of a row.
type Change = fn([f64; 3]) -> [f64; 3];

/// Two numbers and a category, without and with something missing.
fn profile() -> Profile {
    let ties = Ties::new(1, "reference");
    let number = |at: usize, n: u64| ties.at(3 * at as u64 + n);
    let a: Vec<f64> = (0..ROWS).map(|at| number(at, 0)).collect();
    let b: Vec<f64> = (0..ROWS).map(|at| number(at, 1)).collect();
    let classes: Vec<String> = (0..ROWS).map(|at| class(number(at, 2))).collect();
    let fields = [
        ("a", Kind::Number),
        ("b", Kind::Number),
        ("c", Kind::Category),
    ];
    let fields = fields.map(|(name, kind)| Field {
        name: name.into(),
        kind,
    });
    let mut gather = Gather::new(7, fields.to_vec()).unwrap();
    let at = |row: usize| classes.get(row).map(String::as_str);
    let columns = [
        Column::Numbers {
            values: &a,
            nulls: 0,
        },
        Column::Numbers {
            values: &b,
            nulls: 0,
        },
        Column::Texts { at: &at, nulls: 0 },
    ];
    gather.block(ROWS, &columns, None);
    gather.finish()
}

fn class(u: f64) -> String {
    format!("{}", (u * 10.0) as u8)
}

/// What one host counts in one tick: sixteen rows, changed.
fn counted(
    profile: &Profile,
    tick: u64,
    change: impl Fn([f64; 3]) -> [f64; 3],
) -> Vec<(usize, Counts)> {
    let ties = Ties::new(tick, "live");
    let mut counts = [Counts::default(); 3];
    let [a, b, c] = &mut counts;
    for row in 0..16 {
        let tie = |n: u64| ties.at(8 * row + n);
        let values = change([tie(0), tie(1), tie(2)]);
        profile.features[0].number(a, values[0], tie(3));
        profile.features[1].number(b, values[1], tie(4));
        profile.features[2].category(c, class(values[2]).as_bytes(), tie(5));
    }
    counts.into_iter().enumerate().collect()
}

fn of(features: &[(usize, Counts)]) -> Report<'_> {
    Report {
        features,
        ..Report::default()
    }
}

/// Ticks until the model pages, and what is said then.
fn paged(
    watch: &mut Watch,
    profile: &Profile,
    ticks: u64,
    change: impl Fn([f64; 3]) -> [f64; 3],
) -> Option<(u64, Vec<Explanation>)> {
    let mut lately: BTreeMap<usize, Counts> = BTreeMap::new();
    for tick in 1..=ticks {
        let counts = counted(profile, tick, &change);
        for (feature, counts) in &counts {
            lately.entry(*feature).or_default().merge(counts);
        }
        watch.report(([1; 16], tick), tick as u32, &of(&counts));
        let verdict = watch.tick(tick as u32, 0, &Budget::of(1_000));
        if let Outcome::Page(all) = verdict.outcome {
            let ranked = moved(&all);
            let explained = all.iter().enumerate().filter(|(at, _)| *at < ranked.max(1));
            let explained = explained.map(|(at, one)| {
                let (feature, signal) = watch.signal(one.stream).unwrap();
                let counts = lately[&feature];
                let on = match signal {
                    Signal::Missing => counts.missing,
                    Signal::Unseen => counts.unseen,
                    Signal::OutOfRange => counts.under + counts.over,
                    Signal::Values | Signal::Unfit => 0,
                };
                let lately = Lately {
                    bins: counts.bins,
                    observations: counts.binned() + counts.missing,
                    on,
                    magnitudes: None,
                };
                explain(watch, &profile.features, one, at < ranked, &lately).unwrap()
            });
            return Some((tick, explained.collect()));
        }
    }
    None
}

#[test]
fn what_moved_is_named_and_told_and_the_evidence_begins_anew() {
    let profile = profile();
    let cases: [(&str, &str, Change); 4] = [
        ("a", "values up by", |[a, b, c]| [a.sqrt(), b, c]),
        ("b", "missing 0 → ", |[a, b, c]| {
            [a, if a < 0.1 { f64::NAN } else { b }, c]
        }),
        ("c", "class 9 −", |[a, b, c]| {
            [a, b, if c > 0.9 { c - 0.9 } else { c }]
        }),
        ("a", "out of range 0 → ", |[a, b, c]| {
            [if b < 0.1 { a + 2.0 } else { a }, b, c]
        }),
    ];
    for (feature, says, change) in cases {
        let mut watch = Watch::new(&(&profile).into());
        let (tick, said) = paged(&mut watch, &profile, 400, change).unwrap();
        let told = said.iter().find(|one| one.how.starts_with(says));
        let told = told.unwrap_or_else(|| panic!("{says}: {said:#?}"));
        assert_eq!(told.feature, feature);
        assert!(told.ranked, "{told:?}");
        // It was so from the first tick on.
        assert!(
            f64::from(told.age) > 0.6 * tick as f64,
            "{says}: {} of {tick}",
            told.age
        );
        let again = watch.tick(1_000, 0, &Budget::of(1_000));
        assert_eq!((again.evidence, again.meter), (0.0, 0.0));
    }
}

#[test]
fn what_did_not_move_is_quiet_and_a_tick_without_reports_changes_nothing() {
    let profile = profile();
    let mut watch = Watch::new(&(&profile).into());
    assert_eq!(paged(&mut watch, &profile, 400, |values| values), None);
    let before = watch.state().clone();
    watch.tick(500, 0, &Budget::of(1_000));
    assert!(*watch.state() == before);
    assert_eq!(watch.losses(), (0, 0));
    let streams = watch.streams();
    assert_eq!(
        streams, 10,
        "of three features three each, and what is unfit"
    );
}

#[test]
fn requests_that_do_not_fit_are_a_stream_of_their_own() {
    let profile = profile();
    let mut watch = Watch::new(&(&profile).into());
    for tick in 1..=200 {
        let report = Report {
            features: &[],
            requests: 16,
            unfit: u64::from(tick > 20),
        };
        watch.report(([1; 16], u64::from(tick)), tick, &report);
        let verdict = watch.tick(tick, 0, &Budget::of(1_000));
        if let Outcome::Page(all) = verdict.outcome {
            assert_eq!(watch.signal(all[0].stream), Some((3, Signal::Unfit)));
            assert!(tick > 20 && all[0].alone, "{tick}");
            return;
        }
    }
    panic!("one request in sixteen did not fit, and nobody was told");
}

#[test]
fn a_pattern_that_was_accepted_does_not_page_again() {
    let profile = profile();
    let change = |[a, b, c]: [f64; 3]| [a.powf(0.7), b, c];
    let mut watch = Watch::new(&(&profile).into());
    assert!(paged(&mut watch, &profile, 400, change).is_some());
    let mut window = Counts::default();
    for tick in 1_000..2_000 {
        window.merge(&counted(&profile, tick, change)[0].1);
    }
    let shares = window.bins.map(|n| n as f64 / window.binned() as f64);
    let normal = Normal { hour: None, shares };
    watch.held_mut(0).unwrap().accept(vec![normal]);
    assert_eq!(paged(&mut watch, &profile, 400, change), None);
    watch.held_mut(0).unwrap().accept(Vec::new());
    let mut watch = Watch::new(&(&profile).into());
    assert!(
        paged(&mut watch, &profile, 400, change).is_some(),
        "it can be taken back"
    );
}

/// A feature that rises and falls with the hour of the day, over four weeks.
fn daily(row: usize) -> f64 {
    let ties = Ties::new(5, "daily");
    let hour = (row / 40) as f64;
    3.0 * (hour / 24.0 * std::f64::consts::TAU).sin() + ties.at(row as u64)
}

#[test]
fn what_follows_the_hours_is_held_against_its_hour_and_pages_when_it_leaves_it() {
    const HOUR_US: i64 = 3_600_000_000;
    // A Monday at midnight.
    const MONDAY_US: i64 = 1_699_833_600_000_000;
    let rows = 4 * 168 * 40;
    let values: Vec<f64> = (0..rows).map(daily).collect();
    let times: Vec<i64> = (0..rows as i64)
        .map(|row| MONDAY_US + row / 40 * HOUR_US)
        .collect();
    let field = Field {
        name: "load".into(),
        kind: Kind::Number,
    };
    let mut gather = Gather::new(1, vec![field]).unwrap();
    for at in (0..rows).step_by(4_096) {
        let to = rows.min(at + 4_096);
        let column = Column::Numbers {
            values: &values[at..to],
            nulls: 0,
        };
        gather.block(to - at, &[column], Some(&times[at..to]));
    }
    let past = gather.past();
    let mut profile = gather.finish();
    let weeks = |profile: &Profile, late: usize| {
        let mut watch = Watch::new(&profile.into());
        (0..2 * 168_usize).find(|hour| {
            let ties = Ties::new(*hour as u64, "live");
            let mut counts = Counts::default();
            for at in 0..40 {
                let x = daily((hour + late) * 40 + at) + 0.001 * ties.at(at as u64);
                profile.features[0].number(&mut counts, x, ties.at(100 + at as u64));
            }
            let tick = *hour as u32 + 1;
            watch.report(([1; 16], u64::from(tick)), tick, &of(&[(0, counts)]));
            let verdict = watch.tick(tick, hour % 168, &Budget::of(10));
            matches!(verdict.outcome, Outcome::Page(_))
        })
    };
    assert!(
        weeks(&profile, 0).is_some(),
        "as a coin it cries wolf at once"
    );
    let Replayed::Moves { after } = replay(&past[0]) else {
        panic!("it moves in its own past");
    };
    profile.features[0].moves_after = Some(after);
    let read = Profile::decode(&profile.encode()).unwrap();
    assert_eq!(read, profile);
    assert_eq!(weeks(&read, 0), None);
    let late = weeks(&read, 6);
    assert!(
        late.is_some_and(|hour| hour < 24),
        "six hours late: {late:?}"
    );
}

#[test]
fn a_kept_state_goes_on_where_it_was_and_is_refused_by_another_reference() {
    let profile = profile();
    let change = |[a, b, c]: [f64; 3]| [a.powf(0.8), b, c];
    let mut whole = Watch::new(&(&profile).into());
    let mut stopped = Watch::new(&(&profile).into());
    for tick in 1..60 {
        let counts = counted(&profile, tick, change);
        for watch in [&mut whole, &mut stopped] {
            watch.report(([1; 16], tick), tick as u32, &of(&counts));
            watch.tick(tick as u32, 0, &Budget::of(10));
        }
        let mut packer = Packer::default();
        stopped.state().pack(&mut packer);
        let state = State::unpack(&mut Unpacker::new(&packer.bytes)).unwrap();
        stopped = Watch::resume(&(&profile).into(), state).unwrap();
        // What had been counted comes again after a restart.
        assert_eq!(
            stopped.report(([1; 16], tick), tick as u32, &of(&counts)),
            Received::Again
        );
        assert!(stopped.state() == whole.state(), "{tick}");
    }
    let mut other = profile.clone();
    other.features.pop();
    assert_eq!(
        Watch::resume(&(&other).into(), whole.state().clone()).err(),
        Some(NotOurs)
    );
}

#[test]
fn a_source_too_many_lets_go_of_the_one_that_was_silent_longest() {
    let profile = profile();
    let mut watch = Watch::new(&(&profile).into());
    let source = |n: u32| -> Source { std::array::from_fn(|at| n.to_le_bytes()[at % 4]) };
    for n in 0..=SOURCES as u32 {
        watch.report((source(n), 5), n + 1, &Report::default());
    }
    assert_eq!(watch.losses(), (1, 0));
    assert_eq!(
        watch.report((source(1), 5), 1, &Report::default()),
        Received::Again
    );
    assert_eq!(
        watch.report((source(0), 5), 1, &Report::default()),
        Received::New,
        "forgotten"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn reports_count_once_in_any_order_of_hosts(
        order in prop::collection::vec(0_usize..12, 1..40),
    ) {
        let profile = profile();
        let sent: Vec<_> = (0..12).map(|host| counted(&profile, host, |values| values)).collect();
        let report = |watch: &mut Watch, host: usize| {
            watch.report(([host as u8; 16], 1), 1, &of(&sent[host]))
        };
        let mut once = Watch::new(&(&profile).into());
        for host in 0..12 {
            if order.contains(&host) {
                prop_assert_eq!(report(&mut once, host), Received::New);
            }
        }
        let mut again = Watch::new(&(&profile).into());
        for host in &order {
            report(&mut again, *host);
        }
        for watch in [&mut once, &mut again] {
            watch.tick(1, 0, &Budget::default());
        }
        prop_assert!(once.state() == again.state());
    }

    #[test]
    fn nothing_that_is_counted_makes_a_model_panic(
        values in prop::collection::vec(prop::num::f64::ANY, 0..30),
        live in prop::collection::vec(prop::num::f64::ANY, 1..60), huge: bool,
    ) {
        let field = Field { name: "x".into(), kind: Kind::Number };
        let mut gather = Gather::new(1, vec![field]).unwrap();
        gather.block(values.len(), &[Column::Numbers { values: &values, nulls: 0 }], None);
        let profile = gather.finish();
        let mut watch = Watch::new(&(&profile).into());
        for (tick, values) in (1..).zip(live.chunks(7)) {
            let mut counts = Counts::default();
            values.iter().for_each(|x| profile.features[0].number(&mut counts, *x, 0.3));
            if huge {
                counts.missing = u64::MAX;
            }
            watch.report(([0; 16], tick), tick as u32, &of(&[(0, counts), (99, counts)]));
            let verdict = watch.tick(tick as u32, tick as usize, &Budget::default());
            prop_assert!(verdict.evidence.is_finite() && (0.0..=1.0).contains(&verdict.meter));
        }
    }
}

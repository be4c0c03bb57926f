//! What a fleet's inputs cost the hub: counts of a thousand models of a hundred features from
//! three hosts each, looked at in ticks, kept, and gone on with.

use std::sync::Arc;

use binnacle_core::drift::{Baseline, Budget, Guard, Received};
use binnacle_core::name::Name;
use binnacle_core::registry::Digest;
use binnacle_core::report::{InputWindow, References};
use binnacle_sketch::profile::{Column, Field, Gather, Kind, Live, Profile, Ruler};

use super::draws::Draws;

const MODELS: u64 = 1_000;
const FEATURES: usize = 100;
const HOSTS: usize = 3;
/// Requests of one host in one tick.
const REQUESTS: usize = 16;
const TICK_US: i64 = 5_000_000;
const TICKS: i64 = 48;
/// Ticks between two times that what is known is kept.
const KEPT: i64 = 2;
/// What is remembered of late has all its cuts after so many: four hours.
const LONG: i64 = 3_000;
const FEW: u64 = 10;
const REFERENCES: References = References {
    inputs: Some(Digest([7; 32])),
    outputs: None,
};

/// What it took, in seconds of CPU and bytes.
#[derive(Default)]
struct Took {
    receive_s: f64,
    tick_s: f64,
    save_s: f64,
    written: usize,
    most: usize,
    resume_s: f64,
    memory: f64,
}

pub(crate) fn measured(part: u64) -> String {
    let models = (MODELS / part).max(FEW);
    let profile = profile();
    let windows = windows(&profile);
    let baseline = Arc::new((&profile).into());
    // The smaller first: what it lets go of hides nothing of the greater.
    let long = fleet(FEW, LONG, &baseline, &windows);
    let took = fleet(models, TICKS, &baseline, &windows);
    let each = |s: f64| s / TICKS as f64;
    let share = |s: f64| 100.0 * each(s) / (TICK_US as f64 / 1e6);
    let all = took.receive_s + took.tick_s + took.save_s;
    format!(
        "{models} models of {FEATURES} features on {HOSTS} hosts each, {REQUESTS} requests a host \
         and tick of 5 s, for {TICKS} ticks; kept every {} s.\n\n\
         | | CPU a tick | of a core |\n\
         | --- | ---: | ---: |\n\
         | taking counts in | {:.0} ms | {:.1} % |\n\
         | a step of every stream, and its evidence | {:.0} ms | {:.1} % |\n\
         | writing down what changed | {:.0} ms | {:.1} % |\n\
         | all of it | {:.0} ms | {:.1} % |\n\n\
         What is written is {:.2} MB/s, and {:.1} MB at most at once. Going on with it after a \
         kill took {:.1} s of CPU. A feature takes {:.1} KB of memory after {TICKS} ticks and \
         {:.1} KB after {LONG}, when what is remembered of late is complete.\n",
        KEPT * TICK_US / 1_000_000,
        1e3 * each(took.receive_s),
        share(took.receive_s),
        1e3 * each(took.tick_s),
        share(took.tick_s),
        1e3 * each(took.save_s),
        share(took.save_s),
        1e3 * each(all),
        share(all),
        took.written as f64 / 1e6 / (TICKS as f64 * TICK_US as f64 / 1e6),
        took.most as f64 / 1e6,
        took.resume_s,
        took.memory / 1e3 / (models as f64 * FEATURES as f64),
        long.memory / 1e3 / (FEW as f64 * FEATURES as f64),
    )
}

fn fleet(models: u64, ticks: i64, baseline: &Arc<Baseline>, windows: &[InputWindow]) -> Took {
    let before = memory();
    let hosts: Vec<Name> = (0..HOSTS)
        .map(|at| Name::parse(&format!("host-{at}")).unwrap())
        .collect();
    let fresh = |_| Guard::new(baseline.clone(), REFERENCES, (0, TICK_US), 1);
    let mut guards: Vec<Guard> = (0..models).map(fresh).collect();
    let mut disk = vec![Vec::<Vec<u8>>::new(); guards.len()];
    let mut took = Took::default();
    let budget = Budget::of(models as u32);
    for tick in 1..=ticks {
        let now_us = tick * TICK_US;
        took.receive_s += timed(|| {
            for (model, guard) in guards.iter_mut().enumerate() {
                for (at, host) in hosts.iter().enumerate() {
                    let window = &windows[(model * 7 + at * 5 + tick as usize) % windows.len()];
                    let report = ([at as u8; 16], tick as u64);
                    let received = guard.receive(host, report, window, now_us);
                    assert_eq!(received, Received::New);
                }
            }
        });
        took.tick_s += timed(|| {
            for guard in &mut guards {
                guard.tick(now_us, &budget);
            }
        });
        if tick % KEPT != 0 {
            continue;
        }
        let mut written = 0;
        took.save_s += timed(|| {
            for (at, (guard, disk)) in guards.iter_mut().zip(&mut disk).enumerate() {
                for row in guard.save((at as f64 * 0.618).fract()) {
                    let number = row.number as usize;
                    if number == 0 {
                        disk.clear();
                    }
                    if let Some(mut bytes) = row.bytes {
                        written += bytes.len();
                        bytes.shrink_to_fit();
                        disk.push(bytes);
                    }
                }
            }
        });
        took.written += written;
        took.most = took.most.max(written);
    }
    let on_disk: usize = disk.iter().flatten().map(Vec::len).sum();
    took.memory = memory() - before - on_disk as f64;
    took.resume_s = timed(|| {
        for (guard, rows) in guards.iter().zip(&disk) {
            let resumed = Guard::resume(baseline.clone(), rows.iter().map(Vec::as_slice)).unwrap();
            assert_eq!(resumed.totals(), guard.totals());
        }
    });
    took
}

fn profile() -> Profile {
    let fields = (0..FEATURES).map(|at| Field {
        name: format!("f{at}"),
        kind: Kind::Number,
    });
    let mut gather = Gather::new(1, fields.collect()).unwrap();
    let mut draws = Draws::new(1, "fleet");
    let rows = 20_000;
    let column = |_| (0..rows).map(|_| draws.normal()).collect();
    let all: Vec<Vec<f64>> = (0..FEATURES).map(column).collect();
    let columns = all
        .iter()
        .map(|values| Column::Numbers { values, nulls: 0 });
    let columns: Vec<Column<'_>> = columns.collect();
    gather.block(rows, &columns, None);
    gather.finish()
}

/// What hosts count: one after the other, over and over.
fn windows(profile: &Profile) -> Vec<InputWindow> {
    let mut draws = Draws::new(2, "live");
    let window = |_| {
        let features = profile.features.iter().map(|feature| {
            let (mut live, ruler) = (Live::default(), Ruler::of(feature));
            for _ in 0..REQUESTS {
                ruler.number(&mut live, draws.normal(), draws.uniform());
            }
            (feature.name.as_str().into(), live)
        });
        InputWindow {
            endpoint: "pay".into(),
            version: "fraud@7".parse().unwrap(),
            references: REFERENCES,
            from_us: 0,
            to_us: TICK_US,
            requests: REQUESTS as u64,
            unfit: 0,
            skipped: 0,
            dropped: 0,
            features: features.collect(),
        }
    };
    (0..64).map(window).collect()
}

fn timed(work: impl FnOnce()) -> f64 {
    let before = super::cost::cpu_s();
    work();
    super::cost::cpu_s() - before
}

/// Bytes that this process has in memory.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<f64>().unwrap() * 1_024.0
}

//! Other detectors on the same streams, each with the threshold at which it alarms as often as
//! ours without a shift.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::digits::{BATCH, Detector, Digits, PARTS, SHIFTS, Watched, threshold};
use super::draws::Draws;
use super::failing_loudly::SETS;
use super::python::Python;

/// Streams without a shift, of which half are what thresholds are found on.
const PLAIN: u64 = 400;
/// Streams of each shift.
const RUNS: u64 = 40;
/// Of how many streams without a shift one may alarm, by the bound.
const LEVEL: f64 = 0.05;

/// Which shifts, by their place in [`SHIFTS`], and to which of the [`PARTS`]: hard ones, since of
/// the others every detector needs but one look.
const ASKED: [(usize, usize); 11] = [
    (0, 0),
    (1, 0),
    (2, 0),
    (3, 0),
    (3, 1),
    (4, 0),
    (5, 0),
    (6, 1),
    (6, 2),
    (7, 0),
    (8, 0),
];

/// A reference and the images that come in.
type Pair = (Vec<u32>, Vec<u32>);

/// What peers.py reads.
#[derive(Serialize)]
struct Asked {
    /// What ours gave on the streams of the calibration.
    alarms: usize,
    calibrate: Vec<Pair>,
    check: Vec<Pair>,
    shifts: Vec<Vec<Pair>>,
}

/// What a detector did.
#[derive(Deserialize)]
struct Told {
    name: String,
    setting: String,
    /// The share of the unshifted streams in which it alarmed.
    check: f64,
    /// Shift by shift, the share in which it did, and the median of images.
    shifts: Vec<(f64, Option<usize>)>,
}

pub(crate) fn measured(part: u64) -> String {
    let python = Python::installed();
    let folder = tempfile::tempdir().unwrap();
    python.run("digits.py", &[folder.path().to_str().unwrap()]);
    let mut page = format!(
        "All numbers of a payload are watched, and Binnacle looks after every {BATCH} images. Each \
         other detector has the threshold at which it gives as many alarms on {} streams without \
         a shift as Binnacle does, whose bound is {LEVEL} of them; *alarms* is the share of {} \
         further ones. A cell is the share of {} streams in which the shift was found, and the \
         median of images until then, where that was in half of them. KS is scipy {}'s, on windows \
         or on all images so far (looked at every 10, past 100 every 50); Evidently {} has a \
         window of 100 and the test that it takes by itself; ADWIN is river {}'s, with a look \
         every 10, and was fed a thousand images of the reference before.\n",
        plain(part),
        plain(part),
        runs(part),
        Python::version("scipy"),
        Python::version("evidently"),
        Python::version("river"),
    );
    // A look takes the small set alone: ADWIN takes its time.
    let sets = if part == 1 { &SETS[..] } else { &SETS[1..] };
    for name in sets {
        let digits = Digits::read(folder.path(), name);
        page += &set(&digits, &python, folder.path(), part);
    }
    page
}

fn plain(part: u64) -> u64 {
    (PLAIN / 2 / part).max(20)
}

fn runs(part: u64) -> u64 {
    (RUNS / part).max(3)
}

fn set(digits: &Digits, python: &Python, folder: &Path, part: u64) -> String {
    let (reference, test) = digits.sizes();
    // Of a few less than the test images, so that a class that is gone makes no stream shorter.
    let length = if test > 1_000 { 1_000 } else { 500 };
    let draw = |seed: u64, shift: Option<(usize, usize)>| -> Pair {
        let mut draws = Draws::new(seed, "peers");
        let split = digits.split(&mut draws);
        let mut stream = match shift {
            None => digits.plain(&split, &mut draws),
            Some((shift, part)) => digits.shifted(&split, &SHIFTS[shift], PARTS[part], &mut draws),
        };
        stream.truncate(length);
        (split.reference, stream)
    };
    let (plain, runs) = (plain(part), runs(part));
    let calibrate: Vec<Pair> = (0..plain).map(|seed| draw(seed, None)).collect();
    let check: Vec<Pair> = (plain..2 * plain).map(|seed| draw(seed, None)).collect();
    let shifts: Vec<Vec<Pair>> = ASKED
        .iter()
        .map(|shift| {
            (0..runs)
                .map(|run| draw(1_000 + run, Some(*shift)))
                .collect()
        })
        .collect();
    let times = |all: &[Pair]| -> Vec<Option<usize>> {
        all.iter()
            .zip(0..)
            .map(|(pair, seed)| alarm(digits, pair, length, seed))
            .collect()
    };
    let own = Told {
        name: "Binnacle".to_owned(),
        setting: format!("evidence ≥ {}", threshold(length, LEVEL)),
        check: share(&times(&check)),
        shifts: shifts.iter().map(|all| summed(&times(all))).collect(),
    };
    let alarms = times(&calibrate).iter().flatten().count();
    let asked = Asked {
        alarms,
        calibrate,
        check,
        shifts,
    };
    let file = folder.join(format!("{}-streams.json", digits.name));
    fs::write(file, serde_json::to_vec(&asked).unwrap()).unwrap();
    let told = python.run("peers.py", &[folder.to_str().unwrap(), digits.name]);
    let peers: Vec<Told> = serde_json::from_str(&told).unwrap();
    let all: Vec<Told> = std::iter::once(own).chain(peers).collect();
    format!(
        "\n### {}: {reference} images are the reference, {length} come in, {alarms} false alarms \
         in {plain}\n\n{}",
        digits.name,
        table(&all),
    )
}

/// After how many images ours alarms.
fn alarm(digits: &Digits, pair: &Pair, length: usize, seed: u64) -> Option<usize> {
    let (reference, stream) = pair;
    let detector = Detector::new(digits, reference, seed, Watched::All);
    let limit = threshold(length, LEVEL);
    let evidence = detector.evidence(stream, seed);
    let tick = evidence.iter().position(|most| *most >= limit)?;
    Some((tick + 1) * BATCH)
}

fn share(times: &[Option<usize>]) -> f64 {
    times.iter().flatten().count() as f64 / times.len() as f64
}

fn summed(times: &[Option<usize>]) -> (f64, Option<usize>) {
    let mut sorted = times.to_vec();
    sorted.sort_by_key(|time| time.unwrap_or(usize::MAX));
    (share(times), sorted[(sorted.len() - 1) / 2])
}

fn table(all: &[Told]) -> String {
    let names: Vec<&str> = all.iter().map(|told| told.name.as_str()).collect();
    let mut page = format!(
        "| found, images | {} |\n| --- |{}\n",
        names.join(" | "),
        " ---: |".repeat(all.len())
    );
    let mut row = |name: &str, cell: &dyn Fn(&Told) -> String| {
        let cells: Vec<String> = all.iter().map(cell).collect();
        writeln!(page, "| {name} | {} |", cells.join(" | ")).unwrap();
    };
    row("threshold", &|told| told.setting.clone());
    row("alarms without a shift", &|told| {
        format!("{:.3}", told.check)
    });
    for (at, (shift, part)) in ASKED.into_iter().enumerate() {
        let name = format!("{}, {:.0} %", SHIFTS[shift].name, PARTS[part] * 100.0);
        row(&name, &|told| {
            let (share, median) = told.shifts[at];
            let median = median.map_or("–".to_owned(), |images| images.to_string());
            format!("{share:.2}, {median}")
        });
    }
    page
}

//! The shifts of Rabanser, Günnemann and Lipton, "Failing Loudly" (NeurIPS 2019), found by the
//! detector and by that paper's own tests, on the same images.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::chart::{self, Line, Panel};
use super::digits::{BATCH, Detector, Digits, PARTS, SHIFTS, Shift, Watched, threshold};
use super::draws::Draws;
use super::python::Python;

/// Images that are looked at.
const SIZES: [usize; 7] = [10, 20, 50, 100, 200, 500, 1_000];
/// The paper's level.
const LEVEL: f64 = 0.05;
/// Runs of each part of each shift. The paper has 5.
const RUNS: u64 = 30;
/// Streams without a shift that a run has beside those with one, for the paper's tests.
const PLAIN: usize = 5;
/// Runs without a shift, for the detector.
const UNSHIFTED: u64 = 400;

/// The sets of images.
pub(crate) const SETS: [&str; 2] = ["mnist_5k", "digits"];

/// How often something was found, and of how many, at each size.
#[derive(Clone, Copy, Default)]
struct Tally {
    found: [u32; SIZES.len()],
    of: [u32; SIZES.len()],
}

/// By size; nothing where there are not so many images.
type Shares = [Option<f64>; SIZES.len()];

/// What one test finds.
#[derive(Deserialize)]
struct Found {
    name: String,
    plain: Shares,
    /// Shift by shift, over all parts of it.
    shifts: Vec<Shares>,
}

/// What paper.py reads.
#[derive(Serialize)]
struct Asked {
    sizes: [usize; SIZES.len()],
    level: f64,
    /// Images of the reference that are learned from.
    learned: usize,
    runs: Vec<Run>,
}

#[derive(Serialize)]
struct Run {
    reference: Vec<u32>,
    plain: Vec<Vec<u32>>,
    /// Shift by shift, part by part.
    shifts: Vec<Vec<Vec<u32>>>,
}

pub(crate) fn measured(part: u64) -> String {
    let python = Python::installed();
    let folder = tempfile::tempdir().unwrap();
    python.run("digits.py", &[folder.path().to_str().unwrap()]);
    let mut page = format!(
        "Shifts as the paper makes them, each to {:.0}, {:.0} and {:.0} % of the images that come \
         in (of the class, where one is knocked out), {} runs each. Binnacle watches *all* numbers \
         of a payload, or its *projections* alone, and looks after every {BATCH} images. It has \
         found a shift by n images when its evidence has reached n ÷ {BATCH} ÷ {LEVEL} by then: \
         without one, that is so in {LEVEL} of all streams at most. scipy {}, scikit-learn {}.\n",
        PARTS[0] * 100.0,
        PARTS[1] * 100.0,
        PARTS[2] * 100.0,
        runs(part),
        Python::version("scipy"),
        Python::version("scikit-learn"),
    );
    for name in SETS {
        let digits = Digits::read(folder.path(), name);
        page += &set(&digits, &python, folder.path(), part);
    }
    page
}

fn runs(part: u64) -> u64 {
    (RUNS / part).max(2)
}

fn set(digits: &Digits, python: &Python, folder: &Path, part: u64) -> String {
    let runs: Vec<Run> = (0..runs(part)).map(|run| Run::drawn(digits, run)).collect();
    let mut found = vec![
        ours(digits, &runs, Watched::All, part),
        ours(digits, &runs, Watched::Projections, part),
    ];
    let (reference, test) = digits.sizes();
    let asked = Asked {
        sizes: SIZES,
        level: LEVEL,
        learned: reference * 4 / 7,
        runs,
    };
    let file = folder.join(format!("{}-runs.json", digits.name));
    fs::write(file, serde_json::to_vec(&asked).unwrap()).unwrap();
    let told = python.run("paper.py", &[folder.to_str().unwrap(), digits.name]);
    let paper: Vec<Found> = serde_json::from_str(&told).unwrap();
    found.extend(paper);
    if part == 1 {
        let name = format!("failing-loudly-{}.svg", digits.name);
        chart::write(&name, &figure(digits.name, &found));
    }
    format!(
        "\n### {}: {reference} images are the reference, {test} come in\n{}{}",
        digits.name,
        by_test(&found),
        by_shift(&found),
    )
}

impl Run {
    fn drawn(digits: &Digits, run: u64) -> Self {
        let mut draws = Draws::new(run, "failing loudly");
        let split = digits.split(&mut draws);
        let plain = (0..PLAIN).map(|_| digits.plain(&split, &mut draws));
        let plain = plain.collect();
        let shifts = SHIFTS.iter().map(|shift| {
            let part = |part: &f64| digits.shifted(&split, shift, *part, &mut draws);
            PARTS.iter().map(part).collect()
        });
        Self {
            shifts: shifts.collect(),
            plain,
            reference: split.reference,
        }
    }
}

/// What the detector finds.
fn ours(digits: &Digits, runs: &[Run], watched: Watched, part: u64) -> Found {
    let mut plain = Tally::default();
    for run in 0..(UNSHIFTED / part).max(20) {
        let mut draws = Draws::new(run, "unshifted");
        let split = digits.split(&mut draws);
        let detector = Detector::new(digits, &split.reference, run, watched);
        plain.add(&detector.evidence(&digits.plain(&split, &mut draws), run));
    }
    let mut shifts = vec![Tally::default(); SHIFTS.len()];
    for (seed, run) in (10_000..).zip(runs) {
        let detector = Detector::new(digits, &run.reference, seed, watched);
        for (tally, parts) in shifts.iter_mut().zip(&run.shifts) {
            for stream in parts {
                tally.add(&detector.evidence(stream, seed));
            }
        }
    }
    let name = match watched {
        Watched::All => "Binnacle, all",
        Watched::Projections => "Binnacle, projections",
    };
    Found {
        name: name.to_owned(),
        plain: plain.shares(),
        shifts: shifts.iter().map(Tally::shares).collect(),
    }
}

impl Tally {
    /// Adds a stream, of which this is the most evidence up to each tick.
    fn add(&mut self, evidence: &[f64]) {
        for (at, size) in SIZES.into_iter().enumerate() {
            if let Some(most) = evidence.get(size / BATCH - 1) {
                self.of[at] += 1;
                self.found[at] += u32::from(*most >= threshold(size, LEVEL));
            }
        }
    }

    fn shares(&self) -> Shares {
        let share = |at: usize| f64::from(self.found[at]) / f64::from(self.of[at]);
        std::array::from_fn(|at| (self.of[at] > 0).then(|| share(at)))
    }
}

/// The mean over the shifts. Where one has no more images, what was found in all of them counts,
/// as in the paper.
fn mean(found: &Found) -> Shares {
    std::array::from_fn(|at| {
        let last = found.shifts.iter().filter_map(|shares| {
            let known = shares[..=at].iter().flatten();
            known.last()
        });
        Some(last.sum::<f64>() / SHIFTS.len() as f64)
    })
}

fn cell(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{share:.2}"))
}

fn head(first: &str) -> String {
    let sizes = SIZES.map(|size| size.to_string()).join(" | ");
    format!(
        "| {first} | {sizes} |\n| --- |{}\n",
        " ---: |".repeat(SIZES.len())
    )
}

/// Each test, over all shifts, and without one.
fn by_test(found: &[Found]) -> String {
    let mut page = format!("\n{}", head("share found, mean of nine shifts"));
    for test in found {
        let cells = mean(test).map(cell).join(" | ");
        writeln!(page, "| {} | {cells} |", test.name).unwrap();
    }
    write!(page, "\n{}", head("false alarms, without a shift")).unwrap();
    for test in found {
        let cells = test.plain.map(cell).join(" | ");
        writeln!(page, "| {} | {cells} |", test.name).unwrap();
    }
    page
}

/// Each shift, found by the first two tests and the last.
fn by_shift(found: &[Found]) -> String {
    let [all, projections, .., last] = found else {
        panic!("three tests at least")
    };
    let what = format!("all / projections / {}", last.name);
    let mut page = format!("\n{}", head(&what));
    for (at, shift) in SHIFTS.iter().enumerate() {
        let cells: Vec<String> = (0..SIZES.len())
            .map(|size| {
                let share = |test: &Found| cell(test.shifts[at][size]);
                format!("{} / {} / {}", share(all), share(projections), share(last))
            })
            .collect();
        writeln!(page, "| {} | {} |", shift.name, cells.join(" | ")).unwrap();
    }
    page
}

fn figure(name: &str, found: &[Found]) -> String {
    // Of the paper's tests only the last, which is its best.
    let [all, projections, .., last] = found else {
        panic!("three tests at least")
    };
    let panel = |(at, shift): (usize, &Shift)| {
        let line = |test: &Found| {
            let shares = SIZES.iter().zip(test.shifts[at]);
            Line {
                name: test.name.clone(),
                points: shares
                    .filter_map(|(size, share)| Some((*size as f64, share?)))
                    .collect(),
            }
        };
        Panel {
            title: shift.name.to_owned(),
            lines: [all, projections, last].map(line).to_vec(),
        }
    };
    let panels: Vec<Panel> = SHIFTS.iter().enumerate().map(panel).collect();
    let title = format!("{name}: share of shifts found, by number of images that came in");
    chart::panels(&title, &panels)
}

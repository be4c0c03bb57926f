//! What counting live values costs beside whylogs' profile of the same table, and what the numbers
//! of a payload cost.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::sync::Arc;

use binnacle_agent::feature::{Fit, Vector};
use binnacle_sketch::Payload;
use binnacle_sketch::payload::{NUMBERS, PROJECTIONS};
use binnacle_sketch::profile::{Column, Field, Gather, Kind, Profile};
use open_inference::{Data, Tensor};

use super::cost::cpu_s;
use super::draws::Draws;
use super::python::Python;

const COLUMNS: usize = 20;
const ROWS: usize = 200_000;
/// Rows of a request.
const REQUEST: usize = 64;
/// Rounds, one beside the other, that the median is taken of.
const ROUNDS: usize = 5;

pub(crate) fn measured(part: u64) -> String {
    let python = Python::installed();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("table.f64");
    let rows = if part == 1 { ROWS } else { ROWS / 4 };
    let table = table(rows);
    let bytes: Vec<u8> = table.iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(&file, bytes).unwrap();
    let names: Vec<Arc<str>> = (0..COLUMNS).map(|at| format!("x{at}").into()).collect();
    let profile = profile(&table, &names);
    let requests: Vec<[Tensor; 1]> = table
        .chunks_exact(COLUMNS * REQUEST)
        .map(|rows| [request(rows)])
        .collect();
    let (mut own, mut peer, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let ours = counting(&names, &profile, &requests) / (requests.len() * REQUEST) as f64;
        let arguments = [file.to_str().unwrap(), &COLUMNS.to_string()];
        let theirs: f64 = python
            .run("profiling.py", &arguments)
            .trim()
            .parse()
            .unwrap();
        let per_value = 1e9 / COLUMNS as f64;
        own.push(ours * per_value);
        peer.push(theirs / rows as f64 * per_value);
        ratios.push(theirs / rows as f64 / ours);
    }
    let [own, peer, ratio] = [own, peer, ratios].map(median);
    let mut page = format!(
        "A table of {rows} rows and {COLUMNS} columns of numbers of which no two are alike, on one \
         thread; medians of {ROUNDS} rounds, one beside the other. Binnacle gets it as requests of \
         {REQUEST} rows and counts each value in its bin, by its size and where it is out of range \
         (what the agent does once a request is decoded); whylogs {} gets one pandas frame and \
         keeps quantiles, distinct values, frequent ones and types: it does more with a value, and \
         Binnacle has a reference.\n\n\
         | | CPU of a value, ns | ÷ |\n| --- | ---: | ---: |\n\
         | Binnacle | {own:.1} | 1 |\n| whylogs | {peer:.0} | {ratio:.0} |\n",
        Python::version("whylogs"),
    );
    write!(
        page,
        "\nThe numbers of a payload, of a value of a 28 × 28 image: {:.1} ns without projections, \
         {:.1} ns with {PROJECTIONS}.\n",
        payload(0),
        payload(PROJECTIONS),
    )
    .unwrap();
    page
}

/// Row by row: normal, heavy and uniform columns by turns.
fn table(rows: usize) -> Vec<f64> {
    let mut draws = Draws::new(1, "speed");
    (0..rows * COLUMNS)
        .map(|at| match at % COLUMNS % 3 {
            0 => draws.normal(),
            1 => draws.heavy(3.0),
            _ => draws.uniform(),
        })
        .collect()
}

/// Of the first half of the table.
fn profile(table: &[f64], names: &[Arc<str>]) -> Profile {
    let rows = table.len() / COLUMNS / 2;
    let fields = names.iter().map(|name| Field {
        name: name.to_string(),
        kind: Kind::Number,
    });
    let mut gather = Gather::new(1, fields.collect()).unwrap();
    for rows in table[..rows * COLUMNS].chunks(COLUMNS * 4_096) {
        let column =
            |at: usize| -> Vec<f64> { rows.iter().skip(at).step_by(COLUMNS).copied().collect() };
        let columns: Vec<Vec<f64>> = (0..COLUMNS).map(column).collect();
        let columns: Vec<Column<'_>> = columns
            .iter()
            .map(|values| Column::Numbers { values, nulls: 0 })
            .collect();
        gather.block(rows.len() / COLUMNS, &columns, None);
    }
    gather.finish()
}

fn request(rows: &[f64]) -> Tensor {
    let shape = vec![REQUEST as i64, COLUMNS as i64];
    Tensor::new("rows", shape, Data::Fp64(rows.to_vec())).unwrap()
}

/// CPU seconds.
fn counting(names: &[Arc<str>], profile: &Profile, requests: &[[Tensor; 1]]) -> f64 {
    let mut vector = Vector::new(names, profile, 2);
    let before = cpu_s();
    for request in requests {
        assert_eq!(vector.count(black_box(request)), Fit::Fits);
    }
    black_box(vector.take());
    cpu_s() - before
}

/// Nanoseconds of a value, the best of five rounds.
fn payload(projections: usize) -> f64 {
    const SIDE: usize = 28;
    const TIMES: usize = 2_000;
    let mut draws = Draws::new(2, "speed");
    let image: Vec<f64> = (0..SIDE * SIDE).map(|_| draws.uniform()).collect();
    let payload = Payload::projecting(1, "image", projections);
    let mut out = [0.0; NUMBERS];
    let rounds = (0..5).map(|_| {
        let before = cpu_s();
        for _ in 0..TIMES {
            payload.slice(black_box(&image), &[SIDE, SIDE], &mut out);
        }
        black_box(&out);
        (cpu_s() - before) / (TIMES * SIDE * SIDE) as f64 * 1e9
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

//! What reading a data set costs: CPU for each value, memory whatever the length, beside
//! `sha256sum` of the same file, which reads and hashes it and does nothing else. The files are
//! made here, from a seed, and each is read in a process of its own, so that its memory is its.
//!
//! A bench that cannot go on ends with the reason: it panics where a product would return an
//! error.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use binnacle_data::{Options as Reading, Source, read};
use color_eyre::eyre::{WrapErr as _, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::section;

mod files;
mod live;

use self::files::Table;

/// Rounds that the median is taken of.
const ROUNDS: usize = 5;

/// What is measured.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// A tenth of the rows and one round: for a look, not for the page.
    #[arg(long)]
    quick: bool,
    /// Only tables whose name contains this: for a profiler. The page stays as it is.
    #[arg(long)]
    only: Option<String>,
}

/// One file, read in a process of its own.
#[derive(clap::Args, Debug)]
pub(crate) struct One {
    file: PathBuf,
}

/// What one reading cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Cost {
    rows: u64,
    columns: u64,
    bytes: u64,
    cpu_s: f64,
    peak_mb: f64,
}

impl Cost {
    fn values(&self) -> f64 {
        (self.rows * self.columns) as f64
    }
}

/// The whole of it.
pub(crate) fn run(options: &Options) -> color_eyre::Result<()> {
    let folder = tempfile::tempdir()?;
    let tenth = if options.quick { 10 } else { 1 };
    let rounds = if options.quick { 1 } else { ROUNDS };
    let mut page = String::from(
        "| table | file | values | values/s of CPU | CPU a value | peak memory | CPU of \
         `sha256sum` | ÷ `sha256sum` |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for table in Table::all() {
        if options
            .only
            .as_ref()
            .is_some_and(|only| !table.name().contains(only))
        {
            continue;
        }
        let path = folder.path().join(table.file());
        table.write(&path, tenth)?;
        let mut costs = Vec::new();
        let mut sums = Vec::new();
        for _ in 0..rounds {
            costs.push(one(&path)?);
            sums.push(sha256sum(&path)?);
        }
        let line = line(&table, &mut costs, &mut sums);
        print!("{line}");
        page += &line;
        std::fs::remove_file(&path)?;
    }
    page += &live::measured();
    if options.only.is_some() {
        return Ok(());
    }
    let rounds = if rounds == 1 {
        "one round".into()
    } else {
        format!("median of {rounds} rounds")
    };
    write!(
        page,
        "\nMachine: {}. {rounds}; `tests/bench/run data{}`.",
        section::machine(),
        if options.quick { " --quick" } else { "" },
    )?;
    section::rewrite("data", &page)
}

fn line(table: &Table, costs: &mut [Cost], sums: &mut [f64]) -> String {
    costs.sort_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s));
    sums.sort_by(f64::total_cmp);
    let cost = costs[costs.len() / 2];
    let sum = sums[sums.len() / 2];
    let peak = costs.iter().map(|cost| cost.peak_mb).fold(0.0, f64::max);
    format!(
        "| {} | {:.0} MB | {:.1} M | {:.1} M | {:.1} ns | {:.0} MB | {:.2} s | {:.2} |\n",
        table.name(),
        cost.bytes as f64 / 1e6,
        cost.values() / 1e6,
        cost.values() / cost.cpu_s / 1e6,
        cost.cpu_s / cost.values() * 1e9,
        peak,
        sum,
        cost.cpu_s / sum,
    )
}

/// Reads a file in a process of its own.
fn one(path: &Path) -> color_eyre::Result<Cost> {
    let own = std::env::current_exe()?;
    let output = Command::new(own).arg("data-one").arg(path).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(text.trim()).wrap_err("the process that reads told no cost")
}

/// Such a process.
pub(crate) fn read_one(one: &One) -> color_eyre::Result<()> {
    let source = Source::File(one.file.clone());
    let before = cpu_s();
    let table = read(&source, &Reading::default(), &mut |_| {
        ControlFlow::Continue(())
    })?;
    let cost = Cost {
        rows: table.rows,
        columns: table.columns.len() as u64,
        bytes: table.bytes,
        cpu_s: cpu_s() - before,
        peak_mb: peak_mb(),
    };
    println!("{}", serde_json::to_string(&cost)?);
    Ok(())
}

/// CPU seconds of `sha256sum` for a file, as its parent learns them.
fn sha256sum(path: &Path) -> color_eyre::Result<f64> {
    // The second line of the shell's `times` tells what its children took.
    let script = "sha256sum \"$1\" >/dev/null && times";
    let output = Command::new("bash")
        .args(["-c", script, "sum"])
        .arg(path)
        .output()?;
    ensure!(
        output.status.success(),
        "sha256sum cannot read {}",
        path.display()
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let seconds = |word: &str| {
        let (minutes, seconds) = word.trim_end_matches('s').split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    };
    let children = text.lines().nth(1).unwrap_or_default();
    Ok(children.split_whitespace().filter_map(seconds).sum())
}

/// CPU seconds of this process so far.
fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The most memory that this process ever had resident.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kb: f64 = peak.trim().trim_end_matches("kB").trim().parse().unwrap();
    kb / 1_024.0
}

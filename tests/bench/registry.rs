//! The registry at 1, 10 and 100 times a size, in each store: what a version takes in memory,
//! what a start, a page, a walk along lineage, an edit and a scan cost. Each size has a hub in a
//! process of its own, asked over its socket.
//!
//! A bench that cannot go on ends with the reason: it panics where a product would return an
//! error.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Stdio};

use binnacle_tests::postgres::Postgres;
use serde::Deserialize;

use crate::section;

mod fill;
mod one;

pub(crate) use one::{One, run as run_one};

/// Versions of each model.
pub(crate) const VERSIONS: u32 = 100;

/// What is measured.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The two smaller sizes only: for a look, not for the page.
    #[arg(long)]
    quick: bool,
}

/// What came of one size in one store.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Run {
    models: u32,
    /// Seconds until a hub is ready that replays the journal, and one that has a snapshot.
    replayed_s: f64,
    begun_s: f64,
    /// Bytes of the snapshot, and of resident memory, a version.
    snapshot_bytes: f64,
    resident_bytes: f64,
    /// Milliseconds, medians: a page of 50 models, a page of 50 versions, a version's lineage, an
    /// edit.
    models_ms: f64,
    versions_ms: f64,
    lineage_ms: f64,
    edit_ms: f64,
    /// Milliseconds of CPU for a look at every version.
    scan_ms: f64,
}

/// Runs it all.
pub(crate) fn run(options: &Options) -> color_eyre::Result<()> {
    let sizes: &[u32] = match options.quick {
        true => &[100, 1_000],
        false => &[100, 1_000, 10_000],
    };
    let server = Postgres::start();
    let mut rows = Vec::new();
    for &models in sizes {
        let folder = tempfile::tempdir()?;
        let file = format!("sqlite://{}", folder.path().join("hub.db").display());
        for (store, url) in [("SQLite", file), ("PostgreSQL", server.database())] {
            let run = measure(models, &url, folder.path())?;
            eprintln!("{store}: {run:?}");
            rows.push((store, run));
        }
    }
    let page = page(&rows, options.quick);
    println!("{page}");
    match options.quick {
        true => Ok(()),
        false => section::rewrite("registry", &page),
    }
}

fn measure(models: u32, url: &str, folder: &Path) -> color_eyre::Result<Run> {
    let models = models.to_string();
    let mut found = serde_json::Map::new();
    // A process for each part: what one leaves behind is not in the other's memory.
    for part in [None, Some("--filled")] {
        let output = Command::new(std::env::current_exe()?)
            .args(["registry-one", "--models", &models, "--store", url])
            .arg("--folder")
            .arg(folder)
            .args(part)
            .stderr(Stdio::inherit())
            .output()?;
        assert!(
            output.status.success(),
            "{models} models: {}",
            output.status
        );
        let part: serde_json::Map<_, _> = serde_json::from_slice(&output.stdout)?;
        found.extend(part);
    }
    Ok(serde_json::from_value(found.into())?)
}

fn page(rows: &[(&str, Run)], is_quick: bool) -> String {
    let machine = section::machine();
    let postgres = section::first_line("psql", &["--version"]);
    let quick = if is_quick { " --quick" } else { "" };
    let mut page = format!(
        "Machine: {machine}. {postgres}, fsync off, on the same machine.\n\
         Command: `tests/bench/run registry{quick}`. Every model has {VERSIONS} versions with \
         files of their own, each trained on two data sets, every second made from the one \
         before. A page is 50 rows from the middle, over the hub's socket; medians of 50. \
         *Memory* is what the process grew by from before its start, a version. *Scan* looks at \
         every version of the index.\n\n\
         | store | versions | start, replayed s | start, snapshot s | snapshot B | memory B | \
         models ms | versions ms | lineage ms | edit ms | scan CPU ms |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    );
    for (store, run) in rows {
        let versions = run.models * VERSIONS;
        page.push_str(&format!(
            "| {store} | {versions} | {:.2} | {:.2} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} | \
             {:.1} | {:.1} |\n",
            run.replayed_s,
            run.begun_s,
            run.snapshot_bytes,
            run.resident_bytes,
            run.models_ms,
            run.versions_ms,
            run.lineage_ms,
            run.edit_ms,
            run.scan_ms,
        ));
    }
    page
}

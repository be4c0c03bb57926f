//! A data scientist's day, played by a script through the real programs on real data.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch};
use binnacle_data::{Options, Registered, Source, read};
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use binnacle_tests::postgres::Postgres;
use binnacle_tests::program::binaries;

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

fn registered(path: &Path) -> Registered {
    let source = Source::File(path.to_owned());
    let go_on = &mut |_| std::ops::ControlFlow::Continue(());
    read(&source, &Options::default(), go_on).unwrap()
}

/// The demo's rows as a Parquet table.
fn write(path: &Path) {
    let rows = root().join("console/demo/models/tumour/rows.json");
    let rows: Value = serde_json::from_slice(&std::fs::read(rows).unwrap()).unwrap();
    let names = rows["features"].as_array().unwrap();
    let columns = names.iter().enumerate().map(|(at, name)| {
        let cells = rows["rows"].as_array().unwrap().iter();
        let cells = cells.map(|row| row[at].as_f64().unwrap() as f32);
        let array: ArrayRef = Arc::new(Float32Array::from_iter_values(cells));
        (name.as_str().unwrap(), array)
    });
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn the_days_parquet_file_holds_the_demos_rows() {
    let kept = root().join("tests/day/cells.parquet");
    if std::env::var_os("REGENERATE").is_some() {
        write(&kept);
    }
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("cells.parquet");
    write(&made);
    let (kept, made) = (registered(&kept), registered(&made));
    assert_eq!((kept.digest, kept.rows), (made.digest, 171));
}

#[test]
fn a_data_scientists_day_ends_with_everything_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("day");
    std::fs::create_dir(&work).unwrap();
    let server = Postgres::start();
    let mut script = Command::new("python3");
    script
        .arg(root().join("tests/day/day.py"))
        .arg("--program")
        .arg(binaries().join("binnacle"))
        .arg("--folder")
        .arg(&work)
        .arg("--store")
        .arg(server.database())
        .env_remove("BINNACLE_HUB");
    let ended = script.output().unwrap();
    let (told, complaint) = (
        String::from_utf8_lossy(&ended.stdout).into_owned(),
        String::from_utf8_lossy(&ended.stderr).into_owned(),
    );
    assert!(ended.status.success(), "{told}\n{complaint}");
    assert_eq!(told.lines().count(), 8, "every step was taken:\n{told}");
    assert!(told.contains("an empty hub on postgres"), "{told}");
}

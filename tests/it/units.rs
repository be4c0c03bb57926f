//! The systemd units are units that systemd accepts.

use std::path::PathBuf;
use std::process::Command;

use binnacle_tests::program::binaries;

/// The units that the product installs.
fn units() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned();
    ["agent/systemd", "console/hub/systemd"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|e| e == "service" || e == "socket")
        })
        .collect()
}

#[test]
fn every_unit_passes_systemds_own_check() {
    let folder = tempfile::tempdir().unwrap();
    let units = units();
    assert_eq!(
        units.len(),
        3,
        "{units:?}: agent's service and socket, hub's service"
    );
    let mut copies = Vec::new();
    for unit in &units {
        // systemd looks for the programs at the places where they will be installed; here they
        // are where they were built.
        let text = std::fs::read_to_string(unit).unwrap();
        let built = format!("{}/", binaries().display());
        let text = text
            .replace("/usr/local/bin/", &built)
            .replace("/usr/bin/", &built);
        let copy = folder.path().join(unit.file_name().unwrap());
        std::fs::write(&copy, text).unwrap();
        copies.push(copy);
    }
    let checked = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(&copies)
        .output()
        .expect("systemd-analyze is missing: install systemd");
    let told = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && told.trim().is_empty(), "{told}");
}

//! What lies in a repository folder: `<model>/<version>/model.onnx`.
//!
//! Reads names only, never a model. Folders that cannot be versions are told, not passed over in
//! silence; files beside the folders are nobody's business.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

use super::IndexEntry;

/// Most models in one repository: beyond that, one host is not where they belong.
pub const MODELS_MAX: usize = 1_024;
/// Most versions of one model.
pub const VERSIONS_MAX: usize = 256;
/// Longest name of a model, in bytes: what the agent and the hub accept.
const MODEL_MAX_BYTES: usize = 255;
/// The file in each version's folder.
const FILE: &str = "model.onnx";

/// What lies in the folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Models and their versions.
    pub(super) models: BTreeMap<String, BTreeSet<u64>>,
    /// What looks like a model or version and is none, and why.
    pub(super) skipped: Vec<IndexEntry>,
}

/// Reads the folder.
pub(super) fn scan(root: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    for (model, folder) in folders(root)? {
        if model.len() > MODEL_MAX_BYTES || model.chars().any(char::is_control) {
            let reason = format!("a model's name is at most {MODEL_MAX_BYTES} printable bytes");
            found.skip(&model.escape_default().to_string(), "", reason);
        } else if found.models.len() >= MODELS_MAX {
            found.skip(
                &model,
                "",
                format!("beyond the {MODELS_MAX} models of a repository"),
            );
        } else if let Err(error) = versions(&mut found, &model, &folder) {
            found.skip(&model, "", format!("cannot be read: {error}"));
        }
    }
    Ok(found)
}

/// The number that a version's name stands for; only one name stands for each number.
pub(super) fn version(name: &str) -> Option<u64> {
    let number: u64 = name.parse().ok()?;
    (number > 0 && number.to_string() == name).then_some(number)
}

/// Where that version's model lies.
pub(super) fn file(root: &Path, model: &str, version: u64) -> PathBuf {
    root.join(model).join(version.to_string()).join(FILE)
}

impl Found {
    fn skip(&mut self, model: &str, version: &str, reason: String) {
        self.skipped.push(IndexEntry {
            name: model.to_owned(),
            version: version.to_owned(),
            state: "UNAVAILABLE",
            reason,
        });
    }
}

fn versions(found: &mut Found, model: &str, folder: &Path) -> io::Result<()> {
    let mut numbers = BTreeSet::new();
    for (name, path) in folders(folder)? {
        let shown = name.escape_default().to_string();
        if !path.join(FILE).is_file() {
            found.skip(model, &shown, format!("no {FILE} in it"));
        } else if let Some(number) = version(&name) {
            if numbers.len() >= VERSIONS_MAX {
                let reason = format!("beyond the {VERSIONS_MAX} versions of a model");
                found.skip(model, &shown, reason);
            } else {
                numbers.insert(number);
            }
        } else {
            let reason = "a version's folder is a number from 1 without leading zeros";
            found.skip(model, &shown, reason.to_owned());
        }
    }
    if !numbers.is_empty() {
        found.models.insert(model.to_owned(), numbers);
    }
    Ok(())
}

/// The folders in a folder, in the order of their names; hidden ones are nobody's models.
fn folders(root: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(root)?.take(MODELS_MAX * 2) {
        let entry: DirEntry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        // Through links: a version is often a link to where artifacts are kept.
        if !name.starts_with('.') && entry.path().is_dir() {
            folders.push((name, entry.path()));
        }
    }
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_name_stands_for_each_version() {
        assert_eq!(version("10"), Some(10));
        for name in [
            "0",
            "01",
            "+1",
            "v1",
            "",
            "-1",
            "1 ",
            "99999999999999999999",
        ] {
            assert_eq!(version(name), None, "{name:?}");
        }
    }

    #[test]
    fn folders_that_are_no_versions_are_told_with_the_reason() {
        let root = tempfile::tempdir().unwrap();
        for version in ["2", "10", "v3", "4"] {
            fs::create_dir_all(root.path().join("m").join(version)).unwrap();
            if version != "4" {
                fs::write(root.path().join("m").join(version).join(FILE), "x").unwrap();
            }
        }
        fs::write(root.path().join("README.md"), "x").unwrap();
        let found = scan(root.path()).unwrap();
        assert_eq!(found.models["m"], BTreeSet::from([2, 10]));
        let skipped: Vec<_> = found
            .skipped
            .iter()
            .map(|one| one.version.as_str())
            .collect();
        assert_eq!(skipped, ["4", "v3"]);
    }
}

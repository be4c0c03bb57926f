//! The tree of the repository as text: which files there are, and what stands in them.
//!
//! Built files, git's own folder and Python's caches are no part of the house and are left out;
//! files that are no UTF-8 (models) are listed without text.

use std::path::{Path, PathBuf};

/// Folders that hold nothing anybody wrote.
const LEFT_OUT: [&str; 3] = ["target", ".git", "__pycache__"];

/// One file: its path from the root with forward slashes, and its text.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: Option<String>,
}

impl File {
    /// The text, or nothing for a file that is no text.
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Whether the file was written by a generator, which follows no style of ours.
    pub(super) fn generated(&self) -> bool {
        self.path.contains("/src/gen/")
    }

    /// Lines with their numbers from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text()
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
    }

    /// The file's own name.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The folder that it lies in, empty for the root.
    pub(super) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// The repository's root.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in a folder of the root")
        .to_owned()
}

/// Every file of the house, in order of path.
pub(super) fn files() -> Vec<File> {
    let root = root();
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                if !LEFT_OUT.iter().any(|out| name == *out) {
                    folders.push(entry.path());
                }
            } else if kind.is_file() {
                let path = entry.path();
                let inside = path.strip_prefix(&root).unwrap();
                files.push(File {
                    path: inside.to_str().unwrap().to_owned(),
                    text: std::fs::read(&path)
                        .ok()
                        .and_then(|b| String::from_utf8(b).ok()),
                });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Every Rust file that a person wrote.
pub(super) fn rust() -> Vec<File> {
    let mut files = files();
    files.retain(|file| file.path.ends_with(".rs") && !file.generated());
    files
}

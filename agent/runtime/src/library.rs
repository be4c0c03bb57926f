//! Where the ONNX Runtime library lies, and which one is the right one.
//!
//! The order is: the flag, the environment, beside this program, the user's data folder, the
//! system's usual places. A library that is named outright is used or complained about, never
//! passed over for another.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

/// The version of the library that this program is built and tested with.
pub const LIBRARY_VERSION: &str = "1.31.1";
/// The environment variable that names a library outright.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// The environment variable that keeps the library from reporting to its maker, and its value.
///
/// Without it the library, from 1.31 on, opens a database of events in the user's cache folder
/// when it is loaded, and uploads them when it can. What it is told after it was loaded is too
/// late: it reads this variable once.
pub const SILENCE: (&str, &str) = ("ORT_DISABLE_TELEMETRY", "1");

/// The file names it may have, the pinned version's first.
const FILES: [&str; 3] = [
    "libonnxruntime.so.1.31.1",
    "libonnxruntime.so.1",
    "libonnxruntime.so",
];
/// Where distributions and administrators put libraries.
const SYSTEM: [&str; 6] = [
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/onnxruntime/lib",
];

/// Why no library was found.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// None in any of the places.
    #[error(
        "the ONNX Runtime library is missing: run `binnacle-runtime fetch` to install version \
         {LIBRARY_VERSION}, or name one with --onnxruntime or {LIBRARY_VARIABLE} (looked in \
         {searched})"
    )]
    Missing {
        /// The folders that were looked in.
        searched: String,
    },
    /// One was named and is not there.
    #[error("no ONNX Runtime library at {path}, which {named_by} names")]
    Named {
        /// The path.
        path: PathBuf,
        /// What named it.
        named_by: &'static str,
    },
}

/// Where a library may be named or lie; gathered once, so that the search itself is pure.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// What the flag says.
    pub flag: Option<PathBuf>,
    /// What the environment says.
    pub variable: Option<PathBuf>,
    /// Folders, in the order to look in.
    pub folders: Vec<PathBuf>,
}

impl Places {
    /// The places of this process, given what the flag says.
    #[must_use]
    pub fn of_process(flag: Option<PathBuf>) -> Self {
        let beside = std::env::current_exe()
            .ok()
            .and_then(|exe| Some(exe.parent()?.to_owned()));
        let folders = beside.into_iter().chain(installed_folder());
        Self {
            flag,
            variable: std::env::var_os(LIBRARY_VARIABLE).map(PathBuf::from),
            folders: folders.chain(SYSTEM.map(PathBuf::from)).collect(),
        }
    }

    /// The library to load.
    ///
    /// # Errors
    /// When a named one is not there, or none lies in any folder.
    pub fn find(&self) -> Result<PathBuf, LibraryError> {
        let named = [
            (&self.flag, "--onnxruntime"),
            (&self.variable, LIBRARY_VARIABLE),
        ];
        for (path, named_by) in named {
            if let Some(path) = path {
                let found = if path.is_dir() {
                    within(path)
                } else {
                    Some(path.clone())
                };
                return found
                    .filter(|path| path.is_file())
                    .ok_or_else(|| LibraryError::Named {
                        path: path.clone(),
                        named_by,
                    });
            }
        }
        self.folders
            .iter()
            .find_map(|folder| within(folder))
            .ok_or_else(|| {
                let shown: Vec<_> = self
                    .folders
                    .iter()
                    .map(|f| f.display().to_string())
                    .collect();
                LibraryError::Missing {
                    searched: shown.join(", "),
                }
            })
    }
}

/// The folder in the user's data folder that `fetch` installs into; `None` without a home.
#[must_use]
pub fn installed_folder() -> Option<PathBuf> {
    let folders = ProjectDirs::from("", "", "binnacle")?;
    Some(folders.data_dir().join("onnxruntime").join(LIBRARY_VERSION))
}

/// The name of the pinned library's file.
#[must_use]
pub fn pinned_file() -> &'static str {
    let [pinned, ..] = FILES;
    pinned
}

fn within(folder: &Path) -> Option<PathBuf> {
    FILES
        .iter()
        .map(|file| folder.join(file))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_goes_flag_environment_folders_and_a_named_one_must_be_there() {
        let root = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "x").unwrap();
            path
        };
        let (first, second) = (
            put("a/libonnxruntime.so"),
            put("b/libonnxruntime.so.1.31.1"),
        );
        let folders = ["none", "a", "b"]
            .map(|name| root.path().join(name))
            .to_vec();
        let mut places = Places {
            folders,
            ..Places::default()
        };
        assert_eq!(places.find().unwrap(), first);
        places.variable = Some(root.path().join("b"));
        assert_eq!(places.find().unwrap(), second);
        places.flag = Some(root.path().join("gone.so"));
        let error = places.find().unwrap_err().to_string();
        assert!(
            error.ends_with("gone.so, which --onnxruntime names"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_library_says_exactly_what_to_run() {
        let places = Places {
            folders: vec!["/nowhere".into()],
            ..Places::default()
        };
        let error = places.find().unwrap_err().to_string();
        assert_eq!(
            error,
            "the ONNX Runtime library is missing: run `binnacle-runtime fetch` to install version \
             1.31.1, or name one with --onnxruntime or ORT_DYLIB_PATH (looked in /nowhere)"
        );
    }
}

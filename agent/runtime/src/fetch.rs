//! Getting the pinned ONNX Runtime library out of its Python wheel.
//!
//! `pip` downloads the one wheel whose library was measured, whatever Python runs it; the
//! library's SHA-256 is checked before it is moved, in one step, to where the search finds it.
//! Done twice, the second time only checks.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest as _, Sha256};

use crate::library::{self, LIBRARY_VERSION};

/// SHA-256 of `libonnxruntime.so.1.31.1` in the manylinux wheel for `x86_64`.
const LIBRARY_SHA256: &str = "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3";
/// The wheel that holds it: pinned, so that the digest does not depend on who fetches.
const WHEEL: [&str; 8] = [
    "--platform",
    "manylinux_2_28_x86_64",
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
    "--abi",
    "cp311",
];
/// Where the library lies inside the wheel.
const INSIDE: &str = "onnxruntime/capi/libonnxruntime.so.1.31.1";
/// Read at a time while hashing.
const CHUNK_BYTES: usize = 1 << 16;

/// What `fetch` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It was there already, and is the right one.
    Already(PathBuf),
    /// It was downloaded, checked and installed.
    Installed(PathBuf),
}

/// Why the library could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no pinned library for this machine.
    #[error(
        "no pinned ONNX Runtime library for {os} on {arch}: install version {LIBRARY_VERSION} \
         or later yourself and name it with --onnxruntime or ORT_DYLIB_PATH"
    )]
    Unsupported {
        /// The operating system.
        os: &'static str,
        /// The processor.
        arch: &'static str,
    },
    /// There is no data folder to install into.
    #[error("no home folder to install into: set HOME, or name a folder with --into")]
    NoHome,
    /// A file could not be read or written.
    #[error("cannot {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Python could not be started.
    #[error("cannot run python3, which fetches the library: install Python 3 with pip")]
    NoPython(#[source] io::Error),
    /// Python ran and failed.
    #[error("{what} failed: {said}")]
    Python {
        /// Which step.
        what: &'static str,
        /// The end of what it said.
        said: String,
    },
    /// What came is not what was measured.
    #[error("the library's SHA-256 is {came}, not the pinned {LIBRARY_SHA256}: not installed")]
    Digest {
        /// The digest of what came.
        came: String,
    },
}

/// Installs the library into `into`, or else into the user's data folder.
///
/// Blocks; each step is told to `progress`.
///
/// # Errors
/// When this machine has no pinned library, or downloading, checking or installing fails.
pub fn fetch(into: Option<&Path>, progress: impl Fn(&str)) -> Result<Fetched, FetchError> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    if (os, arch) != ("linux", "x86_64") {
        return Err(FetchError::Unsupported { os, arch });
    }
    let folder = match into {
        Some(folder) => folder.to_owned(),
        None => library::installed_folder().ok_or(FetchError::NoHome)?,
    };
    let target = folder.join(library::pinned_file());
    if target.is_file() && digest(&target)? == LIBRARY_SHA256 {
        return Ok(Fetched::Already(target));
    }
    fs::create_dir_all(&folder).map_err(file("create", &folder))?;
    // Beside the target, so that the last step is a rename within one file system.
    let work = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(&folder);
    let work = work.map_err(file("create a folder in", &folder))?;
    progress(&format!(
        "downloading onnxruntime {LIBRARY_VERSION} with pip"
    ));
    let wheel = download(work.path())?;
    progress("unpacking the library");
    let library = unpack(&wheel, work.path())?;
    let came = digest(&library)?;
    if came != LIBRARY_SHA256 {
        return Err(FetchError::Digest { came });
    }
    let opened = File::open(&library).map_err(file("open", &library))?;
    opened.sync_all().map_err(file("write", &library))?;
    fs::rename(&library, &target).map_err(file("install", &target))?;
    progress(&format!("installed {}", target.display()));
    Ok(Fetched::Installed(target))
}

fn download(work: &Path) -> Result<PathBuf, FetchError> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
        .args([
            "--disable-pip-version-check",
            "--no-input",
            "--timeout",
            "30",
            "--dest",
        ])
        .arg(work)
        .args(WHEEL)
        .arg(format!("onnxruntime=={LIBRARY_VERSION}"));
    finished("pip download", pip.output())?;
    let entries = fs::read_dir(work).map_err(file("read", work))?;
    let mut files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|end| end == "whl");
    files.find(is_wheel).ok_or_else(|| FetchError::Python {
        what: "pip download",
        said: "it left no wheel".to_owned(),
    })
}

fn unpack(wheel: &Path, work: &Path) -> Result<PathBuf, FetchError> {
    let mut python = Command::new("python3");
    python.args(["-m", "zipfile", "-e"]).arg(wheel).arg(work);
    finished("unpacking the wheel", python.output())?;
    Ok(work.join(INSIDE))
}

fn finished(what: &'static str, output: io::Result<Output>) -> Result<(), FetchError> {
    let output = output.map_err(FetchError::NoPython)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = said.lines().rev().take(3).collect();
    Err(FetchError::Python {
        what,
        said: lines.into_iter().rev().collect::<Vec<_>>().join("; "),
    })
}

fn digest(path: &Path) -> Result<String, FetchError> {
    let mut opened = File::open(path).map_err(file("open", path))?;
    let mut sha256 = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = opened.read(&mut chunk).map_err(file("read", path))?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(hex::encode(sha256.finalize()));
        };
        sha256.update(bytes);
    }
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    move |source| FetchError::File { what, path, source }
}

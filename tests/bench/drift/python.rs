//! Python's side of the bench: the peers and the digits, in versions that are pinned, in a folder
//! of their own that the bench makes the first time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is installed.
const WANTED: &str = include_str!("requirements.txt");

/// A Python that has everything.
pub(crate) struct Python {
    program: PathBuf,
}

impl Python {
    /// Installs what is not there yet.
    pub(crate) fn installed() -> Self {
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
        let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
        let folder = cache.join("binnacle-bench/drift");
        let done = folder.join("requirements.txt");
        let program = folder.join("bin/python");
        if fs::read_to_string(&done).is_ok_and(|there| there == WANTED) {
            return Self { program };
        }
        eprintln!("installing the peers into {}", folder.display());
        let python = ["python3.11", "python3"]
            .into_iter()
            .find(|name| Command::new(name).arg("--version").output().is_ok())
            .expect("Python 3.11 is needed, with venv");
        let venv = Command::new(python)
            .args(["-m", "venv", "--clear"])
            .arg(&folder)
            .status();
        assert!(venv.unwrap().success(), "{python} -m venv failed");
        let pip = Command::new(&program)
            .args(["-m", "pip", "install", "-q", "--disable-pip-version-check"])
            .arg("-r")
            .arg(script("requirements.txt"))
            .status();
        assert!(pip.unwrap().success(), "pip install failed");
        // Written last: where it is, everything is.
        fs::write(done, WANTED).unwrap();
        Self { program }
    }

    /// What a script of this folder prints, on one thread. The peers are not to tell anybody.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> String {
        let output = Command::new(&self.program)
            .arg(script(name))
            .args(arguments)
            .envs(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"].map(|name| (name, "1")))
            .envs(["WHYLOGS_NO_ANALYTICS", "DO_NOT_TRACK"].map(|name| (name, "1")))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The pinned version of a package.
    pub(crate) fn version(package: &str) -> &'static str {
        let lines = WANTED.lines().filter_map(|line| line.split_once("=="));
        let mut own = lines.filter(|(name, _)| *name == package);
        own.next().expect("it is pinned").1
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("bench/drift")
        .join(name)
}

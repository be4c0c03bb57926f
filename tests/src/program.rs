//! One running program of ours: started, ready, ended by its id.
//!
//! A program is ready when it has printed one line of JSON on its standard output. Its standard
//! error goes to a file in the test's folder, whose end is shown when something fails.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::patience::eventually;

/// Two busy cores start a runtime with its models in two seconds; this is for worse days.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// What a program may take to end after it was asked to: it drains, seals and delivers first.
const END_LIMIT: Duration = Duration::from_secs(20);
/// Lines of a program's log that a failure shows.
const LOG_LINES: usize = 25;

/// The folder of the programs under test: the one that the tests themselves were built into.
pub fn binaries() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own
        .ancestors()
        .find(|folder| folder.join("binnacle").is_file());
    let Some(folder) = folder else {
        panic!(
            "the programs under test are not built: run `cargo build --profile ci -p binnacle \
             -p binnacle-agent -p binnacle-runtime`, or tests/run, which does"
        )
    };
    folder.to_owned()
}

/// One of our programs, not started yet.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(binaries().join(program));
    // What the person who runs the tests has set must not steer the programs under test.
    for variable in [
        "BINNACLE_HUB",
        "RUST_LOG",
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "LISTEN_PID",
    ] {
        command.env_remove(variable);
    }
    command
}

/// A program that has said that it is ready.
pub struct Program {
    name: String,
    child: Child,
    ready: Value,
    log: PathBuf,
}

impl Program {
    /// Starts `program`, and waits for its line. Panics with the end of its log if it ends first.
    #[track_caller]
    pub fn start<A: AsRef<OsStr>>(program: &str, args: &[A], folder: &Path) -> Self {
        match Self::try_start(program, args, folder) {
            Ok(program) => program,
            Err(why) => panic!("{why}"),
        }
    }

    /// As [`Program::start`], for programs that are expected to refuse: what it said instead.
    pub fn try_start<A: AsRef<OsStr>>(
        program: &str,
        args: &[A],
        folder: &Path,
    ) -> Result<Self, String> {
        let mut started = command(program);
        started.args(args);
        Self::try_launch(program, started, folder)
    }

    /// As [`Program::try_start`], of a command with an environment of its own, or that goes through
    /// another program.
    pub fn try_launch(program: &str, mut command: Command, folder: &Path) -> Result<Self, String> {
        let log = folder.join(format!("{program}.log"));
        let errors = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        let stdout = child.stdout.take().expect("it was piped");
        let (line, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody listens after the first line; the pipe must still be emptied.
                let _ = line.send(text);
            }
        });
        let first = lines.recv_timeout(READY_LIMIT);
        let ready = first.ok().and_then(|line| serde_json::from_str(&line).ok());
        let Some(ready) = ready else {
            let _ = child.kill();
            let status = child.wait().unwrap();
            return Err(format!(
                "{program} did not become ready ({status}):\n{}",
                tail(&log)
            ));
        };
        let name = program.to_owned();
        Ok(Self {
            name,
            child,
            ready,
            log,
        })
    }

    /// What the program said when it was ready.
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        tail(&self.log)
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        resident(self.id())
    }

    /// Ends it as a power cut would, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, waits, and returns how it ended.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM).unwrap();
        let what = format!("{} ends after SIGTERM", self.name);
        let (child, log) = (&mut self.child, &self.log);
        eventually(&what, END_LIMIT, || {
            child.try_wait().unwrap().ok_or_else(|| tail(log))
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("-- the end of {}'s log:\n{}", self.name, self.log());
        }
    }
}

/// Resident memory of a process in bytes.
pub(crate) fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes = line.trim().trim_end_matches("kB").trim();
    kilobytes.parse::<u64>().unwrap() * 1024
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

//! The headless commands, as a script sees them: exit code, standard output, standard error.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::program;

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; −1 if a signal ended it.
    pub code: i32,
    /// What it printed, which is UTF-8.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Ended {
    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "exit {}, no JSON ({error}): {}\n{}",
                self.code, self.stdout, self.stderr
            )
        })
    }

    /// The last line of standard output as a JSON document: what came of a command that told of
    /// its way there.
    #[track_caller]
    pub fn outcome(&self) -> Value {
        let line = self.stdout.lines().next_back().unwrap_or_default();
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}\n{}", self.stdout, self.stderr))
    }

    /// The document of a command that must have gone well.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self.json()
    }

    /// The error that a command reports as JSON: the last line of standard error.
    #[track_caller]
    pub fn error(&self) -> Value {
        let line = self.stderr.lines().next_back().unwrap_or_default();
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("no JSON error ({error}): {}", self.stderr))
    }
}

/// Runs `binnacle` to its end.
#[track_caller]
pub fn binnacle<A: AsRef<OsStr>>(args: &[A]) -> Ended {
    run("binnacle", args)
}

/// Runs `binnacle` to its end, with more in its environment.
#[track_caller]
pub fn binnacle_in<A: AsRef<OsStr>>(environment: &[(String, String)], args: &[A]) -> Ended {
    let mut command = program::command("binnacle");
    let all = environment.iter();
    command
        .args(args)
        .envs(all.map(|(name, value)| (name, value)));
    ended(command)
}

/// Runs one of our programs to its end.
#[track_caller]
pub fn run<A: AsRef<OsStr>>(program: &str, args: &[A]) -> Ended {
    let mut command = program::command(program);
    command.args(args);
    ended(command)
}

#[track_caller]
fn ended(mut command: Command) -> Ended {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A command that goes on, and prints a JSON document a line.
pub struct Following {
    child: Child,
    lines: Receiver<Value>,
}

impl Following {
    /// Starts `binnacle` with `args`.
    pub fn start<A: AsRef<OsStr>>(args: &[A]) -> Self {
        let mut command = program::command("binnacle");
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().expect("it was piped");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let document = serde_json::from_str(&line)
                    .unwrap_or_else(|error| panic!("no JSON line ({error}): {line}"));
                if send.send(document).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line that `wanted` accepts; the others before it are let go.
    #[track_caller]
    pub fn next(&self, what: &str, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        loop {
            match self.lines.recv_timeout(limit) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => last = line,
                Err(why) => panic!("{what}: {why} after {limit:?}; the last line was {last}"),
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

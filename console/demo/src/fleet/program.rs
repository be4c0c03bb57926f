//! One started program, and the reaper that outlives it.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::{DemoError, reaper};

/// Longest wait for a program to say that it is ready; on two busy cores it takes two seconds.
const READY_MAX: Duration = Duration::from_secs(60);
/// Longest wait for the reaper: its own grace and a margin.
const REAPED_MAX: Duration = Duration::from_secs(20);
/// Lines of a log that an error shows.
const LOG_LINES: usize = 5;

/// A program that has said that it is ready.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    child: Child,
    ready: Value,
}

/// The process that stops the others when this one is gone.
#[derive(Debug)]
pub(super) struct Reaper {
    child: Child,
    group: i32,
    folder: PathBuf,
}

impl Program {
    /// Starts `command` in the reaper's group and waits for its one line.
    pub(super) async fn start(
        name: &str,
        mut command: Command,
        folder: &Path,
        reaper: &Reaper,
    ) -> Result<Self, DemoError> {
        let log = folder.join(format!("{name}.log"));
        let failed = |source| DemoError::Start {
            name: name.to_owned(),
            source,
        };
        let errors = File::create(&log).map_err(failed)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors);
        // What steers the person's own commands must not steer these.
        for variable in ["BINNACLE_HUB", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"] {
            command.env_remove(variable);
        }
        let mut child = command
            .process_group(reaper.group)
            .spawn()
            .map_err(failed)?;
        let not_ready = |what| DemoError::NotReady {
            name: name.to_owned(),
            what,
            log: end_of(&log),
        };
        let Some(stdout) = child.stdout.take() else {
            return Err(not_ready("has no standard output"));
        };
        let mut line = String::new();
        let mut reader = BufReader::new(stdout);
        match tokio::time::timeout(READY_MAX, reader.read_line(&mut line)).await {
            Ok(Ok(read)) if read > 0 => {}
            Ok(_) => return Err(not_ready("ended instead of becoming ready")),
            Err(_) => return Err(not_ready("did not become ready in time")),
        }
        let Ok(ready) = serde_json::from_str(&line) else {
            return Err(not_ready("said something else than where it listens"));
        };
        // A pipe that nobody empties would stop the program once it is full.
        tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
        Ok(Self {
            name: name.to_owned(),
            child,
            ready,
        })
    }

    /// The address that its line gives under `key`.
    pub(super) fn address(&self, key: &str) -> Result<SocketAddr, DemoError> {
        let text = self
            .ready
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default();
        text.parse().map_err(|_| DemoError::NotReady {
            name: self.name.clone(),
            what: "did not say where it listens",
            log: self.ready.to_string(),
        })
    }

    /// Waits for its end, which the reaper has seen to.
    pub(super) async fn ended(mut self) {
        let _status = tokio::time::timeout(REAPED_MAX, self.child.wait()).await;
    }
}

impl Reaper {
    /// Starts the reaper of a new temporary folder.
    pub(super) async fn start(console: &Path) -> Result<Self, DemoError> {
        let parent = std::env::temp_dir();
        let made = tempfile::Builder::new()
            .prefix(crate::FOLDER)
            .tempdir_in(&parent);
        let folder = made.map_err(|source| DemoError::Folder {
            what: "make a folder",
            folder: parent,
            source,
        })?;
        let failed = |source| DemoError::Start {
            name: "the reaper".to_owned(),
            source,
        };
        let mut command = Command::new(console);
        command
            .arg(reaper::COMMAND)
            .arg("--folder")
            .arg(folder.path());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let mut said = [0; reaper::READY.len()];
        let ready = match child.stdout.take() {
            Some(mut stdout) => {
                let read = tokio::time::timeout(READY_MAX, stdout.read_exact(&mut said)).await;
                matches!(read, Ok(Ok(_))) && said == *reaper::READY
            }
            None => false,
        };
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        match id.filter(|_| ready) {
            // From here on the folder is the reaper's to remove.
            Some(group) => Ok(Self {
                child,
                group,
                folder: folder.keep(),
            }),
            None => Err(DemoError::NotReady {
                name: "the reaper".to_owned(),
                what: "ended instead of becoming ready",
                log: String::new(),
            }),
        }
    }

    /// The folder that it will remove.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets go of the pipe, and waits until it has done its work.
    pub(super) async fn end(mut self) {
        drop(self.child.stdin.take());
        let _status = tokio::time::timeout(REAPED_MAX, self.child.wait()).await;
    }
}

fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(LOG_LINES).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

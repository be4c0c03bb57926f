//! What the hub says, asked with the command that a person would use.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use crate::DemoError;
use crate::clock::Stopwatch;

/// Longest wait for the hub to know every host.
const HOSTS_MAX: Duration = Duration::from_secs(30);
/// Longest wait, after the last request, for the hub to have counted it: a window is a second,
/// its way to the hub another.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// The demo's hub.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    program: PathBuf,
    socket: PathBuf,
}

/// What the hub counted.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Counted {
    /// By model and version.
    pub(crate) items: Vec<CountedRow>,
    /// Everything together.
    pub(crate) total: CountedRow,
}

/// One row of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CountedRow {
    /// The model; empty in the total.
    #[serde(default)]
    pub(crate) model: String,
    /// The version; empty in the total.
    #[serde(default)]
    pub(crate) version: String,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    /// Microseconds; absent when there are too few requests.
    pub(crate) p50_us: Option<f64>,
    /// Microseconds; absent when there are too few requests.
    pub(crate) p99_us: Option<f64>,
}

#[derive(Deserialize)]
struct Hosts {
    items: Vec<serde_json::Value>,
}

impl Hub {
    /// The hub that listens on `socket`, asked with `program`.
    pub(crate) fn new(program: &Path, socket: &Path) -> Self {
        Self {
            program: program.to_owned(),
            socket: socket.to_owned(),
        }
    }

    /// Its address, as `--hub` takes it.
    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Waits until it knows `hosts` hosts.
    pub(crate) async fn knows(&self, hosts: usize) -> Result<(), DemoError> {
        let watch = Stopwatch::start();
        loop {
            let listed: Result<Hosts, _> = self.ask("its hosts", &["host", "list"]).await;
            match listed {
                Ok(listed) if listed.items.len() >= hosts => return Ok(()),
                Err(error) if watch.elapsed() > HOSTS_MAX => return Err(error),
                Ok(listed) if watch.elapsed() > HOSTS_MAX => {
                    let reason = format!("it knows {} of {hosts}", listed.items.len());
                    return Err(DemoError::Hub {
                        question: "its hosts",
                        reason,
                    });
                }
                Ok(_) | Err(_) => tokio::time::sleep(ASK_EVERY).await,
            }
        }
    }

    /// What it counted since then, once that is as much as was sent or does not become so.
    pub(crate) async fn settled(&self, sent: u64, since: String) -> Result<Counted, DemoError> {
        let watch = Stopwatch::start();
        loop {
            let asked = ["latency", "--since", since.as_str()];
            let counted: Counted = self.ask("what it counted", &asked).await?;
            if counted.total.requests == sent || watch.elapsed() > SETTLE_MAX {
                return Ok(counted);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Has the hub do something.
    pub(crate) async fn does(
        &self,
        question: &'static str,
        words: &[&str],
    ) -> Result<(), DemoError> {
        let told = self.ask::<serde_json::Value>(question, words).await;
        told.map(|_told| ())
    }

    /// What the hub answers to a command that has to succeed.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        question: &'static str,
        words: &[&str],
    ) -> Result<T, DemoError> {
        self.ends(question, words, &[0]).await
    }

    /// What the hub answers to a command that may end with one of these codes.
    pub(crate) async fn ends<T: DeserializeOwned>(
        &self,
        question: &'static str,
        words: &[&str],
        codes: &[i32],
    ) -> Result<T, DemoError> {
        let failed = |reason: String| DemoError::Hub { question, reason };
        let output = Command::new(&self.program)
            .args(words)
            .args(["--json", "--hub", &self.address()])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| failed(error.to_string()))?;
        if !output
            .status
            .code()
            .is_some_and(|code| codes.contains(&code))
        {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failed(said.trim().to_owned()));
        }
        // What is told on the way are lines of their own: the answer is the last.
        let said = output.stdout.trim_ascii_end();
        let answer = said
            .rsplit(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        serde_json::from_slice(answer).map_err(|error| failed(error.to_string()))
    }
}

//! The demo: a hub, three hosts, three models and live traffic in one command, and incidents.
//!
//! It starts the programs that lie beside its own, each as an operator would, in one temporary
//! folder, and sends them real rows over HTTP and gRPC. [`start`] gives a [`Running`] demo, whose
//! [`Summary`] holds what was sent against what the hub counted. A reaper ([`reaper`]) holds the
//! other end of a pipe: when this process ends, however it ends, the reaper stops the programs and
//! removes the folder.
//!
//! What the programs do is theirs: this crate knows only their command lines.

mod catalogue;
mod clock;
mod fleet;
mod hub;
mod incident;
mod models;
mod moved;
pub mod reaper;
mod summary;
mod traffic;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::fleet::Fleet;
use crate::hub::Hub;
use crate::traffic::Traffic;

pub use incident::{Blame, Healed, Incident};
pub use moved::Moved;
pub use summary::{Client, ModelSummary, Percentiles, Summary};

/// How often a demo that ends by itself tells how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How often one that runs until Ctrl-C does: a person is looking elsewhere meanwhile.
const TELL_SELDOM: Duration = Duration::from_secs(60);

/// How long the fleet runs before something goes wrong of which a person was not told: time to
/// look around.
pub const CALM: Duration = Duration::from_secs(120);
/// How long traffic flows before an incident that plays by itself: what is normal has been seen.
const BASELINE: Duration = Duration::from_secs(5);

/// How the name of a demo's folder begins, and with it that of its hub's socket.
pub const FOLDER: &str = "binnacle-demo-";

/// What a demo is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the programs `binnacle`, `binnacle-agent` and `binnacle-runtime`.
    pub binaries: PathBuf,
    /// Requests a second, over all hosts and protocols together.
    pub rate: u32,
    /// Inputs are looked at in ticks that run faster than the clock, for an incident that is played
    /// through by itself.
    pub is_fast: bool,
}

/// What became of an incident.
#[derive(Clone, Debug, PartialEq)]
pub enum Played {
    /// A version was taken back.
    Healed(Healed),
    /// Inputs moved, and it was noticed.
    Moved(Moved),
}

/// When the traffic ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After that time.
    Elapsed(Duration),
    /// When the person at the terminal presses Ctrl-C.
    Interrupted,
}

/// The rate unless another is asked for: alive on screen, and a tenth of what two cores can do.
pub const RATE: u32 = 300;
/// Most requests a second: beyond it the demo would measure its own client.
pub const RATE_MAX: u32 = 3_000;

/// Why a demo could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A program of ours is not where it should be.
    #[error("no program {name} in {folder}: build or install all three programs together")]
    NoProgram {
        /// Its name.
        name: &'static str,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A program could not be started.
    #[error("cannot start {name}")]
    Start {
        /// What it is to the demo.
        name: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program ended, or said nothing in time, instead of becoming ready.
    #[error("{name} {what}; its log ends: {log}")]
    NotReady {
        /// What it is to the demo.
        name: String,
        /// What it did instead.
        what: &'static str,
        /// The end of its log.
        log: String,
    },
    /// The inference library is missing and could not be fetched.
    #[error(
        "the ONNX Runtime library could not be fetched: see above, then run \
             `binnacle-runtime fetch`"
    )]
    NoLibrary,
    /// A file or folder of the demo's cannot be written.
    #[error("cannot {what} in {folder}")]
    Folder {
        /// What was tried.
        what: &'static str,
        /// Where.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A host does not take a connection.
    #[error("cannot connect to {host}: {reason}")]
    Connect {
        /// Which host.
        host: String,
        /// Why not.
        reason: String,
    },
    /// The models that were built in cannot be read: a damaged build.
    #[error("the built-in rows of model {model} cannot be read")]
    Rows {
        /// Which model.
        model: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The hub did not answer a question, or not as it should.
    #[error("asking the hub for {question} failed: {reason}")]
    Hub {
        /// What was asked.
        question: &'static str,
        /// What came instead.
        reason: String,
    },
    /// Ctrl-C before the traffic began.
    #[error("interrupted before the fleet was ready")]
    Interrupted,
}

/// A demo whose traffic flows. Dropped, it is stopped and removed by its reaper.
#[derive(Debug)]
pub struct Running {
    fleet: Fleet,
    traffic: Traffic,
    watch: Stopwatch,
    /// Nothing of this demo was counted before.
    since: String,
}

/// Starts a demo: everything runs and requests are sent when this returns. What happens on the way
/// is told to `progress`, a line at a time.
///
/// # Errors
/// When a program is missing or does not become ready, or at Ctrl-C.
pub async fn start(settings: &Settings, progress: impl Fn(&str)) -> Result<Running, DemoError> {
    let since = clock::now_minus(Duration::from_secs(60));
    let rate = settings.rate.clamp(1, RATE_MAX);
    let (fleet, traffic) = tokio::select! {
        ready = prepare(settings, rate, &progress) => ready?,
        _ = tokio::signal::ctrl_c() => return Err(DemoError::Interrupted),
    };
    progress(&format!(
        "sending {rate} requests a second over HTTP and gRPC"
    ));
    Ok(Running {
        fleet,
        traffic,
        watch: Stopwatch::start(),
        since,
    })
}

impl Running {
    /// The hub's address, as `--hub` takes it.
    #[must_use]
    pub fn hub(&self) -> String {
        self.fleet.hub().address()
    }

    /// Plays an incident through: a version with a fault comes, is judged and taken back, or inputs
    /// move and somebody is told.
    ///
    /// # Errors
    /// When the hub does not answer, or does not take the version back.
    pub async fn play(
        &self,
        incident: Incident,
        progress: impl Fn(&str),
    ) -> Result<Played, DemoError> {
        let Some(fault) = incident.fault() else {
            let change = || self.traffic.moves();
            let moved = tokio::select! {
                moved = moved::play(self.fleet.hub(), change, &progress) => moved?,
                _ = tokio::signal::ctrl_c() => return Err(DemoError::Interrupted),
            };
            return Ok(Played::Moved(Moved {
                failed_requests: self.traffic.failed(),
                sent: self.traffic.sent(),
                ..moved
            }));
        };
        tokio::time::sleep(BASELINE).await;
        progress(&format!(
            "bringing a version with a fault: {}",
            incident.word()
        ));
        let healed = tokio::select! {
            healed = fault.play(self.fleet.hub()) => healed?,
            _ = tokio::signal::ctrl_c() => return Err(DemoError::Interrupted),
        };
        let why = &healed.blame.why;
        progress(&format!("{} was taken back: {why}", healed.version));
        Ok(Played::Healed(Healed {
            failed_requests: self.traffic.failed(),
            sent: self.traffic.sent(),
            ..healed
        }))
    }

    /// Has an incident befall the fleet once it was calm for a while; `None` where it could not.
    /// Ended by dropping what is returned.
    pub async fn befall(&self, incident: Incident) -> Option<()> {
        tokio::time::sleep(CALM).await;
        match incident.fault() {
            Some(fault) => fault.befall(self.fleet.hub()).await.ok(),
            None => {
                self.traffic.moves();
                Some(())
            }
        }
    }

    /// Waits until the traffic has lasted as long as it is to, or Ctrl-C.
    pub async fn last(&self, until: Until, progress: impl Fn(&str)) {
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        if until == Until::Interrupted {
            explain(self.fleet.hub(), &progress);
        }
        loop {
            let (left, tell) = match until {
                Until::Elapsed(all) => (all.saturating_sub(self.watch.elapsed()), TELL_EVERY),
                Until::Interrupted => (Duration::MAX, TELL_SELDOM),
            };
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(tell)) => {}
                _ = &mut interrupted => return,
            }
            progress(&format!("{} requests answered", self.traffic.sent()));
        }
    }

    /// Ends the traffic, holds what was sent against what was counted, and stops everything.
    ///
    /// # Errors
    /// When the hub does not answer. That it counted something else than was sent is no error:
    /// the summary says it.
    pub async fn finish(self, progress: impl Fn(&str)) -> Result<Summary, DemoError> {
        let sent = self.traffic.stop().await;
        let took = self.watch.elapsed();
        progress("waiting until the hub has counted them all");
        let counted = self.fleet.hub().settled(sent.total(), self.since).await?;
        let summary = summary::sum_up(took, self.fleet.hosts(), sent, counted);
        progress("stopping the fleet");
        self.fleet.end().await;
        Ok(summary)
    }
}

async fn prepare(
    settings: &Settings,
    rate: u32,
    progress: &impl Fn(&str),
) -> Result<(Fleet, Traffic), DemoError> {
    let models = models::built_in()?;
    let fleet = Fleet::start(&settings.binaries, settings.is_fast, progress).await?;
    let traffic = Traffic::start(fleet.addresses(), models, rate).await?;
    Ok((fleet, traffic))
}

fn explain(hub: &Hub, progress: &impl Fn(&str)) {
    let address = hub.address();
    progress("the fleet runs until Ctrl-C; look at it from another terminal:");
    for command in ["host list", "latency", "watch"] {
        progress(&format!("    binnacle {command} --hub {address}"));
    }
}

//! `binnacle demo`: a whole fleet in one command, and its reaper.

use std::path::PathBuf;
use std::time::Duration;

use binnacle_core::address::NotAnAddress;
use binnacle_demo::{DemoError, Incident, Running, Settings, Summary, Until, reaper};
use clap::Args;

use crate::cli::{Global, console, time};
use crate::context::Chosen;
use crate::format;
use crate::memory;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Form};

/// How long a headless demo sends traffic if nobody says.
const HEADLESS_FOR: Duration = Duration::from_secs(30);

/// Starts a hub, three agents with an inference server each, brings three models to their
/// endpoints, and sends rows to them, over HTTP and gRPC. On a terminal the console opens on it,
/// and after two minutes something goes wrong. In the end what was sent is held against what the
/// hub counted. Nothing is left behind, even when it is killed.
#[derive(Args, Debug)]
pub(crate) struct Ask {
    /// Send traffic for a while, print what was sent and counted, and end: exit 1 unless they
    /// are the same. Without it the fleet runs until Ctrl-C.
    #[arg(long)]
    headless: bool,
    /// Do not open the console; the fleet runs until Ctrl-C.
    #[arg(long)]
    no_console: bool,
    /// How long to send traffic [default: 30s with --headless, else until Ctrl-C].
    #[arg(long = "for", value_name = "TIME", value_parser = time::duration)]
    duration: Option<Duration>,
    /// Requests a second over all hosts.
    #[arg(long, value_name = "N", default_value_t = binnacle_demo::RATE,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(binnacle_demo::RATE_MAX)))]
    rate: u32,
    /// What goes wrong: with --headless at once, judged and taken back without anybody, and told
    /// in one document; otherwise after two minutes, for you to put right.
    #[arg(long, value_name = "NAME", value_parser = incident, conflicts_with = "duration")]
    incident: Option<Incident>,
    /// Nothing goes wrong.
    #[arg(long, conflicts_with = "incident")]
    calm: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Reaper {
    /// The folder to remove.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
}

impl Ask {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        // For the fleet that it starts; its own console spares memory again.
        memory::plenty();
        let own = std::env::current_exe()?;
        let binaries = own.parent().map(PathBuf::from).unwrap_or_default();
        let settings = Settings {
            binaries,
            rate: self.rate,
        };
        let tell = |line: &str| eprintln!("{line}");
        let running = binnacle_demo::start(&settings, tell)
            .await
            .map_err(failed)?;
        if let Some(incident) = self.incident.filter(|_| self.headless) {
            return play(running, incident, global.form()).await;
        }
        let watched = async {
            match self.has_console(global) {
                true => show(global, &running).await,
                false => {
                    running.last(self.until(), tell).await;
                    Ok(())
                }
            }
        };
        let seen = match self.befalls() {
            None => watched.await,
            Some(incident) => {
                let befalling = async {
                    // What could not be brought is seen in the journal, and no reason to end.
                    let _befallen = running.befall(incident).await;
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    seen = watched => seen,
                    () = befalling => Ok(()),
                }
            }
        };
        let summary = running.finish(tell).await.map_err(failed)?;
        // What went wrong on the screen is said once nothing is left behind.
        seen?;
        match global.form() {
            Form::Json => output::json(&summary)?,
            Form::Text => output::text(told(&summary))?,
        }
        match summary.agrees() {
            true => Ok(Exit::Ok),
            false => Ok(Exit::Failed),
        }
    }
}

impl Ask {
    /// A person who asked for an answer, or for a time, did not ask for a screen.
    fn has_console(&self, global: &Global) -> bool {
        let is_asked = self.headless || self.no_console || self.duration.is_some();
        !is_asked && global.form() == Form::Text && console::has_terminal()
    }

    /// What goes wrong while somebody looks on.
    fn befalls(&self) -> Option<Incident> {
        let is_watched = !self.headless && self.duration.is_none() && !self.calm;
        is_watched.then(|| self.incident.unwrap_or(Incident::FailingVersion))
    }

    fn until(&self) -> Until {
        match (self.duration, self.headless) {
            (Some(duration), _) => Until::Elapsed(duration),
            (None, true) => Until::Elapsed(HEADLESS_FOR),
            (None, false) => Until::Interrupted,
        }
    }
}

fn incident(word: &str) -> Result<Incident, String> {
    let found = Incident::ALL.into_iter().find(|one| one.word() == word);
    found.ok_or_else(|| {
        let words = Incident::ALL.map(Incident::word).join(", ");
        format!("no such incident; there are {words}")
    })
}

/// Plays an incident through, and tells what became of it.
async fn play(running: Running, incident: Incident, form: Form) -> Result<Exit, Failure> {
    let tell = |line: &str| eprintln!("{line}");
    let healed = running.play(incident, tell).await;
    let summary = running.finish(tell).await.map_err(failed)?;
    let healed = healed.map_err(failed)?;
    match form {
        Form::Json => output::json(&healed)?,
        Form::Text => output::text(format!(
            "{} at {}: detected after {:.1} s, {} hosts back in {:.0} ms, {} of {} requests \
             failed\nblame: {}",
            healed.version,
            healed.endpoint,
            healed.detected_after_s,
            healed.hosts_confirmed,
            healed.rolled_back_in_ms,
            healed.failed_requests,
            healed.sent,
            healed.blame.why,
        ))?,
    }
    match summary.agrees() {
        true => Ok(Exit::Ok),
        false => Ok(Exit::Failed),
    }
}

/// Opens the console on the demo, until it is left.
async fn show(global: &Global, running: &Running) -> Result<(), Failure> {
    let text = running.hub();
    let address = text.parse().map_err(|error: NotAnAddress| {
        Failure::new(Exit::Failed, format!("the demo's hub: {error}"))
    })?;
    let hub = Chosen {
        address,
        by: "the demo".to_owned(),
        name: "demo".to_owned(),
    };
    console::on(global, hub, None).await.map(|_left| ())
}

fn failed(error: DemoError) -> Failure {
    match error {
        DemoError::Interrupted => Failure::of(Exit::Interrupted, &error),
        DemoError::NoProgram { .. }
        | DemoError::Start { .. }
        | DemoError::NotReady { .. }
        | DemoError::NoLibrary
        | DemoError::Folder { .. }
        | DemoError::Connect { .. }
        | DemoError::Rows { .. }
        | DemoError::Hub { .. } => Failure::of(Exit::Failed, &error),
    }
}

fn told(summary: &Summary) -> String {
    let same = if summary.agrees() {
        "every one"
    } else {
        "NOT every one"
    };
    let (client, hub) = (&summary.client.percentiles, &summary.hub);
    let mut lines = vec![
        format!(
            "sent {} requests ({} over HTTP, {} over gRPC), {} failed; the hub counted {}: {same}",
            format::count(summary.sent),
            format::count(summary.client.http),
            format::count(summary.client.grpc),
            format::count(summary.errors),
            format::count(summary.counted),
        ),
        format!(
            "as the client saw them: p50 {}, p99 {}; as the hub has them: p50 {}, p99 {}",
            format::latency(client.p50_us),
            format::latency(client.p99_us),
            format::latency(hub.p50_us),
            format::latency(hub.p99_us),
        ),
    ];
    lines.extend(summary.models.iter().map(|row| {
        let name = format!("{} {}", row.model, row.version);
        let (sent, counted) = (format::count(row.sent), format::count(row.counted));
        format!("  {name:<20} sent {sent:>9}  counted {counted:>9}")
    }));
    lines.join("\n")
}

impl Reaper {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        reaper::reap(&self.folder).await?;
        Ok(Exit::Ok)
    }
}

//! `binnacle demo`: a whole fleet in one command, and its reaper.

use std::path::PathBuf;
use std::time::Duration;

use binnacle_demo::{DemoError, Settings, Summary, Until, reaper};
use clap::Args;

use crate::cli::{Global, time};
use crate::format;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Form};

/// How long a headless demo sends traffic if nobody says.
const HEADLESS_FOR: Duration = Duration::from_secs(30);

/// Starts a hub, three agents with an inference server each, and sends real rows to two
/// models in two versions, over HTTP and gRPC; then holds what was sent against what the hub
/// counted. Nothing is left behind, even when it is killed.
#[derive(Args, Debug)]
pub(crate) struct Ask {
    /// Send traffic for a while, print what was sent and counted, and end: exit 1 unless they
    /// are the same. Without it the fleet runs until Ctrl-C.
    #[arg(long)]
    headless: bool,
    /// How long to send traffic [default: 30s with --headless, else until Ctrl-C].
    #[arg(long = "for", value_name = "TIME", value_parser = time::duration)]
    duration: Option<Duration>,
    /// Requests a second over all hosts.
    #[arg(long, value_name = "N", default_value_t = binnacle_demo::RATE,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(binnacle_demo::RATE_MAX)))]
    rate: u32,
}

#[derive(Args, Debug)]
pub(crate) struct Reaper {
    /// The folder to remove.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
}

impl Ask {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let until = match (self.duration, self.headless) {
            (Some(duration), _) => Until::Elapsed(duration),
            (None, true) => Until::Elapsed(HEADLESS_FOR),
            (None, false) => Until::Interrupted,
        };
        let own = std::env::current_exe()?;
        let binaries = own.parent().map(PathBuf::from).unwrap_or_default();
        let settings = Settings {
            binaries,
            until,
            rate: self.rate,
        };
        let summary = binnacle_demo::run(settings, |line| eprintln!("{line}")).await;
        let summary = summary.map_err(|error| match error {
            DemoError::Interrupted => Failure::of(Exit::Interrupted, &error),
            DemoError::NoProgram { .. }
            | DemoError::Start { .. }
            | DemoError::NotReady { .. }
            | DemoError::NoLibrary
            | DemoError::Folder { .. }
            | DemoError::Connect { .. }
            | DemoError::Rows { .. }
            | DemoError::Hub { .. } => Failure::of(Exit::Failed, &error),
        })?;
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

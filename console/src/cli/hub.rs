//! `binnacle hub run`: the always-on half, in the foreground, as a service runs it.

use std::path::PathBuf;

use binnacle_core::address::Address;
use binnacle_hub::artifact::ArtifactUrl;
use binnacle_hub::clock::Clock;
use binnacle_hub::listen::Loopback;
use binnacle_hub::sinks::{MAX_SINKS, Sink};
use binnacle_hub::store::StoreUrl;
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::context;
use crate::memory;
use crate::outcome::{Exit, Failure};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the hub until SIGTERM or Ctrl-C.
    Run(Run),
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Its folder; made if it is not there.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The store: sqlite://PATH, postgres://USER@HOST/DATABASE, or memory: to forget at the end
    /// [default: hub.db in --data].
    #[arg(long, value_name = "URL")]
    store: Option<StoreUrl>,
    /// Where files are kept: s3://BUCKET/PREFIX, gs://…, az://… (settings from the environment, as
    /// its cloud's tools take them), or file:///PATH [default: artifacts/ in --data].
    #[arg(long, value_name = "URL")]
    artifacts: Option<ArtifactUrl>,
    /// Where to listen: unix:PATH or ADDR:PORT; may be given more than once.
    #[arg(long, value_name = "ADDR")]
    listen: Vec<Address>,
    /// Who is told of alerts: webhook=URL, slack=URL, pagerduty=KEY or alertmanager=URL; with
    /// @FILE in place of what is secret, the first line of that file. May be given more than once.
    #[arg(long, value_name = "KIND=WHERE")]
    sink: Vec<String>,
    /// Allow loopback addresses, where callers are not known.
    #[arg(long)]
    insecure_loopback: bool,
}

/// What is printed once the hub can be called.
#[derive(Serialize)]
struct Ready {
    listen: Vec<String>,
    data: String,
}

impl Verb {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Run(run) => {
                memory::plenty();
                run.run().await
            }
        }
    }
}

impl Run {
    async fn run(self) -> Result<Exit, Failure> {
        let settings = self.settings()?;
        let data = settings.data.display().to_string();
        let signals = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let start = binnacle_hub::start(settings, Clock::system()).await;
        let hub = start.map_err(|error| Failure::of(Exit::Failed, &error))?;
        let listen: Vec<String> = hub.addresses().iter().map(Address::to_string).collect();
        tracing::info!(listen = listen.join(" "), data, "the hub is ready");
        binnacle_hub::notify(binnacle_hub::Phase::Ready);
        output::json_line(&Ready { listen, data })?;
        let (mut terminate, mut interrupt) = signals;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        binnacle_hub::notify(binnacle_hub::Phase::Stopping);
        tracing::info!("the hub is stopping");
        hub.stop().await;
        Ok(Exit::Ok)
    }

    fn settings(self) -> Result<binnacle_hub::Settings, Failure> {
        let data = self.data.or_else(context::usual_data).ok_or_else(|| {
            Failure::new(Exit::Usage, "no home folder to keep data in").hint("use --data DIR")
        })?;
        let usual = || Address::Unix(context::own_place().unwrap_or(data.join("hub.sock")));
        let listen = match self.listen.is_empty() {
            false => self.listen,
            true => vec![usual()],
        };
        let loopback = match self.insecure_loopback {
            true => Loopback::Insecure,
            false => Loopback::Refused,
        };
        let store = self
            .store
            .unwrap_or_else(|| binnacle_hub::Settings::store_in(&data));
        Ok(binnacle_hub::Settings {
            data,
            store,
            artifacts: self.artifacts,
            listen,
            loopback,
            sinks: sinks(&self.sink)?,
        })
    }
}

/// Sinks as they are typed, with what is secret read from its file.
fn sinks(typed: &[String]) -> Result<Vec<Sink>, Failure> {
    let wrong = |why: String| Failure::new(Exit::Usage, format!("--sink: {why}"));
    if typed.len() > MAX_SINKS {
        return Err(wrong(format!("at most {MAX_SINKS} can be told")));
    }
    let read = |text: &String| {
        let whole = match text.split_once("=@") {
            None => text.clone(),
            Some((kind, file)) => {
                let kept = std::fs::read_to_string(file);
                let kept = kept.map_err(|error| wrong(format!("cannot read {file}: {error}")))?;
                let first = kept.lines().next().unwrap_or_default();
                format!("{kind}={}", first.trim())
            }
        };
        whole
            .parse::<Sink>()
            .map_err(|error| wrong(error.to_string()))
    };
    typed.iter().map(read).collect()
}

//! The headless commands: `binnacle <noun> <verb>`, one file a noun.

use std::process::ExitCode;
use std::time::Duration;

use binnacle_tui::screen::Place;
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::context;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::Form;

mod alert;
mod alias;
mod approval;
pub(crate) mod artifact;
mod console;
mod dataset;
mod demo;
mod deploy;
mod doctor;
mod drift;
mod endpoint;
mod environment;
mod featureset;
mod freeze;
mod header;
mod host;
mod hub;
mod incident;
mod journal;
mod latency;
mod manual;
mod model;
mod objective;
mod profile;
mod registry;
mod replay;
mod rollout;
mod snapshot;
mod time;
mod version;
mod watch;
mod why;

/// One terminal for every machine-learning model in production.
#[derive(Debug, Parser)]
#[command(name = "binnacle", version, about, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 not permitted, \
    6 conflict, 7 refused, rolled back or drift, 8 still pending, 9 hub unreachable or data stale, \
    10 confirmation needed, 130 interrupted."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    /// Open the console here: a view, or a view and an object, as in hosts/infer-0042.
    #[arg(long, value_name = "VIEW", value_parser = console::place)]
    open: Option<Place>,
    /// Without one, on a terminal, the console opens.
    #[command(subcommand)]
    command: Option<Command>,
}

/// The heading under which help tells what every command understands, apart from its own.
const EVERYWHERE: &str = "Everywhere";

/// What every command understands.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// The hub: unix:PATH or ADDR:PORT.
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "BINNACLE_HUB",
          value_name = "ADDR")]
    hub: Option<String>,
    /// The context of the configuration that names the hub.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "NAME")]
    context: Option<String>,
    /// One JSON document on stdout; errors as JSON on stderr.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
    /// How long the hub may take to answer.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "TIME",
          default_value = "10s", value_parser = time::duration)]
    pub(crate) timeout: Duration,
    /// Never ask and never open an editor: what would be asked is a failure then.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) no_input: bool,
    /// Only ASCII letters; so it is too where the locale is not UTF-8.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) ascii: bool,
    /// No colours; so it is too where NO_COLOR is set.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) no_color: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The always-on half: run it.
    #[command(subcommand)]
    Hub(hub::Verb),
    /// Machines with an agent: list, show, retire, readmit.
    #[command(subcommand)]
    Host(host::Verb),
    /// Named, owned things that predict: list, show, create, edit, history.
    #[command(subcommand)]
    Model(model::Verb),
    /// Immutable, numbered artifacts of a model: list, show, register, compare, lineage.
    #[command(subcommand)]
    Version(version::Verb),
    /// Named pointers to versions: list, show, set, remove, history.
    #[command(subcommand)]
    Alias(alias::Verb),
    /// Files by their SHA-256, in the hub's store: upload, download, verify, collect.
    #[command(subcommand)]
    Artifact(artifact::Verb),
    /// Versioned data that models are trained on: list, show, register, lineage.
    #[command(subcommand)]
    Dataset(dataset::Verb),
    /// What a data set looks like, feature by feature: show, compare.
    #[command(subcommand)]
    Profile(profile::Verb),
    /// Ordered feature vectors that models are given: list, show, register, lineage.
    #[command(subcommand)]
    Featureset(featureset::Verb),
    /// Hosts, and the rules that hold there: list, show, set, edit, history.
    #[command(subcommand)]
    Environment(environment::Verb),
    /// The names that applications call: list, show, create, edit, history, lift.
    #[command(subcommand)]
    Endpoint(endpoint::Verb),
    /// What must hold at an endpoint: show, set.
    #[command(subcommand)]
    Objective(objective::Verb),
    /// Bring versions to an endpoint, step by step, judged on the way.
    Deploy(deploy::Deploy),
    /// Take an endpoint back to what was good, on all hosts at once.
    Rollback(deploy::Rollback),
    /// What is under way: list, show, watch, pause, resume, abort, confirm.
    #[command(subcommand)]
    Rollout(rollout::Verb),
    /// Plans that wait for another person's yes: list, show, approve, reject.
    #[command(subcommand)]
    Approval(approval::Verb),
    /// Times in which nothing new comes to an environment: list, set, lift.
    #[command(subcommand)]
    Freeze(freeze::Verb),
    /// What does not hold: list, show, acknowledge, silence.
    #[command(subcommand)]
    Alert(alert::Verb),
    /// Live inputs held against the training data: list, show, explain, episodes, rebaseline.
    #[command(subcommand)]
    Drift(drift::Verb),
    /// What is wrong at an endpoint, since when, by whose fault, and what helps: ten lines.
    Why(why::Ask),
    /// What happened at an endpoint, from its onset to its end: export.
    #[command(subcommand)]
    Incident(incident::Verb),
    /// Write the whole registry as JSON lines; stored files do not come along.
    Export(registry::copy::Export),
    /// Take over what another hub exported; what was cut off goes on where it was.
    Import(registry::copy::Import),
    /// Requests, errors and percentiles by model and version, merged over hosts.
    Latency(latency::Ask),
    /// The record of every decision: list, verify, export.
    #[command(subcommand)]
    Journal(journal::Verb),
    /// Follow the journal, or what changes on hosts and models, as it happens.
    Watch(watch::Ask),
    /// Look for what is wrong between here and the fleet.
    Doctor,
    /// A hub, three hosts, two models and live traffic in one command.
    Demo(demo::Ask),
    /// Print one frame of a view of the console as text.
    Snapshot(snapshot::Ask),
    /// Step through a recorded session of the console.
    Replay(replay::Ask),
    /// Stops a demo's programs when its own is gone.
    #[command(hide = true)]
    DemoReaper(demo::Reaper),
    /// Print the completion script of a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one a command into a folder.
    Man {
        /// Where to write the pages; without it the first is printed.
        folder: Option<std::path::PathBuf>,
    },
}

impl Global {
    pub(crate) fn form(&self) -> Form {
        match self.json {
            true => Form::Json,
            false => Form::Text,
        }
    }

    pub(crate) fn chosen(&self) -> Result<context::Chosen, Failure> {
        context::choose(self.hub.as_deref(), self.context.as_deref())
    }

    pub(crate) async fn link(&self) -> Result<Link, Failure> {
        Link::connect(&self.chosen()?, self.timeout).await
    }
}

/// Parses the words and does what they ask.
pub(crate) async fn run() -> ExitCode {
    let wants_json = std::env::args().any(|word| word == "--json" || word == "--jsonl");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && wants_json => {
            return Failure::new(Exit::Usage, error.render().to_string().trim()).tell(true);
        }
        Err(error) => {
            // Nowhere to print to: the exit code says it all the same.
            let _unheard = error.print();
            return ExitCode::from(if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            });
        }
    };
    let ended = match cli.command {
        Some(command) => command.run(&cli.global).await,
        None => console::run(&cli.global, cli.open).await,
    };
    match ended {
        Ok(exit) => exit.into(),
        // The reader of a pipe has gone: nobody is left to be told.
        Err(failure) if failure.exit == Exit::Ok => ExitCode::SUCCESS,
        Err(failure) => failure.tell(wants_json),
    }
}

impl Command {
    async fn run(self, global: &Global) -> Result<Exit, Failure> {
        match self {
            Self::Hub(verb) => verb.run().await,
            Self::Host(verb) => verb.run(global).await,
            Self::Model(verb) => verb.run(global).await,
            Self::Version(verb) => verb.run(global).await,
            Self::Alias(verb) => verb.run(global).await,
            Self::Artifact(verb) => verb.run(global).await,
            Self::Dataset(verb) => verb.run(global).await,
            Self::Profile(verb) => verb.run(global).await,
            Self::Featureset(verb) => verb.run(global).await,
            Self::Environment(verb) => verb.run(global).await,
            Self::Approval(verb) => verb.run(global).await,
            Self::Freeze(verb) => verb.run(global).await,
            Self::Endpoint(verb) => verb.run(global).await,
            Self::Objective(verb) => verb.run(global).await,
            Self::Deploy(deploy) => deploy.run(global).await,
            Self::Rollback(rollback) => rollback.run(global).await,
            Self::Rollout(verb) => verb.run(global).await,
            Self::Alert(verb) => verb.run(global).await,
            Self::Drift(verb) => verb.run(global).await,
            Self::Why(ask) => ask.run(global).await,
            Self::Incident(verb) => verb.run(global).await,
            Self::Export(export) => export.run(global).await,
            Self::Import(import) => import.run(global).await,
            Self::Latency(ask) => ask.run(global).await,
            Self::Journal(verb) => verb.run(global).await,
            Self::Watch(ask) => ask.run(global).await,
            Self::Doctor => doctor::run(global).await,
            Self::Demo(ask) => ask.run(global).await,
            Self::Snapshot(ask) => ask.run(global).await,
            Self::Replay(ask) => ask.run(global).await,
            Self::DemoReaper(reaper) => reaper.run().await,
            Self::Completions { shell } => manual::completions(Cli::command(), shell),
            Self::Man { folder } => manual::man(Cli::command(), folder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }
}

//! The agent's command line: run, ask a running one, roll back, check a configuration.
//!
//! Promises: exit codes 0 ok, 1 failed, 2 usage or configuration, 3 no agent found, 6 it cannot
//! do that as things stand, 9 it does not answer; what a person reads goes to a table, what a
//! script reads to `--json`.

mod show;

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::assignment::standing::{Override, Rollback};
use crate::config::{CONTROL_SOCKET, Config, ConfigError, Given, Text};
use crate::control::{self, AskError};
use crate::status::Status;

/// Where systemd's unit puts the control socket.
const UNIT_RUNTIME: &str = "/run/binnacle-agent";

/// `binnacle-agent`
#[derive(Debug, Parser)]
#[command(name = "binnacle-agent", version, about, max_term_width = 100)]
#[command(about = "The sidecar beside each inference host: counts every request, exactly")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent until it is told to stop
    Run(Box<RunArgs>),
    /// Show what a running agent says of itself
    Status(StatusArgs),
    /// Take an endpoint of this host back to what it was before, without asking a hub
    Rollback(RollbackArgs),
    /// Check a configuration and say what is wrong with it
    Check(CheckArgs),
}

/// Flags of `run`. They win over the file.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// Configuration in TOML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// This host's name at the hub
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The environment that the host belongs to
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// What else is to be known of the host; may be repeated
    #[arg(long, value_name = "K=V")]
    label: Vec<String>,
    /// The hub, unix:PATH or ADDR:PORT; several are tried in turn
    #[arg(long, value_name = "ADDR")]
    hub: Vec<String>,
    /// The inference server, http://HOST:PORT
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// The inference server's gRPC, if it has a port of its own
    #[arg(long, value_name = "URL")]
    grpc_upstream: Option<String>,
    /// Where applications connect
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Folder for what must outlive the agent
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// The agent's own socket [default: agent.sock in $RUNTIME_DIRECTORY or --data]
    #[arg(long, value_name = "PATH")]
    control: Option<String>,
    /// Threads that serve requests [default: 1]
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// How long the inference server may be silent [default: 30s]
    #[arg(long, value_name = "TIME")]
    upstream_timeout: Option<String>,
    /// Write a line of JSON for each inference request
    #[arg(long, value_name = "FILE")]
    request_log: Option<String>,
    /// The header that names who calls [default: callers are told apart by their address]
    #[arg(long, value_name = "NAME")]
    caller_header: Option<String>,
    /// Bytes of windows that may wait for the hub
    #[arg(long, value_name = "BYTES")]
    spool_limit_bytes: Option<String>,
    /// A model to watch on a server that cannot list its own; may be repeated
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// What kind of server it is: runtime, mlserver, triton, other [default: it is asked]
    #[arg(long, value_name = "KIND")]
    server: Option<String>,
    /// The server's repository of models, where the agent may place versions
    #[arg(long, value_name = "DIR")]
    repository: Option<String>,
    /// Bytes of models that may lie on this host's disk
    #[arg(long, value_name = "BYTES")]
    artifact_limit_bytes: Option<String>,
    /// Bytes of memory that loaded models may take together [default: 80 % of the machine's]
    #[arg(long, value_name = "BYTES")]
    memory_limit_bytes: Option<String>,
    /// How long a window of figures lasts, 50ms to 1s; shorter ones are for demos [default: 1s]
    #[arg(long, value_name = "TIME")]
    window: Option<String>,
    /// How often counts of inputs are sent [default: 5s]
    #[arg(long, value_name = "TIME")]
    inputs_every: Option<String>,
    /// Percent of one core that counting inputs may take; beyond it requests are sampled
    /// [default: 2]
    #[arg(long, value_name = "PERCENT")]
    inputs_cpu_percent: Option<String>,
    /// How the agent's own log is written to standard error
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub log: LogForm,
}

/// Forms of the agent's own log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// Lines for people and the journal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Flags of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    agent: AgentArgs,
}

/// Flags of `rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The endpoint, as applications call it
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    /// Why; it is told to the hub, and kept
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// To this version, which must be loaded here [default: the last earlier route that is]
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    #[command(flatten)]
    agent: AgentArgs,
}

/// Which agent is asked.
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// One JSON document
    #[arg(long)]
    json: bool,
    /// The agent's socket
    #[arg(long, value_name = "PATH", conflicts_with = "data")]
    control: Option<PathBuf>,
    /// The agent's data folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Configuration in TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked.
    Ok,
    /// It tried, and failed.
    Failed,
    /// The flags or the configuration are wrong.
    Usage,
    /// There is no such agent.
    NotFound,
    /// The agent cannot do what it was asked, as things stand.
    Conflict,
    /// The agent does not answer.
    Unreachable,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Ok => 0.into(),
            Exit::Failed => 1.into(),
            Exit::Usage => 2.into(),
            Exit::NotFound => 3.into(),
            Exit::Conflict => 6.into(),
            Exit::Unreachable => 9.into(),
        }
    }
}

impl RunArgs {
    /// The configuration that file and flags make together.
    pub fn to_config(&self) -> Result<Config, ConfigError> {
        let file = match &self.config {
            Some(path) => Given::from_file(path)?,
            None => Given::default(),
        };
        Config::from_given(
            file.overridden_by(self.given()?),
            runtime_folder().as_deref(),
        )
    }

    fn given(&self) -> Result<Given, ConfigError> {
        let text = |flag: &str, value: &Option<String>| {
            value.as_ref().map(|value| Text::flag(flag, value))
        };
        let texts = |flag: &str, values: &[String]| -> Vec<Text> {
            values.iter().map(|value| Text::flag(flag, value)).collect()
        };
        let label = |label: &String| match label.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), Text::flag("label", value))),
            None => Err(ConfigError::Value {
                origin: "--label".into(),
                words: format!("{label:?} is no label: it is KEY=VALUE"),
            }),
        };
        Ok(Given {
            host: text("host", &self.host),
            environment: text("environment", &self.environment),
            labels: self.label.iter().map(label).collect::<Result<_, _>>()?,
            hubs: texts("hub", &self.hub),
            upstream: text("upstream", &self.upstream),
            grpc_upstream: text("grpc-upstream", &self.grpc_upstream),
            listen: text("listen", &self.listen),
            data: text("data", &self.data),
            control: text("control", &self.control),
            workers: text("workers", &self.workers),
            upstream_timeout: text("upstream-timeout", &self.upstream_timeout),
            request_log: text("request-log", &self.request_log),
            caller_header: text("caller-header", &self.caller_header),
            spool_limit_bytes: text("spool-limit-bytes", &self.spool_limit_bytes),
            models: texts("model", &self.model),
            server: text("server", &self.server),
            repository: text("repository", &self.repository),
            artifact_limit_bytes: text("artifact-limit-bytes", &self.artifact_limit_bytes),
            memory_limit_bytes: text("memory-limit-bytes", &self.memory_limit_bytes),
            window: text("window", &self.window),
            inputs_every: text("inputs-every", &self.inputs_every),
            inputs_cpu_percent: text("inputs-cpu-percent", &self.inputs_cpu_percent),
        })
    }
}

/// The folder that systemd made for sockets; it may name several, the first is ours.
fn runtime_folder() -> Option<PathBuf> {
    let folders = env::var("RUNTIME_DIRECTORY").ok()?;
    folders
        .split(':')
        .find(|folder| !folder.is_empty())
        .map(PathBuf::from)
}

/// `check`: says whether the configuration can be used.
pub fn check(args: &CheckArgs) -> Exit {
    let given = Given::from_file(&args.config);
    match given.and_then(|given| Config::from_given(given, None)) {
        Ok(config) => {
            print(&format!(
                "{}: host {} is fine\n",
                args.config.display(),
                config.host
            ));
            Exit::Ok
        }
        Err(error) => complain(&error, Exit::Usage),
    }
}

/// `status`: asks a running agent.
pub async fn status(args: &StatusArgs) -> Exit {
    let args = &args.agent;
    let answer = match control::ask(&args.socket(), "/status").await {
        Ok(answer) => answer,
        Err(error) => return unanswered(&error),
    };
    if args.json {
        print(&format!("{}\n", String::from_utf8_lossy(&answer)));
        return Exit::Ok;
    }
    match serde_json::from_slice::<Status>(&answer) {
        Ok(status) => {
            print(&show::table(&status));
            Exit::Ok
        }
        Err(error) => complain(&error, Exit::Failed),
    }
}

/// `rollback`: has a running agent take an endpoint back.
pub async fn rollback(args: &RollbackArgs) -> Exit {
    let who = ["SUDO_USER", "USER"].map(env::var).into_iter().flatten();
    let asked = Rollback {
        endpoint: args.endpoint.clone(),
        to: args.to.clone(),
        who: who.into_iter().next().unwrap_or_default(),
        reason: args.reason.clone(),
    };
    let answer = match control::roll_back(&args.agent.socket(), &asked).await {
        Ok(answer) => answer,
        Err(error) => return unanswered(&error),
    };
    if args.agent.json {
        print(&format!("{}\n", String::from_utf8_lossy(&answer)));
        return Exit::Ok;
    }
    match serde_json::from_slice::<Override>(&answer) {
        Ok(decided) => {
            print(&show::decided(&decided));
            Exit::Ok
        }
        Err(error) => complain(&error, Exit::Failed),
    }
}

fn unanswered(error: &AskError) -> Exit {
    let exit = match error {
        AskError::NotFound(_) => Exit::NotFound,
        AskError::Unreachable { .. } => Exit::Unreachable,
        AskError::Refused(_) => Exit::Conflict,
    };
    complain(error, exit)
}

impl AgentArgs {
    /// Where the agent's socket is.
    fn socket(&self) -> PathBuf {
        match (&self.control, &self.data) {
            (Some(control), _) => control.clone(),
            (None, Some(data)) => data.join(CONTROL_SOCKET),
            (None, None) => {
                let folder = runtime_folder().unwrap_or_else(|| Path::new(UNIT_RUNTIME).into());
                folder.join(CONTROL_SOCKET)
            }
        }
    }
}

/// Writes an error and its causes to standard error.
pub fn complain(error: &dyn std::error::Error, exit: Exit) -> Exit {
    let mut words = format!("binnacle-agent: {error}");
    let mut cause = error.source();
    while let Some(source) = cause {
        words.push_str(&format!(": {source}"));
        cause = source.source();
    }
    // There is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{words}");
    exit
}

/// To standard output; a reader that went away is no failure.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

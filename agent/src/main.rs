//! `binnacle-agent`: starts, listens to signals, talks to systemd, and stops.

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use binnacle_agent::cli::{self, Cli, Command, Exit, LogForm, RunArgs};
use binnacle_agent::{Agent, proxy};

/// systemd kills a service that takes longer to stop than its unit says; while the last
/// requests end, it is told to wait.
const STOPPING_LONGEST: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return cli::complain(&error, Exit::Failed).into(),
    };
    let exit = match cli.command {
        Command::Run(args) => runtime.block_on(Box::pin(run(*args))),
        Command::Status(args) => runtime.block_on(cli::status(&args)),
        Command::Rollback(args) => runtime.block_on(cli::rollback(&args)),
        Command::Check(args) => cli::check(&args),
    };
    // What still runs is a task that nobody waits for.
    runtime.shutdown_background();
    exit.into()
}

async fn run(args: RunArgs) -> Exit {
    log_to_stderr(args.log);
    let config = match args.to_config() {
        Ok(config) => config,
        Err(error) => return cli::complain(&error, Exit::Usage),
    };
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return cli::complain(&error, Exit::Failed),
    };
    let listeners = match handed_in() {
        Ok(listeners) if listeners.is_empty() => match proxy::bind(config.listen, config.workers) {
            Ok(listeners) => listeners,
            Err(error) => return cli::complain(&error, Exit::Failed),
        },
        Ok(listeners) => listeners,
        Err(error) => return cli::complain(&error, Exit::Failed),
    };
    let agent = match Agent::start_on(config, listeners).await {
        Ok(agent) => agent,
        Err(error) => return cli::complain(&error, Exit::Failed),
    };
    let ready = serde_json::json!({
        "listen": agent.listen_addr().to_string(),
        "control": agent.control().display().to_string(),
    });
    cli::print(&format!("{ready}\n"));
    tell(&[NotifyState::Ready]);
    tracing::info!(listen = %agent.listen_addr(), "serving");
    until_told_to_stop(&agent, &mut signals).await;
    tracing::info!("stopping: what is in flight is finished first");
    let micros = u32::try_from(STOPPING_LONGEST.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Stopping,
        NotifyState::ExtendTimeoutUsec(micros),
    ]);
    agent.shutdown().await;
    Exit::Ok
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Meanwhile systemd hears each second that the loop is alive, and what it does.
async fn until_told_to_stop(agent: &Agent, signals: &mut Signals) {
    let mut status = agent.status();
    let mut last = String::new();
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            changed = status.changed() => {
                if changed.is_err() {
                    tracing::error!("the agent's loop has ended");
                    return;
                }
                let words = {
                    let status = status.borrow_and_update();
                    let (hub, server) = (status.hub.state.word(), status.server.process.word());
                    format!("hub {hub}, server {server}")
                };
                if words == last {
                    tell(&[NotifyState::Watchdog]);
                } else {
                    tell(&[NotifyState::Watchdog, NotifyState::Status(&words)]);
                    last = words;
                }
            }
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// The sockets that systemd listens on for us; none when it does not.
fn handed_in() -> io::Result<Vec<TcpListener>> {
    let mut sockets = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..sockets.len() {
        if let Some(listener) = sockets.take_tcp_listener(index)? {
            listener.set_nonblocking(true)?;
            listeners.push(listener);
        }
    }
    Ok(listeners)
}

/// `RUST_LOG` chooses what is logged; the journal keeps the time, a terminal needs it.
fn log_to_stderr(form: LogForm) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
    match form {
        LogForm::Text if std::env::var_os("JOURNAL_STREAM").is_some() => log.without_time().init(),
        LogForm::Text => log.init(),
        LogForm::Json => log.json().init(),
    }
}

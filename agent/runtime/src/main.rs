//! `binnacle-runtime`: composition only. Flags are parsed in [`cli`]; everything else is the
//! library's.

mod cli;

use std::io::{IsTerminal as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process;

use binnacle_runtime::engine::Engine;
use binnacle_runtime::fetch::{self, Fetched};
use binnacle_runtime::library::{Places, SILENCE};
use binnacle_runtime::server::Server;
use clap::Parser as _;
use color_eyre::config::Theme;
use color_eyre::eyre::{self, WrapErr as _};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use self::cli::{Cli, Command, Fetch, Run};

/// Most threads for work that may block: loading models, and one inference a version at a time.
const BLOCKING_THREADS_MAX: usize = 64;

fn main() -> eyre::Result<()> {
    let to_person = std::io::stderr().is_terminal();
    let hook = color_eyre::config::HookBuilder::default().display_env_section(false);
    let hook = if to_person {
        hook
    } else {
        hook.theme(Theme::new())
    };
    hook.install()?;
    let cli = Cli::parse();
    let filter =
        EnvFilter::try_from_env("BINNACLE_LOG").unwrap_or_else(|_| EnvFilter::new("info,ort=warn"));
    // Standard output is for the one line that says where the server listens.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(to_person)
        .init();
    match cli.command {
        Command::Run(command) => run(command),
        Command::Fetch(command) => fetch(&command),
        Command::Library(command) => {
            println!(
                "{}",
                Places::of_process(command.onnxruntime).find()?.display()
            );
            Ok(())
        }
    }
}

fn run(command: Run) -> eyre::Result<()> {
    silence()?;
    let library = Places::of_process(command.onnxruntime.clone()).find()?;
    let engine = Engine::open(&library, command.threads())?;
    tracing::info!(library = %library.display(), "inference library loaded");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
        .wrap_err("cannot start the threads that serve requests")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let server = tokio::select! {
            server = Server::start(command.settings(), engine) => server?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        let (http, grpc) = (server.http().to_string(), server.grpc().to_string());
        let line = serde_json::json!({ "http": http, "grpc": grpc });
        let mut out = std::io::stdout();
        writeln!(out, "{line}")
            .and_then(|()| out.flush())
            .wrap_err("cannot say where it listens")?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: requests in flight are answered first");
        server.stop().await;
        Ok(())
    })
}

/// Starts this program anew, as the same process, in an environment that keeps the inference
/// library silent. Setting the variable from within would be unsafe code.
fn silence() -> eyre::Result<()> {
    let (variable, value) = SILENCE;
    if std::env::var_os(variable).is_some_and(|set| set == value) {
        return Ok(());
    }
    let own = std::env::current_exe().wrap_err("cannot find this program's own file")?;
    let mut anew = process::Command::new(own);
    anew.args(std::env::args_os().skip(1)).env(variable, value);
    Err(anew.exec()).wrap_err("cannot start this program anew")
}

fn fetch(command: &Fetch) -> eyre::Result<()> {
    let fetched = fetch::fetch(command.into.as_deref(), |step| eprintln!("{step}"))?;
    match fetched {
        Fetched::Already(path) => println!("{} is there already", path.display()),
        Fetched::Installed(path) => println!("{}", path.display()),
    }
    Ok(())
}

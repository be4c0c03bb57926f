//! The binary that an engineer runs: headless commands, the hub, the demo. Composition only.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use binnacle_tui::format;

mod cli;
mod clock;
mod console;
mod context;
mod editor;
mod input;
mod link;
mod memory;
mod outcome;
mod output;
mod record;
mod run;
mod state;
mod terminal;

/// A hub allocates a dozen small pieces for each series that it is sent; glibc's allocator takes
/// a quarter of its time with them (decision 0021).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    memory::spare();
    run_program()
}

/// One thread: a report is a few microseconds of work on data that no other report touches, and
/// handing it to a second thread costs more than doing it (decision 0021).
#[tokio::main(flavor = "current_thread")]
async fn run_program() -> ExitCode {
    // One provider for the whole program, before anything asks for one.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("binnacle: another provider of cryptography is installed already");
    }
    if let Err(report) = color_eyre::install() {
        eprintln!("binnacle: {report}");
    }
    // Logs go to stderr, so that stdout is the answer and nothing else; and nowhere while the
    // console has the terminal.
    let level = EnvFilter::try_from_env("BINNACLE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_ansi(colour)
        .with_writer(log_writer)
        .init();
    cli::run().await
}

fn log_writer() -> Box<dyn io::Write> {
    match terminal::is_taken() {
        true => Box::new(io::sink()),
        false => Box::new(io::stderr()),
    }
}

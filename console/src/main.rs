//! The binary that an engineer runs: headless commands, the hub, the demo. Composition only.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use binnacle_tui::format;

mod cli;
mod clock;
mod context;
mod editor;
mod input;
mod link;
mod outcome;
mod output;
mod paint;
mod terminal;

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(report) = color_eyre::install() {
        eprintln!("binnacle: {report}");
    }
    // Logs go to stderr, so that stdout is the answer and nothing else.
    let level = EnvFilter::try_from_env("BINNACLE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_ansi(colour)
        .with_writer(std::io::stderr)
        .init();
    cli::run().await
}

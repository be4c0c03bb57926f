//! The command line, parsed once into settings.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use binnacle_runtime::server::{Loading, Settings};
use clap::{Args, Parser, Subcommand};

/// Serves ONNX models over the Open Inference Protocol.
#[derive(Debug, Parser)]
#[command(name = "binnacle-runtime", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a repository of models until SIGTERM
    ///
    /// When everything is loaded, one JSON line on standard output says where it listens.
    Run(Run),
    /// Install the ONNX Runtime library that this program was tested with
    Fetch(Fetch),
    /// Say which ONNX Runtime library would be used, or what to do when there is none
    Library(Library),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Folder of models: MODEL/VERSION/model.onnx, versions being numbers
    #[arg(long, value_name = "DIR")]
    repository: PathBuf,
    /// Where to listen for HTTP; port 0 takes any
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8000")]
    http: SocketAddr,
    /// Where to listen for gRPC; port 0 takes any
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8001")]
    grpc: SocketAddr,
    /// Load nothing at the start: wait until a load is asked for
    #[arg(long)]
    explicit: bool,
    /// The ONNX Runtime library, or the folder it is in
    #[arg(long, value_name = "PATH")]
    pub(crate) onnxruntime: Option<PathBuf>,
    /// Threads shared by all models for the work inside one inference [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
pub(crate) struct Library {
    /// The ONNX Runtime library, or the folder it is in
    #[arg(long, value_name = "PATH")]
    pub(crate) onnxruntime: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// Folder to install into, instead of the user's data folder
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
}

impl Run {
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            repository: self.repository.clone(),
            http: self.http,
            grpc: self.grpc,
            loading: if self.explicit {
                Loading::OnRequest
            } else {
                Loading::Everything
            },
        }
    }

    pub(crate) fn threads(&self) -> usize {
        let threads = self
            .threads
            .or_else(|| std::thread::available_parallelism().ok());
        threads.map_or(1, NonZeroUsize::get)
    }
}

//! The programs of a demo: started into the reaper's group, ready, and ended.

mod program;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use self::program::{Program, Reaper};
use crate::hub::Hub;
use crate::{DemoError, catalogue, models, moved};

/// Hosts in the fleet: the fewest in which one can differ from the rest.
const HOSTS: usize = 3;

/// The running programs.
#[derive(Debug)]
pub(crate) struct Fleet {
    hub: Hub,
    hosts: Vec<Host>,
    programs: Vec<Program>,
    reaper: Reaper,
}

#[derive(Debug)]
struct Host {
    name: String,
    listen: SocketAddr,
}

/// Where our programs are, and where theirs may write.
struct Rooms {
    console: PathBuf,
    agent: PathBuf,
    runtime: PathBuf,
    folder: PathBuf,
    /// Ticks and windows run faster than the clock.
    is_fast: bool,
}

impl Fleet {
    /// Starts everything and waits until the hub knows every host.
    pub(crate) async fn start(
        binaries: &Path,
        is_fast: bool,
        progress: &impl Fn(&str),
    ) -> Result<Self, DemoError> {
        let console = found(binaries, "binnacle")?;
        let agent = found(binaries, "binnacle-agent")?;
        let runtime = found(binaries, "binnacle-runtime")?;
        library(&runtime, progress).await?;
        let reaper = Reaper::start(&console).await?;
        let folder = reaper.folder().to_owned();
        let rooms = Rooms {
            console,
            agent,
            runtime,
            folder,
            is_fast,
        };
        let files = rooms.folder.join("files");
        models::lay_out(&files)?;
        progress("starting a hub");
        let socket = rooms.folder.join("hub.sock");
        let hub = Hub::new(&rooms.console, &socket);
        let mut programs = vec![rooms.hub(&hub, &reaper).await?];
        let mut hosts = Vec::with_capacity(HOSTS);
        for number in 1..=HOSTS {
            let name = format!("demo-{number}");
            progress(&format!(
                "starting {name}: an agent and its inference server"
            ));
            let runtime = rooms.runtime(&name, &reaper).await?;
            let agent = rooms.agent(&name, &hub, &runtime, &reaper).await?;
            hosts.push(Host {
                listen: agent.address("listen")?,
                name,
            });
            programs.extend([runtime, agent]);
        }
        progress("waiting until the hub knows every host");
        hub.knows(HOSTS).await?;
        progress("registering models, and bringing them to their endpoints");
        catalogue::fill(&hub, &files).await?;
        Ok(Self {
            hub,
            hosts,
            programs,
            reaper,
        })
    }

    /// Its hub.
    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// How many hosts there are.
    pub(crate) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Where each host's agent takes requests.
    pub(crate) fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.hosts
            .iter()
            .map(|host| (host.name.clone(), host.listen))
            .collect()
    }

    /// Stops every program and removes the folder; returns when that is done.
    pub(crate) async fn end(self) {
        self.reaper.end().await;
        for program in self.programs {
            program.ended().await;
        }
    }
}

impl Rooms {
    /// Where a host's agent places versions, and its server finds them.
    fn repository(&self, host: &str) -> PathBuf {
        self.folder.join(format!("{host}-models"))
    }

    async fn hub(&self, hub: &Hub, reaper: &Reaper) -> Result<Program, DemoError> {
        let mut command = Command::new(&self.console);
        command
            .args(["hub", "run", "--data"])
            .arg(self.folder.join("hub"));
        command.args(["--listen", &hub.address()]);
        if self.is_fast {
            command.args(["--drift-tick", &tick()]);
        }
        Program::start("hub", command, &self.folder, reaper).await
    }

    async fn runtime(&self, host: &str, reaper: &Reaper) -> Result<Program, DemoError> {
        let mut command = Command::new(&self.runtime);
        let repository = self.repository(host);
        std::fs::create_dir_all(&repository).map_err(|source| DemoError::Folder {
            what: "make a server's repository",
            folder: repository.clone(),
            source,
        })?;
        command.args(["run", "--repository"]).arg(repository);
        command.args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
        Program::start(&format!("{host}-runtime"), command, &self.folder, reaper).await
    }

    async fn agent(
        &self,
        host: &str,
        hub: &Hub,
        runtime: &Program,
        reaper: &Reaper,
    ) -> Result<Program, DemoError> {
        let mut command = Command::new(&self.agent);
        command.args([
            "run",
            "--host",
            host,
            "--environment",
            catalogue::ENVIRONMENT,
            "--hub",
            &hub.address(),
        ]);
        command
            .arg("--upstream")
            .arg(format!("http://{}", runtime.address("http")?));
        command
            .arg("--grpc-upstream")
            .arg(format!("http://{}", runtime.address("grpc")?));
        command
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(self.folder.join(host))
            .arg("--repository")
            .arg(self.repository(host));
        if self.is_fast {
            let tick = tick();
            command.args(["--window", &tick, "--inputs-every", &tick]);
            command.args(["--inputs-cpu-percent", "50"]);
        }
        Program::start(&format!("{host}-agent"), command, &self.folder, reaper).await
    }
}

/// A tick that is faster than the clock, as it is typed.
fn tick() -> String {
    format!("{}ms", moved::TICK.as_millis())
}

fn found(folder: &Path, name: &'static str) -> Result<PathBuf, DemoError> {
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(DemoError::NoProgram {
        name,
        folder: folder.to_owned(),
    })
}

/// Makes sure that the runtimes will find the inference library.
async fn library(runtime: &Path, progress: &impl Fn(&str)) -> Result<(), DemoError> {
    let failed = |source| DemoError::Start {
        name: "binnacle-runtime".to_owned(),
        source,
    };
    let mut asked = Command::new(runtime);
    asked
        .arg("library")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if asked.status().await.map_err(failed)?.success() {
        return Ok(());
    }
    progress("fetching the ONNX Runtime library, once (24 MB)");
    let mut fetch = Command::new(runtime);
    // What it says on the way is the person's to read; standard output is for our document.
    fetch
        .arg("fetch")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    if fetch.status().await.map_err(failed)?.success() {
        return Ok(());
    }
    Err(DemoError::NoLibrary)
}

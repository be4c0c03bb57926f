//! A fleet of real programs: a hub, and hosts that are an agent with a runtime beside it.
//!
//! Each can be killed, asked to end, and started again at the same addresses with the same data,
//! as an init system would do it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{self, Answer};
use crate::command::{Ended, binnacle};
use crate::program::{Program, binaries, command};

/// A folder of a test's own, short enough for the sockets in it.
pub fn folder() -> TempDir {
    let made = tempfile::Builder::new().prefix("binnacle-it-").tempdir();
    made.unwrap()
}

/// The hub, its folder, and the arguments that it is started with.
pub struct Hub {
    folder: PathBuf,
    /// Its store, if not in its folder.
    store: Option<String>,
    /// Where it keeps files, if not in its folder.
    artifacts: Option<String>,
    /// Who is told of alerts.
    sinks: Vec<String>,
    environment: Vec<(String, String)>,
    /// A folder that is a disk of its own, and how many bytes it has.
    disk: Option<(PathBuf, u64)>,
    program: Option<Program>,
}

impl Hub {
    /// Starts a hub with an empty store in `folder`.
    #[track_caller]
    pub fn start(folder: &Path) -> Self {
        Self::in_folder(folder).started()
    }

    /// Starts a hub on a store that is named by its URL.
    #[track_caller]
    pub fn start_on(folder: &Path, store: &str) -> Self {
        let mut hub = Self::in_folder(folder);
        hub.store = Some(store.to_owned());
        hub.started()
    }

    /// Starts a hub that tells of alerts.
    #[track_caller]
    pub fn start_telling(folder: &Path, sinks: Vec<String>) -> Self {
        let mut hub = Self::in_folder(folder);
        hub.sinks = sinks;
        hub.started()
    }

    /// Starts a hub that keeps files elsewhere, in an environment of its own.
    #[track_caller]
    pub fn start_with_artifacts(
        folder: &Path,
        url: &str,
        environment: Vec<(String, String)>,
    ) -> Self {
        let mut hub = Self::in_folder(folder);
        hub.artifacts = Some(url.to_owned());
        hub.environment = environment;
        hub.started()
    }

    /// Starts a hub whose folder of data is a disk of its own, of so many bytes, which nobody
    /// else sees and which goes with the process.
    #[track_caller]
    pub fn start_in_room(folder: &Path, bytes: u64) -> Self {
        let mut hub = Self::in_folder(folder);
        std::fs::create_dir_all(hub.data()).unwrap();
        hub.disk = Some((hub.data(), bytes));
        hub.started()
    }

    /// Starts a hub that keeps files on a disk of so many megabytes, which only it sees.
    #[track_caller]
    pub fn start_on_small_disk(folder: &Path, megabytes: u64) -> Self {
        let disk = folder.join("disk");
        std::fs::create_dir_all(&disk).unwrap();
        let mut hub = Self::in_folder(folder);
        hub.artifacts = Some(format!("file://{}", disk.display()));
        hub.disk = Some((disk, megabytes << 20));
        hub.started()
    }

    fn in_folder(folder: &Path) -> Self {
        let folder = folder.join("hub");
        std::fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            store: None,
            artifacts: None,
            sinks: Vec::new(),
            environment: Vec::new(),
            disk: None,
            program: None,
        }
    }

    #[track_caller]
    fn started(mut self) -> Self {
        self.start_again();
        self
    }

    /// Its small disk as the process itself sees it.
    pub fn room(&self) -> PathBuf {
        let (disk, _) = self.disk.as_ref().expect("it has a disk of its own");
        let seen = format!("/proc/{}/root{}", self.program().id(), disk.display());
        PathBuf::from(seen)
    }

    /// Starts it again, on the store and the socket that it had.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(
            self.program.is_none(),
            "end the hub before it is started again"
        );
        match Program::try_launch("binnacle", self.command(), &self.folder) {
            Ok(program) => self.program = Some(program),
            Err(why) => panic!("{why}"),
        }
    }

    fn command(&self) -> Command {
        let mut command = match &self.disk {
            None => command("binnacle"),
            Some((disk, bytes)) => {
                // A namespace of its own: the mount is gone with the hub.
                let mut through = Command::new("unshare");
                if !rustix::process::geteuid().is_root() {
                    through.args(["--user", "--map-root-user"]);
                }
                let mounted = "mount -t tmpfs -o size=$0 tmpfs \"$1\" && shift && exec \"$@\"";
                through
                    .args(["--mount", "sh", "-c", mounted, &bytes.to_string()])
                    .arg(disk)
                    .arg(binaries().join("binnacle"));
                through
            }
        };
        command.args(self.args());
        let all = self.environment.iter();
        command.envs(all.map(|(name, value)| (name, value)));
        command
    }

    /// Starts it again although it should refuse to: what it said.
    #[track_caller]
    pub fn refuses_to_start(&self) -> String {
        match Program::try_start("binnacle", &self.args(), &self.folder) {
            Ok(_) => panic!("the hub started"),
            Err(why) => why,
        }
    }

    fn args(&self) -> Vec<String> {
        let (data, address) = (self.data(), self.address());
        let data = data.to_str().unwrap();
        let mut args = vec!["hub", "run", "--data", data, "--listen", &address];
        if let Some(store) = &self.store {
            args.extend(["--store", store]);
        }
        if let Some(url) = &self.artifacts {
            args.extend(["--artifacts", url]);
        }
        for sink in &self.sinks {
            args.extend(["--sink", sink]);
        }
        args.into_iter().map(str::to_owned).collect()
    }

    /// Where it listens, as `--hub` takes it.
    pub fn address(&self) -> String {
        format!("unix:{}", self.folder.join("hub.sock").display())
    }

    /// Its folder of data.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.program = None;
    }

    /// Asks it to end.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.program.take().expect("the hub runs").terminate()
    }

    /// Its process.
    pub fn program(&self) -> &Program {
        self.program.as_ref().expect("the hub runs")
    }

    /// Runs a headless command against it, with `--json`.
    #[track_caller]
    pub fn ask(&self, args: &[impl AsRef<str>]) -> Ended {
        let address = self.address();
        let mut all: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        all.extend(["--hub", &address, "--json"]);
        binnacle(&all)
    }

    /// As [`Hub::ask`], as a person reads it: without `--json`.
    #[track_caller]
    pub fn show(&self, args: &[impl AsRef<str>]) -> Ended {
        let address = self.address();
        let mut all: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        all.extend(["--hub", &address]);
        binnacle(&all)
    }

    /// One host as `host show` has it, if the hub knows it.
    #[track_caller]
    pub fn host(&self, name: &str) -> Option<Value> {
        let list = self.ask(&["host", "list"]);
        if list.code != 0 {
            return None;
        }
        let list = list.json();
        let mut items = list["items"].as_array().unwrap().iter();
        items.find(|item| item["name"] == name).cloned()
    }
}

/// An inference server.
pub struct Runtime {
    folder: PathBuf,
    repository: PathBuf,
    http: SocketAddr,
    grpc: SocketAddr,
    program: Option<Program>,
}

impl Runtime {
    /// Serves every model of `repository`.
    #[track_caller]
    pub fn start(folder: &Path, repository: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut runtime = Self {
            folder: folder.to_owned(),
            repository: repository.to_owned(),
            http: any,
            grpc: any,
            program: None,
        };
        runtime.start_again();
        runtime
    }

    /// Starts it again, at the addresses that it had.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(
            self.program.is_none(),
            "end the runtime before it is started again"
        );
        let (http, grpc) = (self.http.to_string(), self.grpc.to_string());
        let repository = self.repository.to_str().unwrap();
        let args = [
            "run",
            "--repository",
            repository,
            "--http",
            &http,
            "--grpc",
            &grpc,
        ];
        let program = Program::start("binnacle-runtime", &args, &self.folder);
        self.http = address(program.ready(), "http");
        self.grpc = address(program.ready(), "grpc");
        self.program = Some(program);
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.program = None;
    }

    /// Asks it to end.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.program.take().expect("the runtime runs").terminate()
    }

    /// Where it takes HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it takes gRPC.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }
}

/// An agent beside an inference server.
pub struct Agent {
    folder: PathBuf,
    host: String,
    args: Vec<String>,
    listen: SocketAddr,
    program: Option<Program>,
}

impl Agent {
    /// Starts the agent of `host` in front of `server`, reporting to the hub at an address.
    #[track_caller]
    pub fn start(folder: &Path, host: &str, hub: &str, server: &Runtime) -> Self {
        let mut agent = Self::prepared(folder, host, hub, (server.http(), server.grpc()));
        agent.start_again();
        agent
    }

    fn prepared(
        folder: &Path,
        host: &str,
        hub: &str,
        (http, grpc): (SocketAddr, SocketAddr),
    ) -> Self {
        let folder = folder.join(host);
        std::fs::create_dir_all(&folder).unwrap();
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let args = vec![
            "--host".to_owned(),
            host.to_owned(),
            "--environment".to_owned(),
            "test".to_owned(),
            "--hub".to_owned(),
            hub.to_owned(),
            "--upstream".to_owned(),
            format!("http://{http}"),
            "--grpc-upstream".to_owned(),
            format!("http://{grpc}"),
            "--data".to_owned(),
            text(folder.join("data")),
            "--control".to_owned(),
            text(folder.join("agent.sock")),
            "--request-log".to_owned(),
            text(folder.join("requests.jsonl")),
        ];
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            folder,
            host: host.to_owned(),
            args,
            listen,
            program: None,
        }
    }

    /// As [`start`](Self::start), for an agent that brings versions to its server: it places them
    /// in the server's own repository.
    #[track_caller]
    pub fn start_placing(folder: &Path, host: &str, hub: &str, server: &Runtime) -> Self {
        let mut agent = Self::start(folder, host, hub, server);
        agent.kill();
        let repository = server.repository.to_str().unwrap().to_owned();
        agent.args.extend(["--repository".to_owned(), repository]);
        agent.start_again();
        agent
    }

    /// Ends it and starts it again, with these arguments besides.
    #[track_caller]
    pub fn start_again_with(&mut self, more: &[&str]) {
        self.kill();
        self.args.extend(more.iter().map(|&one| one.to_owned()));
        self.start_again();
    }

    /// As [`start_placing`](Self::start_placing), for an agent that tells each second what its
    /// inputs are like, and may take so many percent of a core for it.
    #[track_caller]
    pub fn start_watching(
        folder: &Path,
        host: &str,
        hub: &str,
        server: &Runtime,
        percent: u8,
    ) -> Self {
        let mut agent = Self::start_placing(folder, host, hub, server);
        let percent = percent.to_string();
        agent.start_again_with(&["--inputs-every", "1s", "--inputs-cpu-percent", &percent]);
        agent
    }

    /// As [`start`](Self::start), before an inference server of another kind that takes HTTP alone.
    #[track_caller]
    pub fn start_before(
        folder: &Path,
        host: &str,
        hub: &str,
        server: SocketAddr,
        more: Vec<String>,
    ) -> Self {
        let mut agent = Self::prepared(folder, host, hub, (server, server));
        agent.args.extend(more);
        agent.start_again();
        agent
    }

    /// As [`start_placing`](Self::start_placing), with something between the agent and the HTTP of
    /// its server.
    #[track_caller]
    pub fn start_behind(
        folder: &Path,
        host: &str,
        hub: &str,
        server: &Runtime,
        between: SocketAddr,
    ) -> Self {
        let mut agent = Self::start_placing(folder, host, hub, server);
        agent.kill();
        let direct = format!("http://{}", server.http());
        for arg in agent.args.iter_mut().filter(|arg| **arg == direct) {
            *arg = format!("http://{between}");
        }
        agent.start_again();
        agent
    }

    /// Starts it again, at the address that it had.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(
            self.program.is_none(),
            "end the agent before it is started again"
        );
        let mut args = vec![
            "run".to_owned(),
            "--listen".to_owned(),
            self.listen.to_string(),
        ];
        args.extend(self.args.iter().cloned());
        let program = Program::start("binnacle-agent", &args, &self.folder);
        self.listen = address(program.ready(), "listen");
        self.program = Some(program);
    }

    /// Its host's name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where applications connect.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Its process.
    pub fn program(&self) -> &Program {
        self.program.as_ref().expect("the agent runs")
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.program = None;
    }

    /// Asks it to end.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.program.take().expect("the agent runs").terminate()
    }

    /// What it says over its control socket.
    pub fn control(&self, path: &str) -> Result<Answer, String> {
        client::get_unix(&self.control_socket(), path)
    }

    /// Its control socket.
    pub fn control_socket(&self) -> PathBuf {
        self.folder.join("agent.sock")
    }

    /// The path of its log of requests.
    pub fn request_log(&self) -> PathBuf {
        self.folder.join("requests.jsonl")
    }
}

fn address(ready: &Value, key: &str) -> SocketAddr {
    let text = ready[key].as_str().unwrap_or_default();
    text.parse()
        .unwrap_or_else(|_| panic!("no address {key:?} in {ready}"))
}

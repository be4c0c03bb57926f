//! The processes of a bench: upstreams on one core, each proxy on the other, all ended when
//! the stand is dropped.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use color_eyre::eyre::{WrapErr, bail, eyre};

use super::{Contestant, folder};

/// How long a process may take until it listens.
const START: Duration = Duration::from_secs(10);

/// The core of the proxy under test, and that of everything else.
const PROXY_CORE: &str = "0";
const OTHER_CORE: &str = "1";

pub(crate) struct Stand {
    folder: PathBuf,
    upstream_http: u16,
    upstream_grpc: u16,
    upstreams: Vec<Process>,
    proxies: Vec<(Contestant, Running)>,
}

/// A proxy under test.
pub(crate) struct Running {
    process: Process,
    pub(crate) http: SocketAddr,
    grpc: SocketAddr,
}

/// Ended by its id when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stand {
    pub(crate) fn start(folder: &Path, chosen: &[Contestant]) -> color_eyre::Result<Self> {
        let mut stand = Self {
            folder: folder.to_owned(),
            upstream_http: free_port()?,
            upstream_grpc: free_port()?,
            upstreams: Vec::new(),
            proxies: Vec::new(),
        };
        let conf = stand.configured("upstream.conf", 0, 0)?;
        let nginx = spawn(
            OTHER_CORE,
            "nginx",
            &["-p", folder_str(folder)?, "-c", &conf],
        )?;
        stand.upstreams.push(nginx);
        let listen = format!("127.0.0.1:{}", stand.upstream_grpc);
        let ours = own()?;
        let upstream = spawn(OTHER_CORE, &ours, &["upstream", "--listen", &listen])?;
        stand.upstreams.push(upstream);
        listening(local(stand.upstream_http))?;
        listening(local(stand.upstream_grpc))?;
        for &contestant in chosen.iter().filter(|&&c| c != Contestant::Direct) {
            let running = stand.restarted(contestant)?;
            stand.proxies.push((contestant, running));
        }
        Ok(stand)
    }

    /// A fresh process of this contestant, on ports of its own.
    pub(crate) fn restarted(&self, contestant: Contestant) -> color_eyre::Result<Running> {
        let (http, grpc) = (free_port()?, free_port()?);
        let process = match contestant {
            Contestant::Direct => bail!("direct has no process"),
            Contestant::Nginx => {
                let conf = self.configured("nginx.conf", http, grpc)?;
                spawn(
                    PROXY_CORE,
                    "nginx",
                    &["-p", folder_str(&self.folder)?, "-c", &conf],
                )?
            }
            Contestant::Haproxy => {
                let conf = self.configured("haproxy.cfg", http, grpc)?;
                spawn(PROXY_CORE, "haproxy", &["-db", "-f", &conf])?
            }
            Contestant::Agent => self.agent(http, &[])?,
            Contestant::AgentTap => self.agent(http, &["--tap-every", "1"])?,
            Contestant::AgentRouted => self.agent(http, &["--routed"])?,
            Contestant::AgentInputs => self.agent(http, &["--routed", "--inputs"])?,
        };
        let grpc = if contestant.is_agent() { http } else { grpc };
        listening(local(http))?;
        listening(local(grpc))?;
        Ok(Running {
            process,
            http: local(http),
            grpc: local(grpc),
        })
    }

    fn agent(&self, port: u16, more: &[&str]) -> color_eyre::Result<Process> {
        let listen = format!("127.0.0.1:{port}");
        let upstream = format!("http://127.0.0.1:{}", self.upstream_http);
        let grpc = format!("http://127.0.0.1:{}", self.upstream_grpc);
        let mut arguments = vec!["serve", "--listen", &listen, "--upstream", &upstream];
        arguments.extend(["--grpc-upstream", &grpc]);
        arguments.extend(more);
        spawn(PROXY_CORE, &own()?, &arguments)
    }

    /// A configuration with this run's ports in it.
    fn configured(&self, name: &str, http: u16, grpc: u16) -> color_eyre::Result<String> {
        let template = fs::read_to_string(folder().join(name))?;
        let text = template
            .replace("FOLDER", folder_str(&self.folder)?)
            .replace("UPSTREAM_HTTP", &self.upstream_http.to_string())
            .replace("UPSTREAM_GRPC", &self.upstream_grpc.to_string())
            .replace("LISTEN_HTTP", &http.to_string())
            .replace("LISTEN_GRPC", &grpc.to_string());
        let path = self.folder.join(format!("{http}-{name}"));
        fs::write(&path, text).wrap_err("cannot write a configuration")?;
        Ok(folder_str(&path)?.to_owned())
    }

    fn running(&self, at: Contestant) -> Option<&Running> {
        let found = self
            .proxies
            .iter()
            .find(|(contestant, _)| *contestant == at);
        found.map(|(_, running)| running)
    }

    pub(crate) fn http(&self, at: Contestant) -> SocketAddr {
        self.running(at)
            .map_or(local(self.upstream_http), |running| running.http)
    }

    pub(crate) fn grpc(&self, at: Contestant) -> SocketAddr {
        self.running(at)
            .map_or(local(self.upstream_grpc), |running| running.grpc)
    }

    /// CPU that the contestant's process has had since its start; 0 for direct.
    pub(crate) fn cpu_us(&self, at: Contestant) -> color_eyre::Result<u64> {
        let Some(running) = self.running(at) else {
            return Ok(0);
        };
        // Nanoseconds on a CPU, of each thread: finer than the ticks of /proc/PID/stat.
        let tasks = format!("/proc/{}/task", running.process.0.id());
        let mut ns = 0;
        for task in fs::read_dir(tasks)? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text
                .split(' ')
                .next()
                .and_then(|first| first.parse::<u64>().ok());
            ns += first.ok_or_else(|| eyre!("schedstat says {text:?}"))?;
        }
        Ok(ns / 1000)
    }
}

impl Running {
    pub(crate) fn resident_kib(&self) -> color_eyre::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        text.lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .and_then(|kib| kib.trim().parse().ok())
            .ok_or_else(|| eyre!("no VmRSS in {text:?}"))
    }
}

fn spawn(core: &str, program: &str, arguments: &[&str]) -> color_eyre::Result<Process> {
    let child = Command::new("taskset")
        .args(["-c", core, program])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .wrap_err_with(|| format!("cannot start {program}: install Debian's nginx and haproxy"))?;
    Ok(Process(child))
}

fn own() -> color_eyre::Result<String> {
    Ok(folder_str(&std::env::current_exe()?)?.to_owned())
}

fn folder_str(path: &Path) -> color_eyre::Result<&str> {
    path.to_str()
        .ok_or_else(|| eyre!("{} is not UTF-8", path.display()))
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn free_port() -> color_eyre::Result<u16> {
    Ok(TcpListener::bind(local(0))?.local_addr()?.port())
}

fn listening(address: SocketAddr) -> color_eyre::Result<()> {
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        if started.elapsed() > START {
            bail!("nothing listens on {address}: see {}", folder().display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

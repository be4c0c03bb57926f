//! How one agent is to run: TOML and flags, parsed once into types.
//!
//! Promises: a [`Config`] holds only what has been checked; a mistake is told with its file
//! and line, or its flag, and with what was probably meant; flags win over the file. Whether
//! addresses are free and folders can be written is left to those who use them.

mod given;
mod name;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf, absolute};
use std::str::FromStr;
use std::time::Duration;

pub use self::given::{Given, Text};
pub use self::name::{Name, NotAName};
use crate::artifact;
use crate::proxy::{ProxyError, Upstream};
use crate::server::dialect::Kind;
use crate::spool;

/// Where `binnacle-agent` puts its socket inside its folder.
pub const CONTROL_SOCKET: &str = "agent.sock";
/// Labels a host may have, and bytes in the value of one: they are shown, and filtered by.
const LABELS_MOST: usize = 32;
const LABEL_LONGEST: usize = 63;
/// Hubs an agent may know: one that is served by more than a handful is misconfigured.
const HUBS_MOST: usize = 8;
/// Bytes in the path of a unix socket: the kernel's `sun_path`, less its final zero.
const SOCKET_PATH_LONGEST: usize = 107;
/// Threads of the proxy: more than the largest inference host has cores for.
const WORKERS_MOST: usize = 256;
/// Models that may be named for a server that cannot list its own.
const MODELS_MOST: usize = 256;
/// Bytes of a model's name on the wire.
const MODEL_LONGEST: usize = 255;
/// The least spool that is worth its file.
const SPOOL_LEAST: u64 = 64 << 10;
/// How long the upstream may be silent when nothing else was asked for.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a window lasts: what the hub and every screen are made for.
const WINDOW: Duration = Duration::from_secs(1);
/// The shortest window that is worth its message.
const WINDOW_LEAST: Duration = Duration::from_millis(50);
/// How often inputs are told: a tick of the hub's.
const INPUTS_EVERY: Duration = Duration::from_secs(5);
/// Of one core, what counting inputs may take: beside an inference server it is not seen.
const INPUTS_CPU_PERCENT: u8 = 2;

/// Everything that an agent needs to know to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// The host's name at the hub.
    pub host: Name,
    /// The environment that it belongs to.
    pub environment: Name,
    /// What else is to be known of the host.
    pub labels: BTreeMap<Name, String>,
    /// The hubs to dial, in turn; at least one.
    pub hubs: Vec<HubAddr>,
    /// The inference server.
    pub upstream: Upstream,
    /// Where its gRPC is, which many servers have on a port of its own.
    pub grpc_upstream: Upstream,
    /// Where applications connect.
    pub listen: SocketAddr,
    /// Where the agent keeps what must outlive it.
    pub data: PathBuf,
    /// The agent's own unix socket.
    pub control: PathBuf,
    /// Threads of the proxy.
    pub workers: NonZeroUsize,
    /// How long the inference server may be silent.
    pub upstream_timeout: Duration,
    /// A file that gets a line of JSON for each inference request.
    pub request_log: Option<PathBuf>,
    /// The header that names who calls, in small letters; none to tell callers by their address.
    pub caller_header: Option<Box<str>>,
    /// Bytes of windows that may wait for the hub.
    pub spool_limit_bytes: u64,
    /// Models to watch on a server that cannot list its own.
    pub models: Vec<String>,
    /// What kind of server it is; none to ask it.
    pub server: Option<Kind>,
    /// The server's repository of models, where versions are placed; none where the server is
    /// not this agent's to change.
    pub repository: Option<PathBuf>,
    /// Bytes of artifacts on disk.
    pub artifact_limit_bytes: u64,
    /// Bytes of memory that loaded versions may take together; none for a part of the machine's.
    pub memory_limit_bytes: Option<u64>,
    /// How long a window lasts that is sealed and sent: a second, but for demos and tests.
    pub window: Duration,
    /// How often what inputs were counted goes with one.
    pub inputs_every: Duration,
    /// Percent of one core that counting inputs may take.
    pub inputs_cpu_percent: u8,
}

/// Where a hub listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubAddr {
    /// A unix socket, by its absolute path.
    Unix(PathBuf),
    /// A loopback address.
    Tcp(SocketAddr),
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML, or not the TOML that is wanted.
    #[error("{path}, line {line}: {words}")]
    File {
        /// Which.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong, and what was probably meant.
        words: String,
    },
    /// A value that cannot be used.
    #[error("{origin}: {words}")]
    Value {
        /// The flag, or the file and line.
        origin: String,
        /// What is wrong, and what to do.
        words: String,
    },
    /// Something that has no default was not given.
    #[error("no {key} is given: pass --{flag}, or set `{key}` in the configuration")]
    Missing {
        /// The key.
        key: &'static str,
        /// The flag.
        flag: &'static str,
    },
}

/// Why a text is no hub's address.
#[derive(Debug, thiserror::Error)]
pub enum NotAHub {
    /// Neither form.
    #[error("{0:?} is no hub's address: it is unix:PATH or ADDR:PORT")]
    Malformed(String),
    /// Anybody on the network could read or forge what is sent there.
    #[error(
        "{0} is not a loopback address: until hubs and agents prove who they are, they talk \
         over unix sockets and loopback only"
    )]
    NotLoopback(SocketAddr),
}

impl FromStr for HubAddr {
    type Err = NotAHub;

    fn from_str(text: &str) -> Result<Self, NotAHub> {
        let malformed = || NotAHub::Malformed(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let path = absolute(Path::new(path)).map_err(|_| malformed())?;
            return Ok(Self::Unix(path));
        }
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let addr = match text.strip_prefix("localhost:") {
            Some(port) => SocketAddr::new(loopback.ip(), port.parse().map_err(|_| malformed())?),
            None => text.parse().map_err(|_| malformed())?,
        };
        if !addr.ip().is_loopback() {
            return Err(NotAHub::NotLoopback(addr));
        }
        Ok(Self::Tcp(addr))
    }
}

impl std::fmt::Display for HubAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(addr) => addr.fmt(f),
        }
    }
}

impl Config {
    /// Checks what was given. `runtime` is where the control socket goes if nothing is said
    /// of it: the folder that systemd made, or else the data folder.
    pub fn from_given(given: Given, runtime: Option<&Path>) -> Result<Self, ConfigError> {
        let upstream: Upstream = parsed(needed(given.upstream, "upstream")?, upstream)?;
        let data = absolute_path(&needed(given.data, "data")?)?;
        let control = match &given.control {
            Some(path) => absolute_path(path)?,
            None => runtime.unwrap_or(&data).join(CONTROL_SOCKET),
        };
        socket_path(&control, given.control.as_ref())?;
        Ok(Self {
            host: parsed(needed(given.host, "host")?, str::parse::<Name>)?,
            environment: parsed(
                needed(given.environment, "environment")?,
                str::parse::<Name>,
            )?,
            labels: labels(given.labels)?,
            hubs: hubs(given.hubs)?,
            grpc_upstream: match given.grpc_upstream {
                Some(text) => parsed(text, self::upstream)?,
                None => upstream.clone(),
            },
            upstream,
            listen: parsed(needed(given.listen, "listen")?, listen)?,
            control,
            workers: match given.workers {
                Some(text) => parsed(text, workers)?,
                None => NonZeroUsize::MIN,
            },
            upstream_timeout: match given.upstream_timeout {
                Some(text) => parsed(text, duration)?,
                None => UPSTREAM_TIMEOUT,
            },
            request_log: given.request_log.as_ref().map(absolute_path).transpose()?,
            caller_header: given
                .caller_header
                .map(|text| parsed(text, header))
                .transpose()?,
            spool_limit_bytes: match given.spool_limit_bytes {
                Some(text) => parsed(text, spool_limit)?,
                None => spool::LIMIT_BYTES,
            },
            models: models(given.models)?,
            server: given
                .server
                .map(|text| parsed(text, str::parse::<Kind>))
                .transpose()?,
            repository: given.repository.as_ref().map(absolute_path).transpose()?,
            artifact_limit_bytes: match given.artifact_limit_bytes {
                Some(text) => parsed(text, number_of_bytes)?,
                None => artifact::LIMIT_BYTES,
            },
            memory_limit_bytes: given
                .memory_limit_bytes
                .map(|text| parsed(text, number_of_bytes))
                .transpose()?,
            window: match given.window {
                Some(text) => parsed(text, window)?,
                None => WINDOW,
            },
            inputs_every: match given.inputs_every {
                Some(text) => parsed(text, duration)?,
                None => INPUTS_EVERY,
            },
            inputs_cpu_percent: match given.inputs_cpu_percent {
                Some(text) => parsed(text, percent)?,
                None => INPUTS_CPU_PERCENT,
            },
            data,
        })
    }
}

fn needed(text: Option<Text>, key: &'static str) -> Result<Text, ConfigError> {
    text.ok_or(ConfigError::Missing { key, flag: key })
}

fn parsed<T, E: ToString>(
    text: Text,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, ConfigError> {
    parse(&text.text).map_err(|wrong| text.refused(wrong.to_string()))
}

fn upstream(text: &str) -> Result<Upstream, ProxyError> {
    text.trim_end_matches('/').parse()
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no ADDR:PORT, such as 127.0.0.1:8000"))
}

fn header(text: &str) -> Result<Box<str>, String> {
    match text.parse::<http::HeaderName>() {
        Ok(name) => Ok(name.as_str().into()),
        Err(_) => Err(format!("{text:?} is no name of a header, such as x-caller")),
    }
}

fn workers(text: &str) -> Result<NonZeroUsize, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number: &NonZeroUsize| number.get() <= WORKERS_MOST);
    number.ok_or_else(|| format!("{text:?} is no number of workers from 1 to {WORKERS_MOST}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => 0,
    };
    let ms = digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit_ms));
    match ms {
        Some(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        Some(_) | None => Err(format!("{text:?} is no time: write it as 500ms, 30s or 2m")),
    }
}

fn window(text: &str) -> Result<Duration, String> {
    let window = duration(text)?;
    let is_one = (WINDOW_LEAST..=WINDOW).contains(&window);
    is_one
        .then_some(window)
        .ok_or_else(|| format!("{text:?} is no window: it lasts 50ms to 1s"))
}

fn percent(text: &str) -> Result<u8, String> {
    let percent = text
        .parse()
        .ok()
        .filter(|percent| (1..=100).contains(percent));
    percent.ok_or_else(|| format!("{text:?} is no percentage from 1 to 100"))
}

fn spool_limit(text: &str) -> Result<u64, String> {
    let bytes = text.parse().ok().filter(|&bytes| bytes >= SPOOL_LEAST);
    bytes.ok_or_else(|| format!("{text:?} is no number of bytes from {SPOOL_LEAST}"))
}

fn number_of_bytes(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no number of bytes"))
}

fn labels(given: Vec<(String, Text)>) -> Result<BTreeMap<Name, String>, ConfigError> {
    let mut labels = BTreeMap::new();
    for (key, value) in given {
        let name = key
            .parse::<Name>()
            .map_err(|wrong| value.refused(wrong.to_string()))?;
        if value.text.len() > LABEL_LONGEST || value.text.chars().any(char::is_control) {
            let words = format!(
                "the value of label {name} has over {LABEL_LONGEST} bytes, or control characters"
            );
            return Err(value.refused(words));
        }
        if labels.len() == LABELS_MOST {
            return Err(value.refused(format!("a host has at most {LABELS_MOST} labels")));
        }
        labels.insert(name, value.text);
    }
    Ok(labels)
}

fn hubs(given: Vec<Text>) -> Result<Vec<HubAddr>, ConfigError> {
    if let Some(excess) = given.get(HUBS_MOST) {
        return Err(excess.refused(format!("an agent knows at most {HUBS_MOST} hubs")));
    }
    let mut hubs = Vec::new();
    for text in given {
        let origin = text.clone();
        let hub = parsed(text, str::parse::<HubAddr>)?;
        if let HubAddr::Unix(path) = &hub {
            socket_path(path, Some(&origin))?;
        }
        hubs.push(hub);
    }
    if hubs.is_empty() {
        return Err(ConfigError::Missing {
            key: "hub",
            flag: "hub",
        });
    }
    Ok(hubs)
}

fn models(given: Vec<Text>) -> Result<Vec<String>, ConfigError> {
    if let Some(excess) = given.get(MODELS_MOST) {
        return Err(excess.refused(format!("at most {MODELS_MOST} models can be named")));
    }
    let name = |text: Text| {
        if text.text.is_empty() || text.text.len() > MODEL_LONGEST {
            return Err(text.refused(format!("a model's name has 1 to {MODEL_LONGEST} bytes")));
        }
        Ok(text.text)
    };
    given.into_iter().map(name).collect()
}

fn absolute_path(text: &Text) -> Result<PathBuf, ConfigError> {
    absolute(Path::new(&text.text)).map_err(|_| text.refused(format!("{:?} is no path", text.text)))
}

fn socket_path(path: &Path, given: Option<&Text>) -> Result<(), ConfigError> {
    let len = path.as_os_str().len();
    if len <= SOCKET_PATH_LONGEST {
        return Ok(());
    }
    let words = format!(
        "{} has {len} bytes, the path of a socket at most {SOCKET_PATH_LONGEST}: choose a \
         shorter one",
        path.display()
    );
    Err(match given {
        Some(text) => text.refused(words),
        None => ConfigError::Value {
            origin: "--control".into(),
            words,
        },
    })
}

#[cfg(test)]
mod tests;

//! Memory of the inference server beside the agent, found by the port that it listens on.
//!
//! Promises: it is looked at every five seconds, with all processes that it has started; the
//! process is looked for only when there is none, or the one that was known has gone. Where the
//! server is on another machine, or the agent may not look at its files, it is not known.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

/// How often it is looked at: reading every process takes some milliseconds.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Processes that one server has started: more are no server's.
const PROCESSES_MOST: usize = 256;
/// In the tables of sockets: one that listens.
const LISTENS: &str = "0A";

/// The server's processes.
#[derive(Debug)]
pub(super) struct Server {
    /// The port; none where the server is on another machine.
    port: Option<u16>,
    process: Option<u32>,
    looked: Option<Instant>,
    resident: Option<u64>,
}

impl Server {
    /// The server at an address, as `host:port`.
    pub(super) fn at(authority: &str) -> Self {
        let parts = authority.rsplit_once(':');
        let is_here = |host: &str| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost"
                || host
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        };
        let port = parts.filter(|(host, _)| is_here(host));
        Self {
            port: port.and_then(|(_, port)| port.parse().ok()),
            process: None,
            looked: None,
            resident: None,
        }
    }

    /// Bytes that it has in memory, with all that it started.
    pub(super) fn resident(&mut self, now: Instant) -> Option<u64> {
        let port = self.port?;
        let is_due = self
            .looked
            .is_none_or(|at| now.saturating_duration_since(at) >= LOOK_EVERY);
        if is_due {
            self.looked = Some(now);
            let known = self.process.filter(|id| memory(*id).is_some());
            self.process = known.or_else(|| listener(port));
            self.resident = self.process.map(with_children);
        }
        self.resident
    }
}

/// The process that listens on a port of this machine.
fn listener(port: u16) -> Option<u32> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .collect();
    if sockets.is_empty() {
        return None;
    }
    // Of several that share it the first is the one that started the others.
    let mut processes: Vec<u32> = processes();
    processes.sort_unstable();
    processes.into_iter().find(|id| {
        let Ok(files) = fs::read_dir(format!("/proc/{id}/fd")) else {
            return false;
        };
        let mut targets = files
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| {
            let target = target.to_string_lossy();
            sockets.iter().any(|socket| *socket == target)
        })
    })
}

/// Of a table of sockets, those that listen on a port, as files name them.
fn listening(table: &str, port: u16) -> Vec<String> {
    let ending = format!(":{port:04X}");
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (local, state) = (words.next()?, words.nth(1)?);
        let inode = words.nth(5)?;
        (local.ends_with(&ending) && state == LISTENS).then(|| format!("socket:[{inode}]"))
    };
    table.lines().skip(1).filter_map(line).collect()
}

fn processes() -> Vec<u32> {
    let Ok(all) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let id = |name: std::ffi::OsString| name.to_str()?.parse().ok();
    all.flatten()
        .filter_map(|one| id(one.file_name()))
        .collect()
}

/// What a process and all that it started have in memory.
fn with_children(first: u32) -> u64 {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for id in processes() {
        if let Some(parent) = parent(id) {
            children.entry(parent).or_default().push(id);
        }
    }
    let (mut all, mut at, mut sum) = (vec![first], 0, 0_u64);
    while let Some(&id) = all.get(at) {
        at += 1;
        sum = sum.saturating_add(memory(id).unwrap_or(0));
        let more = children.remove(&id).unwrap_or_default();
        all.extend(more);
        if all.len() > PROCESSES_MOST {
            break;
        }
    }
    sum
}

/// Behind the name, which may have blanks and brackets: the state, then the parent.
fn parent(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Resident bytes: the second number of `statm`, in pages.
fn memory(id: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{id}/statm")).ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::clock;

    #[test]
    fn a_server_is_found_by_its_port_and_measured_with_what_it_started() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut server = Server::at(&socket.local_addr().unwrap().to_string());
        let resident = server.resident(clock::now()).unwrap();
        assert_eq!(server.process, Some(std::process::id()));
        assert!(resident > 1 << 20, "{resident}");
        let own = memory(std::process::id()).unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let both = with_children(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(both > own / 2, "{both} {own}");
    }

    #[test]
    fn a_server_elsewhere_is_not_known() {
        for authority in ["10.0.0.1:8080", "models.internal:8080", "nowhere"] {
            assert_eq!(Server::at(authority).resident(clock::now()), None);
        }
        let unheard = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        assert_eq!(
            Server::at(&unheard.to_string()).resident(clock::now()),
            None
        );
    }
}

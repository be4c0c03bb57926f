//! The machine: processor, memory, disk, network, and the agent's own memory.
//!
//! Promises: reading is cheap enough for every second; the disk is asked every tenth, and
//! only the one that holds the data folder, so that a dead network mount stops nothing.

mod server;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sysinfo::{MemoryRefreshKind, Networks, System};

use self::server::Server;

/// How often the disk is asked: it fills slowly.
const DISK_EVERY: Duration = Duration::from_secs(10);

/// How the machine is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// 1000 is every core busy.
    pub cpu_permille: u32,
    /// Logical cores.
    pub cores: u32,
    /// Bytes in use.
    pub memory_used: u64,
    /// Bytes there are.
    pub memory_total: u64,
    /// Bytes in use on the disk of the data folder.
    pub disk_used: u64,
    /// Bytes on it.
    pub disk_total: u64,
    /// Bytes a second over all interfaces.
    pub network_received_per_s: u64,
    /// Bytes a second over all interfaces.
    pub network_sent_per_s: u64,
    /// The agent's own resident memory in bytes.
    pub agent_memory: u64,
    /// The inference server's, with all that it started; 0 where it is not known.
    #[serde(default)]
    pub server_memory: u64,
}

/// Of a machine's memory, the part that loaded versions may take together unless somebody says.
const FOR_VERSIONS: f64 = 0.8;

/// Bytes of memory that loaded versions may take together; without a bound where the machine does
/// not say what it has.
pub fn for_versions() -> u64 {
    let Ok(mut system) = System::new() else {
        return u64::MAX;
    };
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    match system.total_memory() {
        0 => u64::MAX,
        total => (total as f64 * FOR_VERSIONS) as u64,
    }
}

/// Bytes that the inference server at an address has in memory, with all that it started; `None`
/// where it is not known. It is looked for among all processes, which takes milliseconds.
pub fn server_memory(upstream: &str) -> Option<u64> {
    Server::at(upstream).resident(crate::clock::now())
}

/// What is read from the machine.
pub struct Host {
    system: System,
    networks: Networks,
    server: Server,
    folder: PathBuf,
    disk: (u64, u64),
    disk_read: Option<Instant>,
    read: Instant,
}

impl Host {
    /// The machine, with the disk that holds `folder` and the inference server at `upstream`;
    /// `None` where the system cannot be asked at all.
    pub fn new(folder: &Path, upstream: &str, now: Instant) -> Option<Self> {
        let mut system = System::new().ok()?;
        system.refresh_cpu_usage();
        Some(Self {
            system,
            networks: Networks::new_with_refreshed_list().ok()?,
            server: Server::at(upstream),
            folder: folder.to_owned(),
            disk: (0, 0),
            disk_read: None,
            read: now,
        })
    }

    /// Reads the machine; rates are since the last reading.
    pub fn vitals(&mut self, now: Instant) -> Vitals {
        self.system.refresh_cpu_usage();
        self.system
            .refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        self.networks.refresh(true);
        if self
            .disk_read
            .is_none_or(|read| now.saturating_duration_since(read) >= DISK_EVERY)
        {
            self.disk_read = Some(now);
            self.disk = disk(&self.folder).unwrap_or(self.disk);
        }
        let elapsed_us = now.saturating_duration_since(self.read).as_micros().max(1);
        self.read = now;
        let received: u64 = self
            .networks
            .values()
            .map(|network| network.received())
            .sum();
        let sent: u64 = self
            .networks
            .values()
            .map(|network| network.transmitted())
            .sum();
        let (disk_used, disk_total) = self.disk;
        Vitals {
            cpu_permille: (self.system.global_cpu_usage() * 10.0).clamp(0.0, 1000.0) as u32,
            cores: u32::try_from(self.system.cpus().len()).unwrap_or(u32::MAX),
            memory_used: self.system.used_memory(),
            memory_total: self.system.total_memory(),
            disk_used,
            disk_total,
            network_received_per_s: per_second(received, elapsed_us),
            network_sent_per_s: per_second(sent, elapsed_us),
            agent_memory: own_memory().unwrap_or(0),
            server_memory: self.server.resident(now).unwrap_or(0),
        }
    }
}

fn per_second(bytes: u64, elapsed_us: u128) -> u64 {
    u64::try_from(u128::from(bytes) * 1_000_000 / elapsed_us).unwrap_or(u64::MAX)
}

/// Bytes used and in all, as `df` has them.
fn disk(folder: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let used = disk
        .f_blocks
        .saturating_sub(disk.f_bfree)
        .saturating_mul(disk.f_frsize);
    Some((used, disk.f_blocks.saturating_mul(disk.f_frsize)))
}

/// Resident bytes: the second number of `statm`, in pages. Reading it costs a hundredth of
/// asking for a whole process.
fn own_memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_running_machine_has_vitals() {
        let dir = tempfile::tempdir().unwrap();
        let mut host = Host::new(dir.path(), "127.0.0.1:1", clock::now()).unwrap();
        let vitals = host.vitals(clock::now());
        assert!(
            vitals.cores > 0 && vitals.cpu_permille <= 1000,
            "{vitals:?}"
        );
        assert!(vitals.memory_used > 0 && vitals.memory_used < vitals.memory_total);
        assert!(
            vitals.disk_used > 0 && vitals.disk_used <= vitals.disk_total,
            "{vitals:?}"
        );
        assert!(vitals.agent_memory > 1 << 20, "{vitals:?}");
    }
}

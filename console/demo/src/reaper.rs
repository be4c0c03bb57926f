//! What makes sure that nothing of a demo stays behind, whatever becomes of it.
//!
//! The reaper is a process of its own that leads a process group; every program of the demo is
//! started into that group. It reads a pipe whose other end only the demo holds. When the pipe
//! ends (the demo finished, panicked or was killed) it asks the group to stop, waits, ends what
//! is left, and removes the folder.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::Stopwatch;

/// The name of the hidden command of `binnacle` that calls [`reap`].
pub const COMMAND: &str = "demo-reaper";
/// What the reaper prints once it cannot be stopped by what it sends to others.
pub(crate) const READY: &[u8] = b"ready\n";

/// Longest wait for programs to stop by themselves: a hub and its agents write what they have.
const GRACE_MAX: Duration = Duration::from_secs(10);
/// Between two looks at what is left.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until standard input ends, then stops this process's group and removes `folder`.
///
/// # Errors
/// When signals cannot be caught at the start, or the folder cannot be removed at the end.
pub async fn reap(folder: &Path) -> io::Result<()> {
    // Caught and dropped: what is sent to the group reaches its leader too.
    let _caught = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    ];
    let mut out = tokio::io::stdout();
    // When nobody reads it the pipe has ended too, and the next read says so.
    let _unread = out.write_all(READY).await;
    let _unread = out.flush().await;
    let mut input = tokio::io::stdin();
    let mut ignored = [0; 64];
    // Nothing is ever sent: what matters is the end. An error ends it just as well.
    while matches!(input.read(&mut ignored).await, Ok(read) if read > 0) {}
    stop_group().await;
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn stop_group() {
    let own = rustix::process::getpid();
    // Not a leader: run by hand. Its group is somebody else's and none of its business.
    if rustix::process::getpgrp() != own {
        return;
    }
    // Fails only when the group is empty, which is what is wanted.
    let _gone = rustix::process::kill_process_group(own, Signal::TERM);
    let watch = Stopwatch::start();
    while watch.elapsed() < GRACE_MAX {
        if members(own).is_empty() {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    for member in members(own) {
        let _gone = rustix::process::kill_process(member, Signal::KILL);
    }
}

/// The living processes of the group `leader` leads, except itself.
fn members(leader: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let living = ids.filter_map(|id: i32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let (state, group) = state_and_group(&stat)?;
        let pid = Pid::from_raw(id)?;
        // A zombie has stopped; that nobody has asked how is not for us to mend.
        (group == leader.as_raw_nonzero().get() && state != "Z" && pid != leader).then_some(pid)
    });
    living.collect()
}

/// The third and fifth fields of a process's stat line, whose second is a name in parentheses
/// that may hold anything.
fn state_and_group(stat: &str) -> Option<(&str, i32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    Some((state, group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_read_whatever_the_program_is_called() {
        let stat = "17 (a) R 9 (b) S 1 4242 17 0 -1";
        assert_eq!(state_and_group(stat), Some(("S", 4242)));
        assert_eq!(state_and_group("17 (x"), None);
    }
}

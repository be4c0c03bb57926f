//! A PostgreSQL server of one's own: made in a temporary folder, on a free port of loopback, ended
//! and removed when it is dropped. Its databases survive a stop or a kill, not the drop.
//!
//! The hub's own tests take this file in by its path, so that it knows nothing but the standard
//! library and what both have.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// A server that has not come up, or gone down, by then hangs.
const WITHIN: Duration = Duration::from_secs(30);
/// What it says when it can be called.
const READY: &str = "ready to accept connections";

/// A server.
pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
    process: Option<Child>,
    databases: AtomicU32,
}

impl Postgres {
    /// Makes a server and starts it.
    #[track_caller]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let owner = owner();
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group)).expect("root may give a folder away");
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let mut server = Self {
            folder,
            programs: programs(),
            owner,
            port: port.expect("a free port").port(),
            process: None,
            databases: AtomicU32::new(0),
        };
        let data = server.data();
        let made = server
            .command("initdb")
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8"])
            .args(["--locale=C", "-D"])
            .arg(data)
            .output()
            .expect("initdb runs");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb: {said}");
        server.start_again();
        server
    }

    /// Starts it again, at the same port, on what it had.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "end it before it is started again");
        let sockets = format!("unix_socket_directories={}", self.folder.path().display());
        let mut process = self
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-c", &sockets])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args(["-c", "shared_buffers=16MB", "-c", "max_connections=40"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("postgres runs");
        let said = process.stderr.take().expect("its words are read");
        self.process = Some(process);
        let (ready, is_ready) = mpsc::channel();
        // To its end, so that the server is never held up by what it says.
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                // The one who waits may have been told already.
                let _told = ready.send(line);
            }
        });
        let mut last = String::new();
        while !last.contains(READY) {
            last = match is_ready.recv_timeout(WITHIN) {
                Ok(line) => line,
                Err(_) => panic!("PostgreSQL does not come up; it last said {last:?}"),
            };
        }
    }

    /// Asks it to end at once, as an init system does: open connections are cut.
    pub fn stop(&mut self) {
        self.end(Signal::INT);
    }

    /// Ends it as a crash does: what it was doing is undone when it starts again.
    pub fn kill(&mut self) {
        self.end(Signal::QUIT);
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _gone = kill_process(Pid::from_child(&process), signal);
            process.wait().expect("a child is waited for");
        }
    }

    /// A fresh database's URL.
    #[track_caller]
    pub fn database(&self) -> String {
        let name = format!("hub{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let made = self
            .command("createdb")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", "postgres", &name])
            .output()
            .expect("createdb runs");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "createdb: {said}");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of the server's programs, as the user that may run it.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir("/");
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The newest release that is installed.
#[track_caller]
fn programs() -> PathBuf {
    let releases = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let programs = releases.filter_map(|release| Some(release.ok()?.path().join("bin")));
    let there = programs.filter(|programs| programs.join("initdb").exists());
    let release = |programs: &PathBuf| {
        let number = programs.parent().and_then(Path::file_name)?;
        number.to_str()?.parse::<u32>().ok()
    };
    match there.max_by_key(release) {
        Some(programs) => programs,
        None => panic!("PostgreSQL is missing: apt-get install postgresql"),
    }
}

/// The user and group under which the server runs where root runs the tests: it refuses root.
#[track_caller]
fn owner() -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("the system has users");
    let mut fields = users.lines().map(|line| line.split(':'));
    let of_postgres = fields.find_map(|mut fields| {
        (fields.next() == Some("postgres")).then_some(())?;
        let user = fields.nth(1)?.parse().ok()?;
        Some((user, fields.next()?.parse().ok()?))
    });
    Some(of_postgres.expect("PostgreSQL's package made its user; install postgresql"))
}

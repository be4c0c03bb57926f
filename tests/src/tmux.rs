//! A tmux of its own, with one of our programs in it: what people leave running on a bastion.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program;
use crate::terminal::{Start, Terminal};

/// The name of the socket, in a folder that nobody else has.
const SOCKET: &str = "test";

/// A tmux server that reads nobody's configuration; killed when dropped.
pub struct Tmux {
    home: PathBuf,
}

impl Tmux {
    /// Starts `binnacle` with these arguments in a detached session, with `term` for what the
    /// terminal is called in it.
    #[track_caller]
    pub fn start(home: &Path, term: &str, (width, height): (u16, u16), args: &[&str]) -> Self {
        let tmux = Self {
            home: home.to_owned(),
        };
        let binnacle = program::binaries().join("binnacle");
        let (width, height) = (width.to_string(), height.to_string());
        let set = ["set-option", "-g", "default-terminal", term, ";"];
        let mut all = vec!["start-server", ";"];
        all.extend(set);
        all.extend(["new-session", "-d", "-x", &width, "-y", &height, "--"]);
        all.push(binnacle.to_str().unwrap());
        all.extend(args);
        tmux.run(&all);
        tmux
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-f", "/dev/null", "-L", SOCKET]);
        command.env_clear();
        command.envs(self.environment());
        command.current_dir(&self.home);
        command
    }

    fn environment(&self) -> [(&'static str, String); 4] {
        let home = self.home.to_str().unwrap().to_owned();
        [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TMUX_TMPDIR", home.clone()),
            ("HOME", home),
        ]
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> String {
        let output = self.command().args(args).output();
        let output = output.unwrap_or_else(|error| panic!("tmux cannot be started: {error}"));
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {args:?}: {complaints}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the pane shows.
    #[track_caller]
    pub fn text(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    /// The same with its colours, as tmux would write them.
    #[track_caller]
    pub fn coloured(&self) -> String {
        self.run(&["capture-pane", "-p", "-e"])
    }

    /// Types letters.
    #[track_caller]
    pub fn keys(&self, keys: &str) {
        self.run(&["send-keys", "-l", keys]);
    }

    /// Presses a key, as tmux calls it.
    #[track_caller]
    pub fn key(&self, name: &str) {
        self.run(&["send-keys", name]);
    }

    /// Gives the window another size.
    #[track_caller]
    pub fn resize(&self, width: u16, height: u16) {
        let (width, height) = (width.to_string(), height.to_string());
        self.run(&["resize-window", "-x", &width, "-y", &height]);
    }

    /// The process in the pane.
    #[track_caller]
    pub fn id(&self) -> u32 {
        let id = self.run(&["display-message", "-p", "#{pane_pid}"]);
        id.trim().parse().unwrap()
    }

    /// A terminal that is attached to the session.
    #[track_caller]
    pub fn attach(&self, width: u16, height: u16) -> Terminal {
        let args = ["tmux", "-f", "/dev/null", "-L", SOCKET, "attach-session"];
        let start = Start::tool(&self.home, &args).size(width, height);
        let folder = self.home.to_str().unwrap();
        start.with("TMUX_TMPDIR", folder).start()
    }

    /// Ends the server, and with it the terminal of what runs in it.
    #[track_caller]
    pub fn kill(&self) {
        self.run(&["kill-server"]);
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let shown = self.command().args(["capture-pane", "-p"]).output();
            let shown = shown.map(|output| output.stdout).unwrap_or_default();
            eprintln!("-- tmux:\n{}", String::from_utf8_lossy(&shown));
        }
        // Where the test has ended it, there is none any more.
        let _ = self.command().arg("kill-server").output();
    }
}

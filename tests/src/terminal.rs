//! A terminal with one of our programs on it: a real pty, and what a person would see there.
//!
//! It answers what terminals answer (who it is, where its cursor is, whether it shows frames at
//! once), keeps the screen, and counts the bytes.

use std::io::{Read as _, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use crate::patience::eventually;
use crate::program;

/// From a key or an event to what it shows, on two busy cores.
const SHOWN_LIMIT: Duration = Duration::from_secs(20);
/// From being asked to end to the end.
const END_LIMIT: Duration = Duration::from_secs(20);
/// Bytes that are kept for a look at how something was written.
const RAW_MAX: usize = 4 << 20;

/// What the program wrote, and the screen that it made.
struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
    is_closed: bool,
}

/// Whether what the program writes is taken.
#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let shut = self.is_shut.lock().expect("nobody panics with it");
        let open = self.opened.wait_while(shut, |is_shut| *is_shut);
        drop(open.expect("nobody panics with it"));
    }

    fn set(&self, is_shut: bool) {
        *self.is_shut.lock().expect("nobody panics with it") = is_shut;
        self.opened.notify_all();
    }
}

/// A terminal with a program on it.
pub struct Terminal {
    gate: Arc<Gate>,
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Arc<Mutex<Box<dyn Write + Send>>>,
    seen: Arc<Mutex<Seen>>,
}

/// A program to be put on a terminal.
pub struct Start<'a> {
    program: &'a Path,
    args: Vec<String>,
    variables: Vec<(String, String)>,
    size: (u16, u16),
    home: &'a Path,
}

impl<'a> Start<'a> {
    /// `binnacle` with these arguments, with `home` for everything that it keeps.
    pub fn binnacle(home: &'a Path, args: &[&str]) -> Self {
        Self {
            program: Path::new("binnacle"),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            variables: Vec::new(),
            size: (120, 40),
            home,
        }
    }

    /// A shell instead, which finds our programs.
    pub fn shell(home: &'a Path) -> Self {
        Self {
            program: Path::new("/bin/sh"),
            ..Self::binnacle(home, &["-i"])
        }
    }

    /// A tool of the system instead, which is found as a shell would find it.
    pub fn tool(home: &'a Path, command: &[&str]) -> Self {
        Self {
            program: Path::new("/usr/bin/env"),
            ..Self::binnacle(home, command)
        }
    }

    /// Columns and lines.
    pub fn size(mut self, width: u16, height: u16) -> Self {
        self.size = (width, height);
        self
    }

    /// With this in its environment.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it.
    #[track_caller]
    pub fn start(self) -> Terminal {
        let (cols, rows) = self.size;
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let binaries = program::binaries();
        let mut command = CommandBuilder::new(binaries.join(self.program));
        command.args(&self.args);
        command.env_clear();
        command.cwd(self.home);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", binaries.display()));
        command.env("HOME", self.home);
        for (name, value) in [
            ("TERM", "xterm-256color"),
            ("LANG", "C.UTF-8"),
            ("PS1", "sh> "),
        ] {
            command.env(name, value);
        }
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(rows, cols, 200),
            raw: Vec::new(),
            is_closed: false,
        }));
        let keyboard = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (to, answers) = (Arc::clone(&seen), Arc::clone(&keyboard));
        let gate: Arc<Gate> = Arc::default();
        let held = Arc::clone(&gate);
        std::thread::spawn(move || {
            let mut bytes = [0; 8_192];
            while let Ok(read @ 1..) = reader.read(&mut bytes) {
                let said = &bytes[..read];
                held.pass();
                {
                    let mut seen = to.lock().expect("nobody panics with it");
                    seen.parser.process(said);
                    seen.raw.extend_from_slice(said);
                    assert!(seen.raw.len() < RAW_MAX, "a test's terminal is flooded");
                }
                answer(said, &answers);
            }
            to.lock().expect("nobody panics with it").is_closed = true;
        });
        Terminal {
            gate,
            child,
            master: pair.master,
            keyboard,
            seen,
        }
    }
}

/// Says what terminals say when they are asked. Programs ask each question in one piece.
fn answer(said: &[u8], keyboard: &Mutex<Box<dyn Write + Send>>) {
    let answers: [(&[u8], &[u8]); 3] = [
        (b"\x1b[?2026$p", b"\x1b[?2026;2$y"),
        (b"\x1b[c", b"\x1b[?62;4c"),
        (b"\x1b[6n", b"\x1b[1;1R"),
    ];
    for (question, answer) in answers {
        if said
            .windows(question.len())
            .any(|window| window == question)
        {
            let mut keyboard = keyboard.lock().expect("nobody panics with it");
            // A program that has ended does not want to know.
            let _ = keyboard.write_all(answer).and_then(|()| keyboard.flush());
        }
    }
}

impl Terminal {
    /// Types keys, as the terminal would send them.
    #[track_caller]
    pub fn keys(&self, keys: &str) {
        let mut keyboard = self.keyboard.lock().expect("nobody panics with it");
        keyboard.write_all(keys.as_bytes()).unwrap();
        keyboard.flush().unwrap();
    }

    /// Takes nothing more of what the program writes, as a line that hangs.
    pub fn hold(&self) {
        self.gate.set(true);
    }

    /// Takes what waits, and all that follows.
    pub fn release(&self) {
        self.gate.set(false);
    }

    /// Gives it another size.
    pub fn resize(&self, cols: u16, rows: u16) {
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        self.seen().parser.screen_mut().set_size(rows, cols);
        self.master.resize(size).unwrap();
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody panics with it")
    }

    /// What a person sees now, line by line.
    pub fn text(&self) -> String {
        self.seen().parser.screen().contents()
    }

    /// Everything that was written so far.
    pub fn raw(&self) -> Vec<u8> {
        self.seen().raw.clone()
    }

    /// How many bytes were written so far.
    pub fn bytes(&self) -> usize {
        self.seen().raw.len()
    }

    /// How often a piece was written so far.
    pub fn count(&self, piece: &[u8]) -> usize {
        let raw = &self.seen().raw;
        raw.windows(piece.len()).filter(|at| *at == piece).count()
    }

    /// Looks at the screen itself: colours, reversed cells, modes.
    pub fn screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen().parser.screen())
    }

    /// Waits until the screen shows `text`.
    #[track_caller]
    pub fn await_text(&self, text: &str) {
        let what = format!("the terminal shows {text:?}");
        eventually(&what, SHOWN_LIMIT, || {
            let shown = self.text();
            if shown.contains(text) {
                Ok(())
            } else {
                Err(shown)
            }
        });
    }

    /// Waits until the screen does not show `text` any more.
    #[track_caller]
    pub fn await_no_text(&self, text: &str) {
        let what = format!("the terminal does not show {text:?}");
        eventually(&what, SHOWN_LIMIT, || {
            let shown = self.text();
            if shown.contains(text) {
                Err(shown)
            } else {
                Ok(())
            }
        });
    }

    /// Waits until all that follows from what happened so far was written: `same` looks at
    /// something that happens again and again meanwhile.
    #[track_caller]
    pub fn await_quiet(&self, mut beat: impl FnMut()) -> usize {
        eventually(
            "nothing more is written between two beats",
            SHOWN_LIMIT,
            || {
                let before = self.bytes();
                beat();
                let written = self.bytes() - before;
                if written == 0 {
                    Ok(before)
                } else {
                    Err(format!("{written} bytes"))
                }
            },
        )
    }

    /// Whether the terminal is as a shell wants it: lines are edited and echoed, the cursor is
    /// there, the first screen is shown, pasted text is not told apart.
    pub fn is_given_back(&self) -> Result<(), String> {
        /// Lines, and echo, as Linux numbers them.
        const LINES_AND_ECHO: u32 = 0o12;
        let modes = self.master.get_termios().expect("a pty has modes");
        let local = modes.local_flags.bits();
        let screen = |screen: &vt100::Screen| {
            (
                screen.alternate_screen(),
                screen.hide_cursor(),
                screen.bracketed_paste(),
            )
        };
        let screen = self.screen(screen);
        if local & LINES_AND_ECHO == LINES_AND_ECHO && screen == (false, false, false) {
            return Ok(());
        }
        Err(format!(
            "modes {local:o}; alternate, hidden, brackets: {screen:?}"
        ))
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let id = self.child.process_id().expect("it runs");
        let id = i32::try_from(id).ok().and_then(Pid::from_raw).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits until a write of the program hangs, since what it wrote is not taken.
    #[track_caller]
    pub fn await_blocked(&self) {
        /// The call's number and its file, as Linux has them on x86-64 and on arm64.
        const WRITES: [&str; 2] = ["1 0x", "64 0x"];
        let at = format!("/proc/{}/syscall", self.id());
        eventually("a write hangs", SHOWN_LIMIT, || {
            let call = std::fs::read_to_string(&at).unwrap();
            match WRITES.iter().any(|write| call.starts_with(write)) {
                true => Ok(()),
                false => Err(call),
            }
        });
    }

    /// Waits until it has ended, whatever of what it wrote is never read.
    #[track_caller]
    pub fn await_gone(&mut self) {
        let child = &mut self.child;
        eventually("the program on the terminal ends", END_LIMIT, || {
            let ended = child.try_wait().unwrap();
            ended.map(|_| ()).ok_or_else(|| "it runs".to_owned())
        });
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        program::resident(self.id())
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.process_id().expect("it runs")
    }

    /// Waits until it ends; how, and with everything read that it wrote.
    #[track_caller]
    pub fn await_end(&mut self) -> u32 {
        let child = &mut self.child;
        let status = eventually("the program on the terminal ends", END_LIMIT, || {
            child
                .try_wait()
                .unwrap()
                .ok_or_else(|| "it runs".to_owned())
        });
        eventually("the rest of what it wrote is read", END_LIMIT, || {
            if self.seen().is_closed {
                Ok(())
            } else {
                Err(self.text())
            }
        });
        status.exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.gate.set(false);
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("-- the terminal:\n{}", self.text());
        }
    }
}

//! The terminal: taken in one place, given back on every way out, and written to in few bytes.
//!
//! While it is taken it is raw, on its alternate screen, and tells pasted text apart. Giving it
//! back needs no value of ours ([`restore`]): a panic on any task or thread finds its way too.
//! An unchanged frame is not written: not one byte.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd as _;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use binnacle_tui::paint;
use binnacle_tui::theme::Background;

use crate::clock;
use crate::terminal::probe::Probe;

mod base64;
pub(crate) mod probe;
pub(crate) mod traits;

/// A whole frame of a large terminal goes out in one write.
const BUFFER: usize = 64 << 10;
/// Alternate screen, cleared; pasted text in brackets; no cursor.
const TAKE: &[u8] = b"\x1b[?1049h\x1b[?2004h\x1b[?25l\x1b[m\x1b[2J";
/// The other way round; a frame that was cut short is ended first.
const GIVE_BACK: &[u8] = b"\x1b[?2026l\x1b[m\x1b[?2004l\x1b[?25h\x1b[?1049l";
/// Shows what lies between them at once.
const FRAME_BEGINS: &[u8] = b"\x1b[?2026h";
const FRAME_ENDS: &[u8] = b"\x1b[?2026l";
/// Clears everything in the colours of the terminal.
const CLEAR: &[u8] = b"\x1b[m\x1b[2J";
/// Bytes of text that go onto the clipboard at most: xterm takes no longer sequence.
const COPY_MAX: usize = 74_000;

/// How long a terminal may take to take what gives it back: a slow line catches up in less.
const TAKES_WITHIN: Duration = Duration::from_secs(1);

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether the terminal is ours now: then nothing else may write to it.
pub(crate) fn is_taken() -> bool {
    TAKEN.load(Ordering::SeqCst)
}

/// Gives the terminal back, from wherever it is called; says whether it was ours.
pub(crate) fn restore() -> bool {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return false;
    }
    // Past any buffer: what waits there belongs to a frame that nobody will see. A terminal
    // that is gone cannot be put right, and needs not be.
    if takes() {
        let _gone = rustix::io::write(rustix::stdio::stdout(), GIVE_BACK);
    }
    let _gone = disable_raw_mode();
    true
}

/// Whether the terminal takes anything, or does within [`TAKES_WITHIN`]: a write to one that does
/// not would never come back, and the way out would end there.
fn takes() -> bool {
    let stdout = rustix::stdio::stdout();
    let mut ready = [PollFd::new(&stdout, PollFlags::OUT)];
    let wait = Timespec::try_from(TAKES_WITHIN).unwrap_or_default();
    // Where it cannot be asked, the write says what is wrong.
    !matches!(poll(&mut ready, Some(&wait)), Ok(0))
}

/// The terminal while it is ours.
#[derive(Debug)]
pub(crate) struct Terminal {
    out: BufWriter<Counted>,
    /// What it shows; nothing while that is not known.
    shown: Option<Buffer>,
    is_synchronized: bool,
}

/// The terminal's end, and how many bytes went there.
#[derive(Debug)]
struct Counted {
    file: File,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What drawing a frame cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Bytes that were written.
    pub(crate) bytes: u64,
    /// How long the terminal took them.
    pub(crate) took: Duration,
}

impl Terminal {
    /// Takes the terminal, and asks it what it can do.
    pub(crate) fn take(may_ask: bool) -> io::Result<(Self, Option<Background>)> {
        give_back_on_panic();
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let mut terminal = Self {
            out: BufWriter::with_capacity(BUFFER, Counted { file, bytes: 0 }),
            shown: None,
            is_synchronized: false,
        };
        terminal.take_again()?;
        let probe = match may_ask {
            true => probe::ask(&mut terminal.out)?,
            false => Probe::default(),
        };
        terminal.is_synchronized = probe.is_synchronized;
        Ok((terminal, probe.background))
    }

    /// Takes it again after [`Terminal::give_back`]; everything is painted anew.
    pub(crate) fn take_again(&mut self) -> io::Result<()> {
        // Noted before it is so: a way out between the two gives back what was not taken, which
        // does no harm.
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        self.out.write_all(TAKE)?;
        self.shown = None;
        self.out.flush()
    }

    /// Gives it back, for a while or for good.
    pub(crate) fn give_back(&mut self) -> io::Result<()> {
        self.out.flush()?;
        restore();
        Ok(())
    }

    /// Columns and lines; nothing where the terminal does not say, or says zero.
    pub(crate) fn size() -> Option<(u16, u16)> {
        let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
        (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
    }

    /// Has the next frame painted whole.
    pub(crate) fn forget(&mut self) {
        self.shown = None;
    }

    /// Shows a frame: what changed of it, or nothing.
    pub(crate) fn show(&mut self, frame: Buffer) -> io::Result<Cost> {
        let (began, before) = (clock::now(), self.out.get_ref().bytes);
        let is_known = self
            .shown
            .as_ref()
            .is_some_and(|shown| shown.area == frame.area);
        if !is_known {
            self.shown = Some(Buffer::empty(frame.area));
        }
        let shown = self.shown.get_or_insert_with(|| Buffer::empty(Rect::ZERO));
        let changes = paint::changes(shown, &frame);
        if !changes.is_empty() || !is_known {
            if self.is_synchronized {
                self.out.write_all(FRAME_BEGINS)?;
            }
            if !is_known {
                self.out.write_all(CLEAR)?;
            }
            self.out.write_all(&changes)?;
            if self.is_synchronized {
                self.out.write_all(FRAME_ENDS)?;
            }
            self.out.flush()?;
        }
        self.shown = Some(frame);
        Ok(Cost {
            bytes: self.out.get_ref().bytes - before,
            took: clock::now() - began,
        })
    }

    /// Puts text onto the clipboard of the terminal, wherever that is (OSC 52).
    pub(crate) fn copy(&mut self, text: &str) -> Result<(), String> {
        if text.len() > COPY_MAX {
            return Err(format!(
                "{} bytes are too long for a terminal's clipboard, which takes {COPY_MAX}",
                text.len()
            ));
        }
        let coded = base64::encode(text.as_bytes());
        let written = write!(self.out, "\x1b]52;c;{coded}\x1b\\").and_then(|()| self.out.flush());
        written.map_err(|error| format!("the terminal does not take it: {error}"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// On a panic, wherever it happens: the terminal first, then the report where it can be read,
/// then the end. A console half of whose tasks are dead is worse than none.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let was_ours = restore();
            report(panic);
            if was_ours {
                std::process::exit(PANICKED);
            }
        }));
    });
}

/// What Rust's own programs end with when they panic.
const PANICKED: i32 = 101;

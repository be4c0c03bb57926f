//! A relay between an agent or a console and its hub, whose connections can be cut, or held up,
//! while both live on.
//!
//! What a broken network does: what was on its way is lost, and neither end is told until it
//! reads or writes.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// Listens beside the hub's socket and passes bytes on, both ways.
pub struct Relay {
    socket: PathBuf,
    open: Arc<Mutex<Vec<UnixStream>>>,
    gate: Arc<Gate>,
    /// Nobody gets through.
    is_parted: Arc<AtomicBool>,
}

/// Whether what the hub says is passed on.
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

/// As [`io::copy`], piece by piece through the gate.
fn copy(from: &mut UnixStream, to: &mut UnixStream, gate: Option<&Gate>) -> io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut bytes)?;
        if read == 0 {
            return Ok(());
        }
        if let Some(gate) = gate {
            gate.pass();
        }
        to.write_all(&bytes[..read])?;
    }
}

impl Relay {
    /// Listens on `socket` and passes on to `hub`, another unix socket.
    pub fn start(socket: &Path, hub: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let open: Arc<Mutex<Vec<UnixStream>>> = Arc::default();
        let gate: Arc<Gate> = Arc::default();
        let is_parted: Arc<AtomicBool> = Arc::default();
        let parted = Arc::clone(&is_parted);
        let (hub, opened, shared) = (hub.to_owned(), Arc::clone(&open), Arc::clone(&gate));
        // Ends with the test's process: an accept that nobody dials waits for ever.
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = UnixStream::connect(&hub) else {
                    continue;
                };
                let mut all = opened.lock().expect("nobody panics with it");
                // Looked at under the lock, so that a partition cuts whatever was let through.
                if parted.load(Ordering::SeqCst) {
                    continue;
                }
                let held = Some(Arc::clone(&shared));
                for (from, to, gate) in [(&near, &far, None), (&far, &near, held)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    all.push(from.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = copy(&mut from, &mut to, gate.as_deref());
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self {
            socket: socket.to_owned(),
            open,
            gate,
            is_parted,
        }
    }

    /// Parts the ends from each other: what is open is cut, and nobody gets through until
    /// [`join`](Self::join).
    pub fn part(&self) {
        self.is_parted.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Lets the ends find each other again.
    pub fn join(&self) {
        self.is_parted.store(false, Ordering::SeqCst);
    }

    /// Holds back what the hub says from now on, on every connection.
    pub fn hold(&self) {
        self.gate.set(true);
    }

    /// Passes on what was held back, and all that follows.
    pub fn release(&self) {
        self.gate.set(false);
    }

    /// As `--hub` takes it.
    pub fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Cuts every connection that is open now. How many there were.
    pub fn cut(&self) -> usize {
        let cut = std::mem::take(&mut *self.open.lock().expect("nobody panics with it"));
        for stream in &cut {
            let _ = stream.shutdown(Shutdown::Both);
        }
        cut.len() / 2
    }
}

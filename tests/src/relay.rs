//! A relay between an agent and its hub, whose connections can be cut while both live on.
//!
//! What a broken network does: what was on its way is lost, and neither end is told until it
//! reads or writes.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Listens beside the hub's socket and passes bytes on, both ways.
pub struct Relay {
    socket: PathBuf,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Relay {
    /// Listens on `socket` and passes on to `hub`, another unix socket.
    pub fn start(socket: &Path, hub: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let open: Arc<Mutex<Vec<UnixStream>>> = Arc::default();
        let (hub, opened) = (hub.to_owned(), Arc::clone(&open));
        // Ends with the test's process: an accept that nobody dials waits for ever.
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = UnixStream::connect(&hub) else {
                    continue;
                };
                let mut all = opened.lock().expect("nobody panics with it");
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    all.push(from.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self {
            socket: socket.to_owned(),
            open,
        }
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

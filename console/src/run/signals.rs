//! Signals, and stopping like any program at Ctrl-Z.

use std::io;
use std::time::Duration;

use rustix::process::{self, Signal};
use tokio::runtime;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::oneshot;

use crate::outcome::Exit;
use crate::terminal;

/// How long the loop may take to end in its own way; after that it hangs on a terminal that
/// takes nothing any more.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// To leave, even while an editor has the terminal.
    Leave,
    /// To leave, unless an editor has the terminal: then Ctrl-C was meant for that.
    Interrupt,
    /// To stop until somebody says go on.
    Stop,
    /// It goes on.
    Continue,
}

/// The signals that the console answers.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: unix::Signal,
    hang_up: unix::Signal,
    interrupt: unix::Signal,
    stop: unix::Signal,
    go_on: unix::Signal,
}

impl Signals {
    /// Catches them from now on.
    pub(super) fn catch() -> io::Result<Self> {
        let kind = |signal: Signal| SignalKind::from_raw(signal.as_raw());
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            hang_up: unix::signal(SignalKind::hangup())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            stop: unix::signal(kind(Signal::TSTP))?,
            go_on: unix::signal(kind(Signal::CONT))?,
        })
    }

    /// Waits for one.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Leave,
            _ = self.hang_up.recv() => Told::Leave,
            _ = self.interrupt.recv() => Told::Interrupt,
            _ = self.stop.recv() => Told::Stop,
            _ = self.go_on.recv() => Told::Continue,
        }
    }
}

/// The last way out while this lives.
#[derive(Debug)]
pub(super) struct LastResort {
    _armed: oneshot::Sender<()>,
}

/// Ends the process where the loop does not: a write to a terminal that is stopped never comes
/// back, and SIGTERM has to work all the same. On a thread of its own, since the loop's stands
/// still then.
pub(super) fn last_resort() -> io::Result<LastResort> {
    let (armed, disarmed) = oneshot::channel();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut terminate, mut hang_up) = {
        let _here = runtime.enter();
        (
            unix::signal(SignalKind::terminate())?,
            unix::signal(SignalKind::hangup())?,
        )
    };
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
        tokio::time::sleep(LEAVE_WITHIN).await;
    };
    let wait = async move {
        tokio::select! {
            () = asked => {
                terminal::restore();
                std::process::exit(Exit::Interrupted as i32);
            }
            _ = disarmed => {}
        }
    };
    std::thread::Builder::new()
        .name("last-resort".to_owned())
        .spawn(move || runtime.block_on(wait))?;
    Ok(LastResort { _armed: armed })
}

/// Stops this process and what was started with it, and comes back when it goes on. Says whether
/// it could: without a shell to say go on, it would stop for ever.
pub(super) fn stop() -> bool {
    if is_orphaned() {
        return false;
    }
    process::kill_current_process_group(Signal::STOP).is_ok()
}

/// Whether nobody who could continue us shares our session (POSIX: an orphaned process group).
fn is_orphaned() -> bool {
    let Some(parent) = process::getppid() else {
        return true;
    };
    let ours = (process::getsid(None), process::getpgrp());
    let theirs = (
        process::getsid(Some(parent)),
        process::getpgid(Some(parent)),
    );
    match (ours, theirs) {
        ((Ok(session), group), (Ok(its_session), Ok(its_group))) => {
            session != its_session || group == its_group
        }
        _ => true,
    }
}

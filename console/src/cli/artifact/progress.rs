//! How far something long is: a bar on a terminal, plain lines in a pipe, nothing for scripts.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Form;

/// Plain lines of one transfer: one each tenth of it.
const LINES: u64 = 10;
/// Bytes that are worth plain lines: less is done before it is read.
const WORTH_LINES: u64 = 16 << 20;

/// How far it is. Clones tell of the same thing.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    shown: Shown,
}

#[derive(Clone, Debug)]
enum Shown {
    Nowhere,
    Bar(ProgressBar),
    Lines(Arc<Lines>),
}

#[derive(Debug)]
struct Lines {
    doing: &'static str,
    all: AtomicU64,
    at: AtomicU64,
    /// Tenths that were told.
    told: AtomicU64,
}

impl Progress {
    /// Of something that is about so many bytes; 0 where that is not known yet.
    pub(crate) fn new(form: Form, bytes: u64, doing: &'static str) -> Self {
        let shown = match form {
            Form::Json => Shown::Nowhere,
            Form::Text if std::io::stderr().is_terminal() => {
                let style =
                    ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {bar:30} {eta}")
                        .expect("the template is a constant that was tried");
                let bar = ProgressBar::new(bytes).with_style(style);
                Shown::Bar(bar.with_message(doing))
            }
            Form::Text => Shown::Lines(Arc::new(Lines {
                doing,
                all: bytes.into(),
                at: 0.into(),
                told: 0.into(),
            })),
        };
        Self { shown }
    }

    /// So many bytes it is about.
    pub(crate) fn set_length(&self, bytes: u64) {
        match &self.shown {
            Shown::Nowhere => {}
            Shown::Bar(bar) => bar.set_length(bytes),
            Shown::Lines(lines) => lines.all.store(bytes, Ordering::Relaxed),
        }
    }

    /// So many are done.
    pub(crate) fn set_position(&self, bytes: u64) {
        match &self.shown {
            Shown::Nowhere => {}
            Shown::Bar(bar) => bar.set_position(bytes),
            Shown::Lines(lines) => {
                lines.at.store(bytes, Ordering::Relaxed);
                lines.tell();
            }
        }
    }

    /// So many more are done.
    pub(crate) fn inc(&self, bytes: u64) {
        match &self.shown {
            Shown::Nowhere => {}
            Shown::Bar(bar) => bar.inc(bytes),
            Shown::Lines(lines) => {
                lines.at.fetch_add(bytes, Ordering::Relaxed);
                lines.tell();
            }
        }
    }

    /// It has ended, well or not.
    pub(crate) fn finish_and_clear(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    fn tell(&self) {
        let (all, at) = (
            self.all.load(Ordering::Relaxed),
            self.at.load(Ordering::Relaxed),
        );
        if all < WORTH_LINES {
            return;
        }
        let tenths = at.min(all) * LINES / all;
        if tenths > self.told.fetch_max(tenths, Ordering::Relaxed) {
            eprintln!("{} {at} of {all} bytes ({}%)", self.doing, tenths * 10);
        }
    }
}

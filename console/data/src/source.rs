//! Where a data set lies: a file, or an object in a store. Both are read by position, so that
//! the formats need to know of neither.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _};
use tokio::runtime::Handle;

use crate::error::DataError;

/// Bytes that are asked of a store at once: enough to hide its latency, little enough to hold.
const AHEAD_OBJECT: usize = 4 << 20;
/// Bytes that are read of a file at once.
const AHEAD_FILE: usize = 256 << 10;

/// Where a data set lies.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file of this machine.
    File(PathBuf),
    /// An object in a store.
    Object {
        /// The store.
        store: Arc<dyn ObjectStore>,
        /// Where in it.
        path: Path,
        /// The runtime that the store's requests run on. Reading blocks, so it must not be
        /// called from one of its own tasks.
        runtime: Handle,
    },
}

/// A source that was opened. Clones read the same object and count into the same meter.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    name: String,
    place: Place,
    meter: Meter,
}

#[derive(Clone, Debug)]
enum Place {
    File(Arc<File>),
    Object {
        store: Arc<dyn ObjectStore>,
        path: Path,
        runtime: Handle,
        /// What the object was when it was opened: if it is replaced meanwhile, reading fails
        /// rather than mixing the two.
        tag: Option<String>,
    },
}

/// How much of a source was read.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    done: Arc<AtomicU64>,
    all: u64,
}

impl Meter {
    /// Bytes that were read; a format that reads some twice does not pass the end.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed).min(self.all)
    }

    /// Bytes of the source.
    pub(crate) fn all(&self) -> u64 {
        self.all
    }
}

impl Source {
    pub(crate) fn open(&self) -> Result<Opened, DataError> {
        let (name, place, all) = match self {
            Self::File(path) => {
                let name = path.display().to_string();
                let opened = File::open(path).and_then(|file| {
                    let metadata = file.metadata()?;
                    if metadata.is_dir() {
                        return Err(io::Error::from(io::ErrorKind::IsADirectory));
                    }
                    Ok((file, metadata.len()))
                });
                let (file, all) = opened.map_err(|cause| DataError::Read {
                    name: name.clone(),
                    cause,
                })?;
                (name, Place::File(Arc::new(file)), all)
            }
            Self::Object {
                store,
                path,
                runtime,
            } => {
                let name = path.to_string();
                let found = runtime.block_on(store.head(path));
                let found = found.map_err(|cause| DataError::Store {
                    name: name.clone(),
                    cause,
                })?;
                let place = Place::Object {
                    store: Arc::clone(store),
                    path: path.clone(),
                    runtime: runtime.clone(),
                    tag: found.e_tag,
                };
                (name, place, found.size)
            }
        };
        let done = Arc::default();
        let meter = Meter { done, all };
        Ok(Opened { name, place, meter })
    }
}

impl Opened {
    /// What a message calls it: its path, escaped.
    pub(crate) fn name(&self) -> String {
        self.name.escape_debug().to_string()
    }

    /// Its path as it is.
    pub(crate) fn path(&self) -> &str {
        &self.name
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Its length in bytes.
    pub(crate) fn all(&self) -> u64 {
        self.meter.all
    }

    /// Up to `length` bytes from a position; fewer only at the end.
    pub(crate) fn at(&self, from: u64, length: usize) -> io::Result<Bytes> {
        let to = self.all().min(from.saturating_add(length as u64));
        if from >= to {
            return Ok(Bytes::new());
        }
        let bytes = match &self.place {
            Place::File(file) => {
                let mut bytes = vec![0; (to - from) as usize];
                file.read_exact_at(&mut bytes, from)?;
                Bytes::from(bytes)
            }
            Place::Object {
                store,
                path,
                runtime,
                tag,
            } => {
                let wanted = GetOptions {
                    range: Some(GetRange::Bounded(from..to)),
                    if_match: tag.clone(),
                    ..GetOptions::default()
                };
                let got =
                    runtime.block_on(async { store.get_opts(path, wanted).await?.bytes().await });
                got.map_err(io::Error::other)?
            }
        };
        let count = bytes.len() as u64;
        self.meter.done.fetch_add(count, Ordering::Relaxed);
        Ok(bytes)
    }

    /// What lies there from a position on, in order.
    pub(crate) fn from(&self, position: u64, ahead: usize) -> Sequential {
        Sequential {
            opened: self.clone(),
            position,
            ahead,
            held: Bytes::new(),
        }
    }

    /// All of it, in order.
    pub(crate) fn whole(&self) -> Sequential {
        let ahead = match self.place {
            Place::File(_) => AHEAD_FILE,
            Place::Object { .. } => AHEAD_OBJECT,
        };
        self.from(0, ahead)
    }
}

/// A source that is read from one position on.
#[derive(Debug)]
pub(crate) struct Sequential {
    opened: Opened,
    position: u64,
    ahead: usize,
    held: Bytes,
}

impl Read for Sequential {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.held.is_empty() {
            self.held = self.opened.at(self.position, self.ahead)?;
            self.position += self.held.len() as u64;
        }
        let taken = self.held.split_to(out.len().min(self.held.len()));
        if let Some(out) = out.get_mut(..taken.len()) {
            out.copy_from_slice(&taken);
        }
        Ok(taken.len())
    }
}

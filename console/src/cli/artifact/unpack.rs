//! An archive that somebody hands in, unpacked with limits into a folder that goes away again.
//!
//! What an archive says of itself is not believed: bytes are counted as they come, paths are
//! checked before anything is made, and links, devices and whatever else is neither file nor
//! folder is refused with its name. Rights and times are left out.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use binnacle_core::registry::Inside;
use binnacle_core::registry::manifest::MAX_FILES;
use tempfile::TempDir;

use super::file_failure;
use crate::outcome::{Exit, Failure};

/// How many times its own size an archive may unpack to: weights hardly shrink, and text by ten.
const MAX_TIMES: u64 = 200;
/// Bytes that any archive may unpack to, however small it is: a few zeros are no bomb.
const FREE: u64 = 64 << 20;
/// Bytes that may stand between two files of a tar: headers, and the long names in them.
const MAX_HEADERS: u64 = 1 << 20;
/// The bits of a file's mode that say what kind of thing it is.
const KIND: u32 = 0o170_000;
/// Bytes copied at once; Ctrl-C is looked for as often.
const CHUNK: usize = 256 << 10;

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Tar,
    TarGzip,
    TarZstd,
    Zip,
}

impl Packing {
    /// What its first bytes say; its name may say anything.
    fn of(first: &[u8]) -> Option<Self> {
        if first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06") {
            return Some(Self::Zip);
        }
        if first.starts_with(&[0x1f, 0x8b]) {
            return Some(Self::TarGzip);
        }
        if first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            return Some(Self::TarZstd);
        }
        let magic = first.get(257..262);
        (magic == Some(b"ustar")).then_some(Self::Tar)
    }
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("it is no archive: say a .tar, .tar.gz, .tar.zst or .zip")]
    NoArchive,
    #[error("{0}")]
    Path(#[from] binnacle_core::registry::manifest::NotAManifest),
    #[error("{path:?} in it is {what}: only files and folders are taken")]
    Kind { path: String, what: &'static str },
    #[error("{0:?} comes twice in it, or is both a file and a folder")]
    Twice(String),
    #[error("it has more than {MAX_FILES} files")]
    TooMany,
    #[error("at {0:?} it has unpacked to more than {MAX_TIMES} times its size, as no model does")]
    Bomb(String),
    #[error("{0:?} in it is encrypted")]
    Encrypted(String),
    #[error("it is damaged at {path:?}: {cause}")]
    Damaged { path: String, cause: String },
    #[error("it was interrupted")]
    Interrupted,
    #[error("cannot write what is in it: {0}")]
    Write(io::Error),
}

/// Ends what a thread does once nobody waits for it any more.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The folder that an archive was unpacked into; dropped, it is gone.
pub(crate) async fn unpacked(archive: &Path) -> Result<TempDir, Failure> {
    let stop = Stop(Arc::default());
    let (path, seen) = (archive.to_owned(), stop.0.clone());
    let unpacking = tokio::task::spawn_blocking(move || unpack(&path, &seen));
    let ended = unpacking.await;
    ended.map_err(|error| Failure::of(Exit::Failed, &error))?
}

fn unpack(archive: &Path, stop: &AtomicBool) -> Result<TempDir, Failure> {
    let unreadable = |error: io::Error| file_failure("read", archive, &error);
    let mut file = File::open(archive).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let mut first = Vec::new();
    let mut taken = (&mut file).take(512);
    taken.read_to_end(&mut first).map_err(unreadable)?;
    let file = File::open(archive).map_err(unreadable)?;
    let folder = tempfile::tempdir()?;
    let mut into = Room {
        folder: folder.path(),
        files: 0,
        left: FREE.max(bytes.saturating_mul(MAX_TIMES)),
        stop,
    };
    let unpacked = match Packing::of(&first) {
        None => Err(Refused::NoArchive),
        Some(Packing::Zip) => zipped(file, &mut into),
        Some(Packing::Tar) => tarred(BufReader::new(file), &mut into),
        Some(Packing::TarGzip) => {
            let plain = flate2::bufread::MultiGzDecoder::new(BufReader::new(file));
            tarred(plain, &mut into)
        }
        Some(Packing::TarZstd) => {
            let plain = zstd::stream::read::Decoder::new(file).map_err(unreadable)?;
            tarred(plain, &mut into)
        }
    };
    match unpacked {
        Ok(()) => Ok(folder),
        Err(error) => {
            let message = format!("cannot unpack {}: {error}", archive.display());
            Err(Failure::new(Exit::Usage, message).hint("nothing was stored"))
        }
    }
}

/// Where things are unpacked into, and what may still come.
struct Room<'a> {
    folder: &'a Path,
    files: usize,
    left: u64,
    stop: &'a AtomicBool,
}

impl Room<'_> {
    fn file(&mut self, path: &str, mut content: impl Read) -> Result<(), Refused> {
        self.files += 1;
        if self.files > MAX_FILES {
            return Err(Refused::TooMany);
        }
        let inside = Inside::parse(plain(path))?;
        let place = self.folder.join(inside.as_str());
        let twice = |error: io::Error| {
            use io::ErrorKind::{AlreadyExists, NotADirectory};
            match matches!(error.kind(), AlreadyExists | NotADirectory) {
                true => Refused::Twice(inside.to_string()),
                false => Refused::Write(error),
            }
        };
        if let Some(above) = place.parent() {
            std::fs::create_dir_all(above).map_err(twice)?;
        }
        let mut file = File::create_new(&place).map_err(twice)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Refused::Interrupted);
            }
            let read = content.read(&mut buffer);
            let read = read.map_err(|cause| damaged(path, &cause))?;
            if read == 0 {
                return Ok(());
            }
            let left = self.left.checked_sub(read as u64);
            self.left = left.ok_or_else(|| Refused::Bomb(path.to_owned()))?;
            let part = buffer.get(..read).unwrap_or_default();
            file.write_all(part).map_err(Refused::Write)?;
        }
    }

    /// A folder is made when a file comes for it; its path has to be one all the same.
    fn folder(&self, path: &str) -> Result<(), Refused> {
        match plain(path) {
            "" | "." => Ok(()),
            path => {
                Inside::parse(path)?;
                Ok(())
            }
        }
    }
}

/// Without what `tar -C folder .` writes before each name, and what says that it is a folder.
fn plain(path: &str) -> &str {
    let path = path.strip_prefix("./").unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path)
}

fn damaged(path: &str, cause: &dyn std::error::Error) -> Refused {
    let (path, cause) = (path.to_owned(), cause.to_string());
    Refused::Damaged { path, cause }
}

/// Bytes that may be read before somebody asks for less.
struct Fused<R> {
    from: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Fused<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other("headers of more than a megabyte"));
        }
        let most = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.from.read(out.get_mut(..most).unwrap_or_default())?;
        self.left.set(left - read as u64);
        Ok(read)
    }
}

fn tarred(from: impl Read, into: &mut Room<'_>) -> Result<(), Refused> {
    let left = Rc::new(Cell::new(MAX_HEADERS));
    let fused = Fused {
        from,
        left: left.clone(),
    };
    let mut archive = tar::Archive::new(fused);
    let mut last = String::from("its beginning");
    let mut seen = 0;
    let entries = archive.entries().map_err(|cause| damaged(&last, &cause))?;
    let mut entries = entries.fuse();
    loop {
        left.set(MAX_HEADERS);
        let Some(entry) = entries.next() else {
            return Ok(());
        };
        let entry = entry.map_err(|cause| damaged(&last, &cause))?;
        seen += 1;
        if seen > 2 * MAX_FILES {
            return Err(Refused::TooMany);
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let what = match entry.header().entry_type() {
            kind if kind.is_file() => "",
            kind if kind.is_dir() => {
                into.folder(&path)?;
                last = path;
                continue;
            }
            kind if kind.is_symlink() || kind.is_hard_link() => "a link",
            kind if kind.is_gnu_sparse() => "a sparse file",
            // Comments of whoever packed it.
            kind if kind.is_pax_global_extensions() => {
                left.set(MAX_HEADERS);
                continue;
            }
            _ => "a device, a pipe or something else",
        };
        if !what.is_empty() {
            return Err(Refused::Kind { path, what });
        }
        // What stands between this file and the next is counted anew.
        left.set(entry.size().saturating_add(MAX_HEADERS));
        let size = entry.size();
        let mut counted = Counted {
            from: entry,
            read: 0,
        };
        into.file(&path, &mut counted)?;
        if counted.read != size {
            return Err(damaged(
                &path,
                &io::Error::from(io::ErrorKind::UnexpectedEof),
            ));
        }
        last = path;
    }
}

/// Counts what is read.
struct Counted<R> {
    from: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(out)?;
        self.read += read as u64;
        Ok(read)
    }
}

fn zipped(file: File, into: &mut Room<'_>) -> Result<(), Refused> {
    let beginning = "its directory";
    let archive = zip::ZipArchive::new(BufReader::new(file));
    let mut archive = archive.map_err(|cause| damaged(beginning, &cause))?;
    if archive.len() > 2 * MAX_FILES {
        return Err(Refused::TooMany);
    }
    for number in 0..archive.len() {
        let raw = archive.by_index_raw(number);
        let raw = raw.map_err(|cause| damaged(beginning, &cause))?;
        let path = String::from_utf8_lossy(raw.name_raw()).into_owned();
        let kind = raw.unix_mode().map_or(0, |mode| mode & KIND);
        let (is_encrypted, is_folder) = (raw.encrypted(), path.ends_with('/'));
        drop(raw);
        match kind {
            0 | 0o100_000 | 0o040_000 => {}
            0o120_000 => {
                return Err(Refused::Kind {
                    path,
                    what: "a link",
                });
            }
            _ => {
                let what = "a device, a pipe or something else";
                return Err(Refused::Kind { path, what });
            }
        }
        if is_encrypted {
            return Err(Refused::Encrypted(path));
        }
        if is_folder {
            into.folder(&path)?;
            continue;
        }
        let content = archive.by_index(number);
        let content = content.map_err(|cause| damaged(&path, &cause))?;
        into.file(&path, content)?;
    }
    Ok(())
}

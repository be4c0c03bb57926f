//! Artifacts on this host's disk, each under its SHA-256: fetched, verified, kept, evicted.
//!
//! Promises: a file has its name only when its bytes have been read back and have its digest;
//! what came of a download that was cut off is kept and gone on with; the bytes on disk stay
//! under a limit, and what is still wanted is never evicted. What is placed in a server's
//! repository is verified again while it is copied there, so that no other bytes are served than
//! those that the version was registered with.

pub mod fetch;

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The folder in the data folder.
const FOLDER: &str = "artifacts";
/// What a download that has not ended is called.
const PART: &str = "part";
/// Bytes read at once.
const BUFFER: usize = 1 << 20;
/// Bytes of artifacts on disk unless the configuration says otherwise: a few large models, or
/// many small ones, and their predecessors.
pub const LIMIT_BYTES: u64 = 64 << 30;

/// SHA-256 over an artifact's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

/// Text that is no digest.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no SHA-256: it has 64 hexadecimal digits")]
pub struct NotADigest(String);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        let mut bytes = [0; 32];
        let pairs = text.as_bytes().chunks_exact(2);
        let whole = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let pair = std::str::from_utf8(pair).unwrap_or_default();
            *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
        }
        whole.then_some(Self(bytes)).ok_or(NotADigest(text))
    }
}

/// Why an artifact cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The disk refused.
    #[error("cannot {operation} {path}")]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The bytes are others.
    #[error("the bytes of {path} have the digest {found} and should have {wanted}")]
    Changed {
        /// Which file.
        path: PathBuf,
        /// What they have.
        found: Digest,
        /// What they should have.
        wanted: Digest,
    },
    /// It does not fit.
    #[error(
        "an artifact of {bytes} bytes does not fit: {kept} of {limit} bytes are taken by what is \
         wanted; raise artifact_limit_bytes"
    )]
    Full {
        /// How many bytes it has.
        bytes: u64,
        /// How many are taken by what may not be evicted.
        kept: u64,
        /// How many there may be.
        limit: u64,
    },
    /// The hub does not hand it out.
    #[error("the hub does not hand it out: {0}")]
    Refused(String),
    /// No hub can be reached.
    #[error("no hub can be reached: {0}")]
    Unreachable(String),
}

/// The artifacts of one agent.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
    limit: u64,
}

impl Shelf {
    /// The shelf in a data folder.
    pub fn open(data: &Path, limit: u64) -> Result<Self, ArtifactError> {
        let folder = data.join(FOLDER);
        fs::create_dir_all(&folder).map_err(disk("create", &folder))?;
        Ok(Self { folder, limit })
    }

    /// Where an artifact lies, or will.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    /// What came of it so far.
    fn part(&self, digest: &Digest) -> PathBuf {
        self.path(digest).with_extension(PART)
    }

    /// Whether it is there: it was whole when it got its name.
    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Bytes of a download that was cut off.
    pub fn begun(&self, digest: &Digest) -> u64 {
        fs::metadata(self.part(digest)).map_or(0, |metadata| metadata.len())
    }

    /// Reads what was downloaded and gives it its name if it is what it should be; what is not
    /// is thrown away.
    pub fn accept(&self, digest: &Digest) -> Result<(), ArtifactError> {
        let part = self.part(digest);
        let found = digest_of(&part)?;
        if found != *digest {
            let _ = fs::remove_file(&part);
            return Err(ArtifactError::Changed {
                path: part,
                found,
                wanted: *digest,
            });
        }
        let whole = self.path(digest);
        let file = File::open(&part).and_then(|file| file.sync_all());
        file.map_err(disk("write", &part))?;
        fs::rename(&part, &whole).map_err(disk("rename", &part))?;
        sync_folder(&self.folder)
    }

    /// Copies an artifact to `to`, and there only if its bytes are still what they should be;
    /// what has changed on the shelf is thrown away, to be fetched again.
    pub fn place(&self, digest: &Digest, to: &Path) -> Result<(), ArtifactError> {
        let from = self.path(digest);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(disk("create", folder))?;
        }
        let beside = to.with_extension("new");
        let found = copy(&from, &beside)?;
        if found != *digest {
            let _ = fs::remove_file(&beside);
            let _ = fs::remove_file(&from);
            return Err(ArtifactError::Changed {
                path: from,
                found,
                wanted: *digest,
            });
        }
        fs::rename(&beside, to).map_err(disk("rename", &beside))
    }

    /// Takes an artifact off the shelf.
    pub fn remove(&self, digest: &Digest) {
        for path in [self.path(digest), self.part(digest)] {
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(%error, path = %path.display(), "a file stays"),
            }
        }
    }

    /// Makes room for `bytes` more of `digest`: artifacts that are not in `wanted` go, those
    /// first that have not been used for longest.
    pub fn make_room(
        &self,
        digest: &Digest,
        bytes: u64,
        wanted: &HashSet<Digest>,
    ) -> Result<(), ArtifactError> {
        let mut kept = 0;
        let mut loose: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        let entries = fs::read_dir(&self.folder).map_err(disk("read", &self.folder))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let name = path.file_stem().and_then(|name| name.to_str());
            let of = name.and_then(|name| Digest::try_from(name.to_owned()).ok());
            match of {
                Some(of) if of == *digest => {}
                Some(of) if wanted.contains(&of) => kept += metadata.len(),
                Some(_) | None => {
                    let used = metadata.accessed().or_else(|_| metadata.modified());
                    let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
                    loose.push((used, metadata.len(), path));
                }
            }
        }
        if kept.saturating_add(bytes) > self.limit {
            let limit = self.limit;
            return Err(ArtifactError::Full { bytes, kept, limit });
        }
        loose.sort();
        let mut held = kept + bytes + loose.iter().map(|(_, bytes, _)| bytes).sum::<u64>();
        for (_, bytes, path) in loose {
            if held <= self.limit {
                break;
            }
            fs::remove_file(&path).map_err(disk("remove", &path))?;
            tracing::info!(path = %path.display(), bytes, "an artifact was evicted");
            held -= bytes;
        }
        Ok(())
    }
}

/// Writes `text` to `path`, whole or not at all.
pub(crate) fn write_whole(path: &Path, text: &[u8]) -> Result<(), ArtifactError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(disk("create", folder))?;
    }
    let beside = path.with_extension("new");
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()
    });
    written.map_err(disk("write", &beside))?;
    fs::rename(&beside, path).map_err(disk("rename", &beside))
}

fn disk<'a>(operation: &'static str, path: &'a Path) -> impl Fn(io::Error) -> ArtifactError + 'a {
    move |source| ArtifactError::Disk {
        operation,
        path: path.to_owned(),
        source,
    }
}

fn sync_folder(folder: &Path) -> Result<(), ArtifactError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(disk("write", folder))
}

fn digest_of(path: &Path) -> Result<Digest, ArtifactError> {
    let mut file = File::open(path).map_err(disk("read", path))?;
    pass(&mut file, |_| Ok(())).map_err(disk("read", path))
}

/// Copies a file and returns the digest of the bytes that were written.
fn copy(from: &Path, to: &Path) -> Result<Digest, ArtifactError> {
    let mut source = File::open(from).map_err(disk("read", from))?;
    let mut target = File::create(to).map_err(disk("write", to))?;
    let copied = pass(&mut source, |bytes| target.write_all(bytes));
    let digest = copied.map_err(disk("copy", from))?;
    target.sync_all().map_err(disk("write", to))?;
    Ok(digest)
}

fn pass(from: &mut impl Read, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Digest> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; BUFFER]);
    loop {
        let read = from.read(&mut buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(Digest(hash.finalize().into()));
        }
        hash.update(bytes);
        to(bytes)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    fn shelf(limit: u64) -> (tempfile::TempDir, Shelf) {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path(), limit).unwrap();
        (folder, shelf)
    }

    fn put(shelf: &Shelf, bytes: &[u8]) -> Digest {
        let digest = digest(bytes);
        fs::write(shelf.part(&digest), bytes).unwrap();
        shelf.accept(&digest).unwrap();
        digest
    }

    #[test]
    fn a_digest_is_the_same_in_text_and_out_of_it() {
        let digest = digest(b"x");
        assert_eq!(Digest::try_from(digest.to_string()).unwrap(), digest);
        for text in ["", "zz", &"0".repeat(63), &"é".repeat(32)] {
            assert!(Digest::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_bytes_that_were_announced_get_the_name() {
        let (_folder, shelf) = shelf(100);
        let wanted = digest(b"model");
        fs::write(shelf.part(&wanted), b"other").unwrap();
        assert!(matches!(
            shelf.accept(&wanted),
            Err(ArtifactError::Changed { .. })
        ));
        assert!(!shelf.has(&wanted) && shelf.begun(&wanted) == 0);
        put(&shelf, b"model");
        assert!(shelf.has(&wanted));
    }

    #[test]
    fn bytes_that_changed_on_the_shelf_are_not_placed() {
        let (folder, shelf) = shelf(100);
        let model = put(&shelf, b"model");
        let to = folder.path().join("repository/m/1/model.onnx");
        shelf.place(&model, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"model");
        fs::write(shelf.path(&model), b"m0del").unwrap();
        fs::remove_file(&to).unwrap();
        let refused = shelf.place(&model, &to);
        assert!(
            matches!(refused, Err(ArtifactError::Changed { .. })),
            "{refused:?}"
        );
        assert!(!to.exists() && !shelf.has(&model));
    }

    #[test]
    fn what_nobody_wants_makes_room_and_what_is_wanted_stays() {
        let (_folder, shelf) = shelf(25);
        let [a, b] = [b"aaaaaaaaaa", b"bbbbbbbbbb"].map(|bytes| put(&shelf, bytes));
        let next = digest(b"next");
        shelf.make_room(&next, 10, &HashSet::from([a])).unwrap();
        assert!(shelf.has(&a) && !shelf.has(&b));
        let full = shelf.make_room(&next, 16, &HashSet::from([a]));
        assert!(
            matches!(full, Err(ArtifactError::Full { kept: 10, .. })),
            "{full:?}"
        );
        assert!(shelf.has(&a));
    }
}

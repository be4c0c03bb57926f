//! Blobs by their SHA-256, in a folder of the hub.
//!
//! A blob is there whole or not at all: bytes are staged beside the blobs, and what is staged
//! becomes a blob by a rename, after its digest was found to be the one announced and the disk
//! has it. What is staged outlives the hub, so that an upload that was cut off goes on. Every
//! read checks the digest again: a flipped bit is never handed out as if it were nothing.

use std::collections::HashSet;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use binnacle_core::registry::Digest;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Bytes of one blob at most: the largest models that are served from one file.
pub const MAX_BLOB: u64 = 1 << 40;
/// Bytes read at once.
const CHUNK: usize = 1 << 20;
/// How long a blob that nothing refers to is kept, and an upload that does not go on: a version
/// may be registered after its files were uploaded, and not at once.
pub const KEEP_UNREFERENCED: Duration = Duration::from_secs(24 * 3_600);

/// Where blobs are kept.
#[derive(Clone, Debug)]
pub struct Blobs {
    folder: PathBuf,
    /// Uploads that are under way: two of one digest would write into one file.
    busy: Arc<Mutex<HashSet<Digest>>>,
    /// Shared by changes that need a blob, taken whole by whoever takes blobs away.
    needs: Arc<RwLock<()>>,
}

/// What there is of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stat {
    /// All of it: so many bytes.
    Whole(u64),
    /// So many bytes of it are staged.
    Staged(u64),
}

/// Why a blob is not taken, or not given.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Not there.
    #[error("no blob {0} is stored; upload it first")]
    Missing(Digest),
    /// Another upload of the same bytes is under way.
    #[error("blob {0} is being uploaded by somebody else; try again when that is done")]
    Busy(Digest),
    /// The upload goes on from somewhere else.
    #[error("the upload begins at byte {asked}, and {there} are there; ask how many, and go on")]
    Offset {
        /// Where it begins.
        asked: u64,
        /// What is there.
        there: u64,
    },
    /// More or fewer bytes than announced.
    #[error("{announced} bytes were announced, and {found} came; nothing was stored")]
    Length {
        /// What was announced.
        announced: u64,
        /// What came.
        found: u64,
    },
    /// Too large.
    #[error("a blob has at most {MAX_BLOB} bytes, this one has {0}")]
    TooLarge(u64),
    /// Other bytes than announced.
    #[error("the bytes that came have SHA-256 {found}, not {expected}; nothing was stored")]
    Announced {
        /// What was announced.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The stored bytes are not what they were.
    #[error("blob {0} is damaged on the hub's disk: its bytes do not have its SHA-256")]
    Damaged(Digest),
    /// The disk refuses.
    #[error("cannot {operation} {path}")]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn disk(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BlobError {
    let path = path.to_owned();
    move |source| BlobError::Disk {
        operation,
        path,
        source,
    }
}

impl Blobs {
    /// Blobs in this folder, which is made when the first comes.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self {
            folder,
            busy: Arc::default(),
            needs: Arc::default(),
        }
    }

    /// While this is held, no blob is taken away.
    pub async fn keep(&self) -> OwnedRwLockReadGuard<()> {
        self.needs.clone().read_owned().await
    }

    /// While this is held, nothing comes to need a blob.
    pub async fn clear(&self) -> OwnedRwLockWriteGuard<()> {
        self.needs.clone().write_owned().await
    }

    /// Where a blob lies: some thousand folders keep each of them short.
    fn path(&self, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        let (first, rest) = name.split_at(2);
        self.folder.join("sha256").join(first).join(rest)
    }

    fn staged(&self, digest: Digest) -> PathBuf {
        self.folder.join("staged").join(digest.to_string())
    }

    /// What there is of a blob.
    pub async fn stat(&self, digest: Digest) -> Result<Stat, BlobError> {
        if let Some(bytes) = length(&self.path(digest)).await? {
            return Ok(Stat::Whole(bytes));
        }
        let staged = length(&self.staged(digest)).await?;
        Ok(Stat::Staged(staged.unwrap_or(0)))
    }

    /// Begins or goes on with an upload of `bytes` bytes, from `offset`. `None` where the blob is
    /// there already.
    pub async fn upload(
        &self,
        digest: Digest,
        bytes: u64,
        offset: u64,
    ) -> Result<Option<Upload>, BlobError> {
        if bytes > MAX_BLOB {
            return Err(BlobError::TooLarge(bytes));
        }
        if length(&self.path(digest)).await?.is_some() {
            return Ok(None);
        }
        let claim = Claim::of(self, digest)?;
        let path = self.staged(digest);
        let folder = self.folder.join("staged");
        fs::create_dir_all(&folder)
            .await
            .map_err(disk("make", &folder))?;
        let opened = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .await;
        let file = opened.map_err(disk("open", &path))?;
        let there = file.metadata().await.map_err(disk("look at", &path))?.len();
        if there != offset {
            let asked = offset;
            return Err(BlobError::Offset { asked, there });
        }
        Ok(Some(Upload {
            blobs: self.clone(),
            claim,
            file,
            announced: bytes,
            written: there,
        }))
    }

    /// Reads a blob from `offset`: its length, and its bytes.
    pub async fn read(&self, digest: Digest, offset: u64) -> Result<(u64, Reading), BlobError> {
        let path = self.path(digest);
        let mut file = match File::open(&path).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BlobError::Missing(digest));
            }
            Err(error) => return Err(disk("open", &path)(error)),
        };
        let bytes = file.metadata().await.map_err(disk("look at", &path))?.len();
        let mut hash = Sha256::new();
        // What is skipped belongs to the digest all the same.
        let mut skipped = 0;
        let mut buffer = vec![0; CHUNK];
        while skipped < offset.min(bytes) {
            let wanted = (offset.min(bytes) - skipped).min(CHUNK as u64) as usize;
            let part = buffer.get_mut(..wanted).unwrap_or_default();
            file.read_exact(part).await.map_err(disk("read", &path))?;
            hash.update(part);
            skipped += wanted as u64;
        }
        file.seek(SeekFrom::Start(skipped))
            .await
            .map_err(disk("read", &path))?;
        let reading = Reading {
            path,
            digest,
            file,
            hash,
            is_done: false,
        };
        Ok((bytes, reading))
    }

    /// Reads a blob and checks it: its length.
    pub async fn verify(&self, digest: Digest) -> Result<u64, BlobError> {
        let (bytes, mut reading) = self.read(digest, 0).await?;
        while reading.next().await?.is_some() {}
        Ok(bytes)
    }

    /// Every blob with its length and its age, and every staged file with its length.
    pub async fn all(&self, now_us: i64) -> Result<Kept, BlobError> {
        let blobs = self.clone();
        let now = Duration::from_micros(now_us.unsigned_abs());
        let walked = tokio::task::spawn_blocking(move || blobs.walk(now)).await;
        let gone = |error| disk("look through", &self.folder)(io::Error::other(error));
        walked.map_err(gone)?
    }

    fn walk(&self, now: Duration) -> Result<Kept, BlobError> {
        let mut kept = Kept::default();
        let now = UNIX_EPOCH + now;
        for folder in entries(&self.folder.join("sha256"))? {
            let first = folder.file_name();
            for blob in entries(&folder.path())? {
                let name = format!(
                    "{}{}",
                    first.to_string_lossy(),
                    blob.file_name().to_string_lossy()
                );
                let Ok(digest) = name.parse() else { continue };
                let known = blob.metadata().map_err(disk("look at", &blob.path()))?;
                let age = known
                    .modified()
                    .ok()
                    .and_then(|at| now.duration_since(at).ok());
                kept.blobs
                    .push((digest, known.len(), age.unwrap_or_default()));
            }
        }
        for staged in entries(&self.folder.join("staged"))? {
            let known = staged.metadata().map_err(disk("look at", &staged.path()))?;
            let Ok(digest) = staged.file_name().to_string_lossy().parse() else {
                continue;
            };
            let age = known
                .modified()
                .ok()
                .and_then(|at| now.duration_since(at).ok());
            kept.staged
                .push((digest, known.len(), age.unwrap_or_default()));
        }
        Ok(kept)
    }

    /// Takes a blob away.
    pub async fn remove(&self, digest: Digest) -> Result<(), BlobError> {
        remove(&self.path(digest)).await
    }

    /// Gives an upload up that was begun, unless it goes on right now.
    pub async fn abandon(&self, digest: Digest) -> Result<(), BlobError> {
        let _claim = Claim::of(self, digest)?;
        remove(&self.staged(digest)).await
    }
}

async fn remove(path: &Path) -> Result<(), BlobError> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What is kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// Each blob: its digest, bytes and age.
    pub blobs: Vec<(Digest, u64, Duration)>,
    /// Each upload that was begun and not ended: its digest, the bytes that came, and the time
    /// since the last came.
    pub staged: Vec<(Digest, u64, Duration)>,
}

fn entries(folder: &Path) -> Result<Vec<std::fs::DirEntry>, BlobError> {
    match std::fs::read_dir(folder) {
        Ok(found) => Ok(found.filter_map(Result::ok).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(disk("look through", folder)(error)),
    }
}

async fn length(path: &Path) -> Result<Option<u64>, BlobError> {
    match fs::metadata(path).await {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk("look at", path)(error)),
    }
}

/// The right to write one staged file, until it is dropped.
#[derive(Debug)]
struct Claim {
    busy: Arc<Mutex<HashSet<Digest>>>,
    digest: Digest,
}

impl Claim {
    fn of(blobs: &Blobs, digest: Digest) -> Result<Self, BlobError> {
        let busy = blobs.busy.clone();
        let mut known = busy.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = known.insert(digest);
        drop(known);
        match is_free {
            true => Ok(Self { busy, digest }),
            false => Err(BlobError::Busy(digest)),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(&self.digest);
    }
}

/// An upload that is under way. Dropped before [`Upload::finish`], it can be gone on with.
#[derive(Debug)]
pub struct Upload {
    blobs: Blobs,
    claim: Claim,
    file: File,
    announced: u64,
    written: u64,
}

impl Upload {
    /// Stages more bytes.
    pub async fn write(&mut self, part: &[u8]) -> Result<(), BlobError> {
        let found = self.written + part.len() as u64;
        let path = self.blobs.staged(self.claim.digest);
        if found > self.announced {
            self.discard(&path).await;
            let announced = self.announced;
            return Err(BlobError::Length { announced, found });
        }
        if let Err(error) = self.file.write_all(part).await {
            // Half a part may be there: the length tells whoever goes on.
            return Err(disk("write", &path)(error));
        }
        self.written = found;
        Ok(())
    }

    /// What was staged is put away for somebody to go on with.
    pub async fn pause(mut self) -> Result<u64, BlobError> {
        let path = self.blobs.staged(self.claim.digest);
        self.file.flush().await.map_err(disk("write", &path))?;
        Ok(self.written)
    }

    /// Checks the digest and makes it a blob; answers with its length. What is wrong is thrown
    /// away.
    pub async fn finish(mut self) -> Result<u64, BlobError> {
        let (expected, path) = (self.claim.digest, self.blobs.staged(self.claim.digest));
        self.file.flush().await.map_err(disk("write", &path))?;
        if self.written < self.announced {
            return self.pause().await;
        }
        self.file.sync_all().await.map_err(disk("write", &path))?;
        let found = hash(&path).await?;
        if found != expected {
            self.discard(&path).await;
            return Err(BlobError::Announced { expected, found });
        }
        let place = self.blobs.path(expected);
        let folder = place.parent().unwrap_or(&self.blobs.folder);
        fs::create_dir_all(folder)
            .await
            .map_err(disk("make", folder))?;
        fs::rename(&path, &place)
            .await
            .map_err(disk("move", &path))?;
        // The name is on the disk when its folder is.
        let folder_file = File::open(folder).await.map_err(disk("open", folder))?;
        folder_file
            .sync_all()
            .await
            .map_err(disk("write", folder))?;
        Ok(self.written)
    }

    async fn discard(&mut self, path: &Path) {
        // What cannot be removed is found by its length, and refused again.
        let _kept = fs::remove_file(path).await;
    }
}

async fn hash(path: &Path) -> Result<Digest, BlobError> {
    let mut file = File::open(path).await.map_err(disk("open", path))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        let read = file.read(&mut buffer).await.map_err(disk("read", path))?;
        if read == 0 {
            return Ok(Digest(hash.finalize().into()));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}

/// A blob that is being read.
#[derive(Debug)]
pub struct Reading {
    path: PathBuf,
    digest: Digest,
    file: File,
    hash: Sha256,
    is_done: bool,
}

impl Reading {
    /// The next bytes; `None` at the end of a blob that is whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        if self.is_done {
            return Ok(None);
        }
        let mut buffer = vec![0; CHUNK];
        let read = self.file.read(&mut buffer).await;
        let read = read.map_err(disk("read", &self.path))?;
        if read == 0 {
            self.is_done = true;
            let found = Digest(self.hash.clone().finalize().into());
            return match found == self.digest {
                true => Ok(None),
                false => Err(BlobError::Damaged(self.digest)),
            };
        }
        buffer.truncate(read);
        self.hash.update(&buffer);
        Ok(Some(buffer.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path().join("artifacts"));
        (folder, blobs)
    }

    fn digest(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    async fn put(blobs: &Blobs, bytes: &[u8]) -> Digest {
        let (is, length) = (digest(bytes), bytes.len() as u64);
        let mut upload = blobs.upload(is, length, 0).await.unwrap().unwrap();
        upload.write(bytes).await.unwrap();
        assert_eq!(upload.finish().await.unwrap(), length);
        is
    }

    #[tokio::test]
    async fn a_blob_is_there_whole_or_not_at_all_and_an_upload_goes_on() {
        let (_folder, blobs) = blobs();
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| at as u8).collect();
        let (is, length) = (digest(&bytes), bytes.len() as u64);
        let mut upload = blobs.upload(is, length, 0).await.unwrap().unwrap();
        upload.write(&bytes[..1_000_000]).await.unwrap();
        let second = blobs.upload(is, length, 0).await;
        assert!(matches!(second, Err(BlobError::Busy(_))));
        assert_eq!(upload.pause().await.unwrap(), 1_000_000);
        assert!(matches!(
            blobs.read(is, 0).await,
            Err(BlobError::Missing(_))
        ));
        assert_eq!(blobs.stat(is).await.unwrap(), Stat::Staged(1_000_000));
        let elsewhere = blobs.upload(is, length, 5).await;
        assert!(matches!(
            elsewhere,
            Err(BlobError::Offset {
                there: 1_000_000,
                ..
            })
        ));
        let mut upload = blobs.upload(is, length, 1_000_000).await.unwrap().unwrap();
        upload.write(&bytes[1_000_000..]).await.unwrap();
        upload.finish().await.unwrap();
        assert_eq!(blobs.stat(is).await.unwrap(), Stat::Whole(length));
        assert!(
            blobs.upload(is, length, 0).await.unwrap().is_none(),
            "it is there already"
        );
        let (found, mut reading) = blobs.read(is, 2_500_000).await.unwrap();
        assert_eq!(found, length);
        let mut rest = Vec::new();
        while let Some(part) = reading.next().await.unwrap() {
            rest.extend_from_slice(&part);
        }
        assert_eq!(rest, bytes[2_500_000..]);
    }

    #[tokio::test]
    async fn other_bytes_than_announced_are_thrown_away() {
        let (_folder, blobs) = blobs();
        let is = digest(b"good");
        let mut upload = blobs.upload(is, 3, 0).await.unwrap().unwrap();
        upload.write(b"bad").await.unwrap();
        assert!(matches!(
            upload.finish().await,
            Err(BlobError::Announced { .. })
        ));
        let mut upload = blobs.upload(is, 4, 0).await.unwrap().unwrap();
        let long = upload.write(b"too long").await;
        assert!(matches!(long, Err(BlobError::Length { .. })));
        drop(upload);
        assert_eq!(blobs.stat(is).await.unwrap(), Stat::Staged(0));
        assert!(matches!(
            blobs.upload(is, MAX_BLOB + 1, 0).await,
            Err(BlobError::TooLarge(_))
        ));
    }

    #[tokio::test]
    async fn a_flipped_bit_is_found_by_whoever_reads() {
        let (_folder, blobs) = blobs();
        let is = put(&blobs, b"a model").await;
        assert_eq!(blobs.verify(is).await.unwrap(), 7);
        std::fs::write(blobs.path(is), b"a modem").unwrap();
        assert!(matches!(blobs.verify(is).await, Err(BlobError::Damaged(_))));
        let (_, mut reading) = blobs.read(is, 3).await.unwrap();
        let end = loop {
            match reading.next().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        assert!(matches!(end, Err(BlobError::Damaged(_))));
    }
}

//! Blobs by their SHA-256, in a folder of the hub or in an object store.
//!
//! A blob is there whole or not at all: bytes are staged in a folder of the hub, and what is staged
//! becomes a blob after its digest was found to be the one announced: by a rename in a folder, by
//! the completion of its parts in an object store. What is staged outlives the hub, so that an
//! upload that was cut off goes on. Every read checks the digest again: a flipped bit is never
//! handed out as if it were nothing.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use binnacle_core::registry::manifest::{MAX_MANIFEST, NotAManifest};
use binnacle_core::registry::{Digest, Manifest};
use tokio::fs::{self, OpenOptions};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

pub use place::{ArtifactUrl, Cloud, PlaceError};
pub use reading::Reading;
pub use upload::Upload;

mod cloud;
mod place;
mod reading;
pub(crate) mod referred;
mod upload;

/// Bytes of one blob at most: the largest models that are served from one file.
pub const MAX_BLOB: u64 = 1 << 40;
/// How long a blob that nothing refers to is kept, and an upload that does not go on: a version
/// may be registered after its files were uploaded, and not at once.
pub const KEEP_UNREFERENCED: Duration = Duration::from_secs(24 * 3_600);

/// Where blobs are kept.
#[derive(Clone, Debug)]
pub struct Blobs {
    /// Where what is on its way is staged, and the blobs too where there is no object store.
    folder: PathBuf,
    cloud: Option<Cloud>,
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
    #[error("blob {0} is damaged where it is stored: its bytes do not have its SHA-256")]
    Damaged(Digest),
    /// It should be a folder's manifest.
    #[error("blob {digest} is no manifest of a folder")]
    NoManifest {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: NotAManifest,
    },
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
    /// The object store refuses, or is out of reach.
    #[error("cannot {operation} {place}; nothing was stored, and the same command tries again")]
    Remote {
        /// What was tried.
        operation: &'static str,
        /// In which store.
        place: String,
        /// Why.
        #[source]
        source: Box<object_store::Error>,
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
            cloud: None,
            busy: Arc::default(),
            needs: Arc::default(),
        }
    }

    /// Blobs in an object store; what is on its way is staged in this folder.
    pub fn in_cloud(cloud: Cloud, folder: PathBuf) -> Self {
        Self {
            cloud: Some(cloud),
            ..Self::in_folder(folder)
        }
    }

    /// Whether the object store answers; a folder always does.
    pub async fn reach(&self) -> Result<(), BlobError> {
        match &self.cloud {
            Some(cloud) => cloud::reach(cloud).await,
            None => Ok(()),
        }
    }

    /// How long a blob is; `None` where it is not there.
    async fn length(&self, digest: Digest) -> Result<Option<u64>, BlobError> {
        match &self.cloud {
            Some(cloud) => cloud::length(cloud, digest).await,
            None => length(&self.path(digest)).await,
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
        if let Some(bytes) = self.length(digest).await? {
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
        if self.length(digest).await?.is_some() {
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
        let file = file.into_std().await;
        Ok(Some(Upload::of(self, claim, file, bytes, there)))
    }

    /// Reads a blob from `offset`: its length, and its bytes.
    pub async fn read(&self, digest: Digest, offset: u64) -> Result<(u64, Reading), BlobError> {
        let Some(bytes) = self.length(digest).await? else {
            return Err(BlobError::Missing(digest));
        };
        let mut reading = Reading::open(self, digest, bytes).await?;
        // What is skipped belongs to the digest all the same.
        reading.skip(offset.min(bytes)).await?;
        Ok((bytes, reading))
    }

    /// Reads a blob and checks it: its length.
    pub async fn verify(&self, digest: Digest) -> Result<u64, BlobError> {
        let (bytes, mut reading) = self.read(digest, 0).await?;
        while reading.next().await?.is_some() {}
        Ok(bytes)
    }

    /// Reads a folder's manifest, checked.
    pub async fn manifest(&self, digest: Digest) -> Result<Manifest, BlobError> {
        let no = |source| BlobError::NoManifest { digest, source };
        let (bytes, mut reading) = self.read(digest, 0).await?;
        if bytes > MAX_MANIFEST as u64 {
            return Err(no(NotAManifest::TooMany));
        }
        let mut whole = Vec::new();
        while let Some(part) = reading.next().await? {
            whole.extend_from_slice(&part);
        }
        Manifest::decode(&whole).map_err(no)
    }

    /// Every blob with its length and its age, and every staged file with its length.
    pub async fn all(&self, now_us: i64) -> Result<Kept, BlobError> {
        let blobs = self.clone();
        let now = Duration::from_micros(now_us.unsigned_abs());
        let walked = tokio::task::spawn_blocking(move || blobs.walk(now)).await;
        let gone = |error| disk("look through", &self.folder)(io::Error::other(error));
        let mut kept = walked.map_err(gone)??;
        if let Some(cloud) = &self.cloud {
            kept.blobs = cloud::list(cloud, now).await?;
        }
        Ok(kept)
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
        match &self.cloud {
            Some(cloud) => cloud::remove(cloud, digest).await,
            None => remove(&self.path(digest)).await,
        }
    }

    /// Gives an upload up that was begun, unless it goes on right now.
    pub async fn abandon(&self, digest: Digest) -> Result<(), BlobError> {
        let _claim = Claim::of(self, digest)?;
        let staged = self.staged(digest);
        if let Some(cloud) = &self.cloud {
            let begun = cloud::Begun::at(&staged);
            begun.throw_away(cloud, digest).await?;
        }
        remove(&staged).await
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

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

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
        upload.write(bytes.to_vec().into()).await.unwrap();
        assert_eq!(upload.finish().await.unwrap(), length);
        is
    }

    #[tokio::test]
    async fn a_blob_is_there_whole_or_not_at_all_and_an_upload_goes_on() {
        let (_folder, blobs) = blobs();
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| at as u8).collect();
        let (is, length) = (digest(&bytes), bytes.len() as u64);
        let mut upload = blobs.upload(is, length, 0).await.unwrap().unwrap();
        upload
            .write(bytes[..1_000_000].to_vec().into())
            .await
            .unwrap();
        let second = blobs.upload(is, length, 0).await;
        assert!(matches!(second, Err(BlobError::Busy(_))));
        assert_eq!(
            upload.finish().await.unwrap(),
            1_000_000,
            "it waits for the rest"
        );
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
        upload
            .write(bytes[1_000_000..].to_vec().into())
            .await
            .unwrap();
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
        upload.write(b"bad"[..].into()).await.unwrap();
        assert!(matches!(
            upload.finish().await,
            Err(BlobError::Announced { .. })
        ));
        let mut upload = blobs.upload(is, 4, 0).await.unwrap().unwrap();
        let long = upload.write(b"too long"[..].into()).await;
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

//! Whether the disk has room for what the journal takes next.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// What has to fit before a full disk counts as one that has room again: an entry at its largest
/// and the pages that it touches. A page of the write-ahead log alone fits nearly always.
const ROOM: usize = 256 << 10;

/// Refused where there is no room: it is written, and taken away again.
pub(super) async fn needed(store: &Path, operation: &'static str) -> Result<(), StoreError> {
    let scratch = store.with_extension("room");
    let tried = tokio::task::spawn_blocking(move || written(&scratch)).await;
    let tried = tried.unwrap_or_else(|broken| Err(io::Error::other(broken)));
    tried.map_err(|error| {
        let is_full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        let source = sqlx::Error::Io(error);
        match is_full {
            true => StoreError::Full { operation, source },
            false => StoreError::Away { operation, source },
        }
    })
}

fn written(scratch: &PathBuf) -> io::Result<()> {
    let tried = File::create(scratch).and_then(|mut file| {
        file.write_all(&vec![0; ROOM])?;
        file.sync_all()
    });
    // What was made is not left; where nothing was, there is nothing to take away.
    let _none = std::fs::remove_file(scratch);
    tried
}

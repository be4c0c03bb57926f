//! A round trip through `$VISUAL` or `$EDITOR`.
//!
//! Whoever ends meanwhile, as a console whose line is lost does, leaves the folder where it is: the
//! editor may have put there what was typed and not saved.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

/// What is edited if nobody says otherwise: POSIX has it everywhere.
const USUAL: &str = "vi";
/// Bytes of text that come back at most.
const TEXT_MAX: u64 = 4 << 20;

/// Opens text in the editor of this user and gives what it was left as.
///
/// # Errors
/// In words: the editor cannot be started or did not end well, or the text is too long.
pub(crate) async fn edit(text: &str, suffix: &str) -> Result<String, String> {
    Editing::begin(text, suffix)?.run().await
}

/// Text that is to be edited, in a file of a folder that nobody else can enter.
#[derive(Debug)]
pub(crate) struct Editing {
    /// Until the editor has come back.
    folder: Option<TempDir>,
    path: PathBuf,
}

impl Editing {
    /// Writes the text down.
    ///
    /// # Errors
    /// In words: it cannot be written.
    pub(crate) fn begin(text: &str, suffix: &str) -> Result<Self, String> {
        let cannot = |error: io::Error| format!("cannot write what is to be edited: {error}");
        let folder = TempDir::with_prefix("binnacle-").map_err(cannot)?;
        let name = format!("edit.{}", suffix.trim_start_matches('.'));
        let path = folder.path().join(name);
        let mut file = File::create_new(&path).map_err(cannot)?;
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(cannot)?;
        file.write_all(text.as_bytes()).map_err(cannot)?;
        Ok(Self {
            folder: Some(folder),
            path,
        })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it in the editor, and gives what it was left as.
    ///
    /// # Errors
    /// As [`edit`].
    pub(crate) async fn run(mut self) -> Result<String, String> {
        let ended = open(&self.path).await;
        let text = ended.and_then(|()| saved(&self.path));
        // It goes with what is in it.
        drop(self.folder.take());
        text
    }
}

impl Drop for Editing {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            let left = folder.keep();
            let left = left.display();
            tracing::warn!(%left, "an editor was open: what it had not saved may lie there");
        }
    }
}

/// What an editor has left in a file so far.
///
/// # Errors
/// In words: it cannot be read, or is too long.
pub(crate) fn saved(path: &Path) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("what was edited cannot be read: {error}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > TEXT_MAX {
        return Err(format!("what was edited has over {} MiB", TEXT_MAX >> 20));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Opens a file in the editor of this user, which has the terminal until it ends.
///
/// # Errors
/// In words: the editor cannot be started, or did not end well.
pub(crate) async fn open(path: &Path) -> Result<(), String> {
    let named = |name| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.trim().is_empty())
    };
    let editor = named("VISUAL")
        .or_else(|| named("EDITOR"))
        .unwrap_or_else(|| USUAL.into());
    // By the shell, as git does it: people put options into these variables.
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(path)
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| format!("cannot start {editor}: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!(
            "{editor} ended with {status}: nothing was taken over"
        )),
    }
}

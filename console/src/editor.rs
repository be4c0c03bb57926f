//! A round trip through `$VISUAL` or `$EDITOR`.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

/// What is edited if nobody says otherwise: POSIX has it everywhere.
const USUAL: &str = "vi";
/// Bytes of text that come back at most.
const TEXT_MAX: u64 = 4 << 20;

/// Opens text in the editor of this user and gives what it was left as. The file lies in a
/// folder that nobody else can enter.
///
/// # Errors
/// In words: the editor cannot be started or did not end well, or the text is too long.
pub(crate) async fn edit(text: &str, suffix: &str) -> Result<String, String> {
    let cannot = |error: io::Error| format!("cannot write what is to be edited: {error}");
    let folder = TempDir::with_prefix("binnacle-").map_err(cannot)?;
    let path = folder
        .path()
        .join(format!("edit.{}", suffix.trim_start_matches('.')));
    let mut file = File::create_new(&path).map_err(cannot)?;
    file.set_permissions(Permissions::from_mode(0o600))
        .map_err(cannot)?;
    file.write_all(text.as_bytes()).map_err(cannot)?;
    drop(file);
    open(&path).await?;
    let unreadable = |error: io::Error| format!("what was edited cannot be read: {error}");
    if std::fs::metadata(&path).map_err(unreadable)?.len() > TEXT_MAX {
        return Err(format!("what was edited has over {} MiB", TEXT_MAX >> 20));
    }
    std::fs::read_to_string(&path).map_err(unreadable)
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

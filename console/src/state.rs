//! What the console keeps between two runs, and files that it writes for a person.
//!
//! All lie in the state folder of this user, and nobody else can read them.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use binnacle_tui::model::Session;

use crate::context;

/// Bytes of a session's file that are read: a trail of screens is a few kilobytes.
const SESSION_MAX: u64 = 1 << 20;
/// Files of one name that are tried before giving up.
const NAMES_MAX: u32 = 1_000;

/// The last session with this hub; nothing where there was none, or it cannot be read: then the
/// console begins anew, which loses nothing.
pub(crate) fn session(context: &str) -> Option<Session> {
    let path = session_path(context)?;
    let is_sane = fs::metadata(&path).is_ok_and(|file| file.len() <= SESSION_MAX);
    let text = is_sane.then(|| fs::read_to_string(path).ok()).flatten()?;
    serde_json::from_str(&text).ok()
}

/// Keeps a session, whole or not at all.
pub(crate) fn keep_session(context: &str, session: &Session) -> io::Result<()> {
    let Some(path) = session_path(context) else {
        return Ok(());
    };
    let folder = folder_of(&path)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(session)?)?;
    file.persist(&path)?;
    Ok(())
}

/// Writes text into a new file: where the person is, or in the state folder where that cannot
/// be. Says where.
pub(crate) fn export(name: &str, suffix: &str, text: &[u8]) -> Result<String, String> {
    let here = std::env::current_dir().ok();
    let state = context::state_folder();
    let folders = here
        .into_iter()
        .chain(state.map(|folder| folder.join("exports")));
    let mut refusal = io::Error::other("there is no folder to write to");
    for folder in folders {
        match write_new(&folder, name, suffix, text) {
            Ok(path) => return Ok(path.display().to_string()),
            Err(error) => refusal = error,
        }
    }
    Err(format!("cannot write {}{suffix}: {refusal}", plain(name)))
}

/// Writes a recorded session into the state folder. Says where.
pub(crate) fn keep_recording(name: &str, lines: &[u8]) -> Result<PathBuf, String> {
    let folder = context::state_folder().ok_or("this user has no state folder")?;
    let written = write_new(&folder.join("recordings"), name, "jsonl", lines);
    written.map_err(|error| format!("cannot write the recording: {error}"))
}

/// Keeps what somebody typed and could not be applied. Says where.
pub(crate) fn keep_draft(name: &str, suffix: &str, text: &str) -> Result<PathBuf, String> {
    let folder = context::state_folder().ok_or("this user has no state folder")?;
    let written = write_new(&folder.join("drafts"), name, suffix, text.as_bytes());
    written.map_err(|error| format!("what was typed cannot be kept: {error}"))
}

fn session_path(context: &str) -> Option<PathBuf> {
    let name = format!("session-{}.json", plain(context));
    Some(context::state_folder()?.join(name))
}

/// The folder of a file, made for this user alone if there is none.
fn folder_of(path: &Path) -> io::Result<&Path> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make(folder)?;
    Ok(folder)
}

fn make(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Writes a file that was not there before: `name.suffix`, `name-2.suffix` and so on.
fn write_new(folder: &Path, name: &str, suffix: &str, text: &[u8]) -> io::Result<PathBuf> {
    make(folder)?;
    let (name, suffix) = (plain(name), plain(suffix.trim_start_matches('.')));
    for number in 1..=NAMES_MAX {
        let path = match number {
            1 => folder.join(format!("{name}.{suffix}")),
            _ => folder.join(format!("{name}-{number}.{suffix}")),
        };
        match File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
        {
            Ok(mut file) => {
                file.write_all(text)?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!(
        "there are {NAMES_MAX} of them already"
    )))
}

/// A name as a part of a file's name: no folders, nothing hidden, nothing odd.
fn plain(name: &str) -> String {
    let kept = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() || "-_.".contains(letter) => letter,
        _ => '-',
    };
    name.chars().map(kept).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_never_replaces_another_and_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| write_new(folder.path(), "../a b", ".csv", text.as_bytes());
        let (first, second) = (write("1").unwrap(), write("2").unwrap());
        assert!(first.ends_with("..-a-b.csv"), "{first:?}");
        assert!(second.ends_with("..-a-b-2.csv"), "{second:?}");
        assert_eq!(fs::read_to_string(&first).unwrap(), "1");
        let mode = fs::metadata(&second).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

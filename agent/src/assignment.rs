//! What the hub wants of this host, kept on disk so that it outlives hub and agent.
//!
//! Promises: the file holds one assignment or the one before it, never half of one. Obeying
//! it is left to the agent's loop.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file in the data folder.
const FILE: &str = "assignment.json";

/// What the hub wants of this host, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Rises with every change; 0 for none yet.
    pub generation: u64,
    /// The host is retired: serve on, and do not dial until restarted.
    pub leave: bool,
    /// Why, in the hub's words.
    pub reason: String,
}

/// Why an assignment could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The file could not be read or written.
    #[error("cannot {operation} the assignment in {folder}")]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// The data folder.
        folder: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is no assignment.
    #[error("the assignment in {folder} cannot be read: remove {FILE} to start without one")]
    Damaged {
        /// The data folder.
        folder: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// The assignment kept in `folder`; the empty one if there is none.
pub fn load(folder: &Path) -> Result<Assignment, KeepError> {
    let named = || folder.display().to_string();
    let text = match fs::read(folder.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Assignment::default()),
        Err(source) => {
            return Err(KeepError::Disk {
                operation: "read",
                folder: named(),
                source,
            });
        }
    };
    serde_json::from_slice(&text).map_err(|source| KeepError::Damaged {
        folder: named(),
        source,
    })
}

/// Keeps an assignment in `folder`, on the disk when this returns.
pub fn keep(folder: &Path, assignment: &Assignment) -> Result<(), KeepError> {
    let disk = |source| KeepError::Disk {
        operation: "write",
        folder: folder.display().to_string(),
        source,
    };
    let beside = folder.join(format!("{FILE}.new"));
    let text = serde_json::to_vec(assignment).expect("an assignment is plain data");
    let mut file = File::create(&beside).map_err(disk)?;
    file.write_all(&text).map_err(disk)?;
    file.sync_all().map_err(disk)?;
    fs::rename(&beside, folder.join(FILE)).map_err(disk)?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), Assignment::default());
        let reason = "moved to another rack".to_owned();
        let assignment = Assignment {
            generation: 7,
            leave: true,
            reason,
        };
        keep(dir.path(), &assignment).unwrap();
        assert_eq!(load(dir.path()).unwrap(), assignment);
    }

    #[test]
    fn a_damaged_assignment_says_which_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{").unwrap();
        let words = load(dir.path()).unwrap_err().to_string();
        assert!(words.contains(FILE), "{words}");
    }
}

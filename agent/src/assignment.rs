//! What the hub wants of this host, kept on disk so that it outlives hub and agent.
//!
//! Promises: the file holds one assignment or the one before it, never half of one. What is to
//! be done about it is decided by [`next`], what the host itself has decided stands in
//! [`standing`], and [`obey`] carries it out.

pub mod next;
pub mod obey;
pub mod observed;
pub mod standing;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::artifact::Digest;

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
    /// Versions that the host keeps, those first that matter most.
    #[serde(default)]
    pub versions: Vec<Wanted>,
    /// Every endpoint that it serves.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// Turn load balancers away, finish, and unload.
    #[serde(default)]
    pub draining: bool,
    /// Local decisions that this takes the place of.
    #[serde(default)]
    pub supersedes: Vec<OverrideId>,
}

/// A version, as the hub and the applications' figures name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// The model.
    pub model: Arc<str>,
    /// The version.
    pub version: Arc<str>,
}

/// A version that the host keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Which.
    pub version: Version,
    /// How near to serving.
    pub nearness: Nearness,
    /// Its artifact; none where the server has it already.
    pub artifact: Option<Artifact>,
    /// Its golden requests.
    pub golden: Option<Digest>,
    /// The profile that its inputs are held against.
    #[serde(default)]
    pub profile: Option<Digest>,
    /// Its feature vector in order.
    #[serde(default)]
    pub features: Arc<[Arc<str>]>,
    /// The profile that its answers are held against.
    #[serde(default)]
    pub outputs: Option<Digest>,
}

/// A version's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Of its bytes.
    pub digest: Digest,
    /// How many.
    pub bytes: u64,
    /// What they are: onnx, sklearn, …
    pub format: String,
}

/// How near to serving a version is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nearness {
    /// On disk, verified.
    Fetched,
    /// Loaded, warmed up, its golden requests answered.
    Warm,
}

/// A version's part of what an endpoint is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Which.
    pub version: Version,
    /// In 1/10,000.
    pub weight: u32,
}

/// Requests with this header and value go to one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The header.
    pub header: Box<str>,
    /// Its value.
    pub value: Box<str>,
    /// Where they go.
    pub version: Version,
}

/// Where an endpoint's requests go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The endpoint's revision that it realises.
    pub revision: u64,
    /// The step of its rollout.
    pub step: u32,
    /// Versions and weights, which add up to 10,000.
    pub shares: Vec<Share>,
    /// Versions that get copies of some requests.
    pub shadows: Vec<Share>,
    /// What comes before the weights.
    pub pins: Vec<Pin>,
    /// The header whose value stays with one version.
    pub sticky_header: Option<Box<str>>,
}

/// What happens to an endpoint when nobody confirms its route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadMan {
    /// The route to go back to.
    pub revert_to: Route,
    /// From the moment that the route is taken up.
    pub after_ms: u64,
}

/// One endpoint of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The name in the request's path.
    pub name: Arc<str>,
    /// Where its requests go.
    pub route: Route,
    /// Present while the route waits to be confirmed.
    pub dead_man: Option<DeadMan>,
    /// Recent inputs that are kept for a replay.
    pub keep_inputs: u32,
}

/// What names a decision of the host itself: 16 random bytes, written as 32 digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OverrideId(pub [u8; 16]);

impl fmt::Display for OverrideId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for OverrideId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<OverrideId> for String {
    fn from(id: OverrideId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for OverrideId {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(|id| Self(id.to_be_bytes()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.model, self.version)
    }
}

impl Route {
    /// Every version that must serve before the route may be live: those that answer.
    pub fn answering(&self) -> impl Iterator<Item = &Version> {
        let shares = self.shares.iter().filter(|share| share.weight > 0);
        let shares = shares.map(|share| &share.version);
        shares.chain(self.pins.iter().map(|pin| &pin.version))
    }

    /// Every version that the route names, shadows too.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        self.answering()
            .chain(self.shadows.iter().map(|shadow| &shadow.version))
    }

    /// Whether requests go the same way, whatever revision says so.
    pub fn leads_as(&self, other: &Self) -> bool {
        self.shares == other.shares
            && self.pins == other.pins
            && self.sticky_header == other.sticky_header
    }
}

/// Why something could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The file could not be read or written.
    #[error("cannot {operation} {file} in {folder}")]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: &'static str,
        /// The data folder.
        folder: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{file} in {folder} cannot be read: remove it to start without")]
    Damaged {
        /// Which file.
        file: &'static str,
        /// The data folder.
        folder: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// The assignment kept in `folder`; the empty one if there is none.
pub fn load(folder: &Path) -> Result<Assignment, KeepError> {
    read(folder, FILE)
}

/// Keeps an assignment in `folder`, on the disk when this returns.
pub fn keep(folder: &Path, assignment: &Assignment) -> Result<(), KeepError> {
    write(folder, FILE, assignment)
}

fn read<T: Default + DeserializeOwned>(folder: &Path, file: &'static str) -> Result<T, KeepError> {
    let named = || folder.display().to_string();
    let text = match fs::read(folder.join(file)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(source) => {
            return Err(KeepError::Disk {
                operation: "read",
                file,
                folder: named(),
                source,
            });
        }
    };
    serde_json::from_slice(&text).map_err(|source| KeepError::Damaged {
        file,
        folder: named(),
        source,
    })
}

fn write(folder: &Path, file: &'static str, what: &impl Serialize) -> Result<(), KeepError> {
    let disk = |source| KeepError::Disk {
        operation: "write",
        file,
        folder: folder.display().to_string(),
        source,
    };
    let beside = folder.join(format!("{file}.new"));
    let text = serde_json::to_vec(what).expect("it is plain data");
    let mut written = File::create(&beside).map_err(disk)?;
    written.write_all(&text).map_err(disk)?;
    written.sync_all().map_err(disk)?;
    fs::rename(&beside, folder.join(file)).map_err(disk)?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn version(number: &str) -> Version {
        Version {
            model: "fraud".into(),
            version: number.into(),
        }
    }

    #[test]
    fn an_assignment_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), Assignment::default());
        let route = Route {
            revision: 3,
            step: 1,
            shares: vec![Share {
                version: version("7"),
                weight: 10_000,
            }],
            shadows: vec![],
            pins: vec![],
            sticky_header: Some("x-user".into()),
        };
        let assignment = Assignment {
            generation: 7,
            leave: true,
            reason: "moved to another rack".to_owned(),
            versions: vec![Wanted {
                version: version("7"),
                nearness: Nearness::Warm,
                artifact: Some(Artifact {
                    digest: Digest([7; 32]),
                    bytes: 12,
                    format: "onnx".into(),
                }),
                golden: Some(Digest([8; 32])),
                profile: Some(Digest([9; 32])),
                outputs: Some(Digest([8; 32])),
                features: Arc::from([Arc::from("amount")]),
            }],
            endpoints: vec![Endpoint {
                name: "pay".into(),
                route: route.clone(),
                dead_man: Some(DeadMan {
                    revert_to: route,
                    after_ms: 600_000,
                }),
                keep_inputs: 5,
            }],
            draining: true,
            supersedes: vec![OverrideId([1; 16])],
        };
        keep(dir.path(), &assignment).unwrap();
        assert_eq!(load(dir.path()).unwrap(), assignment);
    }

    #[test]
    fn an_assignment_of_before_there_were_routes_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"generation":7,"leave":false,"reason":""}"#;
        fs::write(dir.path().join(FILE), text).unwrap();
        assert_eq!(load(dir.path()).unwrap().generation, 7);
    }

    #[test]
    fn a_damaged_assignment_says_which_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{").unwrap();
        let words = load(dir.path()).unwrap_err().to_string();
        assert!(words.contains(FILE), "{words}");
    }
}

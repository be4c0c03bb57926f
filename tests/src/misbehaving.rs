//! A real inference server, in Python, whose versions misbehave as their files say: what ours
//! cannot be made to do. See tests/data/misbehaving/server.py.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::program::Program;

/// The server, which has nothing loaded at first.
pub struct Misbehaving {
    repository: PathBuf,
    http: SocketAddr,
    _program: Program,
}

impl Misbehaving {
    /// Starts it with an empty repository.
    #[track_caller]
    pub fn start(folder: &Path) -> Self {
        let repository = folder.join("repository");
        std::fs::create_dir_all(&repository).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/misbehaving/server.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(&repository);
        let program = match Program::try_launch("misbehaving", command, folder) {
            Ok(program) => program,
            Err(why) => panic!("{why}"),
        };
        let http = program.ready()["http"].as_str().unwrap().parse().unwrap();
        Self {
            repository,
            http,
            _program: program,
        }
    }

    /// Where it takes HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// What an agent before it is told of it: versions are laid out as for MLServer.
    pub fn arguments(&self) -> Vec<String> {
        let repository = self.repository.display().to_string();
        let args = ["--server", "mlserver", "--repository", &repository];
        args.map(str::to_owned).to_vec()
    }

    /// Writes the file of a version, which says how it behaves.
    pub fn version(folder: &Path, name: &str, behaviour: &Value) -> PathBuf {
        let path = folder.join(format!("{name}.joblib"));
        std::fs::write(&path, behaviour.to_string()).unwrap();
        path
    }
}

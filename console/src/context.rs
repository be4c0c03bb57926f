//! Which hub is meant: `--hub`, `BINNACLE_HUB`, the current context of the configuration, or
//! the usual place on this machine.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use binnacle_core::address::Address;
use directories::ProjectDirs;
use serde::Deserialize;

use crate::outcome::{Exit, Failure};

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The context that commands use.
    current_context: Option<String>,
    /// Hubs by name.
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Context {
    /// Where its hub is.
    hub: String,
}

/// What chose the hub, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) address: Address,
    pub(crate) by: String,
}

/// Finds the hub that is meant.
pub(crate) fn choose(flag: Option<&str>, context: Option<&str>) -> Result<Chosen, Failure> {
    if let Some(text) = flag {
        return chosen(text, "--hub or BINNACLE_HUB".into());
    }
    let path = config_path();
    let config = match &path {
        Some(path) => read(path)?,
        None => Config::default(),
    };
    if let Some(name) = context.map(str::to_owned).or(config.current_context) {
        let at = path.unwrap_or_default();
        let Some(found) = config.contexts.get(&name) else {
            let known: Vec<_> = config.contexts.keys().map(String::as_str).collect();
            let message = format!("there is no context {name:?} in {}", at.display());
            let hint = match known.is_empty() {
                true => format!("add one: [contexts.{name}] with hub = \"unix:PATH\""),
                false => format!("there are: {}", known.join(", ")),
            };
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        };
        return chosen(&found.hub, format!("context {name}"));
    }
    let places = usual_places();
    let there = places.iter().find(|path| path.exists()).or(places.first());
    match there {
        Some(path) => Ok(Chosen {
            address: Address::Unix(path.clone()),
            by: "default".into(),
        }),
        None => Err(Failure::new(Exit::Usage, "no hub is named").hint("use --hub unix:PATH")),
    }
}

fn chosen(text: &str, by: String) -> Result<Chosen, Failure> {
    let address = text
        .parse()
        .map_err(|error: binnacle_core::address::NotAnAddress| {
            Failure::new(Exit::Usage, format!("{by}: {error}"))
        })?;
    Ok(Chosen { address, by })
}

fn read(path: &Path) -> Result<Config, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Config::default()),
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            return Err(Failure::new(Exit::Failed, message));
        }
    };
    // The parser's message names line, column and the keys that there are.
    toml::from_str(&text).map_err(|error| {
        let message = format!("{} is wrong: {error}", path.display());
        Failure::new(Exit::Usage, message.trim_end())
    })
}

/// Where the configuration is, if this user has a home.
pub(crate) fn config_path() -> Option<PathBuf> {
    Some(project()?.config_dir().join("config.toml"))
}

/// Where a hub of this user, or of this systemd unit, listens if nobody says otherwise.
pub(crate) fn own_place() -> Option<PathBuf> {
    // Under systemd there is no user session, and the unit's own folder is named instead.
    let unit = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
    let user = || Some(project()?.runtime_dir()?.to_owned());
    Some(unit.or_else(user)?.join("hub.sock"))
}

/// Where to look for a hub if nobody says otherwise: this user's, then the machine's.
fn usual_places() -> Vec<PathBuf> {
    let machine = PathBuf::from("/run/binnacle/hub.sock");
    own_place().into_iter().chain([machine]).collect()
}

/// Where a hub keeps its data if nobody says otherwise.
pub(crate) fn usual_data() -> Option<PathBuf> {
    // systemd names the unit's state folder.
    match std::env::var_os("STATE_DIRECTORY") {
        Some(folder) => Some(folder.into()),
        None => Some(project()?.data_dir().join("hub")),
    }
}

fn project() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "binnacle")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_in_the_configuration_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(
            &path,
            "current-context = \"a\"\n\n[contexts.a]\nhbu = \"x\"\n",
        )
        .unwrap();
        let failure = read(&path).unwrap_err();
        assert!(failure.message.contains("line 4"), "{}", failure.message);
        assert!(
            failure.message.contains("expected `hub`"),
            "{}",
            failure.message
        );
    }
}

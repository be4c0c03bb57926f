//! Which hub is meant: `--hub`, `BINNACLE_HUB`, the current context of the configuration, or
//! the usual place on this machine.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use binnacle_core::address::Address;
use binnacle_tui::config::Config as ConsoleConfig;
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
    /// Keys, theme and bandwidth of the console.
    #[serde(default)]
    console: ConsoleConfig,
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
    /// What people call it: the context's name, or the address where there is none.
    pub(crate) name: String,
}

/// Finds the hub that is meant.
pub(crate) fn choose(flag: Option<&str>, context: Option<&str>) -> Result<Chosen, Failure> {
    if let Some(text) = flag {
        return chosen(text, "--hub or BINNACLE_HUB".into(), None);
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
        return chosen(&found.hub, format!("context {name}"), Some(name));
    }
    let places = usual_places();
    let there = places.iter().find(|path| path.exists()).or(places.first());
    match there {
        Some(path) => Ok(Chosen {
            address: Address::Unix(path.clone()),
            by: "default".into(),
            name: "local".into(),
        }),
        None => Err(Failure::new(Exit::Usage, "no hub is named").hint("use --hub unix:PATH")),
    }
}

fn chosen(text: &str, by: String, name: Option<String>) -> Result<Chosen, Failure> {
    let address: Address =
        text.parse()
            .map_err(|error: binnacle_core::address::NotAnAddress| {
                Failure::new(Exit::Usage, format!("{by}: {error}"))
            })?;
    let name = name.unwrap_or_else(|| match &address {
        // The folder tells hubs apart; all their sockets have the same name.
        Address::Unix(path) => {
            let folder = path.parent().and_then(Path::file_name);
            match folder.map(|name| name.to_string_lossy()) {
                // A demo's folder has letters behind its name that say nothing to anybody.
                Some(name) if name.starts_with(binnacle_demo::FOLDER) => "demo".to_owned(),
                Some(name) => name.into_owned(),
                None => text.to_owned(),
            }
        }
        Address::Loopback(address) => address.to_string(),
    });
    Ok(Chosen { address, by, name })
}

/// What the configuration says of the console; the usual where there is no file.
pub(crate) fn console() -> Result<ConsoleConfig, Failure> {
    match config_path() {
        Some(path) => Ok(read(&path)?.console),
        None => Ok(ConsoleConfig::default()),
    }
}

/// The same, read again while the console runs; what is wrong is told on one line.
pub(crate) fn console_again() -> Result<Box<ConsoleConfig>, String> {
    let Some(path) = config_path() else {
        return Ok(Box::default());
    };
    match std::fs::read_to_string(path) {
        Ok(text) => match parse(&text) {
            Ok(config) => Ok(Box::new(config.console)),
            Err(why) => Err(format!("the configuration, {why}")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Box::default()),
        Err(error) => Err(format!("the configuration cannot be read: {error}")),
    }
}

/// The configuration's file, made with a few words in it if there is none.
pub(crate) fn config_file() -> Result<PathBuf, Failure> {
    let no_home = || Failure::new(Exit::Failed, "this user has no folder for a configuration");
    let path = config_path().ok_or_else(no_home)?;
    if !path.exists() {
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let written = made.and_then(|()| std::fs::write(&path, TEMPLATE));
        written.map_err(|error| {
            let message = format!("cannot write {}: {error}", path.display());
            Failure::new(Exit::Failed, message)
        })?;
    }
    Ok(path)
}

/// What a new configuration begins with.
const TEMPLATE: &str = "\
# Hubs by name; commands and the console use the current one.
# current-context = \"prod\"
# [contexts.prod]
# hub = \"unix:/run/binnacle/hub.sock\"

# The console. It reads this file again when it changes.
# [console]
# low-bandwidth = true         # at most one frame a second
# protected = [\"prod\"]         # changes there have to be armed first
# [console.keys]
# help = [\"f1\", \"?\"]
# [console.theme]
# ascii = true
# colours = { warn = \"#e69f00\" }
";

/// What tells one state of the configuration's file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(SystemTime, u64, u64)>);

/// The state of the configuration's file now. It is looked at rather than watched for: a look
/// costs a microsecond, and finds files that were moved into place, made later or lie on another
/// machine, which notifications do not.
pub(crate) fn stamp() -> Stamp {
    let found = config_path().and_then(|path| std::fs::metadata(path).ok());
    let stamp = |file: std::fs::Metadata| Some((file.modified().ok()?, file.len(), file.ino()));
    Stamp(found.and_then(stamp))
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
    parse(&text).map_err(|why| {
        let message = format!("{} is wrong: {why}", path.display());
        Failure::new(Exit::Usage, message)
    })
}

/// Reads a configuration; what is wrong is told on one line, with its own.
fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let what = error.message().replace('\n', ", ");
        match before {
            Some(before) => format!("line {}: {what}", before.matches('\n').count() + 1),
            None => what,
        }
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

/// Where this user's console keeps what it writes.
pub(crate) fn state_folder() -> Option<PathBuf> {
    let project = project()?;
    let state = project.state_dir().unwrap_or_else(|| project.data_dir());
    Some(state.to_owned())
}

fn project() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "binnacle")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_without_a_context_is_called_by_its_folder() {
        let name = |text: &str| chosen(text, "--hub".into(), None).unwrap().name;
        assert_eq!(name("unix:/run/prod-eu/hub.sock"), "prod-eu");
        assert_eq!(name("unix:/tmp/binnacle-demo-k3GzQa/hub.sock"), "demo");
        assert_eq!(name("127.0.0.1:7310"), "127.0.0.1:7310");
    }

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

    #[test]
    fn what_the_console_is_told_is_read_and_a_typo_in_it_is_named_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let console = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path).map(|config| config.console)
        };
        let read =
            console("[console]\nlow-bandwidth = true\nkeys = { help = [\"f1\"] }\n").unwrap();
        assert!(read.low_bandwidth);
        assert_eq!(read.keys.len(), 1);
        let wrong = |text: &str| console(text).unwrap_err().message;
        let told = wrong("[console]\n\nlow-bandwith = true\n");
        assert!(
            told.contains("line 3") && told.contains("`low-bandwidth`"),
            "{told}"
        );
        let told = wrong("[console.keys]\nhelp = [\"contrl-a\"]\n");
        assert!(
            told.contains("line 2") && told.contains("is no key"),
            "{told}"
        );
    }
}

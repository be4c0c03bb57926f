//! What a person gave: texts, each with where it came from, out of a TOML file or flags.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::ConfigError;

/// A text and where it came from.
#[derive(Clone, Debug)]
pub struct Text {
    /// The text itself.
    pub text: String,
    /// `--flag`, or `file, line n`.
    pub origin: String,
}

impl Text {
    /// A text out of a flag.
    pub fn flag(flag: &str, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            origin: format!("--{flag}"),
        }
    }

    pub(super) fn refused(&self, words: String) -> ConfigError {
        ConfigError::Value {
            origin: self.origin.clone(),
            words,
        }
    }
}

/// Everything that can be given; nothing is checked yet.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The host's name.
    pub host: Option<Text>,
    /// The environment's name.
    pub environment: Option<Text>,
    /// Key and value.
    pub labels: Vec<(String, Text)>,
    /// `unix:PATH` or `ADDR:PORT`.
    pub hubs: Vec<Text>,
    /// `http://host:port`.
    pub upstream: Option<Text>,
    /// `http://host:port`.
    pub grpc_upstream: Option<Text>,
    /// `ADDR:PORT`.
    pub listen: Option<Text>,
    /// A folder.
    pub data: Option<Text>,
    /// A path.
    pub control: Option<Text>,
    /// A number.
    pub workers: Option<Text>,
    /// `500ms`, `30s`, `2m`.
    pub upstream_timeout: Option<Text>,
    /// A path.
    pub request_log: Option<Text>,
    /// A header's name.
    pub caller_header: Option<Text>,
    /// A number of bytes.
    pub spool_limit_bytes: Option<Text>,
    /// Names of models.
    pub models: Vec<Text>,
    /// `runtime`, `mlserver`, `triton` or `other`.
    pub server: Option<Text>,
    /// A folder.
    pub repository: Option<Text>,
    /// A number of bytes.
    pub artifact_limit_bytes: Option<Text>,
    /// A number of bytes.
    pub memory_limit_bytes: Option<Text>,
    /// `500ms`, `1s`.
    pub window: Option<Text>,
    /// `500ms`, `5s`.
    pub inputs_every: Option<Text>,
    /// A number from 1 to 100.
    pub inputs_cpu_percent: Option<Text>,
}

/// The keys of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    host: Option<Spanned<String>>,
    environment: Option<Spanned<String>>,
    #[serde(default)]
    labels: BTreeMap<String, Spanned<String>>,
    /// One or a list; not an untagged enum, which would lose the spans.
    hub: Option<Spanned<toml::Value>>,
    upstream: Option<Spanned<String>>,
    grpc_upstream: Option<Spanned<String>>,
    listen: Option<Spanned<String>>,
    data: Option<Spanned<String>>,
    control: Option<Spanned<String>>,
    workers: Option<Spanned<u64>>,
    upstream_timeout: Option<Spanned<String>>,
    request_log: Option<Spanned<String>>,
    caller_header: Option<Spanned<String>>,
    spool_limit_bytes: Option<Spanned<u64>>,
    #[serde(default)]
    models: Vec<Spanned<String>>,
    server: Option<Spanned<String>>,
    repository: Option<Spanned<String>>,
    artifact_limit_bytes: Option<Spanned<u64>>,
    memory_limit_bytes: Option<Spanned<u64>>,
    window: Option<Spanned<String>>,
    inputs_every: Option<Spanned<String>>,
    inputs_cpu_percent: Option<Spanned<u64>>,
}

const KEYS: &[&str] = &[
    "host",
    "environment",
    "labels",
    "hub",
    "upstream",
    "grpc_upstream",
    "listen",
    "data",
    "control",
    "workers",
    "upstream_timeout",
    "request_log",
    "caller_header",
    "spool_limit_bytes",
    "models",
    "server",
    "repository",
    "artifact_limit_bytes",
    "memory_limit_bytes",
    "window",
    "inputs_every",
    "inputs_cpu_percent",
];

impl Given {
    /// Reads a file.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_toml(path, &text)
    }

    /// Reads the text of a file that lies at `path`.
    pub fn from_toml(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let keys: Keys = toml::from_str(text).map_err(|wrong| ConfigError::File {
            path: path.to_owned(),
            line: line(text, wrong.span().unwrap_or_default()),
            words: meant(wrong.message()),
        })?;
        let origin = |span: Range<usize>| format!("{}, line {}", path.display(), line(text, span));
        let string = |value: Spanned<String>| {
            let origin = origin(value.span());
            Text {
                text: value.into_inner(),
                origin,
            }
        };
        let number = |value: Spanned<u64>| {
            let origin = origin(value.span());
            Text {
                text: value.into_inner().to_string(),
                origin,
            }
        };
        let hubs = keys
            .hub
            .map(|hub| hubs(origin(hub.span()), hub.into_inner()));
        let labels = keys.labels.into_iter();
        Ok(Self {
            host: keys.host.map(string),
            environment: keys.environment.map(string),
            labels: labels.map(|(key, value)| (key, string(value))).collect(),
            hubs: hubs.transpose()?.unwrap_or_default(),
            upstream: keys.upstream.map(string),
            grpc_upstream: keys.grpc_upstream.map(string),
            listen: keys.listen.map(string),
            data: keys.data.map(string),
            control: keys.control.map(string),
            workers: keys.workers.map(number),
            upstream_timeout: keys.upstream_timeout.map(string),
            request_log: keys.request_log.map(string),
            caller_header: keys.caller_header.map(string),
            spool_limit_bytes: keys.spool_limit_bytes.map(number),
            models: keys.models.into_iter().map(string).collect(),
            server: keys.server.map(string),
            repository: keys.repository.map(string),
            artifact_limit_bytes: keys.artifact_limit_bytes.map(number),
            memory_limit_bytes: keys.memory_limit_bytes.map(number),
            window: keys.window.map(string),
            inputs_every: keys.inputs_every.map(string),
            inputs_cpu_percent: keys.inputs_cpu_percent.map(number),
        })
    }

    /// Takes what `flags` give instead of what was given here. Labels are taken one by one,
    /// lists whole.
    pub fn overridden_by(self, flags: Self) -> Self {
        let some_or = |flags: Vec<Text>, file| if flags.is_empty() { file } else { flags };
        Self {
            host: flags.host.or(self.host),
            environment: flags.environment.or(self.environment),
            labels: self.labels.into_iter().chain(flags.labels).collect(),
            hubs: some_or(flags.hubs, self.hubs),
            upstream: flags.upstream.or(self.upstream),
            grpc_upstream: flags.grpc_upstream.or(self.grpc_upstream),
            listen: flags.listen.or(self.listen),
            data: flags.data.or(self.data),
            control: flags.control.or(self.control),
            workers: flags.workers.or(self.workers),
            upstream_timeout: flags.upstream_timeout.or(self.upstream_timeout),
            request_log: flags.request_log.or(self.request_log),
            caller_header: flags.caller_header.or(self.caller_header),
            spool_limit_bytes: flags.spool_limit_bytes.or(self.spool_limit_bytes),
            models: some_or(flags.models, self.models),
            server: flags.server.or(self.server),
            repository: flags.repository.or(self.repository),
            artifact_limit_bytes: flags.artifact_limit_bytes.or(self.artifact_limit_bytes),
            memory_limit_bytes: flags.memory_limit_bytes.or(self.memory_limit_bytes),
            window: flags.window.or(self.window),
            inputs_every: flags.inputs_every.or(self.inputs_every),
            inputs_cpu_percent: flags.inputs_cpu_percent.or(self.inputs_cpu_percent),
        }
    }
}

fn hubs(origin: String, value: toml::Value) -> Result<Vec<Text>, ConfigError> {
    let list = match value.as_array() {
        Some(list) => list.clone(),
        None => vec![value],
    };
    let text = |value: toml::Value| match value.as_str() {
        Some(text) => Ok(Text {
            text: text.to_owned(),
            origin: origin.clone(),
        }),
        None => Err(ConfigError::Value {
            origin: origin.clone(),
            words: format!("{value} is no hub's address: it is \"unix:PATH\" or \"ADDR:PORT\""),
        }),
    };
    list.into_iter().map(text).collect()
}

fn line(text: &str, span: Range<usize>) -> usize {
    let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// An unknown key reads as a typing error: the nearest key that there is comes first.
fn meant(message: &str) -> String {
    let message = message.trim_end().replace('\n', ", ");
    let unknown = message
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split_once('`'));
    let Some((key, _)) = unknown else {
        return message;
    };
    let like = |known: &&&str| strsim::damerau_levenshtein(known, key);
    match KEYS
        .iter()
        .min_by_key(like)
        .filter(|known| like(known) <= known.len().div_ceil(2))
    {
        Some(known) => format!("there is no key `{key}`: did you mean `{known}`?"),
        None => format!("there is no key `{key}`: the keys are {}", KEYS.join(", ")),
    }
}

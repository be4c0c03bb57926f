//! Paths of the Open Inference Protocol, parsed once into what they ask for.

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/v2`
    Server,
    /// `/v2/health/live`
    Live,
    /// `/v2/health/ready`
    Ready,
    /// `/v2/models/M[/versions/V]`
    Model(Target),
    /// `/v2/models/M[/versions/V]/ready`
    ModelReady(Target),
    /// `/v2/models/M[/versions/V]/infer`
    Infer(Target),
    /// `/v2/repository/index`
    Index,
    /// `/v2/repository/models/M/load`
    Load(String),
    /// `/v2/repository/models/M/unload`
    Unload(String),
    /// `/metrics`
    Metrics,
}

/// The model, and the version if the path names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The model's name, percent-decoded.
    pub model: String,
    /// The version as it stands in the path; `None` means the one the server chooses.
    pub version: Option<String>,
}

impl Route {
    /// What `path` asks for; `None` when it is none of the protocol's.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let target = |model: &str, version: Option<&str>| {
            let version = match version {
                Some(version) => Some(decoded(version)?),
                None => None,
            };
            Some(Target {
                model: decoded(model)?,
                version,
            })
        };
        match *parts.as_slice() {
            ["metrics"] => Some(Self::Metrics),
            ["v2"] => Some(Self::Server),
            ["v2", "health", "live"] => Some(Self::Live),
            ["v2", "health", "ready"] => Some(Self::Ready),
            ["v2", "repository", "index"] => Some(Self::Index),
            ["v2", "repository", "models", m, "load"] => Some(Self::Load(decoded(m)?)),
            ["v2", "repository", "models", m, "unload"] => Some(Self::Unload(decoded(m)?)),
            ["v2", "models", m] => target(m, None).map(Self::Model),
            ["v2", "models", m, "ready"] => target(m, None).map(Self::ModelReady),
            ["v2", "models", m, "infer"] => target(m, None).map(Self::Infer),
            ["v2", "models", m, "versions", v] => target(m, Some(v)).map(Self::Model),
            ["v2", "models", m, "versions", v, "ready"] => target(m, Some(v)).map(Self::ModelReady),
            ["v2", "models", m, "versions", v, "infer"] => target(m, Some(v)).map(Self::Infer),
            _ => None,
        }
    }

    /// The method that it is asked with.
    #[must_use]
    pub fn method(&self) -> http::Method {
        match self {
            Self::Infer(_) | Self::Index | Self::Load(_) | Self::Unload(_) => http::Method::POST,
            Self::Server
            | Self::Live
            | Self::Ready
            | Self::Model(_)
            | Self::ModelReady(_)
            | Self::Metrics => http::Method::GET,
        }
    }
}

/// The segment without its percent escapes; `None` when they are malformed or not UTF-8.
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            // `from_str_radix` alone would take a sign.
            let digits = std::str::from_utf8(digits).ok()?;
            let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| hex)?);
            rest = after;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(model: &str, version: Option<&str>) -> Target {
        Target {
            model: model.to_owned(),
            version: version.map(str::to_owned),
        }
    }

    #[test]
    fn each_path_of_the_protocol_is_recognised_and_nothing_else() {
        let check = |path: &str, route: Option<Route>| assert_eq!(Route::parse(path), route);
        check("/v2", Some(Route::Server));
        check("/v2/", Some(Route::Server));
        check("/v2/health/ready", Some(Route::Ready));
        check("/v2/models/m/infer", Some(Route::Infer(target("m", None))));
        check(
            "/v2/models/m/versions/3/infer",
            Some(Route::Infer(target("m", Some("3")))),
        );
        check(
            "/v2/models/a%20b%2Fc",
            Some(Route::Model(target("a b/c", None))),
        );
        check(
            "/v2/repository/models/m/load",
            Some(Route::Load("m".to_owned())),
        );
        for path in [
            "",
            "/",
            "v2",
            "/v1",
            "/v2/models",
            "/v2/models//infer",
            "/v2/models/%zz",
            "/v2/models/%+1",
            "/v2/models/%f",
            "/v2/models/%ff",
            "/v2/models/m/versions",
            "/v2/models/m/versions//infer",
            "/v2/models/m/infer/x",
            "/v2/health",
        ] {
            check(path, None);
        }
    }
}

//! Which headers belong to one connection and do not travel on (RFC 9110, 7.6.1).
//!
//! Everything else is forwarded as it came, and nothing is added but a missing `Host`.

use http::{
    HeaderMap, HeaderName,
    header::{
        CONNECTION, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING,
        UPGRADE,
    },
};

/// Headers of one connection that have no constant of their own.
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Takes out of a request what belongs to the application's connection.
pub(crate) fn of_request(headers: &mut HeaderMap) {
    strip(headers);
    // Our own server has answered 100-continue by the time the body is read.
    if headers.contains_key(EXPECT) {
        headers.remove(EXPECT);
    }
}

/// Takes out of an answer what belongs to the upstream's connection.
pub(crate) fn of_answer(headers: &mut HeaderMap) {
    strip(headers);
}

/// A request of HTTP/2 has its authority elsewhere, and one of HTTP/1.0 may have none.
pub(crate) fn with_host(headers: &mut HeaderMap, authority: &str) {
    if !headers.contains_key(HOST)
        && let Ok(value) = authority.parse()
    {
        headers.insert(HOST, value);
    }
}

fn strip(headers: &mut HeaderMap) {
    // One pass, since most messages have none of these and removing costs a hash each.
    if !headers.keys().any(of_one_connection) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|token| token.trim().parse().ok())
        .filter(|name| *name != TE)
        .collect();
    for name in named {
        headers.remove(name);
    }
    // `TE: trailers` is how gRPC, and HTTP/1.1 in its wake, asks for trailers.
    let trailers = headers.get(TE).is_some_and(|value| value == "trailers");
    for name in [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
    if !trailers {
        headers.remove(TE);
    }
}

fn of_one_connection(name: &HeaderName) -> bool {
    matches!(
        *name,
        CONNECTION | PROXY_AUTHENTICATE | PROXY_AUTHORIZATION | TE | TRANSFER_ENCODING | UPGRADE
    ) || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        of_request(&mut headers);
        let mut names: Vec<_> = headers.keys().map(ToString::to_string).collect();
        names.sort();
        names
    }

    #[test]
    fn what_belongs_to_one_connection_does_not_travel() {
        let all = [
            ("connection", "keep-alive, x-mine"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("x-mine", "1"),
            ("x-yours", "2"),
            ("content-length", "3"),
        ];
        assert_eq!(stripped(&all), ["content-length", "x-yours"]);
        assert_eq!(stripped(&[("te", "trailers")]), ["te"]);
        assert_eq!(stripped(&[("expect", "100-continue")]), [""; 0]);
    }
}

//! Heads of HTTP/1.1: read strictly, and written anew for the next connection.
//!
//! Every line that travels on is written by us out of its parsed parts, so that the upstream
//! can read nothing into a head that was not read here. What belongs to one connection
//! (RFC 9110, 7.6.1) stays behind; nothing is added but a missing `Host`.

use std::{io::Write, mem::MaybeUninit, sync::Arc};

use http::StatusCode;

use super::framing::Framing;
use crate::proxy::routes::{Leg, VERSION_HEADER};

/// Headers of one message.
const MAX_HEADERS: usize = 100;

/// Digits of a `Content-Length`: the largest that cannot overflow a `u64`.
const MAX_LENGTH_DIGITS: usize = 19;

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is not HTTP/1.1, or could be read in two ways.
    Malformed,
    /// Too many headers or bytes.
    TooLarge,
}

impl Refused {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }
}

/// A request's head.
pub(crate) struct RequestHead<'a> {
    pub(crate) method: &'a str,
    /// From the first slash on.
    pub(crate) target: &'a str,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
    /// Bytes of JSON before the tensors, in the binary tensor extension.
    pub(crate) json_bytes: Option<usize>,
    /// The version that it was written for, where it named an endpoint.
    pub(crate) leg: Option<Arc<Leg>>,
    /// Bytes of the head itself.
    pub(crate) length: usize,
}

/// What of a request's head decides where it goes.
pub(crate) struct Line<'h, 'a> {
    pub(crate) method: &'a str,
    /// Without the query.
    pub(crate) path: &'a str,
    headers: &'h [httparse::Header<'a>],
}

impl<'a> Line<'_, 'a> {
    /// The value of a header, the first where there are several.
    pub(crate) fn header(&self, name: &str) -> Option<&'a [u8]> {
        let named = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
        self.headers.iter().find(named).map(|header| header.value)
    }
}

/// An answer's head.
pub(crate) struct AnswerHead {
    pub(crate) status: StatusCode,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    /// Bytes of JSON before the tensors, in the binary tensor extension.
    pub(crate) json_bytes: Option<usize>,
    pub(crate) length: usize,
}

/// What the headers of a message say about the message itself.
#[derive(Default)]
struct Said<'a> {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    host: Option<&'a [u8]>,
    expects_continue: bool,
    json_bytes: Option<usize>,
    /// Headers that `Connection` names, which stay behind with it.
    named: Vec<&'a str>,
    /// Said by us instead.
    replaced: Option<&'static str>,
}

/// Which message a header stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Request,
    Answer,
}

type Slots<'a> = [MaybeUninit<httparse::Header<'a>>; MAX_HEADERS];

/// Reads a request's head and writes the upstream's into `out`; `None` until it is whole.
/// `choose` says which version it is written for, and what follows that in the path.
pub(crate) fn request<'a>(
    bytes: &'a [u8],
    authority: &str,
    out: &mut Vec<u8>,
    choose: impl FnOnce(&Line<'_, 'a>) -> Option<(Arc<Leg>, &'a str)>,
) -> Result<Option<RequestHead<'a>>, Refused> {
    let mut slots: Slots<'a> = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    let length = match parsed.parse_with_uninit_headers(bytes, &mut slots) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refused::TooLarge),
        Err(_) => return Err(Refused::Malformed),
    };
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Refused::Malformed);
    };
    let said = said(parsed.headers, Of::Request)?;
    let (host, target) = split(method, target)?;
    // A request of HTTP/1.1 without a host could be anybody's; chunks are not of HTTP/1.0.
    let of_1_1 = version == 1;
    if (of_1_1 && said.host.is_none()) || (!of_1_1 && said.chunked) {
        return Err(Refused::Malformed);
    }
    if said.chunked && said.length.is_some() {
        return Err(Refused::Malformed);
    }
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let headers = &*parsed.headers;
    let chosen = choose(&Line {
        method,
        path,
        headers,
    });
    let (path, then) = match &chosen {
        Some((leg, then)) => (leg.path(), *then),
        None => (path, ""),
    };
    out.clear();
    for part in [
        method,
        " ",
        path,
        then,
        query,
        if of_1_1 {
            " HTTP/1.1\r\n"
        } else {
            " HTTP/1.0\r\n"
        },
    ] {
        out.extend_from_slice(part.as_bytes());
    }
    let host = host
        .map(str::as_bytes)
        .or(said.host)
        .unwrap_or(authority.as_bytes());
    line(out, "host", host);
    pass(out, parsed.headers, &said, Of::Request);
    out.extend_from_slice(b"\r\n");
    let framing = match said.length {
        _ if said.chunked => Framing::CHUNKED,
        length => Framing::Length(length.unwrap_or(0)),
    };
    Ok(Some(RequestHead {
        method,
        target,
        framing,
        keep_alive: of_1_1 && !said.close,
        expects_continue: said.expects_continue,
        json_bytes: said.json_bytes,
        leg: chosen.map(|(leg, _)| leg),
        length,
    }))
}

/// How the answer to a request is to be read and passed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// The request was HEAD, so that no body follows whatever the head says.
    pub(crate) head_only: bool,
    /// The application's connection ends with this answer.
    pub(crate) close: bool,
}

/// Reads an answer's head and writes the application's into `out`; `None` until it is whole.
/// Answers of 1xx are to be skipped. A `leg` is told as the version that gave the answer.
pub(crate) fn answer(
    bytes: &[u8],
    asked: Asked,
    leg: Option<&Leg>,
    out: &mut Vec<u8>,
) -> Result<Option<AnswerHead>, Refused> {
    let mut slots: Slots<'_> = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let mut config = httparse::ParserConfig::default();
    config.allow_spaces_after_header_name_in_responses(false);
    let length = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut slots) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refused::TooLarge),
        Err(_) => return Err(Refused::Malformed),
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let (Some(status), Some(version)) = (status, parsed.version) else {
        return Err(Refused::Malformed);
    };
    let mut said = said(parsed.headers, Of::Answer)?;
    if said.chunked {
        // Both lengths in an answer: chunks hold (RFC 9112, 6.3), and the other is not told.
        said.length = None;
    }
    let framing = match said.length {
        _ if asked.head_only || matches!(status.as_u16(), 100..=199 | 204 | 304) => {
            Framing::Length(0)
        }
        _ if said.chunked => Framing::CHUNKED,
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    };
    let close = asked.close || framing == Framing::UntilClose;
    out.clear();
    out.extend_from_slice(if version == 1 {
        b"HTTP/1.1 "
    } else {
        b"HTTP/1.0 "
    });
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(parsed.reason.unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    if let Some(leg) = leg {
        // Said by us alone: a server behind another agent may say it as well.
        said.replaced = Some(VERSION_HEADER);
        line(out, VERSION_HEADER, leg.name().as_bytes());
    }
    pass(out, parsed.headers, &said, Of::Answer);
    out.extend_from_slice(if close {
        b"connection: close\r\n\r\n"
    } else {
        b"\r\n"
    });
    Ok(Some(AnswerHead {
        status,
        framing,
        keep_alive: version == 1 && !said.close,
        json_bytes: said.json_bytes,
        length,
    }))
}

/// Writes the headers that travel on.
fn pass(out: &mut Vec<u8>, headers: &[httparse::Header<'_>], said: &Said<'_>, of: Of) {
    for header in headers {
        let trailers = || header.value.eq_ignore_ascii_case(b"trailers");
        let stays = match kind(header.name) {
            Kind::Connection | Kind::Hop => true,
            Kind::Host | Kind::Expect => of == Of::Request,
            // Asked for on this connection, it may be asked for on the next.
            Kind::Te => !trailers(),
            // Written anew, so that it is told once and as it was understood.
            Kind::TransferEncoding | Kind::ContentLength => true,
            Kind::JsonBytes | Kind::Else => said
                .named
                .iter()
                .chain(&said.replaced)
                .any(|name| name.eq_ignore_ascii_case(header.name)),
        };
        if !stays {
            line(out, header.name, header.value);
        }
    }
    if said.chunked {
        line(out, "transfer-encoding", b"chunked");
    } else if let Some(length) = said.length {
        // Writing into memory cannot fail.
        let _ = write!(out, "content-length: {length}\r\n");
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connection,
    ContentLength,
    TransferEncoding,
    Host,
    Expect,
    Te,
    /// Of one connection.
    Hop,
    JsonBytes,
    Else,
}

/// What a header is to us. By length first, since most are nothing.
fn kind(name: &str) -> Kind {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    match name.len() {
        2 if is("te") => Kind::Te,
        4 if is("host") => Kind::Host,
        6 if is("expect") => Kind::Expect,
        7 if is("upgrade") => Kind::Hop,
        10 if is("connection") => Kind::Connection,
        10 if is("keep-alive") => Kind::Hop,
        14 if is("content-length") => Kind::ContentLength,
        16 if is("proxy-connection") => Kind::Hop,
        17 if is("transfer-encoding") => Kind::TransferEncoding,
        18 if is("proxy-authenticate") => Kind::Hop,
        19 if is("proxy-authorization") => Kind::Hop,
        31 if is("inference-header-content-length") => Kind::JsonBytes,
        _ => Kind::Else,
    }
}

fn said<'a>(headers: &[httparse::Header<'a>], of: Of) -> Result<Said<'a>, Refused> {
    let mut said = Said::default();
    for header in headers {
        let text = || std::str::from_utf8(header.value).map_err(|_| Refused::Malformed);
        match kind(header.name) {
            Kind::ContentLength => {
                let length = number(header.value).ok_or(Refused::Malformed)?;
                if said.length.replace(length).is_some() {
                    return Err(Refused::Malformed);
                }
            }
            Kind::TransferEncoding => {
                // Any other coding, or a list, is read differently by different readers.
                if said.chunked || !header.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refused::Malformed);
                }
                said.chunked = true;
            }
            Kind::Connection => {
                for token in text()?.split(',').map(str::trim) {
                    said.close |= token.eq_ignore_ascii_case("close");
                    said.keep_alive |= token.eq_ignore_ascii_case("keep-alive");
                    said.named.push(token);
                }
            }
            Kind::Host if of == Of::Request => {
                if said.host.replace(header.value).is_some() {
                    return Err(Refused::Malformed);
                }
            }
            Kind::Expect => {
                said.expects_continue |= header.value.eq_ignore_ascii_case(b"100-continue");
            }
            Kind::JsonBytes => said.json_bytes = text()?.parse().ok(),
            Kind::Host | Kind::Te | Kind::Hop | Kind::Else => {}
        }
    }
    Ok(said)
}

/// Digits and nothing else.
fn number(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if !digits || value.len() > MAX_LENGTH_DIGITS {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The authority, if the target has one, and the path.
fn split<'a>(method: &str, target: &'a str) -> Result<(Option<&'a str>, &'a str), Refused> {
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") || method == "CONNECT" {
        return Ok((None, target));
    }
    let scheme = "http://";
    let absolute = target
        .get(..scheme.len())
        .is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    let rest = target
        .get(scheme.len()..)
        .filter(|_| absolute)
        .ok_or(Refused::Malformed)?;
    let at = rest.find('/').ok_or(Refused::Malformed)?;
    let (authority, path) = rest.split_at(at);
    if authority.is_empty() {
        return Err(Refused::Malformed);
    }
    Ok((Some(authority), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The upstream's head for an application's, or how it is refused.
    fn passed(head: &str) -> Result<String, Refused> {
        let mut out = Vec::new();
        let parsed = request(head.as_bytes(), "up:1", &mut out, |_| None)?;
        assert!(parsed.is_some(), "{head:?} is not whole");
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_request_is_written_anew() {
        for (head, expected) in [
            (
                "POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 007\r\nX-A:  b \r\n\r\n",
                "POST /a?b HTTP/1.1\r\nhost: h\r\nX-A: b\r\ncontent-length: 7\r\n\r\n",
            ),
            (
                "GET http://o/p HTTP/1.1\r\nhost: h\r\nconnection: x-a, close\r\nx-a: 1\r\n\r\n",
                "GET /p HTTP/1.1\r\nhost: o\r\n\r\n",
            ),
            (
                "GET / HTTP/1.0\r\n\r\n",
                "GET / HTTP/1.0\r\nhost: up:1\r\n\r\n",
            ),
            (
                "POST / HTTP/1.1\r\nhost: h\r\nTransfer-Encoding: Chunked\r\nte: trailers\r\n\r\n",
                "POST / HTTP/1.1\r\nhost: h\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n",
            ),
            (
                "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
                "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
            ),
        ] {
            assert_eq!(passed(head).as_deref(), Ok(expected), "{head:?}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for lines in [
            "content-length: 1\r\ncontent-length: 1\r\n",
            "content-length: 1, 1\r\n",
            "content-length: \r\n",
            "content-length: 0x1\r\n",
            "content-length: 99999999999999999999\r\n",
            "content-length: 1\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked, chunked\r\n",
            "transfer-encoding: identity\r\n",
            "transfer-encoding:\x0bchunked\r\n",
            "content-length : 1\r\n",
            "host: other\r\n",
            "x: a\r\n b\r\n",
        ] {
            let head = format!("POST / HTTP/1.1\r\nhost: h\r\n{lines}\r\n");
            assert_eq!(passed(&head), Err(Refused::Malformed), "{lines:?}");
        }
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET p HTTP/1.1\r\nhost: h\r\n\r\n",
            "GET http:///p HTTP/1.1\r\nhost: h\r\n\r\n",
            "GET ftp://h/p HTTP/1.1\r\nhost: h\r\n\r\n",
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
        ] {
            assert_eq!(passed(head), Err(Refused::Malformed), "{head:?}");
        }
    }

    #[test]
    fn an_answer_is_written_anew_and_its_body_found() {
        let plain = Asked {
            head_only: false,
            close: false,
        };
        let head_only = Asked {
            head_only: true,
            close: false,
        };
        let last = Asked {
            head_only: false,
            close: true,
        };
        let close = "connection: close\r\n";
        for (asked, head, expected, framing) in [
            (
                plain,
                "200 OK\r\ncontent-length: 3\r\n",
                "200 OK\r\ncontent-length: 3\r\n",
                Framing::Length(3),
            ),
            (
                head_only,
                "200 OK\r\ncontent-length: 3\r\n",
                "200 OK\r\ncontent-length: 3\r\n",
                Framing::Length(0),
            ),
            (
                plain,
                "204 No Content\r\nkeep-alive: 5\r\n",
                "204 No Content\r\n",
                Framing::Length(0),
            ),
            (
                plain,
                "200 OK\r\n",
                &format!("200 OK\r\n{close}"),
                Framing::UntilClose,
            ),
            (
                last,
                "404 Not Found\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n",
                &format!("404 Not Found\r\ntransfer-encoding: chunked\r\n{close}"),
                Framing::CHUNKED,
            ),
        ] {
            let (head, mut out) = (format!("HTTP/1.1 {head}\r\n"), Vec::new());
            let parsed = answer(head.as_bytes(), asked, None, &mut out)
                .unwrap()
                .unwrap();
            assert_eq!(parsed.framing, framing, "{head:?}");
            assert_eq!(
                String::from_utf8(out).unwrap(),
                format!("HTTP/1.1 {expected}\r\n")
            );
        }
    }
}

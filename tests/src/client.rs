//! A plain HTTP client for one request at a time, over TCP or a unix socket.
//!
//! It sends what it is given, bytes for bytes, so that a suite can be as rude as it needs to be.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// An answer that has not come by then will not come.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The head, in small letters.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!(
                "{}: no JSON ({error}): {}",
                self.status,
                String::from_utf8_lossy(&self.body)
            )
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.ok_or_else(|| format!("no head in {} bytes", bytes.len()))?;
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| format!("no status in {head}"))?;
        let mut body = bytes[end + 4..].to_vec();
        if head.contains("transfer-encoding: chunked") {
            body = unchunk(&body)?;
        }
        Ok(Self { status, head, body })
    }
}

/// Joins the chunks of a body.
fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let line = rest
            .windows(2)
            .position(|two| two == b"\r\n")
            .ok_or("a chunk has no size")?;
        let size = String::from_utf8_lossy(&rest[..line]);
        let size = usize::from_str_radix(size.trim(), 16).map_err(|error| error.to_string())?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(rest.get(..size).ok_or("a chunk is cut off")?);
        rest = rest.get(size + 2..).ok_or("a chunk is cut off")?;
    }
}

fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Sends bytes as they are and reads until the server closes.
pub fn raw(to: SocketAddr, bytes: &[u8]) -> Result<Answer, String> {
    let mut stream = TcpStream::connect(to).map_err(|error| format!("{to}: {error}"))?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).unwrap();
    stream.write_all(bytes).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    match read {
        Err(error) if answer.is_empty() => Err(error.to_string()),
        Err(_) | Ok(_) => Answer::parse(&answer),
    }
}

/// One request over TCP.
pub fn http(method: &str, to: SocketAddr, path: &str, body: &[u8]) -> Result<Answer, String> {
    raw(to, &request(method, path, body))
}

/// A GET over a unix socket.
pub fn get_unix(socket: &Path, path: &str) -> Result<Answer, String> {
    let mut stream = UnixStream::connect(socket).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).unwrap();
    stream
        .write_all(&request("GET", path, b""))
        .map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .map_err(|error| error.to_string())?;
    Answer::parse(&answer)
}

/// A connection that is kept for many requests.
pub struct Kept {
    stream: BufReader<TcpStream>,
}

impl Kept {
    /// Connects.
    #[track_caller]
    pub fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(ANSWER_LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends one request and reads its whole answer, whose length its head must tell.
    #[track_caller]
    pub fn post(&mut self, path: &str, body: &[u8]) -> Answer {
        let mut bytes = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        self.stream.get_mut().write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let read = self.stream.read_until(b'\n', &mut answer).unwrap();
            assert!(
                read > 0,
                "the answer's head ends early: {}",
                String::from_utf8_lossy(&answer)
            );
        }
        let head = String::from_utf8_lossy(&answer).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let length: u64 = length
            .unwrap_or_else(|| panic!("no length: {head}"))
            .trim()
            .parse()
            .unwrap();
        self.stream
            .by_ref()
            .take(length)
            .read_to_end(&mut answer)
            .unwrap();
        Answer::parse(&answer).unwrap()
    }
}

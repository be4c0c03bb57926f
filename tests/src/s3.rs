//! A real S3 API on loopback (moto's server, from PyPI), behind a line that can be cut.
//!
//! tests/run puts it into the user's cache; where it is not, the test fails and says so.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::client::{self, Answer};

/// The bucket that is there.
pub const BUCKET: &str = "models";
/// A line that is not to be cut.
const FOR_EVER: i64 = i64::MAX;

/// A store, which ends with this value.
pub struct S3 {
    server: Child,
    direct: SocketAddr,
    line: SocketAddr,
    /// Bytes that still go to the store before the line is dead; none where it is.
    left: Arc<AtomicI64>,
}

/// Where tests/run puts the server.
fn program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).expect("there is a home folder");
    let program = cache.join("binnacle-tests/moto/bin/moto_server");
    assert!(
        program.is_file(),
        "{} is missing: run tests/run, which installs it, or `python3 -m venv` there and `pip \
         install 'moto[server]'`",
        program.display()
    );
    program
}

impl S3 {
    /// Starts a store with an empty bucket.
    #[track_caller]
    pub fn start() -> Self {
        let mut server = Command::new(program())
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(server.stderr.take().expect("it was piped")).lines();
        let address = log.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, address) = line.split_once("Running on http://")?;
            address.trim().parse::<SocketAddr>().ok()
        });
        let direct = address.expect("the server says where it listens");
        std::thread::spawn(move || log.for_each(drop));
        let (line, left) = relay(direct);
        let store = Self {
            server,
            direct,
            line,
            left,
        };
        let made = store.ask("PUT", &format!("/{BUCKET}"), b"");
        assert_eq!(made.status, 200, "{made:?}");
        store
    }

    /// What a program is told of it, as a cloud's own tools are.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.line)),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_REGION", "us-east-1".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// One request, past the line that can be cut.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        client::http(method, self.direct, path, body).unwrap()
    }

    /// Puts an object there, in the place of what was. Whoever is nobody may not: any signature
    /// is one.
    #[track_caller]
    pub fn put(&self, key: &str, body: &[u8]) {
        let put = self.ask("PUT", &format!("/{BUCKET}/{key}?Signature=test"), body);
        assert_eq!(put.status, 200, "{put:?}");
    }

    /// The keys of all objects.
    #[track_caller]
    pub fn keys(&self) -> Vec<String> {
        self.listed("list-type=2", "Key")
    }

    /// The keys of uploads in parts that were begun and neither ended nor thrown away.
    #[track_caller]
    pub fn begun(&self) -> Vec<String> {
        self.listed("uploads", "Key")
    }

    fn listed(&self, query: &str, tag: &str) -> Vec<String> {
        let answer = self.ask("GET", &format!("/{BUCKET}?{query}"), b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = String::from_utf8(answer.body).unwrap();
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let parts = text.split(&open).skip(1);
        let keys = parts.filter_map(|part| part.split(&close).next());
        keys.map(str::to_owned).collect()
    }

    /// Cuts the line after so many more bytes have gone to the store, for good.
    pub fn cut_after(&self, bytes: u32) {
        self.left.store(bytes.into(), Ordering::Relaxed);
    }

    /// Mends the line.
    pub fn mend(&self) {
        self.left.store(FOR_EVER, Ordering::Relaxed);
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Passes on to `to` until it has passed as much as it may.
fn relay(to: SocketAddr) -> (SocketAddr, Arc<AtomicI64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = listener.local_addr().unwrap();
    let left = Arc::new(AtomicI64::new(FOR_EVER));
    let shared = left.clone();
    // Ends with the test's process: an accept that nobody dials waits for ever.
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            if shared.load(Ordering::Relaxed) <= 0 {
                continue;
            }
            let Ok(far) = TcpStream::connect(to) else {
                continue;
            };
            let (back, front) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            let left = shared.clone();
            std::thread::spawn(move || pass(near, far, &left));
            std::thread::spawn(move || pass(back, front, &AtomicI64::new(FOR_EVER)));
        }
    });
    (line, left)
}

fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicI64) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if left.load(Ordering::Relaxed) != FOR_EVER
            && left.fetch_sub(read as i64, Ordering::Relaxed) < read as i64
        {
            break;
        }
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

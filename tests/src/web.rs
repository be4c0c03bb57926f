//! A web server over TLS on loopback, whose certificate was made by an authority of its own: only
//! a program that is told of the authority believes it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Makes an authority, and a certificate of it for loopback.
const CERTIFY: &str = r#"
set -e
key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
openssl req -x509 $key -keyout authority.key -out authority.pem -subj /CN=authority -days 2
openssl req $key -keyout server.key -out server.csr -subj /CN=server
echo 'subjectAltName=IP:127.0.0.1' > names
openssl x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial \
    -extfile names -out server.pem -days 2
"#;

/// Serves a folder. What is asked for below `plain/` is sent on to the same file without TLS,
/// and of what is asked for below `short/` only half is sent.
const SERVE: &str = r#"
import http.server, pathlib, ssl, threading
class Files(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args):
        super().__init__(*args, directory="files")
    def do_GET(self):
        _, kind, name = ("/" + self.path).rsplit("/", 2)
        if kind == "plain":
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{plain.server_port}/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif kind == "short":
            body = pathlib.Path("files", name).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
        else:
            super().do_GET()
    def log_message(self, *args):
        pass
address = ("127.0.0.1", 0)
plain = http.server.ThreadingHTTPServer(address, Files)
web = http.server.ThreadingHTTPServer(address, Files)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.pem", "server.key")
web.socket = context.wrap_socket(web.socket, server_side=True)
threading.Thread(target=plain.serve_forever, daemon=True).start()
print(web.server_port, flush=True)
web.serve_forever()
"#;

/// A server, which ends with this value.
pub struct Web {
    folder: tempfile::TempDir,
    server: Child,
    port: u16,
}

impl Web {
    /// Starts a server without files.
    #[track_caller]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let mut certify = Command::new("sh");
        let certified = certify
            .args(["-c", CERTIFY])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&certified.stderr);
        assert!(certified.status.success(), "openssl: {said}");
        let mut server = Command::new("python3")
            .args(["-c", SERVE])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let said = server.stdout.take().expect("it was piped");
        BufReader::new(said).read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("it says where it listens");
        Self {
            folder,
            server,
            port,
        }
    }

    /// The certificate of the authority.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// What tells a program of the authority, and of no other.
    pub fn environment(&self) -> Vec<(String, String)> {
        let authority = self.authority();
        let authority = authority.to_str().expect("a temporary folder's name");
        vec![("SSL_CERT_FILE".to_owned(), authority.to_owned())]
    }

    /// Puts a file there, in the place of what was there before.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.path().join("files").join(Path::new(name));
        std::fs::write(path, bytes).unwrap();
    }

    /// Where a file is.
    pub fn url(&self, name: &str) -> String {
        format!("https://127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.server.kill();
        let _ended = self.server.wait();
    }
}

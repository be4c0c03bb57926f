//! What does not follow the protocol is refused before anything of it reaches the upstream.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{Client, LIMIT, Rig};

/// Sends bytes, and reads until the proxy closes the connection.
async fn exchange(rig: &Rig, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    // The proxy may refuse and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = timeout(LIMIT, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the proxy closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status line's code of each answer that comes back for these bytes, and how many
/// requests reached the upstream.
async fn check(bytes: &[u8], codes: &[&str], reached: usize) {
    let rig = Rig::start().await;
    let answer = exchange(&rig, bytes).await;
    let answered: Vec<_> = answer
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| answer.get(..3).unwrap_or(answer))
        .collect();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    assert_eq!(answered, codes, "{shown:?} → {answer:?}");
    assert_eq!(
        rig.peer.seen.requests.load(Ordering::SeqCst),
        reached,
        "{shown:?}"
    );
    // And it still serves.
    let mut client = Client::connect(rig.address()).await;
    assert_eq!(client.infer("echo", "{}").await.status(), 200);
}

#[tokio::test]
async fn a_malformed_head_is_400_and_goes_nowhere() {
    for bytes in [
        "GARBAGE\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /a b HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nhost h\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : h\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: h\0\r\n\r\n",
        "\x01\x02\x03\x04\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: +1\r\n\r\na",
        "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
    ] {
        check(bytes.as_bytes(), &["400"], 0).await;
    }
}

#[tokio::test]
async fn a_head_over_the_limits_is_431() {
    let long = format!(
        "GET / HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n",
        "y".repeat(200_000)
    );
    check(long.as_bytes(), &["431"], 0).await;
    let many: String = (0..200).map(|at| format!("x-{at}: 1\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nhost: h\r\n{many}\r\n");
    check(many.as_bytes(), &["431"], 0).await;
}

/// Both lengths at once is how requests are smuggled: nothing behind the first request may
/// be taken for a second one.
#[tokio::test]
async fn two_lengths_smuggle_nothing() {
    let rig = Rig::start().await;
    let smuggler = "POST /v2/models/echo/infer HTTP/1.1\r\nhost: h\r\ncontent-length: 60\r\n\
                    transfer-encoding: chunked\r\n\r\n0\r\n\r\n\
                    POST /v2/models/smuggled/infer HTTP/1.1\r\nhost: h\r\n\r\n";
    exchange(&rig, smuggler.as_bytes()).await;
    let reached = rig.peer.seen.requests.load(Ordering::SeqCst);
    assert!(reached <= 1, "{reached}");
    assert!(!rig.peer.seen.path.lock().unwrap().contains("smuggled"));
    let seen = rig.peer.seen.headers.lock().unwrap().clone();
    let lengths = ["content-length", "transfer-encoding"];
    assert!(
        lengths
            .iter()
            .filter(|&&name| seen.contains_key(name))
            .count()
            <= 1,
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_malformed_chunk_ends_the_connection() {
    let rig = Rig::start().await;
    let bytes = "POST /v2/models/echo/infer HTTP/1.1\r\nhost: h\r\n\
                 transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n";
    let answer = exchange(&rig, bytes.as_bytes()).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(rig.peer.seen.inferences.load(Ordering::SeqCst), 0);
    assert_eq!(rig.counted(1).await.requests(), 1);
}

#[tokio::test]
async fn a_tunnel_is_refused() {
    let connect = b"CONNECT h:1 HTTP/1.1\r\nhost: h:1\r\nconnection: close\r\n\r\n";
    check(connect, &["405"], 0).await;
}

#[tokio::test]
async fn an_upgrade_is_answered_without_one() {
    let bytes = "GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade, close\r\n\
                 upgrade: websocket\r\n\r\n";
    check(bytes.as_bytes(), &["200"], 1).await;
}

#[tokio::test]
async fn what_looks_like_http_2_and_is_not_ends() {
    let rig = Rig::start().await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0xff; 64]);
    exchange(&rig, &bytes).await;
    assert_eq!(rig.peer.seen.requests.load(Ordering::SeqCst), 0);
    let sealed = rig.proxy.drain(Duration::from_secs(1)).await;
    assert_eq!(sealed.requests(), 0);
}

//! What passes, passes unchanged; what the upstream cannot answer is answered for it.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use futures::stream;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Client, LIMIT, Rig, eventually, peer::Peer, post, words};

#[tokio::test]
async fn bodies_of_any_size_pass_unchanged() {
    let rig = Rig::start().await;
    let mut client = Client::connect(rig.address()).await;
    for size in [0, 1, 1000, 70_000, 3_000_000] {
        let body: Bytes = (0..size).map(|at| (at * 31 % 251) as u8).collect();
        for model in ["echo", "chunks"] {
            let answer = client.infer(model, body.clone()).await;
            assert_eq!(answer.status(), 200, "{model} {size}");
            assert_eq!(answer.body(), &body, "{model} {size}");
        }
    }
    let sealed = rig.counted(10).await;
    assert_eq!(words(&sealed), ["chunks@ ok 5", "echo@ ok 5"]);
    for series in &sealed.series {
        assert_eq!(series.request_bytes, 3_071_001);
        assert_eq!(series.response_bytes, 3_071_001);
    }
}

/// An answer that is all head must not wait for bytes that never come.
#[tokio::test]
async fn an_answer_without_a_body_does_not_wait() {
    let rig = Rig::with(|settings| settings.upstream_timeout = LIMIT * 10).await;
    let mut client = Client::connect(rig.address()).await;
    let answer = tokio::time::timeout(LIMIT, client.infer("echo", "")).await;
    assert_eq!(answer.expect("an answer").status(), 200);
}

#[tokio::test]
async fn a_chunked_request_and_its_trailers_pass() {
    let rig = Rig::start().await;
    let stream = TcpStream::connect(rig.address()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", "42".parse().unwrap());
    let frames = [
        Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"one"))),
        Ok(Frame::data(Bytes::from_static(b"two"))),
        Ok(Frame::trailers(trailers.clone())),
    ];
    let request = Request::post("/v2/models/chunks/versions/3/infer")
        .header("host", "models.example")
        .header("trailer", "x-sum")
        .header("te", "trailers")
        .header("connection", "te")
        .body(StreamBody::new(stream::iter(frames)))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.headers().get("content-length"), None);
    let whole = answer.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers(), Some(&trailers));
    assert_eq!(whole.to_bytes(), "onetwo");
    assert_eq!(words(&rig.counted(1).await), ["chunks@3 ok 1"]);
}

#[tokio::test]
async fn heads_pass_without_what_belongs_to_one_connection() {
    let rig = Rig::start().await;
    let mut client = Client::connect(rig.address()).await;
    let request = Request::post("/v2/models/echo/infer?a=b")
        .header("host", "models.example")
        .header("connection", "keep-alive, x-hop")
        .header("x-hop", "1")
        .header("keep-alive", "timeout=5")
        .header("x-end", "2")
        .header("accept-encoding", "gzip")
        .body(Full::new(Bytes::from_static(b"{}")))
        .unwrap();
    let answer = client.send(request).await;
    assert_eq!(answer.headers()["x-peer"], "yes");
    assert_eq!(answer.headers()["content-length"], "2");
    let seen = rig.peer.seen.headers.lock().unwrap().clone();
    let mut names: Vec<_> = seen.keys().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    assert_eq!(
        names,
        ["accept-encoding", "content-length", "host", "x-end"]
    );
    assert_eq!(seen["host"], "models.example");
}

#[tokio::test]
async fn head_get_and_unknown_paths_pass_and_are_not_counted() {
    let rig = Rig::start().await;
    let mut client = Client::connect(rig.address()).await;
    for (method, path) in [
        (Method::HEAD, "/v2/models/echo"),
        (Method::GET, "/v2/health/ready"),
        (Method::GET, "/v2/models/echo/infer"),
        (Method::POST, "/v2/repository/index"),
        (Method::DELETE, "/anything?at=all"),
        (Method::OPTIONS, "/"),
    ] {
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header("host", "h")
            .body(Full::default())
            .unwrap();
        assert_eq!(client.send(request).await.status(), 200, "{method} {path}");
        assert_eq!(
            *rig.peer.seen.path.lock().unwrap(),
            path.split('?').next().unwrap()
        );
    }
    client.infer("echo", "{}").await;
    assert_eq!(words(&rig.counted(1).await), ["echo@ ok 1"]);
    assert_eq!(rig.peer.seen.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_application_that_waits_for_100_continue_gets_it() {
    let rig = Rig::start().await;
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let head = "POST /v2/models/echo/infer HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\
                expect: 100-continue\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(
        rest.starts_with("HTTP/1.1 200 OK\r\n") && rest.ends_with("\r\n\r\n{}"),
        "{rest}"
    );
    assert_eq!(words(&rig.counted(1).await), ["echo@ ok 1"]);
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let rig = Rig::start().await;
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let head = "POST /v2/models/chunks/infer HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\n{}"),
        "{answer}"
    );
    let host = rig.peer.seen.headers.lock().unwrap()["host"].clone();
    assert_eq!(host, rig.peer.address.to_string());
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let rig = Rig::start().await;
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let mut sent = String::new();
    for body in ["aa", "bb", "cc"] {
        sent += &format!(
            "POST /v2/models/echo/infer HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{body}"
        );
    }
    sent += "POST /v2/models/echo/infer HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\
             content-length: 2\r\n\r\ndd";
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    let bodies: Vec<_> = answers
        .split("HTTP/1.1 200 OK\r\n")
        .skip(1)
        .map(|answer| answer.split("\r\n\r\n").nth(1).unwrap())
        .collect();
    assert_eq!(bodies, ["aa", "bb", "cc", "dd"]);
    assert_eq!(words(&rig.counted(4).await), ["echo@ ok 4"]);
}

#[tokio::test]
async fn a_dead_upstream_is_503_with_json_and_a_new_one_is_found() {
    let rig = Rig::start().await;
    rig.known.replace([("echo".into(), "1".into())]);
    let mut client = Client::connect(rig.address()).await;
    assert_eq!(client.infer("echo", "{}").await.status(), 200);
    let Rig { peer, proxy, .. } = rig;
    peer.hang_up();
    let address = peer.die().await;
    let answer = client.infer("echo", "{}").await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let error = body["error"].as_str().unwrap();
    assert!(error.contains(&address.to_string()), "{error}");
    assert_eq!(client.infer("nobody", "{}").await.status(), 503);
    let again = tokio::net::TcpListener::bind(address).await.unwrap();
    let _peer = Peer::start_on(again);
    assert_eq!(client.infer("echo", "{}").await.status(), 200);
    assert_eq!(
        words(&crate::counted(&proxy, 4).await),
        [
            "echo@ ok 2",
            "echo@ upstream_refused 1",
            "other@ upstream_refused 1"
        ]
    );
}

#[tokio::test]
async fn a_link_that_went_stale_fails_no_request() {
    let rig = Rig::start().await;
    let mut client = Client::connect(rig.address()).await;
    for round in 1..=3 {
        assert_eq!(client.infer("echo", "{}").await.status(), 200);
        rig.peer.hang_up();
        let connections = || rig.peer.seen.connections.load(Ordering::SeqCst);
        eventually("a new link", || connections() == round).await;
        // The upstream's goodbye must be on this side before the next request is.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(words(&rig.counted(3).await), ["echo@ ok 3"]);
}

#[tokio::test]
async fn a_silent_upstream_is_504_after_the_limit() {
    let rig = Rig::with(|settings| settings.upstream_timeout = Duration::from_millis(200)).await;
    rig.known.replace([("silent".into(), "1".into())]);
    let mut client = Client::connect(rig.address()).await;
    for _ in 0..3 {
        assert_eq!(client.infer("silent", "{}").await.status(), 504);
        assert_eq!(client.infer("echo", "{}").await.status(), 200);
    }
    assert_eq!(
        words(&rig.counted(6).await),
        ["echo@ ok 3", "silent@ timed_out 3"]
    );
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_whole_passes() {
    let rig = Rig::start().await;
    let mut client = Client::connect(rig.address()).await;
    let answer = client.infer("early", vec![0; 5_000_000]).await;
    assert_eq!(answer.status(), 413);
    assert_eq!(words(&rig.counted(1).await), ["other@ client_error 1"]);
}

#[tokio::test]
async fn a_drain_lets_what_is_in_flight_end_and_tells_the_load_balancer() {
    let rig = Rig::start().await;
    let address = rig.address();
    let mut held = Client::connect(address).await;
    let held = tokio::spawn(async move { held.infer("held", "{}").await });
    let seen = rig.peer.seen.clone();
    eventually("the request is held", || {
        seen.inferences.load(Ordering::SeqCst) == 1
    })
    .await;
    let mut before = rig.proxy.seal().await;
    assert_eq!((before.in_flight, before.requests()), (1, 0));
    let proxy = rig.proxy;
    let drain = tokio::spawn(async move { proxy.drain(LIMIT).await });
    eventually("no more connections", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
    rig.peer.seen.release.notify_one();
    let answer = held.await.unwrap();
    assert_eq!(answer.status(), 200);
    before.merge(drain.await.unwrap());
    assert_eq!(words(&before), ["held@ ok 1"]);
    assert_eq!(before.in_flight, 0);
}

#[tokio::test]
async fn a_drain_cuts_off_and_counts_what_does_not_end() {
    let rig = Rig::start().await;
    let mut client = Client::connect(rig.address()).await;
    let sent = client
        .sender
        .send_request(post("/v2/models/silent/infer", "{}"));
    let seen = rig.peer.seen.clone();
    let sent = tokio::spawn(sent);
    eventually("the request arrives", || {
        seen.inferences.load(Ordering::SeqCst) == 1
    })
    .await;
    let sealed = rig.proxy.drain(Duration::from_millis(50)).await;
    assert!(sent.await.unwrap().is_err());
    assert_eq!((sealed.requests(), sealed.in_flight), (1, 0), "{sealed:?}");
}

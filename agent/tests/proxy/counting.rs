//! Sent is counted: under concurrency, over both protocols, with applications that leave.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use binnacle_agent::{
    proxy::tap::{Origin, Tap},
    window::{MAX_SERIES, OTHER, Outcome, Sealed},
};
use open_inference::proto::ModelInferRequest;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{Client, Rig, count_of, eventually, words};

const APPLICATIONS: usize = 12;
const REQUESTS: usize = 150;

/// Seals as fast as it can while `traffic` runs, as a hub would see it.
async fn sealed_during(rig: &Rig, traffic: impl Future<Output = ()> + Send + 'static) -> Sealed {
    let over = Arc::new(AtomicBool::new(false));
    let flag = over.clone();
    let traffic = tokio::spawn(async move {
        traffic.await;
        flag.store(true, Ordering::SeqCst);
    });
    let mut all = Sealed::default();
    while !over.load(Ordering::SeqCst) {
        all.merge(rig.proxy.seal().await);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    traffic.await.unwrap();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sent_is_counted_over_both_protocols_while_windows_are_sealed() {
    let rig = Rig::start().await;
    rig.known.replace([("missing".into(), "1".into())]);
    let address = rig.address();
    let traffic = async move {
        let mut applications = Vec::new();
        for number in 0..APPLICATIONS {
            applications.push(tokio::spawn(async move {
                if number % 2 == 0 {
                    let mut client = Client::connect(address).await;
                    for at in 0..REQUESTS {
                        let model = ["echo", "missing", "chunks"][at % 3];
                        client.infer(model, vec![1; at * 20]).await;
                    }
                } else {
                    let mut client = crate::grpc_client(address).await;
                    for at in 0..REQUESTS {
                        let model = ["echo", "missing", "fraud"][at % 3];
                        let request = ModelInferRequest {
                            model_name: model.into(),
                            raw_input_contents: vec![vec![1; at * 20].into()],
                            ..Default::default()
                        };
                        let _ = client.model_infer(request).await;
                    }
                }
            }));
        }
        for application in applications {
            application.await.unwrap();
        }
    };
    let mut all = sealed_during(&rig, traffic).await;
    let sent = (APPLICATIONS * REQUESTS) as u64;
    all.merge(rig.counted(sent - all.requests()).await);
    assert_eq!(all.requests(), sent);
    assert_eq!(
        words(&all),
        [
            "chunks@ ok 300",
            "echo@ ok 600",
            "fraud@ ok 300",
            "missing@ client_error 600"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_that_leave_are_counted_once() {
    let rig = Rig::start().await;
    rig.known.replace([("silent".into(), "".into())]);
    const LEAVERS: usize = 40;
    let mut streams = Vec::new();
    for _ in 0..LEAVERS {
        let mut stream = TcpStream::connect(rig.address()).await.unwrap();
        let head =
            "POST /v2/models/silent/infer HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(head.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let seen = rig.peer.seen.clone();
    eventually("all arrive", || {
        seen.inferences.load(Ordering::SeqCst) == LEAVERS
    })
    .await;
    assert_eq!(rig.proxy.seal().await.in_flight, LEAVERS as u32);
    drop(streams);
    let sealed = rig.counted(LEAVERS as u64).await;
    assert_eq!(words(&sealed), [format!("silent@ client_gone {LEAVERS}")]);
}

#[tokio::test]
async fn an_application_that_vanishes_in_the_middle_of_its_body_is_gone() {
    let rig = Rig::start().await;
    rig.known.replace([("echo".into(), "".into())]);
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let head = "POST /v2/models/echo/infer HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let seen = rig.peer.seen.clone();
    eventually("the head arrives", || {
        seen.requests.load(Ordering::SeqCst) == 1
    })
    .await;
    drop(stream);
    assert_eq!(words(&rig.counted(1).await), ["echo@ client_gone 1"]);
}

#[tokio::test]
async fn an_upstream_that_vanishes_in_the_middle_of_its_answer_breaks_the_answer() {
    let rig = Rig::start().await;
    rig.known.replace([("vanish".into(), "".into())]);
    let mut client = Client::connect(rig.address()).await;
    let sent = client
        .sender
        .send_request(crate::post("/v2/models/vanish/infer", "half"));
    let answer = sent.await.unwrap();
    assert_eq!(answer.status(), 200);
    rig.peer.seen.release.notify_one();
    let whole = http_body_util::BodyExt::collect(answer.into_body()).await;
    assert!(
        whole.is_err(),
        "half an answer must not look like a whole one"
    );
    assert_eq!(words(&rig.counted(1).await), ["vanish@ upstream_refused 1"]);
}

#[tokio::test]
async fn ten_thousand_unknown_names_are_one_series() {
    let rig = Rig::start().await;
    rig.known.replace([("broken".into(), "".into())]);
    let mut client = Client::connect(rig.address()).await;
    for at in 0..10_000 {
        let request = crate::post(&format!("/v2/models/missing/versions/{at}/infer"), "{}");
        assert_eq!(client.send(request).await.status(), 404);
    }
    client.infer("broken", "{}").await;
    let sealed = rig.counted(10_001).await;
    assert_eq!(
        words(&sealed),
        ["broken@ server_error 1", "other@ client_error 10000"]
    );
    assert_eq!(sealed.series_overflow, 0);
}

#[tokio::test]
async fn names_beyond_the_limit_of_series_count_as_other_and_are_told() {
    let rig = Rig::with(|settings| settings.workers = std::num::NonZeroUsize::MIN).await;
    let mut client = Client::connect(rig.address()).await;
    let sent = MAX_SERIES + 100;
    let mut all = Sealed::default();
    for at in 0..sent {
        let request = crate::post(&format!("/v2/models/echo/versions/{at}/infer"), "{}");
        assert_eq!(client.send(request).await.status(), 200);
        if at % 500 == 0 {
            all.merge(rig.proxy.seal().await);
        }
    }
    all.merge(rig.counted(sent as u64 - all.requests()).await);
    assert_eq!(all.requests(), sent as u64);
    let other = all
        .series
        .iter()
        .find(|series| &*series.key.model == OTHER)
        .unwrap();
    assert_eq!(other.latency.count().unwrap(), 100);
    assert_eq!(all.series.len(), MAX_SERIES + 1);
    assert_eq!(all.series_overflow, 100);
}

#[tokio::test]
async fn names_are_opaque_even_with_ansi_escapes() {
    let rig = Rig::start().await;
    let mut client = Client::connect(rig.address()).await;
    client.infer("%1b%5b31mred", "{}").await;
    client.infer("a%20b%2fc", "{}").await;
    client.infer("%ff", "{}").await;
    assert_eq!(
        words(&rig.counted(3).await),
        ["\u{1b}[31mred@ ok 1", "a b/c@ ok 1", "other@ ok 1"]
    );
}

#[tokio::test]
async fn the_request_log_holds_every_request_that_was_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests.jsonl");
    let rig = Rig::with(|settings| settings.request_log = Some(path.clone())).await;
    let mut client = Client::connect(rig.address()).await;
    for at in 0..500 {
        client
            .infer(["echo", "nobody%22"][at % 2], vec![0; at])
            .await;
    }
    let sealed = rig.proxy.drain(crate::LIMIT).await;
    assert_eq!(sealed.log_lines_dropped, 0);
    let mut logged: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in std::fs::read_to_string(&path).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["t_us"].as_i64().unwrap() > 0);
        let word = |name: &str| line[name].as_str().unwrap().to_owned();
        let series = format!("{}@{} {}", word("model"), word("version"), word("outcome"));
        logged
            .entry(series)
            .or_default()
            .push(line["ns"].as_u64().unwrap());
    }
    let counted: Vec<_> = logged
        .iter()
        .map(|(key, ns)| format!("{key} {}", ns.len()))
        .collect();
    assert_eq!(words(&sealed), counted);
    for (series, ns) in sealed.series.iter().zip(logged.values()) {
        assert_eq!(series.latency.sum_ns, ns.iter().sum::<u64>());
        assert_eq!(series.latency.max_ns, *ns.iter().max().unwrap());
    }
}

#[tokio::test]
async fn the_tap_hands_on_whole_bodies_and_counts_what_it_drops() {
    let (tap, mut bodies) = Tap::new(NonZeroU32::new(2).unwrap());
    let rig = Rig::with(|settings| {
        settings.workers = std::num::NonZeroUsize::MIN;
        settings.tap = Some(tap.clone());
    })
    .await;
    let mut client = Client::connect(rig.address()).await;
    for at in 0..10usize {
        let body = vec![at as u8; 2000 * at];
        assert_eq!(client.infer("echo", body.clone()).await.body(), &body);
    }
    for at in [1usize, 3, 5, 7, 9] {
        let tapped = bodies.recv().await.unwrap();
        assert_eq!(tapped.chunks.concat(), vec![at as u8; 2000 * at]);
        let origin = Origin::Http {
            model: "echo".into(),
            version: "".into(),
            json_bytes: None,
        };
        assert_eq!(tapped.origin, origin);
    }
    for _ in 0..1000 {
        client.infer("echo", "{}").await;
    }
    let sealed = rig.counted(1010).await;
    assert_eq!(
        sealed.tap_bodies_dropped,
        500 - 256,
        "the queue takes what it can"
    );
    assert_eq!(count_of(&sealed, Outcome::Ok), 1010);
}

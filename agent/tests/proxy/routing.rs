//! Endpoints: every request reaches a version that its route names, and is told which.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use binnacle_agent::callers::Callers;
use binnacle_agent::proxy::mirror::Mirror;
use binnacle_agent::proxy::routes::{Placed, Plan, Route, Routes, VERSION_HEADER, WHOLE};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::Full;
use open_inference::proto::{
    ModelInferRequest, ModelReadyRequest, grpc_inference_service_client::GrpcInferenceServiceClient,
};
use tonic::transport::Channel;

use crate::{Client, Rig, eventually, grpc_client, post, words};

fn placed(model: &str, version: &str) -> Placed {
    Placed {
        model: model.into(),
        version: version.into(),
        upstream_model: model.into(),
        upstream_version: version.into(),
    }
}

fn plan(endpoint: &str, weights: &[(&str, u32)]) -> Plan {
    Plan {
        endpoint: endpoint.into(),
        weights: weights
            .iter()
            .map(|(version, weight)| (placed("fraud", version), *weight))
            .collect(),
        pins: vec![],
        sticky: None,
        seed: 1,
        shadows: vec![],
        keeps: false,
    }
}

fn route(endpoint: &str, weights: &[(&str, u32)]) -> Route {
    Route::new(&plan(endpoint, weights)).unwrap()
}

async fn rig(routes: impl IntoIterator<Item = Route>) -> (Rig, Routes) {
    let shared = Routes::default();
    shared.replace(routes);
    let given = shared.clone();
    (Rig::with(|settings| settings.routes = given).await, shared)
}

fn message(model: &str, bytes: usize) -> ModelInferRequest {
    ModelInferRequest {
        model_name: model.into(),
        id: "an id".into(),
        raw_input_contents: vec![vec![7; bytes].into()],
        ..Default::default()
    }
}

/// The version that an answer says it is of, which must be the one that the peer was asked for.
fn version(answer: &Response<Bytes>) -> String {
    let told = answer.headers()[VERSION_HEADER].to_str().unwrap();
    let (model, version) = told.split_once('@').unwrap();
    let asked = format!("/v2/models/{model}/versions/{version}/infer");
    assert_eq!(answer.headers()["x-peer-path"], asked);
    version.to_owned()
}

/// The same over gRPC, where the peer says in its answer what it was asked for.
async fn called(client: &mut GrpcInferenceServiceClient<Channel>, bytes: usize) -> String {
    let asked = message("pay", bytes);
    let answer = client.model_infer(asked.clone()).await.unwrap();
    let told = answer
        .metadata()
        .get(VERSION_HEADER)
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let answer = answer.into_inner();
    assert_eq!(
        told,
        format!("{}@{}", answer.model_name, answer.model_version)
    );
    assert_eq!(answer.id, asked.id);
    assert_eq!(answer.raw_output_contents, asked.raw_input_contents);
    answer.model_version
}

/// Four standard deviations around what a weight should bring.
fn assert_share(counts: &BTreeMap<String, u64>, version: &str, weight: u32) {
    let (all, of) = (counts.values().sum::<u64>() as f64, counts[version] as f64);
    let share = f64::from(weight) / f64::from(WHOLE);
    let bound = 4.0 * (all * share * (1.0 - share)).sqrt();
    assert!((of - all * share).abs() <= bound, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_spread_by_weight_and_each_answer_says_by_whom_it_was_given() {
    let (rig, _) = rig([route("pay", &[("1", 8_000), ("2", 2_000)])]).await;
    let mut counts = BTreeMap::<String, u64>::new();
    for _ in 0..4 {
        let mut client = Client::connect(rig.address()).await;
        let mut calls = grpc_client(rig.address()).await;
        for at in 0..250 {
            *counts
                .entry(version(&client.infer("pay", "{}").await))
                .or_default() += 1;
            *counts
                .entry(called(&mut calls, at * 100).await)
                .or_default() += 1;
        }
    }
    assert_share(&counts, "2", 2_000);
    assert_eq!(
        words(&rig.counted(2_000).await),
        [
            format!("pay: fraud@1 ok {}", counts["1"]),
            format!("pay: fraud@2 ok {}", counts["2"]),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_of_a_stream_is_routed_by_itself() {
    let (rig, _) = rig([route("pay", &[("1", 5_000), ("2", 5_000)])]).await;
    let mut client = grpc_client(rig.address()).await;
    let names = ["pay", "other-model"];
    let messages: Vec<_> = (0..1_000).map(|at| message(names[at % 2], at)).collect();
    let answers = client
        .model_stream_infer(stream::iter(messages))
        .await
        .unwrap();
    let mut counts = BTreeMap::<String, u64>::new();
    let answers: Vec<_> = answers.into_inner().collect().await;
    for (at, answer) in answers.into_iter().enumerate() {
        let answer = answer.unwrap().infer_response.unwrap();
        assert_eq!(answer.raw_output_contents[0].len(), at);
        if at % 2 == 0 {
            assert_eq!(answer.model_name, "fraud");
            *counts.entry(answer.model_version).or_default() += 1;
        } else {
            assert_eq!(
                (&*answer.model_name, &*answer.model_version),
                ("other-model", "")
            );
        }
    }
    assert_share(&counts, "2", 5_000);
    assert_eq!(
        words(&rig.counted(1_000).await),
        [
            "other-model@ ok 500".to_owned(),
            format!("pay: fraud@1 ok {}", counts["1"]),
            format!("pay: fraud@2 ok {}", counts["2"]),
        ]
    );
}

/// What applications do while routes change: each request must be answered by the version that
/// was routed to when it began, or by a later one.
async fn never_behind(address: std::net::SocketAddr, now: Arc<AtomicU64>, over: Arc<AtomicBool>) {
    let mut client = Client::connect(address).await;
    let mut calls = grpc_client(address).await;
    while !over.load(Ordering::SeqCst) {
        let floor = now.load(Ordering::SeqCst);
        let over_http: u64 = version(&client.infer("pay", vec![1; 300]).await)
            .parse()
            .unwrap();
        assert!(over_http >= floor, "{over_http} after {floor}");
        let floor = now.load(Ordering::SeqCst);
        let over_grpc: u64 = called(&mut calls, 300).await.parse().unwrap();
        assert!(over_grpc >= floor, "{over_grpc} after {floor}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_or_goes_astray_while_routes_are_swapped() {
    const SWAPS: u64 = 400;
    let (rig, routes) = rig([route("pay", &[("1", WHOLE)])]).await;
    let (now, over) = (
        Arc::new(AtomicU64::new(1)),
        Arc::new(AtomicBool::new(false)),
    );
    let applications: Vec<_> = (0..6)
        .map(|_| tokio::spawn(never_behind(rig.address(), now.clone(), over.clone())))
        .collect();
    for next in 2..=SWAPS {
        routes.replace([route("pay", &[(&next.to_string(), WHOLE)])]);
        now.store(next, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    over.store(true, Ordering::SeqCst);
    for application in applications {
        application.await.unwrap();
    }
    let sealed = rig.counted(1).await;
    let counted = sealed.requests() as usize;
    assert_eq!(rig.peer.seen.inferences.load(Ordering::SeqCst), counted);
    assert!(
        sealed
            .series
            .iter()
            .all(|series| &*series.key.endpoint == "pay")
    );
}

#[tokio::test]
async fn pins_and_sticky_values_lead_to_one_version_over_both_protocols() {
    let mut plan = plan("pay", &[("1", 5_000), ("2", 5_000)]);
    plan.pins = vec![("x-arm".into(), "b".into(), placed("fraud", "3"))];
    plan.sticky = Some("x-user".into());
    let (rig, _) = rig([Route::new(&plan).unwrap()]).await;
    let mut client = Client::connect(rig.address()).await;
    let mut calls = grpc_client(rig.address()).await;
    let mut seen = BTreeMap::<String, u64>::new();
    for user in 0..60 {
        let user = format!("user-{user}");
        let mut asked = post("/v2/models/pay/infer", "{}");
        asked.headers_mut().insert("X-User", user.parse().unwrap());
        let over_http = version(&client.send(asked.clone()).await);
        let mut call = tonic::Request::new(message("pay", 10));
        call.metadata_mut().insert("x-user", user.parse().unwrap());
        let over_grpc = calls
            .model_infer(call)
            .await
            .unwrap()
            .into_inner()
            .model_version;
        assert_eq!(over_http, over_grpc, "{user}");
        *seen.entry(over_http).or_default() += 1;
        asked.headers_mut().insert("x-arm", "b".parse().unwrap());
        assert_eq!(version(&client.send(asked).await), "3");
    }
    assert!(seen["1"] > 10 && seen["2"] > 10, "{seen:?}");
}

#[tokio::test]
async fn what_names_no_endpoint_is_forwarded_as_it_is() {
    let (rig, _) = rig([route("pay", &[("2", WHOLE)])]).await;
    let mut client = Client::connect(rig.address()).await;
    for path in [
        "/v2/models/fraud/infer",
        "/v2/models/pay/versions/9/infer",
        "/v2/models/pa%79s/infer",
        "/v2/models/pay/stats",
    ] {
        let answer = client.send(post(path, "{}")).await;
        assert_eq!(answer.headers()["x-peer-path"], path);
        assert!(!answer.headers().contains_key(VERSION_HEADER), "{path}");
    }
    let mut calls = grpc_client(rig.address()).await;
    for (model, version) in [("fraud", ""), ("pay", "9")] {
        let mut asked = message(model, 100_000);
        asked.model_version = version.into();
        let answer = calls.model_infer(asked).await.unwrap();
        assert!(answer.metadata().get(VERSION_HEADER).is_none());
        let answer = answer.into_inner();
        assert_eq!(
            (&*answer.model_name, &*answer.model_version),
            (model, version)
        );
    }
    let counted = rig.counted(5).await;
    assert!(
        counted
            .series
            .iter()
            .all(|series| series.key.endpoint.is_empty())
    );
}

#[tokio::test]
async fn an_endpoint_keeps_its_query_and_answers_for_itself() {
    let (rig, _) = rig([route("pay", &[("1", 3_000), ("2", 7_000)])]).await;
    let mut client = Client::connect(rig.address()).await;
    let get = |path: &str| {
        let request = Request::get(path).header("host", "models.example");
        request.body(Full::new(Bytes::new())).unwrap()
    };
    let encoded = client
        .send(post("/v2/models/p%61y/infer?trace=1", "{}"))
        .await;
    version(&encoded);
    let query = rig.peer.seen.query.lock().unwrap().clone();
    assert_eq!(query.as_deref(), Some("trace=1"));
    for (path, at) in [
        ("/v2/models/pay", "/v2/models/fraud/versions/2"),
        ("/v2/models/pay/ready", "/v2/models/fraud/versions/2/ready"),
    ] {
        assert_eq!(client.send(get(path)).await.headers()["x-peer-path"], at);
    }
    let mut calls = grpc_client(rig.address()).await;
    let asked = ModelReadyRequest {
        name: "pay".into(),
        version: String::new(),
    };
    assert!(calls.model_ready(asked).await.unwrap().into_inner().ready);
    rig.counted(1).await;
}

#[tokio::test]
async fn a_request_ends_where_it_began_and_is_seen_until_then() {
    let mut plan = plan("pay", &[]);
    plan.weights = vec![(placed("held", "1"), WHOLE)];
    let (rig, routes) = rig([Route::new(&plan).unwrap()]).await;
    let leg = routes.of("pay").unwrap().legs().next().unwrap();
    let mut client = Client::connect(rig.address()).await;
    let request = tokio::spawn(async move { client.infer("pay", "{}").await });
    let seen = rig.peer.seen.clone();
    eventually("it arrives", || seen.inferences.load(Ordering::SeqCst) == 1).await;
    routes.replace([route("pay", &[("2", WHOLE)])]);
    let mut other = Client::connect(rig.address()).await;
    assert_eq!(version(&other.infer("pay", "{}").await), "2");
    assert!(leg.upgrade().is_some(), "a request is on it");
    seen.release.notify_one();
    let answer = request.await.unwrap();
    assert_eq!(answer.headers()[VERSION_HEADER], "held@1");
    eventually("nobody holds it", || leg.upgrade().is_none()).await;
    assert_eq!(
        words(&rig.counted(2).await),
        ["pay: fraud@2 ok 1", "pay: held@1 ok 1"]
    );
}

#[tokio::test]
async fn a_message_that_would_swallow_its_route_is_refused() {
    use http_body_util::BodyExt;
    let (rig, _) = rig([route("pay", &[("2", WHOLE)])]).await;
    let stream = tokio::net::TcpStream::connect(rig.address()).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(connection);
    // The model's name, and a tensor that says to be twelve bytes long and is of two.
    let body = [&[0, 0, 0, 0, 9][..], b"\x0a\x03pay\x3a\x0c\x01\x02"].concat();
    let uri = format!(
        "http://{}/inference.GRPCInferenceService/ModelInfer",
        rig.address()
    );
    let request = Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "3");
    answer.into_body().collect().await.unwrap();
    assert_eq!(rig.peer.seen.inferences.load(Ordering::SeqCst), 0);
    assert_eq!(
        words(&rig.counted(1).await),
        ["pay: fraud@2 client_error 1"]
    );
}

#[tokio::test]
async fn callers_are_told_apart_by_a_header_or_by_where_they_call_from() {
    let (callers, given) = (Callers::default(), Routes::default());
    given.replace([route("pay", &[("1", WHOLE)])]);
    let (shared, routes) = (callers.clone(), given.clone());
    let rig = Rig::with(move |settings| {
        settings.routes = routes;
        settings.callers = Some(shared);
        settings.caller_header = Some("x-caller".into());
    })
    .await;
    let mut client = Client::connect(rig.address()).await;
    for caller in ["shop", "app", "shop"] {
        let mut request = post("/v2/models/pay/infer", "{}");
        let value = caller.parse().unwrap();
        request.headers_mut().insert("x-caller", value);
        client.send(request).await;
    }
    client.infer("pay", "{}").await;
    client.infer("other-model", "{}").await;
    let mut calls = grpc_client(rig.address()).await;
    let mut call = tonic::Request::new(message("pay", 10));
    let value = "batch".parse().unwrap();
    call.metadata_mut().insert("x-caller", value);
    calls.model_infer(call).await.unwrap();
    let mut told = BTreeMap::<String, u64>::new();
    eventually("workers tell, once a second", || {
        for ((endpoint, caller), calls) in callers.take() {
            assert_eq!(&*endpoint, "pay");
            *told.entry(caller.into()).or_default() += calls.requests;
        }
        told.values().sum::<u64>() == 5
    })
    .await;
    let expected = [("127.0.0.1", 1), ("app", 1), ("batch", 1), ("shop", 2)];
    assert_eq!(
        told,
        expected
            .map(|(name, calls)| (name.to_owned(), calls))
            .into()
    );
}

#[tokio::test]
async fn some_answers_of_each_version_are_copied_to_be_looked_at_and_nothing_else_is() {
    let (mirror, mut copies) = Mirror::new(None);
    let given = Routes::default();
    given.replace([route("pay", &[("1", WHOLE)])]);
    let rig = Rig::with(move |settings| {
        settings.routes = given;
        settings.mirror = Some(mirror);
    })
    .await;
    let mut client = Client::connect(rig.address()).await;
    let answer = client.infer("pay", r#"{"inputs":[]}"#).await;
    let copied = copies.recv().await.unwrap();
    assert!(copied.look && !copied.keep && copied.shadows.is_empty());
    assert_eq!(copied.answer, answer.body().to_vec());
    assert!(copied.request.is_empty(), "nobody needs it");
    client.infer("other-model", "{}").await;
    rig.counted(2).await;
    assert!(copies.try_recv().is_err(), "what has no route is nobody's");
}

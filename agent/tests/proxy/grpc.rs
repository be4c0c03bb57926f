//! gRPC through the proxy, with a client and a server that know nothing of it.

use std::{sync::atomic::Ordering, time::Duration};

use futures::{StreamExt, stream};
use open_inference::proto::{
    ModelInferRequest, ModelMetadataRequest, ServerLiveRequest,
    grpc_inference_service_client::GrpcInferenceServiceClient,
};
use tonic::{Code, transport::Channel};

use crate::{Client, Rig, eventually, words};

async fn client(rig: &Rig) -> GrpcInferenceServiceClient<Channel> {
    crate::grpc_client(rig.address()).await
}

fn request(model: &str, version: &str, bytes: usize) -> ModelInferRequest {
    ModelInferRequest {
        model_name: model.into(),
        model_version: version.into(),
        id: "an id".into(),
        raw_input_contents: vec![vec![7; bytes].into()],
        ..Default::default()
    }
}

#[tokio::test]
async fn calls_pass_unchanged_and_are_counted_by_the_names_in_them() {
    let rig = Rig::start().await;
    let mut client = client(&rig).await;
    for size in [0, 100, 100_000, 3_000_000] {
        let asked = request("fraud", "7", size);
        let answer = client
            .model_infer(asked.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answer.raw_output_contents, asked.raw_input_contents);
        assert_eq!(
            (answer.model_name, answer.model_version),
            ("fraud".into(), "7".into())
        );
    }
    client.server_live(ServerLiveRequest {}).await.unwrap();
    let refused = client
        .model_metadata(ModelMetadataRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    let sealed = rig.counted(4).await;
    assert_eq!(words(&sealed), ["fraud@7 ok 4"]);
    assert!(sealed.series[0].request_bytes > 3_100_000);
    assert!(sealed.series[0].response_bytes > 3_100_000);
}

#[tokio::test]
async fn a_status_is_an_outcome() {
    let rig = Rig::start().await;
    let known = ["missing", "broken"].map(|model| (model.into(), "1".into()));
    rig.known.replace(known);
    let mut client = client(&rig).await;
    let missing = client
        .model_infer(request("missing", "1", 1))
        .await
        .unwrap_err();
    assert_eq!(
        (missing.code(), missing.message()),
        (Code::NotFound, "no such model")
    );
    let broken = client
        .model_infer(request("broken", "1", 1))
        .await
        .unwrap_err();
    assert_eq!(broken.code(), Code::Internal);
    client
        .model_infer(request("never heard of", "1", 1))
        .await
        .unwrap();
    assert_eq!(
        words(&rig.counted(3).await),
        [
            "broken@1 server_error 1",
            "missing@1 client_error 1",
            "never heard of@1 ok 1"
        ]
    );
}

#[tokio::test]
async fn a_dead_upstream_is_unavailable_and_counted_by_name() {
    let rig = Rig::start().await;
    rig.known.replace([("fraud".into(), "7".into())]);
    let mut client = client(&rig).await;
    client.model_infer(request("fraud", "7", 1)).await.unwrap();
    let Rig { peer, proxy, .. } = rig;
    peer.hang_up();
    peer.die().await;
    for _ in 0..3 {
        let refused = client
            .model_infer(request("fraud", "7", 1))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert!(
            refused.message().contains("refuses connections"),
            "{refused}"
        );
    }
    let sealed = crate::counted(&proxy, 4).await;
    assert_eq!(
        words(&sealed),
        ["fraud@7 ok 1", "fraud@7 upstream_refused 3"]
    );
}

#[tokio::test]
async fn a_silent_upstream_is_deadline_exceeded() {
    let rig = Rig::with(|settings| settings.upstream_timeout = Duration::from_millis(200)).await;
    rig.known.replace([("silent".into(), "".into())]);
    let mut client = client(&rig).await;
    let refused = client
        .model_infer(request("silent", "", 1))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::DeadlineExceeded);
    assert_eq!(words(&rig.counted(1).await), ["silent@ timed_out 1"]);
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_as_gone() {
    let rig = Rig::start().await;
    rig.known.replace([("silent".into(), "".into())]);
    let mut client = client(&rig).await;
    let call = tokio::spawn(async move { client.model_infer(request("silent", "", 1)).await });
    let seen = rig.peer.seen.clone();
    eventually("the call arrives", || {
        seen.inferences.load(Ordering::SeqCst) == 1
    })
    .await;
    call.abort();
    assert_eq!(words(&rig.counted(1).await), ["silent@ client_gone 1"]);
}

#[tokio::test]
async fn each_message_of_a_stream_is_a_request() {
    let rig = Rig::start().await;
    rig.known.replace([("missing".into(), "".into())]);
    let mut client = client(&rig).await;
    let models = ["fraud", "missing", "churn"];
    let messages: Vec<_> = (0..300)
        .map(|at| request(models[at % 3], "", at * 10))
        .collect();
    let answers = client
        .model_stream_infer(stream::iter(messages))
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<_> = answers.collect().await;
    assert_eq!(answers.len(), 300);
    let failed = |answer: &Result<_, _>| {
        let answer: &open_inference::proto::ModelStreamInferResponse = answer.as_ref().unwrap();
        !answer.error_message.is_empty()
    };
    assert_eq!(answers.iter().filter(|answer| failed(answer)).count(), 100);
    assert_eq!(
        words(&rig.counted(300).await),
        [
            "churn@ ok 100",
            "fraud@ ok 100",
            "missing@ server_error 100"
        ]
    );
}

#[tokio::test]
async fn messages_of_a_stream_that_breaks_off_are_all_counted() {
    let rig = Rig::start().await;
    rig.known
        .replace([("silent".into(), "".into()), ("fraud".into(), "".into())]);
    let (address, seen) = (rig.address(), rig.peer.seen.clone());
    // A runtime of its own, so that everything of the application ends with it.
    let application = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut client = crate::grpc_client(address).await;
            let messages = ["fraud", "fraud", "silent", "fraud"].map(|m| request(m, "", 10));
            let open = stream::iter(messages).chain(stream::pending());
            let mut answers = client.model_stream_infer(open).await.unwrap().into_inner();
            answers.next().await.unwrap().unwrap();
            answers.next().await.unwrap().unwrap();
            let third = || seen.inferences.load(Ordering::SeqCst) == 3;
            eventually("the third arrives", third).await;
        });
    });
    tokio::task::spawn_blocking(|| application.join())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        words(&rig.counted(4).await),
        [
            "fraud@ ok 2",
            "fraud@ client_gone 1",
            "silent@ client_gone 1"
        ]
    );
}

#[tokio::test]
async fn plain_http_over_h2_reaches_a_server_of_http_1() {
    let rig = Rig::start().await;
    let stream = tokio::net::TcpStream::connect(rig.address()).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let uri = format!("http://{}/v2/models/echo/infer", rig.address());
    let answer = sender.send_request(crate::post(&uri, "{}")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-peer"], "yes");
    drop(answer);
    let mut plain = Client::connect(rig.address()).await;
    plain.infer("echo", "{}").await;
    eventually("both", || {
        rig.peer.seen.inferences.load(Ordering::SeqCst) == 2
    })
    .await;
    rig.counted(2).await;
}

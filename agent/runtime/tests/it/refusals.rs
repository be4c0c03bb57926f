//! Bad input: every refusal says what was expected and what came, and costs no memory.

use http::Method;
use open_inference::proto;
use serde_json::{Value, json};
use tonic::Code;

use crate::client::{self, Folder, Http};

const INFER: &str = "/v2/models/wine/infer";

fn body(name: &str, shape: &Value, datatype: &str, data: &Value) -> String {
    let input = json!({ "name": name, "shape": shape, "datatype": datatype, "data": data });
    json!({ "inputs": [input] }).to_string()
}

#[tokio::test]
async fn wrong_tensors_are_answered_400_naming_the_tensor_what_was_expected_and_what_came() {
    let server = client::start(&client::demo()).await;
    let mut http = Http::to(server.http()).await;
    let check = async |http: &mut Http, body: String, tensor: &str, expected: &str, got: &str| {
        let answer = http.post(INFER, body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        let error = answer.json();
        assert_eq!(
            error["error"],
            format!("tensor `{tensor}`: expected {expected}, got {got}")
        );
        assert_eq!(error["tensor"], tensor);
        assert_eq!(error["expected"], expected);
        assert_eq!(error["got"], got);
    };
    let shape = json!([1, 2]);
    let wrong_shape = body("features", &shape, "FP32", &json!([1, 2]));
    check(
        &mut http,
        wrong_shape,
        "features",
        "FP32 [-1, 13]",
        "FP32 [1, 2]",
    )
    .await;
    let wrong_type = body(
        "features",
        &json!([1, 13]),
        "FP64",
        &json!([0; 13].as_slice()),
    );
    check(
        &mut http,
        wrong_type,
        "features",
        "FP32 [-1, 13]",
        "FP64 [1, 13]",
    )
    .await;
    let wrong_name = body("x", &json!([1, 13]), "FP32", &json!([0; 13].as_slice()));
    check(
        &mut http,
        wrong_name,
        "x",
        "one of the inputs `features`",
        "no such input",
    )
    .await;
    let wrong_value = body("features", &json!([1, 2]), "FP32", &json!([1, "a"]));
    check(
        &mut http,
        wrong_value,
        "features",
        "FP32 at index 1",
        "the text `a`",
    )
    .await;
    let none = json!({ "inputs": [] }).to_string();
    check(&mut http, none, "features", "FP32 [-1, 13]", "nothing").await;
    server.stop().await;
}

#[tokio::test]
async fn malformed_requests_are_answered_with_json_and_the_connection_stays() {
    let server = client::start(&client::demo()).await;
    let mut http = Http::to(server.http()).await;
    let check = async |http: &mut Http, method, path: &str, body: &'static str, status: u16| {
        let answer = http.send(client::request(method, path, body.into())).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text());
        assert!(answer.json()["error"].is_string(), "{}", answer.text());
    };
    check(&mut http, Method::POST, INFER, "", 400).await;
    check(&mut http, Method::POST, INFER, "{\"inputs\":", 400).await;
    check(&mut http, Method::POST, INFER, "\u{1b}[2J", 400).await;
    check(&mut http, Method::GET, INFER, "", 405).await;
    check(&mut http, Method::POST, "/v2/models/none/infer", "{}", 404).await;
    check(
        &mut http,
        Method::POST,
        "/v2/models/wine/versions/3/infer",
        "{}",
        404,
    )
    .await;
    check(
        &mut http,
        Method::POST,
        "/v2/models/wine/versions/..%2f1/infer",
        "{}",
        404,
    )
    .await;
    check(&mut http, Method::GET, "/v2/models/none", "", 404).await;
    check(&mut http, Method::GET, "/v2/models/none/ready", "", 404).await;
    check(&mut http, Method::GET, "/v1", "", 404).await;
    check(
        &mut http,
        Method::POST,
        "/v2/repository/models/none/load",
        "",
        404,
    )
    .await;
    check(
        &mut http,
        Method::POST,
        "/v2/repository/models/..%2fwine/load",
        "",
        404,
    )
    .await;
    let config = r#"{"parameters":{"config":"{}"}}"#;
    check(
        &mut http,
        Method::POST,
        "/v2/repository/models/wine/load",
        config,
        400,
    )
    .await;
    let version = r#"{"parameters":{"version":"one"}}"#;
    check(
        &mut http,
        Method::POST,
        "/v2/repository/models/wine/load",
        version,
        400,
    )
    .await;
    assert_eq!(http.get("/v2/health/ready").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_unread() {
    let server = client::start(&client::demo()).await;
    let mut http = Http::to(server.http()).await;
    let large = vec![b' '; binnacle_runtime::BODY_MAX_BYTES + 1];
    let answer = http.post(INFER, large).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    server.stop().await;
}

#[tokio::test]
async fn ten_thousand_unknown_models_add_not_one_series() {
    let server = client::start(&client::demo()).await;
    let mut http = Http::to(server.http()).await;
    let series = async |http: &mut Http| {
        let exposition = http.get("/metrics").await;
        exposition
            .text()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count()
    };
    let before = series(&mut http).await;
    for number in 0..10_000 {
        let path = format!("/v2/models/unknown-{number}/infer");
        assert_eq!(http.post(&path, "{}").await.status, 404);
    }
    assert_eq!(series(&mut http).await, before);
    let exposition = http.get("/metrics").await;
    let counted = "binnacle_runtime_unserved_requests_total 10000\n";
    assert!(exposition.text().contains(counted), "{}", exposition.text());
    server.stop().await;
}

#[tokio::test]
async fn grpc_refuses_with_the_code_and_the_words_that_http_uses() {
    let server = client::start(&client::demo()).await;
    let mut grpc = client::grpc(server.grpc()).await;
    let message = |model: &str, input: &str| proto::ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![proto::model_infer_request::InferInputTensor {
            name: input.to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, 2],
            contents: Some(proto::InferTensorContents {
                fp32_contents: vec![1.0, 2.0],
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    };
    let refused = grpc
        .model_infer(message("wine", "features"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let expected = "tensor `features`: expected FP32 [-1, 13], got FP32 [1, 2]";
    assert_eq!(refused.message(), expected);
    let unknown = grpc
        .model_infer(message("none", "features"))
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    // In a stream a refusal ends its request, not the stream.
    let both = [message("wine", "features"), message("none", "features")];
    let asked = tokio_stream::iter(both);
    let mut answers = grpc.model_stream_infer(asked).await.unwrap().into_inner();
    assert_eq!(
        answers.message().await.unwrap().unwrap().error_message,
        expected
    );
    let second = answers.message().await.unwrap().unwrap();
    assert_eq!(second.error_message, "no model `none` in the repository");
    assert!(answers.message().await.unwrap().is_none());
    server.stop().await;
}

#[tokio::test]
async fn a_model_that_fails_on_tensors_that_fit_it_is_answered_500_and_serves_on() {
    let folder = Folder::empty();
    folder.put("halves", "1", &client::small("halves.onnx"));
    let server = client::start(folder.path()).await;
    let mut http = Http::to(server.http()).await;
    let path = "/v2/models/halves/infer";
    let failed = http
        .post(path, body("x", &json!([2]), "FP32", &json!([1, 2])))
        .await;
    assert_eq!(failed.status, 500, "{}", failed.text());
    assert!(
        failed.json()["error"]
            .as_str()
            .unwrap()
            .starts_with("model `halves`, version 1: ")
    );
    let answered = http
        .post(path, body("x", &json!([1]), "FP32", &json!([1])))
        .await;
    assert_eq!(answered.status, 200, "{}", answered.text());
    let exposition = http.get("/metrics").await;
    for (outcome, count) in [("ok", 1), ("failed", 1), ("refused", 0)] {
        let line = format!(
            "binnacle_runtime_inference_requests_total\
             {{model=\"halves\",version=\"1\",outcome=\"{outcome}\"}} {count}\n"
        );
        assert!(
            exposition.text().contains(&line),
            "{line}{}",
            exposition.text()
        );
    }
    server.stop().await;
}

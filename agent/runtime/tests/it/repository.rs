//! Versions come and go one at a time, and only those that answer are ready.

use binnacle_runtime::server::Loading;
use open_inference::proto;
use serde_json::{Value, json};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::client::{self, Folder, Http};

fn wine() -> String {
    let data = vec![0; 13];
    let input = json!({ "name": "features", "shape": [1, 13], "datatype": "FP32", "data": data });
    json!({ "inputs": [input] }).to_string()
}

/// The version that answers an unversioned request.
async fn answering(http: &mut Http) -> String {
    let answer = http.post("/v2/models/wine/infer", wine()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["model_version"].as_str().unwrap().to_owned()
}

async fn change(http: &mut Http, what: &str, version: &str) -> u16 {
    let path = format!("/v2/repository/models/wine/{what}");
    let parameters = json!({ "parameters": { "version": version } });
    http.post(&path, parameters.to_string())
        .await
        .status
        .as_u16()
}

async fn index(http: &mut Http) -> Vec<(String, String, String)> {
    let answer = http.post("/v2/repository/index", "").await;
    let Value::Array(lines) = answer.json() else {
        panic!("{}", answer.text())
    };
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    let lines = lines.iter().map(|line| {
        (
            text(line, "version"),
            text(line, "state"),
            text(line, "reason"),
        )
    });
    lines.collect()
}

fn wines(versions: &[&str]) -> Folder {
    let folder = Folder::empty();
    for version in versions {
        folder.put("wine", version, &client::demo().join("wine/1/model.onnx"));
    }
    folder
}

#[tokio::test]
async fn unversioned_requests_go_to_the_highest_number_that_is_ready() {
    let folder = wines(&["9", "10"]);
    let server = client::start(folder.path()).await;
    let mut http = Http::to(server.http()).await;
    assert_eq!(answering(&mut http).await, "10");
    assert_eq!(change(&mut http, "unload", "10").await, 200);
    assert_eq!(answering(&mut http).await, "9");
    let versioned = http.post("/v2/models/wine/versions/10/infer", wine()).await;
    assert_eq!(versioned.status, 404);
    let why = "model `wine`, version 10, does not serve: it was unloaded";
    assert_eq!(versioned.json()["error"], why);
    assert_eq!(change(&mut http, "load", "10").await, 200);
    assert_eq!(answering(&mut http).await, "10");
    server.stop().await;
}

#[tokio::test]
async fn one_version_is_loaded_and_unloaded_without_the_others() {
    let folder = wines(&["1", "2", "3"]);
    let server = client::start_with(folder.path(), Loading::OnRequest).await;
    let mut http = Http::to(server.http()).await;
    let states = async |http: &mut Http| {
        let lines = index(http).await;
        lines
            .into_iter()
            .map(|(version, state, _)| format!("{version} {state}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        states(&mut http).await,
        ["1 UNAVAILABLE", "2 UNAVAILABLE", "3 UNAVAILABLE"]
    );
    assert_eq!(http.get("/v2/models/wine/ready").await.status, 404);
    assert_eq!(change(&mut http, "load", "2").await, 200);
    assert_eq!(
        states(&mut http).await,
        ["1 UNAVAILABLE", "2 READY", "3 UNAVAILABLE"]
    );
    assert_eq!(
        http.get("/v2/models/wine/versions/2/ready").await.status,
        200
    );
    assert_eq!(
        http.get("/v2/models/wine/versions/3/ready").await.status,
        404
    );
    assert_eq!(change(&mut http, "load", "4").await, 404);
    // Put there after the start: found when it is asked for.
    folder.put("wine", "4", &client::demo().join("wine/2/model.onnx"));
    assert_eq!(change(&mut http, "load", "4").await, 200);
    let metadata = http.get("/v2/models/wine").await.json();
    assert_eq!(metadata["versions"], json!(["2", "4"]));
    assert_eq!(
        metadata["inputs"],
        json!([
            { "name": "features", "datatype": "FP32", "shape": [-1, 13] },
        ])
    );
    // Without a version: all of them.
    let all = http.post("/v2/repository/models/wine/unload", "").await;
    assert_eq!(all.status, 200);
    assert_eq!(http.get("/v2/models/wine/ready").await.status, 404);
    let all = http.post("/v2/repository/models/wine/load", "").await;
    assert_eq!(all.status, 200);
    assert_eq!(
        http.get("/v2/models/wine").await.json()["versions"],
        json!(["1", "2", "3", "4"])
    );
    server.stop().await;
}

#[tokio::test]
async fn a_version_that_cannot_answer_is_never_ready_and_says_why() {
    let folder = wines(&["1"]);
    folder.put("wine", "2", &client::small("make.py"));
    folder.put("wine", "3", &client::small("zipmap.onnx"));
    let server = client::start(folder.path()).await;
    let mut http = Http::to(server.http()).await;
    assert_eq!(answering(&mut http).await, "1");
    assert_eq!(http.get("/v2/health/ready").await.status, 200);
    let lines = index(&mut http).await;
    let reason = |at: usize| -> &str { &lines[at].2 };
    assert_eq!(lines[1].1, "UNAVAILABLE");
    assert!(
        reason(1).starts_with("cannot open the model: "),
        "{}",
        reason(1)
    );
    assert_eq!(lines[2].1, "UNAVAILABLE");
    let zipmap = "output `output_probability` is ";
    assert!(reason(2).starts_with(zipmap), "{}", reason(2));
    assert!(
        reason(2).ends_with("(scikit-learn: zipmap off)"),
        "{}",
        reason(2)
    );
    let asked = http.post("/v2/models/wine/versions/3/infer", wine()).await;
    assert_eq!(asked.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn nothing_ready_and_something_failed_is_a_server_that_is_not_ready() {
    let folder = Folder::empty();
    folder.put("broken", "1", &client::small("make.py"));
    let server = client::start(folder.path()).await;
    let mut http = Http::to(server.http()).await;
    assert_eq!(http.get("/v2/health/live").await.status, 200);
    assert_eq!(http.get("/v2/health/ready").await.status, 400);
    let mut grpc = client::grpc(server.grpc()).await;
    let ready = grpc
        .server_ready(proto::ServerReadyRequest {})
        .await
        .unwrap();
    assert!(!ready.into_inner().ready);
    server.stop().await;
}

#[tokio::test]
async fn a_version_loaded_again_serves_throughout_and_survives_a_broken_successor() {
    let folder = wines(&["1"]);
    let server = client::start(folder.path()).await;
    let mut http = Http::to(server.http()).await;
    let address = server.http();
    let asking = tokio::spawn(async move {
        let mut http = Http::to(address).await;
        for _ in 0..500 {
            assert_eq!(answering(&mut http).await, "1");
        }
    });
    let mut reloads = 0;
    while !asking.is_finished() {
        assert_eq!(change(&mut http, "load", "1").await, 200);
        reloads += 1;
    }
    asking.await.unwrap();
    assert!(reloads > 0);
    folder.put("wine", "1", &client::small("make.py"));
    assert_eq!(change(&mut http, "load", "1").await, 400);
    assert_eq!(answering(&mut http).await, "1");
    let lines = index(&mut http).await;
    assert_eq!(lines[0].1, "READY");
    let trouble = "serves as loaded before; loading it again: cannot open the model";
    assert!(lines[0].2.starts_with(trouble), "{}", lines[0].2);
    server.stop().await;
}

#[tokio::test]
async fn grpc_lists_loads_and_unloads_one_version_and_tells_the_standard_health() {
    let folder = wines(&["1", "2"]);
    let server = client::start(folder.path()).await;
    let mut grpc = client::grpc(server.grpc()).await;
    let version = |number: &str| {
        let choice = proto::model_repository_parameter::ParameterChoice::StringParam(number.into());
        let parameter = proto::ModelRepositoryParameter {
            parameter_choice: Some(choice),
        };
        [("version".to_owned(), parameter)].into()
    };
    let unload = proto::RepositoryModelUnloadRequest {
        model_name: "wine".to_owned(),
        parameters: version("2"),
        ..Default::default()
    };
    grpc.repository_model_unload(unload).await.unwrap();
    let asked = proto::RepositoryIndexRequest {
        ready: true,
        ..Default::default()
    };
    let ready = grpc
        .repository_index(asked.clone())
        .await
        .unwrap()
        .into_inner()
        .models;
    assert_eq!(
        ready.iter().map(|m| m.version.as_str()).collect::<Vec<_>>(),
        ["1"]
    );
    let load = proto::RepositoryModelLoadRequest {
        model_name: "wine".to_owned(),
        parameters: version("2"),
        ..Default::default()
    };
    grpc.repository_model_load(load).await.unwrap();
    assert_eq!(
        grpc.repository_index(asked)
            .await
            .unwrap()
            .into_inner()
            .models
            .len(),
        2
    );
    let named = proto::ModelReadyRequest {
        name: "wine".to_owned(),
        version: "2".to_owned(),
    };
    assert!(grpc.model_ready(named).await.unwrap().into_inner().ready);
    let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc())).unwrap();
    let channel = endpoint.connect();
    let mut health = HealthClient::new(channel.await.unwrap());
    let service = "inference.GRPCInferenceService".to_owned();
    let told = health
        .check(HealthCheckRequest { service })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told.status(), ServingStatus::Serving);
    server.stop().await;
}

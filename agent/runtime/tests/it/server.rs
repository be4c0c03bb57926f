//! The server as a whole: many at once, metrics that can be read, and a clean end.

use serde_json::json;

use crate::client::{self, Folder, Http};

fn slow() -> Folder {
    let folder = Folder::empty();
    folder.put("slow", "1", &client::small("slow.onnx"));
    folder
}

fn one() -> String {
    let input = json!({ "name": "x", "shape": [1, 1], "datatype": "FP32", "data": [0.001] });
    json!({ "inputs": [input] }).to_string()
}

#[tokio::test]
async fn a_model_that_takes_long_does_not_hold_up_the_reactor() {
    let folder = slow();
    folder.put("wine", "1", &client::demo().join("wine/1/model.onnx"));
    let server = client::start(folder.path()).await;
    let address = server.http();
    // This test has one thread: if the slow model ran on it, nothing else would be answered.
    let asking = tokio::spawn(async move {
        Http::to(address)
            .await
            .post("/v2/models/slow/infer", one())
            .await
            .status
    });
    let mut http = Http::to(address).await;
    let mut meanwhile = 0;
    while !asking.is_finished() {
        assert_eq!(http.get("/v2/health/live").await.status, 200);
        meanwhile += 1;
    }
    assert_eq!(asking.await.unwrap(), 200);
    assert!(meanwhile > 10, "{meanwhile}");
    server.stop().await;
}

#[tokio::test]
async fn requests_in_flight_are_answered_when_the_server_stops() {
    let folder = slow();
    let server = client::start(folder.path()).await;
    let address = server.http();
    let mut http = Http::to(address).await;
    let asking =
        tokio::spawn(async move { http.post("/v2/models/slow/infer", one()).await.status });
    let mut other = Http::to(address).await;
    // Seen in flight: its version waits for nothing else and has not answered.
    while other.get("/v2/health/live").await.status == 200 && !asking.is_finished() {
        let exposition = other.get("/metrics").await;
        if exposition
            .text()
            .contains("binnacle_runtime_inferences_running{")
        {
            break;
        }
    }
    server.stop().await;
    assert_eq!(asking.await.unwrap(), 200);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_metrics_are_an_exposition_that_a_scraper_can_read() {
    let server = client::start(&client::demo()).await;
    let mut http = Http::to(server.http()).await;
    let exposition = http.get("/metrics").await;
    let content_type = exposition.headers["content-type"].to_str().unwrap();
    assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"));
    let text = exposition.text();
    assert!(text.ends_with("# EOF\n"));
    let mut types = Vec::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            types.push(declared.split(' ').next().unwrap().to_owned());
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = series.split('{').next().unwrap();
            assert!(
                types.iter().any(|declared| name.starts_with(declared)),
                "{line}"
            );
        }
    }
    for name in [
        "inference_requests",
        "inference_duration_seconds",
        "version_ready",
    ] {
        assert!(
            types.contains(&format!("binnacle_runtime_{name}")),
            "{types:?}"
        );
    }
    server.stop().await;
}

//! One more agent, with a model of its own: how long it takes from its report to an answer.

use std::time::Instant;

use binnacle_proto::v1::agent_message::Body;
use binnacle_proto::v1::agents_client::AgentsClient;
use binnacle_proto::v1::telemetry_client::TelemetryClient;
use binnacle_proto::v1::{AgentMessage, Histogram, QueryRequest, Report, Series, SeriesWindow};
use binnacle_sketch::{Latency, latency};
use binnacle_tests::stranger::hello;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::PATIENCE;
use super::swarm::now_us;

/// Milliseconds from sending a report until a query counts it.
pub(crate) async fn visible(channel: &Channel, probe: usize) -> f64 {
    let boot = vec![probe as u8 + 1; 16];
    let (say, messages) = mpsc::channel(4);
    let mut greeting = hello(&format!("probe-{probe}"));
    greeting.boot_id = boot.clone().into();
    let greeting = AgentMessage {
        body: Some(Body::Hello(greeting)),
    };
    say.send(greeting).await.expect("the queue is empty");
    let dialled = AgentsClient::new(channel.clone())
        .connect(ReceiverStream::new(messages))
        .await;
    let mut hear = dialled.expect("the hub takes another agent").into_inner();
    hear.message().await.expect("the hub welcomes it");

    let (model, now_us) = (format!("probe-{probe}"), now_us());
    let report = report(&boot, &model, now_us);
    let mut client = TelemetryClient::new(channel.clone());
    let sent = Instant::now();
    say.send(AgentMessage {
        body: Some(Body::Report(report)),
    })
    .await
    .expect("it listens");
    loop {
        let question = QueryRequest {
            model: model.clone(),
            from_us: now_us - 5_000_000,
            to_us: now_us + 1_000_000,
            ..QueryRequest::default()
        };
        let answer = client
            .query(question)
            .await
            .expect("the hub answers")
            .into_inner();
        if !answer.points.is_empty() {
            return sent.elapsed().as_secs_f64() * 1_000.0;
        }
        assert!(sent.elapsed() < PATIENCE, "{model} is never counted");
    }
}

/// One request, in the second that has just ended.
fn report(boot: &[u8], model: &str, now_us: i64) -> Report {
    let mut latency = Latency::<u64>::default();
    latency.record(1_000_000);
    let encoded = latency.encode();
    let window = SeriesWindow {
        series: Some(Series {
            model: model.to_owned(),
            ..Series::default()
        }),
        latency: Some(Histogram {
            layout: latency::LAYOUT,
            counts: encoded.counts.into(),
            sum_ns: encoded.sum_ns,
            min_ns: encoded.min_ns,
            max_ns: encoded.max_ns,
        }),
        ..SeriesWindow::default()
    };
    Report {
        boot_id: boot.to_vec().into(),
        first_sequence: 1,
        last_sequence: 1,
        start_us: now_us - 1_000_000,
        span_ms: 1_000,
        series: vec![window],
        sent_at_us: now_us,
        ..Report::default()
    }
}

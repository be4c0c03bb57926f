//! Strangers in number: hosts that greet a hub and report each second, until they are dropped.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use binnacle_proto::v1::agent_message::Body;
use binnacle_proto::v1::agents_client::AgentsClient;
use binnacle_proto::v1::{
    AgentMessage, Hello, Histogram, HubMessage, Outcome, Report, Series, SeriesWindow,
};
use binnacle_sketch::Latency;
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::stranger::{connect, hello};

/// Between two reports of a host.
const EVERY: Duration = Duration::from_secs(1);
/// Streams that share a connection: fewer than a server allows by itself.
const SHARED: usize = 100;
/// Hosts that greet at the same time.
const GREETING: usize = 200;
/// Messages of a host on their way: an hour of windows that waited, and some more.
const QUEUE: usize = 256;

/// What a host says in each second of its life, from the 0th on, at a time in microseconds
/// since 1970. Boot and sequences are filled in.
pub type Says = Arc<dyn Fn(&str, u64, i64) -> Vec<Report> + Send + Sync>;

/// Hosts that report.
pub struct Crowd {
    // Dropped, it ends every stream.
    _runtime: tokio::runtime::Runtime,
}

impl Crowd {
    /// Has these hosts greet a hub (`unix:PATH`) and say something each second. Comes back
    /// once all are welcome.
    #[track_caller]
    pub fn start(hub: &str, hosts: Vec<String>, says: Says) -> Self {
        let path = hub.strip_prefix("unix:");
        let path = PathBuf::from(path.expect("hubs of tests are unix sockets"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut channels = Vec::new();
            for _ in 0..hosts.len().div_ceil(SHARED) {
                channels.push(connect(path.clone()).await);
            }
            let greetings = hosts.into_iter().enumerate().map(|(number, host)| {
                let channel = channels[number / SHARED].clone();
                greet(channel, host, says.clone())
            });
            let mut greetings = futures::stream::iter(greetings).buffer_unordered(GREETING);
            while greetings.next().await.is_some() {}
        });
        Self { _runtime: runtime }
    }
}

async fn greet(channel: Channel, host: String, says: Says) {
    let (say, messages) = mpsc::channel(QUEUE);
    let greeting: Hello = hello(&host);
    let boot = greeting.boot_id.clone();
    let greeting = AgentMessage {
        body: Some(Body::Hello(greeting)),
    };
    say.send(greeting).await.expect("the queue is empty");
    let stream = ReceiverStream::new(messages);
    let mut hear = AgentsClient::new(channel)
        .connect(stream)
        .await
        .unwrap()
        .into_inner();
    hear.message().await.expect("the hub welcomes it");
    tokio::spawn(listen(hear));
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(EVERY);
        let mut sequence = 0;
        for second in 0.. {
            beat.tick().await;
            for report in says(&host, second, now_us()) {
                sequence += 1;
                let report = Report {
                    boot_id: boot.clone(),
                    first_sequence: sequence,
                    last_sequence: sequence,
                    ..report
                };
                let body = Some(Body::Report(report));
                if say.send(AgentMessage { body }).await.is_err() {
                    return;
                }
            }
        }
    });
}

/// Hears the hub out: what is not read would hold it up.
async fn listen(mut hear: Streaming<HubMessage>) {
    while let Ok(Some(_)) = hear.message().await {}
}

/// Requests to one version of a model that took so many milliseconds: pairs of how many, and
/// how long.
pub fn requests(model: &str, version: &str, took_ms: &[(u64, f64)]) -> SeriesWindow {
    let mut latency = Latency::<u64>::default();
    for &(count, ms) in took_ms {
        (0..count).for_each(|_| latency.record((ms * 1e6) as u64));
    }
    let encoded = latency.encode();
    SeriesWindow {
        series: Some(Series {
            model: model.to_owned(),
            version: version.to_owned(),
            outcome: Outcome::Ok.into(),
            ..Series::default()
        }),
        latency: Some(Histogram {
            layout: binnacle_sketch::latency::LAYOUT,
            counts: encoded.counts.into(),
            sum_ns: encoded.sum_ns,
            min_ns: encoded.min_ns,
            max_ns: encoded.max_ns,
        }),
        request_bytes: 1,
        response_bytes: 1,
    }
}

/// A report of the second that has just ended.
pub fn live(now_us: i64, series: Vec<SeriesWindow>) -> Report {
    Report {
        sent_at_us: now_us,
        ..waited(now_us - 1_000_000, 1, series)
    }
}

/// A report of so many seconds that waited for a hub.
pub fn waited(start_us: i64, span_s: u32, series: Vec<SeriesWindow>) -> Report {
    Report {
        start_us,
        span_ms: span_s * 1_000,
        series,
        ..Report::default()
    }
}

fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_micros() as i64
}

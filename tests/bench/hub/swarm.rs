//! Synthetic agents, many in one process, over the real protocol: each a connection of its
//! own, a report each second, everything kept until the hub calls it durable. What they are told
//! to serve they say they serve, at once.
//!
//! A process may open 20,000 files at most, so large swarms are several processes. Each
//! prints a line of JSON twice a second, and takes its orders, a word a line, from stdin.

use std::collections::VecDeque;
use std::io::BufRead as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use binnacle_proto::v1::agent_message::Body as ToHub;
use binnacle_proto::v1::agents_client::AgentsClient;
use binnacle_proto::v1::hub_message::Body as FromHub;
use binnacle_proto::v1::{
    AgentMessage, Assignment, Hello, Histogram, Losses, Observation, Outcome, Phase, Report,
    RouteState, Series, SeriesWindow, VersionState, Vitals,
};
use binnacle_sketch::Latency;
use bytes::Bytes;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

/// The longest wait before an agent dials again, as agents have it.
const WAIT_LONGEST_MS: u64 = 3_000;
/// The first wait.
const WAIT_FIRST_MS: u64 = 100;
/// Models of the fleet, unless said otherwise; each host serves some of them.
pub(crate) const MODELS: usize = 20;
/// Different histograms, so that merged ones grow as real ones do.
const SHAPES: usize = 64;

/// A swarm: so many agents, so many series each.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The hub's socket.
    #[arg(long)]
    pub(crate) hub: String,
    /// Number of the first agent.
    #[arg(long)]
    pub(crate) first: usize,
    /// How many.
    #[arg(long)]
    pub(crate) agents: usize,
    /// Active series of each.
    #[arg(long)]
    pub(crate) series: usize,
    /// Models of the fleet.
    #[arg(long, default_value_t = MODELS)]
    pub(crate) models: usize,
}

/// What a swarm says of itself.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Agents that the hub has welcomed, and whose streams are open.
    pub(crate) welcomed: u64,
    /// Reports made.
    pub(crate) reports: u64,
    /// Requests in them.
    pub(crate) requests: u64,
    /// Windows that are not durable.
    pub(crate) waiting: u64,
}

#[derive(Debug, Default)]
struct Counters {
    welcomed: AtomicU64,
    reports: AtomicU64,
    requests: AtomicU64,
    waiting: AtomicU64,
    order: AtomicU8,
}

/// Orders; before the first, agents are connected and say nothing.
const REPORT: u8 = 1;
const STOP: u8 = 2;
/// Each reports in one second of four: often enough to be live.
const SELDOM: u8 = 3;
const SELDOM_S: usize = 4;

struct Agent {
    args: Arc<Options>,
    number: usize,
    boot: Bytes,
    next: u64,
    kept: VecDeque<Report>,
    shapes: Arc<Vec<(Histogram, u64)>>,
    counters: Arc<Counters>,
}

/// Runs the swarm until stdin ends.
pub(crate) fn run(args: Options) -> color_eyre::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let counters = Arc::<Counters>::default();
        let (args, shapes) = (Arc::new(args), Arc::new(shapes()));
        for number in args.first..args.first + args.agents {
            let agent = Agent {
                args: args.clone(),
                number,
                boot: rand::random::<[u8; 16]>().to_vec().into(),
                next: 1,
                kept: VecDeque::new(),
                shapes: shapes.clone(),
                counters: counters.clone(),
            };
            tokio::spawn(agent.run());
        }
        let (orders, mut ordered) = mpsc::channel(4);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                let _ = orders.blocking_send(line);
            }
        });
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        loop {
            tokio::select! {
                _ = tick.tick() => println!("{}", counters.line()),
                order = ordered.recv() => match order.as_deref() {
                    Some("report") => counters.order.store(REPORT, Ordering::Relaxed),
                    Some("seldom") => counters.order.store(SELDOM, Ordering::Relaxed),
                    Some("stop") => counters.order.store(STOP, Ordering::Relaxed),
                    Some(other) => panic!("{other:?} is no order"),
                    None => return,
                },
            }
        }
    });
    Ok(())
}

impl Counters {
    fn line(&self) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tally = Tally {
            welcomed: read(&self.welcomed),
            reports: read(&self.reports),
            requests: read(&self.requests),
            waiting: read(&self.waiting),
        };
        serde_json::to_string(&tally).expect("numbers are JSON")
    }
}

impl Agent {
    async fn run(mut self) {
        let mut wait_ms = WAIT_FIRST_MS;
        loop {
            if let Some((say, hear)) = self.dial().await {
                wait_ms = WAIT_FIRST_MS;
                self.counters.welcomed.fetch_add(1, Ordering::Relaxed);
                self.talk(say, hear).await;
                self.counters.welcomed.fetch_sub(1, Ordering::Relaxed);
            }
            let wait = rand::rng().random_range(wait_ms / 2..=wait_ms);
            tokio::time::sleep(Duration::from_millis(wait)).await;
            wait_ms = (wait_ms * 2).min(WAIT_LONGEST_MS);
        }
    }

    async fn dial(
        &mut self,
    ) -> Option<(
        mpsc::Sender<AgentMessage>,
        Streaming<binnacle_proto::v1::HubMessage>,
    )> {
        let path = self.args.hub.strip_prefix("unix:").expect("a unix socket");
        let endpoint = Endpoint::from_shared(format!("unix://{path}")).ok()?;
        let channel = endpoint.connect().await.ok()?;
        let (say, messages) = mpsc::channel(16);
        let hello = Hello {
            protocol_min: binnacle_proto::PROTOCOL_MIN,
            protocol_max: binnacle_proto::PROTOCOL_MAX,
            host: format!("swarm-{:05}", self.number),
            environment: "bench".into(),
            agent_version: "0.1.0".into(),
            boot_id: self.boot.clone(),
            sent_at_us: now_us(),
            attachment: "path".into(),
            ..Hello::default()
        };
        say.send(AgentMessage {
            body: Some(ToHub::Hello(hello)),
        })
        .await
        .ok()?;
        let mut client = AgentsClient::new(channel);
        let mut hear = client
            .connect(ReceiverStream::new(messages))
            .await
            .ok()?
            .into_inner();
        let welcome = hear.message().await.ok()??;
        let Some(FromHub::Welcome(welcome)) = welcome.body else {
            return None;
        };
        for mark in welcome.watermarks {
            if mark.boot_id == self.boot {
                self.forget(mark.durable);
            }
        }
        Some((say, hear))
    }

    /// Talks until the stream ends.
    async fn talk(
        &mut self,
        say: mpsc::Sender<AgentMessage>,
        mut hear: Streaming<binnacle_proto::v1::HubMessage>,
    ) {
        for report in self.kept.clone() {
            if say.send(message(report)).await.is_err() {
                return;
            }
        }
        // Agents start at any moment of the second.
        let phase = Duration::from_micros((self.number as u64).wrapping_mul(7_919) % 1_000_000);
        let start = tokio::time::Instant::now() + phase;
        let mut tick = tokio::time::interval_at(start, Duration::from_secs(1));
        let mut second = self.number;
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    second += 1;
                    let reports = match self.counters.order.load(Ordering::Relaxed) {
                        REPORT => true,
                        SELDOM => second.is_multiple_of(SELDOM_S),
                        _ => false,
                    };
                    if reports {
                        let report = self.report();
                        if say.send(message(report)).await.is_err() {
                            return;
                        }
                    }
                }
                heard = hear.message() => match heard {
                    Ok(Some(message)) => match message.body {
                        Some(FromHub::Ack(ack)) if ack.boot_id == self.boot => {
                            self.forget(ack.durable);
                        }
                        Some(FromHub::Assignment(wanted)) => {
                            let told = say.send(obeyed(wanted)).await;
                            if told.is_err() {
                                return;
                            }
                        }
                        _ => {}
                    },
                    Ok(None) | Err(_) => return,
                },
            }
        }
    }

    fn report(&mut self) -> Report {
        let mut requests = 0;
        let series = (0..self.args.series)
            .map(|n| {
                let shape = (self.number + n * 13 + self.next as usize) % SHAPES;
                let (latency, count) = &self.shapes[shape];
                requests += count;
                SeriesWindow {
                    series: Some(Series {
                        endpoint: String::new(),
                        model: format!("model-{:02}", (self.number + n) % self.args.models),
                        version: format!("{}", n / self.args.models + 1),
                        outcome: Outcome::Ok.into(),
                    }),
                    latency: Some(latency.clone()),
                    request_bytes: 700 * count,
                    response_bytes: 170 * count,
                }
            })
            .collect();
        let now_us = now_us();
        let kept = Report {
            boot_id: self.boot.clone(),
            first_sequence: self.next,
            last_sequence: self.next,
            start_us: now_us - 1_000_000,
            span_ms: 1_000,
            series,
            in_flight: 1,
            ..Report::default()
        };
        self.next += 1;
        self.kept.push_back(kept.clone());
        self.counters.reports.fetch_add(1, Ordering::Relaxed);
        self.counters
            .requests
            .fetch_add(requests, Ordering::Relaxed);
        self.counters.waiting.fetch_add(1, Ordering::Relaxed);
        let vitals = Vitals {
            cpu_permille: 120,
            cores: 8,
            ..Vitals::default()
        };
        Report {
            vitals: Some(vitals),
            losses: Some(Losses::default()),
            sent_at_us: now_us,
            ..kept
        }
    }

    fn forget(&mut self, durable: u64) {
        while self
            .kept
            .front()
            .is_some_and(|report| report.last_sequence <= durable)
        {
            self.kept.pop_front();
            self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What an agent says that has done all that it is told: everything is warm, every route live.
fn obeyed(wanted: Assignment) -> AgentMessage {
    let versions = wanted.versions.into_iter().map(|version| VersionState {
        model: version.model,
        version: version.version,
        phase: Phase::Ready.into(),
        verified_at_us: now_us(),
        ..VersionState::default()
    });
    let routes = wanted.endpoints.into_iter().filter_map(|assigned| {
        let route = assigned.route?;
        Some(RouteState {
            endpoint: assigned.endpoint,
            revision: route.revision,
            step: route.step,
            switch_ns: 1_000,
            ..RouteState::default()
        })
    });
    let observed = Observation {
        generation: wanted.generation,
        versions: versions.collect(),
        routes: routes.collect(),
        ..Observation::default()
    };
    AgentMessage {
        body: Some(ToHub::Observation(observed)),
    }
}

fn message(report: Report) -> AgentMessage {
    AgentMessage {
        body: Some(ToHub::Report(report)),
    }
}

/// Seconds of five to fifteen requests around some milliseconds.
fn shapes() -> Vec<(Histogram, u64)> {
    let shape = |n: usize| {
        let mut latency = Latency::<u64>::default();
        let requests = 5 + n as u64 % 11;
        for request in 0..requests {
            let spread = (n as u64 * 97 + request * 31) % 1_000;
            latency.record(2_000_000 + spread * spread * 20);
        }
        let encoded = latency.encode();
        let histogram = Histogram {
            layout: binnacle_sketch::latency::LAYOUT,
            counts: encoded.counts.into(),
            sum_ns: encoded.sum_ns,
            min_ns: encoded.min_ns,
            max_ns: encoded.max_ns,
        };
        (histogram, requests)
    };
    (0..SHAPES).map(shape).collect()
}

pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the machine's clock is past 1970").as_micros() as i64
}

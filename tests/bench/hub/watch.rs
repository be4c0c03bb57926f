//! What one console that watches costs the hub: it looks at the whole fleet, follows sixty
//! hosts by the second, and draws the fleet's requests anew every five seconds.
//!
//! The hub's CPU time is taken over whole minutes with and without the console, in turn, so
//! that a busy machine weighs on both.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use binnacle_proto::v1::telemetry_client::TelemetryClient;
use binnacle_proto::v1::{GlanceRequest, QueryRequest, SubscribeRequest, View};
use tonic::transport::{Channel, Endpoint};

use super::{Plan, Swarm, address, cpu_us, now_us, start};
use crate::section;

/// Bytes in one answer, as consoles have it.
const MAX_ANSWER: usize = 64 << 20;
/// Hosts on a screen.
const HOSTS: usize = 60;
/// Whole minutes, so that each holds the work that comes once a minute.
const SPAN: Duration = Duration::from_secs(60);
/// Pairs of spans, without the console and with it.
const ROUNDS: usize = 2;

/// What the console was sent.
#[derive(Debug, Default)]
struct Heard {
    whole: AtomicU64,
    changed: AtomicU64,
    updates: AtomicU64,
    answers: AtomicU64,
}

/// Runs it, and writes its section.
pub(crate) fn run(is_quick: bool) -> color_eyre::Result<()> {
    let agents = if is_quick { 1_000 } else { 10_000 };
    let plan = Plan {
        agents,
        series: 1,
        models: 1_000,
        span: SPAN,
    };
    let folder = tempfile::tempdir()?;
    let hub = start(folder.path());
    let mut swarm = Swarm::start(&plan, &address(folder.path()));
    swarm.wait("all are welcomed", |tally| tally.welcomed == agents as u64);
    swarm.order("report");
    // A minute, so that the work of a minute is there to be done.
    std::thread::sleep(SPAN + Duration::from_secs(12));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let heard = Arc::<Heard>::default();
    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(core_percent(&hub, || std::thread::sleep(SPAN)));
        watched.push(core_percent(&hub, || {
            runtime.block_on(async {
                let console = watch(address(folder.path()), heard.clone());
                let _ended = tokio::time::timeout(SPAN, console).await;
            });
        }));
    }
    eprintln!("alone {alone:.2?} %, watched {watched:.2?} %, {heard:?}");
    assert!(
        heard.whole.load(Ordering::Relaxed) > ROUNDS as u64,
        "a glance each minute"
    );
    assert!(heard.updates.load(Ordering::Relaxed) > 30, "{heard:?}");
    let figures = table(agents, &alone, &watched);
    if is_quick {
        print!("{figures}");
        return Ok(());
    }
    section::rewrite("watch", &figures)
}

/// The hub's CPU over what happens, in percent of a core.
fn core_percent(hub: &binnacle_tests::program::Program, happens: impl FnOnce()) -> f64 {
    let (cpu, began) = (cpu_us(hub), Instant::now());
    happens();
    (cpu_us(hub) - cpu) as f64 / began.elapsed().as_micros() as f64 * 100.0
}

fn table(agents: usize, alone: &[f64], watched: &[f64]) -> String {
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let (alone, watched) = (mean(alone), mean(watched));
    let mut text = String::new();
    let mut line = |what: &str, percent: f64| {
        writeln!(text, "| {what} | {percent:.1} % |").expect("text takes everything");
    };
    line(
        &format!("{agents} agents, 1,000 models, nobody watches"),
        alone,
    );
    line("and one console watches", watched);
    line("which is, for the console", watched - alone);
    format!("\n| the hub's CPU, of one core | |\n| --- | --: |\n{text}\n")
}

/// One console.
async fn watch(hub: String, heard: Arc<Heard>) {
    let path = hub.strip_prefix("unix:").expect("a unix socket");
    let endpoint = Endpoint::from_shared(format!("unix://{path}")).expect("a path is a URI");
    let channel = endpoint.connect().await.expect("the hub listens");
    let client = TelemetryClient::new(channel).max_decoding_message_size(MAX_ANSWER);
    tokio::join!(
        look(client.clone(), &heard),
        follow(client.clone(), &heard),
        draw(client, &heard),
    );
}

async fn look(mut client: TelemetryClient<Channel>, heard: &Heard) {
    let glances = client.glance(GlanceRequest::default()).await;
    let mut glances = glances.expect("the hub answers").into_inner();
    while let Some(update) = glances.message().await.expect("the hub goes on") {
        let counter = if update.whole {
            &heard.whole
        } else {
            &heard.changed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

async fn follow(mut client: TelemetryClient<Channel>, heard: &Heard) {
    let asked = SubscribeRequest {
        view: View::Hosts.into(),
        keys: (0..HOSTS).map(|n| format!("swarm-{n:05}")).collect(),
        resolution_ms: 1_000,
    };
    let updates = client.subscribe(asked).await;
    let mut updates = updates.expect("the hub answers").into_inner();
    while updates.message().await.expect("the hub goes on").is_some() {
        heard.updates.fetch_add(1, Ordering::Relaxed);
    }
}

async fn draw(mut client: TelemetryClient<Channel>, heard: &Heard) {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tick.tick().await;
        let now_us = now_us();
        let asked = QueryRequest {
            from_us: now_us - 15 * 60_000_000,
            to_us: now_us,
            step_s: 5,
            fold: true,
            ..QueryRequest::default()
        };
        client.query(asked).await.expect("the hub answers");
        heard.answers.fetch_add(1, Ordering::Relaxed);
    }
}

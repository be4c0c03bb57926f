//! The hub under swarms of synthetic agents over the real protocol: what a connection, a
//! report and a further series cost it, how soon a report is visible, and how soon everybody
//! is back after it was killed. Every run ends by asking the hub for the requests it counted,
//! which have to be those that were sent.
//!
//! A bench that cannot go on ends with the reason: it panics where a product would return an
//! error.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use binnacle_proto::v1::QueryRequest;
use binnacle_proto::v1::telemetry_client::TelemetryClient;
use binnacle_tests::program::Program;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};

use self::swarm::{Tally, now_us};

mod ingest;
mod page;
mod probe;
mod rollback;
pub(crate) mod swarm;
mod watch;

/// Agents in one process: files, and one core's worth of sending.
const AGENTS_A_PROCESS: usize = 5_000;
/// How long a step of a run may take: 10,000 hosts are admitted one by one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Reports whose way to a query is timed.
const PROBES: usize = 15;

/// What is measured.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Fewer agents and shorter spans: for a look, not for the page.
    #[arg(long)]
    quick: bool,
    /// Only counting, in this process: for a profiler.
    #[arg(long)]
    ingest: bool,
    /// Only what a console that watches costs, with 1,000 models.
    #[arg(long)]
    watched: bool,
    /// Only what a rollback of a whole fleet takes.
    #[arg(long, conflicts_with = "watched")]
    rollback: bool,
    /// How often each screen is watched; a round takes eight minutes.
    #[arg(long, default_value_t = 2, requires = "watched")]
    rounds: usize,
    /// Only one run, with so many agents: for a profiler, to compare two builds, or for a machine
    /// that is too busy for ten thousand.
    #[arg(long)]
    agents: Option<usize>,
    /// Series of each agent of that one run.
    #[arg(long, default_value_t = 1, requires = "agents")]
    series: usize,
}

/// One run.
#[derive(Clone, Copy, Debug)]
struct Plan {
    agents: usize,
    series: usize,
    models: usize,
    span: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) agents: usize,
    pub(crate) series: usize,
    /// Until all were welcomed for the first time, each of them journalled.
    pub(crate) joined: Duration,
    /// The hub's CPU in microseconds, per report.
    pub(crate) us_a_report: f64,
    /// The hub's CPU, in percent of a core.
    pub(crate) core_percent: f64,
    /// Bytes of resident memory that a silent connection adds.
    pub(crate) connection_bytes: f64,
    /// Resident memory at the end of the span.
    pub(crate) resident: u64,
    /// From sending a report until a query counts it: median and worst.
    pub(crate) visible_ms: (f64, f64),
    /// From the start of a hub that was killed until all were welcomed again.
    pub(crate) back: Duration,
    /// Requests that were sent, all of them counted.
    pub(crate) requests: u64,
}

/// Runs it all.
pub(crate) fn run(args: &Options) -> color_eyre::Result<()> {
    let span = Duration::from_secs(if args.quick { 10 } else { 20 });
    let plans: &[(usize, usize)] = match args.quick {
        true => &[(100, 1), (1_000, 1), (1_000, 10)],
        false => &[(100, 1), (1_000, 1), (10_000, 1), (1_000, 10), (1_000, 50)],
    };
    if args.watched {
        let agents = args
            .agents
            .unwrap_or(if args.quick { 1_000 } else { 10_000 });
        return watch::run(agents, args.rounds, args.quick);
    }
    if args.rollback {
        return rollback::run(args.agents, args.quick);
    }
    if let Some(agents) = args.agents {
        let series = args.series;
        let run = one(Plan {
            agents,
            series,
            models: swarm::MODELS,
            span,
        });
        println!("{run:#?}");
        return Ok(());
    }
    let ingest = ingest::run()?;
    eprintln!(
        "counting a report of {:?} series: {ingest:.2?} µs",
        ingest::SERIES
    );
    if args.ingest {
        return Ok(());
    }
    let mut runs = Vec::new();
    for &(agents, series) in plans {
        let run = one(Plan {
            agents,
            series,
            models: swarm::MODELS,
            span,
        });
        eprintln!("{run:#?}");
        runs.push(run);
    }
    page::write(&runs, &ingest, args.quick)
}

fn one(plan: Plan) -> Run {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut hub = start(folder.path());
    let before = hub.resident();
    let started = Instant::now();
    let mut swarm = Swarm::start(&plan, &address(folder.path()));
    let all = plan.agents as u64;
    swarm.wait("all are welcomed", |tally| tally.welcomed == all);
    let joined = started.elapsed();
    let connected = hub.resident();

    swarm.order("report");
    // The first seconds fill what is filled only once; then whole flushes are measured.
    std::thread::sleep(Duration::from_secs(12));
    let (cpu, reports, began) = (cpu_us(&hub), swarm.tally().reports, Instant::now());
    std::thread::sleep(plan.span);
    let (cpu, reports) = (cpu_us(&hub) - cpu, swarm.tally().reports - reports);
    let took = began.elapsed();
    let resident = hub.resident();
    let visible_ms = visible(&address(folder.path()));

    hub.kill();
    let killed = Instant::now();
    let mut hub = start(folder.path());
    swarm.wait("all are welcomed again", |tally| tally.welcomed == all);
    let back = killed.elapsed();

    swarm.order("stop");
    swarm.wait("everything is durable", |tally| tally.waiting == 0);
    let sent = swarm.tally().requests;
    let counted = counted(&address(folder.path()), "model-");
    assert_eq!(counted, sent, "the hub has counted what was sent");
    drop(swarm);
    hub.terminate();
    Run {
        agents: plan.agents,
        series: plan.series,
        joined,
        us_a_report: cpu as f64 / reports as f64,
        core_percent: cpu as f64 / took.as_micros() as f64 * 100.0,
        connection_bytes: (connected.saturating_sub(before)) as f64 / plan.agents as f64,
        resident,
        visible_ms,
        back,
        requests: sent,
    }
}

fn address(folder: &Path) -> String {
    format!("unix:{}", folder.join("hub.sock").display())
}

fn start(folder: &Path) -> Program {
    let data = folder.join("data").display().to_string();
    let args = ["hub", "run", "--data", &data, "--listen", &address(folder)].map(str::to_owned);
    Program::start("binnacle", &args, folder)
}

/// CPU that a program has used, in microseconds.
fn cpu_us(program: &Program) -> u64 {
    cpu_of(&format!("/proc/{}/stat", program.id()))
}

/// CPU that this process has used, to the microsecond.
pub(crate) fn own_cpu_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

fn cpu_of(path: &str) -> u64 {
    let stat = std::fs::read_to_string(path).expect("the program runs");
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<u64>().expect("a number of ticks");
    // Fields 14 and 15 of proc(5), the first two of which are before the parenthesis; a tick
    // is 10 ms on every Linux that this runs on.
    (ticks(11) + ticks(12)) * 10_000
}

/// From sending a report until a query counts it, in milliseconds: median and worst.
fn visible(hub: &str) -> (f64, f64) {
    let (runtime, channel) = dial(hub);
    let once = |probe| runtime.block_on(probe::visible(&channel, probe));
    let mut took: Vec<f64> = (0..PROBES).map(once).collect();
    took.sort_by(f64::total_cmp);
    (took[took.len() / 2], took[took.len() - 1])
}

/// All requests of models whose name begins so.
fn counted(hub: &str, prefix: &str) -> u64 {
    let (runtime, channel) = dial(hub);
    let mut client = TelemetryClient::new(channel);
    let now_us = now_us();
    let question = QueryRequest {
        from_us: now_us - 3_600_000_000,
        to_us: now_us + 60_000_000,
        ..QueryRequest::default()
    };
    let answer = runtime
        .block_on(client.query(question))
        .expect("the hub answers")
        .into_inner();
    let windows = answer.points.iter().flat_map(|point| &point.series);
    let ours = windows.filter(|window| {
        window
            .series
            .as_ref()
            .is_some_and(|series| series.model.starts_with(prefix))
    });
    ours.map(|window| {
        let latency = window.latency.clone().unwrap_or_default();
        let encoded = binnacle_sketch::Encoded {
            counts: latency.counts.to_vec(),
            sum_ns: latency.sum_ns,
            min_ns: latency.min_ns,
            max_ns: latency.max_ns,
        };
        encoded.count().expect("the hub sends histograms")
    })
    .sum()
}

fn dial(hub: &str) -> (Runtime, Channel) {
    let path = hub.strip_prefix("unix:").expect("a unix socket");
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system gives a runtime");
    let endpoint = Endpoint::from_shared(format!("unix://{path}")).expect("a path is a URI");
    let channel = runtime
        .block_on(endpoint.connect())
        .expect("the hub listens");
    (runtime, channel)
}

/// The processes of one swarm.
struct Swarm(Vec<Process>);

struct Process {
    child: Child,
    orders: ChildStdin,
    latest: Arc<Mutex<Tally>>,
}

impl Swarm {
    fn start(plan: &Plan, hub: &str) -> Self {
        let firsts = (0..plan.agents).step_by(AGENTS_A_PROCESS);
        Self(
            firsts
                .map(|first| Process::start(plan, hub, first))
                .collect(),
        )
    }

    fn order(&mut self, order: &str) {
        for process in &mut self.0 {
            writeln!(process.orders, "{order}").expect("the swarm takes orders");
        }
    }

    /// The sum over all processes, as they last said.
    fn tally(&self) -> Tally {
        self.0.iter().fold(Tally::default(), |sum, process| {
            let tally = *process.latest.lock().expect("nobody panics with it");
            Tally {
                welcomed: sum.welcomed + tally.welcomed,
                reports: sum.reports + tally.reports,
                requests: sum.requests + tally.requests,
                waiting: sum.waiting + tally.waiting,
            }
        })
    }

    fn wait(&self, what: &str, until: impl Fn(&Tally) -> bool) {
        let started = Instant::now();
        // What was said before the wait began may be out of date: two lines have to agree.
        let mut agreed = 0;
        while agreed < 2 {
            let tally = self.tally();
            assert!(started.elapsed() < PATIENCE, "{what}: {tally:?}");
            std::thread::sleep(Duration::from_millis(if agreed == 0 { 50 } else { 600 }));
            agreed = if until(&tally) { agreed + 1 } else { 0 };
        }
    }
}

impl Process {
    fn start(plan: &Plan, hub: &str, first: usize) -> Self {
        let own: PathBuf = std::env::current_exe().expect("this program has a path");
        let agents = AGENTS_A_PROCESS.min(plan.agents - first);
        let mut child = Command::new(own)
            .args(["hub-swarm", "--hub", hub])
            .args([
                "--first",
                &first.to_string(),
                "--agents",
                &agents.to_string(),
            ])
            .args(["--series", &plan.series.to_string()])
            .args(["--models", &plan.models.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the swarm starts");
        let latest = Arc::<Mutex<Tally>>::default();
        let (stdout, noted) = (child.stdout.take().expect("it was piped"), latest.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(tally) = serde_json::from_str(&line) {
                    *noted.lock().expect("nobody panics with it") = tally;
                }
            }
        });
        let orders = child.stdin.take().expect("it was piped");
        Self {
            child,
            orders,
            latest,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! What a rollback of a whole fleet takes: from the entry that decides it to the entry that says
//! that every host has gone back, over the real protocol, with agents that switch at once.
//!
//! The endpoint goes back and forth between two revisions. Time is the journal's own, of the two
//! entries; CPU is the hub's, over all threads, from before the command to after the end. Agents
//! report all the while: what the hub takes for that at rest is taken off.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use binnacle_tests::command;
use binnacle_tests::program::Program;
use jiff::Timestamp;
use serde_json::Value;

use super::{PATIENCE, Plan, Swarm, address, start};
use crate::section;

/// Sizes of fleets.
const SIZES: [usize; 3] = [3, 1_000, 10_000];
/// How often each goes back and forth.
const ROUNDS: usize = 11;
const ENDPOINT: &str = "bench/scan";
/// For how long the hub is watched at rest.
const REST: Duration = Duration::from_secs(5);

/// What came of one size.
struct Run {
    agents: usize,
    /// From the decision until all had gone back, of each round, in milliseconds.
    took_ms: Vec<f64>,
    /// The hub's CPU in microseconds a host, of each round.
    cpu_us: Vec<f64>,
    /// The same beyond what it takes at rest.
    own_us: Vec<f64>,
    /// Of all that CPU, the part in the kernel.
    in_kernel: f64,
}

/// Runs it, and writes its section.
pub(crate) fn run(agents: Option<usize>, is_quick: bool) -> color_eyre::Result<()> {
    let sizes = match (agents, is_quick) {
        (Some(agents), _) => vec![agents],
        (None, true) => SIZES.into_iter().take(2).collect(),
        (None, false) => SIZES.to_vec(),
    };
    let is_partial = sizes.len() < SIZES.len();
    let mut runs = Vec::new();
    for agents in sizes {
        let run = one(agents);
        let (took, cpu) = (median(&run.took_ms), median(&run.cpu_us));
        let own = median(&run.own_us);
        eprintln!(
            "{agents} agents: {took:.1} ms, {cpu:.1} µs of the hub's CPU a host, {own:.1} for it"
        );
        runs.push(run);
    }
    let text = page(&runs);
    println!("{text}");
    match is_partial {
        true => Ok(()),
        false => section::rewrite("rollback", &text),
    }
}

fn one(agents: usize) -> Run {
    let plan = Plan {
        agents,
        series: 1,
        models: 1,
        span: PATIENCE,
    };
    let folder = tempfile::tempdir().unwrap();
    let mut hub = start(folder.path());
    let swarm = Swarm::start(&plan, &address(folder.path()));
    swarm.wait("all are welcomed", |tally| tally.welcomed == agents as u64);
    prepare(folder.path());
    let mut run = Run {
        agents,
        took_ms: Vec::new(),
        cpu_us: Vec::new(),
        own_us: Vec::new(),
        in_kernel: 0.0,
    };
    let (resting, since) = (cpu_ns(&hub), Instant::now());
    std::thread::sleep(REST);
    let at_rest = (cpu_ns(&hub) - resting) as f64 / since.elapsed().as_secs_f64();
    let (kernel, all) = (kernel_s(&hub), cpu_ns(&hub));
    for round in 0..ROUNDS {
        let to = if round % 2 == 0 { "1" } else { "2" };
        let (cpu, since) = (cpu_ns(&hub), Instant::now());
        let back = ["rollback", ENDPOINT, "--to", to, "--reason", "bench"];
        let told = ask(folder.path(), &back);
        let used = (cpu_ns(&hub) - cpu) as f64;
        let own = used - at_rest * since.elapsed().as_secs_f64();
        let a_host = |ns: f64| ns / 1e3 / agents as f64;
        run.cpu_us.push(a_host(used));
        run.own_us.push(a_host(own));
        assert_eq!(told["hosts_confirmed"], agents, "{told}");
        let at = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
        let ended = told["trail"].as_array().unwrap().last().unwrap();
        let took = at(&ended["at"]).duration_since(at(&told["at"]));
        run.took_ms.push(took.as_secs_f64() * 1e3);
    }
    run.in_kernel = (kernel_s(&hub) - kernel) * 1e9 / (cpu_ns(&hub) - all) as f64;
    drop(swarm);
    hub.terminate();
    run
}

/// A model of two versions, each of which has served.
fn prepare(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../console/demo/models/tumour");
    ask(folder, &["model", "create", "tumour"]);
    for version in ["1", "2"] {
        let file = root.join(version).join("model.onnx").display().to_string();
        let register = ["version", "register", "--model", "tumour", "--file", &file];
        ask(folder, &register);
    }
    ask(folder, &["endpoint", "create", ENDPOINT]);
    for version in ["tumour@1", "tumour@2"] {
        let way = ["--strategy", "all-at-once", "--confirm-within", "0s"];
        let deploy = ["deploy", version, "--to", ENDPOINT, "--wait=2m"];
        let told = ask(folder, &[&deploy[..], &way[..]].concat());
        assert_eq!(told["outcome"], "promoted", "{told}");
    }
}

/// The item that a command answers with.
fn ask(folder: &Path, words: &[&str]) -> Value {
    let address = address(folder);
    let words = [words, &["--json", "--hub", &address]].concat();
    let ended = command::run("binnacle", &words);
    assert_eq!(ended.code, 0, "{words:?}: {}", ended.stderr);
    ended.outcome()["items"][0].clone()
}

/// CPU that a program's threads have used, in nanoseconds.
fn cpu_ns(program: &Program) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{}/task", program.id())).unwrap();
    let used = threads.map_while(Result::ok).filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<u64>().ok()
    });
    used.sum()
}

/// Seconds of that in the kernel: hundredths, which over all rounds is exact enough.
fn kernel_s(program: &Program) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", program.id())).unwrap();
    // Names of programs may have blanks; what follows the bracket has none.
    let fields = stat.rsplit_once(')').unwrap().1;
    let ticks: f64 = fields.split_whitespace().nth(12).unwrap().parse().unwrap();
    ticks / 100.0
}

fn median(all: &[f64]) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn page(runs: &[Run]) -> String {
    let mut text = String::from(
        "| agents | decided → all back, median | worst | hub CPU a host | for the rollback | \
         in the kernel |\n| ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for run in runs {
        let worst = run.took_ms.iter().copied().fold(0.0, f64::max);
        let _ = writeln!(
            text,
            "| {} | {:.0} ms | {worst:.0} ms | {:.1} µs | {:.1} µs | {:.0} % |",
            run.agents,
            median(&run.took_ms),
            median(&run.cpu_us),
            median(&run.own_us),
            run.in_kernel * 100.0,
        );
    }
    let version = section::first_line("git", &["rev-parse", "--short", "HEAD"]);
    let day = section::first_line("date", &["-u", "+%Y-%m-%d"]);
    let _ = write!(
        text,
        "\n{ROUNDS} rollbacks each. Measured on {day} at {version}, on {}; the swarm shares the \
         machine. `tests/bench/run hub --rollback`",
        section::machine(),
    );
    text
}

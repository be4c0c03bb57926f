//! What one console that watches costs the hub, and itself: the real program on a terminal of
//! 200×60, on each of its screens in turn, over a fleet with a past.
//!
//! The hub's CPU time is taken over the same part of each minute, with no console and with
//! one, in turn: each span holds six flushes and one finished minute, and a busy machine weighs
//! on all of them. Agents report in one second of four meanwhile, so that what is measured stands
//! out from what it is added to.

use std::path::Path;
use std::time::Duration;

use binnacle_tests::program::Program;
use binnacle_tests::terminal::{Start, Terminal};

use self::page::{Figures, Watched};
use super::{Plan, Swarm, address, cpu_of, cpu_us, now_us, start};

mod page;
mod past;

/// Models of the fleet.
const MODELS: usize = 1_000;
/// Models of each host.
const SERIES: usize = 2;
/// Columns and lines of the terminal.
const SIZE: (u16, u16) = (200, 60);
/// Screens, and how the console is told to open each.
const SCREENS: [(&str, &str); 4] = [
    ("Overview", "overview"),
    ("Hosts", "hosts"),
    ("Latency, all models", "latency"),
    ("Latency, one model", "latency/model-07"),
];
/// How far into its minute a span begins, and how long it is: behind the end of the minute, and
/// before the next, so that there is time to leave a console and to open another.
const BEGINS: Duration = Duration::from_secs(1);
const SPAN: Duration = Duration::from_secs(55);
/// How long before its span a console is opened.
const OPENED_BEFORE: Duration = Duration::from_secs(3);
/// When, in its minute, the last one is finished, and for how long no flush comes.
const PASS: (Duration, Duration) = (Duration::from_millis(3_900), Duration::from_millis(7_300));
/// A begin of the same length later on, with neither a flush nor a minute to be finished.
const CALM: Duration = Duration::from_millis(13_900);

/// Runs it, and writes its section.
pub(crate) fn run(agents: usize, rounds: usize, is_quick: bool) -> color_eyre::Result<()> {
    let plan = Plan {
        agents,
        series: SERIES,
        models: MODELS,
        span: SPAN,
    };
    let folder = tempfile::tempdir()?;
    past::write(&folder.path().join("data"), MODELS)?;
    let hub = start(folder.path());
    let mut swarm = Swarm::start(&plan, &address(folder.path()));
    swarm.wait("all are welcomed", |tally| tally.welcomed == agents as u64);
    swarm.order("report");
    // A minute, so that the work of a minute is there to be done.
    std::thread::sleep(Duration::from_secs(60));
    // What a console costs is little beside ten thousand reports a second, and less than those
    // vary by from one minute to the next.
    swarm.order("seldom");
    std::thread::sleep(Duration::from_secs(10));
    let mut figures = Figures::new(agents, rounds);
    for _ in 0..rounds {
        for (screen, place) in SCREENS {
            let (alone, pass) = alone(&hub);
            let watched = watched(&hub, folder.path(), place);
            eprintln!("{screen}: alone {alone:.2} % (a minute's end {pass:.2} %), {watched:.2?}");
            figures.add(screen, alone, pass, watched);
        }
    }
    figures.memory(hub.resident());
    figures.write(is_quick)
}

/// The hub's CPU in percent of a core while nobody looks; and what finishing a minute takes of
/// it, in percent of a core over the minute.
fn alone(hub: &Program) -> (f64, f64) {
    let minute = await_minute(Duration::ZERO);
    await_at(minute, BEGINS);
    let cpu = cpu_us(hub);
    let busy = part(hub, minute, PASS.0);
    let calm = part(hub, minute, CALM);
    await_at(minute, BEGINS + SPAN);
    let cpu = cpu_us(hub) - cpu;
    let pass = (busy as f64 - calm as f64) / 60_000_000.0 * 100.0;
    (percent(cpu), pass)
}

/// The hub's CPU in microseconds in one part of a minute.
fn part(hub: &Program, minute: i64, begins: Duration) -> u64 {
    await_at(minute, begins);
    let cpu = cpu_us(hub);
    await_at(minute, begins + PASS.1);
    cpu_us(hub) - cpu
}

/// The same of a hub on which a console looks, and what the console itself took.
fn watched(hub: &Program, folder: &Path, place: &str) -> Watched {
    let minute = await_minute(OPENED_BEFORE);
    let console = open(folder, place);
    await_at(minute, BEGINS);
    let stat = format!("/proc/{}/stat", console.id());
    let (cpu, own, bytes) = (cpu_us(hub), cpu_of(&stat), console.bytes());
    await_at(minute, BEGINS + SPAN);
    let raw = console.raw();
    let written = &raw[bytes..];
    Watched {
        hub: percent(cpu_us(hub) - cpu),
        own: percent(cpu_of(&stat) - own),
        resident: resident(console.id()),
        bytes_s: written.len() as f64 / SPAN.as_secs_f64(),
        frames_s: frames(written) as f64 / SPAN.as_secs_f64(),
    }
}

fn open(folder: &Path, place: &str) -> Terminal {
    let hub = address(folder);
    let args = ["--hub", &hub, "--open", place];
    let console = Start::binnacle(folder, &args).size(SIZE.0, SIZE.1).start();
    console.await_text("LIVE");
    console
}

/// Frames that were written: each is shown at once, between two marks.
fn frames(written: &[u8]) -> usize {
    const BEGINS: &[u8] = b"\x1b[?2026h";
    let marks = written.windows(BEGINS.len());
    marks.filter(|bytes| *bytes == BEGINS).count()
}

fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kilobytes.expect("Linux says so") * 1_024
}

fn percent(cpu_us: u64) -> f64 {
    cpu_us as f64 / SPAN.as_micros() as f64 * 100.0
}

/// Waits until so long before the next whole minute; answers with that minute.
fn await_minute(before: Duration) -> i64 {
    let minute = 60_000_000;
    let next = (now_us() + before.as_micros() as i64).div_euclid(minute) * minute + minute;
    std::thread::sleep(until(next).saturating_sub(before));
    next
}

fn await_at(minute: i64, begins: Duration) {
    std::thread::sleep(until(minute) + begins.saturating_sub(since(minute)));
}

fn until(at: i64) -> Duration {
    Duration::from_micros(u64::try_from(at - now_us()).unwrap_or(0))
}

fn since(at: i64) -> Duration {
    Duration::from_micros(u64::try_from(now_us() - at).unwrap_or(0))
}

//! What those who are served notice of a version being fetched, verified and loaded beside them:
//! the median of a request while it is, over the median while nothing is.
//!
//! One connection asks one model at an even pace. In between, versions of another model come to the
//! same host and the same server, one after the other, each with tens of megabytes. Each round
//! has both, one after the other, so that a noisy neighbour hits both alike.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use binnacle_tests::fleet::{self, Agent, Hub, Runtime};
use binnacle_tests::models::{self, Model};
use binnacle_tests::patience::eventually_true;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

use crate::section;

/// Between two requests.
const PACE: Duration = Duration::from_millis(1);
/// For how long nothing is loaded, in each round.
const REST: Duration = Duration::from_secs(3);
/// Bytes of a version that is loaded.
const BYTES: usize = 64 << 20;
const SOON: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fewer rounds: for a look, not for the record.
    #[arg(long)]
    quick: bool,
}

/// One round: the medians in nanoseconds, and how long the version took.
struct Round {
    resting: u64,
    loading: u64,
    took: Duration,
}

pub(crate) fn run(options: &Options) -> color_eyre::Result<()> {
    let rounds = if options.quick { 3 } else { 11 };
    let folder = fleet::folder();
    let hub = Hub::start(folder.path());
    let repository = folder.path().join("repository");
    std::fs::create_dir_all(&repository)?;
    let runtime = Runtime::start(&folder.path().join("runtime"), &repository);
    let agent = Agent::start_placing(folder.path(), "host-1", &hub.address(), &runtime);
    eventually_true("the host is live", SOON, || {
        hub.host("host-1")
            .is_some_and(|host| host["state"] == "live")
    });
    serve(&hub);
    let asked = Asked::start(agent.listen());
    let mut measured = Vec::new();
    for number in 1..=rounds {
        let file = large(&folder.path().join(number.to_string()), number);
        does(
            &hub,
            &format!("version register --model large --file {}", file.display()),
        );
        std::fs::remove_file(&file)?;
        asked.take();
        std::thread::sleep(REST);
        let resting = median(asked.take());
        let since = Instant::now();
        let way = "--strategy all-at-once --confirm-within 0s --wait=2m";
        let told = does(
            &hub,
            &format!("deploy large@{number} --to test/large {way}"),
        );
        assert_eq!(told["outcome"], "promoted", "{told}");
        let round = Round {
            resting,
            loading: median(asked.take()),
            took: since.elapsed(),
        };
        let ratio = round.loading as f64 / round.resting as f64;
        eprintln!("{:.0} ms: {ratio:.3}", round.took.as_secs_f64() * 1e3);
        measured.push(round);
    }
    asked.stop();
    let text = page(&measured);
    println!("{text}");
    match options.quick {
        true => Ok(()),
        false => section::rewrite("loading", &text),
    }
}

/// What is asked all the while, and where what is loaded goes.
fn serve(hub: &Hub) {
    for model in ["tumour", "large"] {
        does(hub, &format!("model create {model}"));
        does(hub, &format!("endpoint create test/{model} --keep-warm 1"));
    }
    let file = models::file("tumour", "1");
    does(
        hub,
        &format!("version register --model tumour --file {}", file.display()),
    );
    let way = "--strategy all-at-once --confirm-within 0s --wait=2m";
    let told = does(hub, &format!("deploy tumour@1 --to test/tumour {way}"));
    assert_eq!(told["outcome"], "promoted", "{told}");
}

fn does(hub: &Hub, words: &str) -> Value {
    let words: Vec<&str> = words.split_whitespace().collect();
    let ended = hub.ask(&words);
    assert_eq!(
        ended.code, 0,
        "{words:?}\n{}\n{}",
        ended.stdout, ended.stderr
    );
    ended.outcome()["items"][0].clone()
}

/// A model like another one, with a weight beside it that nothing uses: noise, so that nothing is
/// spared by its being alike.
///
/// Messages of protobuf that stand behind one another are one: field 7 of a model is its graph,
/// field 5 of that an initializer, whose fields are the shape (1), the type (2, 1 for float32),
/// the name (8) and the bytes (9).
fn large(folder: &Path, seed: u64) -> PathBuf {
    let mut bytes = vec![0; BYTES];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    // Exponents that are no NaN's: a server may look.
    bytes.chunks_exact_mut(4).for_each(|float| float[3] = 0x3f);
    let mut tensor = vec![0x08];
    varint(BYTES as u64 / 4, &mut tensor);
    tensor.extend([0x10, 1]);
    field(8, b"beside", &mut tensor);
    field(9, &bytes, &mut tensor);
    let mut graph = Vec::new();
    field(5, &tensor, &mut graph);
    let mut model = std::fs::read(models::file("tumour", "1")).unwrap();
    field(7, &graph, &mut model);
    std::fs::create_dir_all(folder).unwrap();
    let file = folder.join("model.onnx");
    std::fs::write(&file, model).unwrap();
    file
}

fn field(number: u64, bytes: &[u8], to: &mut Vec<u8>) {
    varint(number << 3 | 2, to);
    varint(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

fn varint(mut value: u64, to: &mut Vec<u8>) {
    while value > 0x7f {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// Somebody who asks, one request after the other.
struct Asked {
    took: Arc<Mutex<Vec<u64>>>,
    goes_on: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<()>,
}

impl Asked {
    fn start(agent: SocketAddr) -> Self {
        let (took, goes_on) = (
            Arc::<Mutex<Vec<u64>>>::default(),
            Arc::new(AtomicUsize::new(1)),
        );
        let (takes, on) = (took.clone(), goes_on.clone());
        let body = Model::called("tumour", "tumour").json(0);
        let head = format!(
            "POST /v2/models/tumour/infer HTTP/1.1\r\nhost: bench\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), &body].concat();
        let thread = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(agent).unwrap();
            stream.set_nodelay(true).unwrap();
            let mut heard = BufReader::new(stream.try_clone().unwrap());
            while on.load(Ordering::Relaxed) == 1 {
                let since = Instant::now();
                stream.write_all(&request).unwrap();
                answered(&mut heard);
                let ns = since.elapsed().as_nanos() as u64;
                takes.lock().unwrap().push(ns);
                std::thread::sleep(PACE);
            }
        });
        Self {
            took,
            goes_on,
            thread,
        }
    }

    /// What requests took since the last time.
    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut self.took.lock().unwrap())
    }

    fn stop(self) {
        self.goes_on.store(0, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// Reads an answer to its end.
fn answered(heard: &mut BufReader<TcpStream>) {
    let (mut line, mut length) = (String::new(), 0);
    heard.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    while line != "\r\n" {
        line.clear();
        heard.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    heard.read_exact(&mut vec![0; length]).unwrap();
}

fn median(mut all: Vec<u64>) -> u64 {
    all.sort_unstable();
    all[all.len() / 2]
}

fn page(rounds: &[Round]) -> String {
    let mut ratios: Vec<f64> = rounds
        .iter()
        .map(|round| round.loading as f64 / round.resting as f64)
        .collect();
    ratios.sort_by(f64::total_cmp);
    let us = |of: fn(&Round) -> u64| median(rounds.iter().map(of).collect()) as f64 / 1e3;
    let ms = median(
        rounds
            .iter()
            .map(|round| round.took.as_millis() as u64)
            .collect(),
    );
    let mut text = String::from("| | p50 |\n| --- | ---: |\n");
    let _ = writeln!(
        text,
        "| nothing is loaded | {:.0} µs |",
        us(|round| round.resting)
    );
    let _ = writeln!(
        text,
        "| 64 MB are fetched, verified, placed and loaded, in {ms} ms | {:.0} µs |",
        us(|round| round.loading)
    );
    let _ = write!(
        text,
        "\nMedian of {} ratios: {:.3}; least {:.3}, most {:.3}. Measured on {} at {}, on {}. \
         `tests/bench/run loading`",
        ratios.len(),
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1],
        section::first_line("date", &["-u", "+%Y-%m-%d"]),
        section::first_line("git", &["rev-parse", "--short", "HEAD"]),
        section::machine(),
    );
    text
}

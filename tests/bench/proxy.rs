//! The agent's request path beside nginx and haproxy: what a request costs that goes through.
//!
//! One core serves the proxy under test, the other the load and the upstream. Rounds are
//! interleaved, and what is told is the median over rounds, so that a noisy neighbour hits
//! all alike. CPU is what the kernel charged the proxy's processes, over requests answered.

mod load;
mod report;
pub(crate) mod serve;
mod stand;
pub(crate) mod upstream;

use std::{path::PathBuf, time::Duration};

use color_eyre::eyre::WrapErr;

use self::{
    load::{Load, Measured},
    stand::Stand,
};

/// Connections under which each proxy is measured.
const CONNECTIONS: [usize; 3] = [1, 8, 64];

/// Idle connections held for the memory figure.
const HELD: usize = 1000;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fewer and shorter rounds: for a look, not for the record.
    #[arg(long)]
    quick: bool,
    /// Measure these contestants only (direct, nginx, haproxy, agent,
    /// agent-tap, agent-routed, agent-inputs).
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Print the section and leave docs/benchmarks.md as it is.
    #[arg(long)]
    dry_run: bool,
}

/// What is measured against what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    Direct,
    Nginx,
    Haproxy,
    Agent,
    AgentTap,
    /// Asked by an endpoint's name: a draw, a rewritten path, a caller that is counted.
    AgentRouted,
    /// The same, and its inputs are held against a reference.
    AgentInputs,
}

impl Contestant {
    const ALL: [Self; 7] = [
        Self::Direct,
        Self::Nginx,
        Self::Haproxy,
        Self::Agent,
        Self::AgentTap,
        Self::AgentRouted,
        Self::AgentInputs,
    ];

    /// The name that it is asked by.
    fn model(self) -> &'static str {
        match self {
            Self::Direct | Self::Nginx | Self::Haproxy | Self::Agent | Self::AgentTap => "fraud",
            Self::AgentRouted | Self::AgentInputs => serve::ENDPOINT,
        }
    }

    /// Whether it is an agent: both protocols on one port.
    fn is_agent(self) -> bool {
        match self {
            Self::Direct | Self::Nginx | Self::Haproxy => false,
            Self::Agent | Self::AgentTap | Self::AgentRouted | Self::AgentInputs => true,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Agent => "agent",
            Self::AgentTap => "agent-tap",
            Self::AgentRouted => "agent-routed",
            Self::AgentInputs => "agent-inputs",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Grpc,
}

/// All rounds of one contestant under one load.
pub(crate) struct Row {
    contestant: Contestant,
    protocol: Protocol,
    connections: usize,
    rounds: Vec<Measured>,
}

/// Resident memory of one contestant, in KiB.
pub(crate) struct Memory {
    contestant: Contestant,
    idle: u64,
    holding: u64,
}

pub(crate) fn run(options: &Options) -> color_eyre::Result<()> {
    let (rounds, span) = if options.quick {
        (3, Duration::from_secs(1))
    } else {
        (7, Duration::from_secs(3))
    };
    let folder = tempfile::tempdir().wrap_err("cannot make a folder for the bench")?;
    let chosen: Vec<_> = Contestant::ALL
        .into_iter()
        .filter(|c| options.only.is_empty() || options.only.iter().any(|name| name == c.name()))
        .collect();
    let stand = Stand::start(folder.path(), &chosen)?;
    let mut rows = Vec::new();
    for protocol in [Protocol::Http, Protocol::Grpc] {
        for connections in CONNECTIONS {
            let load = Load {
                protocol,
                connections,
                span,
                folder: folder.path(),
            };
            rows.extend(measure(&stand, &load, &chosen, rounds)?);
        }
    }
    let memory = remember(&stand, &chosen)?;
    let text = report::section(&rows, &memory, rounds, span);
    println!("{text}");
    if !options.dry_run {
        crate::section::rewrite("proxy", &text)?;
    }
    Ok(())
}

fn measure(
    stand: &Stand,
    load: &Load<'_>,
    chosen: &[Contestant],
    rounds: usize,
) -> color_eyre::Result<Vec<Row>> {
    let mut rows: Vec<Row> = chosen
        .iter()
        .map(|&contestant| Row {
            contestant,
            protocol: load.protocol,
            connections: load.connections,
            rounds: Vec::new(),
        })
        .collect();
    for round in 0..rounds {
        for row in &mut rows {
            let measured = load.run(stand, row.contestant)?;
            eprintln!(
                "{:?} c={} round {} {:<12} p50 {:>6.1} µs, {:>7.0}/s, {:>5.1} µs CPU",
                load.protocol,
                load.connections,
                round + 1,
                row.contestant.name(),
                measured.p50_us,
                measured.per_second,
                measured.cpu_us,
            );
            row.rounds.push(measured);
        }
    }
    Ok(rows)
}

/// Memory with connections open that have had an answer each and now say nothing.
fn remember(stand: &Stand, chosen: &[Contestant]) -> color_eyre::Result<Vec<Memory>> {
    let mut memory = Vec::new();
    for &contestant in chosen.iter().filter(|&&c| c != Contestant::Direct) {
        // A process that has served nothing yet: what it takes when it is idle.
        let fresh = stand.restarted(contestant)?;
        let idle = fresh.resident_kib()?;
        let held = load::hold(fresh.http, HELD)?;
        let holding = fresh.resident_kib()?;
        drop(held);
        memory.push(Memory {
            contestant,
            idle,
            holding,
        });
    }
    Ok(memory)
}

/// Where the bench's own files lie.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/bench/proxy"))
}

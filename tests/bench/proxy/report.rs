//! The section of docs/benchmarks.md: tables, medians, and which goals are reached.

use std::{fmt::Write, time::Duration};

use super::{CONNECTIONS, Contestant, Memory, Protocol, Row, load::Measured};
use crate::section::{first_line, machine};

/// How much dearer than haproxy the agent may be at most.
const GATE: f64 = 1.15;
/// How much more a request may wait for the agent when inputs are watched.
const INPUTS_GATE: f64 = 1.25;

/// The section's text.
pub(crate) fn section(rows: &[Row], memory: &[Memory], rounds: usize, span: Duration) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Machine: {}.\nPeers: {}; {}. Load: wrk {}; {}.\n\
         Command: `tests/bench/run proxy`. Each figure is the median of {rounds} interleaved \
         rounds of {} s; the proxy has one core, load and upstream the other; one worker \
         each. Requests of 1 KB. *Added* is p50 less that of *direct* in the same run. The \
         agent counts every request in a histogram and seals its window each second; \
         *agent-tap* also copies every body to a reader; *agent-routed* is asked by an \
         endpoint's name; *agent-inputs* is too, and holds 100 of 140 columns against a reference, \
         within the 2 % of a core that are the agent's default.\n",
        machine(),
        first_line("nginx", &["-v"]),
        first_line("haproxy", &["-v"]),
        first_line("wrk", &["-v"]).trim_start_matches("wrk "),
        first_line("h2load", &["--version"]),
        span.as_secs(),
    );
    for (protocol, title) in [(Protocol::Http, "HTTP/1.1"), (Protocol::Grpc, "gRPC")] {
        let _ = writeln!(
            text,
            "| {title} | connections | p50 µs | added µs | requests/s | CPU µs a request |\n\
             | --- | ---: | ---: | ---: | ---: | ---: |"
        );
        for row in rows.iter().filter(|row| row.protocol == protocol) {
            let direct = find(rows, Contestant::Direct, protocol, row.connections);
            let p50 = median(row, |round| round.p50_us);
            let added = direct.map(|direct| p50 - median(direct, |round| round.p50_us));
            let _ = writeln!(
                text,
                "| {} | {} | {p50:.0} | {} | {:.0} | {:.1} |",
                row.contestant.name(),
                row.connections,
                added.map_or("?".into(), |added| format!("{added:.0}")),
                median(row, |round| round.per_second),
                median(row, |round| round.cpu_us),
            );
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "| memory | idle MiB | with 1,000 connections MiB |\n| --- | ---: | ---: |"
    );
    for row in memory {
        let mib = |kib: u64| kib as f64 / 1024.0;
        let (idle, holding) = (mib(row.idle), mib(row.holding));
        let _ = writeln!(
            text,
            "| {} | {idle:.1} | {holding:.1} |",
            row.contestant.name()
        );
    }
    text.push('\n');
    gates(&mut text, rows);
    inputs(&mut text, rows);
    text
}

/// What holding inputs against a reference adds to a request that is routed.
fn inputs(text: &mut String, rows: &[Row]) {
    let _ = writeln!(
        text,
        "\n| added p50, inputs watched ÷ not (median of the rounds' ratios) | | gate | |\n\
         | --- | ---: | ---: | --- |"
    );
    for (protocol, title) in [(Protocol::Http, "HTTP/1.1"), (Protocol::Grpc, "gRPC")] {
        for connections in CONNECTIONS {
            let of = |contestant| find(rows, contestant, protocol, connections);
            let all = of(Contestant::AgentInputs).zip(of(Contestant::AgentRouted));
            let Some(((inputs, routed), direct)) = all.zip(of(Contestant::Direct)) else {
                continue;
            };
            let added = |row: &Row| {
                let pairs = row.rounds.iter().zip(&direct.rounds);
                let added = pairs.map(|(own, direct)| own.p50_us - direct.p50_us);
                added.collect::<Vec<f64>>()
            };
            let pairs = added(inputs).into_iter().zip(added(routed));
            let ratio = middle(pairs.map(|(inputs, routed)| inputs / routed).collect());
            let verdict = if ratio <= INPUTS_GATE {
                "reached"
            } else {
                "missed"
            };
            let _ = writeln!(
                text,
                "| {title}, {connections} connections | {ratio:.2} | ≤ {INPUTS_GATE} | {verdict} |"
            );
        }
    }
}

/// The agent's figures over the peers', round by round, so that both had the same neighbours.
fn gates(text: &mut String, rows: &[Row]) {
    let _ = writeln!(
        text,
        "| agent ÷ peer (median of the rounds' ratios) | haproxy | gate | | nginx |\n\
         | --- | ---: | ---: | --- | ---: |"
    );
    type Figure = fn(&Measured) -> f64;
    let lines: [(&str, usize, Figure); 3] = [
        ("p50, 1 connection, HTTP/1.1", 1, |round| round.p50_us),
        ("CPU a request, 64 connections, HTTP/1.1", 64, |round| {
            round.cpu_us
        }),
        (
            "time a request at full load, 64 connections, HTTP/1.1",
            64,
            |round| 1.0 / round.per_second,
        ),
    ];
    for (title, connections, figure) in lines {
        let ratio = |peer| {
            let ours = find(rows, Contestant::Agent, Protocol::Http, connections)?;
            let theirs = find(rows, peer, Protocol::Http, connections)?;
            let pairs = ours.rounds.iter().zip(&theirs.rounds);
            Some(middle(pairs.map(|(a, b)| figure(a) / figure(b)).collect()))
        };
        let haproxy = ratio(Contestant::Haproxy);
        let verdict = match haproxy {
            Some(ratio) if ratio <= GATE => "reached",
            Some(_) => "missed",
            None => "not measured",
        };
        let shown = |ratio: Option<f64>| ratio.map_or("?".into(), |ratio| format!("{ratio:.2}"));
        let (haproxy, nginx) = (shown(haproxy), shown(ratio(Contestant::Nginx)));
        let _ = writeln!(
            text,
            "| {title} | {haproxy} | ≤ {GATE} | {verdict} | {nginx} |"
        );
    }
}

fn find(
    rows: &[Row],
    contestant: Contestant,
    protocol: Protocol,
    connections: usize,
) -> Option<&Row> {
    rows.iter().find(|row| {
        row.contestant == contestant && row.protocol == protocol && row.connections == connections
    })
}

fn median(row: &Row, figure: impl Fn(&Measured) -> f64) -> f64 {
    middle(row.rounds.iter().map(figure).collect())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

//! `binnacle doctor`: looks along the way from here to the fleet, and says what to mend.

use binnacle_core::view::{HostState, Status, shown};
use binnacle_proto::v1 as proto;
use serde::Serialize;

use crate::cli::{Global, alert, host, time};
use crate::context;
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Document, Form};

/// A clock that is off by this much is shown: windows are placed by it.
const SKEW_US: i64 = 1_000_000;
/// Roll-ups are written each ten seconds; three in a row that are not are trouble.
const DURABLE_WITHIN_US: i64 = 30_000_000;

/// How one check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mark {
    Ok,
    Warn,
    Fail,
}

/// One check.
#[derive(Serialize)]
struct Check {
    check: &'static str,
    result: Mark,
    found: String,
    /// What to do; empty where nothing is to be done.
    hint: String,
}

fn ok(check: &'static str, found: impl Into<String>) -> Check {
    Check {
        check,
        result: Mark::Ok,
        found: found.into(),
        hint: String::new(),
    }
}

fn bad(check: &'static str, result: Mark, found: String, hint: &str) -> Check {
    Check {
        check,
        result,
        found,
        hint: hint.into(),
    }
}

pub(crate) async fn run(global: &Global) -> Result<Exit, Failure> {
    let mut checks = Vec::new();
    let exit = match look(global, &mut checks).await {
        Ok(()) => match checks.iter().map(|check| check.result).max() {
            Some(Mark::Fail) => Exit::Failed,
            Some(Mark::Ok | Mark::Warn) | None => Exit::Ok,
        },
        Err(failure) => {
            checks.push(bad(
                "reach the hub",
                Mark::Fail,
                failure.message,
                &failure.hint,
            ));
            failure.exit
        }
    };
    match global.form() {
        Form::Json => {
            output::json(&Document::new(
                "binnacle.doctor/v1",
                time::now_us(),
                &checks,
            ))?;
        }
        Form::Text => {
            for check in &checks {
                let mark = match check.result {
                    Mark::Ok => "+ ok  ",
                    Mark::Warn => "! warn",
                    Mark::Fail => "x fail",
                };
                output::text(format!("{mark}  {:<16}  {}", check.check, check.found))?;
                if !check.hint.is_empty() {
                    output::text(format!("{:26}{}", "", check.hint))?;
                }
            }
        }
    }
    Ok(exit)
}

/// Runs the checks in the order in which one needs the other.
async fn look(global: &Global, checks: &mut Vec<Check>) -> Result<(), Failure> {
    let config = context::config_path();
    let config = config.map_or_else(
        || "no home folder".into(),
        |path| path.display().to_string(),
    );
    let chosen = global.chosen()?;
    checks.push(ok("configuration", config));
    let link = global.link().await?;
    checks.push(ok(
        "reach the hub",
        format!("{} (chosen by {})", chosen.address, chosen.by),
    ));
    let asked = link.question(proto::StatusRequest {});
    let status = link.fleet().status(asked).await?.into_inner();
    checks.push(release(&status));
    checks.push(clock(&status));
    checks.push(writing(&status));
    checks.push(memory(&status));
    checks.push(dropped(&status));
    checks.extend(hosts(&link).await?);
    checks.extend(alerts(&link).await?);
    Ok(())
}

/// Whether alerts are open, and whether those who are to be told of them are.
async fn alerts(link: &Link) -> Result<Vec<Check>, Failure> {
    let (rows, sinks, _) = alert::all(link, proto::AlertsRequest::default()).await?;
    let open = rows.iter().filter(|row| row.closed.is_none()).count();
    let mut checks = vec![match open {
        0 => ok("alerts", "none is open"),
        open => bad(
            "alerts",
            Mark::Warn,
            format!("{open} open"),
            "`binnacle alert list` shows them, `binnacle why ENDPOINT` tells why",
        ),
    }];
    for sink in sinks {
        let (delivered, failed) = (sink.delivered, sink.failed);
        let found = format!("{}: {delivered} told, {failed} tries failed", sink.sink);
        let lost = match sink.given_up {
            0 => String::new(),
            given_up => format!(", {given_up} given up"),
        };
        checks.push(match (sink.trouble.is_empty(), sink.given_up) {
            (true, 0) => ok("alert sink", found),
            _ => bad(
                "alert sink",
                Mark::Warn,
                format!("{found}{lost}; {}", shown(&sink.trouble)),
                "see that it can be reached from the hub, and that its URL and key are right",
            ),
        });
    }
    Ok(checks)
}

fn release(status: &proto::StatusResponse) -> Check {
    let ours = env!("CARGO_PKG_VERSION");
    let theirs = &status.hub_version;
    let found = format!("hub {theirs}, this program {ours}");
    match theirs == ours {
        true => ok("release", found),
        false => bad("release", Mark::Warn, found, "upgrade the older of the two"),
    }
}

fn clock(status: &proto::StatusResponse) -> Check {
    let skew_us = time::now_us() - status.as_of_us;
    let found = format!("{:+.3} s against the hub's", skew_us as f64 / 1e6);
    match skew_us.abs() < SKEW_US {
        true => ok("clock", found),
        false => bad(
            "clock",
            Mark::Warn,
            found,
            "synchronise the clocks of both machines",
        ),
    }
}

fn writing(status: &proto::StatusResponse) -> Check {
    if !status.store_trouble.is_empty() {
        let hint = "make room, or bring the database back: agents keep what is not written";
        return bad("store", Mark::Fail, status.store_trouble.clone(), hint);
    }
    let since_us = status.as_of_us - status.durable_at_us.max(status.started_at_us);
    let found = format!("{}, written {} ago", status.store, format::age(since_us));
    match since_us < DURABLE_WITHIN_US || status.hosts_live == 0 {
        true => ok("store", found),
        false => bad(
            "store",
            Mark::Warn,
            found,
            "look at the hub's log and its disk",
        ),
    }
}

fn memory(status: &proto::StatusResponse) -> Check {
    let (used, limit) = (status.telemetry_memory, status.telemetry_memory_limit);
    let found = format!("{} of {}", format::bytes(used), format::bytes(limit));
    ok("telemetry memory", found)
}

fn dropped(status: &proto::StatusResponse) -> Check {
    let lost = status.dropped.iter().filter(|(_, count)| **count > 0);
    let lost: Vec<String> = lost
        .map(|(what, count)| format!("{what} {}", format::count(*count)))
        .collect();
    match lost.is_empty() {
        true => ok("dropped", "nothing"),
        false => {
            let hint = "a limit was reached: docs/operating.md says which and why";
            bad("dropped", Mark::Warn, lost.join(", "), hint)
        }
    }
}

async fn hosts(link: &Link) -> Result<Vec<Check>, Failure> {
    let (rows, _) = host::all(link).await?;
    let named = |takes: &dyn Fn(&binnacle_core::view::HostRow) -> bool| {
        let mut names: Vec<&str> = rows
            .iter()
            .filter(|row| takes(row))
            .map(|row| row.name.as_str())
            .collect();
        let count = names.len();
        names.truncate(10);
        (count, names.join(" "))
    };
    let live = rows
        .iter()
        .filter(|row| row.state == HostState::Live)
        .count();
    let mut checks = vec![ok("hosts", format!("{live} of {} live", rows.len()))];
    let mut look = |check, hint, takes: &dyn Fn(&binnacle_core::view::HostRow) -> bool| {
        let (count, names) = named(takes);
        if count > 0 {
            checks.push(bad(check, Mark::Warn, format!("{count}: {names}"), hint));
        }
    };
    look(
        "silent hosts",
        "see `systemctl status binnacle-agent` there",
        &|row| row.state == HostState::Silent,
    );
    look(
        "failing hosts",
        "`binnacle host show NAME` says why",
        &|row| matches!(row.status().0, Status::Warn | Status::Crit),
    );
    look(
        "skewed clocks",
        "synchronise their clocks: windows are placed by them",
        &|row| row.skew_us.abs() >= SKEW_US,
    );
    look(
        "shared names",
        "two machines claim one name: rename one",
        &|row| row.streams > 1,
    );
    look(
        "lost windows",
        "their spools were full: look at how long the hub was gone",
        &|row| row.losses.spool_windows > 0,
    );
    Ok(checks)
}

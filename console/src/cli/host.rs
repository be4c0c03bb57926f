//! `binnacle host`: machines with an agent.

use binnacle_core::report::{Light, Losses, ServerHealth, VersionLights, Vitals};
use binnacle_core::view::{self, HostRow, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::host;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::{Global, time};
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

mod history;

/// Hosts asked for at once.
const PAGE: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Every host, with its lights and its requests of late.
    List(List),
    /// One host, with all that is known of it.
    Show {
        /// Which.
        name: String,
    },
    /// Hosts' requests minute by minute, for a day.
    History(history::Ask),
    /// Take a host out of the fleet: it serves on, but stops reporting.
    Retire(Change),
    /// Let a retired host report again, once its agent is restarted.
    Readmit(Change),
    /// Turn load balancers away from a host, let it finish what it began, and unload its versions.
    Drain(Drain),
    /// Let a drained host load its versions and serve again.
    Resume(Change),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only this environment.
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Only hosts with this label; may be given more than once.
    #[arg(long, value_name = "K=V", value_parser = label)]
    label: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub(crate) struct Drain {
    #[command(flatten)]
    change: Change,
    /// Although the other hosts would be busier than 80 % of their busiest minute within a day.
    #[arg(long)]
    anyway: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Change {
    /// Which.
    name: String,
    /// Why: it stays in the journal.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
}

/// A host as an item of a document.
#[derive(Serialize)]
struct Item<'a> {
    status: view::Status,
    status_reason: String,
    #[serde(flatten)]
    row: &'a HostRow,
}

impl<'a> Item<'a> {
    fn of(row: &'a HostRow) -> Self {
        let (status, reason) = row.status();
        Self {
            status,
            status_reason: reason.to_string(),
            row,
        }
    }
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let link = global.link().await?;
        match self {
            Self::List(list) => list.run(&link, global.form()).await,
            Self::Show { name } => show(&link, &name, global.form()).await,
            Self::History(ask) => ask.run(&link, global.form()).await,
            Self::Retire(change) => {
                let asked = link.question(change.message());
                let changed = link.fleet().retire_host(asked).await?.into_inner();
                change.tell(&changed, "retired", global.form())
            }
            Self::Drain(Drain { change, anyway }) => {
                let asked = proto::HostChange {
                    anyway,
                    ..change.message()
                };
                let asked = link.question(asked);
                let changed = link.fleet().drain_host(asked).await?.into_inner();
                change.tell(&changed, "drained", global.form())
            }
            Self::Resume(change) => {
                let asked = link.question(change.message());
                let changed = link.fleet().resume_host(asked).await?.into_inner();
                change.tell(&changed, "serving", global.form())
            }
            Self::Readmit(change) => {
                let asked = link.question(change.message());
                let changed = link.fleet().readmit_host(asked).await?.into_inner();
                change.tell(&changed, "a member", global.form())
            }
        }
    }
}

/// Every host, page by page, and when it was so.
pub(crate) async fn all(link: &Link) -> Result<(Vec<HostRow>, i64), Failure> {
    let mut rows: Vec<HostRow> = Vec::new();
    loop {
        let after = rows
            .last()
            .map(|row| row.name.to_string())
            .unwrap_or_default();
        let asked = proto::ListHostsRequest {
            after,
            limit: PAGE,
            ..Default::default()
        };
        let page = link
            .fleet()
            .list_hosts(link.question(asked))
            .await?
            .into_inner();
        let full = page.hosts.len() == PAGE as usize;
        for row in page.hosts {
            rows.push(host::from_proto(row)?);
        }
        if !full {
            return Ok((rows, page.as_of_us));
        }
    }
}

impl List {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let (mut rows, as_of_us) = all(link).await?;
        rows.retain(|row| self.takes(row));
        match form {
            Form::Json => {
                let items: Vec<_> = rows.iter().map(Item::of).collect();
                output::json(&Document::new("binnacle.hosts/v1", as_of_us, &items))?;
            }
            Form::Text if rows.is_empty() => {
                output::text("no hosts: start an agent with `binnacle-agent run --hub ADDR …`")?;
            }
            Form::Text => output::text(table(&rows, as_of_us))?,
        }
        Ok(Exit::Ok)
    }

    fn takes(&self, row: &HostRow) -> bool {
        let environment = self.environment.as_deref();
        environment.is_none_or(|name| name == row.environment.as_str())
            && self.label.iter().all(|(key, value)| {
                row.labels
                    .iter()
                    .any(|(name, is)| name == key && is == value)
            })
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.into(), value.into())),
        None => Err(format!("{text:?} is no label: say KEY=VALUE")),
    }
}

fn table(rows: &[HostRow], as_of_us: i64) -> String {
    let columns = [
        Column::Left("HOST"),
        Column::Left("STATUS"),
        Column::Left("ENV"),
        Column::Spare("MODELS"),
        Column::Right("REQ/S"),
        Column::Right("P50"),
        Column::Right("P99"),
        Column::Right("ERRORS"),
        Column::Spare("CPU"),
        Column::Right("AGE"),
    ];
    output::table(&columns, rows.iter().map(|row| cells(row, as_of_us)))
}

fn cells(row: &HostRow, as_of_us: i64) -> Vec<String> {
    let (status, _) = row.status();
    let us = |ns: Option<u64>| ns.map(|ns| ns as f64 / 1e3);
    let traffic = row.traffic.as_ref();
    let dash = || "–".to_owned();
    let models = row.server.as_ref().map_or_else(dash, |server| {
        let loaded = |version: &&VersionLights| version.loaded == Light::On;
        let on = server.versions.iter().filter(loaded).count();
        format!("{on}/{}", server.versions.len())
    });
    vec![
        row.name.to_string(),
        format!("{} {}", status.glyph(), status.word()),
        row.environment.to_string(),
        models,
        traffic.map_or_else(dash, |traffic| format::rate(traffic.rate())),
        traffic.map_or_else(dash, |traffic| format::latency(us(traffic.p50_ns))),
        traffic.map_or_else(dash, |traffic| format::latency(us(traffic.p99_ns))),
        traffic.map_or_else(dash, |traffic| {
            format::share(traffic.errors, traffic.requests)
        }),
        row.vitals
            .map_or_else(dash, |vitals| format!("{} %", vitals.cpu_permille / 10)),
        row.seen_at_us
            .map_or_else(dash, |seen_us| format::age(as_of_us - seen_us)),
    ]
}

async fn show(link: &Link, name: &str, form: Form) -> Result<Exit, Failure> {
    let asked = proto::ListHostsRequest {
        name: name.into(),
        ..Default::default()
    };
    let page = link
        .fleet()
        .list_hosts(link.question(asked))
        .await?
        .into_inner();
    let Some(row) = page.hosts.into_iter().next() else {
        return Err(
            Failure::new(Exit::NotFound, format!("host {name} is not known"))
                .hint("`binnacle host list` shows those that are"),
        );
    };
    let row = host::from_proto(row)?;
    match form {
        Form::Json => {
            output::json(&Document::new(
                "binnacle.hosts/v1",
                page.as_of_us,
                &[Item::of(&row)],
            ))?;
        }
        Form::Text => output::text(page_of(&row, page.as_of_us))?,
    }
    Ok(Exit::Ok)
}

fn page_of(row: &HostRow, as_of_us: i64) -> String {
    let (status, why) = row.status();
    let ago = |us: Option<i64>| match us {
        Some(us) => format!("{} ago", format::age(as_of_us - us)),
        None => "never".to_owned(),
    };
    let labels = row.labels.iter();
    let labels: Vec<String> = labels
        .map(|(key, value)| format!("{}={}", shown(key), shown(value)))
        .collect();
    let word = format!("{} {}", status.glyph(), status.word());
    let mut lines = vec![
        format!("{}  {word}  {}", row.name, shown(&why)),
        format!("  status       since {}", ago(row.since_us)),
        format!("  environment  {}", row.environment),
        format!("  labels       {}", labels.join(" ")),
        format!("  seen         {}", ago(row.seen_at_us)),
        format!(
            "  connected    {}, streams: {}",
            ago(row.connected_at_us),
            row.streams
        ),
        format!(
            "  agent        {} ({})",
            shown(&row.agent_version),
            shown(&row.attachment)
        ),
        format!(
            "  assignment   generation {} wanted, {} observed",
            row.generation_wanted, row.generation_observed
        ),
        format!(
            "  clock        {:+.3} s against the hub's",
            row.skew_us as f64 / 1e6
        ),
    ];
    lines.extend(row.vitals.iter().flat_map(machine));
    lines.extend(row.traffic.iter().map(requests));
    lines.extend(row.server.iter().flat_map(lights));
    lines.extend(lost(&row.losses));
    lines.join("\n")
}

fn machine(vitals: &Vitals) -> [String; 2] {
    let of = |used, total| format!("{} of {}", format::bytes(used), format::bytes(total));
    [
        format!(
            "  machine      CPU {} % of {} cores, memory {}, disk {}",
            vitals.cpu_permille / 10,
            vitals.cores,
            of(vitals.memory_used, vitals.memory_total),
            of(vitals.disk_used, vitals.disk_total),
        ),
        format!("  agent memory {}", format::bytes(vitals.agent_memory)),
    ]
}

fn requests(traffic: &view::Traffic) -> String {
    let us = |ns: Option<u64>| ns.map(|ns| ns as f64 / 1e3);
    format!(
        "  last {:>2} s    {} requests, {} errors, p50 {}, p99 {}, in flight {}",
        traffic.span_s,
        format::count(traffic.requests),
        format::count(traffic.errors),
        format::latency(us(traffic.p50_ns)),
        format::latency(us(traffic.p99_ns)),
        traffic.in_flight,
    )
}

fn lights(server: &ServerHealth) -> Vec<String> {
    let (upstream, reason) = (shown(&server.upstream), shown(&server.reason));
    let process = format!(
        "  server       {upstream}  process {} {reason}",
        lamp(server.process)
    );
    let version = |version: &VersionLights| {
        format!(
            "    {} {}  loaded {}  answers {}  correct {}  {}",
            shown(&version.model),
            shown(&version.version),
            lamp(version.loaded),
            lamp(version.answers),
            lamp(version.correct),
            shown(&version.reason),
        )
    };
    let versions = server.versions.iter().map(version);
    [process]
        .into_iter()
        .chain(versions)
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn lost(losses: &Losses) -> Option<String> {
    let Losses {
        spool_windows,
        spool_requests,
        series_overflow,
        log_lines,
        tap_bodies,
        ..
    } = losses;
    (spool_windows + series_overflow + log_lines + tap_bodies > 0).then(|| {
        format!(
            "  lost         {spool_windows} windows with {spool_requests} requests, \
             {series_overflow} to the series limit, {log_lines} log lines, \
             {tap_bodies} tapped bodies"
        )
    })
}

fn lamp(light: Light) -> &'static str {
    match light {
        Light::On => "+ on",
        Light::Off => "x off",
        Light::Unknown => "? not known",
    }
}

impl Change {
    fn message(&self) -> proto::HostChange {
        proto::HostChange {
            name: self.name.clone(),
            reason: self.reason.clone(),
            anyway: false,
        }
    }

    fn tell(&self, changed: &proto::Changed, is: &str, form: Form) -> Result<Exit, Failure> {
        #[derive(Serialize)]
        struct Told<'a> {
            host: &'a str,
            changed: bool,
            journal: u64,
        }
        let told = Told {
            host: &self.name,
            changed: changed.changed,
            journal: changed.sequence,
        };
        match form {
            Form::Json => {
                let items = [told];
                output::json(&Document::new("binnacle.change/v1", time::now_us(), &items))?;
            }
            Form::Text => {
                let already = if changed.changed {
                    "is now"
                } else {
                    "was already"
                };
                output::text(format!(
                    "host {} {already} {is}; journal {}",
                    self.name, changed.sequence
                ))?;
            }
        }
        Ok(Exit::Ok)
    }
}

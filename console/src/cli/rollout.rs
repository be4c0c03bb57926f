//! `binnacle rollout`: what is under way and what was; and how one steers and waits for it.

use std::time::Duration;

use binnacle_core::rollout::Steer;
use binnacle_core::view::{ApprovalsItem, EndpointName, RolloutItem, StepItem, rfc3339, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::endpoint::steer_to;
use binnacle_wire::registry::document_from;
use clap::{Args, Subcommand};
use proto::endpoint_command::Command;
use serde::Serialize;

use crate::cli::Global;
use crate::cli::endpoint::{endpoint, rows, tell};
use crate::cli::registry::How;
use crate::cli::time;
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Rollouts, newest first.
    List(List),
    /// One rollout, with every phase that it went through.
    Show(Of),
    /// Follow one until it is over.
    Watch(Of),
    /// Stand still at the step that it is at.
    Pause(Steered),
    /// Go on after a pause.
    Resume(Steered),
    /// Give it up: hosts go back to the route before.
    Abort(Steered),
    /// Keep what serves, before hosts go back by themselves.
    Confirm(Steered),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only of this endpoint.
    endpoint: Option<EndpointName>,
    /// Only those under way.
    #[arg(long)]
    underway: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Of {
    /// Of which endpoint.
    endpoint: EndpointName,
    /// To which revision; the last one where none is named.
    revision: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Steered {
    /// Of which endpoint.
    endpoint: EndpointName,
    /// Only if it leads to this revision.
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    #[command(flatten)]
    how: How,
}

/// A rollout, and what became of the wish.
#[derive(Serialize)]
pub(crate) struct Outcome<'a> {
    #[serde(flatten)]
    pub(crate) rollout: &'a RolloutItem,
    /// promoted, rolled_back, aborted, inconclusive, or pending.
    pub(crate) outcome: &'static str,
    /// What it waits for, while it does.
    pub(crate) waiting_for: Option<&'static str>,
    /// Whether nothing was to be changed.
    pub(crate) no_change: bool,
    /// Hosts that are where they should be.
    pub(crate) hosts_confirmed: u32,
    /// How long the slowest host's switch took.
    pub(crate) swap_ms_max: Option<f64>,
    /// Requests of the endpoint that failed meanwhile; null where nobody looked.
    pub(crate) failed_requests: Option<u64>,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::List(list) => list.run(&link, form).await,
            Self::Show(of) => {
                let revision = of.revision(&link).await?;
                let (rollout, as_of_us) = fetch(&link, &of.endpoint, revision).await?;
                match form {
                    Form::Json => {
                        let items = [rollout];
                        output::json(&Document::new("binnacle.rollouts/v1", as_of_us, &items))?;
                    }
                    Form::Text => output::text(page(&rollout))?,
                }
                Ok(Exit::Ok)
            }
            Self::Watch(of) => {
                let revision = of.revision(&link).await?;
                let wait = Wait::telling(None, form);
                let ended = follow(&link, &of.endpoint, revision, wait).await?;
                conclude(&ended, None, form)
            }
            Self::Pause(steered) => steered.run(&link, Steer::Pause, "pausing", form).await,
            Self::Resume(steered) => steered.run(&link, Steer::Resume, "resumed", form).await,
            Self::Abort(steered) => steered.run(&link, Steer::Abort, "aborting", form).await,
            Self::Confirm(steered) => steered.run(&link, Steer::Confirm, "confirmed", form).await,
        }
    }
}

impl List {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let asked = proto::EndpointsRequest {
            noun: proto::EndpointNoun::Rollouts.into(),
            endpoint: self
                .endpoint
                .map(|name| name.to_string())
                .unwrap_or_default(),
            underway: self.underway,
            ..Default::default()
        };
        let (rows, as_of_us) = rows::<RolloutItem>(link, asked).await?;
        match form {
            Form::Json => output::json(&Document::new("binnacle.rollouts/v1", as_of_us, &rows))?,
            Form::Text if rows.is_empty() => output::text("no rollouts")?,
            Form::Text => {
                let columns = [
                    Column::Left("ENDPOINT"),
                    Column::Right("REVISION"),
                    Column::Left("TO"),
                    Column::Left("PHASE"),
                    Column::Right("HOSTS"),
                    Column::Left("AT"),
                    Column::Left("WHY"),
                ];
                let cells = |row: &RolloutItem| {
                    vec![
                        row.endpoint.to_string(),
                        row.revision.to_string(),
                        row.after.to_string(),
                        row.phase.to_string(),
                        format!("{}/{}", row.confirmed, row.hosts),
                        rfc3339(row.at_us),
                        row.why.to_string(),
                    ]
                };
                output::text(output::table(&columns, rows.iter().map(cells)))?;
            }
        }
        Ok(Exit::Ok)
    }
}

impl Of {
    /// The revision that is meant.
    async fn revision(&self, link: &Link) -> Result<u64, Failure> {
        if let Some(revision) = self.revision {
            return Ok(revision);
        }
        let asked = proto::EndpointsRequest {
            noun: proto::EndpointNoun::Rollouts.into(),
            endpoint: self.endpoint.to_string(),
            limit: 1,
            ..Default::default()
        };
        let (rows, _) = rows::<RolloutItem>(link, asked).await?;
        let last = rows.first().map(|row| row.revision);
        let never = || {
            let what = format!("{} never had a rollout", self.endpoint);
            Failure::new(Exit::NotFound, what)
        };
        last.ok_or_else(never)
    }
}

impl Steered {
    async fn run(self, link: &Link, steer: Steer, is: &str, form: Form) -> Result<Exit, Failure> {
        let name = self.endpoint.to_string();
        let command = Command::Steer(proto::SteerRollout {
            endpoint: name.clone(),
            revision: self.revision.unwrap_or(0),
            steer: steer_to(steer).into(),
        });
        tell(link, &self.how, command, (&name, is), form).await
    }
}

async fn fetch(
    link: &Link,
    name: &EndpointName,
    revision: u64,
) -> Result<(RolloutItem, i64), Failure> {
    let asked = proto::EndpointsRequest {
        noun: proto::EndpointNoun::Rollouts.into(),
        endpoint: name.to_string(),
        revision,
        ..Default::default()
    };
    let (rows, as_of_us) = rows(link, asked).await?;
    let row = rows.into_iter().next();
    let row =
        row.ok_or_else(|| Failure::new(Exit::NotFound, format!("{name} has no {revision}")))?;
    Ok((row, as_of_us))
}

/// How long one waits, and how each phase is told on the way.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    most: Option<Duration>,
    telling: Telling,
}

/// How a phase is told while one waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// As a line of text.
    Text,
    /// As a line of JSON.
    Lines,
    /// Not at all: what comes of it is one document.
    Silent,
}

/// A rollout on its way, as a line of JSON.
#[derive(Serialize)]
struct Progress<'a> {
    schema: &'static str,
    endpoint: &'a EndpointName,
    revision: u64,
    phase: &'a str,
    step: u32,
    steps: u32,
    hosts_confirmed: u32,
    hosts: u32,
    why: &'a str,
}

impl Wait {
    /// Waits, and tells each phase on the way: in JSON as a line each.
    pub(crate) fn telling(most: Option<Duration>, form: Form) -> Self {
        let telling = match form {
            Form::Text => Telling::Text,
            Form::Json => Telling::Lines,
        };
        Self { most, telling }
    }

    /// Waits for what becomes one document in JSON.
    pub(crate) fn silently(most: Duration, form: Form) -> Self {
        let telling = match form {
            Form::Text => Telling::Text,
            Form::Json => Telling::Silent,
        };
        let most = Some(most);
        Self { most, telling }
    }

    fn tell(self, rollout: &RolloutItem) -> Result<(), Failure> {
        match self.telling {
            Telling::Text => output::text(line(rollout)),
            Telling::Silent => Ok(()),
            Telling::Lines => output::json_line(&Progress {
                schema: "binnacle.rollout.progress/v1",
                endpoint: &rollout.endpoint,
                revision: rollout.revision,
                phase: &rollout.phase,
                step: rollout.step,
                steps: rollout.steps,
                hosts_confirmed: rollout.confirmed,
                hosts: rollout.hosts,
                why: match (&rollout.finding, rollout.why.is_empty()) {
                    (Some(finding), true) => &finding.why,
                    (Some(_) | None, _) => &rollout.why,
                },
            }),
        }
    }
}

/// Follows a rollout until it is over, or the time is up: what it was then.
pub(crate) async fn follow(
    link: &Link,
    name: &EndpointName,
    revision: u64,
    wait: Wait,
) -> Result<RolloutItem, Failure> {
    let asked = proto::WatchEndpointRequest {
        endpoint: name.to_string(),
        revision,
    };
    let mut last = fetch(link, name, revision).await?.0;
    let mut told = link
        .endpoints()
        .watch(tonic::Request::new(asked))
        .await?
        .into_inner();
    let until_over = async {
        let mut phase = String::new();
        loop {
            let now = line(&last);
            if now != phase {
                wait.tell(&last)?;
                phase = now;
            }
            if last.is_over {
                return Ok::<_, Failure>(());
            }
            let Some(answer) = told.message().await? else {
                return Ok(());
            };
            if let Some(row) = answer.rows.first() {
                last = document_from("row", row)?;
            }
        }
    };
    match wait.most {
        None => until_over.await?,
        Some(most) => match tokio::time::timeout(most, until_over).await {
            Ok(ended) => ended?,
            Err(_elapsed) => {}
        },
    }
    Ok(last)
}

/// Tells what became of a rollout that was waited for, and with which exit code that ends.
pub(crate) fn conclude(
    rollout: &RolloutItem,
    failed_requests: Option<u64>,
    form: Form,
) -> Result<Exit, Failure> {
    let is_undecided = rollout
        .finding
        .as_ref()
        .is_some_and(|finding| !finding.speaks_against());
    let (outcome, exit) = match &*rollout.phase {
        "promoted" => ("promoted", Exit::Ok),
        "aborted" => ("aborted", Exit::Refused),
        "rolled_back" if is_undecided => ("inconclusive", Exit::Refused),
        "rolled_back" => ("rolled_back", Exit::Refused),
        _ => ("pending", Exit::Pending),
    };
    let waiting_for = match &*rollout.phase {
        "awaiting_approval" => Some("approval"),
        "confirming" => Some("confirmation"),
        "paused" => Some("resume"),
        "preparing" | "shifting" | "rolling_back" | "aborting" => Some("hosts"),
        "baking" | "judging" => Some("evidence"),
        _ => None,
    };
    let told = Outcome {
        rollout,
        outcome,
        waiting_for,
        no_change: false,
        hosts_confirmed: rollout.confirmed,
        swap_ms_max: rollout.slowest_us.map(|us| us as f64 / 1e3),
        failed_requests,
    };
    match form {
        Form::Json => {
            output::json(&Document::new(
                "binnacle.rollout/v1",
                time::now_us(),
                &[told],
            ))?;
        }
        Form::Text => output::text(ending(&told))?,
    }
    Ok(exit)
}

fn ending(told: &Outcome<'_>) -> String {
    let rollout = told.rollout;
    if let (Some("approval"), Some(said)) = (told.waiting_for, &rollout.approvals) {
        let (endpoint, revision) = (&rollout.endpoint, rollout.revision);
        return format!(
            "{endpoint} revision {revision} waits for approval, {} of {}: another person says \
             `binnacle approval approve {endpoint} {revision} --reason TEXT`",
            said.have, said.of
        );
    }
    let mut text = format!(
        "{} revision {} {}: {}/{} hosts",
        rollout.endpoint, rollout.revision, told.outcome, rollout.confirmed, rollout.hosts
    );
    if let Some(ms) = told.swap_ms_max {
        text.push_str(&format!(", slowest switch {ms:.1} ms"));
    }
    if let Some(failed) = told.failed_requests {
        text.push_str(&format!(", {failed} requests failed"));
    }
    if !rollout.missing.is_empty() {
        let missing: Vec<String> = rollout.missing.iter().map(ToString::to_string).collect();
        text.push_str(&format!("; missing {}", missing.join(", ")));
    }
    text
}

/// A rollout on one line.
pub(crate) fn line(rollout: &RolloutItem) -> String {
    let step = match rollout.step {
        0 => String::new(),
        step => format!(" step {step}/{}", rollout.steps),
    };
    let why = match (rollout.why.is_empty(), &rollout.finding) {
        (false, _) => format!(": {}", rollout.why),
        (true, Some(finding)) => format!(": {}: {}", finding.verdict.word(), finding.why),
        (true, None) => String::new(),
    };
    format!(
        "rollout   to {} ({}) {}{step}, {}/{} hosts{why}",
        rollout.revision, rollout.after, rollout.phase, rollout.confirmed, rollout.hosts
    )
}

pub(crate) fn page(rollout: &RolloutItem) -> String {
    let mut lines = vec![
        format!(
            "{} to revision {} by {}",
            rollout.endpoint, rollout.revision, rollout.strategy
        ),
        format!("plan      {}", rollout.plan),
        format!(
            "route     {} → {}",
            rollout.before.as_deref().unwrap_or("nothing"),
            rollout.after
        ),
        format!("steps     {}", path(rollout)),
        format!(
            "asked     {} by {}{}",
            rfc3339(rollout.at_us),
            rollout.asked_by,
            because(rollout)
        ),
        line(rollout),
    ];
    if let Some(by_us) = rollout.confirm_by_us.filter(|_| !rollout.is_over) {
        lines.push(format!("confirm   by {}", rfc3339(by_us)));
    }
    if let Some(approvals) = &rollout.approvals {
        let ApprovalsItem { have, of, by } = approvals;
        let by = match by.as_slice() {
            [] => String::new(),
            by => format!(": {}", by.join(", ")),
        };
        lines.push(format!("approved  {have} of {of}{by}"));
    }
    for trace in &rollout.trail {
        let why = match (trace.why.is_empty(), &trace.finding) {
            (false, _) => format!(": {}", trace.why),
            (true, Some(finding)) => format!(": {}", finding.why),
            (true, None) => String::new(),
        };
        let (at, hosts) = (rfc3339(trace.at_us), trace.hosts);
        lines.push(format!(
            "{at}  {} {}/{hosts}{why}",
            trace.phase, trace.confirmed
        ));
    }
    lines.join("\n")
}

/// Its steps on one line.
fn path(rollout: &RolloutItem) -> String {
    let step = |step: &StepItem| match step.bake_s {
        0 => step.what.to_string(),
        bake_s => format!(
            "{} for {}",
            step.what,
            format::age(i64::from(bake_s) * 1_000_000)
        ),
    };
    rollout.path.iter().map(step).collect::<Vec<_>>().join(", ")
}

fn because(rollout: &RolloutItem) -> String {
    match &*rollout.asked_why {
        "" => String::new(),
        why => format!(": {}", shown(why)),
    }
}

/// Where an endpoint stands, for a wish that changes nothing.
pub(crate) async fn unchanged(
    link: &Link,
    name: &EndpointName,
    form: Form,
) -> Result<Exit, Failure> {
    #[derive(Serialize)]
    struct Unchanged {
        endpoint: String,
        revision: u64,
        no_change: bool,
        outcome: &'static str,
    }
    let (row, as_of_us) = endpoint(link, name).await?;
    match form {
        Form::Json => {
            let told = Unchanged {
                endpoint: name.to_string(),
                revision: row.live,
                no_change: true,
                outcome: "promoted",
            };
            output::json(&Document::new("binnacle.rollout/v1", as_of_us, &[told]))?;
        }
        Form::Text => output::text(format!("{name} serves {} already", row.route))?,
    }
    Ok(Exit::Ok)
}

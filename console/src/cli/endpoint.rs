//! `binnacle endpoint`: the names that applications call, what must hold there, their history.

use std::collections::BTreeMap;
use std::time::Duration;

use binnacle_core::endpoint::Settings;
use binnacle_core::reaction::{OnBreach, Reactions};
use binnacle_core::registry::{Line, Objective, Objectives};
use binnacle_core::view::{
    EndpointItem, EndpointName, Labels, ProofItem, Reference, RevisionItem, rfc3339,
};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::{document_from, document_to};
use clap::{Args, Subcommand};
use proto::endpoint_command::Command;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::registry::{How, tell_moment};
use crate::cli::{Global, time};
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

mod text;

pub(crate) use text::reacts;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Every endpoint: what serves, what is under way, whether it can go back.
    List(Then),
    /// One endpoint, whole.
    Show(Shown),
    /// Name an endpoint: the hosts that serve it, and what must hold.
    Create(Said),
    /// Change what is said of an endpoint; what is left out stays.
    Edit(Said),
    /// Every route that it was ever to have, newest first.
    History(Of),
    /// Let a version come back that was rolled back there.
    Lift(Lift),
    /// Replay recent inputs through a version that is ready, and say how its answers differ.
    Prove(Prove),
}

/// Now, or at a moment of the past.
#[derive(Args, Debug)]
pub(crate) struct Then {
    #[arg(long, value_name = "TIME", value_parser = time::past, help = time::AT)]
    at: Option<time::Moment>,
}

#[derive(Args, Debug)]
pub(crate) struct Shown {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    then: Then,
}

impl Then {
    /// Microseconds since 1970; 0 for now.
    fn us(&self) -> i64 {
        self.at.map_or(0, |at| at.us(time::now_us()))
    }
}

#[derive(Args, Debug)]
pub(crate) struct Of {
    /// Which: ENVIRONMENT/NAME.
    pub(crate) endpoint: EndpointName,
}

#[derive(Args, Debug)]
pub(crate) struct Lift {
    /// Where: ENVIRONMENT/NAME.
    endpoint: EndpointName,
    /// Which version, as in fraud@7.
    version: Reference,
    #[command(flatten)]
    how: How,
}

#[derive(Args, Debug)]
pub(crate) struct Prove {
    /// Which endpoint's inputs: ENVIRONMENT/NAME.
    endpoint: EndpointName,
    /// Through which version, as in fraud@7; the one that a rollback would bring without it.
    version: Option<Reference>,
    /// Inputs of each host at most.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    most: u32,
}

#[derive(Args, Debug)]
pub(crate) struct Said {
    /// Which: ENVIRONMENT/NAME.
    endpoint: EndpointName,
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Only hosts with this label serve it; may be said several times.
    #[arg(long = "select", value_name = "KEY=VALUE")]
    selector: Vec<String>,
    /// What must hold, as in p99<=250ms, errors<=1% or nulls<=1%; may be said several times.
    #[arg(long = "objective", value_name = "BOUND")]
    objectives: Vec<Objective>,
    /// Earlier good revisions that stay loaded, so that going back is a switch.
    #[arg(long, value_name = "N")]
    keep_warm: Option<u8>,
    /// The share of hosts that may be silent without holding a rollout up, in per cent.
    #[arg(long, value_name = "PERCENT")]
    may_be_missing: Option<f64>,
    /// Requests that a version has to answer before anything is concluded.
    #[arg(long, value_name = "N")]
    min_requests: Option<u32>,
    /// How long a rollout may be held before it goes back.
    #[arg(long, value_name = "TIME", value_parser = time::duration)]
    hold_at_most: Option<Duration>,
    /// Recent inputs that each host keeps in memory, to be replayed: 64 unless the environment is
    /// protected.
    #[arg(long, value_name = "N")]
    keep_inputs: Option<u16>,
    /// Whether inputs are nobody's to keep: then none is.
    #[arg(long, value_name = "BOOL")]
    sensitive: Option<bool>,
    #[command(flatten)]
    reactions: Reacting,
    #[command(flatten)]
    how: How,
}

/// What is done when something does not hold.
#[derive(Args, Debug)]
struct Reacting {
    /// On a breach: alert, or also roll_back where its version is to blame.
    #[arg(long, value_name = "WHAT", value_parser = on_breach)]
    on_breach: Option<OnBreach>,
    /// How long a breach lasts before it is an alert.
    #[arg(long, value_name = "TIME", value_parser = time::duration)]
    opens_after: Option<Duration>,
    /// How long all is well before an alert is over.
    #[arg(long, value_name = "TIME", value_parser = time::duration)]
    closes_after: Option<Duration>,
    /// Rollbacks by itself within 24 hours; then people are told.
    #[arg(long, value_name = "N")]
    rollbacks_a_day: Option<u8>,
    /// Where it says what to do: a URL, or a line.
    #[arg(long, value_name = "TEXT")]
    runbook: Option<String>,
}

fn on_breach(text: &str) -> Result<OnBreach, String> {
    match text {
        "alert" => Ok(OnBreach::Alert),
        "roll_back" => Ok(OnBreach::RollBack),
        _ => Err("say alert or roll_back".into()),
    }
}

impl Reacting {
    /// What is said, over what is known.
    fn over(&self, known: &mut Reactions) -> Result<(), Failure> {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        known.on_breach = self.on_breach.unwrap_or(known.on_breach);
        known.opens_after_s = self.opens_after.map_or(known.opens_after_s, seconds);
        known.closes_after_s = self.closes_after.map_or(known.closes_after_s, seconds);
        known.rollbacks_a_day = self.rollbacks_a_day.unwrap_or(known.rollbacks_a_day);
        if let Some(text) = &self.runbook {
            let line = Line::parse(text);
            known.runbook = line.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        }
        Ok(())
    }
}

/// What became of a change.
#[derive(Serialize)]
struct Told<'a> {
    object: &'a str,
    changed: bool,
    journal: u64,
    dry_run: bool,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::List(then) => list(&link, &then, form).await,
            Self::Show(shown) => {
                let (name, at_us) = (&shown.of.endpoint, shown.then.us());
                let (row, as_of_us) = endpoint_at(&link, name, at_us).await?;
                tell_moment(at_us, form)?;
                match form {
                    Form::Json => {
                        let items = [row];
                        let document = Document::new("binnacle.endpoints/v1", as_of_us, &items);
                        output::json(&document.at(at_us))?;
                    }
                    Form::Text => output::text(text::page(&row, at_us != 0))?,
                }
                Ok(Exit::Ok)
            }
            Self::Create(said) => {
                let settings = said.over(Settings::default())?;
                let name = said.endpoint.to_string();
                let command = Command::Create(document(&name, &settings));
                tell(&link, &said.how, command, (&name, "created"), form).await
            }
            Self::Edit(said) => {
                let (row, _) = endpoint(&link, &said.endpoint).await?;
                let settings = said.over(row.settings)?;
                let revision = row.edited;
                change(&link, &said.endpoint, said.how, (settings, revision), form).await
            }
            Self::History(of) => history(&link, &of.endpoint, form).await,
            Self::Prove(asked) => {
                let version = asked.version.as_ref();
                let (proof, as_of_us) = prove(&link, &asked.endpoint, version, asked.most).await?;
                match form {
                    Form::Json => {
                        output::json(&Document::new("binnacle.proof/v1", as_of_us, &[proof]))?;
                    }
                    Form::Text => output::text(proved(&proof))?,
                }
                Ok(Exit::Ok)
            }
            Self::Lift(lift) => {
                let name = lift.endpoint.to_string();
                let command = Command::Lift(proto::LiftBlock {
                    endpoint: name.clone(),
                    version: lift.version.to_string(),
                });
                let is = format!("may have {} again", lift.version);
                tell(&link, &lift.how, command, (&name, &is), form).await
            }
        }
    }
}

async fn list(link: &Link, then: &Then, form: Form) -> Result<Exit, Failure> {
    let at_us = then.us();
    let (rows, as_of_us) = endpoints(link, "", at_us).await?;
    tell_moment(at_us, form)?;
    match form {
        Form::Json => {
            let document = Document::new("binnacle.endpoints/v1", as_of_us, &rows);
            output::json(&document.at(at_us))?;
        }
        Form::Text if rows.is_empty() && at_us != 0 => {
            output::text("no endpoints then")?;
        }
        Form::Text if rows.is_empty() => {
            output::text("no endpoints: `binnacle endpoint create ENVIRONMENT/NAME` names one")?
        }
        Form::Text => output::text(text::table(&rows, at_us != 0))?,
    }
    Ok(Exit::Ok)
}

/// Changes one part of what is said of an endpoint, as it was read.
pub(crate) async fn edit(
    link: &Link,
    name: &EndpointName,
    how: How,
    form: Form,
    part: impl FnOnce(&mut Settings),
) -> Result<Exit, Failure> {
    let (row, _) = endpoint(link, name).await?;
    let mut settings = row.settings;
    part(&mut settings);
    change(link, name, how, (settings, row.edited), form).await
}

async fn change(
    link: &Link,
    name: &EndpointName,
    how: How,
    (settings, revision): (Settings, u64),
    form: Form,
) -> Result<Exit, Failure> {
    let how = How {
        if_revision: how.if_revision.or(Some(revision)),
        ..how
    };
    let name = name.to_string();
    let command = Command::Edit(document(&name, &settings));
    tell(link, &how, command, (&name, "edited"), form).await
}

impl Said {
    /// What is said, over what is known.
    fn over(&self, known: Settings) -> Result<Settings, Failure> {
        let wrong = |error: String| Failure::new(Exit::Usage, error);
        let mut settings = known;
        if let Some(text) = &self.description {
            settings.description = Line::parse(text).map_err(|error| wrong(error.to_string()))?;
        }
        if !self.selector.is_empty() {
            let pair = |text: &String| {
                let (key, value) = text.split_once('=')?;
                Some((key.to_owned(), value.to_owned()))
            };
            let pairs: Option<BTreeMap<_, _>> = self.selector.iter().map(pair).collect();
            let pairs = pairs.ok_or_else(|| wrong("--select takes KEY=VALUE".into()))?;
            settings.selector = Labels::parse(pairs).map_err(|error| wrong(error.to_string()))?;
        }
        if !self.objectives.is_empty() {
            let objectives = Objectives::parse(self.objectives.clone());
            settings.objectives = objectives.map_err(|error| wrong(error.to_string()))?;
        }
        settings.keep_inputs = self.keep_inputs.or(settings.keep_inputs);
        settings.sensitive = self.sensitive.unwrap_or(settings.sensitive);
        let policy = &mut settings.policy;
        policy.keep_warm = self.keep_warm.unwrap_or(policy.keep_warm);
        policy.min_requests = self.min_requests.unwrap_or(policy.min_requests);
        if let Some(percent) = self.may_be_missing {
            policy.may_be_missing = (percent * 100.0).round() as u32;
        }
        if let Some(most) = self.hold_at_most {
            policy.hold_at_most_s = u32::try_from(most.as_secs()).unwrap_or(u32::MAX);
        }
        self.reactions.over(&mut settings.reactions)?;
        // As the hub reads it: what makes no sense is refused here, by its name.
        let checked = document_from("settings", &document_to(&settings));
        checked.map_err(|refused: binnacle_wire::Refused| wrong(refused.what))
    }
}

/// Has hosts replay recent inputs.
pub(crate) async fn prove(
    link: &Link,
    endpoint: &EndpointName,
    version: Option<&Reference>,
    most: u32,
) -> Result<(ProofItem, i64), Failure> {
    let asked = proto::ProveRequest {
        endpoint: endpoint.to_string(),
        version: version.map(ToString::to_string).unwrap_or_default(),
        most,
    };
    let answer = link.endpoints().prove(link.question(asked)).await;
    let answer = answer.map_err(refused)?.into_inner();
    Ok((
        document_from("document", &answer.document)?,
        answer.as_of_us,
    ))
}

/// A proof in words.
pub(crate) fn proved(proof: &ProofItem) -> String {
    let mut lines = vec![format!(
        "{} on {} of {} hosts: {} inputs, {} answered alike, {} differently, {} failed",
        proof.version,
        proof.answered,
        proof.hosts,
        proof.compared + proof.failed,
        proof.same_class,
        proof.compared.saturating_sub(proof.same_class),
        proof.failed,
    )];
    let largest = proof.decades.iter().rposition(|count| *count > 0);
    if let Some(at) = largest {
        lines.push(match at {
            0 => "numbers differ by less than 1e-9".to_owned(),
            at if at + 1 == proof.decades.len() => {
                "some number differs by 1e6 or more, or is none".to_owned()
            }
            at => format!("numbers differ by less than 1e{}", at as i64 - 9),
        });
    }
    lines.extend(proof.reasons.iter().map(|reason| format!("note: {reason}")));
    lines.join("\n")
}

fn document(endpoint: &str, settings: &Settings) -> proto::EndpointDocument {
    proto::EndpointDocument {
        endpoint: endpoint.to_owned(),
        document: document_to(settings).into(),
    }
}

/// Asks for a change, and tells what became of it.
pub(crate) async fn tell(
    link: &Link,
    how: &How,
    command: Command,
    (object, is): (&str, &str),
    form: Form,
) -> Result<Exit, Failure> {
    let asked = proto::EndpointCommand {
        why: how.reason.clone(),
        if_revision: how.if_revision,
        key: how.idempotency_key.clone(),
        dry_run: how.dry_run,
        command: Some(command),
    };
    let changed = link.endpoints().change(link.question(asked)).await;
    let changed = changed.map_err(refused)?.into_inner();
    let told = Told {
        object,
        changed: changed.changed,
        journal: changed.sequence,
        dry_run: how.dry_run,
    };
    match form {
        Form::Json => {
            output::json(&Document::new(
                "binnacle.change/v1",
                time::now_us(),
                &[told],
            ))?;
        }
        Form::Text => output::text(match (how.dry_run, changed.changed) {
            (true, true) => format!("{object} would be {is}; nothing was changed"),
            (true, false) => format!("{object} is as it would be: nothing is to be changed"),
            (false, true) => format!("{object} {is}; journal {}", changed.sequence),
            (false, false) => format!("{object} was so already: nothing was changed"),
        })?,
    }
    Ok(Exit::Ok)
}

/// What is refused because of how things stand is told apart from what fails.
pub(crate) fn refused(status: tonic::Status) -> Failure {
    let is_gate = status.code() == tonic::Code::FailedPrecondition;
    let failure = Failure::from(status);
    match is_gate {
        true => Failure::new(Exit::Refused, failure.message),
        false => failure,
    }
}

/// Rows of one kind.
pub(crate) async fn rows<T: DeserializeOwned>(
    link: &Link,
    asked: proto::EndpointsRequest,
) -> Result<(Vec<T>, i64), Failure> {
    let answer = link.endpoints().list(link.question(asked)).await?;
    let answer = answer.into_inner();
    let rows = answer.rows.iter().map(|row| document_from("row", row));
    Ok((rows.collect::<Result<_, _>>()?, answer.as_of_us))
}

async fn endpoints(
    link: &Link,
    name: &str,
    at_us: i64,
) -> Result<(Vec<EndpointItem>, i64), Failure> {
    let asked = proto::EndpointsRequest {
        noun: proto::EndpointNoun::Endpoints.into(),
        endpoint: name.to_owned(),
        at_us,
        ..Default::default()
    };
    rows(link, asked).await
}

/// One endpoint.
pub(crate) async fn endpoint(
    link: &Link,
    name: &EndpointName,
) -> Result<(EndpointItem, i64), Failure> {
    endpoint_at(link, name, 0).await
}

/// One endpoint, now or at a moment of the past.
async fn endpoint_at(
    link: &Link,
    name: &EndpointName,
    at_us: i64,
) -> Result<(EndpointItem, i64), Failure> {
    let (rows, as_of_us) = endpoints(link, &name.to_string(), at_us).await?;
    let row = rows.into_iter().next();
    let missing = || match at_us {
        0 => format!("{name} is not known"),
        at_us => format!("{name} was not named at {}", time::told(at_us)),
    };
    let row = row.ok_or_else(|| Failure::new(Exit::NotFound, missing()))?;
    Ok((row, as_of_us))
}

async fn history(link: &Link, name: &EndpointName, form: Form) -> Result<Exit, Failure> {
    let asked = proto::EndpointsRequest {
        noun: proto::EndpointNoun::Revisions.into(),
        endpoint: name.to_string(),
        ..Default::default()
    };
    let (rows, as_of_us) = rows::<RevisionItem>(link, asked).await?;
    match form {
        Form::Json => output::json(&Document::new("binnacle.revisions/v1", as_of_us, &rows))?,
        Form::Text if rows.is_empty() => {
            output::text(format!(
                "{name} never had a route: `binnacle deploy {name} --to …`"
            ))?;
        }
        Form::Text => {
            let columns = [
                Column::Right("REVISION"),
                Column::Left("ROUTE"),
                Column::Left("FATE"),
                Column::Left("AT"),
                Column::Left("BY"),
                Column::Left("WHY"),
            ];
            let cells = |row: &RevisionItem| {
                let why = if row.fate_why.is_empty() {
                    &row.why
                } else {
                    &row.fate_why
                };
                vec![
                    row.revision.to_string(),
                    row.text.to_string(),
                    row.fate.to_string(),
                    rfc3339(row.at_us),
                    row.caller.to_string(),
                    why.to_string(),
                ]
            };
            output::text(output::table(&columns, rows.iter().map(cells)))?;
        }
    }
    Ok(Exit::Ok)
}

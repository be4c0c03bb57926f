//! `binnacle objective`: what must hold at an endpoint, and what happens when it does not.

use binnacle_core::reaction::OnBreach;
use binnacle_core::registry::{Objective, Objectives};
use binnacle_core::view::{AlertItem, EndpointItem, EndpointName};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::Global;
use crate::cli::endpoint::{self, Of};
use crate::cli::registry::How;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Document, Form};

const SET: &str = "\
Examples:
  binnacle objective set prod/fraud 'p99<=250ms' 'errors<=0.5%' 'nulls<=1%' --reason 'the contract'
  binnacle objective set prod/fraud --none --reason 'nobody is woken for it any more'

errors is the share of requests that fail by the server's fault; nulls the share of answers that say
nothing: a value that is no number, null or empty; p50, p90, p99 and p99.9 are of those that end
well.";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// What must hold, what is done when it does not, and what does not hold now.
    Show(Of),
    /// Say all of what must hold; what is left out does not have to any more.
    #[command(after_long_help = SET)]
    Set(Set),
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    /// Where: ENVIRONMENT/NAME.
    endpoint: EndpointName,
    /// Bounds, as in p99<=250ms, errors<=1%, nulls<=1%.
    #[arg(required_unless_present = "none", value_name = "BOUND")]
    objectives: Vec<Objective>,
    /// Nothing has to hold.
    #[arg(long, conflicts_with = "objectives")]
    none: bool,
    #[command(flatten)]
    how: How,
}

/// What must hold at one endpoint.
#[derive(Serialize)]
struct Held<'a> {
    endpoint: &'a EndpointName,
    objectives: &'a Objectives,
    on_breach: OnBreach,
    opens_after_s: u32,
    closes_after_s: u32,
    alerts: &'a [AlertItem],
    revision: u64,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::Show(of) => {
                let (row, as_of_us) = endpoint::endpoint(&link, &of.endpoint).await?;
                match form {
                    Form::Json => {
                        let held = [held(&row)];
                        output::json(&Document::new("binnacle.objectives/v1", as_of_us, &held))?;
                    }
                    Form::Text => output::text(page(&row))?,
                }
                Ok(Exit::Ok)
            }
            Self::Set(set) => {
                let objectives = Objectives::parse(set.objectives);
                let objectives =
                    objectives.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
                endpoint::edit(&link, &set.endpoint, set.how, form, |settings| {
                    settings.objectives = objectives;
                })
                .await
            }
        }
    }
}

fn held(row: &EndpointItem) -> Held<'_> {
    let reactions = &row.settings.reactions;
    Held {
        endpoint: &row.endpoint,
        objectives: &row.settings.objectives,
        on_breach: reactions.on_breach,
        opens_after_s: reactions.opens_after_s,
        closes_after_s: reactions.closes_after_s,
        alerts: &row.alerts,
        revision: row.edited,
    }
}

fn page(row: &EndpointItem) -> String {
    let held = held(row);
    let objectives: Vec<String> = held.objectives.iter().map(Objective::to_string).collect();
    let objectives = match objectives.is_empty() {
        true => "nothing".to_owned(),
        false => objectives.join(" "),
    };
    let mut lines = vec![
        format!("{}  must hold: {objectives}", held.endpoint),
        format!("  {}", endpoint::reacts(&row.settings.reactions)),
        format!("  set by     journal {}", held.revision),
    ];
    let open = held.alerts.iter();
    lines.extend(open.map(|alert| format!("  does not   {}", alert.text)));
    lines.join("\n")
}

//! `binnacle deploy` and `binnacle rollback`: a plan, a look at it, and waiting for the outcome.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use binnacle_core::endpoint::route::{NotARoute, Route, Spoken};
use binnacle_core::rollout::{Ask, Plan, Strategy, Want};
use binnacle_core::view::{EndpointName, PlanItem, RolloutItem};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::{document_from, document_to};
use binnacle_wire::series;
use clap::Args;
use proto::endpoint_command::Command;

use crate::cli::endpoint::{self, refused};
use crate::cli::rollout::{Wait, conclude, follow, unchanged};
use crate::cli::{Global, time};
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Document, Form};

/// How long a rollback is waited for unless somebody says: hosts that are warm take milliseconds,
/// and the others follow by themselves.
const ROLLBACK_WAIT: Duration = Duration::from_secs(60);

#[derive(Args, Debug)]
pub(crate) struct Deploy {
    /// What is to serve: MODEL@NUMBER, or several as MODEL@NUMBER=SHARE%; a plan from a file
    /// says it itself.
    #[arg(value_name = "VERSION", required_unless_present = "plan")]
    versions: Vec<String>,
    /// To which endpoint: ENVIRONMENT/NAME.
    #[arg(long, value_name = "ENDPOINT", required_unless_present = "plan")]
    to: Option<EndpointName>,
    /// A version that is given copies of requests and answers nobody: MODEL@NUMBER=SHARE%.
    #[arg(long, value_name = "VERSION", conflicts_with = "plan")]
    shadow: Vec<String>,
    /// Requests whose header has a value go to one of the versions: HEADER=VALUE:MODEL@NUMBER. All
    /// pins look at one header.
    #[arg(long, value_name = "PIN", conflicts_with = "plan")]
    pin: Vec<String>,
    /// Callers with the same value of this header stay with one version; none: each request is
    /// drawn anew. What serves now keeps its header unless you say.
    #[arg(long, value_name = "HEADER", conflicts_with = "plan")]
    sticky: Option<String>,
    /// How: all-at-once, rolling:25%/2m, canary:5%/10m,25%/10m, blue-green:10m,
    /// shadow:20%/10m,5%/10m.
    #[arg(long, value_name = "HOW")]
    strategy: Option<Strategy>,
    /// Hosts go back by themselves unless it is confirmed within this time; 0s for never.
    #[arg(long, value_name = "TIME", value_parser = time::duration)]
    confirm_within: Option<Duration>,
    /// Run the plan in this file, as --dry-run --json printed it.
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["versions", "to", "strategy", "confirm_within"])]
    plan: Option<PathBuf>,
    /// Wait for the outcome, at most so long: --wait=30m. Each phase is told on the way; in JSON as
    /// a line each, the outcome being the last.
    #[arg(long, value_name = "TIME", value_parser = time::duration, num_args = 0..=1,
          require_equals = true, default_missing_value = "24h")]
    wait: Option<Duration>,
    #[command(flatten)]
    way: Way,
}

#[derive(Args, Debug)]
pub(crate) struct Rollback {
    /// Which endpoint: ENVIRONMENT/NAME.
    endpoint: EndpointName,
    /// To this revision, rather than the last one that was good.
    #[arg(long, value_name = "REVISION")]
    to: Option<u64>,
    /// Do not wait for hosts.
    #[arg(long)]
    detach: bool,
    /// Before anything is confirmed, replay recent inputs through what it goes back to, and show
    /// how the answers differ.
    #[arg(long)]
    prove: bool,
    #[command(flatten)]
    way: Way,
}

/// How a change is asked for.
#[derive(Args, Debug)]
struct Way {
    /// Why: it stays in the journal.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Say what would be done, and do not do it.
    #[arg(long)]
    dry_run: bool,
    /// The endpoint's name, with its environment or without, where a protected one asks for it.
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Ask nothing: end with exit 10 where something would have to be asked.
    #[arg(long)]
    no_input: bool,
    /// The same key is done once, however often it is sent within a day.
    #[arg(long, value_name = "KEY", default_value = "")]
    idempotency_key: String,
}

impl Deploy {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        let item = match &self.plan {
            Some(file) => read(file)?,
            None => plan(&link, &self.ask()?).await?,
        };
        let Some(revision) = self.way.go(&link, &item, form).await? else {
            return self.way.nothing(&link, &item, form).await;
        };
        let wait = match self.wait {
            Some(most) => Wait::telling(Some(most), form),
            None => Wait::silently(Duration::ZERO, form),
        };
        let ended = follow(&link, &item.endpoint, revision, wait).await?;
        let exit = conclude(&ended, None, form)?;
        // Whoever does not wait has what was asked for: it is under way.
        Ok(if self.wait.is_none() { Exit::Ok } else { exit })
    }

    fn ask(&self) -> Result<Ask, Failure> {
        let endpoint = self.to.clone();
        let endpoint = endpoint.ok_or_else(|| Failure::new(Exit::Usage, "say --to ENDPOINT"))?;
        let confirm_within_s = self.confirm_within.map(|within| within.as_secs());
        let wrong = |error: NotARoute| Failure::new(Exit::Usage, error.to_string());
        let spoken: Spoken = self.spoken().parse().map_err(wrong)?;
        Ok(Ask {
            endpoint,
            want: Want::Deploy(spoken.route),
            keeps_sticky: spoken.keeps_sticky,
            strategy: self.strategy.clone(),
            confirm_within_s: confirm_within_s.map(|s| u32::try_from(s).unwrap_or(u32::MAX)),
        })
    }
}

impl Deploy {
    /// The route in the words in which it is shown: `fraud@7 90%, fraud@8 10%`.
    fn spoken(&self) -> String {
        let versions = self.versions.iter().map(|word| match word.contains(' ') {
            // The words themselves: `fraud@7 90%, fraud@8 10%`.
            true => word.clone(),
            false => word.replacen('=', " ", 1),
        });
        let shadows = self.shadow.iter();
        let shadows = shadows.map(|word| format!("shadow {}", word.replacen('=', " ", 1)));
        let pins = self.pin.iter().map(|pin| match pin.rsplit_once(':') {
            Some((header, version)) => format!("{header} to {version}"),
            None => pin.clone(),
        });
        let sticky = self
            .sticky
            .iter()
            .map(|header| format!("sticky by {header}"));
        let all = versions.chain(shadows).chain(pins).chain(sticky);
        all.collect::<Vec<_>>().join(", ")
    }
}

impl Rollback {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        let ask = Ask {
            endpoint: self.endpoint.clone(),
            want: Want::Rollback(self.to),
            strategy: None,
            confirm_within_s: None,
            keeps_sticky: false,
        };
        let item = plan(&link, &ask).await?;
        if self.prove {
            self.show_proof(&link, &item, form).await?;
        }
        let Some(revision) = self.way.go(&link, &item, form).await? else {
            return self.way.nothing(&link, &item, form).await;
        };
        let wait = if self.detach {
            Duration::ZERO
        } else {
            ROLLBACK_WAIT
        };
        let ended = follow(&link, &item.endpoint, revision, Wait::silently(wait, form)).await?;
        let failed = failed(&link, &item, &ended).await?;
        let exit = conclude(&ended, failed, form)?;
        Ok(if self.detach { Exit::Ok } else { exit })
    }
}

impl Rollback {
    /// Shows how answers will differ: as text, or as a line of JSON before the outcome.
    async fn show_proof(&self, link: &Link, item: &PlanItem, form: Form) -> Result<(), Failure> {
        let intent = item.plan.as_ref().map(|plan| &plan.intent);
        let splits = intent.map(|intent| intent.after.parts().versions.iter());
        let version = splits.and_then(|splits| splits.max_by_key(|split| split.weight));
        let Some(version) = version.map(|split| &split.version) else {
            return Ok(());
        };
        let (proof, as_of_us) = endpoint::prove(link, &item.endpoint, Some(version), 0).await?;
        match form {
            Form::Json => {
                output::json_line(&Document::new("binnacle.proof/v1", as_of_us, &[proof]))
            }
            Form::Text => output::text(endpoint::proved(&proof)),
        }
    }
}

impl Way {
    /// Shows a plan and runs it: the revision that it leads to, or `None` where nothing is done.
    async fn go(&self, link: &Link, item: &PlanItem, form: Form) -> Result<Option<u64>, Failure> {
        let Some(plan) = &item.plan else {
            return Ok(None);
        };
        if form == Form::Text {
            output::text(shown(item, plan))?;
        }
        if self.dry_run {
            return Ok(None);
        }
        self.confirmed(item)?;
        let asked = proto::EndpointCommand {
            why: self.reason.clone(),
            key: self.idempotency_key.clone(),
            command: Some(Command::Run(document_to(plan).into())),
            ..Default::default()
        };
        let changed = link.endpoints().change(link.question(asked)).await;
        Ok(Some(changed.map_err(refused)?.into_inner().revision))
    }

    /// What is told where nothing is done.
    async fn nothing(&self, link: &Link, item: &PlanItem, form: Form) -> Result<Exit, Failure> {
        if item.no_change {
            return unchanged(link, &item.endpoint, form).await;
        }
        if form == Form::Json {
            output::json(&Document::new("binnacle.plan/v1", time::now_us(), &[item]))?;
        }
        Ok(Exit::Ok)
    }

    /// In a protected environment the endpoint's name has to be typed.
    fn confirmed(&self, item: &PlanItem) -> Result<(), Failure> {
        let name = item.endpoint.name.as_str();
        let given = match &self.confirm {
            Some(given) => given.trim().to_owned(),
            None if !item.protected => return Ok(()),
            None if self.no_input || !io::stdin().is_terminal() => {
                let what = format!("{} is protected: say --confirm {name}", item.endpoint);
                return Err(Failure::new(Exit::Unconfirmed, what));
            }
            None => {
                let mut stderr = io::stderr().lock();
                write!(stderr, "type {name} to go on: ")?;
                stderr.flush()?;
                let mut line = String::new();
                io::stdin().lock().read_line(&mut line)?;
                line.trim().to_owned()
            }
        };
        match given == name || given == item.endpoint.to_string() {
            true => Ok(()),
            false => {
                let what = format!("{given:?} is not {name:?}: nothing was changed");
                Err(Failure::new(Exit::Unconfirmed, what))
            }
        }
    }
}

async fn plan(link: &Link, ask: &Ask) -> Result<PlanItem, Failure> {
    let asked = proto::PlanRequest {
        ask: document_to(ask).into(),
    };
    let planned = link.endpoints().plan(link.question(asked)).await;
    let planned = planned.map_err(refused)?.into_inner();
    Ok(document_from("document", &planned.document)?)
}

/// Reads a plan as `--dry-run --json` printed it.
fn read(file: &std::path::Path) -> Result<PlanItem, Failure> {
    #[derive(serde::Deserialize)]
    struct Printed {
        items: [PlanItem; 1],
    }
    let wrong = |error: String| {
        let what = format!("cannot read the plan in {}: {error}", file.display());
        Failure::new(Exit::Usage, what)
    };
    let text = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let printed: Printed =
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let [item] = printed.items;
    Ok(item)
}

/// A plan, to be looked at.
fn shown(item: &PlanItem, plan: &Plan) -> String {
    let intent = &plan.intent;
    let before = intent
        .before
        .as_ref()
        .map_or("nothing".to_owned(), Route::to_string);
    let mut lines = vec![
        format!("{}: {before} → {}", item.endpoint, intent.after),
        format!("plan {} on revision {}", plan.hash, intent.base),
    ];
    for (at, step) in item.steps.iter().enumerate() {
        lines.push(format!("  {}. {step}", at + 1));
    }
    if intent.confirm_within_s > 0 {
        let within = intent.confirm_within_s;
        lines.push(format!(
            "hosts go back by themselves unless confirmed within {within} s"
        ));
    }
    if let Some(ready) = &item.readiness {
        let eta = match ready.eta_ms {
            Some(ms) => format!("{:.1} s", ms as f64 / 1e3),
            None => "unknown".to_owned(),
        };
        let (warm, verified, silent) = (ready.warm, ready.verified, ready.silent);
        let hosts = ready.hosts;
        lines.push(format!(
            "{warm}/{hosts} hosts warm, {verified} digests checked, {silent} silent; eta {eta}"
        ));
    }
    lines.join("\n")
}

/// Requests of the endpoint that failed by the server's fault while hosts went back.
async fn failed(link: &Link, item: &PlanItem, ended: &RolloutItem) -> Result<Option<u64>, Failure> {
    use binnacle_core::view::Outcome;

    let Some(plan) = item.plan.as_ref().filter(|_| ended.is_over) else {
        return Ok(None);
    };
    let intent = &plan.intent;
    let versions = intent
        .before
        .iter()
        .flat_map(Route::versions)
        .chain(intent.after.versions());
    let mut models: Vec<&str> = versions.map(|version| version.name.as_str()).collect();
    models.sort_unstable();
    models.dedup();
    let endpoint = item.endpoint.to_string();
    let mut failed = 0;
    for model in models {
        let asked = proto::QueryRequest {
            model: model.to_owned(),
            from_us: ended.at_us,
            to_us: ended.since_us.max(ended.at_us) + 1_000_000,
            ..Default::default()
        };
        let answer = link
            .telemetry()
            .query(link.question(asked))
            .await?
            .into_inner();
        for window in answer.points.into_iter().flat_map(|point| point.series) {
            let window = series::from_proto(window)?;
            let is_fault = match window.key.outcome {
                Outcome::ServerError
                | Outcome::UpstreamRefused
                | Outcome::TimedOut
                | Outcome::Unknown => true,
                Outcome::Ok | Outcome::ClientError | Outcome::ClientGone => false,
            };
            if is_fault && *window.key.endpoint == *endpoint {
                failed += window.latency.count().unwrap_or(0);
            }
        }
    }
    Ok(Some(failed))
}

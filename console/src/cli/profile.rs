//! `binnacle profile`: what a data set looks like, feature by feature.

use std::path::Path;

use binnacle_core::drift::{Judged, Judgement, LEVEL, judge};
use binnacle_core::view::{DataSetItem, Reference, shown};
use binnacle_data::Options;
use binnacle_proto::v1 as proto;
use binnacle_sketch::profile::{Compared, Profile, Row, rows};
use clap::{Args, Subcommand};

use crate::cli::dataset::whole;
use crate::cli::{Global, registry, time};
use crate::link::{Link, blob};
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

/// Bars of one feature: what eighty columns leave.
const BARS: usize = 24;
/// Shares as letters, from none to all.
const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same where only ASCII may be printed.
const ASCII: [char; 9] = [' ', '.', ':', '-', '=', '+', '*', '#', '@'];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// A data set's features: their spread, drawn, and what is missing.
    Show {
        /// A version, as in transactions@3, or a file that is read here, with no hub.
        what: String,
    },
    /// Two data sets held against each other, feature by feature. Ends with 7 when the second
    /// has drifted: of a hundred that have not, at most one is called so.
    Compare(Compare),
}

#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// The reference: a version, as in transactions@3, or a file.
    reference: String,
    /// The other: a version or a file.
    other: String,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let form = global.form();
        match self {
            Self::Show { what } => {
                let profile = profile(&what, global).await?;
                let rows = rows(&profile, BARS);
                match form {
                    Form::Json => {
                        let now_us = time::now_us();
                        output::json(&Document::new("binnacle.profile/v1", now_us, &rows))?;
                    }
                    Form::Text => {
                        let head =
                            format!("{} rows, {} of them sampled", profile.rows, profile.sampled);
                        let levels = if global.ascii { ASCII } else { LEVELS };
                        output::text(format!("{head}\n\n{}", table(&rows, levels)))?;
                    }
                }
            }
            Self::Compare(Compare { reference, other }) => {
                let reference = profile(&reference, global).await?;
                let other = profile(&other, global).await?;
                let judged = judge(&reference, &other, LEVEL);
                match form {
                    Form::Json => {
                        let now_us = time::now_us();
                        let schema = "binnacle.profile-comparison/v1";
                        output::json(&Document::new(schema, now_us, &judged))?;
                    }
                    Form::Text => output::text(comparison(&judged))?,
                }
                if judged.iter().any(Judged::drifted) {
                    return Ok(Exit::Refused);
                }
            }
        }
        Ok(Exit::Ok)
    }
}

/// The profile of a registered version, or of a file.
async fn profile(what: &str, global: &Global) -> Result<Profile, Failure> {
    match what.parse::<Reference>() {
        Ok(version) => stored(&global.link().await?, &version).await,
        Err(_) => {
            let read = whole(Path::new(what), Options::default(), global.form()).await?;
            Ok(read.profile)
        }
    }
}

async fn stored(link: &Link, version: &Reference) -> Result<Profile, Failure> {
    let noun = proto::Noun::DataSetVersions;
    let hint = "`binnacle dataset list` shows those that are";
    let (row, _) = registry::row::<DataSetItem>(link, noun, &version.to_string(), hint).await?;
    let Some(digest) = row.detail.profile else {
        let message = format!("{version} was registered without being read: it has no profile");
        let hint = "register it with --file, or name the file itself here";
        return Err(Failure::new(Exit::NotFound, message).hint(hint));
    };
    blob::profile(link, digest).await
}

fn table(rows: &[Row], levels: [char; 9]) -> String {
    let columns = [
        Column::Left("FEATURE"),
        Column::Left("TYPE"),
        Column::Right("MISSING"),
        Column::Right("LEAST"),
        Column::Right("MEDIAN"),
        Column::Right("GREATEST"),
        Column::Left("SPREAD"),
    ];
    let cells = |row: &Row| {
        let quantile = |at: usize| {
            let all = row.quantiles.as_ref();
            let found = all.and_then(|all| all.get(at));
            found.map_or_else(|| "–".to_owned(), |value| number(*value))
        };
        let most = row.bars.iter().map(|bar| bar.share).fold(0.0, f64::max);
        let letter = |share: f64| {
            let part = if most > 0.0 { share / most } else { 0.0 };
            let level = (part * (levels.len() - 1) as f64).ceil() as usize;
            levels.get(level).copied().unwrap_or(' ')
        };
        let kind = serde_json::to_value(row.kind).unwrap_or_default();
        vec![
            shown(&row.name),
            kind.as_str().unwrap_or_default().to_owned(),
            row.nulls
                .map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0)),
            quantile(0),
            quantile(4),
            quantile(8),
            row.bars.iter().map(|bar| letter(bar.share)).collect(),
        ]
    };
    output::table(&columns, rows.iter().map(cells))
}

/// A value in few letters.
fn number(value: f64) -> String {
    let size = value.abs();
    match value {
        _ if value == value.trunc() && size < 1e9 => format!("{value}"),
        _ if (1e-3..1e6).contains(&size) => format!("{value:.3}"),
        _ => format!("{value:.2e}"),
    }
}

fn comparison(rows: &[Judged]) -> String {
    let columns = [
        Column::Left("FEATURE"),
        Column::Right("PSI"),
        Column::Right("NOISE TO"),
        Column::Right("KS"),
        Column::Right("MOVED, IN SD"),
        Column::Right("MISSING"),
        Column::Left("DRIFT"),
    ];
    let cells = |judged: &Judged| {
        let row = &judged.comparison;
        let dash = || "–".to_owned();
        let share =
            |share: Option<f64>| share.map_or_else(dash, |share| format!("{:.1} %", share * 100.0));
        let missing = format!("{} → {}", share(row.nulls), share(row.other_nulls));
        let (psi, noise, ks, moved) = match &row.compared {
            Compared::Distances(found) => (
                format!("{:.4}", found.psi.value),
                format!("{:.4}", found.psi.chance_high),
                format!("{:.3}", found.ks.value),
                found
                    .wasserstein
                    .map_or_else(dash, |moved| format!("{moved:.2}")),
            ),
            Compared::Gone
            | Compared::New
            | Compared::Kinds { .. }
            | Compared::Empty
            | Compared::Text => (dash(), dash(), dash(), dash()),
        };
        vec![
            shown(&row.name),
            psi,
            noise,
            ks,
            moved,
            missing,
            said(judged),
        ]
    };
    let drifted = rows.iter().filter(|row| row.drifted()).count();
    let end = match drifted {
        0 => "no drift: nothing moved that would matter and could not be chance".to_owned(),
        some => format!("drift in {some} of {} features", rows.len()),
    };
    format!(
        "{}\n\n{end}",
        output::table(&columns, rows.iter().map(cells))
    )
}

/// What is concluded of a feature, and why nothing can be.
fn said(judged: &Judged) -> String {
    match (&judged.drift, &judged.comparison.compared) {
        (Judgement::Moved(words), _) => shown(&words.join("; ")),
        (Judgement::Schema, Compared::Kinds { .. }) => "another type".to_owned(),
        (Judgement::Schema, _) => "gone".to_owned(),
        (Judgement::New, _) => "new".to_owned(),
        (Judgement::Same, Compared::Empty) => "no values".to_owned(),
        (Judgement::Same, Compared::Text) => "text: not compared".to_owned(),
        (Judgement::Same, _) => String::new(),
    }
}

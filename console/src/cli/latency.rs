//! `binnacle latency`: requests, errors and percentiles by version, merged over hosts.

use binnacle_core::series::SeriesWindow;
use binnacle_core::view::{self, LatencyRow, LatencyTable, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::series;
use clap::Args;
use serde::Serialize;

use crate::cli::Global;
use crate::cli::time::{self, Moment};
use crate::format;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Form};

/// Percentiles are read off histograms that were merged exactly; "few" stands where too few
/// requests lie beyond one for it to mean something.
#[derive(Args, Debug)]
pub(crate) struct Ask {
    /// Only this model.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only this version of it.
    #[arg(long, value_name = "VERSION", requires = "model")]
    version: Option<String>,
    /// Only requests through this host's agent: the last minute.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// From when: 10m ago, 03:12, or RFC 3339.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = time::moment)]
    since: Moment,
    /// Until when [default: now].
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    until: Option<Moment>,
    /// One row of figures for each span of this length.
    #[arg(long, value_name = "TIME", value_parser = time::duration)]
    step: Option<std::time::Duration>,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    as_of: String,
    stale: bool,
    from: String,
    to: String,
    resolution_s: u32,
    items: &'a [LatencyRow],
    total: &'a LatencyRow,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    points: Vec<Point>,
}

#[derive(Serialize)]
struct Point {
    start: String,
    items: Vec<LatencyRow>,
}

impl Ask {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let now_us = time::now_us();
        let link = global.link().await?;
        let asked = link.question(self.request(now_us)?);
        let answer = link.telemetry().query(asked).await?.into_inner();
        let mut all: Vec<SeriesWindow> = Vec::new();
        let mut points = Vec::new();
        for point in answer.points {
            let windows = point.series.into_iter().map(series::from_proto);
            let windows = windows.collect::<Result<Vec<_>, _>>()?;
            if self.step.is_some() {
                let items = added_up(&windows)?.rows;
                points.push(Point {
                    start: view::rfc3339(point.start_us),
                    items,
                });
            }
            all.extend(windows);
        }
        let LatencyTable { rows, total } = added_up(&all)?;
        match global.form() {
            Form::Json => output::json(&Answer {
                schema: "binnacle.latency/v1",
                as_of: view::rfc3339(answer.as_of_us),
                stale: false,
                from: view::rfc3339(answer.from_us),
                to: view::rfc3339(answer.to_us),
                resolution_s: answer.resolution_s,
                items: &rows,
                total: &total,
                points,
            })?,
            Form::Text if rows.is_empty() => output::text(format!(
                "no requests between {} and {}",
                view::rfc3339(answer.from_us),
                view::rfc3339(answer.to_us)
            ))?,
            Form::Text => {
                output::text(format!(
                    "{} to {}, by {} s",
                    view::rfc3339(answer.from_us),
                    view::rfc3339(answer.to_us),
                    answer.resolution_s
                ))?;
                output::text(match self.step {
                    Some(_) => by_time(&points),
                    None => by_version(&rows, &total),
                })?;
            }
        }
        Ok(Exit::Ok)
    }

    fn request(&self, now_us: i64) -> Result<proto::QueryRequest, Failure> {
        let to_us = self.until.map_or(now_us, |until| until.us(now_us));
        let from_us = self.since.us(now_us);
        if from_us >= to_us {
            return Err(Failure::new(Exit::Usage, "--since is not before --until"));
        }
        let step_s = self.step.map_or(0, |step| step.as_secs().max(1));
        Ok(proto::QueryRequest {
            fold: false,
            model: self.model.clone().unwrap_or_default(),
            version: self.version.clone(),
            from_us,
            to_us,
            step_s: u32::try_from(step_s).unwrap_or(u32::MAX),
            host: self.host.clone().unwrap_or_default(),
        })
    }
}

fn added_up(windows: &[SeriesWindow]) -> Result<LatencyTable, Failure> {
    view::latency(windows).map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the hub's answer cannot be read: {error}"),
        )
    })
}

const COLUMNS: [Column; 10] = [
    Column::Left("MODEL"),
    Column::Left("VERSION"),
    Column::Right("REQUESTS"),
    Column::Right("ERRORS"),
    Column::Right("P50"),
    Column::Spare("P90"),
    Column::Right("P99"),
    Column::Right("P99.9"),
    Column::Spare("MEAN"),
    Column::Right("MAX"),
];

fn by_version(rows: &[LatencyRow], total: &LatencyRow) -> String {
    let sum = (rows.len() > 1).then(|| cells("all".into(), String::new(), total));
    let rows = rows.iter().map(|row| {
        let version = if row.version.is_empty() {
            "–".into()
        } else {
            shown(&row.version)
        };
        cells(shown(&row.model), version, row)
    });
    output::table(&COLUMNS, rows.chain(sum))
}

fn by_time(points: &[Point]) -> String {
    let [_, columns @ ..] = COLUMNS;
    let columns: Vec<Column> = [Column::Left("START"), Column::Left("MODEL")]
        .into_iter()
        .chain(columns)
        .collect();
    let rows = points.iter().flat_map(|point| {
        point.items.iter().map(|row| {
            let mut line = cells(shown(&row.model), shown(&row.version), row);
            line.insert(0, point.start.clone());
            line
        })
    });
    output::table(&columns, rows)
}

fn cells(model: String, version: String, row: &LatencyRow) -> Vec<String> {
    let all = &row.all;
    vec![
        model,
        version,
        format::count(all.requests),
        format::share(row.errors, all.requests),
        format::latency(all.p50_us),
        format::latency(all.p90_us),
        format::latency(all.p99_us),
        format::latency(all.p999_us),
        format::latency(all.mean_us),
        format::latency(all.max_us),
    ]
}

//! `binnacle host history`: hosts' requests minute by minute.

use binnacle_core::view::{self, Cell, History};
use binnacle_proto::v1 as proto;
use binnacle_wire::glance;
use clap::Args;
use serde::Serialize;

use crate::cli::time::{self, Moment};
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

/// Minutes are kept for a day. Percentiles of a longer step are those of its worst minute;
/// "few" stands where too few requests were seen to know one.
#[derive(Args, Debug)]
pub(crate) struct Ask {
    /// Which.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// From when: 10m ago, 03:12, or RFC 3339.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time::moment)]
    since: Moment,
    /// One row of figures for each span of this length, in whole minutes.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time::duration)]
    step: std::time::Duration,
}

/// One host's past, as an item of a document.
#[derive(Serialize)]
struct Item<'a> {
    host: &'a str,
    step_s: u32,
    points: Vec<Point>,
}

/// What is known of one span; spans of which nothing is known are absent.
#[derive(Serialize)]
struct Point {
    start: String,
    requests: u32,
    errors: u32,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
}

impl Point {
    fn of((start_us, cell): (i64, &Cell)) -> Self {
        Self {
            start: view::rfc3339(start_us),
            requests: cell.requests,
            errors: cell.errors,
            p50_us: cell.p50.us(),
            p99_us: cell.p99.us(),
        }
    }
}

impl Ask {
    pub(crate) async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let now_us = time::now_us();
        let from_us = self.since.us(now_us);
        if from_us >= now_us {
            return Err(Failure::new(Exit::Usage, "--since is not in the past"));
        }
        let asked = proto::HistoryRequest {
            hosts: self.names,
            from_us,
            to_us: now_us,
            step_s: u32::try_from(self.step.as_secs()).unwrap_or(u32::MAX),
        };
        let answer = link.telemetry().history(link.question(asked)).await?;
        let history = glance::history_from(answer.into_inner())?;
        match form {
            Form::Json => {
                let items: Vec<_> = items(&history).collect();
                let schema = "binnacle.host_history/v1";
                output::json(&Document::new(schema, history.as_of_us, &items))?;
            }
            Form::Text if items(&history).all(|item| item.points.is_empty()) => {
                output::text("nothing is known of that time")?;
            }
            Form::Text => output::text(table(&history))?,
        }
        Ok(Exit::Ok)
    }
}

fn items(history: &History) -> impl Iterator<Item = Item<'_>> {
    let step_us = i64::from(history.step_s) * 1_000_000;
    history.hosts.iter().map(move |(host, cells)| {
        let starts = (0..).map(|nth| history.from_us + nth * step_us);
        let known = starts
            .zip(cells)
            .filter_map(|(at, cell)| Some((at, cell.as_ref()?)));
        Item {
            host,
            step_s: history.step_s,
            points: known.map(Point::of).collect(),
        }
    })
}

fn table(history: &History) -> String {
    let columns = [
        Column::Left("START"),
        Column::Left("HOST"),
        Column::Right("REQUESTS"),
        Column::Right("ERRORS"),
        Column::Right("P50"),
        Column::Right("P99"),
    ];
    let rows = items(history).flat_map(|item| {
        let host = item.host.to_owned();
        item.points.into_iter().map(move |point| {
            let (requests, errors) = (point.requests.into(), point.errors.into());
            vec![
                point.start,
                host.clone(),
                format::count(requests),
                format::share(errors, requests),
                format::latency(point.p50_us),
                format::latency(point.p99_us),
            ]
        })
    });
    output::table(&columns, rows)
}

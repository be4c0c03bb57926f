//! A cell in words.

use binnacle_core::view::Cell;

use crate::format;
use crate::widget::axis::hh_mm;

/// What is known of a host in a step of time.
pub(super) fn spoken(host: &str, at_us: i64, step_s: u32, cell: Option<Cell>) -> String {
    let step = match step_s {
        60 => String::new(),
        seconds if seconds % 60 == 0 => format!(" for {} min", seconds / 60),
        seconds => format!(" for {seconds} s"),
    };
    let begun = format!("{host} {}{step}", hh_mm(at_us));
    let Some(cell) = cell else {
        return format!("{begun}  nothing known");
    };
    if cell.requests == 0 {
        return format!("{begun}  no requests");
    }
    let (p99, p50) = (
        format::latency(cell.p99.us()),
        format::latency(cell.p50.us()),
    );
    let requests = format::count(u64::from(cell.requests));
    let failed = match cell.errors {
        0 => "no errors".to_owned(),
        errors => {
            let share = format::share(u64::from(errors), u64::from(cell.requests));
            format!("{} errors ({share})", format::count(u64::from(errors)))
        }
    };
    format!("{begun}  p99 {p99}  p50 {p50}  {requests} requests  {failed}")
}

//! Endpoints as text, for people: a table, and one of them whole.

use binnacle_core::reaction::{OnBreach, Reactions};
use binnacle_core::view::EndpointItem;

use crate::cli::rollout;
use crate::output::{self, Column};

/// Rows; of the past without what hosts said, which is not kept.
pub(super) fn table(rows: &[EndpointItem], is_past: bool) -> String {
    let columns = [
        Column::Left("ENDPOINT"),
        Column::Left("ROUTE"),
        Column::Right("REVISION"),
        Column::Right("HOSTS"),
        Column::Left("UNDER WAY"),
        Column::Left("ROLLBACK"),
    ];
    let cells = |row: &EndpointItem| {
        let underway = row
            .rollout
            .as_ref()
            .map(|it| format!("{} {}", it.revision, it.phase));
        vec![
            row.endpoint.to_string(),
            row.route.to_string(),
            row.live.to_string(),
            match is_past {
                true => "–".to_owned(),
                false => format!("{}/{}", row.heard, row.hosts),
            },
            underway.unwrap_or_default(),
            match is_past {
                true => "–".to_owned(),
                false => rollback(row),
            },
        ]
    };
    output::table(&columns, rows.iter().map(cells))
}

/// Whether it can go back, in a few words.
fn rollback(row: &EndpointItem) -> String {
    let Some(ready) = &row.rollback else {
        return "nothing to go back to".into();
    };
    let eta = match ready.eta_ms {
        Some(0) => "at once".to_owned(),
        Some(ms) => format!("in {:.1} s", ms as f64 / 1e3),
        None => "in unknown time".to_owned(),
    };
    format!(
        "to {}: {}/{} warm, {eta}",
        ready.to, ready.warm, ready.hosts
    )
}

/// What is done on a breach, in a few words.
pub(crate) fn reacts(reactions: &Reactions) -> String {
    let what = match reactions.on_breach {
        OnBreach::Alert => "people are told".to_owned(),
        OnBreach::RollBack => format!(
            "rolled back by itself, {} times a day at most",
            reactions.rollbacks_a_day
        ),
    };
    let (opens_s, closes_s) = (reactions.opens_after_s, reactions.closes_after_s);
    let mut line = format!("on breach {what}; after {opens_s}s, over after {closes_s}s");
    if !reactions.runbook.is_empty() {
        line.push_str(&format!("; runbook {}", reactions.runbook.as_str()));
    }
    line
}

/// One of them, whole.
pub(super) fn page(row: &EndpointItem, is_past: bool) -> String {
    let mut lines = vec![format!(
        "{}  revision {}  {}",
        row.endpoint, row.live, row.route
    )];
    if !is_past {
        lines.push(format!("hosts     {} of {} heard", row.heard, row.hosts));
        lines.push(format!("rollback  {}", rollback(row)));
    }
    let objectives: Vec<String> = row
        .settings
        .objectives
        .iter()
        .map(|it| it.to_string())
        .collect();
    if !objectives.is_empty() {
        lines.push(format!("must hold {}", objectives.join(", ")));
    }
    if !row.settings.reactions.is_usual() {
        lines.push(reacts(&row.settings.reactions));
    }
    let selector: Vec<String> = row
        .settings
        .selector
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    if !selector.is_empty() {
        lines.push(format!("selector  {}", selector.join(", ")));
    }
    if let Some(rollout) = &row.rollout {
        lines.push(rollout::line(rollout));
    }
    for block in &row.blocked {
        lines.push(format!("blocked   {}: {}", block.version, block.why));
    }
    for one in row.overridden.iter().filter(|one| one.stands) {
        lines.push(format!(
            "by hand   {} at {}: {}",
            one.who, one.host, one.why
        ));
    }
    lines.join("\n")
}

//! Two versions side by side.

use std::collections::BTreeMap;

use binnacle_core::view::VersionItem;
use serde::Serialize;

use super::facts;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

/// One fact of two versions.
#[derive(Debug, PartialEq, Serialize)]
struct Difference {
    /// What it is: metric auc, input x, commit, …
    fact: String,
    left: Option<String>,
    right: Option<String>,
    same: bool,
}

/// Facts that are a name and a value in one: told apart by the name.
const NAMED: [&str; 4] = ["metric", "parameter", "input", "output"];
/// Facts that may stand more than once, and are one fact by their values together.
const GATHERED: [&str; 3] = ["train", "validation", "test"];

pub(crate) fn tell(
    left: &VersionItem,
    right: &VersionItem,
    as_of_us: i64,
    form: Form,
) -> Result<Exit, Failure> {
    let rows = differences(left, right);
    match form {
        Form::Json => output::json(&Document::new("binnacle.comparison/v1", as_of_us, &rows))?,
        Form::Text => {
            let (left, right) = (
                left.numbered.version.to_string(),
                right.numbered.version.to_string(),
            );
            let columns = [
                Column::Left(""),
                Column::Left(""),
                Column::Left(""),
                Column::Left(""),
            ];
            let head = vec![String::new(), String::new(), left, right];
            let cells = rows.into_iter().map(|row| {
                let differs = if row.same { "" } else { "≠" };
                vec![
                    differs.to_owned(),
                    row.fact,
                    row.left.unwrap_or_else(|| "–".into()),
                    row.right.unwrap_or_else(|| "–".into()),
                ]
            });
            let table = output::table(&columns, std::iter::once(head).chain(cells));
            output::text(table.trim_start_matches('\n'))?;
        }
    }
    Ok(Exit::Ok)
}

fn differences(left: &VersionItem, right: &VersionItem) -> Vec<Difference> {
    let (mut order, left) = keyed(left);
    let (more, right) = keyed(right);
    order.extend(more.into_iter().filter(|fact| !left.contains_key(fact)));
    let row = |fact: String| {
        let (left, right) = (left.get(&fact).cloned(), right.get(&fact).cloned());
        let same = left == right;
        Difference {
            fact,
            left,
            right,
            same,
        }
    };
    order.into_iter().map(row).collect()
}

/// The facts of one version by what they are, and the order that they stand in.
fn keyed(version: &VersionItem) -> (Vec<String>, BTreeMap<String, String>) {
    let (mut order, mut known) = (Vec::new(), BTreeMap::<String, String>::new());
    for (fact, value) in facts(&version.detail) {
        let (fact, value) = match NAMED.contains(&fact.as_str()) {
            true => {
                let (name, value) = value.split_once(' ').unwrap_or((&value, ""));
                (format!("{fact} {name}"), value.to_owned())
            }
            false => (fact, value),
        };
        match known.get_mut(&fact) {
            Some(known) if GATHERED.contains(&fact.as_str()) => {
                known.push(' ');
                known.push_str(&value);
            }
            Some(known) => *known = value,
            None => {
                order.push(fact.clone());
                known.insert(fact, value);
            }
        }
    }
    (order, known)
}

//! Two versions side by side.

use binnacle_core::view::VersionItem;
use binnacle_core::view::facts::{self, Beside};
use serde::Serialize;

use super::FIGURES;
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
    let rows = facts::beside(&left.detail, &right.detail, FIGURES).into_iter();
    let row = |row: Beside| Difference {
        same: row.is_same(),
        fact: row.fact,
        left: row.left,
        right: row.right,
    };
    rows.map(row).collect()
}

//! `binnacle artifact list`: every stored file, its size, and who refers to it.

use binnacle_core::registry::Digest;
use binnacle_proto::v1 as proto;
use serde::Serialize;

use crate::cli::time;
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

/// Versions that a line of the table names; more are counted.
const NAMED: usize = 4;

/// A stored file.
#[derive(Serialize)]
struct Item {
    sha256: String,
    bytes: u64,
    /// `file`, `manifest` of a folder, or `upload` that has not ended.
    kind: &'static str,
    age_us: i64,
    /// How many versions refer to it; `versions` names a hundred of them at most.
    references: u64,
    versions: Vec<String>,
}

pub(super) async fn list(link: &Link, form: Form) -> Result<Exit, Failure> {
    let asked = link.question(proto::ListBlobsRequest {});
    let mut stream = link.artifacts().list(asked).await?.into_inner();
    let mut items = Vec::new();
    while let Some(blob) = stream.message().await? {
        let sha256 = Digest::try_from_bytes(&blob.sha256);
        items.push(Item {
            sha256: sha256.map(|digest| digest.to_string()).unwrap_or_default(),
            bytes: blob.bytes,
            kind: match (blob.staged, blob.manifest) {
                (true, _) => "upload",
                (false, true) => "manifest",
                (false, false) => "file",
            },
            age_us: blob.age_us,
            references: blob.references,
            versions: blob.versions,
        });
    }
    // What takes the most room first: whoever looks wants room.
    items.sort_by(|one, other| (other.bytes, &one.sha256).cmp(&(one.bytes, &other.sha256)));
    match form {
        Form::Json => {
            let now_us = time::now_us();
            output::json(&Document::new("binnacle.blobs/v1", now_us, &items))?;
        }
        Form::Text if items.is_empty() => {
            output::text(
                "nothing is stored: `binnacle version register --model MODEL --file FILE` does",
            )?;
        }
        Form::Text => {
            let columns = [
                Column::Left("SHA-256"),
                Column::Right("BYTES"),
                Column::Left("KIND"),
                Column::Right("AGE"),
                Column::Spare("REFERRED TO BY"),
            ];
            let cells = |item: &Item| {
                vec![
                    item.sha256.clone(),
                    item.bytes.to_string(),
                    item.kind.to_owned(),
                    format::age(item.age_us),
                    by(item),
                ]
            };
            output::text(output::table(&columns, items.iter().map(cells)))?;
        }
    }
    Ok(Exit::Ok)
}

fn by(item: &Item) -> String {
    if item.references == 0 {
        return "nothing".to_owned();
    }
    let mut named: Vec<&str> = item
        .versions
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect();
    let more = item.references.saturating_sub(named.len() as u64);
    let more = format!("and {more} more");
    if item.references > named.len() as u64 {
        named.push(&more);
    }
    named.join(" ")
}

//! `binnacle journal`: the record of every decision.

use binnacle_core::journal::{Fault, Stored};
use binnacle_core::view::{self, EntryRow, shown};
use binnacle_hub::store::{self, SharedStore, StoreUrl};
use binnacle_proto::v1 as proto;
use binnacle_wire::journal;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::{Global, time};
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

/// Entries asked for at once.
const PAGE: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// The latest entries, newest first.
    List(List),
    /// Check the chain, entry by entry; names the first that cannot be trusted.
    Verify(Source),
    /// Every entry with its exact bytes and hash, as JSON lines, oldest first.
    Export(Source),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// At most this many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Only entries before this one.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    before: u64,
}

#[derive(Args, Debug)]
pub(crate) struct Source {
    /// Read this store itself rather than ask a hub: sqlite://PATH or
    /// postgres://USER@HOST/DATABASE.
    #[arg(long, value_name = "URL")]
    store: Option<StoreUrl>,
}

/// Reads an entry that came from a hub or a store.
pub(crate) fn read(stored: &Stored) -> Result<EntryRow, Failure> {
    EntryRow::of(stored).map_err(|fault| Failure::new(Exit::Failed, fault.to_string()))
}

/// The entry on one line.
pub(crate) fn line(entry: &EntryRow) -> String {
    let at = view::rfc3339(entry.at_us);
    let (sequence, kind) = (entry.sequence, &entry.kind);
    let (caller, object) = (shown(&entry.caller), shown(&entry.object));
    let moved = entry.moved().map(|moved| format!("  {moved}"));
    let (moved, why) = (moved.unwrap_or_default(), shown(&entry.why));
    format!("{at}  {sequence}  {caller}  {kind}  {object}{moved}  {why}")
        .trim_end()
        .to_owned()
}

/// An entry as it is stored: its body is the exact text that the hash covers.
#[derive(Serialize)]
struct Exported<'a> {
    sequence: u64,
    hash: String,
    body: std::borrow::Cow<'a, str>,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        match self {
            Self::List(list) => list.run(&global.link().await?, global.form()).await,
            Self::Verify(source) => source.verify(global).await,
            Self::Export(source) => source.export(global).await,
        }
    }
}

impl List {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let (mut items, mut before) = (Vec::new(), self.before);
        while items.len() < self.limit as usize {
            let limit = PAGE.min(self.limit - items.len() as u32);
            let asked = proto::ListEntriesRequest {
                host: String::new(),
                limit,
                newest_first: true,
                before,
                after: 0,
            };
            let page = link
                .fleet()
                .list_entries(link.question(asked))
                .await?
                .into_inner();
            let last = page.entries.len() < limit as usize;
            for entry in page.entries {
                before = entry.sequence;
                items.push(read(&journal::from_proto(entry)?)?);
            }
            if last || before <= 1 {
                break;
            }
        }
        match form {
            Form::Json => {
                output::json(&Document::new(
                    "binnacle.journal/v1",
                    time::now_us(),
                    &items,
                ))?;
            }
            Form::Text => output::text(table(&items))?,
        }
        Ok(Exit::Ok)
    }
}

fn table(items: &[EntryRow]) -> String {
    let columns = [
        Column::Right("ENTRY"),
        Column::Left("AT"),
        Column::Left("BY"),
        Column::Left("WHAT"),
        Column::Left("OBJECT"),
        Column::Left("WHY"),
    ];
    let cells = |item: &EntryRow| {
        vec![
            item.sequence.to_string(),
            whole_seconds(&view::rfc3339(item.at_us)),
            shown(&item.caller),
            item.kind
                .split('/')
                .next()
                .unwrap_or(&item.kind)
                .replace('_', " "),
            shown(&item.object),
            shown(&item.why),
        ]
    };
    output::table(&columns, items.iter().map(cells))
}

/// A time without its fraction: for reading, not for computing.
fn whole_seconds(at: &str) -> String {
    match at.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => at.to_owned(),
    }
}

/// What a walk of the chain found.
#[derive(Serialize)]
struct Verified {
    ok: bool,
    entries: u64,
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Told>,
}

#[derive(Serialize)]
struct Told {
    sequence: u64,
    what: String,
}

impl Source {
    async fn verify(self, global: &Global) -> Result<Exit, Failure> {
        let verified = match &self.store {
            Some(url) => {
                let store = open(url).await?;
                let walked = binnacle_hub::engine::walk(&store, |_| {}).await;
                let (walk, fault) = walked.map_err(|error| Failure::of(Exit::Failed, &error))?;
                Verified {
                    ok: fault.is_none(),
                    entries: walk.sequence,
                    hash: hex(&walk.hash),
                    fault: fault.map(|Fault { sequence, what }| Told {
                        sequence,
                        what: what.to_string(),
                    }),
                }
            }
            None => {
                let link = global.link().await?;
                let asked = link.question(proto::VerifyJournalRequest {});
                let answer = link.fleet().verify_journal(asked).await?.into_inner();
                Verified {
                    ok: answer.fault.is_none(),
                    entries: answer.entries,
                    hash: hex(&answer.head.map(|head| head.hash).unwrap_or_default()),
                    fault: answer.fault.map(|fault| Told {
                        sequence: fault.sequence,
                        what: fault.what,
                    }),
                }
            }
        };
        let exit = if verified.ok { Exit::Ok } else { Exit::Failed };
        match (global.form(), &verified.fault) {
            (Form::Json, _) => output::json(&Document::new(
                "binnacle.journal-verification/v1",
                time::now_us(),
                &[verified],
            ))?,
            (Form::Text, None) => output::text(format!(
                "the chain holds: {} entries, head {}",
                verified.entries, verified.hash
            ))?,
            (Form::Text, Some(fault)) => output::text(format!(
                "entry {} cannot be trusted: {}; the {} before it hold",
                fault.sequence, fault.what, verified.entries
            ))?,
        }
        Ok(exit)
    }

    async fn export(self, global: &Global) -> Result<Exit, Failure> {
        match &self.store {
            Some(url) => {
                let store = open(url).await?;
                let mut after = 0;
                loop {
                    let page = store.entries(after, PAGE).await;
                    let page = page.map_err(|error| Failure::of(Exit::Failed, &error))?;
                    let Some(last) = page.last() else {
                        return Ok(Exit::Ok);
                    };
                    after = last.sequence;
                    page.iter().try_for_each(print)?;
                }
            }
            None => {
                let link = global.link().await?;
                let mut after = 0;
                loop {
                    let asked = proto::ListEntriesRequest {
                        after,
                        limit: PAGE,
                        ..Default::default()
                    };
                    let page = link.fleet().list_entries(link.question(asked)).await?;
                    let page = page.into_inner().entries;
                    let Some(last) = page.last() else {
                        return Ok(Exit::Ok);
                    };
                    after = last.sequence;
                    for entry in page {
                        print(&journal::from_proto(entry)?)?;
                    }
                }
            }
        }
    }
}

async fn open(url: &StoreUrl) -> Result<SharedStore, Failure> {
    store::open_to_read(url)
        .await
        .map_err(|error| Failure::of(Exit::Failed, &error))
}

fn print(stored: &Stored) -> Result<(), Failure> {
    output::json_line(&Exported {
        sequence: stored.sequence,
        hash: hex(&stored.hash),
        body: String::from_utf8_lossy(&stored.body),
    })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}

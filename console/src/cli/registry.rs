//! What the commands of the registry share: how a change is asked for and told, how tables are
//! fetched, and what every noun can be asked.

use std::collections::BTreeSet;

use binnacle_core::registry::{Object, Reference};
use binnacle_core::view::{LineageItem, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::{document_from, object_to};
use clap::Args;
use proto::registry_command::Command;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::{journal, time};
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Document, Form};

pub(crate) mod card;
pub(crate) mod copy;
pub(crate) mod document;
pub(crate) mod edit;
pub(crate) mod set;

/// What is said where a filter leaves no row.
pub(crate) const NONE_CHOSEN: &str = "nothing fits the filter; without it there may be some";

/// Rows asked for at once.
const PAGE: u32 = 1_000;
/// The same where the hub looks at all of them for each page: as many as it gives.
const CHOSEN_PAGE: u32 = 5_000;

/// How a change is asked for.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct How {
    /// Why: it stays in the journal.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
    /// Only if it is still at this revision; else exit 6.
    #[arg(long, value_name = "N")]
    pub(crate) if_revision: Option<u64>,
    /// The same key is done once, however often it is sent within a day.
    #[arg(
        long,
        value_name = "KEY",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) idempotency_key: String,
    /// Say what would be changed, and do not do it.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The lines that an edit changes.
    #[arg(skip)]
    pub(crate) difference: Vec<String>,
    /// What was made from it, where that should be known.
    #[arg(skip)]
    pub(crate) used_by: Vec<String>,
}

/// Which rows of a table are wanted, and in which order: the hub decides both.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Only rows in which every term holds: words, and fields with = != ~ > >= < <=, as in
    /// 'owner=alice metric.auc>0.9 tag~fraud standing=active'. A field that there is not is
    /// answered with those that there are.
    #[arg(long, value_name = "TERMS")]
    filter: Vec<String>,
    /// The field to sort by, and :asc or :desc, as in latest:desc.
    #[arg(
        long,
        value_name = "FIELD[:desc]",
        default_value = "",
        hide_default_value = true
    )]
    sort: String,
}

impl Wanted {
    /// The question for a table that stands by name or number, `by_default` downwards.
    pub(crate) fn ask(
        &self,
        noun: proto::Noun,
        by_default: Down,
    ) -> Result<proto::ListRequest, Failure> {
        let (field, way) = self
            .sort
            .split_once(':')
            .unwrap_or((self.sort.as_str(), ""));
        let descending = match way {
            "asc" => false,
            "desc" => true,
            // What was changed last is what one looks for.
            "" => field == "changed" || (field.is_empty() && by_default == Down::Yes),
            other => {
                let message = format!("{other:?} is no way to sort");
                let hint = "say --sort FIELD, FIELD:asc or FIELD:desc";
                return Err(Failure::new(Exit::Usage, message).hint(hint));
            }
        };
        Ok(proto::ListRequest {
            noun: noun.into(),
            search: self.filter.join(" "),
            sort: field.to_owned(),
            descending,
            ..Default::default()
        })
    }

    /// Whether rows may be left out.
    pub(crate) fn is_choosy(&self) -> bool {
        !self.filter.is_empty()
    }
}

/// Whether a table stands downwards where nobody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    /// The newest first.
    Yes,
    /// By name.
    No,
}

/// Something by its name, and how it is to be changed.
#[derive(Args, Debug)]
pub(crate) struct Change {
    /// Which: NAME, or NAME@NUMBER for one version.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) how: How,
}

/// The entries about something.
#[derive(Args, Debug)]
pub(crate) struct History {
    /// Which: NAME, or NAME@NUMBER for one version.
    name: String,
    /// At most this many, the newest.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

/// What something was made from, or is used by.
#[derive(Args, Debug)]
pub(crate) struct Lineage {
    /// Which: NAME, or NAME@NUMBER for one version.
    name: String,
    /// What was made from it, rather than what it was made from.
    #[arg(long, conflicts_with = "sources")]
    uses: bool,
    /// What it was made from, rather than what was made from it.
    #[arg(long)]
    sources: bool,
}

/// What became of a change.
#[derive(Serialize)]
struct Told<'a> {
    object: &'a str,
    changed: bool,
    journal: u64,
    dry_run: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    difference: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    used_by: &'a [String],
}

impl How {
    /// The same, telling which lines an edit changes.
    pub(crate) fn differing(self, difference: Vec<String>) -> Self {
        Self { difference, ..self }
    }

    /// Asks for a change.
    pub(crate) async fn ask(
        &self,
        link: &Link,
        command: Command,
    ) -> Result<proto::RegistryChanged, Failure> {
        let asked = proto::RegistryCommand {
            why: self.reason.clone(),
            if_revision: self.if_revision,
            key: self.idempotency_key.clone(),
            dry_run: self.dry_run,
            command: Some(command),
        };
        let changed = link.registry().change(link.question(asked)).await?;
        Ok(changed.into_inner())
    }

    /// Asks for a change of `object` and tells what became of it: `is` stands behind its name.
    pub(crate) async fn tell(
        &self,
        link: &Link,
        command: Command,
        object: &str,
        is: &str,
        form: Form,
    ) -> Result<Exit, Failure> {
        let changed = self.ask(link, command).await?;
        // The hub's word has the number that it gave; an alias is told by its own name.
        let object = match changed.object.as_str() {
            said if said.starts_with(object) => said,
            _ => object,
        };
        let told = Told {
            object,
            changed: changed.changed,
            journal: changed.sequence,
            dry_run: self.dry_run,
            difference: &self.difference,
            used_by: &self.used_by,
        };
        match form {
            Form::Json => {
                let now_us = time::now_us();
                output::json(&Document::new("binnacle.change/v1", now_us, &[told]))?;
            }
            Form::Text => output::text(match (self.dry_run, changed.changed) {
                (true, true) => format!("{object} would be {is}; nothing was changed"),
                (true, false) => format!("{object} is as it would be: nothing is to be changed"),
                (false, true) => format!("{object} {is}; journal {}", changed.sequence),
                (false, false) if changed.sequence > 0 => {
                    format!(
                        "{object} was {is} before under this key; journal {}",
                        changed.sequence
                    )
                }
                (false, false) => format!("{object} was so already: nothing was changed"),
            })?,
        }
        if form == Form::Text && !self.used_by.is_empty() {
            output::text(format!("still made from it: {}", self.used_by.join(", ")))?;
        }
        Ok(Exit::Ok)
    }
}

/// All rows of a table, page by page; and when it was so.
pub(crate) async fn rows<T: DeserializeOwned>(
    link: &Link,
    asked: proto::ListRequest,
) -> Result<(Vec<T>, i64), Failure> {
    let mut rows = Vec::new();
    let limit = match asked.search.is_empty() && asked.sort.is_empty() {
        true => PAGE,
        false => CHOSEN_PAGE,
    };
    loop {
        let page = proto::ListRequest {
            skip: rows.len() as u32,
            limit,
            ..asked.clone()
        };
        let page = link
            .registry()
            .list(link.question(page))
            .await?
            .into_inner();
        let more = !page.rows.is_empty() && rows.len() + page.rows.len() < page.total as usize;
        for row in &page.rows {
            rows.push(document_from("row", row)?);
        }
        if !more {
            return Ok((rows, page.as_of_us));
        }
    }
}

/// The one row of a name.
pub(crate) async fn row<T: DeserializeOwned>(
    link: &Link,
    noun: proto::Noun,
    name: &str,
    missing: &'static str,
) -> Result<(T, i64), Failure> {
    let asked = proto::ListRequest {
        noun: noun.into(),
        name: name.into(),
        ..Default::default()
    };
    let (rows, as_of_us) = rows(link, asked).await?;
    let row = rows.into_iter().next();
    let row = row.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("{name} is not registered")).hint(missing)
    })?;
    Ok((row, as_of_us))
}

/// The moment that ages are counted from: the one that is told of.
pub(crate) fn moment(at_us: i64, as_of_us: i64) -> i64 {
    match at_us {
        0 => as_of_us,
        at_us => at_us,
    }
}

/// Says for people which moment is told of, and in which zone it was read.
pub(crate) fn tell_moment(at_us: i64, form: Form) -> Result<(), Failure> {
    match (at_us, form) {
        (0, _) | (_, Form::Json) => Ok(()),
        (at_us, Form::Text) => output::text(format!("as it was at {}\n", time::told(at_us))),
    }
}

/// Refuses NAME@NUMBER where the whole is meant; `noun` is the one that shows a version.
pub(crate) fn whole(noun: &str, name: &str) -> Result<(), Failure> {
    let Some((whole, _)) = name.split_once('@') else {
        return Ok(());
    };
    let (name, whole) = (shown(name), shown(whole));
    let message = format!("{name} is one version: say {whole} for the whole");
    let hint = format!("`binnacle {noun} show {name}` tells of the one version");
    Err(Failure::new(Exit::Usage, message).hint(hint))
}

/// Reads a name or a reference of some kind.
pub(crate) fn object(kind: proto::ObjectKind, name: &str) -> Result<Object, Failure> {
    let object = proto::ObjectName {
        kind: kind.into(),
        name: name.into(),
    };
    binnacle_wire::registry::object_from(&object)
        .map_err(|refused| Failure::new(Exit::Usage, refused.what))
}

/// The versions that were made from something, the nearest only.
async fn used_by(link: &Link, object: proto::ObjectName) -> Result<Vec<String>, Failure> {
    let asked = proto::LineageRequest {
        object: Some(object),
        uses: true,
    };
    let answer = link.registry().lineage(link.question(asked)).await?;
    let tree: LineageItem = document_from("tree", &answer.into_inner().tree)?;
    let mut made = BTreeSet::new();
    made_from(&tree, &mut made);
    Ok(made.into_iter().collect())
}

/// A thing's own versions are looked through, what was made from them is taken.
fn made_from(node: &LineageItem, made: &mut BTreeSet<String>) {
    for below in &node.below {
        match (&*below.relation, &*below.kind) {
            ("version", _) => made_from(below, made),
            (_, "version") => {
                made.insert(below.name.to_string());
            }
            (_, _) => {}
        }
    }
}

impl Change {
    /// The same, where one version has to be meant: a name alone would be all of them.
    pub(crate) fn of_version(self) -> Result<Self, Failure> {
        match self.name.parse::<Reference>() {
            Ok(_) => Ok(self),
            Err(error) => {
                let hint = "all of a model: `binnacle model deprecate`, `binnacle model restore`";
                Err(Failure::of(Exit::Usage, &error).hint(hint))
            }
        }
    }

    /// Says that it should not be used any more.
    pub(crate) async fn deprecate(
        &self,
        link: &Link,
        kind: proto::ObjectKind,
        form: Form,
    ) -> Result<Exit, Failure> {
        let object = object_to(&object(kind, &self.name)?);
        let command = Command::Deprecate(object.clone());
        let how = How {
            used_by: used_by(link, object).await?,
            ..self.how.clone()
        };
        how.tell(link, command, &self.name, "deprecated", form)
            .await
    }

    /// Lets it be used again.
    pub(crate) async fn restore(
        &self,
        link: &Link,
        kind: proto::ObjectKind,
        form: Form,
    ) -> Result<Exit, Failure> {
        let command = Command::Restore(object_to(&object(kind, &self.name)?));
        self.how
            .tell(link, command, &self.name, "restored", form)
            .await
    }
}

impl History {
    pub(crate) async fn run(
        &self,
        link: &Link,
        kind: proto::ObjectKind,
        form: Form,
    ) -> Result<Exit, Failure> {
        let asked = proto::EntriesAboutRequest {
            object: Some(object_to(&object(kind, &self.name)?)),
            limit: self.limit,
        };
        let answer = link.registry().entries_about(link.question(asked)).await?;
        let answer = answer.into_inner();
        let mut entries = Vec::with_capacity(answer.entries.len());
        for entry in answer.entries {
            entries.push(journal::read(&binnacle_wire::journal::from_proto(entry)?)?);
        }
        match form {
            Form::Json => {
                let as_of_us = answer.as_of_us;
                output::json(&Document::new("binnacle.journal/v1", as_of_us, &entries))?;
            }
            Form::Text => {
                let lines: Vec<String> = entries.iter().map(journal::line).collect();
                output::text(lines.join("\n"))?;
            }
        }
        Ok(Exit::Ok)
    }
}

impl Lineage {
    /// Both ways as asked for; `by_default` where nobody says.
    pub(crate) async fn run(
        &self,
        link: &Link,
        kind: proto::ObjectKind,
        by_default: Way,
        form: Form,
    ) -> Result<Exit, Failure> {
        let uses = self.uses || (!self.sources && by_default == Way::Uses);
        let asked = proto::LineageRequest {
            object: Some(object_to(&object(kind, &self.name)?)),
            uses,
        };
        let answer = link
            .registry()
            .lineage(link.question(asked))
            .await?
            .into_inner();
        let tree: LineageItem = document_from("tree", &answer.tree)?;
        match form {
            Form::Json => {
                let as_of_us = answer.as_of_us;
                output::json(&Document::new("binnacle.lineage/v1", as_of_us, &[tree]))?;
            }
            Form::Text => output::text(drawn(&tree))?,
        }
        Ok(Exit::Ok)
    }
}

/// Which way a tree grows where nobody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Sources,
    Uses,
}

/// A tree of lineage as lines.
fn drawn(tree: &LineageItem) -> String {
    let mut lines = Vec::new();
    branch(tree, "", "", &mut lines);
    lines.join("\n")
}

fn branch(node: &LineageItem, lead: &str, below: &str, lines: &mut Vec<String>) {
    let relation = match node.relation.as_ref() {
        "" => String::new(),
        relation => format!("{relation}: "),
    };
    let standing = if node.deprecated { "  deprecated" } else { "" };
    let cut = if node.cut { "  …" } else { "" };
    let (kind, name) = (shown(&node.kind), shown(&node.name));
    lines.push(format!("{lead}{relation}{kind} {name}{standing}{cut}"));
    let last = node.below.len().saturating_sub(1);
    for (at, child) in node.below.iter().enumerate() {
        let (lead, rest) = match at == last {
            true => (format!("{below}└─ "), format!("{below}   ")),
            false => (format!("{below}├─ "), format!("{below}│  ")),
        };
        branch(child, &lead, &rest, lines);
    }
}

/// `key=value` of an option that may be given more than once.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        Some(_) | None => Err(format!("{text:?} is no setting: say KEY=VALUE")),
    }
}

//! The notes of a version: the one part of it that changes.

use binnacle_core::registry::Prose;
use binnacle_core::view::Reference;
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document;
use proto::registry_command::Command;
use serde::{Deserialize, Serialize};

use super::{one, wrong};
use crate::cli::registry::card::no_part;
use crate::cli::registry::edit::Subject;
use crate::link::Link;
use crate::outcome::Failure;

/// A version whose notes are edited.
pub(crate) struct Notes<'a>(pub(crate) &'a Reference);

/// Notes as a person edits them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    notes: Prose,
}

impl Subject for Notes<'_> {
    type Said = Said;

    fn name(&self) -> String {
        format!("version {}", self.0)
    }

    fn words(&self) -> String {
        format!("version edit {}", self.0)
    }

    fn parts(&self) -> &'static str {
        "notes are text, of several lines between three quotes; all else of a version stays"
    }

    async fn read(&self, link: &Link) -> Result<(Said, u64), Failure> {
        let (row, _) = one(link, self.0).await?;
        let notes = row.detail.notes;
        Ok((Said { notes }, row.numbered.revision))
    }

    fn set(&self, _said: Said, key: &str, value: &str) -> Result<Said, Failure> {
        match key {
            "notes" => Ok(Said {
                notes: Prose::parse(value).map_err(wrong)?,
            }),
            _ => Err(no_part(key, &["notes"]).hint(
                "a version keeps what it was registered with; only its notes change: register \
                 another, or say it in the notes",
            )),
        }
    }

    fn command(&self, said: &Said) -> Command {
        Command::NoteVersion(document(self.0, &said.notes))
    }
}

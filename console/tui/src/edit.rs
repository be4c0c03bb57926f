//! What is edited: drafts as TOML, read back into checked values, held against what is there.
//!
//! A draft knows what it was made on. It is kept until the hub has taken it: whatever happens
//! in between, nothing of what was typed is lost.

use std::fmt::Write as _;

use binnacle_core::view::{
    Card, Line, Name, Objective, Objectives, Prose, Reference, RegistryObject, Tags,
};
use serde::{Deserialize, Serialize};

use crate::question::registry::{Act, Change, objectives_of, tags_of};

pub mod diff;

/// Drafts that are kept: the oldest goes when another comes, and that is said.
pub const MAX_DRAFTS: usize = 8;

/// What is edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// A model that is to be named.
    New,
    /// What is said of a model, a data set or a feature set.
    Card(RegistryObject),
    /// The notes of a version.
    Notes(Reference),
}

/// What was said when an edit began, or is said now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Of a model that is to be named.
    #[serde(default)]
    pub name: String,
    /// The card; empty where notes are edited.
    #[serde(default)]
    pub card: Card,
    /// The notes of a version.
    #[serde(default)]
    pub notes: Prose,
}

/// An edit that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// What is edited.
    pub subject: Subject,
    /// What was there when it began.
    pub base: Content,
    /// The revision that it was made on.
    pub revision: u64,
    /// What it is to be, as TOML, as far as it is written.
    pub text: String,
    /// When it was last touched, by the console's clock.
    pub at_us: i64,
}

/// A draft that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Edited {
    /// What it is to be.
    pub content: Content,
    /// Why, for the journal.
    pub reason: String,
}

/// The document as it stands in the editor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    name: String,
    #[serde(default)]
    owner: Line,
    #[serde(default)]
    team: Line,
    #[serde(default)]
    description: Prose,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    objectives: Objectives,
    #[serde(default)]
    notes: Prose,
    #[serde(default)]
    reason: Line,
}

impl Subject {
    /// What it is called: `model fraud`.
    pub fn words(&self) -> String {
        match self {
            Self::New => "a new model".into(),
            Self::Card(object) => object.to_string(),
            Self::Notes(version) => format!("notes of {version}"),
        }
    }

    /// Whether objectives are said of it.
    pub fn has_objectives(&self) -> bool {
        matches!(self, Self::New | Self::Card(RegistryObject::Model(_)))
    }
}

impl Draft {
    /// A draft of what is there now.
    pub fn of(subject: Subject, base: Content, revision: u64) -> Self {
        let mut draft = Self {
            subject,
            base,
            revision,
            text: String::new(),
            at_us: 0,
        };
        draft.text = draft.written(&draft.base.clone(), "");
        draft
    }

    /// The document that says this of its subject.
    pub fn written(&self, content: &Content, reason: &str) -> String {
        let card = &content.card;
        let value = |field: &str| match field {
            "name" => string(&content.name),
            "notes" => string(content.notes.as_str()),
            "owner" => string(card.owner.as_str()),
            "team" => string(card.team.as_str()),
            "description" => string(card.description.as_str()),
            "tags" => list(&tags_of(card)),
            "objectives" => list(&objectives_of(card)),
            _reason => string(reason),
        };
        self.document(value)
    }

    /// The document that says what is typed into fields of these names, right or wrong.
    pub fn typed(&self, text: impl Fn(&str) -> String) -> String {
        self.document(|field| match field {
            "tags" | "objectives" => {
                list(&each(&text(field)).map(str::to_owned).collect::<Vec<_>>())
            }
            field => string(&text(field)),
        })
    }

    fn document(&self, value: impl Fn(&str) -> String) -> String {
        let mut text = match &self.subject {
            Subject::New => "# A new model. ".to_owned(),
            subject @ (Subject::Card(_) | Subject::Notes(_)) => {
                format!("# {}, revision {}. ", subject.words(), self.revision)
            }
        };
        text.push_str("Saved and closed, it is checked and shown; y then applies it.\n\n");
        let mut line = |help: &str, key: &str| {
            if !help.is_empty() {
                let _ends = writeln!(text, "# {help}");
            }
            let _ends = writeln!(text, "{key} = {}", value(key));
        };
        if self.subject == Subject::New {
            line("a-z, 0-9 and inner hyphens", "name");
        }
        if let Subject::Notes(_) = self.subject {
            line("", "notes");
        } else {
            line("who answers for it", "owner");
            line("", "team");
            line("what it is for", "description");
            line("", "tags");
            if self.subject.has_objectives() {
                let help = "errors<=0.5%, or p50, p90, p99, p99.9 as in p99<=250ms";
                line(help, "objectives");
            }
        }
        text.push('\n');
        let _ends = writeln!(text, "# why, for the journal\nreason = {}", value("reason"));
        text
    }

    /// Reads what is written.
    ///
    /// # Errors
    /// In words, with the line.
    pub fn read(&self) -> Result<Edited, String> {
        let read: Written = toml::from_str(&self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = self.text.get(..at).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        let unexpected = match &self.subject {
            Subject::Notes(_) => (!read.owner.is_empty()).then_some("owner"),
            Subject::New | Subject::Card(_) => (!read.notes.is_empty()).then_some("notes"),
        };
        if let Some(field) = unexpected {
            return Err(format!("{field} is no part of {}", self.subject.words()));
        }
        match (&self.subject, read.name.as_str()) {
            (Subject::New, name) => {
                Name::parse(name).map_err(|error| format!("name: {error}"))?;
            }
            (Subject::Card(_) | Subject::Notes(_), "") => {}
            (Subject::Card(_) | Subject::Notes(_), _) => {
                return Err("a thing keeps its name: name is not edited".into());
            }
        }
        if !self.subject.has_objectives() && !read.objectives.is_empty() {
            return Err("objectives are said of models alone".into());
        }
        Ok(Edited {
            content: Content {
                name: read.name,
                card: Card {
                    owner: read.owner,
                    team: read.team,
                    description: trimmed(&read.description)?,
                    tags: read.tags,
                    objectives: read.objectives,
                },
                notes: trimmed(&read.notes)?,
            },
            reason: read.reason.as_str().trim().to_owned(),
        })
    }

    /// Whether it says what was said before.
    pub fn is_unchanged(&self) -> bool {
        let edited = self.read();
        edited.is_ok_and(|edited| edited.reason.is_empty() && same(&edited.content, &self.base))
    }

    /// What it asks of the hub.
    pub fn change(&self, edited: &Edited) -> Option<Change> {
        let Edited { content, reason } = edited;
        let act = match &self.subject {
            Subject::New => Act::Create {
                name: content.name.parse().ok()?,
                card: Box::new(content.card.clone()),
            },
            Subject::Card(object) => Act::Edit {
                object: object.clone(),
                before: Box::new(self.base.card.clone()),
                card: Box::new(content.card.clone()),
            },
            Subject::Notes(version) => Act::Note {
                version: version.clone(),
                notes: content.notes.clone(),
            },
        };
        let is_new = self.subject == Subject::New;
        Some(Change {
            act,
            reason: reason.clone(),
            if_revision: (!is_new).then_some(self.revision),
        })
    }

    /// The same edit made on what is there now: what was changed here stays changed, the rest
    /// is theirs.
    pub fn rebased(&self, edited: &Edited, theirs: &Content, revision: u64) -> Self {
        let (base, mine) = (&self.base, &edited.content);
        fn pick<T: PartialEq + Clone>(base: &T, mine: &T, theirs: &T) -> T {
            match mine == base {
                true => theirs.clone(),
                false => mine.clone(),
            }
        }
        let (was, is, their) = (&base.card, &mine.card, &theirs.card);
        let content = Content {
            name: mine.name.clone(),
            card: Card {
                owner: pick(&was.owner, &is.owner, &their.owner),
                team: pick(&was.team, &is.team, &their.team),
                description: pick(&was.description, &is.description, &their.description),
                tags: pick(&was.tags, &is.tags, &their.tags),
                objectives: pick(&was.objectives, &is.objectives, &their.objectives),
            },
            notes: pick(&base.notes, &mine.notes, &theirs.notes),
        };
        let mut draft = Self {
            base: theirs.clone(),
            revision,
            ..self.clone()
        };
        draft.text = draft.written(&content, &edited.reason);
        draft
    }
}

/// Whether two say the same, but for blanks at the end.
fn same(one: &Content, other: &Content) -> bool {
    diff::fields(one, other).is_empty()
}

fn trimmed(prose: &Prose) -> Result<Prose, String> {
    Prose::parse(prose.as_str().trim_end()).map_err(|error| error.to_string())
}

fn string(text: &str) -> String {
    let is_plain = !text.contains("\"\"\"") && !text.contains('\\') && !text.ends_with('"');
    match text.contains('\n') && is_plain {
        true => format!("\"\"\"\n{}\n\"\"\"", text.trim_end()),
        false => toml::Value::String(text.to_owned()).to_string(),
    }
}

fn list(words: &[String]) -> String {
    let words = words.iter().map(|word| toml::Value::String(word.clone()));
    toml::Value::Array(words.collect()).to_string()
}

/// Tags as they are typed after each other.
///
/// # Errors
/// In words.
pub fn tags(text: &str) -> Result<Tags, String> {
    let names: Result<Vec<Name>, _> = each(text).map(Name::parse).collect();
    let names = names.map_err(|error| error.to_string())?;
    Tags::parse(names).map_err(|error| error.to_string())
}

/// Objectives as they are typed after each other.
///
/// # Errors
/// In words.
pub fn objectives(text: &str) -> Result<Objectives, String> {
    let bounds: Result<Vec<Objective>, _> = each(text).map(str::parse).collect();
    let bounds = bounds.map_err(|error| error.to_string())?;
    Objectives::parse(bounds).map_err(|error| error.to_string())
}

fn each(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split([',', ' ']).map(str::trim);
    words.filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn card(owner: &str, team: &str, description: &str, tags: &[String]) -> Card {
        Card {
            owner: Line::parse(owner).unwrap(),
            team: Line::parse(team).unwrap(),
            description: Prose::parse(description).unwrap(),
            tags: Tags::parse(tags.iter().map(|tag| Name::parse(tag).unwrap())).unwrap(),
            objectives: objectives("p99<=250ms errors<=0.5%").unwrap(),
        }
    }

    fn draft(content: &Content) -> Draft {
        let model = RegistryObject::Model("fraud".parse().unwrap());
        Draft::of(Subject::Card(model), content.clone(), 4)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            owner in "[^\\p{C}]{0,20}",
            description in "([^\\p{C}]|\n|\t|\"|\\\\){0,80}",
            tags in prop::collection::vec("[a-z][a-z0-9]{0,8}", 0..4),
        ) {
            let card = card(&owner, "risk", description.trim_end(), &tags);
            let content = Content { card, ..Content::default() };
            let draft = draft(&content);
            let read = draft.read().unwrap();
            // A line break after the opening quotes is not part of the text.
            let (was, is) = (&content.card.description, &read.content.card.description);
            prop_assert_eq!(was.as_str(), is.as_str(), "{}", draft.text);
            prop_assert_eq!(read.content, content);
            prop_assert!(draft.is_unchanged());
        }

        #[test]
        fn an_edit_on_what_is_there_now_keeps_both_sides(
            mine in "[a-z]{1,8}", theirs in "[a-z]{1,8}",
        ) {
            let of = |owner: &str, team: &str| Content {
                card: card(owner, team, "", &[]),
                ..Content::default()
            };
            let mut draft = draft(&of("alice", "risk"));
            draft.text = draft.written(&of(&mine, "risk"), "why");
            let edited = draft.read().unwrap();
            let rebased = draft.rebased(&edited, &of("alice", &theirs), 5);
            let read = rebased.read().unwrap();
            prop_assert_eq!(read.content, of(&mine, &theirs));
            prop_assert_eq!(read.reason, "why");
            prop_assert_eq!(rebased.revision, 5);
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        let content = Content::default();
        let told = |text: &str| {
            let mut draft = draft(&content);
            draft.text = text.into();
            draft.read().unwrap_err()
        };
        let wrong = told("owner = \"a\"\nobjectives = [\"p99<=2h\"]\n");
        assert!(
            wrong.starts_with("line 2:") && wrong.contains("p99<=2h"),
            "{wrong}"
        );
        assert!(told("owner = alice\n").starts_with("line 1:"));
        assert!(told("\nowners = \"a\"\n").contains("owners"));
        assert!(told("notes = \"x\"\n").contains("no part"));
        assert!(told("name = \"other\"\n").contains("keeps its name"));
        assert!(told("owner = \"\\u001b\"\n").contains("control"));
    }
}

//! An edit before it is applied: what it changes; and where somebody else was quicker, both
//! sides.
//!
//! ```text
//!  Apply to model fraud, on revision 41                <esc> keeps it as a draft
//!  owner        alice → bob
//!  press <y> to apply it, <e> to edit it again
//! ```

use binnacle_core::view::{EntryRow, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw::list;
use super::form::present;
use crate::edit::diff::{self, word};
use crate::edit::{Content, Draft, Edited, Subject};
use crate::question::Question;
use crate::question::registry::{Listing, noun_of};
use crate::screen::{Look, registry};
use crate::theme::Meaning;
use crate::widget::page::{Line, piece};

/// A draft that somebody looks at before it is applied.
#[derive(Debug)]
pub struct Review {
    /// The draft.
    pub draft: Draft,
    /// Whether the terminal has shown it: keys before that were meant for something else.
    pub is_seen: bool,
    /// The first line of the difference that is shown.
    pub top: usize,
}

/// How a draft stands.
#[derive(Debug)]
pub enum Standing {
    /// It cannot be read, and why.
    Wrong(String),
    /// Somebody changed the same thing meanwhile: what is there now, and its revision.
    Conflict(Box<Edited>, Box<Content>, u64),
    /// It can be applied.
    Ready(Box<Edited>),
}

impl Draft {
    /// What asks for what is there now.
    pub fn itself(&self) -> Option<Question> {
        let (noun, name) = match &self.subject {
            Subject::New => return None,
            Subject::Card(object) => (
                registry::noun(object)?,
                crate::question::registry::name_of(object),
            ),
            Subject::Notes(version) => (
                crate::question::registry::Noun::Versions,
                version.to_string(),
            ),
        };
        Some(Question::Listed(Listing::of(noun, &name)))
    }

    /// Who changed the same thing while this was edited, in a line.
    pub(super) fn told_meanwhile(&self, look: &Look<'_>) -> Option<String> {
        let (theirs, revision) = present(self, look)?;
        if revision <= self.revision {
            return None;
        }
        let fields = diff::fields(&self.base, &theirs);
        let fields: Vec<String> = fields
            .iter()
            .map(|field| {
                let first = |text: &str| word(text.lines().next().unwrap_or_default());
                format!(
                    "{} {} → {}",
                    field.name,
                    first(&field.before),
                    first(&field.after)
                )
            })
            .collect();
        let who = who(revision, look);
        Some(format!(
            "! {who} changed it meanwhile: {}",
            fields.join(", ")
        ))
    }
}

fn who(revision: u64, look: &Look<'_>) -> String {
    let mut entries = look.data.entries.iter();
    let entry: Option<&EntryRow> = entries.find(|entry| entry.sequence == revision);
    entry.map_or_else(|| "somebody else".into(), |entry| shown(&entry.caller))
}

impl Review {
    /// Nobody has seen it yet.
    pub fn new(draft: Draft) -> Self {
        Self {
            draft,
            is_seen: false,
            top: 0,
        }
    }

    /// How the draft stands to what is there now.
    pub fn standing(&self, look: &Look<'_>) -> Standing {
        let edited = match self.draft.read() {
            Ok(edited) => Box::new(edited),
            Err(why) => return Standing::Wrong(why),
        };
        match present(&self.draft, look) {
            Some((theirs, revision)) if revision > self.draft.revision => {
                Standing::Conflict(edited, Box::new(theirs), revision)
            }
            Some(_) | None => Standing::Ready(edited),
        }
    }

    /// Lines of the difference.
    fn lines(&self, standing: &Standing, look: &Look<'_>) -> Vec<Line> {
        match standing {
            Standing::Wrong(why) => vec![
                vec![piece(format!("x {}", shown(why)), Meaning::Warn)],
                vec![piece("nothing of what was typed is lost", Meaning::Quiet)],
            ],
            Standing::Ready(edited) => {
                let mut lines = diff::lines(&diff::fields(&self.draft.base, &edited.content));
                if lines.is_empty() && self.draft.subject != Subject::New {
                    lines.push(vec![piece(
                        "nothing is changed but the reason",
                        Meaning::Quiet,
                    )]);
                }
                lines
            }
            Standing::Conflict(edited, theirs, revision) => {
                self.both_sides(edited, theirs, *revision, look)
            }
        }
    }

    fn both_sides(
        &self,
        edited: &Edited,
        theirs: &Content,
        revision: u64,
        look: &Look<'_>,
    ) -> Vec<Line> {
        let who = who(revision, look);
        let head = format!(
            "x {who} changed it meanwhile: yours was made on revision {}, it is at {revision}",
            self.draft.revision
        );
        let mut lines = vec![vec![piece(head, Meaning::Warn)]];
        let [base, theirs, yours] = [&self.draft.base, theirs, &edited.content].map(diff::all);
        for (((name, base), (_, theirs)), (_, yours)) in base.into_iter().zip(theirs).zip(yours) {
            let is_name = name == "name";
            if is_name || (base == theirs && base == yours) {
                continue;
            }
            let sign = match (base == theirs, base == yours, theirs == yours) {
                (false, false, false) => "≠ both changed it",
                (_, true, _) => "theirs",
                (true, _, _) => "yours",
                (_, _, true) => "both the same",
            };
            lines.push(vec![
                piece(name, Meaning::Title),
                piece(format!("  {sign}"), Meaning::Accent),
            ]);
            for (side, text) in [("was", &base), ("theirs", &theirs), ("yours", &yours)] {
                for (at, text) in word_lines(text).into_iter().enumerate() {
                    let side = if at == 0 { side } else { "" };
                    lines.push(vec![
                        piece(format!("  {side:<8}"), Meaning::Quiet),
                        piece(text, Meaning::Text),
                    ]);
                }
            }
        }
        lines
    }

    /// Draws it at the lower edge of an area: what does not fit is scrolled.
    pub fn draw(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let standing = self.standing(look);
        let all = self.lines(&standing, look);
        let quiet = look.style(Meaning::Quiet);
        let mut below: Vec<Vec<(String, ratatui::style::Style)>> = Vec::new();
        let keys = match &standing {
            Standing::Wrong(_) => "<e> to edit it again, <x> to throw it away",
            Standing::Conflict(..) => {
                "<m> to put yours on top of theirs, <e> in $EDITOR, <x> to throw yours away"
            }
            Standing::Ready(edited) => {
                if let Some(change) = self.draft.change(edited) {
                    below.push(vec![
                        ("command  ".into(), quiet),
                        (shown(&change.command()), quiet),
                    ]);
                }
                match look.data.is_live() {
                    true => "<y> to apply it, <e> to edit it again, <x> to throw it away",
                    false => "the hub is not connected: it cannot be applied; esc keeps it",
                }
            }
        };
        below.push(vec![("press ".into(), quiet), (keys.into(), quiet)]);
        let room = usize::from(area.height)
            .saturating_sub(below.len() + 2)
            .max(1);
        let top = self.top.min(all.len().saturating_sub(room));
        let mut lines: Vec<_> = all
            .iter()
            .skip(top)
            .take(room)
            .map(|line| {
                let styled = line.iter();
                styled
                    .map(|(text, meaning)| (text.clone(), look.style(*meaning)))
                    .collect()
            })
            .collect();
        if all.len() > room {
            let to = (top + room).min(all.len());
            let words = format!("lines {}–{to} of {}; j and k scroll", top + 1, all.len());
            below.insert(0, vec![(words, look.style(Meaning::Accent))]);
            lines.truncate(room.saturating_sub(1).max(1));
        }
        lines.extend(below);
        let title = match &self.draft.subject {
            Subject::New => match self.draft.read() {
                Ok(edited) => format!("Name model {}", shown(&edited.content.name)),
                Err(_) => "Name a model".into(),
            },
            Subject::Card(object) => format!(
                "Apply to {} {}, on revision {}",
                noun_of(object),
                crate::question::registry::name_of(object),
                self.draft.revision
            ),
            Subject::Notes(version) => format!("Note {version}"),
        };
        let help = match self.is_seen {
            true => "<esc> keeps it as a draft",
            false => "…",
        };
        list(&title, help, lines.into_iter(), usize::MAX, look, area, buf);
    }
}

fn word_lines(text: &str) -> Vec<String> {
    match text {
        "" => vec!["–".into()],
        text => text.lines().map(shown).collect(),
    }
}

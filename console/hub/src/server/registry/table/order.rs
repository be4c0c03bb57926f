//! Which rows of a table are shown, and in which order: what a console asks for page by page.

use std::sync::Arc;

use binnacle_core::name::Name;
use binnacle_core::registry::{Head, Line, Said, Standing};
use binnacle_proto::v1 as proto;
use tonic::Status;

use super::{Cut, window};

/// One word of a search; a row is shown where every word takes it.
#[derive(Debug, PartialEq)]
pub(super) enum Term {
    /// Part of a name, a tag, the owner or the team.
    Word(String),
    /// `owner=alice`, `team=risk`, `tag=eu`, `alias=champion`, `standing=deprecated`.
    Is(Part, String),
}

/// What a word of a search may name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    Owner,
    Team,
    Tag,
    Alias,
    Standing,
}

const PARTS: [(&str, Part); 5] = [
    ("owner", Part::Owner),
    ("team", Part::Team),
    ("tag", Part::Tag),
    ("alias", Part::Alias),
    ("standing", Part::Standing),
];

/// Reads a search; what names no part is refused with those that there are.
pub(super) fn terms(search: &str) -> Result<Vec<Term>, Status> {
    let term = |word: &str| match word.split_once('=') {
        None => Ok(Term::Word(word.to_lowercase())),
        Some((part, value)) => match PARTS.iter().find(|(known, _)| *known == part) {
            Some((_, part)) => Ok(Term::Is(*part, value.to_lowercase())),
            None => {
                let known: Vec<&str> = PARTS.iter().map(|(known, _)| *known).collect();
                let what = format!(
                    "search: {part:?} cannot be searched by; there are {}",
                    known.join(", ")
                );
                Err(Status::invalid_argument(what))
            }
        },
    };
    search.split_whitespace().map(term).collect()
}

/// Whether `text` contains `word`, which is in lower case.
fn contains(text: &str, word: &str) -> bool {
    match text.is_ascii() {
        false => text.to_lowercase().contains(word),
        true => {
            let (text, word) = (text.as_bytes(), word.as_bytes());
            let mut parts = text.windows(word.len().max(1));
            word.is_empty() || parts.any(|part| part.eq_ignore_ascii_case(word))
        }
    }
}

impl Term {
    /// Whether a row is shown.
    pub(super) fn takes(&self, name: &Name, said: &Said, aliases: &[&str]) -> bool {
        let card = &said.card;
        match self {
            Self::Word(word) => {
                contains(name.as_str(), word)
                    || card.tags.iter().any(|tag| contains(tag.as_str(), word))
                    || contains(card.owner.as_str(), word)
                    || contains(card.team.as_str(), word)
            }
            Self::Is(part, value) => {
                let same = |text: &str| text.to_lowercase() == *value;
                match part {
                    Part::Owner => same(card.owner.as_str()),
                    Part::Team => same(card.team.as_str()),
                    Part::Tag => card.tags.iter().any(|tag| same(tag.as_str())),
                    Part::Alias => aliases.iter().any(|alias| same(alias)),
                    Part::Standing => match said.standing {
                        Standing::Active => same("active"),
                        Standing::Deprecated(_) => same("deprecated"),
                    },
                }
            }
        }
    }
}

/// What a row is ordered by.
#[derive(Clone, Debug)]
pub(super) struct Order {
    changed: u64,
    latest_us: Option<i64>,
    versions: usize,
    owner: Line,
    team: Line,
}

impl Order {
    /// Of something named with so many versions, the latest registered in this entry at this
    /// time.
    pub(super) fn of(head: &Head, latest: Option<(u64, i64)>, versions: usize) -> Self {
        let card = &head.now().card;
        Self {
            changed: head
                .revision
                .max(latest.map_or(0, |(sequence, _)| sequence)),
            latest_us: latest.map(|(_, at_us)| at_us),
            versions,
            owner: card.owner.clone(),
            team: card.team.clone(),
        }
    }
}

/// A row before it is one: a name, and what bears it.
type Named<'a, X> = (&'a Name, &'a Arc<X>);

/// The page out of rows that come in order of name.
pub(super) fn sorted<'a, X>(
    all: impl Iterator<Item = Named<'a, X>>,
    asked: &proto::ListRequest,
    order: impl Fn(&X) -> Order,
) -> Result<Cut<Named<'a, X>>, Status> {
    let mut all: Vec<Named<'a, X>> = all.collect();
    match asked.sort.as_str() {
        "" | "name" => {}
        "changed" => all.sort_by_cached_key(|(_, row)| order(row).changed),
        "latest" => all.sort_by_cached_key(|(_, row)| order(row).latest_us),
        "versions" => all.sort_by_cached_key(|(_, row)| order(row).versions),
        "owner" => all.sort_by_cached_key(|(_, row)| order(row).owner),
        "team" => all.sort_by_cached_key(|(_, row)| order(row).team),
        other => {
            let what = format!(
                "sort: {other:?} is no order; say name, changed, latest, versions, owner or team"
            );
            return Err(Status::invalid_argument(what));
        }
    }
    if asked.descending {
        all.reverse();
    }
    let total = all.len();
    let (skip, limit) = window(asked);
    let rows = all.into_iter().skip(skip).take(limit).collect();
    Ok(Cut { rows, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_words_and_parts_and_a_stranger_is_named() {
        let read = terms("Fraud owner=Alice").unwrap();
        let owner = Term::Is(Part::Owner, "alice".into());
        assert_eq!(read, [Term::Word("fraud".into()), owner]);
        let refused = terms("p99=3").unwrap_err();
        assert!(refused.message().contains("owner, team, tag"), "{refused}");
        assert!(contains("Fraud-EU", "fraud-e") && !contains("fraud", "frauds"));
        assert!(contains("", "") && !contains("", "a"));
    }
}

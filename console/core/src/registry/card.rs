//! What people say about a thing: whose it is and what it is for. The part that is edited.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::objective::{MAX_OBJECTIVES, Objective};
use super::text::{Line, Prose};
use crate::name::Name;

/// Tags on one thing: enough for any scheme of search.
pub const MAX_TAGS: usize = 32;

/// Whose a model, data set or feature set is, and what it is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The person who answers for it.
    #[serde(default)]
    pub owner: Line,
    /// Their team.
    #[serde(default)]
    pub team: Line,
    /// What it is for.
    #[serde(default)]
    pub description: Prose,
    /// What it is searched by.
    #[serde(default)]
    pub tags: Tags,
    /// Of a model: what must hold wherever it serves.
    #[serde(default, skip_serializing_if = "Objectives::is_empty")]
    pub objectives: Objectives,
}

/// At most [`MAX_TAGS`] names, each once, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Name>", into = "Vec<Name>")]
pub struct Tags(Arc<[Name]>);

/// At most [`MAX_OBJECTIVES`] bounds, one a figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Objective>", into = "Vec<Objective>")]
pub struct Objectives(Arc<[Objective]>);

/// Why a card is refused.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotACard {
    /// More than [`MAX_TAGS`].
    #[error("at most {MAX_TAGS} tags fit, here are {0}")]
    Tags(usize),
    /// More than [`MAX_OBJECTIVES`], or two of one figure.
    #[error("a model has one objective a figure, at most {MAX_OBJECTIVES}: {0}")]
    Objectives(String),
}

impl Tags {
    /// Takes tags: sorted, each once.
    pub fn parse(tags: impl IntoIterator<Item = Name>) -> Result<Self, NotACard> {
        let tags: BTreeSet<Name> = tags.into_iter().collect();
        match tags.len() {
            0..=MAX_TAGS => Ok(Self(tags.into_iter().collect())),
            found => Err(NotACard::Tags(found)),
        }
    }

    /// Each, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        self.0.iter()
    }
}

impl Objectives {
    /// Takes objectives, one a figure.
    pub fn parse(objectives: Vec<Objective>) -> Result<Self, NotACard> {
        let figures: BTreeSet<_> = objectives.iter().map(|one| one.figure).collect();
        if objectives.len() > MAX_OBJECTIVES || figures.len() < objectives.len() {
            let all: Vec<String> = objectives.iter().map(Objective::to_string).collect();
            return Err(NotACard::Objectives(all.join(", ")));
        }
        Ok(Self(objectives.into()))
    }

    /// Each, as given.
    pub fn iter(&self) -> impl Iterator<Item = &Objective> {
        self.0.iter()
    }

    /// Whether nothing is promised.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<Name>> for Tags {
    type Error = NotACard;
    fn try_from(tags: Vec<Name>) -> Result<Self, NotACard> {
        Self::parse(tags)
    }
}

impl From<Tags> for Vec<Name> {
    fn from(tags: Tags) -> Self {
        tags.0.to_vec()
    }
}

impl TryFrom<Vec<Objective>> for Objectives {
    type Error = NotACard;
    fn try_from(objectives: Vec<Objective>) -> Result<Self, NotACard> {
        Self::parse(objectives)
    }
}

impl From<Objectives> for Vec<Objective> {
    fn from(objectives: Objectives) -> Self {
        objectives.0.to_vec()
    }
}

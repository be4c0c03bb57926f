//! Cards on the command line: owner, team, description, tags and objectives.

use binnacle_core::name::Name;
use binnacle_core::registry::{Card, Line, Objective, Objectives, Prose, Tags};
use binnacle_core::view::filter::nearest;
use clap::Args;

use super::document;
use crate::outcome::{Exit, Failure};

/// What is said of something when it is named.
#[derive(Args, Debug)]
pub(crate) struct Said {
    /// The person who answers for it.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    owner: String,
    /// Their team.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    team: String,
    /// What it is for.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    description: String,
    /// What it is searched by; may be given more than once.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// What must hold where it serves: p99<=250ms, errors<=0.5%; may be given more than once.
    #[arg(long, value_name = "BOUND")]
    objective: Vec<String>,
    /// All of it, from a TOML or JSON file; - reads standard input.
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["owner", "team", "description", "tag", "objective"])]
    file: Option<std::path::PathBuf>,
}

fn wrong(error: impl ToString) -> Failure {
    Failure::new(Exit::Usage, error.to_string())
}

fn tags<'a>(words: impl Iterator<Item = &'a str>) -> Result<Tags, Failure> {
    let names: Result<Vec<Name>, _> = words.map(Name::parse).collect();
    Tags::parse(names.map_err(wrong)?).map_err(wrong)
}

fn objectives<'a>(words: impl Iterator<Item = &'a str>) -> Result<Objectives, Failure> {
    let bounds: Result<Vec<Objective>, _> = words.map(str::parse).collect();
    Objectives::parse(bounds.map_err(wrong)?).map_err(wrong)
}

impl Said {
    pub(crate) fn card(&self) -> Result<Card, Failure> {
        if let Some(path) = &self.file {
            return document::file(path);
        }
        Ok(Card {
            owner: Line::parse(&self.owner).map_err(wrong)?,
            team: Line::parse(&self.team).map_err(wrong)?,
            description: Prose::parse(&self.description).map_err(wrong)?,
            tags: tags(self.tag.iter().map(String::as_str))?,
            objectives: objectives(self.objective.iter().map(String::as_str))?,
        })
    }
}

/// The parts of a card, as an editor's file explains them.
pub(crate) const PARTS: &str = "owner, team and description are text; tags = [\"a\", \"b\"]";
/// The same of a model.
pub(crate) const MODEL_PARTS: &str = "owner, team and description are text; tags = [\"a\", \"b\"]; \
     objectives = [\"p99<=250ms\", \"errors<=0.5%\"]";
/// What may be set of a card.
const KEYS: [&str; 5] = ["owner", "team", "description", "tags", "objectives"];

/// A card with one part replaced.
pub(crate) fn set(mut card: Card, key: &str, value: &str) -> Result<Card, Failure> {
    let words = || {
        value
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
    };
    match key {
        "owner" => card.owner = Line::parse(value).map_err(wrong)?,
        "team" => card.team = Line::parse(value).map_err(wrong)?,
        "description" => card.description = Prose::parse(value).map_err(wrong)?,
        "tags" => card.tags = tags(words())?,
        "objectives" => card.objectives = objectives(words())?,
        _ => return Err(no_part(key, &KEYS)),
    }
    Ok(card)
}

/// There is no such part; what was probably meant, and what there is.
pub(crate) fn no_part(key: &str, keys: &[&str]) -> Failure {
    let message = match nearest(key, keys.iter().copied()) {
        Some(meant) => format!("there is no part {key:?}: did you mean {meant}?"),
        None => format!("there is no part {key:?}"),
    };
    Failure::new(Exit::Usage, message).hint(format!("the parts are {}", keys.join(", ")))
}

//! Cards on the command line: owner, team, description, tags and objectives.

use binnacle_core::name::Name;
use binnacle_core::registry::{Card, Line, Objective, Objectives, Prose, Tags};
use clap::Args;

use super::pair;
use crate::outcome::{Exit, Failure};

/// What is said of something when it is named.
#[derive(Args, Debug)]
pub(crate) struct Said {
    /// The person who answers for it.
    #[arg(long, value_name = "NAME", default_value = "")]
    owner: String,
    /// Their team.
    #[arg(long, value_name = "NAME", default_value = "")]
    team: String,
    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// What it is searched by; may be given more than once.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// What must hold where it serves: p99<=250ms, errors<=0.5%; may be given more than once.
    #[arg(long, value_name = "BOUND")]
    objective: Vec<String>,
}

/// What is to be changed of what is said.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(crate) struct Edit {
    /// One part: owner, team, description, tags=A,B or objectives=A,B; more than once.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// All of it, from a TOML or JSON file; - reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "set")]
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
        Ok(Card {
            owner: Line::parse(&self.owner).map_err(wrong)?,
            team: Line::parse(&self.team).map_err(wrong)?,
            description: Prose::parse(&self.description).map_err(wrong)?,
            tags: tags(self.tag.iter().map(String::as_str))?,
            objectives: objectives(self.objective.iter().map(String::as_str))?,
        })
    }
}

impl Edit {
    /// The card that `card` becomes.
    pub(crate) fn edited(&self, card: Card) -> Result<Card, Failure> {
        match &self.file {
            Some(path) => file(path),
            None => self
                .set
                .iter()
                .try_fold(card, |card, (key, value)| set(card, key, value)),
        }
    }
}

fn set(mut card: Card, key: &str, value: &str) -> Result<Card, Failure> {
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
        _ => {
            let message = format!("{key:?} is no part of a card");
            let hint = "say owner, team, description, tags or objectives";
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        }
    }
    Ok(card)
}

/// A document out of a file, TOML or JSON by what it begins with.
pub(crate) fn file<T: serde::de::DeserializeOwned>(path: &std::path::Path) -> Result<T, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(
            Exit::Failed,
            format!("cannot read {}: {error}", path.display()),
        )
    };
    let text = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()).map_err(unreadable)?,
        false => std::fs::read_to_string(path).map_err(unreadable)?,
    };
    let malformed =
        |error: String| Failure::new(Exit::Usage, format!("{}: {}", path.display(), error.trim()));
    match text.trim_start().starts_with('{') {
        true => serde_json::from_str(&text).map_err(|error| malformed(error.to_string())),
        false => toml::from_str(&text).map_err(|error| malformed(error.to_string())),
    }
}
